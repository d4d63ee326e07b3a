"""Values that travel between the parts of ``sync``: a document with its places, a person's holdings, one commit.

All are frozen; a changed document is a new value. Clock numbers are integers of the district's logical clock, an
interval is half-open ``[v_from, v_to)`` and an open end is ``None`` (in rows) or ``FOREVER`` (in arithmetic).
"""

from enum import IntEnum, StrEnum
from typing import Protocol

from msgspec import Struct

FOREVER = 1 << 62


class Collection(IntEnum):
    """The eight collections, by the number they have in rows."""

    cases = 0
    entries = 1
    visits = 2
    households = 3
    tasks = 4
    files = 5
    notices = 6
    cells = 7


class Place(IntEnum):
    """Kinds of places a document can be in; `duty` is a handling unit, `person` a handling user."""

    cell = 0
    duty = 1
    person = 2
    author = 3


class Reach(StrEnum):
    """What a role brings to a document in a place the role holds."""

    worker = "worker"
    lead = "lead"
    centre = "centre"
    handler = "handler"
    manager = "manager"
    author = "author"


class Level(IntEnum):
    """How much of a document somebody sees; the order is the order of 'more'."""

    none = 0
    shell = 1
    plain = 2
    full = 3


NORMAL, RESTRICTED, SEALED = 0, 1, 2
CLASSES = ("normal", "restricted", "sealed")
ENTRY_CLASSES = ("o", "c", "s")


class Doc(Struct, frozen=True, gc=False):
    """One document as the store keeps it. Field order is the column order of ``tables.Document``.

    Rows hold nothing that could point back at them, so the collector need not look at them (`gc`).
    """

    pk: int
    collection: int
    id: bytes
    seq: int
    born: int
    gone: int | None
    v: int
    cell: int | None
    cell_since: int | None
    duty: int | None
    duty_since: int | None
    person: int | None
    person_since: int | None
    author: int | None
    author_since: int | None
    klass: int
    klass_since: int
    writer: int | None
    entry_class: int | None
    case_pk: int | None
    link: int | None
    own_since: int | None
    history: bool
    w: str | None
    device: int | None
    digest: bytes | None
    status: int | None
    code: str | None
    dek: bytes | None
    clear: bytes
    sealed: bytes | None


class Interval(Struct, frozen=True, gc=False):
    """A closed place of a document."""

    doc_pk: int
    collection: int
    kind: int
    tag: int
    v_from: int
    v_to: int


class ClassInterval(Struct, frozen=True, gc=False):
    """A protection class a case had."""

    doc_pk: int
    klass: int
    v_from: int
    v_to: int


class Named(Struct, frozen=True, gc=False):
    """Somebody named for a case, or recused from it."""

    pk: int
    user_pk: int
    case_pk: int
    denied: bool
    v_from: int
    v_to: int | None


class Hold(Struct, frozen=True):
    """A tag somebody holds over an interval, with the role that brings it."""

    kind: int
    tag: int
    v_from: int
    v_to: int
    reach: Reach
    role: str


class Head(Struct, frozen=True):
    """The clock row as a snapshot sees it."""

    seq: int
    next_pk: int
    epoch: int
    config: int


class Chance(Protocol):
    """Everything that is drawn: ids, keys, samples."""

    def uuid7(self, at: int) -> str:
        """A new UUIDv7 for the instant `at` (ms)."""

    def bytes(self, count: int) -> bytes:
        """`count` random bytes fit for keys."""

    def percent(self) -> int:
        """A number from 0 to 99."""


class Keys(Protocol):
    """The district's key: wraps data keys, makes keyed digests of personal values."""

    def wrap(self, dek: bytes) -> bytes:
        """The data key under the district key."""

    def unwrap(self, wrapped: bytes) -> bytes:
        """The data key; raises ``KeyLost`` when it cannot be opened."""

    def digest(self, value: bytes) -> bytes:
        """A keyed digest that says nothing without the key."""
