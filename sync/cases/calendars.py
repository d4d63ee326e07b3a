"""Office calendars and the arithmetic of working time.

A calendar is data: the week, the windows of a day, the days that differ (holidays, make-up workdays) and,
for each year, whether the official notice has been loaded (`final`) or the week alone is known
(`provisional`). All instants are epoch milliseconds UTC; windows are milliseconds from local midnight,
half-open, so 24:00 is a legal end and no minute belongs to two windows.

Spans follow the way office rules are written: `m` and `h` are wall clock, `wh` office hours, `d` natural
days, `wd` working days. `d` and `wd` count from the day after the anchor and end at the close of the last
day; `0wd` is the close of the working day the anchor falls in.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from functools import lru_cache
from typing import Final, Literal

import msgspec

MINUTE: Final = 60_000
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR
_EPOCH: Final = date(1970, 1, 1)
_WEEKDAY_OF_EPOCH: Final = 3  # a Thursday, Monday being 0

Unit = Literal["m", "h", "wh", "d", "wd"]
YearStatus = Literal["final", "provisional"]
Window = tuple[int, int]
_SPAN: Final = re.compile(r"([+-]?\d+)(wh|wd|m|h|d)")
_CLOCK_TIME: Final = re.compile(r"(\d{2}):(\d{2})")
_WEEKDAYS: Final = {
    "zh": ("周一", "周二", "周三", "周四", "周五", "周六", "周日"),
    "en": ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"),
}
_UNIT_WORDS: Final[Mapping[str, tuple[str, str, str]]] = {
    "m": ("分钟", "minute", "minutes"),
    "h": ("小时", "hour", "hours"),
    "wh": ("个工作小时", "working hour", "working hours"),
    "d": ("天", "day", "days"),
    "wd": ("个工作日", "working day", "working days"),
}


class CalendarError(ValueError):
    """The text of a calendar cannot be understood; the message says where."""


class Span(msgspec.Struct, frozen=True):
    """A length of time as rules write it, e.g. 4wh."""

    n: int
    unit: Unit


class Day(msgspec.Struct, frozen=True):
    """A day that differs from its weekday."""

    windows: tuple[Window, ...]
    label: str = ""


class Calendar(msgspec.Struct, frozen=True, eq=False):
    """Office hours of every day. `days` is keyed by days since 1970-01-01, local.

    Compared by identity, so that arithmetic can be remembered per calendar.
    """

    id: str
    version: int
    offset: int
    week: tuple[tuple[Window, ...], ...]
    days: dict[int, Day]
    years: dict[int, YearStatus]
    other_years: YearStatus = "provisional"
    roll: bool = True  # natural days that end on a day of rest end on the next working day
    title: dict[str, str] = {}


def parse_span(text: str) -> Span:
    """`4wh`, `-1wd`, `30m`. Raises CalendarError."""
    found = _SPAN.fullmatch(text)
    if found is None:
        raise CalendarError(f"not a span of time: {text!r} (a whole number and m, h, wh, d or wd)")
    return msgspec.convert({"n": int(found[1]), "unit": found[2]}, Span)


def span_words(span: Span, lang: str) -> str:
    """The span as a person says it: 4个工作小时, 4 working hours."""
    zh, one, many = _UNIT_WORDS[span.unit]
    if span == Span(0, "wd"):
        return "当日" if lang == "zh" else "the same working day"
    return f"{span.n}{zh}" if lang == "zh" else f"{span.n} {one if span.n == 1 else many}"


def parse_calendar(toml: str) -> Calendar:
    """A calendar from its TOML text (see `data/calendar_weekdays.toml`). Raises CalendarError."""
    try:
        text = msgspec.convert(tomllib.loads(toml), _Text)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise CalendarError(str(error)) from error
    hours = {kind: _windows(kind, rows) for kind, rows in text.windows.items()}
    if len(text.week) != 7 or not set(text.week) <= set(hours):
        raise CalendarError("`week` names seven day kinds, Monday first, each with its windows")
    days: dict[int, Day] = {}
    for row in text.days:
        first, last = row.on or row.first, row.on or row.last
        if first is None or last is None or last < first:
            raise CalendarError(f"a row of `days` has `date`, or `from` and `to` in order: {row.label!r}")
        if row.windows is None and row.kind not in hours:
            raise CalendarError(f"day kind {row.kind!r} has no windows")
        windows = hours[row.kind] if row.windows is None else _windows(row.kind, row.windows)
        for number in range((first - _EPOCH).days, (last - _EPOCH).days + 1):
            days[number] = Day(windows, row.label)
    return Calendar(
        id=text.id,
        version=text.version,
        offset=text.tz_offset_minutes * MINUTE,
        week=tuple(hours[kind] for kind in text.week),
        days=days,
        years={int(year): mark.status for year, mark in text.years.items()},
        other_years=text.other_years,
        roll=text.roll,
        title=text.title,
    )


def day_of(calendar: Calendar, at: int) -> int:
    """The local day an instant falls in, in days since 1970-01-01."""
    return (at + calendar.offset) // DAY


def date_of(calendar: Calendar, at: int) -> date:
    """The local date of an instant."""
    return _EPOCH + timedelta(days=day_of(calendar, at))


def hours_of(calendar: Calendar, day: int) -> tuple[Window, ...]:
    """Office hours of a local day; empty on a day of rest."""
    own = calendar.days.get(day)
    return calendar.week[(day + _WEEKDAY_OF_EPOCH) % 7] if own is None else own.windows


def has_hours(calendar: Calendar) -> bool:
    """Whether the ordinary week opens at all; one that does not is refused by lint, counted as always open."""
    return any(calendar.week)


@lru_cache(maxsize=8192)
def add(calendar: Calendar, start: int, n: int, unit: Unit) -> int:
    """The instant `n` units after `start` (before it when negative)."""
    if unit == "m":
        return start + n * MINUTE
    if unit == "h":
        return start + n * HOUR
    if not has_hours(calendar):
        calendar = _always_open(calendar)
    if unit == "wh":
        return add_office(calendar, start, n * HOUR)
    return _add_days(calendar, start, n) if unit == "d" else _add_workdays(calendar, start, n)


def add_span(calendar: Calendar, start: int, span: Span) -> int:
    """`add` of a span."""
    return add(calendar, start, span.n, span.unit)


def add_office(calendar: Calendar, start: int, amount: int) -> int:
    """The instant by which `amount` milliseconds of office time have passed since `start`.

    Lands on the close of a window rather than on the opening of the next; zero is `start` itself.
    """
    if not has_hours(calendar):
        return start + amount
    day, clock = divmod(start + calendar.offset, DAY)
    while amount > 0:
        for opens, closes in hours_of(calendar, day):
            begin = max(opens, clock)
            if closes <= begin:
                continue
            if amount <= closes - begin:
                return day * DAY + begin + amount - calendar.offset
            amount -= closes - begin
        day, clock = day + 1, 0
    while amount < 0:
        for opens, closes in reversed(hours_of(calendar, day)):
            end = min(closes, clock)
            if end <= opens:
                continue
            if -amount <= end - opens:
                return day * DAY + end + amount - calendar.offset
            amount += end - opens
        day, clock = day - 1, DAY
    return start


@lru_cache(maxsize=8192)
def between(calendar: Calendar, start: int, end: int) -> int:
    """Milliseconds of office time from `start` to `end`; negative when `end` is earlier."""
    if end < start:
        return -between(calendar, end, start)
    if not has_hours(calendar):
        return end - start
    first, clock = divmod(start + calendar.offset, DAY)
    last, stop = divmod(end + calendar.offset, DAY)
    total = 0
    for day in range(first, last + 1):
        low, high = (clock if day == first else 0), (stop if day == last else DAY)
        for opens, closes in hours_of(calendar, day):
            total += max(0, min(closes, high) - max(opens, low))
    return total


def provisional_years(calendar: Calendar, start: int, end: int) -> tuple[int, ...]:
    """Years between two instants whose holidays are not yet known: dates counted through them may move."""
    years = range(date_of(calendar, start).year, date_of(calendar, end).year + 1)
    return tuple(year for year in years if calendar.years.get(year, calendar.other_years) == "provisional")


def rest_days(calendar: Calendar, start: int, end: int, lang: str = "zh") -> tuple[tuple[str, str], ...]:
    """Days without office hours between two instants, each as (ISO date, why it does not count)."""
    return tuple(_rest_days(calendar, day_of(calendar, start), day_of(calendar, end), lang))


def changed_between(old: Calendar, new: Calendar, start: int, end: int) -> bool:
    """Whether a new edition of a calendar counts any day from `start` to `end` otherwise.

    Loading a year re-plans only the clocks for which this is true.
    """
    if old.offset != new.offset:
        return True
    if provisional_years(old, start, end) != provisional_years(new, start, end):
        return True
    days = range(day_of(new, start), day_of(new, end) + 1)
    return any(hours_of(old, day) != hours_of(new, day) for day in days)


def moment_words(calendar: Calendar, at: int, lang: str) -> str:
    """An instant in local time as read aloud: 12月24日(周四)14:20, Thu 24 Dec 14:20."""
    clock = (at + calendar.offset) % DAY // MINUTE
    day = date_of(calendar, at)
    if clock == 0:  # the close of a day that never closes belongs to that day
        day, clock = day - timedelta(days=1), 24 * 60
    name = _WEEKDAYS["zh" if lang == "zh" else "en"][day.weekday()]
    time = f"{clock // 60:02d}:{clock % 60:02d}"
    return f"{day.month}月{day.day}日({name}){time}" if lang == "zh" else f"{name} {day.day} {day:%b} {time}"


class _DayText(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    rename={"on": "date", "first": "from", "last": "to"},
):
    kind: str
    on: date | None = None
    first: date | None = None
    last: date | None = None
    label: str = ""
    windows: list[tuple[str, str]] | None = None


class _YearText(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    status: YearStatus
    source: str = ""


class _Text(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    schema: Literal[1]
    id: str
    version: int
    week: list[str]
    windows: dict[str, list[tuple[str, str]]]
    tz_offset_minutes: int = 480
    other_years: YearStatus = "provisional"
    roll: bool = True
    years: dict[str, _YearText] = {}
    days: list[_DayText] = []
    title: dict[str, str] = {}


def _windows(kind: str, rows: list[tuple[str, str]]) -> tuple[Window, ...]:
    windows = tuple((_clock_time(opens), _clock_time(closes)) for opens, closes in rows)
    edges = [edge for window in windows for edge in window]
    if edges != sorted(set(edges)):
        raise CalendarError(f"windows of {kind!r} must follow each other without overlap")
    return windows


def _clock_time(text: str) -> int:
    found = _CLOCK_TIME.fullmatch(text)
    minutes = int(found[1]) * 60 + int(found[2]) if found and int(found[2]) < 60 else DAY
    if minutes > 24 * 60:
        raise CalendarError(f"not a time of day: {text!r} (00:00 to 24:00)")
    return minutes * MINUTE


@lru_cache(maxsize=16)
def _always_open(calendar: Calendar) -> Calendar:
    return msgspec.structs.replace(calendar, week=(((0, DAY),),) * 7, days={})


def _close(calendar: Calendar, day: int) -> int:
    hours = hours_of(calendar, day)
    return day * DAY + (hours[-1][1] if hours else DAY) - calendar.offset


def _add_days(calendar: Calendar, start: int, n: int) -> int:
    day = day_of(calendar, start) + n
    while calendar.roll and n > 0 and not hours_of(calendar, day):
        day += 1
    return _close(calendar, day)


def _add_workdays(calendar: Calendar, start: int, n: int) -> int:
    day, clock = divmod(start + calendar.offset, DAY)
    if n == 0:
        hours = hours_of(calendar, day)
        if hours and hours[-1][1] > clock:
            return _close(calendar, day)
        n = 1
    step = 1 if n > 0 else -1
    while n:
        day += step
        if hours_of(calendar, day):
            n -= step
    return _close(calendar, day)


def _rest_days(calendar: Calendar, first: int, last: int, lang: str) -> Iterator[tuple[str, str]]:
    for day in range(first, last + 1):
        if hours_of(calendar, day):
            continue
        own = calendar.days.get(day)
        weekday = _WEEKDAYS["zh" if lang == "zh" else "en"][(day + _WEEKDAY_OF_EPOCH) % 7]
        yield (_EPOCH + timedelta(days=day)).isoformat(), (own.label if own and own.label else weekday)


def calendars_by_id(*calendars: Calendar) -> dict[str, Calendar]:
    """The calendars as rules refer to them."""
    return {calendar.id: calendar for calendar in calendars}
