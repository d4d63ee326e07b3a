"""Conversions agree with what other implementations publish, and every way there has a way back."""

import zlib

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from geo.coordinates import CoordinatesError, LocalPlane, convert, convert_point, shifted_share
from geo.points import Crs
from geo.shifts import Floats, bd_shift, gcj_shift
from tests.unit.geo import vectors
from tests.unit.geo.vectors import Place

lons = st.floats(-180, 180)
lats = st.floats(-89.9, 89.9)
# the box around everything that is shifted, its border and fading rim included
china_lons = st.floats(70, 138)
china_lats = st.floats(14, 56)
systems = st.sampled_from(Crs)
SUMS = [265547337, 2487930767]


@pytest.mark.parametrize(("wgs", "gcj"), vectors.EVILTRANSFORM)
def test_wgs84_to_gcj02_equals_what_eviltransform_publishes(wgs: Place, gcj: Place) -> None:
    assert convert_point(*wgs, Crs.WGS84, Crs.GCJ02) == pytest.approx(gcj, abs=1e-12)
    assert convert_point(*gcj, Crs.GCJ02, Crs.WGS84) == pytest.approx(wgs, abs=1e-11)


def test_both_shifts_equal_what_coordtransform_publishes_and_its_one_step_inverses_within_metres() -> None:
    place = vectors.COORDTRANSFORM_PLACE
    gcj = convert_point(*place, Crs.WGS84, Crs.GCJ02)
    assert gcj == pytest.approx(vectors.COORDTRANSFORM_WGS_TO_GCJ, abs=1e-12)
    bd = convert_point(*place, Crs.GCJ02, Crs.BD09)
    assert bd == pytest.approx(vectors.COORDTRANSFORM_GCJ_TO_BD, abs=1e-12)
    back = convert_point(*place, Crs.BD09, Crs.GCJ02)
    assert back == pytest.approx(vectors.COORDTRANSFORM_BD_TO_GCJ, abs=5e-6)
    back = convert_point(*place, Crs.GCJ02, Crs.WGS84)
    assert back == pytest.approx(vectors.COORDTRANSFORM_GCJ_TO_WGS, abs=5e-5)


def test_the_inverse_and_bd09_equal_what_gcoord_publishes_to_eight_decimals() -> None:
    place = vectors.GCOORD_PLACE
    wgs = convert_point(*place, Crs.GCJ02, Crs.WGS84)
    assert wgs == pytest.approx(vectors.GCOORD_GCJ_TO_WGS, abs=1e-6)  # gcoord's own stops at a millionth
    bd = convert_point(*place, Crs.GCJ02, Crs.BD09)
    assert bd == pytest.approx(vectors.GCOORD_GCJ_TO_BD, abs=1e-8)


@pytest.mark.parametrize(("wgs", "gcj", "bd"), vectors.ALL_THREE)
def test_each_system_equals_what_three_public_implementations_print(
    wgs: Place, gcj: Place, bd: Place
) -> None:
    assert convert_point(*wgs, Crs.WGS84, Crs.GCJ02) == pytest.approx(gcj, abs=1e-12)
    assert convert_point(*gcj, Crs.GCJ02, Crs.BD09) == pytest.approx(bd, abs=1e-12)
    assert convert_point(*wgs, Crs.CGCS2000, Crs.BD09) == pytest.approx(bd, abs=1e-12)
    assert convert_point(*gcj, Crs.GCJ02, Crs.WGS84) == pytest.approx(wgs, abs=1e-11)
    assert convert_point(*bd, Crs.BD09, Crs.WGS84) == pytest.approx(wgs, abs=1e-11)


@pytest.mark.parametrize(("wgs", "gcj", "bd"), vectors.CITIES)
def test_cities_lie_within_a_metre_of_where_a_map_service_puts_them(
    wgs: Place, gcj: Place, bd: Place
) -> None:
    plane = LocalPlane.around(*wgs)
    for target, expected in ((Crs.GCJ02, gcj), (Crs.BD09, bd)):
        found = convert_point(*wgs, Crs.WGS84, target)
        apart = plane.to_metres(np.array([found])) - plane.to_metres(np.array([expected]))
        assert np.hypot(*apart[0]) < 1.0


