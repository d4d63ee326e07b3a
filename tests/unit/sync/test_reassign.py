"""Mass re-assignment: what moves, how far it has come, and that everybody's phone ends right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from msgspec import structs

from sync import administration, children, generations, reassign
from sync.commit import write
from sync.errors import Conflict, NotFound, Unprocessable
from sync.facts import Facts
from sync.homes_work import open_visits
from sync.reassign import Budget, Piece, hand_over_unit, hand_over_worker, reassign_work
from tests.unit.sync.district import CELLS, FAR, FIRST, HOME, NEXT, SECOND, layer_of, user_id
from tests.unit.sync.test_other_collections import visit
from tests.unit.sync.test_places import household, regrid
from tests.unit.sync.test_visits_follow import photo

if TYPE_CHECKING:
    from collections.abc import Callable

    from sync.commit import Context
    from sync.store import Tx
    from tests.unit.sync.district import District

TRIAGED = {"basis": "lawful", "risk": "orange", "reason": "双方上周已动手", "channel": "grid"}


def finish(district: District, budget: Budget | None = None) -> int:
    """Go on to the end; how many pieces it took."""
    pieces = 0
    while True:
        piece: Piece = district.commit(reassign_work(budget or Budget()))
        if piece.pk is None:
            return pieces
        pieces += 1


def handled(district: District, person: str = "mediator") -> str:
    """A case that somebody of the justice office has in hand."""
    case: str = district.phone("an").capture()["id"]
    district.act("clerk", case, "triage", kind="dispute", category="0201", urgency="normal", **TRIAGED)
    district.act("clerk", case, "admit")
    district.act("dispatcher", case, "dispatch", unit="JUSTICE", channel="people")
    district.act(person, case, "accept")
    assert district.whole("cases", case)["handler"]["user"] == user_id(person)
    return case


# --- an edition of the cells -----------------------------------------------------------------------------------------


def test_homes_visits_their_tasks_and_photos_go_to_whoever_has_the_ground(district: District) -> None:
    an, cui, bo = (district.phone(name) for name in ("an", "cui", "bo"))
    home = household(district, HOME)
    district.commit(open_visits([home], due=district.now))
    there = an.push("visits", visit(an, household_id=home))["id"]
    elsewhere = an.push("visits", visit(an))["id"]  # without a home it lies in its author's cell
    picture = an.push("files", photo(an, there))["id"]
    case = an.capture(location=None)["id"]
    bo_had = {name: set(bo.pull(name)) for name in ("visits", "households", "tasks", "files", "cases")}
    assert all(bo_had.values())
    regrid(district, layer_of({HOME: NEXT}))
    assert cui.pull("households").keys() == {home}
    assert cui.pull("visits").keys() == {there, elsewhere}
    assert picture in cui.pull("files")
    assert case in cui.pull("cases")
    assert len([task for task in cui.pull("tasks").values() if task["type"] == "visit_due"]) == 1
    assert cui.pull("households")[home]["cell"] == NEXT
    for name in bo_had:
        assert bo.pull(name) == {}, name


def test_a_home_whose_ground_nobody_has_comes_before_the_centre(district: District) -> None:
    home = household(district, HOME)
    an = district.phone("an")
    there = an.push("visits", visit(an, household_id=home))["id"]
    whole = layer_of()
    regrid(district, structs.replace(whole, cells=whole.cells[1:]))
    clerk = district.phone("clerk")
    assert home in clerk.pull("households")
    assert there in clerk.pull("visits")
    assert district.whole("households", home)["cell"] == "outside"
    assert district.phone("bo").pull("households") == {}


def test_a_cell_that_two_others_share_has_no_heir(district: District) -> None:
    home, case = household(district, HOME), district.phone("an").capture(location=None)["id"]
    whole = layer_of()
    from shapely import union
    from shapely.affinity import translate

    first, second, third = whole.cells[0], whole.cells[1], whole.cells[3]
    west = translate(first.geometry, xoff=-0.00055)  # its western half, and as much beyond
    shared = [
        structs.replace(second, geometry=union(second.geometry, first.geometry.difference(west))),
        structs.replace(third, geometry=union(third.geometry, first.geometry.intersection(west))),
    ]
    rest = [cell for cell in whole.cells[1:] if cell.code not in {second.code, third.code}]
    regrid(
        district, structs.replace(whole, cells=tuple(sorted([*shared, *rest], key=lambda cell: cell.code)))
    )
    assert district.whole("households", home)["cell"] == "outside"
    assert district.whole("cases", case)["cell"] == "outside"


def test_an_edition_that_comes_while_the_one_before_is_still_followed_takes_its_place(
    district: District,
) -> None:
    """Else a home would go by who took over the ground in the edition before: by nobody."""
    home = household(district, HOME)
    for owner in ({FAR: CELLS[7]}, {HOME: NEXT}):
        number = district.commit(generations.add_generation(layer_of(owner)))
        district.commit(generations.activate_generation(number))
    finish(district)
    assert district.whole("households", home)["cell"] == NEXT
    assert [row["state"] for row in district.rows("reassignment")] == ["done", "replaced", "done"]


# --- an edition is undone (MA5) --------------------------------------------------------------------------------------


def again(district: District, number: int = 1) -> None:
    """A former edition is put in force again."""
    district.commit(generations.activate_generation(number))
    finish(district)


def settled(district: District) -> str:
    """A case without a fix that a person has put into a cell."""
    case: str = district.phone("an").capture(location=None)["id"]
    district.act("clerk", case, "set_place", cell=HOME, evidence="到过现场")
    return case


def test_the_edition_before_comes_back_and_everything_lies_where_it_lay(district: District) -> None:
    an, bo, cui = (district.phone(name) for name in ("an", "bo", "cui"))
    home = household(district, HOME)
    there = an.push("visits", visit(an, household_id=home))["id"]
    picture = an.push("files", photo(an, there))["id"]
    unplaced, placed, fixed = an.capture(location=None)["id"], settled(district), an.capture()["id"]
    before = {key: district.whole("cases", key)["assignment"] for key in (unplaced, placed, fixed)}
    bo_had = {name: set(bo.pull(name)) for name in ("visits", "households", "files", "cases")}
    regrid(district, layer_of({HOME: NEXT}))
    told = district.whole("cases", placed)["assignment"]["moved"]
    assert (told["generation"], told["from"], told["was"]["method"]) == (2, HOME, "person")
    assert bo.pull("households") == {}
    again(district)
    assert {name: set(bo.pull(name)) for name in bo_had} == bo_had
    assert (home in cui.pull("households"), there in cui.pull("visits"), picture in cui.pull("files")) == (
        False,
        False,
        False,
    )
    for key, record in before.items():
        now = dict(district.whole("cases", key)["assignment"])
        assert now.pop("moved")["generation"] == 1
        assert now == record
        assert district.whole("cases", key)["cell"] == HOME


def test_what_somebody_has_moved_meanwhile_stays_where_he_put_it(district: District) -> None:
    case = settled(district)
    regrid(district, layer_of({HOME: NEXT}))
    district.act("clerk", case, "set_place", cell=FAR, evidence="到过现场")
    again(district)
    assert district.whole("cases", case)["cell"] == FAR
    assert district.whole("cases", case)["assignment"]["method"] == "person"


def test_two_editions_are_undone_at_once(district: District) -> None:
    home = household(district, HOME)
    case = settled(district)
    regrid(district, layer_of({HOME: NEXT}))
    regrid(district, layer_of({HOME: FAR, NEXT: FAR}))
    assert district.whole("households", home)["cell"] == FAR
    again(district)
    assert district.whole("households", home)["cell"] == HOME
    assert district.whole("cases", case)["cell"] == HOME
    again(district, 3)  # and forward again
    assert district.whole("households", home)["cell"] == FAR
    again(district, 2)
    assert district.whole("households", home)["cell"] == NEXT


def test_a_closed_case_is_seen_again_by_whoever_saw_it(district: District) -> None:
    an, bo = district.phone("an"), district.phone("bo")
    case = an.capture()["id"]
    district.act("clerk", case, "void", reason="重复登记")
    assert case in bo.pull("cases")
    regrid(district, layer_of({HOME: NEXT}))
    assert case not in bo.pull("cases")
    again(district)
    assert case in bo.pull("cases")


def test_what_a_server_that_died_had_undone_is_not_undone_twice(district: District) -> None:
    homes = [household(district, HOME) for _ in range(120)]
    regrid(district, layer_of({HOME: NEXT}))
    district.commit(generations.activate_generation(1))
    district.commit(reassign_work(Budget(50)))
    moved = district.rows("moved")
    assert len(moved) == 170
    finish(district)
    assert district.phone("bo").pull("households").keys() == set(homes)
    assert len(district.rows("moved")) == 240
    periods = {row["number"]: (row["state"], row["retired_at"]) for row in district.rows("generation")}
    assert periods[1] == ("active", None)
    assert periods[2][0] == "retired"
    assert periods[2][1] is not None


# --- a piece ---------------------------------------------------------------------------------------------------------


def test_a_piece_ends_after_so_many_documents_or_when_its_time_is_over(district: District) -> None:
    homes = [household(district, HOME) for _ in range(170)]
    number = district.commit(generations.add_generation(layer_of({HOME: NEXT})))
    district.commit(generations.activate_generation(number))
    piece: Piece = district.commit(reassign_work(Budget(60)))
    assert (piece.looked_at, piece.moved, piece.done) == (60, 60, False)

    def over_at_once() -> Callable[[], bool]:
        return lambda: True

    piece = district.commit(reassign_work(Budget(begin=over_at_once)))
    assert (piece.looked_at, piece.done) == (reassign.STEP, False)
    assert finish(district) >= 1
    assert district.phone("cui").pull("households").keys() == set(homes)
    (row,) = [row for row in district.rows("reassignment") if row["kind"] == "edition" and row["moved"]]
    assert (row["moved"], row["state"]) == (170, "done")


def test_a_piece_that_fails_leaves_no_trace_and_is_done_again(
    district: District, monkeypatch: pytest.MonkeyPatch
) -> None:
    homes = [household(district, HOME) for _ in range(120)]
    number = district.commit(generations.add_generation(layer_of({HOME: NEXT})))
    district.commit(generations.activate_generation(number))
    district.commit(reassign_work(Budget(50)))
    asked = iter(range(10))

    def dies() -> Callable[[], bool]:
        def spent() -> bool:
            if next(asked) == 1:
                raise RuntimeError("the power fails in the second step")
            return False

        return spent

    before = district.rows("reassignment", state="running")
    with pytest.raises(RuntimeError):
        district.commit(reassign_work(Budget(begin=dies)))
    assert district.rows("reassignment", state="running") == before
    finish(district)
    assert district.phone("cui").pull("households").keys() == set(homes)
    left = [row for row in district.rows("closed_place", collection=3) if row["tag"] == district.cells[HOME]]
    assert len(left) == len(homes)  # each has moved once


def test_how_far_it_is_can_be_seen_and_names_no_document(district: District) -> None:
    for _ in range(60):
        household(district, HOME)
    number = district.commit(generations.add_generation(layer_of({HOME: NEXT})))
    district.commit(generations.activate_generation(number))
    district.commit(reassign_work(Budget(50)))
    with district.store.read() as reader:
        told = reassign.progress(reader)[0]
        assert reassign.is_under_way(reader)
    assert (told["kind"], told["state"], told["moved"]) == ("edition", "running", 50)
    assert 0 < told["looked_at"] < told["total"]
    finish(district)
    with district.store.read() as reader:
        assert not reassign.is_under_way(reader)
        assert reassign.progress(reader)[0]["looked_at"] == told["total"]


# --- a unit ----------------------------------------------------------------------------------------------------------


def test_all_cells_of_a_unit_go_to_another_at_one_number_and_its_cases_follow(district: District) -> None:
    far = district.phone("an").capture(location=None)["id"]
    handed = handled(district)
    district.newcomer("second", "community_leader", unit="S2")
    second, secretary = district.phone("second"), district.phone("secretary")
    assert far in secretary.pull("cases")
    assert second.pull("cases") == {}
    district.commit(hand_over_unit("S1", "S2"))
    assert far in second.pull("cases")
    assert secretary.pull("cases") == {}
    district.newcomer("neu", "mediator", unit="STREET")
    district.commit(hand_over_unit("JUSTICE", "STREET"))
    finish(district)
    case = district.whole("cases", handed)
    assert (case["handler"]["unit"], case["handler"].get("user")) == ("STREET", None)
    assert handed in district.phone("neu").pull("cases")
    assert handed not in district.who_sees(handed, ("mediator",))


def test_the_next_edition_gives_the_cells_to_the_other_unit_as_well(district: District) -> None:
    district.newcomer("second", "community_leader", unit="S2")
    district.commit(hand_over_unit("S1", "S2"))
    regrid(district, layer_of({FAR: CELLS[7]}))
    case = district.phone("an").capture()["id"]
    assert district.who_sees(case, ("second", "secretary")) == {"second"}
    record = administration.UnitRecord("S1", "community_station", "甲社区", SECOND, 1)
    district.commit(administration.import_units([record]))
    record = administration.UnitRecord("S1", "community_station", "甲社区", FIRST, 1)
    district.commit(administration.import_units([record]))  # it has an area of its own again
    assert district.who_sees(case, ("second", "secretary")) == {"secretary"}


def test_a_unit_that_has_handed_over_takes_nothing_over(district: District) -> None:
    district.commit(hand_over_unit("S1", "S2"))
    for source, target, wrong in (
        ("S2", "S1", Conflict),
        ("S2", "S2", Unprocessable),
        ("S9", "S2", Unprocessable),
    ):
        with pytest.raises(wrong):
            district.commit(hand_over_unit(source, target))
    with district.store.read() as reader:
        assert reassign.progress(reader)[0]["from"] == "S1"


# --- a worker --------------------------------------------------------------------------------------------------------


def test_what_a_person_has_in_hand_goes_to_another_and_his_phone_is_empty_of_it(district: District) -> None:
    case = handled(district)
    district.newcomer("neu", "mediator", unit="JUSTICE")
    mediator, neu = district.phone("mediator"), district.phone("neu")
    assert case in mediator.pull("cases")
    tasks = {task["id"] for task in mediator.pull("tasks").values()}
    assert neu.pull("cases") == {}
    district.commit(hand_over_worker("mediator", "neu"))
    finish(district)
    assert mediator.pull("cases") == mediator.pull("tasks") == {}
    assert neu.pull("cases").keys() == {case}
    assert tasks <= neu.pull("tasks").keys()
    assert district.whole("cases", case)["handler"]["user"] == user_id("neu")


def test_who_had_the_case_once_is_not_told_of_tasks_of_its_cell(district: District) -> None:
    """Not even by a tombstone: a task shares its case's cell, not those who handled it."""
    key = handled(district)
    district.newcomer("neu", "mediator", unit="JUSTICE")

    def open_one(tx: Tx, context: Context) -> None:
        doc = district.row("cases", key)
        facts = Facts(tx.head(), context.configs.get(tx), context.keys)
        batch = administration.new_batch(tx, context)
        children.open_task(batch, facts, batch.take(doc), "follow_up", role="grid_worker", text="回访")
        write(tx, batch, context, "task")

    district.commit(open_one)
    mediator = district.phone("mediator")
    mediator.pull("tasks")
    (task,) = district.tasks_of(key, "follow_up")
    district.commit(hand_over_worker("mediator", "neu"))
    finish(district)
    district.sent.clear()
    assert mediator.pull("tasks") == {}
    assert task["id"].encode() not in b"".join(district.sent)
    assert task["id"] in district.phone("an").pull("tasks")


