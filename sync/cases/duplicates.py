"""Whether two captures may be of one quarrel (疑似重复): evidence weighed, with a score and reasons in words; pure.

Each thing compared gives bits of evidence for or against, as in record linkage (Fellegi and Sunter): what agrees by
chance often weighs little, what is not known weighs nothing. Two captures that lie near in place and time are no pair
yet: the sum begins below zero. A person decides; nothing is merged by itself.
"""

import math
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any, Final

from msgspec import Struct, structs

WINDOW_MS: Final = 14 * 86_400_000  # further apart in time they are not compared
NEAR_M: Final = 200.0  # further apart in place, beyond what the fixes are unsure of, they are not compared
_HOUR_MS: Final = 3_600_000
_PRIOR: Final = -6.0
_LIKELY: Final = 3.3  # bits: nine to one
_EARTH_M: Final = 6_371_008.8
_LEAST_SPREAD_M: Final = 15.0  # the two stood at two ends of one landing
_UNKNOWN_R95_M: Final = 100.0
_WORDS_MOST: Final = 5.0  # what alike words say at most
_BASIS_CHARACTERS: Final = 6  # shorter texts say nothing by differing


class Spot(Struct, frozen=True):
    """A place in WGS-84 degrees, with the radius in metres within which it lies with 95 per cent."""

    lon: float
    lat: float
    r95_m: float | None = None


class Look(Struct, frozen=True):
    """What of a case is compared. Times in ms; `parties` as in the document; `cell` the code of its cell."""

    kind: str
    category: str | None = None
    captured_at: int | None = None
    received_at: int | None = None
    spot: Spot | None = None
    cell: str | None = None
    household: str | None = None
    address: str = ""
    text: str = ""
    parties: Sequence[Mapping[str, Any]] = ()
    # Worked out of `address` and `text` once, since one is compared with hundreds.
    address_letters: str = ""
    letters: str = ""
    pairs: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        """Work out what is compared."""
        structs.force_setattr(self, "address_letters", normalised(self.address))
        structs.force_setattr(self, "letters", normalised(self.text))
        structs.force_setattr(self, "pairs", pairs_of(self.letters))


class Match(Struct, frozen=True):
    """Two cases that may be one: `score` 0 to 100, `likely` from nine to one, `distance_m` where both have a fix."""

    score: int
    likely: bool
    reasons: tuple[str, ...]
    distance_m: int | None = None


class _Evidence(Struct, frozen=True):
    bits: float
    words: str | None = None


_NONE: Final = _Evidence(0.0)


def compare(one: Look, other: Look) -> Match | None:
    """The match of two cases; None where more speaks against than for. The order of the two makes no difference."""
    apart = time_apart(one, other)
    if apart is not None and apart > WINDOW_MS:
        return None
    metres = None if one.spot is None or other.spot is None else distance_m(one.spot, other.spot)
    parts = [
        _place(one, other, metres),
        _time(apart),
        _sort(one, other),
        _people(one.parties, other.parties),
    ]
    bits = _PRIOR + sum(part.bits for part in parts)
    if bits + _WORDS_MOST < 0:
        return None  # no words could outweigh it, and they are what costs
    parts.append(_words(one, other))
    bits += parts[-1].bits
    if bits < 0:
        return None
    reasons = tuple(part.words for part in parts if part.words is not None and part.bits > 0)
    score = round(100 / (1 + 2**-bits))
    return Match(score, bits >= _LIKELY, reasons, None if metres is None else round(metres))


# --- place and time --------------------------------------------------------------------------------------------------


def distance_m(a: Spot, b: Spot) -> float:
    """Metres between two places on the sphere."""
    low, high = math.radians(a.lat), math.radians(b.lat)
    half = math.sin((high - low) / 2) ** 2
    half += math.cos(low) * math.cos(high) * math.sin(math.radians(b.lon - a.lon) / 2) ** 2
    return 2 * _EARTH_M * math.asin(math.sqrt(min(1.0, half)))


def time_apart(one: Look, other: Look) -> int | None:
    """How far apart the two were, by the phones or by the server, whichever is nearer: a phone's clock may be wrong."""
    gaps = [
        abs(a - b)
        for a, b in ((one.captured_at, other.captured_at), (one.received_at, other.received_at))
        if a is not None and b is not None
    ]
    return min(gaps, default=None)


