"""What cannot be decided, read or placed: kept where the right people find it, and its neighbours go on."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from msgspec import structs

from sync import casework, upkeep
from sync.cases.shapes import UUID_PATTERN
from sync.erasing import erase_work
from sync.upkeep import link_waiting
from sync.values import Collection
from tests.unit.sync.district import FAR, HOME, SECOND, UNITS, Phone, layer_of, user_id
from tests.unit.sync.test_places import regrid

if TYPE_CHECKING:
    import pytest

    from tests.unit.sync.district import District

UUID = re.compile(UUID_PATTERN.strip("^$"))
CANARY = "金丝雀七号"


def deep(depth: int) -> Any:
    value: Any = CANARY
    for _ in range(depth):
        value = [value]
    return value


# --- rows that are none ----------------------------------------------------------------------------------------------


def test_what_is_no_row_is_kept_and_its_neighbours_are_stored(district: District) -> None:
    an = district.phone("an")
    good = an.new()
    rows = [5, {"newDocumentState": good}, {}, {"assumedMasterState": good}, None, {"newDocumentState": 7}]
    answer = an.push_rows("cases", rows)  # type: ignore[arg-type]  # what a broken client sends
    assert answer[good["id"]]["status"] == "submitted"
    assert len(district.rows("quarantine")) == 5


def test_what_is_no_row_stands_beside_one_that_is_too_deep(district: District) -> None:
    an = district.phone("an")
    good = an.new()
    body = (
        f'[5, {{"newDocumentState": {json.dumps(good)}}}, {{"newDocumentState": {"[" * 5000}{"]" * 5000}}}]'
    )
    assert an.push_bytes("cases", body.encode())[good["id"]]["status"] == "submitted"
    assert {row["reason"] for row in district.rows("quarantine")} == {"not_an_object", "row_too_deep"}


def test_a_row_without_an_id_is_kept_once_and_told_once(district: District) -> None:
    an = district.phone("an")
    for _ in range(3):
        an.push_rows("cases", [{"newDocumentState": {"kind": "dispute", "title": CANARY}}])
    assert len(district.rows("quarantine")) == 1
    (notice,) = district.notices_of("an", "kept_aside")
    assert "id" not in notice["args"]


# --- what fails in our own hands -------------------------------------------------------------------------------------


def test_a_row_that_cannot_be_decided_is_kept_and_stops_no_neighbour(
    district: District, monkeypatch: pytest.MonkeyPatch
) -> None:
    an = district.phone("an")
    bad, good = an.new(title=CANARY), an.new()
    usual = casework.open_case

    def fails(batch: Any, facts: Any, key: Any, values: Any, **rest: Any) -> Any:
        if values.get("title") == CANARY:
            raise ZeroDivisionError(CANARY)
        return usual(batch, facts, key, values, **rest)

    monkeypatch.setattr(casework, "open_case", fails)
    answer = an.push_rows("cases", [{"newDocumentState": bad}, {"newDocumentState": good}])
    assert answer[good["id"]]["status"] == "submitted"
    assert [issue["message"] for issue in answer[bad["id"]]["issues"]] == [
        "row_failed"
    ]  # a stub stands for it
    (kept,) = district.kept_aside(reason="row_failed")
    assert CANARY in str(kept["content"])
    touched = [row["touched"] for row in district.rows("audit")]
    assert any("failed:ZeroDivisionError@test_kept_apart.py" in text for text in touched)
    assert not any(CANARY in text for text in touched)


def test_an_act_that_fails_when_its_case_comes_does_not_keep_the_case_away(
    district: District, monkeypatch: pytest.MonkeyPatch
) -> None:
    an = district.phone("an")
    case = an.new()
    act = an.entry(case["id"], "act", {"act": "note", "args": {}})
    an.push("entries", act)

    def fails(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(casework, "act", fails)
    assert an.push("cases", case)["status"] == "submitted"
    (entry,) = district.entries_of(case["id"], "act")
    assert (entry["body"]["outcome"], entry["body"]["reason"]) == ("refused", "act_failed")


# --- whose it is to read ---------------------------------------------------------------------------------------------


def test_what_is_kept_of_a_case_lies_by_that_case_and_is_erased_with_it(district: District) -> None:
    an = district.phone("an")
    case = an.capture(protection="sealed")
    an.push("entries", an.entry(case["id"], "no_such_type", {"text": CANARY}))
    an.push_rows("entries", [{"newDocumentState": an.entry(case["id"], body={"text": deep(40)})}])
    pk = district.row("cases", case["id"]).pk
    assert [row["case_pk"] for row in district.rows("quarantine")] == [pk, pk]
    district.commit(erase_work(Collection.cases, case["id"]))
    assert {row["state"] for row in district.rows("quarantine")} == {"erased"}
    assert {row["payload"] for row in district.rows("quarantine")} == {b""}


def test_who_is_recused_is_sent_nothing_that_names_the_case(district: District) -> None:
    an, bo = district.phone("an"), district.phone("bo")
    case = bo.capture()
    an.pull("cases")
    an.push_rows("cases", [{"newDocumentState": case | {"_deleted": True}, "assumedMasterState": case}])
    assert [notice["args"]["id"] for notice in an.pull("notices").values()] == [case["id"]]
    district.act("director", case["id"], "recuse", user=user_id("an"), reason="亲属")
    assert not any(case["id"] in json.dumps(notice) for notice in an.pull("notices").values())
    again = Phone(district, "an", "new-phone")
    again.push("cases", case | {"title": "后来才交的", "w": again.next_w()}, base=case)
    told = again.pull("notices").values()
    assert [notice["kind"] for notice in told] == ["kept_aside"]
    assert case["id"] not in json.dumps(list(told))


def test_by_a_row_that_is_put_aside_nobody_finds_out_whether_a_guessed_case_is_real(
    district: District,
) -> None:
    """QU3, VI7: kept from it, in another's cell, or nowhere: answers and notices are alike to the byte."""
    an, cui = district.phone("an"), district.phone("cui")
    kept_from, elsewhere = an.capture(), an.capture()
    district.act("director", kept_from["id"], "recuse", user=user_id("cui"), reason="亲属")
    named = (kept_from["id"], elsewhere["id"], cui.new()["id"])
    for collection, rows in (
        ("entries", [cui.entry(case, "no_such_type") for case in named]),
        ("files", [{"id": cui.new()["id"], "owner_id": case, "kind": "no_such"} for case in named]),
    ):
        before = set(cui.pull("notices"))
        answers = cui.push_rows(collection, [{"newDocumentState": row} for row in rows])
        told = [text for key, text in cui.pull("notices").items() if key not in before]

        def without_ids(shown: Any) -> str:
            return UUID.sub("", json.dumps(shown, sort_keys=True))

        assert len({without_ids(answers[row["id"]]) for row in rows}) == 1
        assert len(told) == 3
        assert len({without_ids(notice) for notice in told}) == 1
        assert {notice["args"]["id"] for notice in told} == {row["id"] for row in rows}
    district.act("director", elsewhere["id"], "recuse", user=user_id("cui"), reason="亲属")
    assert len(cui.pull("notices")) == 6  # one that went now would tell as much


