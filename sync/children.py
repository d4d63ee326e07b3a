"""What hangs on a case and is written with it: entries, tasks, notices."""

from collections.abc import Mapping
from typing import Any

from sync import content
from sync.batch import Batch, Item
from sync.cases.catalogue import ENTRY_TYPES
from sync.cases.lifecycle import Done
from sync.facts import Facts
from sync.recusal import denied
from sync.values import ENTRY_CLASSES, SEALED, Collection

_DESK = frozenset(
    {"clerk", "dispatcher", "centre_director"}
)  # their tasks are no business of the cell's phones


def write_drafts(batch: Batch, facts: Facts, item: Item, done: Done, *, author: int | None) -> list[str]:
    """Entries, tasks and notices that an act brings."""
    ids = [
        write_entry(batch, facts, item, draft.type, draft.body, draft.class_, draft.id, author=author).id
        for draft in done.entries
    ]
    for task in done.tasks:
        open_task(
            batch,
            facts,
            item,
            task.type,
            role=task.role,
            user=task.user,
            due=task.due,
            text=task.text,
        )
    asked = any(draft.type == "follow_up" for draft in done.entries)
    for kind in done.close_tasks:
        # a follow-up does one round of the plan; filing, merging and opening again end what is left of it
        close_tasks(batch, facts, item, kind, by=ids[0] if ids else None, every=not asked)
    for notice in done.tell:
        account = facts.config.account_by_id.get(notice.user)
        if account is not None and account.pk not in denied(batch, facts, item):
            batch.notice(account.pk, account.id, notice.kind, notice.code, {"id": item.id, **notice.args})
    return ids


def write_entry(
    batch: Batch,
    facts: Facts,
    item: Item,
    kind: str,
    body: Mapping[str, Any],
    class_: str,
    identity: str | None,
    *,
    author: int | None,
) -> Item:
    values: dict[str, Any] = {
        "case_id": item.id,
        "type": kind,
        "at": batch.now,
        "body": dict(body),
        "class": class_,
        "received_at": batch.now,
    }
    if author is not None and author in facts.config.accounts:
        values["author"] = facts.config.accounts[author].id
    number = ENTRY_CLASSES.index(class_)
    if identity is None:
        return batch.mint(Collection.entries, values, parent=item, writer=author, entry_class=number)
    key = content.id_bytes(Collection.entries, identity)
    held = batch.held(Collection.entries, key)
    if held is not None:
        return held
    return batch.create(
        Collection.entries, key, {"id": identity, **values}, parent=item, writer=author, entry_class=number
    )


def entry_class(kind: str) -> int:
    """The class number of an entry type; an unknown type is handled as handlers only."""
    row = ENTRY_TYPES.get(kind)
    letter = getattr(row, "class_", "c") if row is not None else "c"
    return ENTRY_CLASSES.index(letter) if letter in ENTRY_CLASSES else 0


def open_task(
    batch: Batch,
    facts: Facts,
    item: Item,
    kind: str,
    *,
    role: str | None = None,
    user: str | None = None,
    due: int | None = None,
    text: str = "",
) -> None:
    """A task of the case's cell and role, or of one person; it follows the case, recusal and class included."""
    account = facts.config.account_by_id.get(user) if user else None
    if item.doc.klass == SEALED and account is None:
        return  # a sealed case leaves no trace in a cell
    values: dict[str, Any] = {
        "type": kind,
        "cell": item.values.get("cell") if account is None else None,
        "role": role,
        "user": None if account is None else account.id,
        "case_id": item.id,
        "due": due,
        "opened_at": batch.now,
        "text": text,
    }
    batch.mint(
        Collection.tasks,
        {name: value for name, value in values.items() if value is not None},
        of_case=item,
        entry_class=ENTRY_CLASSES.index("c" if role in _DESK else "o"),
        cell=item.doc.cell if account is None else None,
        person=None if account is None else account.pk,
    )


def close_tasks(
    batch: Batch, facts: Facts, item: Item, kind: str, *, by: str | None, every: bool = False
) -> None:
    """End the case's open tasks of one type; of a plan of several rounds only the next one, unless `every`."""
    docs = [doc for doc in facts.tasks.get(item.doc.pk, ()) if doc.gone is None]
    open_ones = [task for task in map(batch.take, docs) if task.values.get("type") == kind]
    open_ones = [task for task in open_ones if task.values.get("closed_at") is None]
    open_ones.sort(key=lambda task: (task.values.get("due") or 0, task.doc.pk))
    for task in open_ones[:1] if kind == "follow_up" and not every else open_ones:
        batch.set(task, {"closed_at": batch.now, "closed_by_entry": by})
