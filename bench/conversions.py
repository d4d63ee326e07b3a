"""Points from one coordinate system to another, beside the bare sines of the published formula."""

import numpy as np

from bench.figures import Figure, Scale, cpu_rate, median
from geo.coordinates import INVERSE_STEPS, Floats, convert
from geo.points import Crs
from geo.regions import Provider, region_of

# The angles of the sines and cosines in the formula of GCJ-02, as public implementations take them one by one.
_OF_X = (6.0, 2.0, 1.0, 1 / 3, 1 / 12, 1 / 30)
_OF_Y = (1.0, 1 / 3, 1 / 12, 1 / 30)
_BLOCK = 8192


def _points(count: int) -> tuple[Floats, Floats]:
    """All over a city."""
    chance = np.random.default_rng(9)
    return chance.uniform(112.0, 112.6, count), chance.uniform(34.0, 34.6, count)


def _sines(lon: Floats, lat: Floats, times: int) -> None:
    """Nothing but the twelve, block by block, so many times."""
    for begin in range(0, len(lon), _BLOCK):
        x, y = lon[begin : begin + _BLOCK] - 105.0, lat[begin : begin + _BLOCK]
        for _ in range(times):
            for factor in _OF_X:
                np.sin(x * (np.pi * factor))
            for factor in _OF_Y:
                np.sin(y * (np.pi * factor))
            angle = np.radians(y)
            np.sin(angle)
            np.cos(angle)


def _convert(name: str, scale: Scale, source: Crs, target: Crs, *, sines: int, goal: str) -> Figure:
    lon, lat = _points(scale.points)
    region_of(Provider.MAINLAND_HK_MO)  # its tiles are made once a process

    ours: list[float] = []
    limits: list[float] = []
    for _ in range(scale.runs):
        limits.append(cpu_rate(scale.points, lambda: _sines(lon, lat, sines)))
        ours.append(cpu_rate(scale.points, lambda: convert(lon, lat, source, target)))
    value, limit = median(ours), median(limits)
    return Figure(
        name,
        value,
        "points/CPU-s",
        limit,
        value / limit,
        goal,
        f"{scale.points} points of a city, {source} to {target}; limit: the 12 sines of the formula in numpy, "
        f"{sines} times; median of {scale.runs}",
    )


def convert_forward(scale: Scale) -> Figure:
    """WGS-84 to GCJ-02, all at once."""
    return _convert(
        "convert_forward", scale, Crs.WGS84, Crs.GCJ02, sines=1, goal="ratio ≥ 1, value ≥ 4000000"
    )


def convert_inverse(scale: Scale) -> Figure:
    """And back, in its fixed number of steps."""
    steps = INVERSE_STEPS + 1
    return _convert(
        "convert_inverse", scale, Crs.GCJ02, Crs.WGS84, sines=steps, goal="ratio ≥ 1, value ≥ 1000000"
    )
