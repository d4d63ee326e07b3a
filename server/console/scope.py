"""The one place that decides what a caller of the console sees.

The rule is that of the phones (``sync.visibility``), asked at the head of one snapshot. Two things are added: a leader
sees the bare facts of a protected case that was raised to his level, and lists are found newest first.
"""

import heapq
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from msgspec import Struct, structs

from sync import content
from sync.batch import STATUS_CODES
from sync.cases import model
from sync.config import OUTSIDE, OUTSIDE_CODE, Config
from sync.errors import BadRequest, NotFound
from sync.mergers import links_of
from sync.store import Reader, Row
from sync.values import FOREVER, Collection, Doc, Keys, Level, Place
from sync.visibility import Viewer, level_now

LEADER_LEVEL: Final[Mapping[str, int]] = {"community_leader": 1, "street_leader": 2, "district_leader": 3}
CENTRE: Final = frozenset({"clerk", "dispatcher", "centre_director"})
FORMS: Final = {Level.full: "full", Level.plain: "plain", Level.shell: "shell"}
_STREAMS_MAX = 32  # with more tags than this the district is read newest first and sifted
_CHUNK = 64
_SCAN_CHUNK = 500
_SCAN_MAX = 10_000  # cases looked at for one page; the page then says where to go on
_CURSOR = re.compile(r"^(\d{1,18})-(\d{1,18})$")
_Key = tuple[int, int]


class Seen(Struct, frozen=True):
    """A case as its viewer has it: `form` is full, plain, shell or facts, `shown` its projection."""

    doc: Doc
    level: Level
    form: str
    shown: dict[str, Any]


class Filters(Struct, frozen=True):
    """What a list is narrowed to. None does not narrow. Whatever the viewer is not shown matches nothing."""

    status: tuple[str, ...] | None = None
    kind: str | None = None
    category: str | None = None  # a code, or the beginning of one
    place: str | None = None  # a cell's or an area's code
    risk: str | None = None
    level: int | None = None
    urgency: str | None = None
    protection: str | None = None
    unit: str | None = None
    overdue: bool | None = None
    needs_confirmation: bool | None = None
    q: str | None = None

    def statuses(self) -> list[int] | None:
        """Numbers of the statuses wanted; unknown words find nothing."""
        if self.status is None:
            return None
        return [STATUS_CODES.index(code) for code in self.status if code in STATUS_CODES]

    def match(self, seen: Seen, now: int) -> bool:
        """Whether what the viewer is shown of the case fits."""
        shown = seen.shown
        simple = (
            ("kind", self.kind),
            ("level", self.level),
            ("urgency", self.urgency),
            ("protection", self.protection),
        )
        if any(wanted is not None and shown.get(name) != wanted for name, wanted in simple):
            return False
        if self.category is not None and not str(shown.get("category") or "").startswith(self.category):
            return False
        if self.risk is not None and (shown.get("risk") or {}).get("colour") != self.risk:
            return False
        if self.unit is not None and (shown.get("handler") or {}).get("unit") != self.unit:
            return False
        if self.overdue is not None and is_overdue(shown, now) != self.overdue:
            return False
        if self.needs_confirmation is not None:
            unsure = bool((shown.get("assignment") or {}).get("needs_confirmation"))
            if unsure != self.needs_confirmation or "assignment" not in shown:
                return False
        return self.q is None or _has_words(shown, self.q)


class Page(Struct, frozen=True):
    """Cases newest first; `next` is where the following page begins, None when there is none."""

    items: list[Seen]
    next: str | None


def is_overdue(shown: Mapping[str, Any], now: int) -> bool:
    """Whether a running clock of the case is past its due."""
    return any(
        row.get("state") == "running" and isinstance(row.get("due_at"), int) and row["due_at"] < now
        for row in shown.get("due") or ()
    )


