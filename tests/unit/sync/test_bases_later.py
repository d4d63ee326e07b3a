"""QU2: what was put aside without its base gains it once its phone sends it again with one, as after a restore."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from server.console import kept_work
from server.console.kept_sight import payload_of
from server.console.scope import Sight
from sync import content
from sync.erasing import erase_work
from sync.values import Collection
from tests.unit.sync.district import FAR, HOME
from tests.unit.sync.test_other_collections import visit

if TYPE_CHECKING:
    from tests.unit.sync.district import District, Phone


def out_of_sight(district: District) -> tuple[Phone, dict[str, Any], dict[str, Any]]:
    """Somebody has edited a case that is not his any more: his phone, what it sends, and what it started from."""
    an = district.phone("an")
    held = an.capture(description="从客厅渗下来")
    district.act("clerk", held["id"], "set_place", cell=FAR, evidence="到过现场")
    return an, held | {"title": "改后", "w": an.next_w()}, held


def the_kept(district: District, doc_id: str) -> dict[str, Any]:
    (row,) = district.kept_aside(doc_id=doc_id)
    return row


def decide(district: District, row: dict[str, Any], act: str) -> None:
    """What a clerk chooses on the list of what is kept."""
    with district.store.read() as reader:
        sight = Sight(reader, district.configs.get(reader), district.users["clerk"], district.keys)
        payload = payload_of(sight, row)
    chosen = kept_work.chosen(act, {"reason": "重复"} if act == "discard" else {})
    district.commit(kept_work.decide_work(row, payload, district.caller("clerk", "desk"), chosen))


def lose_history(district: District, restored_to: int) -> None:
    district.store.write(lambda tx: tx.insert("epoch", [{"epoch": 9, "restored_to": restored_to}]))
    district.store.write(lambda tx: tx.new_epoch(9))


def test_a_case_put_aside_without_its_base_gains_it_once(district: District) -> None:
    an, edit, held = out_of_sight(district)
    an.push("cases", edit)
    first = the_kept(district, held["id"])
    assert first["content"]["base"] is None
    for _ in range(2):
        answer = an.push("cases", edit, base=held)
        assert answer["_deleted"] is True
    row = the_kept(district, held["id"])
    assert row["content"] == {"new": edit, "base": held}
    assert {name for name in row if row[name] != first[name]} == {"payload", "content"}
    assert len(district.notices_of("an", "kept_aside")) == 1
    told = [line["touched"] for line in district.rows("audit", action="push:cases")]
    assert sum(f"quarantine:{row['pk']}" in touched for touched in told) == 1


def test_a_visit_put_aside_without_its_base_gains_it(district: District) -> None:
    an, bo = district.phone("an"), district.phone("bo")
    held = bo.push("visits", visit(bo, notes="门锁着"))
    district.end_grant("an", cell=HOME)
    edit = held | {"notes": "家里有人", "w": an.next_w()}
    an.push("visits", edit)
    an.push("visits", edit, base=held)
    assert the_kept(district, held["id"])["content"]["base"]["notes"] == "门锁着"


def test_a_row_that_comes_twice_in_one_push_is_kept_once_with_its_base(district: District) -> None:
    an, edit, held = out_of_sight(district)
    rows = [{"newDocumentState": edit}, {"newDocumentState": edit, "assumedMasterState": held}]
    an.push_rows("cases", rows)
    assert the_kept(district, held["id"])["content"] == {"new": edit, "base": held}


def test_a_row_that_cannot_be_read_gains_its_base_too(district: District) -> None:
    an = district.phone("an")
    nameless = {"kind": "dispute", "title": "没有编号"}
    base = nameless | {"title": "先前的"}
    for row in ({"newDocumentState": nameless}, {"newDocumentState": nameless, "assumedMasterState": base}):
        an.push_rows("cases", [row])
    assert the_kept(district, "")["content"] == {
        "new": {"raw": json.dumps(nameless, ensure_ascii=False)},
        "base": base,
    }


def test_the_first_base_stays(district: District) -> None:
    an, edit, held = out_of_sight(district)
    an.push("cases", edit, base=held)
    an.push("cases", edit, base=held | {"title": "另一个"})
    assert the_kept(district, held["id"])["content"]["base"] == held


def test_nobody_lends_a_base_to_what_another_device_has_written(district: District) -> None:
    an, edit, held = out_of_sight(district)
    an.push("cases", edit)
    for phone in (district.phone("cui"), district.phone("an", "another-phone")):
        phone.push("cases", edit, base=held | {"title": "编造的"})
    assert the_kept(district, held["id"])["content"]["base"] is None


def test_the_centre_merges_with_a_base_that_came_later(district: District) -> None:
    """What the phone has not touched is not taken for its own; what it has, is."""
    an, edit, held = out_of_sight(district)
    an.push("cases", edit)
    other = district.phone("dispatcher").pull("cases")[held["id"]]
    district.phone("dispatcher").edit(other, description="从厨房渗下来")
    an.push("cases", edit, base=held)
    decide(district, the_kept(district, held["id"]), "merge")
    case = district.whole("cases", held["id"])
    assert (case["title"], case["description"]) == ("改后", "从厨房渗下来")
    assert district.ledger(held["id"]) == []


@pytest.mark.parametrize(("act", "state"), [("discard", "discarded"), ("merge", "merged")])
def test_what_has_been_decided_stays_decided_and_keeps_the_base(
    district: District, act: str, state: str
) -> None:
    an, edit, held = out_of_sight(district)
    an.push("cases", edit)
    decide(district, the_kept(district, held["id"]), act)
    before = the_kept(district, held["id"])
    version = district.row("cases", held["id"]).v
    an.push("cases", edit, base=held)
    row = the_kept(district, held["id"])
    assert (row["state"], row["content"]["base"]) == (state, held)
    assert {name for name in row if row[name] != before[name]} == {"payload", "content"}
    assert district.row("cases", held["id"]).v == version
    if act == "discard":  # the reason, sealed under the row's key, is still to be read
        label = row["id"].encode() + b"decision"
        assert content.unseal(district.keys, row["dek"], row["decision"], label).decode() == "重复"


def test_what_was_erased_gains_nothing(district: District) -> None:
    an, edit, held = out_of_sight(district)
    an.push("cases", edit)
    district.commit(erase_work(Collection.cases, held["id"]))
    an.push("cases", edit, base=held)
    erased = [row for row in district.rows("quarantine", doc_id=held["id"]) if row["state"] == "erased"]
    assert [(bytes(row["payload"]), row["dek"]) for row in erased] == [(b"", None)]


def test_a_case_that_came_since_has_what_was_put_aside_by_it(district: District) -> None:
    """QU1: a note that nobody could read lay by no case; with the base comes where it belongs."""
    an = district.phone("an")
    case = an.new()
    note = an.entry(case["id"], "no_such_type")
    an.push("entries", note)
    assert the_kept(district, note["id"])["case_pk"] is None
    an.push("cases", case)
    an.push("entries", note, base=note | {"body": {"text": "先前的"}})
    assert the_kept(district, note["id"])["case_pk"] == district.row("cases", case["id"]).pk


def test_a_base_that_a_lost_history_knew_is_kept_though_only_refused_values_were_put_aside(
    district: District,
) -> None:
    """RC6: all else of the edit was merged without it, and is not its author's any more."""
    an = district.phone("an")
    case = an.capture(description="从客厅渗下来")
    lose_history(district, district.row("cases", case["id"]).seq)
    district.phone("bo").edit(case, title="乙的")
    edit = case | {"title": "甲的", "people_count": "很多", "w": an.next_w()}
    an.push("cases", edit)  # the title loses, so nothing here is of this write
    district.act("clerk", case["id"], "set_place", cell=FAR, evidence="到过现场")
    for _ in range(2):
        an.push("cases", edit, base=case | {"description": "只有那边有", "v": 900})
    assert the_kept(district, case["id"])["content"] == {"people_count": "很多"}
    lines = [line for line in district.ledger(case["id"]) if line["rule"] == "lost_base"]
    assert [line["values"]["base"]["description"] for line in lines] == ["只有那边有"]


def test_the_base_of_a_file_is_kept_as_that_of_a_case_is(district: District) -> None:
    """RC6: a transcript that another wrote stands in the base alone, whenever that comes."""
    an = district.phone("an")
    case = an.capture()
    lose_history(district, district.row("cases", case["id"]).seq)
    for first in (True, False):
        heard = {"id": an.new()["id"], "owner_id": case["id"], "kind": "voice", "transcript": "甲听写的"}
        heard |= {"w": an.next_w()}
        if not first:
            an.push("files", heard)
        an.push("files", heard, base=heard | {"transcript": "乙听写的", "v": 900})
        (line,) = district.ledger(heard["id"], "files")
        assert (line["rule"], line["values"]["base"]) == ("lost_base", {"transcript": "乙听写的"})
