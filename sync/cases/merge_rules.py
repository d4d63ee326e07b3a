"""How two versions of one field become one, when phone and server both changed it since the phone's base.

A rule takes (base, mine, theirs, where) — `mine` is what is being pushed, `theirs` what the server holds, `None` is
null or absent alike — and gives the value and the conflicts it had to decide. `mine` arrives later and wins by
default; a phone's clock is never asked. Rules in `ALWAYS` also speak when only one side changed.
"""

import json
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal

from msgspec import Struct

from sync.cases.catalogue import PROTECTIONS, URGENCIES
from sync.cases.fields import FIELDS
from sync.cases.shapes import PARTY_SECRET

Decided = Literal["mine", "theirs"]


class Conflict(Struct, frozen=True):
    """A line of the ledger of changes: two people wrote the same thing, one was taken, both are kept.

    `field` is a field's name, or `parties.<party id>.<field>`. `winner` and `loser` are the values; `decided` says
    whose the winner is.
    """

    field: str
    base: Any
    winner: Any
    loser: Any
    rule: str
    decided: Decided


class Where(Struct, frozen=True):
    """Where a rule is at work.

    successor: the last writer of the field is the pushing device itself, so `mine` already knows `theirs`.
    soft: the phone did not say what it started from; then nothing the server holds is overwritten.
    """

    field: str
    successor: bool = False
    soft: bool = False


Outcome = tuple[Any, tuple[Conflict, ...]]
Rule = Callable[[Any, Any, Any, Where], Outcome]


# -- equality -----------------------------------------------------------------------------------


def same(a: Any, b: Any) -> bool:
    """ME7: equal for a reader: key order, number format, Unicode composition and null against absent do not count."""
    if a is b:
        return True
    if isinstance(a, str) and isinstance(b, str):
        return a == b or unicodedata.normalize("NFC", a) == unicodedata.normalize("NFC", b)
    if isinstance(a, dict) and isinstance(b, dict):
        return all(same(a.get(key), b.get(key)) for key in a.keys() | b.keys())
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, bool) or isinstance(b, bool):
        return isinstance(a, bool) and isinstance(b, bool) and a == b
    return bool(a == b)


def empty(value: Any) -> bool:
    """Nothing that a person wrote."""
    return value is None or value in ("", [], {})


def _decide(
    where: Where, rule: str, base: Any, mine: Any, theirs: Any, *, mine_wins: bool, quiet: bool = False
) -> Outcome:
    winner, loser = (mine, theirs) if mine_wins else (theirs, mine)
    if quiet or (where.successor and mine_wins):
        return winner, ()
    return winner, (Conflict(where.field, base, winner, loser, rule, "mine" if mine_wins else "theirs"),)


# -- rules --------------------------------------------------------------------------------------


def _later(base: Any, mine: Any, theirs: Any, where: Where) -> Outcome:
    return _decide(where, "later", base, mine, theirs, mine_wins=not where.soft)


def _text(base: Any, mine: Any, theirs: Any, where: Where) -> Outcome:
    # Words of two people are never mixed into a sentence nobody said: the later stays, the other is kept
    # to compare.
    return _decide(where, "text", base, mine, theirs, mine_wins=not where.soft)


def _first(base: Any, mine: Any, theirs: Any, where: Where) -> Outcome:
    if empty(theirs):
        return mine, ()
    return _decide(where, "first", base, mine, theirs, mine_wins=False)


def _by_order(order: Sequence[str], rule: str) -> Rule:
    def rank(value: Any) -> int:
        return order.index(value) if value in order else -1

    def higher(base: Any, mine: Any, theirs: Any, where: Where) -> Outcome:
        return _decide(where, rule, base, mine, theirs, mine_wins=rank(mine) >= rank(theirs))

    return higher


def _raise_true(base: Any, mine: Any, theirs: Any, where: Where) -> Outcome:
    return _decide(where, "raise_true", base, mine, theirs, mine_wins=mine is True or theirs is not True)


# A point without a stated accuracy is judged by how it was found, in metres.
_USUAL_ACCURACY_M: Final[Mapping[str, float]] = {"map_pin": 15, "gps": 50, "address": 100, "network": 500}
_TO_95: Final = 1.7308  # radius of 95 % against 68 %, circular normal error


def radius_95_m(location: Mapping[str, Any]) -> float:
    """The radius in metres within which the point lies with 95 %; without confidence the stated one is taken."""
    accuracy = location.get("accuracy_m")
    if accuracy is None:
        return _USUAL_ACCURACY_M.get(str(location.get("source")), 1000.0)
    return float(accuracy) * (_TO_95 if location.get("confidence") == 68 else 1.0)


def _location(base: Any, mine: Any, theirs: Any, where: Where) -> Outcome:
    if where.soft:
        mine_wins = False
    elif mine is None or theirs is None:
        mine_wins = theirs is None
    else:
        mine_wins = where.successor or radius_95_m(mine) <= radius_95_m(theirs)
    return _decide(where, "location", base, mine, theirs, mine_wins=mine_wins)


