"""The ladder of a case: what will be said to whom and when, and what is to be said now.

`plan` is one pure function of what happened, the facts, the rules and the calendars. The tick that fires,
the page that explains, the trial run of a draft and the nightly check all read the same plan, so they
cannot disagree. `fire` decides one case at one instant. Three laws hold whatever the cadence of the tick:

- a key (clock, epoch, ladder, rung, repeat) takes effect once, and never before its nominal instant;
- the next due is counted from nominal instants, never from the instant of the tick;
- a firing raises the level and nothing else: not the status, not the handler; and never lowers it.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Final, Literal

import msgspec

from sync.cases.calendars import Calendar, add_span
from sync.cases.clocks import LEVEL_EVENTS, CaseFacts, Clock, Event, Segment, pause_at
from sync.cases.ladders import Plan, Step, by_nominal, plan
from sync.cases.rulesets import RuleSet

__all__ = [
    "LEADERS",
    "LEVEL_ROLES",
    "Ack",
    "CaseFacts",
    "Clock",
    "Event",
    "Fired",
    "Firing",
    "Firings",
    "Plan",
    "Reach",
    "Segment",
    "State",
    "Step",
    "acknowledge",
    "dump",
    "fire",
    "level_of",
    "load",
    "next_due",
    "opening_due",
    "people_of",
    "plan",
    "ready",
    "record",
    "withdraw",
]

TOP_LEVEL: Final = 3
# Who leads at each level; level 0 is whoever holds the case.
LEVEL_ROLES: Final[Mapping[int, frozenset[str]]] = {
    1: frozenset({"community_leader"}),
    2: frozenset({"street_leader"}),
    3: frozenset({"district_leader"}),
}
LEADERS: Final = frozenset[str]().union(*LEVEL_ROLES.values())
_KEEPER: Final = "centre_director"  # hears of a sealed case whatever nobody else may hear
# Asked by a level: its rungs go back there, however high the case has risen since.
_BACK_TO_WHO_ASKED: Final = frozenset({"instruction_reply"})
Outcome = Literal["fired", "suppressed", "superseded", "deferred"]
Why = Literal["", "parked", "dwell", "held", "paused"]
# Role -> the people who may be told in it, recused ones and those who may not know of the case left out.
Reach = Callable[[str], tuple[str, ...]]


class Fired(msgspec.Struct, frozen=True, omit_defaults=True):
    """A rung that took effect, or was passed over for good; kept for ever."""

    key: str
    outcome: Literal["fired", "suppressed", "superseded", "withdrawn"]
    nominal_at: int
    fired_at: int
    level_from: int
    level_to: int


class Ack(msgspec.Struct, frozen=True, omit_defaults=True):
    """Somebody at a level took the case on; `until` is his promise, None if he named no time.

    `firm`: he sent it back down with that deadline, and the ladder's `holds_for` does not shorten it.
    """

    level: int
    by: str
    at: int
    until: int | None = None
    firm: bool = False


class State(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is kept of a case's escalation: one row."""

    events: tuple[Event, ...] = ()
    fired: tuple[Fired, ...] = ()
    acks: tuple[Ack, ...] = ()
    ruleset_version: int = 0


class Firing(msgspec.Struct, frozen=True):
    """What one rung comes to now. `deferred` takes no effect and is decided again later.

    `level_to` is where the case then stands, `queue` the level whose queue it goes to: the same, unless the rung
    answers a level that the case has left behind.
    """

    key: str
    outcome: Outcome
    nominal_at: int
    level_from: int
    level_to: int
    queue: int
    warn: bool
    to: tuple[str, ...]
    passed_over: tuple[int, ...]
    explain: dict[str, Any]


class Firings(msgspec.Struct, frozen=True):
    """The decisions of one instant, the state after them, and when to look again."""

    firings: tuple[Firing, ...]
    state: State
    next_due: int | None


class Ready(msgspec.Struct, frozen=True):
    """When a rung can take effect (None: not foreseeable), and what keeps it from its nominal instant."""

    at: int | None
    why: Why = ""
    ack: Ack | None = None


