"""Edits of a case by several phones: merged by field, losers in the ledger, nothing written where one may not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sync import push_cases
from tests.unit.sync.district import FAR, HOME, middle_of

if TYPE_CHECKING:
    import pytest

    from tests.unit.sync.district import District


def test_a_clean_edit_is_taken_and_its_former_state_can_be_read_back(district: District) -> None:
    an = district.phone("an")
    case = an.capture()
    answer = an.edit(case, title="四楼漏水")
    assert answer["title"] == "四楼漏水"
    assert answer["v"] > case["v"]
    past = district.rows("change", doc_pk=district.row("cases", case["id"]).pk)
    assert [(row["fields"], row["w"]) for row in past] == [("title,w", case["w"])]
    assert district.ledger(case["id"]) == []


def test_a_capture_edited_while_its_first_push_was_under_way_goes_out_without_a_base_and_is_taken(
    district: District,
) -> None:
    an = district.phone("an")
    first = an.new(title="漏水", signals=["weapon"])
    an.push("cases", first)  # the answer is not taken in: the person has written on
    bo = district.phone("bo")
    bo.edit(bo.pull("cases")[first["id"]], address="三号楼")
    answer = an.push("cases", first | {"title": "四楼漏水", "address": "二号楼", "w": an.next_w()})
    assert (answer["title"], answer["address"]) == ("四楼漏水", "三号楼")
    assert [(line["field"], line["values"]["loser"]) for line in district.ledger(first["id"])] == [
        ("address", "二号楼")
    ]


def test_an_older_copy_without_a_base_overwrites_nothing(district: District) -> None:
    an = district.phone("an")
    case = an.capture(title="漏水")
    an.edit(case, title="四楼漏水")
    answer = an.push("cases", case | {"title": "旧的", "w": None})
    assert answer["title"] == "四楼漏水"


def test_edits_of_different_fields_by_two_phones_both_stand(district: District) -> None:
    an, bo = district.phone("an"), district.phone("bo")
    case = an.capture()
    bo.edit(case, address="三号楼二单元")
    answer = an.edit(case, wishes="要求修好")
    assert (answer["address"], answer["wishes"]) == ("三号楼二单元", "要求修好")
    assert district.ledger(case["id"]) == []


def test_an_overlapping_edit_leaves_a_line_with_both_values_the_rule_and_the_device(
    district: District,
) -> None:
    an, bo = district.phone("an"), district.phone("bo")
    case = an.capture(title="甲")
    bo.edit(case, title="乙")
    answer = an.edit(case, title="丙")
    assert answer["title"] == "丙"  # the later arrival at the server
    (line,) = district.ledger(case["id"])
    assert line["field"] == "title"
    assert line["rule"] == "text"
    assert line["values"] == {"base": "甲", "winner": "丙", "loser": "乙"}
    devices = {row["pk"]: row["id"] for row in district.rows("device")}
    assert (devices[line["device"]], devices[line["other_device"]]) == ("phone-an", "phone-bo")
    assert line["user_pk"] == district.users["an"]


def test_an_overlap_sent_again_adds_no_second_line(district: District) -> None:
    an, bo = district.phone("an"), district.phone("bo")
    case = an.capture(title="甲")
    bo.edit(case, title="乙")
    w = an.next_w()
    an.edit(case, title="丙", w=w)
    an.edit(case, title="丙", w=w)
    assert len(district.ledger(case["id"])) == 1


def test_a_phone_follows_its_own_write_although_its_base_is_older(district: District) -> None:
    """An edit made while the first was under way is sent on the old base: it succeeds its own write."""
    an = district.phone("an")
    case = an.capture(title="甲")
    an.edit(case, title="乙")
    answer = an.edit(case, title="丙")  # the base is still the capture
    assert answer["title"] == "丙"
    assert district.ledger(case["id"]) == []


def test_another_phone_of_the_same_person_is_another_device(district: District) -> None:
    case = district.phone("an").capture(title="甲")
    district.phone("an").edit(case, title="乙")
    district.phone("an", "tablet").edit(case, title="丙")
    assert len(district.ledger(case["id"])) == 1


def test_an_older_write_that_comes_late_never_goes_over_a_newer_one(district: District) -> None:
    an = district.phone("an")
    case = an.capture(title="甲")
    older, newer = an.next_w(), an.next_w()
    an.edit(case, title="新", w=newer)
    answer = an.edit(case, title="旧", address="三号楼", w=older)
    assert answer["title"] == "新"
    assert answer["address"] == "三号楼"  # what nobody has touched since is taken
    (line,) = district.ledger(case["id"])
    assert (line["rule"], line["values"]["winner"], line["values"]["loser"]) == ("older_write", "新", "旧")


def test_an_older_write_lowers_no_class(district: District) -> None:
    an, bo = district.phone("an"), district.phone("bo")
    case = an.push(
        "cases", an.new(protection="restricted", description="家里的事", w=f"500:{an.new()['id']}")
    )
    assert "description" not in bo.pull("cases")[case["id"]]
    answer = an.edit(case, protection="normal", people_count=3, w=f"400:{an.new()['id']}")
    assert (answer["protection"], answer["people_count"]) == ("restricted", 3)
    assert "description" not in bo.pull("cases")[case["id"]]
    assert [line["field"] for line in district.ledger(case["id"])] == ["protection"]


def test_a_flag_that_recuses_is_not_taken_back_by_an_edit(district: District) -> None:
    """Else the next who comes to the cell would see a case about its own staff."""
    an = district.phone("an")
    case = an.capture(involves_staff=True, is_anonymous=True)
    answer = an.edit(case, involves_staff=False, is_anonymous=False)
    assert answer["involves_staff"] is True
    assert answer["is_anonymous"] is True
    assert {line["field"] for line in district.ledger(case["id"])} == {"involves_staff", "is_anonymous"}
    district.grant("cui", "grid_worker", cell=HOME)
    assert "cui" not in district.who_sees(case["id"])


def test_without_the_look_at_the_counter_the_older_write_would_win(
    district: District, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The planted bug: the counter of the phone is not looked at."""
    monkeypatch.setattr(push_cases, "is_stale", lambda *_: False)
    an = district.phone("an")
    case = an.capture(title="甲")
    older, newer = an.next_w(), an.next_w()
    an.edit(case, title="新", w=newer)
    assert an.edit(case, title="旧", w=older)["title"] == "旧"


