"""What hangs on a visit or a household lies where that lies, and goes where it goes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sync import administration
from sync.cases.lifecycle import Name
from sync.commit import write
from sync.directives import follow
from sync.facts import Facts, load_cases
from sync.homes_work import open_visits
from sync.upkeep import link_waiting
from sync.values import Collection, Place
from tests.unit.sync.district import HOME, NEXT, user_id
from tests.unit.sync.test_other_collections import visit
from tests.unit.sync.test_places import household

if TYPE_CHECKING:
    from sync.commit import Context
    from sync.store import Tx
    from tests.unit.sync.district import District, Phone


def photo(phone: Phone, owner: str, kind: str = "photo") -> dict[str, Any]:
    return {"id": phone.new()["id"], "owner_id": owner, "kind": kind, "w": phone.next_w()}


def test_a_photo_of_a_visit_is_seen_where_the_visit_is(district: District) -> None:
    an = district.phone("an")
    sent = an.push("visits", visit(an))
    picture = an.push("files", photo(an, sent["id"]))
    assert picture["id"] in district.phone("bo").pull("files")
    assert picture["id"] in district.phone("clerk").pull("files")
    assert picture["id"] in district.phone("secretary").pull("files")
    assert district.phone("cui").pull("files") == {}
    assert district.rows("waiting") == []


def test_a_paper_of_a_visit_is_the_centres_and_its_writers(district: District) -> None:
    an = district.phone("an")
    sent = an.push("visits", visit(an))
    paper = an.push("files", photo(an, sent["id"], "document"))
    assert paper["id"] in an.pull("files")
    assert paper["id"] in district.phone("clerk").pull("files")
    assert district.phone("bo").pull("files") == district.phone("secretary").pull("files") == {}


def test_a_photo_that_came_before_its_visit_finds_it(district: District) -> None:
    an, bo = district.phone("an"), district.phone("bo")
    later = visit(an)
    picture = photo(an, later["id"])
    an.push("files", picture)
    assert bo.pull("files") == {}
    an.push("visits", later)
    assert picture["id"] in bo.pull("files")
    assert picture["id"] in an.pull("files")


def test_a_photo_that_has_waited_finds_a_visit_that_was_there_all_the_time(district: District) -> None:
    """Files of visits stayed their author's once: those are hung on their visits too."""
    an, bo = district.phone("an"), district.phone("bo")
    there = an.push("visits", visit(an))
    district.grant("cui", "grid_worker", cell=HOME)
    cui = district.phone("cui")
    district.end_grant("cui")
    picture = photo(cui, there["id"])
    cui.push("files", picture)  # who does not see the visit is not told that it is there
    assert bo.pull("files") == {}
    assert picture["id"] in cui.pull("files")
    district.grant("cui", "grid_worker", cell=HOME)
    assert district.commit(link_waiting()).found == 1
    assert picture["id"] in bo.pull("files")


def test_when_a_visit_turns_out_to_be_of_another_home_its_photos_go_there(district: District) -> None:
    an, bo, cui = (district.phone(name) for name in ("an", "bo", "cui"))
    first, other = household(district, HOME), household(district, NEXT)
    sent = an.push("visits", visit(an, household_id=first))
    picture = an.push("files", photo(an, sent["id"]))["id"]
    assert picture in bo.pull("files")
    an.push("visits", sent | {"household_id": other, "w": an.next_w()}, base=sent)
    assert picture in cui.pull("files")
    assert bo.pull("files") == bo.pull("visits") == {}


def test_a_visit_that_is_due_follows_its_home(district: District) -> None:
    bo, cui = district.phone("bo"), district.phone("cui")
    home = household(district, HOME)
    district.commit(open_visits([home], due=district.now))
    assert len(bo.pull("tasks")) == 1

    def moved(tx: Tx, context: Context) -> None:
        batch = administration.new_batch(tx, context)
        item = batch.take(tx.documents(Collection.households, [district.row("households", home).id])[0])
        batch.place(item, Place.cell, district.cells[NEXT])
        write(tx, batch, context, "move")

    district.commit(moved)
    assert bo.pull("tasks") == bo.pull("households") == {}
    assert len(cui.pull("tasks")) == 1


@pytest.mark.parametrize("klass", ["normal", "restricted", "sealed"])
def test_naming_a_case_opens_neither_visit_nor_home(district: District, klass: str) -> None:
    an = district.phone("an")
    home = household(district, HOME)
    case = an.capture(protection=klass, household_id=home)
    there = an.push("visits", visit(an, household_id=home, case_ids=[case["id"]]))
    picture = an.push("files", photo(an, there["id"]))

    def name(tx: Tx, context: Context) -> None:
        doc = district.row("cases", case["id"])
        facts = Facts(tx.head(), context.configs.get(tx), context.keys)
        facts.learn([doc])
        load_cases(tx, facts, [doc])
        batch = administration.new_batch(tx, context)
        follow(batch, facts, batch.take(doc), Name(user_id("mediator")))
        write(tx, batch, context, "name")

    district.commit(name)
    mediator = district.phone("mediator")
    assert mediator.pull("cases").keys() == {case["id"]}
    assert mediator.pull("visits") == mediator.pull("households") == mediator.pull("files") == {}
    assert picture["id"] in an.pull("files")
