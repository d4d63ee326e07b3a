"""One pushed row, parsed as far as it can be."""

import hashlib
import uuid
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec import Struct

from sync import content
from sync.cases.model import Checked
from sync.content import Said
from sync.values import Collection

_W_MAX = 100
_canonical = msgspec.json.Encoder(order="deterministic").encode


class PushRow(Struct, frozen=True):
    """What can be known of a row before anything is asked of the database.

    `raw` as it came, of a row that cannot be read; `key` of its id, empty when there is none; `doc` and `base` decoded,
    `fault` why not; `w` the write id, if it has one; `checked` the document sorted into what is kept and what is not;
    `said` what the phone owns of it, encoded.
    """

    raw: bytes
    key: bytes
    doc: dict[str, Any]
    base: dict[str, Any] | None
    fault: str | None
    w: str | None
    checked: Checked
    said: Said

    @property
    def digest(self) -> bytes:
        """A hash of what the phone owns: with the write id, the mark of a duplicate."""
        return self.said.digest

    @property
    def mark(self) -> str:
        """What makes the same row the same: its write id and what it says.

        The write id alone does not: a client without our hook sends the one it was given, under words of its own.
        """
        said = self.raw or _canonical(self.doc)
        return f"{self.w or 'h'}#{hashlib.sha256(said).hexdigest()[:32]}"


PARENT_FIELDS: Final = {
    int(Collection.entries): "case_id",
    int(Collection.files): "owner_id",
    int(Collection.visits): "household_id",
}


def named_id(value: Any) -> str | None:
    """An id that a row names, as ids are written here; None for what is none."""
    try:
        key = content.id_bytes(Collection.cases, value) if isinstance(value, str) else None
    except ValueError:
        return None
    return None if key is None else content.id_text(Collection.cases, key)


def parent_id(collection: int, doc: Mapping[str, Any]) -> str | None:
    """The id of what a row says it hangs on: an entry's case, a file's owner, a visit's household."""
    field = PARENT_FIELDS.get(collection)
    return None if field is None else named_id(doc.get(field))


def write_id(doc: Any) -> str | None:
    """The write id of a row, if it is one: it stands in a column of its own, where a NUL could not."""
    value = doc.get("w") if isinstance(doc, dict) else None
    good = isinstance(value, str) and 0 < len(value) <= _W_MAX and value.isascii() and value.isprintable()
    return value if good else None


def counter_of(w: str | None) -> int | None:
    """The device counter of a write id ``counter:uuid``."""
    head, colon, _ = (w or "").partition(":")
    return int(head) if colon and head.isascii() and head.isdigit() else None


def written_at(w: str | None, offset: int | None, now: int) -> int | None:
    """When a phone wrote, estimated (ms): the instant in its write id, a UUIDv7, set right by its clock's offset.

    Never after `now`; None where the write id tells none.
    """
    _, colon, tail = (w or "").partition(":")
    try:
        value = uuid.UUID(tail) if colon else None
    except ValueError:
        return None
    if value is None or value.version != 7:
        return None
    return min((value.int >> 80) + (offset or 0), now)
