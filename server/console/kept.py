"""待核箱: what could not be applied and waits for a person of the centre, who tries it again or lets it go (QU5)."""

from collections.abc import Mapping
from typing import Any, ClassVar, Final

import msgspec
from msgspec import Struct

from server.console.scope import CENTRE, Sight, find_document
from sync import content
from sync.cases.catalogue import CATEGORIES
from sync.cases.fields import COLLECTIONS
from sync.commit import Context, Work, audit_row
from sync.config import OUTSIDE
from sync.errors import BadRequest, Conflict, KeyLost, NotFound
from sync.pull import Caller
from sync.push import push_work
from sync.push_body import rescue
from sync.store import Reader, Row, Tx
from sync.values import FOREVER, Collection, Doc, Level, Place, Reach

_POINTERS: Final = ("id", "case_id", "owner_id")
_LOOK_MAX = 2000


class StillImpossible(Conflict):
    """What was kept cannot be applied now either; it stays where it is."""

    code: ClassVar[str] = "still_impossible"


class AlreadyDecided(Conflict):
    """Somebody has decided on this already."""

    code: ClassVar[str] = "already_decided"


class Applied(Struct, frozen=True):
    """What became of an item: its state, and the number of the commit."""

    id: str
    state: str
    number: int


def payload_of(sight: Sight, row: Row) -> Any:
    """The kept payload; None where its key has been dropped."""
    try:
        plain = content.unseal(sight.keys, row["dek"], row["payload"], row["id"].encode())
    except KeyLost:
        return None
    try:
        return msgspec.json.decode(plain)
    except msgspec.DecodeError:
        return {"raw": plain.decode(errors="replace")}


def visible_items(
    sight: Sight, *, state: str | None, reason: str | None, user: str | None, after: int | None, limit: int
) -> tuple[list[dict[str, Any]], int | None]:
    """Items the caller may handle, newest first, and where the next page begins.

    The centre sees what concerns its own cases and its own workers, opened; others see that there is something.
    """
    where: dict[str, Any] = {}
    if state is not None:
        where["state"] = state
    if reason is not None:
        where["reason"] = reason
    if user is not None:
        account = sight.config.account_by_id.get(user)
        where["user_pk"] = -1 if account is None else account.pk
    if after is not None:
        where["pk__lt"] = after
    rows = sight.reader.find("quarantine", where, order=["-pk"], limit=_LOOK_MAX)
    opens = bool(sight.config.roles(sight.user_pk) & CENTRE)
    items: list[dict[str, Any]] = []
    for row in rows:
        if opens:
            payload = payload_of(sight, row)
            if not _may_open(sight, row, payload):
                continue
            items.append(_shown(sight, row, payload))
        else:
            items.append(_outside(row))
        if len(items) >= limit:
            return items, row["pk"]
    return items, rows[-1]["pk"] if len(rows) == _LOOK_MAX else None


def _outside(row: Row) -> dict[str, Any]:
    return {name: row[name] for name in ("id", "at", "reason", "state", "decided_at")} | {
        "collection": COLLECTIONS[row["collection"]]
    }


def _shown(sight: Sight, row: Row, payload: Any) -> dict[str, Any]:
    author = sight.config.accounts.get(row["user_pk"])
    decider = sight.config.accounts.get(row["decided_by"])
    return _outside(row) | {
        "doc_id": row["doc_id"] or None,
        "user": None if author is None else author.id,
        "user_name": None if author is None else author.name,
        "payload": payload,
        "decided_by": None if decider is None else decider.name,
        "decision": _decision(sight, row),
    }


def _decision(sight: Sight, row: Row) -> str | None:
    if row["decision"] is None:
        return None
    try:
        label = row["id"].encode() + b"decision"
        return content.unseal(sight.keys, row["dek"], row["decision"], label).decode()
    except KeyLost:
        return None


def _may_open(sight: Sight, row: Row, payload: Any) -> bool:
    """The centre's own: every document it speaks of is the caller's in full, or it speaks of none that is here.

    What waits for its case is its author's alone until then, but not what he wrote: the centre reads it here.
    """
    docs = [doc for doc in _spoken_of(sight.reader, row, payload) if doc.own_since is None]
    if docs:
        return all(doc.gone is None and sight.level(doc) == Level.full for doc in docs)
    if _may_be_sealed(payload) and not _keeps_sealed(sight):
        return False
    return _is_own_worker(sight, row["user_pk"])


def _may_be_sealed(payload: Any) -> bool:
    """Whether what belongs to no case that is here says that it is to be sealed, or cannot be asked."""
    if payload is None:
        return False  # nothing is left of it
    new = payload.get("new", payload) if isinstance(payload, dict) else {}
    told = rescue(new["raw"].encode()) if isinstance(new, dict) and isinstance(new.get("raw"), str) else new
    if not isinstance(told, dict):
        return True
    category = told.get("category")
    row = CATEGORIES.get(category) if isinstance(category, str) else None
    by_category = row is not None and row.protection == "sealed"
    return by_category or told.get("kind") == "tip_off" or told.get("protection") == "sealed"


