"""Where maps are shifted: tiles say what the polygon says, a provider what its maps do, and every way leads back."""

import numpy as np
import pytest
import shapely
from hypothesis import given, settings, strategies as st

from geo.coordinates import convert, convert_point, shifted_share
from geo.points import Crs
from geo.regions import NARROW_DEGREES, NONE, RIM, WHOLE, Provider, region_of

providers = st.sampled_from(Provider)
both = pytest.mark.parametrize("provider", Provider)

HONG_KONG = [
    (114.158, 22.283),
    (114.172, 22.305),
    (114.11, 22.37),
    (114.02, 22.44),
    (113.92, 22.31),
    (114.26, 22.32),
]
MACAU = [(113.565, 22.158), (113.575, 22.125)]
# The towns on the other side, as near to the line as they come.
SHENZHEN_AND_ZHUHAI = [
    (114.057, 22.543), (114.068, 22.521), (114.118, 22.535), (114.146, 22.556), (114.236, 22.556), (114.275, 22.575),
    (113.915, 22.482), (114.49, 22.54), (113.551, 22.220), (113.53, 22.20), (113.54, 22.14), (113.53, 22.12),
]  # fmt: skip


@both
def test_a_tile_that_answers_for_its_points_answers_what_the_polygon_would(provider: Provider) -> None:
    region = region_of(provider)
    chance = np.random.default_rng(31)
    # everywhere, and thickly where providers disagree; the farthest that an inverse goes aside is looked at too
    lon = np.concatenate([chance.uniform(70, 140, 150_000), chance.uniform(113.2, 114.9, 50_000)])
    lat = np.concatenate([chance.uniform(14, 58, 150_000), chance.uniform(21.8, 22.9, 50_000)])
    kinds = region.kinds(lon, lat)
    for aside_x, aside_y in ((0.0, 0.0), (0.03, 0.03), (-0.03, 0.03), (0.03, -0.03), (-0.03, -0.03)):
        share = region.share(lon + aside_x, lat + aside_y)
        assert (share[kinds == WHOLE] == 1.0).all()
        assert (share[kinds == NONE] == 0.0).all()
    assert (kinds == WHOLE).sum() > 40_000
    assert (kinds == RIM).sum() < 0.25 * len(kinds)


def test_the_polygon_is_asked_only_near_its_edge() -> None:
    region = region_of(Provider.MAINLAND_HK_MO)
    chance = np.random.default_rng(32)
    lon, lat = chance.uniform(73, 135, 100_000), chance.uniform(18, 53, 100_000)
    inside = shapely.intersects_xy(region._ground, lon, lat)
    assert (region.kinds(lon[inside], lat[inside]) == WHOLE).mean() > 0.9


@pytest.mark.parametrize(("lon", "lat"), HONG_KONG + MACAU)
def test_hong_kong_and_macau_are_shifted_as_the_provider_says(lon: float, lat: float) -> None:
    moved = convert_point(lon, lat, Crs.WGS84, Crs.GCJ02)
    assert abs(moved[0] - lon) > 0.004
    assert convert_point(lon, lat, Crs.WGS84, Crs.GCJ02, Provider.MAINLAND_HK_MO) == moved
    assert convert_point(lon, lat, Crs.WGS84, Crs.GCJ02, Provider.MAINLAND) == (lon, lat)
    assert convert_point(lon, lat, Crs.GCJ02, Crs.WGS84, Provider.MAINLAND) == (lon, lat)


@pytest.mark.parametrize(("lon", "lat"), SHENZHEN_AND_ZHUHAI)
def test_no_provider_takes_anything_from_the_shift_of_the_towns_beside(lon: float, lat: float) -> None:
    assert shifted_share([lon], [lat], Provider.MAINLAND) == 1.0
    whole = convert_point(lon, lat, Crs.WGS84, Crs.GCJ02)
    assert convert_point(lon, lat, Crs.WGS84, Crs.GCJ02, Provider.MAINLAND) == whole


