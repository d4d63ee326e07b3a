"""修改对照: a person looks at two values of one thing and takes the other, or leaves it as the rule decided (ME9)."""

from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec
from msgspec import Struct

from sync import casework, content, push_others
from sync.acting_work import load_for_act
from sync.batch import Batch, Item
from sync.cases.compare import Refusal, other_value
from sync.commit import Context, Work, audit_row, write
from sync.errors import Conflict, KeyLost, NotFound, Unprocessable
from sync.facts import Facts, load_cases
from sync.merge import merge
from sync.pull import Caller
from sync.store import Reader, Row, Tx
from sync.values import Collection, Doc, Keys, Level

ACTS = ("take", "leave")


class LedgerFixed(Conflict):
    """This thing is not changed any more, or not in this direction."""

    code: ClassVar[str] = "ledger_fixed"


class LedgerGone(Conflict):
    """What the line is about is no longer in the document."""

    code: ClassVar[str] = "ledger_gone"


class LedgerMovedOn(Conflict):
    """Somebody has written another value since; `over: true` overwrites it."""

    code: ClassVar[str] = "ledger_moved_on"


class LedgerInvalid(Conflict):
    """The other value is no longer valid."""

    code: ClassVar[str] = "ledger_invalid"


class LedgerErased(Conflict):
    """The values of the line have been erased."""

    code: ClassVar[str] = "ledger_erased"


class LedgerReviewed(Conflict):
    """Somebody has decided on this line already."""

    code: ClassVar[str] = "ledger_reviewed"


_ERRORS = {
    "fixed": LedgerFixed,
    "gone": LedgerGone,
    "moved_on": LedgerMovedOn,
    "invalid": LedgerInvalid,
}


class Reviewed(Struct, frozen=True):
    """What became of a line: its decision, the document it is of, and the number of the commit."""

    line: int
    decision: str
    collection: str
    doc_id: str
    number: int


def line_values(doc: Doc, keys: Keys, row: Row) -> dict[str, Any]:
    """`base`, `winner` and `loser` of a line; raises ``LedgerErased`` where its key or content has been dropped."""
    body = bytes(row["payload"])
    if not body:
        raise LedgerErased("此条内容已依规删除。")
    if doc.dek is not None:
        try:
            label = content.label_of(doc.collection, doc.id) + b"ledger"
            body = content.unseal(keys, doc.dek, body, label)
        except KeyLost:
            raise LedgerErased("此条内容已依规删除。") from None
    values: dict[str, Any] = msgspec.json.decode(body)
    return values


def line_of(reader: Reader, line: int) -> tuple[Row, Doc]:
    """A line and its document; raises ``NotFound``."""
    rows = reader.find("ledger", {"pk": line}, limit=1)
    docs = reader.documents_by_pk([rows[0]["doc_pk"]]) if rows else []
    if not docs or docs[0].gone is not None:
        raise NotFound
    return rows[0], docs[0]


def review_work(caller: Caller, line: int, act: str, args: Mapping[str, Any]) -> Work[Reviewed]:
    """`take` writes the other value in the caller's name, `leave` says that all is well; both end the line.

    Raises ``NotFound`` where the caller does not see the document in full, ``Unprocessable`` for another act, and what
    the classes above say.
    """

    def work(tx: Tx, context: Context) -> Reviewed:
        row, doc = line_of(tx, line)
        facts = Facts(tx.head(), context.configs.get(tx), context.keys)
        _load(tx, facts, doc, caller.user_pk)
        if facts.level(caller.user_pk, doc) != Level.full:
            raise NotFound
        if act not in ACTS:
            raise Unprocessable("只能采用另一值(take)或维持现状(leave)。", missing=["act"])
        if row["state"] == "reviewed":
            raise LedgerReviewed("此条已有人看过。")
        before = number = facts.head.seq
        if act == "take":
            number = _take(tx, context, facts, caller, row, doc, over=args.get("over") is True)
        decided = {
            "state": "reviewed",
            "decision": act,
            "decided_by": caller.user_pk,
            "decided_at": context.now,
        }
        tx.update("ledger", {"pk": line}, decided)
        if number == before:  # nothing was written but the decision
            audit_row(tx, context, number, f"ledger.{act}", [f"ledger:{line}"])
        identity = content.id_text(doc.collection, doc.id)
        return Reviewed(line, act, content.NAMES[doc.collection], identity, number)

    return work


def _load(tx: Tx, facts: Facts, doc: Doc, user_pk: int) -> None:
    facts.learn([doc])
    above = tx.documents_by_pk([doc.case_pk]) if doc.case_pk is not None else []
    keys = [one.id for one in (doc, *above) if one.collection == Collection.cases]
    if keys:
        load_for_act(tx, facts, keys, user_pk)
        load_cases(tx, facts, [one for one in (doc, *above) if one.pk not in facts.clocks])


def _take(tx: Tx, context: Context, facts: Facts, caller: Caller, row: Row, doc: Doc, *, over: bool) -> int:
    """The other value as an ordinary edit of a person at a desk; returns the number it took."""
    batch = Batch(
        facts.head,
        now=context.now,
        chance=context.chance,
        keys=context.keys,
        actor=caller.user_pk,
        device=caller.device_pk,
    )
    item = batch.take(doc)
    name = content.NAMES[doc.collection]
    values = line_values(doc, context.keys, row)
    wanted = other_value(name, item.values, row["field"], row["rule"], values, over=over)
    if isinstance(wanted, Refusal):
        raise _ERRORS[wanted.code](wanted.zh)
    if not wanted.fields:
        return facts.head.seq  # it stands there already
    _learn_home(tx, facts, wanted.fields.get("household_id"))
    held = {field: item.values.get(field) for field in wanted.fields}
    merged = merge(name, held, wanted.fields, item.values, same_device=lambda _: True)
    if not merged.changed:
        raise LedgerFixed("此项只能单向更改,不能采用另一值。")
    _write(batch, facts, caller, item, {field: merged.values.get(field) for field in merged.changed})
    batch.effects.append(f"ledger:{row['pk']}")
    return write(tx, batch, context, "ledger.take")


def _learn_home(tx: Tx, facts: Facts, household_id: Any) -> None:
    if isinstance(household_id, str):
        key = content.id_bytes(Collection.households, household_id)
        facts.learn(tx.documents(Collection.households, [key]))


def _write(batch: Batch, facts: Facts, caller: Caller, item: Item, fields: dict[str, Any]) -> None:
    w = f"0:{batch.chance.uuid7(batch.now)}"
    batch.set(item, {**fields, "w": w})
    batch.stamp(item, w=w, device=caller.device_pk, digest=None)
    if item.doc.collection == Collection.cases:
        casework.amended(batch, facts, item, frozenset(fields))
    elif item.doc.collection == Collection.visits:
        push_others.follow_home(batch, facts, item)