def published_gcj_shift(lon: Floats, lat: Floats) -> tuple[Floats, Floats]:
    """The formula as all public implementations write it, with the library's sines."""
    x, y, pi, sin = lon - 105.0, lat - 35.0, np.pi, np.sin
    both = 20.0 * sin(6.0 * x * pi) + 20.0 * sin(2.0 * x * pi)
    north = -100.0 + 2.0 * x + 3.0 * y + 0.2 * y * y + 0.1 * x * y + 0.2 * np.sqrt(np.abs(x))
    north += (both + 20.0 * sin(y * pi) + 40.0 * sin(y / 3.0 * pi)) * 2.0 / 3.0
    north += (160.0 * sin(y / 12.0 * pi) + 320.0 * sin(y * pi / 30.0)) * 2.0 / 3.0
    east = 300.0 + x + 2.0 * y + 0.1 * x * x + 0.1 * x * y + 0.1 * np.sqrt(np.abs(x))
    east += (both + 20.0 * sin(x * pi) + 40.0 * sin(x / 3.0 * pi)) * 2.0 / 3.0
    east += (150.0 * sin(x / 12.0 * pi) + 300.0 * sin(x / 30.0 * pi)) * 2.0 / 3.0
    a, ee = 6378245.0, 0.00669342162296594323
    magic = 1 - ee * sin(np.radians(lat)) ** 2
    north = north * 180.0 / ((a * (1 - ee)) / (magic * np.sqrt(magic)) * pi)
    east = east * 180.0 / (a / np.sqrt(magic) * np.cos(np.radians(lat)) * pi)
    return east, north


def published_bd(lon: Floats, lat: Floats) -> tuple[Floats, Floats]:
    """The same for BD-09."""
    z = np.sqrt(lon * lon + lat * lat) + 0.00002 * np.sin(lat * np.pi * 3000.0 / 180.0)
    theta = np.arctan2(lat, lon) + 0.000003 * np.cos(lon * np.pi * 3000.0 / 180.0)
    return z * np.cos(theta) + 0.0065, z * np.sin(theta) + 0.006


def test_the_formulas_without_sines_equal_those_with_them_wherever_maps_are_shifted() -> None:
    chance = np.random.default_rng(20)
    lon, lat = chance.uniform(72, 136, 100_000), chance.uniform(16, 56, 100_000)
    east, north = published_gcj_shift(lon, lat)
    ours = gcj_shift(lon, lat)
    assert max(np.abs(ours[0] - east).max(), np.abs(ours[1] - north).max()) < 1e-12
    x, y = published_bd(lon, lat)
    ours = bd_shift(lon, lat)
    assert max(np.abs(lon + ours[0] - x).max(), np.abs(lat + ours[1] - y).max()) < 1e-12


def test_the_bits_are_those_that_every_machine_gives() -> None:
    # Nothing but roundings that IEEE 754 prescribes, well inside the region: no library's sine, no library's distance.
    step = np.arange(20_000)
    lon, lat = 100.0 + step * 7 % 2048 / 128.0, 24.0 + step * 11 % 2039 / 128.0
    sums = [
        zlib.crc32(np.column_stack(convert(lon, lat, source, target)).astype("<f8").tobytes())
        for source, target in ((Crs.WGS84, Crs.BD09), (Crs.BD09, Crs.WGS84))
    ]
    assert sums == SUMS


def test_the_shift_at_luoyang_is_wider_than_a_cell() -> None:
    plane = LocalPlane.around(112.4, 34.66)
    gcj = convert_point(112.4, 34.66, Crs.WGS84, Crs.GCJ02)
    assert np.hypot(*plane.to_metres(np.array([gcj]))[0]) == pytest.approx(588, abs=5)


@settings(max_examples=300, deadline=None)
@given(china_lons, china_lats, systems, systems)
def test_there_and_back_again_is_within_a_billionth_of_a_degree(
    lon: float, lat: float, source: Crs, target: Crs
) -> None:
    there = convert_point(lon, lat, source, target)
    assert convert_point(*there, target, source) == pytest.approx((lon, lat), abs=1e-9)


