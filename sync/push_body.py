"""The body of a push, read into rows (PU1, PU9): what is wrong with one row is its own matter, not its neighbours'."""

import contextlib
import json
import re
from typing import Any

import msgspec
from msgspec import Raw, Struct, structs

from sync import content, versions
from sync.cases.fields import PHONE_FIELDS
from sync.cases.model import Checked, Issue, checked
from sync.cases.shapes import UUID_PATTERN
from sync.errors import BadRequest, BatchTooLarge
from sync.rows import PushRow, write_id
from sync.values import Collection

ROWS_MAX = 1000
BYTES_MAX = 4 * 1024 * 1024
ROW_BYTES_MAX = 256 * 1024
DEPTH_MAX = 32
_CODE_MAX = 64
_UUID = re.compile(UUID_PATTERN)


class _Sent(Struct):
    newDocumentState: Raw  # noqa: N815  # RxDB's name
    assumedMasterState: Raw = Raw(b"")  # noqa: N815  # a union of Raw and None takes null only
    schema: Raw = Raw(b"")  # the version the row was written under, where it is not that of the request


_NOTHING = content.said("cases", {})
_UNREAD = Checked({}, [], {}, usable=False, reason=None)
_decode_rows = msgspec.json.Decoder(list[_Sent]).decode
_decode_raws = msgspec.json.Decoder(list[Raw]).decode
_decode_row = msgspec.json.Decoder(_Sent).decode
_decode = msgspec.json.Decoder().decode


def parse(collection: int, body: bytes, version: int = versions.CURRENT) -> list[PushRow]:
    """PU1. Of a doubled key the last one counts here, as in the phone's own parser; raises for the batch only.

    `version` is what the client speaks; a row may name another, under which it was written (EV4).
    """
    if len(body) > BYTES_MAX:
        raise BatchTooLarge
    sound = _all_sound(collection, body, version)
    return _one_by_one(collection, body, version) if sound is None else sound