def _has_words(shown: Mapping[str, Any], words: str) -> bool:
    wanted = words.strip().casefold()
    texts = (shown.get(name) for name in ("title", "description", "address", "code"))
    return any(wanted in text.casefold() for text in texts if isinstance(text, str))


class Sight:
    """One person's sight in one snapshot."""

    def __init__(self, reader: Reader, config: Config, user_pk: int, keys: Keys) -> None:
        self.reader = reader
        self.config = config
        self.user_pk = user_pk
        self.keys = keys
        self.n = reader.head().seq
        self.viewer = Viewer.of(user_pk, config.held(user_pk), reader.namings(users=[user_pk]))

    def level(self, doc: Doc) -> Level:
        """How much of a document this person sees."""
        return level_now(self.viewer, doc, self.n)

    def recused(self, case_pk: int) -> bool:
        """Whether this person is kept from the case."""
        return any(row.denied and row.v_to is None for row in self.viewer.namings.get(case_pk, ()))

    def roles_at(self, doc: Doc) -> frozenset[str]:
        """This person's roles at the case's cell."""
        return self.config.roles_at(self.user_pk, doc.cell)

    def raised_to(self, doc: Doc, rows: Sequence[Row]) -> bool:
        """Whether one of these open rows of the leaders' queue puts the case before this person as a leader."""
        if doc.gone is not None or self.recused(doc.pk):
            return False
        levels = {LEADER_LEVEL[role] for role in self.roles_at(doc) if role in LEADER_LEVEL}
        return any(
            row["case_pk"] == doc.pk and row["closed_at"] is None and row["level"] in levels for row in rows
        )

    def see(self, doc: Doc, rows: Sequence[Row] = ()) -> Seen | None:
        """The case in this person's projection, None where there is nothing for him.

        `rows` are rows of the leaders' queue; without them a protected case shows no facts.
        """
        level = self.level(doc)
        raised = level < Level.plain and bool(rows) and self.raised_to(doc, rows)
        if level == Level.none and not raised:
            return None
        values = content.whole(doc, self.keys) | {"v": doc.v}
        if raised:
            shown = model.project("cases", values, "facts")
            if level == Level.shell:
                shown = model.project("cases", values, "shell") | shown
            return Seen(doc, level, "facts", shown)
        centre = bool(CENTRE & self.roles_at(doc))
        return Seen(doc, level, FORMS[level], model.project("cases", values, FORMS[level], centre=centre))

    def open_rows(self, case_pk: int) -> list[Row]:
        """Open rows of the leaders' queue for a case, if this person is a leader at all."""
        if not self.config.roles(self.user_pk) & LEADER_LEVEL.keys():
            return []
        return self.reader.find("escalation", {"case_pk": case_pk, "closed_at": None})


def open_case(sight: Sight, case_id: str) -> Seen:
    """A case by its id; raises the same ``NotFound`` for one that is not there and one that is not for this person."""
    doc = find_document(sight.reader, Collection.cases, case_id)
    seen = None if doc is None else sight.see(doc, sight.open_rows(doc.pk))
    if seen is None:
        raise NotFound
    return seen


def find_document(reader: Reader, collection: int, identity: str) -> Doc | None:
    """A document by its wire id; None for an id that is none."""
    try:
        key = content.id_bytes(collection, identity)
    except (ValueError, AttributeError):
        return None
    found = reader.documents(collection, [key])
    return found[0] if found else None


# --- lists -----------------------------------------------------------------------------------------------------------


