"""A layer written: exact, to be kept, handed on and read back, and simplified, to be drawn on a map."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import shapely

from geo import kml, shapefile
from geo.cells import Area, Bbox, Cell, Kind, Layer, Level
from geo.document import Form
from geo.parents import USUAL_NAMES
from geo.shapes import polygons_of


class LayerError(ValueError):
    """Bytes that `to_geojson` did not write."""


class _Properties(msgspec.Struct):
    code: str
    name: str
    kind: Kind
    level: Level
    parent: str


class _Feature(msgspec.Struct):
    id: str
    properties: _Properties
    geometry: msgspec.Raw
    bbox: Bbox
    type: str = "Feature"


class _Collection(msgspec.Struct):
    generation: int
    name: str
    valid_from: int | None
    areas: list[Area]
    features: list[_Feature]
    type: str = "FeatureCollection"


def to_geojson(layer: Layer, *, decimals: int | None = None) -> bytes:
    """A FeatureCollection in WGS-84, with `generation`, `valid_from` and `areas` beside the features.

    Exact unless `decimals` rounds the degrees (6 are 11 cm); rounding keeps shared vertices shared.
    """
    features = [
        _Feature(
            id=cell.code,
            properties=_Properties(cell.code, cell.name, cell.kind, cell.level, cell.parent),
            geometry=msgspec.Raw(msgspec.json.encode(geometry_of(cell, decimals=decimals))),
            bbox=cell.bbox,
        )
        for cell in layer.cells
    ]
    return msgspec.json.encode(
        _Collection(layer.number, layer.name, layer.valid_from, list(layer.areas), features)
    )


def exported(layer: Layer, form: Form) -> bytes:
    """A layer as a file that anybody can open, in WGS-84; read again it is equal, but for very long names in a .dbf.

    Raises `LayerError` for a layer that the format cannot hold.
    """
    if form is Form.GEOJSON:
        return to_geojson(layer)
    try:
        return (shapefile.write if form is Form.SHAPEFILE else kml.write)(layer, _rows(layer))
    except ValueError as problem:
        raise LayerError(str(problem)) from problem


def _rows(layer: Layer) -> list[dict[str, str]]:
    """For each cell what a table says of it: its own code, name, kind and parent, and all areas above by level."""
    rows = []
    for cell in layer.cells:
        row = {"code": cell.code, "name": cell.name, "kind": str(cell.kind), "parent": cell.parent}
        for code in layer.ancestors(cell.code):
            area = layer.area(code)
            if area is not None:
                level = area.level.name.lower()
                row |= {level: area.code, USUAL_NAMES[level]: area.name}
        rows.append(row)
    return rows


def geometry_of(cell: Cell, *, decimals: int | None = None) -> dict[str, Any]:
    """A cell's ground as a GeoJSON geometry."""
    parts = [_rings(part, decimals) for part in shapely.get_parts(cell.geometry)]
    if cell.geometry.geom_type == "MultiPolygon":
        return {"type": "MultiPolygon", "coordinates": parts}
    return {"type": "Polygon", "coordinates": parts[0]}


def _rings(polygon: Any, decimals: int | None) -> list[list[list[float]]]:
    rings = [shapely.get_coordinates(ring) for ring in (polygon.exterior, *polygon.interiors)]
    return [(ring if decimals is None else np.round(ring, decimals)).tolist() for ring in rings]


def from_geojson(content: bytes) -> Layer:
    """The layer that `to_geojson` wrote; equal to the last bit if it was not rounded. Raises `LayerError`."""
    try:
        collection = msgspec.json.decode(content, type=_Collection)
        ground = [shapely.from_geojson(bytes(feature.geometry)) for feature in collection.features]
    except (msgspec.DecodeError, shapely.GEOSException) as problem:
        raise LayerError(str(problem)) from problem
    cells = []
    for feature, geometry in zip(collection.features, ground, strict=True):
        if geometry.geom_type not in {"Polygon", "MultiPolygon"}:
            raise LayerError(f"{feature.id}: {geometry.geom_type}")
        about = feature.properties
        cells.append(
            Cell(about.code, about.name, about.kind, about.level, about.parent, geometry, feature.bbox)
        )
    return Layer.of(
        cells,
        collection.areas,
        number=collection.generation,
        name=collection.name,
        valid_from=collection.valid_from,
    )


def simplified(layer: Layer, tolerance_m: float) -> Layer:
    """The layer with fewer corners, only for drawing: borders stay shared, but points near them change sides.

    `tolerance_m` is about how far a border may move. Needs a layer that passes `check`.
    """
    drawn = shapely.coverage_simplify(layer.plane.geometries_to_metres(layer.geometries), tolerance_m)
    back = shapely.transform(drawn, layer.plane.to_degrees)
    cells = [
        Cell.of(cell.code, cell.name, cell.parent, polygons_of(ground), cell.kind)
        for cell, ground in zip(layer.cells, back, strict=True)
    ]
    return msgspec.structs.replace(layer, cells=tuple(cells))