def fire(state: State, plan: Plan, facts: CaseFacts, reach: Reach, now: int) -> Firings:
    """Decide everything that is due at `now`.

    Rungs take effect in nominal order; each waits until the rung below it has had its dwell since it really fired, so
    that after a stand-still nobody is overtaken.
    """
    fired = {row.key: row for row in state.fired}
    firings: list[Firing] = []
    level = facts.level
    while True:
        due = [head for head in _heads(plan, state, fired) if head[3].at is not None and head[3].at <= now]
        if not due:
            break
        clock, step, rungs, _ = min(due, key=lambda head: by_nominal(head[1]))
        firing = _decide(plan, clock, step, rungs, fired, facts, level, reach, now)
        level = firing.level_to
        outcome = firing.outcome
        if outcome == "deferred":  # cannot be: a rung that is ready is decided
            raise AssertionError(step.key)
        fired[step.key] = Fired(step.key, outcome, firing.nominal_at, now, firing.level_from, firing.level_to)
        firings.append(firing)
    firings.extend(_deferred(plan, state, fired, facts, level, now))
    done = tuple(fired.values())
    after = msgspec.structs.replace(state, fired=done, ruleset_version=plan.ruleset.version)
    return Firings(tuple(firings), after, next_due(plan, after))


def next_due(plan: Plan, state: State) -> int | None:
    """The nearest instant at which `fire` has something to decide."""
    fired = {row.key: row for row in state.fired}
    return min((r.at for *_, r in _heads(plan, state, fired) if r.at is not None), default=None)


def opening_due(
    event: Event, facts: CaseFacts, ruleset: RuleSet, calendars: Mapping[str, Calendar]
) -> int | None:
    """`next_due` of a case to which nothing has happened but this one event.

    Cases that came in together and look the same to the rules share the answer: a push of a hundred plans a
    few.
    """
    names = ruleset.reads.get(event.kind, ())
    values = tuple(
        event.args.get(name[5:]) if name.startswith("args.") else getattr(facts, name, None) for name in names
    )
    return _opening_due(event.kind, event.at, values, ruleset, tuple(calendars.values()))


@lru_cache(maxsize=1024)
def _opening_due(
    kind: str, at: int, values: tuple[Any, ...], ruleset: RuleSet, calendars: tuple[Calendar, ...]
) -> int | None:
    known = dict(zip(ruleset.reads.get(kind, ()), values, strict=True))
    args = {
        name[5:]: value for name, value in known.items() if name.startswith("args.") and value is not None
    }
    own = {name: value for name, value in known.items() if not name.startswith("args.")}
    blank = CaseFacts("", "", None, "", None, "", "", 0, True)
    event = Event(kind, at, args)
    planned = plan([event], msgspec.structs.replace(blank, **own), ruleset, {c.id: c for c in calendars})
    return next_due(planned, State((event,)))


def record(state: State, event: Event) -> State:
    """The state after something happened. Fire what is due up to `event.at` first, or a met clock hides it.

    An event that does not name the level carries the one the case stands at, so that later firings do not
    change what an earlier event meant.
    """
    if level := level_of(state):
        stands = {"from_level": level} if event.kind in LEVEL_EVENTS else {"level": level}
        event = msgspec.structs.replace(event, args={**stands, **event.args})
    return msgspec.structs.replace(state, events=(*state.events, event))


def acknowledge(state: State, ack: Ack, ruleset: RuleSet) -> State:
    """Somebody at a level takes the case on (领办) or sends it back. Having read it is nothing; the clock runs on.

    The next rung and repeats wait until the promise passes, at most as long as the ladder's `holds_for`
    allows; what was sent back is not raised before its deadline.
    """
    return msgspec.structs.replace(state, acks=(*state.acks, ack), ruleset_version=ruleset.version)


