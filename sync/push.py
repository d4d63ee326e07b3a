"""Push: whatever a phone sends ends as an answer that leads it to the server's truth; no row ever blocks another.

The way of a batch, with the rules of ``PROTOCOL.md``:

1. PU1  the body parses and keeps the limits, or nothing is stored; what a row is, without any facts, is worked out
        then and there, before the transaction;
2. PU2  facts are loaded once, in the writing transaction;
3. PU3  each row is decided alone: duplicate, applied, merged, out of scope, sanitised, unusable, waiting;
4. PU4  everything is written together with its audit record;
5. PU5  each row whose projection now differs from what was sent is answered with that projection, or a tombstone.
"""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from msgspec import structs

from sync import content, push_cases, push_entries, push_files, push_late, push_others, versions
from sync.batch import Batch
from sync.captured import contacts_in
from sync.commit import Context, Later, Work, write
from sync.errors import StoreUnavailable
from sync.facts import Facts
from sync.pull import OVERLAP_MS, Caller, Sender
from sync.push_body import parse
from sync.push_facts import load
from sync.rows import PushRow
from sync.spoiled import Failures, Spoiled, despite
from sync.store import Tx
from sync.values import Collection, Level

_decode = msgspec.json.Decoder().decode
FAILURES_MAX = 16
FEW_ROWS = 16  # a thread of its own is worth more

_DECIDE: dict[int, Callable[[Batch, Facts, Caller, PushRow], None]] = {
    Collection.cases: push_cases.decide,
    Collection.entries: push_entries.decide,
    Collection.files: push_files.decide,
    Collection.visits: push_others.decide_visit,
    Collection.households: push_others.decide_household,
    Collection.notices: push_others.decide_notice,
    Collection.tasks: push_others.decide_read_only,
    Collection.cells: push_others.decide_read_only,
}


def push_work(caller: Caller, collection: int, body: bytes) -> Work[Any]:
    """The work of one push request; its value is the JSON array to answer.

    Raises ``BadRequest`` and ``BatchTooLarge`` at once, before anything is queued.
    """
    rows = parse(collection, body, caller.speaks)

    def work(tx: Tx, context: Context) -> bytes | Later[bytes]:
        return despite(lambda failed: _push(tx, context, caller, collection, rows, failed), context.broke)

    return work


def _push(
    tx: Tx, context: Context, caller: Caller, collection: int, rows: Sequence[PushRow], failed: Failures
) -> bytes | Later[bytes]:
    device = tx.find("device", {"pk": caller.device_pk}, columns=["marks", "contacts"])
    facts = Facts(
        tx.head(),
        context.configs.get(tx),
        context.keys,
        collection=collection,
        contacts=contacts_in(device[0]["contacts"]) if device else (),
        received=max(context.now, context.wall),
        failed=failed,
    )
    # So many failures are one of a kind: rather all is put aside than the batch decided over and over.
    everything = len(failed) >= FAILURES_MAX
    rows = [_as_failed(row) if everything or place in failed else row for place, row in enumerate(rows)]
    load(tx, facts, caller, collection, rows)
    batch = Batch(
        facts.head,
        now=context.now,
        chance=context.chance,
        keys=context.keys,
        actor=caller.user_pk,
        device=caller.device_pk,
    )
    batch.ledgered |= facts.ledgered
    batch.effects += failed.values()
    _decide(batch, facts, caller, collection, rows)
    push_entries.take_effect(batch, facts)
    push_late.arrived(batch, facts, caller, collection, rows)
    write(tx, batch, context, f"push:{content.NAMES[collection]}")
    if device:
        _mark(tx, context, caller, collection, facts.head.seq, device[0]["marks"])
    if len(rows) < FEW_ROWS:
        return _answer(batch, facts, caller, collection, rows)
    return Later(lambda: _answer(batch, facts, caller, collection, rows))


def _decide(batch: Batch, facts: Facts, caller: Caller, collection: int, rows: Sequence[PushRow]) -> None:
    decide = _DECIDE[collection]
    place = 0
    try:
        for place, row in enumerate(rows):  # noqa: B007  # asked when it fails
            if caller.late:
                push_late.keep(batch, facts, caller, row, collection, caller.kept_for or "device_revoked")
            elif caller.speaks < versions.OLDEST:
                push_late.keep(batch, facts, caller, row, collection, versions.SchemaTooOld.code)
            elif row.key:
                decide(batch, facts, caller, row)
            else:
                # Nobody can be answered; whoever wrote by mistake into what a phone only reads is not told.
                written = collection not in {Collection.tasks, Collection.cells, Collection.notices}
                reason = row.fault or "id_missing"
                push_cases.aside(batch, facts, caller, row, reason, collection, tell=written)
    except (StoreUnavailable, Spoiled):
        raise
    except Exception as error:
        raise Spoiled(place) from error


def _as_failed(row: PushRow) -> PushRow:
    """A row that could not be decided: it is kept whole, like one that cannot be read."""
    return structs.replace(row, fault=row.fault or "row_failed")


def _mark(tx: Tx, context: Context, caller: Caller, collection: int, low: int, told: str) -> None:
    """PU10: the first push of a while lays down the number before it; pulls look back that far for a time."""
    name = content.NAMES[collection]
    marks = msgspec.json.decode(told)
    former = marks.get(name)
    if former is None or context.wall - former[1] > OVERLAP_MS:
        marks[name] = [low, context.wall]
    else:
        marks[name] = [former[0], context.wall]
    tx.update("device", {"pk": caller.device_pk}, {"marks": msgspec.json.encode(marks).decode()})


def _answer(batch: Batch, facts: Facts, caller: Caller, collection: int, rows: Sequence[PushRow]) -> bytes:
    """PU5, PU7: one answer an id, however often it was sent and whatever came of it."""
    sender = Sender(collection, batch.keys, batch.open_parts, version=caller.speaks)
    answers: dict[bytes, bytes] = {}
    for row in rows:
        if not row.key:
            continue
        item = batch.held(collection, row.key)
        doc = batch.finished(item) if item is not None else facts.docs.get((collection, row.key))
        level = Level.none
        if doc is not None and not caller.late:
            level = facts.level(caller.user_pk, doc, batch.opened, batch.closed)
        if doc is None or level == Level.none:
            answers[row.key] = sender.tombstone(row.key)
            continue
        if row.fault is None and row.doc.get("v") == doc.v and _same(sender, doc, level, row.doc):
            answers.pop(row.key, None)
            continue
        answers[row.key] = sender.document(doc, level)
    return b"[" + b",".join(answers.values()) + b"]"


def _same(sender: Sender, doc: Any, level: Level, sent: dict[str, Any]) -> bool:
    return bool(_decode(sender.document(doc, level)) == {"_deleted": False} | sent)
