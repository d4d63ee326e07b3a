"""Which cell a fix belongs to, and how sure that is.

The point decides: it lies in exactly one cell, and everybody can check that on the map. The device's radius only says
how sure that is. Rules, in order:

1. A point that touches cells (borders included) belongs to the one with the smallest code among them.
2. A point outside all cells snaps to the nearest within min(r95, tolerance), to the smallest code among
   equally near ones. It is then taken to lie there, in some cell.
3. Anything farther is outside, and no cell is chosen.
4. `p` is the share of the device's normal distribution that lies in the chosen cell. From `auto` on nobody is asked;
   from `flag` on a person confirms, and the cells it may be are offered, the most probable first.
5. Below `flag`, or with a radius beyond `radius_m`, no cell is chosen: the fix is raised to the lowest area above the
   point's cell that has `auto` of the distribution, if one has.
6. Without a radius (a pin on a map) the point is believed.
"""

from __future__ import annotations

import math
from collections import defaultdict
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import shapely

from geo.cells import Level
from geo.certainty import Thresholds, Weighed, weigh
from geo.coordinates import Floats, convert
from geo.points import Crs, Fix
from geo.regions import Provider
from geo.tiles import OUTSIDE, Ordinals, TileIndex, touched_first
from geo.tiling import Tiles, build

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike

    from geo.cells import Layer

ABOVE = (Level.COMMUNITY, Level.STREET, Level.DISTRICT)
# Two cells that share a border are equally far from a point beyond it, but their distances may differ in the
# last bits, because each walks along the border in its own direction.
EQUALLY_NEAR_M = 1e-6
DEFAULT = Thresholds()


class Method(StrEnum):
    """How a case came to its cell, or why to none."""

    CONTAINED = "contained"
    SNAPPED = "snapped"  # outside, but near enough
    RAISED = "raised"  # in some cell, but nobody can say in which
    OUTSIDE = "outside"
    NONE = "none"  # no location was given


class Assignment(msgspec.Struct, frozen=True):
    """Where a fix belongs.

    `p` is the probability, to 0.01, that the true place lies in the chosen cell; of a raised fix, in `area`. None where
    neither is named, or the device gave no radius. `candidates` are the cells it may be, the most probable first; none
    where nobody has to be asked. `distance_m` is how far outside the chosen cell the point lies; None unless snapped.
    `area` is the lowest place above the cells that is sure; None unless raised, and where none is.
    """

    method: Method
    cell: str | None = None
    p: float | None = None
    candidates: tuple[str, ...] = ()
    distance_m: float | None = None
    needs_confirmation: bool = False
    area: str | None = None


_FEW = 16  # points up to which one after the other goes faster than numpy


class LayerIndex:
    """What is built once from a layer to answer many points. Build: about 15 ms for 1,500 cells.

    It answers at once, by geometry, and much faster from when it has its tiles; the answers are the same.
    """

    def __init__(self, layer: Layer) -> None:
        self.layer = layer
        self._tree = shapely.STRtree(layer.geometries)
        self._tiles: TileIndex | None = None
        self.locate_one: Callable[[float, float], int] = self._one
        self._ground_m = layer.plane.geometries_to_metres(layer.geometries)
        self._tree_m = shapely.STRtree(self._ground_m)

    def equip(self, tiles: Tiles | None = None) -> Tiles:
        """Answer by these tiles of this very layer from now on, or by tiles that are built now (0.1 s to seconds)."""
        given = build(self.layer.geometries) if tiles is None else tiles
        self._tiles = TileIndex(given, self._tree)
        self.locate_one = self._tiles.locate_one
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

    def _one(self, lon: float, lat: float) -> int:
        """`locate_one`: the ordinal for one point, before there are tiles."""
        return int(self.locate([lon], [lat])[0])

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

    def brought_in(self, cells: Ordinals, places_m: Floats) -> Floats:
        """The nearest point, in metres, of the cell beside each place."""
        lines = shapely.shortest_line(self._ground_m[cells], shapely.points(places_m))
        return np.asarray(shapely.get_coordinates(lines)[::2], dtype=np.float64)

    @cached_property
    def areas_above(self) -> Ordinals:
        """Ordinals among the layer's areas, (levels, cells + 1): the community, street and district of each cell.

        `OUTSIDE` where a cell has none, and throughout the last column, which is that of no cell.
        """
        places = {area.code: number for number, area in enumerate(self.layer.areas)}
        found = np.full((len(ABOVE), len(self.layer.cells) + 1), OUTSIDE, dtype=np.int32)
        for cell, code in enumerate(self.layer.codes):
            for area in self.layer.ancestors(code):
                ordinal = places[area]
                level = self.layer.areas[ordinal].level
                if level in ABOVE:
                    found[ABOVE.index(level), cell] = ordinal
        return found


def assign(index: LayerIndex, fix: Fix | None, rule: Thresholds = DEFAULT) -> Assignment:
    """The cell of one fix."""
    return assign_all(index, [fix], rule)[0]


def assign_all(
    index: LayerIndex,
    fixes: Sequence[Fix | None],
    rule: Thresholds = DEFAULT,
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
    if outside.size:
        reach_m = np.array([_reach_m(located[i], rule.tolerance_m) for i in outside])
        cells[outside], away_m[outside] = index.nearest(places_m[outside], reach_m)
    snapped = ~np.isnan(away_m)
    if snapped.any():
        places_m[snapped] = index.brought_in(cells[snapped], places_m[snapped])

    sigmas_m = np.array([fix.sigma_m or 0.0 for fix in located])
    vague = np.flatnonzero(sigmas_m > 0.0)
    weighed: dict[int, Weighed] = dict(
        zip(
            vague.tolist(),
            weigh(index, cells[vague], places_m[vague], sigmas_m[vague], snapped[vague], rule),
            strict=True,
        )
    )
    for row, ((i, _), cell, away) in enumerate(zip(known, cells.tolist(), away_m.tolist(), strict=True)):
        answers[i] = _answer(index, cell, away, weighed.get(row), rule)
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
    index: LayerIndex, chosen: int, away_m: float, share: Weighed | None, rule: Thresholds
) -> Assignment:
    codes = index.layer.codes
    offered = () if share is None else tuple(codes[cell] for cell in share.candidates)
    if chosen == OUTSIDE:
        return Assignment(Method.OUTSIDE, candidates=offered, needs_confirmation=True)
    contained = math.isnan(away_m)
    method = Method.CONTAINED if contained else Method.SNAPPED
    distance_m = None if contained else round(away_m, 1)
    if share is None:
        return Assignment(method, codes[chosen], distance_m=distance_m)
    if share.hopeless:
        area, p = _sure_above(index, chosen, share, rule)
        return Assignment(
            Method.RAISED,
            p=p,
            candidates=offered,
            distance_m=distance_m,
            needs_confirmation=True,
            area=area,
        )
    asks = share.p < rule.auto
    return Assignment(method, codes[chosen], share.p, offered, distance_m, asks)


def _sure_above(
    index: LayerIndex, cell: int, share: Weighed, rule: Thresholds
) -> tuple[str | None, float | None]:
    """The lowest area above a cell that is sure, and how sure it is."""
    for area, p in zip(index.areas_above[:, cell].tolist(), share.above, strict=True):
        if p >= rule.auto:
            return index.layer.areas[area].code, p
    return None, None
