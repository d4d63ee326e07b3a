"""A layer in a city's own plane: control values of others, and a clear answer where the way to degrees is not known."""

import math
from typing import Any

import numpy as np
import pyproj
import pytest
from hypothesis import given, settings, strategies as st
from pyproj.network import is_network_enabled  # type: ignore[attr-defined]  # exported, not in its types

from geo.coordinates import CoordinatesError, convert, convert_point
from geo.points import Crs
from geo.refusals import SystemCode, SystemRefused
from geo.regions import Provider
from geo.systems import TEXT_MAX, read_system

KRASSOVSKY_QUADRANT_M = 10_002_137.498  # from the equator to the pole, as handbooks print it
WGS84_QUADRANT_M = 10_001_965.729
NOTHING: dict[str, Any] = {"dx_m": 0, "dy_m": 0, "dz_m": 0, "rx_s": 0, "ry_s": 0, "rz_s": 0, "scale_ppm": 0}
BEIJING_54 = "+proj=tmerc +lat_0=0 +lon_0=117 +k=1 +x_0=0 +y_0=0 +ellps=krass +towgs84=0,0,0,0,0,0,0 +units=m"
ESRI = (
    'PROJCS["CGCS2000_3_Degree_GK_CM_114E",GEOGCS["GCS_China_Geodetic_Coordinate_System_2000",'
    'DATUM["D_China_2000",SPHEROID["CGCS2000",6378137.0,298.257222101]],PRIMEM["Greenwich",0.0],'
    'UNIT["Degree",0.0174532925199433]],PROJECTION["Gauss_Kruger"],PARAMETER["False_Easting",500000.0],'
    'PARAMETER["False_Northing",0.0],PARAMETER["Central_Meridian",114.0],PARAMETER["Scale_Factor",1.0],'
    'PARAMETER["Latitude_Of_Origin",0.0],UNIT["Meter",1.0]]'
)


def seconds(degrees: float, minutes: float, rest: float) -> float:
    return degrees + minutes / 60 + rest / 3600


def metres_apart(a: tuple[Any, Any], b: tuple[float, float]) -> float:
    east = (float(a[0]) - b[0]) * 111_320 * math.cos(math.radians(b[1]))
    return math.hypot(east, (float(a[1]) - b[1]) * 111_000)


def refusal(declared: Any) -> SystemRefused:
    with pytest.raises(SystemRefused) as found:
        read_system(declared)
    return found.value


# --- the four words -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("declared", ["gcj02", "GCJ-02", " gcj02 "])
def test_a_word_is_the_conversion_of_that_word(declared: str) -> None:
    system = read_system(declared)
    assert (system.name, system.word) == ("gcj02", Crs.GCJ02)
    lon, lat = system.to_wgs84([[112.4, 112.5]], [[34.6, 34.7]])
    expected = convert([[112.4, 112.5]], [[34.6, 34.7]], Crs.GCJ02, Crs.WGS84)
    assert np.array_equal((lon, lat), expected)


def test_the_provider_says_where_a_layer_in_gcj02_is_shifted() -> None:
    place = (114.158, 22.283)
    lon, lat = read_system("gcj02", Provider.MAINLAND).to_wgs84([place[0]], [place[1]])
    assert (lon[0], lat[0]) == place
    lon, lat = read_system("gcj02").to_wgs84([place[0]], [place[1]])
    assert (lon[0], lat[0]) == convert_point(*place, Crs.GCJ02, Crs.WGS84)


@pytest.mark.parametrize(
    ("declared", "word"),
    [
        ("EPSG:4326", Crs.WGS84),
        ("epsg:4490", Crs.CGCS2000),
        ("urn:ogc:def:crs:EPSG::4490", Crs.CGCS2000),
        ("urn:ogc:def:crs:OGC:1.3:CRS84", Crs.WGS84),
    ],
)
def test_plain_degrees_under_a_number_are_the_word_they_are(declared: str, word: Crs) -> None:
    system = read_system(declared)
    assert system.word == word
    lon, lat = system.to_wgs84([112.4], [34.6])  # longitude first, whatever the registry says
    assert (lon[0], lat[0]) == (112.4, 34.6)


# --- published planes -----------------------------------------------------------------------------------------------


