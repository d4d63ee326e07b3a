"""What the bytes of a file mean for its document: whose an upload is, which document it belongs to, what becomes of it.

The bytes themselves lie in a store that this room does not know. An upload names the document it is for; either may
come first. It belongs to whoever began it, and becomes the content of a document of his own and of no other, so that
nobody learns by an upload whether somebody else's file is there.
"""

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct

from sync import content
from sync.administration import new_batch
from sync.batch import Batch
from sync.cases.catalogue import FILE_KINDS
from sync.commit import Context, Work, audit_row, write
from sync.content import NewKey
from sync.errors import Conflict, NotFound, SyncError
from sync.store import Reader, Row, Tx
from sync.values import Collection, Doc, Keys

DAY_MS: Final = 86_400_000
OPEN_DAYS: Final = 14  # since bytes last came: phones are offline for days
COMPLETE_DAYS: Final = 30  # for the document to come
CLAIM_MS: Final = 3_600_000  # for whoever has claimed bytes to delete them
DEVICE_BYTES_MAX: Final = 200 << 20  # of one device, begun and not yet part of a document
DEVICE_UPLOADS_MAX: Final = 500
LENGTH_MAX: Final = max(kind.max_bytes for kind in FILE_KINDS.values())
_UNDER_WAY: Final = ["open", "complete"]


class FileTooLarge(SyncError):
    """The file is larger than its kind may be."""

    code = "file_too_large"
    status = 413


class FileDiffers(Conflict):
    """The document of this file names another content."""

    code = "file_differs"


class AlreadyStored(Conflict):
    """The bytes of this file are here and checked."""

    code = "already_stored"


class OffsetDiffers(Conflict):
    """The server has more or fewer bytes of this upload; ask for its offset."""

    code = "offset_differs"


class UploadsUnfinished(SyncError):
    """This device has too much under way: finish some of it, or end it."""

    code = "uploads_unfinished"
    status = 429


class Sender(Struct, frozen=True):
    """Who sends bytes; `late` from a device that was stopped."""

    user_pk: int
    device_pk: int
    late: bool = False


class Wanted(Struct, frozen=True):
    """What an upload is to be: for which document, of which kind if it was told, and what it will hold.

    `told` is the metadata as it was sent; it may hold names and is kept sealed.
    """

    id: str
    file_id: bytes
    kind: str | None
    sha256: str
    length: int
    told: bytes


class Verdict(Struct, frozen=True):
    """What the check of complete bytes came to: where they are kept, or why they are not (`reason`).

    `gone` are the rows of this address whose bytes had been deleted before these were put there.
    """

    reason: str | None = None
    address: str = ""
    sha256: str = ""
    size: int = 0
    thumbnail: int = 0
    mime: str = ""
    seconds: int | None = None
    gone: frozenset[int] = frozenset()


def label_of(upload: str, offset: int) -> bytes:
    """What a sealed part is bound to."""
    return f"part {upload} {offset}".encode()


# --- which document --------------------------------------------------------------------------------------------------


def own_documents(
    reader: Reader, keys: Keys, uploads: Sequence[Row]
) -> dict[str, tuple[Doc, dict[str, Any]]]:
    """FI2: by upload the living document that its bytes are of: written by whoever sends them, naming no other content.

    What a stopped device sends is believed only where the document itself names the content.
    """
    ids = sorted({bytes(row["file_id"]) for row in uploads})
    docs = {doc.id: doc for doc in reader.documents(Collection.files, ids)} if ids else {}
    found: dict[str, tuple[Doc, dict[str, Any]]] = {}
    for row in uploads:
        doc = docs.get(bytes(row["file_id"]))
        if doc is None or doc.gone is not None or doc.writer != row["user_pk"]:
            continue
        values = content.whole(doc, keys)
        named = values.get("sha256")
        if named == row["sha256"] or (named is None and not row["late"]):
            found[row["id"]] = (doc, values)
    return found


