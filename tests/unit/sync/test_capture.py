"""What becomes of a capture: stored, repeated, merged, sanitised; never lost, never twice."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from sync import push_cases

if TYPE_CHECKING:
    from tests.unit.sync.district import District


def effects(district: District) -> list[int]:
    tables = ("document", "change", "ledger", "quarantine", "series", "naming", "firing", "audit")
    return [len(district.rows(table)) for table in tables]


def test_a_new_capture_is_stored_dated_and_placed(district: District) -> None:
    an = district.phone("an")
    case = an.capture(title="电动车进楼")
    assert case["status"] == "submitted"
    assert case["received_at"] == district.now
    assert case["cell"] == "410399001001001"
    assert case["author"] == district.rows("account", username="an")[0]["id"]
    assert case["device"] == "phone-an"
    assert [clock["clock"] for clock in case["due"]]  # the official clocks run from receipt
    assert an.pull("cases").keys() == {case["id"]}


def test_a_capture_sent_twice_has_one_effect_and_is_answered_with_the_master(district: District) -> None:
    an = district.phone("an")
    sent = an.new()
    first = an.push("cases", sent)
    before = effects(district)
    again = an.push("cases", sent)
    assert again == first
    # The repeat itself leaves no record either: nothing has happened.
    assert effects(district) == before


def test_without_the_look_for_a_repeat_this_story_fails(
    district: District, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The planted bug: nobody asks whether a write was here before."""
    monkeypatch.setattr(push_cases, "is_duplicate", lambda *_: False)
    an = district.phone("an")
    sent = an.new()
    first = an.push("cases", sent)
    district.phone("bo").edit(first, title="另一个人改的")
    an.push("cases", sent)
    assert len(district.ledger(sent["id"])) == 1  # with the look there would be none


def test_a_repeat_after_anothers_edit_brings_the_newer_state(district: District) -> None:
    an, bo = district.phone("an"), district.phone("bo")
    sent = an.new()
    first = an.push("cases", sent)
    bo.edit(first, title="改正:二楼漏水")
    assert an.push("cases", sent)["title"] == "改正:二楼漏水"
    assert district.ledger(sent["id"]) == []


def test_a_known_write_id_with_other_content_is_merged_under_an_id_of_the_servers(district: District) -> None:
    an = district.phone("an")
    first = an.capture()
    changed = first | {"title": "四楼漏水"}  # a client without the hook sends the write id it was given
    answer = an.push("cases", changed, base=first)
    assert answer["title"] == "四楼漏水"
    assert answer["w"] != first["w"]
    assert answer["w"].startswith("0:")
    third = an.push("cases", answer | {"title": "五楼漏水"}, base=answer)
    assert third["title"] == "五楼漏水"
    assert len({first["w"], answer["w"], third["w"]}) == 3


def test_two_captures_of_one_batch_with_the_same_id_are_one_case(district: District) -> None:
    an = district.phone("an")
    sent = an.new()
    later = sent | {"description": "补充:厨房", "w": an.next_w()}
    answer = an.push_rows("cases", [{"newDocumentState": sent}, {"newDocumentState": later}])
    assert list(answer) == [sent["id"]]
    assert answer[sent["id"]]["description"] == "补充:厨房"
    assert len(district.documents("cases")) == 1


def test_a_row_nobody_can_read_becomes_a_stub_and_what_came_is_kept(district: District) -> None:
    an = district.phone("an")
    identity = an.new()["id"]
    raw = (
        f'[{{"newDocumentState": {{"id": "{identity}", "kind": "dispute", "title": {"[" * 40}{"]" * 40}}}}}]'
    )
    answer = an.push_bytes("cases", raw.encode())[identity]
    assert answer["status"] == "submitted"
    assert answer["issues"] == [{"field": "*", "code": "unusable", "message": "row_too_deep"}]
    assert "[[[[" in district.kept_aside(doc_id=identity)[0]["content"]["new"]["raw"]
    assert [notice["code"] for notice in district.notices_of("an")] == ["row_too_deep"]


def test_a_capture_without_a_kind_is_still_a_capture(district: District) -> None:
    an = district.phone("an")
    sent = an.new()
    del sent["kind"]
    answer = an.push("cases", sent)
    assert answer["issues"][0]["code"] == "unusable"
    assert district.kept_aside(doc_id=sent["id"])[0]["content"]["new"] == sent
    assert sent["id"] in an.pull("cases")


def test_a_stub_sent_again_is_kept_once_and_told_once(district: District) -> None:
    an = district.phone("an")
    sent = an.new(kind="quarrel")
    an.push("cases", sent)
    for _ in range(3):
        an.push("cases", sent)
    assert len(district.kept_aside(doc_id=sent["id"])) == 1
    assert len(district.notices_of("an")) == 1


def test_a_refused_field_goes_aside_and_the_rest_of_the_row_counts(district: District) -> None:
    an = district.phone("an")
    answer = an.capture(people_count="很多", title="广场舞噪音", weather="晴")
    assert answer["title"] == "广场舞噪音"
    assert "people_count" not in answer
    assert "people_count" in {issue["field"] for issue in answer["issues"]}
    kept = district.kept_aside(doc_id=answer["id"])
    assert [row["reason"] for row in kept] == ["fields_refused"]
    assert kept[0]["content"] == {"people_count": "很多", "weather": "晴"}


