"""Sealed bundles handed in: each is filed for its author through the one door, or kept aside whole (SE5 to SE8).

Whoever carries a bundle is written down and never believed: what a bundle is worth is decided by the signature in it.
A bundle is proven when a key signed it that the device it names told in a session of the person it names.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct, structs

from sync.batch import Batch
from sync.commit import Context, Work, audit_row, write
from sync.config import Config
from sync.errors import StoreUnavailable, SyncError
from sync.pull import Caller
from sync.push import push_work
from sync.push_body import rescue
from sync.rows import named_id, parent_id
from sync.sealed import Opened, Statement, document_of, is_signed_by
from sync.store import Row, Tx
from sync.values import Collection
from sync.versions import CURRENT

BUNDLES_MAX = 200
_CAPTURED = frozenset({Collection.cases, Collection.entries, Collection.visits, Collection.files})
_canonical = msgspec.json.Encoder(order="deterministic").encode


class Proven(Struct, frozen=True):
    """A bundle whose author is known by his device's row. `document` is None where what he sealed cannot be read."""

    opened: Opened
    statement: Statement
    document: dict[str, Any] | None
    device: Row
    digest: bytes


class _Unproven(Struct, frozen=True):
    opened: Opened
    reason: str


def hand_in_work(bundles: Sequence[Opened]) -> Work[None]:
    """File these bundles; `context.actor` is who carries them. Nothing of what came of each is told (SE6)."""

    def work(tx: Tx, context: Context) -> None:
        config = context.configs.get(tx)
        proven: list[Proven] = []
        for bundle in bundles:
            found = _prove(tx, config, bundle)
            if isinstance(found, Proven):
                proven.append(found)
            else:
                _keep_whole(tx, context, found.opened, found.reason)
        # A phone's own order: a note must not come before the case that it captured first.
        proven.sort(key=lambda one: (one.device["pk"], one.statement.counter))
        for one in proven:
            _filed(tx, context, config, one)
        if bundles:
            audit_row(tx, context, tx.head().seq, "sealed.taken", [f"bundles:{len(bundles)}"])

    return work


def _prove(tx: Tx, config: Config, opened: Opened) -> Proven | _Unproven:
    """SE3: whose it is, by the key that signed it; else why that is not known."""
    statement = opened.statement
    if statement is None:
        return _Unproven(opened, opened.fault or "bundle_malformed")
    keys = tx.find("device_key", {"id": opened.signer})
    signers = [key for key in keys if is_signed_by(opened, bytes(key["public"]))]
    if not keys:
        return _Unproven(opened, "signer_unknown")
    if not signers:
        return _Unproven(opened, "signature_wrong")
    author = config.account_by_id.get(statement.author)
    devices = tx.find("device", {"pk": [key["device_pk"] for key in signers], "id": statement.device})
    own = [row for row in devices if author is not None and row["user_pk"] == author.pk]
    if not own or statement.collection not in Collection.__members__:
        return _Unproven(opened, "statement_wrong")
    document = document_of(statement)
    told = bytes(statement.document) if document is None else _canonical(document)
    said = b"%d:%d:%b" % (own[0]["pk"], statement.counter, told)
    return Proven(opened, statement, document, own[0], hashlib.sha256(said).digest())


def _filed(tx: Tx, context: Context, config: Config, one: Proven) -> None:
    """SE5 for one bundle: an ordinary push row of its author, in a savepoint of its own."""
    device_pk, counter = one.device["pk"], one.statement.counter
    doc_id = (one.document or {}).get("id")
    row = {
        "digest": one.digest,
        "device_pk": device_pk,
        "counter": counter,
        "doc_id": doc_id if isinstance(doc_id, str) and "\0" not in doc_id else None,
        "carrier": context.actor,
        "at": context.wall,
    }
    # SE5: the same bundle that several people carry in is one capture.
    former = tx.find("sealed_bundle", {"device_pk": device_pk, "counter": counter}, columns=["digest"])
    if any(bytes(line["digest"]) == one.digest for line in former):
        tx.insert("sealed_bundle", [row | {"outcome": "again"}])
        return
    reason = "counter_reused" if former else _why_not(config, one)
    try:
        with tx.savepoint():
            _push(tx, context, config, one, reason)
    except StoreUnavailable:
        raise
    except Exception as error:  # noqa: BLE001  # kept whole: one bundle must not turn its neighbours away
        if not isinstance(error, SyncError):
            context.broke(error)
        _keep_whole(tx, context, one.opened, "row_failed")
        return
    tx.insert("sealed_bundle", [row | {"outcome": reason or "pushed"}])


