"""What happens to a case inside a commit: it is opened, amended, acted upon, moved, merged, erased.

Every writer of cases comes through here (a pushed capture, an act of the console or of a phone, a timer, a new cell
edition), so that places, namings, clocks, entries, tasks and notices always change together. Statuses change only by
acts, and acts are decided by ``cases.lifecycle`` on the case as it is now.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct, structs

from sync import content, placing, timing
from sync.batch import Batch, Item
from sync.cases import lifecycle
from sync.cases.catalogue import ENTRY_TYPES, KINDS
from sync.cases.lifecycle import Actor, CaseFacts, Done, Refused
from sync.config import OUTSIDE, duty_tag
from sync.facts import Facts
from sync.values import CLASSES, ENTRY_CLASSES, SEALED, Collection, Level, Named, Place

KIND_CODES = frozenset(KINDS)
# Facts that the rules of the clocks read from the case.
_TIMED = frozenset({"kind", "category", "risk", "urgency", "complexity", "protection", "status", "level"})
# Who is kept from a case about the community's own staff, besides the cell's other workers.
_STAFF_ROLES = frozenset({"grid_leader", "community_officer", "community_leader"})
_CELL_ROLES = frozenset({"grid_worker", "grid_assistant"})
_QUERY_ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
_QUERY_LENGTH = 14
_NUMBER_WORDS = {
    "dispute": "矛",
    "request": "诉",
    "hazard": "患",
    "opinion": "议",
    "consult": "询",
    "tip_off": "线",
}
_YEAR_MS = 31_556_952_000
_CIVIL_MS = 8 * 3_600_000


class Acted(Struct, frozen=True):
    """What an act came to; `query_code` is told once, to whoever admitted."""

    done: bool
    refusal: Refused | None = None
    query_code: str | None = None
    entry_id: str | None = None


# --- opening ---------------------------------------------------------------------------------------------------------


def open_case(
    batch: Batch,
    facts: Facts,
    key: bytes,
    values: dict[str, Any],
    *,
    author: int | None,
    device: int | None,
    w: str | None,
    digest: bytes | None,
) -> Item:
    """A new case at its place, with its class, status, clocks and what an on-the-spot settlement brings."""
    placed = placing.place(
        facts.config,
        values,
        author=author,
        found=facts.assigned.get(key),
        household_cell=_household_cell(batch, facts, values.get("household_id")),
    )
    values |= {
        "cell": placed.cell,
        "cell_generation": facts.config.generation,
        "assignment": placed.assignment,
        "received_at": batch.now,
        "reopened_count": 0,
        "level": 0,
    }
    number = _next_number(batch, facts, values.get("kind") or "dispute")
    lawful = _lifecycle_facts(batch, facts, number=number[2])
    actor = _actor(facts, author, roles=None, cell=placed.cell_pk, case=None)
    done = lifecycle.on_create(values, actor, lawful, batch.now)
    values |= {name: value for name, value in done.set.items() if value is not None}
    klass = CLASSES.index(values.get("protection") or "normal")
    item = batch.create(
        Collection.cases,
        key,
        values,
        klass=klass,
        cell=placed.cell_pk,
        author=author,
        writer=author,
        w=w,
        device=device,
        digest=digest,
    )
    if values.get("code") is not None:
        batch.series[number[0]] = number[1]
    if klass == SEALED:
        _seal_to(batch, facts, item, author)
    if values.get("involves_staff"):
        recuse_staff(batch, facts, item)
    received, *rest = [*done.events] or [lifecycle.ClockEvent("case.received", {})]
    timing.opened(batch, facts, item, received.args)
    if rest:
        timing.happened(batch, facts, item, [(event.kind, event.args) for event in rest])
    _write_drafts(batch, facts, item, done, author=author, device=device)
    if placed.assignment.get("needs_confirmation"):
        _task(batch, facts, item, "confirm_place", role="dispatcher", text="请确认案件位置")
    return item


def _household_cell(batch: Batch, facts: Facts, household_id: Any) -> int | None:
    if not isinstance(household_id, str):
        return None
    doc = facts.docs.get((Collection.households, content.id_bytes(Collection.households, household_id)))
    return None if doc is None else doc.cell


def _seal_to(batch: Batch, facts: Facts, item: Item, author: int | None) -> None:
    """Sealed at birth: the author, the centre's director, and the one clerk the district names."""
    config = facts.config
    people = set(config.holders(frozenset({"centre_director"}), item.doc.cell))
    clerk = config.settings.get("sealed_clerk")
    people |= {
        row.pk for row in config.accounts.values() if clerk is not None and clerk in {row.username, row.id}
    }
    if author is not None and item.doc.author_since is not None:
        people.add(author)
    known = facts.namings.get(item.doc.pk, [])
    for user_pk in sorted(people):
        batch.name(item, user_pk, known)


