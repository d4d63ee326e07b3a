"""From what happened to a case to the clocks that run on it.

A clock is one promise on one case. Its ledger of running and paused stretches follows from the events
alone, so a clock can be worked out again at any time, under any edition of the rules, and comes out the
same. An epoch is counted up when a clock legitimately starts over (reopened, dispatched anew after it was
met, extended after it was overdue); a pause never does that.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import msgspec

from sync.cases.calendars import Calendar, Span, add_office, add_span, between, parse_span
from sync.cases.rulesets import Budget, ClockRule, RuleSet, Trigger, holds

SUSPENDED: Final = "case.suspended"  # args: reason, until?, approved_by?
RESUMED: Final = "case.resumed"
EXTENDED: Final = "case.extended"  # args: clock?, epoch?, and span or until
LEVEL_EVENTS: Final = frozenset(
    {"case.stepped_up", "case.sent_back", "case.reopened"}
)  # args.level is the new level
GONE: Final = frozenset({"merged", "voided"})


class Event(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something that happened to the case, at the instant the server learned of it."""

    kind: str
    at: int
    args: dict[str, Any] = {}


class CaseFacts(msgspec.Struct, frozen=True):
    """What rules may ask about a case as it stands."""

    kind: str
    category: str
    risk: str | None
    urgency: str
    complexity: str | None
    protection: str
    status: str
    level: int
    open: bool
    protective: bool = False  # somebody may be in danger at home


class Segment(msgspec.Struct, frozen=True):
    """A stretch in which the clock ran or stood still; `to_at` None is not over."""

    state: Literal["running", "paused"]
    from_at: int
    to_at: int | None
    reason: str = ""
    approved_by: str = ""


class Clock(msgspec.Struct, frozen=True):
    """One promise as it stands after the last event.

    `base_due_at` is the due had nothing paused it, `due_at` the one that counts (None while it stands still
    without a known end, or nothing says when it is due). `state` paused with `resumes_at` runs on by itself
    at that instant. `office` tells whether its time is office time or wall clock.
    """

    kind: str
    epoch: int
    state: Literal["running", "paused", "met", "cancelled"]
    anchor_at: int
    due_at: int | None
    base_due_at: int | None
    budget: Span | None
    calendar: str
    office: bool
    segments: tuple[Segment, ...]
    args: dict[str, Any]
    ended_at: int | None = None
    captured_at: int | None = None  # when the phone wrote what met it; evidence for being on time
    resumes_at: int | None = None
    shifts_from: int = 0  # pauses begun earlier are already inside the due


def clocks_of(
    events: Sequence[Event], facts: CaseFacts, ruleset: RuleSet, calendars: Mapping[str, Calendar]
) -> tuple[Clock, ...]:
    """All clocks of a case, ended ones included, in the order of the rule set and of their epochs."""
    ordered = sorted(events, key=_when) if len(events) > 1 else events
    return _Fold(ordered, facts, ruleset, calendars).run()


def shift(clock: Clock, calendar: Calendar, instant: int) -> int | None:
    """Where an instant counted without pauses falls once they are counted; None if not yet known."""
    return _shift(calendar, clock.office, _paused(clock.segments, clock.shifts_from), instant)


def advance(calendar: Calendar, office: bool, instant: int, amount: int) -> int:
    """`amount` milliseconds of the clock's own time after an instant."""
    return add_office(calendar, instant, amount) if office else instant + amount


def measure(calendar: Calendar, office: bool, start: int, end: int) -> int:
    """Milliseconds of the clock's own time between two instants."""
    return between(calendar, start, end) if office else end - start


def used(clock: Clock, calendar: Calendar, now: int) -> int:
    """Milliseconds of the clock's own time it has run by `now`: net of pauses."""
    end = now if clock.ended_at is None else min(now, clock.ended_at)
    return sum(
        measure(calendar, clock.office, part.from_at, max(part.from_at, min(end, _end(part, end))))
        for part in clock.segments
        if part.state == "running" and part.from_at < end
    )


def remaining(clock: Clock, calendar: Calendar, now: int) -> int | None:
    """Milliseconds of the clock's own time left at `now`, negative when overdue; None if it has no due."""
    if clock.base_due_at is None:
        return None
    return measure(calendar, clock.office, clock.anchor_at, clock.base_due_at) - used(clock, calendar, now)


def pause_at(clock: Clock, at: int) -> Segment | None:
    """The pause an instant falls in."""
    for part in clock.segments:
        if part.state == "paused" and part.from_at <= at and (part.to_at is None or at < part.to_at):
            return part
    return None


def _end(part: Segment, otherwise: int) -> int:
    return otherwise if part.to_at is None else part.to_at


def _when(event: Event) -> int:
    return event.at


def _paused(segments: Iterable[Segment], since: int) -> Iterator[Segment]:
    return (part for part in segments if part.state == "paused" and part.from_at >= since)