def test_the_round_trip_closes_all_along_the_edge_of_the_shifted_region() -> None:
    # Marches outwards across the region's edge and its fading rim on 24 lines.
    starts = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    radius = np.linspace(5, 40, 1500)
    lon = (104 + np.outer(np.cos(starts), radius)).ravel()
    lat = np.clip(36 + np.outer(np.sin(starts), radius * 0.6), -80, 80).ravel()
    share = shifted_share(lon, lat)
    assert share.min() == 0.0
    assert share.max() == 1.0
    assert ((share > 0) & (share < 1)).sum() > 200
    for target in (Crs.GCJ02, Crs.BD09):
        for forth, back in ((Crs.WGS84, target), (target, Crs.WGS84)):
            there = convert(lon, lat, forth, back)
            again = convert(*there, back, forth)
            assert max(np.abs(again[0] - lon).max(), np.abs(again[1] - lat).max()) < 1e-9


@settings(max_examples=100, deadline=None)
@given(lons, lats, systems, systems)
def test_the_round_trip_closes_anywhere_on_earth(lon: float, lat: float, source: Crs, target: Crs) -> None:
    there = convert_point(lon, lat, source, target)
    assert convert_point(*there, target, source) == pytest.approx((lon, lat), abs=1e-9)


@pytest.mark.parametrize(
    ("lon", "lat"), [(121.56, 25.04), (127.0, 37.5), (105.8, 21.0), (-2.2, 53.4), (139.7, 35.7)]
)
def test_places_where_maps_are_not_shifted_stay_where_they_are(lon: float, lat: float) -> None:
    assert convert_point(lon, lat, Crs.WGS84, Crs.GCJ02) == (lon, lat)
    assert convert_point(lon, lat, Crs.BD09, Crs.WGS84) == (lon, lat)


@pytest.mark.parametrize(
    ("lon", "lat"),
    [(75.98, 39.47), (122.5, 53.48), (134.3, 48.36), (109.5, 18.25), (97.85, 24.0), (128.2, 41.42)],
)
def test_frontier_towns_are_shifted_in_full(lon: float, lat: float) -> None:
    assert shifted_share([lon], [lat]) == 1.0


def test_cgcs2000_keeps_its_tag_and_its_numbers() -> None:
    assert convert_point(112.4, 34.66, Crs.CGCS2000, Crs.WGS84) == (112.4, 34.66)
    from_wgs84 = convert_point(112.4, 34.66, Crs.WGS84, Crs.BD09)
    assert convert_point(112.4, 34.66, Crs.CGCS2000, Crs.BD09) == from_wgs84


def test_one_point_and_a_million_give_the_same_bits() -> None:
    chance = np.random.default_rng(7)
    lon, lat = chance.uniform(73, 135, 500), chance.uniform(18, 53, 500)
    bulk = convert(lon, lat, Crs.BD09, Crs.WGS84)
    alone = [convert_point(x, y, Crs.BD09, Crs.WGS84) for x, y in zip(lon, lat, strict=True)]
    assert np.array_equal(np.column_stack(bulk), np.array(alone))


def test_shapes_are_kept_and_inputs_left_alone() -> None:
    lon, lat = np.full((2, 3), 112.4), np.full((2, 3), 34.66)
    x, y = convert(lon, lat, Crs.WGS84, Crs.GCJ02)
    assert x.shape == y.shape == (2, 3)
    assert (lon == 112.4).all()
    assert (lat == 34.66).all()
    assert convert([], [], Crs.BD09, Crs.WGS84)[0].shape == (0,)
    with pytest.raises(CoordinatesError):
        convert([112.4], [34.66, 34.67], Crs.WGS84, Crs.GCJ02)


def test_a_missing_coordinate_stays_missing() -> None:
    lon, lat = [np.nan, 112.4, np.inf, 112.4, 0.0], [34.66, np.nan, 34.66, -np.inf, 0.0]
    for source, target in ((Crs.GCJ02, Crs.WGS84), (Crs.WGS84, Crs.BD09)):
        x, y = convert(lon, lat, source, target)
        assert np.isnan(x).tolist() == np.isnan(y).tolist() == [True, True, True, True, False]
        assert (x[4], y[4]) == (0.0, 0.0)


def test_a_degree_on_the_local_plane_is_as_long_as_on_the_ellipsoid() -> None:
    plane = LocalPlane.around(112.4, 34.66)
    assert plane.east_m == pytest.approx(91_680, rel=1e-3)
    assert plane.north_m == pytest.approx(110_930, rel=1e-3)
    there = plane.to_metres(np.array([[112.5, 34.7]]))
    assert plane.to_degrees(there)[0] == pytest.approx([112.5, 34.7], abs=1e-12)
