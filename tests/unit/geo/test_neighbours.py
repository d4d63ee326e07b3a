"""Which cells touch which, by a border or by a corner."""

import numpy as np
import pytest
import shapely

from geo.cells import Area, Cell, Kind, Layer, Level
from geo.neighbours import Touch, neighbours


def test_on_a_chessboard_the_middle_touches_all_and_a_corner_three(board: Layer) -> None:
    found = neighbours(board)
    middle = {near.code[-6:]: near.touch for near in found["410399001002002"]}
    assert middle == {
        "001001": Touch.CORNER,
        "001002": Touch.BORDER,
        "001003": Touch.CORNER,
        "002001": Touch.BORDER,
        "002003": Touch.BORDER,
        "003001": Touch.CORNER,
        "003002": Touch.BORDER,
        "003003": Touch.CORNER,
    }
    assert [near.code[-6:] for near in found["410399001001001"]] == ["001002", "002001", "002002"]


def test_cells_that_share_no_point_are_no_neighbours_however_near() -> None:
    hair = 1e-12
    ground = {
        "1": shapely.box(0, 0, 1, 1),
        "2": shapely.box(1, 0, 2, 1),
        "3": shapely.box(2 + hair, 0, 3, 1),
        "4": shapely.MultiPolygon([shapely.box(3, 0, 4, 1), shapely.box(0, 1, 1, 2)]),
        "5": shapely.box(20, 20, 21, 21),
    }
    cells = [Cell.of(code, code, "9", place, Kind.BASIC) for code, place in ground.items()]
    layer = Layer.of(cells, [Area("9", "区", Level.DISTRICT, Kind.AREA, None)])
    found = {
        code: [(near.code, str(near.touch)) for near in beside] for code, beside in neighbours(layer).items()
    }
    assert found == {
        "1": [("2", "border"), ("4", "border")],
        "2": [("1", "border"), ("4", "corner")],
        "3": [("4", "border")],
        "4": [("1", "border"), ("2", "corner"), ("3", "border")],
        "5": [],
    }


def test_a_layer_without_cells_has_none() -> None:
    assert neighbours(Layer.of([], [])) == {}


def test_in_a_city_they_are_those_that_geometry_finds_one_by_one(manchester: Layer) -> None:
    found = neighbours(manchester)
    for ordinal in range(0, len(manchester.cells), 97):
        cell = manchester.cells[ordinal]
        touching = np.flatnonzero(shapely.distance(manchester.geometries, cell.geometry) == 0)
        expected = {}
        for other in touching.tolist():
            if other != ordinal:
                shared = shapely.intersection(cell.geometry, manchester.geometries[other])
                expected[manchester.codes[other]] = Touch.BORDER if shared.length > 0 else Touch.CORNER
        assert {near.code: near.touch for near in found[cell.code]} == expected
    assert all(
        any(back.code == code and back.touch == near.touch for back in found[near.code])
        for code, beside in found.items()
        for near in beside
    )


@pytest.mark.parametrize("touch", list(Touch))
def test_a_city_has_neighbours_of_both_sorts(manchester: Layer, touch: Touch) -> None:
    assert any(near.touch == touch for beside in neighbours(manchester).values() for near in beside)
