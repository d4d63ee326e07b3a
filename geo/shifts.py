"""By how much GCJ-02 and BD-09 move a place, in degrees: the formulas, without a sine that is a library's.

No formula of GCJ-02 or BD-09 is published officially; these agree with the public implementations, to 1e-13 degrees.

Theory. The sines that GCJ-02 adds up are those of 6, 15, 60, 180, 360 and 1080 times one angle, as many degrees as the
place lies off 105 E or 35 N. One series gives sine and cosine of that angle, and the identities for twice, three times
and the sum give the others; each is a multiplication or two, where a library's sine is thirty. And since nothing is
left but additions, multiplications, divisions and square roots, which IEEE 754 rounds in one way only, every machine
gives the same bits.

Valid for places up to 40 degrees east or west of 105 E and up to 40 degrees north or south of 35 N. Each function
takes a float or an array of them; the bits are the same.
"""

from __future__ import annotations

import math
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Pair: TypeAlias = tuple[Floats, Floats]
T = TypeVar("T", float, Floats)

# Krasovsky 1940, as the public implementations of GCJ-02 use it.
_SEMI_MAJOR_M = 6378245.0
_ECCENTRICITY_SQUARED = 0.00669342162296594323
_DEGREES = 180.0 / math.pi  # in a radian
_LON0, _LAT0 = 105.0, 35.0
# The sine and cosine of 35 degrees, as digits: a library's last bit may differ.
_SIN_LAT0, _COS_LAT0 = 0.573576436351046, 0.8191520442889918

# The series, the last term first; good to 1e-16 up to 0.8 (46 degrees).
_SINE = tuple((-1.0) ** n / math.factorial(2 * n + 1) for n in range(7, 0, -1))
_COSINE = tuple((-1.0) ** n / math.factorial(2 * n) for n in range(8, 0, -1))


def gcj_shift(lon: T, lat: T) -> tuple[T, T]:
    """From a WGS-84 place to where GCJ-02 puts it."""
    x, y = lon - _LON0, lat - _LAT0
    sin_x, cos_x = _sine_cosine(x / _DEGREES)
    sin_y, cos_y = _sine_cosine(y / _DEGREES)
    x6, x15, x60, x180, cos_x180 = _multiples(sin_x, cos_x)
    y6, y15, y60, y180, _ = _multiples(sin_y, cos_y)
    x360 = 2.0 * x180 * cos_x180
    waves = x360 + x360 * (3.0 - 4.0 * x360 * x360)  # of 360 and of 1080 degrees
    root, across = _root(abs(x)), 0.1 * x * y
    north = -100.0 + 2.0 * x + (3.0 + 0.2 * y) * y + across + 0.2 * root
    north += (20.0 * (waves + y180) + 40.0 * y60 + 160.0 * y15 + 320.0 * y6) * (2.0 / 3.0)
    east = 300.0 + (1.0 + 0.1 * x) * x + 2.0 * y + across + 0.1 * root
    east += (20.0 * (waves + x180) + 40.0 * x60 + 150.0 * x15 + 300.0 * x6) * (2.0 / 3.0)
    # From metres to degrees, by how the ellipsoid is curved along the meridian and along the parallel.
    cos_lat = _COS_LAT0 * cos_y - _SIN_LAT0 * sin_y
    magic = (1.0 - _ECCENTRICITY_SQUARED) + _ECCENTRICITY_SQUARED * (cos_lat * cos_lat)
    per_metre = _root(magic) * (_DEGREES / _SEMI_MAJOR_M)
    return east * per_metre / cos_lat, north * (per_metre * magic / (1.0 - _ECCENTRICITY_SQUARED))


def bd_shift(lon: T, lat: T) -> tuple[T, T]:
    """From a GCJ-02 place to where BD-09 puts it.

    It turns a place around 0, 0 by 3e-6 times a cosine and pulls it outwards by 2e-5 times a sine, both of 3000 times
    the coordinate. So small an angle is its own sine, and the direction of the place need not be known.
    """
    turn = 3e-6 * _sine_cosine_3000(lon)[1]
    stretch = 1.0 + 2e-5 * _sine_cosine_3000(lat)[0] / _root(lon * lon + lat * lat)
    kept = stretch * (1.0 - 0.5 * turn * turn) - 1.0
    turned = stretch * turn
    return lon * kept - lat * turned + 0.0065, lat * kept + lon * turned + 0.006


def _sine_cosine(angle: T) -> tuple[T, T]:
    """Of angles up to 0.8, by their series."""
    square = angle * angle
    return angle + angle * _series(square, _SINE), 1.0 + _series(square, _COSINE)


def _series(square: T, terms: tuple[float, ...]) -> T:
    value = square * terms[0]
    for term in terms[1:]:
        value += term
        value *= square
    return value


def _multiples(sine: T, cosine: T) -> tuple[T, T, T, T, T]:
    """The sines of 6, 15, 60 and 180 times an angle, and the cosine of 180 times it."""
    sin3 = sine * (3.0 - 4.0 * sine * sine)
    cos3 = cosine * (4.0 * cosine * cosine - 3.0)
    sin6, cos6 = _double(sin3, cos3)
    sin12, cos12 = _double(sin6, cos6)
    sin15, cos15 = sin12 * cos3 + cos12 * sin3, cos12 * cos3 - sin12 * sin3
    sin60, cos60 = _double(*_double(sin15, cos15))
    sin180 = sin60 * (3.0 - 4.0 * sin60 * sin60)
    return sin6, sin15, sin60, sin180, cos60 * (4.0 * cos60 * cos60 - 3.0)


def _double(sine: T, cosine: T) -> tuple[T, T]:
    return 2.0 * sine * cosine, 1.0 - 2.0 * sine * sine


def _sine_cosine_3000(degrees: T) -> tuple[T, T]:
    """Of 3000 times so many degrees: whole turns taken off, the quarter of the rest by its series."""
    turns = degrees * (3000.0 / 360.0)
    turns -= _whole(turns)
    return _double(*_double(*_sine_cosine(turns * (0.5 * math.pi))))


def _root(value: Any) -> Any:
    return math.sqrt(value) if isinstance(value, float) else np.sqrt(value)


def _whole(value: Any) -> Any:
    return round(value) if isinstance(value, float) else np.rint(value)