def test_gauss_kruger_equals_the_worked_example_of_the_handbooks() -> None:
    # Krassovsky, zone of 6 degrees around 117 E: B = 17°33'55.7339", L = 119°15'52.1159" gives
    # x = 1 944 359.607, y = 240 455.456. A plane with another ellipsoid's seven parameters of nought moves the place
    # into space and back, so the step before that is looked at.
    unproject = read_system(BEIJING_54).ways[0]
    lon, lat = unproject(np.array([240_455.4563]), np.array([1_944_359.607]))
    expected = (seconds(119, 15, 52.1159), seconds(17, 33, 55.7339))
    assert metres_apart((lon[0], lat[0]), expected) < 0.005


@pytest.mark.parametrize(
    ("text", "quadrant"),
    [("+ellps=krass +towgs84=0,0,0,0,0,0,0", KRASSOVSKY_QUADRANT_M), ("+datum=WGS84", WGS84_QUADRANT_M)],
)
def test_the_length_of_a_meridian_leads_to_the_pole(text: str, quadrant: float) -> None:
    unproject = read_system(f"+proj=tmerc +lon_0=117 {text} +units=m").ways[0]
    _, lat = unproject(np.array([0.0]), np.array([quadrant]))
    assert abs(90.0 - lat[0]) * 111_694 < 0.002


def test_the_hong_kong_grid_lies_where_its_surveyors_say() -> None:
    # The origin of the grid, and how far WGS-84 lies off it (-5.5", +8.8"), from their notes on geodetic datums.
    lon, lat = read_system("EPSG:2326").to_wgs84(836_694.05, 819_069.80)
    there = (seconds(114, 10, 42.80 + 8.8), seconds(22, 18, 43.68 - 5.5))
    assert metres_apart((lon, lat), there) < 2.0


@pytest.mark.parametrize("declared", ["EPSG:4547", ESRI])
def test_a_zone_of_cgcs2000_is_unprojected_and_its_datum_left_alone(declared: str) -> None:
    project = pyproj.Proj("+proj=tmerc +lon_0=114 +x_0=500000 +ellps=GRS80")
    east, north = project(112.4, 34.66)
    lon, lat = read_system(declared).to_wgs84([east], [north])
    assert metres_apart((lon[0], lat[0]), (112.4, 34.66)) < 0.001


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([4547, 4526, 4507, 32649, 3857]), st.floats(112.6, 113.9), st.floats(20, 45))
def test_every_plane_leads_back_to_where_a_place_was(code: int, lon: float, lat: float) -> None:
    there = pyproj.Transformer.from_crs(4326, code, always_xy=True).transform(lon, lat)
    again = read_system(f"EPSG:{code}").to_wgs84(*there)
    assert metres_apart(again, (lon, lat)) < 0.001


def test_a_datum_with_one_published_operation_is_carried_where_that_holds_and_nowhere_else() -> None:
    system = read_system("EPSG:2437")  # Beijing 1954 around 120 E: published for the Yellow Sea, to 15 m
    east, north = 500_000.0, 3_700_000.0
    expected = pyproj.Transformer.from_crs(2437, 4326, always_xy=True).transform(east, north)
    assert metres_apart(system.to_wgs84(east, north), expected) < 0.01
    plain = pyproj.Transformer.from_crs(2437, 4214, always_xy=True).transform(east, north)
    assert metres_apart(system.to_wgs84(east, north), plain) > 30
    with pytest.raises(SystemRefused) as found:
        system.to_wgs84([east, east], [north, 4_700_000.0])
    assert found.value.code == SystemCode.OUT_OF_REACH


# --- a city's own ---------------------------------------------------------------------------------------------------


def test_seven_parameters_equal_the_published_example() -> None:
    # IOGP guidance note 7-2: WGS 72, 55° N 4° E, by position vector dz 4.5, rz 0.554", 0.219 ppm:
    # 55°00'00.090" N, 4°00'00.554" E.
    seven = {**NOTHING, "dz_m": 4.5, "rz_s": 0.554, "scale_ppm": 0.219}
    table = {"base": "+proj=longlat +ellps=WGS72 +towgs84=9,9,9,9,9,9,9"}
    lon, lat = read_system({**table, "datum": {**seven, "convention": "position_vector"}}).to_wgs84(4.0, 55.0)
    assert float(lon) == pytest.approx(seconds(4, 0, 0.554), abs=0.0006 / 3600)
    assert float(lat) == pytest.approx(seconds(55, 0, 0.090), abs=0.0006 / 3600)
    turned = {**seven, "rz_s": -0.554, "convention": "coordinate_frame"}
    again = read_system({**table, "datum": turned}).to_wgs84(4.0, 55.0)
    assert (float(again[0]), float(again[1])) == pytest.approx((float(lon), float(lat)), abs=1e-12)


