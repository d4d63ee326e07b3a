"""Decisions on pushed rows of ``files``: what a file is and whose; its bytes travel apart."""

from collections.abc import Mapping
from typing import Any

from sync import content
from sync.batch import Batch, Item
from sync.facts import Facts
from sync.parents import case_behind, find_case, owner_of
from sync.pull import Caller
from sync.push_cases import (
    aside,
    claims,
    is_duplicate,
    is_new_and_sound,
    keep_base,
    keep_lost_base,
    keep_rest,
    merged_into,
    restamp,
    tell_issues,
)
from sync.push_entries import known_row, sent_again
from sync.rows import PushRow
from sync.values import ENTRY_CLASSES, Collection, Doc, Level


def _edit_file(batch: Batch, facts: Facts, caller: Caller, row: PushRow, doc: Doc) -> None:
    """What was heard in a voice note is written down later: the transcript is merged, what the file is stays."""
    find_case(batch, facts, doc)
    if is_duplicate(batch, facts, doc, row):
        if facts.restored is not None and doc.gone is None:
            keep_lost_base(batch, facts, row, batch.take(doc), "files")
        return
    whole = facts.level(caller.user_pk, doc, batch.opened, batch.closed) == Level.full
    if not whole or row.fault is not None or row.doc.get("_deleted") is True:
        sent_again(batch, facts, caller, row, doc)
        return
    result = row.checked
    if not result.usable:
        aside(batch, facts, caller, row, result.reason or "unusable", doc.collection)
        return
    item = batch.take(doc)
    if result.rest:
        keep_rest(batch, facts, row, item, result.rest)
    tell_issues(batch, row, item, caller)
    if merged_into(batch, facts, caller, row, item, result.values, "files"):
        if item.values.get("kind") == "voice":
            batch.set(item, {"transcript_state": _transcript_state(item.values)})
        restamp(batch, facts, item, row, caller)


def _transcript_state(values: Mapping[str, Any]) -> str:
    """FI6: a voice note has been written down, or waits for somebody who does, unless none is wanted."""
    if values.get("transcript"):
        return "done"
    return "none" if values.get("transcript_state") == "none" else "wanted"


# A photo or a voice note shows what happened; papers are the handlers' own, a roster of people a named person's.
_FILE_CLASS = {"photo": "o", "voice": "o", "scan": "c", "signature": "c", "document": "c", "roster": "s"}


def decide(batch: Batch, facts: Facts, caller: Caller, row: PushRow) -> None:
    """PU3 for the record of a file; the bytes travel apart."""
    doc = known_row(batch, facts, Collection.files, row)
    if doc is not None:
        _edit_file(batch, facts, caller, row, doc)
        return
    if not is_new_and_sound(batch, facts, caller, row, Collection.files):
        return
    result = row.checked
    values = dict(result.values)
    issues = [{"field": i.field, "code": i.code, "message": i.message} for i in result.issues]
    issues += claims(values, caller)
    values |= {
        "id": content.id_text(Collection.files, row.key),
        "author": caller.user_id,
        "device": caller.device_id,
        "received_at": batch.now,
        "state": "missing",
    }
    if values.get("kind") == "voice":
        values["transcript_state"] = _transcript_state(values)
    if row.w is not None:
        values["w"] = row.w
    if issues:
        values["issues"] = issues
    owner = values.get("owner_id")
    case, least = owner_of(batch, facts, caller.user_pk, owner) if isinstance(owner, str) else (None, 0)
    letter = max(least, ENTRY_CLASSES.index(_FILE_CLASS.get(str(values.get("kind")), "c")))
    values["class"] = ENTRY_CLASSES[letter]
    place: dict[str, Any] = {
        "writer": caller.words_of or caller.user_pk,  # FI11
        "entry_class": letter,
        "w": row.w,
        "device": caller.device_pk,
        "digest": row.digest,
    }
    if case is None:
        item = batch.create(Collection.files, row.key, values, author=caller.user_pk, own=True, **place)
        if isinstance(owner, str):
            _waits(batch, facts, row, item, owner)
    else:
        item = batch.create(Collection.files, row.key, values, parent=case, **place)
    keep_base(batch, row, item, result.values)
    if result.rest:
        keep_rest(batch, facts, row, item, result.rest)


def _waits(batch: Batch, facts: Facts, row: PushRow, item: Item, owner: str) -> None:
    """It waits for what its author may see, which may never come: it is put before the centre at once."""
    wanted = content.id_bytes(Collection.cases, owner)
    batch.waiting.append({"entry_pk": item.doc.pk, "case_id": wanted, "linked": False})
    case = case_behind(batch, facts, owner)
    batch.keep(
        "case_missing",
        {"new": row.doc, "base": row.base},
        collection=Collection.files,
        doc_id=item.id,
        case_pk=None if case is None else case.doc.pk,
        w=row.mark,
    )
