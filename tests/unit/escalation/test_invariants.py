"""Whatever happens to a case and whenever the engine looks.

Histories are drawn at random: events in any order that time allows, ticks in between at any cadence. The engine is
driven as the server drives it: what is due is fired before the next event is recorded.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
from hypothesis import given, settings, strategies as st

from sync.cases.calendars import HOUR, MINUTE
from sync.cases.clocks import GONE, measure, pause_at, remaining, used
from sync.cases.escalation import CaseFacts, Fired
from tests.unit.escalation.world import CALENDARS, DISPUTE, RULES, Case, at

START = at("2026-09-17 08:00")  # before a make-up Sunday, Mid-autumn and National Day
KINDS: Sequence[tuple[str, dict[str, Any]]] = (
    ("case.received", {}),
    ("case.admitted", {}),
    ("case.dispatched", {}),
    ("case.returned", {}),
    ("case.adjudicated", {}),
    ("case.accepted", {}),
    ("case.accepted", {"level": 2}),
    ("case.begun", {}),
    ("case.suspended", {"reason": "wait_party"}),
    ("case.suspended", {"reason": "cooling"}),
    ("case.suspended", {"reason": "force_majeure"}),
    ("case.resumed", {}),
    ("case.extended", {"clock": "accept", "span": "1wd"}),
    ("case.extended", {"clock": "resolve_grid", "span": "2wd"}),
    ("case.instructed", {"id": "i1", "level": 2}),
    ("instruction.replied", {"id": "i1"}),
    ("case.agreed", {}),
    ("case.settled", {}),
    ("case.reported", {}),
    ("case.verified", {}),
    ("case.followed_up", {}),
    ("case.reopened", {}),
)
History = Sequence[tuple[int, tuple[str, dict[str, Any]]]]
gaps = st.integers(1, 3 * 24 * 60).map(lambda n: n * MINUTE)
histories = st.lists(st.tuples(gaps, st.sampled_from(KINDS)), min_size=1, max_size=8)
facts = st.builds(
    lambda risk, complexity, category: msgspec.structs.replace(
        DISPUTE, risk=risk, complexity=complexity, category=category, status="accepted"
    ),
    st.sampled_from([None, "red", "orange", "yellow", "blue"]),
    st.sampled_from([None, "simple", "ordinary", "complex"]),
    st.sampled_from(["0101", "0106", "0201"]),
)
few = settings(max_examples=40, deadline=None)


def live(case: Case, history: History, every: int) -> int:
    """Let a history happen with a tick each `every` ms; returns the instant of its last event."""
    now = START
    for gap, (kind, args) in history:
        for moment in range(now + every, now + gap, every):
            case.tick(moment)
        now += gap
        case.tick(now)
        case.happens(kind, now, **args)
    return now


def fired(case: Case) -> list[Fired]:
    return [row for row in case.state.fired if row.outcome == "fired"]


@few
@given(facts=facts, history=histories, every=st.sampled_from([HOUR, 7 * HOUR, 50 * HOUR]))
def test_no_key_twice_nothing_before_its_time_and_the_level_never_falls(
    facts: CaseFacts, history: History, every: int
) -> None:
    case = Case(facts=facts)
    end = live(case, history, every)
    for days in range(40):
        case.tick(end + days * 24 * HOUR)
    keys = [row.key for row in case.state.fired]
    assert len(keys) == len(set(keys))
    assert all(row.nominal_at <= row.fired_at for row in case.state.fired)
    assert all(row.level_from <= row.level_to for row in case.state.fired)
    assert [row.fired_at for row in case.state.fired] == sorted(row.fired_at for row in case.state.fired)


@few
@given(facts=facts, history=histories, every=st.sampled_from([HOUR, 7 * HOUR]))
def test_nothing_is_said_while_a_clock_stands_still_or_after_it_was_met(
    facts: CaseFacts, history: History, every: int
) -> None:
    case = Case(facts=facts)
    live(case, history, every)
    clocks = {(clock.kind, clock.epoch): clock for clock in case.plan.clocks}
    for row in fired(case):
        kind, epoch, *_ = row.key.split(":")
        clock = clocks[kind, int(epoch)]
        assert pause_at(clock, row.fired_at) is None or pause_at(clock, row.fired_at - 1) is None
        assert clock.ended_at is None or row.fired_at <= clock.ended_at


@few
@given(facts=facts, history=histories, slow=st.sampled_from([5 * HOUR, 31 * HOUR, 200 * HOUR]))
def test_any_cadence_of_ticks_comes_to_the_same_keys_and_the_same_level(
    facts: CaseFacts, history: History, slow: int
) -> None:
    prepared = Case(facts=facts)
    for gap, (kind, args) in history:  # nothing looks until the history is over
        prepared.happens(
            kind, (prepared.state.events[-1].at if prepared.state.events else START) + gap, **args
        )
    quick = Case(facts=facts, state=prepared.state)
    late = Case(facts=facts, state=prepared.state)
    end = prepared.state.events[-1].at
    for case, every in ((quick, HOUR), (late, slow)):
        while (due := case.next_due) is not None:  # the first tick of this cadence at which something is due
            case.tick(end + max(0, -(-(due - end) // every)) * every)
    assert {row.key for row in quick.state.fired} == {row.key for row in late.state.fired}
    assert quick.facts.level == late.facts.level


@few
@given(facts=facts, history=histories, later=gaps)
def test_used_and_remaining_are_always_the_budget(facts: CaseFacts, history: History, later: int) -> None:
    case = Case(facts=facts)
    now = live(case, history, 200 * HOUR) + later
    for clock in case.plan.clocks:
        calendar = CALENDARS[clock.calendar]
        if clock.base_due_at is not None and not clock.shifts_from:
            budget = measure(calendar, clock.office, clock.anchor_at, clock.base_due_at)
            left = remaining(clock, calendar, now)
            assert left is not None
            assert used(clock, calendar, now) + left == budget
            if clock.due_at is not None and clock.state == "running":
                assert used(clock, calendar, clock.due_at) == budget


@few
@given(facts=facts, history=histories, gap=gaps)
def test_every_open_clock_has_a_rung_armed_or_parked(facts: CaseFacts, history: History, gap: int) -> None:
    case = Case(facts=facts)
    live(case, [*history, (gap, ("case.dispatched", {}))], 200 * HOUR)
    plan = case.plan
    armed = {(step.clock, step.epoch) for step in plan.steps}
    for clock in plan.clocks:
        if clock.state in {"running", "paused"}:
            assert (clock.kind, clock.epoch) in armed
    case.becomes(status="merged", open=False)
    assert case.facts.status in GONE
    assert case.plan.steps == ()
    assert case.next_due is None


@few
@given(facts=facts, history=histories)
def test_a_tick_that_is_repeated_changes_nothing(facts: CaseFacts, history: History) -> None:
    case = Case(facts=facts)
    end = live(case, history, 60 * HOUR) + 30 * HOUR
    case.tick(end)
    state = case.state
    again = [firing for firing in case.tick(end) if firing.outcome != "deferred"]
    assert again == []
    assert case.state == state
    assert RULES.version == state.ruleset_version
