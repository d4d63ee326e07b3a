"""Sealed bundles: what a phone captures while it may not read (SE1 to SE4).

A bundle is a JSON object. From outside in:

    {"wangge_sealed": 1, "district": code, "key": id of the district's key, "sealed": base64url}

`sealed` is RFC 9180 HPKE in base mode with X25519, HKDF-SHA256 and AES-256-GCM: 32 bytes of encapsulated key, then the
cipher text; `info` binds version, district and key. It opens to

    {"statement": text, "signer": id of the device's key, "signature": base64url}

filled up with blanks to a multiple of 512 bytes, and the signature (Ed25519) is over the same binding and the text of

    {"author", "device", "counter", "captured_at", "collection", "document"}

where `document` is what an ordinary push has as its `newDocumentState`. Nothing here touches a database.
"""

import base64
import binascii
import hashlib
from collections.abc import Callable
from typing import Any

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from msgspec import Raw, Struct

from sync.push_body import mended
from sync.rows import counter_of, write_id

VERSION = 1
SUITE = "HPKE-X25519-HKDF-SHA256-AES256GCM"
KEY_BYTES = 32
_ID_MAX = 64
_LABEL = b"wangge sealed %d\0%s\0%s"

Opener = Callable[[str, bytes, bytes], bytes | None]
"""(id of a key, sealed bytes, info) → plain text, or None; raises ``LookupError`` for an unknown key."""


class Bundle(Struct, frozen=True):
    """What a bundle says on its outside."""

    wangge_sealed: int
    district: str
    key: str
    sealed: str


_COUNTER_MAX = 2**63 - 1  # what our databases hold; they hold no NUL either


class _Inner(Struct, frozen=True):
    statement: str
    signer: str
    signature: str


class Statement(Struct, frozen=True):
    """What a device says under its signature. `captured_at` is the phone's own clock, ms."""

    author: str
    device: str
    counter: int
    captured_at: int
    collection: str
    document: Raw


class Opened(Struct, frozen=True):
    """A bundle as far as it could be opened without asking who signed it.

    whole: the bundle as it was handed in; fault: why no more is known; message: the bytes under the signature.
    """

    whole: bytes
    fault: str | None = None
    statement: Statement | None = None
    signer: str = ""
    signature: bytes = b""
    message: bytes = b""


_decode_bundle = msgspec.json.Decoder(Bundle).decode
_decode_inner = msgspec.json.Decoder(_Inner).decode
_decode_statement = msgspec.json.Decoder(Statement).decode
_decode = msgspec.json.Decoder().decode


def key_id(public: bytes) -> str:
    """The name of a public key: the beginning of its hash."""
    return hashlib.sha256(public).hexdigest()[:16]


def binding(district: str, key: str) -> bytes:
    """What a bundle is bound to: moved to another district or key it neither opens nor verifies."""
    return _LABEL % (VERSION, district.encode(), key.encode())


def public_key(text: Any) -> bytes | None:
    """A device's public key as a phone tells it, base64url of 32 bytes; None for what is none."""
    found = from_base64url(text) if isinstance(text, str) and len(text) <= _ID_MAX else None
    return found if found is not None and len(found) == KEY_BYTES else None


def from_base64url(text: str) -> bytes | None:
    """The bytes of base64url without padding; None for anything else."""
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None


def to_base64url(value: bytes) -> str:
    """base64url without padding."""
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def open_bundle(whole: bytes, district: str, opener: Opener) -> Opened:
    """SE4: open what was handed in, whatever it is; never raises for it."""
    try:
        bundle = _decode_bundle(whole)
    except (ValueError, RecursionError):
        return Opened(whole, "bundle_malformed")
    if bundle.wangge_sealed != VERSION:
        return Opened(whole, "bundle_version")
    if bundle.district != district:
        return Opened(whole, "bundle_district")
    sealed = from_base64url(bundle.sealed)
    if sealed is None:
        return Opened(whole, "bundle_malformed")
    bound = binding(district, bundle.key)
    try:
        plain = opener(bundle.key, sealed, bound)
    except LookupError:
        return Opened(whole, "bundle_key")
    if plain is None:
        return Opened(whole, "bundle_unopened")
    try:
        inner = _decode_inner(plain)
        signature = from_base64url(inner.signature)
        said = inner.statement.encode()
        statement = _read_statement(said)
    except (ValueError, RecursionError):
        return Opened(whole, "bundle_content")
    named = (inner.signer, statement.author, statement.device, statement.collection)
    if signature is None or not 0 <= statement.counter <= _COUNTER_MAX or any("\0" in one for one in named):
        return Opened(whole, "bundle_content")
    message = bound + b"\0" + said
    return Opened(whole, None, statement, inner.signer, signature, message)


def _read_statement(said: bytes) -> Statement:
    try:
        return _decode_statement(said)
    except msgspec.ValidationError:
        raise
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _decode_statement(mended(said))  # PU1: half a character is no fault of the capture


def is_signed_by(opened: Opened, public: bytes) -> bool:
    """SE3: whether the statement was signed with the private half of `public`."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(opened.signature, opened.message)
    except (InvalidSignature, ValueError):
        return False
    return True


def document_of(statement: Statement) -> dict[str, Any] | None:
    """The document, where it is an object that carries the statement's own counter."""
    try:
        document = _decode(bytes(statement.document))
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, dict) or counter_of(write_id(document)) != statement.counter:
        return None
    return document
