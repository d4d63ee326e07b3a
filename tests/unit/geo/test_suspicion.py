"""A device with a wrong tag is told of, and one that is only far from home is not."""

from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given, settings, strategies as st

from geo.cells import Layer
from geo.coordinates import convert
from geo.layer import read_geojson
from geo.points import Crs, Fix, Source
from geo.regions import Provider
from geo.suspicion import LEAST_PLACES, Expected, Sighting, Suspicion
from tests.unit.geo.conftest import chessboard, collection, feature, square

HOME = "410399001002002"  # the middle of the board
EAST_M, NORTH_M = 91_680, 110_930  # of a degree there
MIDDLE = (112.4 + 1.5 * 0.0011, 34.66 + 1.5 * 0.0009)


def sightings(
    count: int,
    *,
    true: Crs = Crs.WGS84,
    tagged: Crs = Crs.WGS84,
    east_m: float = 0.0,
    north_m: float = 0.0,
    spread_m: float = 45.0,
    cells: frozenset[str] = frozenset({HOME}),
    seed: int = 51,
    **fix: Any,
) -> list[Sighting]:
    """Captures around the middle of the home cell, in the numbers of one system under the tag of another."""
    chance = np.random.default_rng(seed)
    lon = MIDDLE[0] + (east_m + chance.uniform(-spread_m, spread_m, count)) / EAST_M
    lat = MIDDLE[1] + (north_m + chance.uniform(-spread_m, spread_m, count)) / NORTH_M
    x, y = convert(lon, lat, Crs.WGS84, true)
    options: dict[str, Any] = {"accuracy_m": 10.0, "confidence": 95} | fix
    return [Sighting(Fix(float(a), float(b), tagged, **options), cells) for a, b in zip(x, y, strict=True)]


def told(board: Layer, some: list[Sighting]) -> list[Suspicion] | None:
    return Expected(board).suspicions(some)


@pytest.mark.parametrize("system", Crs)
def test_a_device_whose_tag_is_right_is_not_told_of(board: Layer, system: Crs) -> None:
    assert told(board, sightings(40, true=system, tagged=system)) == []


@pytest.mark.parametrize(
    ("true", "tagged", "likely"),
    [
        (Crs.GCJ02, Crs.WGS84, Crs.GCJ02),
        (Crs.GCJ02, Crs.CGCS2000, Crs.GCJ02),
        (Crs.BD09, Crs.WGS84, Crs.BD09),
        (Crs.BD09, Crs.GCJ02, Crs.BD09),
        (Crs.WGS84, Crs.GCJ02, Crs.WGS84),
        (Crs.CGCS2000, Crs.BD09, Crs.WGS84),
    ],
)
def test_a_wrong_tag_is_told_with_the_system_that_fits(
    board: Layer, true: Crs, tagged: Crs, likely: Crs
) -> None:
    some = sightings(40, true=true, tagged=tagged)
    found = told(board, some)
    assert found is not None
    (one,) = found
    assert (one.declared, one.likely, one.missed_if, one.off_if_m) == (tagged, likely, 0, 0)
    assert LEAST_PLACES <= one.missed == one.places <= 40
    assert one.off_m > 400
    for sentence in (one.sentence_zh, one.sentence_en):
        assert str(one.missed) in sentence
        assert str(one.off_m) in sentence
        assert not any(str(sighting.fix.lon) in sentence for sighting in some)


def test_too_few_places_say_nothing_and_one_house_is_one_place(board: Layer) -> None:
    wrong = sightings(LEAST_PLACES - 1, true=Crs.GCJ02)
    assert told(board, wrong) is None
    house = sightings(1000, true=Crs.GCJ02, spread_m=4.0)
    assert told(board, house) is None
    assert told(board, []) is None


@pytest.mark.parametrize(
    ("east_m", "north_m"),
    [(150, 0), (0, -250), (-588, 0), (-300, -300), (400, 400), (5000, 0), (0, 90_000), (-1500, 800)],
)
def test_whoever_works_elsewhere_has_no_wrong_tag_for_it(board: Layer, east_m: float, north_m: float) -> None:
    for tag in (Crs.WGS84, Crs.GCJ02, Crs.BD09):
        some = sightings(60, true=tag, tagged=tag, east_m=east_m, north_m=north_m, spread_m=120)
        assert told(board, some) == []


def test_half_the_places_somewhere_else_do_not_hide_a_wrong_tag_nor_make_one(board: Layer) -> None:
    away = sightings(6, true=Crs.GCJ02, east_m=5000, seed=52)
    assert told(board, sightings(40) + away) == []
    found = told(board, sightings(40, true=Crs.GCJ02) + away)
    assert found is not None
    assert [one.likely for one in found] == [Crs.GCJ02]


