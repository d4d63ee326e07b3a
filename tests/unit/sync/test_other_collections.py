"""Visits, households, notices, tasks and cells: what a phone may write of them, and what is kept of the rest."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from sync.homes_work import open_visits
from tests.unit.sync.district import HOME, NEXT, PEOPLE
from tests.unit.sync.test_places import household

if TYPE_CHECKING:
    from tests.unit.sync.district import District, Phone


def visit(phone: Phone, **fields: Any) -> dict[str, Any]:
    return {
        "id": phone.new()["id"],
        "subject_kind": "household",
        "at": phone.district.now,
        "w": phone.next_w(),
    } | fields


def test_a_visit_is_seen_in_its_cell_and_its_notes_are_sealed(district: District) -> None:
    an = district.phone("an")
    sent = visit(an, notes="老人独居,行动不便", companions="社区医生")
    answer = an.push("visits", sent)
    assert answer["cell"] == HOME
    assert sent["id"] in district.phone("bo").pull("visits")
    assert "notes" not in district.phone("secretary").pull("visits")[sent["id"]]
    assert sent["id"] not in district.phone("cui").pull("visits")
    assert "老人独居".encode() not in district.bytes_on_disk()


def test_a_visit_sent_twice_is_one_and_two_edits_are_merged(district: District) -> None:
    an, bo = district.phone("an"), district.phone("bo")
    sent = visit(an, topics="用电安全")
    first = an.push("visits", sent)
    assert an.push("visits", sent) == first
    bo.push("visits", first | {"place_text": "三号楼", "w": bo.next_w()}, base=first)
    answer = an.push("visits", first | {"topics": "用气安全", "w": an.next_w()}, base=first)
    assert (answer["place_text"], answer["topics"]) == ("三号楼", "用气安全")
    assert district.ledger(sent["id"], "visits") == []


def test_a_visit_without_its_kind_is_kept_as_a_visit_and_asked_about(district: District) -> None:
    an = district.phone("an")
    sent = visit(an, notes="门锁着")
    del sent["subject_kind"]
    answer = an.push("visits", sent)
    assert [(issue["field"], issue["code"]) for issue in answer["issues"]] == [("subject_kind", "missing")]
    assert answer["notes"] == "门锁着"


def test_a_visit_nobody_can_read_is_kept_once_and_told_once(district: District) -> None:
    an = district.phone("an")
    sent = visit(an, notes=json.loads("[" * 40 + "]" * 40))
    for _ in range(2):
        assert an.push("visits", sent)["_deleted"] is True
    (kept,) = district.kept_aside(doc_id=sent["id"])
    assert json.loads(kept["content"]["new"]["raw"]) == sent
    assert len(district.notices_of("an")) == 1


@pytest.mark.parametrize("who", ["an", "bo", "long"])
def test_grid_roles_of_its_cell_edit_a_few_fields_of_a_household(district: District, who: str) -> None:
    home = household(district, HOME, address_text="幸福里七号楼", contact_name="王大爷")
    phone = district.phone(who)
    held = phone.pull("households")[home]
    changes = {"persons_count": 3, "care_note": "上门先打电话", "address_text": "别处", "w": phone.next_w()}
    answer = phone.push("households", held | changes, base=held)
    assert (answer["persons_count"], answer["care_note"], answer["address_text"]) == (
        3,
        "上门先打电话",
        "幸福里七号楼",
    )


@pytest.mark.parametrize("who", ["cui", "secretary", "clerk", "director"])
def test_nobody_else_edits_a_household(district: District, who: str) -> None:
    home = household(district, HOME, persons_count=2)
    phone = district.phone(who)
    held = phone.pull("households").get(home, {"id": home})
    answer = phone.push("households", held | {"persons_count": 9, "w": phone.next_w()}, base=held)
    assert answer.get("_deleted") is True or answer["persons_count"] == 2
    assert district.whole("households", home)["persons_count"] == 2
    assert len(district.kept_aside(doc_id=home)) == 1


def test_a_household_is_not_made_by_a_phone(district: District) -> None:
    an = district.phone("an")
    sent = {"id": an.new()["id"], "persons_count": 4, "w": an.next_w()}
    assert an.push("households", sent)["_deleted"] is True
    assert district.kept_aside(doc_id=sent["id"])[0]["content"]["new"] == sent


def _told(district: District) -> dict[str, Any]:
    an = district.phone("an")
    an.push("entries", an.entry(an.new()["id"], "gossip"))
    (notice,) = an.pull("notices").values()
    return notice


def test_of_a_notice_its_reader_says_that_it_was_read_and_nothing_else(district: District) -> None:
    an = district.phone("an")
    notice = _told(district)
    answer = an.push("notices", notice | {"read_at": district.now, "kind": "other", "args": {}}, base=notice)
    assert answer["read_at"] == district.now
    assert (answer["kind"], answer["args"]) == (notice["kind"], notice["args"])
    later = an.push("notices", answer | {"read_at": district.now + 9}, base=answer)
    assert later["read_at"] == district.now


def test_nobody_reads_anothers_notice(district: District) -> None:
    notice = _told(district)
    bo = district.phone("bo")
    assert bo.pull("notices") == {}
    assert bo.push("notices", notice | {"read_at": 5})["_deleted"] is True
    assert district.whole("notices", notice["id"]).get("read_at") is None
    assert district.notices_of("bo") == []


def test_a_task_is_closed_by_what_it_waits_for_and_by_nothing_a_phone_writes(district: District) -> None:
    an = district.phone("an")
    case = an.capture(on_spot={"how": "当面说和"})
    (task,) = an.pull("tasks").values()
    for _ in range(2):
        answer = an.push("tasks", task | {"closed_at": district.now, "w": "9:mine"}, base=task)
        assert answer == task
    (kept,) = district.kept_aside(doc_id=task["id"])
    assert (kept["reason"], kept["content"]["new"]["closed_at"]) == ("read_only", district.now)
    assert district.notices_of("an") == []
    assert district.tasks_of(case["id"], "follow_up")[0].get("closed_at") is None


def test_a_task_that_was_not_changed_is_answered_and_not_kept(district: District) -> None:
    an = district.phone("an")
    an.capture(on_spot={"how": "当面说和"})
    (task,) = an.pull("tasks").values()
    assert an.push("tasks", task, base=task) == task
    assert district.rows("quarantine") == []


def test_a_task_of_a_case_goes_where_the_case_goes(district: District) -> None:
    an, bo, cui = district.phone("an"), district.phone("bo"), district.phone("cui")
    case = an.capture(on_spot={"how": "当面说和"})
    assert bo.pull("tasks")
    district.act("clerk", case["id"], "set_place", cell=NEXT, evidence="到过现场")
    assert bo.pull("tasks") == {}
    assert {task["type"] for task in cui.pull("tasks").values()} == {"follow_up"}


def test_an_act_closes_the_task_that_asked_for_it(district: District) -> None:
    case = district.phone("an").capture(location=None, title="没有位置")
    (task,) = district.tasks_of(case["id"], "confirm_place")
    assert task.get("closed_at") is None
    district.now += 5
    district.act("dispatcher", case["id"], "set_place", cell=HOME, evidence="到过现场")
    assert district.tasks_of(case["id"], "confirm_place")[0]["closed_at"] == district.now


def test_cells_are_read_by_who_holds_them_and_written_by_nobody(district: District) -> None:
    an = district.phone("an")
    cells = an.pull("cells")
    assert cells.keys() == {HOME}
    answer = an.push("cells", cells[HOME] | {"name": "我的网格"}, base=cells[HOME])
    assert answer == cells[HOME]
    assert district.kept_aside(doc_id=HOME)[0]["reason"] == "read_only"
    assert len(district.phone("secretary").pull("cells")) == 6


def test_who_only_watches_or_runs_the_machine_is_sent_nothing(district: District) -> None:
    from sync import administration
    from sync.values import Collection

    district.phone("an").capture()
    for role in ("admin", "data_officer", "integration"):
        district.commit(administration.add_account(role, role, "-"))
        district.users[role] = district.rows("account", username=role)[0]["pk"]
        district.grant(role, role, unit="CENTRE")
    assert "auditor" in PEOPLE
    assert all(district.phone("auditor").pull(collection.name) == {} for collection in Collection)


def test_a_task_of_the_centres_desk_is_on_no_workers_phone(district: District) -> None:
    an = district.phone("an")
    case = an.capture(location=None, title="没有位置")
    assert len(district.tasks_of(case["id"], "confirm_place")) == 1
    assert {task["type"] for task in district.phone("dispatcher").pull("tasks").values()} >= {"confirm_place"}
    assert "confirm_place" not in {task["type"] for task in an.pull("tasks").values()}


def test_a_visit_closes_the_task_that_asked_for_it_for_everybody(district: District) -> None:
    home = household(district, HOME)
    district.commit(open_visits([home], due=district.now + 1))
    an, bo = district.phone("an"), district.phone("bo")
    assert [task["type"] for task in bo.pull("tasks").values()] == ["visit_due"]
    made = visit(an, household_id=home, purpose="care", outcome="met")
    an.push("visits", made)
    (task,) = bo.pull("tasks").values()
    assert (task["closed_at"], task["closed_by_entry"]) == (district.now, made["id"])


def test_a_visit_to_a_home_out_of_sight_closes_nothing(district: District) -> None:
    home = household(district, NEXT)
    district.commit(open_visits([home], due=district.now + 1))
    an, cui = district.phone("an"), district.phone("cui")
    an.push("visits", visit(an, household_id=home, outcome="met"))
    (task,) = cui.pull("tasks").values()
    assert "closed_at" not in task


def test_the_base_of_a_visit_that_a_lost_history_knew_is_kept(district: District) -> None:
    """RC6: what somebody wrote before the restore stands in the base alone."""
    an = district.phone("an")
    lost = visit(an, notes="门锁着") | {"v": 900}
    an.push("visits", lost | {"notes": "家里有人", "w": an.next_w()}, base=lost)
    (line,) = district.ledger(lost["id"], "visits")
    assert (line["rule"], line["values"]["base"]["notes"]) == ("lost_base", "门锁着")
