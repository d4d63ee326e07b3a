"""Who keeps whom from a case (回避), and who takes it back."""

from __future__ import annotations

import pytest

from sync.acting_work import ActForbidden
from sync.errors import NotFound
from tests.unit.sync.district import District, user_id


def test_a_worker_does_not_keep_the_director_from_a_case(district: District) -> None:
    case_id = district.phone("an").capture()["id"]
    for who in ("an", "bo", "secretary", "officer"):
        with pytest.raises(ActForbidden):
            district.act(who, case_id, "recuse", user=user_id("director"), reason="亲属")
    assert "recused" not in district.whole("cases", case_id)


def test_a_worker_declares_his_own_conflict_of_interest(district: District) -> None:
    case_id = district.phone("an").capture()["id"]
    district.act("bo", case_id, "recuse", user=user_id("bo"), reason="是我舅舅家")
    assert "bo" not in district.who_sees(case_id)
    district.act("director", case_id, "lift_recusal", user=user_id("bo"), reason="查无关系")
    assert "bo" in district.who_sees(case_id)


@pytest.mark.parametrize("who", ["clerk", "dispatcher"])
def test_the_centre_does_not_take_a_case_from_its_only_director(district: District, who: str) -> None:
    case_id = district.phone("an").capture()["id"]
    with pytest.raises(ActForbidden):
        district.act(who, case_id, "recuse", user=user_id("director"), reason="亲属")
    district.newcomer("second", "centre_director", unit="CENTRE")
    district.act(who, case_id, "recuse", user=user_id("director"), reason="亲属")
    with pytest.raises(ActForbidden):
        district.act(who, case_id, "recuse", user=user_id("second"), reason="亲属")
    district.act("second", case_id, "lift_recusal", user=user_id("director"), reason="查清")


@pytest.mark.parametrize("who", ["clerk", "dispatcher", "street"])
def test_where_the_only_director_declared_himself_others_of_the_centre_and_above_lift(
    district: District, who: str
) -> None:
    case_id = district.phone("an").capture()["id"]
    district.act("clerk", case_id, "recuse", user=user_id("bo"), reason="亲属")
    with pytest.raises(ActForbidden):
        district.act(who, case_id, "lift_recusal", user=user_id("bo"), reason="查清")
    district.act("director", case_id, "recuse", user=user_id("director"), reason="是我姐夫")
    with pytest.raises(NotFound):
        district.act("director", case_id, "lift_recusal", user=user_id("director"), reason="查清")
    district.act(who, case_id, "lift_recusal", user=user_id("bo"), reason="查清")
    assert "bo" in district.who_sees(case_id)


def test_of_a_sealed_case_whose_director_declared_himself_the_named_clerk_lifts(district: District) -> None:
    case_id = district.phone("an").capture(protection="sealed")["id"]
    district.act("director", case_id, "recuse", user=user_id("director"), reason="是我姐夫")
    assert district.who_sees(case_id) == {"an", "clerk"}
    district.act("clerk", case_id, "lift_recusal", user=user_id("director"), reason="查清")
    assert district.who_sees(case_id) == {"an", "clerk", "director"}


def test_a_supervisor_reads_and_alters_nothing(district: District) -> None:
    case_id = district.phone("an").capture()["id"]
    district.newcomer("overseer", "supervisor", unit="S1")
    assert "overseer" in district.who_sees(case_id, ["overseer"])
    for act, args in (
        ("recuse", {"user": user_id("bo"), "reason": "亲属"}),
        ("protect", {"class": "sealed", "reason": "未成年人"}),
        ("raise_signal", {"signal": "drink"}),
        ("call_emergency", {"number": "110"}),
    ):
        with pytest.raises(ActForbidden):
            district.act("overseer", case_id, act, **args)
    assert district.row("cases", case_id).klass == 0
