"""Conversions agree with what other implementations publish, and every way there has a way back."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from geo.coordinates import CoordinatesError, LocalPlane, convert, convert_point, shifted_share
from geo.points import Crs

lons = st.floats(-180, 180)
lats = st.floats(-89.9, 89.9)
# the box around everything that is shifted, its border and fading rim included
china_lons = st.floats(70, 138)
china_lats = st.floats(14, 56)
systems = st.sampled_from(Crs)


@pytest.mark.parametrize(
    ("wgs", "gcj"),
    [
        # lon, lat as the tests of the public implementations print them
        ((121.5272106, 31.1774276), (121.531541859215, 31.17530398364597)),  # Shanghai
        ((113.912316, 22.543847), (113.9171764808363, 22.540796131694766)),  # Shenzhen
        ((116.377817, 39.911954), (116.38404722455657, 39.91334545536069)),  # Beijing
        ((116.404, 39.915), (116.41024449916938, 39.91640428150164)),
    ],
)
def test_wgs84_to_gcj02_equals_the_published_vectors(
    wgs: tuple[float, float], gcj: tuple[float, float]
) -> None:
    assert convert_point(*wgs, Crs.WGS84, Crs.GCJ02) == pytest.approx(gcj, abs=1e-12)
    assert convert_point(*gcj, Crs.GCJ02, Crs.WGS84) == pytest.approx(wgs, abs=1e-11)


def test_gcj02_to_bd09_equals_the_published_vector() -> None:
    there = convert_point(116.404, 39.915, Crs.GCJ02, Crs.BD09)
    assert there == pytest.approx((116.41036949371029, 39.92133699351021), abs=1e-12)


def test_bd09_to_gcj02_comes_within_half_a_metre_of_the_published_one_step_approximation() -> None:
    there = convert_point(116.404, 39.915, Crs.BD09, Crs.GCJ02)
    assert there == pytest.approx((116.39762729119315, 39.90865673957631), abs=5e-6)


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
    x, y = convert([np.nan, 112.4], [34.66, np.nan], Crs.GCJ02, Crs.WGS84)
    assert np.isnan(x[0])
    assert np.isnan(y[1])


def test_a_degree_on_the_local_plane_is_as_long_as_on_the_ellipsoid() -> None:
    plane = LocalPlane.around(112.4, 34.66)
    assert plane.east_m == pytest.approx(91_680, rel=1e-3)
    assert plane.north_m == pytest.approx(110_930, rel=1e-3)
    there = plane.to_metres(np.array([[112.5, 34.7]]))
    assert plane.to_degrees(there)[0] == pytest.approx([112.5, 34.7], abs=1e-12)
