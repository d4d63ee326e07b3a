"""A phone that may only write: it seals what it captures, as ``web/shared/sync/sealed.ts`` does."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from sync.sealed import binding, key_id, to_base64url

if TYPE_CHECKING:
    from server.signing import SealingKeys

SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


class Sealer:
    """The part of a phone that goes on when it is locked: its signing key and the district's public one."""

    def __init__(
        self, district: str, keys: SealingKeys, author: str, device: str, *, number: int = 1
    ) -> None:
        self.district, self.author, self.device = district, author, device
        seed = hashlib.sha256(f"{author}/{device}".encode()).digest()
        self.private = Ed25519PrivateKey.from_private_bytes(seed)
        self.to(keys, number)

    def to(self, keys: SealingKeys, number: int) -> None:
        """Seal to this key of the district from now on."""
        self.key, self.public = keys.id(number), keys.public(number)

    @property
    def sign_key(self) -> str:
        """What the phone tells at hello."""
        return to_base64url(self.private.public_key().public_bytes_raw())

    def statement(self, document: Any, collection: str = "cases", **over: Any) -> dict[str, Any]:
        return {
            "author": self.author,
            "device": self.device,
            "counter": over["counter"] if "counter" in over else int(document["w"].partition(":")[0]),
            "captured_at": 1,
            "collection": collection,
            "document": document,
        } | over

    def seal(self, document: Any, collection: str = "cases", *, signed_by: Any = None, **over: Any) -> bytes:
        """A bundle; `over` changes what is stated, `signed_by` is another key."""
        return self.seal_text(json.dumps(self.statement(document, collection, **over)), signed_by)

    def seal_text(self, said: str, signed_by: Any = None) -> bytes:
        private = signed_by or self.private
        bound = binding(self.district, self.key)
        signature = private.sign(bound + b"\0" + said.encode())
        signer = key_id(private.public_key().public_bytes_raw())
        inner = {"statement": said, "signer": signer, "signature": to_base64url(signature)}
        return self.wrap(json.dumps(inner).encode())

    def wrap(self, plain: bytes) -> bytes:
        bound = binding(self.district, self.key)
        plain += b" " * (-len(plain) % 512)
        sealed = SUITE.encrypt(plain, X25519PublicKey.from_public_bytes(self.public), bound)
        return json.dumps(
            {"wangge_sealed": 1, "district": self.district, "key": self.key, "sealed": to_base64url(sealed)}
        ).encode()
