from datetime import date, timedelta

import pytest
from hypothesis import given, settings, strategies as st

from sync.cases.calendars import (
    DAY,
    HOUR,
    MINUTE,
    CalendarError,
    Unit,
    add,
    add_office,
    between,
    changed_between,
    moment_words,
    parse_calendar,
    parse_span,
    provisional_years,
    rest_days,
    span_words,
)
from tests.unit.escalation.world import ALWAYS, CHINA, DATA, WEEKDAYS, at

CLOSED = parse_calendar(
    'schema = 1\nid = "shut"\nversion = 1\n'
    'week = ["rest", "rest", "rest", "rest", "rest", "rest", "rest"]\n[windows]\nrest = []\n'
)


@pytest.mark.parametrize(
    ("start", "span", "end"),
    [
        ("2026-11-20 10:00", "2wh", "2026-11-20 12:00"),  # up to the noon break, not to its end
        ("2026-11-20 11:00", "2wh", "2026-11-20 14:30"),  # across the noon break
        ("2026-11-20 12:30", "1wh", "2026-11-20 14:30"),  # begun during the break
        ("2026-11-20 07:00", "1wh", "2026-11-20 10:00"),  # before the office opens
        ("2026-11-20 18:00", "1wh", "2026-11-23 10:00"),  # Friday after the close, then the weekend
        ("2026-11-20 17:30", "1wh", "2026-11-23 10:00"),  # at the very close: the window is half-open
        ("2026-11-20 16:30", "1wh", "2026-11-20 17:30"),  # ends at the close, not at Monday's opening
        ("2026-09-30 16:30", "2wh", "2026-10-08 10:00"),  # National Day
        ("2026-11-20 10:00", "1wd", "2026-11-23 17:30"),  # counted from the next day
        ("2026-11-21 10:00", "1wd", "2026-11-23 17:30"),  # Saturday's capture
        ("2026-11-20 10:00", "0wd", "2026-11-20 17:30"),  # the same working day
        ("2026-11-20 17:30", "0wd", "2026-11-23 17:30"),  # which is over at its close
        ("2026-11-21 10:00", "0wd", "2026-11-23 17:30"),
        ("2026-10-09 10:00", "1wd", "2026-10-10 17:30"),  # a Saturday worked to make up
        ("2026-09-19 10:00", "1wd", "2026-09-20 17:30"),  # a Sunday worked to make up
        (
            "2026-02-13 10:00",
            "2wd",
            "2026-02-24 17:30",
        ),  # make-up Saturday, then nine days of Spring Festival
        ("2026-11-20 10:00", "7d", "2026-11-27 17:30"),
        ("2026-11-20 10:00", "1d", "2026-11-23 17:30"),  # natural days that end on a Saturday roll on
        ("2026-11-20 10:00", "36h", "2026-11-21 22:00"),
        ("2026-11-20 23:50", "30m", "2026-11-21 00:20"),
        ("2026-11-23 10:00", "-1wd", "2026-11-20 17:30"),
        ("2026-11-23 10:00", "-2wh", "2026-11-20 16:30"),
        ("2026-11-20 14:30", "-2wh", "2026-11-20 11:00"),
    ],
)
def test_a_span_ends_where_an_office_would_say_it_ends(start: str, span: str, end: str) -> None:
    length = parse_span(span)
    assert moment_words(CHINA, add(CHINA, at(start), length.n, length.unit), "en") == moment_words(
        CHINA, at(end), "en"
    )


def test_a_weekday_calendar_does_not_know_the_make_up_workdays() -> None:
    assert add(WEEKDAYS, at("2026-09-30 16:30"), 2, "wh") == at("2026-10-01 10:00")
    assert add(WEEKDAYS, at("2026-10-09 10:00"), 1, "wd") == at("2026-10-12 17:30")


def test_day_and_night_loses_no_minute_at_midnight() -> None:
    start = at("2026-11-20 23:30")
    assert add(ALWAYS, start, 1, "wh") == start + HOUR
    assert between(ALWAYS, start, start + 3 * DAY) == 3 * DAY
    assert add(ALWAYS, start, 1, "wd") == at("2026-11-22 00:00")
    assert moment_words(ALWAYS, at("2026-11-22 00:00"), "zh") == "11月21日(周六)24:00"


def test_a_calendar_that_never_opens_counts_as_always_open_instead_of_searching_for_ever() -> None:
    start = at("2026-11-20 10:00")
    assert add(CLOSED, start, 2, "wh") == start + 2 * HOUR
    assert add(CLOSED, start, 1, "wd") == at("2026-11-22 00:00")
    assert between(CLOSED, start, start + HOUR) == HOUR


