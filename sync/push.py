"""Push: whatever a phone sends ends as an answer that leads it to the server's truth; no row ever blocks another.

The way of a batch, with the rules of ``PROTOCOL.md``:

1. PU1  the body parses and keeps the limits, or nothing is stored; what a row is, without any facts, is worked out
        then and there, before the transaction;
2. PU2  facts are loaded once, in the writing transaction;
3. PU3  each row is decided alone: duplicate, applied, merged, out of scope, sanitised, unusable, waiting;
4. PU4  everything is written together with its audit record;
5. PU5  each row whose projection now differs from what was sent is answered with that projection, or a tombstone.
"""

import json
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from msgspec import Raw, Struct, structs

from sync import content, push_cases, push_entries, push_late, push_others
from sync.batch import Batch
from sync.cases.model import Checked, checked
from sync.commit import Context, Work, write
from sync.errors import BadRequest, BatchTooLarge
from sync.facts import Facts
from sync.pull import OVERLAP_MS, Caller, Sender
from sync.push_facts import load
from sync.rows import PushRow, write_id
from sync.store import Tx
from sync.values import Collection, Level

ROWS_MAX = 1000
BYTES_MAX = 4 * 1024 * 1024
ROW_BYTES_MAX = 256 * 1024
DEPTH_MAX = 32
_CODE_MAX = 64


class _Sent(Struct):
    newDocumentState: Raw  # noqa: N815  # RxDB's name
    assumedMasterState: Raw = Raw(b"")  # noqa: N815  # a union of Raw and None takes null only


_UNREAD = Checked({}, [], {}, usable=False, reason=None)
_decode_rows = msgspec.json.Decoder(list[_Sent]).decode
_decode = msgspec.json.Decoder().decode

_DECIDE: dict[int, Callable[[Batch, Facts, Caller, PushRow], None]] = {
    Collection.cases: push_cases.decide,
    Collection.entries: push_entries.decide,
    Collection.files: push_entries.decide_file,
    Collection.visits: push_others.decide_visit,
    Collection.households: push_others.decide_household,
    Collection.notices: push_others.decide_notice,
    Collection.tasks: push_others.decide_read_only,
    Collection.cells: push_others.decide_read_only,
}


