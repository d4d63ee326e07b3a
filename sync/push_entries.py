"""Decisions on pushed rows of ``entries``: what happened to a case, written once, never changed.

A phone acts by an entry of type ``act``; it is run on the case as it is now. An entry whose case is unknown to the
server or invisible to its sender is kept for its author alone, and looks the same in both situations (VI7).
"""

from typing import Any

from sync import casework, children, content, timing
from sync.batch import Batch, Item
from sync.captured import timed
from sync.cases.lifecycle import on_entry
from sync.entry_classes import class_of
from sync.facts import Facts
from sync.merge import Conflict, same
from sync.parents import case_by_id, find_case, find_cases, level_by
from sync.pull import Caller
from sync.push_cases import aside, claims, is_duplicate, is_new_and_sound, keep_apart, keep_rest
from sync.rows import PushRow
from sync.spoiled import Spoiled
from sync.values import ENTRY_CLASSES, Collection, Doc, Level

FAILED = "act_failed"  # the server's own fault: the entry is kept, and a person looks into it


def decide(batch: Batch, facts: Facts, caller: Caller, row: PushRow) -> None:
    """PU3 for one entry."""
    doc = known_row(batch, facts, Collection.entries, row)
    if doc is not None:
        sent_again(batch, facts, caller, row, doc)
        return
    if not is_new_and_sound(batch, facts, caller, row, Collection.entries):
        return
    result = row.checked
    values = dict(result.values)
    issues = [{"field": i.field, "code": i.code, "message": i.message} for i in result.issues]
    issues += claims(values, caller)
    kind = str(values["type"])
    case = case_by_id(batch, facts, str(values["case_id"]))
    letter = class_of(batch, facts, kind, values.get("body"))
    values |= {
        "id": content.id_text(Collection.entries, row.key),
        "author": caller.user_id,
        "device": caller.device_id,
        "class": ENTRY_CLASSES[letter],
        "received_at": batch.now,
        **timed(facts, values, "at"),
    }
    if row.w is not None:
        values["w"] = row.w
    if issues:
        values["issues"] = issues
    place: dict[str, Any] = {
        "writer": caller.user_pk,
        "entry_class": letter,
        "w": row.w,
        "device": caller.device_pk,
        "digest": row.digest,
    }
    level = level_by(batch, facts, caller.user_pk, values["case_id"], case)
    if case is None or level < Level.plain:
        item = _waits(batch, caller, row, values, place)
    else:
        if case.id != values["case_id"]:
            values["moved_from"], values["case_id"] = values["case_id"], case.id
        item = batch.create(Collection.entries, row.key, values, parent=case, **place)
        if kind == "act":
            _run(batch, facts, caller.user_pk, case, item)
        else:
            _told(batch, facts, case, item, kind)
        find_cases(batch, facts, [facts.by_pk[pk] for pk in facts.waiting.get(row.key, ())])
    if result.rest:
        keep_rest(batch, facts, row, item, result.rest)


def _told(batch: Batch, facts: Facts, case: Item, entry: Item, kind: str) -> None:
    """What an entry brings about by being there: clocks hear it, tasks end."""
    body = entry.values.get("body")
    done = on_entry(kind, body if isinstance(body, dict) else {})
    for closed in done.close_tasks:
        children.close_tasks(batch, facts, case, closed, by=entry.id)
    if done.events:
        captured = entry.values.get("at")
        told = {"captured_at": captured} if isinstance(captured, int) else {}
        timing.happened(batch, facts, case, [(event.kind, {**event.args, **told}) for event in done.events])


def known_row(batch: Batch, facts: Facts, collection: int, row: PushRow) -> Doc | None:
    """The document of a row's id, as it is in hand or as it is stored."""
    held = batch.held(collection, row.key)
    return held.doc if held is not None else facts.docs.get((collection, row.key))


def sent_again(batch: Batch, facts: Facts, caller: Caller, row: PushRow, doc: Doc) -> None:
    """An entry that is here already: a repeat is harmless, another text goes to the ledger."""
    find_case(batch, facts, doc)
    if is_duplicate(batch, facts, doc, row):
        return
    level = facts.level(caller.user_pk, doc, batch.opened, batch.closed)
    if level == Level.none or row.fault is not None or row.doc.get("_deleted") is True:
        aside(batch, facts, caller, row, row.fault or "out_of_scope", doc.collection)
        return
    item = batch.take(doc)
    result = row.checked
    if not result.usable:
        aside(batch, facts, caller, row, result.reason or "unusable", doc.collection)
        return
    if result.rest:
        keep_rest(batch, facts, row, item, result.rest)
    for field, value in result.values.items():
        held = item.values.get(field)
        if field in {"id", "w", "author", "device", "case_id"} or value is None or same(value, held):
            continue
        base = (row.base or {}).get(field)
        keep_apart(batch, facts, row, item, Conflict(field, base, held, value, "written_once", "theirs"))


def _waits(batch: Batch, caller: Caller, row: PushRow, values: dict[str, Any], place: dict[str, Any]) -> Item:
    """No case that this author may see: the entry has a place of its own until one comes.

    It may never come, or never again be the author's to see: what was written is put before the centre at once.
    """
    values["parent_missing"] = True
    item = batch.create(Collection.entries, row.key, values, author=caller.user_pk, own=True, **place)
    wanted = content.id_bytes(Collection.cases, str(values["case_id"]))
    batch.waiting.append({"entry_pk": item.doc.pk, "case_id": wanted, "linked": False})
    payload = {"new": row.doc, "base": row.base}
    batch.keep("case_missing", payload, collection=Collection.entries, doc_id=item.id, w=row.mark)
    return item


def take_effect(batch: Batch, facts: Facts) -> None:
    """What entries that have just found their case bring about: it could not happen while they waited."""
    for item in [item for item in batch.items.values() if item.doc.pk in batch.linked]:
        find_cases(batch, facts, [facts.by_pk[pk] for pk in facts.waiting.get(item.doc.id, ())])
    items = {item.doc.pk: item for item in batch.items.values()}
    for pk in batch.linked:
        entry = items[pk]
        if entry.doc.collection != Collection.entries:
            continue
        case, kind = items[entry.doc.case_pk or 0], str(entry.values["type"])
        if kind == "act":
            _run(batch, facts, entry.doc.writer, case, entry)
        elif ("told", pk) not in facts.failed:
            try:
                _told(batch, facts, case, entry, kind)
            except Exception as error:
                raise Spoiled(("told", pk)) from error


def _run(batch: Batch, facts: Facts, user_pk: int | None, case: Item, entry: Item) -> None:
    """The act of an entry; an illegal one is kept with the reason and comes back so."""
    body = entry.values.get("body") or {}
    name, args = body.get("act"), body.get("args") or {}
    if not isinstance(name, str) or not isinstance(args, dict):
        refused = {"outcome": "refused", "reason": "act_unknown"}
        batch.set(entry, {"body": {**body, **refused}})
        return
    key = ("act", entry.doc.id)
    if key in facts.failed:
        batch.set(entry, {"body": {**body, "outcome": "refused", "reason": FAILED}})
        return
    try:
        other = casework.seen_whole(batch, facts, user_pk, casework.named_case(name, args))
        casework.act(batch, facts, case, name, args, user_pk=user_pk, entry=entry, other=other)
    except Exception as error:
        raise Spoiled(key) from error
