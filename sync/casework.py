"""What happens to a case inside a commit: it is opened, amended, acted upon.

Every writer of cases comes through here (a pushed capture, an act of the console or of a phone, a timer), so that
places, namings, clocks, entries, tasks and notices always change together. Statuses change only by acts, and acts are
decided by ``cases.lifecycle`` on the case as it is now.
"""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct, structs

from sync import content, leaders, placing, timing
from sync.batch import Batch, Item
from sync.cases import effects_any, lifecycle
from sync.cases.catalogue import CATEGORIES, KINDS, PROTECTIONS, URGENCIES, band_of, highest
from sync.cases.lifecycle import Actor, CaseFacts, Done, Refused
from sync.cases.model import category_group
from sync.children import close_tasks, open_task, open_tasks, write_drafts, write_entry
from sync.config import OF_UNIT_ALONE, OFFICE, OUTSIDE_CODE
from sync.directives import follow, reclass
from sync.entry_classes import class_of, told_args
from sync.facts import Facts
from sync.official import next_number, query_code
from sync.recusal import recuse_staff, seal_to
from sync.values import CLASSES, ENTRY_CLASSES, SEALED, Collection, Level, Place

KIND_CODES = frozenset(KINDS)
COLLECTIVE_FROM = 5  # people
# Facts that the rules of the clocks read from the case.
_TIMED = frozenset({"kind", "category", "risk", "urgency", "complexity", "protection", "status", "level"})
# What says that somebody is in danger at home is asked by the clock of the follow-up alone.
_FOLLOWED_UP_BY = frozenset({"signals", "parties"})


# What the lifecycle reads of a capture that was not settled on the spot, besides its signals.
_SEEN_AT_BIRTH = (
    "kind",
    "category",
    "people_count",
    "protection",
    "urgency",
    "court",
    "involves_staff",
    "source_due",
)


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
    author: int,
    device: int | None,
    w: str | None,
    digest: bytes | None,
) -> Item:
    """A new case at its place, with its class, status, clocks and what an on-the-spot settlement brings."""
    household = household_cell(facts, values.get("household_id"))
    found = facts.assigned.get(key)
    placed = placing.place(
        facts.config,
        values,
        author=author,
        found=found,
        addressed=facts.addressed.get(key),
        household_cell=household,
    )
    values |= {
        "cell": placed.cell,
        "cell_generation": facts.config.generation,
        "assignment": placed.assignment,
    }
    done = _birth(batch, facts, values, author, placed.cell_pk)
    values |= done.set
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
    if klass == SEALED:
        seal_to(batch, facts, item, author)
    if values.get("involves_staff"):
        recuse_staff(batch, facts, item)
    received, *rest = done.events
    # What looked alike to the lifecycle, and came of one `done`, looks alike to the rules of the clocks.
    alike = None if values.get("on_spot") else id(done)
    timing.opened(batch, facts, item, received.args, alike=alike)
    if rest:
        timing.happened(batch, facts, item, [(event.kind, event.args) for event in rest])
    if done.entries or done.tasks or done.close_tasks or done.tell:
        write_drafts(batch, facts, item, done, author=author)
    if placed.assignment.get("needs_confirmation"):
        _open_place_task(batch, facts, item)
    return item


def ask_for_place(batch: Batch, facts: Facts, item: Item) -> None:
    """The task to say where a case is, as long as the assignment is not sure; none once it is."""
    asked = open_tasks(batch, facts, item, "confirm_place")
    unsure = bool((item.values.get("assignment") or {}).get("needs_confirmation"))
    if unsure and not asked:
        _open_place_task(batch, facts, item)
    elif asked and not unsure:
        close_tasks(batch, facts, item, "confirm_place", by=None)


def _open_place_task(batch: Batch, facts: Facts, item: Item) -> None:
    row = facts.config.cell_by_code.get((item.values.get("assignment") or {}).get("area") or "")
    within = "" if row is None else f",应在{row.name}范围内"
    open_task(batch, facts, item, "confirm_place", role="dispatcher", text=f"请确认案件位置{within}")


