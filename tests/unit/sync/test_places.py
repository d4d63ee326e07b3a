"""Where a case belongs: by its fix in whatever coordinates, by household, by home; and how it moves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from msgspec import structs

from geo.coordinates import convert_point
from geo.points import Crs
from geo.regions import Provider
from sync import administration, batch as batches, generations
from sync.config import MAP_PROVIDER
from sync.errors import Unprocessable
from sync.placing import spot_of
from sync.reassign import Budget, Piece, reassign_work
from tests.unit.sync import district as squares
from tests.unit.sync.district import CELLS, FAR, FIRST, HOME, NEXT, SECOND, layer_of, middle_of, user_id

if TYPE_CHECKING:
    from sync.commit import Context
    from sync.store import Tx
    from tests.unit.sync.district import District


def household(district: District, cell: str, **fields: Any) -> str:
    """A household of a cell, as the office keeps it."""
    from sync import content
    from sync.administration import new_batch
    from sync.commit import write
    from sync.values import Collection

    identity = district.chance.uuid7(district.now)

    def work(tx: Tx, context: Context) -> None:
        batch = new_batch(tx, context)
        values = {"id": identity, "cell": cell, **fields}
        key = content.id_bytes(Collection.households, identity)
        batch.create(Collection.households, key, values, cell=district.cells[cell])
        write(tx, batch, context, "households.add")

    district.commit(work)
    return identity


def regrid(district: District, layer: Any, *, chunk: int = 500) -> int:
    """A new edition is activated and followed by what lies in the cells; how many moved."""
    number = district.commit(generations.add_generation(layer))
    district.commit(generations.activate_generation(number))
    moved = 0
    while True:
        step: Piece = district.commit(reassign_work(Budget(chunk)))
        assert step.looked_at <= chunk
        if step.pk is None:
            return moved
        moved += step.moved


def test_every_square_gets_the_case_in_its_middle(district: District) -> None:
    an = district.phone("an")
    for cell in CELLS:
        assert an.capture(location=middle_of(cell))["cell"] == cell


def test_a_fix_of_a_chinese_map_goes_to_the_cell_where_it_happened(district: District) -> None:
    """The shift of such maps is half a kilometre, five cells of this district."""
    an = district.phone("an")
    true = middle_of(NEXT)
    for crs in ("gcj02", "bd09"):
        lon, lat = convert_point(true["lon"], true["lat"], Crs.WGS84, Crs(crs))
        assert an.capture(location=true | {"lon": lon, "lat": lat, "crs": crs})["cell"] == NEXT
        assert (
            an.capture(location=true | {"lon": lon, "lat": lat})["cell"] != NEXT
        )  # taken for what it is not
    assert an.capture(location=true | {"crs": "cgcs2000"})["cell"] == NEXT


def test_what_lies_in_no_cell_goes_to_the_centre_who_is_asked(district: District) -> None:
    an = district.phone("an")
    case = an.capture(location=middle_of(HOME, lon=113.5))
    assert case["cell"] == "outside"
    assert case["assignment"]["needs_confirmation"] is True
    assert len(district.tasks_of(case["id"], "confirm_place")) == 1
    assert district.who_sees(case["id"]) == {"an", "clerk", "dispatcher", "director", "head"}


def test_without_a_fix_a_case_lies_where_its_household_lives(district: District) -> None:
    home = household(district, NEXT)
    case = district.phone("an").capture(location=None, household_id=home)
    assert (case["cell"], case["assignment"]["method"]) == (NEXT, "household")


def test_without_a_fix_a_case_lies_in_its_authors_one_cell(district: District) -> None:
    case = district.phone("an").capture(location=None)
    assert (case["cell"], case["assignment"]["method"]) == (HOME, "home_cell")
    district.grant("an", "grid_worker", cell=FAR)
    unsure = district.phone("an").capture(location=None)
    assert (unsure["cell"], unsure["assignment"]["method"]) == ("outside", "none")


def test_a_household_named_in_an_edit_places_the_case(district: District) -> None:
    an = district.phone("an")
    home = household(district, NEXT)
    case = an.capture(location=None)
    assert an.edit(case, household_id=home)["cell"] == NEXT


def test_a_visit_lies_where_its_household_lives_and_is_seen_there(district: District) -> None:
    an = district.phone("an")
    home = household(district, NEXT)
    sent = {
        "id": an.new()["id"],
        "subject_kind": "household",
        "household_id": home,
        "at": district.now,
        "w": an.next_w(),
    }
    answer = an.push("visits", sent | {"notes": "老人独居", "w": an.next_w()})
    assert answer["cell"] == NEXT
    assert sent["id"] in district.phone("cui").pull("visits")
    assert sent["id"] not in district.phone("bo").pull("visits")
    assert sent["id"] in an.pull("visits")


def test_a_corrected_location_places_anew_and_leaves_the_author_his_case(district: District) -> None:
    an, bo, cui = (district.phone(name) for name in ("an", "bo", "cui"))
    case = an.capture()
    bo.pull("cases")
    answer = an.edit(case, location=middle_of(NEXT, accuracy_m=3))
    assert answer["cell"] == NEXT
    assert an.pull("cases").keys() == cui.pull("cases").keys() == {case["id"]}
    assert bo.pull("cases") == {}
    assert district.notices_of("an") == []


def test_after_a_person_has_set_the_place_a_corrected_location_moves_nothing(district: District) -> None:
    an = district.phone("an")
    case = an.capture()
    district.act("clerk", case["id"], "set_place", cell=HOME, evidence="门牌")
    answer = an.edit(an.pull("cases")[case["id"]], location=middle_of(NEXT, accuracy_m=3))
    assert answer["location"]["accuracy_m"] == 3
    assert (answer["cell"], answer["assignment"]["method"]) == (HOME, "person")


def test_a_re_assignment_closes_the_authors_place_and_tells_him(district: District) -> None:
    an, bo = district.phone("an"), district.phone("bo")
    case = an.capture()
    an.push("entries", an.entry(case["id"]))
    bo.pull("cases")
    bo.pull("entries")
    district.act("clerk", case["id"], "set_place", cell=FAR, evidence="门牌")
    assert an.pull("cases") == bo.pull("cases") == {}
    assert an.pull("entries") == bo.pull("entries") == {}
    (notice,) = district.notices_of("an", "moved_out")
    assert notice["args"] == {"id": case["id"], "case_code": None, "status": "submitted"}
    assert notice["id"] in an.pull("notices")
    assert district.notices_of("bo") == []
    assert case["id"] in district.phone("clerk").pull("cases")


def test_back_in_the_old_cell_the_authors_place_stays_closed(district: District) -> None:
    district.phone("an").capture()
    case_id = district.phone("cui").capture(location=middle_of(HOME))["id"]
    district.act("clerk", case_id, "set_place", cell=FAR, evidence="到过现场")
    district.act("clerk", case_id, "set_place", cell=HOME, evidence="到过现场")
    assert district.who_sees(case_id, ("an", "cui")) == {"an"}


def test_if_the_authors_place_stayed_open_he_would_keep_what_went_elsewhere(
    district: District, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The planted bug: a re-assignment forgets the author."""
    monkeypatch.setattr(batches.Batch, "close_author", lambda *_: None)
    case = district.phone("an").capture()
    district.act("clerk", case["id"], "set_place", cell=FAR, evidence="到过现场")
    assert "an" in district.who_sees(case["id"])


