"""Legal erasure: somebody asks for it, another person decides, and what was written is forgotten wherever it lies.

The data key is dropped, and with it document, history and ledger are closed for ever; rows stay without content, since
without them no phone could be told (ER1 to ER5 of ``PROTOCOL.md``). The record of an erasure names a document and a
reason out of a list, never a person it is about.
"""

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Any

import msgspec
from msgspec import Struct, structs

from sync import content, uploads
from sync.administration import new_batch
from sync.batch import Batch, Item
from sync.cases import escalation
from sync.commit import Context, Work, audit_row, write
from sync.errors import Conflict, NotFound, Unprocessable
from sync.store import Reader, Row, Tx
from sync.values import Collection, Doc, Place
from sync.visibility import PARENTS

ERASABLE = (Collection.cases, Collection.entries, Collection.visits, Collection.households, Collection.files)
WANTED, DONE, REFUSED = "wanted", "done", "refused"
_PAGE = 500


class Reason(StrEnum):
    """Why something is erased: a code, so that the record of it tells nothing about a person."""

    subject_request = "subject_request"  # 本人要求删除
    consent_withdrawn = "consent_withdrawn"  # 撤回同意
    purpose_ended = "purpose_ended"  # 处理目的已实现或者无法实现
    retention_over = "retention_over"  # 保存期限已届满
    unlawful = "unlawful"  # 违法或者违约处理
    by_mistake = "by_mistake"  # 误录
    ordered = "ordered"  # 依法责令删除


class NeedsAnother(Conflict):
    """An erasure is decided by somebody else than who asked for it."""

    code = "needs_another_person"


class Erased(Struct, frozen=True):
    """What was forgotten: `ids` are pairs of collection and id, whose bytes elsewhere (files) are to go too."""

    documents: int
    ids: list[tuple[str, str]]


# --- asking and deciding ---------------------------------------------------------------------------------------------


def ask_erasure(collection: str, doc_id: str, reason: str) -> Work[str]:
    """Ask for a document, and all that hangs on it, to be erased; value: the id of the request."""

    def work(tx: Tx, context: Context) -> str:
        if reason not in list(Reason):
            raise Unprocessable("删除理由应为:" + "、".join(Reason) + "。", missing=["reason"])
        doc = _find(tx, collection, doc_id)
        identity = context.chance.uuid7(context.wall)
        n = tx.number()
        pk = tx.add(
            "erasure",
            {
                "id": identity,
                "seq": n,
                "at": context.now,
                "collection": doc.collection,
                "doc_id": doc_id,
                "reason": reason,
                "state": WANTED,
                "asked_by": context.actor,
                "decided_by": None,
                "decided_at": None,
                "ids": "[]",
                "swept": False,
            },
        )
        audit_row(tx, context, n, "erasure.ask", [f"erasure:{pk}", reason, str(doc.pk)])
        return identity

    return work


def decide_erasure(erasure_id: str, *, confirm: bool) -> Work[Erased]:
    """ER1: another person says yes or no. Raises ``NotFound``, ``NeedsAnother``, ``Conflict`` for what is decided."""

    def work(tx: Tx, context: Context) -> Erased:
        rows = tx.find("erasure", {"id": erasure_id}, limit=1)
        if not rows:
            raise NotFound
        row = rows[0]
        if row["state"] != WANTED:
            raise Conflict("这项删除已经有了结论。")
        if row["asked_by"] == context.actor:
            raise NeedsAnother("删除须由提出人以外的人决定。")
        erased = Erased(0, [])
        if confirm:
            erased = erase(tx, context, Collection(row["collection"]), row["doc_id"])
        else:
            audit_row(tx, context, tx.number(), "erasure.refuse", [f"erasure:{row['pk']}"])
        tx.update(
            "erasure",
            {"pk": row["pk"]},
            {
                "state": DONE if confirm else REFUSED,
                "decided_by": context.actor,
                "decided_at": context.now,
                "ids": msgspec.json.encode(erased.ids).decode(),
                "swept": not confirm,
            },
        )
        return erased

    return work


