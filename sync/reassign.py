"""Mass re-assignment: many documents get another place, a piece at a time, while the district goes on working.

A re-assignment is a row that says what is to move and how far it has come. Each piece is a transaction of its own: it
goes on where the row stands, moves what has to move, and writes down how far it is now; so a server that dies takes up
the work where it was, and pushes get their turn between two pieces (MA1, MA2 of ``PROTOCOL.md``). What a document is
to become is decided from the district as it is now (``sync/reassign_rules.py``), so a document that is met twice moves
once.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct

from sync import reassign_rules as rules
from sync.administration import account_of, new_batch, recuse_where_gained, settle_unit_cells
from sync.commit import Context, Work, audit_row, write
from sync.errors import Conflict, Unprocessable
from sync.facts import Facts, load_cases
from sync.store import Reader, Row, Tx
from sync.values import Collection

ROWS = 500  # documents decided in a piece, at most
STEP = 50  # documents decided and written together; after each the budget is asked
_WINDOW = 1000  # keys looked at together
_WINDOWS = 20  # in one piece: a stretch with nothing to move must not hold pushes up either
RUNNING, DONE, REPLACED = "running", "done", "replaced"
_COLUMNS: Final = ("pk", "collection", "cell", "duty", "person", "author", "author_since", "status")


def _without_a_clock() -> Callable[[], bool]:
    return lambda: False


class Budget(Struct, frozen=True):
    """What a piece may cost: so many documents, or until its time is over, whichever comes first.

    `begin` is called when the piece begins, and what it returns is asked after every step: has its time been spent?
    Whoever has a clock gives one that looks at it.
    """

    rows: int = ROWS
    begin: Callable[[], Callable[[], bool]] = _without_a_clock


class Piece(Struct, frozen=True):
    """What one piece did. `pk` is the re-assignment's key, None when none is under way; `done`: that one is over."""

    pk: int | None
    looked_at: int = 0
    moved: int = 0
    done: bool = True


# --- beginning -------------------------------------------------------------------------------------------------------


def begin(
    tx: Tx,
    context: Context,
    kind: str,
    *,
    source: int | None = None,
    target: int | None = None,
    plan: dict[str, int] | None = None,
) -> int:
    """Write down that documents are to be re-assigned; whoever ticks goes on with it. Returns the row's key.

    `source` and `target` are keys of units or accounts; `plan` says which cell takes over from which (as text). Of an
    edition, `target` is its number, and `source` the re-assignment after which all others of editions are undone.
    """
    if kind == rules.EDITION:
        # The newer edition looks at everything: an older one would go by who took over in its own time.
        over = {"state": REPLACED, "ended_at": context.now}
        tx.update("reassignment", {"kind": kind, "state": RUNNING}, over)
    return tx.add(
        "reassignment",
        {
            "kind": kind,
            "source": source,
            "target": target,
            "plan": msgspec.json.encode(plan or {}).decode(),
            "asked_at": context.now,
            "actor": context.actor,
            "state": RUNNING,
            "after": 0,
            "upto": tx.head().next_pk - 1,
            "moved": 0,
            "ended_at": None,
        },
    )


def hand_over_unit(source: str, target: str) -> Work[int]:
    """All cells of one unit go to another at one number, and what it handles follows; value: the row's key.

    The other unit has them in later editions too, until the first is given an area again. Raises ``Unprocessable``.
    """

    def work(tx: Tx, context: Context) -> int:
        units = {row["code"]: row for row in tx.find("unit")}
        if source == target or source not in units or target not in units:
            raise Unprocessable("要写明两个不同的、已登记的单位。")
        if units[target]["successor"] is not None:
            raise Conflict(f"单位 {target} 自己已经移交,不能接收。")
        batch = new_batch(tx, context)
        tx.update("unit", {"code": source}, {"successor": target})
        gained = settle_unit_cells(tx, batch.n)
        tx.raise_config()
        recuse_where_gained(tx, context, batch, gained)
        return _asked(tx, context, batch, "unit", units[source]["pk"], units[target]["pk"])

    return work


def hand_over_worker(source: str, target: str) -> Work[int]:
    """What one person has in hand goes to another; value: the row's key. Raises ``NotFound``, ``Unprocessable``."""

    def work(tx: Tx, context: Context) -> int:
        leaver, follower = account_of(tx, source), account_of(tx, target)
        if leaver["pk"] == follower["pk"]:
            raise Unprocessable("要写明两个不同的人。")
        if follower["state"] != "active" or not context.configs.get(tx).may_have_cases(follower["pk"]):
            raise Unprocessable(f"{target} 现在没有可以承办事项的职务。")
        return _asked(tx, context, new_batch(tx, context), "worker", leaver["pk"], follower["pk"])

    return work


def _asked(tx: Tx, context: Context, batch: Any, kind: str, source: int, target: int) -> int:
    pk = begin(tx, context, kind, source=source, target=target)
    batch.effects += [f"reassignment:{pk}", f"{kind}:{source}>{target}"]
    if batch.empty():
        audit_row(tx, context, tx.number(), f"reassign.{kind}", batch.effects)
    else:
        write(tx, batch, context, f"reassign.{kind}")
    return pk


# --- going on --------------------------------------------------------------------------------------------------------


