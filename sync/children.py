"""What hangs on a case and is written with it: entries, tasks, notices."""

from collections.abc import Mapping
from typing import Any

from sync import content
from sync.batch import Batch, Item
from sync.cases.lifecycle import Done, TaskDraft
from sync.entry_classes import class_of, taken
from sync.facts import Facts
from sync.merge import same
from sync.recusal import denied, named
from sync.values import ENTRY_CLASSES, SEALED, Collection

_DESK = frozenset(
    {"clerk", "dispatcher", "centre_director"}
)  # their tasks are no business of the cell's phones


def write_drafts(batch: Batch, facts: Facts, item: Item, done: Done, *, author: int | None) -> list[str]:
    """Entries, tasks and notices that an act brings."""
    ids = [
        write_entry(batch, facts, item, draft.type, draft.body, draft.id, author=author).id
        for draft in done.entries
    ]
    for task in done.tasks:
        for user in _whose(batch, facts, item, task):
            open_task(batch, facts, item, task.type, role=task.role, user=user, due=task.due, text=task.text)
    asked = any(draft.type == "follow_up" for draft in done.entries)
    for kind in done.close_tasks:
        # a follow-up does one round of the plan; filing, merging and opening again end what is left of it
        close_tasks(batch, facts, item, kind, by=ids[0] if ids else None, every=not asked)
    for notice in done.tell:
        account = facts.config.account_by_id.get(notice.user)
        if account is not None and account.pk not in denied(batch, facts, item):
            args = {"id": item.id, **notice.args}
            batch.notice(account.pk, account.id, notice.kind, notice.code, args, of_case=item)
    return ids


def _whose(batch: Batch, facts: Facts, item: Item, task: TaskDraft) -> list[str | None]:
    """For whom a task is: a person, those of the handling unit in a role, else the cell (None)."""
    if task.user is None and item.doc.klass == SEALED:
        return [_keeper(batch, facts, item)]  # it may lie in no cell
    if task.user is not None or task.to_cell or task.role is None or item.doc.duty is None:
        return [task.user]
    people = facts.config.unit_members(item.doc.duty // 2, frozenset({task.role}))
    return [facts.config.accounts[pk].id for pk in people if pk in facts.config.accounts] or [None]


def _keeper(batch: Batch, facts: Facts, item: Item) -> str | None:
    """Who does what a sealed case asks for: who has it, else its author while he is named, else the director."""
    config, may_know = facts.config, named(batch, facts, item) - denied(batch, facts, item)
    directors = config.holders(frozenset({"centre_director"}), item.doc.cell)
    for pk in (item.doc.person, item.doc.writer, *directors):
        account = None if pk is None else config.accounts.get(pk)
        if account is not None and account.state == "active" and account.pk in may_know:
            return account.id
    return None


def write_entry(
    batch: Batch,
    facts: Facts,
    item: Item,
    kind: str,
    body: Mapping[str, Any],
    identity: str | None,
    *,
    author: int | None,
) -> Item:
    """An entry the server writes; one that rides along has the id its phone gave it, unless that is taken."""
    number = class_of(batch, facts, kind, body)
    values: dict[str, Any] = {
        "case_id": item.id,
        "type": kind,
        "at": batch.now,
        "body": dict(body),
        "class": ENTRY_CLASSES[number],
        "received_at": batch.now,
    }
    if author is not None and author in facts.config.accounts:
        values["author"] = facts.config.accounts[author].id
    there = None if identity is None else taken(batch, facts, identity)
    if (
        there is not None
        and (there.doc.case_pk, there.doc.writer) == (item.doc.pk, author)
        and there.values.get("type") == kind
        and same(there.values.get("body"), body)
    ):
        return there
    if identity is None or there is not None:
        return batch.mint(Collection.entries, values, parent=item, writer=author, entry_class=number)
    key = content.id_bytes(Collection.entries, identity)
    return batch.create(
        Collection.entries, key, {"id": identity, **values}, parent=item, writer=author, entry_class=number
    )


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
    open_ones = open_tasks(batch, facts, item, kind)
    for task in open_ones[:1] if kind == "follow_up" and not every else open_ones:
        batch.set(task, {"closed_at": batch.now, "closed_by_entry": by})


def open_tasks(batch: Batch, facts: Facts, item: Item, kind: str | None = None) -> list[Item]:
    """The case's tasks that nobody has done yet, all or those of one type, the next due first."""
    tasks = [batch.take(doc) for doc in facts.tasks.get(item.doc.pk, ()) if doc.gone is None]
    # A phone that was off the net sends a whole day at once: tasks of this very batch may end in it.
    tasks += [
        one
        for one in batch.items.values()
        if one.created and one.doc.collection == Collection.tasks and one.doc.case_pk == item.doc.pk
    ]
    open_ones = [task for task in tasks if task.values.get("closed_at") is None]
    wanted = [task for task in open_ones if kind is None or task.values.get("type") == kind]
    return sorted(wanted, key=lambda task: (task.values.get("due") or 0, task.doc.pk))
