"""Looking after people once their case is over: sooner where somebody may be in danger, and with no trace in a cell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.sync.district import DAY, user_id

if TYPE_CHECKING:
    from tests.unit.sync.district import District

PROTECTIVE = [1, 3, 7, 30]


def verified(district: District, **fields: Any) -> str:
    """A case mediated by the mediator, settled today, reported and verified."""
    case = district.phone("an").capture(**fields)["id"]
    category = fields.get("category", "0201")
    triage = {
        "category": category,
        "basis": "lawful",
        "channel": "grid",
        "risk": "orange",
        "reason": "已核实",
    }
    district.act("clerk", case, "triage", **triage)
    district.act("clerk", case, "admit", given_to="当事人")
    district.act("director", case, "dispatch", unit="JUSTICE", user=user_id("mediator"))
    district.act("mediator", case, "accept")
    district.act("mediator", case, "begin", consent=True, rights_told=True)
    district.act("mediator", case, "settle", outcome="self_settled")
    district.act("mediator", case, "close", plain_text="已和好")
    district.act("clerk", case, "verify", parties_asked=True)
    return str(case)


def planned(district: District, case: str) -> list[dict[str, Any]]:
    return sorted(district.tasks_of(case, "follow_up"), key=lambda task: task["due"])


def days(district: District, case: str) -> list[int]:
    return [(task["due"] - district.now) // DAY for task in planned(district, case)]


def test_after_violence_at_home_who_had_the_case_looks_in_as_on_an_ordinary_visit(district: District) -> None:
    case = verified(district, category="0106")
    assert days(district, case) == PROTECTIVE
    assert {(task["user"], task["text"]) for task in planned(district, case)} == {
        (user_id("mediator"), "日常走访")
    }
    assert all("cell" not in task for task in planned(district, case))
    shown = district.phone("mediator", "new").pull("tasks").values()
    assert [task["type"] for task in shown].count("follow_up") == len(PROTECTIVE)
    assert district.phone("bo", "new").pull("tasks") == {}


def test_where_who_had_it_may_not_know_of_it_any_more_the_author_looks_in(district: District) -> None:
    case = district.phone("an").capture(protection="sealed")["id"]
    district.act(
        "director",
        case,
        "triage",
        category="0201",
        basis="lawful",
        channel="grid",
        risk="blue",
        reason="一般",
    )
    district.act("director", case, "admit", given_to="当事人")
    district.act("director", case, "dispatch", unit="JUSTICE", user=user_id("mediator"))
    district.act("mediator", case, "accept")
    district.act("mediator", case, "begin", consent=True, rights_told=True)
    district.act("mediator", case, "settle", outcome="self_settled")
    district.act("mediator", case, "close", plain_text="已和好")
    district.act("director", case, "recuse", user=user_id("mediator"), reason="亲属")
    district.act("clerk", case, "verify", parties_asked=True)
    assert {task["user"] for task in planned(district, case)} == {user_id("an")}


@pytest.mark.parametrize(
    "fields",
    [
        {"category": "1402"},
        {"signals": ["domestic"]},
        {"parties": [{"id": "p1", "role": "applicant", "alias": "小李", "is_minor": True}]},
        {"protection": "sealed"},
        {},
    ],
)
def test_the_clock_and_the_tasks_follow_one_plan(district: District, fields: dict[str, Any]) -> None:
    case = verified(district, **fields)
    careful = bool(fields)
    assert days(district, case) == (PROTECTIVE if careful else [7, 30, 90])
    (line,) = [line for line in district.whole("cases", case)["due"] if line["clock"] == "follow_up"]
    first = line["due_at"] - district.now
    assert (first < 2 * DAY) is careful
