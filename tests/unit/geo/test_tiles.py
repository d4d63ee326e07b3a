"""The tiles answer as rational arithmetic does: on borders, at corners, a hair beside them, in faulty layers."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from math import inf, nan, nextafter
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import shapely
from hypothesis import given, settings, strategies as some
from shapely import MultiPolygon, Polygon

from geo.tiles import OUTSIDE, TileIndex
from geo.tiling import EXACT

if TYPE_CHECKING:
    from geo.cells import Layer

SEED = 20_260


def ground(*polygons: Any) -> Any:
    cells = np.empty(len(polygons), dtype=object)
    cells[:] = polygons
    return cells


def square(west: float, south: float, side: float = 1.0) -> Polygon:
    return shapely.box(west, south, west + side, south + side)


# --- the oracle ------------------------------------------------------------------------------------------------------


def touches(polygon: Polygon, x: Fraction, y: Fraction) -> bool:
    """Whether a closed polygon has the point, by the crossings of a ray, in rational numbers."""
    inside = False
    for ring in (polygon.exterior, *polygon.interiors):
        corners = [(Fraction(a), Fraction(b)) for a, b in ring.coords]
        for (ax, ay), (bx, by) in pairwise(corners):
            turn = (bx - ax) * (y - ay) - (by - ay) * (x - ax)
            within = min(ax, bx) <= x <= max(ax, bx) and min(ay, by) <= y <= max(ay, by)
            if turn == 0 and within:
                return True
            if (ay <= y) != (by <= y) and (turn > 0) == (by > ay):
                inside = not inside
    return inside


def first_touched(cells: Any, x: float, y: float) -> int:
    place = Fraction(x), Fraction(y)
    boxes = shapely.bounds(cells)
    near = (boxes[:, 0] <= x) & (boxes[:, 2] >= x) & (boxes[:, 1] <= y) & (boxes[:, 3] >= y)
    for ordinal in np.flatnonzero(near).tolist():
        if any(touches(part, *place) for part in shapely.get_parts(cells[ordinal])):
            return int(ordinal)
    return OUTSIDE


def adversarial(cells: Any, chance: np.random.Generator, count: int) -> list[tuple[float, float]]:
    """Corners, middles of edges, places along them, and all of these a last bit beside."""
    points, owner = shapely.get_coordinates(cells, return_index=True)
    starts = np.flatnonzero(owner[1:] == owner[:-1])
    chosen = chance.choice(starts, count)
    share = chance.choice([0.0, 0.5, -1.0], count)
    share = np.where(share < 0, chance.random(count), share)[:, None]
    places = points[chosen] + share * (points[chosen + 1] - points[chosen])
    found = []
    for (x, y), east, north in zip(
        places.tolist(), chance.integers(-1, 2, count), chance.integers(-1, 2, count), strict=True
    ):
        found.append((nextafter(x, x + int(east)), nextafter(y, y + int(north))))
    return found


def agree(cells: Any, places: list[tuple[float, float]]) -> None:
    index = TileIndex.over(cells)
    wanted = [first_touched(cells, *place) for place in places]
    lon, lat = np.array(places).T
    assert index.locate(lon, lat).tolist() == wanted
    assert [index.locate_one(*place) for place in places] == wanted


# --- a real layer ----------------------------------------------------------------------------------------------------


def test_on_the_borders_of_a_city_the_tiles_are_right_to_the_last_bit(manchester: Layer) -> None:
    chance = np.random.default_rng(SEED)
    cells = manchester.geometries
    west, south, east, north = shapely.total_bounds(cells)
    anywhere = chance.uniform((west, south), (east, north), (1_000, 2)).tolist()
    agree(cells, adversarial(cells, chance, 3_000) + [(x, y) for x, y in anywhere])


def test_one_point_and_many_points_take_the_same_way(manchester: Layer) -> None:
    chance = np.random.default_rng(SEED + 1)
    index = TileIndex.over(manchester.geometries)
    west, south, east, north = shapely.total_bounds(manchester.geometries)
    places = chance.uniform((west - 0.01, south - 0.01), (east + 0.01, north + 0.01), (40_000, 2))
    one_by_one = [index.locate_one(x, y) for x, y in places.tolist()]
    assert index.locate(places[:, 0].copy(), places[:, 1].copy()).tolist() == one_by_one
    assert len(set(one_by_one)) > 1_000


def test_few_places_of_a_sound_city_need_geometry(manchester: Layer) -> None:
    tiles = TileIndex.over(manchester.geometries).tiles
    assert (tiles.base == EXACT).mean() < 0.001
    assert (tiles.blocks == EXACT).mean() < 0.05


# --- layers of every shape -------------------------------------------------------------------------------------------


@some.composite
def tessellations(draw: some.DrawFn) -> Any:
    """A lattice with crooked corners whose cells share their borders, some of them merged, some given a hole."""
    side = draw(some.integers(1, 5))
    chance = np.random.default_rng(draw(some.integers(0, 2**32 - 1)))
    step = draw(some.sampled_from([1.0, 0.004, 1e-5]))
    corner = draw(some.sampled_from([(0.0, 0.0), (112.4, 34.6), (-2.3, 53.3)]))
    lattice = np.stack(np.meshgrid(np.arange(side + 1.0), np.arange(side + 1.0), indexing="ij"), axis=-1)
    lattice += chance.uniform(-0.3, 0.3, lattice.shape) * draw(some.sampled_from([0.0, 1.0]))
    lattice = lattice * step + corner
    cells: list[Any] = []
    for i in range(side):
        for j in range(side):
            ring = [lattice[i, j], lattice[i + 1, j], lattice[i + 1, j + 1], lattice[i, j + 1]]
            cells.append(Polygon(ring if chance.random() < 0.5 else ring[::-1]))
    if side > 1 and draw(some.booleans()):
        cells[0] = MultiPolygon([cells[0], cells.pop()])  # two parts that touch at most in a corner
    if draw(some.booleans()):
        outer = cells[-1]
        middle = shapely.get_coordinates(shapely.centroid(outer))[0]
        hole = shapely.transform(outer, lambda points: middle + (points - middle) * 0.4)
        cells[-1] = Polygon(outer.exterior, [hole.exterior.coords] if outer.geom_type == "Polygon" else None)
        if draw(some.booleans()):
            cells.append(hole)  # an island in it
    order = chance.permutation(len(cells))
    return ground(*(cells[place] for place in order))


@settings(max_examples=60, deadline=None)
@given(cells=tessellations(), seed=some.integers(0, 2**32 - 1))
def test_every_tessellation_is_answered_exactly(cells: Any, seed: int) -> None:
    chance = np.random.default_rng(seed)
    west, south, east, north = shapely.total_bounds(cells)
    around = chance.uniform((west, south), (east, north), (60, 2)).tolist()
    agree(cells, adversarial(cells, chance, 120) + [(x, y) for x, y in around])


@settings(max_examples=40, deadline=None)
@given(cells=tessellations(), seed=some.integers(0, 2**32 - 1))
def test_cells_that_overlap_make_the_tiles_slow_and_never_wrong(cells: Any, seed: int) -> None:
    chance = np.random.default_rng(seed)
    west, south, east, north = shapely.total_bounds(cells)
    size = np.array([east - west, north - south])
    many = [*cells]
    for _ in range(int(chance.integers(1, 4))):
        low = chance.uniform((west, south), (east, north)) - size * 0.2
        many.append(shapely.box(*low, *(low + size * chance.uniform(0.05, 0.7, 2))))
    many.append(many[0])  # and one that stands there twice
    faulty = ground(*many)
    agree(faulty, adversarial(faulty, chance, 120))


@pytest.mark.parametrize(
    ("story", "cells"),
    [
        ("one cell", [square(0, 0)]),
        ("a border of which one side has a corner more", [square(0, 0, 2), square(2, 0), square(2, 1)]),
        ("cells that touch in one point", [square(0, 0), square(1, 1)]),
        ("a cell within another", [square(0, 0, 10), square(4, 4)]),
        ("a gap less than a tile wide", [square(0, 0), square(1 + 1e-9, 0)]),
        ("an overlap less than a tile wide", [square(0, 0), square(1 - 1e-9, 0)]),
        ("a needle", [Polygon([(0, 0), (10, 1e-9), (10, 0)]), square(0, 1)]),
        ("far apart", [square(0, 0, 1e-4), square(90, 40, 1e-4)]),
        ("lying and standing edges alone", [square(i, j) for i in range(3) for j in range(3)]),
        ("an empty cell among others", [square(0, 0), Polygon(), square(1, 0)]),
    ],
)
def test_odd_layers(story: str, cells: list[Any]) -> None:
    chance = np.random.default_rng(SEED + 2)
    layer = ground(*cells)
    around = chance.uniform((-1, -1), (11, 11), (200, 2)).tolist()
    agree(layer, adversarial(layer, chance, 300) + [(x, y) for x, y in around])
    assert story


def test_a_ring_that_crosses_itself_is_left_to_geometry() -> None:
    bow_tie = Polygon([(0, 0), (2, 2), (2, 0), (0, 2)])
    cells = ground(bow_tie, shapely.box(2, 0, 3, 2))
    index, tree = TileIndex.over(cells), shapely.STRtree(cells)
    chance = np.random.default_rng(SEED + 3)
    lon, lat = chance.uniform(-0.5, 3.5, (2, 5_000))
    points, touched = tree.query(shapely.points(lon, lat), predicate="intersects")
    wanted = np.full(len(lon), OUTSIDE)
    wanted[points[::-1]] = touched[::-1]
    assert index.locate(lon, lat).tolist() == wanted.tolist()


@pytest.mark.parametrize(
    "place", [(nan, 0.5), (0.5, nan), (inf, 0.5), (0.5, -inf), (1e300, 1e300), (-180, -90)]
)
def test_what_is_no_place_near_the_layer_is_outside(place: tuple[float, float]) -> None:
    index = TileIndex.over(ground(square(0, 0)))
    assert index.locate_one(*place) == OUTSIDE
    assert index.locate(np.array([place[0]] * 20), np.array([place[1]] * 20)).tolist() == [OUTSIDE] * 20


def test_a_layer_without_cells_has_everything_outside() -> None:
    index = TileIndex.over(ground())
    assert index.locate_one(0.5, 0.5) == OUTSIDE
    assert index.locate(np.array([0.5]), np.array([0.5])).tolist() == [OUTSIDE]


def test_after_each_edit_of_a_layer_the_tiles_and_brute_force_agree(manchester: Layer) -> None:
    """Cells are cut in two, merged and taken away; a cut leaves neighbours with a corner that they do not share."""
    chance = np.random.default_rng(SEED + 4)
    cells = list(manchester.geometries[:400])
    for _ in range(6):
        for _ in range(5):
            place = int(chance.integers(len(cells)))
            west, south, east, north = shapely.bounds(cells[place])
            across = west + (east - west) * chance.uniform(0.3, 0.7)
            halves = [shapely.box(west, south, across, north), shapely.box(across, south, east, north)]
            parts = [shapely.intersection(cells[place], half) for half in halves]
            cells[place : place + 1] = [part for part in parts if part.geom_type.endswith("Polygon")]
        del cells[int(chance.integers(len(cells)))]
        layer = ground(*cells)
        west, south, east, north = shapely.total_bounds(layer)
        places = chance.uniform((west, south), (east, north), (300, 2)).tolist()
        agree(layer, adversarial(layer, chance, 200) + [(x, y) for x, y in places])
