"""The rungs of a case's ladders, each with the instant at which the rules alone would have it speak.

`plan` is one pure function of what happened, the facts, the rules and the calendars; it knows nothing of
what has been said already and asks for no `now`. A plan is never stored: it is worked out anew for the one
case an event touches.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Literal

import msgspec

from sync.cases.calendars import Calendar, Span, add_span
from sync.cases.clocks import CaseFacts, Clock, Event, advance, clocks_of, measure, shift
from sync.cases.rulesets import Ladder, RuleSet, StepRule, holds

# A report of wrongdoing may be about the very people above: whatever the rules say, it comes before no leader.
_NEVER_RAISED: Final = frozenset({"tip_off"})


class Step(msgspec.Struct, frozen=True):
    """One rung or repeat of it, and the instant it is due by the rules alone (None: parked by a pause)."""

    key: str
    rule: str
    step: str
    clock: str
    epoch: int
    repeat_no: int
    nominal_at: int | None
    level: int
    roles: tuple[str, ...]
    warn: bool
    calendar: str
    min_dwell: Span | None
    within: Span
    holds_for: Span
    on_empty: Literal["next_level", "stay"]
    suppressed: bool


class Plan(msgspec.Struct, frozen=True, eq=False):
    """Clocks and rungs of a case. `ladders` are the rungs by clock, epoch and ladder, warnings apart."""

    clocks: tuple[Clock, ...]
    steps: tuple[Step, ...]
    ladders: tuple[
        tuple[Clock, tuple[Step, ...], tuple[Step, ...]], ...
    ]  # clock, warnings, level rungs by nominal
    ruleset: RuleSet
    calendars: Mapping[str, Calendar]


def plan(
    events: Sequence[Event], facts: CaseFacts, ruleset: RuleSet, calendars: Mapping[str, Calendar]
) -> Plan:
    """All clocks and rungs of a case; every open clock with a ladder has at least one rung, armed or parked."""
    clocks = clocks_of(events, facts, ruleset, calendars)
    ladders = []
    for clock in clocks:
        if clock.state not in {"running", "paused"}:
            continue
        for ladder in ruleset.ladders_of.get(clock.kind, ()):
            if ladder.when is None or holds(ladder.when, _reader(facts, clock)):
                steps = tuple(
                    step
                    for step in _rungs(ladder, clock, facts, ruleset, calendars)
                    if step.warn or facts.kind not in _NEVER_RAISED
                )
                warnings = tuple(step for step in steps if step.warn)
                raising = sorted((step for step in steps if not step.warn), key=by_nominal)
                ladders.append((clock, warnings, tuple(raising)))
    steps = tuple(step for _, warnings, raising in ladders for step in (*warnings, *raising))
    return Plan(clocks, steps, tuple(ladders), ruleset, calendars)


def by_nominal(step: Step) -> tuple[bool, int, int, str]:
    """Sorts rungs by the instant they are due, parked ones last."""
    return (step.nominal_at is None, step.nominal_at or 0, step.level, step.key)


def _reader(facts: CaseFacts, clock: Clock) -> Any:
    return lambda name: clock.args.get(name[5:]) if name.startswith("args.") else getattr(facts, name, None)


def _rungs(
    ladder: Ladder, clock: Clock, facts: CaseFacts, ruleset: RuleSet, calendars: Mapping[str, Calendar]
) -> Iterator[Step]:
    suppressed = ladder.suppress is not None and holds(ladder.suppress, _reader(facts, clock))
    ack = below = ruleset.rules.ack
    for rung in ladder.steps:
        ack = rung.ack or ack
        base = _base_instant(rung, clock, ladder, calendars)
        for number in range(1 + (rung.repeat.max if rung.repeat else 0)):
            if number and rung.repeat and base is not None:
                base = add_span(calendars[ladder.calendar], base, rung.repeat.every)
            yield Step(
                key=f"{clock.kind}:{clock.epoch}:{ladder.id}:{rung.id}:{number}",
                rule=ladder.id,
                step=rung.id,
                clock=clock.kind,
                epoch=clock.epoch,
                repeat_no=number,
                nominal_at=None if base is None else shift(clock, calendars[clock.calendar], base),
                level=rung.level,
                roles=rung.to,
                warn=rung.warn,
                calendar=ladder.calendar,
                min_dwell=rung.min_dwell,
                within=ack.within,
                holds_for=ack.holds_for if number else below.holds_for,
                on_empty=rung.on_empty,
                suppressed=suppressed,
            )
        below = ack


def _base_instant(
    rung: StepRule, clock: Clock, ladder: Ladder, calendars: Mapping[str, Calendar]
) -> int | None:
    """The instant of a rung counted without pauses."""
    if clock.base_due_at is None:
        return None
    at = clock.base_due_at
    if rung.at.percent != 100:
        calendar = calendars[clock.calendar]
        budget = measure(calendar, clock.office, clock.anchor_at, at)
        at = advance(calendar, clock.office, clock.anchor_at, budget * rung.at.percent // 100)
    return at if rung.at.offset is None else add_span(calendars[ladder.calendar], at, rung.at.offset)
