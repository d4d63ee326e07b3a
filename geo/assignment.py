"""Which cell a fix belongs to, and how sure that is.

The point decides: it lies in exactly one cell, and everybody can check that on the map. The device's radius
only says whether a person must confirm. Rules, in order:

1. A point that touches cells (borders included) belongs to the one with the smallest code among them.
2. A point outside all cells snaps to the nearest within min(r95, tolerance), to the smallest code among
   equally near ones.
3. Anything farther is outside, and no cell is chosen.
4. If the device's radius is larger than the distance to the nearest border of the chosen cell, a person must
   confirm; the cells within the radius are offered, the chosen first.
"""

from __future__ import annotations

import math
from collections import defaultdict
from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import shapely

from geo.coordinates import Floats, Geometries, convert
from geo.points import Crs, Fix
from geo.regions import Provider
from geo.tiles import OUTSIDE, Ordinals, TileIndex, touched_first
from geo.tiling import Tiles, build

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    from geo.cells import Layer

TOLERANCE_M = 50.0
CANDIDATES_MAX = 5
# Two cells that share a border are equally far from a point beyond it, but their distances may differ in the
# last bits, because each walks along the border in its own direction.
EQUALLY_NEAR_M = 1e-6
# A sunflower of this many points stands for a two-dimensional normal distribution: right to about 0.02.
SAMPLES = 64


class Method(StrEnum):
    """How a case came to its cell, or why to none."""

    CONTAINED = "contained"
    SNAPPED = "snapped"  # outside, but near enough
    OUTSIDE = "outside"
    NONE = "none"  # no location was given


class Assignment(msgspec.Struct, frozen=True):
    """Where a fix belongs.

    `p` is the probability that the true place lies in the chosen cell; None unless confirmation is needed.
    `distance_m` is how far outside the chosen cell the point lies; None unless snapped.
    """

    method: Method
    cell: str | None = None
    p: float | None = None
    candidates: tuple[str, ...] = ()
    distance_m: float | None = None
    needs_confirmation: bool = False


_FEW = 16  # points up to which one after the other goes faster than numpy


class LayerIndex:
    """What is built once from a layer to answer many points. Build: about 15 ms for 1,500 cells.

    It answers at once, by geometry, and much faster from when it has its tiles; the answers are the same.
    """

    def __init__(self, layer: Layer) -> None:
        self.layer = layer
        self._tree = shapely.STRtree(layer.geometries)
        self._tiles: TileIndex | None = None
        self._ground_m = layer.plane.geometries_to_metres(layer.geometries)
        self._borders_m: Geometries = shapely.boundary(self._ground_m)
        self._tree_m = shapely.STRtree(self._ground_m)

    def equip(self, tiles: Tiles | None = None) -> Tiles:
        """Answer by these tiles of this very layer from now on, or by tiles that are built now (0.1 s to seconds)."""
        given = build(self.layer.geometries) if tiles is None else tiles
        self._tiles = TileIndex(given, self._tree)
        return given

    def locate(self, lon: ArrayLike, lat: ArrayLike) -> Ordinals:
        """Ordinals of the cells that WGS-84 points lie in, `OUTSIDE` where none. Exact on borders."""
        x, y = np.asarray(lon, dtype=np.float64), np.asarray(lat, dtype=np.float64)
        tiles = self._tiles
        if tiles is None:
            answers = np.full(x.shape, OUTSIDE, dtype=np.int32)
            known = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
            answers[known] = touched_first(self._tree, x[known], y[known])
            return answers
        if len(x) <= _FEW:
            pairs = zip(x.tolist(), y.tolist(), strict=True)
            return np.array([tiles.locate_one(*pair) for pair in pairs], dtype=np.int32)
        return tiles.locate(x, y)

    def locate_one(self, lon: float, lat: float) -> int:
        """The same for one point."""
        tiles = self._tiles
        return int(self.locate([lon], [lat])[0]) if tiles is None else tiles.locate_one(lon, lat)

    def nearest(self, places_m: Floats, reach_m: Floats) -> tuple[Ordinals, Floats]:
        """For (n, 2) metres: the nearest cell within each reach and its distance; `OUTSIDE`, NaN if none."""
        chosen = np.full(len(places_m), OUTSIDE, dtype=np.int32)
        distance = np.full(len(places_m), np.nan)
        for i, point in enumerate(shapely.points(places_m)):
            near = self.within(point, reach_m[i])
            if near:
                distance[i] = near[0][0]
                chosen[i] = min(cell for apart, cell in near if apart <= distance[i] + EQUALLY_NEAR_M)
        return chosen, distance

    def within(self, point_m: shapely.Point, radius_m: float) -> list[tuple[float, int]]:
        """Distance and ordinal of every cell within a radius of a point in metres, the nearest first."""
        cells = self._tree_m.query(point_m, predicate="dwithin", distance=radius_m)
        return sorted(
            zip(shapely.distance(self._ground_m[cells], point_m).tolist(), cells.tolist(), strict=True)
        )

    def border_distance(self, cells: Ordinals, places_m: Floats) -> Floats:
        """Metres from each place to the nearest border of the cell beside it."""
        return np.asarray(
            shapely.distance(self._borders_m[cells], shapely.points(places_m)), dtype=np.float64
        )