def test_towgs84_of_a_text_is_the_same_as_the_table() -> None:
    text = "+proj=tmerc +lon_0=111 +x_0=500000 +ellps=krass +units=m"
    seven = [15.8, -154.4, -82.3, 0.1, -0.2, 0.3, 1.5]
    bound = read_system(f"{text} +towgs84={','.join(map(str, seven))}").to_wgs84(612_345.6, 3_837_000.0)
    datum = dict(zip(NOTHING, seven, strict=True)) | {"convention": "position_vector"}
    table = read_system({"base": text, "datum": datum}).to_wgs84(612_345.6, 3_837_000.0)
    assert (float(bound[0]), float(bound[1])) == (float(table[0]), float(table[1]))


def test_four_parameters_turn_and_move_a_local_plane_as_written_out_by_hand() -> None:
    # A quarter turn from north to east, 100 ppm longer, moved 4 000 000 m north and 300 000 m east.
    plane = {"axes": "north_east", "dx_m": 4e6, "dy_m": 3e5, "rotation_s": 324_000, "scale_ppm": 100}
    system = read_system({"base": "EPSG:4547", "name": "涧东城建坐标系", "plane": plane})
    assert system.name == "涧东城建坐标系"
    east, north = system.ways[0](np.array([1000.0]), np.array([2000.0]))
    assert north[0] == pytest.approx(4e6 - 1000 * 1.0001, abs=1e-6)
    assert east[0] == pytest.approx(3e5 + 2000 * 1.0001, abs=1e-6)
    # read with east first, the same figures mean the other turn and the other way
    east, north = read_system({"base": "EPSG:4547", "plane": {**plane, "axes": "east_north"}}).ways[0](
        np.array([1000.0]), np.array([2000.0])
    )
    assert east[0] == pytest.approx(4e6 - 2000 * 1.0001, abs=1e-6)
    assert north[0] == pytest.approx(3e5 + 1000 * 1.0001, abs=1e-6)


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from(["east_north", "north_east"]),
    st.floats(-1e6, 1e6),
    st.floats(-1e6, 1e6),
    st.floats(-648_000, 648_000),
    st.floats(-1000, 1000),
)
def test_parameters_from_the_base_lead_back_what_parameters_to_the_base_led_there(
    axes: str, dx: float, dy: float, turn: float, ppm: float
) -> None:
    plane = {"axes": axes, "dx_m": dx, "dy_m": dy, "rotation_s": turn, "scale_ppm": ppm}
    forth = read_system({"base": "EPSG:4547", "plane": plane}).ways[0]
    back = read_system({"base": "EPSG:4547", "plane": {**plane, "direction": "from_base"}}).ways[0]
    x, y = back(*forth(np.array([1234.5]), np.array([-9876.5])))
    assert (x[0], y[0]) == pytest.approx((1234.5, -9876.5), abs=1e-6)


def test_a_local_plane_on_an_old_datum_goes_the_whole_way() -> None:
    project = pyproj.Proj("+proj=tmerc +lon_0=111 +x_0=500000 +ellps=krass")
    east, north = project(112.4, 34.66)
    plane = {"axes": "north_east", "dx_m": 3.8e6, "dy_m": 6e5, "rotation_s": 0, "scale_ppm": 0}
    local = (east - 6e5, north - 3.8e6)
    base = "+proj=tmerc +lon_0=111 +x_0=500000 +ellps=krass +units=m"
    datum = {**NOTHING, "dx_m": 15.8, "dy_m": -154.4, "dz_m": -82.3, "convention": "position_vector"}
    found = read_system({"base": base, "plane": plane, "datum": datum}).to_wgs84(*local)
    helmert = "+proj=longlat +ellps=krass +towgs84=15.8,-154.4,-82.3"
    expected = pyproj.Transformer.from_crs(helmert, 4326, always_xy=True).transform(112.4, 34.66)
    assert metres_apart(found, expected) < 0.01
    assert metres_apart(found, (112.4, 34.66)) > 40


