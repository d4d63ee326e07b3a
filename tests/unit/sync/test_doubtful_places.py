"""A doubtful fix asks a person, a hopeless one is raised to what is sure; and what a person has said stays said."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from msgspec import structs
from shapely.affinity import translate

from sync import administration, generations, placing
from sync.address_list import AddressRecord, add_addresses
from sync.config import PLACING
from sync.errors import Unprocessable
from sync.reassign import Budget, reassign_work
from tests.unit.sync.district import CELLS, FAR, FIRST, HOME, NEXT, SOUTH, WEST, layer_of, middle_of, user_id
from tests.unit.sync.test_places import household, regrid

if TYPE_CHECKING:
    from tests.unit.sync.district import District

EAST_M, NORTH_M = 91_680.0, 110_930.0
CENTRE = {"clerk", "dispatcher", "director", "head"}


def beside(border_m: float, accuracy_m: float | None, **more: Any) -> dict[str, Any]:
    """In the first cell, so many metres from its neighbour in the east, with a radius of 68 per cent."""
    lon, lat = WEST + 0.0011 - border_m / EAST_M, SOUTH + 45 / NORTH_M
    return {
        "lon": lon,
        "lat": lat,
        "crs": "wgs84",
        "accuracy_m": accuracy_m,
        "confidence": 68,
        "source": "gps",
    } | more


def shared_out() -> Any:
    """An edition in which two cells have one half each of the first cell's ground."""
    layer = layer_of()
    cells = {cell.code: cell for cell in layer.cells}
    first = cells.pop(HOME)
    west = translate(first.geometry, xoff=-0.00055)
    east = first.geometry.difference(west)
    for code, part in ((NEXT, east), (CELLS[3], first.geometry.intersection(west))):
        cells[code] = structs.replace(cells[code], geometry=cells[code].geometry.union(part))
    return type(layer).of(list(cells.values()), list(layer.areas), name="分掉")


# --- outcomes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("metres", "accuracy_m", "cell", "method", "asked"),
    [
        (50, 10, HOME, "contained", []),
        (4, 15, HOME, "contained", [HOME, NEXT]),  # 边界件
        (4, 60, "outside", "raised", [HOME, NEXT]),
    ],
)
def test_a_good_a_doubtful_and_a_hopeless_fix(
    district: District, metres: float, accuracy_m: float, cell: str, method: str, asked: list[str]
) -> None:
    case = district.phone("an").capture(location=beside(metres, accuracy_m))
    found = case["assignment"]
    assert (case["cell"], found["method"], found["needs_confirmation"]) == (cell, method, bool(asked))
    assert found.get("candidates", [])[:2] == asked
    assert len(district.tasks_of(case["id"], "confirm_place")) == bool(asked)


def between(accuracy_m: float = 60) -> dict[str, Any]:
    """In the north-east corner of the first cell, where four cells of one community meet."""
    return beside(3, accuracy_m, lat=SOUTH + 0.0009 - 3 / NORTH_M)


def test_a_hopeless_fix_lies_before_the_centre_under_the_area_that_is_sure(district: District) -> None:
    an = district.phone("an")
    case = an.capture(location=between(30))
    raised = case["assignment"]
    assert (case["cell"], raised["method"], raised["area"]) == ("outside", "raised", FIRST)
    assert raised["p"] >= 0.8
    assert raised["candidates"][0] == HOME
    assert set(raised["candidates"]) == {HOME, NEXT, CELLS[3], CELLS[4]}
    (task,) = district.tasks_of(case["id"], "confirm_place")
    assert task["text"].startswith("请确认案件位置,应在")
    assert task["role"] == "dispatcher"
    assert district.who_sees(case["id"]) == CENTRE | {"an"}  # the author keeps his own
    assert an.pull("cases")[case["id"]]["title"] == "三楼漏水到二楼"


def test_the_centre_says_where_it_is_and_the_worker_of_the_cell_has_it(district: District) -> None:
    an, bo = district.phone("an"), district.phone("bo")
    case = an.capture(location=between())
    assert bo.pull("cases") == {}
    district.act("dispatcher", case["id"], "set_place", cell=HOME, evidence="电话问过,在一号楼")
    assert case["id"] in bo.pull("cases")
    assert case["id"] in an.pull("cases")
    (task,) = district.tasks_of(case["id"], "confirm_place")
    assert task["closed_at"] is not None
    assert district.whole("cases", case["id"])["assignment"]["needs_confirmation"] is False


def test_a_better_fix_brings_a_raised_case_into_its_cell(district: District) -> None:
    an = district.phone("an")
    case = an.capture(location=between())
    answer = an.edit(case, location=beside(40, 5))
    assert (answer["cell"], answer["assignment"]["method"]) == (HOME, "contained")
    (task,) = district.tasks_of(case["id"], "confirm_place")
    assert task["closed_at"] is not None
    assert case["id"] in district.phone("bo").pull("cases")