def test_each_tag_is_judged_by_itself(board: Layer) -> None:
    right = sightings(40, true=Crs.WGS84, tagged=Crs.WGS84)
    wrong = sightings(40, true=Crs.WGS84, tagged=Crs.GCJ02, seed=52)  # a map that hands out plain degrees
    found = told(board, right + wrong)
    assert found is not None
    assert [(one.declared, one.likely) for one in found] == [(Crs.GCJ02, Crs.WGS84)]


def test_vague_fixes_and_addresses_say_nothing(board: Layer) -> None:
    assert told(board, sightings(40, true=Crs.GCJ02, accuracy_m=500.0)) is None
    assert told(board, sightings(40, true=Crs.GCJ02, source=Source.ADDRESS)) is None
    assert told(board, sightings(40, true=Crs.GCJ02, accuracy_m=None)) != []


def test_where_a_person_put_a_case_counts_before_where_its_author_works(board: Layer) -> None:
    # The same house twice: what a person has said of it is what is known of it.
    elsewhere = frozenset({"410399001001001"})
    guessed = sightings(40, cells=elsewhere)
    set_by_hand = [Sighting(one.fix, frozenset({HOME}), confirmed=True) for one in guessed]
    assert told(board, guessed + set_by_hand) == told(board, set_by_hand) == []
    wrong = sightings(40, true=Crs.GCJ02)
    found = told(board, wrong + [Sighting(one.fix, one.cells, confirmed=True) for one in wrong])
    assert found is not None
    assert found[0].confirmed == found[0].places


def test_nothing_known_but_the_district_is_enough_where_that_is_small(board: Layer) -> None:
    for cells in (frozenset[str](), frozenset({"a cell of a former edition"})):
        found = told(board, sightings(40, true=Crs.GCJ02, cells=cells))
        assert found is not None
        assert [one.likely for one in found] == [Crs.GCJ02]
        assert told(board, sightings(40, cells=cells)) == []


def test_a_large_cell_tells_by_those_that_fall_out_of_it() -> None:
    wide = square(112.395, 34.655, 112.415, 34.672)  # about 1.8 km
    cells = [feature("410399001001001", wide)]
    layer = read_geojson(collection(cells), Crs.WGS84).layer
    assert layer is not None
    known = frozenset({"410399001001001"})
    spread: dict[str, Any] = {"spread_m": 600.0, "cells": known}
    found = Expected(layer).suspicions(sightings(200, true=Crs.GCJ02, east_m=550, **spread))
    assert found is not None
    assert [one.likely for one in found] == [Crs.GCJ02]
    assert Expected(layer).suspicions(sightings(200, **spread)) == []


def test_the_provider_says_what_gcj02_means() -> None:
    here: list[dict[str, Any]] = chessboard()
    chessboard_there = [feature(one["properties"]["code"], shifted(one["geometry"])) for one in here]
    layer = read_geojson(collection(chessboard_there), Crs.WGS84).layer
    assert layer is not None
    place = shapely.centroid(layer.geometries[4])
    chance = np.random.default_rng(53)
    fixes = [
        Sighting(Fix(place.x + dx, place.y + dy, Crs.GCJ02), frozenset({layer.codes[4]}))
        for dx, dy in chance.uniform(-0.0004, 0.0004, (40, 2))
    ]
    assert Expected(layer, Provider.MAINLAND).suspicions(fixes) == []
    found = Expected(layer).suspicions(fixes)
    assert found is not None
    assert [one.likely for one in found] == [Crs.WGS84]


def shifted(geometry: Any) -> Any:
    """The same square beside the harbour of Hong Kong."""
    ring = [[lon + 1.758, lat - 12.377] for lon, lat in geometry["coordinates"][0]]
    return {"type": "Polygon", "coordinates": [ring]}


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(20, 120),
    st.sampled_from([Crs.WGS84, Crs.GCJ02, Crs.BD09]),
    st.sampled_from([Crs.WGS84, Crs.GCJ02, Crs.BD09]),
)
def test_over_any_seed_a_right_tag_is_never_told_of_and_a_wrong_one_always(
    seed: int, count: int, true: Crs, tagged: Crs
) -> None:
    layer = read_geojson(collection(chessboard()), Crs.WGS84).layer
    assert layer is not None
    some = sightings(count, true=true, tagged=tagged, seed=seed, spread_m=80.0)
    found = Expected(layer).suspicions(some)
    if true is tagged:
        assert not found
    elif found is not None:  # else too many of them were the same places
        assert [(one.declared, one.likely) for one in found] == [(tagged, true)]