def parse(collection: int, body: bytes) -> list[PushRow]:
    """PU1. Of a doubled key the last one counts here, as in the phone's own parser; raises for the batch only."""
    if len(body) > BYTES_MAX:
        raise BatchTooLarge
    try:
        sent = _decode_rows(body)
    except RecursionError:
        return _flattened(collection, body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        try:
            sent = _decode_rows(_mended(body))
        except (ValueError, RecursionError) as error:
            raise BadRequest("正文应为推送行的数组。", code_hint="push_malformed") from error
    if len(sent) > ROWS_MAX:
        raise BatchTooLarge
    return [_row(collection, bytes(row.newDocumentState), row.assumedMasterState) for row in sent]


def _flattened(collection: int, body: bytes) -> list[PushRow]:
    """PU9 for a row so deep that no parser goes down to its end: the batch is read without what lies too deep.

    The row itself is then found too deep, and kept with the bytes it came with.
    """
    flat, slices = _cut(body)
    try:
        rows = parse(collection, flat)
    except RecursionError:  # pragma: no cover  # nothing deep is left
        rows = []
    if len(rows) != len(slices):
        raise BadRequest("正文应为推送行的数组。", code_hint="push_malformed")
    return [
        structs.replace(row, raw=whole) if row.fault == "row_too_deep" else row
        for row, whole in zip(rows, slices, strict=True)
    ]


def _cut(body: bytes) -> tuple[bytes, list[bytes]]:
    """The body with null for whatever is nested deeper than any good row, and each row's bytes as they came."""
    deepest = DEPTH_MAX + 4  # the array, the row, and a level more than a document may have
    flat = bytearray()
    slices: list[bytes] = []
    depth = start = 0
    quoted = escaped = False
    for place, byte in enumerate(body):
        if quoted:
            escaped, ended = byte == 0x5C and not escaped, byte == 0x22 and not escaped
            quoted = not ended
        elif byte == 0x22:
            quoted = True
        elif byte in b"{[":
            depth += 1
            if depth == 2:
                start = place
            elif depth == deepest + 1:
                flat += b"null"
        elif byte in b"}]":
            depth -= 1
            if depth == 1:
                slices.append(body[start : place + 1])
            elif depth == deepest:
                continue
        if depth <= deepest:
            flat.append(byte)
    return bytes(flat), slices


def _mended(body: bytes) -> bytes:
    """The body with half characters replaced: an emoji cut in two is valid for the phone's JSON, not for UTF-8.

    Without this one such row would turn the whole batch away, for ever.
    """
    text = json.dumps(json.loads(body.decode(errors="replace")), ensure_ascii=False)
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").encode()


def _row(collection: int, raw: bytes, base: Raw) -> PushRow:
    # PU9: what is wrong with a row is the row's own matter, never an error of the request.
    fault = None
    doc: Any = None
    if len(raw) > ROW_BYTES_MAX:
        fault = "row_too_large"
    elif _deep(raw):
        fault = "row_too_deep"
    else:
        try:
            doc = _decode(raw)
        except (ValueError, RecursionError):
            fault = "row_malformed"
        else:
            fault = None if isinstance(doc, dict) else "not_an_object"
    if fault is not None:
        doc = _rescue_id(raw)
    try:
        key = content.id_bytes(collection, doc["id"])
    except (KeyError, TypeError, ValueError, AttributeError):
        key, fault = b"", fault or "id_missing"
    if key and not _spelled(collection, key, doc["id"]):
        # Nobody could be answered under another spelling; the row is kept whole.
        key, fault = b"", "id_shape"
    assumed: Any = None
    if bytes(base) and fault is None and not _deep(bytes(base)):
        try:
            assumed = _decode(base)
        except (ValueError, RecursionError):
            assumed = None
        assumed = assumed if isinstance(assumed, dict) else None
    result = _UNREAD if fault is not None else checked(content.NAMES[collection], doc)
    return PushRow(
        raw, key, doc, assumed, fault, write_id(doc), checked=result, digest=content.digest(result.values)
    )


def _spelled(collection: int, key: bytes, text: str) -> bool:
    """Whether an id is written as ids are: a UUID in small letters, or a cell's code."""
    if collection == Collection.cells:
        return len(text) <= _CODE_MAX and text.isprintable()
    return content.id_text(collection, key) == text


def _deep(raw: bytes) -> bool:
    """Whether JSON nests deeper than the limit; strings are skipped."""
    if raw.count(b"{") + raw.count(b"[") <= DEPTH_MAX:
        return False
    depth = 0
    quoted = escaped = False
    for byte in raw:
        if quoted:
            if escaped:
                escaped = False
            elif byte == 0x5C:
                escaped = True
            elif byte == 0x22:
                quoted = False
        elif byte == 0x22:
            quoted = True
        elif byte in b"{[":
            depth += 1
            if depth > DEPTH_MAX:
                return True
        elif byte in b"}]":
            depth -= 1
    return False


class _OnlyId(Struct):
    id: str


def _rescue_id(raw: bytes) -> dict[str, Any]:
    """The id of a row that is kept aside whole, so that it can be answered."""
    try:
        return {"id": msgspec.json.decode(raw, type=_OnlyId).id}
    except (ValueError, RecursionError):
        return {}


def push_work(caller: Caller, collection: int, body: bytes) -> Work[bytes]:
    """The work of one push request; its value is the JSON array to answer.

    Raises ``BadRequest`` and ``BatchTooLarge`` at once, before anything is queued.
    """
    rows = parse(collection, body)

    def work(tx: Tx, context: Context) -> bytes:
        return _push(tx, context, caller, collection, rows)

    return work


def _push(tx: Tx, context: Context, caller: Caller, collection: int, rows: Sequence[PushRow]) -> bytes:
    facts = Facts(tx.head(), context.configs.get(tx), context.keys, collection=collection)
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
    decide = _DECIDE[collection]
    for row in rows:
        if caller.late:
            push_late.keep(batch, facts, caller, row, collection)
        elif row.key:
            decide(batch, facts, caller, row)
        else:
            batch.keep(row.fault or "id_missing", row.raw, collection=collection, doc_id="")
    push_entries.take_effect(batch, facts)
    write(tx, batch, context, f"push:{content.NAMES[collection]}")
    _mark(tx, context, caller, collection, facts.head.seq)
    return _answer(batch, facts, caller, collection, rows)


def _mark(tx: Tx, context: Context, caller: Caller, collection: int, low: int) -> None:
    """PU10: the first push of a while lays down the number before it; pulls look back that far for a time."""
    name = content.NAMES[collection]
    row = tx.find("device", {"pk": caller.device_pk}, columns=["marks"])
    if not row:
        return
    marks = msgspec.json.decode(row[0]["marks"])
    former = marks.get(name)
    if former is None or context.wall - former[1] > OVERLAP_MS:
        marks[name] = [low, context.wall]
    else:
        marks[name] = [former[0], context.wall]
    tx.update("device", {"pk": caller.device_pk}, {"marks": msgspec.json.encode(marks).decode()})


def _answer(batch: Batch, facts: Facts, caller: Caller, collection: int, rows: Sequence[PushRow]) -> bytes:
    """PU5, PU7: one answer an id, however often it was sent and whatever came of it."""
    sender = Sender(collection, batch.keys, batch.open_parts)
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