def visible_cases(sight: Sight, filters: Filters, *, after: str | None, limit: int, now: int) -> Page:
    """The cases this person sees and `filters` let through, newest change first, from the cursor `after` on.

    A page may be short, even empty, and still have a `next`: so many cases are looked at for one page. Raises
    ``BadRequest`` for a cursor that is none.
    """
    wanted = None if filters.place is None else cells_in(sight.config, filters.place)
    items: list[Seen] = []
    led = _masters_by_number(sight, filters.q)
    without_words = structs.replace(filters, q=None)
    candidates = _candidates(sight, filters.statuses(), wanted, _read_cursor(after))
    for looked, doc in enumerate(candidates, start=1):
        if wanted is None or doc.cell in wanted:
            seen = sight.see(doc)
            if seen is not None and (without_words if doc.pk in led else filters).match(seen, now):
                items.append(seen)
        if len(items) >= limit or looked >= _SCAN_MAX:
            return Page(items, f"{doc.seq}-{doc.pk}")
    return Page(items, None)


def _masters_by_number(sight: Sight, words: str | None) -> set[int]:
    """Cases that a merged one with this official number went into: the number stays valid and leads on."""
    number = (words or "").strip()
    rows = sight.reader.find("document", {"code": number}, columns=["pk"]) if number else []
    docs = sight.reader.documents_by_pk([row["pk"] for row in rows])
    found = {doc.pk for doc in docs if doc.gone is None and sight.level(doc) >= Level.plain}
    masters = dict(links_of(sight.reader, found)) if found else {}
    led: set[int] = set()
    while found:
        found = {masters[pk] for pk in found if pk in masters} - led
        led |= found
    return led


def _read_cursor(after: str | None) -> _Key | None:
    if after is None:
        return None
    found = _CURSOR.match(after)
    if found is None:
        raise BadRequest("`after` 应为上一页给出的 next。")
    return int(found[1]), int(found[2])


def cells_in(config: Config, code: str) -> set[int]:
    """Keys of the cells at or below a code; empty for an unknown one."""
    if code == OUTSIDE_CODE:
        return {OUTSIDE}
    row = config.cell_by_code.get(code)
    if row is None:
        return set()
    if row.level == 0:
        return {row.pk}
    return {
        cell.pk
        for cell in config.cells.values()
        if cell.level == 0 and any(area.code == code for area in config.ancestors(cell.code))
    }


def _candidates(
    sight: Sight, statuses: list[int] | None, wanted: set[int] | None, below: _Key | None
) -> Iterator[Doc]:
    """Cases that this person may see, newest first, each once; the relation decides afterwards."""
    live = [
        tag for tag, holds in sight.viewer.holds.items() if any(x.v_from <= sight.n < x.v_to for x in holds)
    ]
    # A cell that is asked for narrows by itself; what is held otherwise is sifted by it.
    tags = [tag for tag in live if wanted is None or tag[0] != Place.cell or tag[1] in wanted]
    if len(tags) > _STREAMS_MAX:
        yield from _stream(sight.reader, None, statuses, below)
        return
    streams = [_stream(sight.reader, tag, statuses, below) for tag in tags]
    streams.append(_named(sight, statuses, below))
    last: int | None = None
    for doc in heapq.merge(*streams, key=_newest):
        if doc.pk != last:
            last = doc.pk
            yield doc


def _newest(doc: Doc) -> _Key:
    return -doc.seq, -doc.pk


def _stream(
    reader: Reader, tag: tuple[int, int] | None, statuses: list[int] | None, below: _Key | None
) -> Iterator[Doc]:
    size = _SCAN_CHUNK if tag is None else _CHUNK
    while True:
        docs = reader.recent(Collection.cases, below=below, limit=size, place=tag, statuses=statuses)
        yield from docs
        if len(docs) < size:
            return
        below = (docs[-1].seq, docs[-1].pk)


def _named(sight: Sight, statuses: list[int] | None, below: _Key | None) -> Iterator[Doc]:
    pks = sorted(
        pk
        for pk, rows in sight.viewer.namings.items()
        if any(not row.denied and (row.v_to or FOREVER) > sight.n for row in rows)
    )
    docs = [
        doc
        for doc in sight.reader.documents_by_pk(pks)
        if (statuses is None or doc.status in statuses) and (below is None or (doc.seq, doc.pk) < below)
    ]
    yield from sorted(docs, key=_newest)
