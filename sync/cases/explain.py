"""Why a case stands where it stands, and why it has not been raised yet.

Reads the very plan that fires. The first sentence answers what a leader asks: when does it reach whom, and
what stands between. Every rung then carries its due, or what it came to, or the first reason why it has not
come to anything.
"""

from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from sync.cases.calendars import (
    DAY,
    HOUR,
    MINUTE,
    Calendar,
    date_of,
    moment_words,
    provisional_years,
    rest_days,
    span_words,
)
from sync.cases.clocks import CaseFacts, Clock, measure, pause_at, remaining, used
from sync.cases.escalation import TOP_LEVEL, Plan, Reach, Ready, State, Step, people_of, ready

LEVEL_WORDS: Final = {
    "zh": ("网格", "社区(村)", "街道(乡镇)", "区(县)"),
    "en": ("the grid", "the community", "the street", "the district"),
}
Reason = Literal["", "not_due", "paused", "held", "dwell", "below_first", "due_now", "nobody", "no_due"]
_REASONS: Final[Mapping[str, tuple[str, str]]] = {
    "": ("已执行", "done"),
    "not_due": ("时限未到", "its time has not come"),
    "paused": ("{why}", "{why}"),
    "held": ("{by}已领办,{until}前不再提级", "taken on by {by} until {until}"),
    "dwell": ("下级办理时间未满,至{until}", "the level below keeps it until {until}"),
    "below_first": ("须先经下级", "the rung below comes first"),
    "due_now": ("时限已到,正在执行", "due, being carried out"),
    "nobody": ("时限未到,且该级目前无人可接", "its time has not come, and nobody is reachable there today"),
    "no_due": ("尚无期限", "no date has been set"),
}
_OUTCOMES: Final[Mapping[str, tuple[str, str]]] = {
    "fired": ("已执行", "done"),
    "suppressed": ("按规则不执行", "kept silent by rule"),
    "superseded": ("已由后续步骤代替", "replaced by a later rung"),
    "withdrawn": ("已撤回:期限前已办,上报较晚", "withdrawn: it was done in time and reported late"),
}


class ClockLine(msgspec.Struct, frozen=True):
    """A clock as shown: gross is all time since the anchor, net leaves pauses out (ms of its own time)."""

    clock: str
    epoch: int
    state: str
    anchor_at: int
    due_at: int | None
    budget: str
    remaining: int | None
    gross: int
    net: int
    pauses: tuple[str, ...]
    skipped: tuple[tuple[str, str], ...]
    provisional: tuple[int, ...]


class RungLine(msgspec.Struct, frozen=True):
    """A rung as shown: `due_at` is when it can take effect, `nominal_at` when the rules alone have it."""

    key: str
    clock: str
    rung: str
    level: int
    warn: bool
    repeat_no: int
    nominal_at: int | None
    due_at: int | None
    outcome: str | None
    fired_at: int | None
    reason: Reason
    reason_text: str
    roles: tuple[str, ...]
    to: tuple[str, ...]


class Explanation(msgspec.Struct, frozen=True):
    """`sentence_*` come first on the page; texts below are in the language asked for."""

    sentence_zh: str
    sentence_en: str
    clocks: tuple[ClockLine, ...]
    rungs: tuple[RungLine, ...]


def explain(
    state: State,
    plan: Plan,
    facts: CaseFacts,
    calendars: Mapping[str, Calendar],
    reach: Reach,
    now: int,
    lang: str = "zh",
    names: Mapping[str, str] | None = None,
) -> Explanation:
    """Explain a case at any instant. `names` says users as people know them; without it their ids stand."""
    told = names or {}
    people = {step.key: people_of(step, facts, reach) for step in plan.steps}
    rungs = tuple(
        _rung(state, plan, step, calendars, people[step.key], now, lang, told) for step in plan.steps
    )
    return Explanation(
        sentence_zh=_sentence(state, plan, facts.level, calendars, now, "zh", told),
        sentence_en=_sentence(state, plan, facts.level, calendars, now, "en", told),
        clocks=tuple(_clock(plan, clock, calendars, now, lang, told) for clock in plan.clocks),
        rungs=rungs,
    )


