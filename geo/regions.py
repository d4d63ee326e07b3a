"""Where maps are shifted: a rough region, the fade around it, and tiles that answer for nearly every point.

A sharp border would put two places on one coordinate along half of it, and no inverse could tell them apart; so the
shift fades to nothing over `FADE_DEGREES` outside the region. Where a provider leaves Hong Kong and Macau as they are,
the mainland side keeps its whole shift, and the fade is the narrowest that still has an inverse (`NARROW_DEGREES`).

To ask a polygon is dear. So the box around the region is cut into tiles once: in a tile that lies wholly inside, the
share is 1 for each of its points and for whatever an inverse tries beside them; far outside it is 0; only in the rest
is the polygon asked. What the tiles say is exact.
"""

from __future__ import annotations

import functools
import math
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from geo.shifts import Floats

Kinds: TypeAlias = NDArray[np.uint8]

FADE_DEGREES = 0.5
# About a kilometre: a shift of 0.006 degrees cannot end within much less and have an inverse.
NARROW_DEGREES = 0.01
# A step of an inverse gains a digit and more in the wide fade, two fifths of what is missing in the narrow one.
_STEPS = 6
_NARROW_STEPS = 48

# What the tiles say of a point.
WHOLE, RIM, NONE, LOST = range(4)  # the whole shift; ask the polygon; no shift; not a place at all


class Provider(StrEnum):
    """Whose maps a GCJ-02 coordinate was taken from, by what differs: providers disagree on two places.

    It states what a coordinate means, and nothing about any boundary.
    """

    MAINLAND_HK_MO = "mainland_hk_mo"  # shifted on the mainland, in Hong Kong and in Macau
    MAINLAND = "mainland"  # Hong Kong and Macau as WGS-84


# Drawn roughly and generously, with few corners. It decides only whether a tagged coordinate carries a shift; it
# states nothing about any boundary. Everywhere else a coordinate is left as it is.
_REGION = (
    (135.4, 48.6), (133.4, 44.7), (131.5, 44.7), (131.2, 42.2), (129.6, 42.0), (128.3, 41.1),
    (126.5, 41.0), (124.6, 39.6), (122.5, 38.2), (123.2, 37.0), (121.6, 35.0), (123.2, 31.6),
    (123.2, 29.9), (122.4, 28.2), (121.2, 26.8), (120.3, 25.8), (120.0, 25.1), (118.9, 24.3),
    (117.2, 23.0), (115.0, 22.0), (113.5, 21.4), (111.5, 20.9), (111.4, 19.2), (110.3, 17.9),
    (108.4, 17.9), (108.2, 19.4), (108.6, 21.2), (107.9, 21.3), (106.6, 21.7), (106.3, 22.6),
    (105.3, 22.8), (104.0, 22.2), (102.4, 22.1), (101.9, 20.9), (100.9, 21.0), (99.6, 21.7),
    (98.6, 22.9), (98.4, 23.7), (97.3, 23.7), (97.3, 24.7), (97.9, 25.7), (98.3, 27.3),
    (97.2, 27.7), (95.5, 26.9), (94.2, 26.7), (92.0, 26.6), (91.5, 27.5), (89.0, 27.0),
    (88.0, 27.6), (85.8, 27.7), (83.5, 28.8), (81.2, 29.7), (80.7, 30.1), (78.4, 31.1),
    (78.3, 32.5), (77.9, 34.5), (77.5, 35.2), (75.7, 36.3), (74.3, 36.8), (73.2, 38.4),
    (73.2, 39.9), (75.7, 40.6), (78.3, 41.4), (79.8, 42.1), (79.8, 43.1), (80.3, 45.2),
    (82.2, 45.9), (82.6, 47.4), (85.2, 47.4), (85.2, 48.6), (87.0, 49.5), (88.2, 49.5),
    (90.4, 48.0), (91.3, 46.7), (91.3, 45.5), (93.5, 45.3), (95.7, 44.6), (96.6, 43.1),
    (101.0, 42.9), (105.0, 41.9), (107.5, 42.8), (110.5, 43.1), (111.6, 43.9), (111.4, 45.1),
    (114.0, 45.3), (116.1, 46.7), (119.4, 46.9), (118.0, 47.8), (115.4, 47.6), (116.4, 50.1),
    (119.0, 50.4), (120.4, 52.1), (119.9, 52.9), (123.5, 53.8), (126.0, 53.2), (127.9, 50.3),
    (130.8, 49.2), (131.2, 48.1), (134.7, 48.8),
)  # fmt: skip

# Hong Kong and Macau, as roughly, with the water around them.
_HONG_KONG = (
    (113.83, 22.13), (113.83, 22.40), (113.89, 22.45), (113.97, 22.485), (114.03, 22.503), (114.055, 22.503),
    (114.075, 22.516), (114.095, 22.523), (114.113, 22.530), (114.13, 22.538), (114.152, 22.554),
    (114.17, 22.560), (114.19, 22.558), (114.226, 22.547), (114.26, 22.553), (114.42, 22.563), (114.45, 22.53),
    (114.47, 22.44), (114.50, 22.40), (114.50, 22.13),
)  # fmt: skip
_MACAU = (
    (113.533, 22.180), (113.533, 22.211), (113.544, 22.216), (113.555, 22.216), (113.563, 22.209), (113.605, 22.20),
    (113.62, 22.15), (113.61, 22.095), (113.555, 22.095), (113.550, 22.11), (113.552, 22.155),
)  # fmt: skip

# The box that the tiles cover, and how fine they are. Nothing outside of it is nearer to the region than the fade.
_WEST, _SOUTH, _COLUMNS, _ROWS = 72.0, 16.0, 64, 40  # degrees
_COARSEST, _PER_DEGREE = 2, 8  # tiles of two degrees are halved down to an eighth
_BESIDE_DEGREES = 0.05  # a shift, and with it what an inverse tries, goes no farther than half of this


