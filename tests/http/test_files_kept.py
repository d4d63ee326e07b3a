"""Photos that the centre lets in: they keep their bytes, and are found by whoever has to (FI11)."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from sync import administration
from sync.upkeep import link_waiting
from tests import files
from tests.http.test_kept_list import act, kept, notices
from tests.http.town import CELLS, Town, new_id, next_w
from tests.http.tus import BODY, FILES, create, document, rows, send, settled, state, stopped

if TYPE_CHECKING:
    from collections.abc import Mapping

# `grid_worker_2` does not see what lies in the first cell.


def by_phone(town: Town, phone: Mapping[str, str], case: str, data: bytes) -> str:
    """A photo that a stopped phone hands in without its bytes; returns its id."""
    sha256 = hashlib.sha256(data).hexdigest()
    doc = {"id": new_id(), "owner_id": case, "kind": "photo", "sha256": sha256, "w": next_w()}
    pushed = town.client.post("/sync/v1/files/push", headers=phone, json=[{"newDocumentState": doc}])
    assert pushed.status_code == 200, pushed.text
    return str(doc["id"])


def bytes_by_phone(
    town: Town, phone: dict[str, str], file_id: str, data: bytes, *, until: int | None = None
) -> str:
    where = str(create(town, "", file_id, data, phone).headers["location"])
    sent = town.client.patch(where, headers={**BODY, "Upload-Offset": "0", **phone}, content=data[:until])
    assert sent.status_code == 204, sent.text
    return where


def note_of(town: Town, user: str, case: str, **fields: Any) -> str:
    note = {"id": new_id(), "case_id": case, "type": "note", "at": town.now(), "w": next_w(), **fields}
    town.push(user, "entries", {"body": {"text": "看见了"}, **note})
    return str(note["id"])


def reads(town: Town, user: str, file_id: str) -> int:
    return int(town.get(user, f"{FILES}/{file_id}").status_code)


def test_a_stopped_phone_s_photo_that_is_merged_in_gets_the_bytes_that_were_here(town: Town) -> None:
    """FI11: its upload was complete, its document waited for it all the same, and it expired."""
    case, data, lost = town.capture(), files.picture(), stopped(town)
    file_id = by_phone(town, lost, case, data)
    bytes_by_phone(town, lost, file_id, data)
    (item,) = kept(town)
    assert act(town, item["id"], "merge").status_code == 200
    settled(town)
    assert state(town, file_id) == ("verified", None)
    assert reads(town, "clerk", file_id) == 200
    page = town.get("clerk", f"/api/v1/cases/{case}").json()
    assert page["files_missing"] == []
    [shown] = page["files"]
    assert shown["author"] == town.user_id("clerk")
    assert [issue["message"] for issue in shown["issues"]] == [town.user_id("grid_worker")]  # who took it


def test_the_rest_of_its_bytes_may_come_after_it_was_merged_in(town: Town) -> None:
    """FI11: half of them, and those of a photo nothing of which had come."""
    case, lost = town.capture(), stopped(town)
    half, none = files.picture(shade=1), files.picture(shade=2)
    halved, waited = (by_phone(town, lost, case, data) for data in (half, none))
    where = bytes_by_phone(town, lost, halved, half, until=50)
    for item in kept(town):
        assert act(town, item["id"], "merge").status_code == 200
    rest = town.client.patch(where, headers={**BODY, "Upload-Offset": "50", **lost}, content=half[50:])
    assert rest.status_code == 204
    bytes_by_phone(town, lost, waited, none)
    settled(town)
    assert [state(town, name)[0] for name in (halved, waited)] == ["verified", "verified"]


def test_a_photo_for_a_case_out_of_sight_stands_before_the_centre_and_is_hung_there(town: Town) -> None:
    """FI11: nobody would ever have looked for it, and its phone let its copy go."""
    case, data = town.capture(cell=CELLS[0]), files.picture()
    file_id = document(town, "grid_worker_2", case, data)
    send(town, "grid_worker_2", file_id, data)
    assert state(town, file_id) == ("verified", None)
    assert reads(town, "clerk", file_id) == 404
    (item,) = kept(town, reason="case_missing")
    assert (item["collection"], item["doc_id"], item["case_id"]) == ("files", file_id, case)
    assert act(town, item["id"], "apply").json()["code"] == "still_impossible"
    done = act(town, item["id"], "merge", values={"caption": "三楼的水管"})
    assert (done.status_code, done.json()["state"]) == (200, "merged"), done.text
    [shown] = town.get("clerk", f"/api/v1/cases/{case}").json()["files"]
    assert (shown["id"], shown["caption"], shown["state"]) == (file_id, "三楼的水管", "verified")
    assert [issue["message"] for issue in shown["issues"]] == [town.user_id("grid_worker_2")]
    assert (reads(town, "clerk", file_id), reads(town, "centre_director", file_id)) == (200, 200)
    assert reads(town, "grid_worker_2", file_id) == 404
    assert kept(town) == []
    assert notices(town, "grid_worker_2")[-1]["code"] == "kept_merged"


def test_who_does_not_see_the_case_cannot_hang_a_photo_there(town: Town) -> None:
    case, data = town.capture(cell=CELLS[0], protection="sealed"), files.picture()
    note = note_of(town, "grid_worker_2", case)
    for owner in (case, note):
        document(town, "grid_worker_2", owner, data)
    assert kept(town) == []
    assert {row["reason"] for row in rows(town, "quarantine")} == {"case_missing"}
    assert len(kept(town, "centre_director")) == 3
    for row in rows(town, "quarantine"):
        assert act(town, row["id"], "merge").status_code == 404
    # Nor does a correction lead there.
    elsewhere = document(town, "grid_worker_2", town.capture(cell=CELLS[0]), data)
    (item,) = kept(town)
    for owner in (case, note, new_id()):
        answer = act(town, item["id"], "merge", values={"owner_id": owner})
        assert (answer.status_code, answer.json()["code"]) == (409, "still_impossible")
    assert kept(town) == [item]
    assert reads(town, "centre_director", elsewhere) == 404


def test_the_photos_of_a_note_go_with_it_when_it_is_merged_in(town: Town) -> None:
    """FI11: the note gets another id, and its photo was left behind."""
    case, data = town.capture(cell=CELLS[0]), files.picture()
    note = note_of(town, "grid_worker_2", case)
    early = document(town, "grid_worker_2", note, data)
    send(town, "grid_worker_2", early, data)
    items = {item["collection"]: item for item in kept(town)}
    assert items["files"]["case_id"] == case
    assert act(town, items["entries"]["id"], "merge").status_code == 200
    page = town.get("clerk", f"/api/v1/cases/{case}").json()
    [line] = [line for line in page["timeline"] if (line.get("body") or {}).get("text") == "看见了"]
    assert [(file["id"], file["owner_id"]) for file in page["files"]] == [(early, line["id"])]
    assert reads(town, "centre_director", early) == 200
    assert kept(town) == []
    # One more of the same note, which its phone had not sent yet: it goes to the case.
    late = document(town, "grid_worker_2", note, data)
    send(town, "grid_worker_2", late, data)
    (item,) = kept(town)
    assert act(town, item["id"], "merge").status_code == 200
    page = town.get("clerk", f"/api/v1/cases/{case}").json()
    assert {file["id"]: file["owner_id"] for file in page["files"]} == {early: line["id"], late: case}


def test_a_photo_that_finds_its_case_stands_before_nobody(town: Town) -> None:
    """PU12: the picture came first, as it often does; or its author got the right to see where it belongs."""
    case, data = new_id(), files.picture()
    document(town, "grid_worker", case, data)
    assert len(kept(town, "centre_director")) == 1
    assert kept(town) == []  # QU7: nobody knows yet what it shows
    town.capture(id=case)
    assert kept(town, "centre_director") == []
    there = document(town, "grid_worker_2", case, data)
    (item,) = kept(town)
    town.submit(administration.grant_role("grid_worker_2", "grid_worker", cell=CELLS[0]))
    assert act(town, item["id"], "apply").status_code == 200
    town.submit(link_waiting())
    assert kept(town) == []
    assert there in [file["id"] for file in town.get("clerk", f"/api/v1/cases/{case}").json()["files"]]


def test_a_photo_of_a_note_finds_the_case_with_it(town: Town) -> None:
    """PU12: photo, note and case, each before what it hangs on."""
    case, note = new_id(), new_id()
    file_id = document(town, "grid_worker", note, files.picture())
    note_of(town, "grid_worker", case, id=note)
    assert len(kept(town, "centre_director")) == 2
    town.capture(id=case)
    assert kept(town, "centre_director") == []
    assert [file["id"] for file in town.get("clerk", f"/api/v1/cases/{case}").json()["files"]] == [file_id]


def test_what_is_odd_in_the_document_of_a_file_is_told(town: Town) -> None:
    """PU3: as it is of an entry: refused, kept aside, and named to whoever reads the document."""
    case, data = town.capture(), files.picture()
    file_id = document(town, "grid_worker", case, data, taken_at="昨天", mood="怒", author="somebody")
    [shown] = town.get("clerk", f"/api/v1/cases/{case}").json()["files"]
    told = {(issue["field"], issue["code"]) for issue in shown["issues"]}
    assert told == {("taken_at", "value_invalid"), ("mood", "unknown_field"), ("author", "claim_differs")}
    base = {name: shown[name] for name in ("id", "owner_id", "kind", "w")}
    edit = {**base, "taken_at": town.now(), "transcript_state": "shouted", "w": next_w()}
    row = {"newDocumentState": edit, "assumedMasterState": base}
    town.post("grid_worker", "/sync/v1/files/push", [row])
    [shown] = town.get("clerk", f"/api/v1/cases/{case}").json()["files"]
    fields = {issue["field"] for issue in shown["issues"]}
    assert "taken_at" not in fields
    assert {"transcript_state", "mood", "author"} <= fields
    assert file_id == shown["id"]
