"""Whether coordinates carry a tag that is not theirs: the same numbers, read in each system, against what is known.

A wrong tag moves a place by 250 to 1,400 metres, past several cells, always in the same direction. One point proves
nothing; a device whose places, one after the other, lie nowhere near where they should, and all would as another
system, has a wrong tag. What is known of a place is the cell that a person put it in, else the cells its author works
in, else the district. Several captures at one house are one place. It is a suspicion: a person looks at the device.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import msgspec
import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray

from geo.coordinates import convert
from geo.points import Crs, Fix, Source
from geo.regions import Provider

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from geo.cells import Layer

Floats: TypeAlias = NDArray[np.float64]

READINGS = (Crs.WGS84, Crs.GCJ02, Crs.BD09)  # CGCS2000 is the same numbers as WGS-84
LEAST_PLACES = 12  # with fewer nothing is said
ONE_PLACE_M = 20.0  # captures nearer than about this are one place
BESIDE_M = 50.0  # so far off is still where it should be
VAGUE_M = 100.0  # a fix of a larger radius (95 %) tells nothing
_LEAST_SHARE = 0.25  # of the places must lie wrong as they are tagged
_TIMES_BETTER = 4  # and so many times fewer as another system


class Sighting(msgspec.Struct, frozen=True):
    """A fix, and the cells in one of which it should lie. Without any it should lie in the district."""

    fix: Fix
    cells: frozenset[str] = frozenset()
    confirmed: bool = False  # a person has put it there


class Suspicion(msgspec.Struct, frozen=True):
    """A tag that looks wrong. `missed` of `places` lie where they should not, `missed_if` as the likelier system.

    `off_m` and `off_if_m` are the median distances to where they should lie; `confirmed` places were set by persons.
    """

    declared: Crs
    likely: Crs
    places: int
    confirmed: int
    missed: int
    missed_if: int
    off_m: int
    off_if_m: int

    @property
    def sentence_zh(self) -> str:
        """For whoever looks after the devices."""
        return (
            f"近期 {self.places} 处定位标为 {_NAMES[self.declared]},其中 {self.missed} 处不在应在的网格附近"
            f"(偏离中位数约 {self.off_m} 米);若按 {_NAMES[self.likely]} 读取,只有 {self.missed_if} 处不符。"
            "坐标系可能标错了,请核对该设备的应用。"
        )

    @property
    def sentence_en(self) -> str:
        """The same in English."""
        return (
            f"{self.places} places were tagged {_NAMES[self.declared]}; {self.missed} lie off where they should "
            f"(median {self.off_m} m). Read as {_NAMES[self.likely]} only {self.missed_if} would: look at its app."
        )


_NAMES = {Crs.WGS84: "WGS-84", Crs.CGCS2000: "CGCS2000", Crs.GCJ02: "GCJ-02", Crs.BD09: "BD-09"}


def read_as(
    lon: ArrayLike, lat: ArrayLike, provider: Provider = Provider.MAINLAND_HK_MO
) -> dict[Crs, Floats]:
    """Where the same numbers lie when they are read in each system: (n, 2) degrees of WGS-84."""
    return {crs: np.column_stack(convert(lon, lat, crs, Crs.WGS84, provider)) for crs in READINGS}


def reading_of(declared: Crs) -> Crs:
    """The one of `READINGS` that a tag means."""
    return Crs.WGS84 if declared is Crs.CGCS2000 else declared


class Expected:
    """Where fixes should lie in one layer: the ground of sets of cells, in metres, each put together once."""

    def __init__(self, layer: Layer, provider: Provider = Provider.MAINLAND_HK_MO) -> None:
        self._layer = layer
        self._provider = provider
        self._ordinals = {code: ordinal for ordinal, code in enumerate(layer.codes)}
        self._grounds: dict[frozenset[str], shapely.Geometry] = {}

    def suspicions(self, sightings: Iterable[Sighting]) -> list[Suspicion] | None:
        """What the fixes of one device say about its tags: at most one suspicion a tag, in the order of tags.

        None where there are too few places under any tag to say something.
        """
        by_tag: dict[Crs, list[Sighting]] = {}
        for one in sightings:
            if _tells(one.fix):
                by_tag.setdefault(one.fix.crs, []).append(one)
        places = [(crs, self._distinct(by_tag[crs])) for crs in Crs if crs in by_tag]
        enough = [(crs, some) for crs, some in places if len(some) >= LEAST_PLACES]
        if not enough:
            return None
        judged = (self._judge(crs, some) for crs, some in enough)
        return [one for one in judged if one is not None]

    def _judge(self, declared: Crs, places: list[Sighting]) -> Suspicion | None:
        own = reading_of(declared)
        off = self._off_m(places)
        missed = {crs: int((off[crs] > BESIDE_M).sum()) for crs in READINGS}
        likely = min(READINGS, key=lambda crs: missed[crs])
        if missed[own] < _LEAST_SHARE * len(places) or missed[likely] * _TIMES_BETTER > missed[own]:
            return None
        return Suspicion(
            declared=declared,
            likely=likely,
            places=len(places),
            confirmed=sum(one.confirmed for one in places),
            missed=missed[own],
            missed_if=missed[likely],
            off_m=round(float(np.median(off[own]))),
            off_if_m=round(float(np.median(off[likely]))),
        )

    def _distinct(self, sightings: list[Sighting]) -> list[Sighting]:
        """One sighting a place, what a person has put somewhere first."""
        lonlat = np.array([(one.fix.lon, one.fix.lat) for one in sightings])
        squares = np.floor(self._layer.plane.to_metres(lonlat) / ONE_PLACE_M).tolist()
        found: dict[tuple[float, float], Sighting] = {}
        for (east, north), one in zip(squares, sightings, strict=True):
            known = found.get((east, north))
            if known is None or (one.confirmed and not known.confirmed):
                found[east, north] = one
        return list(found.values())

    def _off_m(self, places: list[Sighting]) -> Mapping[Crs, Floats]:
        """For each reading, how far each place lies from where it should; 0 within."""
        grounds = np.array([self._ground(one.cells) for one in places], dtype=object)
        lon = [one.fix.lon for one in places]
        lat = [one.fix.lat for one in places]
        return {
            crs: np.asarray(
                shapely.distance(grounds, shapely.points(self._layer.plane.to_metres(lonlat))),
                dtype=np.float64,
            )
            for crs, lonlat in read_as(lon, lat, self._provider).items()
        }

    def _ground(self, cells: frozenset[str]) -> shapely.Geometry:
        if cells not in self._grounds:
            ordinals = sorted(self._ordinals[code] for code in cells if code in self._ordinals)
            ground = self._layer.geometries[ordinals] if ordinals else self._layer.geometries
            whole = shapely.union_all(self._layer.plane.geometries_to_metres(ground))
            self._grounds[cells] = whole
        return self._grounds[cells]


def _tells(fix: Fix) -> bool:
    """Whether a fix says something about its device: sharp, and not looked up from an address."""
    return fix.source is not Source.ADDRESS and (fix.r95_m is None or fix.r95_m <= VAGUE_M)
