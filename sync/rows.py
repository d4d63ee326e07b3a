"""One pushed row, parsed as far as it can be."""

import hashlib
from typing import Any

import msgspec
from msgspec import Struct

_canonical = msgspec.json.Encoder(order="deterministic").encode


class PushRow(Struct, frozen=True):
    """`raw` as it came; `key` of its id, empty when there is none; `doc` and `base` decoded; `fault` why not."""

    raw: bytes
    key: bytes
    doc: dict[str, Any]
    base: dict[str, Any] | None
    fault: str | None

    @property
    def w(self) -> str | None:
        """The write id, if it is one: it stands in a column of its own, where a NUL could not."""
        value = self.doc.get("w")
        good = isinstance(value, str) and 0 < len(value) <= 100 and value.isascii() and value.isprintable()
        return value if good else None

    @property
    def mark(self) -> str:
        """What makes the same row the same: its write id and what it says.

        The write id alone does not: a client without our hook sends the one it was given, under words of its own.
        """
        said = self.raw if self.fault is not None else _canonical(self.doc)
        return f"{self.w or 'h'}#{hashlib.sha256(said).hexdigest()[:32]}"


def counter_of(w: str | None) -> int | None:
    """The device counter of a write id ``counter:uuid``."""
    head, colon, _ = (w or "").partition(":")
    return int(head) if colon and head.isascii() and head.isdigit() else None
