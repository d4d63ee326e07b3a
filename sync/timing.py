"""The clocks of a case inside a commit: what happened goes into its one row, what is due comes out on the document."""

from collections.abc import Iterable, Mapping
from typing import Any

from sync.batch import Batch, Item
from sync.cases import escalation
from sync.cases.catalogue import OPEN_STATUSES
from sync.cases.clocks import CaseFacts, Event
from sync.cases.escalation import Plan, State
from sync.facts import Facts

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
    )


def state_of(batch: Batch, facts: Facts, case: Item) -> State:
    """The clocks of the case, with what this batch has already added."""
    row = batch.clocks.get(case.doc.pk)
    raw = row["state"] if row is not None else facts.clocks.get(case.doc.pk)
    return State() if raw is None else escalation.load(raw)


def plan_of(facts: Facts, case: Item, state: State) -> Plan | None:
    """The plan of the case under the active rules; None before a district has rules."""
    rules = facts.config.ruleset
    if rules is None:
        return None
    return escalation.plan(state.events, case_facts(case.values), rules, facts.config.calendars)


def happened(batch: Batch, facts: Facts, case: Item, events: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
    """Record events on the case's clocks and plan again."""
    state = state_of(batch, facts, case)
    for kind, args in events:
        state = escalation.record(state, Event(kind, batch.now, dict(args)))
    keep(batch, facts, case, state)


def opened(batch: Batch, facts: Facts, case: Item, args: Mapping[str, Any]) -> None:
    """The first event of a new case; cases that look alike to the rules are planned once."""
    event = Event("case.received", batch.now, dict(args))
    looks = case_facts(case.values)
    memo = (looks, tuple(sorted(args.items())))
    if memo not in facts.plans:
        state = State((event,))
        planned = plan_of(facts, case, state)
        due = [] if planned is None else due_of(planned)
        facts.plans[memo] = (
            escalation.dump(state),
            None if planned is None else escalation.next_due(planned, state),
            due,
        )
    raw, next_due, due = facts.plans[memo]
    batch.clocks[case.doc.pk] = {"case_pk": case.doc.pk, "next_due": next_due, "state": raw}
    if due:
        case.values["due"] = due


def keep(batch: Batch, facts: Facts, case: Item, state: State) -> None:
    """Plan anew from `state`, store it, and show on the case what is due."""
    planned = plan_of(facts, case, state)
    batch.clocks[case.doc.pk] = {
        "case_pk": case.doc.pk,
        "next_due": None if planned is None else escalation.next_due(planned, state),
        "state": escalation.dump(state),
    }
    if planned is not None:
        batch.set(case, {"due": due_of(planned) or None})


def due_of(planned: Plan) -> list[dict[str, Any]]:
    """The running and paused clocks, the nearest due first."""
    rows = [
        {"clock": clock.kind, "due_at": clock.due_at, "state": clock.state}
        for clock in planned.clocks
        if clock.state in _DUE_STATES
    ]
    return sorted(rows, key=lambda row: (row["due_at"] is None, row["due_at"] or 0, row["clock"]))
