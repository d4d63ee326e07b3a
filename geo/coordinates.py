"""Conversions between WGS-84, CGCS2000, GCJ-02 and BD-09, and a local plane in metres.

Theory. Both shifted systems add a small displacement to the system below them: gcj = wgs + d(wgs), bd = gcj + e(gcj)
(`geo.shifts`), in the region where maps are shifted, fading to nothing around it (`geo.regions`). So the forward map
is continuous, its displacement changes by less than 1/20 per unit, and the fixed-point iteration q ← p − d(q) gains
more than a digit a step, border included; by three fifths in the narrow fade, where more steps are taken. Their
number is fixed: one input gives the same bits, alone or among a million, and inside the region, where no library's
sine or distance is asked, on every machine.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Protocol, TypeAlias

import msgspec
import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray

from geo.points import Crs
from geo.regions import LOST, NONE, RIM, WHOLE, Provider, Region, region_of
from geo.shifts import Pair, T, bd_shift, gcj_shift

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Floats: TypeAlias = NDArray[np.float64]
Geometries: TypeAlias = NDArray[np.object_]

INVERSE_STEPS = 5  # after the first guess
_FEW = 8  # are converted one by one
_BLOCK = 8192  # so many points and what is worked out of them fit the cache


class CoordinatesError(ValueError):
    """Longitudes and latitudes of different shapes cannot be pairs."""


def convert(
    lon: ArrayLike,
    lat: ArrayLike,
    source: Crs,
    target: Crs,
    provider: Provider = Provider.MAINLAND_HK_MO,
) -> Pair:
    """Convert arrays of degrees, both of one shape. NaN stays NaN; inputs are not changed.

    `provider` says where GCJ-02 is shifted. BD-09 is one provider's own, and is shifted in the whole region.
    """
    x, y = np.array(lon, dtype=np.float64), np.array(lat, dtype=np.float64)
    if x.shape != y.shape:
        raise CoordinatesError(f"{x.shape} longitudes, {y.shape} latitudes")
    way = _way(source, target, provider)
    flat_x, flat_y = x.reshape(-1), y.reshape(-1)
    if not way:
        return x, y
    if flat_x.size <= _FEW:
        for i, place in enumerate(zip(flat_x.tolist(), flat_y.tolist(), strict=True)):
            flat_x[i], flat_y[i] = _point(way, *place)
        return flat_x.reshape(x.shape), flat_y.reshape(y.shape)
    for begin in range(0, flat_x.size, _BLOCK):
        block = slice(begin, begin + _BLOCK)
        pair = flat_x[block], flat_y[block]
        for step in way:
            pair = step.apply(*pair)
        flat_x[block], flat_y[block] = pair
    return flat_x.reshape(x.shape), flat_y.reshape(y.shape)


def convert_point(
    lon: float,
    lat: float,
    source: Crs,
    target: Crs,
    provider: Provider = Provider.MAINLAND_HK_MO,
) -> tuple[float, float]:
    """Convert one point; the same bits as the bulk form."""
    return _point(_way(source, target, provider), float(lon), float(lat))


def _point(way: Sequence[_Step], lon: float, lat: float) -> tuple[float, float]:
    for step in way:
        lon, lat = step.apply_to_one(lon, lat)
    return lon, lat


def shifted_share(lon: ArrayLike, lat: ArrayLike, provider: Provider = Provider.MAINLAND_HK_MO) -> Floats:
    """How much of the shift applies at each place: 1 where maps are shifted, 0 far away, fading between."""
    return region_of(provider).share(lon, lat)


class _Shift(Protocol):
    def __call__(self, lon: T, lat: T) -> tuple[T, T]: ...


class _Step(msgspec.Struct, frozen=True):
    """One shift put on or taken off, where a region has it."""

    shift: _Shift
    region: Region
    forward: bool

    def apply_to_one(self, lon: float, lat: float) -> tuple[float, float]:
        """One place, in a twentieth of the time that an array of one takes; the same bits."""
        kind = self.region.kind(lon, lat)
        if kind == WHOLE:
            return self._moved(self.shift, INVERSE_STEPS + 1, lon, lat)
        if kind == NONE:
            return lon, lat
        x, y = self.apply(np.array([lon]), np.array([lat]))
        return float(x[0]), float(y[0])

    def apply(self, lon: Floats, lat: Floats) -> Pair:
        """Places before to places after."""
        kinds = self.region.kinds(lon, lat)
        if not kinds.any():  # all are WHOLE, as nearly always
            return self._moved(self.shift, INVERSE_STEPS + 1, lon, lat)
        x, y = lon.copy(), lat.copy()
        whole, rim = np.flatnonzero(kinds == WHOLE), np.flatnonzero(kinds == RIM)
        if whole.size:
            x[whole], y[whole] = self._moved(self.shift, INVERSE_STEPS + 1, lon[whole], lat[whole])
        if rim.size:
            x[rim], y[rim] = self._moved(self._faded, self.region.steps, lon[rim], lat[rim])
        x[kinds == LOST], y[kinds == LOST] = np.nan, np.nan
        return x, y

    def _moved(self, shift: Callable[[T, T], tuple[T, T]], steps: int, lon: T, lat: T) -> tuple[T, T]:
        east, north = shift(lon, lat)
        if self.forward:
            return lon + east, lat + north
        for _ in range(steps - 1):
            east, north = shift(lon - east, lat - north)
        return lon - east, lat - north

    def _faded(self, lon: Floats, lat: Floats) -> Pair:
        share = self.region.share(lon, lat)
        east, north = self.shift(lon, lat)
        return east * share, north * share


def _way(source: Crs, target: Crs, provider: Provider) -> list[_Step]:
    """The shifts to take off and to put on; the fewest."""
    off, on = _shifts_of(source, provider), _shifts_of(target, provider)
    while off and on and off[0] == on[0]:
        del off[0], on[0]
    return [_Step(shift, region, forward=False) for shift, region in reversed(off)] + [
        _Step(shift, region, forward=True) for shift, region in on
    ]


def _shifts_of(crs: Crs, provider: Provider) -> list[tuple[_Shift, Region]]:
    """The shifts between the earth and a system, in the order in which they are put on."""
    if crs is Crs.GCJ02:
        return [(gcj_shift, region_of(provider))]
    if crs is Crs.BD09:
        region = region_of(Provider.MAINLAND_HK_MO)
        return [(gcj_shift, region), (bd_shift, region)]
    return []


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