def test_years_without_a_notice_are_marked_provisional() -> None:
    assert provisional_years(CHINA, at("2026-12-30 10:00"), at("2027-01-04 10:00")) == (2027,)
    assert provisional_years(CHINA, at("2026-11-01 10:00"), at("2026-12-31 10:00")) == ()
    assert provisional_years(ALWAYS, at("2026-12-30 10:00"), at("2040-01-04 10:00")) == ()
    assert add(CHINA, at("2031-12-30 10:00"), 5, "wd") > at("2032-01-01 00:00")


def test_both_years_with_a_notice_have_their_holidays_and_make_up_workdays() -> None:
    def worked(year: int) -> int:
        days = (date(year, 1, 1) + timedelta(days=n) for n in range(365))
        return sum(between(CHINA, at(f"{day} 00:00"), at(f"{day} 23:59")) > 0 for day in days)

    assert worked(2025) == 248
    assert worked(2026) == 248


def test_days_that_do_not_count_are_named() -> None:
    names = rest_days(CHINA, at("2026-09-30 10:00"), at("2026-10-12 10:00"))
    assert names[0] == ("2026-10-01", "国庆节")
    assert names[-1] == ("2026-10-11", "周日")
    assert "2026-10-10" not in dict(names)


def test_loading_a_notice_touches_only_what_was_counted_through_its_year() -> None:
    text = (DATA / "calendar_cn.toml").read_text("utf-8")
    loaded = parse_calendar(
        text.replace("from = 2027-02-05\nto = 2027-02-08", "from = 2027-02-05\nto = 2027-02-11")
    )
    assert changed_between(CHINA, loaded, at("2027-02-01 10:00"), at("2027-02-20 10:00"))
    assert not changed_between(CHINA, loaded, at("2026-11-01 10:00"), at("2026-12-20 10:00"))
    assert not changed_between(CHINA, parse_calendar(text), at("2026-01-01 10:00"), at("2028-01-01 10:00"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (('["13:30", "17:30"]', '["11:30", "17:30"]'), "overlap"),
        (('["13:30", "17:30"]', '["13:30", "24:30"]'), "24:30"),
        (('"work", "rest", "rest"]', '"rest", "rest"]'), "seven"),
        (("schema = 1", "schema = 1\nsurprise = true"), "surprise"),
        (("schema = 1", "schema = "), "line"),
        (("rest = []", 'rest = []\n\n[[days]]\nlabel = "?"\nkind = "rest"'), "date"),
        (("rest = []", "rest = []\n\n[[days]]\ndate = 2026-01-01\nkind = 'half'"), "half"),
    ],
)
def test_a_calendar_that_cannot_be_understood_says_where(change: tuple[str, str], words: str) -> None:
    text = (DATA / "calendar_weekdays.toml").read_text("utf-8")
    assert change[0] in text
    with pytest.raises(CalendarError, match=words):
        parse_calendar(text.replace(*change))


def test_a_span_is_read_strictly_and_said_in_words() -> None:
    assert span_words(parse_span("4wh"), "zh") == "4个工作小时"
    assert span_words(parse_span("1wd"), "en") == "1 working day"
    assert span_words(parse_span("0wd"), "zh") == "当日"
    for wrong in ("4", "wh", "4 wh", "1.5h", "4weeks"):
        with pytest.raises(CalendarError):
            parse_span(wrong)


instants = st.integers(at("2025-01-01 00:00") // MINUTE, at("2027-06-01 00:00") // MINUTE).map(
    lambda n: n * MINUTE
)


@settings(max_examples=60, deadline=None)
@given(start=instants, amount=st.integers(0, 80 * 60).map(lambda n: n * MINUTE))
def test_office_time_that_passes_is_the_office_time_that_was_asked_for(start: int, amount: int) -> None:
    assert between(CHINA, start, add_office(CHINA, start, amount)) == amount
    assert between(CHINA, add_office(CHINA, start, -amount), start) == amount


@settings(max_examples=60, deadline=None)
@given(start=instants, n=st.integers(1, 30), unit=st.sampled_from(["wh", "d", "wd"]))
def test_a_later_start_never_ends_earlier(start: int, n: int, unit: Unit) -> None:
    first = add(CHINA, start, n, unit)
    second = add(CHINA, start + 90 * MINUTE, n, unit)
    assert start < first <= second
