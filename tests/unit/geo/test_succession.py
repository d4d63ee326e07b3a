"""What becomes of the cells from one edition to the next."""

from __future__ import annotations

import pytest
import shapely
from msgspec import structs
from shapely import union
from shapely.affinity import translate

from geo.cells import Area, Cell, Kind, Layer, Level
from geo.succession import Change, Fate, changes


def layer(**cells: shapely.Polygon) -> Layer:
    made = [Cell.of(code, code, "S", ground) for code, ground in cells.items()]
    return Layer.of(made, [Area("S", "S", Level.COMMUNITY, Kind.AREA, None)])


A, B, C = (shapely.box(west, 0, west + 1, 1) for west in range(3))
WEST, EAST = shapely.box(0, 0, 0.5, 1), shapely.box(0.5, 0, 1, 1)


@pytest.mark.parametrize(
    ("before", "after", "wanted"),
    [
        ({"a": A, "b": B}, {"a": A, "b": B}, []),
        ({"a": A, "b": B}, {"n": A, "b": B}, [Change(Fate.RENAMED, ("a",), ("n",))]),
        ({"a": A, "b": B}, {"p": WEST, "q": EAST, "b": B}, [Change(Fate.SPLIT, ("a",), ("p", "q"))]),
        ({"a": A, "b": B}, {"a": WEST, "q": EAST, "b": B}, [Change(Fate.SPLIT, ("a",), ("a", "q"))]),
        ({"a": A, "b": B, "c": C}, {"a": union(A, B), "c": C}, [Change(Fate.MERGED, ("a", "b"), ("a",))]),
        ({"a": A, "b": B}, {"a": A}, [Change(Fate.REMOVED, ("b",), ())]),
        ({"a": A}, {"a": A, "b": B}, [Change(Fate.ADDED, (), ("b",))]),
        ({"a": A}, {"a": translate(A, 0.05)}, [Change(Fate.MOVED, ("a",), ("a",))]),
        (
            {"a": A, "b": B},
            {"a": shapely.box(0, 0, 2, 0.5), "b": shapely.box(0, 0.5, 2, 1)},
            [Change(Fate.REDRAWN, ("a", "b"), ("a", "b"))],
        ),
        ({}, {"a": A}, [Change(Fate.ADDED, (), ("a",))]),
        ({"a": A}, {}, [Change(Fate.REMOVED, ("a",), ())]),
    ],
)
def test_each_fate_has_its_word(
    before: dict[str, shapely.Polygon], after: dict[str, shapely.Polygon], wanted: list[Change]
) -> None:
    assert changes(layer(**before), layer(**after)) == wanted


def test_neighbours_that_exchange_a_strip_have_moved_each_for_himself() -> None:
    found = changes(layer(a=A, b=B), layer(a=shapely.box(0, 0, 1.05, 1), b=shapely.box(1.05, 0, 2, 1)))
    assert found == [Change(Fate.MOVED, ("a",), ("a",)), Change(Fate.MOVED, ("b",), ("b",))]


def test_the_same_ground_drawn_with_other_points_is_no_change() -> None:
    assert changes(layer(a=A), layer(a=shapely.segmentize(A, 0.3))) == []


def test_a_city_with_one_cell_cut_in_two_tells_just_that(manchester: Layer) -> None:
    cell = manchester.cells[700]
    west, south, east, north = cell.bbox
    middle = (west + east) / 2
    halves = [
        structs.replace(cell, code=code, geometry=shapely.intersection(cell.geometry, shapely.box(*box)))
        for code, box in (("X1", (west, south, middle, north)), ("X2", (middle, south, east, north)))
    ]
    rest = [other for other in manchester.cells if other.code != cell.code]
    cut = Layer.of([*rest, *halves], list(manchester.areas))
    assert changes(manchester, cut) == [Change(Fate.SPLIT, (cell.code,), ("X1", "X2"))]