def _birth(batch: Batch, facts: Facts, values: Mapping[str, Any], author: int, cell_pk: int) -> Done:
    """What the receipt brings about; plain captures that look alike to the lifecycle are worked out once a batch.

    Nulls and empty lists are left out of what it sets: absent says the same.
    """
    config = facts.config
    if values.get("on_spot"):
        roles = config.roles_at(author, cell_pk) or config.roles(author)
        actor = Actor(user=config.accounts[author].id, roles=roles, is_author=True)
        series, number, code = next_number(batch, facts, values.get("kind") or "dispute")
        lawful = CaseFacts(settings=config.settings, chance=batch.chance.percent(), code=code)
        done = lifecycle.on_create(values, actor, lawful, batch.now)
        if done.set.get("code") == code:
            batch.series[series] = number
        return _lean(done)
    looks = (tuple(values.get("signals") or ()), *map(values.get, _SEEN_AT_BIRTH))
    if looks not in facts.births:
        actor = Actor(user=config.accounts[author].id, is_author=True)
        seen = {name: values[name] for name in (*_SEEN_AT_BIRTH, "signals") if name in values}
        facts.births[looks] = _lean(lifecycle.on_create(seen, actor, CaseFacts(), batch.now))
    return facts.births[looks]


def _lean(done: Done) -> Done:
    kept = {name: value for name, value in done.set.items() if value is not None and value != []}
    return structs.replace(done, set=kept)


def household_cell(facts: Facts, household_id: Any) -> int | None:
    """The cell of a household, where it is known to this unit of work."""
    if not isinstance(household_id, str):
        return None
    doc = facts.docs.get((Collection.households, content.id_bytes(Collection.households, household_id)))
    return None if doc is None else doc.cell


# --- acting ----------------------------------------------------------------------------------------------------------


def roles_on(facts: Facts, user_pk: int, item: Item) -> frozenset[str]:
    """The roles of a person that count on this very case: at its cell, or at the unit that handles it.

    While nobody has it, a mediator who captured it himself is its mediator.
    """
    roles = facts.config.roles_at(user_pk, item.doc.cell, units=_unit_of(item))
    free = item.doc.duty is None and item.doc.person is None
    if free and item.doc.author == user_pk and item.doc.author_since is not None:
        roles |= facts.config.roles(user_pk) & OF_UNIT_ALONE
    return roles


def stood_in_for(facts: Facts, user_pk: int, item: Item) -> int | None:
    """For whom somebody acts who has to do with a case by holiday cover alone; None with a role there of his own."""
    grants = facts.config.grants_at(user_pk, item.doc.cell, units=_unit_of(item))
    return min((grant.stands_in_for or 0 for grant in grants), default=0) or None