def test_a_fix_outside_is_snapped_as_far_as_the_district_allows(district: District) -> None:
    an = district.phone("an")
    near = middle_of(HOME, lon=WEST - 20 / EAST_M, accuracy_m=None, confidence=None)
    case = an.capture(location=near)
    assert (case["cell"], case["assignment"]) == (
        HOME,
        {"method": "snapped", "distance_m": 20.0, "needs_confirmation": False},
    )
    district.commit(administration.put_settings({PLACING: {"tolerance_m": 10}}))
    assert an.capture(location=near)["cell"] == "outside"


# --- what else is known ----------------------------------------------------------------------------------------------


def test_a_household_within_the_area_that_is_sure_settles_a_hopeless_fix(district: District) -> None:
    an = district.phone("an")
    case = an.capture(location=between(30), household_id=household(district, NEXT))
    assert (case["cell"], case["assignment"]) == (NEXT, {"method": "household", "needs_confirmation": False})
    elsewhere = an.capture(location=between(30), household_id=household(district, FAR))
    assert (elsewhere["cell"], elsewhere["assignment"]["method"]) == ("outside", "raised")
    of_no_area = an.capture(location=between(900), household_id=household(district, FAR))
    assert (of_no_area["cell"], of_no_area["assignment"]["method"]) == (FAR, "household")


def listed(district: District, text: str, cell: str) -> None:
    """A line of the district's list of addresses, in the middle of a cell."""
    middle = middle_of(cell)
    place = AddressRecord(text, "address", round(middle["lon"] * 1e6), round(middle["lat"] * 1e6))
    district.commit(add_addresses([place]))


def test_without_a_fix_the_address_says_more_than_the_household(district: District) -> None:
    an, home = district.phone("an"), household(district, HOME)
    listed(district, "解放路12号", NEXT)
    case = an.capture(location=None, address="解放路12号", household_id=home)
    assert (case["cell"], case["assignment"]) == (NEXT, {"method": "address", "needs_confirmation": False})
    for address in ("解放路13号", "解放路", " ", None):  # not in the list, a road alone, none
        case = an.capture(location=None, address=address, household_id=home)
        assert (case["cell"], case["assignment"]["method"]) == (HOME, "household")
    case = an.capture(location=between(30), address="解放路12号")
    assert (case["cell"], case["assignment"]["method"]) == (NEXT, "address")
    case = an.capture(location=middle_of(HOME), address="解放路12号")
    assert (case["cell"], case["assignment"]["method"]) == (HOME, "contained"), "a good fix says more"


def test_an_address_that_is_written_later_places_the_case_and_follows_the_next_edition(
    district: District,
) -> None:
    an = district.phone("an")
    listed(district, "解放路12号", NEXT)
    case = an.capture(location=None)
    assert case["assignment"]["method"] == "home_cell"
    moved = an.edit(case, address="解放路12号")
    assert (moved["cell"], moved["assignment"]["method"]) == (NEXT, "address")
    regrid(district, layer_of({NEXT: FAR}))
    assert district.whole("cases", case["id"])["cell"] == FAR
    assert district.whole("cases", case["id"])["assignment"]["method"] == "address"


# --- settings --------------------------------------------------------------------------------------------------------


def test_a_district_sets_what_is_sure_and_no_old_case_moves(district: District) -> None:
    an = district.phone("an")
    doubtful = beside(4, 15)  # about two in three
    old = an.capture(location=doubtful)
    district.commit(administration.put_settings({PLACING: {"auto": 0.6}}))
    assert an.capture(location=doubtful)["assignment"]["needs_confirmation"] is False
    district.commit(administration.put_settings({PLACING: {"auto": 0.9, "flag": 0.7}}))
    assert an.capture(location=doubtful)["cell"] == "outside"
    district.commit(administration.put_settings({PLACING: {"radius_m": 14}}))
    assert an.capture(location=doubtful)["assignment"]["method"] == "raised"
    assert district.whole("cases", old["id"])["assignment"] == old["assignment"]
    assert regrid(district, layer_of({CELLS[4]: CELLS[5]})) == 0, "nor with the next edition"
    assert district.whole("cases", old["id"])["cell"] == HOME


@pytest.mark.parametrize(
    "wrong",
    [
        {"auto": 0.5, "flag": 0.5},
        {"auto": 1.2},
        {"flag": 0},
        {"radius_m": 0},
        {"tolerance_m": -1},
        {"auto": "0.8"},
        {"auto": True},
        {"automatic": 0.9},
        [],
        None,
    ],
)
def test_thresholds_that_cannot_be_are_refused_and_nothing_is_written(district: District, wrong: Any) -> None:
    before = district.rows("setting")
    with pytest.raises(Unprocessable, match="0 < flag < auto"):
        administration.put_settings({"short_name": "涧西", PLACING: wrong})
    assert district.rows("setting") == before


