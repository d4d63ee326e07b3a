"""Receipts signed and checked (RE1, RE3)."""

from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from server.signing import ReceiptKey
from sync.errors import BadRequest
from sync.receipts import LABEL, Receipt, Write, encoded, read, vouched
from sync.sealed import from_base64url, to_base64url
from sync.store import Reader


def signed(key: ReceiptKey, made: Receipt) -> dict[str, str]:
    """The receipt as it travels: its text, the signature over it, and which key signed."""
    text = encoded(made)
    return {"receipt": text, "key": key.id, "signature": to_base64url(key.sign(LABEL + text.encode()))}


def checked(told: Any, public: bytes) -> Receipt:
    """RE3: the receipt, if `public` has signed it; raises ``BadRequest`` otherwise."""
    if not isinstance(told, dict) or not isinstance(told.get("receipt"), str):
        raise BadRequest("This is no receipt.")
    message = LABEL + told["receipt"].encode("utf-8", "surrogatepass")
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(_signature_in(told), message)
        return read(told["receipt"])
    except (InvalidSignature, ValueError) as error:  # a key of the wrong length is a ValueError too
        raise BadRequest("This receipt was not signed with this key.") from error


def _signature_in(told: dict[str, Any]) -> bytes:
    return from_base64url(str(told.get("signature", ""))) or b""


def standing(reader: Reader, made: Receipt) -> dict[str, Any]:
    """RE4: what this history says of a genuine receipt: which of its writes are not here, and since what restore."""
    users = reader.find("account", {"id": made.author}, limit=1, columns=["pk"])
    devices = reader.find("device", {"id": made.device, "user_pk": users[0]["pk"]}) if users else []
    writes = [Write(line.collection, line.id, line.w) for line in made.writes]
    here = {
        (line.collection, line.id, line.w) for row in devices for line in vouched(reader, row["pk"], writes)
    }
    later = reader.find("epoch", {"epoch__gt": made.epoch})
    return {
        "epoch": reader.head().epoch,
        "restored_to": min((row["restored_to"] for row in later), default=None),
        "missing": [line.w for line in made.writes if (line.collection, line.id, line.w) not in here],
    }
