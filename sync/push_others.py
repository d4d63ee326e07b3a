"""Decisions on pushed visits, households and notices, and on the collections a phone only reads."""

from collections.abc import Sequence
from typing import Any

from sync import children, content, placing
from sync.batch import Batch, Item
from sync.facts import Facts
from sync.parents import find_cases
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
from sync.rows import PushRow
from sync.values import Collection, Doc, Level, Place

_GRID_ROLES = frozenset({"grid_worker", "grid_leader", "grid_assistant"})


def household_keys(rows: Sequence[PushRow]) -> set[bytes]:
    """Ids of the households that these visits were made to."""
    keys: set[bytes] = set()
    for row in rows:
        wanted = row.doc.get("household_id") if row.fault is None else None
        if isinstance(wanted, str):
            try:
                keys.add(content.id_bytes(Collection.households, wanted))
            except ValueError:
                continue
    return keys


def _stored(batch: Batch, facts: Facts, collection: int, row: PushRow) -> Doc | None:
    held = batch.held(collection, row.key)
    return held.doc if held is not None else facts.docs.get((collection, row.key))


def _may_edit(batch: Batch, facts: Facts, caller: Caller, row: PushRow, doc: Doc) -> Item | None:
    """The item to edit, or None when the row is a repeat or was put aside."""
    if is_duplicate(batch, facts, doc, row):
        if facts.restored is not None and row.base is not None and doc.gone is None:
            keep_lost_base(batch, facts, row, batch.take(doc), content.NAMES[doc.collection])
        return None
    level = facts.level(caller.user_pk, doc, batch.opened, batch.closed)
    if doc.gone is not None or level == Level.none:
        aside(batch, facts, caller, row, "out_of_scope", doc.collection)
    elif level != Level.full:
        aside(batch, facts, caller, row, "not_yours_to_write", doc.collection)
    elif row.fault is not None:
        aside(batch, facts, caller, row, row.fault, doc.collection)
    elif row.doc.get("_deleted") is True:
        aside(batch, facts, caller, row, "deletion_wanted", doc.collection)
    else:
        return batch.take(doc)
    return None


def decide_visit(batch: Batch, facts: Facts, caller: Caller, row: PushRow) -> None:
    """PU3 for a visit: it has the place of its household's cell, else of its author's one cell."""
    doc = _stored(batch, facts, Collection.visits, row)
    if doc is not None:
        item = _may_edit(batch, facts, caller, row, doc)
        if item is not None:
            _merge(batch, facts, caller, row, item, "visits")
            follow_home(batch, facts, item)
        return
    if not is_new_and_sound(batch, facts, caller, row, Collection.visits):
        return
    result = row.checked
    values = dict(result.values)
    issues = [{"field": i.field, "code": i.code, "message": i.message} for i in result.issues]
    issues += claims(values, caller)
    cell = _household_cell(facts, values.get("household_id"))
    if cell is None:
        cell = placing.home_cell(facts.config, caller.user_pk)
    values |= {
        "id": content.id_text(Collection.visits, row.key),
        "author": caller.user_id,
        "device": caller.device_id,
        "received_at": batch.now,
    }
    if cell is not None and cell in facts.config.cells:
        values["cell"] = facts.config.cells[cell].code
    if row.w is not None:
        values["w"] = row.w
    if issues:
        values["issues"] = issues
    item = batch.create(
        Collection.visits,
        row.key,
        values,
        cell=cell,
        author=caller.user_pk,
        writer=caller.user_pk,
        w=row.w,
        device=caller.device_pk,
        digest=row.digest,
    )
    keep_base(batch, row, item, result.values)
    _visit_made(batch, facts, caller, item)
    find_cases(batch, facts, [facts.by_pk[pk] for pk in facts.waiting.get(row.key, ())])
    if result.rest:
        keep_rest(batch, facts, row, item, result.rest)


def follow_home(batch: Batch, facts: Facts, item: Item) -> None:
    """It was another home: the visit lies where that one does."""
    home = _household_cell(facts, item.values.get("household_id"))
    if "household_id" in item.old and home is not None and home in facts.config.cells:
        batch.place(item, Place.cell, home)
        batch.set(item, {"cell": facts.config.cells[home].code})


def _visit_made(batch: Batch, facts: Facts, caller: Caller, visit: Item) -> None:
    """Whoever of the cell has been there first closes the task for all."""
    wanted = visit.values.get("household_id")
    if not isinstance(wanted, str):
        return
    home = facts.docs.get((Collection.households, content.id_bytes(Collection.households, wanted)))
    if home is not None and facts.level(caller.user_pk, home) != Level.none:
        children.close_tasks(batch, facts, batch.take(home), "visit_due", by=visit.id)


def _household_cell(facts: Facts, household_id: Any) -> int | None:
    if not isinstance(household_id, str):
        return None
    doc = facts.docs.get((Collection.households, content.id_bytes(Collection.households, household_id)))
    return None if doc is None else doc.cell


def _merge(batch: Batch, facts: Facts, caller: Caller, row: PushRow, item: Item, name: str) -> None:
    result = row.checked
    if not result.usable:
        aside(batch, facts, caller, row, result.reason or "unusable", item.doc.collection)
        return
    if result.rest:
        keep_rest(batch, facts, row, item, result.rest)
    tell_issues(batch, row, item, caller)
    changed = merged_into(batch, facts, caller, row, item, result.values, name)
    if changed:
        restamp(batch, facts, item, row, caller)


def decide_household(batch: Batch, facts: Facts, caller: Caller, row: PushRow) -> None:
    """PU3 for a household: grid roles of its cell edit a few fields; nobody makes one by sync."""
    doc = _stored(batch, facts, Collection.households, row)
    if doc is None:
        aside(batch, facts, caller, row, "read_only", Collection.households)
        return
    item = _may_edit(batch, facts, caller, row, doc)
    if item is None:
        return
    if not facts.config.roles_at(caller.user_pk, doc.cell) & _GRID_ROLES:
        aside(batch, facts, caller, row, "not_yours_to_write", Collection.households)
        return
    _merge(batch, facts, caller, row, item, "households")


def decide_notice(batch: Batch, facts: Facts, caller: Caller, row: PushRow) -> None:
    """PU3 for a notice: its reader says that it was read, nothing else."""
    doc = _stored(batch, facts, Collection.notices, row)
    if doc is None or facts.level(caller.user_pk, doc) == Level.none or row.fault is not None:
        aside(batch, facts, caller, row, row.fault or "out_of_scope", Collection.notices, tell=False)
        return
    item = batch.take(doc)
    if row.checked.rest:
        keep_rest(batch, facts, row, item, row.checked.rest)
    read_at = row.checked.values.get("read_at")
    if read_at is not None and item.values.get("read_at") is None:
        batch.set(item, {"read_at": read_at})


def decide_read_only(batch: Batch, facts: Facts, caller: Caller, row: PushRow) -> None:
    """PU3 for what a phone only reads: the master comes back, the payload is kept."""
    collection = facts.collection
    doc = _stored(batch, facts, collection, row)
    if doc is not None and doc.gone is None and row.fault is None and not row.doc.get("_deleted"):
        held = content.wire_values(doc, facts.keys)
        if all(held.get(name) == value for name, value in row.doc.items()):
            return  # nothing was typed
    aside(batch, facts, caller, row, "read_only", collection, tell=False)
