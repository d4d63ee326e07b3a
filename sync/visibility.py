"""Who sees how much of which document at which number: the relation, as a step function.

The theory, in short (rules VI1–VI9 of ``PROTOCOL.md``): a document is in *places* over intervals of the district's
clock, a person *holds* tags over intervals; where a hold and a place of the same tag overlap, they form a *pair*.
What somebody sees at number x is the most that a live pair grants under the protection class at x; being named for
the case gives everything, a recusal takes everything, and before its birth or after its erasure there is nothing.
All of it moves only at numbers that stand in rows, so a window of numbers is decided by looking at its breakpoints.
"""

from collections.abc import Iterable, Sequence

from msgspec import Struct

from sync.values import (
    CLASSES,
    FOREVER,
    SEALED,
    ClassInterval,
    Collection,
    Doc,
    Hold,
    Interval,
    Level,
    Named,
    Place,
    Reach,
)

_NONE, _SHELL, _PLAIN, _FULL = Level.none, Level.shell, Level.plain, Level.full
_CELL, _DUTY, _PERSON, _AUTHOR = map(int, Place)
_Table = dict[Reach, tuple[Level, Level, Level]]

# What a pair grants, by protection class (normal, restricted, sealed). Sealed cases open to named persons only.
CASES: _Table = {
    Reach.worker: (_FULL, _SHELL, _NONE),
    Reach.lead: (_PLAIN, _SHELL, _NONE),
    Reach.centre: (_FULL, _FULL, _NONE),
    Reach.handler: (_FULL, _FULL, _NONE),
    Reach.manager: (_PLAIN, _PLAIN, _NONE),
    Reach.author: (_FULL, _FULL, _NONE),
}
# Visits and households belong to the household's cell; naming a case opens neither.
PLACES: _Table = {
    Reach.worker: (_FULL, _FULL, _NONE),
    Reach.lead: (_PLAIN, _PLAIN, _NONE),
    Reach.centre: (_FULL, _FULL, _NONE),
    Reach.author: (_FULL, _FULL, _NONE),
}
TASKS: _Table = {
    Reach.worker: (_FULL, _FULL, _NONE),
    Reach.centre: (_FULL, _FULL, _NONE),
    Reach.handler: (_FULL, _FULL, _NONE),
}
NOTICES: _Table = {Reach.author: (_FULL, _FULL, _FULL)}
CELLS: _Table = dict.fromkeys(
    (Reach.worker, Reach.lead, Reach.centre, Reach.handler, Reach.manager), (_FULL, _FULL, _FULL)
)
TABLES: dict[int, _Table] = {
    Collection.cases: CASES,
    Collection.entries: CASES,
    Collection.files: CASES,
    Collection.visits: PLACES,
    Collection.households: PLACES,
    Collection.tasks: TASKS,
    Collection.notices: NOTICES,
    Collection.cells: CELLS,
}
CHILDREN = frozenset({Collection.entries, Collection.files})
# Tasks have a place of their own, but what denies the case denies them, and they move with it. A notice stays with
# whom it was told to, unless he may no longer know of its case.
FOLLOWERS = CHILDREN | {Collection.tasks, Collection.notices}
# What else than a case a document can hang upon: it has the places of that, and moves with it.
OTHER_PARENTS = {Collection.files: Collection.visits, Collection.tasks: Collection.households}
PARENTS = frozenset({Collection.cases, *OTHER_PARENTS.values()})
_OPEN, _HANDLERS = 0, 1


class Viewer(Struct, frozen=True):
    """Somebody who looks, on a device: what he holds and has held, and the cases he was named for or recused from."""

    user_pk: int
    holds: dict[tuple[int, int], tuple[Hold, ...]]
    namings: dict[int, tuple[Named, ...]]  # by case
    registered: int = 0

    @classmethod
    def of(
        cls,
        user_pk: int,
        holds: dict[tuple[int, int], tuple[Hold, ...]],
        namings: Iterable[Named],
        registered: int = 0,
    ) -> "Viewer":
        """Index namings by case."""
        by_case: dict[int, tuple[Named, ...]] = {}
        for row in namings:
            by_case[row.case_pk] = (*by_case.get(row.case_pk, ()), row)
        return cls(user_pk, holds, by_case, registered)


def by_tag(holds: Iterable[Hold]) -> dict[tuple[int, int], tuple[Hold, ...]]:
    """Holds, by kind and tag."""
    found: dict[tuple[int, int], tuple[Hold, ...]] = {}
    for hold in holds:
        key = (hold.kind, hold.tag)
        found[key] = (*found.get(key, ()), hold)
    return found


