"""Addresses of the district's list, found by what somebody typed: the same answer in the same order on any database.

Found by pairs of signs: a pair weighs the more the rarer it is in the list, the score is the share of what was typed
(by weight) that an address has, and the right house number counts a quarter more. Pairs that half the list has
tell nothing and are looked up only where there is nothing rarer.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from geo.assignment import Assignment, Method, assign_all
from geo.coordinates import LocalPlane
from geo.points import Crs, Fix, Source
from sync import address_text
from sync.address_list import DEGREE, EVERY, PART_BITS
from sync.address_text import Address
from sync.config import Config
from sync.store import Reader, Row

SCORE_LEAST: Final = 0.25  # one pair of many in common is chance
NEAR_M: Final = 200.0
_ONE_PLACE_M: Final = 30.0  # two lines so near each other are one house, listed twice
_OUT, _IN = 1000.0, 250.0  # weights of a pair, and of one behind the house number: staircase, floor, words
_SAME_NUMBER: Final = 1.25
_CANDIDATES: Final = 200
_LOOKED_AT: Final = 300_000  # entries of pairs read for one question
_BOX_MAX: Final = 20_000
_PIECE: Final = 500


class Found(Struct, frozen=True):
    """An address of the list. Degrees WGS-84; `cell` by the edition in force, None in none."""

    pk: int
    text: str
    kind: str
    lon: float
    lat: float
    cell: str | None
    score: float = 1.0  # share of what was typed, 0 to 1
    same_number: bool = False
    distance_m: float | None = None


class Wanted(Struct, frozen=True):
    """What was typed, with the weight of each of its pairs."""

    address: Address
    weights: Mapping[str, int]

    def score(self, other: Address) -> float:
        """The share of the weight that `other` has, 0 to 1."""
        whole = sum(self.weights.values())
        return round(sum(weight for pair, weight in self.weights.items() if pair in other.pairs) / whole, 4)

    def same_number(self, other: Address) -> bool:
        """Whether both have the same house number, and have one."""
        return bool(self.address.numbers) and self.address.same_house(other)

    def rank(self, other: Address, score: float) -> tuple[float, int, str]:
        """Where an address with its score stands among others, the best first."""
        bonus = _SAME_NUMBER if self.same_number(other) else 1.0
        return (-score * bonus, len(other.signs), other.plain)


def weigh(reader: Reader, text: str) -> Wanted | None:
    """What was typed, ready to be compared; None where it has no two signs side by side."""
    address = address_text.read(text)
    return _weighed(reader, address)[0] if address.pairs else None


def _weighed(reader: Reader, address: Address) -> tuple[Wanted, dict[str, int]]:
    counts = dict.fromkeys([EVERY, *sorted(address.pairs)], 0)
    rows = []
    pairs = list(counts)
    for start in range(0, len(pairs), _PIECE):
        where = {"pair": pairs[start : start + _PIECE]}
        rows += reader.find("address_pair", where, columns=["pair", "count"])
    for row in rows:
        counts[row["pair"]] += row["count"]
    everything = counts.pop(EVERY)
    # Whole numbers: their sum is the same in any order.
    weights = {
        pair: 1
        + round((_OUT if pair in address.telling_pairs else _IN) * math.log1p(everything / max(count, 1)))
        for pair, count in counts.items()
    }
    return Wanted(address, weights), counts


def search(
    reader: Reader, config: Config, text: str, *, limit: int, within: frozenset[str] | None = None
) -> list[Found]:
    """Addresses that what was typed may mean, the best first; none for a text without two signs side by side.

    `within` are codes of the cells they must lie in.
    """
    address = address_text.read(text)
    if not address.pairs:
        return []
    wanted, counts = _weighed(reader, address)
    allowed = None if within is None else _keys_in(reader, config, within)
    scored = [
        (wanted.score(other), row, other) for row, other in _candidates(reader, wanted, counts, allowed)
    ]
    likely = [one for one in scored if one[0] >= SCORE_LEAST]
    likely.sort(key=lambda one: (wanted.rank(one[2], one[0]), one[1]["kind"]))
    best = likely if within is not None else likely[:limit]
    cells = _cells(config, [row for _, row, _ in best])
    found = [
        _found(row, cell, score=score, same_number=wanted.same_number(other))
        for (score, row, other), cell in zip(best, cells, strict=True)
        if within is None or cell in within
    ]
    return found[:limit]


def _keys_in(reader: Reader, config: Config, cells: frozenset[str]) -> list[int]:
    """Keys of the addresses about the cells: in the box around them all, and as far as a place is snapped."""
    layer = None if config.index is None else config.index.layer
    known = [] if layer is None else [cell.bbox for cell in layer.cells if cell.code in cells]
    if layer is None or not known:
        return []
    west, south, east, north = np.array(known).T
    reach_m = config.thresholds.tolerance_m
    wide, high = reach_m / layer.plane.east_m, reach_m / layer.plane.north_m
    box = _box(west.min() - wide, south.min() - high, east.max() + wide, north.max() + high)
    return [row["pk"] for row in reader.find("address", box, columns=["pk"])]


def _box(west: float, south: float, east: float, north: float) -> dict[str, int]:
    return {
        "lat__ge": math.floor(south * DEGREE),
        "lat__le": math.ceil(north * DEGREE),
        "lon__ge": math.floor(west * DEGREE),
        "lon__le": math.ceil(east * DEGREE),
    }


def _candidates(
    reader: Reader, wanted: Wanted, counts: Mapping[str, int], allowed: Sequence[int] | None = None
) -> list[tuple[Row, Address]]:
    """The lines that share most, judged by the rarest pairs, of those `allowed`."""
    chosen: list[str] = []
    entries = 0
    for pair in sorted((pair for pair in counts if counts[pair]), key=lambda pair: (counts[pair], pair)):
        if chosen and entries + counts[pair] > _LOOKED_AT:
            break
        chosen.append(pair)
        entries += counts[pair]
    if not chosen:
        return []
    rows = reader.find("address_pair", {"pair": chosen}, columns=["pair", "part", "places"])
    keys = [
        np.frombuffer(bytes(row["places"]), dtype="<u2").astype(np.int64) + (row["part"] << PART_BITS)
        for row in rows
    ]
    weights = [np.full(len(part), wanted.weights[row["pair"]]) for row, part in zip(rows, keys, strict=True)]
    shared = np.bincount(np.concatenate(keys), weights=np.concatenate(weights).astype(np.float64))
    if allowed is not None:
        outside = np.ones(len(shared), dtype=np.bool_)
        outside[[pk for pk in allowed if pk < len(shared)]] = False
        shared[outside] = 0
    found = _most(np.asarray(shared, dtype=np.float64))
    listed = reader.find("address", {"pk": found}, order=["pk"])
    return [(row, address_text.of_plain(row["plain"])) for row in listed]


def _most(shared: NDArray[np.float64]) -> list[int]:
    """Keys with the largest sums, the smaller key first among equals."""
    if len(shared) > _CANDIDATES:
        least = max(float(np.partition(shared, -_CANDIDATES)[-_CANDIDATES]), 1.0)
        keys = np.flatnonzero(shared >= least)
    else:
        keys = np.flatnonzero(shared > 0)
    order = np.lexsort((keys, -shared[keys]))
    chosen: list[int] = keys[order[:_CANDIDATES]].tolist()
    return chosen


# --- a place from a text, when it is sure ----------------------------------------------------------------------------


def address_lookup(reader: Reader, config: Config, text: str) -> tuple[float, float, str] | None:
    """Where a typed text is, as longitude, latitude and cell; None unless one place alone can be meant.

    Alike is not enough: the name must be the same, up to the areas it lies in, and so must the house number down to the
    building; `opposite` and `beside` are no address. Two lines of the list in different places are no answer.
    """
    address = address_text.read(text)
    if not address.pairs or address.is_beside:
        return None
    areas = [row.name for row in config.cells.values() if row.level > 0 and len(row.name) > 1]
    wanted, counts = _weighed(reader, address)
    rows = [
        row
        for row, other in _candidates(reader, wanted, counts)
        if _is_it(address, other, row["kind"], areas)
    ]
    meant = [_found(row, cell) for row, cell in zip(rows, _cells(config, rows), strict=True)]
    cells = {one.cell for one in meant}
    if not meant or any(_apart_m(meant[0], other) > _ONE_PLACE_M for other in meant):
        return None
    (cell,) = cells if len(cells) == 1 else (None,)
    return None if cell is None else (meant[0].lon, meant[0].lat, cell)


def addressed(
    reader: Reader,
    config: Config,
    cases: Mapping[bytes, Mapping[str, Any]],
    found: Mapping[bytes, Assignment],
) -> dict[bytes, int]:
    """PC4: the cells of the typed addresses of cases that no fix places, by the key of the case."""
    cells: dict[bytes, int] = {}
    for key, values in cases.items():
        text, placed = values.get("address"), found.get(key)
        if not isinstance(text, str) or not text.strip() or (placed is not None and placed.cell is not None):
            continue
        meant = address_lookup(reader, config, text)
        if meant is not None and (row := config.cell_by_code.get(meant[2])) is not None:
            cells[key] = row.pk
    return cells


def _is_it(address: Address, other: Address, kind: str, areas: Sequence[str]) -> bool:
    if not (address.same_house(other) and address.means_name(other, areas)):
        return False
    if not address.numbers and (kind != "compound" or address.tail):
        return False  # of a road alone nobody knows where
    return _goes_on(address.tail, other.tail)


def _goes_on(tail: str, listed: str) -> bool:
    """Whether what is typed after the house number is what is listed, or goes on from it."""
    rest = tail.removeprefix(listed)
    if rest == tail and listed:
        return False
    return not (listed[-1:].isdigit() and rest[:1].isdigit())


def _apart_m(one: Found, other: Found) -> float:
    plane = LocalPlane.around(one.lon, one.lat)
    (place_m,) = plane.to_metres(np.array([[other.lon, other.lat]]))
    return float(np.hypot(*place_m))


# --- what is near a place --------------------------------------------------------------------------------------------


def nearest(reader: Reader, config: Config, lon: float, lat: float, *, limit: int) -> list[Found]:
    """Addresses within `NEAR_M` of a place in WGS-84 degrees, the nearest first."""
    plane = LocalPlane.around(lon, lat)
    wide = NEAR_M / max(plane.east_m, 1.0)
    high = NEAR_M / plane.north_m
    box = _box(lon - wide, lat - high, lon + wide, lat + high)
    rows = reader.find("address", box, limit=_BOX_MAX, columns=["pk", "lon", "lat"])
    if not rows:
        return []
    places = np.array([[row["lon"], row["lat"]] for row in rows], dtype=np.float64) / DEGREE
    apart_m = np.hypot(*plane.to_metres(places).T)
    pks = np.array([row["pk"] for row in rows])
    order = np.lexsort((pks, apart_m))[:limit]
    wanted = {int(pks[i]): float(apart_m[i]) for i in order if apart_m[i] <= NEAR_M}
    by_pk = {row["pk"]: row for row in reader.find("address", {"pk": list(wanted)})}
    listed = [by_pk[pk] for pk in wanted]
    cells = _cells(config, listed)
    return [
        _found(row, cell, distance_m=round(wanted[row["pk"]], 1))
        for row, cell in zip(listed, cells, strict=True)
    ]


def _cells(config: Config, rows: Iterable[Row]) -> list[str | None]:
    fixes = [Fix(row["lon"] / DEGREE, row["lat"] / DEGREE, Crs.WGS84, source=Source.ADDRESS) for row in rows]
    if config.index is None:
        return [None] * len(fixes)
    answers = assign_all(config.index, list(fixes), config.thresholds)
    return [one.cell if one.method in {Method.CONTAINED, Method.SNAPPED} else None for one in answers]


def _found(
    row: Row,
    cell: str | None,
    *,
    score: float = 1.0,
    same_number: bool = False,
    distance_m: float | None = None,
) -> Found:
    return Found(
        row["pk"],
        row["text"],
        row["kind"],
        row["lon"] / DEGREE,
        row["lat"] / DEGREE,
        cell,
        score,
        same_number,
        distance_m,
    )
