"""待核箱 as a list: what could not be applied, for whom it is, why it is there and what can be done (QU5, QU6)."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from msgspec import Struct

from server.console.kept_sight import about, is_kept_sealed, may_open, payload_of
from server.console.scope import CENTRE, Sight, cells_in, find_document
from sync import content
from sync.cases.fields import COLLECTIONS
from sync.cases.kept import acts_of, sentence, why
from sync.errors import Forbidden, KeyLost
from sync.store import Row
from sync.values import FOREVER, Collection, Doc, Place

_LOOK_MAX = 2000  # rows looked at for one answer; it then says where to go on
_CHUNK = 200
_DAY_MS = 86_400_000
FEW: Final = 5  # whoever may not open what he counts is told no figure below this


class Wanted(Struct, frozen=True):
    """What the list is narrowed to; None does not narrow."""

    state: str | None = "open"
    reason: str | None = None
    collection: int | None = None
    user: str | None = None
    device: str | None = None
    case: str | None = None
    cell: str | None = None  # a cell's or an area's code: of the case, else where its author works
    unit: str | None = None  # the unit that handles the case, or at which its author stands
    since: int | None = None  # ms
    until: int | None = None
    days: int | None = None  # at least so old


class Item(Struct, frozen=True):
    """A row that this person may know of, with its payload where he may open it."""

    row: Row
    payload: Any
    open: bool


def visible_items(
    sight: Sight, wanted: Wanted, *, now: int, after: int | None, limit: int
) -> tuple[list[dict[str, Any]], int | None]:
    """Items the caller may handle, newest first, and where the next page begins.

    The centre sees what concerns its own cases and its own workers.
    """
    looked = _Looked(after)
    items: list[dict[str, Any]] = []
    for item in _items(sight, wanted, now, looked):
        items.append(_shown(sight, item))
        if len(items) >= limit:
            return items, item.row["pk"]
    return items, looked.following


def counts(sight: Sight, wanted: Wanted, *, now: int) -> dict[str, Any]:
    """How many items there are for each reason, of those the caller may know of.

    Who may not open them is told no figure below `FEW`, and of all that is open alone: the difference of two figures is
    a figure, too; raises ``Forbidden`` where he narrows. `more`: so many were looked at, and there are others.
    """
    looked = _Looked(None)
    found: dict[str, list[Item]] = {}
    for item in _items(sight, wanted, now, looked):
        found.setdefault(item.row["reason"], []).append(item)
    rows = []
    for reason, items in sorted(found.items(), key=lambda pair: (-len(pair[1]), pair[0])):
        few = len(items) < FEW and not all(item.open for item in items)
        row = {"reason": reason, "why_zh": why(reason), "count": None if few else len(items), "few": few}
        rows.append(row | {"oldest_at": None if few else min(item.row["at"] for item in items)})
    if any(row["few"] for row in rows):
        rows.sort(key=lambda row: row["reason"])  # the order would tell what the figures do not
    return {"reasons": rows, "more": looked.following is not None}


class _Looked:
    """Where a walk over the rows stands, and where the next one goes on if it came to its end."""

    def __init__(self, after: int | None) -> None:
        self.after = after
        self.following: int | None = None


def _items(sight: Sight, wanted: Wanted, now: int, looked: _Looked) -> Iterator[Item]:
    opens = bool(sight.config.roles(sight.user_pk) & CENTRE)
    if not opens and wanted != Wanted():
        raise Forbidden("此处只提供待核总数;按条件查找,由中心办理。")
    cells = None if wanted.cell is None else cells_in(sight.config, wanted.cell)
    unit = sight.config.unit_by_code.get(wanted.unit) if wanted.unit is not None else None
    for row in _rows(sight, wanted, now, looked):
        payload = payload_of(sight, row)
        concerns = about(sight.reader, row, payload)
        if not opens:
            if not is_kept_sealed(concerns):
                yield Item(row, None, open=False)
            continue
        if not may_open(sight, row, concerns):
            continue
        if cells is not None and not _lies_in(sight, row, concerns.docs, cells):
            continue
        if wanted.unit is not None and (unit is None or not _is_of_unit(sight, row, concerns.docs, unit.pk)):
            continue
        yield Item(row, payload, open=True)


def _rows(sight: Sight, wanted: Wanted, now: int, looked: _Looked) -> Iterator[Row]:
    """Rows newest first, by what stands in the clear; those of one case by index, all others a chunk at a time."""
    where = _where(sight, wanted, now)
    if wanted.case is not None:
        rows = _of_case(sight, where, wanted.case)
        yield from (row for row in rows if looked.after is None or row["pk"] < looked.after)
        return
    before = looked.after
    for _ in range(_LOOK_MAX // _CHUNK):
        below = where if before is None else where | {"pk__lt": before}
        rows = sight.reader.find("quarantine", below, order=["-pk"], limit=_CHUNK)
        yield from rows
        if len(rows) < _CHUNK:
            return
        before = rows[-1]["pk"]
    looked.following = before


def _where(sight: Sight, wanted: Wanted, now: int) -> dict[str, Any]:
    where: dict[str, Any] = {}
    if wanted.state is not None:
        where["state"] = wanted.state
    if wanted.reason is not None:
        where["reason"] = wanted.reason
    if wanted.collection is not None:
        where["collection"] = wanted.collection
    if wanted.user is not None:
        account = sight.config.account_by_id.get(wanted.user)
        where["user_pk"] = -1 if account is None else account.pk
    if wanted.device is not None:
        found = sight.reader.find("device", {"id": wanted.device}, columns=["pk"])
        where["device"] = [row["pk"] for row in found] or -1
    if wanted.since is not None:
        where["at__ge"] = wanted.since
    latest = [wanted.until] if wanted.until is not None else []
    latest += [now - wanted.days * _DAY_MS] if wanted.days is not None else []
    if latest:
        where["at__le"] = min(latest)
    return where


def _of_case(sight: Sight, where: dict[str, Any], case_id: str) -> list[Row]:
    """Rows about one case: itself, what hangs on it, and what waits for it; who may open them is asked of each."""
    case = find_document(sight.reader, Collection.cases, case_id)
    if case is None:
        return []
    waiting = sight.reader.find("waiting", {"case_id": case.id}, columns=["entry_pk"])
    docs = sight.reader.documents_by_pk([row["entry_pk"] for row in waiting])
    ids = [content.id_text(doc.collection, doc.id) for doc in (case, *docs)]
    found = {
        row["pk"]: row
        for more in ({"case_pk": case.pk}, {"doc_id": ids}, {"parent_id": ids})
        for row in sight.reader.find("quarantine", where | more)
    }
    return [found[pk] for pk in sorted(found, reverse=True)]


def _lies_in(sight: Sight, row: Row, docs: Sequence[Doc], cells: set[int]) -> bool:
    if docs:
        return any(doc.cell in cells for doc in docs)
    holds = sight.config.holds(row["user_pk"]) if row["user_pk"] is not None else ()
    return any(hold.kind == Place.cell and hold.tag in cells and hold.v_to == FOREVER for hold in holds)


def _is_of_unit(sight: Sight, row: Row, docs: Sequence[Doc], unit_pk: int) -> bool:
    handled = any(doc.duty is not None and doc.duty // 2 == unit_pk for doc in docs)
    grants = sight.config.active_grants(row["user_pk"]) if row["user_pk"] is not None else ()
    return handled or any(grant.unit_pk == unit_pk for grant in grants)


def _shown(sight: Sight, item: Item) -> dict[str, Any]:
    row = item.row
    author = sight.config.accounts.get(row["user_pk"])
    decider = sight.config.accounts.get(row["decided_by"])
    collection, name = COLLECTIONS[row["collection"]], None if author is None else author.name
    acts = acts_of(collection, row["reason"], item.payload) if row["state"] == "open" else ()
    return {
        **{name: row[name] for name in ("id", "at", "reason", "state", "decided_at")},
        "collection": collection,
        "told_zh": sentence(collection, row["reason"], row["state"], author=name, acts=acts),
        "acts": list(acts),
        "doc_id": row["doc_id"] or None,
        "case_id": _case_id(sight, row),
        "user": None if author is None else author.id,
        "user_name": name,
        "device": _device(sight, row),
        "payload": item.payload,
        "decided_by": None if decider is None else decider.name,
        "decision": _decision(sight, row),
    }


def _case_id(sight: Sight, row: Row) -> str | None:
    docs = sight.reader.documents_by_pk([row["case_pk"]]) if row["case_pk"] is not None else []
    return content.id_text(Collection.cases, docs[0].id) if docs else None


def _device(sight: Sight, row: Row) -> str | None:
    if row["device"] is None:
        return None
    found = sight.reader.find("device", {"pk": row["device"]}, columns=["id", "name"])
    return str(found[0]["name"] or found[0]["id"]) if found else None


def _decision(sight: Sight, row: Row) -> str | None:
    if row["decision"] is None:
        return None
    try:
        label = row["id"].encode() + b"decision"
        return content.unseal(sight.keys, row["dek"], row["decision"], label).decode()
    except KeyLost:
        return None