# --- what waits for its case -----------------------------------------------------------------------------------------


def test_what_waits_finds_its_case_once_its_writer_sees_it(district: District) -> None:
    an, bo = district.phone("an"), district.phone("bo")
    case = an.capture(protection="restricted")
    note = bo.entry(case["id"], body={"text": "我也听说了"})
    assert bo.push("entries", note)["parent_missing"] is True
    district.commit(link_waiting())
    assert note["id"] not in an.pull("entries")
    district.act("director", case["id"], "protect", **{"class": "normal", "reason": "当事人同意"})
    assert district.commit(link_waiting()).found == 1
    assert an.pull("entries")[note["id"]]["body"]["text"] == "我也听说了"
    assert "parent_missing" not in bo.pull("entries")[note["id"]]
    assert {row["state"] for row in district.rows("quarantine", reason="case_missing")} == {"linked"}
    assert district.commit(link_waiting()).found == 0


def test_what_waits_for_a_case_that_never_came_is_not_opened_each_minute(
    district: District, monkeypatch: pytest.MonkeyPatch
) -> None:
    an = district.phone("an")
    an.push("entries", an.entry("01998d6f-3c00-7000-8000-00000000dead"))
    opened: list[int] = []

    def link(tx: Any, context: Any, rows: Any, failed: Any) -> int:
        opened.append(len(rows))
        return 0

    monkeypatch.setattr(upkeep, "_link", link)
    assert district.commit(link_waiting()).found == 0
    assert opened == []