def erasures(reader: Reader, limit: int = 100) -> list[dict[str, Any]]:
    """The newest erasures, asked for, done and refused."""
    shown = ("id", "at", "doc_id", "reason", "state", "asked_by", "decided_by", "decided_at", "swept")
    return [
        {"collection": content.NAMES[row["collection"]]} | {name: row[name] for name in shown}
        for row in reader.find("erasure", order=["-pk"], limit=limit)
    ]


def unswept(reader: Reader) -> list[Row]:
    """Erasures of which something may be left outside the rows: free pages, the log of the file, bytes of files."""
    return reader.find("erasure", {"state": DONE, "swept": False}, order=["pk"])


def mark_swept(pks: Sequence[int]) -> Work[None]:
    """Nothing is left of these."""

    def work(tx: Tx, context: Context) -> None:
        del context
        tx.update("erasure", {"pk": list(pks)}, {"swept": True})

    return work


# --- forgetting ------------------------------------------------------------------------------------------------------


def erase_work(collection: int, doc_id: str) -> Work[Erased]:
    """Forget a document, and everything that hangs on it, at once."""

    def work(tx: Tx, context: Context) -> Erased:
        return erase(tx, context, Collection(collection), doc_id)

    return work


def erase(tx: Tx, context: Context, collection: Collection, doc_id: str) -> Erased:
    """ER2: the document, what hangs on it or waits for it, its history, ledger, and what was put aside of it.

    Of one that is erased already, what has been put aside since is emptied. Raises ``NotFound`` for an unknown one.
    """
    return _erase(tx, context, _find(tx, collection.name, doc_id), "erase")


def _erase(tx: Tx, context: Context, doc: Doc, action: str) -> Erased:
    docs = _with_all_that_hangs_on(tx, doc)
    batch = new_batch(tx, context)
    items = [batch.husk(one) for one in docs if one.gone is None]
    for item in items:
        _empty(batch, item, alone=item.doc.pk == doc.pk)
    if doc.collection == Collection.cases:
        batch.closed += [row for row in tx.namings(cases=[doc.pk]) if row.v_to is None and not row.denied]
    _empty_beside(tx, context, docs)
    uploads.forget(tx, docs)
    if items:
        write(tx, batch, context, action)
    else:
        audit_row(tx, context, tx.number(), action, [str(doc.pk)])
    ids = [(content.NAMES[one.collection], content.id_text(one.collection, one.id)) for one in docs]
    return Erased(len(items), ids)


def _find(tx: Reader, collection: str, doc_id: str) -> Doc:
    known = {item.name: item for item in ERASABLE}
    try:
        kind = known[collection]
        found = tx.documents(kind, [content.id_bytes(kind, doc_id)])
    except (KeyError, ValueError):
        found = []
    if not found:
        raise NotFound
    return found[0]


def _with_all_that_hangs_on(tx: Tx, doc: Doc) -> list[Doc]:
    """The document, its children, of a household also its visits with theirs, and what still waits for any of them."""
    found = {doc.pk: doc}
    if doc.collection == Collection.households:
        found |= {visit.pk: visit for visit in _visits_to(tx, doc)}
    parents = [pk for pk, one in found.items() if one.collection in PARENTS]
    found |= {child.pk: child for child in tx.children(parents)}
    ids = [one.id for one in found.values()]
    waiting = [
        row["entry_pk"]
        for start in range(0, len(ids), _PAGE)
        for row in tx.find("waiting", {"case_id": ids[start : start + _PAGE]})
    ]
    # What has found its case hangs on that; what was let go still names the one it waited for.
    found |= {one.pk: one for one in tx.documents_by_pk(waiting) if one.own_since is not None}
    return list(found.values())


def _visits_to(tx: Tx, home: Doc) -> list[Doc]:
    """Visits lie where their household lies."""
    mark = f'"household_id":"{content.id_text(Collection.households, home.id)}"'.encode()
    found: list[Doc] = []
    after = 0
    while True:
        where = {"collection": int(Collection.visits), "cell": home.cell, "gone": None, "pk__gt": after}
        rows = tx.find("document", where, order=["pk"], limit=_PAGE, columns=["pk"])
        docs = tx.documents_by_pk([row["pk"] for row in rows])
        found += [doc for doc in docs if mark in doc.clear]
        if len(rows) < _PAGE:
            return found
        after = rows[-1]["pk"]


