"""A layer as vector tiles: small pieces of it in whole numbers, for a map that a phone keeps off the net.

Tiles are those of the web (Mercator, `2^zoom` by `2^zoom`, counted from the north-west) in the format of Mapbox Vector
Tiles 2. The layer is simplified once for each zoom and as a whole, so that two cells of one border still have one
border, in one tile and across two. A map draws the tiles of `ZOOM_MAX` larger where it goes nearer: a unit of them is
15 centimetres.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import mapbox_vector_tile
import numpy as np
import shapely
from mapbox_vector_tile.encoder import on_invalid_geometry_make_valid

from geo.shapes import polygons_of

if TYPE_CHECKING:
    from geo.cells import Layer
    from geo.coordinates import Floats, Geometries

ZOOM_MAX = 16
NAMED_FROM = 13  # farther off a name has no room in its cell
EXTENT = 4096  # units to the side of a tile
LAYER_NAME = "cells"
PIXELS = 256  # to the side of a tile on the screen
_HALF_PIXEL = EXTENT / PIXELS / 2
_MARGIN = EXTENT // 64  # drawn beyond the edge of a tile, so that its border is no line on the map
_LAT_MAX = math.degrees(math.atan(math.sinh(math.pi)))  # where the square world ends, 85.05 degrees
_EQUATOR_M = 2 * math.pi * 6378137.0
_ZOOMS_KEPT = 6
_TILES_KEPT = 256


def half_a_pixel_m(zoom: int, lat: float) -> float:
    """Half a pixel of a web map at a latitude, in metres."""
    return _EQUATOR_M * math.cos(math.radians(lat)) / 2.0**zoom / PIXELS / 2


def exists(zoom: int, x: int, y: int) -> bool:
    """Whether there is such a tile."""
    return 0 <= zoom <= ZOOM_MAX and 0 <= x < 2**zoom and 0 <= y < 2**zoom


def tile_at(zoom: int, lon: float, lat: float) -> tuple[int, int]:
    """The tile that a place in WGS-84 degrees lies in, as x and y."""
    ((east, south),) = _to_units(np.array([[lon, lat]]), zoom) / EXTENT
    last = 2**zoom - 1
    return min(max(int(east), 0), last), min(max(int(south), 0), last)


def _to_units(lonlat: Floats, zoom: int) -> Floats:
    """Degrees as units from the north-west corner of the world, south counted down."""
    lat = np.radians(np.clip(lonlat[:, 1], -_LAT_MAX, _LAT_MAX))
    world = 2.0**zoom * EXTENT
    east = (lonlat[:, 0] + 180.0) / 360.0 * world
    south = (1.0 - np.arcsinh(np.tan(lat)) / np.pi) / 2.0 * world
    return np.column_stack([east, south])


class VectorTiles:
    """The tiles of one layer, made when they are asked for and kept while there is room. Any thread may ask."""

    def __init__(self, layer: Layer) -> None:
        """Needs a layer that passes `check`."""
        self.layer = layer
        self._ground = lru_cache(maxsize=_ZOOMS_KEPT)(self._simplified)
        self.tile = lru_cache(maxsize=_TILES_KEPT)(self._tile)

    def _simplified(self, zoom: int) -> tuple[Geometries, shapely.STRtree]:
        units = shapely.transform(self.layer.geometries, lambda lonlat: _to_units(lonlat, zoom))
        ground: Geometries = np.array(shapely.coverage_simplify(units, _HALF_PIXEL), dtype=object)
        return ground, shapely.STRtree(ground)

    def _tile(self, zoom: int, x: int, y: int) -> bytes:
        """One tile; empty where no cell lies. Each cell has `code`, and from `NAMED_FROM` on `name`, `kind`, `parent`.

        `exists` must be true of it.
        """
        ground, tree = self._ground(zoom)
        west, north = x * EXTENT, y * EXTENT
        box = (west - _MARGIN, north - _MARGIN, west + EXTENT + _MARGIN, north + EXTENT + _MARGIN)
        touched = np.sort(tree.query(shapely.box(*box), predicate="intersects"))
        pieces = shapely.clip_by_rect(ground[touched], *box)
        pieces = shapely.transform(pieces, lambda units: np.rint(units - (west, north)))
        features: list[dict[str, Any]] = []
        for ordinal, piece in zip(touched.tolist(), pieces, strict=True):
            cell = self.layer.cells[ordinal]
            about = {"code": cell.code}
            if zoom >= NAMED_FROM:
                about |= {"name": cell.name, "kind": str(cell.kind), "parent": cell.parent}
            features.append({"geometry": polygons_of(piece), "properties": about})
        options = {
            "extents": EXTENT,
            "y_coord_down": True,
            # A narrow neck may close when it is rounded: the parts stay.
            "on_invalid_geometry": on_invalid_geometry_make_valid,
        }
        encoded: bytes = mapbox_vector_tile.encode(
            [{"name": LAYER_NAME, "features": features}], default_options=options
        )
        return encoded
