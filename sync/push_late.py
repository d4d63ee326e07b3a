"""What is put aside as it comes, for a person of the centre, and changes nothing.

Whoever found or took a stopped phone may be the one who pushes (PU13): nothing is believed unseen, nothing is lost, and
no document leaves by the answer. And an app too old to be read may mean something else by what it says (EV6).
"""

from collections.abc import Sequence

from sync import content
from sync.batch import Batch
from sync.cases.kept import told_author
from sync.facts import Facts
from sync.pull import Caller
from sync.push_cases import aside, is_duplicate
from sync.rows import PushRow
from sync.store import Row
from sync.values import Collection, Doc, Level
from sync.versions import SchemaTooOld

# Nobody wrote these: a phone reads them, and says at most that it did.
_UNTOLD = frozenset({Collection.tasks, Collection.notices, Collection.cells})


def keep(batch: Batch, facts: Facts, caller: Caller, row: PushRow, collection: int, reason: str) -> None:
    """PU13, EV6 for one row: put aside whole, unless the server has it already."""
    doc = facts.docs.get((collection, row.key)) if row.key else None
    if doc is None or not is_duplicate(batch, facts, doc, row):
        aside(batch, facts, caller, row, reason, collection, tell=collection not in _UNTOLD)


def arrived(batch: Batch, facts: Facts, caller: Caller, collection: int, rows: Sequence[PushRow]) -> None:
    """EV6: what an app too old handed in, and its update has now handed in again, is closed; its author is told."""
    kept: dict[str, list[Row]] = {}
    for line in facts.too_old:
        kept.setdefault(line["doc_id"], []).append(line)
    for row in rows if kept else ():
        if not row.key or row.fault is not None or not row.checked.usable or row.doc.get("_deleted") is True:
            continue
        identity = content.id_text(collection, row.key)
        same = [line for line in kept.pop(identity, ()) if _is_same_write(line, row)]
        held = batch.held(collection, row.key)
        doc = held.doc if held is not None else facts.docs.get((collection, row.key))
        if not same or doc is None or not _was_written(batch, facts, caller, doc, row):
            continue
        name, code = content.NAMES[collection], SchemaTooOld.code
        args = {
            "collection": name,
            "reason": code,
            "text": told_author(name, code, "arrived"),
            "id": identity,
        }
        of_case = batch.take(doc) if collection == Collection.cases else None
        for line in same:
            batch.arrived.append(line["pk"])
            told = args | {"quarantine": line["id"]}
            batch.notice(caller.user_pk, caller.user_id, "kept_aside", "kept_arrived", told, of_case=of_case)


def _is_same_write(line: Row, row: PushRow) -> bool:
    """The write id, where there is one: the update may say the same in other fields."""
    mark = str(line["w"] or "")
    return mark == row.mark if row.w is None else mark.rpartition("#")[0] == row.w


def _was_written(batch: Batch, facts: Facts, caller: Caller, doc: Doc, row: PushRow) -> bool:
    """Whether the document holds, or held, what the row says, or its part in a merge."""
    level = facts.level(caller.user_pk, doc, batch.opened, batch.closed)
    if (
        doc.gone is not None
        or level == Level.none
        or (level != Level.full and doc.collection != Collection.entries)
    ):
        return False
    past = {line["w"] for line in facts.history.get(doc.pk, ())} | {line["w"] for line in batch.ledger}
    if row.w is None:
        return doc.digest == row.digest
    stored = facts.docs.get((doc.collection, doc.id))
    return row.w in past | {doc.w, None if stored is None else stored.w} or row.mark in past
