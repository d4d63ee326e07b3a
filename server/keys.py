"""Secrets and chance: the key of each district, the key that signs tokens, and the machine's randomness.

A key is 32 random bytes, written once as hexadecimal into a file of mode 0600. What wraps and what digests are
derived from it apart, so that a digest never tells anything about a wrapped key.
"""

import hashlib
import hmac
import io
import os
import secrets
import threading
import uuid
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from server.signing import ReceiptKey, SealingKeys
from sync.errors import KeyLost

_KEY_BYTES = 32
_DIGEST_BYTES = 16
_COUNTER_MAX = 0xFFF
_STEP_BACK_MS = 10_000  # a clock that steps back by less than this must not reorder new ids


class KeyFileError(Exception):
    """A key file is missing, cannot be read, or does not hold a key."""


def create_key_file(path: Path) -> None:
    """Write a new random key to `path`, readable by its owner only; raises ``KeyFileError`` if one is there."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise KeyFileError(f"The key file {path} exists already; it is never overwritten.") from error
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(secrets.token_bytes(_KEY_BYTES).hex() + "\n")
        file.flush()
        os.fsync(file.fileno())


def read_key_file(path: Path) -> bytes:
    """The 32 bytes in `path`; raises ``KeyFileError``."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise KeyFileError(f"The key file {path} cannot be read: {error}") from error
    return read_key(content, path)


def read_key(content: bytes, path: Path) -> bytes:
    """The 32 bytes that the content of the key file `path` stands for; raises ``KeyFileError``."""
    try:
        key = bytes.fromhex(content.decode("ascii").strip())
    except ValueError as error:
        raise KeyFileError(f"The key file {path} cannot be read: {error}") from error
    if len(key) != _KEY_BYTES:
        raise KeyFileError(f"The key file {path} does not hold {_KEY_BYTES} bytes.")
    return key


def fingerprint(key_file: bytes) -> str:
    """Tells two key files apart and says nothing about the key; "" for what is no key."""
    try:
        key = read_key(key_file, Path())
    except KeyFileError:
        return ""
    return _derive(key, b"wangge fingerprint 1")[:_DIGEST_BYTES].hex()


def _derive(key: bytes, purpose: bytes) -> bytes:
    return HKDF(algorithm=hashes.SHA256(), length=_KEY_BYTES, salt=None, info=purpose).derive(key)


class DistrictKeys:
    """The key of one district; see ``sync.values.Keys``."""

    def __init__(self, key: bytes) -> None:
        self._wrapping = _derive(key, b"wangge wrap 1")
        self._digesting = _derive(key, b"wangge digest 1")
        self.sealing = SealingKeys(_derive(key, b"wangge seal 1"))
        self.receipts = ReceiptKey(_derive(key, b"wangge receipt 1"))

    @classmethod
    def of(cls, folder: Path, district: str) -> "DistrictKeys":
        """The keys of `district` from the folder of keys; raises ``KeyFileError``."""
        return cls(read_key_file(folder / f"{district}.key"))

    def wrap(self, dek: bytes) -> bytes:
        """The data key under the district key (RFC 3394)."""
        return aes_key_wrap(self._wrapping, dek)

    def unwrap(self, wrapped: bytes) -> bytes:
        """The data key; raises ``KeyLost`` when it was wrapped by another key or altered."""
        try:
            return aes_key_unwrap(self._wrapping, wrapped)
        except (InvalidUnwrap, ValueError) as error:
            raise KeyLost from error

    def digest(self, value: bytes) -> bytes:
        """16 bytes that say nothing about `value` without the key."""
        return hmac.digest(self._digesting, value, "sha256")[:_DIGEST_BYTES]


class TokenKey:
    """Signs access tokens, and derives refresh secrets."""

    def __init__(self, key: bytes) -> None:
        self.private: Ed25519PrivateKey = Ed25519PrivateKey.from_private_bytes(
            _derive(key, b"wangge token 1")
        )
        self.public: Ed25519PublicKey = self.private.public_key()
        self.kid: str = hashlib.sha256(self.public.public_bytes_raw()).hexdigest()[:16]
        self._chain = _derive(key, b"wangge refresh 1")
        self._marking = _derive(key, b"wangge refresh mark 1")

    @classmethod
    def of(cls, folder: Path) -> "TokenKey":
        """The signing key from the folder of keys; raises ``KeyFileError``."""
        return cls(read_key_file(folder / "token.key"))

    def next_secret(self, session: str, secret: bytes) -> bytes:
        """The refresh secret that follows `secret`: the same each time, so that a lost reply can be repeated."""
        return hmac.digest(self._chain, session.encode() + b"\0" + secret, "sha256")

    def mark(self, session: str, secret: bytes) -> bytes:
        """Proves that a refresh secret was made here, so that a guess ends nobody's session."""
        return hmac.digest(self._marking, session.encode() + b"\0" + secret, "sha256")[:_DIGEST_BYTES]


_POOL_BYTES = 4096


class SystemChance:
    """See ``sync.values.Chance``; ids made in one process never go backwards."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = -1
        self._count = 0
        # Asking the system twice a document cost a tenth of a push: each thread asks for more at once, and no byte is
        # given out twice.
        self._pool = threading.local()

    def uuid7(self, at: int) -> str:
        """A new UUIDv7 for `at` (ms since 1970): later calls sort later while the clock runs normally."""
        with self._lock:
            if self._last - _STEP_BACK_MS < at <= self._last:
                self._count += 1
                if self._count > _COUNTER_MAX:
                    self._last += 1
                    self._count = 0
            else:
                self._last = at
                self._count = secrets.randbelow(0x400)
            at, count = self._last, self._count
        value = (at & 0xFFFF_FFFF_FFFF) << 80 | 0x7 << 76 | count << 64 | 0b10 << 62 | secrets.randbits(62)
        return str(uuid.UUID(int=value))

    def bytes(self, count: int) -> bytes:
        """`count` random bytes fit for keys."""
        pool = self._pool
        try:
            found: bytes = pool.read(count)
        except AttributeError:  # the first call in this thread
            found = b""
        if len(found) < count:
            if count > _POOL_BYTES:
                return secrets.token_bytes(count)
            pool.read = io.BytesIO(secrets.token_bytes(_POOL_BYTES)).read
            found = pool.read(count)
        return found

    def percent(self) -> int:
        """A number from 0 to 99."""
        return secrets.randbelow(100)