class Past(Struct, frozen=True):
    """What a document's row no longer tells: the places it left and the classes it had (a child's: its case's)."""

    places: tuple[Interval, ...] = ()
    classes: tuple[ClassInterval, ...] = ()


NO_PAST = Past()


def case_of(doc: Doc) -> int | None:
    """The key of the case, or of the visit or household, whose places, namings and classes govern this document."""
    if doc.collection == Collection.cases:
        return doc.pk
    return doc.case_pk if doc.collection in FOLLOWERS else None


def current_places(doc: Doc) -> list[tuple[int, int, int, int]]:
    """VI1: the places the row itself tells: (kind, tag, from, to); those it has left are rows of their own."""
    places = []
    if doc.cell is not None and doc.cell_since is not None:
        places.append((int(Place.cell), doc.cell, doc.cell_since, FOREVER))
    if doc.duty is not None and doc.duty_since is not None:
        places.append((int(Place.duty), doc.duty, doc.duty_since, FOREVER))
    if doc.person is not None and doc.person_since is not None:
        places.append((int(Place.person), doc.person, doc.person_since, FOREVER))
    if doc.author is not None and doc.author_since is not None:
        places.append((int(Place.author), doc.author, doc.author_since, FOREVER))
    return places


class Relation:
    """One viewer and one document: the level at any number, and the numbers where it can change."""

    __slots__ = ("_born", "_classes", "_denied", "_doc", "_named", "_pairs", "_viewer")

    def __init__(self, viewer: Viewer, doc: Doc, past: Past = NO_PAST) -> None:
        self._viewer = viewer
        self._doc = doc
        # A linked child begins to follow its case at `link`; before that only its own place counts (VI6).
        self._born = doc.born
        child = doc.collection in CHILDREN
        start = max(doc.born, doc.link or 0) if child else doc.born
        pairs: list[tuple[int, int, Reach]] = []  # VI3: where a hold and a place of one tag overlap
        places = current_places(doc)
        places += [(row.kind, row.tag, row.v_from, row.v_to) for row in past.places]
        own = doc.own_since is not None
        for kind, tag, v_from, v_to in places:
            low = v_from if own else max(v_from, start)
            for hold in viewer.holds.get((kind, tag), ()):
                first, last = max(low, hold.v_from), min(v_to, hold.v_to)
                if first < last:
                    pairs.append((first, last, hold.reach))
        if (
            child
            and not own
            and doc.link is not None
            and doc.link > doc.born
            and doc.writer == viewer.user_pk
        ):
            pairs.append((doc.born, doc.link, Reach.author))
        self._pairs = pairs
        self._classes = [(doc.klass_since, FOREVER, doc.klass)]
        self._classes += [(row.v_from, row.v_to, row.klass) for row in past.classes]
        case = case_of(doc)
        rows = viewer.namings.get(case, ()) if case is not None else ()
        ends = [(row.v_from, FOREVER if row.v_to is None else row.v_to, row.denied) for row in rows]
        self._named = [
            (low if not child else max(low, start), high)
            for low, high, denied in ends
            if not denied and doc.collection != Collection.notices
        ]
        self._denied = [(low, high) for low, high, denied in ends if denied]

    def level(self, x: int) -> Level:  # the clauses of the relation, in its order
        """What the viewer sees of the document at number `x`."""
        doc = self._doc
        # VI4: no life, or a recusal: nothing, whatever else speaks for it.
        if x < self._born or (doc.gone is not None and x >= doc.gone):
            return _NONE
        for low, high in self._denied:
            if low <= x < high:
                return _NONE
        named = any(low <= x < high for low, high in self._named)  # VI5
        klass = next((klass for low, high, klass in self._classes if low <= x < high), doc.klass)
        table = TABLES[doc.collection]
        live = [reach for low, high, reach in self._pairs if low <= x < high]
        if doc.collection == Collection.tasks and doc.entry_class == _HANDLERS:
            live = [
                reach for reach in live if reach in {Reach.centre, Reach.handler}
            ]  # work of the centre's desk
        case_level = _FULL if named else max((table[r][klass] for r in live if r in table), default=_NONE)
        if doc.collection not in CHILDREN:
            return case_level
        # Children: an own place (no case yet) is the author's alone; class decides the rest (VI7).
        if doc.own_since is not None or (doc.link is not None and x < doc.link):
            return _FULL if doc.writer == self._viewer.user_pk and live else _NONE
        if doc.writer == self._viewer.user_pk and case_level == _FULL:
            return _FULL
        if doc.entry_class == _OPEN:
            return case_level if case_level >= _PLAIN else _NONE
        if named:
            return _FULL
        if doc.entry_class == _HANDLERS:
            officer = any(r in {Reach.centre, Reach.handler} and table[r][klass] == _FULL for r in live)
            return _FULL if officer else _NONE
        return _NONE

    def breaks(self, low: int, high: int) -> list[int]:
        """VI9: `low` and every number in ``(low, high]`` where the level may change."""
        points = {self._born, self._doc.link or 0, self._doc.gone or 0}
        for first, last, _ in self._pairs:
            points |= {first, last}
        for first, last, _ in self._classes:
            points |= {first, last}
        for first, last in (*self._named, *self._denied):
            points |= {first, last}
        return [low, *sorted(point for point in points if low < point <= high)]

    def constant(self, low: int, high: int) -> bool:
        """Whether the level is the same at every number of ``[low, high]``."""
        first, *rest = self.breaks(low, high)
        at_first = self.level(first)
        return all(self.level(x) == at_first for x in rest)

    def ever(self, low: int, high: int) -> bool:
        """Whether anything was visible at some number of ``[low, high]``."""
        return any(self.level(x) != _NONE for x in self.breaks(low, high))