def _set(base: Any, mine: Any, theirs: Any, where: Where) -> Outcome:
    before, now = list(base or ()), list(mine or ())
    removed = set() if where.soft else {code for code in before if code not in now}
    kept = [code for code in theirs or () if code not in removed]
    return kept + [code for code in now if code not in before and code not in kept], ()


def _key(element: Any) -> str:
    if isinstance(element, dict):
        if element.get("id"):
            return f"id:{element['id']}"
        element = {key: value for key, value in element.items() if value is not None}
    return unicodedata.normalize("NFC", json.dumps(element, sort_keys=True, ensure_ascii=False))


def not_taken_out(base: Any, mine: Any) -> list[Any]:
    """Of the elements of `base` those that `mine` has too: with this for a base nothing counts as taken out."""
    now = {_key(element) for element in mine or ()}
    return [element for element in base or () if _key(element) in now]


def _union(base: Any, mine: Any, theirs: Any, where: Where) -> Outcome:
    """Elements by their id, or by their content if they have none; edit wins over removal."""
    before, now, held = ({_key(element): element for element in part or ()} for part in (base, mine, theirs))
    merged: list[Any] = []
    conflicts: list[Conflict] = []
    for key, element in held.items():
        if key in now:
            value, lost = _element(before.get(key), now[key], element, where)
            merged.append(value)
            conflicts.extend(lost)
        elif key not in before or where.soft or not same(before[key], element):
            merged.append(element)
    for key, element in now.items():
        if key not in held and (key not in before or not same(before[key], element)):
            merged.append(element)
    return merged, tuple(conflicts)


def _element(base: Any, mine: Any, theirs: Any, where: Where) -> Outcome:
    if same(mine, theirs) or same(mine, base):
        return theirs, ()
    if same(theirs, base):
        return mine, ()
    return _decide(where, "union", base, mine, theirs, mine_wins=not where.soft)


def _parties(base: Any, mine: Any, theirs: Any, where: Where) -> Outcome:
    """ME6: by party and field. What `mine` does not mention of a party it did not see: it stays."""
    before, now, held = ({party["id"]: party for party in part or ()} for part in (base, mine, theirs))
    merged: list[dict[str, Any]] = []
    conflicts: list[Conflict] = []
    for party_id, party in held.items():
        if party_id in now:
            value, lost = _party(before.get(party_id, {}), now[party_id], party, where)
            merged.append(value)
            conflicts.extend(lost)
        elif party_id not in before or where.soft:
            merged.append(party)
        elif _edited(before[party_id], party):
            # Removed here, edited there: the edit is somebody's work and stays.
            merged.append(party)
            conflicts.append(
                Conflict(f"{where.field}.{party_id}", before[party_id], party, None, "parties", "theirs")
            )
    for party_id, party in now.items():
        if party_id in held:
            continue
        if party_id not in before:
            merged.append(party)
        elif not all(same(value, before[party_id].get(name)) for name, value in party.items()):
            # The other way round: removed there, edited here.
            merged.append(party)
            conflicts.append(
                Conflict(f"{where.field}.{party_id}", before[party_id], party, None, "parties", "mine")
            )
    return merged, tuple(conflicts)


def _edited(before: Mapping[str, Any], party: Mapping[str, Any]) -> bool:
    """Whether somebody has written in a party since: what was added counts, what never travels cannot be asked."""
    names = (before.keys() | party.keys()) - PARTY_SECRET
    return not all(same(before.get(name), party.get(name)) for name in names)


def _party(
    base: Mapping[str, Any], mine: Mapping[str, Any], theirs: Mapping[str, Any], where: Where
) -> tuple[dict[str, Any], tuple[Conflict, ...]]:
    merged = dict(theirs)
    conflicts: list[Conflict] = []
    for name, value in mine.items():
        held, before = theirs.get(name), base.get(name)
        if same(value, before) and not (where.soft and empty(held)):
            continue
        if same(value, held):
            continue
        if (where.soft and empty(held)) or (not where.soft and same(held, before)):
            merged[name] = value
            continue
        at = Where(f"{where.field}.{theirs['id']}.{name}", where.successor, where.soft)
        merged[name], lost = _decide(at, "parties", before, value, held, mine_wins=not where.soft)
        conflicts.extend(lost)
    return merged, tuple(conflicts)


RULES: Final[Mapping[str, Rule]] = {
    "later": _later,
    "text": _text,
    "first": _first,
    "urgency": _by_order(URGENCIES, "urgency"),
    "raise_only": _by_order(PROTECTIONS, "raise_only"),
    "raise_true": _raise_true,
    "location": _location,
    "set": _set,
    "union": _union,
    "parties": _parties,
}

NOT_MERGED: Final = frozenset({"envelope", "server"})
"""Marks of fields that take no part: set from the session and the write itself, or owned by the server."""

ALWAYS: Final = frozenset({"raise_only", "raise_true", "set", "union", "parties", "first"})
"""Rules that are asked even if the server's value is still the phone's base."""

MERGED_FIELDS: Final[Mapping[str, Mapping[str, str]]] = {
    collection: {field.name: field.merge for field in fields if field.merge not in NOT_MERGED}
    for collection, fields in FIELDS.items()
}
"""Collection -> field -> name of its rule."""
