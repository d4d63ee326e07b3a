"""A case that names another: it tells nobody of it who may not know of the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sync.acting_work import ActNeeds
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
