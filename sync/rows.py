"""One pushed row, parsed as far as it can be."""

import hashlib
from typing import Any

from msgspec import Struct


class PushRow(Struct, frozen=True):
    """`raw` as it came; `key` of its id, empty when there is none; `doc` and `base` decoded; `fault` why not."""

    raw: bytes
    key: bytes
    doc: dict[str, Any]
    base: dict[str, Any] | None
    fault: str | None

    @property
    def w(self) -> str | None:
        """The write id, if it is one."""
        value = self.doc.get("w")
        return value if isinstance(value, str) and 0 < len(value) <= 100 else None

    @property
    def mark(self) -> str:
        """What makes the same row the same: its write id, else a hash of what came."""
        return self.w or f"h:{hashlib.sha256(self.raw).hexdigest()[:32]}"


def counter_of(w: str | None) -> int | None:
    """The device counter of a write id ``counter:uuid``."""
    head, colon, _ = (w or "").partition(":")
    return int(head) if colon and head.isdigit() else None
