"""The leaders' queue inside a commit: rows of a case, what an act does to them, and when they close."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from sync.batch import Batch, Item
from sync.cases import queue
from sync.cases.catalogue import STATUSES
from sync.cases.escalation import Firing, Plan
from sync.cases.model import instant_of
from sync.cases.queue import Row
from sync.facts import Facts

QUEUE_ACTS = frozenset({"acknowledge", "instruct", "sponsor", "send_back", "extend"})
# What only the holder of a row does: without one there is nothing to answer.
NEED_A_ROW = frozenset({"acknowledge", "send_back", "extend"})
# An emergency is the duty desk's from the first minute, before any row has opened.
_EMERGENCY_DESK = frozenset({"duty_officer", "centre_director"})
# Whoever leads answers the rows of his level and below; the centre's director and the duty desk answer any.
_REACH = {
    "community_leader": 1,
    "street_leader": 2,
    "district_leader": 3,
    "centre_director": 3,
    "duty_officer": 3,
}
_TIMES = frozenset({"promise", "until", "deadline", "due"})


def rows_of(batch: Batch, facts: Facts, case: Item) -> list[Row]:
    """The rows of a case as they stand in this batch, oldest first."""
    rows = {row["id"]: msgspec.json.decode(row["body"], type=Row) for row in facts.queue.get(case.doc.pk, ())}
    for identity, stored in batch.escalations.get(case.doc.pk, {}).items():
        rows[identity] = msgspec.json.decode(stored["body"], type=Row)
    return list(rows.values())


def put(batch: Batch, facts: Facts, case: Item, row: Row) -> None:
    """Write a row of the queue."""
    stored = {
        "id": row.id,
        "case_pk": case.doc.pk,
        "level": row.level,
        "state": row.state,
        "opened_at": row.opened_at,
        "key": row.opened_by,
        "body": msgspec.json.encode(row),
        "closed_at": row.closed_at,
    }
    for former in facts.queue.get(case.doc.pk, ()):
        if former["id"] == row.id:
            stored["pk"] = former["pk"]
    batch.escalations.setdefault(case.doc.pk, {})[row.id] = stored


def open_for(batch: Batch, facts: Facts, case: Item, firing: Firing, plan: Plan) -> Row | None:
    """The row a firing opens, or the open one it reminds of; None where it opens nothing."""
    handler = (case.values.get("handler") or {}).get("unit")
    # The row of a protected case is read by leaders who are shown its facts, and not who has it.
    unit = facts.config.unit_by_code.get(handler) if handler and case.klass == "normal" else None
    row = queue.open_row(
        firing,
        plan,
        rows_of(batch, facts, case),
        row_id=batch.chance.uuid7(batch.now),
        case_id=case.id,
        holder=None if unit is None else unit.name,
        now=batch.now,
    )
    if row is not None:
        put(batch, facts, case, _as_it_stands(row, case))
    return row


def _as_it_stands(row: Row, case: Item) -> Row:
    """A case that came back to the centre is in nobody's hands, though its clock runs on: the row says so."""
    status = str(case.values.get("status"))
    if row.clock != "accept" or status == "dispatched" or not row.reason_zh.startswith("已派"):
        return row
    words = STATUSES[status]
    _, comma, rest = row.reason_zh.partition(",")
    _, _, late = row.reason_en.partition(" and ")
    return msgspec.structs.replace(
        row,
        reason_zh=f"{words.zh}{comma}{rest}",
        reason_en=f"{words.en.capitalize()}, {late or row.reason_en}",
    )


def close_met(batch: Batch, facts: Facts, case: Item, plan: Plan) -> None:
    """Rows whose promise has been kept, or runs no more, end; an instruction on a row is as its clock says."""
    for row in queue.follow(rows_of(batch, facts, case), plan):
        put(batch, facts, case, row)
    for row in queue.settle(rows_of(batch, facts, case), plan, batch.now):
        put(batch, facts, case, row)
    if case.klass != "normal":
        _withhold(batch, facts, case, plan)


