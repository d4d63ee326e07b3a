"""A case that names another: it tells nobody of it who may not know of the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sync.acting_work import ActNeeds
from sync.erasing import erase_work
from sync.values import Collection
from tests.unit.sync.district import user_id
from tests.unit.sync.test_review import act_by_phone, admitted

if TYPE_CHECKING:
    from tests.unit.sync.district import District

KEPT_AWAY = ("secretary", "officer", "long", "bo")


def staff_case(district: District) -> str:
    """A case about the community's own people, admitted by the director."""
    return admitted(district, involves_staff=True)


def everything(district: District, who: str) -> str:
    """All that ever comes to a new phone of this person."""
    phone = district.phone(who, f"whole-{who}")
    return str([phone.pull(name) for name in ("cases", "entries", "tasks", "notices")])


def test_a_case_merged_into_one_about_the_staff_is_kept_from_them_as_well(district: District) -> None:
    loser, master = district.phone("bo").capture()["id"], staff_case(district)
    code = district.whole("cases", master)["code"]
    assert district.who_sees(loser, KEPT_AWAY) == set(KEPT_AWAY)
    district.act("clerk", loser, "merge", master=master, reason="同一件事")
    assert district.who_sees(loser, KEPT_AWAY) == set()
    assert district.whole("cases", loser)["recused"] == district.whole("cases", master)["recused"]
    for who in KEPT_AWAY:
        told = everything(district, who)
        assert master not in told
        assert code not in told
    assert district.who_sees(loser, ("an", "clerk", "director")) == {"an", "clerk", "director"}


def test_a_case_merged_into_a_protected_one_is_protected_like_it(district: District) -> None:
    for protection in ("restricted", "sealed"):
        loser, master = district.phone("an").capture()["id"], admitted(district, protection=protection)
        district.act("clerk", loser, "merge", master=master, reason="同一件事")
        assert district.whole("cases", loser)["protection"] == protection
        assert "master_case" not in district.phone("bo").pull("cases").get(loser, {})


def test_the_number_of_the_master_is_told_by_the_case_and_not_by_notice_or_timeline(
    district: District,
) -> None:
    loser, master = district.phone("an").capture()["id"], admitted(district)
    district.act("clerk", loser, "merge", master=master, reason="同一件事")
    an = district.phone("an")
    assert an.pull("cases")[loser]["master_case"] == master
    assert district.whole("cases", master)["code"] not in str(district.notices_of("an", "case")[-1:])
    (entry,) = [one for one in an.pull("entries").values() if one["body"].get("act") == "merge"]
    assert entry["body"]["args"] == {"reason": "同一件事"}


def test_a_merger_that_was_refused_does_not_tell_of_the_other_case_either(district: District) -> None:
    loser, master = district.phone("bo").capture()["id"], staff_case(district)
    district.act("clerk", loser, "void", reason="误报")
    answer = act_by_phone(district, "clerk", loser, "merge", master=master)
    assert answer["body"]["outcome"] == "refused"
    for who in KEPT_AWAY:
        assert master not in everything(district, who)


def test_a_case_is_not_related_to_one_that_is_kept_from_its_readers(district: District) -> None:
    open_case, kept, sealed = (
        admitted(district),
        staff_case(district),
        admitted(district, protection="sealed"),
    )
    for other in (kept, sealed, district.phone("an").new()["id"]):
        with pytest.raises(ActNeeds):
            district.act("clerk", open_case, "relate", case=other)
        assert (
            act_by_phone(district, "clerk", open_case, "relate", case=other)["body"]["outcome"] == "refused"
        )
    for who in KEPT_AWAY:
        assert kept not in everything(district, who)
    # the other way round nobody learns anything
    district.act("clerk", kept, "relate", case=open_case)
    assert district.whole("cases", kept)["related"] == [{"kind": "case", "id": open_case}]


def test_a_case_is_related_to_one_as_open_as_itself(district: District) -> None:
    case_id, other = admitted(district), admitted(district)
    district.act("dispatcher", case_id, "relate", case=other)
    assert district.phone("an").pull("cases")[case_id]["related"] == [{"kind": "case", "id": other}]


def test_the_name_of_no_case_is_something_that_is_missing(district: District) -> None:
    case_id = admitted(district)
    for act, args in (("merge", {"master": "abc"}), ("relate", {"case": "abc"}), ("merge", {"master": 5})):
        with pytest.raises(ActNeeds):
            district.act("clerk", case_id, act, **args)


def test_somebody_recused_from_two_cases_stays_so_when_they_are_taken_apart(district: District) -> None:
    loser, master = district.phone("an").capture()["id"], admitted(district)
    district.act("director", master, "recuse", user=user_id("bo"), reason="亲属")
    district.act("clerk", loser, "merge", master=master, reason="同一件事")
    district.act("dispatcher", loser, "unmerge", reason="不是一件事")
    assert "bo" not in district.who_sees(loser)
    district.act("director", loser, "lift_recusal", user=user_id("bo"), reason="不是一件事")
    assert "bo" in district.who_sees(loser)


