"""What the centre does with an item of 待核箱: try it again, merge it in under its own name, or let it go (QU5, QU6).

A right that has ended writes no more, not by proxy either. So what its author may still write is applied in his name;
what he may not is merged in by the person of the centre who reads it and answers for it, in that person's name. Who
wrote the words stands beside them: in the row that was kept, and as an issue of the document.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec
from msgspec import Struct, structs

from server.console.kept_sight import about, may_open, payload_of
from server.console.scope import Sight, find_document
from sync import content, files_work
from sync.administration import new_batch
from sync.cases.fields import COLLECTIONS
from sync.cases.kept import (
    FIELDS_REFUSED,
    UNTOLD,
    acts_of,
    is_phone_field,
    joined,
    refused_fields,
    told_author,
)
from sync.cases.model import checked
from sync.commit import Context, Work, write
from sync.errors import BadRequest, Conflict, NotFound, Unprocessable
from sync.pull import Caller
from sync.push import push_work
from sync.store import Row, Tx
from sync.values import Collection, Doc
from sync.versions import CURRENT

REASON_MAX = 500
_OF_DOCUMENT = {
    "cases": ("kind", "captured_at"),
    "entries": ("case_id", "type"),
    "visits": ("subject_kind", "at"),
    "files": ("owner_id", "kind"),
}


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


class Chosen(Struct, frozen=True):
    """What a person wants done: `act`, `reason` for letting go, `values` that correct what was kept."""

    act: str
    reason: str | None = None
    values: Mapping[str, Any] = {}


def chosen(act: str, args: Mapping[str, Any]) -> Chosen:
    """The act and its arguments; raises ``Unprocessable`` for what is none."""
    if act not in {"apply", "merge", "discard"}:
        raise Unprocessable("待核项只能再次提交(apply)、并入(merge)或存查(discard)。", missing=["act"])
    reason, values = args.get("reason"), args.get("values")
    if act == "discard" and (not isinstance(reason, str) or not reason.strip() or len(reason) > REASON_MAX):
        raise Unprocessable("存查须写明理由。", missing=["reason"])
    if values is not None and (act != "merge" or not isinstance(values, dict)):
        raise Unprocessable("更正内容(values)只能在并入时给出。", missing=["values"])
    return Chosen(act, reason.strip() if isinstance(reason, str) else None, values or {})


def find_item(sight: Sight, identity: str) -> tuple[Row, Any]:
    """An item with its payload; ``NotFound`` alike for one that is not there and one that is not the caller's."""
    rows = sight.reader.find("quarantine", {"id": identity}, limit=1) if len(identity) <= 64 else []
    payload = payload_of(sight, rows[0]) if rows else None
    if not rows or not may_open(sight, rows[0], about(sight.reader, rows[0], payload)):
        raise NotFound
    if rows[0]["state"] != "open":
        raise AlreadyDecided
    return rows[0], payload


def decide_work(row: Row, payload: Any, caller: Caller, wanted: Chosen) -> Work[Applied]:
    """Do what was chosen.

    Raises ``BadRequest`` where there is nothing to write, ``StillImpossible`` where it cannot be written now either.
    """
    if wanted.act == "discard":
        return _discard_work(row, caller, wanted.reason or "")
    if wanted.act not in acts_of(COLLECTIONS[row["collection"]], row["reason"], payload):
        raise BadRequest("此项没有可再次提交的内容,只能存查。")
    if wanted.act == "apply":
        return _apply_work(row, payload, caller)
    return _merge_work(row, payload, caller, wanted.values)


def _discard_work(row: Row, caller: Caller, reason: str) -> Work[Applied]:
    """Let an item go; it stays, marked, with the sealed reason, and its author reads it. It finds no case any more."""

    def work(tx: Tx, context: Context) -> Applied:
        label = row["id"].encode() + b"decision"
        sealed = content.seal(context.keys, context.chance, row["dek"], reason.encode(), label)
        _waits_no_longer(tx, row)
        return _decide(tx, context, row, caller, "discarded", decision=sealed, words=reason)

    return work


