"""Decisions on pushed rows of ``entries`` and ``files``: what happened to a case, written once, never changed.

A phone acts by an entry of type ``act``; it is run on the case as it is now. An entry whose case is unknown to the
server or invisible to its sender is kept for its author alone, and looks the same in both situations (VI7).
"""

from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import structs

from sync import casework, children, content, timing
from sync.batch import Batch, Item
from sync.cases.lifecycle import on_entry
from sync.entry_classes import class_of
from sync.facts import Facts
from sync.merge import same
from sync.pull import Caller
from sync.push_cases import aside, claims, is_duplicate, keep_rest, link, merged_into, restamp
from sync.rows import PushRow
from sync.spoiled import Spoiled
from sync.values import ENTRY_CLASSES, Collection, Doc, Level

MERGED_HOPS = 8  # a case merged into one that was merged …
FAILED = "act_failed"  # the server's own fault: the entry is kept, and a person looks into it


def case_keys(collection: int, rows: Sequence[PushRow]) -> set[bytes]:
    """Ids of the cases that these rows hang on."""
    if collection not in {Collection.entries, Collection.files}:
        return set()
    field = "case_id" if collection == Collection.entries else "owner_id"
    keys: set[bytes] = set()
    for row in rows:
        if isinstance(row.doc.get(field), str):
            try:
                keys.add(content.id_bytes(Collection.cases, row.doc[field]))
            except ValueError:
                continue
        if is_act(row) and (named := casework.named_case(*act_of(row))) is not None:
            keys.add(named)
    return keys


def act_of(row: PushRow) -> tuple[object, dict[str, Any]]:
    """The act that a row asks for, and its arguments."""
    body = row.doc.get("body")
    name, args = (body.get("act"), body.get("args")) if isinstance(body, dict) else (None, None)
    return name, args if isinstance(args, dict) else {}


def masters(cases: Iterable[Doc], facts: Facts) -> set[bytes]:
    """Ids of the cases that merged ones point to."""
    found: set[bytes] = set()
    for doc in cases:
        if doc.gone is None and b'"master_case"' in doc.clear:
            master = content.whole(doc, facts.keys).get("master_case")
            if isinstance(master, str):
                found.add(content.id_bytes(Collection.cases, master))
    return found


def is_act(row: PushRow) -> bool:
    """Whether the row asks for an act."""
    return row.fault is None and row.doc.get("type") == "act"


