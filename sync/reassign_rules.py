"""What becomes of one document in a mass re-assignment, decided from the district as it is now."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec
from msgspec import Struct

from geo.assignment import Method
from sync import casework, content, placing
from sync.addresses import addressed
from sync.batch import Batch, Item, status_number
from sync.cases import lifecycle
from sync.cases.catalogue import OPEN_STATUSES
from sync.config import OUTSIDE, OUTSIDE_CODE, Config, duty_tag
from sync.directives import end_authorship, follow, move
from sync.facts import Facts
from sync.recusal import denied
from sync.store import Reader, Row
from sync.values import Collection, Doc, Place

EDITION, UNIT, WORKER = "edition", "unit", "worker"
MOVED: Final = (Collection.cases, Collection.visits, Collection.households, Collection.tasks)
_OPEN: Final = frozenset(status_number(code) for code in OPEN_STATUSES)
_OF_A_CELL: Final = frozenset({Collection.cases, Collection.visits, Collection.households})


class Task(Struct, frozen=True):
    """What is to be re-assigned: `heirs` says which cell has taken over from which, by key.

    `undo_over` is the re-assignment after which those of editions are undone, None where nothing is.
    """

    kind: str
    source: int
    target: int
    heirs: dict[int, int]
    undo_over: int | None = None

    @classmethod
    def of(cls, row: Row) -> "Task":
        """The task of a row of ``reassignment``."""
        heirs = {int(old): new for old, new in msgspec.json.decode(row["plan"]).items()}
        undo_over = row["source"] if row["kind"] == EDITION else None
        return cls(row["kind"], row["source"] or 0, row["target"] or 0, heirs, undo_over)


def has_vanished(config: Config, cell_pk: int | None) -> bool:
    """Whether this is a cell, and of an edition of the past."""
    return cell_pk not in {None, OUTSIDE} and not placing.in_force(config, cell_pk or OUTSIDE)


def concerns(task: Task, config: Config, line: Row) -> bool:
    """Whether a row might have to move, told by its columns alone."""
    collection = line["collection"]
    if task.kind == EDITION:
        if collection not in _OF_A_CELL:
            return False
        return has_vanished(config, line["cell"]) or (
            collection == Collection.cases and line["status"] in _OPEN
        )
    if task.kind == UNIT:
        return (
            collection == Collection.cases
            and line["duty"] in _duties(task.source)
            and line["status"] in _OPEN
        )
    authored = line["author"] == task.source and line["author_since"] is not None
    return line["person"] == task.source or (authored and collection in {Collection.cases, Collection.visits})


def _duties(unit_pk: int) -> tuple[int, int]:
    return duty_tag(unit_pk, assigned=False), duty_tag(unit_pk, assigned=True)


def homes_of(docs: Iterable[Doc], facts: Facts) -> set[bytes]:
    """Ids of the households that these visits were made to."""
    found: set[bytes] = set()
    for doc in docs:
        if doc.collection == Collection.visits and b'"household_id"' in doc.clear:
            wanted = content.whole(doc, facts.keys).get("household_id")
            if isinstance(wanted, str):
                found.add(content.id_bytes(Collection.households, wanted))
    return found


def back_from(cell: int | None, moves: Iterable[tuple[int | None, int | None]]) -> int | None:
    """MA5: where a document in `cell` was before these moves (from, to; the latest first); None: it went otherwise."""
    place, known = cell, False
    for source, target in moves:
        if target == place and source is not None:
            place, known = source, True
    return place if known else None


def learn_places(reader: Reader, facts: Facts, docs: Iterable[Doc]) -> set[int]:
    """Where the fixes of these cases lie now, asked of the layer in one go, and else what they were told to be.

    Returns the keys of those that lie where they should: they need no further look.
    """
    cases = {
        doc: msgspec.json.decode(b"{" + doc.clear + b"}")
        for doc in docs
        if doc.collection == Collection.cases and doc.gone is None
    }
    fixes = {doc.id: values["location"] for doc, values in cases.items() if values.get("location")}
    facts.assigned = placing.assign_fixes(facts.config, fixes)
    stay = {doc.pk for doc, values in cases.items() if _stays(facts, doc, values.get("assignment") or {})}
    unplaced = {doc.id: values for doc, values in cases.items() if doc.pk not in stay}
    facts.addressed = addressed(reader, facts.config, unplaced, facts.assigned)
    return stay


def _stays(facts: Facts, doc: Doc, held: Mapping[str, Any]) -> bool:
    """Whether an open case lies where a person, its fix or nothing else says, in a cell that there is."""
    config = facts.config
    if doc.status not in _OPEN or doc.cell is None or not placing.in_force(config, doc.cell):
        return False
    found = facts.assigned.get(doc.id)
    if held.get("method") == placing.PERSON or found is None or found.method is Method.NONE:
        return True
    return found.cell == config.cells[doc.cell].code and not _names_the_past(config, held)


def reassign(batch: Batch, facts: Facts, task: Task, doc: Doc, *, back: int | None = None) -> bool:
    """Give one document the place it should have; whether it moved. `back`: where it was before what is undone."""
    if doc.gone is not None:
        return False
    item = batch.take(doc)
    if task.kind == UNIT:
        return _to_unit(batch, facts, task, item)
    if task.kind == WORKER:
        return _to_worker(batch, facts, task, item)
    if doc.collection == Collection.cases:
        return _case_to_cell(batch, facts, task, item, back)
    return _home_to_cell(batch, facts, task, item, back)


# --- a new edition of the cells --------------------------------------------------------------------------------------


def _heir(config: Config, heirs: Mapping[int, int], cell_pk: int | None) -> int | None:
    """The cell in force that has taken over from a vanished one, if it is one."""
    heir = None if cell_pk is None else heirs.get(cell_pk)
    return heir if heir is not None and placing.in_force(config, heir) else None


def _case_to_cell(batch: Batch, facts: Facts, task: Task, item: Item, back: int | None) -> bool:
    """MA3: an open case goes where its fix lies now; a closed one keeps its cell of then, and is seen by somebody."""
    doc, config = item.doc, facts.config
    exists = placing.in_force(config, doc.cell or OUTSIDE)
    back = back if back is not None and placing.in_force(config, back) else None
    heir = _heir(config, task.heirs, doc.cell) if back is None else back
    if item.values.get("status") not in OPEN_STATUSES:
        if back is None and (exists or doc.cell in {None, OUTSIDE}):
            return False
        batch.place(item, Place.cell, OUTSIDE if heir is None else heir)
        return True
    held = item.values.get("assignment") or {}
    by_person = held.get("method") == placing.PERSON
    was = (held.get("moved") or {}).get("was") or {}
    said_since = by_person and was.get("method") != placing.PERSON  # after the last edition that moved it
    # Without a fix there is nothing new to go by: its author may have another cell by now.
    fixed = placing.fix_of(item.values.get("location")) is not None
    if exists and (said_since or (back is None and (by_person or not fixed))):
        return False
    if back is not None and (not fixed or was.get("method") == placing.PERSON):
        placed = placing.Placed(back, config.cells[back].code, was or placing.by_succession())
    elif by_person:
        # PC5: what he said holds for the ground, whoever has it now; who said it, and why, stays written.
        target = OUTSIDE if heir is None else heir
        said = {name: value for name, value in held.items() if name != "moved"}
        placed = placing.Placed(target, config.cells[target].code, said | {"needs_confirmation": True})
    else:
        found = facts.assigned.get(doc.id)
        place_told = facts.addressed.get(doc.id)
        placed = placing.place(
            config, item.values, author=doc.writer, found=found, addressed=place_told, heir=heir
        )
    if placed.cell_pk == doc.cell:
        if not by_person and _names_the_past(config, held):
            kept = {name: value for name, value in held.items() if name == "moved"}
            batch.set(item, {"assignment": placed.assignment | kept})
        return False
    if exists and _may_stay(config, held, placed, config.cells[doc.cell or OUTSIDE].code):
        if _names_the_past(config, held):
            batch.set(item, {"assignment": held | {"candidates": placed.assignment["candidates"]}})
        return False
    moved = {
        "generation": config.generation,
        "from": item.values.get("cell"),
        "was": {name: value for name, value in held.items() if name != "moved"},
    }
    batch.set(item, {"assignment": {**placed.assignment, "moved": moved}})
    move(batch, facts, item, placed.cell_pk, placed.cell)
    casework.ask_for_place(batch, facts, item)
    return True


def _may_stay(config: Config, held: Mapping[str, Any], placed: placing.Placed, code: str) -> bool:
    """PC6: a fix that names no cell takes no case out of one that it may mean: somebody is at work on it there."""
    found = placed.assignment
    if found["method"] != placing.RAISED:
        return False
    if held.get("method") in placing.BY_FIX:
        return code in found["candidates"]
    return placing.allows(config, found.get("area"), code)  # an address or a household has said so


def _names_the_past(config: Config, assignment: Mapping[str, Any]) -> bool:
    """Whether places are offered that nobody finds any more."""
    codes = [*(assignment.get("candidates") or ()), *filter(None, [assignment.get("area")])]
    rows = [config.cell_by_code.get(code) for code in codes]
    return any(row is None or row.generation != config.generation for row in rows)


def _home_to_cell(batch: Batch, facts: Facts, task: Task, item: Item, back: int | None) -> bool:
    """MA3: a household goes to whoever has the ground now, else before the centre; a visit goes with its home."""
    doc, config = item.doc, facts.config
    cell = doc.cell
    if doc.collection == Collection.visits:
        wanted = item.values.get("household_id")
        key = content.id_bytes(Collection.households, wanted) if isinstance(wanted, str) else b""
        home = facts.docs.get((Collection.households, key))
        cell = doc.cell if home is None or home.cell is None else home.cell
    if back is not None and placing.in_force(config, back) and cell == doc.cell:
        cell = back
    elif cell is not None and not placing.in_force(config, cell):
        cell = _heir(config, task.heirs, cell)
    target = OUTSIDE if cell is None else cell
    if target == doc.cell:
        return False
    row = config.cells.get(target)
    batch.place(item, Place.cell, target)
    batch.set(item, {"cell": OUTSIDE_CODE if row is None else row.code})
    return True


# --- one unit's, one worker's ----------------------------------------------------------------------------------------


def _to_unit(batch: Batch, facts: Facts, task: Task, item: Item) -> bool:
    """MA4: what a unit handles comes before the other unit, whose people take it up anew."""
    if item.doc.duty not in _duties(task.source) or item.values.get("status") not in OPEN_STATUSES:
        return False
    unit = facts.config.units[task.target].code
    handler = {**(item.values.get("handler") or {}), "unit": unit, "user": None}
    batch.set(item, {"handler": handler})
    follow(batch, facts, item, lifecycle.Dispatch(unit=unit, user=None))
    return True


def _to_worker(batch: Batch, facts: Facts, task: Task, item: Item) -> bool:
    """MA4: what somebody has in hand goes to his follower; what he only wrote lies where it lies, without him."""
    before = item.doc
    follower = facts.config.accounts[task.target]
    if item.doc.collection == Collection.tasks:
        batch.place(item, Place.person, follower.pk)
        batch.set(item, {"user": follower.id})
        return True
    if item.doc.person == task.source:
        # Who may not know of the case does not get it: it lies in its unit's pool again.
        user = None if follower.pk in denied(batch, facts, item) else follower.id
        batch.set(item, {"handler": {**(item.values.get("handler") or {}), "user": user}})
        follow(batch, facts, item, lifecycle.Handler(user=user))
    if item.doc.author == task.source and item.doc.author_since is not None:
        end_authorship(batch, facts, item)
    return item.doc != before
