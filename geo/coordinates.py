"""Conversions between WGS-84, CGCS2000, GCJ-02 and BD-09, and a local plane in metres.

No formula of GCJ-02 or BD-09 is published officially; these agree with the public implementations.

Theory. Both shifted systems add a small displacement to the system below them: gcj = wgs + d(wgs),
bd = gcj + e(gcj). Outside the region where maps are shifted the displacement is zero. A sharp border would
put two places on one coordinate along half of it, and no inverse could tell them apart; so the displacement
fades to nothing over `FADE_DEGREES` outside the region. The forward map is then continuous, its displacement
changes by less than 1/20 per unit, and the fixed-point iteration q ← p − d(q) gains more than a digit a step,
everywhere, border included. The number of steps is fixed, so that one input always gives the same bits.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import msgspec
import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray

from geo.points import Crs

Floats: TypeAlias = NDArray[np.float64]
Geometries: TypeAlias = NDArray[np.object_]
Pair: TypeAlias = tuple[Floats, Floats]

INVERSE_STEPS = 5
FADE_DEGREES = 0.5

# Krasovsky 1940, as the public implementations of GCJ-02 use it.
_SEMI_MAJOR_M = 6378245.0
_ECCENTRICITY_SQUARED = 0.00669342162296594323

# Where maps are shifted: drawn roughly and generously, with few corners, around the mainland, Hong Kong and
# Macau. It decides only whether a tagged coordinate carries a shift; it states nothing about any boundary.
_SHIFTED_REGION = shapely.Polygon(
    [
        (135.4, 48.6), (133.4, 44.7), (131.5, 44.7), (131.2, 42.2), (129.6, 42.0), (128.3, 41.1),
        (126.5, 41.0), (124.6, 39.6), (122.5, 38.2), (123.2, 37.0), (121.6, 35.0), (123.2, 31.6),
        (123.2, 29.9), (122.4, 28.2), (121.2, 26.8), (120.3, 25.8), (120.0, 25.1), (118.9, 24.3),
        (117.2, 23.0), (115.0, 22.0), (113.5, 21.4), (111.5, 20.9), (111.4, 19.2), (110.3, 17.9),
        (108.4, 17.9), (108.2, 19.4), (108.6, 21.2), (107.9, 21.3), (106.6, 21.7), (106.3, 22.6),
        (105.3, 22.8), (104.0, 22.2), (102.4, 22.1), (101.9, 20.9), (100.9, 21.0), (99.6, 21.7),
        (98.6, 22.9), (98.4, 23.7), (97.3, 23.7), (97.3, 24.7), (97.9, 25.7), (98.3, 27.3),
        (97.2, 27.7), (95.5, 26.9), (94.2, 26.7), (92.0, 26.6), (91.5, 27.5), (89.0, 27.0),
        (88.0, 27.6), (85.8, 27.7), (83.5, 28.8), (81.2, 29.7), (80.7, 30.1), (78.4, 31.1),
        (78.3, 32.5), (77.9, 34.5), (77.5, 35.2), (75.7, 36.3), (74.3, 36.8), (73.2, 38.4),
        (73.2, 39.9), (75.7, 40.6), (78.3, 41.4), (79.8, 42.1), (79.8, 43.1), (80.3, 45.2),
        (82.2, 45.9), (82.6, 47.4), (85.2, 47.4), (85.2, 48.6), (87.0, 49.5), (88.2, 49.5),
        (90.4, 48.0), (91.3, 46.7), (91.3, 45.5), (93.5, 45.3), (95.7, 44.6), (96.6, 43.1),
        (101.0, 42.9), (105.0, 41.9), (107.5, 42.8), (110.5, 43.1), (111.6, 43.9), (111.4, 45.1),
        (114.0, 45.3), (116.1, 46.7), (119.4, 46.9), (118.0, 47.8), (115.4, 47.6), (116.4, 50.1),
        (119.0, 50.4), (120.4, 52.1), (119.9, 52.9), (123.5, 53.8), (126.0, 53.2), (127.9, 50.3),
        (130.8, 49.2), (131.2, 48.1), (134.7, 48.8),
    ]
)  # fmt: skip
shapely.prepare(_SHIFTED_REGION)


class CoordinatesError(ValueError):
    """Longitudes and latitudes of different shapes cannot be pairs."""


def convert(lon: ArrayLike, lat: ArrayLike, source: Crs, target: Crs) -> Pair:
    """Convert arrays of degrees, both of one shape. NaN stays NaN; inputs are not changed."""
    x, y = np.array(lon, dtype=np.float64), np.array(lat, dtype=np.float64)
    if x.shape != y.shape:
        raise CoordinatesError(f"{x.shape} longitudes, {y.shape} latitudes")
    shape = x.shape
    pair = (x.reshape(-1), y.reshape(-1))
    have, want = _RANK[source], _RANK[target]
    while have < want:
        pair = _FORWARD[have](*pair)
        have += 1
    while have > want:
        have -= 1
        pair = _INVERSE[have](*pair)
    return pair[0].reshape(shape), pair[1].reshape(shape)


def convert_point(lon: float, lat: float, source: Crs, target: Crs) -> tuple[float, float]:
    """Convert one point; the same bits as the bulk form."""
    if _RANK[source] == _RANK[target]:
        return lon, lat
    x, y = convert([lon], [lat], source, target)
    return float(x[0]), float(y[0])


def shifted_share(lon: ArrayLike, lat: ArrayLike) -> Floats:
    """How much of the shift applies at each place: 1 where maps are shifted, 0 far away, fading between."""
    x, y = np.asarray(lon, dtype=np.float64), np.asarray(lat, dtype=np.float64)
    known = np.isfinite(x) & np.isfinite(y)
    share = np.where(known, 1.0, np.nan)
    away = known & ~np.asarray(shapely.intersects_xy(_SHIFTED_REGION, x, y), dtype=bool)
    if away.any():
        distance = shapely.distance(_SHIFTED_REGION, shapely.points(x[away], y[away]))
        share[away] = np.clip(1.0 - distance / FADE_DEGREES, 0.0, 1.0)
    return share


def _gcj_shift(lon: Floats, lat: Floats) -> Pair:
    x, y = lon - 105.0, lat - 35.0
    root = np.sqrt(np.abs(x))
    common = 20.0 * np.sin(6.0 * np.pi * x) + 20.0 * np.sin(2.0 * np.pi * x)
    north = -100.0 + 2.0 * x + 3.0 * y + 0.2 * y * y + 0.1 * x * y + 0.2 * root
    north += (common + 20.0 * np.sin(np.pi * y) + 40.0 * np.sin(np.pi * y / 3.0)) * 2.0 / 3.0
    north += (160.0 * np.sin(np.pi * y / 12.0) + 320.0 * np.sin(np.pi * y / 30.0)) * 2.0 / 3.0
    east = 300.0 + x + 2.0 * y + 0.1 * x * x + 0.1 * x * y + 0.1 * root
    east += (common + 20.0 * np.sin(np.pi * x) + 40.0 * np.sin(np.pi * x / 3.0)) * 2.0 / 3.0
    east += (150.0 * np.sin(np.pi * x / 12.0) + 300.0 * np.sin(np.pi * x / 30.0)) * 2.0 / 3.0
    latitude = np.radians(lat)
    magic = 1.0 - _ECCENTRICITY_SQUARED * np.sin(latitude) ** 2
    meridian = _SEMI_MAJOR_M * (1.0 - _ECCENTRICITY_SQUARED) / (magic * np.sqrt(magic))
    parallel = _SEMI_MAJOR_M / np.sqrt(magic) * np.cos(latitude)
    return np.degrees(east / parallel), np.degrees(north / meridian)


def _bd_shift(lon: Floats, lat: Floats) -> Pair:
    wobble = np.pi * 3000.0 / 180.0
    radius = np.hypot(lon, lat) + 0.00002 * np.sin(lat * wobble)
    angle = np.arctan2(lat, lon) + 0.000003 * np.cos(lon * wobble)
    return radius * np.cos(angle) + 0.0065 - lon, radius * np.sin(angle) + 0.006 - lat


_Shift: TypeAlias = Callable[[Floats, Floats], Pair]


def _faded(shift: _Shift) -> _Shift:
    """The displacement where maps are shifted, none far away. Far points are not even computed."""

    def displacement(lon: Floats, lat: Floats) -> Pair:
        share = shifted_share(lon, lat)
        near = share != 0.0  # NaN is not zero, and so stays NaN
        east, north = np.zeros(lon.shape), np.zeros(lat.shape)
        inside = shift(lon[near], lat[near])
        east[near], north[near] = inside[0] * share[near], inside[1] * share[near]
        return east, north

    return displacement


def _forward(shift: _Shift) -> _Shift:
    def forward(lon: Floats, lat: Floats) -> Pair:
        east, north = shift(lon, lat)
        return lon + east, lat + north

    return forward


def _inverse(shift: _Shift) -> _Shift:
    def inverse(lon: Floats, lat: Floats) -> Pair:
        x, y = lon, lat
        for _ in range(INVERSE_STEPS + 1):  # the first guess, then the fixed number of steps
            east, north = shift(x, y)
            x, y = lon - east, lat - north
        return x, y

    return inverse


# The systems form a chain; the rank is the number of shifts between a system and the earth.
_RANK = {Crs.WGS84: 0, Crs.CGCS2000: 0, Crs.GCJ02: 1, Crs.BD09: 2}
_SHIFTS = (_faded(_gcj_shift), _faded(_bd_shift))
_FORWARD = tuple(_forward(shift) for shift in _SHIFTS)
_INVERSE = tuple(_inverse(shift) for shift in _SHIFTS)


class LocalPlane(msgspec.Struct, frozen=True):
    """A flat plane in metres around one place: good to about 0.3 per cent over a district.

    The map is one multiplication per axis, so vertices that are equal in degrees stay equal in metres.
    """

    lon0: float
    lat0: float
    east_m: float  # metres per degree of longitude
    north_m: float  # metres per degree of latitude

    @classmethod
    def around(cls, lon0: float, lat0: float) -> LocalPlane:
        """The plane that touches the WGS-84 ellipsoid at a place (degrees)."""
        phi = math.radians(lat0)
        return cls(
            lon0=lon0,
            lat0=lat0,
            east_m=111412.84 * math.cos(phi) - 93.5 * math.cos(3 * phi) + 0.118 * math.cos(5 * phi),
            north_m=111132.92 - 559.82 * math.cos(2 * phi) + 1.175 * math.cos(4 * phi),
        )

    def to_metres(self, lonlat: Floats) -> Floats:
        """(n, 2) degrees to (n, 2) metres."""
        return (lonlat - (self.lon0, self.lat0)) * (self.east_m, self.north_m)

    def geometries_to_metres(self, geometries: Geometries) -> Geometries:
        """An array of geometries in degrees, moved onto the plane."""
        return np.asarray(shapely.transform(geometries, self.to_metres), dtype=object)

    def to_degrees(self, xy: Floats) -> Floats:
        """(n, 2) metres to (n, 2) degrees."""
        return xy / (self.east_m, self.north_m) + (self.lon0, self.lat0)