def decide(batch: Batch, facts: Facts, caller: Caller, row: PushRow) -> None:
    """PU3 for one entry."""
    doc = _known(batch, facts, Collection.entries, row)
    if doc is not None:
        _again(batch, facts, caller, row, doc)
        return
    if row.fault is not None or row.doc.get("_deleted") is True:
        aside(batch, facts, caller, row, row.fault or "deleted_before_arrival", Collection.entries)
        return
    result = row.checked
    if not result.usable:
        aside(batch, facts, caller, row, result.reason or "unusable", Collection.entries)
        return
    values = dict(result.values)
    issues = [{"field": i.field, "code": i.code, "message": i.message} for i in result.issues]
    issues += claims(values, caller)
    kind = str(values["type"])
    case = _case(batch, facts, str(values["case_id"]))
    letter = class_of(batch, facts, kind, values.get("body"))
    values |= {
        "id": content.id_text(Collection.entries, row.key),
        "author": caller.user_id,
        "device": caller.device_id,
        "class": "ocs"[letter],
        "received_at": batch.now,
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
    level = _level_by(batch, facts, caller.user_pk, values["case_id"], case)
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


def _known(batch: Batch, facts: Facts, collection: int, row: PushRow) -> Doc | None:
    held = batch.held(collection, row.key)
    return held.doc if held is not None else facts.docs.get((collection, row.key))


def _again(batch: Batch, facts: Facts, caller: Caller, row: PushRow, doc: Doc) -> None:
    """An entry that is here already: a repeat is harmless, another text goes to the ledger."""
    _find_case(batch, facts, doc)
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
        lost = {"base": (row.base or {}).get(field), "winner": held, "loser": value}
        batch.dispute(item, field, "written_once", lost, w=row.mark, other=doc.device)


def _find_case(batch: Batch, facts: Facts, doc: Doc) -> bool:
    """What waits for its case finds it once its writer sees that: it may have come into view since."""
    if doc.own_since is None or doc.gone is not None:
        return False
    item = batch.take(doc)
    if doc.collection == Collection.files:
        return _find_owner(batch, facts, item)
    named = str(item.values["case_id"])
    case = _case(batch, facts, named)
    if case is None or doc.writer is None or _level_by(batch, facts, doc.writer, named, case) < Level.plain:
        return False
    link(batch, doc, case)
    if case.id != named:
        batch.set(item, {"moved_from": named, "case_id": case.id})
    return True


def _find_owner(batch: Batch, facts: Facts, file: Item) -> bool:
    owner, writer = file.values.get("owner_id"), file.doc.writer
    if not isinstance(owner, str) or writer is None:
        return False
    case, least = _owner(batch, facts, writer, owner)
    if case is None:
        return False
    link(batch, file.doc, case)
    letter = max(least, file.doc.entry_class or 0)
    file.doc = structs.replace(file.doc, entry_class=letter)
    batch.set(file, {"class": ENTRY_CLASSES[letter]})
    return True


def _owner(batch: Batch, facts: Facts, user_pk: int, owner: str) -> tuple[Item | None, int]:
    """The case that a file hangs on, its own or that of the entry it shows, and how closed that entry is.

    Nothing where its writer does not see case and entry.
    """
    case = _case(batch, facts, owner)
    if case is not None:
        seen = _level_by(batch, facts, user_pk, owner, case) >= Level.plain
        return (case if seen else None), 0
    key = content.id_bytes(Collection.entries, owner)
    held = batch.held(Collection.entries, key)
    doc = held.doc if held is not None else facts.docs.get((Collection.entries, key))
    if doc is None or doc.gone is not None or doc.own_since is not None:
        return None, 0
    parent = facts.by_pk.get(doc.case_pk or 0)
    parents = [item for item in batch.items.values() if item.doc.pk == doc.case_pk]
    if facts.level(user_pk, doc, batch.opened, batch.closed) == Level.none or (
        parent is None and not parents
    ):
        return None, 0
    case = parents[0] if parents or parent is None else batch.take(parent)
    return case, doc.entry_class or 0


def find_cases(batch: Batch, facts: Facts, waiting: Iterable[Doc]) -> int:
    """Hang what waits on the cases that have come, or come into its writers' view; how many."""
    return sum(_find_case(batch, facts, doc) for doc in waiting)


def _case(batch: Batch, facts: Facts, case_id: str) -> Item | None:
    """PU12: the case an entry hangs on; a merged one leads to its master."""
    key = content.id_bytes(Collection.cases, case_id)
    for _ in range(MERGED_HOPS):
        doc = facts.docs.get((Collection.cases, key))
        if doc is None or doc.gone is not None:
            return None
        item = batch.take(doc)
        master = item.values.get("master_case")
        if item.values.get("status") != "merged" or not isinstance(master, str):
            return item
        key = content.id_bytes(Collection.cases, master)
    return None


def _level_by(batch: Batch, facts: Facts, user_pk: int, named: object, case: Item | None) -> Level:
    """What the writer sees of the case; nothing where he named a merged one that he does not see.

    Else he would learn from the answer that it is there, and where it went.
    """
    if case is None:
        return Level.none
    if isinstance(named, str) and named != case.id:
        doc = facts.docs.get((Collection.cases, content.id_bytes(Collection.cases, named)))
        if doc is None or facts.level(user_pk, doc, batch.opened, batch.closed) == Level.none:
            return Level.none
    return facts.level(user_pk, case.doc, batch.opened, batch.closed)


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


def _edit_file(batch: Batch, facts: Facts, caller: Caller, row: PushRow, doc: Doc) -> None:
    """What was heard in a voice note is written down later: the transcript is merged, what the file is stays."""
    whole = facts.level(caller.user_pk, doc, batch.opened, batch.closed) == Level.full
    if not whole or row.fault is not None or row.doc.get("_deleted") is True:
        _again(batch, facts, caller, row, doc)
        return
    if is_duplicate(batch, facts, doc, row):
        return
    result = row.checked
    if not result.usable:
        aside(batch, facts, caller, row, result.reason or "unusable", doc.collection)
        return
    item = batch.take(doc)
    if result.rest:
        keep_rest(batch, facts, row, item, result.rest)
    if merged_into(batch, facts, caller, row, item, result.values, "files"):
        restamp(batch, facts, item, row, caller)


# A photo or a voice note shows what happened; papers are the handlers' own, a roster of people a named person's.
_FILE_CLASS = {"photo": "o", "voice": "o", "scan": "c", "signature": "c", "document": "c", "roster": "s"}


def decide_file(batch: Batch, facts: Facts, caller: Caller, row: PushRow) -> None:
    """PU3 for the record of a file; the bytes travel apart."""
    doc = _known(batch, facts, Collection.files, row)
    if doc is not None:
        _edit_file(batch, facts, caller, row, doc)
        return
    if row.fault is not None or row.doc.get("_deleted") is True:
        aside(batch, facts, caller, row, row.fault or "deleted_before_arrival", Collection.files)
        return
    result = row.checked
    if not result.usable:
        aside(batch, facts, caller, row, result.reason or "unusable", Collection.files)
        return
    values = dict(result.values)
    values |= {
        "id": content.id_text(Collection.files, row.key),
        "author": caller.user_id,
        "device": caller.device_id,
        "received_at": batch.now,
        "state": "missing",
    }
    if row.w is not None:
        values["w"] = row.w
    owner = values.get("owner_id")
    case, least = _owner(batch, facts, caller.user_pk, owner) if isinstance(owner, str) else (None, 0)
    letter = max(least, ENTRY_CLASSES.index(_FILE_CLASS.get(str(values.get("kind")), "c")))
    values["class"] = ENTRY_CLASSES[letter]
    place: dict[str, Any] = {
        "writer": caller.user_pk,
        "entry_class": letter,
        "w": row.w,
        "device": caller.device_pk,
        "digest": row.digest,
    }
    if case is None:
        item = batch.create(Collection.files, row.key, values, author=caller.user_pk, own=True, **place)
        if isinstance(owner, str):
            wanted = content.id_bytes(Collection.cases, owner)
            batch.waiting.append({"entry_pk": item.doc.pk, "case_id": wanted, "linked": False})
    else:
        item = batch.create(Collection.files, row.key, values, parent=case, **place)
    if result.rest:
        keep_rest(batch, facts, row, item, result.rest)