def _waits_no_longer(tx: Tx, row: Row) -> None:
    """PU12: what a person has decided on does not find its case by itself any more."""
    own = find_document(tx, row["collection"], row["doc_id"])
    if own is not None and own.own_since is not None:
        tx.update("waiting", {"entry_pk": own.pk}, {"linked": True})


def _apply_work(row: Row, payload: Any, caller: Caller) -> Work[Applied]:
    """Push what was kept once more, in its author's name, as an ordinary write."""

    def work(tx: Tx, context: Context) -> Applied:
        # Out of what is open first: a push closes by itself what finds its case or comes again by it.
        if not tx.update("quarantine", {"pk": row["pk"], "state": "open"}, {"state": "applied"}):
            raise AlreadyDecided
        doc, base = _kept(tx, context, row, payload, {})
        sent: dict[str, Any] = {"newDocumentState": doc}
        if base is not None and row["reason"] != FIELDS_REFUSED:
            sent["assumedMasterState"] = base  # else what its author started from is not known
        _push(tx, context, _author(tx, context, row), row["collection"], sent)
        return _decide(tx, context, row, caller, "applied", stands="applied")

    return work


def _merge_work(row: Row, payload: Any, caller: Caller, values: Mapping[str, Any]) -> Work[Applied]:
    """Write what was kept, corrected by `values`, in the name of whoever sits at the desk."""
    name = COLLECTIONS[row["collection"]]
    foreign = [field for field in values if not is_phone_field(name, field)]
    if foreign:
        raise Unprocessable("更正内容含有不能填写的项目。", missing=sorted(foreign)[:20])

    def work(tx: Tx, context: Context) -> Applied:
        doc, base = _kept(tx, context, row, payload, values)
        account = context.configs.get(tx).accounts.get(row["user_pk"])
        doc |= {"w": f"0:{context.chance.uuid7(context.now)}"}
        if account is not None and account.pk != caller.user_pk:
            doc["author"] = account.id  # who wrote it: another than the session's, so it stands as an issue
        stood = find_document(tx, row["collection"], doc["id"])
        following: list[Doc] = []
        if name == "entries" and stood is not None:
            # That id is its author's own row, which waits or is not the clerk's to change.
            doc["id"] = context.chance.uuid7(context.now)
            _waits_no_longer(tx, row)
            following = files_work.waiting_for(tx, stood)
        if name == "files":
            doc["owner_id"] = files_work.owner_behind(tx, context.keys, str(doc.get("owner_id")))
            if stood is not None and row["reason"] == "case_missing":
                return _hang_work(tx, context, row, caller, stood, doc, values)
        sent: dict[str, Any] = {"newDocumentState": doc}
        if stood is not None and name != "entries":
            held = content.whole(stood, context.keys) if stood.gone is None else {}
            # Without a base nobody knows what was there before: the person at the desk has seen what is.
            sent["assumedMasterState"] = {field: held.get(field) for field in doc} if base is None else base
        writes = structs.replace(caller, told=CURRENT, words_of=None if account is None else account.pk)
        _push(tx, context, writes, row["collection"], sent)
        if following:
            files_work.hang(tx, context, caller, following, doc["id"])
        return _decide(tx, context, row, caller, "merged")

    return work


def _hang_work(
    tx: Tx,
    context: Context,
    row: Row,
    caller: Caller,
    stood: Doc,
    doc: dict[str, Any],
    values: Mapping[str, Any],
) -> Applied:
    """FI11: hang a file that waits where it belongs, and correct it there."""
    merged = _decide(tx, context, row, caller, "merged")  # first: what is found closes its own row
    try:
        files_work.hang(tx, context, caller, [stood], doc["owner_id"])
    except NotFound:
        raise StillImpossible from None
    if values.keys() - {"owner_id"}:
        [there] = tx.documents_by_pk([stood.pk])
        held = content.whole(there, context.keys)
        sent = {**{name: held[name] for name in ("id", "owner_id", "kind")}, **values, "w": doc["w"]}
        desk = structs.replace(caller, told=CURRENT)
        _push(tx, context, desk, row["collection"], {"newDocumentState": sent, "assumedMasterState": held})
    return structs.replace(merged, number=tx.head().seq)


