"""How sure a cell is: against a hundred thousand random samples, and what follows from it at each threshold."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from geo import certainty
from geo.assignment import Assignment, LayerIndex, Method, assign, assign_all
from geo.cells import Layer
from geo.certainty import CANDIDATES_MAX, LEAST_SHARE, Thresholds
from geo.points import SIGMAS_AT_68, SIGMAS_AT_95, Crs, Fix, Source
from geo.tiles import OUTSIDE

# In the chessboard a cell is 100.8 m wide and 99.8 m high; its south-west corner is 112.4, 34.66. Three in a row are a
# community, three rows a street.
MIDDLE = (112.40165, 34.66135)
CENTRE = "410399001002002"
EAST_M = 91_680.0
SEED = 2611


def fix(lon: float, lat: float, accuracy_m: float | None, confidence: Any = 68) -> Fix:
    return Fix(lon, lat, Crs.WGS84, accuracy_m, confidence, Source.GPS)


def west_of_the_eastern_border(metres: float, accuracy_m: float | None, **more: Any) -> Fix:
    """In the middle cell, so far from its neighbour in the east."""
    return fix(112.4 + 2 * 0.0011 - metres / EAST_M, MIDDLE[1], accuracy_m, **more)


# --- the radius ------------------------------------------------------------------------------------------------------


def test_a_radius_of_95_per_cent_says_more_than_the_same_of_68_and_an_unstated_one_least(
    board_index: LayerIndex,
) -> None:
    said = {who: west_of_the_eastern_border(10, 30, confidence=who) for who in (95, 68, None)}
    assert said[95].sigma_m == pytest.approx(30 / SIGMAS_AT_95)
    assert said[68].sigma_m == said[None].sigma_m == pytest.approx(30 / SIGMAS_AT_68)
    p = {who: assign(board_index, one).p or 0.0 for who, one in said.items()}
    assert p[95] > p[68] == p[None]


# --- the oracle ------------------------------------------------------------------------------------------------------


def _drawn(
    index: LayerIndex, one: Fix, chance: np.random.Generator, count: int = 100_000
) -> dict[int, float]:
    """Shares of the cells (and of none) among so many random places that the fix may mean."""
    sigma = one.sigma_m or 0.0
    centre = index.layer.plane.to_metres(np.array([[one.lon, one.lat]]))
    lonlat = index.layer.plane.to_degrees(centre + chance.normal(0.0, sigma, (count, 2)))
    cells, counts = np.unique(index.locate(*lonlat.T), return_counts=True)
    return dict(zip(cells.tolist(), (counts / count).tolist(), strict=True))


def test_the_shares_are_those_of_a_hundred_thousand_random_places(
    manchester: Layer, manchester_index: LayerIndex
) -> None:
    """Which cells are offered, and how sure the named place is, says the sunflower; chance says it again."""
    print(f"seed {SEED}")
    chance = np.random.default_rng(SEED)
    codes, errors = manchester.codes, []
    outcomes = set()
    for cell in chance.choice(len(codes), 25, replace=False).tolist():
        west, south, east, north = manchester.cells[cell].bbox
        accuracy = float(chance.choice([5, 10, 20, 30, 50, 90]))
        one = fix(float(chance.uniform(west, east)), float(chance.uniform(south, north)), accuracy)
        found = assign(manchester_index, one)
        if found.method in {Method.OUTSIDE, Method.SNAPPED}:
            continue
        drawn = _drawn(manchester_index, one, chance)
        own = int(manchester_index.locate([one.lon], [one.lat])[0])
        outcomes.add((found.method, found.needs_confirmation))
        if found.method is Method.CONTAINED:
            assert found.cell == codes[own]
            assert found.p is not None
            errors.append(abs(found.p - drawn[own]))
        elif found.area is not None:
            assert found.area in manchester.ancestors(codes[own])
            below = set(manchester.cells_of(found.area))
            share = sum(part for place, part in drawn.items() if place != OUTSIDE and codes[place] in below)
            assert found.p is not None
            errors.append(abs(found.p - share))
        offered = {codes.index(code) for code in found.candidates}
        if found.needs_confirmation and len(offered) < CANDIDATES_MAX:
            missed = [part for place, part in drawn.items() if place not in {*offered, OUTSIDE}]
            assert max(missed, default=0.0) < LEAST_SHARE + 0.03
        drawn_order = [drawn.get(codes.index(code), 0.0) for code in found.candidates]
        assert all(drawn_order[i] >= drawn_order[i + 1] - 0.06 for i in range(len(drawn_order) - 1))
    assert outcomes == {(Method.CONTAINED, False), (Method.CONTAINED, True), (Method.RAISED, True)}
    assert max(errors) < 0.06
    assert float(np.sqrt(np.mean(np.square(errors)))) < 0.02


def test_beside_a_straight_border_the_share_is_that_of_the_normal_distribution(
    board_index: LayerIndex,
) -> None:
    for metres in (0.001, 5, 10, 15.1, 25):
        told = assign(board_index, west_of_the_eastern_border(metres, 15.1), Thresholds(flag=0.01))
        phi = 0.5 * (
            1.0 + math.erf(metres / 10.0 / math.sqrt(2.0))
        )  # σ = 10 m, the other borders are 50 m off
        assert told.p == pytest.approx(phi, abs=0.03)


def test_near_a_threshold_four_times_as_many_samples_decide(
    board_index: LayerIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    locate = board_index.locate

    def counting(lon: Any, lat: Any) -> Any:
        sizes.append(np.size(lon))
        return locate(lon, lat)

    monkeypatch.setattr(board_index, "locate", counting)
    assert assign(board_index, west_of_the_eastern_border(9, 15.1)).p == pytest.approx(0.82, abs=0.01)
    assert sizes == [1, certainty.SAMPLES, certainty.MANY_SAMPLES]
    sizes.clear()
    assert assign(board_index, west_of_the_eastern_border(4, 15.1)).p == pytest.approx(0.66, abs=0.02)
    assert sizes == [1, certainty.SAMPLES]


def test_the_samples_of_all_fixes_are_looked_up_together(
    board_index: LayerIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    locate = board_index.locate

    def counting(lon: Any, lat: Any) -> Any:
        calls.append(np.size(lon))
        return locate(lon, lat)

    monkeypatch.setattr(board_index, "locate", counting)
    assign_all(board_index, [fix(*MIDDLE, 10)] * 500)
    assert calls == [500, 500 * certainty.SAMPLES]


# --- what follows ----------------------------------------------------------------------------------------------------

NEIGHBOUR, NORTH, SOUTH = "410399001002003", "410399001003002", "410399001001002"


@pytest.mark.parametrize(
    ("metres", "accuracy_m", "method", "cell", "asks", "area"),
    [
        (50, 10, Method.CONTAINED, CENTRE, False, None),  # a good fix in the middle
        (10, 9, Method.CONTAINED, CENTRE, False, None),  # near the border, but the device is sure
        (4, 15.1, Method.CONTAINED, CENTRE, True, None),  # 边界件: two in three
        # more likely elsewhere than here, and in other communities at that
        (10, 60, Method.RAISED, None, True, "410399001"),
        # a radius like that is no fix
        (50, 101, Method.RAISED, None, True, "410399001"),
        # nor is the street sure
        (50, 300, Method.RAISED, None, True, None),
        (50, None, Method.CONTAINED, CENTRE, False, None),  # a pin on the map
        (50, 0, Method.CONTAINED, CENTRE, False, None),
    ],
)
def test_what_a_fix_comes_to(
    board_index: LayerIndex,
    metres: float,
    accuracy_m: float | None,
    method: Method,
    cell: str | None,
    asks: bool,
    area: str | None,
) -> None:
    told = assign(board_index, west_of_the_eastern_border(metres, accuracy_m))
    assert (told.method, told.cell, told.needs_confirmation, told.area) == (method, cell, asks, area)
    assert bool(told.candidates) == asks
    if told.candidates:
        assert CENTRE in told.candidates


def test_a_doubtful_fix_offers_its_cells_the_most_probable_first(board_index: LayerIndex) -> None:
    told = assign(board_index, west_of_the_eastern_border(4, 15.1))
    assert told.candidates == (CENTRE, NEIGHBOUR)
    assert 0.5 <= (told.p or 0.0) < 0.8


def test_the_containing_cell_is_chosen_and_offered_although_another_is_more_probable(
    board_index: LayerIndex,
) -> None:
    # 1 m from a corner, and half as probable as the neighbours would be by themselves
    corner = fix(112.4 + 1 / EAST_M, 34.66 + 0.00001, 30)
    told = assign(board_index, corner, Thresholds(auto=0.9, flag=0.1))
    assert (told.cell, told.candidates) == ("410399001001001", ("410399001001001",))
    # a cell so small that no sample meets it is offered all the same, in the last place
    told = assign(board_index, fix(112.4 + 0.0011 - 0.1 / EAST_M, MIDDLE[1], 100), Thresholds(flag=0.01))
    assert "410399001002001" in told.candidates
    assert told.cell == "410399001002001"


def test_a_fix_is_raised_to_the_lowest_area_that_is_sure(board: Layer) -> None:
    """A row of the chessboard is a community: along its middle line the street above is asked for by the radius."""
    index = LayerIndex(board)
    between_two_of_a_row = fix(
        112.4 + 0.0011, MIDDLE[1], 40
    )  # σ = 26 m: the rows above and below are 50 m off
    told = assign(index, between_two_of_a_row, Thresholds(flag=0.6))
    assert (told.method, told.area) == (Method.RAISED, "410399001002")
    assert (told.p or 0.0) >= 0.8
    between_two_rows = fix(MIDDLE[0], 34.66 + 0.0009, 40)
    told = assign(index, between_two_rows, Thresholds(flag=0.6))
    assert (told.method, told.area, told.p) == (Method.RAISED, "410399001", 1.0)


def test_the_radius_of_68_per_cent_is_what_the_district_limits(board_index: LayerIndex) -> None:
    wide = Thresholds(auto=0.5, flag=0.1)
    assert assign(board_index, fix(*MIDDLE, 100, 68), wide).method is Method.CONTAINED  # exactly at the limit
    back_and_forth = next(m for m in range(1, 100) if m / SIGMAS_AT_68 * SIGMAS_AT_68 > m)
    assert (
        assign(board_index, fix(*MIDDLE, back_and_forth), Thresholds(radius_m=back_and_forth)).cell == CENTRE
    )
    assert assign(board_index, fix(*MIDDLE, 100.1, 68), wide).method is Method.RAISED
    assert assign(board_index, fix(*MIDDLE, 162, 95), wide).method is Method.CONTAINED
    assert assign(board_index, fix(*MIDDLE, 163, 95), wide).method is Method.RAISED
    assert assign(board_index, fix(*MIDDLE, 163, 95), Thresholds(0.5, 0.1, radius_m=150)).cell == CENTRE


# --- just outside ----------------------------------------------------------------------------------------------------


def test_a_snapped_place_is_as_sure_as_its_neighbours_let_it_be(board_index: LayerIndex) -> None:
    """It lies in some cell, that is what snapping says; so the wilderness beyond the border counts for nothing."""
    beside = fix(112.4 - 10 / EAST_M, MIDDLE[1], 20)
    told = assign(board_index, beside)
    assert told == Assignment(Method.SNAPPED, "410399001002001", p=1.0, distance_m=10.0)
    away_x, away_y = 40.5 / EAST_M, 40.5 / 110_930.0
    for lon, lat in (
        (112.4 - away_x, MIDDLE[1]),
        (112.4 + 3 * 0.0011 + away_x, MIDDLE[1]),
        (MIDDLE[0], 34.66 - away_y),
        (MIDDLE[0], 34.66 + 3 * 0.0009 + away_y),
    ):
        told = assign(board_index, fix(lon, lat, 25))  # hardly a sample of its own meets a cell
        assert (told.method, told.p) == (Method.SNAPPED, 1.0)
        assert told.distance_m == pytest.approx(40.5, abs=0.1)
    at_the_seam = fix(112.4 - 10 / EAST_M, 34.66 + 0.0009 - 2 / 111_000, 20)
    told = assign(board_index, at_the_seam)
    assert (told.method, told.cell, told.distance_m) == (Method.SNAPPED, "410399001001001", 10.0)
    assert told.needs_confirmation
    assert told.candidates == ("410399001001001", "410399001002001")
    told = assign(board_index, at_the_seam, Thresholds(auto=0.9, flag=0.7))
    assert (told.method, told.cell, told.area) == (Method.RAISED, None, "410399001")


def test_a_point_outside_that_may_lie_inside_offers_where(board_index: LayerIndex) -> None:
    told = assign(board_index, fix(112.4 - 80 / EAST_M, MIDDLE[1], 90))
    assert (told.method, told.cell, told.p) == (Method.OUTSIDE, None, None)
    assert told.candidates[0] == "410399001002001"
    assert assign(board_index, fix(112.4 - 80 / EAST_M, MIDDLE[1], 10)).candidates == ()


# --- always ----------------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=150)
@given(
    east=st.floats(-0.2, 1.2),
    north=st.floats(-0.2, 1.2),
    accuracy=st.floats(0, 5000),
    confidence=st.sampled_from([68, 95, None]),
    auto=st.floats(0.02, 1.0),
    share=st.floats(0.01, 0.99),
)
def test_whatever_the_fix_and_the_thresholds(
    manchester_index: LayerIndex,
    east: float,
    north: float,
    accuracy: float,
    confidence: Any,
    auto: float,
    share: float,
) -> None:
    layer = manchester_index.layer
    west, south, most_east, most_north = layer.bbox
    one = fix(west + east * (most_east - west), south + north * (most_north - south), accuracy, confidence)
    rule = Thresholds(auto=auto, flag=auto * share)
    told = assign(manchester_index, one, rule)
    own = int(manchester_index.locate([one.lon], [one.lat])[0])

    assert told == assign_all(manchester_index, [fix(*MIDDLE, 10), one], rule)[1]
    assert told.p is None or (0.0 <= told.p <= 1.0 and round(told.p, 2) == told.p)
    assert len(set(told.candidates)) == len(told.candidates) <= CANDIDATES_MAX
    assert (told.cell is None) == (told.method in {Method.RAISED, Method.OUTSIDE})
    if told.method is Method.CONTAINED:
        assert told.cell == layer.codes[own]
    if told.method is Method.RAISED and told.distance_m is None:
        assert layer.codes[own] in told.candidates
        assert told.area is None or told.area in layer.ancestors(layer.codes[own])
    if told.cell is not None and told.needs_confirmation:
        assert told.cell in told.candidates
        assert told.p is not None
        assert rule.flag <= told.p < rule.auto
    if told.cell is not None and not told.needs_confirmation:
        assert told.candidates == ()
        assert told.p is None or told.p >= rule.auto
    assert told.needs_confirmation or told.cell is not None
    assert (told.area is None) or (told.p or 0.0) >= rule.auto


@pytest.mark.parametrize(
    "wrong",
    [
        {"flag": 0.0},
        {"flag": 0.8},
        {"flag": 0.9},
        {"auto": 1.01},
        {"auto": math.nan},
        {"flag": math.nan},
        {"radius_m": 0.0},
        {"radius_m": -1.0},
        {"radius_m": math.inf},
        {"radius_m": 10_001.0},
        {"tolerance_m": -1.0},
        {"tolerance_m": 1001.0},
    ],
)
def test_thresholds_that_contradict_themselves_are_none(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"it must be|no number"):
        Thresholds(**wrong)
    assert Thresholds(auto=1.0, flag=0.99, tolerance_m=0.0).auto == 1.0
