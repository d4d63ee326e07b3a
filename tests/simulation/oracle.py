"""Who may see what, told by brute force from what the simulation itself did; it never looks into the store.

The facts are intervals of clock numbers, ``[low, high)``, ``None`` while open. Nothing here is clever: a question is
answered by walking all facts.
"""

from __future__ import annotations

from dataclasses import dataclass, field

NONE, SHELL, LEAD, FULL = range(4)
NORMAL, RESTRICTED, SEALED = range(3)
CLASS_NAMES = ("normal", "restricted", "sealed")

# role -> what the pair with a place gives, by protection class
GIVES = {
    "worker": (FULL, SHELL, NONE),
    "lead": (LEAD, SHELL, NONE),
    "centre": (FULL, FULL, NONE),
    "handler": (FULL, FULL, NONE),
    "author": (FULL, FULL, NONE),
}


REACH = {
    "grid_worker": "worker",
    "community_leader": "lead",
    "clerk": "centre",
    "centre_director": "centre",
    "mediator": "handler",
}
BY_DUTY = {"mediator"}


@dataclass
class Span:
    """An interval of the clock."""

    low: int
    high: int | None = None

    def covers(self, x: int) -> bool:
        return self.low <= x and (self.high is None or x < self.high)


@dataclass
class Place(Span):
    tag: tuple[str, str] = ("", "")  # ("cell", code), ("duty", unit), ("person", user), ("author", user)


@dataclass
class ClassSpan(Span):
    klass: int = NORMAL


@dataclass
class For(Span):
    """A naming or a denial of somebody."""

    user: str = ""


@dataclass
class Grant(Span):
    user: str = ""
    role: str = ""
    target: tuple[str, str] = ("", "")  # ("cell", code) or ("unit", code)
    until: int | None = None  # announced end of a stand-in, ms


@dataclass
class UnitCell(Span):
    unit: str = ""
    cell: str = ""


@dataclass
class Case:
    id: str
    author: str
    born: int
    gone: int | None = None
    placed_by_person: bool = False
    followed_closed: bool = False  # it keeps the code of the cell it was closed in
    fix: str | None = None  # the cell whose middle was its fix, as cells were first cut
    master: str | None = None
    places: list[Place] = field(default_factory=list)
    classes: list[ClassSpan] = field(default_factory=list)
    named: list[For] = field(default_factory=list)
    denied: list[For] = field(default_factory=list)

    def open_place(self, kind: str) -> Place | None:
        return next((place for place in self.places if place.tag[0] == kind and place.high is None), None)

    @property
    def klass(self) -> int:
        return self.classes[-1].klass


@dataclass
class Entry:
    id: str
    author: str
    born: int
    klass: str  # o, c, s
    wanted: str  # the case it was written for
    case: str | None = None
    link: int | None = None
    gone: int | None = None
    own: list[Span] = field(default_factory=list)


@dataclass
class Thing:
    """A visit, a household, a task, a file or a notice. `owner` is what it hangs on, once it does."""

    id: str
    collection: str
    born: int
    author: str = ""
    gone: int | None = None
    klass: str = "o"
    owner: str | None = None
    wanted: str = ""  # what a file was taken of
    home: str | None = None  # the household of a visit
    link: int | None = None
    places: list[Place] = field(default_factory=list)

    def open_place(self, kind: str) -> Place | None:
        return next((place for place in self.places if place.tag[0] == kind and place.high is None), None)


# What a visit or a household shows to whom; a task is no leader's.
_HOMES = {"worker": FULL, "lead": LEAD, "centre": FULL, "author": FULL}
_TASKS = {"worker": FULL, "centre": FULL, "handler": FULL}


