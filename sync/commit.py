"""The one door: every write of every writer passes here, and nothing else commits.

A *work* runs in a transaction: it loads facts, lets decisions fill a batch, and has ``write`` put the batch down.
Works of several phones share a transaction (group commit), each in a savepoint of its own; one that fails is tried
once more alone, so that nobody's error becomes a neighbour's.
"""

import hashlib
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import Struct, structs

from sync import content, mergers
from sync.batch import Batch, Item
from sync.config import ConfigCache
from sync.errors import SyncError
from sync.store import Store, Tx
from sync.values import NORMAL, Chance, Collection, Doc, Head, Keys
from sync.visibility import PARENTS

T = TypeVar("T")
_canonical = msgspec.json.Encoder(order="deterministic").encode


def _unheard(_: Exception) -> None:
    """Where nobody listens."""


class Context(Struct, frozen=True):
    """What a commit is done with. `now` is the domain's time, `wall` real time (sessions, devices); both ms, UTC.

    `broke` hears of what failed unexpectedly and was put aside; the core itself tells nobody.
    """

    now: int
    wall: int
    chance: Chance
    keys: Keys
    configs: ConfigCache
    actor: str = "system"  # for the audit record
    broke: Callable[[Exception], None] = _unheard


class Later(Generic[T]):
    """The value of a work that is worked out while the disk takes its transaction in.

    `make` asks the database nothing: the transaction may be over.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self.make = make


Work = Callable[[Tx, Context], T]  # or a Later of it
Meanwhile = Callable[[Callable[[], Any]], Callable[[], Any]]
"""Begins something, and returns what waits for its value or its error."""


def _when_asked(make: Callable[[], T]) -> Callable[[], T]:
    return make


class Outcome(Struct, Generic[T], frozen=True):
    """What a work came to: a value, or the error for its submitter alone; `head` as its commit left it."""

    value: T | None = None
    error: BaseException | None = None
    head: Head | None = None

    def result(self) -> T:
        """The value; raises the error."""
        if self.error is not None:
            raise self.error
        return self.value  # type: ignore[return-value]


def commit(store: Store, work: Work[T], context: Context) -> T:
    """Run one work in a transaction of its own."""
    return _alone(store, work, context, _when_asked).result()


def commit_group(
    store: Store, works: Sequence[tuple[Work[Any], Context]], meanwhile: Meanwhile = _when_asked
) -> list[Outcome[Any]]:
    """Run works in one transaction, a savepoint each; the failed ones again, alone.

    `meanwhile` begins in another thread what may be worked out during the commit.
    """
    if len(works) == 1:
        return [_alone(store, *works[0], meanwhile)]

    def together(tx: Tx) -> list[Outcome[Any]]:
        outcomes: list[Outcome[Any]] = []
        for work, context in works:
            try:
                with tx.savepoint():
                    outcomes.append(Outcome(value=work(tx, context)))
            except SyncError as error:
                outcomes.append(Outcome(error=error))
            except Exception as error:  # noqa: BLE001  # tried again alone; its submitter gets what comes of that
                outcomes.append(Outcome(error=_Again(error)))
        head = tx.head()
        return [_begun(outcome, head, meanwhile) for outcome in outcomes]

    try:
        outcomes = store.write(together)
    except Exception:  # noqa: BLE001  # the shared transaction itself failed: each gets its own
        return [_alone(store, work, context, meanwhile) for work, context in works]
    return [
        _alone(store, *works[place], meanwhile) if isinstance(outcome.error, _Again) else _ended(outcome)
        for place, outcome in enumerate(outcomes)
    ]


class _Again(Exception):  # a mark, not an error anybody sees
    pass


class _Begun(Struct, frozen=True):
    """What is being worked out."""

    wait: Callable[[], Any]


def _begun(outcome: Outcome[Any], head: Head, meanwhile: Meanwhile) -> Outcome[Any]:
    value = outcome.value
    if isinstance(value, Later):
        value = _Begun(meanwhile(value.make))
    return Outcome(value, outcome.error, head)


def _ended(outcome: Outcome[Any]) -> Outcome[Any]:
    if not isinstance(outcome.value, _Begun):
        return outcome
    try:
        return Outcome(outcome.value.wait(), head=outcome.head)
    except Exception as error:  # noqa: BLE001  # handed to the submitter, never swallowed
        return Outcome(error=error, head=outcome.head)


def _alone(store: Store, work: Work[T], context: Context, meanwhile: Meanwhile) -> Outcome[T]:
    def whole(tx: Tx) -> Outcome[Any]:
        return _begun(Outcome(value=work(tx, context)), tx.head(), meanwhile)

    try:
        return _ended(store.write(whole))
    except Exception as error:  # noqa: BLE001  # handed to the submitter, never swallowed
        return Outcome(error=error)


# --- writing a batch -------------------------------------------------------------------------------------------------


def write(tx: Tx, batch: Batch, context: Context, action: str) -> int:
    """Put a batch down; returns the number it took, or the head when there was nothing to write."""
    if batch.empty():
        return batch.head.seq
    mergers.follow(tx, batch, context.configs.get)
    _follow(tx, batch)
    created = [item for item in batch.items.values() if item.created]
    updated = [item for item in batch.items.values() if not item.created and (item.wrote or item.moved)]
    tx.insert_documents([batch.finished(item) for item in created])
    tx.update_documents([batch.finished(item) for item in updated])
    tx.insert("change", batch.changes())
    tx.insert("closed_place", [_row(place) for place in batch.places])
    tx.insert("closed_class", batch.classes)
    tx.insert("naming", batch.opened)
    for ended in batch.closed:
        # A naming that opened at this very number was never seen: it ends where it begins.
        tx.update("naming", {"pk": ended.pk}, {"v_to": batch.n})
    tx.insert("waiting", batch.waiting)
    if batch.linked:
        tx.update("waiting", {"entry_pk": batch.linked}, {"linked": True})
        found = [item.id for item in batch.items.values() if item.doc.pk in batch.linked]
        tx.update(
            "quarantine", {"doc_id": found, "reason": "case_missing", "state": "open"}, {"state": "linked"}
        )
    if batch.arrived:
        tx.update("quarantine", {"pk": batch.arrived}, {"state": "arrived"})
    tx.insert("ledger", batch.ledger)
    tx.insert("quarantine", batch.quarantine)
    for row in batch.completed:
        tx.update("quarantine", {"pk": row["pk"]}, {name: row[name] for name in ("payload", "case_pk")})
    tx.insert("query_code", batch.query_codes)
    _clocks(tx, batch, {item.doc.pk for item in created})
    tx.insert("firing", batch.firings)
    for row in (row for rows in batch.escalations.values() for row in rows.values()):
        if "pk" in row:
            tx.update("escalation", {"pk": row["pk"]}, {key: row[key] for key in row if key != "pk"})
        else:
            tx.insert("escalation", [row])
    for name, value in batch.series.items():
        tx.put("series", {"name": name, "value": value})
    tx.advance(batch.n, batch.next_pk)
    _audit(tx, batch, context, action, [*created, *updated])
    return batch.n


def _clocks(tx: Tx, batch: Batch, fresh: set[int]) -> None:
    tx.insert("case_clocks", [row for pk, row in batch.clocks.items() if pk in fresh])
    for pk, row in batch.clocks.items():
        if pk not in fresh:
            tx.put("case_clocks", row)


def _row(place: Any) -> dict[str, Any]:
    return structs.asdict(place)


def _follow(tx: Tx, batch: Batch) -> None:
    """VI8: children follow their case, visit or household: copied places, class and number, in one transaction."""
    moved = {
        item.doc.pk: item.doc
        for item in batch.items.values()
        if item.moved and not item.created and item.doc.collection in PARENTS
    }
    if not moved:
        return
    in_hand = {item.doc.pk for item in batch.items.values()}
    for item in batch.items.values():
        if item.doc.case_pk in moved and item.doc.gone is None and item.doc.collection != Collection.notices:
            was = item.doc
            item.doc = followed(was, moved[item.doc.case_pk], batch.n)
            item.moved = True
            item.wrote = item.wrote or _sealed_otherwise(was, item.doc)
    children = [
        _resealed(batch, child, followed(child, moved[child.case_pk or 0], batch.n))
        for child in tx.children(sorted(moved))
        if child.gone is None and child.pk not in in_hand and child.collection != Collection.notices
    ]
    tx.update_documents(children)


def _sealed_otherwise(was: Doc, child: Doc) -> bool:
    """Whether the class of the case moved between normal and above it, which decides what of an entry is sealed."""
    return child.collection == Collection.entries and (was.klass > NORMAL) != (child.klass > NORMAL)


def _resealed(batch: Batch, was: Doc, child: Doc) -> Doc:
    if not _sealed_otherwise(was, child):
        return child
    clear, sealed, _ = content.pack(
        child.collection,
        child.id,
        content.whole(was, batch.keys),
        child.klass,
        child.entry_class,
        dek=child.dek,
        keys=batch.keys,
        chance=batch.chance,
    )
    return structs.replace(child, clear=clear, sealed=sealed)


def followed(child: Doc, case: Doc, n: int) -> Doc:
    """The child as it stands after its case, or what else it hangs on, has moved."""
    history = child.history or case.history
    if child.collection == Collection.tasks:
        cell = {} if child.cell is None else {"cell": case.cell, "cell_since": case.cell_since}
        return structs.replace(
            child, seq=n, klass=case.klass, klass_since=case.klass_since, history=history, **cell
        )
    return structs.replace(
        child,
        seq=n,
        cell=case.cell,
        cell_since=case.cell_since,
        duty=case.duty,
        duty_since=case.duty_since,
        person=case.person,
        person_since=case.person_since,
        author=case.author,
        author_since=case.author_since,
        klass=case.klass,
        klass_since=case.klass_since,
        history=history,
    )


def _audit(tx: Tx, batch: Batch, context: Context, action: str, items: Sequence[Item]) -> None:
    touched = [*_ranges(sorted(item.doc.pk for item in items)), *batch.effects]
    audit_row(tx, context, batch.n, action, touched)


def audit_row(tx: Tx, context: Context, n: int, action: str, touched: Sequence[str]) -> None:
    """AU1: one chained record a request, in its transaction; personal values never appear in it."""
    last = tx.find("audit", order=["-pk"], limit=1, columns=["hash"])
    record = {
        "seq": n,
        "at": context.wall,
        "actor": context.actor,
        "action": action,
        "touched": ",".join(touched),
    }
    former = last[0]["hash"] if last else b""
    tx.insert("audit", [record | {"hash": audit_hash(former, record)}])


def audit_hash(former: bytes, record: dict[str, Any]) -> bytes:
    """The chain: a record's hash covers the one before it."""
    return hashlib.sha256(former + _canonical(record)).digest()


def _ranges(pks: Sequence[int]) -> list[str]:
    """Keys as ranges: a batch of a hundred new documents is one word."""
    words: list[str] = []
    start = end = None
    for pk in pks:
        if end is not None and pk == end + 1:
            end = pk
            continue
        if start is not None:
            words.append(str(start) if start == end else f"{start}-{end}")
        start = end = pk
    if start is not None:
        words.append(str(start) if start == end else f"{start}-{end}")
    return words