def test_what_he_only_wrote_lies_where_it_lies_without_him(district: District) -> None:
    an, bo = district.phone("an"), district.phone("bo")
    case = an.capture()["id"]
    there = an.push("visits", visit(an))["id"]
    district.commit(hand_over_worker("an", "bo"))
    finish(district)
    assert case in an.pull("cases")  # as long as the cell is his
    district.end_grant("an")
    assert an.pull("cases") == an.pull("visits") == {}
    assert case in bo.pull("cases")
    assert there in bo.pull("visits")


def test_a_case_is_not_given_to_who_is_kept_from_it(district: District) -> None:
    case = handled(district)
    district.newcomer("neu", "mediator", unit="JUSTICE")
    district.act("director", case, "recuse", user=user_id("neu"), reason="亲属")
    district.commit(hand_over_worker("mediator", "neu"))
    finish(district)
    assert district.phone("neu").pull("cases") == {}
    assert district.whole("cases", case)["handler"].get("user") is None
    assert case in district.phone("manager").pull("cases")  # it lies in its unit's pool


@pytest.mark.parametrize(("source", "target", "wrong"), [
    ("an", "an", Unprocessable),
    ("an", "auditor", Unprocessable),
    ("nobody", "an", NotFound),
])  # fmt: skip
def test_nothing_is_handed_to_who_cannot_have_it(
    district: District, source: str, target: str, wrong: type[Exception]
) -> None:
    before: Any = district.rows("reassignment")
    with pytest.raises(wrong):
        district.commit(hand_over_worker(source, target))
    assert district.rows("reassignment") == before