def recuse_staff(batch: Batch, facts: Facts, item: Item) -> None:
    """回避 by flag: those who hold office at the case's cell or community, and the cell's other workers."""
    config = facts.config
    cell = item.doc.cell
    known = facts.namings.get(item.doc.pk, [])
    people = {*config.holders(_STAFF_ROLES, cell), *config.holders(_CELL_ROLES, cell)} - {item.doc.writer}
    lifted = set((item.values.get("track") or {}).get("lifted", ()))
    for user_pk in sorted(people):
        account = config.accounts.get(user_pk)
        if account is not None and account.id not in lifted:
            batch.name(item, user_pk, known, denied=True)
    _tell_recused(batch, facts, item)


def _tell_recused(batch: Batch, facts: Facts, item: Item) -> None:
    users = sorted(_denied(batch, facts, item))
    ids = [facts.config.accounts[pk].id for pk in users if pk in facts.config.accounts]
    batch.set(item, {"recused": ids or None})


def _denied(batch: Batch, facts: Facts, item: Item) -> set[int]:
    pk = item.doc.pk
    closed = {row.pk for row in batch.closed}
    stored = {
        row.user_pk
        for row in facts.namings.get(pk, ())
        if row.denied and row.v_to is None and row.pk not in closed
    }
    return stored | {row["user_pk"] for row in batch.opened if row["case_pk"] == pk and row["denied"]}


def _next_number(batch: Batch, facts: Facts, kind: str) -> tuple[str, int, str]:
    """The series, its next value, and the official number made of it (例: 涧东矛〔2026〕000187)."""
    year = civil_year(batch.now)
    name = f"{_NUMBER_WORDS.get(kind, '矛')}{year}"
    value = batch.series.get(name, facts.series.get(name, 0)) + 1
    short = facts.config.settings.get("short_name", "")
    return name, value, f"{short}{name[0]}〔{year}〕{value:06d}"


