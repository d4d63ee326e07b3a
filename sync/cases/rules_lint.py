"""What is wrong with a rule set before anybody relies on it: rungs out of reach, clocks nobody hears."""

from collections.abc import Iterator, Mapping
from typing import Final, Literal

import msgspec

from sync.cases.calendars import Calendar, Span, has_hours
from sync.cases.rulesets import FACTS, ClockRule, Condition, Ladder, Rules, RuleSet, StepRule, fields_of

NEVER_PAUSED: Final = frozenset({"accept", "emergency_ack"})
_UNIT_DAYS: Final[Mapping[str, float]] = {"m": 1 / 1440, "h": 1 / 24, "wh": 1 / 8, "d": 1.0, "wd": 1.0}


class Fault(msgspec.Struct, frozen=True):
    """One finding: an `error` keeps a rule set from being activated, a `warning` is shown to who does it."""

    code: str
    severity: Literal["error", "warning"]
    where: str
    zh: str
    en: str


def lint(ruleset: RuleSet, calendars: Mapping[str, Calendar]) -> list[Fault]:
    """All findings, in the order of the rule set; empty when there is nothing to say."""
    rules = ruleset.rules
    found = list(_calendars(rules, calendars))
    for kind, clock in rules.clocks.items():
        found += _clock(kind, clock, rules, ruleset)
    names = [ladder.id for ladder in rules.ladders]
    for ladder in rules.ladders:
        found += _ladder(ladder, rules, calendars, names)
    return found


def _error(code: str, where: str, zh: str, en: str) -> Fault:
    return Fault(code, "error", where, zh, en)


def _warning(code: str, where: str, zh: str, en: str) -> Fault:
    return Fault(code, "warning", where, zh, en)


def _calendars(rules: Rules, calendars: Mapping[str, Calendar]) -> Iterator[Fault]:
    used = {row.calendar for clock in rules.clocks.values() for row in clock.budget}
    used |= {ladder.calendar for ladder in rules.ladders}
    for name in sorted(used):
        calendar = calendars.get(name)
        if calendar is None:
            yield _error("calendar_unknown", name, f"没有日历「{name}」", f"there is no calendar {name!r}")
        elif not has_hours(calendar):
            yield _error("calendar_empty", name, "该日历一周内没有任何办公时间", "the calendar never opens")
        elif calendar.other_years == "provisional" and "final" not in calendar.years.values():
            yield _warning(
                "calendar_provisional",
                name,
                "该日历尚未导入任何年份的放假通知",
                "no year of this calendar is final: load the official notice",
            )


def _clock(kind: str, clock: ClockRule, rules: Rules, ruleset: RuleSet) -> Iterator[Fault]:
    where = f"clocks.{kind}"
    if not clock.starts:
        yield _error("never_starts", where, "没有起算事件", "no event starts it")
    if not clock.meets:
        yield _error(
            "never_met", where, "没有办结事件,永远会超期", "nothing meets it, so it is always broken"
        )
    if not clock.budget or clock.budget[-1].when is not None:
        yield _error(
            "budget_has_hole", where, "最后一行时限须无条件", "the last budget row must have no condition"
        )
    yield from (
        _error("row_unreachable", where, "无条件时限之后的行不会用到", "rows after one without condition")
        for row in clock.budget[:-1]
        if row.when is None
    )
    for row in clock.budget:
        spans = (*row.rounds, *([row.span] if row.span else []))
        if not spans and clock.due_from is None:
            yield _error("budget_empty", where, "没有时限", "it has no length")
        if any(span.n < 0 or (span.n == 0 and span.unit != "wd") for span in spans):
            yield _error("budget_not_positive", where, "时限须为正数", "its length must be positive")
    if not ruleset.ladders_of[kind]:
        yield _error("nobody_hears", where, "超期后没有任何提级规则", "no ladder hangs on it")
    if clock.pausable and kind in NEVER_PAUSED:
        yield _error("must_not_pause", where, "签收、特急时限不得中止", "this clock must never pause")
    yield from (
        _error("pause_unknown", where, f"没有中止原因「{reason}」", f"there is no pause reason {reason!r}")
        for reason in clock.pausable
        if reason not in rules.pause
    )
    triggers = (*clock.starts, *clock.meets, *clock.cancels, *clock.restarts)
    yield from _condition(where, clock.when)
    for condition in (*(row.when for row in clock.budget), *(row.when for row in triggers)):
        yield from _condition(where, condition)


