"""What a sceptical reader found: odd but valid content, what travels where it must not, what would have been lost."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from server.console.ledger import lines_of_case
from server.console.scope import Sight, open_case
from sync import administration
from sync.cases.model import instant_of
from sync.errors import SyncError
from sync.homes_work import add_households
from sync.rows import counter_of
from tests.unit.sync.district import DAY, FAR, FIRST, HOME, HOUR, user_id

if TYPE_CHECKING:
    from tests.unit.sync.district import District


def act_by_phone(district: District, who: str, case_id: str, act: str, **args: Any) -> dict[str, Any]:
    phone = district.phone(who)
    return phone.push("entries", phone.entry(case_id, "act", {"act": act, "args": args}))


def admitted(district: District, **fields: Any) -> str:
    case_id = str(district.phone("an").capture(**fields)["id"])
    district.act(
        "clerk",
        case_id,
        "triage",
        category="0201",
        basis="lawful",
        risk="yellow",
        reason="争吵",
        channel="grid",
    )
    district.act("clerk", case_id, "admit")
    return case_id


def accepted(district: District, **fields: Any) -> str:
    case_id = admitted(district, **fields)
    district.act("dispatcher", case_id, "dispatch", unit="JUSTICE")
    district.act("manager", case_id, "accept")
    district.act("manager", case_id, "assign", user=user_id("mediator"))
    return case_id


def in_mediation(district: District, **fields: Any) -> str:
    case_id = accepted(district, **fields)
    district.act("mediator", case_id, "begin", consent=True, rights_told=True)
    return case_id


# --- odd but valid content is a matter of its row --------------------------------------------------------------------


@pytest.mark.parametrize("w", ["²:abc", "1:\u0000", "٣:甲"])
def test_a_write_id_with_odd_characters_is_none_and_the_edit_is_taken(district: District, w: str) -> None:
    an = district.phone("an")
    case = an.capture()
    assert an.edit(case, w=w, title="四楼漏水")["title"] == "四楼漏水"
    assert district.row("cases", case["id"]).w != w
    assert counter_of("²:abc") is None


@pytest.mark.parametrize("at", ["0001-01-01", "9999-12-31T23:59:59-12:00"])
def test_a_phone_whose_clock_stands_at_the_end_of_time_captures_all_the_same(
    district: District, at: str
) -> None:
    assert instant_of(at) is None
    answer = district.phone("an").capture(captured_at=at)
    assert answer["title"] == "三楼漏水到二楼"
    assert [issue["field"] for issue in answer["issues"]][:1] == ["captured_at"]


def test_an_act_that_names_no_case_to_merge_into_is_refused_and_blocks_nothing(district: District) -> None:
    case_id = district.phone("an").capture()["id"]
    for master in ("abc", 5, district.phone("an").new()["id"]):
        answer = act_by_phone(district, "clerk", case_id, "merge", master=master)
        assert answer["body"]["outcome"] == "refused"


def test_a_phone_merges_into_a_case_that_it_sees(district: District) -> None:
    an = district.phone("an")
    case_id, master = an.capture()["id"], an.capture()["id"]
    answer = act_by_phone(district, "clerk", case_id, "merge", master=master)
    assert answer["body"]["outcome"] == "done"
    assert district.whole("cases", case_id)["master_case"] == master


@pytest.mark.parametrize(
    ("act", "args"),
    [
        ("begin", {"consents": {"p1": ["yes"]}, "rights_told": True}),
        ("agree", {"entry": {"type": "agreement", "body": {"obligations": 5}}}),
        ("request_extension", {"days": 10**14, "reason": "久", "consent": True}),
    ],
)
def test_arguments_of_the_wrong_kind_are_refused(district: District, act: str, args: dict[str, Any]) -> None:
    case_id = accepted(district) if act == "begin" else in_mediation(district)
    answer = act_by_phone(district, "mediator", case_id, act, **args)
    assert answer["body"]["outcome"] == "refused"


@pytest.mark.parametrize("due", [-(10**30), 10**30, "明天"])
def test_an_agreement_with_a_date_that_is_none_is_kept_and_stops_no_clock(
    district: District, due: Any
) -> None:
    case_id = in_mediation(district)
    entry = {"type": "agreement", "body": {"obligations": [{"no": 1, "due": due}]}}
    answer = act_by_phone(district, "mediator", case_id, "agree", entry=entry)
    assert (answer["body"]["outcome"], answer["body"]["reason"]) == ("refused", "act_needs")
    assert answer["body"]["args"]["entry"] == entry
    district.now += DAY
    district.tick()


def test_no_extension_is_so_long_that_counting_it_stops_the_district(district: District) -> None:
    case_id = admitted(district)
    with pytest.raises(SyncError):
        district.act("secretary", case_id, "extend", days=10**14, reason="久", clock="accept")


# --- nobody receives what is not his ---------------------------------------------------------------------------------


def test_of_a_helping_unit_the_administrator_is_not_named(district: District) -> None:
    district.end_grant("auditor")
    district.commit(administration.grant_role("auditor", "auditor", unit="JUSTICE"))
    case_id = admitted(district)
    district.act("dispatcher", case_id, "dispatch", unit="S1", helpers=["JUSTICE"])
    assert "mediator" in district.who_sees(case_id)
    assert "auditor" not in district.who_sees(case_id)


def test_an_identity_number_does_not_travel_by_the_ledger(district: District) -> None:
    an, bo = district.phone("an"), district.phone("bo")
    case = an.capture(parties=[{"id": "p1", "id_number": "410399190001010001"}])
    for phone, number in ((bo, "410399190001010002"), (an, "410399190001010003")):
        phone.edit(case, parties=[{"id": "p1", "id_number": number}])
    with district.store.read() as reader:
        sight = Sight(reader, district.configs.get(reader), district.users["bo"], district.keys)
        lines = lines_of_case(sight, open_case(sight, case["id"]).doc)
    assert "parties.p1.id_number" in {line["field"] for line in lines}
    assert "4103991900" not in str(lines)


def test_a_lifted_recusal_stays_lifted_when_somebody_new_comes_to_the_cell(district: District) -> None:
    case_id = district.phone("an").capture(involves_staff=True)["id"]
    district.act("director", case_id, "lift_recusal", user=user_id("secretary"), reason="无利害关系")
    district.grant("cui", "grid_worker", cell=HOME)
    assert district.who_sees(case_id, ("secretary", "cui", "long")) == {"secretary"}
    district.act("director", case_id, "recuse", user=user_id("secretary"), reason="有利害关系")
    assert district.who_sees(case_id, ("secretary", "cui", "long")) == set()


def test_minutes_that_ride_on_a_refused_act_are_as_closed_as_minutes_are(district: District) -> None:
    case_id = accepted(district)
    entry = {"type": "session", "body": {"proposals": "各让一步四一七"}}
    answer = act_by_phone(district, "mediator", case_id, "session", entry=entry)
    assert (answer["body"]["outcome"], answer["class"]) == ("refused", "c")
    for who in ("an", "secretary"):
        assert "各让一步四一七" not in str(district.phone(who).pull("entries"))
    assert "各让一步四一七".encode() not in district.bytes_on_disk()


def test_a_report_to_the_authorities_is_not_told_again_by_its_act(district: District) -> None:
    case_id = admitted(district)
    answer = act_by_phone(
        district,
        "an",
        case_id,
        "report_mandatory",
        authority="police",
        reported_at=district.now,
        ground="孩子有伤",
    )
    assert answer["body"]["outcome"] == "done"
    for who in ("bo", "secretary", "clerk"):
        assert "孩子有伤" not in str(district.phone(who).pull("entries"))


def test_who_is_recused_does_not_stand_in_the_timeline(district: District) -> None:
    case_id = admitted(district)
    district.act("director", case_id, "recuse", user=user_id("cui"), reason="亲属")
    for who in ("an", "bo", "secretary"):
        pulled = str(district.phone(who).pull("entries"))
        assert "recuse" not in pulled
        assert user_id("cui") not in pulled
    assert user_id("cui") not in str(district.phone("clerk").pull("entries"))


def test_a_correction_is_as_closed_as_what_it_puts_right(district: District) -> None:
    case_id = in_mediation(district)
    mediator = district.phone("mediator")
    minutes = mediator.entry(case_id, "inquiry", {"text": "原话"})
    mediator.push("entries", minutes)
    answer = act_by_phone(
        district, "mediator", case_id, "correct", entry_id=minutes["id"], text="更正后五二八"
    )
    assert answer["body"]["outcome"] == "done"
    loose = mediator.entry(case_id, "correction", {"entry_id": minutes["id"], "text": "再更正五二八"})
    mediator.push("entries", loose)
    assert "五二八" in str(district.phone("clerk").pull("entries"))
    assert "五二八" not in str(district.phone("secretary").pull("entries"))


def test_a_correction_that_comes_before_what_it_puts_right_is_as_closed_as_could_be(
    district: District,
) -> None:
    case_id = in_mediation(district)
    mediator = district.phone("mediator")
    body = {"authority": "police", "ground": "伤情", "reported_at": district.now, "by": "mediator"}
    report = mediator.entry(case_id, "mandatory_report", body)
    early = mediator.entry(case_id, "correction", {"entry_id": report["id"], "text": "更正后五二八"})
    mediator.push("entries", early)
    mediator.push("entries", report)
    assert "五二八" in str(mediator.pull("entries"))
    for who in ("clerk", "dispatcher", "manager", "secretary"):
        assert "五二八" not in str(district.phone(who).pull("entries")), who


# --- nothing is lost -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("known", ["entry", "act", "other"])
def test_an_entry_that_rides_along_under_a_taken_id_is_written_under_another(
    district: District, known: str
) -> None:
    case_id = in_mediation(district)
    mediator = district.phone("mediator")
    act = mediator.entry(case_id, "act")
    taken = {"entry": mediator, "other": district.phone("an")}.get(known)
    there = act if taken is None else taken.entry(case_id)
    if taken is not None:
        taken.push("entries", there)
    riding = {"id": there["id"], "type": "session", "body": {"proposals": "各让一步"}}
    answer = mediator.push("entries", act | {"body": {"act": "session", "args": {"entry": riding}}})
    assert answer["body"]["outcome"] == "done"
    assert [entry["body"] for entry in district.entries_of(case_id, "session")] == [riding["body"]]


def test_a_day_without_a_net_sent_at_once_leaves_no_task_behind(district: District) -> None:
    case_id = admitted(district)
    district.act("dispatcher", case_id, "dispatch", unit="JUSTICE", user=user_id("mediator"))
    mediator = district.phone("mediator")
    acts: list[tuple[str, dict[str, Any]]] = [
        ("accept", {}),
        ("begin", {"consent": True, "rights_told": True}),
        ("settle", {"outcome": "self_settled"}),
        ("close", {"outcome": "self_settled", "plain_text": "修好了"}),
    ]
    rows = [mediator.entry(case_id, "act", {"act": act, "args": args}) for act, args in acts]
    mediator.push("entries", *rows)
    assert district.whole("cases", case_id)["status"] == "reported"
    assert all(task.get("closed_at") for task in district.tasks_of(case_id, "handle"))


def test_of_two_rows_of_one_case_in_a_batch_both_texts_are_kept(district: District) -> None:
    an = district.phone("an")
    case = an.capture(title="甲")
    rows = [
        {"newDocumentState": case | {"title": title, "w": an.next_w()}, "assumedMasterState": case}
        for title in ("乙", "丙")
    ]
    assert an.push_rows("cases", rows)[case["id"]]["title"] == "丙"
    (line,) = district.ledger(case["id"])
    assert line["values"] == {"base": "甲", "winner": "丙", "loser": "乙"}
    fresh = an.new(title="丁")
    newer = {"newDocumentState": fresh | {"title": "戊", "w": an.next_w()}, "assumedMasterState": fresh}
    an.push_rows("cases", [{"newDocumentState": fresh}, newer])
    assert {line["values"]["loser"] for line in district.ledger(fresh["id"])} == {"丁"}


@pytest.mark.parametrize("change", [{"body": "只有文字"}, {"type": "没有这种", "body": {"text": "只有文字"}}])
def test_another_text_of_an_entry_is_kept_however_odd_its_shape(
    district: District, change: dict[str, Any]
) -> None:
    an = district.phone("an")
    entry = an.entry(an.capture()["id"])
    an.push("entries", entry)
    an.push("entries", entry | change | {"w": an.next_w()})
    assert "只有文字" in str([row["content"] for row in district.kept_aside(doc_id=entry["id"])])


def test_a_row_under_another_spelling_of_an_id_is_kept_and_nobody_else_is_answered(
    district: District,
) -> None:
    an = district.phone("an")
    rows = [an.new(title=title) for title in ("大写", "无连字符")]
    rows[0]["id"] = rows[0]["id"].upper()
    rows[1]["id"] = rows[1]["id"].replace("-", "")
    assert an.push_rows("cases", [{"newDocumentState": row} for row in rows]) == {}
    kept = str(district.kept_aside(reason="id_shape"))
    assert "大写" in kept
    assert "无连字符" in kept


# --- recusal, class, levels ------------------------------------------------------------------------------------------


def test_who_is_recused_no_longer_holds_what_he_was_told_of_the_case(district: District) -> None:
    an, bo = district.phone("an"), district.phone("bo")
    case_id = admitted(district)
    (told,) = an.pull("notices").values()
    assert case_id in str(told)
    district.act("director", case_id, "recuse", user=user_id("an"), reason="亲属")
    assert case_id not in str(an.pull("notices"))
    assert district.phone("an", "new").pull("notices") == {}
    assert told["id"] not in str(bo.pull("notices"))
    district.act("director", case_id, "lift_recusal", user=user_id("an"), reason="查无关系")
    assert told["id"] in an.pull("notices")


def test_notices_belong_to_one_person_even_where_others_are_named(district: District) -> None:
    case_id = raised(district, 1)
    district.act("secretary", case_id, "acknowledge", promise=district.now + DAY)
    told = district.phone("secretary").pull("notices").values()
    assert {notice["user"] for notice in told} == {user_id("secretary")}


def test_a_category_named_later_protects_as_one_named_at_once(district: District) -> None:
    an = district.phone("an")
    case = an.capture()
    answer = an.edit(case, category="0106", signals=["weapon"], people_count=60)
    at_once = an.capture(category="0106", signals=["weapon"], people_count=60)
    for name in ("protection", "category_group", "urgency", "people_band", "collective", "risk"):
        assert answer.get(name) == at_once.get(name), name
    assert district.who_sees(case["id"]) == district.who_sees(at_once["id"]) == {"an", "director", "clerk"}
    assert "emergency_ack" in str(answer["due"])


def test_the_kind_of_a_case_under_way_is_not_changed_by_a_phone(district: District) -> None:
    case_id = in_mediation(district)
    an = district.phone("an")
    an.edit(an.pull("cases")[case_id], kind="consult", wishes="要求修好")
    case = district.whole("cases", case_id)
    assert (case["kind"], case["wishes"]) == ("dispute", "要求修好")
    assert district.ledger(case_id)[0]["values"]["loser"] == "consult"


def test_who_returns_a_sealed_case_no_longer_sees_it(district: District) -> None:
    case_id = admitted(district, protection="sealed")
    district.act("director", case_id, "dispatch", unit="JUSTICE", user=user_id("mediator"))
    assert "mediator" in district.who_sees(case_id)
    district.act("mediator", case_id, "return", reason="conflict_of_interest")
    assert district.who_sees(case_id) == {"an", "clerk", "director"}


def test_an_entry_to_a_merged_case_that_its_writer_does_not_see_does_not_tell_where_it_went(
    district: District,
) -> None:
    an, bo = district.phone("an"), district.phone("bo")
    loser, master = an.capture()["id"], an.capture()["id"]
    district.act("director", loser, "recuse", user=user_id("bo"), reason="亲属")
    district.act("clerk", loser, "merge", master=master)
    answers = [bo.push("entries", bo.entry(case_id)) for case_id in (loser, bo.new()["id"])]
    for answer in answers:
        assert answer["parent_missing"] is True
        assert "moved_from" not in answer
        assert answer["case_id"] != master


# --- the leaders' queue ----------------------------------------------------------------------------------------------


def raised(district: District, level: int) -> str:
    """A case nobody admits, until it has reached a level."""
    case_id = str(district.phone("an").capture()["id"])
    for _ in range(200):
        if district.whole("cases", case_id)["level"] >= level:
            return case_id
        district.now += 6 * HOUR
        district.tick()
    raise AssertionError(level)


def open_rows(district: District, case_id: str) -> list[dict[str, Any]]:
    rows = district.rows("escalation", case_pk=district.row("cases", case_id).pk)
    return [row | json.loads(row["body"]) for row in rows if row["closed_at"] is None]


def test_a_leader_answers_no_row_of_a_level_above_his_own(district: District) -> None:
    case_id = raised(district, 2)
    district.act("secretary", case_id, "acknowledge", promise=district.now + DAY)
    rows = open_rows(district, case_id)
    assert {row["level"] for row in rows if row["state"] == "acked"} == {1}
    district.act("street", case_id, "acknowledge", promise="2027-12-01T08:00:00+08:00")
    assert 2 in {row["level"] for row in open_rows(district, case_id) if row["state"] == "acked"}


def test_an_extension_granted_on_a_row_extends_the_promise_the_row_is_about(district: District) -> None:
    case_id = raised(district, 1)
    row = next(row for row in open_rows(district, case_id) if row["clock"] == "admit")
    district.act_on_row("secretary", row["id"], "extend", days=5, reason="材料未齐")
    due = {line["clock"]: line["due_at"] for line in district.whole("cases", case_id)["due"]}
    assert due["admit"] >= district.now + 4 * DAY
    assert row["id"] not in {one["id"] for one in open_rows(district, case_id)}


@pytest.mark.parametrize(
    "base",
    [
        {"parties": 5, "signals": "x", "location": 3, "prior_channels": {"a": 1}},
        {"parties": [{"alias": "甲"}], "title": ["甲"], "kind": 5},
        {"parties": [None], "also_cells": [1], "signals": [{"a": 1}]},
    ],
)
def test_an_odd_base_is_the_matter_of_its_row(district: District, base: dict[str, Any]) -> None:
    an = district.phone("an")
    case = an.capture(parties=[{"id": "p1", "alias": "甲"}], signals=["weapon"])
    changes = {"parties": [{"id": "p1", "alias": "乙"}], "signals": ["drink"], "title": "四楼漏水"}
    answer = an.push("cases", case | changes | {"w": an.next_w()}, base=base)
    assert answer["title"] == "四楼漏水"


@pytest.mark.parametrize("cell", ["nowhere", FIRST])
def test_a_case_is_not_put_where_nobody_would_find_it(district: District, cell: str) -> None:
    case_id = district.phone("an").capture()["id"]
    answer = act_by_phone(district, "clerk", case_id, "set_place", cell=cell, evidence="到过现场")
    assert (answer["body"]["outcome"], answer["body"]["reason"]) == ("refused", "act_needs")
    assert district.whole("cases", case_id)["cell"] == HOME


def test_nobody_is_recused_who_is_no_person(district: District) -> None:
    case_id = district.phone("an").capture()["id"]
    assert (
        act_by_phone(district, "clerk", case_id, "recuse", user="x", reason="亲属")["body"]["outcome"]
        == "refused"
    )
    assert "recused" not in district.whole("cases", case_id)


def test_what_was_heard_in_a_voice_note_is_written_down_by_another(district: District) -> None:
    an, bo = district.phone("an"), district.phone("bo")
    case_id = an.capture()["id"]
    file = {
        "id": district.chance.uuid7(district.now),
        "owner_id": case_id,
        "kind": "voice",
        "transcript_state": "wanted",
        "w": an.next_w(),
    }
    an.push("files", file)
    master = bo.pull("files")[file["id"]]
    heard = {"transcript": "水从三楼来", "transcript_state": "done", "kind": "photo", "w": bo.next_w()}
    answer = bo.push("files", master | heard, base=master)
    assert (answer["transcript"], answer["transcript_state"]) == ("水从三楼来", "done")
    assert answer["kind"] == "voice"
    assert [line["values"]["loser"] for line in district.ledger(file["id"], "files")] == ["photo"]


def test_the_task_to_accept_is_the_handling_unit_s_not_the_cell_s(district: District) -> None:
    case_id = admitted(district)
    district.act("dispatcher", case_id, "dispatch", unit="JUSTICE")
    assert "accept_due" in str(district.phone("manager").pull("tasks"))
    assert "accept_due" not in str(district.phone("bo").pull("tasks"))
    district.act("manager", case_id, "accept")
    assert all(task.get("closed_at") for task in district.tasks_of(case_id, "accept_due"))


def test_a_visit_put_right_to_another_home_lies_in_that_home_s_cell(district: District) -> None:
    an = district.phone("an")
    near, far = district.commit(add_households([{"cell": HOME}, {"cell": FAR}]))
    visit = {
        "id": district.chance.uuid7(district.now),
        "subject_kind": "household",
        "household_id": near,
        "at": district.now,
        "w": an.next_w(),
    }
    master = an.push("visits", visit)
    bo = district.phone("bo")
    assert visit["id"] in bo.pull("visits")
    answer = an.push("visits", master | {"household_id": far, "w": an.next_w()}, base=master)
    assert answer["cell"] == FAR
    assert visit["id"] not in bo.pull("visits")