@dataclass
class Oracle:
    """Everything that ever was, by clock number."""

    cases: dict[str, Case] = field(default_factory=dict)
    entries: dict[str, Entry] = field(default_factory=dict)
    grants: list[Grant] = field(default_factory=list)
    unit_cells: list[UnitCell] = field(default_factory=list)
    last_unit: str = "mediation"  # the one unit that handles cases
    things: dict[str, Thing] = field(default_factory=dict)
    vanished: set[str] = field(default_factory=set)  # cells that the edition in force does not have
    hand_overs: list[tuple[str, str]] = field(default_factory=list)

    # --- the relation -------------------------------------------------------------------------------------

    def reaches(self, user: str, case: Case | Thing, x: int) -> set[str]:
        """Every reach by which some pair covers `x`."""
        found = set()
        for place in case.places:
            if not place.covers(x):
                continue
            kind, key = place.tag
            if kind == "author" and key == user:
                found.add("author")
            if kind == "person" and key == user and self.acts(user, x):
                found.add("handler")
            for grant in self.grants:
                if grant.user == user and grant.covers(x) and self._meets(grant, kind, key, x):
                    found.add(REACH[grant.role])
        return found

    def acts(self, user: str, x: int) -> bool:
        return any(grant.user == user and grant.covers(x) for grant in self.grants)

    def _meets(self, grant: Grant, kind: str, key: str, x: int) -> bool:
        what, at = grant.target
        if grant.role in BY_DUTY:
            return (kind, key) == ("duty", at)
        if what == "unit":
            return kind == "cell" and any(
                row.unit == at and row.cell == key and row.covers(x) for row in self.unit_cells
            )
        return (what, at) == (kind, key)

    def case_level(self, user: str, case: Case, x: int) -> int:
        if x < case.born or (case.gone is not None and x >= case.gone):
            return NONE
        if any(row.user == user and row.covers(x) for row in case.denied):
            return NONE
        if any(row.user == user and row.covers(x) for row in case.named):
            return FULL
        klass = next(row.klass for row in case.classes if row.covers(x))
        return max((GIVES[reach][klass] for reach in self.reaches(user, case, x)), default=NONE)

    def entry_level(self, user: str, entry: Entry, x: int) -> int:
        if x < entry.born or (entry.gone is not None and x >= entry.gone):
            return NONE
        if any(span.covers(x) for span in entry.own):
            return FULL if entry.author == user else NONE
        if entry.case is None or entry.link is None or x < entry.link:
            return NONE
        case = self.cases[entry.case]
        level = self.case_level(user, case, x)
        if level == NONE:
            return NONE
        if entry.author == user and level == FULL:
            return FULL
        if entry.klass == "o":
            return level if level >= LEAD else NONE
        if any(row.user == user and row.covers(x) for row in case.named):
            return FULL
        if entry.klass == "c":
            klass = next(row.klass for row in case.classes if row.covers(x))
            officers = self.reaches(user, case, x) & {"handler", "centre"}
            return FULL if any(GIVES[reach][klass] == FULL for reach in officers) else NONE
        return NONE

    def level(self, user: str, collection: str, key: str, x: int) -> int:
        """What `user` sees of a document at `x`; of an unknown one, nothing."""
        if collection == "cases":
            return self.case_level(user, self.cases[key], x) if key in self.cases else NONE
        if collection != "entries":
            return self.thing_level(user, self.things[key], x) if key in self.things else NONE
        return self.entry_level(user, self.entries[key], x) if key in self.entries else NONE

    def thing_level(self, user: str, thing: Thing, x: int) -> int:
        if x < thing.born or (thing.gone is not None and x >= thing.gone):
            return NONE
        case = self.cases.get(thing.owner or "")
        if case is not None and any(row.user == user and row.covers(x) for row in case.denied):
            return NONE
        if thing.collection == "notices":
            return FULL if thing.author == user else NONE
        if thing.collection == "files":
            return self._file_level(user, thing, x)
        if thing.collection == "tasks":
            return self._task_level(user, thing, case, x)
        return max((_HOMES.get(reach, NONE) for reach in self.reaches(user, thing, x)), default=NONE)

    def _task_level(self, user: str, task: Thing, case: Case | None, x: int) -> int:
        if case is not None:
            if any(row.user == user and row.covers(x) for row in case.named):
                return FULL
            if next(row.klass for row in case.classes if row.covers(x)) == SEALED:
                return NONE
        reaches = self.reaches(user, task, x)
        if task.klass != "o":
            reaches &= {"centre", "handler"}
        return max((_TASKS.get(reach, NONE) for reach in reaches), default=NONE)

    def _file_level(self, user: str, file: Thing, x: int) -> int:
        """It hangs on a visit or on a case from `link` on; before, and without either, it is its writer's own."""
        if file.owner is None or file.link is None or x < file.link:
            return FULL if file.author == user else NONE
        case, visit = self.cases.get(file.owner), self.things.get(file.owner)
        if case is not None:
            stands_for = Entry(file.id, file.author, file.born, file.klass, file.owner, file.owner, file.link)
            return self.entry_level(user, stands_for, x)
        assert visit is not None
        level = self.thing_level(user, visit, x)
        if level == NONE or (file.author == user and level == FULL):
            return level
        if file.klass == "o":
            return level
        return FULL if "centre" in self.reaches(user, visit, x) else NONE

    def ever(self, user: str, collection: str, key: str, low: int, high: int) -> bool:
        """Whether the user saw anything of the document at some number of ``[low, high]``."""
        return any(self.level(user, collection, key, x) != NONE for x in range(low, high + 1))

    def visible(self, user: str, collection: str, x: int) -> dict[str, int]:
        """Every document the user sees at `x`, with how much of it."""
        keys = {"cases": list(self.cases), "entries": list(self.entries)}.get(
            collection, [key for key, thing in self.things.items() if thing.collection == collection]
        )
        levels = {key: self.level(user, collection, key, x) for key in keys}
        return {key: level for key, level in levels.items() if level != NONE}

    # --- what happened ------------------------------------------------------------------------------------

    def capture(self, key: str, author: str, cell: str, klass: int, n: int) -> Case:
        case = Case(key, author, n)
        case.places = [Place(n, tag=("cell", cell)), Place(n, tag=("author", author))]
        case.classes = [ClassSpan(n, klass=klass)]
        if klass == SEALED:
            case.named = [For(n, user=user) for user in sorted(self.keepers(case, n))]
        self.cases[key] = case
        return case

    def move(self, case: Case, cell: str, n: int, *, by_person: bool) -> None:
        case.placed_by_person |= by_person
        place = case.open_place("cell")
        if place is not None and place.tag == ("cell", cell):
            return  # confirmed where it is: nobody was re-assigned
        if by_person:
            self._close(case, "author", n)
        self._close(case, "cell", n)
        case.places.append(Place(n, tag=("cell", cell)))
        # He was among those it was sealed to only while it stood where he left it.
        handler = case.open_place("person")
        stays = case.author in self.directors(case, n) or (handler and handler.tag[1] == case.author)
        if by_person and case.klass == SEALED and not stays:
            self.close_for(case.named, case.author, n)

    def name(self, case: Case, user: str, n: int) -> None:
        """Only who has any role with cases can be named for one."""
        if self.acts(user, n):
            self.open_for(case.named, user, n)

    def hand_to(self, case: Case, unit: str | None, user: str | None, n: int) -> None:
        """A unit has the case until one person of it does; with neither, nobody handles it."""
        self._let_go(case, user, n)
        wanted = {("duty", unit)} if unit and not user else set()
        wanted |= {("person", user)} if user else set()
        for kind in ("duty", "person"):
            place = case.open_place(kind)
            if place is not None and place.tag not in wanted:
                self._close(case, kind, n)
        for kind, key in wanted:
            if case.open_place(kind) is None:
                case.places.append(Place(n, tag=(kind, key)))
        if user and case.klass == SEALED:
            self.name(case, user, n)

    def matter(self, case: Case) -> list[Case]:
        """The living cases that hang together with this one by mergers."""
        ids, before = {case.id}, 0
        while len(ids) != before:
            before = len(ids)
            ids |= {one.id for one in self.cases.values() if one.master in ids}
            ids |= {one.master for one in self.cases.values() if one.id in ids and one.master is not None}
        return [self.cases[key] for key in sorted(ids) if self.cases[key].gone is None]

    def merge(self, case: Case, master: Case, n: int) -> None:
        """From here on the two are one matter: as closed, and kept from the same people."""
        case.master = master.id
        united = self.matter(case)
        for user in sorted({row.user for one in united for row in one.denied if row.high is None}):
            self._keep_away(united, user, n)
        self.set_class(case, max(one.klass for one in united), n)

    def recuse(self, case: Case, user: str, n: int) -> None:
        self.open_for(case.denied, user, n)
        self._keep_away(self.matter(case), user, n)

    def _keep_away(self, cases: list[Case], user: str, n: int) -> None:
        for one in cases:
            if any(row.user == user and row.high is None for row in one.denied):
                continue
            self.open_for(one.denied, user, n)
            place = one.open_place("person")
            if place is not None and place.tag[1] == user:
                self.hand_to(one, self.last_unit, None, n)  # it lies in its unit's pool again

    def lift(self, case: Case, user: str, n: int) -> None:
        for one in self.matter(case):
            self.close_for(one.denied, user, n)

    def set_class(self, case: Case, klass: int, n: int) -> None:
        for one in self.matter(case):
            self._set_class(one, klass, n)

    def _set_class(self, case: Case, klass: int, n: int) -> None:
        if case.klass == klass:
            return
        case.classes[-1].high = n
        was = case.klass
        case.classes.append(ClassSpan(n, klass=klass))
        if was == SEALED:
            for user in self.keepers(case, n):  # they see it by where it is again
                self.close_for(case.named, user, n)
        if klass == SEALED:
            for user in self.keepers(case, n):
                self.open_for(case.named, user, n)

    def _let_go(self, case: Case, following: str | None, n: int) -> None:
        """Who had a sealed case and has it no longer is not named any more, unless for another reason."""
        place = case.open_place("person")
        if place is None or case.klass != SEALED or place.tag[1] == following:
            return
        author = case.open_place("author")
        if place.tag[1] not in self.directors(case, n) and (author is None or author.tag[1] != place.tag[1]):
            self.close_for(case.named, place.tag[1], n)

    def directors(self, case: Case, n: int) -> set[str]:
        """Who directs the centre that has the case's cell."""
        cell = case.open_place("cell")
        return {
            grant.user
            for grant in self.grants
            if grant.role == "centre_director"
            and grant.covers(n)
            and cell
            and self._meets(grant, *cell.tag, n)
        }

    def keepers(self, case: Case, n: int) -> set[str]:
        """Who is named when a case is sealed: the centre's director, the author while in it, the handler."""
        open_places = [place for kind in ("author", "person") if (place := case.open_place(kind))]
        return self.directors(case, n) | {place.tag[1] for place in open_places}

    def erase(self, case: Case, n: int) -> None:
        case.gone = n
        for kind in ("cell", "duty", "person", "author"):
            self._close(case, kind, n)
        for row in case.named:
            row.high = n if row.high is None else row.high
        for entry in self.entries.values():
            waits = entry.wanted == case.id and any(span.high is None for span in entry.own)
            if (entry.case == case.id or waits) and entry.gone is None:
                entry.gone = n
        for thing in self.things.values():
            waits = thing.wanted == case.id and thing.owner is None
            if (thing.owner == case.id or waits) and thing.gone is None:
                thing.gone = n

    def close_author(self, case: Case, n: int) -> None:
        self._close(case, "author", n)

    def erase_thing(self, thing: Thing, n: int) -> None:
        thing.gone = n
        for place in thing.places:
            place.high = n if place.high is None else place.high
        for other in self.things.values():
            waits = other.wanted == thing.id and other.owner is None
            if (other.owner == thing.id or waits) and other.gone is None:
                self.erase_thing(other, n)

    @staticmethod
    def _close(case: Case | Thing, kind: str, n: int) -> None:
        place = case.open_place(kind)
        if place is not None:
            place.high = n

    @staticmethod
    def open_for(rows: list[For], user: str, n: int) -> None:
        if not any(row.user == user and row.high is None for row in rows):
            rows.append(For(n, user=user))

    @staticmethod
    def close_for(rows: list[For], user: str, n: int) -> None:
        for row in rows:
            if row.user == user and row.high is None:
                row.high = n
