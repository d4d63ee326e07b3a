"""What is measured on ground: its polygons, its width, and where a width stops to mean something."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import shapely

SLIVER_WIDTH_M = 1.0  # narrower than this, a gap is a slip of the pen and not a lake
OVERLAP_WIDTH_M = 0.01  # narrower than this, an overlap is rounding
_HALVINGS = 16


def polygons_of(geometry: Any) -> Any:
    """The ground of a geometry of any sort: one polygon, several, or an empty polygon."""
    parts = [
        part
        for part in shapely.get_parts(shapely.get_parts(np.array([geometry], dtype=object)))
        if part.geom_type == "Polygon" and not part.is_empty
    ]
    if not parts:
        return shapely.Polygon()
    return parts[0] if len(parts) == 1 else shapely.MultiPolygon(parts)


def width_m(ground: Any) -> float:
    """Diameter of the widest circle that fits into ground measured in metres; 0 for nothing.

    The ground is shrunk until nothing is left: for a long thin sliver, of which a bad layer has thousands, that is many
    times faster than to search for the circle.
    """
    if shapely.is_empty(ground) or shapely.area(ground) == 0.0:
        return 0.0
    low, high = (
        0.0,
        float(np.sqrt(shapely.area(ground) / np.pi)),
    )  # a circle of this area is the widest shape of it
    if 2.0 * high < OVERLAP_WIDTH_M:
        return 2.0 * high
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if shapely.is_empty(shapely.buffer(ground, -middle)):
            high = middle
        else:
            low = middle
    return low + high


def geojson_of(geometry: Any) -> dict[str, Any]:
    """A geometry as GeoJSON, for a report."""
    found: dict[str, Any] = json.loads(shapely.to_geojson(geometry))
    return found
