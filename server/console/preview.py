"""What putting an edition of the cells in force would move: looked at in pieces, changing nothing.

The rules are those of the re-assignment (MA3, MA5, PC5 and PC6 of ``sync/PROTOCOL.md``), asked of what lies in the
district now. Figures count what everybody may know of; documents are named only to whoever sees them.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct

from geo.assignment import Assignment, LayerIndex, Method, assign_all
from geo.cells import Cell, Layer
from geo.layer import geometry_of
from geo.succession import Change, changes, successors
from server.console.scope import Sight
from sync import content
from sync.batch import status_number
from sync.cases.catalogue import OPEN_STATUSES
from sync.config import OUTSIDE, OUTSIDE_CODE, Config
from sync.generations import last_followed
from sync.placing import BY_FIX, PERSON, fix_of
from sync.reassign_rules import EDITION, back_from
from sync.scope import PHONE_ROLES
from sync.values import FOREVER, SEALED, Collection, Doc, Level, Place

_CHUNK: Final = 500
_CHUNKS: Final = 4  # in one snapshot
_NAMED: Final = 200
_TOMBSTONE_BYTES: Final = 160
_OPEN: Final = sorted(number for code in OPEN_STATUSES if (number := status_number(code)) is not None)
_KINDS: Final = {
    Collection.cases: "closed_cases",
    Collection.households: "households",
    Collection.visits: "visits",
}


class _Load(Struct):
    """What goes from one cell to another: how many documents of each kind, and their bytes."""

    kinds: Counter[str]
    size: int = 0


class Preview:
    """A look ahead under way: `go_on` until it says that it is done, then `told`."""

    def __init__(self, number: int, index: LayerIndex, former: Layer | None, *, named: int = _NAMED) -> None:
        """`index` is of the edition `number`, `former` the one in force; `named`: so many cases by name at most."""
        self._number = number
        self._index = index
        self._layer = index.layer
        self._known = set(index.layer.codes)
        self._changes: list[Change] = [] if former is None else changes(former, self._layer)
        gone = (
            {} if former is None else {c.code: c.geometry for c in former.cells if c.code not in self._known}
        )
        self._heirs = successors(gone, self._layer)
        self._fresh = _redrawn(former, self._layer)
        self._most = named
        self._named: list[dict[str, Any]] = []
        self._loads: dict[tuple[str, str], _Load] = {}
        self._counts: Counter[str] = Counter()
        self._below: tuple[int, int] | None = None
        self._after: tuple[int, int, int] | None = None
        self._rest = [*_KINDS]
        self._cases_done = False
        self._people: dict[str, int] = {}
        self._idle: list[str] = []

    def go_on(self, sight: Sight) -> bool:
        """Look at some thousand documents more; whether that was all."""
        for _ in range(_CHUNKS):
            if not self._cases_done:
                self._cases_done = self._open_cases(sight)
            elif self._rest:
                if self._left_behind(sight, self._rest[0]):
                    self._rest.pop(0)
                    self._after = None
            else:
                self._phones(sight)
                return True
        return False

    # --- what moves -------------------------------------------------------------------------------------------------

    def _open_cases(self, sight: Sight) -> bool:
        docs = sight.reader.recent(Collection.cases, below=self._below, limit=_CHUNK, statuses=_OPEN)
        values = [msgspec.json.decode(b"{" + doc.clear + b"}") for doc in docs]
        fixes = [fix_of(case.get("location")) for case in values]
        config = sight.config
        answers = assign_all(self._index, fixes, config.thresholds, config.provider)
        back = self._back(sight, docs)
        for doc, case, found in zip(docs, values, answers, strict=True):
            level = sight.level(doc)
            if doc.klass == SEALED and level == Level.none:
                continue  # a layer drawn for it would tell by any figure where a sealed case lies
            self._counts["open_cases"] += 1
            now = str(case.get("cell") or OUTSIDE_CODE)
            record = case.get("assignment") or {}
            self._counts["set_by_person"] += record.get("method") == PERSON
            self._counts["needs_confirmation"] += found.needs_confirmation
            then = self._goes_to(now, record, found, back.get(doc.pk))
            if then == now:
                continue
            self._moves(now, then, "cases", doc)
            if len(self._named) < self._most and level == Level.full:
                identity = content.id_text(Collection.cases, doc.id)
                self._named.append({"id": identity, "code": doc.code, "from": now, "to": then})
        if docs:
            self._below = (docs[-1].seq, docs[-1].pk)
        return len(docs) < _CHUNK

    def _goes_to(self, now: str, record: Mapping[str, Any], found: Assignment, back: str | None) -> str:
        """MA3, MA5, PC5 and PC6, told by codes: where an open case would lie."""
        person, fixed = record.get("method") == PERSON, found.method is not Method.NONE
        was = ((record.get("moved") or {}).get("was") or {}).get("method")
        said_since = person and was != PERSON
        if now in self._known and (said_since or (back is None and (person or not fixed))):
            return now
        if back is not None and (not fixed or was == PERSON or person or found.method is Method.RAISED):
            return back
        if person or not fixed:
            return self._heir(now)
        if found.method is not Method.RAISED:
            return found.cell or OUTSIDE_CODE
        if now not in self._known:
            return self._heir(now)
        by_fix = record.get("method") in BY_FIX
        may_stay = now in found.candidates if by_fix else found.area in {None, *self._layer.ancestors(now)}
        return now if may_stay else OUTSIDE_CODE

    def _left_behind(self, sight: Sight, collection: Collection) -> bool:
        """What has no fix of its own goes when its cell does; and when an edition comes back, to where it was."""
        config = sight.config
        undone = self._undo_over(sight) is not None
        cells = sorted(
            row.pk
            for row in config.cells.values()
            if row.level == 0 and row.pk != OUTSIDE and (undone or row.code not in self._known)
        )
        cells += [OUTSIDE] if undone else []
        docs = sight.reader.tagged(
            collection,
            int(Place.cell),
            sorted(cells),
            seq_over=0,
            seq_upto=None,
            after=self._after,
            limit=_CHUNK,
        )
        back = self._back(sight, docs)
        for doc in docs:
            if doc.gone is not None or (doc.klass == SEALED and sight.level(doc) == Level.none):
                continue
            if collection == Collection.cases and doc.status in _OPEN:
                continue
            now = config.cells[doc.cell or OUTSIDE].code
            then = back.get(doc.pk) or self._heir(now)
            if then != now:
                self._moves(now, then, _KINDS[collection], doc)
        if docs:
            last = docs[-1]
            self._after = (last.cell or OUTSIDE, last.seq, last.pk)
        return len(docs) < _CHUNK

    def _heir(self, code: str) -> str:
        if code in self._known or code == OUTSIDE_CODE:
            return code
        return self._heirs.get(code, OUTSIDE_CODE)

    def _undo_over(self, sight: Sight) -> int | None:
        return last_followed(sight.reader, self._number)

    def _back(self, sight: Sight, docs: Sequence[Doc]) -> dict[int, str]:
        """MA5: where documents were, before what this edition would undo, if it has those cells."""
        over = self._undo_over(sight)
        if over is None or not docs:
            return {}
        editions = {row["pk"] for row in sight.reader.find("reassignment", {"kind": EDITION}, columns=["pk"])}
        where = {"doc_pk": [doc.pk for doc in docs], "reassignment__gt": over}
        moves: dict[int, list[tuple[int | None, int | None]]] = {}
        for row in sight.reader.find("moved", where, order=["-pk"]):
            if row["reassignment"] in editions:
                moves.setdefault(row["doc_pk"], []).append((row["source"], row["target"]))
        found: dict[int, str] = {}
        for doc in docs:
            place = back_from(doc.cell, moves.get(doc.pk, ()))
            if place is not None and (code := sight.config.cells[place].code) in self._known:
                found[doc.pk] = code
        return found

    def _moves(self, now: str, then: str, kind: str, doc: Doc) -> None:
        load = self._loads.setdefault((now, then), _Load(Counter()))
        load.kinds[kind] += 1
        load.size += len(doc.clear) + len(doc.sealed or b"")

    # --- whose phones ------------------------------------------------------------------------------------------------

    def _phones(self, sight: Sight) -> None:
        config = sight.config
        gain = lose = size = 0
        users: set[int] = set()
        held: set[str] = set()
        for user_pk in config.grants:
            if not config.roles(user_pk) & PHONE_ROLES:
                continue
            cells = _cells_held(config, user_pk)
            held |= cells
            came, went, weight = self._of_phone(cells)
            if came or went or weight:
                users.add(user_pk)
                gain, lose, size = gain + came, lose + went, size + weight
        devices = _devices(sight, users)
        pending = [count for told in devices if (count := _pending(told)) > 0]
        self._people = {
            "users": len(users),
            "devices": len(devices),
            "documents_in": gain,
            "documents_out": lose,
            "bytes": size,
            "devices_with_unsent": len(pending),
            "unsent": sum(pending),
        }
        self._idle = sorted(self._known - held)

    def _of_phone(self, cells: set[str]) -> tuple[int, int, int]:
        """Documents that come to a phone with these cells, that leave it, and the bytes of both."""
        came = went = size = 0
        for (now, then), load in self._loads.items():
            count = load.kinds.total()
            if then in cells and now not in cells:
                came, size = came + count, size + load.size
            elif now in cells and then not in cells:
                went, size = went + count, size + count * _TOMBSTONE_BYTES
        return came, went, size + sum(self._fresh[code] for code in cells if code in self._fresh)

    def told(self) -> dict[str, Any]:
        """The whole look ahead, as routes tell it."""
        totals: Counter[str] = Counter()
        for load in self._loads.values():
            totals.update(load.kinds)
        return {
            "generation": self._number,
            "open_cases": self._counts["open_cases"],
            "moved": totals["cases"],
            "set_by_person": self._counts["set_by_person"],
            "needs_confirmation": self._counts["needs_confirmation"],
            **{kind: totals[kind] for kind in _KINDS.values()},
            "changes": [
                {"fate": str(change.fate), "before": list(change.before), "after": list(change.after)}
                for change in self._changes
            ],
            "phones": self._people,
            "cells_without_worker": self._idle,
            "moves": [
                {"from": now, "to": then, **{kind: load.kinds[kind] for kind in ("cases", *_KINDS.values())}}
                for (now, then), load in sorted(self._loads.items())
            ],
            "cases": self._named,
        }


def _redrawn(former: Layer | None, layer: Layer) -> dict[str, int]:
    """The cells whose outline a phone would get anew, with its bytes."""
    before: dict[str, Cell] = {} if former is None else {cell.code: cell for cell in former.cells}
    return {
        cell.code: len(msgspec.json.encode(geometry_of(cell, decimals=6)))
        for cell in layer.cells
        if cell.code not in before or before[cell.code].geometry != cell.geometry
    }


def _cells_held(config: Config, user_pk: int) -> set[str]:
    """Codes of the cells that somebody holds today."""
    held = config.holds(user_pk)
    tags = {hold.tag for hold in held if hold.kind == Place.cell and hold.v_to == FOREVER}
    return {config.cells[tag].code for tag in tags if tag in config.cells}


def _devices(sight: Sight, users: set[int]) -> list[str]:
    if not users:
        return []
    where = {"user_pk": sorted(users), "revoked_at": None}
    return [str(row["state"]) for row in sight.reader.find("device", where, columns=["state"])]


def _pending(state: str) -> int:
    """How many unsent documents a device told of at its last contact."""
    try:
        told = msgspec.json.decode(state)
    except msgspec.DecodeError:
        return 0
    count = told.get("pending") if isinstance(told, dict) else None
    return count if isinstance(count, int) and not isinstance(count, bool) and count > 0 else 0
