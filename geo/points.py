"""A point as somebody reported it: coordinates, the system they are in, and how sure the device was.

A coordinate without its system is wrong by 250 to 1,400 metres, several cells; so a fix without a tag is
refused rather than guessed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from enum import StrEnum
from typing import Literal, cast

import msgspec


class Crs(StrEnum):
    """The coordinate systems a fix or a layer may be given in."""

    WGS84 = "wgs84"  # raw GPS of Android, iOS and browsers
    CGCS2000 = "cgcs2000"  # the legal national datum; centimetres from WGS-84, so equal here; the tag is kept
    GCJ02 = "gcj02"  # AMap, Tencent
    BD09 = "bd09"  # Baidu


class Source(StrEnum):
    """Where a fix came from."""

    GPS = "gps"
    NETWORK = "network"
    MAP_PIN = "map_pin"
    ADDRESS = "address"


class PointCode(StrEnum):
    """Why a location cannot be used. Stable: phones and reports show them."""

    NOT_AN_OBJECT = "location_not_an_object"
    LON_MISSING = "lon_missing"
    LAT_MISSING = "lat_missing"
    NOT_A_NUMBER = "coordinate_not_a_number"
    LON_OUT_OF_RANGE = "lon_out_of_range"
    LAT_OUT_OF_RANGE = "lat_out_of_range"
    CRS_MISSING = "crs_missing"
    CRS_UNKNOWN = "crs_unknown"
    ACCURACY_INVALID = "accuracy_invalid"
    CONFIDENCE_INVALID = "confidence_invalid"
    SOURCE_MISSING = "source_missing"
    SOURCE_UNKNOWN = "source_unknown"


class PointFault(msgspec.Struct, frozen=True):
    """One thing wrong with a location: the field and a stable code."""

    field: str
    code: PointCode


class PointError(ValueError):
    """A location that cannot be used; `faults` lists everything wrong with it."""

    def __init__(self, faults: tuple[PointFault, ...]) -> None:
        super().__init__("; ".join(f"{fault.field}: {fault.code}" for fault in faults))
        self.faults = faults

    @property
    def code(self) -> PointCode:
        """The first fault's code."""
        return self.faults[0].code


# A radius is the distance within which the true place lies with this probability, in a two-dimensional normal
# distribution: r68 = 1.51 σ, r95 = 2.45 σ.
SIGMAS_AT_68 = 1.51
SIGMAS_AT_95 = 2.45


class Fix(msgspec.Struct, frozen=True):
    """A reported place. Degrees; `accuracy_m` is the device's own radius at `confidence` per cent.

    Android means 68 per cent, browsers 95, iOS does not say (None).
    """

    lon: float
    lat: float
    crs: Crs
    accuracy_m: float | None = None
    confidence: Literal[68, 95] | None = None
    source: Source = Source.GPS

    def __post_init__(self) -> None:
        """Refuse a fix that could not be assigned, however it was made. Raises `PointError`."""
        if self._is_plain():
            return
        faults = faults_of(msgspec.structs.asdict(self))
        if faults:
            raise PointError(faults)

    def _is_plain(self) -> bool:
        # What nearly every fix is, seen in passing; `faults_of` judges all others.
        accuracy: object = self.accuracy_m
        confidence: object = self.confidence
        return (
            type(self.lon) is float
            and type(self.lat) is float
            and -180.0 <= self.lon <= 180.0
            and -90.0 <= self.lat <= 90.0
            and type(self.crs) is Crs
            and type(self.source) is Source
            and (confidence is None or (type(confidence) is int and confidence in (68, 95)))
            and (accuracy is None or (type(accuracy) is float and 0.0 <= accuracy < math.inf))
        )

    @property
    def sigma_m(self) -> float | None:
        """Standard deviation per axis in metres, or None when the device gave no radius.

        An unstated confidence is read as 68 per cent: the reading that trusts the device least.
        """
        if self.accuracy_m is None:
            return None
        return self.accuracy_m / (SIGMAS_AT_95 if self.confidence == 95 else SIGMAS_AT_68)

    @property
    def r95_m(self) -> float | None:
        """Radius in metres within which the true place lies with 95 per cent, or None."""
        sigma = self.sigma_m
        return None if sigma is None else sigma * SIGMAS_AT_95


