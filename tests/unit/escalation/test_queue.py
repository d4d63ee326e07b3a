"""The street leader's evening: five lines, each with one question."""

from collections.abc import Callable

import pytest

from sync.cases.queue import (
    Acted,
    Refused,
    Row,
    acknowledge,
    coming,
    extend,
    group,
    instruct,
    open_row,
    send_back,
    settle,
    sponsor,
    unanswered,
    withdraw,
)
from tests.unit.escalation.world import RULES, Case, at


def dispatched() -> Case:
    case = Case()
    case.becomes(status="dispatched")
    case.happens("case.dispatched", "2026-11-20 09:00")
    return case


def climbed(case: Case, when: str, rows: tuple[Row, ...] = ()) -> Row:
    before = case.plan
    opened = [
        open_row(firing, before, rows, row_id=f"row-{when}", case_id="c1", holder="城关司法所", now=at(when))
        for firing in case.tick(when)
    ]
    return next(row for row in opened if row is not None)


def test_a_row_says_in_plain_words_why_it_is_here_and_what_is_asked() -> None:
    row = climbed(dispatched(), "2026-11-20 14:30")
    assert row.reason_zh == "已派城关司法所,超过签收时限(4个工作小时)仍未签收"
    assert row.reason_en == "Dispatched to 城关司法所 and not accepted within 4 working hours"
    assert row.asked_zh == "请明确承办单位或催其签收"
    assert (row.level, row.state, row.opened_by) == (1, "open", "accept:1:accept:community:0")
    assert row.ack_due_at == at("2026-11-23 10:00")
    assert group(row, at("2026-11-20 15:00")) == "decide"


def test_a_warning_opens_no_row() -> None:
    case = dispatched()
    before = case.plan
    (warned,) = case.tick("2026-11-20 12:00")
    assert (
        open_row(warned, before, (), row_id="r", case_id="c1", holder=None, now=at("2026-11-20 12:00"))
        is None
    )


def test_a_repeat_reminds_the_same_row() -> None:
    case = dispatched()
    for when in ("2026-11-20 14:30", "2026-11-23 17:30"):
        case.tick(when)
    row = climbed(case, "2026-11-25 17:30")
    again = climbed(case, "2026-11-26 17:30", (row,))
    assert (again.id, again.reminded) == (row.id, 1)


def test_taking_it_on_puts_it_among_the_known_until_the_promise_passes() -> None:
    row = climbed(dispatched(), "2026-11-20 14:30")
    acted = acknowledge(row, "u1", at("2026-11-20 15:00"), at("2026-11-23 10:00"))
    assert isinstance(acted, Acted)
    assert acted.ack is not None
    assert (acted.row.state, acted.ack.until) == ("acked", at("2026-11-23 10:00"))
    assert group(acted.row, at("2026-11-20 16:00")) == "know"
    assert group(acted.row, at("2026-11-23 10:00")) == "decide"


def test_an_instruction_opens_a_clock_and_shows_when_it_was_left_unanswered() -> None:
    case = dispatched()
    row = climbed(case, "2026-11-20 14:30")
    acted = instruct(
        row,
        "u1",
        at("2026-11-20 15:00"),
        instruction_id="i1",
        unit="J01",
        due=at("2026-11-23 12:00"),
        text="今天签收",
    )
    assert isinstance(acted, Acted)
    case.happens(acted.events[0].kind, acted.events[0].at, **acted.events[0].args)
    clock = next(clock for clock in case.plan.clocks if clock.kind == "instruction_reply")
    assert clock.due_at == at("2026-11-23 12:00")
    assert group(acted.row, at("2026-11-23 11:00")) == "know"
    assert unanswered(acted.row, at("2026-11-23 12:00"))
    assert group(acted.row, at("2026-11-23 12:00")) == "decide"
    back = climbed(case, "2026-11-23 12:00", (acted.row,))
    assert back.reason_zh == "批示后无回音,已过回复时限"


def test_sending_back_brings_the_level_down_with_a_deadline() -> None:
    case = dispatched()
    case.tick("2026-11-20 14:30")
    row = climbed(case, "2026-11-23 17:30")
    acted = send_back(
        row, "u2", at("2026-11-23 18:00"), level=1, deadline=at("2026-11-25 17:30"), what="上门调解"
    )
    assert isinstance(acted, Acted)
    assert (acted.row.state, acted.row.returned_to) == ("returned", 1)
    assert acted.events[0].args == {
        "level": 1,
        "from_level": 2,
        "by": "u2",
        "deadline": at("2026-11-25 17:30"),
    }
    assert group(acted.row, at("2026-11-23 18:01")) is None


def test_an_extension_closes_the_row_and_gives_the_promise_anew() -> None:
    case = dispatched()
    row = climbed(case, "2026-11-20 14:30")
    acted = extend(row, case.plan, "u1", at("2026-11-20 15:00"), days=2, reason_text="单位搬迁")
    assert isinstance(acted, Acted)
    event = acted.events[0]
    case.happens(event.kind, event.at, **event.args)
    running = [clock for clock in case.plan.clocks if clock.state == "running"]
    assert [(clock.epoch, clock.due_at) for clock in running] == [
        (2, at("2026-11-23 17:30"))
    ]  # from Sunday on