def test_sent_again_it_finds_its_case_at_once_and_takes_effect(district: District) -> None:
    an, cui = district.phone("an"), district.phone("cui")
    case = an.capture()
    note = cui.entry(case["id"], body={"text": "从隔壁看到"})
    cui.push("entries", note)
    district.grant("cui", "grid_worker", cell=HOME)
    assert "parent_missing" not in cui.push("entries", note)
    assert note["id"] in an.pull("entries")


def test_a_file_of_an_entry_goes_where_the_entry_goes_and_is_as_closed(district: District) -> None:
    an, bo = district.phone("an"), district.phone("bo")
    case = an.capture()
    note, minutes = an.entry(case["id"]), an.entry(case["id"], "session", {"summary": "双方各退一步"})
    photo = {"id": an.new()["id"], "owner_id": note["id"], "kind": "photo", "w": an.next_w()}
    inside = {"id": an.new()["id"], "owner_id": minutes["id"], "kind": "photo", "w": an.next_w()}
    an.push("files", photo)  # before the entry it shows
    assert bo.pull("files") == {}
    an.push("entries", note, minutes)
    an.push("files", inside)
    assert bo.pull("files").keys() == {photo["id"]}
    assert district.phone("director").pull("files").keys() == {photo["id"], inside["id"]}
    assert district.whole("files", inside["id"])["class"] == "c"


# --- an edit with a bad part -----------------------------------------------------------------------------------------


def test_a_party_that_came_broken_is_not_taken_for_removed_and_the_fault_is_told(district: District) -> None:
    an = district.phone("an")
    parties = [{"id": "p1", "alias": "三楼"}, {"id": "p2", "alias": "二楼"}]
    case = an.capture(parties=parties)
    answer = an.edit(case, parties=[{"id": "p1", "alias": "三楼李家"}, {"id": 5, "alias": "二楼"}], title=5)
    assert {(party["id"], party["alias"]) for party in answer["parties"]} == {
        ("p1", "三楼李家"),
        ("p2", "二楼"),
    }
    assert {"parties.id", "title"} <= {issue["field"] for issue in answer["issues"]}
    mended = an.edit(answer, title="三楼漏水", parties=answer["parties"])
    assert "issues" not in mended
    gone = an.edit(mended, parties=mended["parties"][:1])
    assert [party["id"] for party in gone["parties"]] == ["p1"]  # taken out on purpose


def test_a_batch_with_one_id_twice_changes_nothing_when_it_comes_again(district: District) -> None:
    an, bo = district.phone("an"), district.phone("bo")
    case = an.capture(title="甲")
    first, second = case | {"title": "乙", "w": "b"}, case | {"title": "丙", "w": "c"}
    batch = [
        {"newDocumentState": first, "assumedMasterState": case},
        {"newDocumentState": second, "assumedMasterState": first},
    ]
    an.push_rows("cases", batch)
    held = bo.pull("cases")[case["id"]]
    bo.edit(held, title="丁")
    lines = len(district.ledger(case["id"]))
    an.push_rows("cases", batch)
    assert district.whole("cases", case["id"])["title"] == "丁"
    assert len(district.ledger(case["id"])) == lines


# --- places and people -----------------------------------------------------------------------------------------------