def length_words(amount: int, lang: str, *, office: bool) -> str:
    """A stretch of time in its largest fitting unit: 12个工作小时, 3 days, 40 minutes."""
    amount = abs(amount)
    if amount < MINUTE:
        return "不足1分钟" if lang == "zh" else "less than a minute"
    if office and amount >= HOUR:
        unit, size = "wh", HOUR
    else:
        unit, size = ("d", DAY) if amount >= 2 * DAY else ("h", HOUR) if amount >= HOUR else ("m", MINUTE)
    words = {
        "wh": ("个工作小时", "working hour"),
        "d": ("天", "day"),
        "h": ("小时", "hour"),
        "m": ("分钟", "minute"),
    }[unit]
    n = amount // size
    return f"{n}{words[0]}" if lang == "zh" else f"{n} {words[1]}{'' if n == 1 else 's'}"


def _sentence(
    state: State,
    plan: Plan,
    level: int,
    calendars: Mapping[str, Calendar],
    now: int,
    lang: str,
    names: Mapping[str, str],
) -> str:
    zh = lang == "zh"
    fired = {row.key for row in state.fired}
    ahead = []
    for step in plan.steps:
        if step.warn or step.key in fired or step.level <= level:
            continue
        when = ready(plan, state, step)
        ahead.append((when.at is None, when.at or 0, step.level, step, when))
    words = LEVEL_WORDS[lang]
    if not ahead:
        # Without a rung ahead there may still be a level above, to which a person can step the case up.
        here = "无更高一级" if level == TOP_LEVEL else "没有会引起提级的时限"
        return f"已在{words[level]},{here}。" if zh else f"It is with {words[level]}; no rung lies ahead."
    _, _, _, step, when = min(ahead, key=lambda row: row[:3])
    clock = _clock_of(plan, step)
    calendar = calendars[clock.calendar]
    rule = plan.ruleset.rules.clocks[clock.kind]
    target = words[step.level]
    if when.at is None:
        why = _pause_words(plan, clock, now, lang)
        return f"暂不提级到{target}:{why}。" if zh else f"Will not reach {target} for now: {why}."
    moment = moment_words(calendar, when.at, lang)
    notes = [_left_words(clock, calendar, now, rule.zh if zh else rule.en, lang)]
    notes += _pauses(plan, clock, calendar, lang, names)
    if when.why == "held" and when.ack:
        by = names.get(when.ack.by, when.ack.by)
        notes.append(f"{by}已领办" if zh else f"taken on by {by}")
    elif when.why == "dwell":
        notes.append("下级办理时间未满" if zh else "the level below keeps it until then")
    years = provisional_years(calendar, now, when.at)
    if years and clock.office:
        year = years[-1]
        notes.append(
            f"{year}年放假安排未导入,日期可能变动" if zh else f"{year} holidays not loaded, may still move"
        )
    if when.at <= now:
        return (
            f"即将提级到{target}({','.join(notes)})。"
            if zh
            else f"Reaches {target} now ({'; '.join(notes)})."
        )
    if zh:
        return f"{moment}将提级到{target}({','.join(notes)})。"
    return f"Reaches {target} on {moment} ({'; '.join(notes)})."


def _clock_of(plan: Plan, step: Step) -> Clock:
    return next(clock for clock in plan.clocks if (clock.kind, clock.epoch) == (step.clock, step.epoch))


def _left_words(clock: Clock, calendar: Calendar, now: int, name: str, lang: str) -> str:
    left = remaining(clock, calendar, now)
    zh = lang == "zh"
    if left is None:
        return name
    # after the due, office time alone would say «0 hours overdue» all night
    office = clock.office and abs(left) >= HOUR
    words = length_words(left, lang, office=office)
    if clock.due_at is not None and now >= clock.due_at:
        return f"{name}已超期{words}" if zh else f"{name} overdue by {words}"
    return f"{name}时限剩余{words}" if zh else f"{name}: {words} left"


