"""The ground of the story: real small cells, moved to Luoyang, where maps are shifted and one kilometre matters.

The shapes and their 1,530 neighbourhoods are those of Manchester's output areas. They come without communities and
streets, so squares of a lattice stand for them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from shapely import affinity
from shapely.geometry import mapping, shape
from shapely.ops import nearest_points

FILE = Path(__file__).resolve().parents[1] / "data" / "manchester_output_areas.geojson"
DISTRICT = "410398"
EAST, NORTH = 114.65, -18.80  # degrees by which everything is moved
STREETS, COMMUNITIES = 3, 4  # a side of the lattice; communities within a street


def layer_file(target: Path) -> Path:
    """Write the layer as a district's office would hand it in: GeoJSON, each cell with its three parents."""
    source = json.loads(FILE.read_text(encoding="utf-8"))
    shapes = {
        feature["properties"]["code"]: affinity.translate(shape(feature["geometry"]), EAST, NORTH)
        for feature in source["features"]
    }
    middles = {code: one.representative_point() for code, one in shapes.items()}
    west, south = min(p.x for p in middles.values()), min(p.y for p in middles.values())
    width = max(p.x for p in middles.values()) - west
    height = max(p.y for p in middles.values()) - south
    features = []
    for code, one in shapes.items():
        squares = STREETS * COMMUNITIES
        column = min(int((middles[code].x - west) / width * squares), squares - 1)
        row = min(int((middles[code].y - south) / height * squares), squares - 1)
        street = f"{DISTRICT}{row // COMMUNITIES * STREETS + column // COMMUNITIES + 1:03}"
        community = f"{street}{row % COMMUNITIES * COMMUNITIES + column % COMMUNITIES + 1:03}"
        properties = {"code": code, "community": community, "street": street, "district": DISTRICT}
        features.append({"type": "Feature", "properties": properties, "geometry": mapping(one)})
    target.write_text(json.dumps({"type": "FeatureCollection", "features": features}), encoding="utf-8")
    return target


FIELDS = {"parents": ["community", "street", "district"]}


def neighbours(layer: dict[str, Any], code: str) -> list[str]:
    """Codes of the cells that share a border with this one, the longest border first."""
    shapes = {f["properties"]["code"]: shape(f["geometry"]) for f in layer["features"]}
    own = shapes[code]
    shared = {
        other: own.intersection(ground).length
        for other, ground in shapes.items()
        if other != code and own.distance(ground) < 1e-9
    }
    return sorted((c for c in shared if shared[c] > 0), key=lambda c: -shared[c])


def near_border(layer: dict[str, Any], code: str, other: str) -> tuple[float, float]:
    """A point in one cell, about four metres from the middle of its border with another."""
    shapes = {f["properties"]["code"]: shape(f["geometry"]) for f in layer["features"]}
    border = shapes[code].intersection(shapes[other])
    inside, _ = nearest_points(shapes[code].buffer(-0.00004), border.representative_point())
    return inside.x, inside.y
