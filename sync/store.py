"""The store contract: what the sync core needs of a database, and nothing more.

Two implementations pass the same contract suite (``tests/contract``): SQLite and PostgreSQL, both in ``sql_store``.

Rules every implementation keeps:

- a *read* sees one snapshot: head and rows belong together (ST1);
- numbers are taken inside the writing transaction under a lock held to commit, so whoever sees number n sees every
  lower one (ST2);
- a transaction is all or nothing, across a kill at any instant (ST3);
- a savepoint that fails leaves no trace, its neighbours stay (ST4);
- nothing is deleted (ST5): the generic half has no delete.

Rows of the generic half are plain dicts named as in ``tables``; hot paths have methods of their own.
"""

from collections.abc import Callable, Collection as Some, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeAlias, TypeVar

from sync.values import ClassInterval, Doc, Head, Interval, Named

Row: TypeAlias = dict[str, Any]
T = TypeVar("T")


class Reader(Protocol):
    """One snapshot."""

    def head(self) -> Head:
        """The clock row."""

    def find(
        self,
        table: str,
        where: Mapping[str, Any] | None = None,
        *,
        order: Sequence[str] = (),
        limit: int | None = None,
        columns: Sequence[str] = (),
    ) -> list[Row]:
        """Rows of `table` by equality; a list value means one of. Order names may start with ``-``.

        A key may end in ``__gt``, ``__ge``, ``__lt``, ``__le`` or ``__like`` for that comparison.
        """

    def documents(self, collection: int, ids: Sequence[bytes]) -> list[Doc]:
        """Documents of one collection by id, in any order; unknown ids are left out."""

    def documents_by_pk(self, pks: Sequence[int], *, seq_over: int = 0) -> list[Doc]:
        """Documents by key, those that have changed after `seq_over`."""

    def children(
        self, case_pks: Sequence[int], *, collection: int | None = None, seq_over: int = 0
    ) -> list[Doc]:
        """What hangs on these cases, or what of one collection does, changed after `seq_over`, in key order."""

    def tagged(
        self,
        collection: int,
        kind: int,
        tags: Sequence[int],
        *,
        seq_over: int,
        seq_upto: int | None,
        after: tuple[int, int, int] | None,
        limit: int,
        statuses: Some[int] = (),
        others: bool = False,
    ) -> list[Doc]:
        """Documents now in one of `tags` with ``seq_over < seq <= seq_upto``, in order (tag, seq, pk) after `after`.

        With `statuses` (numbers) those that have one of them, or, with `others`, those that have none of them.
        """

    def count_tagged(self, kind: int, tags: Sequence[int], *, but_in: Sequence[int], most: int) -> int:
        """Documents of any collection but cells in one of `tags` and in no cell of `but_in`; `most` ends the count."""

    def recent(
        self,
        collection: int,
        *,
        below: tuple[int, int] | None,
        limit: int,
        place: tuple[int, int] | None = None,
        statuses: Sequence[int] | None = None,
    ) -> list[Doc]:
        """Documents newest first by (seq, pk), from `below` on: of one place (kind, tag), or of the district.

        `statuses` are numbers of statuses; an empty list finds nothing. Without a place only cases may be asked for.
        """

    def left(
        self,
        collection: int,
        kind: int,
        tags: Sequence[int],
        *,
        to_over: int,
        to_upto: int | None,
        after: tuple[int, int, int] | None,
        limit: int,
    ) -> list[Interval]:
        """Places closed in ``to_over < v_to <= to_upto``, in order (tag, v_to, doc_pk) after `after`."""

    def closed_places(self, doc_pks: Sequence[int]) -> list[Interval]:
        """Every place these documents have left."""

    def closed_classes(self, doc_pks: Sequence[int]) -> list[ClassInterval]:
        """Every class these cases have had."""

    def namings(self, *, users: Sequence[int] = (), cases: Sequence[int] = ()) -> list[Named]:
        """Namings and denials of these users, or of these cases."""


class Tx(Reader, Protocol):
    """The writing transaction: sees its own writes."""

    config_raised: bool  # this transaction changed the configuration, which nobody else may see yet

    def number(self) -> int:
        """Raise the clock and return the new number."""

    def raise_config(self) -> None:
        """Tell every process that units, cells, grants, rules or settings changed."""

    def new_epoch(self, epoch: int) -> None:
        """Start a new epoch; only after a restore."""

    def take_pks(self, count: int) -> int:
        """The first of `count` fresh document keys."""

    def advance(self, seq: int, next_pk: int) -> None:
        """Set the clock row to numbers that were counted up from ``head()`` inside this transaction."""

    def insert(self, table: str, rows: Iterable[Row]) -> None:
        """Add rows."""

    def add(self, table: str, row: Row) -> int:
        """Add one row and return its integer key."""

    def put(self, table: str, row: Row) -> None:
        """Add a row, or replace the one with the same primary key."""

    def update(self, table: str, where: Mapping[str, Any], values: Mapping[str, Any]) -> int:
        """Change rows by equality; returns how many."""

    def insert_documents(self, docs: Sequence[Doc]) -> None:
        """Add documents with keys from ``take_pks``."""

    def update_documents(self, docs: Sequence[Doc]) -> None:
        """Replace documents by key."""

    def bump(self, pks: Sequence[int], seq: int) -> None:
        """Give documents a new number and nothing else."""

    def savepoint(self) -> AbstractContextManager[None]:
        """A part that can fail alone."""


class Store(Protocol):
    """One district's database."""

    def read(self) -> AbstractContextManager[Reader]:
        """A snapshot; keep it short and never across an await."""

    def write(self, work: Callable[[Tx], T]) -> T:
        """Run `work` in one transaction and commit it. Raises ``StoreUnavailable`` when the database cannot."""

    def close(self) -> None:
        """Give back every connection."""