def _ladder(
    ladder: Ladder, rules: Rules, calendars: Mapping[str, Calendar], names: list[str]
) -> Iterator[Fault]:
    where = f"ladders.{ladder.id}"
    if names.count(ladder.id) > 1:
        yield _error(
            "name_twice", where, "提级规则重名,触发记录会混淆", "two ladders share a name: firings would mix"
        )
    if any(mark in ladder.id for mark in ":") or any(":" in step.id for step in ladder.steps):
        yield _error("name_has_colon", where, "名称不能含冒号", "names must not contain a colon")
    yield from (
        _error("clock_unknown", where, f"没有时限「{kind}」", f"there is no clock {kind!r}")
        for kind in ladder.clocks
        if kind not in rules.clocks
    )
    yield from _condition(where, ladder.when)
    yield from _condition(where, ladder.suppress)
    steps = [step.id for step in ladder.steps]
    if len(set(steps)) < len(steps):
        yield _error("name_twice", where, "台阶重名", "two rungs share a name")
    yield from _order(where, ladder)
    always = all(
        calendars[name].week == (((0, 86_400_000),),) * 7 for name in {ladder.calendar} & set(calendars)
    )
    for step in ladder.steps:
        yield from _step(f"{where}.{step.id}", step, always=always)


def _step(where: str, step: StepRule, *, always: bool) -> Iterator[Fault]:
    if not 0 <= step.level <= 3:
        yield _error("level_unknown", where, "层级须为0至3", "levels are 0 to 3")
    if step.warn is not (step.level == 0):
        yield _error(
            "warn_is_level_0", where, "提醒不提级,提级不为0级", "a warning stays at level 0, and only it does"
        )
    if not step.to:
        yield _error("nobody_told", where, "没有接收人", "it names no role")
    if step.repeat is not None and not 1 <= step.repeat.max <= 20:
        yield _error("repeat_without_end", where, "重复次数须为1至20", "repeats are 1 to 20")
    if step.repeat is not None and step.repeat.every.n <= 0:
        yield _error("repeat_at_once", where, "重复间隔须为正数", "the interval of repeats must be positive")
    if not always and step.at.offset is not None and step.at.offset.unit in {"m", "h"}:
        yield _warning("outside_hours", where, "可能落在非办公时间", "may land outside office hours")


def _order(where: str, ladder: Ladder) -> Iterator[Fault]:
    """Rungs are written from the first to the last: what stands lower must not come later."""
    for below, above in zip(ladder.steps, ladder.steps[1:], strict=False):
        first, second = _rank(below), _rank(above)
        if above.level > below.level > 0 and above.min_dwell is None:
            text = f"「{above.id}」未设最短停留,停机后下级会被越过"
            yield _warning(
                "no_dwell", where, text, f"without dwell {above.id!r} overtakes {below.id!r} after a halt"
            )
        if second < first or above.level < below.level:
            text = f"「{above.id}」排在「{below.id}」之后却更早或更低"
            yield _error(
                "unreachable", where, text, f"{above.id!r} stands after {below.id!r} but is earlier or lower"
            )
        elif first == second and below.warn is above.warn:
            text = f"「{below.id}」与「{above.id}」同时触发"
            yield _warning("overlap", where, text, f"{below.id!r} and {above.id!r} fall on the same instant")


def _rank(step: StepRule) -> tuple[float, float]:
    offset = step.at.offset or Span(0, "m")
    return step.at.percent, offset.n * _UNIT_DAYS[offset.unit]


def _condition(where: str, condition: Condition | None) -> Iterator[Fault]:
    for leaf in fields_of(condition):
        if leaf.field is None or not (leaf.field in FACTS or leaf.field.startswith("args.")):
            yield _error(
                "field_unknown", where, f"没有字段「{leaf.field}」", f"there is no field {leaf.field!r}"
            )
        if leaf.op in {"in", "not_in"} and not isinstance(leaf.value, list | tuple):
            yield _error("value_not_a_list", where, "in 的值须为列表", "the value of `in` is a list")