# --- one matter (VI10) -----------------------------------------------------------------------------------------------


def merged(district: District, **fields: Any) -> tuple[str, str]:
    """Two captures of one quarrel, put together: the merged case and its master."""
    loser, master = district.phone("an").capture(**fields)["id"], admitted(district)
    district.act("clerk", loser, "merge", master=master, reason="同一件事")
    return loser, master


def test_who_is_recused_from_the_master_loses_the_merged_case_as_well(district: District) -> None:
    loser, master = merged(district)
    bo = district.phone("bo")
    assert {loser, master} <= bo.pull("cases").keys()
    district.act("director", master, "recuse", user=user_id("bo"), reason="亲属")
    assert not {loser, master} & bo.pull("cases").keys()
    assert not any(entry["case_id"] == loser for entry in bo.pull("entries").values())
    assert "bo" not in district.who_sees(loser)
    assert district.whole("cases", loser)["recused"] == [user_id("bo")]
    district.act("director", master, "lift_recusal", user=user_id("bo"), reason="查无关系")
    assert {loser, master} <= bo.pull("cases").keys()


@pytest.mark.parametrize("protection", ["restricted", "sealed"])
def test_raising_the_class_of_the_master_closes_the_merged_case(district: District, protection: str) -> None:
    loser, master = merged(district)
    bo = district.phone("bo")
    bo.pull("cases")
    district.act("director", master, "protect", **{"class": protection, "reason": "未成年人"})
    held = bo.pull("cases").get(loser, {})
    assert not {"title", "parties", "master_case"} & held.keys()
    assert district.whole("cases", loser)["protection"] == protection
    assert "an" in district.who_sees(loser)  # who wrote it keeps it
    district.act("director", master, "protect", **{"class": "normal", "reason": "误选"})
    assert bo.pull("cases")[loser]["title"]


def test_what_the_merged_case_was_closed_with_goes_into_the_master(district: District) -> None:
    loser, master = district.phone("an").capture(protection="restricted")["id"], admitted(district)
    district.act("director", loser, "recuse", user=user_id("long"), reason="亲属")
    assert "long" in district.who_sees(master)
    district.act("clerk", loser, "merge", master=master, reason="同一件事")
    assert district.whole("cases", master)["protection"] == "restricted"
    assert district.whole("cases", master)["recused"] == [user_id("long")]
    assert "long" not in district.who_sees(master)
    assert "title" not in district.phone("bo").pull("cases")[master]  # the shell alone


def test_a_phone_that_raises_the_class_of_the_merged_case_closes_the_master(district: District) -> None:
    loser, master = merged(district)
    an = district.phone("an")
    an.edit(an.pull("cases")[loser], protection="restricted", involves_staff=True)
    assert district.whole("cases", master)["protection"] == "restricted"
    assert {user_id(who) for who in KEPT_AWAY} <= set(district.whole("cases", master)["recused"])
    assert not district.who_sees(master, KEPT_AWAY)


def test_somebody_who_handles_the_master_and_is_kept_from_the_matter_hands_it_back(
    district: District,
) -> None:
    loser, master = district.phone("an").capture()["id"], admitted(district)
    district.act("dispatcher", master, "dispatch", unit="JUSTICE", user=user_id("mediator"))
    district.act("director", loser, "recuse", user=user_id("mediator"), reason="亲属")
    district.act("clerk", loser, "merge", master=master, reason="同一件事")
    assert "mediator" not in district.who_sees(master)
    assert district.row("cases", master).person is None
    assert district.whole("cases", master)["handler"]["user"] is None


def test_a_chain_of_mergers_is_one_matter_until_it_is_taken_apart(district: District) -> None:
    first, second = merged(district)
    third = admitted(district)
    district.act("clerk", second, "merge", master=third, reason="同一件事")
    district.act("director", third, "recuse", user=user_id("bo"), reason="亲属")
    assert not any("bo" in district.who_sees(case) for case in (first, second, third))
    district.act("dispatcher", first, "unmerge", reason="不是一件事")
    district.act("director", third, "lift_recusal", user=user_id("bo"), reason="查清")
    assert "bo" in district.who_sees(second)
    assert "bo" not in district.who_sees(first)  # its own matter now: lifted by itself
    district.act("director", third, "protect", **{"class": "sealed", "reason": "未成年人"})
    assert [district.whole("cases", case).get("protection") for case in (first, second)] == [
        "normal",
        "sealed",
    ]


def test_a_forgotten_master_leaves_the_merged_case_as_it_is(district: District) -> None:
    loser, master = merged(district)
    district.commit(erase_work(Collection.cases, master))
    district.act("dispatcher", loser, "unmerge", reason="主案已删除")
    assert district.whole("cases", loser)["status"] == "submitted"
