"""How a document's content is kept in its row: JSON in the clear, personal fields sealed under its own data key.

`clear` and the wire part of `sealed` are JSON objects without their braces, so that a full projection is bytes put
side by side, never decoded. Sealed plain text is ``<length of the wire part, 4 bytes><wire part><secret part>``; the
secret part never leaves by sync. The nonce stands before the cipher text; key owner and collection are authenticated.
"""

import functools
import hashlib
import uuid
from collections.abc import Mapping
from typing import Any

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sync.cases.fields import FIELDS
from sync.errors import KeyLost
from sync.values import NORMAL, Chance, Collection, Doc, Keys

_encode = msgspec.json.Encoder().encode
_canonical = msgspec.json.Encoder(order="deterministic").encode
_decode = msgspec.json.Decoder().decode
_NONCE = 12
_UUID_LENGTH, _UUID_BYTES = 36, 16
DEK_BYTES = 16
NAMES = tuple(item.name for item in Collection)


def _fields(seal: str) -> dict[str, frozenset[str]]:
    return {name: frozenset(f.name for f in FIELDS[name] if f.seal == seal) for name in FIELDS}


PERSONAL = _fields("personal")
ABOVE_NORMAL = _fields("above_normal")
BY_CLASS = _fields("by_class")
SECRET = _fields("secret")
PHONE_OWNED = {name: frozenset(f.name for f in FIELDS[name] if f.owner == "phone") for name in FIELDS}
SECRET["cases"] |= {"recused"}  # told to the centre by the console, never by sync
_ENVELOPE = frozenset({"w", "author", "device"})
_OUTSIDE_ROW = frozenset({"v", "gone", "_deleted"})  # told by the row itself, put in when projected


def id_bytes(collection: int, text: str) -> bytes:
    """The key of a wire id: 16 bytes of a UUID; a cell's id is its code."""
    if collection == Collection.cells:
        return text.encode()
    # The usual spelling without the detour; whatever else a UUID may look like goes the long way.
    if len(text) == _UUID_LENGTH and text[8] == text[13] == text[18] == text[23] == "-":
        try:
            key = bytes.fromhex(text[:8] + text[9:13] + text[14:18] + text[19:23] + text[24:])
        except ValueError:
            return uuid.UUID(text).bytes
        if len(key) == _UUID_BYTES:
            return key
    return uuid.UUID(text).bytes


def id_text(collection: int, key: bytes) -> str:
    """The wire id of a key."""
    if collection == Collection.cells:
        return key.decode()
    digits = key.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def seal(keys: Keys, chance: Chance, wrapped: bytes, plain: bytes, label: bytes) -> bytes:
    """`plain` under the data key, bound to `label`."""
    nonce = chance.bytes(_NONCE)
    return nonce + AESGCM(keys.unwrap(wrapped)).encrypt(nonce, plain, label)


def unseal(keys: Keys, wrapped: bytes | None, sealed: bytes, label: bytes) -> bytes:
    """The plain text; raises ``KeyLost`` when the key was dropped or does not fit."""
    if wrapped is None:
        raise KeyLost
    try:
        return AESGCM(keys.unwrap(wrapped)).decrypt(sealed[:_NONCE], sealed[_NONCE:], label)
    except InvalidTag as error:
        raise KeyLost from error


class NewKey:
    """A fresh data key: wrapped for the row, open for the first sealing (saves an unwrap a document)."""

    __slots__ = ("cipher", "wrapped")

    def __init__(self, keys: Keys, chance: Chance) -> None:
        dek = chance.bytes(DEK_BYTES)
        self.wrapped = keys.wrap(dek)
        self.cipher = AESGCM(dek)


def _inner(values: Mapping[str, Any]) -> bytes:
    return _encode(values)[1:-1]


def label_of(collection: int, key: bytes) -> bytes:
    """What sealed content is bound to: a cipher text moved to another row does not open."""
    return bytes([collection]) + key


class _Parts(msgspec.Struct, frozen=True):
    """Which fields are sealed for the wire, which are secret, and all that stay out of the clear part."""

    wire: tuple[str, ...]
    secret: tuple[str, ...]
    apart: frozenset[str]


@functools.cache
def _parts_of(name: str, *, above: bool, by_class: bool) -> _Parts:
    hidden = PERSONAL[name]
    if above:
        hidden |= ABOVE_NORMAL[name]
    if by_class:
        hidden |= BY_CLASS[name]
    secret = SECRET[name] - _OUTSIDE_ROW
    wire = hidden - secret - _OUTSIDE_ROW
    return _Parts(tuple(sorted(wire)), tuple(sorted(secret)), wire | secret | _OUTSIDE_ROW)


class Said(msgspec.Struct, frozen=True):
    """What a phone says, encoded once: for the mark of a duplicate, and for the row if it is kept just so.

    kept: its fields that hold something, but for the envelope; clear, wire: those in the clear and the personal ones,
    as JSON without braces; digest: a hash of both, with the write id the mark of a duplicate.
    """

    kept: dict[str, Any]
    clear: bytes
    wire: bytes
    digest: bytes


@functools.cache
def _apart(name: str) -> tuple[frozenset[str], tuple[str, ...]]:
    return _ENVELOPE | PERSONAL[name], tuple(sorted(PERSONAL[name]))