def _unit_of(item: Item) -> list[int]:
    return [] if item.doc.duty is None else [item.doc.duty // 2]


def _helping_roles(facts: Facts, user_pk: int, item: Item) -> frozenset[str]:
    """The roles at units that help: good for what is done jointly, never for what the handling unit decides."""
    helpers = (item.values.get("handler") or {}).get("helpers") or []
    rows = [row.pk for code in helpers if (row := facts.config.unit_by_code.get(code)) is not None]
    return facts.config.roles_at(user_pk, None, units=rows) if rows else frozenset()


def _handling_roles(facts: Facts, user_pk: int, item: Item, roles: frozenset[str]) -> frozenset[str] | None:
    """The roles that count for the unit's own acts: at the unit that has the case, or of the person who has it."""
    if item.doc.duty is None and item.doc.person is None:
        return None
    if item.doc.person == user_pk:
        return roles | facts.config.roles(user_pk)
    return facts.config.roles_at(user_pk, None, units=_unit_of(item)) | (roles & {"centre_director"})


def actor_on(facts: Facts, user_pk: int | None, item: Item) -> Actor:
    """A person (None: the system) as the lifecycle knows him on this case."""
    if user_pk is None:
        return lifecycle.SYSTEM
    account = facts.config.accounts[user_pk]
    roles = roles_on(facts, user_pk, item)
    return Actor(
        user=account.id,
        roles=roles,
        handling=_handling_roles(facts, user_pk, item, roles),
        helping=_helping_roles(facts, user_pk, item),
        is_handler=item.doc.person == user_pk,
        is_author=item.doc.writer == user_pk,
        director_away=not _directors(facts, item) - set(item.values.get("recused") or ()),
    )


_NAMES_A_CASE: Mapping[str, str] = {"merge": "master", "relate": "case"}


def named_case(name: object, args: Mapping[str, Any]) -> bytes | None:
    """The key of another case that an act names; None for what is no id."""
    wanted = args.get(_NAMES_A_CASE[name]) if isinstance(name, str) and name in _NAMES_A_CASE else None
    try:
        return content.id_bytes(Collection.cases, wanted) if isinstance(wanted, str) else None
    except ValueError:
        return None


def seen_whole(batch: Batch, facts: Facts, user_pk: int | None, key: bytes | None) -> Item | None:
    """The case under this key if the person sees it whole; the same for a wrong id, an unknown and an unseen one."""
    doc = None if key is None else facts.docs.get((Collection.cases, key))
    if doc is None or doc.gone is not None or user_pk is None:
        return None
    level = facts.level(user_pk, doc, batch.opened, batch.closed)
    return batch.take(doc) if level == Level.full else None


def act(
    batch: Batch,
    facts: Facts,
    item: Item,
    name: str,
    args: Mapping[str, Any],
    *,
    user_pk: int | None,
    entry: Item | None = None,
    other: Item | None = None,
    row_id: str | None = None,
) -> Acted:
    """Run an act on the case as it is now, and write its own `act` entry (or complete the phone's, `entry`).

    `other` is the case that the act names, if this person sees it whole; `row_id` names the row of the leaders' queue
    that the act answers.
    """
    config = facts.config
    actor = actor_on(facts, user_pk, item)
    series, number, code = next_number(batch, facts, item.values.get("kind") or "dispute")
    secret = query_code(batch)
    lawful = CaseFacts(
        units={row.code: row.type for row in config.units.values()},
        unit_exists=frozenset(config.unit_by_code),
        user_units=config.user_units,
        offices=config.offices,
        settings=config.settings,
        chance=batch.chance.percent(),
        code=code,
        query_code=secret,
        other=None if other is None else other.values,
        entry_author=facts.entry_authors.get((item.doc.pk, str(args.get("entry_id")))),
        directors=_directors(facts, item),
        office=config.calendars.get(OFFICE),
        open_tasks=_open_tasks(batch, facts, item) if name == "file" else frozenset(),
    )
    before = dict(item.values)
    done = _unheard_of(facts, name, args) or lifecycle.run_act(before, name, args, actor, lawful, batch.now)
    if isinstance(done, Refused):
        return _refused(batch, entry, done)
    answered = None
    if name in leaders.QUEUE_ACTS:
        answered, no = leaders.act_on(
            batch,
            facts,
            item,
            name,
            args,
            by=actor.user,
            roles=actor.roles,
            plan=timing.plan_of(facts, before, timing.state_of(batch, facts, item)),
            event=done.events[0].args if done.events else {},
            row_id=row_id,
        )
        if no is not None:
            said = Refused("act_needs" if no.missing else "act_illegal", no.zh, no.en, missing=no.missing)
            return _refused(batch, entry, said)
    batch.set(item, done.set)
    if done.set.get("code") == code:
        batch.series[series] = number
    told = secret if done.set.get("query_code") == secret else None
    covered = None if user_pk is None else stood_in_for(facts, user_pk, item)
    if covered is not None:
        batch.effects.append(f"for:{covered}")
    if told is not None:
        batch.query_codes.append({"digest": batch.keys.digest(told.encode()), "case_pk": item.doc.pk})
    for directive in done.directives:
        follow(batch, facts, item, directive)
    entry_ids = write_drafts(batch, facts, item, done, author=user_pk)
    body = {
        "act": name,
        "args": told_args(name, args),
        "outcome": "done",
        "from": before.get("status"),
        "to": item.values.get("status"),
    }
    if item.values.get("cell") != before.get("cell"):
        body |= {"cell_from": before.get("cell"), "cell_to": item.values.get("cell")}
    if covered is not None:
        body["stands_in_for"] = config.accounts[covered].id
    if entry_ids:
        body["entry_id"] = entry_ids[0]
    if entry is not None:
        batch.set(entry, {"body": {**(entry.values.get("body") or {}), **body}})
        # What rode along stands in an entry of its own now.
        number = class_of(batch, facts, "act", entry.values["body"])
        entry.doc = structs.replace(entry.doc, entry_class=number)
        batch.set(entry, {"class": ENTRY_CLASSES[number]})
    else:
        write_entry(batch, facts, item, "act", body, None, author=user_pk)
    ack = None if answered is None else answered.ack
    if done.events or ack is not None or done.set.keys() & _TIMED:
        events = [(event.kind, event.args) for event in done.events]
        if name == "extend" and answered is not None:
            # The promise behind the row is the one that is given more time.
            events = [(e.kind, {**e.args, "reason": None}) for e in answered.events]
        timing.happened(batch, facts, item, events, before=before, ack=ack)
    return Acted(done=True, query_code=told, entry_id=entry_ids[0] if entry_ids else None)


def _open_tasks(batch: Batch, facts: Facts, item: Item) -> frozenset[str]:
    return frozenset(str(task.values.get("type")) for task in open_tasks(batch, facts, item))


def _directors(facts: Facts, item: Item) -> frozenset[str]:
    config, role = facts.config, frozenset({"centre_director"})
    people = [*config.holders(role, item.doc.cell)]
    for unit in _unit_of(item):
        people += config.unit_members(unit, role)
    return frozenset(config.accounts[pk].id for pk in people if config.accounts[pk].state == "active")


def _unheard_of(facts: Facts, name: str, args: Mapping[str, Any]) -> Refused | None:
    """A place where nobody would find the case again, or a person who is none."""
    cell = args.get("cell") if name == "set_place" else None
    if isinstance(cell, str) and cell and cell != OUTSIDE_CODE:
        row = facts.config.cell_by_code.get(cell)
        if row is None or row.level != 0 or row.generation != facts.config.generation:
            return Refused("act_needs", f"没有这个网格:{cell[:64]}", "no such cell", missing=("cell",))
    user = args.get("user") if name in {"recuse", "lift_recusal"} else None
    if isinstance(user, str) and user and user not in facts.config.account_by_id:
        return Refused("act_needs", "没有这个人员", "no such person", missing=("user",))
    return None


def _refused(batch: Batch, entry: Item | None, refusal: Refused) -> Acted:
    """An act that cannot be: a phone's entry is kept and says why."""
    if entry is not None:
        outcome = {"outcome": "refused", "reason": refusal.code, "legal": list(refusal.legal)}
        batch.set(entry, {"body": {**(entry.values.get("body") or {}), **outcome}})
    return Acted(done=False, refusal=refusal)


# --- amending --------------------------------------------------------------------------------------------------------


def amended(batch: Batch, facts: Facts, item: Item, changed: frozenset[str]) -> None:
    """What follows from a merged edit: place, class, recusal, clocks."""
    changed |= _derive(batch, item, changed)
    by_person = (item.values.get("assignment") or {}).get("method") == placing.PERSON
    if changed & {"location", "address", "household_id"} and not by_person:
        placed = placing.place(
            facts.config,
            item.values,
            author=item.doc.writer,
            addressed=facts.addressed.get(item.doc.id),
            household_cell=household_cell(facts, item.values.get("household_id")),
        )
        batch.place(item, Place.cell, placed.cell_pk)
        generation = facts.config.generation
        batch.set(item, {"cell": placed.cell, "cell_generation": generation, "assignment": placed.assignment})
        ask_for_place(batch, facts, item)
        if item.values.get("involves_staff"):
            recuse_staff(batch, facts, item)
    if "protection" in changed:
        reclass(batch, facts, item, CLASSES.index(item.values.get("protection") or "normal"))
    if "involves_staff" in changed and item.values.get("involves_staff"):
        recuse_staff(batch, facts, item)
    timed = _TIMED | (_FOLLOWED_UP_BY if item.values.get("resolved_at") else frozenset())
    heard: list[tuple[str, dict[str, Any]]] = []
    if "urgency" in changed:
        heard.append(("case.urgency_raised", {"urgency": item.values.get("urgency")}))
    if "source_due" in changed:
        due = item.values.get("source_due")
        heard.append(("source.due_set", {"source_due": due} if isinstance(due, int) else {}))
    if heard or changed & timed:
        timing.happened(batch, facts, item, heard)


def _derive(batch: Batch, item: Item, changed: frozenset[str]) -> frozenset[str]:
    """What the server makes of the phone's fields, made again: group, scale, proposals; class and urgency only rise."""
    values = item.values
    category, signals = CATEGORIES.get(str(values.get("category"))), list(values.get("signals") or ())
    made: dict[str, Any] = {}
    if changed & {"kind", "category"}:
        by_kind = "sealed" if values.get("kind") == "tip_off" else None
        by_category = None if category is None else category.protection
        made["protection"] = highest(PROTECTIONS, values.get("protection"), by_category, by_kind)
        made["category_group"] = category_group(values.get("category"))
    if "people_count" in changed:
        made["people_band"] = band_of(values.get("people_count"))
        made["collective"] = (values.get("people_count") or 0) >= COLLECTIVE_FROM
    if changed & {"signals", "people_count"}:
        proposed = effects_any.proposed_colour(signals, values.get("people_count"))
        made["risk"] = {**(values.get("risk") or {}), "proposed": proposed}
        made["urgency"] = highest(URGENCIES, values.get("urgency"), effects_any.proposed_urgency(signals))
    risen = frozenset(name for name, value in made.items() if values.get(name) != value)
    batch.set(item, made)
    return risen
