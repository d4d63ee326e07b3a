"""Repairs between cells that are safe to offer: a neighbour gets a narrow gap, a border gets the neighbour's corners.

All repairs of a layer are tried together on a copy, and borders that then are still uneven are taken back, until what
is left mends each border that it touches. So a repair is offered only where the layer passes there afterwards; and what
is made is what was shown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec
import numpy as np
import shapely

from geo.cells import Cell, Layer
from geo.coordinates import Floats
from geo.shapes import OVERLAP_WIDTH_M, SLIVER_WIDTH_M, polygons_of, width_m

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from geo.coordinates import Geometries

# Where more cells lie unevenly, the file was drawn without shared borders, and no pen slipped.
TRIED_MAX = 2_000
_ROUNDS = 6
Pair: TypeAlias = tuple[int, int]  # a cell that gets corners, and the neighbour that it gets them from


class Gap(msgspec.Struct, frozen=True, eq=False):
    """Ground that belongs to no cell, with cells all around it. `receiver` is who has most of its border."""

    ground: Any  # in degrees
    around: tuple[int, ...]  # ordinals
    receiver: int
    area_m2: float
    width_m: float


class Nodes(msgspec.Struct, frozen=True, eq=False):
    """Corners of neighbours, (n, 2) degrees, that a cell's border passes and does not have; `givers` are ordinals."""

    corners: Floats
    givers: frozenset[int]


class Mending(msgspec.Struct, frozen=True, eq=False):
    """The repairs that hold: which gaps are filled, which cells get corners, and the layer afterwards."""

    layer: Layer
    fills: tuple[Gap, ...] = ()
    nodes: dict[int, Nodes] = {}


def gaps_of(layer: Layer, *, exact: bool) -> tuple[Gap, ...]:
    """The gaps of a layer with valid rings; `exact` says that all borders are shared. What is rounding is no gap."""
    union = shapely.coverage_union_all if exact else shapely.union_all
    parts = shapely.get_parts(union(layer.geometries))
    rings = [ring for part in parts if part.geom_type == "Polygon" for ring in part.interiors]
    if not rings:
        return ()
    # A hole inside one cell is the surveyor's own doing (a park without dwellings); it has one neighbour.
    holes = shapely.polygons(rings)
    measured = layer.plane.geometries_to_metres(holes)
    ground = layer.plane.geometries_to_metres(layer.geometries)
    tree = shapely.STRtree(ground)
    gaps = []
    for hole, hole_m in zip(holes, measured, strict=True):
        width = width_m(hole_m)
        around = np.sort(tree.query(hole_m, predicate="dwithin", distance=OVERLAP_WIDTH_M))
        if not around.size or (width < OVERLAP_WIDTH_M and not exact):
            continue
        near = shapely.buffer(ground[around], OVERLAP_WIDTH_M)
        shares = shapely.length(shapely.intersection(shapely.boundary(hole_m), near))
        receiver = int(around[int(np.argmax(shares))])
        gaps.append(Gap(hole, tuple(around.tolist()), receiver, float(shapely.area(hole_m)), width))
    return tuple(gaps)


def mending_of(layer: Layer, gaps: Iterable[Gap], uneven: NDArray[np.intp]) -> Mending:
    """The repairs that hold, in a layer of which the cells `uneven` do not fit their neighbours."""
    fills = [gap for gap in gaps if gap.width_m < SLIVER_WIDTH_M]
    if not 0 < uneven.size <= TRIED_MAX:
        return Mending(layer)
    barred: set[Pair] = set()
    for _ in range(_ROUNDS):
        ground = layer.geometries.copy()
        for gap in fills:
            filled = polygons_of(shapely.union(ground[gap.receiver], gap.ground))
            ground[gap.receiver] = shapely.orient_polygons(filled)
        nodes = _noded(layer, ground, barred)
        kept, refused = _failed(layer, ground, fills, nodes)
        if len(kept) == len(fills) and not refused:
            return Mending(_with_ground(layer, ground), tuple(fills), nodes)
        fills, barred = kept, barred | refused
    return Mending(layer)


def _failed(
    layer: Layer, ground: Geometries, fills: list[Gap], nodes: dict[int, Nodes]
) -> tuple[list[Gap], set[Pair]]:
    """The gaps that are well filled, and the borders, each from its cell to the neighbour, that are uneven still."""
    invalid = set(np.flatnonzero(~shapely.is_valid(ground)).tolist())
    if invalid:
        kept = [gap for gap in fills if gap.receiver not in invalid]
        return kept, {(i, j) for i in invalid & nodes.keys() for j in nodes[i].givers}
    metres = layer.plane.geometries_to_metres(ground)
    edges = shapely.coverage_invalid_edges(metres, gap_width=SLIVER_WIDTH_M)
    bad = set(np.flatnonzero(~shapely.is_empty(edges)).tolist())
    refused = {
        (i, j)
        for i in bad & nodes.keys()
        for j in nodes[i].givers
        if _runs_along(edges[i], shapely.boundary(metres[j]))
    }
    kept = []
    for gap in fills:
        (border,) = layer.plane.geometries_to_metres(np.array([shapely.boundary(gap.ground)], dtype=object))
        if not any(_runs_along(edges[i], border) for i in bad.intersection(gap.around)):
            kept.append(gap)
    return kept, refused