def _kept(
    tx: Tx, context: Context, row: Row, payload: Any, values: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """The document that was kept, corrected, and the base it came with (None: it came without one)."""
    if row["reason"] != FIELDS_REFUSED:
        base = payload.get("base")
        return {**payload["new"], **values}, base if isinstance(base, dict) else None
    name = COLLECTIONS[row["collection"]]
    stood = find_document(tx, row["collection"], row["doc_id"])
    if stood is None or stood.gone is not None:
        raise StillImpossible
    held = content.whole(stood, context.keys)
    wanted = {**refused_fields(name, payload), **values}
    fields = {field: joined(name, field, held.get(field), value) for field, value in wanted.items()}
    named = {field: held[field] for field in ("id", *_OF_DOCUMENT.get(name, ())) if field in held}
    result = checked(name, named | fields)
    bad = {issue.field.partition(".")[0] for issue in result.issues} & fields.keys()
    if bad or not result.usable:
        raise Unprocessable("更正后的内容仍不合要求。", missing=sorted(bad))
    return named | fields, None


def _push(tx: Tx, context: Context, caller: Caller, collection: int, sent: dict[str, Any]) -> None:
    """One row through the door; raises ``StillImpossible``, which rolls everything back, if it changed nothing."""
    identity = sent["newDocumentState"]["id"]
    before = find_document(tx, collection, identity)
    push_work(caller, collection, msgspec.json.encode([sent]))(tx, context)
    after = find_document(tx, collection, identity)
    if after is None or after.gone is not None or after.own_since is not None:
        raise StillImpossible
    # An edit that was taken carries another write id; what alone was told as an issue does not.
    if before is not None and before.own_since is None and after.w == before.w:
        raise StillImpossible


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
        told=CURRENT,
    )


# --- what became of it -----------------------------------------------------------------------------------------------


def _decide(
    tx: Tx,
    context: Context,
    row: Row,
    caller: Caller,
    state: str,
    *,
    decision: bytes | None = None,
    words: str | None = None,
    stands: str = "open",
) -> Applied:
    """Mark the row, once, and tell its author in plain words what became of it."""
    changes = {"state": state, "decided_by": caller.user_pk, "decided_at": context.now, "decision": decision}
    if not tx.update("quarantine", {"pk": row["pk"], "state": stands}, changes):
        raise AlreadyDecided
    batch = new_batch(tx, context, actor=caller.user_pk, device=caller.device_pk)
    batch.effects.append(f"quarantine:{row['pk']}")
    account = context.configs.get(tx).accounts.get(row["user_pk"])
    if account is not None and row["reason"] not in UNTOLD:
        name = COLLECTIONS[row["collection"]]
        args = {
            "collection": name,
            "reason": row["reason"],
            "quarantine": row["id"],
            "text": told_author(name, row["reason"], state),
        }
        case = _case_of(tx, row)
        denied = case is not None and any(
            line.user_pk == account.pk and line.denied and line.v_to is None
            for line in tx.namings(cases=[case.pk])
        )
        of_case = None if case is None or denied else batch.take(case)
        # Whoever is kept from the case reads that it was decided, and nothing that a person says of it.
        told = None if denied else words
        batch.notice(account.pk, account.id, "kept_aside", f"kept_{state}", args, of_case=of_case, words=told)
    return Applied(row["id"], state, write(tx, batch, context, f"quarantine.{state}"))


def _case_of(tx: Tx, row: Row) -> Doc | None:
    docs = tx.documents_by_pk([row["case_pk"]]) if row["case_pk"] is not None else []
    if not docs:
        own = find_document(tx, row["collection"], row["doc_id"])
        docs = [own] if own is not None and own.collection == Collection.cases else []
    return docs[0] if docs and docs[0].gone is None else None