# --- what is refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("declared", "code"),
    [
        ("", SystemCode.UNKNOWN),
        ("2000坐标系", SystemCode.UNKNOWN),
        ("EPSG:999999", SystemCode.UNKNOWN),
        ("EPSG:4326+5773", SystemCode.UNKNOWN),
        ("PROJCS[", SystemCode.UNKNOWN),
        ("+proj=tmerc +lon_0=112 +ellps=none", SystemCode.UNKNOWN),
        ("EPSG:4547 " * TEXT_MAX, SystemCode.UNKNOWN),
        ("EPSG:4978", SystemCode.NOT_FLAT),  # in space
        ("EPSG:5737", SystemCode.NOT_FLAT),  # of heights
        ("EPSG:2379", SystemCode.DATUM_UNKNOWN),  # Xi'an 1980: nothing is published
        ("EPSG:4214", SystemCode.DATUM_UNKNOWN),  # Beijing 1954: several, each somewhere else
        ("+proj=tmerc +lon_0=112.4 +ellps=GRS80 +units=m", SystemCode.DATUM_UNKNOWN),
        ("+proj=tmerc +lon_0=112 +nadgrids=/etc/passwd", SystemCode.NOT_ALLOWED),
        ("+init=/etc/passwd:1", SystemCode.NOT_ALLOWED),
        ("+proj=pipeline +step +proj=merc", SystemCode.NOT_ALLOWED),
        ("+proj=tmerc +datum=../../secret", SystemCode.NOT_ALLOWED),
        (ESRI[:-1] + ',EXTENSION["PROJ4","+proj=tmerc +nadgrids=x"]]', SystemCode.NOT_ALLOWED),
        (ESRI.replace('"Greenwich",0.0', '"Paris",2.33722917'), SystemCode.NOT_ALLOWED),
        ({}, SystemCode.TABLE_INVALID),
        ({"base": 4547}, SystemCode.TABLE_INVALID),
        ({"base": "EPSG:4547", "plane": {"dx_m": 1}}, SystemCode.TABLE_INVALID),
        ({"base": "EPSG:4547", "grid": "x"}, SystemCode.TABLE_INVALID),
        (
            {"base": "EPSG:4547", "plane": dict.fromkeys(("dx_m", "dy_m", "rotation_s", "scale_ppm"), 0)},
            SystemCode.TABLE_INVALID,  # in which order?
        ),
        ({"base": "EPSG:2379", "datum": NOTHING}, SystemCode.TABLE_INVALID),  # turned which way?
        ({"base": "EPSG:2379", "datum": {**NOTHING, "dx_m": math.inf}}, SystemCode.TABLE_INVALID),
        (
            {
                "base": "EPSG:4490",
                "plane": {"axes": "east_north", "dx_m": 0, "dy_m": 0, "rotation_s": 0, "scale_ppm": 0},
            },
            SystemCode.TABLE_INVALID,
        ),
        ({"base": "gcj02"}, SystemCode.UNKNOWN),  # no plane rests on a shifted system
        ({1: 2}, SystemCode.TABLE_INVALID),
    ],
)
def test_what_cannot_be_used_is_refused_with_a_code_and_two_sentences(
    declared: Any, code: SystemCode
) -> None:
    found = refusal(declared)
    assert found.code == code
    assert len(found.sentence_zh) < 600
    assert len(found.sentence_en) < 600
    assert "{" not in found.sentence_zh
    assert any("一" <= letter <= "鿿" for letter in found.sentence_zh)


def test_coordinates_for_which_a_plane_has_no_place_are_refused_and_missing_ones_stay_missing() -> None:
    system = read_system("EPSG:4547")
    with pytest.raises(SystemRefused) as found:
        system.to_wgs84([500_000.0, 1e12], [3_837_000.0, 1e12])
    assert found.value.code == SystemCode.OUT_OF_REACH
    lon, lat = system.to_wgs84([500_000.0, np.nan, 500_000.0], [3_837_000.0, 3_837_000.0, np.nan])
    assert np.isnan(lon).tolist() == np.isnan(lat).tolist() == [False, True, True]
    assert system.to_wgs84([], [])[0].shape == (0,)
    with pytest.raises(CoordinatesError):
        system.to_wgs84([1.0], [1.0, 2.0])


def test_corners_that_neighbours_share_stay_the_same_numbers() -> None:
    system = read_system({"base": "EPSG:4547", "plane": {"axes": "east_north", "dx_m": 1, "dy_m": 2,
                                                         "rotation_s": 30, "scale_ppm": 5}})  # fmt: skip
    chance = np.random.default_rng(41)
    east, north = chance.uniform(3.5e5, 3.6e5, 500), chance.uniform(3.83e6, 3.84e6, 500)
    alone = [system.to_wgs84([x], [y]) for x, y in zip(east, north, strict=True)]
    lon, lat = system.to_wgs84(east, north)
    assert [float(one[0][0]) for one in alone] == lon.tolist()
    assert [float(one[1][0]) for one in alone] == lat.tolist()


def test_the_library_is_not_let_on_the_net() -> None:
    assert not is_network_enabled()
    assert not pyproj.Transformer.from_crs(4214, 4326).is_network_enabled
