"""Every point goes to exactly one cell, borders included."""

from fractions import Fraction
from itertools import pairwise
from math import inf, nextafter

import numpy as np
import pytest
import shapely

from geo.assignment import Assignment, LayerIndex, Method, assign, assign_all
from geo.cells import Layer
from geo.certainty import Thresholds
from geo.coordinates import convert_point
from geo.points import Crs, Fix, Source
from geo.tiles import OUTSIDE

# In the chessboard a cell is 100.8 m wide and 99.8 m high; its south-west corner is 112.4, 34.66.
MIDDLE = (112.40165, 34.66135)
EAST_M = 91_680.0


def fix(lon: float, lat: float, accuracy_m: float | None = None, crs: Crs = Crs.WGS84) -> Fix:
    return Fix(lon, lat, crs, accuracy_m, 68 if accuracy_m is not None else None, Source.GPS)


# Rule 1: the point decides


def test_a_point_well_inside_a_cell_needs_nobody(board_index: LayerIndex) -> None:
    assert assign(board_index, fix(*MIDDLE, 10)) == Assignment(Method.CONTAINED, "410399001002002", p=1.0)


def test_a_corner_of_four_cells_belongs_to_the_smallest_code(board_index: LayerIndex) -> None:
    # 112.4 + 0.0011 and 34.66 + 0.0009, computed as the board computes them: exactly on the vertex
    corner = fix(112.4 + 0.0011, 34.66 + 0.0009)
    assert assign(board_index, corner).cell == "410399001001001"


def test_the_tie_does_not_depend_on_the_order_of_the_file(board: Layer) -> None:
    turned = Layer.of(list(reversed(board.cells)), list(reversed(board.areas)))
    assert turned == board
    assert assign(LayerIndex(turned), fix(112.4011, 34.6609)).cell == "410399001001001"


def _touches(ring: list[tuple[Fraction, Fraction]], x: Fraction, y: Fraction) -> tuple[bool, bool]:
    """(on the ring, inside the ring) in exact arithmetic, by counting crossings to the east."""
    inside = False
    for (ax, ay), (bx, by) in pairwise(ring):
        turn = (bx - ax) * (y - ay) - (by - ay) * (x - ax)
        if turn == 0 and min(ax, bx) <= x <= max(ax, bx) and min(ay, by) <= y <= max(ay, by):
            return True, True
        if (ay > y) != (by > y) and (turn > 0) == (by > ay):
            inside = not inside
    return False, inside


class Oracle:
    """The smallest code that touches a point, in rational arithmetic: slow and beyond doubt."""

    def __init__(self, layer: Layer) -> None:
        self.layer = layer
        self.boxes = shapely.bounds(layer.geometries)
        self.rings: dict[int, list[list[tuple[Fraction, Fraction]]]] = {}

    def _rings(self, cell: int) -> list[list[tuple[Fraction, Fraction]]]:
        if cell not in self.rings:
            parts = shapely.get_parts(self.layer.cells[cell].geometry)
            lines = [line for part in parts for line in (part.exterior, *part.interiors)]
            self.rings[cell] = [[(Fraction(x), Fraction(y)) for x, y in line.coords] for line in lines]
        return self.rings[cell]

    def locate(self, lon: float, lat: float) -> int:
        west, south, east, north = self.boxes.T
        near = np.flatnonzero((west <= lon) & (lon <= east) & (south <= lat) & (lat <= north))
        for cell in near.tolist():
            crossings = 0
            for ring in self._rings(cell):
                on, inside = _touches(ring, Fraction(lon), Fraction(lat))
                if on:
                    return int(cell)
                crossings += inside
            if crossings % 2:
                return int(cell)
        return OUTSIDE


def _border_points(layer: Layer, how_many: int) -> list[tuple[float, float]]:
    """Vertices, edge midpoints, and vertices moved by one unit in the last place in each direction."""
    chance = np.random.default_rng(20)
    points: list[tuple[float, float]] = []
    vertices = shapely.get_coordinates(layer.geometries)
    for i in chance.choice(len(vertices) - 1, how_many, replace=False).tolist():
        (x, y), (nx, ny) = vertices[i].tolist(), vertices[i + 1].tolist()
        points += [(x, y), ((x + nx) / 2, (y + ny) / 2)]
        points += [
            (nextafter(x, inf), y),
            (nextafter(x, -inf), y),
            (x, nextafter(y, inf)),
            (x, nextafter(y, -inf)),
        ]
    return points


def test_border_points_go_where_exact_arithmetic_says(
    manchester: Layer, manchester_index: LayerIndex
) -> None:
    points = _border_points(manchester, 400)
    found = manchester_index.locate(*np.array(points).T)
    oracle = Oracle(manchester)
    expected = [oracle.locate(x, y) for x, y in points]
    assert found.tolist() == expected
    assert np.mean(found != OUTSIDE) > 0.9


