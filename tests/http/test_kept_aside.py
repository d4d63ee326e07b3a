"""待核箱: who reads what could not be applied."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sync import administration
from tests.http.town import CELLS, PASSWORD, middle_of, new_id

if TYPE_CHECKING:
    from tests.http.town import Town

CANARY = "金丝雀九号"


def deep(depth: int) -> Any:
    value: Any = CANARY
    for _ in range(depth):
        value = [value]
    return value


def kept(town: Town, user: str) -> str:
    answer = town.get(user, "/api/v1/quarantine", limit=200)
    assert answer.status_code == 200, answer.text
    return str(answer.text)


def note(case: str, **fields: Any) -> dict[str, Any]:
    body = {"text": CANARY}
    return {
        "id": new_id(),
        "case_id": case,
        "type": "note",
        "at": 1,
        "body": body,
        "w": f"1:{new_id()}",
    } | fields


def test_nobody_reads_what_is_kept_without_a_session(town: Town) -> None:
    assert town.get(None, "/api/v1/quarantine").status_code == 401


def test_a_note_that_waits_for_its_case_is_read_by_the_desk_that_sees_the_case(town: Town) -> None:
    case = town.capture("grid_worker_2", cell=CELLS[3])
    town.push("grid_worker", "entries", note(case))
    assert CANARY in kept(town, "clerk")
    assert CANARY in kept(town, "clerk_2")  # its own street


def test_what_is_kept_of_a_sealed_case_is_read_by_those_it_is_sealed_to(town: Town) -> None:
    case = town.capture(protection="sealed")
    town.push("grid_worker", "entries", note(case, body={"text": deep(40)}), note(case, type="no_such_type"))
    assert CANARY in kept(town, "centre_director")
    assert CANARY not in kept(town, "dispatcher")
    assert CANARY not in kept(town, "clerk")


def test_a_tip_off_without_an_id_is_no_reading_for_the_whole_desk(town: Town) -> None:
    row = {"kind": "tip_off", "title": CANARY}
    town.push("grid_worker", "cases", row)
    assert CANARY in kept(town, "centre_director")
    assert CANARY not in kept(town, "dispatcher")
    town.push("grid_worker", "cases", {"kind": "dispute", "title": "另一件"})
    assert "另一件" in kept(town, "dispatcher")


# --- what hangs on what is not here ----------------------------------------------------------------------------------

DESK = ("clerk", "dispatcher", "clerk_2")


def violence(**fields: Any) -> dict[str, Any]:
    """A case of violence at home, which is sealed by what it is about."""
    where = {"captured_at": 1, "location": middle_of(CELLS[0])}
    return (
        {"id": new_id(), "kind": "dispute", "category": "0106", "title": CANARY, "w": f"7:{new_id()}"}
        | where
        | fields
    )


def recording(owner: str, **fields: Any) -> dict[str, Any]:
    return {
        "id": new_id(),
        "owner_id": owner,
        "kind": "voice",
        "transcript": CANARY,
        "w": f"8:{new_id()}",
    } | fields


def stopped(town: Town) -> dict[str, str]:
    """The headers of a phone that the worker has reported lost."""
    device = {"username": "grid_worker", "password": PASSWORD, "device": {"id": "lost"}}
    session = town.client.post("/api/v1/sessions", json=device).json()
    assert town.post("grid_worker", "/api/v1/devices/lost/revoke").status_code == 204
    renewed = {"refresh_token": session["refresh_token"]}
    token = town.client.post("/api/v1/sessions/refresh", json=renewed).json()["access_token"]
    return {"Authorization": f"Bearer {token}"}


def hand_in(town: Town, headers: dict[str, str], collection: str, doc: dict[str, Any]) -> None:
    rows = [{"newDocumentState": doc}]
    assert town.client.post(f"/sync/v1/{collection}/push", json=rows, headers=headers).status_code == 200


def items(town: Town, user: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = town.get(user, "/api/v1/quarantine", limit=200).json()["items"]
    return found


def test_note_and_recording_of_a_sealed_case_put_aside_with_it_are_read_by_its_keeper_alone(
    town: Town,
) -> None:
    """QU7: a note says nothing of what its case is about."""
    phone, case = stopped(town), violence()
    hand_in(town, phone, "cases", case)
    said = note(case["id"])
    hand_in(town, phone, "entries", said)
    hand_in(town, phone, "files", recording(case["id"]))
    hand_in(town, phone, "files", recording(said["id"]))
    for reader in DESK:
        assert items(town, reader) == [], reader
        assert town.get(reader, "/api/v1/quarantine/counts").json()["reasons"] == [], reader
    assert town.get("admin", "/api/v1/quarantine/counts").json()["reasons"] == []
    assert kept(town, "centre_director").count(CANARY) == 4


def test_a_note_that_comes_before_its_sealed_case_is_open_to_nobody_else_before_or_after(town: Town) -> None:
    """QU7: an honest phone, whose queues run side by side."""
    case = violence()
    town.push("grid_worker", "entries", note(case["id"]))
    for reader in DESK:
        assert CANARY not in kept(town, reader), reader
    assert CANARY in kept(town, "centre_director")
    town.push("grid_worker", "cases", case)
    for reader in DESK:
        assert items(town, reader) == [], reader


def test_an_ordinary_note_whose_case_never_comes_is_worked_off_by_the_director(town: Town) -> None:
    """QU7: nobody can ask yet what its case is; it is no grave all the same."""
    case = new_id()
    town.push("grid_worker", "entries", note(case))
    (item,) = items(town, "centre_director")
    done = {"act": "discard", "reason": "案件没有交来"}
    assert town.post("clerk", f"/api/v1/quarantine/{item['id']}/acts", done).status_code == 404
    assert town.post("centre_director", f"/api/v1/quarantine/{item['id']}/acts", done).status_code == 200


def test_what_hung_on_nothing_is_read_by_the_whole_desk_once_its_ordinary_case_has_come(town: Town) -> None:
    """QU7, QU1."""
    case = new_id()
    town.push("grid_worker", "entries", note(case, type="no_such_type"), note(new_id(), type="no_such_type"))
    assert items(town, "clerk") == []
    town.push("grid_worker", "cases", violence(id=case, category="0201"))
    (item,) = items(town, "clerk")
    assert item["payload"]["new"]["case_id"] == case


def test_what_hangs_on_a_case_and_does_not_say_on_which_is_read_by_the_keeper_of_sealed_ones(
    town: Town,
) -> None:
    """QU7: an id that is none, or no id at all."""
    case = town.capture()
    for named in ("三楼那件", None, 7):
        town.push("grid_worker", "entries", note(case, case_id=named))
        town.push("grid_worker", "files", recording(case, owner_id=named))
    assert CANARY not in kept(town, "clerk")
    assert kept(town, "centre_director").count(CANARY) == 6


def test_the_clerk_whom_the_district_names_works_off_what_hangs_on_nothing(town: Town) -> None:
    """QU7."""
    town.submit(administration.put_settings({"sealed_clerk": "clerk"}))
    town.push("grid_worker", "entries", note(new_id()))
    assert CANARY in kept(town, "clerk")
    assert CANARY not in kept(town, "dispatcher")


def test_a_note_too_large_to_be_read_lies_by_its_sealed_case_once_that_has_come(town: Town) -> None:
    """QU7, PU9: what says whose it is, is read of it all the same."""
    case = violence()
    town.push("grid_worker", "entries", note(case["id"], body={"text": CANARY + "长" * 100_000}))
    town.push("grid_worker", "cases", case)
    for reader in DESK:
        assert CANARY not in kept(town, reader), reader
    assert CANARY in kept(town, "centre_director")


def test_a_recording_of_a_note_is_as_closed_as_the_case_of_the_note(town: Town) -> None:
    """QU1: a file names an entry, the entry its case."""
    case = town.capture(protection="sealed")
    said = note(case)
    town.push("grid_worker", "entries", said)
    town.push("grid_worker", "files", recording(said["id"], kind="no_such"))
    hand_in(town, stopped(town), "files", recording(said["id"]))
    for reader in DESK:
        assert items(town, reader) == [], reader
    found = items(town, "centre_director")
    assert [item["case_id"] for item in found] == [case, case]


def test_a_clerk_who_is_recused_does_not_read_the_recording_of_a_note(town: Town) -> None:
    """QU1."""
    case = town.capture()
    said = note(case)
    town.push("grid_worker", "entries", said)
    town.push("grid_worker", "files", recording(said["id"], kind="no_such"))
    assert CANARY in kept(town, "clerk")
    town.must_act("centre_director", case, "recuse", user=town.user_id("clerk"), reason="亲属")
    assert items(town, "clerk") == []
    assert CANARY in kept(town, "dispatcher")


def test_the_stub_of_a_capture_about_what_is_kept_sealed_is_sealed_and_so_is_what_it_stands_for(
    town: Town,
) -> None:
    """QU4: violence at home that cannot be read is violence at home."""
    for case in (violence(kind="no_such"), violence(description="长" * 100_000)):
        town.push("grid_worker", "cases", case)
        assert (
            town.get("centre_director", f"/api/v1/cases/{case['id']}").json()["case"]["protection"]
            == "sealed"
        )
        for reader in ("clerk", "dispatcher", "grid_leader"):
            assert town.get(reader, f"/api/v1/cases/{case['id']}").status_code == 404, reader
        assert CANARY not in kept(town, "clerk")
    assert kept(town, "centre_director").count(CANARY) == 2


def test_an_edit_put_aside_that_makes_an_open_case_a_sealed_one_is_read_by_the_keeper_of_sealed_ones(
    town: Town,
) -> None:
    """QU7; of a case that its director has opened, the desk reads on."""
    case = town.capture()
    town.push("grid_worker_2", "cases", violence(id=case))
    assert items(town, "clerk") == []
    assert CANARY in kept(town, "centre_director")
    opened = violence()
    town.push("grid_worker", "cases", opened)
    town.must_act("centre_director", opened["id"], "protect", **{"class": "normal", "reason": "当事人同意"})
    edit = {
        "newDocumentState": opened | {"wishes": "尽快", "w": f"9:{new_id()}"},
        "assumedMasterState": opened,
    }
    town.post("grid_worker_2", "/sync/v1/cases/push", [edit])
    assert [item["payload"]["new"]["wishes"] for item in items(town, "clerk")] == ["尽快"]
