"""Histories of a whole district: homes, visits, photos, tasks and notices besides cases; stand-ins; new editions.

What the server makes by itself (tasks, notices) is learned from its rows; who sees it is told by the oracle alone.
Faults are drawn for each seed in the ranges of the field: a quarter of the answers lost for one, a phone cut off for
many steps for another, a server that dies inside a transaction. Each kind is counted, and must come up over the seeds.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sync.cases.catalogue import OPEN_STATUSES
from tests.simulation.history import Broken, History, Request
from tests.simulation.oracle import FULL, LEAD, Case, Grant, Place, Thing, UnitCell
from tests.simulation.world import CELLS, OUTSIDE

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.simulation.phone import Phone

EVERYTHING = ("cases", "entries", "visits", "households", "tasks", "files", "notices")
MERGED, HEIR = CELLS[0], CELLS[1]  # the other edition gives the ground of the one to the other
WEEK = 7 * 86_400_000
FILE_CLASS = {"photo": "o", "document": "c"}


class Dies(Exception):
    """The server's process ends."""


class Town(History):
    """A run of one seed over every collection."""

    def __init__(self, seed: int, store: Any = None) -> None:
        super().__init__(seed, store, collections=EVERYTHING, length=(150, 450))
        self.learned = 0
        self.cut: dict[str, int] = {}  # phones without a line, for so many steps more
        # drawn once a seed: how often an answer is lost, a push comes twice, a phone is cut off, the server dies
        self.loss = self.chance.uniform(0, 0.3)
        self.replay = self.chance.uniform(0, 0.5)
        self.partition = self.chance.uniform(0, 0.01)
        self.death = self.chance.uniform(0, 0.1)
        self.skew: dict[str, int] = {}
        self.finish_reassignments()

    # --- what happens -------------------------------------------------------------------------------------

    def acts(self) -> list[tuple[int, Callable[[], None]]]:
        return [
            *super().acts(),
            (2, self.do_home),
            (3, self.do_edit_home),
            (4, self.do_visit),
            (3, self.do_edit_visit),
            (5, self.do_photo),
            (2, self.do_open_visit),
            (3, self.do_edition),
            (9, self.do_piece),
            (2, self.do_stand_in),
            (5, self.do_jobs),
            (1, self.do_erase_thing),
            (1, self.do_hand_over),
        ]

    def step(self) -> None:
        for name in list(self.cut):
            self.cut[name] -= 1
            if self.cut[name] <= 0:
                del self.cut[name]
        for name in self.phones:
            if self.chance.random() < self.partition:
                self.cut[name] = self.chance.randrange(5, 25)
                self.count("partition")
                self.tell(f"{name} is cut off")
        super().step()

    def a_thing(self, collection: str) -> Thing | None:
        found = [t for t in self.oracle.things.values() if t.collection == collection and t.gone is None]
        return self.chance.choice(found) if found else None

    def do_home(self) -> None:
        cell = self.chance.choice(self.cells())
        key = self.world.add_home(cell)
        self.n = self.world.head()
        home = Thing(key, "households", self.n, places=[Place(self.n, tag=("cell", cell))])
        self.oracle.things[key] = home
        self.tell(f"home {key[-4:]} in {cell[-6:]}")

    def cells(self) -> list[str]:
        return [cell for cell in CELLS if cell not in self.oracle.vanished]

    def do_edit_home(self) -> None:
        phone = self.a_phone()
        copy = phone.copies["households"]
        if keys := list(copy.seen()):
            key = self.chance.choice(keys)
            values = {"care_note": self.token("households", key, FULL)}
            copy.edit(key, values | {"w": phone.write_id(self.world.new_id())})
            self.tell(f"{phone.device} ({phone.user}) edits home {key[-4:]}")

    def do_visit(self) -> None:
        phone = self.a_phone()
        key = self.world.new_id()
        homes = list(phone.copies["households"].seen())
        values: dict[str, Any] = {
            "id": key,
            "subject_kind": "household",
            "at": self.clock_of(phone),
            "notes": self.token("visits", key, FULL),
            "place_text": self.token("visits", key, LEAD),
            "w": phone.write_id(self.world.new_id()),
        }
        if homes and self.chance.random() < 0.7:
            values["household_id"] = self.chance.choice(homes)
        phone.copies["visits"].edit(key, values)
        self.tell(
            f"{phone.device} ({phone.user}) visits {key[-4:]} at {values.get('household_id', '-')[-4:]}"
        )

    def do_edit_visit(self) -> None:
        phone = self.a_phone()
        copy = phone.copies["visits"]
        if keys := [key for key, doc in copy.seen().items() if "notes" in doc]:
            key = self.chance.choice(keys)
            values = {"notes": self.token("visits", key, FULL)}
            copy.edit(key, values | {"w": phone.write_id(self.world.new_id())})
            self.tell(f"{phone.device} ({phone.user}) edits visit {key[-4:]}")

    def do_photo(self) -> None:
        phone = self.a_phone()
        mine = [*phone.copies["visits"].seen(), *phone.copies["cases"].seen()]
        theirs = [key for key, t in self.oracle.things.items() if t.collection == "visits"]
        pool = self.chance.choice([mine, mine, theirs, theirs, []])
        owner = self.chance.choice(pool) if pool else self.world.new_id()
        key = self.world.new_id()
        values = {
            "id": key,
            "owner_id": owner,
            "kind": self.chance.choice(list(FILE_CLASS)),
            "transcript": self.token("files", key, FULL),
            "w": phone.write_id(self.world.new_id()),
        }
        phone.copies["files"].edit(key, values)
        self.tell(f"{phone.device} ({phone.user}) takes {values['kind']} {key[-4:]} of {owner[-4:]}")

    def do_open_visit(self) -> None:
        if home := self.a_thing("households"):
            self.world.open_visit(home.id)
            self.n = self.world.head()
            self.tell(f"a visit is due at {home.id[-4:]}")

    def do_stand_in(self) -> None:
        """Holiday cover: an ordinary grant with an end that is announced."""
        user, (role, what, where) = self.chance.choice(self.users), self.chance.choice(self.rights())
        if any(
            (g.user, g.role, g.target, g.high) == (user, role, (what, where), None)
            for g in self.oracle.grants
        ):
            return
        until = self.world.now + self.chance.choice([1, 50_000, 150_000])
        whom = self.chance.choice([other for other in self.users if other != user])
        self.n = self.world.grant(user, role, **{what: where}, stands_in_for=whom, until_at=until)
        self.oracle.grants.append(Grant(self.n, user=user, role=role, target=(what, where), until=until))
        self.tell(f"{user} stands in as {role} at {where[-6:]} until {until}")

    def do_jobs(self) -> None:
        """The jobs that tick: announced ends of grants; what waits looks for its case."""
        ended = [
            g
            for g in self.oracle.grants
            if g.high is None and g.until is not None and g.until <= self.world.now
        ]
        if self.world.end_timed_grants() != len(ended):
            raise self.broken("other grants have ended than are due")
        if ended:
            self.n = self.world.head()
            self.count("stand-in over")
            for grant in ended:
                grant.high = self.n
            for user in {grant.user for grant in ended}:
                if not self.oracle.acts(user, self.n):
                    for case in self.oracle.cases.values():
                        self.oracle.close_for(case.named, user, self.n)
            self.tell(f"{len(ended)} grants are over")
        before = self.n
        found = self.world.link_waiting()
        self.n = self.world.head()
        if found:
            self.count("found its case later")
            for entry in self.oracle.entries.values():
                if entry.gone is None:
                    self._find_case(entry, self.n)
            for file in self.oracle.things.values():
                if file.collection == "files":
                    self.find_owner(file, self.n)
        self.tell(f"{found} that waited are linked ({before})")

    def do_hand_over(self) -> None:
        """A person's documents go to another one: but for that they all belong to cases nobody had, nothing moves."""
        leaver, follower = self.chance.choice(self.users), self.chance.choice(self.users)
        if leaver == follower or not self.oracle.acts(follower, self.n):
            return
        self.world.hand_over(leaver, follower)
        self.n = self.world.head()
        self.oracle.hand_overs.append((leaver, follower))
        self.tell(f"{leaver} hands over to {follower}")

    def do_erase_thing(self) -> None:
        collection = self.chance.choice(["visits", "households", "files"])
        if thing := self.a_thing(collection):
            self.world.erase(thing.id, collection)
            self.n = self.world.head()
            gone = [thing]
            if collection == "households":
                gone += [
                    t
                    for t in self.oracle.things.values()
                    if t.collection == "visits" and t.home == thing.id and t.gone is None
                    and t.open_place("cell") and thing.open_place("cell")
                    and t.open_place("cell").tag == thing.open_place("cell").tag  # type: ignore[union-attr]
                ]  # fmt: skip
            for one in gone:
                self.oracle.erase_thing(one, self.n)
            self.tell(f"erase {collection} {thing.id[-4:]}")

    # --- editions and re-assignments ----------------------------------------------------------------------

    def do_edition(self) -> None:
        """Two cells become one, or are two again; what lies in them follows piece by piece."""
        merged = MERGED not in self.oracle.vanished
        self.world.new_edition(merged=merged)
        self.n = self.world.head()
        self.oracle.vanished = {MERGED} if merged else set()
        for row in self.oracle.unit_cells:
            if row.cell == MERGED and row.high is None and merged:
                row.high = self.n
        if not merged:
            units = self._units_over(MERGED[:12])
            self.oracle.unit_cells += [UnitCell(self.n, unit=unit, cell=MERGED) for unit in units]
        self.tell(f"a new edition {'without' if merged else 'with'} {MERGED[-6:]}")

    def do_piece(self) -> None:
        if self.chance.random() < self.death:
            before = self.world.fingerprint()
            self.world.die_in_a_piece()
            self.count("server died in a piece")
            if self.world.fingerprint() != before:
                raise self.broken("a piece that was cut off has left something")
            return
        self.piece()

    def piece(self) -> bool:
        before = self.n
        done = self.world.reassign(self.chance.choice([1, 2, 7, 500]))
        self.n = self.world.head()
        if done.moved:
            self.count("moved by a re-assignment")
            self.follow_moves(before)
            self.tell(f"re-assignment: {done.moved} moved")
        return done.pk is not None

    def finish_reassignments(self) -> None:
        while self.piece():
            pass

    def follow_moves(self, before: int) -> None:
        """Take over what has moved, after a look at whether it should have."""
        for case in self.oracle.cases.values():
            if case.gone is None:
                self._follow_case(case, before)
        for thing in self.oracle.things.values():
            if thing.collection in {"visits", "households"} and thing.gone is None:
                self._follow_thing(thing, before)

    def _follow_case(self, case: Case, before: int) -> None:
        doc = self.world.row("cases", case.id)
        cell, place = self.world.cell_code(doc.cell), case.open_place("cell")
        assert place is not None
        ended = doc.author_since is None and case.open_place("author") is not None
        if ended and cell == place.tag[1]:  # else by the move below, and by who directs where it is then
            self._author_let_go(case, doc.seq)
        person = case.open_place("person")
        now = None if doc.person is None else self.world.user_name(doc.person)
        if person is not None and now != person.tag[1]:
            if (person.tag[1], now) not in self.oracle.hand_overs and now is not None:
                raise self.broken(f"{case.id[-4:]} went from {person.tag[1]} to {now}")
            self.oracle.hand_to(case, None if doc.duty is None else "mediation", now, doc.seq)
        if cell == place.tag[1]:
            return
        since = doc.cell_since or 0
        if not before < since <= self.n:
            raise self.broken(f"{case.id[-4:]} moved at {since}, outside of the piece")
        due = self.due_cell(case, since)
        if cell != due:
            raise self.broken(f"{case.id[-4:]} was put into {cell}, {due} is where it belongs")
        if self._is_closed(case):
            place.high = since
            case.followed_closed = True
            case.places.append(Place(since, tag=("cell", cell)))
            if ended:
                self._author_let_go(case, doc.seq)
            return
        said = case.placed_by_person
        self.oracle.move(case, cell, since, by_person=True)
        case.placed_by_person = said

    def _author_let_go(self, case: Case, n: int) -> None:
        stays = self.oracle.directors(case, n)
        person = case.open_place("person")
        self.oracle.close_author(case, n)
        if case.klass == 2 and case.author not in stays and (person is None or person.tag[1] != case.author):
            self.oracle.close_for(case.named, case.author, n)

    def _is_closed(self, case: Case) -> bool:
        return self.world.truth("cases", case.id)["status"] not in OPEN_STATUSES  # type: ignore[index]

    def due_cell(self, case: Case, n: int) -> str:
        """Where a case belongs in the edition in force."""
        place = case.open_place("cell")
        assert place is not None
        now = place.tag[1]
        exists = now in self.cells()
        if self._is_closed(case):
            return now if exists or now == OUTSIDE else HEIR
        if case.placed_by_person:
            return HEIR if now in self.oracle.vanished else now
        if exists and case.fix is None:
            return now
        if case.fix is not None:
            return self._now(case.fix)
        if now in self.oracle.vanished:
            return HEIR
        return self._home(case.author, n) or OUTSIDE

    def _now(self, cell: str) -> str:
        return HEIR if cell in self.oracle.vanished else cell

    def _follow_thing(self, thing: Thing, before: int) -> None:
        doc = self.world.row(thing.collection, thing.id)
        if doc.author_since is None and (author := thing.open_place("author")) is not None:
            author.high = doc.seq
        place = thing.open_place("cell")
        cell = self.world.cell_code(doc.cell)
        if place is None or cell == place.tag[1]:
            return
        if place.tag[1] not in self.oracle.vanished or not before < (doc.cell_since or 0) <= self.n:
            raise self.broken(f"{thing.collection} {thing.id[-4:]} moved though its cell is there")
        home = self.oracle.things.get(thing.home or "")
        at_home = home.open_place("cell") if home is not None else None
        due = self._now((at_home or place).tag[1])
        if cell != due:
            raise self.broken(f"{thing.collection} {thing.id[-4:]} was put into {cell}, {due} is right")
        place.high = doc.cell_since
        thing.places.append(Place(doc.cell_since or 0, tag=("cell", cell)))

    # --- the line -----------------------------------------------------------------------------------------

    def clock_of(self, phone: Phone) -> int:
        if phone.device not in self.skew:
            self.skew[phone.device] = self.chance.choice([0, self.chance.randrange(-WEEK, WEEK)])
        if self.skew[phone.device]:
            self.count("wrong clock")
        return self.world.now + self.skew[phone.device]

    def begin_push(self, phone: Phone, collection: str, *, reaches: bool = True) -> None:
        if phone.device in self.cut:
            self.count("no line")
            return
        if (
            self.chance.random() < self.death
            and collection in phone.copies
            and phone.copies[collection].rows()
        ):
            self.contact(phone)
            self.die_in_a_push(phone, collection)
            return
        super().begin_push(phone, collection, reaches=reaches)
        if collection in phone.pushes and self.chance.random() < self.replay:
            self.count("delivered twice")
            request: Request = self.requests[-1]
            if request.phone is phone:
                self.repeat(request)

    def die_in_a_push(self, phone: Phone, collection: str) -> None:
        """The process ends before the commit: nothing is stored, and the phone hears nothing."""
        body = json.dumps(phone.copies[collection].rows()).encode()
        before = self.world.fingerprint()
        self.world.die_in_a_push(phone.device, phone.user, collection, body)
        self.count("server died in a push")
        self.tell(f"the server dies in a push of {collection} by {phone.device}")
        if self.world.fingerprint() != before:
            raise self.broken("a push that was cut off has left something")

    def do_answer(self) -> None:
        phone = self.a_phone()
        for name in list(phone.pushes):
            self.end_push(phone, name, lost=self.chance.random() < self.loss)

    def page(self, phone: Phone, collection: str, limit: int = 2) -> bool:
        if phone.device in self.cut:
            self.count("no line")
            return False
        return super().page(phone, collection, limit)

    # --- what a push means --------------------------------------------------------------------------------

    def judge_other(self, phone: Phone, collection: str, doc: dict[str, Any], before: int) -> None:
        key, n = doc["id"], self.n
        if key in self.oracle.things:
            if collection == "files":  # sent again, it finds what it waits for, as an entry does
                self.find_owner(self.oracle.things[key], n)
            return
        if collection == "visits":
            self._expect_number(before, f"visit {key[-4:]}")
            self._new_visit(phone, doc)
        elif collection == "files":
            self._expect_number(before, f"file {key[-4:]}")
            file = Thing(key, "files", n, phone.user, klass=FILE_CLASS[doc["kind"]], wanted=doc["owner_id"])
            self.oracle.things[key] = file
            self.find_owner(file, n)
        elif collection == "households" and self.world.truth(collection, key) is not None:
            raise self.broken("a phone has made a household")

    def _new_visit(self, phone: Phone, doc: dict[str, Any]) -> None:
        n, key = self.n, doc["id"]
        home = self.oracle.things.get(doc.get("household_id") or "")
        at_home = home.open_place("cell") if home is not None else None
        cell = at_home.tag[1] if at_home is not None else self._home(phone.user, n)
        visit = Thing(key, "visits", n, phone.user, home=None if home is None else home.id)
        visit.places = [Place(n, tag=("author", phone.user))]
        if cell is not None:
            visit.places.append(Place(n, tag=("cell", cell)))
        self.oracle.things[key] = visit
        for file in self.oracle.things.values():
            if file.collection == "files" and file.wanted == key:
                self.find_owner(file, n)

    def find_owner(self, file: Thing, n: int) -> None:
        """A file hangs on its case or visit once its writer sees that."""
        if file.owner is not None or file.gone is not None:
            return
        user, wanted = file.author, file.wanted
        case, named = self._master(wanted), self.oracle.cases.get(wanted)
        if case is not None:
            hidden = named is not case and self.oracle.level(user, "cases", wanted, n) == 0
            if not hidden and self.oracle.case_level(user, case, n) >= LEAD:
                file.owner, file.link = case.id, n
            return
        visit = self.oracle.things.get(wanted)
        if (
            visit is not None
            and visit.collection == "visits"
            and self.oracle.thing_level(user, visit, n) >= LEAD
        ):
            file.owner, file.link = visit.id, n

    def _link_waiting(self, case: Case, n: int) -> None:
        super()._link_waiting(case, n)
        for file in self.oracle.things.values():
            if file.collection == "files" and file.wanted == case.id:
                self.find_owner(file, n)

    def _cell_of(self, location: dict[str, Any] | None) -> str | None:  # type: ignore[override]
        cell = History._cell_of(location)
        return None if cell is None else self._now(cell)

    def _home(self, user: str, n: int) -> str | None:
        cells = self.works_in(user, n) - self.oracle.vanished
        return cells.pop() if len(cells) == 1 else None

    # --- what the server makes ----------------------------------------------------------------------------

    def learn(self) -> None:
        """Tasks and notices: that they are there, where, whose; the rest is the oracle's."""
        for doc, values in self.world.made_since(self.learned):
            name = "tasks" if "user" not in values or "type" in values else "notices"
            thing = self.oracle.things.get(values["id"])
            owner = values.get("case_id") or values.get("household_id")
            if thing is None:
                thing = Thing(values["id"], name, doc.born, klass="c" if doc.entry_class else "o")
                self.oracle.things[thing.id] = thing
            if doc.gone is not None:
                continue
            if name == "notices":
                thing.author, thing.owner = self.world.user_name(doc.author), self.world.id_of(doc.case_pk)
                continue
            thing.owner = owner
            self._task_place(
                thing, "cell", None if doc.cell is None else self.world.cell_code(doc.cell), doc.cell_since
            )
            person = None if doc.person is None else self.world.user_name(doc.person)
            self._task_place(thing, "person", person, doc.person_since)
        self.learned = self.n

    @staticmethod
    def _task_place(task: Thing, kind: str, key: str | None, since: int | None) -> None:
        place = task.open_place(kind)
        if (None if place is None else place.tag[1]) == key:
            return
        if place is not None:
            place.high = since
        if key is not None:
            task.places.append(Place(max(since or 0, task.born), tag=(kind, key)))

    def check_leak(self, phone: Phone, collection: str, *args: Any, **more: Any) -> None:
        if collection in {"tasks", "notices"}:
            self.learn()
        super().check_leak(phone, collection, *args, **more)

    def restore(self) -> None:
        super().restore()
        self.learned = self.n
        self.count("restored")

    def heal(self) -> None:
        self.cut.clear()
        self.death = self.replay = 0
        self.world.now += 1_000_000
        self.do_jobs()
        self.finish_reassignments()
        for case in self.oracle.cases.values():
            place = case.open_place("cell")
            if place is not None and place.tag[1] in self.oracle.vanished:
                raise self.broken(f"{case.id[-4:]} lies in a cell of the past")
        for thing in self.oracle.things.values():
            place = thing.open_place("cell")
            late = place is not None and place.tag[1] in self.oracle.vanished
            if late and thing.gone is None and thing.collection in {"visits", "households"}:
                raise self.broken(f"{thing.collection} {thing.id[-4:]} lies in a cell of the past")
        super().heal()


# What has to come up over a few dozen seeds: a fault that never fires proves nothing.
MUST_HAPPEN = (
    "push lost on its way",
    "answer lost",
    "answer arrives",
    "delivered twice",
    "again",  # an old request comes once more, after newer ones
    "crash",
    "write",  # pages that came are written late
    "partition",
    "no line",
    "wrong clock",
    "poison",
    "server died in a push",
    "server died in a piece",
    "restored",
    "reconcile",
    "edition",
    "moved by a re-assignment",
    "hand_over",
    "move_unit",
    "stand-in over",
    "found its case later",
    "erase",
    "erase_thing",
    "merge",
    "recuse",
    "name",
    "class",
    *(f"put of {name}" for name in EVERYTHING),
    *(f"tombstone of {name}" for name in EVERYTHING),
    *(f"push of {name}" for name in ("cases", "entries", "visits", "households", "files")),
)


__all__ = ["EVERYTHING", "MUST_HAPPEN", "Broken", "Town"]
