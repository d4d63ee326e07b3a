"""Who may do the handling of a dispatched case: the unit or the person that has it, nobody else of the cell."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sync.acting_work import ActForbidden
from tests.unit.sync.district import user_id

if TYPE_CHECKING:
    from tests.unit.sync.district import District


@pytest.fixture
def dispatched(district: District) -> str:
    """A case of the cell, dispatched to the justice office."""
    case_id: str = district.phone("an").capture()["id"]
    district.act(
        "clerk", case_id, "triage", category="0201", basis="lawful", risk="yellow", reason="多次争吵"
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