def _empty(batch: Batch, item: Item, *, alone: bool) -> None:
    """Close every open place, drop the key, empty the row.

    What hangs on something that goes, too, is found by phones through that; what goes `alone` by its own places.
    """
    # Of what hangs on a visit that lies in no cell, its author's is the only place there is.
    nowhere = item.doc.cell is None
    for kind in (Place.cell, Place.duty, Place.person):
        batch.place(item, kind, None)
    own = item.doc.own_since is not None or item.doc.collection == Collection.notices
    if alone or item.doc.case_pk is None or own or nowhere:
        batch.close_author(item)
    item.wrote = True
    item.doc = structs.replace(
        item.doc, gone=batch.n, dek=None, code=None, w=None, digest=None, author_since=None
    )


def _empty_beside(tx: Tx, context: Context, docs: Sequence[Doc]) -> None:
    """History, ledger, what was put aside. Hashes of what was said go too: a short text can be guessed by them."""
    pks = [doc.pk for doc in docs]
    ids = [content.id_text(doc.collection, doc.id) for doc in docs]
    aside = {"payload": b"", "dek": None, "w": None, "decision": None, "state": "erased"}
    hanging = _put_aside_below(tx, ids)
    for start in range(0, len(hanging), _PAGE):
        tx.update("quarantine", {"pk": hanging[start : start + _PAGE]}, aside)
    for start in range(0, len(pks), _PAGE):
        part, names = pks[start : start + _PAGE], ids[start : start + _PAGE]
        tx.update("change", {"doc_pk": part}, {"delta": b"", "digest": None})
        tx.update("ledger", {"doc_pk": part}, {"payload": b"", "w": None})
        tx.update("quarantine", {"case_pk": part}, aside)
        tx.update("quarantine", {"doc_id": names}, aside)
        nothing = {"next_due": None, "state": escalation.dump(escalation.State())}
        tx.update("case_clocks", {"case_pk": part}, nothing)
        closed = {"closed_at": context.now, "state": "withdrawn"}
        tx.update("escalation", {"case_pk": part, "closed_at": None}, closed)


def _put_aside_below(tx: Tx, ids: Sequence[str]) -> list[int]:
    """Rows put aside that say they hang on one of these, or on such a row: a recording of a note of a case."""
    found: list[int] = []
    seen: set[str] = set()
    wave = set(ids)
    while wave:
        seen |= wave
        columns = ["pk", "collection", "doc_id"]
        rows = tx.find("quarantine", {"parent_id": sorted(wave)}, columns=columns)
        found += [row["pk"] for row in rows]
        # A document that is here has its own place: what a row claims of it counts for that row alone.
        wave = {row["doc_id"] for row in rows if row["doc_id"] and not _is_here(tx, row)} - seen
    return found


def _is_here(tx: Tx, row: Row) -> bool:
    key = content.id_bytes(row["collection"], row["doc_id"])
    return any(tx.documents(kind, [key]) for kind in {*ERASABLE, Collection(row["collection"])})


# --- after a restore -------------------------------------------------------------------------------------------------


def erase_again(pairs: Iterable[tuple[str, str]]) -> Work[int]:
    """ER4: what was erased after a backup was made is erased in what the backup brings; value: how many.

    What the backup does not know gets a row that is gone, so that no phone can hand it in as new.
    """
    wanted = sorted(set(pairs))

    def work(tx: Tx, context: Context) -> int:
        count = 0
        unknown: list[tuple[Collection, str]] = []
        for name, doc_id in wanted:
            collection = Collection[name]
            key = content.id_bytes(collection, doc_id)
            docs = tx.documents(collection, [key])
            if not docs:
                unknown.append((collection, doc_id))
            elif docs[0].gone is None:
                count += _erase(tx, context, docs[0], "erase.again").documents
        if unknown:
            batch = new_batch(tx, context)
            for collection, doc_id in unknown:
                item = batch.create(collection, content.id_bytes(collection, doc_id), {"id": doc_id})
                item.doc = structs.replace(item.doc, gone=batch.n, dek=None)
                item.fresh = None
            write(tx, batch, context, "erase.again")
        return count + len(unknown)

    return work