# --- what a person has said ------------------------------------------------------------------------------------------


def test_a_correction_says_who_when_from_where_to_where_and_why(district: District) -> None:
    case = district.phone("an").capture()
    district.now += 60_000
    district.act("clerk", case["id"], "set_place", cell=FAR, evidence="门牌")
    said = {
        "method": "person",
        "needs_confirmation": False,
        "by": user_id("clerk"),
        "at": district.now,
        "from": HOME,
        "to": FAR,
        "evidence": "门牌",
    }
    assert district.whole("cases", case["id"])["assignment"] == said
    district.now += 60_000
    district.act("dispatcher", case["id"], "set_place", cell=NEXT, evidence="到过现场")
    assert district.whole("cases", case["id"])["assignment"] == said | {
        "by": user_id("dispatcher"),
        "at": district.now,
        "from": FAR,
        "to": NEXT,
        "evidence": "到过现场",
    }
    moves = [entry["body"] for entry in district.entries_of(case["id"], "act")]
    assert [(body["cell_from"], body["cell_to"], body["args"]["evidence"]) for body in moves] == [
        (HOME, FAR, "门牌"),
        (FAR, NEXT, "到过现场"),
    ], "the first one stands in the timeline"


def test_a_point_that_a_person_names_is_believed_whatever_its_radius(district: District) -> None:
    case = district.phone("an").capture()
    district.act("clerk", case["id"], "set_place", location=middle_of(NEXT, accuracy_m=400), evidence="电话")
    after = district.whole("cases", case["id"])
    assert (after["cell"], after["assignment"]["method"], after["assignment"]["to"]) == (NEXT, "person", NEXT)


def test_what_a_person_said_holds_for_the_ground_whoever_has_it(district: District) -> None:
    an = district.phone("an")
    case = an.capture(location=middle_of(HOME))  # the fix says otherwise all the time
    district.act("clerk", case["id"], "set_place", cell=FAR, evidence="门牌")
    said = district.whole("cases", case["id"])["assignment"]
    assert regrid(district, layer_of({CELLS[4]: CELLS[5]})) == 0
    assert district.whole("cases", case["id"])["assignment"] == said
    assert regrid(district, layer_of({FAR: CELLS[7]})) == 1
    after = district.whole("cases", case["id"])
    assert after["cell"] == CELLS[7]
    assert (said | {"needs_confirmation": True}).items() <= after["assignment"].items()
    (task,) = district.tasks_of(case["id"], "confirm_place")
    assert "closed_at" not in task


def test_where_the_ground_was_shared_out_the_centre_is_asked_and_the_evidence_stays(
    district: District,
) -> None:
    case = district.phone("cui").capture(location=middle_of(NEXT))
    district.act("clerk", case["id"], "set_place", cell=HOME, evidence="门牌")
    said = district.whole("cases", case["id"])["assignment"]
    assert regrid(district, shared_out()) == 1
    after = district.whole("cases", case["id"])
    assert after["cell"] == "outside"
    assert (said | {"needs_confirmation": True}).items() <= after["assignment"].items()
    assert regrid(district, layer_of()) == 0, "the cell is back; nobody has said anything since"
    assert district.whole("cases", case["id"])["cell"] == "outside"
    assert district.who_sees(case["id"]) == CENTRE


def test_an_edition_that_is_undone_gives_a_person_his_word_back_unless_he_has_spoken_since(
    district: District,
) -> None:
    an = district.phone("an")
    first, second = an.capture()["id"], an.capture()["id"]
    for case in (first, second):
        district.act("clerk", case, "set_place", cell=FAR, evidence="门牌")
    said = district.whole("cases", first)["assignment"]
    assert regrid(district, layer_of({FAR: CELLS[7]})) == 2
    district.act("dispatcher", second, "set_place", cell=CELLS[7], evidence="问过住户")
    district.commit(generations.activate_generation(1))
    while district.commit(reassign_work(Budget())).pk is not None:
        pass
    again, stays = (district.whole("cases", case) for case in (first, second))
    assert again["cell"] == FAR
    assert said.items() <= again["assignment"].items()
    assert (stays["cell"], stays["assignment"]["evidence"]) == (CELLS[7], "问过住户")


def test_a_correction_of_the_location_does_not_overrule_a_person_after_an_edition_either(
    district: District,
) -> None:
    an = district.phone("an")
    case = an.capture()
    district.act("clerk", case["id"], "set_place", cell=HOME, evidence="门牌")
    regrid(district, layer_of({HOME: NEXT}))
    cui = district.phone("cui")
    master = cui.pull("cases")[case["id"]]
    answer = cui.edit(master, location=middle_of(FAR))
    assert (answer["cell"], answer["assignment"]["to"]) == (NEXT, HOME)