_CRS_BY_WORD = {str(word): word for word in Crs}
_SOURCE_BY_WORD = {str(word): word for word in Source}


def _are_floats(raw: dict[str, object]) -> bool:
    accuracy = raw.get("accuracy_m")
    return (
        type(raw.get("lon")) is float
        and type(raw.get("lat")) is float
        and (accuracy is None or type(accuracy) is float)
    )


def read_fix(raw: object) -> Fix:
    """Make a fix from decoded JSON; unknown keys are ignored. Raises `PointError` with every fault."""
    if type(raw) is dict and _are_floats(raw):
        try:
            crs, source = _CRS_BY_WORD[raw["crs"]], _SOURCE_BY_WORD[raw["source"]]
        except (KeyError, TypeError):  # a word that is missing, unknown, or no word at all
            pass
        else:
            return Fix(raw["lon"], raw["lat"], crs, raw.get("accuracy_m"), raw.get("confidence"), source)
    faults = faults_of(raw)
    if faults:
        raise PointError(faults)
    known = cast("Mapping[str, object]", raw)
    accuracy = cast("float | None", known.get("accuracy_m"))
    return Fix(
        lon=float(cast("float", known["lon"])),
        lat=float(cast("float", known["lat"])),
        crs=Crs(cast("str", known["crs"])),
        accuracy_m=None if accuracy is None else float(accuracy),
        confidence=cast("Literal[68, 95] | None", known.get("confidence")),
        source=Source(cast("str", known["source"])),
    )


def faults_of(raw: object) -> tuple[PointFault, ...]:
    """Everything wrong with a location as received; empty when it can become a `Fix`."""
    if not isinstance(raw, Mapping):
        return (PointFault("location", PointCode.NOT_AN_OBJECT),)
    faults = [
        _coordinate_fault("lon", raw.get("lon"), 180.0, PointCode.LON_MISSING, PointCode.LON_OUT_OF_RANGE),
        _coordinate_fault("lat", raw.get("lat"), 90.0, PointCode.LAT_MISSING, PointCode.LAT_OUT_OF_RANGE),
        _word_fault("crs", raw.get("crs"), Crs, PointCode.CRS_MISSING, PointCode.CRS_UNKNOWN),
        _accuracy_fault(raw.get("accuracy_m")),
        _confidence_fault(raw.get("confidence")),
        _word_fault("source", raw.get("source"), Source, PointCode.SOURCE_MISSING, PointCode.SOURCE_UNKNOWN),
    ]
    return tuple(fault for fault in faults if fault is not None)


def _coordinate_fault(
    field: str, value: object, limit: float, missing: PointCode, out_of_range: PointCode
) -> PointFault | None:
    if value is None:
        return PointFault(field, missing)
    number = _number(value)
    if number is None:
        return PointFault(field, PointCode.NOT_A_NUMBER)
    return PointFault(field, out_of_range) if abs(number) > limit else None


_WORDS: dict[type[StrEnum], frozenset[str]] = {
    words: frozenset(str(word) for word in words) for words in (Crs, Source)
}


def _word_fault(
    field: str, value: object, words: type[StrEnum], missing: PointCode, unknown: PointCode
) -> PointFault | None:
    if value is None or value == "":
        return PointFault(field, missing)
    if not isinstance(value, str) or value not in _WORDS[words]:
        return PointFault(field, unknown)
    return None


def _accuracy_fault(value: object) -> PointFault | None:
    if value is None:
        return None
    number = _number(value)
    if number is None or number < 0:
        return PointFault("accuracy_m", PointCode.ACCURACY_INVALID)
    return None


def _confidence_fault(value: object) -> PointFault | None:
    if value is None or (type(value) is int and value in (68, 95)):
        return None
    return PointFault("confidence", PointCode.CONFIDENCE_INVALID)


def _number(value: object) -> float | None:
    # bool is an int to Python, but `true` is no coordinate.
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:  # an integer of 400 digits is valid JSON
        return None
    return number if math.isfinite(number) else None