def test_points_anywhere_go_where_exact_arithmetic_says(
    manchester: Layer, manchester_index: LayerIndex
) -> None:
    chance = np.random.default_rng(21)
    west, south, east, north = manchester.bbox
    lon, lat = chance.uniform(west, east, 500), chance.uniform(south, north, 500)
    oracle = Oracle(manchester)
    assert manchester_index.locate(lon, lat).tolist() == [
        oracle.locate(x, y) for x, y in zip(lon.tolist(), lat.tolist(), strict=True)
    ]


def test_a_coordinate_that_is_missing_in_bulk_is_in_no_cell(board_index: LayerIndex) -> None:
    assert board_index.locate([np.nan, MIDDLE[0]], [34.66, MIDDLE[1]]).tolist() == [OUTSIDE, 4]
    assert board_index.locate([], []).tolist() == []


# The tag


@pytest.mark.parametrize("crs", Crs)
def test_the_same_place_told_in_any_system_comes_to_the_same_cell(board_index: LayerIndex, crs: Crs) -> None:
    lon, lat = convert_point(*MIDDLE, Crs.WGS84, crs)
    assert assign(board_index, fix(lon, lat, crs=crs)).cell == "410399001002002"


def test_a_wrong_tag_is_a_wrong_place(board_index: LayerIndex) -> None:
    lon, lat = convert_point(*MIDDLE, Crs.WGS84, Crs.GCJ02)
    assert assign(board_index, fix(lon, lat)).method is Method.OUTSIDE


# Rules 2 and 3: outside


def test_no_location_is_no_place(board_index: LayerIndex) -> None:
    assert assign(board_index, None) == Assignment(Method.NONE)


def test_a_point_just_outside_snaps_and_says_how_far(board_index: LayerIndex) -> None:
    beside = fix(112.4 - 20 / EAST_M, MIDDLE[1])
    assert assign(board_index, beside) == Assignment(Method.SNAPPED, "410399001002001", distance_m=20.0)


def test_a_point_equally_near_to_two_cells_snaps_to_the_smaller_code(board_index: LayerIndex) -> None:
    for lat, smaller in ((34.66 + 0.0009, "410399001001001"), (34.66 + 0.0018, "410399001002001")):
        assert assign(board_index, fix(112.4 - 20 / EAST_M, lat)).cell == smaller


def test_a_point_beyond_the_tolerance_is_outside(board_index: LayerIndex) -> None:
    far = fix(112.4 - 51 / EAST_M, MIDDLE[1])
    assert assign(board_index, far) == Assignment(Method.OUTSIDE, needs_confirmation=True)
    assert assign(board_index, far, Thresholds(tolerance_m=60)).method is Method.SNAPPED


def test_a_precise_point_does_not_snap_farther_than_its_own_radius(board_index: LayerIndex) -> None:
    # r68 of 10 m is r95 of 16.2 m: a device this sure, 20 m outside, is outside
    lon = 112.4 - 20 / EAST_M
    assert assign(board_index, fix(lon, MIDDLE[1], 10)).method is Method.OUTSIDE
    assert assign(board_index, fix(lon, MIDDLE[1], 13)).method is Method.SNAPPED


def test_a_vague_point_outside_offers_the_cells_it_may_mean(board_index: LayerIndex) -> None:
    vague = assign(board_index, fix(112.4 - 80 / EAST_M, MIDDLE[1], 150))
    assert vague.method is Method.OUTSIDE
    assert vague.cell is None
    assert vague.needs_confirmation
    assert vague.candidates[0] == "410399001002001"


def test_a_point_on_the_other_side_of_the_earth_is_outside(board_index: LayerIndex) -> None:
    assert assign(board_index, fix(-2.2, 53.4, 10)).method is Method.OUTSIDE


# A pin on a map


def test_a_pin_without_radius_is_believed(board_index: LayerIndex) -> None:
    pin = Fix(112.4 + 0.0011 - 1e-7, MIDDLE[1], Crs.WGS84, None, None, Source.MAP_PIN)
    assert assign(board_index, pin) == Assignment(Method.CONTAINED, "410399001002001")


# Many at once


def test_many_at_once_are_answered_as_one_by_one(manchester: Layer, manchester_index: LayerIndex) -> None:
    chance = np.random.default_rng(22)
    west, south, east, north = manchester.bbox
    fixes: list[Fix | None] = [None]
    for x, y, radius in zip(
        chance.uniform(west, east, 200),
        chance.uniform(south, north, 200),
        chance.uniform(0, 120, 200),
        strict=True,
    ):
        fixes.append(Fix(float(x), float(y), Crs.CGCS2000, float(radius), 95, Source.NETWORK))
    together = assign_all(manchester_index, fixes)
    assert together == [assign(manchester_index, one) for one in fixes]
    assert {answer.method for answer in together} == set(Method)
    assert assign_all(manchester_index, []) == []