def withdraw(state: State, event: Event, ruleset: RuleSet) -> tuple[State, tuple[str, ...]]:
    """Take back firings that an event written before their nominal instant, received later, shows unearned.

    To be called with `event.args.captured_at` only if the phone's clock can be trusted (skew within 2
    minutes at its last contact, sequence unbroken); otherwise the server's time rules. The rows stay,
    marked; the level stays too, since only a person brings it down. Returns the state and the keys whose
    queue rows and figures are to be mended.
    """
    captured = event.args.get("captured_at")
    if not isinstance(captured, int):
        return state, ()
    met = {
        kind
        for kind in ruleset.clocks_of.get(event.kind, ())
        if any(trigger.event == event.kind for trigger in ruleset.rules.clocks[kind].meets)
    }
    keys = tuple(
        row.key
        for row in state.fired
        if row.outcome == "fired"
        and row.key.split(":", 1)[0] in met
        and captured < row.nominal_at <= event.at
    )
    rows = tuple(
        msgspec.structs.replace(row, outcome="withdrawn") if row.key in keys else row for row in state.fired
    )
    return msgspec.structs.replace(state, fired=rows), keys


def level_of(state: State) -> int:
    """The level a case stands at by its firings and by the acts that moved it."""
    moves = [(row.fired_at, row.level_to) for row in state.fired if row.outcome in {"fired", "withdrawn"}]
    moves += [
        (event.at, int(event.args.get("level", 0))) for event in state.events if event.kind in LEVEL_EVENTS
    ]
    return max(moves, key=lambda move: move[0])[1] if moves else 0


def dump(state: State) -> bytes:
    """The state as the bytes of its row."""
    return msgspec.json.encode(state)


def load(row: bytes) -> State:
    """The state from the bytes of its row."""
    return msgspec.json.decode(row, type=State)


def ready(plan: Plan, state: State, step: Step) -> Ready:
    """When a rung can take effect, given what has fired and who has taken the case on, and what holds it."""
    fired = {row.key: row for row in state.fired}
    for clock, warnings, raising in plan.ladders:
        if step in warnings or step in raising:
            return _ready(plan, state, clock, step, raising, fired)
    return Ready(None, "parked")


# ---- deciding


_Head = tuple[Clock, Step, tuple[Step, ...], Ready]


def _heads(plan: Plan, state: State, fired: Mapping[str, Fired]) -> Iterator[_Head]:
    """What can be decided next: every open warning, and of a ladder's level rungs the first open one."""
    for clock, warnings, raising in plan.ladders:
        for step in warnings:
            if step.key not in fired:
                yield clock, step, (*warnings, *raising), _ready(plan, state, clock, step, raising, fired)
        first = next((step for step in raising if step.key not in fired), None)
        if first is not None:
            yield clock, first, raising, _ready(plan, state, clock, first, raising, fired)


def _ready(
    plan: Plan, state: State, clock: Clock, step: Step, raising: tuple[Step, ...], fired: Mapping[str, Fired]
) -> Ready:
    if step.nominal_at is None:
        return Ready(None, "parked")
    at = step.nominal_at
    why: Why = ""
    holder: Ack | None = None
    if not step.warn:
        calendar = plan.calendars[step.calendar]
        if step.min_dwell is not None:
            below = [
                fired[s.key].fired_at for s in raising if s.level < step.level and _took_effect(fired, s)
            ]
            if below and (dwelt := add_span(calendar, max(below), step.min_dwell)) > at:
                at, why = dwelt, "dwell"
        for ack in state.acks:
            if ack.level >= (step.level if step.repeat_no else step.level - 1):
                held = add_span(calendar, ack.at, step.holds_for)
                if ack.until is not None:
                    held = ack.until if ack.firm else min(held, ack.until)
                if held > at:
                    at, why, holder = held, "held", ack
    while (pause := pause_at(clock, at)) is not None:
        if pause.to_at is None:
            return Ready(None, "paused")
        at, why = pause.to_at, "paused"
    return Ready(at, why, holder)


def _took_effect(fired: Mapping[str, Fired], step: Step) -> bool:
    row = fired.get(step.key)
    return row is not None and row.outcome == "fired"