def test_two_phones_without_write_ids_of_their_own_lose_nothing(district: District) -> None:
    """Both re-send the write id they were given: what each overwrote must be found in the ledger."""
    an, bo, long = district.phone("an"), district.phone("bo"), district.phone("long")
    case = an.capture(title="甲")
    for phone, title in ((an, "乙"), (bo, "丙"), (long, "丁")):
        phone.edit(case, title=title, w=case["w"])
    kept = {line["values"]["loser"] for line in district.ledger(case["id"])}
    assert kept >= {"乙", "丙"}
    assert district.whole("cases", case["id"])["title"] == "丁"


def test_a_refused_field_of_an_edit_goes_aside_once_however_often_it_is_sent(district: District) -> None:
    an = district.phone("an")
    case = an.capture()
    w = an.next_w()
    for _ in range(3):
        answer = an.edit(case, people_count="很多", w=w)
        assert [issue["code"] for issue in answer["issues"]] == ["value_invalid"]
        assert answer["v"] == case["v"] + 1  # said once
    assert [row["content"] for row in district.kept_aside(doc_id=case["id"])] == [{"people_count": "很多"}]


# --- who may write ---------------------------------------------------------------------------------------------------


def test_an_edit_out_of_scope_is_kept_told_once_and_answered_with_a_tombstone(district: District) -> None:
    an = district.phone("an")
    case = an.capture()
    district.act("clerk", case["id"], "set_place", cell=FAR, evidence="到过现场")
    w = an.next_w()
    for _ in range(3):
        answer = an.edit(case, title="改后", w=w)
        assert answer == {"id": case["id"], "kind": "dispute", "captured_at": 0, "_deleted": True}
    (kept,) = district.kept_aside(doc_id=case["id"])
    assert (kept["reason"], kept["state"]) == ("out_of_scope", "open")
    assert kept["content"]["new"]["title"] == "改后"
    assert kept["content"]["base"]["title"] == case["title"]
    assert len(district.notices_of("an", "kept_aside")) == 1
    assert district.whole("cases", case["id"])["title"] == case["title"]


def test_two_different_edits_out_of_scope_under_one_write_id_are_both_kept(district: District) -> None:
    an = district.phone("an")
    case = an.capture()
    district.act("clerk", case["id"], "set_place", cell=FAR, evidence="到过现场")
    an.edit(case, title="先", w=case["w"])
    an.edit(case, title="后", w=case["w"])
    titles = {row["content"]["new"]["title"] for row in district.kept_aside(doc_id=case["id"])}
    assert titles == {"先", "后"}