def own_document(reader: Reader, keys: Keys, upload: Row) -> tuple[Doc, dict[str, Any]] | None:
    """FI2: the document of one upload."""
    return own_documents(reader, keys, [upload]).get(upload["id"])


def find_upload(reader: Reader, upload: str, user_pk: int) -> Row:
    """FI3: an upload of this person that can go on or is complete; raises the same ``NotFound`` for all others."""
    rows = reader.find("upload", {"id": upload, "user_pk": user_pk, "state": [*_UNDER_WAY, "done"]}, limit=1)
    if not rows:
        raise NotFound
    return rows[0]


def _set_state(batch: Batch, doc: Doc, state: str, **more: Any) -> None:
    batch.set(batch.take(doc), {"state": state, "reason": None, **more})


# --- an upload on its way --------------------------------------------------------------------------------------------


def open_upload(sender: Sender, wanted: Wanted) -> Work[int]:
    """FI1, FI4: begin an upload; value: when it expires, ms of real time."""

    def work(tx: Tx, context: Context) -> int:
        expires_at = context.wall + OPEN_DAYS * DAY_MS
        key = NewKey(context.keys, context.chance)
        row: Row = {
            "id": wanted.id,
            "file_id": wanted.file_id,
            "user_pk": sender.user_pk,
            "device_pk": sender.device_pk,
            "late": sender.late,
            "sha256": wanted.sha256,
            "length": wanted.length,
            "received": 0,
            "parts": "[]",
            "dek": key.wrapped,
            "told": content.seal(
                context.keys, context.chance, key.wrapped, wanted.told, label_of(wanted.id, -1)
            ),
            "state": "open",
            "created_at": context.wall,
            "expires_at": expires_at,
        }
        kind = wanted.kind
        found = tx.documents(Collection.files, [wanted.file_id])
        if found and found[0].gone is None and found[0].writer == sender.user_pk:
            own = own_document(tx, context.keys, row)
            if own is None:
                raise FileDiffers
            if own[1].get("state") == "verified":
                raise AlreadyStored
            kind = own[1].get("kind")
        most = FILE_KINDS[kind].max_bytes if kind in FILE_KINDS else LENGTH_MAX
        if wanted.length > most:
            raise FileTooLarge(limit=most)
        begun = tx.find("upload", {"device_pk": sender.device_pk, "state": _UNDER_WAY}, columns=["length"])
        if (
            len(begun) >= DEVICE_UPLOADS_MAX
            or sum(one["length"] for one in begun) + wanted.length > DEVICE_BYTES_MAX
        ):
            raise UploadsUnfinished(retry_after=3600)
        tx.insert("upload", [row])
        audit_row(tx, context, tx.head().seq, "upload.open", [f"upload:{wanted.id}"])
        return expires_at

    return work


def advance(
    upload: str,
    sender: Sender,
    start: int,
    parts: Sequence[tuple[int, str]],
    end: int,
    *,
    kept: int | None = None,
) -> Work[Row]:
    """Note parts that lie in the store, to `end`; value: the upload as it is then. `start` is how far it was before.

    They come behind the first `kept` of the known parts (None: behind all), in place of what follows there.

    Raises ``OffsetDiffers`` where somebody else was faster: what lies in the store is then nobody's.
    """

    def work(tx: Tx, context: Context) -> Row:
        row = find_upload(tx, upload, sender.user_pk)
        if row["state"] != "open" or row["received"] != start:
            raise OffsetDiffers
        complete = end == row["length"]
        known = msgspec.json.decode(row["parts"])[:kept]
        days = COMPLETE_DAYS if complete else OPEN_DAYS
        changes = {
            "received": end,
            "parts": msgspec.json.encode([*known, *parts]).decode(),
            "state": "complete" if complete else "open",
            "expires_at": context.wall + days * DAY_MS,
        }
        tx.update("upload", {"id": upload}, changes)
        own = own_document(tx, context.keys, row)
        if own is not None and own[1].get("state") != "verified":
            batch = new_batch(tx, context, actor=sender.user_pk, device=sender.device_pk)
            _set_state(batch, own[0], "stored" if complete else "partial")
            write(tx, batch, context, "file.bytes")
        return row | changes

    return work