def assign(index: LayerIndex, fix: Fix | None, tolerance_m: float = TOLERANCE_M) -> Assignment:
    """The cell of one fix."""
    return assign_all(index, [fix], tolerance_m)[0]


def assign_all(
    index: LayerIndex,
    fixes: Sequence[Fix | None],
    tolerance_m: float = TOLERANCE_M,
    provider: Provider = Provider.MAINLAND_HK_MO,
) -> list[Assignment]:
    """The cells of many fixes, in their order; each exactly as `assign` would say. `provider` is whose GCJ-02 it is."""
    answers = [Assignment(Method.NONE)] * len(fixes)
    known = [(i, fix) for i, fix in enumerate(fixes) if fix is not None]
    if not known:
        return answers
    located = [fix for _, fix in known]
    lonlat = _wgs84(located, provider)
    places_m = index.layer.plane.to_metres(lonlat)
    cells = index.locate(lonlat[:, 0], lonlat[:, 1])

    outside = np.flatnonzero(cells == OUTSIDE)
    away_m = np.full(len(cells), np.nan)
    reach_m = np.array([_reach_m(located[i], tolerance_m) for i in outside])
    cells[outside], away_m[outside] = index.nearest(places_m[outside], reach_m)

    placed = np.flatnonzero(cells != OUTSIDE)
    border_m = np.full(len(cells), np.nan)
    border_m[placed] = index.border_distance(cells[placed], places_m[placed])
    plain = zip(known, cells.tolist(), places_m, away_m.tolist(), border_m.tolist(), strict=True)
    for (i, fix), cell, place_m, away, border in plain:
        answers[i] = _answer(index, fix, cell, place_m, away, border)
    return answers


def _wgs84(fixes: list[Fix], provider: Provider) -> Floats:
    lonlat = np.array([(fix.lon, fix.lat) for fix in fixes], dtype=np.float64)
    rows_of: dict[Crs, list[int]] = defaultdict(list)
    for row, fix in enumerate(fixes):
        rows_of[fix.crs].append(row)
    for crs, rows in rows_of.items():
        if crs is not Crs.WGS84:
            lonlat[rows] = np.column_stack(
                convert(lonlat[rows, 0], lonlat[rows, 1], crs, Crs.WGS84, provider)
            )
    return lonlat


def _reach_m(fix: Fix, tolerance_m: float) -> float:
    return tolerance_m if fix.r95_m is None else min(fix.r95_m, tolerance_m)


def _answer(
    index: LayerIndex, fix: Fix, chosen: int, place_m: Floats, away_m: float, border_m: float
) -> Assignment:
    codes = index.layer.codes
    if chosen == OUTSIDE:
        near = index.within(shapely.Point(place_m), fix.accuracy_m) if fix.accuracy_m else []
        offered = tuple(codes[cell] for _, cell in near[:CANDIDATES_MAX])
        return Assignment(Method.OUTSIDE, candidates=offered, needs_confirmation=True)
    contained = math.isnan(away_m)
    method = Method.CONTAINED if contained else Method.SNAPPED
    distance_m = None if contained else round(away_m, 1)
    if fix.accuracy_m is None or fix.accuracy_m <= border_m:
        return Assignment(method, codes[chosen], distance_m=distance_m)
    others = [cell for _, cell in index.within(shapely.Point(place_m), fix.accuracy_m) if cell != chosen]
    return Assignment(
        method,
        codes[chosen],
        p=_probability(index, fix, chosen, place_m),
        candidates=tuple(codes[cell] for cell in [chosen, *others][:CANDIDATES_MAX]),
        distance_m=distance_m,
        needs_confirmation=True,
    )


def _sunflower() -> Floats:
    k = np.arange(SAMPLES)
    radius = np.sqrt(-2.0 * np.log1p(-(k + 0.5) / SAMPLES))
    angle = k * np.pi * (3.0 - np.sqrt(5.0))
    return np.column_stack([radius * np.cos(angle), radius * np.sin(angle)])


_UNIT_SUNFLOWER = _sunflower()


def _probability(index: LayerIndex, fix: Fix, chosen: int, place_m: Floats) -> float | None:
    if not fix.sigma_m:
        return None
    samples = index.layer.plane.to_degrees(place_m + fix.sigma_m * _UNIT_SUNFLOWER)
    return round(float(np.mean(index.locate(samples[:, 0], samples[:, 1]) == chosen)), 2)