def _all_sound(collection: int, body: bytes, version: int = versions.CURRENT) -> list[PushRow] | None:
    """The rows of a body in which nothing at all is wrong, read in one pass; None for any other."""
    if len(body) > ROW_BYTES_MAX:
        return None
    try:
        sent = _decode(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(sent, list) or len(sent) > ROWS_MAX:
        return None
    if versions.added(collection, version) or any(isinstance(row, dict) and "schema" in row for row in sent):
        return None  # what such a row does not know of is worked out one by one
    name, shaped = content.NAMES[collection], PHONE_FIELDS[content.NAMES[collection]] - {"body"}
    rows: list[PushRow] = []
    for row in sent:
        doc = row.get("newDocumentState") if isinstance(row, dict) else None
        if not isinstance(doc, dict):
            return None
        key, unnamed = _key_of(collection, doc.get("id"))
        result = checked(name, doc)
        # What fits the shape of its field is no deeper than that; the rest is measured.
        loose = doc.keys() if result.rest else doc.keys() - shaped
        if unnamed is not None or any(_deeper(doc[field], DEPTH_MAX - 1) for field in loose):
            return None
        base = row.get("assumedMasterState")
        if not isinstance(base, dict) or _deeper(base, DEPTH_MAX):
            base = None
        said = content.said(name, result.values)
        rows.append(PushRow(b"", key, doc, base, None, write_id(doc), checked=result, said=said))
    return rows


def _deeper(value: Any, levels: int) -> bool:
    """Whether objects and lists are nested in more than so many levels."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    if inner is None:
        return False
    return levels == 0 or any(_deeper(part, levels - 1) for part in inner)


def _one_by_one(collection: int, body: bytes, version: int = versions.CURRENT) -> list[PushRow]:
    try:
        sent = _read(body)
    except RecursionError:
        return _flattened(collection, body, version)
    except ValueError as error:
        raise BadRequest("正文应为推送行的数组。", code_hint="push_malformed") from error
    if len(sent) > ROWS_MAX:
        raise BatchTooLarge
    return [_row(collection, row, version) for row in sent]


def _read(body: bytes) -> list[_Sent]:
    try:
        return _decode_rows(body)
    except msgspec.ValidationError:
        return _rows_apart(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _rows_apart(mended(body))


def _rows_apart(body: bytes) -> list[_Sent]:
    """PU9: rows of a batch in which one is no row at all; that one is kept as it came."""
    rows: list[_Sent] = []
    for raw in _decode_raws(body):
        try:
            rows.append(_decode_row(raw))
        except msgspec.ValidationError:
            rows.append(_Sent(raw))
    return rows


def _flattened(collection: int, body: bytes, version: int) -> list[PushRow]:
    """PU9 for a row so deep that no parser goes down to its end: the batch is read without what lies too deep.

    The row itself is then found too deep, and kept with the bytes it came with.
    """
    flat, slices = cut(body)
    try:
        rows = _one_by_one(collection, flat, version)
    except RecursionError:  # pragma: no cover  # nothing deep is left
        rows = []
    if len(rows) != len(slices):
        raise BadRequest("正文应为推送行的数组。", code_hint="push_malformed")
    return [
        structs.replace(row, raw=whole) if row.fault == "row_too_deep" else row
        for row, whole in zip(rows, slices, strict=True)
    ]


def cut(body: bytes) -> tuple[bytes, list[bytes]]:
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
            if depth == 1:
                start = place + 1
            elif depth == deepest + 1:
                flat += b"null"
        elif byte in b"}],":
            if depth == 1 and (row := body[start:place].strip()):
                slices.append(row)
                start = place + 1
            if byte != 0x2C:
                depth -= 1
                if depth == deepest:
                    continue
        if depth <= deepest:
            flat.append(byte)
    return bytes(flat), slices


def mended(body: bytes) -> bytes:
    """The body with half characters replaced: an emoji cut in two is valid for the phone's JSON, not for UTF-8.

    Without this one such row would turn the whole batch away, for ever.
    """
    text = json.dumps(json.loads(body.decode(errors="replace")), ensure_ascii=False)
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").encode()


def _version_of(row: _Sent, version: int) -> int:
    """EV4: what the row tells; whatever is no number tells nothing."""
    try:
        told = _decode_number(row.schema) if bytes(row.schema) else version
    except ValueError:
        return version
    return min(told, versions.CURRENT)


def _row(collection: int, sent: _Sent, version: int) -> PushRow:
    # PU9: what is wrong with a row is the row's own matter, never an error of the request.
    raw, base = bytes(sent.newDocumentState), sent.assumedMasterState
    told = _version_of(sent, version)
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
    if fault is None and told < versions.OLDEST <= version:
        # an app that has been updated since wrote it; a person can read it
        fault, raw = versions.SchemaTooOld.code, b""
    elif fault is not None:
        doc = rescue(raw) or {}
    key, unnamed = _key_of(collection, doc.get("id"))
    fault = fault or unnamed
    assumed: Any = None
    if bytes(base) and not _deep(bytes(base)):
        try:
            assumed = _decode(base)
        except (ValueError, RecursionError):
            assumed = None
        assumed = assumed if isinstance(assumed, dict) else None
    if fault is not None:
        return PushRow(raw, key, doc, assumed, fault, write_id(doc), checked=_UNREAD, said=_NOTHING)
    name = content.NAMES[collection]
    known, beyond = versions.raised(collection, doc, told)
    result = checked(name, known)
    if beyond:
        issues = [Issue(field, "unknown_field", "此字段本系统不识别,已另存") for field in sorted(beyond)]
        result = structs.replace(result, rest=result.rest | beyond, issues=result.issues + issues)
    said = content.said(name, result.values)
    return PushRow(b"", key, known | beyond, assumed, None, write_id(doc), checked=result, said=said)


def _key_of(collection: int, text: Any) -> tuple[bytes, str | None]:
    """The key of an id that is written as ids are, a UUID in small letters or a cell's code; else why there is none.

    Nobody could be answered under another spelling; such a row is kept whole.
    """
    if not isinstance(text, str):
        return b"", "id_missing"
    if collection == Collection.cells:
        good = bool(text) and len(text) <= _CODE_MAX and text.isprintable()
        return (text.encode(), None) if good else (b"", "id_shape")
    if _UUID.fullmatch(text) is None:
        return b"", "id_shape"
    return bytes.fromhex(text.replace("-", "")), None


def _deep(raw: bytes) -> bool:
    """Whether JSON nests deeper than the limit; strings are skipped."""
    if not _opens_more_than(DEPTH_MAX, raw):
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


def _opens_more_than(most: int, raw: bytes) -> bool:
    # Looked for one by one: nearly every row has a handful, and a search goes faster than a count.
    opened = 0
    for mark in (b"{", b"["):
        place = raw.find(mark)
        while place >= 0:
            opened += 1
            if opened > most:
                return True
            place = raw.find(mark, place + 1)
    return False


class _Rescued(Struct):
    id: Raw = Raw(b"")
    w: Raw = Raw(b"")
    kind: Raw = Raw(b"")
    category: Raw = Raw(b"")
    protection: Raw = Raw(b"")
    case_id: Raw = Raw(b"")
    owner_id: Raw = Raw(b"")
    household_id: Raw = Raw(b"")


def rescue(raw: bytes) -> dict[str, Any] | None:
    """Of a row that is kept aside whole: its id, so that it can be answered, and what says who may read it.

    None where it cannot be read at all.
    """
    try:
        parts = structs.asdict(_decode_rescued(raw))
    except msgspec.ValidationError:
        return {}  # no object: it says nothing
    except (ValueError, RecursionError):
        return None
    found: dict[str, Any] = {}
    for name, part in parts.items():
        with contextlib.suppress(ValueError):
            found[name] = _decode_text(part)
    return found


_decode_rescued = msgspec.json.Decoder(_Rescued).decode
_decode_text = msgspec.json.Decoder(str).decode
_decode_number = msgspec.json.Decoder(int).decode
