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

TRIAGE = {"category": "0201", "basis": "lawful", "risk": "yellow", "reason": "双方对立"}


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
