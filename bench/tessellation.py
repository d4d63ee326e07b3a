"""A layer as a big city has it, made up: Voronoi cells whose common borders are crooked and shared to the last bit."""

import numpy as np
import shapely
from numpy.typing import NDArray

from geo.cells import Area, Cell, Kind, Layer, Level

WEST, SOUTH = 112.0, 34.0
CELL_DEGREES = 0.002  # about 200 m, as a cell of a few hundred households has
_CORNERS_BETWEEN = 1.65  # on each border, so that a cell has as many as in Manchester: about 16


def voronoi_layer(cells: int, seed: int = 5) -> Layer:
    """A layer of about so many cells; those on the edge of the square are left out, so its outline is ragged."""
    chance = np.random.default_rng(seed)
    side = np.sqrt(cells) * CELL_DEGREES
    seeds = chance.uniform((WEST, SOUTH), (WEST + side, SOUTH + side), (cells, 2))
    drawn = shapely.get_parts(shapely.voronoi_polygons(shapely.multipoints(seeds)))
    box = shapely.box(WEST, SOUTH, WEST + side, SOUTH + side)
    kept = drawn[shapely.contains_properly(box, drawn)]
    return Layer.of(
        [Cell.of(f"{number:06d}", "", "C", ground) for number, ground in enumerate(_crooked(kept, chance))],
        [Area("C", "", Level.COMMUNITY, Kind.AREA, None)],
    )


def _crooked(polygons: NDArray[np.object_], chance: np.random.Generator) -> NDArray[np.object_]:
    """The same with more corners on each border, a little beside it, the same for both neighbours."""
    points, owner = shapely.get_coordinates(shapely.get_exterior_ring(polygons), return_index=True)
    same = owner[1:] == owner[:-1]
    ends = np.hstack([points[:-1], points[1:]])[same]
    backwards = (ends[:, 0] > ends[:, 2]) | ((ends[:, 0] == ends[:, 2]) & (ends[:, 1] > ends[:, 3]))
    told = np.where(backwards[:, None], ends[:, [2, 3, 0, 1]], ends)
    edges, number = np.unique(told, axis=0, return_inverse=True)
    number = number.reshape(-1)
    more = chance.poisson(_CORNERS_BETWEEN, len(edges))
    between = [_between(edge, int(count), chance) for edge, count in zip(edges, more, strict=True)]
    rings: list[list[NDArray[np.float64]]] = [[] for _ in polygons]
    for cell, edge, turned, start in zip(owner[1:][same], number, backwards, ends[:, :2], strict=True):
        rings[cell] += [start[None, :], between[edge][::-1] if turned else between[edge]]
    return np.array([shapely.Polygon(np.concatenate(ring)) for ring in rings], dtype=object)


def _between(edge: NDArray[np.float64], count: int, chance: np.random.Generator) -> NDArray[np.float64]:
    along = np.sort(chance.uniform(0.1, 0.9, count))[:, None]
    run = edge[2:] - edge[:2]
    aside = chance.uniform(-0.04, 0.04, count)[:, None] * np.array([-run[1], run[0]])
    return np.asarray(edge[:2] + along * run + aside, dtype=np.float64)