# --- editions --------------------------------------------------------------------------------------------------------


def test_a_fix_that_names_no_cell_takes_no_case_out_of_one_that_it_may_mean(district: District) -> None:
    an = district.phone("an")
    district.commit(administration.put_settings({PLACING: {"flag": 0.1}}))
    case = an.capture(location=between())
    assert (case["cell"], case["assignment"]["needs_confirmation"]) == (HOME, True)
    district.commit(administration.put_settings({PLACING: {}}))
    assert regrid(district, layer_of({CELLS[3]: CELLS[4]})) == 0
    after = district.whole("cases", case["id"])
    assert after["cell"] == HOME
    assert CELLS[3] not in after["assignment"]["candidates"], "which nobody would find"
    assert after["assignment"]["candidates"]
    # when its own cell is gone it goes to whoever has the ground, as long as the fix may mean that cell
    assert regrid(district, layer_of({CELLS[3]: CELLS[4], HOME: NEXT})) == 1
    after = district.whole("cases", case["id"])
    assert (after["cell"], after["assignment"]["method"]) == (NEXT, "contained"), "surer than ever"


def test_of_a_vanished_cell_the_heir_has_what_the_fix_leaves_open(district: District) -> None:
    an = district.phone("an")
    district.commit(administration.put_settings({PLACING: {"flag": 0.1}}))
    case = an.capture(location=between())
    district.commit(administration.put_settings({PLACING: {"auto": 0.99, "flag": 0.98}}))
    assert regrid(district, layer_of({HOME: NEXT})) == 1
    after = district.whole("cases", case["id"])
    assert (after["cell"], after["assignment"]["method"]) == (NEXT, "successor")
    assert len(district.tasks_of(case["id"], "confirm_place")) == 1


def test_a_case_that_its_household_has_placed_stays_with_it_and_goes_with_its_ground(
    district: District,
) -> None:
    an = district.phone("an")
    case = an.capture(location=between(900), household_id=household(district, FAR))
    assert regrid(district, layer_of({CELLS[4]: CELLS[5]})) == 0
    assert district.whole("cases", case["id"])["assignment"] == case["assignment"]
    regrid(district, layer_of({FAR: CELLS[7]}))
    after = district.whole("cases", case["id"])
    assert (after["cell"], after["assignment"]["method"]) == (CELLS[7], "successor")


def test_a_code_that_means_other_ground_by_now_does_not_keep_what_the_fix_cannot_mean(
    district: District,
) -> None:
    district.commit(administration.put_settings({PLACING: {"flag": 0.1}}))
    case = district.phone("an").capture(location=between())
    assert case["cell"] == HOME
    district.commit(administration.put_settings({PLACING: {}}))
    assert regrid(district, layer_of({HOME: FAR, FAR: HOME})) == 1
    after = district.whole("cases", case["id"])
    assert (after["cell"], after["assignment"]["method"]) == ("outside", "raised")


def test_a_raised_case_comes_into_a_cell_when_an_edition_makes_it_sure(district: District) -> None:
    case = district.phone("an").capture(location=between(30))
    assert case["cell"] == "outside"
    whole = {CELLS[1]: HOME, CELLS[3]: HOME, CELLS[4]: HOME}
    assert regrid(district, layer_of(whole)) == 1
    after = district.whole("cases", case["id"])
    assert (after["cell"], after["assignment"]["method"]) == (HOME, "contained")
    (task,) = district.tasks_of(case["id"], "confirm_place")
    assert task["closed_at"] is not None


def test_a_raised_case_offers_the_cells_of_the_edition_in_force(district: District) -> None:
    case = district.phone("an").capture(location=between(60))
    assert CELLS[4] in case["assignment"]["candidates"]
    assert regrid(district, layer_of({CELLS[4]: CELLS[5]})) == 0
    after = district.whole("cases", case["id"])
    assert (after["cell"], after["assignment"]["method"]) == ("outside", "raised")
    assert CELLS[4] not in after["assignment"]["candidates"]
    assert CELLS[5] in after["assignment"]["candidates"]
    assert after["assignment"]["area"] == case["assignment"]["area"] == FIRST


def test_if_an_edition_overruled_a_person_his_word_would_be_gone(
    district: District, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The planted bug: an edition looks at the fix, not at who has said otherwise."""
    case = district.phone("an").capture()
    district.act("clerk", case["id"], "set_place", cell=FAR, evidence="门牌")
    monkeypatch.setattr(placing, "PERSON", "nobody")
    regrid(district, layer_of({CELLS[4]: CELLS[5]}))
    assert "evidence" not in district.whole("cases", case["id"])["assignment"]