def said(name: str, values: Mapping[str, Any]) -> Said:
    """`values` hold fields of the phone alone, as ``model.checked`` leaves them."""
    apart, hidden = _apart(name)
    open_ = {field: value for field, value in values.items() if field not in apart and value is not None}
    personal = {field: values[field] for field in hidden if values.get(field) is not None}
    clear, wire = _canonical(open_)[1:-1], _canonical(personal)[1:-1]
    return Said(open_ | personal, clear, wire, hashlib.sha256(b"%b\n%b" % (clear, wire)).digest()[:16])


def _as_said(name: str, said: Said, values: Mapping[str, Any]) -> tuple[bytes, bytes] | None:
    """The clear and the secret part of a document that holds what its phone said and fields of the server.

    None if anything of what was said stands otherwise in it, or has to lie apart.
    """
    kept = said.kept
    if not kept.items() <= values.items():
        return None
    parts = _parts_of(name, above=False, by_class=False)
    more = {field: value for field, value in values.items() if field not in kept and value is not None}
    secret = {field: more.pop(field) for field in parts.secret if field in more}
    if not parts.apart.isdisjoint(more) or b'"id_number"' in said.wire:
        return None
    clear = b",".join(part for part in (said.clear, _inner(more)) if part)
    return clear, _encode(secret) if secret else b""


def split(
    collection: int, values: Mapping[str, Any], klass: int, entry_class: int | None
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Values as (clear, sealed for the wire, sealed and secret); nulls and empty values of server fields stay out."""
    parts = _parts_of(NAMES[collection], above=klass > NORMAL, by_class=bool(entry_class) or klass > NORMAL)
    clear = dict(values)
    apart = {field: clear.pop(field) for field in parts.apart & clear.keys()}
    if None in clear.values():
        clear = {field: value for field, value in clear.items() if value is not None}
    wire = {field: apart[field] for field in parts.wire if apart.get(field) is not None}
    secret = {field: apart[field] for field in parts.secret if apart.get(field) is not None}
    if "parties" in wire:
        wire["parties"], ids = _part_parties(wire["parties"])
        if ids:
            secret["id_numbers"] = ids
    return clear, wire, secret


def _part_parties(parties: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """An identity number never leaves by sync: it is kept apart from its party."""
    ids = {p["id"]: p["id_number"] for p in parties if p.get("id_number") and p.get("id")}
    if not any("id_number" in party for party in parties):
        return parties, ids
    return [{k: v for k, v in party.items() if k != "id_number"} for party in parties], ids


def pack(
    collection: int,
    key: bytes,
    values: Mapping[str, Any],
    klass: int,
    entry_class: int | None,
    *,
    dek: "NewKey | bytes | None",
    keys: Keys,
    chance: Chance,
    said: Said | None = None,
) -> tuple[bytes, bytes | None, bytes]:
    """The columns `clear` and `sealed` of a document with these values, and the sealed part that goes by wire, open.

    `dek` is the wrapped data key, or a new one; it may be None only where nothing needs sealing. `said` is what its
    phone wrote, where these values come from it.
    """
    open_to_all = klass == NORMAL and not entry_class
    ready = _as_said(NAMES[collection], said, values) if said is not None and open_to_all else None
    if said is not None and ready is not None:
        (clear, hidden), inner = ready, said.wire
    else:
        open_, wire, secret = split(collection, values, klass, entry_class)
        clear, inner, hidden = _inner(open_), _inner(wire), _encode(secret) if secret else b""
    if not inner and not hidden:
        return clear, None, b""
    plain = len(inner).to_bytes(4, "big") + inner + hidden
    label = label_of(collection, key)
    if isinstance(dek, NewKey):
        nonce = chance.bytes(_NONCE)
        return clear, nonce + dek.cipher.encrypt(nonce, plain, label), inner
    if dek is None:
        raise KeyLost("Personal values without a data key.")
    return clear, seal(keys, chance, dek, plain, label), inner


def _open(doc: Doc, keys: Keys) -> tuple[bytes, bytes]:
    if doc.sealed is None:
        return b"", b""
    plain = unseal(keys, doc.dek, doc.sealed, label_of(doc.collection, doc.id))
    size = int.from_bytes(plain[:4], "big")
    return plain[4 : 4 + size], plain[4 + size :]


def wire_bytes(doc: Doc, keys: Keys, opened: bytes | None = None) -> bytes:
    """The full projection, ready to send; `opened` is the open part of what is sealed, where somebody has it still."""
    wire = _open(doc, keys)[0] if opened is None else opened
    parts = [part for part in (doc.clear, wire) if part]
    parts.append(b'"v":%d,"_deleted":false' % doc.v)
    return b"{" + b",".join(parts) + b"}"


def wire_values(doc: Doc, keys: Keys) -> dict[str, Any]:
    """The full projection as a dict."""
    values: dict[str, Any] = _decode(wire_bytes(doc, keys))
    return values


def whole(doc: Doc, keys: Keys) -> dict[str, Any]:
    """Everything the row holds, secrets included: what decisions are made from."""
    wire, secret = _open(doc, keys)
    values: dict[str, Any] = _decode(b"{" + b",".join(part for part in (doc.clear, wire) if part) + b"}")
    if secret:
        hidden: dict[str, Any] = _decode(secret)
        ids = hidden.pop("id_numbers", {})
        values.update(hidden)
        for party in values.get("parties") or ():
            if party.get("id") in ids:
                party["id_number"] = ids[party["id"]]
    return values


def tombstone(values: Mapping[str, Any]) -> bytes:
    """An id, `_deleted`, and neutral values of required fields; nothing of the document."""
    return _encode(values)