def end_upload(upload: str, user_pk: int, *, why: str = "upload.end") -> Work[None]:
    """Let an upload go; raises ``NotFound`` unless it is this person's and no document's yet."""

    def work(tx: Tx, context: Context) -> None:
        row = find_upload(tx, upload, user_pk)
        if row["state"] == "done":
            raise NotFound
        _end(tx, context, [row], why)

    return work


def _end(tx: Tx, context: Context, rows: Sequence[Row], why: str) -> None:
    """The key goes with the upload; a document that waits for it alone is missing its bytes again."""
    ids = [row["id"] for row in rows]
    tx.update("upload", {"id": ids}, {"state": "ended", "dek": b"", "told": b""})
    batch = new_batch(tx, context)
    for row in rows:
        own = own_document(tx, context.keys, row)
        # Of whom else names this file nothing becomes of the document.
        where = {"file_id": bytes(row["file_id"]), "user_pk": row["user_pk"], "state": _UNDER_WAY}
        others = tx.find("upload", where, limit=1)
        if own is not None and not others and own[1].get("state") in {"partial", "stored"}:
            _set_state(batch, own[0], "missing")
    batch.effects += [f"upload:{upload}" for upload in ids]
    if batch.empty():
        audit_row(tx, context, batch.head.seq, why, batch.effects)
    else:
        write(tx, batch, context, why)


def end_expired(limit: int = 200) -> Work[int]:
    """FI5: uploads that nobody has gone on with, and complete ones whose document never came. Value: how many were due.

    What is complete stays while its document is put aside: a person may still let it in.
    """

    def work(tx: Tx, context: Context) -> int:
        rows = tx.find(
            "upload", {"state": _UNDER_WAY, "expires_at__le": context.wall}, order=["id"], limit=limit
        )
        awaited = _awaited(tx, [row for row in rows if row["state"] == "complete"])
        over = [row for row in rows if row["id"] not in awaited]
        if awaited:
            # Asked again tomorrow, or those that wait would stand before all that are over.
            tx.update("upload", {"id": sorted(awaited)}, {"expires_at": context.wall + DAY_MS})
        if over:
            _end(tx, context, over, "upload.expired")
        return len(rows)

    return work


def _awaited(tx: Tx, uploads: Sequence[Row]) -> set[str]:
    """Those of these uploads whose document was put aside as its sender pushed it, and has not been decided on."""
    names = {row["id"]: content.id_text(Collection.files, bytes(row["file_id"])) for row in uploads}
    where = {"collection": int(Collection.files), "doc_id": sorted(set(names.values())), "state": "open"}
    kept = {(row["doc_id"], row["user_pk"]) for row in tx.find("quarantine", where)}
    return {row["id"] for row in uploads if (names[row["id"]], row["user_pk"]) in kept}


# --- what becomes of it ----------------------------------------------------------------------------------------------


def settle(upload: str, verdict: Verdict) -> Work[bool]:
    """FI6: the document takes the checked bytes as its own, or the reason why not; value: whether it did.

    Raises ``Conflict`` while bytes under the same address are being deleted, and where they were after these had been
    put there, by another process it may be: the next look puts them there again.
    """

    def work(tx: Tx, context: Context) -> bool:
        rows = tx.find("upload", {"id": upload, "state": "complete"}, limit=1)
        own = own_document(tx, context.keys, rows[0]) if rows else None
        if own is None:
            return False
        doc, values = own
        done = {"state": "done", "dek": b"", "told": b""}
        if values.get("state") == "verified":
            tx.update("upload", {"id": upload}, done)
            return False
        if verdict.reason is None:
            being_deleted = tx.find("blob", {"address": verdict.address, "state": "deleting"}, limit=1)
            if being_deleted or not gone_from(tx, verdict.address) <= verdict.gone:
                raise Conflict
        tx.update("upload", {"id": upload}, done)
        batch = new_batch(tx, context)
        if verdict.reason is not None:
            batch.set(batch.take(doc), {"state": "refused", "reason": verdict.reason})
        else:
            _set_state(batch, doc, "verified", seconds=verdict.seconds)
            blob = {
                "doc_pk": doc.pk,
                "address": verdict.address,
                "sha256": verdict.sha256,
                "size": verdict.size,
                "thumbnail": verdict.thumbnail,
                "mime": verdict.mime,
                "state": "held",
                "stored_at": context.wall,
            }
            tx.insert("blob", [blob])
        write(tx, batch, context, "file.checked")
        return True

    return work