# --- a new edition of the cells --------------------------------------------------------------------------------------


def test_open_cases_follow_a_new_edition_chunk_by_chunk(district: District) -> None:
    an, cui = district.phone("an"), district.phone("cui")
    cases = [an.capture()["id"] for _ in range(5)]
    elsewhere = an.capture(location=middle_of(NEXT))["id"]
    assert regrid(district, layer_of({HOME: NEXT}), chunk=2) == 5
    assert an.pull("cases").keys() == {elsewhere}
    assert cui.pull("cases").keys() == {*cases, elsewhere}
    assert {notice["args"]["id"] for notice in district.notices_of("an", "moved_out")} == {*cases}


def test_a_closed_case_keeps_its_cell_of_then(district: District) -> None:
    case = district.phone("an").capture()
    district.act("clerk", case["id"], "void", reason="重复登记")
    regrid(district, layer_of({HOME: NEXT}))
    assert district.whole("cases", case["id"])["cell"] == HOME
    assert {"cui", "clerk"} <= district.who_sees(case["id"])  # whoever has the ground now may look it up


def test_a_case_without_a_fix_stays_although_its_author_has_another_cell_by_now(district: District) -> None:
    case = district.phone("an").capture(location=None)
    district.end_grant("an")
    district.grant("an", "grid_worker", cell=FAR)
    assert regrid(district, layer_of({CELLS[4]: CELLS[5]})) == 0
    assert district.whole("cases", case["id"])["cell"] == HOME


