"""疑似重复: which other cases may be the same quarrel, for one person, looked for among neighbours in place and time.

Only what the person sees in full is read at all, so what is sealed, or kept from him, changes no answer, not even by
taking somebody's place in a limit. Cells are read once for all cases of one question.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec
from msgspec import Struct

from geo.regions import Provider
from server.console.scope import CENTRE, Seen, Sight
from sync import content, placing
from sync.batch import STATUS_CODES
from sync.cases.catalogue import STATUSES
from sync.cases.duplicates import NEAR_M, WINDOW_MS, Look, Match, Spot, compare, distance_m, time_apart
from sync.cases.model import display_title
from sync.config import OUTSIDE
from sync.values import Collection, Doc, Level, Place

PER_CELL: Final = 300  # cases of one cell that are compared, the newest changes first
SHOWN_MAX: Final = 10
_REACH_MAX_M: Final = 600.0  # a vague fix does not open half a district
_CHUNK: Final = 100
# A case that went into another, or that was none, is no second of anything.
_NO_MATTER: Final = frozenset(STATUS_CODES.index(code) for code in ("merged", "voided"))
# What waits on the centre's desk is marked; whoever handles a case asks on its page.
_MARKED: Final = frozenset({"submitted", "admitted", "dispatched", "returned"})


class Candidate(Struct, frozen=True):
    """Another case that may be the same, and why."""

    doc: Doc
    values: dict[str, Any]
    match: Match


class _Near(Struct):
    """A neighbour: what is read in the clear at once, the rest when it is close enough."""

    doc: Doc
    clear: Look
    whole: Look | None = None
    values: dict[str, Any] | None = None


class Neighbours:
    """The cases around others, as one person sees them in one snapshot."""

    def __init__(self, sight: Sight) -> None:
        self._sight = sight
        self._cells: dict[int, list[_Near]] = {}

    def of(self, doc: Doc) -> list[Candidate]:
        """Cases that may be the same as this one, the most alike first; none where it is not seen in full."""
        if self._sight.level(doc) != Level.full or doc.status in _NO_MATTER:
            return []
        values = content.whole(doc, self._sight.keys)
        mine = self._look(values)
        found = []
        for near in self._around(doc, values):
            if near.doc.pk == doc.pk or not _comes_near(mine, near.clear):
                continue
            match = compare(mine, self._opened(near))
            if match is not None:
                found.append(Candidate(near.doc, near.values or {}, match))
        found.sort(key=lambda one: (-one.match.score, one.doc.pk))
        return found[:SHOWN_MAX]

    def _around(self, doc: Doc, values: Mapping[str, Any]) -> Iterable[_Near]:
        cells = set() if doc.cell is None else {doc.cell}
        spot = placing.spot_of(values.get("location"), self._sight.config.provider)
        if spot is not None:
            reach_m = min(_REACH_MAX_M, NEAR_M + (spot[2] or 0.0))
            # The other's fix may have been too vague for a cell.
            cells |= placing.cells_near(self._sight.config, spot, reach_m) | {OUTSIDE}
        for cell in sorted(cells):
            if cell not in self._cells:
                self._cells[cell] = list(self._read(cell))
            yield from self._cells[cell]

    def _read(self, cell: int) -> Iterable[_Near]:
        below: tuple[int, int] | None = None
        count = 0
        while True:
            docs = self._sight.reader.recent(
                Collection.cases, below=below, limit=_CHUNK, place=(int(Place.cell), cell)
            )
            for doc in docs:
                if doc.gone is not None or doc.status in _NO_MATTER or self._sight.level(doc) != Level.full:
                    continue
                yield _Near(doc, self._look(msgspec.json.decode(b"{" + doc.clear + b"}")))
                count += 1
                if count >= PER_CELL:
                    return
            if len(docs) < _CHUNK:
                return
            below = (docs[-1].seq, docs[-1].pk)

    def _look(self, values: Mapping[str, Any]) -> Look:
        return _look(values, self._sight.config.provider)

    def _opened(self, near: _Near) -> Look:
        if near.whole is None:
            near.values = content.whole(near.doc, self._sight.keys)
            near.whole = self._look(near.values)
        return near.whole


def _comes_near(mine: Look, other: Look) -> bool:
    """What the row tells in the clear: near enough in time and place to be opened and compared."""
    apart = time_apart(mine, other)
    if apart is not None and apart > WINDOW_MS:
        return False
    if mine.spot is None or other.spot is None:
        return True
    unsure = (mine.spot.r95_m or 0.0) + (other.spot.r95_m or 0.0)
    return distance_m(mine.spot, other.spot) <= NEAR_M + unsure


def _look(values: Mapping[str, Any], provider: Provider) -> Look:
    spot = placing.spot_of(values.get("location"), provider)
    return Look(
        kind=str(values.get("kind")),
        category=values.get("category"),
        captured_at=values.get("captured_at"),
        received_at=values.get("received_at"),
        spot=None if spot is None else Spot(*spot),
        cell=values.get("cell"),
        household=values.get("household_id"),
        address=values.get("address") or "",
        text=f"{values.get('title') or ''}。{values.get('description') or ''}",
        parties=values.get("parties") or (),
    )


# --- shown -----------------------------------------------------------------------------------------------------------


def duplicates_of(sight: Sight, seen: Seen) -> list[dict[str, Any]]:
    """What may be the same as this case, with a score (0 to 100) and reasons in words."""
    return [_shown(sight, one) for one in Neighbours(sight).of(seen.doc)]


def _shown(sight: Sight, one: Candidate) -> dict[str, Any]:
    values = one.values
    author = sight.config.account_by_id.get(values.get("author") or "")
    status = values.get("status")
    return {
        "id": values["id"],
        "code": values.get("code"),
        "title": display_title(values),
        "kind": values.get("kind"),
        "category": values.get("category"),
        "status": status,
        "status_zh": STATUSES[status].zh if status in STATUSES else None,
        "cell": values.get("cell"),
        "captured_at": values.get("captured_at"),
        "author_name": None if author is None else author.name,
        "score": one.match.score,
        "likely": one.match.likely,
        "distance_m": one.match.distance_m,
        "reasons": list(one.match.reasons),
    }


def marks_of(sight: Sight, seen: Iterable[Seen]) -> dict[int, int]:
    """How many cases may be the same, for each of these that waits on the caller's desk at the centre."""
    neighbours = Neighbours(sight)
    marks = {}
    for one in seen:
        at_desk = one.level == Level.full and one.shown.get("status") in _MARKED
        if at_desk and CENTRE & sight.roles_at(one.doc):
            marks[one.doc.pk] = len(neighbours.of(one.doc))
    return marks