def _keeps_sealed(sight: Sight) -> bool:
    """Whether sealed cases come to this person: the centre's director, or the clerk whom the district names."""
    account = sight.config.accounts[sight.user_pk]
    clerk = sight.config.settings.get("sealed_clerk")
    named = clerk is not None and clerk in {account.username, account.id}
    return named or "centre_director" in sight.config.roles(sight.user_pk)


def _spoken_of(reader: Reader, row: Row, payload: Any) -> list[Doc]:
    found: list[Doc] = []
    if row["case_pk"] is not None:
        found += reader.documents_by_pk([row["case_pk"]])
    own = find_document(reader, row["collection"], row["doc_id"])
    found += [] if own is None else [own]
    texts = [payload] if isinstance(payload, dict) else []
    texts += [part for text in texts[:1] for part in text.values() if isinstance(part, dict)]
    for text in texts:
        for name in _POINTERS:
            if isinstance(text.get(name), str):
                case = find_document(reader, Collection.cases, text[name])
                found += [] if case is None else [case]
    return found


def _is_own_worker(sight: Sight, user_pk: int | None) -> bool:
    mine = {
        tag
        for (kind, tag), holds in sight.viewer.holds.items()
        if kind == Place.cell
        and any(hold.reach is Reach.centre and hold.v_from <= sight.n < hold.v_to for hold in holds)
    }
    if OUTSIDE in mine:
        return True  # the district's centre: somebody has to see what belongs to nobody
    if user_pk is None:
        return False
    return any(
        hold.kind == Place.cell and hold.tag in mine and hold.v_to == FOREVER
        for hold in sight.config.holds(user_pk)
    )


def find_item(sight: Sight, identity: str) -> tuple[Row, Any]:
    """An item with its payload; ``NotFound`` alike for one that is not there and one that is not the caller's."""
    rows = sight.reader.find("quarantine", {"id": identity}, limit=1) if len(identity) <= 64 else []
    payload = payload_of(sight, rows[0]) if rows else None
    if not rows or not _may_open(sight, rows[0], payload):
        raise NotFound
    if rows[0]["state"] != "open":
        raise AlreadyDecided
    return rows[0], payload


def discard_work(row: Row, user_pk: int, reason: str) -> Work[Applied]:
    """Let an item go; it stays, marked, with the sealed reason."""

    def work(tx: Tx, context: Context) -> Applied:
        sealed = content.seal(
            context.keys, context.chance, row["dek"], reason.encode(), row["id"].encode() + b"decision"
        )
        return _decide(tx, context, row, user_pk, "discarded", {"decision": sealed})

    return work


def _decide(
    tx: Tx, context: Context, row: Row, user_pk: int, state: str, more: Mapping[str, Any] | None = None
) -> Applied:
    changes = {"state": state, "decided_by": user_pk, "decided_at": context.now, **(more or {})}
    if not tx.update("quarantine", {"pk": row["pk"], "state": "open"}, changes):
        raise AlreadyDecided
    n = tx.head().seq
    audit_row(tx, context, n, f"quarantine.{state}", [f"quarantine:{row['pk']}"])
    return Applied(row["id"], state, n)


def apply_work(row: Row, payload: Any, user_pk: int) -> Work[Applied]:
    """Push what was kept once more, in its author's name, as an ordinary write.

    Raises ``BadRequest`` where there is no row to push, ``StillImpossible`` where it changes nothing.
    """
    doc = payload.get("new") if isinstance(payload, dict) else None
    if not isinstance(doc, dict) or "raw" in doc or not isinstance(doc.get("id"), str):
        raise BadRequest("此项没有可再次提交的内容,只能存查。")
    sent: dict[str, Any] = {"newDocumentState": doc}
    if isinstance(payload.get("base"), dict):
        sent["assumedMasterState"] = payload["base"]
    body = msgspec.json.encode([sent])
    collection = row["collection"]

    def work(tx: Tx, context: Context) -> Applied:
        author = _author(tx, context, row)
        before = find_document(tx, collection, doc["id"])
        push_work(author, collection, body)(tx, context)
        after = find_document(tx, collection, doc["id"])
        if after is None or after.gone is not None or (before is not None and after.v == before.v):
            raise StillImpossible  # rolls back: nothing of the attempt stays
        return _decide(tx, context, row, user_pk, "applied")

    return work


def _author(tx: Tx, context: Context, row: Row) -> Caller:
    account = context.configs.get(tx).accounts.get(row["user_pk"])
    devices = tx.find("device", {"pk": row["device"]}, columns=["pk", "id", "registered_seq"])
    if account is None or not devices:
        raise StillImpossible
    return Caller(
        user_pk=account.pk,
        user_id=account.id,
        user_name=account.username,
        device_pk=devices[0]["pk"],
        device_id=devices[0]["id"],
        registered=devices[0]["registered_seq"],
        marks={},
    )
