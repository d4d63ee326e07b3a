"""Who may do the handling of a dispatched case: the unit or the person that has it, nobody else of the cell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sync import administration
from sync.acting_work import ActForbidden, ActNeeds
from tests.unit.sync.district import HOME, STREET, user_id

if TYPE_CHECKING:
    from tests.unit.sync.district import District


@pytest.fixture
def dispatched(district: District) -> str:
    """A case of the cell, dispatched to the justice office."""
    case_id: str = district.phone("an").capture()["id"]
    district.act(
        "clerk",
        case_id,
        "triage",
        category="0201",
        basis="lawful",
        risk="yellow",
        reason="多次争吵",
        channel="grid",
    )
    district.act("clerk", case_id, "admit")
    district.act("dispatcher", case_id, "dispatch", unit="JUSTICE")
    return case_id


@pytest.mark.parametrize("who", ["an", "bo", "officer"])
def test_a_worker_of_the_cell_does_not_sign_for_anothers_dispatch(
    district: District, dispatched: str, who: str
) -> None:
    with pytest.raises(ActForbidden):
        district.act(who, dispatched, "accept")
    assert district.whole("cases", dispatched)["status"] == "dispatched"


@pytest.mark.parametrize("who", ["manager", "mediator"])
def test_whoever_stands_in_the_unit_signs(district: District, dispatched: str, who: str) -> None:
    district.act(who, dispatched, "accept")
    assert district.whole("cases", dispatched)["status"] == "accepted"


def test_a_worker_the_case_was_given_to_signs(district: District, dispatched: str) -> None:
    district.act("dispatcher", dispatched, "recall", reason="改派网格")
    district.act("dispatcher", dispatched, "dispatch", user=user_id("bo"))
    with pytest.raises(ActForbidden):
        district.act("an", dispatched, "accept")
    district.act("bo", dispatched, "accept")
    assert district.whole("cases", dispatched)["status"] == "accepted"


def test_what_is_no_handling_stays_the_cells(district: District, dispatched: str) -> None:
    district.act("bo", dispatched, "raise_signal", signal="drink")
    assert "drink" in district.whole("cases", dispatched)["signals"]


# --- who helps does not decide ---------------------------------------------------------------------------------------


@pytest.fixture
def helped(district: District, dispatched: str) -> str:
    """The case again, with the street's mediation committee to help the justice office."""
    committee = administration.UnitRecord("MC", "mediation_committee", "街道调委会", STREET, 2)
    district.commit(administration.import_units([committee]))
    district.newcomer("li", "mediator", unit="MC")
    district.newcomer("ma", "unit_manager", unit="MC")
    district.act("dispatcher", dispatched, "recall", reason="需联合办理")
    district.act("dispatcher", dispatched, "dispatch", unit="JUSTICE", helpers=["MC"])
    return dispatched


def test_a_helping_unit_neither_signs_nor_returns_nor_assigns(district: District, helped: str) -> None:
    before: list[tuple[str, str, dict[str, Any]]] = [
        ("li", "accept", {}),
        ("ma", "accept", {}),
        ("ma", "return", {"reason": "not_our_duty"}),
        ("li", "return", {"reason": "not_our_duty"}),
    ]
    for who, act, args in before:
        with pytest.raises(ActForbidden):
            district.act(who, helped, act, **args)
    assert district.whole("cases", helped)["handler"].get("user") is None
    district.act("mediator", helped, "accept")
    after: list[tuple[str, str, dict[str, Any]]] = [
        ("ma", "assign", {"user": user_id("manager")}),
        ("li", "begin", {"consent": True, "rights_told": True}),
        ("li", "withdraw", {"free_will": True}),
        ("ma", "step_up", {"level": 2}),
    ]
    for who, act, args in after:
        with pytest.raises(ActForbidden):
            district.act(who, helped, act, **args)
    assert district.whole("cases", helped)["handler"]["user"] == user_id("mediator")


def test_a_helping_mediator_records_a_session_and_tells_of_danger(district: District, helped: str) -> None:
    district.act("mediator", helped, "accept")
    district.act("mediator", helped, "begin", consent=True, rights_told=True)
    district.act("li", helped, "session", entry={"type": "session", "body": {"proposals": "各让一步"}})
    district.act("li", helped, "raise_signal", signal="drink")
    assert district.whole("cases", helped)["signals"] == ["drink"]
    with pytest.raises(ActForbidden):
        district.act("li", helped, "settle", outcome="self_settled")


def test_a_worker_of_the_cell_does_not_settle_what_a_mediator_has_in_hand(
    district: District, dispatched: str
) -> None:
    district.act("mediator", dispatched, "accept")
    for who in ("an", "bo"):
        with pytest.raises(ActForbidden):
            district.act(who, dispatched, "settle_on_spot", on_spot={"how": "当面说开"})
    assert district.whole("cases", dispatched)["status"] == "accepted"


def test_a_worker_of_the_cell_does_not_answer_what_a_unit_has_in_hand(district: District) -> None:
    case_id = district.phone("an").capture(kind="request", category="R02")["id"]
    district.act("clerk", case_id, "admit", category="R02")
    district.act("dispatcher", case_id, "dispatch", unit="JUSTICE")
    district.act("manager", case_id, "accept")
    with pytest.raises(ActForbidden):
        district.act("bo", case_id, "answer", plain_text="灯修好了")


def test_the_worker_who_has_the_case_settles_it_on_the_spot(district: District, dispatched: str) -> None:
    district.act("dispatcher", dispatched, "recall", reason="改派网格")
    district.act("dispatcher", dispatched, "dispatch", user=user_id("bo"))
    district.act("bo", dispatched, "accept")
    district.act("bo", dispatched, "settle_on_spot", on_spot={"how": "当面说开"})
    assert district.whole("cases", dispatched)["status"] == "settled"


def test_a_mediator_settles_what_he_captured_himself_and_nothing_else_of_his_street(
    district: District,
) -> None:
    own = district.phone("mediator").capture()["id"]
    district.act("mediator", own, "settle_on_spot", on_spot={"how": "当面说开"})
    assert district.whole("cases", own)["status"] == "settled"
    assert district.config().roles_at(district.users["mediator"], district.cells[HOME]) == frozenset()


# --- the file --------------------------------------------------------------------------------------------------------


def test_a_case_is_not_filed_over_what_is_still_to_be_done(district: District) -> None:
    district.chance.sample = 99
    case_id = district.phone("an").capture(on_spot={"how": "当面说开"})["id"]
    district.act("clerk", case_id, "verify", parties_asked=True)
    with pytest.raises(ActNeeds):
        district.act("clerk", case_id, "file")
    district.act("bo", case_id, "tell_back", how="当面告诉")
    with pytest.raises(ActNeeds):
        district.act("clerk", case_id, "file")
    body = {"round": 1, "satisfied": "yes"}
    district.act("bo", case_id, "follow_up", entry={"type": "follow_up", "body": body})
    district.act("clerk", case_id, "file")
    assert district.whole("cases", case_id)["status"] == "filed"


def test_a_file_that_says_what_it_lacks_ends_what_was_to_be_done(district: District) -> None:
    case_id = district.phone("an").capture(on_spot={"how": "当面说开"})["id"]
    district.act("clerk", case_id, "verify", parties_asked=True)
    district.act("clerk", case_id, "file", gaps=["反映人已搬离"], reason="电话三次不通")
    tasks = [*district.tasks_of(case_id, "tell_back"), *district.tasks_of(case_id, "follow_up")]
    assert tasks
    assert all(task.get("closed_at") for task in tasks)