def _runs_along(edges: Any, border: Any) -> bool:
    """Whether some of the edges lie on a border, in metres, and do not only end there."""
    near = shapely.buffer(border, OVERLAP_WIDTH_M, quad_segs=2)
    return float(shapely.length(shapely.intersection(edges, near))) > 5 * OVERLAP_WIDTH_M


def _with_ground(layer: Layer, ground: Geometries) -> Layer:
    cells = [
        cell if after is cell.geometry else Cell.of(cell.code, cell.name, cell.parent, after, cell.kind)
        for cell, after in zip(layer.cells, ground, strict=True)
    ]
    return msgspec.structs.replace(layer, cells=tuple(cells))


def _noded(layer: Layer, ground: Geometries, barred: set[Pair]) -> dict[int, Nodes]:
    """Give each cell the corners of its neighbours that lie on its border; changes `ground`, tells what it did."""
    metres = layer.plane.geometries_to_metres(ground)
    if not shapely.is_valid(metres).all():
        return {}
    # with a width, because a crack thinner than any number can say is not invalid
    edges = shapely.coverage_invalid_edges(metres, gap_width=SLIVER_WIDTH_M)
    asking = np.flatnonzero(~shapely.is_empty(edges))
    pairs = shapely.STRtree(metres).query(metres[asking], predicate="dwithin", distance=OVERLAP_WIDTH_M)
    before = ground.copy()  # corners are taken from the cells as they were, in whatever order they are asked
    done: dict[int, Nodes] = {}
    for place, i in enumerate(asking.tolist()):
        near = [j for j in np.sort(pairs[1][pairs[0] == place]).tolist() if j != i and (i, j) not in barred]
        if not near:
            continue
        drawn, owner = shapely.get_coordinates(before[near], return_index=True)
        west, south, east, north = shapely.bounds(before[i])
        margin = 1e-6  # degrees: more than the centimetre within which a corner is looked for
        within = (drawn >= (west - margin, south - margin)).all(axis=1)
        within &= (drawn <= (east + margin, north + margin)).all(axis=1)
        corners, which = np.unique(drawn[within], axis=0, return_inverse=True)
        noder = _Noder(layer, corners)
        after = noder.insert(before[i])
        if noder.used:
            ground[i] = after
            used = sorted(noder.used)
            givers = owner[within][np.isin(which.reshape(-1), used)]
            done[i] = Nodes(corners[used], frozenset(near[giver] for giver in givers.tolist()))
    return done


class _Noder:
    """Inserts corners, (n, 2) degrees, into rings that pass them; `used` are those that were inserted."""

    def __init__(self, layer: Layer, corners: Floats) -> None:
        self.used: set[int] = set()
        self._plane = layer.plane
        self._corners = corners
        self._metres = layer.plane.to_metres(corners)
        self._tree = shapely.STRtree(shapely.points(self._metres))

    def insert(self, geometry: Any) -> Any:
        parts = [
            shapely.Polygon(self._ring(part.exterior), [self._ring(ring) for ring in part.interiors])
            for part in shapely.get_parts(geometry)
        ]
        return parts[0] if geometry.geom_type == "Polygon" else shapely.MultiPolygon(parts)

    def _ring(self, ring: Any) -> Floats:
        own = shapely.get_coordinates(ring)
        metres = self._plane.to_metres(own)
        sides = shapely.linestrings(np.stack([metres[:-1], metres[1:]], axis=1))
        side, corner = self._tree.query(sides, predicate="dwithin", distance=OVERLAP_WIDTH_M)
        start, along = metres[:-1][side], (metres[1:] - metres[:-1])[side]
        length = np.hypot(along[:, 0], along[:, 1])
        # how far along the side the corner lies; near an end it is that end, drawn a little differently
        at = ((self._metres[corner] - start) * along).sum(axis=1) / np.where(length, length, 1.0)
        fits = (at > OVERLAP_WIDTH_M) & (at < length - OVERLAP_WIDTH_M)
        if not fits.any():
            return np.asarray(own, dtype=np.float64)
        side, corner, at = side[fits], corner[fits], at[fits]
        order = np.lexsort((at, side))
        self.used |= set(corner.tolist())
        return np.insert(own, side[order] + 1, self._corners[corner[order]], axis=0)
