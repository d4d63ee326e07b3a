"""Whom the rungs tell: the people behind the roles the rules name, on this case, and nobody else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.unit.sync.district import HOUR, PEOPLE, user_id

if TYPE_CHECKING:
    from tests.unit.sync.district import District

MINUTE = HOUR // 60


def told(district: District, code: str = "warning", clock: str | None = None) -> set[str]:
    """Who has been sent a notice of this code (about this clock)."""
    names = {user_id(name): name for name in PEOPLE}
    return {
        names[notice["user"]]
        for notice in district.documents("notices")
        if notice["code"] == code and clock in {None, notice["args"].get("clock")}
    }


def dispatched(district: District, **args: Any) -> str:
    """A case admitted and given to the justice office, nobody in particular unless named."""
    case = district.phone("an").capture()["id"]
    triage = {
        "category": "0201",
        "basis": "lawful",
        "channel": "grid",
        "risk": "yellow",
        "reason": "双方对立",
    }
    district.act("clerk", case, "triage", **triage)
    district.act("clerk", case, "admit", given_to="三楼住户")
    district.act("dispatcher", case, "dispatch", unit="JUSTICE", **args)
    return str(case)


def test_the_duty_officer_hears_of_an_emergency_at_once_and_again_when_nobody_took_it_on(
    district: District,
) -> None:
    district.grant("officer", "duty_officer", unit="CENTRE")
    district.phone("an").capture(signals=["violence_now"])
    district.tick()
    assert told(district, "warning", "emergency_ack") == {"officer"}
    district.now += 15 * MINUTE
    district.tick()
    assert told(district, "raised", "emergency_ack") == {"officer", "secretary"}


def test_a_unit_without_a_person_is_warned_as_a_whole(district: District) -> None:
    dispatched(district)
    district.now += 3 * HOUR
    district.tick()
    assert told(district, "warning", "accept") == {"manager", "mediator"}


def test_the_person_who_has_it_and_his_manager_are_warned_and_the_recused_are_not(district: District) -> None:
    case = dispatched(district, user=user_id("mediator"))
    district.act("clerk", case, "recuse", user=user_id("manager"), reason="亲属")
    district.now += 3 * HOUR
    district.tick()
    assert told(district, "warning", "accept") == {"mediator"}


def test_the_desk_is_reminded_of_what_it_has_not_admitted(district: District) -> None:
    case = district.phone("an").capture()["id"]
    while not told(district, "warning", "admit"):
        district.now += HOUR
        district.tick()
    assert told(district, "warning", "admit") == {"clerk", "dispatcher"}
    (notice,) = [n for n in district.notices_of("clerk") if n["args"].get("clock") == "admit"]
    assert notice["args"]["id"] == case


def test_of_a_sealed_case_only_those_who_may_know_are_warned(district: District) -> None:
    district.phone("an").capture(protection="sealed")
    while not told(district, "warning", "admit"):
        district.now += HOUR
        district.tick()
    assert told(district, "warning", "admit") == {"clerk"}  # the one clerk the district names


def test_a_warning_nobody_else_may_hear_goes_to_the_director_who_keeps_the_sealed_case(
    district: District,
) -> None:
    district.grant("officer", "duty_officer", unit="CENTRE")
    district.phone("an").capture(protection="sealed", signals=["violence_now"])
    district.tick()
    assert told(district, "warning", "emergency_ack") == {"director"}