class Region:
    """Where one provider's maps are shifted. Nothing in it changes after it is built; that takes about 0.1 s."""

    def __init__(
        self,
        outline: Sequence[tuple[float, float]],
        exempt: Sequence[Sequence[tuple[float, float]]] = (),
    ) -> None:
        self.steps = _NARROW_STEPS if exempt else _STEPS  # how many an inverse takes in the rim
        self._ground = shapely.Polygon(outline)
        self._exempt = [shapely.Polygon(ring) for ring in exempt]
        shapely.prepare([self._ground, *self._exempt])
        self._tiles = self._make_tiles().reshape(-1)

    def share(self, lon: ArrayLike, lat: ArrayLike) -> Floats:
        """How much of the shift applies: 1 where maps are shifted, 0 far away, fading between. NaN for no place."""
        x, y = np.asarray(lon, dtype=np.float64), np.asarray(lat, dtype=np.float64)
        known = np.isfinite(x) & np.isfinite(y)
        share = np.where(known, 1.0, np.nan)
        away = known & ~_within(self._ground, x, y)
        if away.any():
            share[away] = np.clip(1.0 - _distance(self._ground, x[away], y[away]) / FADE_DEGREES, 0.0, 1.0)
        for ground in self._exempt:
            inside = known & _within(ground, x, y)
            if inside.any():
                depth = _distance(shapely.boundary(ground), x[inside], y[inside])
                share[inside] *= np.clip(1.0 - depth / NARROW_DEGREES, 0.0, 1.0)
        return share

    def kinds(self, lon: Floats, lat: Floats) -> Kinds:
        """`WHOLE`, `RIM`, `NONE` or `LOST` for each place of two flat arrays."""
        column, row = (lon - _WEST) * _PER_DEGREE, (lat - _SOUTH) * _PER_DEGREE
        within = (column >= 0.0) & (column < _COLUMNS * _PER_DEGREE) & (row >= 0.0)
        within &= row < _ROWS * _PER_DEGREE  # what is not a number is within nothing
        if within.all():
            return self._of_tiles(column, row)
        kinds = np.where(np.isfinite(lon) & np.isfinite(lat), np.uint8(NONE), np.uint8(LOST))
        kinds[within] = self._of_tiles(column[within], row[within])
        return kinds

    def kind(self, lon: float, lat: float) -> int:
        """The same for one place."""
        column, row = (lon - _WEST) * _PER_DEGREE, (lat - _SOUTH) * _PER_DEGREE
        if 0.0 <= column < _COLUMNS * _PER_DEGREE and 0.0 <= row < _ROWS * _PER_DEGREE:
            return int(self._tiles[int(row) * _COLUMNS * _PER_DEGREE + int(column)])
        return NONE if math.isfinite(lon) and math.isfinite(lat) else LOST

    def _of_tiles(self, column: Floats, row: Floats) -> Kinds:
        place = row.astype(np.int32) * np.int32(_COLUMNS * _PER_DEGREE) + column.astype(np.int32)
        found: Kinds = self._tiles[place]
        return found

    def _make_tiles(self) -> Kinds:
        """The kind of each tile. What a coarse tile can say for all that it holds, no finer one is asked."""
        tiles = np.full((_ROWS * _PER_DEGREE, _COLUMNS * _PER_DEGREE), RIM, dtype=np.uint8)
        side = _COARSEST * _PER_DEGREE  # in the finest tiles
        rows, columns = np.divmod(np.arange(tiles.size // side**2), tiles.shape[1] // side)
        while side:
            x = _WEST + (columns + 0.5) * side / _PER_DEGREE
            y = _SOUTH + (rows + 0.5) * side / _PER_DEGREE
            kinds = self._kinds_around(x, y, side / _PER_DEGREE * np.sqrt(0.5) + _BESIDE_DEGREES)
            parts = tiles.reshape(tiles.shape[0] // side, side, tiles.shape[1] // side, side)
            parts[rows, :, columns, :] = kinds[:, None, None]
            side //= 2
            open_rows, open_columns = rows[kinds == RIM], columns[kinds == RIM]
            rows = (2 * open_rows[:, None] + (0, 0, 1, 1)).reshape(-1)
            columns = (2 * open_columns[:, None] + (0, 1, 0, 1)).reshape(-1)
        return tiles

    def _kinds_around(self, x: Floats, y: Floats, radius: float) -> Kinds:
        """What holds for everything within a radius of each place."""
        inside = _within(self._ground, x, y)
        whole = inside & (_distance(shapely.boundary(self._ground), x, y) > radius)
        none = ~inside & (_distance(self._ground, x, y) > FADE_DEGREES + radius)
        for ground in self._exempt:
            whole &= _distance(ground, x, y) > radius
        return np.where(whole, np.uint8(WHOLE), np.where(none, np.uint8(NONE), np.uint8(RIM)))


def _within(ground: shapely.Polygon, x: Floats, y: Floats) -> NDArray[np.bool_]:
    return np.asarray(shapely.intersects_xy(ground, x, y), dtype=np.bool_)


def _distance(ground: shapely.Geometry, x: Floats, y: Floats) -> Floats:
    return np.asarray(shapely.distance(ground, shapely.points(x, y)), dtype=np.float64)


_EXEMPT: Mapping[Provider, tuple[Sequence[tuple[float, float]], ...]] = {
    Provider.MAINLAND_HK_MO: (),
    Provider.MAINLAND: (_HONG_KONG, _MACAU),
}


@functools.cache
def region_of(provider: Provider) -> Region:
    """The region of a provider; built at the first question."""
    return Region(_REGION, _EXEMPT[provider])