def _shift(calendar: Calendar, office: bool, pauses: Iterable[Segment], instant: int) -> int | None:
    for pause in pauses:
        if pause.from_at > instant:
            break
        if pause.to_at is None:
            return None
        instant = advance(calendar, office, instant, measure(calendar, office, pause.from_at, pause.to_at))
    return instant


@dataclass(slots=True)
class _Draft:
    """A clock while the events are being read."""

    kind: str
    rule: ClockRule
    epoch: int
    anchor_at: int
    args: dict[str, Any]
    budget: Budget | None
    span: Span | None
    due: int | None
    round: int = 0
    pauses: list[Segment] = field(default_factory=list)
    shifts_from: int = 0
    state: Literal["running", "paused", "met", "cancelled"] = "running"
    ended_at: int | None = None
    captured_at: int | None = None

    @property
    def office(self) -> bool:
        return self.span is not None and self.span.unit in {"wh", "wd"}

    def end(self, state: Literal["met", "cancelled"], event: Event) -> None:
        self.state, self.ended_at = state, event.at
        captured = event.args.get("captured_at")
        self.captured_at = captured if isinstance(captured, int) else None


class _Fold:
    """Reads the events once, in order; `drafts` holds every clock begun so far."""

    def __init__(
        self, events: Sequence[Event], facts: CaseFacts, ruleset: RuleSet, calendars: Mapping[str, Calendar]
    ) -> None:
        self.events, self.facts, self.ruleset, self.calendars = events, facts, ruleset, calendars
        self.drafts: dict[str, list[_Draft]] = {}
        self.past: dict[str, int] = {}  # how many clocks of a kind a cancelling event has put behind us
        self.level = self.from_level = 0

    def run(self) -> tuple[Clock, ...]:
        for event in self.events:
            if event.kind in LEVEL_EVENTS:
                self.from_level, self.level = self.level, int(event.args.get("level", 0))
            for kind in self.ruleset.clocks_of.get(event.kind, ()):
                self._listen(kind, event)
            if event.kind == SUSPENDED:
                self._suspend(event)
            elif event.kind == RESUMED:
                self._resume(event)
            elif event.kind == EXTENDED:
                self._extend(event)
        kinds = [kind for kind in self.ruleset.rules.clocks if kind in self.drafts]
        return tuple(
            self._clock(draft)
            for kind in kinds
            for draft in self.drafts[kind]
            if draft.budget is not None and holds(draft.rule.when, self._reader(draft.args))
        )

    def _listen(self, kind: str, event: Event) -> None:
        rule = self.ruleset.rules.clocks[kind]
        if _hears(rule.cancels, event):
            for draft in self._open(kind, event):
                draft.end("cancelled", event)
            self.past[kind] = len(self.drafts.get(kind, ()))
        if _hears(rule.meets, event):
            for draft in self._open(kind, event):
                draft.end("met", event)
                self._next_round(draft, event)
        again = _hears(rule.restarts, event)
        if again:
            for draft in self._open(kind, event):
                draft.end("cancelled", event)
        if again or _hears(rule.starts, event):
            begun = self.drafts.get(kind, [])[self.past.get(kind, 0) :]
            if again or not (begun if rule.once else self._open(kind, event)):
                self._start(kind, rule, event)

    def _open(self, kind: str, event: Event) -> list[_Draft]:
        """Clocks of the kind the event speaks of; one that does not say which of several speaks of all."""
        found = [draft for draft in self.drafts.get(kind, ()) if draft.state in {"running", "paused"}]
        name = found[0].rule.parallel if found else None
        if name is None or name not in event.args:
            return found
        return [draft for draft in found if draft.args.get(name) == event.args[name]]

    def _start(self, kind: str, rule: ClockRule, event: Event) -> None:
        args = {"level": self.level, "from_level": self.from_level, **event.args}
        anchor = args.get(rule.anchor_from) if rule.anchor_from else None
        row = next((row for row in rule.budget if holds(row.when, self._reader(args))), None)
        self._begin(kind, rule, anchor if isinstance(anchor, int) else event.at, args, row, 0)

    def _begin(
        self, kind: str, rule: ClockRule, anchor: int, args: dict[str, Any], row: Budget | None, number: int
    ) -> _Draft:
        begun = self.drafts.setdefault(kind, [])
        draft = _Draft(kind, rule, len(begun) + 1, anchor, args, row, None, None, number)
        begun.append(draft)
        if row is None:
            return draft
        if row.since:
            draft.anchor_at = next(
                (event.at for event in self.events if event.at > anchor and _hears((row.since,), event)),
                anchor,
            )
        calendar = self.calendars[row.calendar]
        due = args.get(rule.due_from) if rule.due_from else None
        if isinstance(due, int):
            draft.due = due if rule.due_shift is None else add_span(calendar, due, rule.due_shift)
        else:
            draft.span = row.rounds[number] if row.rounds else row.span
            draft.due = add_span(calendar, draft.anchor_at, draft.span) if draft.span else None
        return draft

    def _next_round(self, draft: _Draft, event: Event) -> None:
        """A round that is already past when the one before it is met is not held against anybody."""
        row = draft.budget
        if row is None:
            return
        for number in range(draft.round + 1, len(row.rounds)):
            if add_span(self.calendars[row.calendar], draft.anchor_at, row.rounds[number]) > event.at:
                self._begin(draft.kind, draft.rule, draft.anchor_at, draft.args, row, number)
                return

    def _suspend(self, event: Event) -> None:
        reason = str(event.args.get("reason", ""))
        rule = self.ruleset.rules.pause.get(reason)
        for draft in self._all_open():
            if draft.budget is None or rule is None or reason not in draft.rule.pausable:
                continue
            if draft.pauses and _end(draft.pauses[-1], event.at + 1) > event.at:
                continue
            if rule.max_times is not None and sum(p.reason == reason for p in draft.pauses) >= rule.max_times:
                continue
            until = event.args.get("until")
            ends = [until] if isinstance(until, int) else []
            if rule.max is not None:
                ends.append(add_span(self.calendars[draft.budget.calendar], event.at, rule.max))
            approver = str(event.args.get("approved_by", ""))
            draft.pauses.append(
                Segment("paused", event.at, max(event.at, min(ends)) if ends else None, reason, approver)
            )
            draft.state = "paused"

    def _resume(self, event: Event) -> None:
        for draft in self._all_open():
            if draft.state == "paused":
                last = draft.pauses[-1]
                draft.pauses[-1] = msgspec.structs.replace(last, to_at=min(event.at, _end(last, event.at)))
                draft.state = "running"

    def _extend(self, event: Event) -> None:
        span, until = (event.args.get(name) for name in ("span", "until"))
        named = event.args.get("clock") or self._most_pressing()
        for draft in self._all_open():
            if draft.kind != named or draft.budget is None:
                continue
            if event.args.get("epoch", draft.epoch) != draft.epoch:
                continue
            longer, calendar = draft, self.calendars[draft.budget.calendar]
            due = None if draft.due is None else _shift(calendar, draft.office, draft.pauses, draft.due)
            if due is not None and due <= event.at:
                # Overdue already: the promise is given anew, so that its ladder speaks again if it is broken.
                draft.end("cancelled", event)
                longer = self._begin(draft.kind, draft.rule, event.at, draft.args, draft.budget, draft.round)
                longer.due = event.at
            if isinstance(until, int):
                longer.due, longer.shifts_from = until, event.at
            elif isinstance(span, str) and longer.due is not None:
                longer.due = add_span(calendar, longer.due, parse_span(span))

    def _most_pressing(self) -> str | None:
        """The clock an extension means that names none: the one that is due first."""
        due = [(draft.due, draft.kind) for draft in self._all_open() if draft.due is not None]
        return min(due)[1] if due else None

    def _all_open(self) -> list[_Draft]:
        return [d for begun in self.drafts.values() for d in begun if d.state in {"running", "paused"}]

    def _reader(self, args: Mapping[str, Any]) -> Any:
        facts = self.facts
        return lambda name: args.get(name[5:]) if name.startswith("args.") else getattr(facts, name, None)

    def _clock(self, draft: _Draft) -> Clock:
        row, state = draft.budget, draft.state
        if row is None:  # cannot be: `run` leaves such drafts out
            raise AssertionError(draft.kind)
        calendar = self.calendars[row.calendar]
        status = self.facts.status
        if draft.ended_at is None and (status in GONE or (draft.rule.needs_open and not self.facts.open)):
            state = "cancelled"
        segments = (
            tuple(_segments(draft))
            if draft.pauses
            else (Segment("running", draft.anchor_at, draft.ended_at),)
        )
        pauses = _paused(segments, draft.shifts_from)
        return Clock(
            kind=draft.kind,
            epoch=draft.epoch,
            state=state,
            anchor_at=draft.anchor_at,
            due_at=None if draft.due is None else _shift(calendar, draft.office, pauses, draft.due),
            base_due_at=draft.due,
            budget=draft.span,
            calendar=row.calendar,
            office=draft.office,
            segments=segments,
            args=draft.args,
            ended_at=draft.ended_at,
            captured_at=draft.captured_at,
            resumes_at=draft.pauses[-1].to_at if state == "paused" else None,
            shifts_from=draft.shifts_from,
        )


def _hears(triggers: tuple[Trigger, ...], event: Event) -> bool:
    for trigger in triggers:
        if trigger.event == event.kind and (
            trigger.when is None
            or holds(trigger.when, lambda name: event.args.get(name.removeprefix("args.")))
        ):
            return True
    return False


def _segments(draft: _Draft) -> Iterator[Segment]:
    """Running and paused stretches in turn; an ended clock's last stretch ends with it."""
    at, end = draft.anchor_at, draft.ended_at
    for pause in draft.pauses:
        if end is not None and pause.from_at >= end:
            break
        if pause.from_at > at:
            yield Segment("running", at, pause.from_at)
        to_at = pause.to_at if end is None else min(end, _end(pause, end))
        yield msgspec.structs.replace(pause, to_at=to_at)
        if to_at is None or to_at == end:
            return
        at = to_at
    yield Segment("running", at, end)
