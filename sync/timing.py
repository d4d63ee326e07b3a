"""The clocks of a case inside a commit: what happened goes into its one row, what is due comes out on the document."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from sync import leaders
from sync.batch import Batch, Item
from sync.cases import escalation
from sync.cases.acting import protective
from sync.cases.catalogue import OPEN_STATUSES
from sync.cases.clocks import CaseFacts, Event
from sync.cases.escalation import Ack, Firing, Plan, State
from sync.facts import Facts
from sync.reach import reach_of
from sync.recusal import denied, named
from sync.values import Level

_DUE_STATES = frozenset({"running", "paused"})


def case_facts(values: Mapping[str, Any]) -> CaseFacts:
    """What rules may ask about a case as it stands."""
    risk = values.get("risk") or {}
    status = values.get("status") or "submitted"
    return CaseFacts(
        kind=values.get("kind") or "",
        category=values.get("category") or "",
        risk=risk.get("colour"),
        urgency=values.get("urgency") or "normal",
        complexity=values.get("complexity"),
        protection=values.get("protection") or "normal",
        status=status,
        level=values.get("level") or 0,
        open=status in OPEN_STATUSES,
        protective=protective(values),
    )


def state_of(batch: Batch, facts: Facts, case: Item) -> State:
    """The clocks of the case, with what this batch has already added."""
    row = batch.clocks.get(case.doc.pk)
    raw = row["state"] if row is not None else facts.clocks.get(case.doc.pk)
    return State() if raw is None else escalation.load(raw)


def plan_of(facts: Facts, values: Mapping[str, Any], state: State) -> Plan | None:
    """The plan of the case under the active rules; None before a district has rules."""
    rules = facts.config.ruleset
    if rules is None:
        return None
    return escalation.plan(state.events, case_facts(values), rules, facts.config.calendars)


def happened(
    batch: Batch,
    facts: Facts,
    case: Item,
    events: Iterable[tuple[str, Mapping[str, Any]]],
    *,
    before: Mapping[str, Any] | None = None,
    ack: Ack | None = None,
) -> None:
    """Record events on the case's clocks and plan again.

    What was due before them fires first: a clock that is met now must not hide a rung that had come. `before` is the
    case as it stood until now.
    """
    state = state_of(batch, facts, case)
    if not case.created:
        state = fire_due(batch, facts, case, state, values=before)
    for kind, args in events:
        state = escalation.record(state, Event(kind, batch.now, dict(args)))
    rules = facts.config.ruleset
    if ack is not None and rules is not None:
        state = escalation.acknowledge(state, ack, rules)
    keep(batch, facts, case, state)


def opened(
    batch: Batch, facts: Facts, case: Item, args: Mapping[str, Any], *, alike: int | None = None
) -> None:
    """The first event of a new case; cases that look alike to the rules are planned once.

    `alike` is the same for cases of which the caller knows already that they do.
    """
    memo: Any = alike
    if memo is None:
        memo = (case_facts(case.values), tuple(sorted(args.items())))
    if memo not in facts.plans:
        state = State((Event("case.received", batch.now, dict(args)),))
        planned = plan_of(facts, case.values, state)
        due = [] if planned is None else due_of(planned)
        next_due = None if planned is None else escalation.next_due(planned, state)
        facts.plans[memo] = (escalation.dump(state), next_due, due)
    raw, next_due, due = facts.plans[memo]
    batch.clocks[case.doc.pk] = {"case_pk": case.doc.pk, "next_due": next_due, "state": raw}
    if due:
        case.values["due"] = due


def keep(batch: Batch, facts: Facts, case: Item, state: State) -> None:
    """Plan anew from `state`, store it, close met rows of the queue, show on the case what is due."""
    planned = plan_of(facts, case.values, state)
    batch.clocks[case.doc.pk] = {
        "case_pk": case.doc.pk,
        "next_due": None if planned is None else escalation.next_due(planned, state),
        "state": escalation.dump(state),
    }
    if planned is not None:
        leaders.close_met(batch, facts, case, planned)
        batch.set(case, {"due": due_of(planned) or None})


def due_of(planned: Plan) -> list[dict[str, Any]]:
    """The running and paused clocks, the nearest due first."""
    rows = [
        {"clock": clock.kind, "due_at": clock.due_at, "state": clock.state}
        for clock in planned.clocks
        if clock.state in _DUE_STATES
    ]
    return sorted(rows, key=lambda row: (row["due_at"] is None, row["due_at"] or 0, row["clock"]))


# --- firing ----------------------------------------------------------------------------------------------------------


def fire_due(
    batch: Batch, facts: Facts, case: Item, state: State, *, values: Mapping[str, Any] | None = None
) -> State:
    """Let everything that is due take effect: level, queue row, notices, the firing itself; each key once."""
    seen = case.values if values is None else values
    planned = plan_of(facts, seen, state)
    if planned is None:
        return state
    looks = case_facts(seen)
    hidden, told = denied(batch, facts, case), named(batch, facts, case)
    reach = reach_of(facts.config, case.doc, hidden=hidden, named=told)
    result = escalation.fire(state, planned, looks, reach, batch.now)
    took: Sequence[Firing] = [firing for firing in result.firings if firing.outcome != "deferred"]
    rules = facts.config.ruleset
    for firing in took:
        batch.firings.append(
            {
                "key": f"{case.id}:{firing.key}",
                "case_pk": case.doc.pk,
                "nominal_at": firing.nominal_at,
                "fired_at": batch.now,
                "outcome": firing.outcome,
                "level_from": firing.level_from,
                "level_to": firing.level_to,
                "rules": "" if rules is None else rules.sha256,
                "explain": msgspec.json.encode(firing.explain),
            }
        )
        if firing.outcome == "fired":
            _take_effect(batch, facts, case, firing, planned)
    return result.state


def _take_effect(batch: Batch, facts: Facts, case: Item, firing: Firing, planned: Plan) -> None:
    if not firing.warn and firing.level_to > (case.values.get("level") or 0):
        batch.set(case, {"level": firing.level_to})
    row = leaders.open_for(batch, facts, case, firing, planned)
    hidden = denied(batch, facts, case)
    for user in firing.to:
        account = facts.config.account_by_id.get(user)
        if account is None or account.pk in hidden:
            continue
        args: dict[str, Any] = {
            "level": firing.level_to if firing.warn else firing.queue,
            "key": firing.key,
            "clock": firing.key.split(":")[0],
        }
        # Who may read the case is told which; a leader to whom a protected one was raised finds it in his queue.
        if facts.level(account.pk, case.doc, batch.opened, batch.closed) >= Level.plain:
            args |= {"id": case.id, "case_code": case.values.get("code")}
        if row is not None:
            args["escalation"] = row.id
        code = "warning" if firing.warn else "raised"
        batch.notice(account.pk, account.id, "escalation", code, args, of_case=case)
