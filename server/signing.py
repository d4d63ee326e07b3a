"""What a district opens and signs for the outside: bundles sealed to its public key, and receipts.

Both keys are derived from the district's own, so a backup of that key file is a backup of these. Bundles are sealed as
RFC 9180 says (HPKE in base mode, one shot), with the suite that ``sync/sealed.py`` names.
"""

from functools import cached_property

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from sync.sealed import key_id

_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
# A restore may bring back a number from before a rotation; phones have gone on sealing to the newer keys.
_AHEAD = 16


class SealingKeys:
    """The key pairs to which phones seal, numbered from 1; a rotation counts one up, and none is ever forgotten."""

    def __init__(self, root: bytes) -> None:
        self._root = root
        self._pairs: dict[int, X25519PrivateKey] = {}
        self._ids: dict[int, str] = {}

    def _pair(self, number: int) -> X25519PrivateKey:
        if number not in self._pairs:
            info = b"wangge seal %d" % number
            private = HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=info).derive(self._root)
            self._pairs[number] = X25519PrivateKey.from_private_bytes(private)
        return self._pairs[number]

    def public(self, number: int) -> bytes:
        """The public key of that number: 32 bytes."""
        return self._pair(number).public_key().public_bytes_raw()

    def id(self, number: int) -> str:
        """The name of the key of that number."""
        if number not in self._ids:
            self._ids[number] = key_id(self.public(number))
        return self._ids[number]

    def open(self, identity: str, sealed: bytes, info: bytes, *, newest: int) -> bytes | None:
        """The plain text of what was sealed to the key called `identity`; None where it cannot be opened.

        Raises ``LookupError`` for a key that is none of this district.
        """
        for number in range(newest + _AHEAD, 0, -1):
            if self.id(number) == identity:
                try:
                    return _SUITE.decrypt(sealed, self._pair(number), info)
                except (InvalidTag, ValueError):
                    return None
        raise LookupError(identity)


class ReceiptKey:
    """Signs receipts."""

    def __init__(self, seed: bytes) -> None:
        self._seed = seed

    @cached_property
    def _private(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self._seed)

    @cached_property
    def public(self) -> bytes:
        """The public key: 32 bytes."""
        return self._private.public_key().public_bytes_raw()

    @cached_property
    def id(self) -> str:
        """The name of the key."""
        return key_id(self.public)

    def sign(self, message: bytes) -> bytes:
        """An Ed25519 signature."""
        return self._private.sign(message)