def _decide(
    plan: Plan,
    clock: Clock,
    step: Step,
    rungs: tuple[Step, ...],
    fired: Mapping[str, Fired],
    facts: CaseFacts,
    level: int,
    reach: Reach,
    now: int,
) -> Firing:
    nominal = step.nominal_at if step.nominal_at is not None else now

    def outcome(
        result: Outcome,
        why: str,
        to: tuple[str, ...] = (),
        *,
        queue: int = step.level,
        over: tuple[int, ...] = (),
    ) -> Firing:
        risen = level if step.warn or result != "fired" else max(level, queue)
        explain = _facts_of(plan, clock, step, facts, why, now)
        return Firing(step.key, result, nominal, level, risen, queue, step.warn, to, over, explain)

    if step.suppressed:
        return outcome("suppressed", "suppressed_by_rule")
    if step.warn:
        later = (s.nominal_at for s in rungs if by_nominal(s) > by_nominal(step))
        if any(at is not None and at <= now for at in later):
            return outcome("superseded", "a_later_rung_is_due")
        return outcome("fired", "due", people_of(step, facts, reach))
    if step.level < level and step.clock not in _BACK_TO_WHO_ASKED:
        return outcome("superseded", "already_higher")
    if step.repeat_no and any(
        fired[s.key].fired_at >= nominal for s in rungs if s.step == step.step and _took_effect(fired, s)
    ):
        return outcome("superseded", "just_told")
    levels = range(step.level, (TOP_LEVEL if step.on_empty == "next_level" else step.level) + 1)
    for queue in levels:
        people = (
            people_of(step, facts, reach) if queue == step.level else _in(LEVEL_ROLES.get(queue, ()), reach)
        )
        if people:
            return outcome("fired", "due", people, queue=queue, over=tuple(range(step.level, queue)))
    # Nobody anywhere above: it stays where the rule put it, and the firing says that nobody was told.
    return outcome("fired", "nobody_reachable", over=tuple(levels))


def people_of(step: Step, facts: CaseFacts, reach: Reach) -> tuple[str, ...]:
    """Whom a rung tells: those of its roles; of a sealed case, where none of them may know, whoever keeps it."""
    found = _in(step.roles, reach)
    if not found and step.warn and facts.protection == "sealed":
        return reach(_KEEPER)
    return found


def _in(roles: Iterable[str], reach: Reach) -> tuple[str, ...]:
    return tuple(dict.fromkeys(user for role in roles for user in reach(role)))


def _deferred(
    plan: Plan, state: State, fired: Mapping[str, Fired], facts: CaseFacts, level: int, now: int
) -> Iterator[Firing]:
    for clock, step, _, when in _heads(plan, state, fired):
        if step.warn or step.nominal_at is None or step.nominal_at > now:
            continue
        explain = _facts_of(plan, clock, step, facts, when.why, now) | {"until": when.at}
        yield Firing(
            step.key, "deferred", step.nominal_at, level, level, step.level, step.warn, (), (), explain
        )


def _facts_of(plan: Plan, clock: Clock, step: Step, facts: CaseFacts, why: str, now: int) -> dict[str, Any]:
    """Why a rung was decided as it was, with the facts of that moment, as kept beside the firing."""
    meta = plan.ruleset.rules.meta
    return {
        "why": why,
        "ruleset": {"id": meta.id, "version": meta.version, "sha256": plan.ruleset.sha256},
        "calendar": {"id": clock.calendar, "version": plan.calendars[clock.calendar].version},
        "ladder": step.rule,
        "rung": step.step,
        "clock": clock.kind,
        "epoch": clock.epoch,
        "anchor_at": clock.anchor_at,
        "due_at": clock.due_at,
        "nominal_at": step.nominal_at,
        "decided_at": now,
        "budget": None if clock.budget is None else {"n": clock.budget.n, "unit": clock.budget.unit},
        "roles": list(step.roles),
        "facts": {name: getattr(facts, name) for name in facts.__struct_fields__},
    }
