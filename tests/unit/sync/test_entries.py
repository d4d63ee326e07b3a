"""Entries: what happened to a case, written once; before its case, to an invisible case, to a merged one; acts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.sync.district import FAR, HOUR, user_id

if TYPE_CHECKING:
    from tests.unit.sync.district import District

REACHED = {"channel": "phone", "reached": True}


def admitted(district: District, **fields: Any) -> str:
    """A case of the home cell, admitted by the centre."""
    case_id: str = district.phone("an").capture(**fields)["id"]
    triage = {"category": "0201", "basis": "lawful", "risk": "blue", "reason": "一般", "channel": "grid"}
    district.act("clerk", case_id, "triage", **triage)
    district.act("clerk", case_id, "admit", given_to="三楼住户")
    return case_id


def test_an_entry_is_stored_with_its_class_and_the_time_of_receipt(district: District) -> None:
    an = district.phone("an")
    case = an.capture()
    sent = an.entry(case["id"])
    answer = an.push("entries", sent)
    assert (answer["class"], answer["received_at"]) == ("o", district.now)
    assert answer["body"] == sent["body"]
    assert sent["id"] in district.phone("bo").pull("entries")


def test_an_entry_sent_twice_is_there_once(district: District) -> None:
    an = district.phone("an")
    case = an.capture()
    sent = an.entry(case["id"])
    first = an.push("entries", sent)
    assert an.push("entries", sent) == first
    assert len(district.entries_of(case["id"])) == 1
    assert district.ledger(sent["id"], "entries") == []


def test_an_entry_is_never_changed_and_the_other_words_are_in_the_ledger(district: District) -> None:
    an = district.phone("an")
    case = an.capture()
    first = an.push("entries", an.entry(case["id"]))
    changed = first | {"body": {"text": "改过的话"}, "w": an.next_w()}
    for _ in range(2):
        assert an.push("entries", changed, base=first) == first
    (line,) = district.ledger(first["id"], "entries")
    assert (line["rule"], line["values"]["loser"]) == ("written_once", {"text": "改过的话"})


def test_an_entry_to_an_unknown_case_and_to_an_invisible_one_are_answered_byte_alike(
    district: District,
) -> None:
    hidden = district.phone("an").capture()["id"]
    cui = district.phone("cui")
    unknown = cui.new()["id"]
    answers: list[dict[str, Any]] = []
    for case_id in (hidden, unknown):
        sent = cui.entry(
            case_id, id="01998d6f-3c00-7000-8000-0000000000e" + str(len(answers)), w=f"{len(answers) + 3}:x"
        )
        answers.append(cui.push("entries", sent))
        assert answers[-1]["parent_missing"] is True
    first, second = answers
    assert first.keys() == second.keys()
    for name in ("id", "case_id", "w", "v"):  # what the phone itself said, and the number of its own write
        first.pop(name)
        second.pop(name)
    assert first == second


def test_a_waiting_entry_is_its_authors_alone(district: District) -> None:
    hidden = district.phone("an").capture()["id"]
    cui = district.phone("cui")
    sent = cui.entry(hidden)
    cui.push("entries", sent)
    assert sent["id"] in cui.pull("entries")
    for name in ("an", "bo", "clerk", "director"):
        assert sent["id"] not in district.phone(name).pull("entries")


def test_an_entry_that_came_before_its_case_is_linked_when_the_case_comes(district: District) -> None:
    an = district.phone("an")
    case = an.new()
    sent = an.entry(case["id"])
    assert an.push("entries", sent)["parent_missing"] is True
    an.push("cases", case)
    linked = an.pull("entries")[sent["id"]]
    assert "parent_missing" not in linked
    assert sent["id"] in district.phone("bo").pull("entries")
    assert district.row("entries", sent["id"]).case_pk == district.row("cases", case["id"]).pk


def test_an_entry_whose_author_does_not_see_the_case_that_came_stays_his_own(district: District) -> None:
    an, cui = district.phone("an"), district.phone("cui")
    case = an.new()
    sent = cui.entry(case["id"])
    before = cui.push("entries", sent)
    an.push("cases", case)
    assert cui.push("entries", sent) == before
    assert sent["id"] not in an.pull("entries")


def test_an_act_that_came_before_its_case_is_run_when_the_case_comes(district: District) -> None:
    """A phone pushes its collections side by side: the act may arrive first, and must not be left undone."""
    an = district.phone("an")
    case = an.new()
    act = an.entry(case["id"], "act", {"act": "raise_signal", "args": {"signal": "weapon"}})
    an.push("entries", act)
    an.push("cases", case)
    assert district.whole("entries", act["id"])["body"]["outcome"] == "done"
    assert district.whole("cases", case["id"])["signals"] == ["weapon"]


def test_a_contact_that_came_before_its_case_stops_the_clock_of_the_first_contact(district: District) -> None:
    an = district.phone("an")
    case = an.new()
    an.push("entries", an.entry(case["id"], "contact_attempt", REACHED))
    an.push("cases", case)
    assert "first_contact" not in {clock["clock"] for clock in district.whole("cases", case["id"])["due"]}


def test_what_was_disputed_of_a_waiting_entry_can_still_be_read_after_it_found_its_case(
    district: District,
) -> None:
    an = district.phone("an")
    case = an.new()
    first = an.push("entries", an.entry(case["id"]))
    an.push("entries", first | {"body": {"text": "改过的话"}, "w": an.next_w()}, base=first)
    an.push("cases", case)
    (line,) = district.ledger(first["id"], "entries")
    assert line["values"]["loser"] == {"text": "改过的话"}


def test_an_entry_to_a_merged_case_is_moved_to_its_master_and_returned(district: District) -> None:
    an = district.phone("an")
    master, merged = admitted(district), admitted(district)
    district.act("clerk", merged, "merge", master=master, reason="同一件事")
    sent = an.entry(merged)
    answer = an.push("entries", sent)
    assert (answer["case_id"], answer["moved_from"]) == (master, merged)
    assert district.row("entries", sent["id"]).case_pk == district.row("cases", master).pk
    assert an.push("entries", sent) == answer


def test_an_entry_to_a_case_merged_into_one_its_sender_does_not_see_waits(district: District) -> None:
    master, merged = admitted(district), admitted(district)
    district.act("clerk", merged, "merge", master=master, reason="同一件事")
    district.act("director", master, "recuse", user=user_id("bo"), reason="亲属")
    bo = district.phone("bo")
    answer = bo.push("entries", bo.entry(merged))
    assert answer["parent_missing"] is True
    assert answer["case_id"] == merged


# --- acts of a phone -------------------------------------------------------------------------------------------------


def test_a_phone_acts_by_an_entry(district: District) -> None:
    an = district.phone("an")
    case = an.capture()
    sent = an.entry(
        case["id"],
        "act",
        {"act": "raise_signal", "args": {"signal": "gathering"}, "seen_status": "submitted"},
    )
    answer = an.push("entries", sent)
    assert (answer["body"]["outcome"], answer["body"]["to"]) == ("done", "submitted")
    assert an.pull("cases")[case["id"]]["signals"] == ["gathering"]
    assert len(district.entries_of(case["id"], "act")) == 1


def test_an_illegal_act_is_kept_and_comes_back_with_the_reason_and_what_would_be_legal(
    district: District,
) -> None:
    an = district.phone("an")
    case = an.capture()
    sent = an.entry(case["id"], "act", {"act": "close", "args": {}, "seen_status": "accepted"})
    answer = an.push("entries", sent)
    assert answer["body"]["outcome"] == "refused"
    assert answer["body"]["reason"] in {"act_illegal", "act_forbidden"}
    assert "raise_signal" in answer["body"]["legal"]
    assert district.whole("cases", case["id"])["status"] == "submitted"
    assert sent["id"] in an.pull("entries")


def test_an_act_sent_twice_is_done_once(district: District) -> None:
    an = district.phone("an")
    case = an.capture()
    sent = an.entry(case["id"], "act", {"act": "call_emergency", "args": {"number": "110"}})
    first = an.push("entries", sent)
    assert an.push("entries", sent) == first
    assert len(district.entries_of(case["id"], "emergency_call")) == 1


def test_an_act_nobody_knows_is_kept(district: District) -> None:
    an = district.phone("an")
    case = an.capture()
    strange: tuple[dict[str, Any], ...] = ({"act": "dance", "args": {}}, {"act": 7}, {"args": []})
    for body in strange:
        answer = an.push("entries", an.entry(case["id"], "act", body))
        assert answer["body"]["outcome"] == "refused"


def test_a_needed_entry_rides_in_the_act_and_the_timeline_shows_one(district: District) -> None:
    case_id = admitted(district)
    district.act("dispatcher", case_id, "dispatch", unit="JUSTICE", mediation_channel="grid")
    district.act("manager", case_id, "accept")
    district.act("manager", case_id, "assign", user=user_id("mediator"))
    district.act("mediator", case_id, "begin", consent=True, rights_told=True)
    mediator = district.phone("mediator")
    mediator.pull("cases")
    session_id = mediator.new()["id"]
    body = {"at": district.now, "mode": "face", "result": "双方各让一步"}
    args = {"entry": {"id": session_id, "type": "session", "body": body}}
    answer = mediator.push("entries", mediator.entry(case_id, "act", {"act": "session", "args": args}))
    assert answer["body"]["outcome"] == "done"
    assert answer["body"]["entry_id"] == session_id
    (session,) = district.entries_of(case_id, "session")
    assert (session["id"], session["class"]) == (session_id, "c")


def test_a_visit_to_the_scene_stops_a_clock_and_closes_its_task(district: District) -> None:
    an = district.phone("an")
    case = an.capture(on_spot={"how": "当面说和"})
    district.now += HOUR
    an.push("entries", an.entry(case["id"], "follow_up", {"result": "未反复"}))
    (task,) = district.tasks_of(case["id"], "follow_up")
    assert task["closed_at"] == district.now
    assert task["closed_by_entry"]


def test_a_file_hangs_on_its_case_like_an_entry(district: District) -> None:
    an = district.phone("an")
    case = an.capture()
    sent = {
        "id": an.new()["id"],
        "owner_id": case["id"],
        "kind": "photo",
        "sha256": "a" * 64,
        "size": 1000,
        "mime": "image/jpeg",
        "w": an.next_w(),
    }
    answer = an.push("files", sent)
    assert answer["state"] == "missing"
    assert sent["id"] in district.phone("bo").pull("files")
    district.act("clerk", case["id"], "set_place", cell=FAR, evidence="到过现场")
    assert district.phone("bo").pull("files") == {}


def test_what_waits_for_its_case_stands_before_the_centre_until_it_is_found(district: District) -> None:
    """A case that was there but out of sight may never come: nobody would ever look for the entry."""
    an, cui = district.phone("an"), district.phone("cui")
    case = an.new()
    cui.push("entries", cui.entry(case["id"], body={"text": "两家又吵了"}))
    (kept,) = district.kept_aside()
    assert (kept["reason"], kept["state"]) == ("case_missing", "open")
    assert kept["content"]["new"]["body"]["text"] == "两家又吵了"
    bo = district.phone("bo")
    note = bo.entry(case["id"], body={"text": "已劝开"})
    bo.push("entries", note)
    an.push("cases", case)
    states = {row["doc_id"]: row["state"] for row in district.rows("quarantine")}
    assert sorted(states.values()) == ["linked", "open"]
    assert states[note["id"]] == "linked"


@pytest.mark.parametrize(
    ("kind", "class_", "seen"), [("photo", "o", True), ("scan", "c", False), ("roster", "s", False)]
)
def test_a_file_is_as_closed_as_what_it_shows(district: District, kind: str, class_: str, seen: bool) -> None:
    an, bo = district.phone("an"), district.phone("bo")
    case = an.capture()
    file = {
        "id": an.new()["id"],
        "owner_id": case["id"],
        "kind": kind,
        "sha256": "0" * 64,
        "size": 9,
        "mime": "image/png",
    }
    assert an.push("files", file)["class"] == class_
    assert (file["id"] in bo.pull("files")) is seen