def gone_from(reader: Reader, address: str) -> frozenset[int]:
    """Rows whose bytes lay under this address and were deleted; asked before bytes are put there."""
    rows = reader.find("blob", {"address": address, "state": "deleted"}, columns=["pk"])
    return frozenset(row["pk"] for row in rows)


def held_blob(reader: Reader, doc: Doc) -> Row | None:
    """The bytes of a document, if they are here and checked."""
    rows = reader.find("blob", {"doc_pk": doc.pk, "state": "held"}, order=["-pk"], limit=1)
    return rows[0] if rows else None


def ask_again(doc_pks: Sequence[int]) -> Work[int]:
    """FI9: the bytes of these documents are lost: they are missing again, so that phones which have them send them."""

    def work(tx: Tx, context: Context) -> int:
        batch = new_batch(tx, context)
        for doc in tx.documents_by_pk(list(doc_pks)):
            if doc.gone is None and doc.collection == Collection.files:
                _set_state(batch, doc, "missing")
        tx.update("blob", {"doc_pk": list(doc_pks), "state": "held"}, {"state": "dropped"})
        write(tx, batch, context, "file.lost")
        return len(batch.items)

    return work


# --- forgetting ------------------------------------------------------------------------------------------------------


def forget(tx: Tx, docs: Sequence[Doc]) -> None:
    """FI8: nobody reads the bytes of erased documents again; a job deletes them."""
    files = [doc for doc in docs if doc.collection == Collection.files]
    if not files:
        return
    tx.update("blob", {"doc_pk": [doc.pk for doc in files], "state": "held"}, {"state": "dropped"})
    under_way = {"file_id": [doc.id for doc in files], "state": _UNDER_WAY}
    tx.update("upload", under_way, {"state": "ended", "dek": b"", "told": b""})


def claim_dropped(limit: int = 200) -> Work[list[str]]:
    """FI7: addresses that may be deleted, since nothing holds them; until they are, nothing can take hold of them.

    What another process has claimed is its own to delete, unless it has not for an hour: then it is no more.
    """

    def work(tx: Tx, context: Context) -> list[str]:
        waiting = tx.find("blob", {"state": "dropped"}, order=["pk"], limit=limit)
        left = {"state": "deleting", "stored_at__le": context.wall - CLAIM_MS}
        rows = [*waiting, *tx.find("blob", left, order=["pk"], limit=limit)]
        addresses = sorted({row["address"] for row in rows})
        held = {row["address"] for row in tx.find("blob", {"address": addresses, "state": "held"})}
        # Another document of the same case has the same picture: it stays.
        tx.update("blob", {"address": sorted(held), "state": ["dropped", "deleting"]}, {"state": "deleted"})
        claimed = {"address": addresses, "state": "deleting", "stored_at__gt": context.wall - CLAIM_MS}
        others = {row["address"] for row in tx.find("blob", claimed)}
        free = [address for address in addresses if address not in held | others]
        claim = {"state": "deleting", "stored_at": context.wall}
        tx.update("blob", {"address": free, "state": ["dropped", "deleting"]}, claim)
        return free

    return work


def note_deleted(addresses: Sequence[str]) -> Work[int]:
    """What was claimed is gone from the store."""
    return lambda tx, _: tx.update(
        "blob", {"address": list(addresses), "state": "deleting"}, {"state": "deleted"}
    )