@pytest.mark.parametrize("code", ["outside", "x" * 65, "a\x00"])
def test_no_cell_is_called_like_what_lies_in_none(district: District, code: str) -> None:
    layer = layer_of()
    named = structs.replace(layer, cells=(structs.replace(layer.cells[0], code=code), *layer.cells[1:]))
    with pytest.raises(Unprocessable):
        generations.add_generation(named)
    assert len(district.rows("generation")) == 1


def test_a_unit_has_the_cells_of_its_area_in_each_edition(district: District) -> None:
    case_id = district.phone("cui").capture(location=middle_of(CELLS[5]))["id"]
    assert "secretary" in district.who_sees(case_id)
    other = SECOND + "009"
    regrid(district, layer_of({CELLS[5]: other}))
    assert district.whole("cases", case_id)["cell"] == other
    assert "secretary" not in district.who_sees(case_id)
    assert FIRST != SECOND


def test_a_stand_in_has_what_he_stands_in_for_and_loses_it_when_the_time_is_over(district: District) -> None:
    from sync.upkeep import end_timed_grants

    case = district.phone("an").capture()
    cui = district.phone("cui")
    until = district.now + 1000
    district.grant("cui", "grid_worker", cell=HOME, stands_in_for="an", until_at=until)
    assert cui.pull("cases").keys() == {case["id"]}
    assert district.commit(end_timed_grants()) == 0
    district.now = until
    assert district.commit(end_timed_grants()) == 1
    assert district.commit(end_timed_grants()) == 0
    assert cui.pull("cases") == {}
    assert district.rows("grant_role", user_pk=district.users["cui"], until_at=until)[0]["v_to"] is not None
    assert user_id("cui")


def test_who_acts_by_holiday_cover_alone_is_recorded_as_standing_in(district: District) -> None:
    case = district.phone("an").capture()["id"]
    district.newcomer("lan", "clerk", unit="CENTRE", stands_in_for="clerk")
    triage = {"category": "0201", "basis": "lawful", "channel": "grid", "risk": "blue", "reason": "一般"}
    district.act("lan", case, "triage", **triage)
    district.grant("lan", "clerk", cell=HOME)
    district.act("lan", case, "admit", given_to="三楼住户")
    acts = {one["body"]["act"]: one["body"] for one in district.entries_of(case, "act")}
    assert acts["triage"]["stands_in_for"] == user_id("clerk")
    assert "stands_in_for" not in acts["admit"], "a role of his own"
    touched = {row["action"]: row["touched"].split(",") for row in district.rows("audit")}
    assert f"for:{district.users['clerk']}" in touched["act:triage"]
    assert not any(word.startswith("for:") for word in touched["act:admit"])


def test_nobody_stands_in_for_himself_nor_until_a_day_that_is_over(district: District) -> None:
    wrong: tuple[dict[str, Any], ...] = ({"stands_in_for": "an"}, {"until_at": district.now}, {"until_at": 1})
    for odd in wrong:
        with pytest.raises(Unprocessable):
            district.grant("an", "grid_worker", cell=HOME, **odd)


def test_a_fix_in_gcj02_is_read_as_the_district_s_provider_means_it(
    district: District, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(squares, "WEST", 114.158)  # where providers disagree
    monkeypatch.setattr(squares, "SOUTH", 22.283)
    regrid(district, layer_of())
    an = district.phone("an")
    pin = middle_of(HOME, crs="gcj02")
    assert an.capture(location=pin)["cell"] == "outside"  # six hundred metres off
    district.commit(administration.put_settings({MAP_PROVIDER: "mainland"}))
    assert an.capture(location=pin)["cell"] == HOME
    corrected = an.edit(an.capture(location=middle_of(NEXT)), location=pin | {"accuracy_m": 3})
    assert corrected["cell"] == HOME
    with district.store.read() as reader:
        config = district.configs.get(reader)
        assert config.provider is Provider.MAINLAND
        assert (spot_of(pin, config.provider) or ())[:2] == (pin["lon"], pin["lat"])
    district.commit(administration.put_settings({MAP_PROVIDER: "nobody's"}))  # as if there were none
    assert an.capture(location=pin)["cell"] == "outside"