def test_an_edit_of_an_unknown_case_and_of_an_invisible_one_are_answered_alike(district: District) -> None:
    an, cui = district.phone("an"), district.phone("cui")
    hidden = an.capture()
    answer = cui.push("cases", hidden | {"title": "改", "w": cui.next_w()}, base=hidden)
    gone = cui.push("cases", cui.new() | {"_deleted": True})
    assert answer | {"id": ""} == gone | {"id": ""}


def test_who_holds_a_shell_cannot_write(district: District) -> None:
    an, bo = district.phone("an"), district.phone("bo")
    case = an.capture(protection="restricted", title="家事")
    shell = bo.pull("cases")[case["id"]]
    assert shell.keys() == {"id", "cell", "status", "protection", "v", "_deleted"}
    answer = bo.push(
        "cases", shell | {"kind": "dispute", "captured_at": 1, "title": "覆盖", "w": bo.next_w()}, base=shell
    )
    assert answer == shell
    assert district.kept_aside(doc_id=case["id"])[0]["reason"] == "not_yours_to_write"
    assert district.whole("cases", case["id"])["title"] == "家事"


def test_who_leads_the_cell_reads_the_plain_form_and_cannot_write(district: District) -> None:
    parties = [{"id": "p1", "role": "applicant", "alias": "老李", "name": "李大山", "phone": "13812345678"}]
    case = district.phone("an").capture(parties=parties)
    secretary = district.phone("secretary")
    plain = secretary.pull("cases")[case["id"]]
    assert plain["parties"] == [{"id": "p1", "role": "applicant", "alias": "老李"}]
    assert plain["parties_masked"][0]["phone"] == "138****5678"
    answer = secretary.push("cases", plain | {"title": "书记改", "w": secretary.next_w()}, base=plain)
    assert answer == plain
    assert district.whole("cases", case["id"])["parties"][0]["phone"] == "13812345678"


def test_without_the_look_at_the_form_a_shell_would_overwrite(
    district: District, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The planted bug: everybody who sees anything may write."""
    from sync.facts import Facts
    from sync.values import Level

    case = district.phone("an").capture(protection="restricted", title="家事")
    bo = district.phone("bo")
    shell = bo.pull("cases")[case["id"]]
    monkeypatch.setattr(Facts, "level", lambda *_: Level.full)
    bo.push(
        "cases", shell | {"kind": "dispute", "captured_at": 1, "title": "覆盖", "w": bo.next_w()}, base=shell
    )
    assert district.whole("cases", case["id"])["title"] == "覆盖"


def test_an_identity_number_is_not_erased_by_a_phone_that_never_saw_it(district: District) -> None:
    an, bo = district.phone("an"), district.phone("bo")
    parties = [{"id": "p1", "role": "applicant", "name": "李大山", "id_number": "410303198001011234"}]
    case = an.capture(parties=parties)
    assert "id_number" not in case["parties"][0]
    seen = bo.pull("cases")[case["id"]]
    bo.edit(seen, parties=[seen["parties"][0] | {"phone": "13812345678"}])
    held = district.whole("cases", case["id"])["parties"][0]
    assert (held["id_number"], held["phone"]) == ("410303198001011234", "13812345678")


def test_the_class_is_raised_by_an_edit_and_never_lowered(district: District) -> None:
    an = district.phone("an")
    case = an.capture(protection="restricted")
    answer = an.edit(case, protection="normal")
    assert answer["protection"] == "restricted"
    assert an.edit(answer, protection="sealed")["protection"] == "sealed"


def test_fields_of_the_server_are_ignored_without_a_word(district: District) -> None:
    an = district.phone("an")
    case = an.capture()
    answer = an.edit(case, status="filed", level=3, cell=FAR, code="涧东矛〔2026〕999999")
    assert (answer["status"], answer["level"], answer["cell"]) == ("submitted", 0, HOME)
    assert answer.get("code") is None
    assert district.kept_aside(doc_id=case["id"]) == []


def test_a_location_nobody_can_place_is_asked_about_and_kept(district: District) -> None:
    an = district.phone("an")
    location = middle_of(HOME)
    del location["crs"]
    case = an.capture(location=location)
    assert [issue["code"] for issue in case["issues"]] == ["crs_missing"]
    assert district.kept_aside(doc_id=case["id"])[0]["content"] == {"location": location}
    assert case["assignment"]["method"] == "home_cell"
