"""Where what hangs on a case finds it: by the id it names, through a merger, or by the entry that a file shows.

A file may hang on a visit instead, and then lies where that lies.

What its writer may not see is not found, and looks the same to him as what is not there (VI7).
"""

from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import structs

from sync import casework, content
from sync.batch import Batch, Item
from sync.facts import Facts
from sync.push_cases import link
from sync.rows import PushRow
from sync.values import ENTRY_CLASSES, Collection, Doc, Level

MERGED_HOPS = 8  # a case merged into one that was merged …


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


def find_case(batch: Batch, facts: Facts, doc: Doc) -> bool:
    """What waits for its case finds it once its writer sees that: it may have come into view since."""
    if doc.own_since is None or doc.gone is not None or doc.pk in facts.let_go:
        return False
    item = batch.take(doc)
    if doc.collection == Collection.files:
        return _find_owner(batch, facts, item)
    named = str(item.values["case_id"])
    case = case_by_id(batch, facts, named)
    if case is None or doc.writer is None or level_by(batch, facts, doc.writer, named, case) < Level.plain:
        return False
    link(batch, doc, case)
    if case.id != named:
        batch.set(item, {"moved_from": named, "case_id": case.id})
    return True


def _find_owner(batch: Batch, facts: Facts, file: Item) -> bool:
    owner, writer = file.values.get("owner_id"), file.doc.writer
    if not isinstance(owner, str) or writer is None:
        return False
    case, least = owner_of(batch, facts, writer, owner)
    if case is None:
        return False
    hang_file(batch, file, case, least)
    return True


def hang_file(batch: Batch, file: Item, case: Item, least: int) -> None:
    """Hang a file that waits on its case or visit, at least as closed as the entry it shows."""
    link(batch, file.doc, case)
    letter = max(least, file.doc.entry_class or 0)
    file.doc = structs.replace(file.doc, entry_class=letter)
    batch.set(file, {"class": ENTRY_CLASSES[letter]})


def case_behind(batch: Batch, facts: Facts, owner: str) -> Item | None:
    """The case that a file is about, whoever sees it: named by itself, or by the entry it shows, which may wait too."""
    case = case_by_id(batch, facts, owner)
    doc = facts.docs.get((Collection.entries, content.id_bytes(Collection.entries, owner)))
    if case is not None or doc is None or doc.gone is not None:
        return case
    return case_by_id(batch, facts, str(content.whole(doc, facts.keys)["case_id"]))


def owner_of(batch: Batch, facts: Facts, user_pk: int, owner: str) -> tuple[Item | None, int]:
    """What a file hangs on: its case, that of the entry it shows, or its visit; and how closed that entry is.

    Nothing where its writer does not see case and entry, or the visit.
    """
    case = case_by_id(batch, facts, owner)
    if case is not None:
        seen = level_by(batch, facts, user_pk, owner, case) >= Level.plain
        return (case if seen else None), 0
    visit = _visit_by_id(batch, facts, owner)
    if visit is not None:
        seen = facts.level(user_pk, visit.doc, batch.opened, batch.closed) >= Level.plain
        return (visit if seen else None), 0
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


def _visit_by_id(batch: Batch, facts: Facts, visit_id: str) -> Item | None:
    key = content.id_bytes(Collection.visits, visit_id)
    held = batch.held(Collection.visits, key)
    doc = held.doc if held is not None else facts.docs.get((Collection.visits, key))
    return None if doc is None or doc.gone is not None else batch.take(doc)


def find_cases(batch: Batch, facts: Facts, waiting: Iterable[Doc]) -> int:
    """Hang what waits on the cases that have come, or come into its writers' view; how many."""
    return sum(find_case(batch, facts, doc) for doc in waiting)


def case_by_id(batch: Batch, facts: Facts, case_id: str) -> Item | None:
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


def level_by(batch: Batch, facts: Facts, user_pk: int, named: object, case: Item | None) -> Level:
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
