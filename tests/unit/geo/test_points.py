"""A location as received becomes a fix, or says everything that is wrong with it."""

import json
import math

import msgspec
import pytest

from geo.points import Crs, Fix, PointCode, PointError, Source, faults_of, read_fix

PHONE = {"lon": 112.4, "lat": 34.66, "crs": "wgs84", "accuracy_m": 12, "confidence": 68, "source": "gps"}


def test_a_phone_location_becomes_a_fix() -> None:
    assert read_fix(PHONE) == Fix(112.4, 34.66, Crs.WGS84, 12.0, 68, Source.GPS)


def test_a_fix_survives_json() -> None:
    fix = read_fix(PHONE)
    assert msgspec.json.decode(msgspec.json.encode(fix), type=Fix) == fix


@pytest.mark.parametrize(
    ("change", "field", "code"),
    [
        ({"crs": None}, "crs", PointCode.CRS_MISSING),  # never guessed: a wrong tag is a wrong cell
        ({"crs": ""}, "crs", PointCode.CRS_MISSING),
        ({"crs": "WGS84"}, "crs", PointCode.CRS_UNKNOWN),
        ({"crs": ["wgs84"]}, "crs", PointCode.CRS_UNKNOWN),
        ({"lon": None}, "lon", PointCode.LON_MISSING),
        ({"lat": None}, "lat", PointCode.LAT_MISSING),
        ({"lon": math.nan}, "lon", PointCode.NOT_A_NUMBER),
        ({"lat": math.inf}, "lat", PointCode.NOT_A_NUMBER),
        ({"lon": "112.4"}, "lon", PointCode.NOT_A_NUMBER),
        ({"lat": True}, "lat", PointCode.NOT_A_NUMBER),
        ({"lon": 10**400}, "lon", PointCode.NOT_A_NUMBER),
        ({"lon": 180.0001}, "lon", PointCode.LON_OUT_OF_RANGE),
        ({"lat": -90.0001}, "lat", PointCode.LAT_OUT_OF_RANGE),
        ({"accuracy_m": -1}, "accuracy_m", PointCode.ACCURACY_INVALID),
        ({"accuracy_m": math.nan}, "accuracy_m", PointCode.ACCURACY_INVALID),
        ({"confidence": 90}, "confidence", PointCode.CONFIDENCE_INVALID),
        ({"confidence": 68.0}, "confidence", PointCode.CONFIDENCE_INVALID),
        ({"source": None}, "source", PointCode.SOURCE_MISSING),
        ({"source": "wifi"}, "source", PointCode.SOURCE_UNKNOWN),
    ],
)
def test_a_location_that_cannot_be_used_says_which_field_and_why(
    change: dict[str, object], field: str, code: PointCode
) -> None:
    with pytest.raises(PointError) as refused:
        read_fix({**PHONE, **change})
    assert [(fault.field, fault.code) for fault in refused.value.faults] == [(field, code)]
    assert refused.value.code == code


def test_every_fault_is_told_at_once() -> None:
    codes = [fault.code for fault in faults_of({"lon": 200, "lat": None, "source": "gps"})]
    assert codes == [PointCode.LON_OUT_OF_RANGE, PointCode.LAT_MISSING, PointCode.CRS_MISSING]


@pytest.mark.parametrize("raw", [None, [], "112.4,34.66", 3])
def test_something_that_is_no_object_is_no_location(raw: object) -> None:
    assert [fault.code for fault in faults_of(raw)] == [PointCode.NOT_AN_OBJECT]


def test_a_fix_with_a_coordinate_off_the_earth_cannot_exist() -> None:
    with pytest.raises(PointError):
        Fix(math.nan, 34.0, Crs.WGS84)
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(json.dumps({**PHONE, "lat": 91}), type=Fix)


def test_radii_of_android_and_browser_are_brought_to_one_meaning() -> None:
    android = Fix(112.4, 34.66, Crs.WGS84, 15.1, 68)
    browser = Fix(112.4, 34.66, Crs.WGS84, 24.5, 95)
    assert android.sigma_m == pytest.approx(10.0)
    assert browser.sigma_m == pytest.approx(10.0)
    assert android.r95_m == pytest.approx(24.5)


def test_a_radius_of_unstated_confidence_is_trusted_least() -> None:
    unstated = Fix(112.4, 34.66, Crs.WGS84, 10.0)
    assert unstated.r95_m == Fix(112.4, 34.66, Crs.WGS84, 10.0, 68).r95_m
    assert Fix(112.4, 34.66, Crs.WGS84).r95_m is None