def test_a_bad_row_does_not_block_its_neighbours(district: District) -> None:
    an = district.phone("an")
    good, bad, nameless, last = an.new(), an.new(kind=None), {"title": "没有编号"}, an.new()
    answer = an.push_rows("cases", [{"newDocumentState": doc} for doc in (good, bad, nameless, last)])
    assert {good["id"], bad["id"], last["id"]} == answer.keys()
    assert answer[good["id"]]["title"] == answer[last["id"]]["title"] == "三楼漏水到二楼"
    assert {"id_missing"} <= {row["reason"] for row in district.rows("quarantine")}


def test_another_name_under_a_capture_is_told_and_not_believed(district: District) -> None:
    an = district.phone("an")
    answer = an.capture(author="bo", device="phone-bo")
    assert answer["author"] == district.rows("account", username="an")[0]["id"]
    assert {(i["field"], i["code"]) for i in answer["issues"]} == {
        ("author", "claim_differs"),
        ("device", "claim_differs"),
    }


def test_a_capture_deleted_before_it_arrived_is_kept(district: District) -> None:
    an = district.phone("an")
    sent = an.new() | {"_deleted": True}
    assert an.push("cases", sent)["_deleted"] is True
    assert district.kept_aside(doc_id=sent["id"])[0]["reason"] == "deleted_before_arrival"
    assert district.notices_of("an") == []


def test_the_wish_to_delete_a_case_is_kept_and_the_case_comes_back(district: District) -> None:
    an = district.phone("an")
    case = an.capture()
    answer = an.push("cases", case | {"_deleted": True, "w": an.next_w()}, base=case)
    assert answer["_deleted"] is False
    assert district.kept_aside(doc_id=case["id"])[0]["reason"] == "deletion_wanted"
    assert district.whole("cases", case["id"])["title"] == case["title"]


def test_a_capture_with_a_base_nobody_has_keeps_the_base(district: District) -> None:
    """After a restore the base may be all that is left of a lost history (RC6)."""
    an = district.phone("an")
    sent = an.new(title="新写的")
    an.push("cases", sent, base=sent | {"title": "先前的", "v": 99})
    line = district.ledger(sent["id"])[0]
    assert line["rule"] == "lost_base"
    assert line["values"]["base"] == {"title": "先前的"}


def test_settled_on_the_spot_is_settled_numbered_dated_and_followed_up_in_one_commit(
    district: District,
) -> None:
    an = district.phone("an")
    case = an.capture(on_spot={"how": "当面说和", "both_content": True})
    assert case["status"] == "settled"
    assert case["code"] == "涧东矛〔2026〕000001"
    assert case["admitted_at"] == case["resolved_at"] == case["received_at"] == district.now
    row = district.row("cases", case["id"])
    born_together = district.rows("document", case_pk=row.pk)
    assert {doc["born"] for doc in born_together} == {row.born}
    assert [entry["type"] for entry in district.entries_of(case["id"])] == ["on_spot"]
    assert len(district.tasks_of(case["id"], "follow_up")) == 1
    assert an.capture(on_spot={"how": "当面说和"})["code"] == "涧东矛〔2026〕000002"


def test_a_case_without_settlement_has_no_number_before_admission(district: District) -> None:
    case = district.phone("an").capture()
    assert case.get("code") is None
    district.act(
        "clerk",
        case["id"],
        "triage",
        category="0201",
        basis="lawful",
        risk="blue",
        reason="一般",
        channel="grid",
    )
    district.act("clerk", case["id"], "admit", given_to="三楼住户")
    assert district.whole("cases", case["id"])["code"] == "涧东矛〔2026〕000001"


@pytest.mark.parametrize("body", [b"{}", b"[1", b'[{"newDocumentState"', b"\xff\xfe"])
def test_a_body_that_is_no_list_of_rows_stores_nothing(district: District, body: bytes) -> None:
    from sync.errors import BadRequest

    before = effects(district)
    with pytest.raises(BadRequest):
        district.phone("an").push_bytes("cases", body)
    assert effects(district) == before


def test_too_many_rows_store_nothing(district: District) -> None:
    from sync.errors import BatchTooLarge

    an = district.phone("an")
    with pytest.raises(BatchTooLarge):
        an.push_bytes("cases", json.dumps([{"newDocumentState": {}}] * 1001).encode())
    assert district.documents("cases") == []


def test_a_row_deeper_than_any_parser_goes_is_kept_whole_and_blocks_nobody(district: District) -> None:
    an = district.phone("an")
    good, deep = an.new(), an.new()
    well = '{"a":' * 5000 + '"底\\"[{"' + "}" * 5000
    rows = [
        json.dumps({"newDocumentState": good}),
        json.dumps({"newDocumentState": deep})[:-2] + f',"x":{well}}}}}',
    ]
    answers = an.push_bytes("cases", f"[{','.join(rows)}]".encode())
    assert answers[good["id"]]["title"] == good["title"]
    assert [issue["code"] for issue in answers[deep["id"]]["issues"]] == ["unusable"]
    (kept,) = district.kept_aside(doc_id=deep["id"])
    assert kept["reason"] == "row_too_deep"
    assert kept["content"]["new"]["raw"] == rows[1]