class Sight:
    """What a viewer's holds grant in one collection at head `n`, worked out once for many documents."""

    __slots__ = ("_follows", "_granted", "_n", "_namings", "_table", "_viewer")

    def __init__(self, viewer: Viewer, collection: int, n: int) -> None:
        self._viewer = viewer
        self._n = n
        self._follows = collection in FOLLOWERS
        self._namings = viewer.namings if collection == Collection.cases else {}
        self._table = TABLES[collection]
        self._granted: dict[tuple[int, int | None], tuple[Level, ...]] = {}

    def _levels(self, kind: int, tag: int | None) -> tuple[Level, ...]:
        """What is granted in a place, by protection class."""
        levels = self._granted.get((kind, tag))
        if levels is None:
            n, table = self._n, self._table
            holds = () if tag is None else self._viewer.holds.get((kind, tag), ())
            live = [table[x.reach] for x in holds if x.v_from <= n < x.v_to and x.reach in table]
            levels = self._granted[kind, tag] = tuple(
                map(max, zip((_NONE,) * len(CLASSES), *live, strict=True))
            )
        return levels

    def level(self, doc: Doc) -> Level:
        """`Relation.level` at the head where the row alone tells it; `none`: the long way must decide.

        The row tells it of a living document that follows no other, and for which this viewer was not named.
        """
        n, klass, best = self._n, doc.klass, _NONE
        if self._follows or doc.gone is not None or doc.born > n or doc.klass_since > n:
            return _NONE
        if doc.pk in self._namings:
            return _NONE
        if doc.cell_since is not None and doc.cell_since <= n:
            best = self._levels(_CELL, doc.cell)[klass]
            if best == _FULL:
                return best
        if doc.duty_since is not None and doc.duty_since <= n:
            best = max(best, self._levels(_DUTY, doc.duty)[klass])
        if doc.person_since is not None and doc.person_since <= n:
            best = max(best, self._levels(_PERSON, doc.person)[klass])
        if doc.author_since is not None and doc.author_since <= n:
            best = max(best, self._levels(_AUTHOR, doc.author)[klass])
        return best


def level_now(viewer: Viewer, doc: Doc, n: int) -> Level:
    """The level at head `n`: the row alone suffices, whatever was before."""
    return Relation(viewer, doc).level(n)


def is_sealed(doc: Doc) -> bool:
    """Whether only named persons may know of the document."""
    return doc.klass == SEALED


def pasts(
    docs: Sequence[Doc], places: Sequence[Interval], classes: Sequence[ClassInterval]
) -> dict[int, Past]:
    """The past of each document: its own intervals, and for a child those of its case."""
    by_doc: dict[int, list[Interval]] = {}
    for row in places:
        by_doc.setdefault(row.doc_pk, []).append(row)
    by_class: dict[int, list[ClassInterval]] = {}
    for kept in classes:
        by_class.setdefault(kept.doc_pk, []).append(kept)
    result: dict[int, Past] = {}
    for doc in docs:
        case = doc.pk if doc.collection == Collection.notices else case_of(doc) or doc.pk
        own = by_doc.get(doc.pk, []) if case != doc.pk else []
        followed = by_doc.get(case, [])
        if doc.collection == Collection.tasks:
            # Of its case's places a task shares the cell alone; a person's task not even that. One that lies nowhere
            # any more shared it until it left its last cell.
            until = (
                FOREVER
                if doc.cell is not None
                else max((x.v_to for x in own if x.kind == Place.cell), default=0)
            )
            followed = [row for row in followed if row.kind == Place.cell and row.v_from < until]
        result[doc.pk] = Past((*followed, *own), tuple(by_class.get(case, ())))
    return result
