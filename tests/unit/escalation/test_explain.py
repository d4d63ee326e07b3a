from collections.abc import Mapping

import pytest

from sync.cases.explain import Explanation, RungLine, explain, length_words
from tests.unit.escalation.world import CALENDARS, Case, at

NAMES = {"u1": "王书记", "u2": "张主任"}


def told(case: Case, when: str, lang: str = "zh") -> Explanation:
    return explain(case.state, case.plan, case.facts, CALENDARS, case.people, at(when), lang, NAMES)


def rungs(explanation: Explanation, clock: str) -> Mapping[str, RungLine]:
    return {f"{line.rung}{line.repeat_no or ''}": line for line in explanation.rungs if line.clock == clock}


def dispatched() -> Case:
    case = Case()
    case.becomes(status="dispatched")
    case.happens("case.dispatched", "2026-11-20 09:00")
    return case


def test_the_first_sentence_says_when_it_reaches_whom() -> None:
    found = told(dispatched(), "2026-11-20 10:00")
    assert found.sentence_zh == "11月20日(周五)14:30将提级到社区(村)(签收时限剩余3个工作小时)。"
    assert (
        found.sentence_en == "Reaches the community on Fri 20 Nov 14:30 (acceptance: 3 working hours left)."
    )


def test_a_pause_is_named_with_its_reason_its_length_and_who_approved_it() -> None:
    case = Case()
    case.becomes(status="in_mediation", complexity="ordinary")
    case.happens("case.accepted", "2026-11-18 10:00")
    case.happens("case.suspended", "2026-11-19 10:00", reason="appraisal", approved_by="u2")
    case.happens("case.resumed", "2026-11-22 10:00")
    found = told(case, "2026-11-23 10:00")
    assert (
        found.sentence_zh
        == "11月28日(周六)17:30将提级到社区(村)(网格办理时限剩余5天,因鉴定、评估、检测中止3天,张主任批准)。"
    )
    assert "paused 3 days for an appraisal, approved by 张主任" in found.sentence_en
    (line,) = found.clocks
    assert line.pauses == ("因鉴定、评估、检测中止3天,张主任批准",)
    assert line.gross - line.net == 3 * 86_400_000


def test_while_it_stands_still_the_sentence_says_that_it_is_not_coming() -> None:
    case = Case()
    case.becomes(status="suspended")
    case.happens("case.accepted", "2026-11-18 10:00")
    case.happens("case.suspended", "2026-11-19 10:00", reason="force_majeure")
    found = told(case, "2026-11-23 10:00", "en")
    assert found.sentence_zh == "暂不提级到社区(村):时限因灾害等不可抗力中止。"
    assert {line.reason for line in found.rungs} == {"paused"}
    assert {line.reason_text for line in found.rungs} == {"the clock stands still for force majeure"}


def test_each_rung_that_has_not_come_gives_its_first_reason() -> None:
    case = dispatched()
    case.reach = {"handler": ("worker",), "community_leader": ("u1",), "district_leader": ("district",)}
    before = rungs(told(case, "2026-11-20 10:00"), "accept")
    assert before["community"].reason == "not_due"
    assert before["street"].reason == "nobody"
    assert before["community"].to == ("u1",)
    case.tick("2026-11-27 10:00")
    after = rungs(told(case, "2026-11-27 10:00"), "accept")
    assert (after["warn"].outcome, after["community"].outcome) == ("superseded", "fired")
    assert after["street"].reason == "dwell"
    assert after["street"].reason_text == "下级办理时间未满,至11月27日(周五)15:30"
    assert after["district"].reason == "below_first"
    case.taken_on(1, "u1", "2026-11-27 11:00")
    held = rungs(told(case, "2026-11-27 16:00"), "accept")
    assert held["street"].reason == "held"
    assert held["street"].reason_text == "王书记已领办,11月30日(周一)17:30前不再提级"
    assert "王书记已领办" in told(case, "2026-11-27 16:00").sentence_zh
    assert rungs(told(case, "2026-11-30 18:00"), "accept")["street"].reason == "due_now"
    assert told(case, "2026-11-30 18:00").sentence_zh.startswith("即将提级到街道(乡镇)")


def test_days_that_do_not_count_and_years_not_yet_known_are_shown() -> None:
    case = Case()
    case.becomes(status="accepted")
    case.happens("case.accepted", "2026-12-31 10:00")
    found = told(case, "2026-12-31 11:00")
    assert found.sentence_zh.startswith("1月4日(周一)17:30将提级到社区(村)")
    assert "2027年放假安排未导入,日期可能变动" in found.sentence_zh
    (line,) = found.clocks
    assert line.provisional == (2027,)
    assert line.skipped[0] == ("2027-01-01", "元旦")


def test_a_case_at_the_top_or_with_nothing_running_says_so() -> None:
    case = Case()
    case.becomes(level=3)
    found = told(case, "2026-11-20 10:00")
    assert found.sentence_zh == "已在区(县),无更高一级。"
    assert found.sentence_en == "It is with the district; no rung lies ahead."
    case.becomes(level=0)
    assert told(case, "2026-11-20 10:00").sentence_zh == "已在网格,没有会引起提级的时限。"


@pytest.mark.parametrize(
    ("amount", "office", "zh", "en"),
    [
        (12 * 3_600_000, True, "12个工作小时", "12 working hours"),
        (3 * 86_400_000, False, "3天", "3 days"),
        (3_600_000, False, "1小时", "1 hour"),
        (40 * 60_000, True, "40分钟", "40 minutes"),
        (30_000, False, "不足1分钟", "less than a minute"),
    ],
)
def test_lengths_are_said_in_their_largest_unit(amount: int, office: bool, zh: str, en: str) -> None:
    assert (length_words(amount, "zh", office=office), length_words(amount, "en", office=office)) == (zh, en)