def test_a_case_of_a_vanished_cell_comes_before_the_centre(district: District) -> None:
    an = district.phone("an")
    case = an.capture(location=None)
    assert case["cell"] == HOME
    whole = layer_of()
    regrid(district, structs.replace(whole, cells=whole.cells[1:]))  # nobody takes over its ground
    moved = district.whole("cases", case["id"])
    assert (moved["cell"], moved["assignment"]["needs_confirmation"]) == ("outside", True)
    assert len(district.tasks_of(case["id"], "confirm_place")) == 1
    assert {"dispatcher", "director"} <= district.who_sees(case["id"])
    assert an.capture(location=None)["cell"] == "outside"  # nobody has the cell of the past at a desk


def test_a_unit_that_gets_a_cell_brings_in_nobody_who_would_have_been_recused(district: District) -> None:
    from sync import administration as adm

    district.commit(adm.import_units([adm.UnitRecord("S3", "community_station", "丙社区", SECOND, 1)]))
    district.commit(adm.add_account("neu", "neu", "-"))
    district.grant("neu", "community_leader", unit="S3")
    district.users = {row["username"]: row["pk"] for row in district.rows("account")}
    case = district.phone("an").capture(involves_staff=True)
    first = next(unit.area for unit in UNITS if unit.code == "S1")
    district.commit(adm.import_units([adm.UnitRecord("S3", "community_station", "丙社区", first, 1)]))
    denied = {row["user_pk"] for row in district.rows("naming", denied=True, v_to=None)}
    assert district.users["neu"] in denied
    assert district.row("cases", case["id"]).gone is None


def test_who_is_recused_late_does_not_keep_the_case_in_hand(district: District) -> None:
    an = district.phone("an")
    case = an.capture()
    district.act(
        "clerk",
        case["id"],
        "triage",
        category="0201",
        basis="lawful",
        channel="grid",
        risk="yellow",
        reason="邻里",
    )
    district.act("clerk", case["id"], "admit")
    district.act("dispatcher", case["id"], "dispatch", unit="S1", user=user_id("officer"))
    held = an.pull("cases")[case["id"]]
    an.edit(held, involves_staff=True)
    after = district.whole("cases", case["id"])
    assert user_id("officer") in after["recused"]
    assert after["handler"]["user"] is None
    assert district.row("cases", case["id"]).person is None


def test_a_case_that_was_sealed_once_leaves_its_author_when_it_moves(district: District) -> None:
    an = district.phone("an")
    case = an.capture(protection="sealed")
    district.act("director", case["id"], "protect", **{"class": "normal", "reason": "误选"})
    district.act("dispatcher", case["id"], "set_place", cell=FAR, evidence="现场核实")
    assert "an" not in district.who_sees(case["id"])


def test_the_clerk_who_keeps_sealed_cases_keeps_his_own_when_it_moves(district: District) -> None:
    district.grant("clerk", "grid_worker", cell=HOME)
    case = district.phone("clerk").capture(protection="sealed")
    district.act("clerk", case["id"], "set_place", cell=FAR, evidence="现场核实")
    assert "clerk" in district.who_sees(case["id"])


def test_a_better_fix_ends_the_question_where_the_case_is(district: District) -> None:
    an = district.phone("an")
    case = an.capture(location=None)
    assert len(district.tasks_of(case["id"], "confirm_place")) == 1
    an.edit(case, location=an.new()["location"])
    assert district.tasks_of(case["id"], "confirm_place")[0]["closed_at"] == district.now
    assert district.whole("cases", case["id"])["cell_generation"] == 1


def test_what_a_phone_writes_into_a_notice_besides_is_kept(district: District) -> None:
    an = district.phone("an")
    an.push_rows("cases", [{"newDocumentState": {"title": CANARY}}])
    (notice,) = an.pull("notices").values()
    an.push("notices", notice | {"read_at": "昨天", "mine": CANARY}, base=notice)
    assert CANARY in str(district.kept_aside(reason="fields_refused"))
