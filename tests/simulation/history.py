"""One seeded history of a district: people on phones, faults of the network, acts of the centre, and what must hold.

After every answer: nothing in it that its reader may not see at that number, no tombstone of what he never had. At
the end the network heals, and each phone must be what the oracle says; nothing typed may be lost; a request sent
twice must have one effect; a row the server cannot read must not hold up the others.
"""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from copy import deepcopy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.simulation.oracle import (
    CLASS_NAMES,
    FULL,
    LEAD,
    NONE,
    NORMAL,
    SEALED,
    SHELL,
    Case,
    Entry,
    Grant,
    Oracle,
    Span,
    UnitCell,
)
from tests.simulation.phone import Phone, Push
from tests.simulation.world import AREAS, CELLS, OUTSIDE, START, UNITS, USERS, World, middle_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sync.sql_store import SqlStore

COLLECTIONS = ("cases", "entries")
T = 120_000  # an answer that is older than this arrives no more
TYPES = {"note": "o", "inquiry": "c", "mandatory_report": "s"}
PERSONAL = ("name", "phone", "id_number", "address", "safe_contact")
OTHER_PERSONAL = ("notes", "companions", "care_note", "contact_name", "contact_phone", "transcript")
SHELL_FIELDS = {"id", "cell", "status", "protection", "v", "_deleted"}
NEUTRAL = {
    "kind",
    "captured_at",
    "case_id",
    "type",
    "at",
    "subject_kind",
    "owner_id",
}  # required of a document, with nothing in them
TOKEN = re.compile(rb"Q(\d+)Q")
MOST_PAGES = 400


class Broken(AssertionError):
    """An invariant does not hold; the message is the history that led there."""


@dataclass
class Token:
    """Something somebody typed, or a canary; `least` is the level that may read it."""

    collection: str
    key: str
    least: int
    stored: bool = False


@dataclass
class Request:
    """A push as it went over the line, for sending it again."""

    phone: Phone
    collection: str
    body: bytes
    applied: list[str]  # cases that stood on the server as sent, right afterwards


@dataclass
class Backup:
    """The district's file, and what the oracle knew when it was copied."""

    file: Path
    oracle: Oracle
    areas: dict[str, str]
    kept: str


