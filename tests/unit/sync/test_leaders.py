"""What leaders can do with what has been raised to them, and what they never come to see."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from sync.acting_work import ActForbidden, ActIllegal, ActNeeds
from sync.errors import NotFound
from tests.unit.sync.district import DAY, HOUR, PEOPLE, user_id

if TYPE_CHECKING:
    from tests.unit.sync.district import District

TRIAGE = {"category": "0201", "basis": "lawful", "channel": "grid", "risk": "yellow", "reason": "双方对立"}


def wait(district: District, hours: int, step: int = 4) -> None:
    for _ in range(0, hours, step):
        district.now += step * HOUR
        district.tick()


def rows(district: District, **where: Any) -> list[dict[str, Any]]:
    return [row | {"said": json.loads(row["body"])} for row in district.rows("escalation", **where)]


def told(district: District) -> set[str]:
    names = {user_id(name): name for name in PEOPLE}
    return {names[n["user"]] for n in district.documents("notices") if n["kind"] == "escalation"}


# --- reports of wrongdoing -------------------------------------------------------------------------------------------


def test_a_report_of_wrongdoing_comes_before_no_leader_however_long_it_lies(district: District) -> None:
    case = district.phone("an").capture(kind="tip_off", title="书记贪污", category=None)["id"]
    wait(district, 12 * 24)
    assert rows(district) == []
    assert told(district) == {"director", "clerk"}
    assert district.whole("cases", case)["level"] == 0
    assert district.who_sees(case) == {"an", "director", "clerk"}


def test_a_case_that_turns_out_to_be_a_report_of_wrongdoing_leaves_the_leaders_queue(
    district: District,
) -> None:
    an = district.phone("an")
    case = an.capture()
    wait(district, 2 * 24)
    assert rows(district, closed_at=None)
    an.edit(case, kind="tip_off", category=None)
    assert rows(district, closed_at=None) == []
    wait(district, 8 * 24)
    assert rows(district, closed_at=None) == []


@pytest.mark.parametrize(
    ("act", "args"),
    [("acknowledge", {"promise": DAY}), ("sponsor", {"until": DAY}), ("instruct", {"text": "压下来"})],
)
def test_no_leader_takes_on_a_report_of_wrongdoing_even_one_who_knows_of_it(
    district: District, act: str, args: dict[str, Any]
) -> None:
    case = district.phone("street").capture(kind="tip_off", category=None)["id"]  # handed to him in person
    given = {name: district.now + value if isinstance(value, int) else value for name, value in args.items()}
    with pytest.raises(ActForbidden):
        district.act("street", case, act, **given)
    with pytest.raises(NotFound):
        district.act("head", case, act, **given)


# --- holding a row ---------------------------------------------------------------------------------------------------


def dispatched(district: District) -> str:
    """A case given to the justice office, its parties reached: it climbs for want of acceptance alone."""
    an = district.phone("an")
    case = an.capture(parties=[{"id": "p1", "role": "applicant", "alias": "李", "phone": "13912345678"}])[
        "id"
    ]
    an.push("entries", an.entry(case, "contact_attempt", {"how": "door", "reached": True}))
    district.act("clerk", case, "triage", **TRIAGE)
    district.act("clerk", case, "admit", given_to="三楼住户")
    district.act("dispatcher", case, "dispatch", unit="JUSTICE")
    return str(case)


def risen(district: District, level: int, case: str | None = None) -> str:
    case = case or dispatched(district)
    while district.whole("cases", case)["level"] < level:
        wait(district, 4)
    return case


def test_a_leader_takes_on_nothing_that_has_not_been_raised_to_him(district: District) -> None:
    case = dispatched(district)
    for who, act, args in (
        ("secretary", "acknowledge", {"promise": district.now + DAY}),
        ("street", "extend", {"days": 60, "reason": "再谈", "consent": True}),
        ("head", "send_back", {"level": 0, "deadline": district.now + DAY, "text": "请办"}),
    ):
        with pytest.raises((ActIllegal, ActNeeds)):
            district.act(who, case, act, **args)
    assert "13912345678" not in str(district.phone("secretary").pull("cases"))
    risen(district, 1, case)
    district.act("secretary", case, "acknowledge", promise=district.now + DAY)


def test_a_case_at_the_district_is_not_sent_back_by_those_below(district: District) -> None:
    case = risen(district, 3)
    down = {"level": 0, "deadline": district.now + DAY, "text": "请网格先办"}
    for who in ("secretary", "street"):
        with pytest.raises(ActIllegal):
            district.act(who, case, "send_back", **down)
    assert district.whole("cases", case)["level"] == 3
    assert {row["level"] for row in rows(district, closed_at=None)} == {1, 2, 3}


def test_what_is_sent_back_leaves_every_queue_above(district: District) -> None:
    case = risen(district, 3)
    down = {"level": 1, "deadline": district.now + DAY, "text": "请社区先办"}
    district.act("head", case, "send_back", **down)
    assert district.whole("cases", case)["level"] == 1
    assert {row["level"] for row in rows(district, closed_at=None)} == {1}
    assert {row["level"] for row in rows(district, state="returned")} == {2, 3}


def test_what_is_sent_back_is_not_raised_again_before_its_deadline(district: District) -> None:
    case = risen(district, 2)
    deadline = district.now + 20 * DAY  # longer than taking a case on would hold it
    district.act("street", case, "send_back", level=0, deadline=deadline, text="请网格先办")
    while district.now + 2 * DAY < deadline:
        wait(district, 1)
        assert district.whole("cases", case)["level"] == 0
        assert not [row for row in rows(district, closed_at=None) if row["level"] > 0]
    while district.whole("cases", case)["level"] == 0:
        wait(district, 1)
    assert deadline <= district.now < deadline + 10 * DAY


def test_the_duty_officer_takes_on_an_emergency_before_it_has_climbed(district: District) -> None:
    district.grant("officer", "duty_officer", unit="CENTRE")
    case = district.phone("an").capture(signals=["violence_now"])["id"]
    with pytest.raises(ActIllegal):
        district.act("secretary", case, "acknowledge", promise=district.now + HOUR)
    district.act("officer", case, "acknowledge", promise=district.now + HOUR)
    assert "emergency_ack" not in {line["clock"] for line in district.whole("cases", case)["due"]}


def test_an_extension_means_the_clock_it_names_in_natural_days(district: District) -> None:
    case = district.phone("an").capture()["id"]  # nobody reaches the parties: the first contact climbs too
    district.act("clerk", case, "triage", **TRIAGE)
    district.act("clerk", case, "admit", given_to="三楼住户")
    district.act("dispatcher", case, "dispatch", unit="JUSTICE")
    while {row["said"]["clock"] for row in rows(district, closed_at=None)} < {"accept", "first_contact"}:
        wait(district, 4)
    before = {line["clock"]: line["due_at"] for line in district.whole("cases", case)["due"]}
    district.act("street", case, "extend", clock="accept", days=10, reason="单位搬迁")
    after = {line["clock"]: line["due_at"] for line in district.whole("cases", case)["due"]}
    assert after["first_contact"] == before["first_contact"]
    assert 9 * DAY < after["accept"] - district.now < 12 * DAY
    with pytest.raises(ActNeeds):
        district.act("street", case, "extend", clock="mediation", days=10, reason="再谈", consent=True)


@pytest.mark.parametrize(("protection", "shown"), [("normal", True), ("restricted", False)])
def test_the_row_of_a_protected_case_does_not_say_who_has_it(
    district: District, protection: str, shown: bool
) -> None:
    case = dispatched(district)
    district.act("director", case, "protect", **{"class": protection}, reason="涉及未成年人")
    risen(district, 1, case)
    (row,) = rows(district, closed_at=None)
    assert ("司法所" in row["said"]["reason_zh"], "司法所" in row["said"]["reason_en"]) == (shown, shown)


def test_a_case_protected_after_it_has_climbed_takes_the_name_out_of_the_row(district: District) -> None:
    case = risen(district, 1)
    assert "司法所" in rows(district, closed_at=None)[0]["said"]["reason_zh"]
    district.act("director", case, "protect", **{"class": "restricted"}, reason="涉及未成年人")
    (row,) = rows(district, closed_at=None)
    assert "已派承办单位" in row["said"]["reason_zh"]


# --- instructions ----------------------------------------------------------------------------------------------------


def instruction_of(district: District, case: str) -> dict[str, Any]:
    """The instruction as each place has it: on the case, on the row, among the clocks."""
    track = district.whole("cases", case)["track"]["instructions"][-1]
    due = {line["clock"]: line["due_at"] for line in district.whole("cases", case)["due"]}
    (row,) = [row["said"] for row in rows(district, closed_at=None) if row["said"].get("instruction_due_at")]
    return {"id": track["id"], "row": row, "due": due["instruction_reply"]}


def test_an_answer_to_an_instruction_ends_the_waiting_on_the_row(district: District) -> None:
    case = risen(district, 2)
    district.act("street", case, "instruct", text="今天签收", due=district.now + 2 * HOUR)
    seen = instruction_of(district, case)
    assert seen["row"]["instruction_id"] == seen["id"]
    district.act("manager", case, "reply_instruction", text="已安排")
    district.now += 3 * HOUR
    district.tick()
    row = next(row["said"] for row in rows(district, closed_at=None) if row["state"] == "acted")
    assert "instruction_due_at" not in row
    assert not [one for one in rows(district) if one["said"]["clock"] == "instruction_reply"]


def test_an_instruction_without_a_date_has_one_date_everywhere(district: District) -> None:
    case = risen(district, 2)
    district.act("street", case, "instruct", text="请研究")
    seen = instruction_of(district, case)
    assert seen["row"]["instruction_due_at"] == seen["due"]
    assert seen["due"] > district.now + DAY


@pytest.mark.parametrize("later", [0, 3])
def test_an_instruction_left_unanswered_goes_back_to_the_level_that_gave_it(
    district: District, later: int
) -> None:
    """However high the case has risen meanwhile, and though it had not come to that level by itself."""
    case = dispatched(district)
    district.act(
        "street", case, "instruct", text="今天签收", due=district.now + (10 * DAY if later else HOUR)
    )
    risen(district, later, case)
    while not (back := [row for row in rows(district) if row["said"]["clock"] == "instruction_reply"]):
        wait(district, 4)
    assert {row["level"] for row in back} == {2}
    heard = {n["args"]["clock"] for n in district.notices_of("street", "escalation")}
    assert "instruction_reply" in heard
    heard = {n["args"]["clock"] for n in district.notices_of("secretary", "escalation")}
    assert "instruction_reply" not in heard
    assert district.whole("cases", case)["level"] == max(2, later)


def test_an_instruction_of_the_director_comes_back_to_the_director(district: District) -> None:
    case = dispatched(district)
    district.act("director", case, "instruct", text="今天签收", due=district.now + HOUR)
    district.now += 2 * HOUR
    district.tick()
    heard = {n["args"]["clock"] for n in district.notices_of("director", "escalation")}
    assert heard == {"instruction_reply"}
    assert not [row for row in rows(district) if row["said"]["clock"] == "instruction_reply"]