def _pauses(plan: Plan, clock: Clock, calendar: Calendar, lang: str, names: Mapping[str, str]) -> list[str]:
    notes = []
    for part in clock.segments:
        if part.state != "paused" or part.to_at is None:
            continue
        rule = plan.ruleset.rules.pause[part.reason]
        days = (date_of(calendar, part.to_at) - date_of(calendar, part.from_at)).days
        length = (
            (f"{days}天" if lang == "zh" else f"{days} days")
            if days > 1
            else length_words(part.to_at - part.from_at, lang, office=False)
        )
        by = names.get(part.approved_by, part.approved_by)
        if lang == "zh":
            notes.append(f"因{rule.zh}中止{length}" + (f",{by}批准" if by else ""))
        else:
            notes.append(f"paused {length} for {rule.en}" + (f", approved by {by}" if by else ""))
    return notes


def _pause_words(plan: Plan, clock: Clock, now: int, lang: str) -> str:
    part = pause_at(clock, now)
    if part is None:
        return "尚无期限" if lang == "zh" else "no date has been set"
    rule = plan.ruleset.rules.pause[part.reason]
    return f"时限因{rule.zh}中止" if lang == "zh" else f"the clock stands still for {rule.en}"


def _clock(
    plan: Plan,
    clock: Clock,
    calendars: Mapping[str, Calendar],
    now: int,
    lang: str,
    names: Mapping[str, str],
) -> ClockLine:
    calendar = calendars[clock.calendar]
    end = clock.ended_at if clock.ended_at is not None else now
    horizon = max(end, clock.due_at or end)
    return ClockLine(
        clock=clock.kind,
        epoch=clock.epoch,
        state=clock.state,
        anchor_at=clock.anchor_at,
        due_at=clock.due_at,
        budget="" if clock.budget is None else span_words(clock.budget, lang),
        remaining=remaining(clock, calendar, now) if clock.ended_at is None else None,
        gross=measure(calendar, clock.office, clock.anchor_at, max(clock.anchor_at, end)),
        net=used(clock, calendar, now),
        pauses=tuple(_pauses(plan, clock, calendar, lang, names)),
        skipped=rest_days(calendar, clock.anchor_at, horizon, lang) if clock.office else (),
        provisional=provisional_years(calendar, clock.anchor_at, horizon) if clock.office else (),
    )


def _rung(
    state: State,
    plan: Plan,
    step: Step,
    calendars: Mapping[str, Calendar],
    people: tuple[str, ...],
    now: int,
    lang: str,
    names: Mapping[str, str],
) -> RungLine:
    row = next((row for row in state.fired if row.key == step.key), None)
    when = ready(plan, state, step)
    reason: Reason = "" if row else _reason(plan, state, step, when, people, now)
    if row:
        text = _OUTCOMES[row.outcome][lang != "zh"]
    else:
        until = "" if when.at is None else moment_words(calendars[step.calendar], when.at, lang)
        by = names.get(when.ack.by, when.ack.by) if when.ack else ""
        why = _pause_words(plan, _clock_of(plan, step), now, lang) if reason == "paused" else ""
        text = _REASONS[reason][lang != "zh"].format(until=until, by=by, why=why)
    return RungLine(
        key=step.key,
        clock=step.clock,
        rung=step.step,
        level=step.level,
        warn=step.warn,
        repeat_no=step.repeat_no,
        nominal_at=step.nominal_at,
        due_at=None if row else when.at,
        outcome=row.outcome if row else None,
        fired_at=row.fired_at if row else None,
        reason=reason,
        reason_text=text,
        roles=step.roles,
        to=people,
    )


def _reason(plan: Plan, state: State, step: Step, when: Ready, people: tuple[str, ...], now: int) -> Reason:
    """The first reason, in the order in which the engine itself asks."""
    if pause_at(_clock_of(plan, step), now) is not None:
        return "paused"
    if step.nominal_at is None or when.at is None:
        return "no_due"
    if now < step.nominal_at:
        return "not_due" if step.warn or people else "nobody"
    fired = {row.key for row in state.fired}
    for _, _, raising in plan.ladders:
        if step in raising and any(s.key not in fired for s in raising[: raising.index(step)]):
            return "below_first"
    if now < when.at and when.why in {"held", "dwell", "paused"}:
        return when.why
    return "due_now"
