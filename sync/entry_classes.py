"""Who may read an entry: its class (o, c, s), by what it is and by what it carries.

An act and a correction repeat what belongs to another entry: the minutes that ride along, the ground of a report to
the authorities, the text that is put right. They are as closed as that entry is.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from sync import content
from sync.batch import Batch, Item
from sync.cases.catalogue import ENTRY_TYPES
from sync.facts import Facts
from sync.store import Reader
from sync.values import ENTRY_CLASSES, Collection

_OPEN, _HANDLERS, _NAMED = range(3)
_OF_ACT: Final[Mapping[str, int]] = {
    "recuse": _HANDLERS,
    "lift_recusal": _HANDLERS,
    "refer_out": _HANDLERS,
    "perform": _HANDLERS,
    "breach": _HANDLERS,
    "confirm_court": _HANDLERS,
    "report_mandatory": _NAMED,
}
# What the timeline does not repeat of an act: who is kept away, and another case, which not every reader may know of.
_UNTOLD: Final[Mapping[str, str]] = {
    "recuse": "user",
    "lift_recusal": "user",
    "merge": "master",
    "relate": "case",
}
_OF_ANOTHER_CASE: Final = frozenset({"merge", "relate"})


def type_class(kind: str) -> int:
    """The class number of an entry type; an unknown type is handled as handlers only."""
    row = ENTRY_TYPES.get(kind)
    letter = getattr(row, "class_", "c") if row is not None else "c"
    return ENTRY_CLASSES.index(letter) if letter in ENTRY_CLASSES else _OPEN


def class_of(batch: Batch, facts: Facts, kind: str, body: object) -> int:
    """The class number of an entry with this body."""
    told: Mapping[str, Any] = body if isinstance(body, dict) else {}
    if kind == "correction":
        return _class_of_target(batch, facts, told.get("entry_id"))
    if kind != "act":
        return type_class(kind)
    args = told.get("args")
    args = args if isinstance(args, dict) else {}
    act = told.get("act")
    found = _OF_ACT.get(act, _OPEN) if isinstance(act, str) else _HANDLERS
    if isinstance(act, str) and act in _OF_ANOTHER_CASE and args.get(_UNTOLD[act]) is not None:
        found = _HANDLERS  # refused, it still says which
    if act == "correct":
        found = _class_of_target(batch, facts, args.get("entry_id"))
    if (riding := args.get("entry")) is not None:
        inner = riding.get("type") if isinstance(riding, dict) else None
        found = max(found, type_class(inner) if isinstance(inner, str) else _HANDLERS)
    return found


def told_args(act: str, args: Mapping[str, Any]) -> dict[str, Any]:
    """What the timeline repeats of an act's arguments; the rest is told by the case, to whom it is told there."""
    return {name: value for name, value in args.items() if name not in {"entry", _UNTOLD.get(act)}}


def named_by(bodies: Iterable[object]) -> set[bytes]:
    """Ids of entries that these bodies, or the acts in them, speak of: to be loaded before a decision."""
    found: set[bytes] = set()
    for body in bodies:
        args = body.get("args") if isinstance(body, dict) else None
        for part in (body, args, args.get("entry") if isinstance(args, dict) else None):
            for name in ("entry_id", "id"):
                if isinstance(part, dict) and isinstance(part.get(name), str):
                    try:
                        found.add(content.id_bytes(Collection.entries, part[name]))
                    except ValueError:
                        continue
    return found


def load_named(reader: Reader, facts: Facts, bodies: Iterable[object]) -> None:
    """Load these entries, and who wrote them."""
    wanted = sorted(named_by(bodies))
    if not wanted:
        return
    facts.learn(reader.documents(Collection.entries, wanted))
    for key in wanted:
        doc = facts.docs.get((Collection.entries, key))
        account = None if doc is None else facts.config.accounts.get(doc.writer or 0)
        if doc is not None and doc.case_pk is not None and account is not None:
            facts.entry_authors[doc.case_pk, content.id_text(Collection.entries, key)] = account.id


def taken(batch: Batch, facts: Facts, identity: str) -> Item | None:
    """The entry that has this id already."""
    key = content.id_bytes(Collection.entries, identity)
    held = batch.held(Collection.entries, key)
    doc = facts.docs.get((Collection.entries, key))
    return held if held is not None or doc is None else batch.take(doc)


def _class_of_target(batch: Batch, facts: Facts, entry_id: object) -> int:
    try:
        item = taken(batch, facts, entry_id) if isinstance(entry_id, str) else None
    except ValueError:
        return _HANDLERS  # of nothing
    if item is None:
        # What is put right has not come yet, or never will: as closed as it could be.
        return _NAMED if isinstance(entry_id, str) else _HANDLERS
    return _HANDLERS if item.doc.entry_class is None else item.doc.entry_class