def test_longer_mediation_needs_the_consent_of_the_parties() -> None:
    case = Case()
    case.becomes(status="in_mediation")
    case.happens("case.begun", "2026-10-19 09:00")
    row = climbed(case, "2026-11-19 09:00")
    assert row.clock == "mediation"
    refused = extend(row, case.plan, "u1", at("2026-11-19 10:00"), days=60, reason_text="再谈")
    assert isinstance(refused, Refused)
    assert refused.missing == ("consent",)
    agreed = extend(row, case.plan, "u1", at("2026-11-19 10:00"), days=60, reason_text="再谈", consent=True)
    assert isinstance(agreed, Acted)


def test_a_sponsor_answers_for_the_case_himself() -> None:
    acted = sponsor(
        climbed(dispatched(), "2026-11-20 14:30"), "u2", at("2026-11-20 15:00"), at("2026-12-01 10:00")
    )
    assert isinstance(acted, Acted)
    assert (acted.row.sponsor, acted.row.state) == ("u2", "acted")
    assert acted.ack is not None


def test_the_row_closes_when_the_promise_is_kept() -> None:
    case = dispatched()
    row = climbed(case, "2026-11-20 14:30")
    assert settle([row], case.plan, at("2026-11-20 15:00")) == ()
    case.happens("case.accepted", "2026-11-20 16:00")
    (closed,) = settle([row], case.plan, at("2026-11-20 16:00"))
    assert (closed.closed_at, closed.closed_zh) == (at("2026-11-20 16:00"), "已办,事项结束")
    refused = acknowledge(closed, "u1", at("2026-11-20 17:00"), None)
    assert isinstance(refused, Refused)
    assert refused.code == "row_closed"


def test_a_firing_that_was_taken_back_closes_its_row_with_the_reason() -> None:
    row = climbed(dispatched(), "2026-11-20 14:30")
    (closed,) = withdraw([row], [row.opened_by], at("2026-11-21 09:00"))
    assert (closed.state, closed.closed_en) == ("withdrawn", "Resolved before due, reported late")
    assert withdraw([closed], [row.opened_by], at("2026-11-21 09:00")) == ()


def test_what_will_arrive_tomorrow_is_known_today() -> None:
    case = dispatched()
    case.tick("2026-11-20 14:30")
    (found,) = coming(case.state, case.plan, 2, at("2026-11-24 00:00"))
    assert (found[0].step, found[1]) == ("street", at("2026-11-23 17:30"))
    assert coming(case.state, case.plan, 2, at("2026-11-23 17:00")) == ()


@pytest.mark.parametrize(
    ("act", "code"),
    [
        (lambda row, now: acknowledge(row, "u", now, now), "time_passed"),
        (lambda row, now: sponsor(row, "u", now, now - 1), "time_passed"),
        (lambda row, now: send_back(row, "u", now, level=1, deadline=now + 1, what="x"), "level_not_below"),
        (lambda row, now: send_back(row, "u", now, level=0, deadline=now, what="x"), "time_passed"),
        (lambda row, now: send_back(row, "u", now, level=0, deadline=now + 1, what=" "), "nothing_to_do"),
        (
            lambda row, now: instruct(row, "u", now, instruction_id="i", unit="J", due=now, text="x"),
            "time_passed",
        ),
        (
            lambda row, now: instruct(row, "u", now, instruction_id="i", unit="J", due=now + 1, text=""),
            "nothing_to_do",
        ),
        (lambda row, now: extend(row, dispatched().plan, "u", now, days=0, reason_text="x"), "nothing_to_do"),
        (lambda row, now: extend(row, Case().plan, "u", now, days=1, reason_text="x"), "clock_not_open"),
    ],
)
def test_an_act_that_cannot_be_is_refused_with_its_reason(
    act: Callable[[Row, int], Acted | Refused], code: str
) -> None:
    refused = act(climbed(dispatched(), "2026-11-20 14:30"), at("2026-11-20 15:00"))
    assert isinstance(refused, Refused)
    assert refused.code == code


def test_an_orange_case_nobody_called_the_same_day_says_so_in_chinese() -> None:
    case = Case()
    case.becomes(risk="orange")
    case.happens("case.received", "2026-11-20 10:00")
    row = climbed(case, "2026-11-20 17:30")
    assert row.reason_zh == "超过首次联系时限(当日)仍未联系上当事人"


def test_every_clock_of_the_rules_gives_a_whole_sentence() -> None:
    for rule in RULES.rules.clocks.values():
        assert "{" not in rule.late_zh.format(holder="某单位", budget="1个工作日")
        assert "{" not in rule.late_en.format(holder="a unit", budget="1 working day")
