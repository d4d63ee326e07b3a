"""To whom a case is given: a unit that handles cases, and a person who may sign for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sync import administration
from sync.acting_work import ActNeeds
from tests.unit.sync.district import FIRST, STREET, user_id
from tests.unit.sync.test_review import admitted

if TYPE_CHECKING:
    from tests.unit.sync.district import District

JOINED = [
    ("WOMEN", "womens_federation"),
    ("PROPERTY", "property_company"),
    ("COURT", "court_station"),
    ("COUNSEL", "counselling"),
]


@pytest.fixture(autouse=True)
def others(district: District) -> None:
    """Units that lead, watch or join in, beside those that handle cases."""
    units = [administration.UnitRecord(code, kind, code, STREET, 2) for code, kind in JOINED]
    units.append(administration.UnitRecord("PARTY", "party_committee", "街道党工委", STREET, 2))
    units.append(administration.UnitRecord("HOTLINE", "hotline", "12345", STREET, 3))
    units.append(administration.UnitRecord("RC", "residents_committee", "甲居委会", FIRST, 1))
    district.commit(administration.import_units(units))
    district.newcomer("partyhead", "street_leader", unit="PARTY")
    district.newcomer("helper", "unit_handler", unit="WOMEN")


@pytest.mark.parametrize("unit", [*(code for code, _ in JOINED), "PARTY", "HOTLINE"])
def test_a_unit_that_only_joins_in_or_watches_is_not_given_the_lead(district: District, unit: str) -> None:
    case_id = admitted(district)
    with pytest.raises(ActNeeds):
        district.act("dispatcher", case_id, "dispatch", unit=unit)
    assert district.whole("cases", case_id)["status"] == "admitted"


@pytest.mark.parametrize("unit", [code for code, _ in JOINED])
def test_but_it_helps(district: District, unit: str) -> None:
    case_id = admitted(district)
    district.act("dispatcher", case_id, "dispatch", unit="JUSTICE", helpers=[unit])
    assert district.whole("cases", case_id)["handler"]["helpers"] == [unit]


@pytest.mark.parametrize("who", ["partyhead", "auditor", "street", "clerk", "dispatcher", "helper"])
def test_a_case_is_given_to_nobody_who_could_not_sign_for_it(district: District, who: str) -> None:
    case_id = admitted(district)
    with pytest.raises(ActNeeds):
        district.act("dispatcher", case_id, "dispatch", user=user_id(who))
    assert "handler" not in district.whole("cases", case_id)


def test_a_ruling_does_not_give_it_to_them_either(district: District) -> None:
    case_id = admitted(district)
    for _ in range(2):
        district.act("dispatcher", case_id, "dispatch", unit="JUSTICE")
        district.act("manager", case_id, "return", reason="not_our_duty")
    for given in ({"unit": "WOMEN"}, {"unit": "CENTRE", "user": user_id("auditor")}):
        with pytest.raises(ActNeeds):
            district.act("director", case_id, "adjudicate", **given)


@pytest.mark.parametrize(("who", "unit"), [("mediator", "JUSTICE"), ("officer", "S1"), ("bo", None)])
def test_whoever_signs_brings_the_unit_he_signs_for(district: District, who: str, unit: str | None) -> None:
    district.grant(who, "liaison", unit="PARTY")  # an office that signs for nothing
    case_id = admitted(district)
    district.act("dispatcher", case_id, "dispatch", user=user_id(who))
    assert district.whole("cases", case_id)["handler"].get("unit") == unit
    district.act(who, case_id, "accept")


def test_inside_a_unit_a_case_is_assigned_to_somebody_who_handles_cases(district: District) -> None:
    district.newcomer("bookkeeper", "auditor", unit="JUSTICE")
    case_id = admitted(district)
    district.act("dispatcher", case_id, "dispatch", unit="JUSTICE")
    district.act("manager", case_id, "accept")
    with pytest.raises(ActNeeds):
        district.act("manager", case_id, "assign", user=user_id("bookkeeper"))