def _place(one: Look, other: Look, metres: float | None) -> _Evidence:
    if one.household is not None and one.household == other.household:
        return _Evidence(5.0, "同一住户")
    same_address = bool(one.address_letters) and one.address_letters == other.address_letters
    if metres is None or one.spot is None or other.spot is None:
        if same_address:
            return _Evidence(4.0, "地址相同")
        same_cell = one.cell is not None and one.cell == other.cell
        return _Evidence(0.5, "在同一网格") if same_cell else _NONE
    radii = (_UNKNOWN_R95_M if spot.r95_m is None else spot.r95_m for spot in (one.spot, other.spot))
    spread = max(_LEAST_SPREAD_M, math.hypot(*radii))
    near = f"相距约 {round(metres)} 米"
    if metres <= spread:
        # The vaguer the fixes, the less it says that they agree.
        bits = 4.0 - min(3.0, math.log2(max(1.0, spread / 50)))
        return (
            _Evidence(5.0, f"{near},地址相同") if same_address else _Evidence(bits, f"{near},在定位误差之内")
        )
    if metres <= spread + 50:
        return _Evidence(2.0, near)
    if metres <= spread + 150:
        return _Evidence(0.0)
    return _Evidence(-4.0)


def _time(apart: int | None) -> _Evidence:
    if apart is None:
        return _NONE
    hours = apart / _HOUR_MS
    if hours < 1:
        return _Evidence(3.0, "前后不到 1 小时")
    if hours <= 6:
        return _Evidence(2.5, f"前后相隔 {round(hours)} 小时")
    if hours <= 24:
        return _Evidence(2.0, "在一天之内")
    if hours <= 72:
        return _Evidence(1.0, f"前后相隔 {math.ceil(hours / 24)} 天")
    return _Evidence(-1.0)


# --- what it is about ------------------------------------------------------------------------------------------------


def _sort(one: Look, other: Look) -> _Evidence:
    if one.kind != other.kind:
        return _Evidence(-2.0)
    if not one.category or not other.category:
        return _NONE
    if one.category == other.category:
        return _Evidence(1.5, "类别相同")
    return _Evidence(0.5, "类别相近") if one.category[:2] == other.category[:2] else _Evidence(-1.5)


def normalised(text: str) -> str:
    """Letters and figures alone, in one width and one case."""
    return "".join(c for c in unicodedata.normalize("NFKC", text).casefold() if c.isalnum())


def pairs_of(letters: str) -> frozenset[str]:
    """Pairs of neighbouring characters: Chinese has no spaces to part words by. One character is itself."""
    return frozenset(letters[n : n + 2] for n in range(max(1, len(letters) - 1))) if letters else frozenset()


def likeness(a: frozenset[str], b: frozenset[str]) -> float:
    """How much two texts share by their pairs, 0 to 1: twice the common ones by all (Dice)."""
    return 2 * len(a & b) / (len(a) + len(b)) if a and b else 0.0


def _words(one: Look, other: Look) -> _Evidence:
    if not one.letters or not other.letters:
        return _NONE
    share = likeness(one.pairs, other.pairs)
    told = f"文字相近({round(100 * share)}%)"
    if share >= 0.7:
        return _Evidence(_WORDS_MOST, told)
    if share >= 0.4:
        return _Evidence(3.5, told)
    if share >= 0.2:
        return _Evidence(1.5, told)
    enough = min(len(one.letters), len(other.letters)) >= _BASIS_CHARACTERS
    return _Evidence(-2.0) if share < 0.05 and enough else _NONE


# --- people ----------------------------------------------------------------------------------------------------------

# What is the same, how much it says, and the words; no value is repeated. Identity numbers are left out: who may not
# read one learns nothing from it, not even that two are equal.
_ALIKE: Final = (
    ("phone", 8.0, "当事人电话相同"),
    ("name", 5.0, "当事人姓名相同"),
    ("alias", 2.0, "当事人称呼相同"),
)


def _people(one: Sequence[Mapping[str, Any]], other: Sequence[Mapping[str, Any]]) -> _Evidence:
    for field, bits, words in _ALIKE:
        if _values(one, field) & _values(other, field):
            return _Evidence(bits, words)
    # Two full sets of other names speak against it; each worker may also have asked another side.
    names = [_values(parties, "name") for parties in (one, other)]
    return _Evidence(-2.0) if all(len(found) >= 2 for found in names) else _NONE


def _values(parties: Sequence[Mapping[str, Any]], field: str) -> set[str]:
    found = {normalised(value) for party in parties if isinstance(value := party.get(field), str)}
    if field == "phone":
        found = {value[-11:] for value in found if len(value) >= 7}  # with or without the country's code
    return found - {""}