def civil_year(at: int) -> int:
    """The year of an instant in the country's one civil time."""
    days = (at + _CIVIL_MS) // 86_400_000
    # Howard Hinnant's days-to-civil, cut down to the year.
    z = days + 719_468
    era = z // 146_097
    doe = z - era * 146_097
    yoe = (doe - doe // 1_460 + doe // 36_524 - doe // 146_096) // 365
    doy = doe - (365 * yoe + yoe // 4 - yoe // 100)
    return int(yoe + era * 400 + (1 if (5 * doy + 2) // 153 >= 10 else 0))


# --- acting ----------------------------------------------------------------------------------------------------------


def roles_on(facts: Facts, user_pk: int, item: Item) -> frozenset[str]:
    """The roles of a person that count on this very case: at its cell, or at its handling unit."""
    units = [item.doc.duty // 2] if item.doc.duty is not None else []
    helpers = (item.values.get("handler") or {}).get("helpers") or []
    units += [row.pk for code in helpers if (row := facts.config.unit_by_code.get(code)) is not None]
    return facts.config.roles_at(user_pk, item.doc.cell, units=units)


def _actor(
    facts: Facts, user_pk: int | None, *, roles: frozenset[str] | None, cell: int | None, case: Item | None
) -> Actor:
    if user_pk is None:
        return Actor(
            user="system", roles=frozenset(), device=None, is_handler=False, is_author=False, system=True
        )
    account = facts.config.accounts[user_pk]
    held = roles if roles is not None else facts.config.roles_at(user_pk, cell) or facts.config.roles(user_pk)
    handler = (case.values.get("handler") or {}) if case is not None else {}
    return Actor(
        user=account.id,
        roles=held,
        device=None,
        is_handler=case is not None
        and (handler.get("user") == account.id or account.id in (handler.get("users") or ())),
        is_author=case is None or case.doc.writer == user_pk,
    )


def _lifecycle_facts(
    batch: Batch,
    facts: Facts,
    *,
    number: str | None,
    query_code: str | None = None,
    master: Item | None = None,
) -> CaseFacts:
    config = facts.config
    return CaseFacts(
        units={row.code: row.type for row in config.units.values()} if query_code is not None else _NO_UNITS,
        unit_exists=frozenset(config.unit_by_code) if query_code is not None else frozenset(),
        user_units=_user_units(facts) if query_code is not None else {},
        settings=config.settings,
        chance=batch.chance.percent(),
        code=number,
        query_code=query_code,
        merge_target=None if master is None else master.values,
    )


_NO_UNITS: dict[str, str] = {}


def _user_units(facts: Facts) -> dict[str, frozenset[str]]:
    config = facts.config
    return {
        account.id: frozenset(
            config.units[grant.unit_pk].code
            for grant in config.active_grants(account.pk)
            if grant.unit_pk is not None and grant.unit_pk in config.units
        )
        for account in config.accounts.values()
    }


def act(
    batch: Batch,
    facts: Facts,
    item: Item,
    name: str,
    args: Mapping[str, Any],
    *,
    user_pk: int | None,
    entry: Item | None = None,
    roles: frozenset[str] | None = None,
    master: Item | None = None,
) -> Acted:
    """Run an act on the case as it is now, and write its own `act` entry (or complete the phone's, `entry`)."""
    held = roles
    if held is None and user_pk is not None:
        held = roles_on(facts, user_pk, item)
    number = _next_number(batch, facts, item.values.get("kind") or "dispute")
    query_code = _query_code(batch)
    actor = _actor(facts, user_pk, roles=held, cell=item.doc.cell, case=item)
    lawful = _lifecycle_facts(batch, facts, number=number[2], query_code=query_code, master=master)
    before = item.values.get("status")
    done = lifecycle.run_act(item.values, name, args, actor, lawful, batch.now)
    if isinstance(done, Refused):
        if entry is not None:
            outcome = {"outcome": "refused", "reason": done.code, "legal": list(done.legal)}
            batch.set(entry, {"body": {**(entry.values.get("body") or {}), **outcome}})
        return Acted(done=False, refusal=done)
    batch.set(item, done.set)
    if done.set.get("code") == number[2]:
        batch.series[number[0]] = number[1]
    told = None
    if any(value == query_code for value in done.set.values()):
        told = query_code
        digest = batch.keys.digest(query_code.encode())
        batch.query_codes.append({"digest": digest, "case_pk": item.doc.pk})
    for directive in done.directives:
        _follow(batch, facts, item, directive, user_pk=user_pk)
    entry_ids = _write_drafts(batch, facts, item, done, author=user_pk, device=batch.device)
    body = {
        "act": name,
        "args": {key: value for key, value in args.items() if key != "entry"},
        "outcome": "done",
        "from": before,
        "to": item.values.get("status"),
    }
    if entry_ids:
        body["entry_id"] = entry_ids[0]
    if entry is not None:
        batch.set(entry, {"body": {**(entry.values.get("body") or {}), **body}})
    else:
        _entry(batch, facts, item, "act", body, "o", None, author=user_pk)
    if done.events or done.set.keys() & _TIMED:
        timing.happened(batch, facts, item, [(event.kind, event.args) for event in done.events])
    return Acted(done=True, query_code=told, entry_id=entry_ids[0] if entry_ids else None)


def _query_code(batch: Batch) -> str:
    """70 bits in letters and digits that nobody confuses."""
    return "".join(_QUERY_ALPHABET[byte & 31] for byte in batch.chance.bytes(_QUERY_LENGTH))


def _follow(batch: Batch, facts: Facts, item: Item, directive: Any, *, user_pk: int | None) -> None:
    """What an act orders about places and people."""
    config = facts.config
    known = facts.namings.get(item.doc.pk, [])
    match directive:
        case lifecycle.Dispatch(unit=unit, user=user):
            row = config.unit_by_code[unit]
            handler = config.account_by_id.get(user) if user else None
            batch.place(item, Place.duty, duty_tag(row.pk, assigned=handler is not None))
            batch.place(item, Place.person, None if handler is None else handler.pk)
            if item.doc.klass == SEALED:
                named = (
                    {handler.pk} if handler else set(config.unit_members(row.pk, frozenset({"unit_manager"})))
                )
                for person in sorted(named):
                    batch.name(item, person, known)
        case lifecycle.Handler(user=user):
            handler = config.account_by_id.get(user) if user else None
            unit = item.doc.duty
            if unit is not None:
                batch.place(item, Place.duty, duty_tag(unit // 2, assigned=handler is not None))
            batch.place(item, Place.person, None if handler is None else handler.pk)
            if handler is not None and item.doc.klass == SEALED:
                batch.name(item, handler.pk, known)
        case lifecycle.ClearHandler():
            batch.place(item, Place.duty, None)
            batch.place(item, Place.person, None)
        case lifecycle.Name(user=user):
            batch.name(item, config.account_by_id[user].pk, known)
        case lifecycle.Unname(user=user):
            batch.unname(item, config.account_by_id[user].pk, known)
        case lifecycle.Recuse(user=user):
            batch.name(item, config.account_by_id[user].pk, known, denied=True)
            _tell_recused(batch, facts, item)
        case lifecycle.LiftRecusal(user=user):
            batch.unname(item, config.account_by_id[user].pk, known, denied=True)
            _tell_recused(batch, facts, item)
        case lifecycle.SetClass(cls=cls):
            reclass(batch, facts, item, CLASSES.index(cls))
        case lifecycle.SetPlace():
            _set_place(batch, facts, item, directive)
        case lifecycle.MergeInto(case_id=master):
            batch.set(item, {"master_case": master})


def reclass(batch: Batch, facts: Facts, item: Item, klass: int) -> None:
    """Another protection class; sealing names those who keep the case."""
    former = item.doc.klass
    batch.set_class(item, klass)
    if klass == SEALED and former != SEALED:
        author = item.doc.writer if item.doc.author_since is not None else None
        _seal_to(batch, facts, item, author)
        if item.doc.person is not None:
            batch.name(item, item.doc.person, facts.namings.get(item.doc.pk, []))


def _set_place(batch: Batch, facts: Facts, item: Item, directive: Any) -> None:
    """A person says where the case is: that stands until another person says otherwise."""
    if directive.location is not None:
        batch.set(item, {"location": directive.location})
    if directive.cell is not None:
        row = facts.config.cell_by_code.get(directive.cell)
        cell_pk, code = (row.pk, row.code) if row is not None else (OUTSIDE, "outside")
    else:
        placed = placing.place(facts.config, item.values, author=None)
        cell_pk, code = placed.cell_pk, placed.cell
    record = {"method": "person", "needs_confirmation": False}
    if directive.evidence:
        record["evidence"] = directive.evidence
    batch.set(item, {"assignment": record})
    move(batch, facts, item, cell_pk, code)


def move(batch: Batch, facts: Facts, item: Item, cell_pk: int, code: str) -> None:
    """Re-assignment by a person or a generation: the author's place ends, he keeps a notice."""
    author, open_place = item.doc.author, item.doc.author_since is not None
    if item.doc.cell == cell_pk:
        batch.set(item, {"cell": code})
        return
    batch.place(item, Place.cell, cell_pk)
    batch.set(item, {"cell": code, "cell_generation": facts.config.generation})
    batch.close_author(item)
    if item.values.get("involves_staff"):
        recuse_staff(batch, facts, item)
    if author is not None and open_place and author in facts.config.accounts:
        level = facts.level(author, item.doc, batch.opened, batch.closed)
        if level != Level.full and author not in _denied(batch, facts, item):
            args = {"id": item.id, "case_code": item.values.get("code"), "status": item.values.get("status")}
            batch.notice(author, facts.config.accounts[author].id, "moved_out", "moved_out", args)


# --- amending --------------------------------------------------------------------------------------------------------


def amended(batch: Batch, facts: Facts, item: Item, changed: frozenset[str]) -> None:
    """What follows from a merged edit: place, class, recusal, clocks."""
    by_person = (item.values.get("assignment") or {}).get("method") == "person"
    if changed & {"location", "household_id"} and not by_person:
        household = _household_cell(batch, facts, item.values.get("household_id"))
        placed = placing.place(facts.config, item.values, author=item.doc.writer, household_cell=household)
        batch.place(item, Place.cell, placed.cell_pk)
        batch.set(item, {"cell": placed.cell, "assignment": placed.assignment})
        if item.values.get("involves_staff"):
            recuse_staff(batch, facts, item)
    if "protection" in changed:
        reclass(batch, facts, item, CLASSES.index(item.values.get("protection") or "normal"))
    if "involves_staff" in changed and item.values.get("involves_staff"):
        recuse_staff(batch, facts, item)
    if changed & _TIMED:
        events = []
        if "urgency" in changed:
            events.append(("case.urgency_raised", {"urgency": item.values.get("urgency")}))
        timing.happened(batch, facts, item, events)


# --- children --------------------------------------------------------------------------------------------------------


def _write_drafts(
    batch: Batch, facts: Facts, item: Item, done: Done, *, author: int | None, device: int | None
) -> list[str]:
    """Entries, tasks and notices that an act brings."""
    ids = [
        _entry(batch, facts, item, draft.type, draft.body, draft.class_, draft.id, author=author).id
        for draft in done.entries
    ]
    for task in done.tasks:
        _task(
            batch,
            facts,
            item,
            task.type,
            role=task.role,
            user=task.user,
            to_cell=task.to_cell,
            due=task.due,
            text=task.text,
        )
    if done.close_tasks:
        batch.effects.append(f"close_tasks:{item.doc.pk}")
        for kind in done.close_tasks:
            facts.closing.append((item.doc.pk, kind))
    for notice in done.tell:
        account = facts.config.account_by_id.get(notice.user)
        if account is not None and account.pk not in _denied(batch, facts, item):
            batch.notice(account.pk, account.id, notice.kind, notice.code, {"id": item.id, **notice.args})
    return ids


def _entry(
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


def _task(
    batch: Batch,
    facts: Facts,
    item: Item,
    kind: str,
    *,
    role: str | None = None,
    user: str | None = None,
    to_cell: bool = False,
    due: int | None = None,
    text: str = "",
) -> None:
    """A task of the case's cell and role, or of one person. A sealed case leaves none but to persons."""
    account = facts.config.account_by_id.get(user) if user else None
    if item.doc.klass == SEALED and account is None:
        return
    if (item.values.get("involves_staff") or _denied(batch, facts, item)) and account is None:
        return  # a task in the cell would tell a recused person that there is something
    values: dict[str, Any] = {
        "type": kind,
        "cell": item.values.get("cell"),
        "role": role,
        "user": None if account is None else account.id,
        "case_id": item.id,
        "due": due,
        "opened_at": batch.now,
        "text": text,
    }
    values = {name: value for name, value in values.items() if value is not None}
    if account is not None:
        made = batch.mint(Collection.tasks, values, person=account.pk)
    else:
        made = batch.mint(Collection.tasks, values, cell=item.doc.cell)
    made.doc = structs.replace(made.doc, writer=item.doc.pk)  # the case it belongs to, for closing


def encode(values: Any) -> bytes:
    """JSON of a payload."""
    return msgspec.json.encode(values)


__all__ = ["Acted", "Named", "act", "amended", "entry_class", "move", "open_case", "reclass", "recuse_staff"]