def reassign_work(budget: Budget) -> Work[Piece]:
    """The next piece of the oldest re-assignment under way."""

    def work(tx: Tx, context: Context) -> Piece:
        rows = tx.find("reassignment", {"state": RUNNING}, order=["pk"], limit=1)
        return _piece(tx, context, rows[0], budget) if rows else Piece(None)

    return work


def _piece(tx: Tx, context: Context, row: Row, budget: Budget) -> Piece:
    task, config = rules.Task.of(row), context.configs.get(tx)
    after, planned = int(row["after"]), int(row["upto"])
    # What was written meanwhile to a home that had not moved yet came into the cell of the past with it.
    upto = max(planned, tx.head().next_pk - 1) if task.kind == rules.EDITION else planned
    looked = moved = windows = 0
    is_spent, spent = budget.begin(), False
    while after < upto and looked < budget.rows and windows < _WINDOWS and not spent:
        windows += 1
        last = min(after + _WINDOW, upto)
        found = tx.find(
            "document",
            {"pk__gt": after, "pk__le": last, "collection": list(rules.MOVED), "gone": None},
            order=["pk"],
            columns=_COLUMNS,
        )
        undone = _undone(tx, task, after, last)
        wanted = [
            line["pk"]
            for line in found
            if (rules.concerns(task, config, line) or line["pk"] in undone)
            and (line["pk"] <= planned or rules.has_vanished(config, line["cell"]))
        ]
        after = last
        for start in range(0, len(wanted), STEP):
            step = wanted[start : start + min(STEP, budget.rows - looked)]
            moved += _step(tx, context, row["pk"], task, step, undone)
            looked += len(step)
            spent = is_spent()
            rest = wanted[start + len(step) :]
            if rest and (spent or looked >= budget.rows):
                after = step[-1]
                break
        spent = spent or is_spent()
    done = after >= upto
    changes = {
        "after": after,
        "upto": max(planned, after),
        "moved": row["moved"] + moved,
        "state": DONE if done else RUNNING,
    }
    tx.update("reassignment", {"pk": row["pk"]}, changes | {"ended_at": context.now if done else None})
    if done:
        audit_row(tx, context, tx.number(), "reassign.done", [f"reassignment:{row['pk']}"])
    return Piece(row["pk"], looked, moved, done)


def _undone(tx: Tx, task: rules.Task, over: int, upto: int) -> dict[int, list[tuple[int | None, int | None]]]:
    """MA5: how the documents of a window were moved by the editions that are undone, the latest move first."""
    found: dict[int, list[tuple[int | None, int | None]]] = {}
    if task.kind == rules.EDITION and task.undo_over is not None:
        where = {"doc_pk__gt": over, "doc_pk__le": upto, "reassignment__gt": task.undo_over}
        for line in tx.find("moved", where, order=["-pk"]):
            found.setdefault(line["doc_pk"], []).append((line["source"], line["target"]))
    return found


def _step(
    tx: Tx,
    context: Context,
    number: int,
    task: rules.Task,
    pks: Sequence[int],
    undone: Mapping[int, Sequence[tuple[int | None, int | None]]],
) -> int:
    facts = Facts(tx.head(), context.configs.get(tx), context.keys)
    docs = tx.documents_by_pk(pks)
    if task.kind == rules.EDITION:
        stay = rules.learn_places(tx, facts, docs) - undone.keys()
        docs = [doc for doc in docs if doc.pk not in stay]
    facts.learn(docs)
    load_cases(tx, facts, docs)
    homes = rules.homes_of(docs, facts)
    if homes:
        facts.learn(tx.documents(Collection.households, sorted(homes)))
    if not docs:
        return 0
    batch = new_batch(tx, context)
    moved: list[Row] = []
    count = 0
    for doc in sorted(docs, key=lambda doc: doc.pk):
        back = rules.back_from(doc.cell, undone.get(doc.pk, ()))
        if not rules.reassign(batch, facts, task, doc, back=back):
            continue
        count += 1
        cell = batch.take(doc).doc.cell
        if task.kind == rules.EDITION and cell != doc.cell:
            moved.append({"reassignment": number, "doc_pk": doc.pk, "source": doc.cell, "target": cell})
    tx.insert("moved", moved)
    write(tx, batch, context, f"reassign:{task.kind}")
    return count


# --- looking ---------------------------------------------------------------------------------------------------------


def is_under_way(reader: Reader) -> bool:
    """Whether anything is to be re-assigned still."""
    return bool(reader.find("reassignment", {"state": RUNNING}, limit=1, columns=["pk"]))


def progress(reader: Reader, limit: int = 50) -> list[dict[str, Any]]:
    """The newest re-assignments: what, how far (`looked_at` of `total` keys), how many moved; no document by name."""
    units = {row["pk"]: row["code"] for row in reader.find("unit", columns=["pk", "code"])}
    people = {row["pk"]: row["username"] for row in reader.find("account", columns=["pk", "username"])}
    names = {"unit": units, "worker": people}
    return [
        {
            "number": row["pk"],
            "kind": row["kind"],
            "generation": row["target"] if row["kind"] == rules.EDITION else None,
            "from": names.get(row["kind"], {}).get(row["source"]),
            "to": names.get(row["kind"], {}).get(row["target"]),
            "state": row["state"],
            "looked_at": row["after"],
            "total": row["upto"],
            "moved": row["moved"],
            "asked_at": row["asked_at"],
            "ended_at": row["ended_at"],
        }
        for row in reader.find("reassignment", order=["-pk"], limit=limit)
    ]