@dataclass
class History:
    """A run of one seed."""

    seed: int
    store: SqlStore | None = None
    lazy: float = 0.2  # how often a page that came waits to be written
    collections: tuple[str, ...] = COLLECTIONS
    length: tuple[int, int] = (60, 150)  # steps, from and to
    world: World = field(init=False)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.dice = random.Random(f"status {self.seed}")  # its own: other histories stay as they are
        self.world = World(self.seed, self.store)
        self.oracle = Oracle()
        self.tokens: dict[int, Token] = {}
        self.phones: dict[str, Phone] = {}
        self.registered: dict[str, int] = {}
        self.requests: list[Request] = []
        self.told: list[str] = []
        self.before: dict[str, list[Any]] = {}  # the words of the pushed cases before the push
        self.poisoned: set[str] = set()
        self.areas = dict(UNITS)
        self.backup: Backup | None = None
        self.happened: Counter[str] = Counter()
        self.n = self.world.head()
        first = self.n
        for cell in CELLS:
            area = cell[:12]
            self.oracle.unit_cells += [
                UnitCell(first, unit=unit, cell=cell) for unit in self._units_over(area)
            ]
        self.oracle.unit_cells += [UnitCell(first, unit="centre", cell=OUTSIDE)]
        self.oracle.unit_cells += [UnitCell(first, unit="mediation", cell=OUTSIDE)]

    def _units_over(self, area: str) -> list[str]:
        return [unit for unit, at in self.areas.items() if area.startswith(at)]

    # --- telling ------------------------------------------------------------------------------------------

    def tell(self, sentence: str) -> None:
        self.told.append(f"{self.n:4} {sentence}")

    def broken(self, what: str) -> Broken:
        return Broken(f"seed {self.seed}: {what}\n" + "\n".join(self.told))

    # --- running ------------------------------------------------------------------------------------------

    def run(self, steps: int | None = None) -> None:
        """The whole history, the healing, the comparison."""
        try:
            self.begin()
            self.world.server_page = self.chance.choice([1, 2, 3, 1000])
            self.world.batch = self.chance.choice([1, 2, 256])
            for _ in range(steps or self.chance.randrange(*self.length)):
                self.step()
                self.learn()
            self.heal()
            self.compare()
        finally:
            self.world.close()

    def begin(self) -> None:
        users = list(USERS[: self.chance.randrange(2, 5)])
        for user in users:
            self.grant(user, *self.chance.choice(self.rights()))
        for number in range(self.chance.randrange(2, 5)):
            self.phones[f"phone{number}"] = Phone(
                f"phone{number}", self.chance.choice(users), self.collections
            )
        self.users = users

    @staticmethod
    def rights() -> list[tuple[str, str, str]]:
        """(role, what, where)."""
        return [
            *(("grid_worker", "cell", cell) for cell in CELLS),
            ("community_leader", "unit", "community"),
            ("community_leader", "unit", "community"),
            ("clerk", "unit", "centre"),
            ("centre_director", "unit", "centre"),
            ("mediator", "unit", "mediation"),
        ]

    def step(self) -> None:
        if self.dice.random() < 0.08:
            self.do_status()
        weights, functions = zip(*self.acts(), strict=True)
        act = self.chance.choices(functions, weights)[0]
        self.count(act.__name__.removeprefix("do_"))
        self.world.operations += 1
        act()

    def count(self, what: str) -> None:
        """Something that a history is to do now and then was done."""
        self.happened[what] += 1

    def acts(self) -> list[tuple[int, Callable[[], None]]]:
        """What may happen next, with how often."""
        return [
            (9, self.do_capture),
            (8, self.do_edit),
            (8, self.do_entry),
            (14, self.do_push),
            (8, self.do_answer),
            (22, self.do_pull),
            (3, self.do_write),
            (2, self.do_crash),
            (3, self.do_again),
            (1, self.do_poison),
            (4, self.do_grant),
            (4, self.do_end_grant),
            (2, self.do_change_role),
            (1, self.do_move_unit),
            (7, self.do_move),
            (4, self.do_hand),
            (4, self.do_recuse),
            (2, self.do_name),
            (4, self.do_class),
            (1, self.do_merge),
            (1, self.do_erase),
            (1, self.do_back_up),
            (1, self.do_restore),
            (2, self.do_time),
        ]

    # --- the district -------------------------------------------------------------------------------------

    def grant(self, user: str, role: str, what: str, where: str) -> None:
        if any(
            (g.user, g.role, g.target, g.high) == (user, role, (what, where), None)
            for g in self.oracle.grants
        ):
            return
        self.n = self.world.grant(user, role, **{what: where})
        self.oracle.grants.append(Grant(self.n, user=user, role=role, target=(what, where)))
        self.tell(f"grant {user} {role} at {where[-6:]}")

    def end_grant(self, grant: Grant) -> None:
        what, where = grant.target
        self.n = self.world.end_grant(grant.user, grant.role, **{what: where})
        grant.high = self.n
        if not self.oracle.acts(grant.user, self.n):
            for case in self.oracle.cases.values():
                self.oracle.close_for(case.named, grant.user, self.n)
        self.tell(f"end of {grant.user} {grant.role} at {where[-6:]}")

    def do_grant(self) -> None:
        self.grant(self.chance.choice(self.users), *self.chance.choice(self.rights()))

    def open_grants(self) -> list[Grant]:
        return [grant for grant in self.oracle.grants if grant.high is None]

    def do_end_grant(self) -> None:
        if grants := self.open_grants():
            self.end_grant(self.chance.choice(grants))

    def do_change_role(self) -> None:
        """Worker becomes clerk on the same ground, or the other way round: the form changes, the scope does not."""
        if grants := self.open_grants():
            former = self.chance.choice(grants)
            self.end_grant(former)
            role = self.chance.choice(["grid_worker", "community_leader", "clerk"])
            self.grant(former.user, role, *former.target)

    def do_move_unit(self) -> None:
        area = self.chance.choice(AREAS)
        if self.areas["community"] == area:
            return
        self.areas["community"] = area
        self.n = self.world.move_unit("community", area)
        for row in self.oracle.unit_cells:
            if row.unit == "community" and row.high is None:
                row.high = self.n
        cells = [cell for cell in self.cells() if cell.startswith(area)]
        self.oracle.unit_cells += [UnitCell(self.n, unit="community", cell=cell) for cell in cells]
        self.tell(f"unit community now at {area[-6:]}")

    def a_case(self) -> Case | None:
        cases = [case for case in self.oracle.cases.values() if case.gone is None]
        return self.chance.choice(cases) if cases else None

    def do_move(self) -> None:
        if case := self.a_case():
            self.move(case, self.chance.choice(self.cells()))

    def cells(self) -> list[str]:
        """The cells in force."""
        return list(CELLS)

    def move(self, case: Case, cell: str) -> None:
        self.n = self.world.move(case.id, cell)
        self.oracle.move(case, cell, self.n, by_person=True)
        self.tell(f"move {case.id[-4:]} to {cell[-6:]}")

    def do_hand(self) -> None:
        if case := self.a_case():
            unit = self.chance.choice([None, "mediation", "mediation"])
            user = self.chance.choice([None, *self.users]) if unit else None
            self.hand_to(case, unit, user)

    def hand_to(self, case: Case, unit: str | None, user: str | None) -> None:
        self.n = self.world.hand_to(case.id, unit, user)
        self.oracle.hand_to(case, unit, user, self.n)
        self.tell(f"hand {case.id[-4:]} to {unit} {user}")

    def do_recuse(self) -> None:
        if case := self.a_case():
            user = self.chance.choice(self.users)
            denied = any(row.user == user and row.high is None for row in case.denied)
            (self.lift if denied else self.recuse)(case, user)

    def recuse(self, case: Case, user: str) -> None:
        self.n = self.world.recuse(case.id, user)
        self.oracle.recuse(case, user, self.n)
        self.tell(f"recuse {user} from {case.id[-4:]}")

    def lift(self, case: Case, user: str) -> None:
        self.n = self.world.lift(case.id, user)
        self.oracle.lift(case, user, self.n)
        self.tell(f"lift recusal of {user} from {case.id[-4:]}")

    def do_name(self) -> None:
        if case := self.a_case():
            user = self.chance.choice(self.users)
            named = any(row.user == user and row.high is None for row in case.named)
            (self.unname if named else self.name)(case, user)

    def name(self, case: Case, user: str) -> None:
        self.n = self.world.name(case.id, user)
        self.oracle.name(case, user, self.n)
        self.tell(f"name {user} for {case.id[-4:]}")

    def unname(self, case: Case, user: str) -> None:
        self.n = self.world.unname(case.id, user)
        self.oracle.close_for(case.named, user, self.n)
        self.tell(f"un-name {user} for {case.id[-4:]}")

    def do_class(self) -> None:
        if case := self.a_case():
            self.set_class(case, self.chance.randrange(3))

    def set_class(self, case: Case, klass: int) -> None:
        self.n = self.world.set_class(case.id, klass)
        self.oracle.set_class(case, klass, self.n)
        self.tell(f"class of {case.id[-4:]} is {CLASS_NAMES[klass]}")

    def do_status(self) -> None:
        """A case is closed, or opened again, wherever plans are that send open ones first (FL2)."""
        cases = [case for case in self.oracle.cases.values() if case.gone is None and case.master is None]
        if cases:
            case, status = self.dice.choice(cases), self.dice.choice(["closed", "closed", "handling"])
            self.n = self.world.set_status(case.id, status)
            self.tell(f"{case.id[-4:]} is {status}")

    def do_merge(self) -> None:
        case, master = self.a_case(), self.a_case()
        if case is None or master is None or case.master is not None:
            return
        if self._master(master.id) is not case:
            self.merge_into(case, master)

    def merge_into(self, case: Case, master: Case) -> None:
        self.n = self.world.merge_into(case.id, master.id)
        self.oracle.merge(case, master, self.n)
        self.tell(f"merge {case.id[-4:]} into {master.id[-4:]}")

    def do_erase(self) -> None:
        if case := self.a_case():
            self.erase(case)

    def erase(self, case: Case) -> None:
        self.n = self.world.erase(case.id)
        self.oracle.erase(case, self.n)
        self.tell(f"erase {case.id[-4:]}")

    def do_back_up(self) -> None:
        if self.store is None:  # the simulation copies files only
            self.back_up()

    def back_up(self) -> None:
        kept = self.world.kept()
        self.backup = Backup(self.world.back_up(), deepcopy(self.oracle), dict(self.areas), kept)
        self.tell("--- backup")

    def do_restore(self) -> None:
        if self.backup is not None and self.chance.random() < 0.5:
            self.restore()

    def restore(self) -> None:
        """The server of before; what came since lives on in phones, or nowhere. Old answers die with the process."""
        assert self.backup is not None
        for phone in self.phones.values():
            for name in list(phone.pushes):
                phone.end_push(name, lost=True)
            for name in list(phone.loops):
                phone.write_pages(name)  # what had come from the lost history counts as had
        self.n = self.world.restore(self.backup.file)
        self.oracle = deepcopy(self.backup.oracle)
        self.areas = dict(self.backup.areas)
        self.requests.clear()
        copies = [copy for phone in self.phones.values() for copy in phone.copies.values()]
        # An own text that no server has acknowledged, its writer may replace before anybody else has it.
        held = json.dumps([doc for copy in copies for doc in copy.whole(copy.meta, 0)])
        for number, token in self.tokens.items():
            # what was acknowledged and lives on in the backup or on some phone must not be lost
            token.stored = token.stored and f"Q{number}Q" in self.backup.kept + held
        self.tell("--- restored from the backup")

    def do_time(self) -> None:
        self.wait(self.chance.choice([1_000, 30_000, 100_000, 200_000]))

    def wait(self, milliseconds: int) -> None:
        self.world.now += milliseconds
        for phone in self.phones.values():
            for name, push in list(phone.pushes.items()):
                if self.world.now - push.sent_at > T:
                    phone.end_push(name, lost=True)
                    self.tell(f"{phone.device} waits no longer for its push of {name}")

    # --- people at their phones ---------------------------------------------------------------------------

    def a_phone(self) -> Phone:
        return self.chance.choice(list(self.phones.values()))

    def token(self, collection: str, key: str, least: int) -> str:
        number = len(self.tokens) + 1
        self.tokens[number] = Token(collection, key, least)
        return f"Q{number}Q"

    def party(self, key: str) -> dict[str, Any]:
        return {
            "id": "p1",
            "alias": "甲",
            "name": self.token("cases", key, FULL),
            "address": self.token("cases", key, FULL),
        }

    def do_capture(self) -> None:
        cell = self.chance.choice([*CELLS, *CELLS, None])
        klass = self.chance.choices([NORMAL, 1, SEALED], [8, 1, 1])[0]
        self.capture(self.a_phone(), cell, klass)

    def clock_of(self, phone: Phone) -> int:
        """What the phone takes for the time."""
        del phone
        return self.world.now

    def capture(self, phone: Phone, cell: str | None, klass: int = NORMAL) -> str:
        key = self.world.new_id()
        values: dict[str, Any] = {
            "kind": "request",
            "title": self.token("cases", key, LEAD),
            "description": self.token("cases", key, LEAD),
            "parties": [self.party(key)],
            "protection": CLASS_NAMES[klass],
            "captured_at": self.clock_of(phone),
            "location": middle_of(cell) if cell else None,
            "w": phone.write_id(self.world.new_id()),
        }
        if cell is None:
            del values["location"]
        phone.copies["cases"].edit(key, {"id": key, **values})
        self.tell(f"{phone.device} ({phone.user}) captures {key[-4:]} in {(cell or 'no cell')[-6:]} {klass=}")
        return key

    def do_edit(self) -> None:
        phone = self.a_phone()
        copy = phone.copies["cases"]
        if keys := [key for key in copy.seen() if key not in self.poisoned]:
            self.edit(
                phone,
                self.chance.choice(keys),
                self.chance.choice(["title", "description", "party", "raise"]),
            )

    def edit(self, phone: Phone, key: str, what: str = "title") -> None:
        copy = phone.copies["cases"]
        values: dict[str, Any] = {"w": phone.write_id(self.world.new_id())}
        if what == "party":
            values["parties"] = [self.party(key)]
        elif what == "raise":
            now = CLASS_NAMES.index(copy.fork[key].get("protection") or "normal")
            values["protection"] = CLASS_NAMES[min(now + 1, SEALED)]
            values["title"] = self.token("cases", key, LEAD)
        else:
            values[what] = self.token("cases", key, LEAD)
        copy.edit(key, values)
        self.tell(f"{phone.device} ({phone.user}) edits {what} of {key[-4:]}")

    def do_entry(self) -> None:
        phone = self.a_phone()
        mine = list(phone.copies["cases"].seen())
        anybody = list(self.oracle.cases)
        pool = self.chance.choice([mine, mine, mine, anybody, []])
        case = self.chance.choice(pool) if pool else self.world.new_id()
        self.entry(phone, case, self.chance.choice(list(TYPES)))

    def entry(self, phone: Phone, case: str, kind: str = "note") -> str:
        key = self.world.new_id()
        values = {
            "id": key,
            "case_id": case,
            "type": kind,
            "at": self.world.now,
            "body": {"text": self.token("entries", key, LEAD)},
            "w": phone.write_id(self.world.new_id()),
        }
        phone.copies["entries"].edit(key, values)
        self.tell(f"{phone.device} ({phone.user}) writes {kind} {key[-4:]} for {case[-4:]}")
        return key

    def do_poison(self) -> None:
        """A document no server can read, among good ones."""
        phone = self.a_phone()
        key = self.world.new_id()
        values: dict[str, Any] = {"id": key, "kind": self.chance.choice([None, 7, {"deep": []}]), "title": 5}
        self.poisoned.add(key)
        phone.copies["cases"].edit(key, values | {"w": phone.write_id(self.world.new_id())})
        self.tell(f"{phone.device} ({phone.user}) has {key[-4:]}, which nobody can read")

    # --- phone and server ---------------------------------------------------------------------------------

    def contact(self, phone: Phone) -> None:
        if phone.device not in self.registered:
            self.registered[phone.device] = self.world.register(phone.device, phone.user)
            self.n = self.world.head()
            phone.epoch = phone.reached = self.world.epoch
            self.tell(f"{phone.device} ({phone.user}) registers at {self.registered[phone.device]}")
        elif not self.world.knows(phone.device, phone.user):
            self.registered[phone.device] = self.world.register(phone.device, phone.user, registered=0)
            self.tell(f"{phone.device} ({phone.user}) is not known any more")

    def heal_after_restore(self, phone: Phone) -> None:
        """What the helper does that sees another epoch: hand in again, have the rest taken away, begin again."""
        told = self.world.hello(phone.device, phone.user)["epoch"]
        known = [row["epoch"] for row in told["restored"]]
        later = [row["restored_to"] for row in told["restored"] if row["epoch"] > (phone.epoch or 0)]
        low = min(later) if phone.epoch == 1 or phone.epoch in known else 0
        self.tell(f"{phone.device} finds epoch {told['epoch']}, hands in again what is above {low}")
        for name in self.collections:
            rows = phone.copies[name].lost_since(low)
            if rows:
                self.serve_push(phone, name, json.dumps(rows).encode())
        for name in self.collections:
            copy = phone.copies[name]
            ids = [key for key, doc in copy.fork.items() if not doc["_deleted"]]
            gone = self.world.reconcile(phone.device, phone.user, name, told["epoch"], ids)
            self.count("reconcile")
            copy.begin_again(gone)
        phone.loops.clear()
        phone.reached = told["epoch"]
        phone.finished.clear()

    def do_push(self) -> None:
        self.begin_push(
            self.a_phone(), self.chance.choice(self.collections), reaches=self.chance.random() > 0.1
        )

    def begin_push(self, phone: Phone, collection: str, *, reaches: bool = True) -> None:
        """The phone sends; the server answers, or the request is lost. The answer is under way."""
        self.contact(phone)
        push = phone.begin_push(collection, self.world.now)
        if push is None:
            return
        if not reaches:
            phone.end_push(collection, lost=True)
            self.count("push lost on its way")
            self.tell(f"{phone.device} push of {collection} is lost on its way")
            return
        body = json.dumps(push.rows).encode()
        push.answer = self.serve_push(phone, collection, body)
        sent = [row["newDocumentState"] for row in push.rows]
        applied = [
            doc["id"]
            for doc in sent
            if collection == "cases" and (self.world.truth("cases", doc["id"]) or {}).get("w") == doc["w"]
        ]
        self.requests.append(Request(phone, collection, body, applied))
        self.learn()

    def serve_push(self, phone: Phone, collection: str, body: bytes) -> list[dict[str, Any]]:
        rows = json.loads(body)
        before = self.n
        self.before = {
            row["newDocumentState"]["id"]: self.words(row["newDocumentState"]["id"]) for row in rows
        }
        self.n, answer = self.world.push(phone.device, phone.user, collection, body)
        self.judge_push(phone, collection, rows, before)
        documents: list[dict[str, Any]] = json.loads(answer)
        self.count(f"push of {collection}")
        ids = [row["newDocumentState"]["id"] for row in rows]
        self.tell(
            f"{phone.device} push of {collection} {[key[-4:] for key in ids]} -> "
            f"{[(doc['id'][-4:], 'gone' if doc['_deleted'] else 'kept') for doc in documents]}"
        )
        strangers = {doc["id"] for doc in documents} - set(ids)
        if strangers:
            raise self.broken(f"the answer to a push holds other documents: {strangers}")
        self.check_leak(phone, collection, documents, answer, sent=set(ids))
        return documents

    def do_answer(self) -> None:
        phone = self.a_phone()
        for name in list(phone.pushes):
            self.end_push(phone, name, lost=self.chance.random() < 0.2)

    def end_push(self, phone: Phone, collection: str, *, lost: bool = False) -> None:
        if collection in phone.pushes:
            phone.end_push(collection, lost=lost)
            self.count("answer lost" if lost else "answer arrives")
            self.tell(f"{phone.device} answer to push of {collection} {'is lost' if lost else 'arrives'}")

    def do_pull(self) -> None:
        """Some pages of a loop; it may rest anywhere."""
        phone, collection = self.a_phone(), self.chance.choice(self.collections)
        limit = self.chance.choice([1, 1, 2, 3, 10])
        for _ in range(self.chance.choice([1, 1, 2, 5, 20])):
            if not self.page(phone, collection, limit):
                return

    def page(self, phone: Phone, collection: str, limit: int = 2) -> bool:
        """One page; False when the loop ended or could not begin."""
        self.contact(phone)
        if collection not in phone.loops:
            if not phone.may_begin_loop(collection):
                return False
            phone.begin_loop(collection)
        loop = phone.loops[collection]
        asked = deepcopy(loop.checkpoint)
        n, body = self.world.pull(phone.device, phone.user, collection, asked, limit)
        page = json.loads(body)
        for doc in page["documents"]:
            self.count(f"{'tombstone' if doc['_deleted'] else 'put'} of {collection}")
        self.tell(
            f"{phone.device} pulls {collection} {self._brief(asked)} -> "
            f"{[(doc['id'][-4:], 'gone' if doc['_deleted'] else 'put') for doc in page['documents']]}"
            f" {self._brief(page['checkpoint'])}"
        )
        if n != self.n:
            raise self.broken(f"a page moved the clock from {self.n} to {n}")
        closed = {"closed", "merged"}
        order = [0 if doc["_deleted"] else 1 + (doc.get("status") in closed) for doc in page["documents"]]
        if order != sorted(order):
            raise self.broken("what goes does not come first, or a closed case before an open one")
        ids = [doc["id"] for doc in page["documents"]]
        if len(ids) != len(set(ids)):
            raise self.broken("a document stands twice on one page")
        self.check_leak(phone, collection, page["documents"], body, sent=set())
        if page["checkpoint"]["e"] != phone.reached:
            self.heal_after_restore(phone)  # the page is thrown away
            return False
        going_on = phone.page_came(collection, page)
        if going_on and self.chance.random() >= self.lazy:
            phone.write_pages(collection)
        return going_on

    @staticmethod
    def _brief(checkpoint: dict[str, Any] | None) -> str:
        if checkpoint is None:
            return "from nothing"
        return "{" + " ".join(f"{key}={checkpoint[key]}" for key in "shklrb") + "}"

    def do_write(self) -> None:
        phone = self.a_phone()
        for name in list(phone.loops):
            phone.write_pages(name)

    def do_crash(self) -> None:
        """The page dies; documents of the last pages may be written, their checkpoint not."""
        phone = self.a_phone()
        if self.chance.random() < 0.5:
            for name in list(phone.loops):
                phone.write_pages(name, but_checkpoint=True)
        phone.crash()
        self.tell(f"{phone.device} crashes")

    def do_again(self) -> None:
        """The network delivers a request once more."""
        if not self.requests:
            return
        request = self.chance.choice(self.requests[-6:])
        if request is self.requests[-1]:
            self.repeat(request)
            return
        self.tell(f"{request.phone.device} an old push comes once more")
        before = {key: self.words(key) for key in request.applied}
        self.serve_push(request.phone, request.collection, request.body)
        if any(self.words(key) != words for key, words in before.items()):
            raise self.broken("an old push that came once more was written over what is newer")

    def words(self, key: str) -> list[Any]:
        truth = self.world.truth("cases", key) or {}
        return [truth.get(field) for field in ("title", "description", "parties")]

    def repeat(self, request: Request) -> None:
        """What was just done is asked once more: nothing may change."""
        self.serve_push(request.phone, request.collection, request.body)
        before = self.world.fingerprint()
        self.tell(f"{request.phone.device} the same push comes twice")
        self.serve_push(request.phone, request.collection, request.body)
        if self.world.fingerprint() != before:
            raise self.broken("a push that came twice had two effects")

    # --- what a push means for the oracle -----------------------------------------------------------------

    def judge_push(self, phone: Phone, collection: str, rows: list[dict[str, Any]], before: int) -> None:
        for row in rows:
            doc = row["newDocumentState"]
            for number in TOKEN.findall(json.dumps(doc).encode()):
                self.tokens[int(number)].stored = True
            if collection == "cases":
                self._judge_case(phone, doc, row.get("assumedMasterState"), before)
            elif collection == "entries":
                self._judge_entry(phone, doc, before)
            else:
                self.judge_other(phone, collection, doc, before)
        for row in rows if collection == "cases" else ():
            # Last: what a later row raises of one merged case is raised of all that went into it.
            case = self.oracle.cases.get(row["newDocumentState"]["id"])
            if case is not None and self.oracle.case_level(phone.user, case, self.n) == FULL:
                self._agree(case)

    def judge_other(self, phone: Phone, collection: str, doc: dict[str, Any], before: int) -> None:
        raise self.broken(f"a history of cases and entries pushed {collection}")

    def learn(self) -> None:
        """Take in what the server has made by itself; a history of cases and entries has nothing of that."""

    def _judge_case(
        self, phone: Phone, doc: dict[str, Any], base: dict[str, Any] | None, before: int
    ) -> None:
        key, n = doc["id"], self.n
        case = self.oracle.cases.get(key)
        if case is None:
            poison = key in self.poisoned
            klass = CLASS_NAMES.index(doc.get("protection") or "normal")
            located = None if poison else doc.get("location")
            cell = self._cell_of(located) or self._home(phone.user, n) or OUTSIDE
            self._expect_number(before, f"capture of {key[-4:]}")
            case = self.oracle.capture(key, phone.user, cell, klass, n)
            case.fix = History._cell_of(located)
            self._link_waiting(case, n)
            return
        if self.oracle.case_level(phone.user, case, n) != FULL:
            if self.words(key) != self.before[key]:
                raise self.broken(f"{phone.user} wrote into {key[-4:]} without seeing the whole of it")
            return
        wanted = CLASS_NAMES.index(doc.get("protection") or "normal")
        former = CLASS_NAMES.index((base or {}).get("protection") or "normal")
        truth = self.world.truth("cases", key)
        assert truth is not None
        # Whether an older write still counts is the merge's own matter; that a class only rises is ours.
        if wanted != former and wanted > case.klass and truth["protection"] == CLASS_NAMES[wanted]:
            self._expect_number(before, f"raising {key[-4:]}")
            self.oracle.set_class(case, wanted, n)

    def _expect_number(self, before: int, what: str) -> None:
        if self.n <= before:
            raise self.broken(f"{what} took no number of the clock")

    def _agree(self, case: Case) -> None:
        """Place and class of the document are what the oracle has."""
        truth = self.world.truth("cases", case.id)
        assert truth is not None
        place = case.open_place("cell")
        assert place is not None
        if (
            not case.followed_closed
            and case.master is None
            and (truth["cell"], truth.get("protection") or "normal")
            != (
                place.tag[1],
                CLASS_NAMES[case.klass],
            )
        ):
            raise self.broken(
                f"{case.id[-4:]} stands in {truth['cell']} as {truth.get('protection')}, "
                f"expected {place.tag[1]} as {CLASS_NAMES[case.klass]}"
            )

    @staticmethod
    def _cell_of(location: dict[str, Any] | None) -> str | None:
        if location is None:
            return None
        return next(cell for cell in CELLS if middle_of(cell)["lon"] == location["lon"] and
                    middle_of(cell)["lat"] == location["lat"])  # fmt: skip

    def _home(self, user: str, n: int) -> str | None:
        """The one cell somebody works in, if it is one."""
        cells = self.works_in(user, n)
        return cells.pop() if len(cells) == 1 else None

    def works_in(self, user: str, n: int) -> set[str]:
        cells = set()
        for grant in self.oracle.grants:
            if grant.user == user and grant.role == "grid_worker" and grant.covers(n):
                what, where = grant.target
                if what == "cell":
                    cells.add(where)
                else:
                    cells |= {r.cell for r in self.oracle.unit_cells if r.unit == where and r.covers(n)}
        cells.discard(OUTSIDE)
        return cells

    def _judge_entry(self, phone: Phone, doc: dict[str, Any], before: int) -> None:
        key, n = doc["id"], self.n
        if key in self.oracle.entries:
            self._find_case(self.oracle.entries[key], n)
            return
        self._expect_number(before, f"entry {key[-4:]}")
        entry = Entry(key, phone.user, n, TYPES[doc["type"]], doc["case_id"])
        case = self._master(doc["case_id"])
        named = self.oracle.cases.get(doc["case_id"])
        if named is not case and self.oracle.level(phone.user, "cases", doc["case_id"], n) == NONE:
            case = None  # he is not told that a case he does not see was merged, nor into which
        if case is not None and self.oracle.case_level(phone.user, case, n) >= LEAD:
            entry.case, entry.link = case.id, n
        else:
            entry.own = [Span(n)]
        self.oracle.entries[key] = entry

    def _master(self, key: str) -> Case | None:
        case = self.oracle.cases.get(key)
        while case is not None and case.master is not None:
            case = self.oracle.cases.get(case.master)
        return case if case is not None and case.gone is None else None

    def _find_case(self, entry: Entry, n: int) -> None:
        """An entry that waits is sent again: its case may have come into its writer's view."""
        case, named = self._master(entry.wanted), self.oracle.cases.get(entry.wanted)
        if case is None or not any(span.high is None for span in entry.own):
            return
        if named is not case and self.oracle.level(entry.author, "cases", entry.wanted, n) == NONE:
            return
        if self.oracle.case_level(entry.author, case, n) >= LEAD:
            entry.own[-1].high = n
            entry.case, entry.link = case.id, n

    def _link_waiting(self, case: Case, n: int) -> None:
        for entry in self.oracle.entries.values():
            waits = entry.wanted == case.id and any(span.high is None for span in entry.own)
            if waits and self.oracle.case_level(entry.author, case, n) >= LEAD:
                entry.own[-1].high = n
                entry.case, entry.link = case.id, n

    # --- what must hold -----------------------------------------------------------------------------------

    def check_leak(
        self, phone: Phone, collection: str, documents: list[dict[str, Any]], body: bytes, *, sent: set[str]
    ) -> None:
        """No byte that the reader may not have at this number, no tombstone of what he never had."""
        user, n = phone.user, self.n
        for number in set(TOKEN.findall(body)):
            token = self.tokens[int(number)]
            if self.oracle.level(user, token.collection, token.key, n) < token.least:
                raise self.broken(f"leak to {user}: Q{int(number)}Q of {token.collection} {token.key[-4:]}")
        for doc in documents:
            key = doc["id"]
            level = self.oracle.level(user, collection, key, n)
            if not doc["_deleted"]:
                if level == NONE:
                    raise self.broken(f"leak to {user}: {key[-4:]} is not to be seen")
                if level == SHELL and doc.keys() - SHELL_FIELDS - NEUTRAL:
                    raise self.broken(f"leak to {user}: a shell of {key[-4:]} with {sorted(doc)}")
                continue
            if level != NONE:
                raise self.broken(f"{key[-4:]} is taken from {user}, who sees it")
            first = self.registered[phone.device]
            if key not in sent and not self.oracle.ever(user, collection, key, first, n):
                raise self.broken(f"{user} is told of {key[-4:]}, which this phone never had")

    def heal(self) -> None:
        """The network is good for a while: everything goes up, everything comes down, twice T apart."""
        self.tell("--- the network heals")
        for phone in self.phones.values():
            for name in self.collections:
                self.end_push(phone, name)
        for _ in range(3):
            for phone in self.phones.values():
                for name in self.collections:
                    self.drain(phone, name)
            self.wait(T + 1)
        for phone in self.phones.values():
            for name in self.collections:
                self.drain(phone, name)
                if self.page(phone, name):
                    raise self.broken(f"{phone.device} is sent {name} again and again")

    def drain(self, phone: Phone, name: str) -> None:
        for _ in range(8):
            self.begin_push(phone, name)
            if name not in phone.pushes:
                break
            self.end_push(phone, name)
        else:
            raise self.broken(f"{phone.device} pushes {name} again and again")
        for _ in range(MOST_PAGES):
            if not self.page(phone, name, self.chance.choice([1, 2, 5])):
                return
        raise self.broken(f"{phone.device} pulls {name} without end")

    def compare(self) -> None:
        for phone in self.phones.values():
            for name in self.collections:
                self.compare_copy(phone, name)
        kept = self.world.kept()
        for number, token in self.tokens.items():
            if token.stored and f"Q{number}Q" not in kept and not self._erased(token):
                raise self.broken(f"lost: Q{number}Q, typed into {token.collection} {token.key[-4:]}")

    def _erased(self, token: Token) -> bool:
        kept: dict[str, dict[str, Any]] = {"cases": self.oracle.cases, "entries": self.oracle.entries}
        doc = kept.get(token.collection, self.oracle.things).get(token.key)
        return doc is not None and doc.gone is not None

    def compare_copy(self, phone: Phone, name: str) -> None:
        due = self.oracle.visible(phone.user, name, self.n)
        held = phone.copies[name].seen()
        if due.keys() != held.keys():
            missing = sorted(key[-4:] for key in due.keys() - held.keys())
            left = sorted(key[-4:] for key in held.keys() - due.keys())
            raise self.broken(f"{phone.device} ({phone.user}) {name}: missing {missing}, left behind {left}")
        for key, level in due.items():
            truth = self.world.truth(name, key)
            assert truth is not None
            expected = expected_form(name, truth, level)
            seen = {field: value for field, value in held[key].items() if field in expected or level == FULL}
            if seen != expected:
                differing = sorted(f for f in seen.keys() | expected if seen.get(f) != expected.get(f))
                raise self.broken(
                    f"{phone.device} ({phone.user}) {name} {key[-4:]}: {differing} differ at {level=}"
                )


def expected_form(collection: str, truth: dict[str, Any], level: int) -> dict[str, Any]:
    """What must stand on a phone of the document the server has."""
    if level == FULL or collection == "entries":
        return truth
    if collection != "cases":
        return {field: value for field, value in truth.items() if field not in OTHER_PERSONAL}
    if level == LEAD:
        form = {field: value for field, value in truth.items() if field != "parties_masked"}
        if "parties" in form:
            form["parties"] = [
                {field: value for field, value in party.items() if field not in PERSONAL}
                for party in form["parties"]
            ]
        return form
    return {field: truth[field] for field in SHELL_FIELDS if field in truth}


__all__ = ["COLLECTIONS", "START", "Broken", "History", "Push", "expected_form"]