def _why_not(config: Config, one: Proven) -> str:
    """Why a proven bundle is for a person of the centre to look at; "" where it is filed.

    SE3: the signature says which phone wrote it, not who held the phone. So a stopped device is not believed unseen
    (PU13), and what is no capture is not done: whoever finds a locked phone may report with it, not act.
    """
    if one.device["revoked_at"] is not None:
        return "device_revoked"
    if config.accounts[one.device["user_pk"]].state != "active":
        return "author_closed"
    if one.document is None:
        return "document_wrong"
    if Collection[one.statement.collection] not in _CAPTURED or one.document.get("type") == "act":
        return "no_capture"
    return ""


def _push(tx: Tx, context: Context, config: Config, one: Proven, reason: str) -> None:
    account = config.accounts[one.device["user_pk"]]
    author = Caller(
        user_pk=account.pk,
        user_id=account.id,
        user_name=account.username,
        device_pk=one.device["pk"],
        device_id=one.device["id"],
        registered=one.device["registered_seq"],
        marks={},
        late=bool(reason),
        kept_for=reason,
        told=CURRENT,
    )
    body = b'[{"newDocumentState":%b}]' % bytes(one.statement.document)
    # The answer is for nobody: the author's phone pulls, and the carrier is told nothing.
    push_work(author, Collection[one.statement.collection], body)(
        tx, structs.replace(context, actor=f"user:{account.id}")
    )


def _keep_whole(tx: Tx, context: Context, opened: Opened, reason: str) -> None:
    """SE7: what cannot be opened, or whose author is not proven, waits for a person; nobody is its author."""
    digest = hashlib.sha256(b"whole\0" + opened.whole).digest()
    row = {"digest": digest, "carrier": context.actor, "at": context.wall}
    if tx.find("sealed_bundle", {"digest": digest}, limit=1, columns=["pk"]):
        tx.insert("sealed_bundle", [row | {"outcome": "again"}])
        return
    batch = Batch(
        tx.head(), now=context.now, chance=context.chance, keys=context.keys, actor=None, device=None
    )
    collection, said = _collection(opened), _said(opened)
    # ER2: what it claims to be and to hang on; nobody has proven that, but an erasure reaches it.
    claims: dict[str, Any] = {"doc_id": named_id(said.get("id")) or ""}
    claims["parent_id"] = parent_id(collection, said)
    batch.keep(reason, _payload(opened), collection=collection, w=None, **claims)
    write(tx, batch, context, "sealed.aside")
    tx.insert("sealed_bundle", [row | {"outcome": reason}])


def _said(opened: Opened) -> Mapping[str, Any]:
    if opened.statement is None:
        return {}
    return document_of(opened.statement) or rescue(bytes(opened.statement.document)) or {}


def _payload(opened: Opened) -> dict[str, Any]:
    """What a person of the centre may want to read: the document with who it says it is from, or the bundle."""
    payload: dict[str, Any] = {"bundle": opened.whole.decode(errors="replace"), "base": None}
    if opened.statement is not None:
        said = opened.statement
        payload["claimed"] = {
            "author": said.author,
            "device": said.device,
            "counter": said.counter,
            "captured_at": said.captured_at,
        }
        payload["new"] = document_of(said) or {"raw": bytes(said.document).decode(errors="replace")}
    return payload


def _collection(opened: Opened) -> int:
    name = "" if opened.statement is None else opened.statement.collection
    return int(Collection[name]) if name in Collection.__members__ else int(Collection.cases)