def _withhold(batch: Batch, facts: Facts, case: Item, plan: Plan) -> None:
    """A case protected after it had climbed: its rows say no longer who has it."""
    steps = {step.key: step for step in plan.steps}
    for row in rows_of(batch, facts, case):
        if row.closed_at is None and row.opened_by in steps:
            zh, en = queue.reason(plan, steps[row.opened_by], None)
            silent = _as_it_stands(msgspec.structs.replace(row, reason_zh=zh, reason_en=en), case)
            if silent != row:
                put(batch, facts, case, silent)


def reach_of_roles(roles: frozenset[str]) -> int:
    """The highest level whose rows somebody with these roles may answer."""
    return max((_REACH.get(role, 0) for role in roles), default=0)


def answerable(name: str, roles: frozenset[str], levels: Iterable[int], clocks: Iterable[str]) -> bool:
    """Whether an act of the queue has something to answer: `levels` of open rows, `clocks` that run on the case."""
    if name not in NEED_A_ROW or any(level <= reach_of_roles(roles) for level in levels):
        return True
    return name == "acknowledge" and bool(roles & _EMERGENCY_DESK) and "emergency_ack" in clocks


def act_on(
    batch: Batch,
    facts: Facts,
    case: Item,
    name: str,
    args: Mapping[str, Any],
    *,
    by: str,
    roles: frozenset[str],
    plan: Plan | None,
    event: Mapping[str, Any],
    row_id: str | None = None,
) -> tuple[queue.Acted | None, queue.Refused | None]:
    """What a leader's act does to his row and to the clocks, or why it cannot be.

    Without `row_id` it is the highest open row he answers; an extension that names a clock means the row of that
    clock. `event` holds the arguments of what the clocks of the case hear.
    """
    rows, reach = rows_of(batch, facts, case), reach_of_roles(roles)
    his = [row for row in rows if row.closed_at is None and row.level <= reach]
    if row_id is not None:
        his = [row for row in rows if row.id == row_id]
    if name == "extend" and args.get("clock"):
        his = [row for row in his if row.clock == args["clock"]]
    if plan is None or not his:
        running = [] if plan is None else [clock.kind for clock in plan.clocks if clock.state == "running"]
        return None, None if answerable(name, roles, (), running) else queue.NO_ROW
    if name == "send_back" and reach < int(case.values.get("level") or 0):
        return None, queue.HELD_ABOVE
    row = max(his, key=lambda one: (one.level, one.opened_at))
    acted = _decide(row, name, _with_instants(args), by, plan, batch.now, event)
    if isinstance(acted, queue.Refused):
        return None, acted
    put(batch, facts, case, acted.row)
    if name == "send_back":
        for other in queue.taken_down(rows, acted.row, batch.now):
            put(batch, facts, case, other)
    return acted, None


def _with_instants(args: Mapping[str, Any]) -> dict[str, Any]:
    """Times as the lifecycle takes them: milliseconds, or text."""
    return {
        name: instant_of(value) if name in _TIMES and isinstance(value, str) else value
        for name, value in args.items()
    }


def _decide(
    row: Row, name: str, args: Mapping[str, Any], by: str, plan: Plan, now: int, event: Mapping[str, Any]
) -> queue.Acted | queue.Refused:
    match name:
        case "acknowledge":
            return queue.acknowledge(row, by, now, args.get("promise"))
        case "sponsor":
            return queue.sponsor(row, by, now, int(args.get("until") or 0))
        case "send_back":
            return queue.send_back(
                row,
                by,
                now,
                level=int(args.get("level") or 0),
                deadline=int(args.get("deadline") or 0),
                what=str(args.get("text") or ""),
            )
        case "extend":
            return queue.extend(
                row,
                plan,
                by,
                now,
                days=int(args.get("days") or 0),
                reason_text=str(args.get("reason") or ""),
                consent=args.get("consent") is True,
            )
        case _:
            return queue.instruct(
                row,
                by,
                now,
                instruction_id=str(event.get("id")),
                unit=str(event.get("unit") or ""),
                due=event.get("due"),
                text=str(args.get("text") or args.get("voice_file") or ""),
            )