@pytest.mark.parametrize(
    ("lon", "lat"), [(121.56, 25.04), (127.0, 37.5), (105.8, 21.0), (-2.2, 53.4), (139.7, 35.7)]
)
@both
def test_elsewhere_no_provider_shifts_anything(lon: float, lat: float, provider: Provider) -> None:
    for system in Crs:
        assert convert_point(lon, lat, Crs.WGS84, system, provider) == (lon, lat)
        assert convert_point(lon, lat, system, Crs.WGS84, provider) == (lon, lat)


@settings(max_examples=300, deadline=None)
@given(st.floats(113.3, 114.8), st.floats(21.9, 22.8), st.sampled_from(Crs), st.sampled_from(Crs), providers)
def test_there_and_back_again_closes_where_providers_disagree(
    lon: float, lat: float, source: Crs, target: Crs, provider: Provider
) -> None:
    there = convert_point(lon, lat, source, target, provider)
    assert convert_point(*there, target, source, provider) == pytest.approx((lon, lat), abs=1e-9)


@both
def test_the_round_trip_closes_all_along_every_edge(provider: Provider) -> None:
    region = region_of(provider)
    chance = np.random.default_rng(33)
    edges = [region._ground, *region._exempt]
    lon, lat = [], []
    for ground in edges:
        line = shapely.boundary(ground)
        at = shapely.line_interpolate_point(line, chance.uniform(0, line.length, 500))
        for reach in (1e-9, 1e-4, 0.01, 0.3):
            lon.append(shapely.get_x(at) + chance.normal(0, reach, 500))
            lat.append(shapely.get_y(at) + chance.normal(0, reach, 500))
    x, y = np.concatenate(lon), np.concatenate(lat)
    for target in (Crs.GCJ02, Crs.BD09):
        for forth, back in ((Crs.WGS84, target), (target, Crs.WGS84)):
            there = convert(x, y, forth, back, provider)
            again = convert(*there, back, forth, provider)
            assert max(np.abs(again[0] - x).max(), np.abs(again[1] - y).max()) < 1e-9


def test_no_two_places_share_a_coordinate_along_the_narrow_fade() -> None:
    # Lines across the edge, forth by a hundredth of the fade: the shifted places keep their order and their distance.
    region = region_of(Provider.MAINLAND)
    for ground in region._exempt:
        line = shapely.boundary(ground)
        for share in np.linspace(0, 1, 41):
            start = shapely.line_interpolate_point(line, share, normalized=True)
            for angle in np.linspace(0, np.pi, 5):
                along = np.arange(-250, 251) * NARROW_DEGREES / 100
                x = start.x + along * np.cos(angle)
                y = start.y + along * np.sin(angle)
                there = convert(x, y, Crs.WGS84, Crs.GCJ02, Provider.MAINLAND)
                assert np.hypot(np.diff(there[0]), np.diff(there[1])).min() > 0.2 * NARROW_DEGREES / 100


def test_bd09_is_one_provider_s_own_and_no_setting_changes_it() -> None:
    for lon, lat in HONG_KONG + MACAU + SHENZHEN_AND_ZHUHAI:
        bd = convert_point(lon, lat, Crs.WGS84, Crs.BD09)
        assert convert_point(lon, lat, Crs.WGS84, Crs.BD09, Provider.MAINLAND) == bd
        there = convert_point(*bd, Crs.BD09, Crs.GCJ02, Provider.MAINLAND)
        expected = convert_point(lon, lat, Crs.WGS84, Crs.GCJ02, Provider.MAINLAND)
        assert there == pytest.approx(expected, abs=1e-9)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.floats(70, 138), st.floats(15, 56)), max_size=60), providers, st.sampled_from(Crs)
)
def test_a_point_among_others_has_the_bits_that_it_has_alone(
    places: list[tuple[float, float]], provider: Provider, source: Crs
) -> None:
    lon, lat = [place[0] for place in places], [place[1] for place in places]
    x, y = convert(lon, lat, source, Crs.WGS84, provider)
    assert list(zip(x, y, strict=True)) == [
        convert_point(*place, source, Crs.WGS84, provider) for place in places
    ]
