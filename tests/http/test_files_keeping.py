"""What is kept of files, how it lies there, and what goes (FI6–FI9)."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import signal
import subprocess
import threading
from typing import TYPE_CHECKING, Any

from msgspec import structs
from PIL import Image

from server.commands import run_command
from server.files import keeper as keeping
from server.files.store import BlobStore
from server.files.verdicts import Checked, Unjudged
from sync import uploads
from sync.erasing import erase_work
from sync.values import Collection
from tests import files
from tests.http.town import CODE, Town, new_id, next_w
from tests.http.tus import (
    BODY,
    FILES,
    create,
    document,
    on_disk,
    patch,
    pulled,
    rows,
    send,
    settled,
    state,
    stopped,
    verified,
)

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from sync.commit import Context

# --- what is kept ----------------------------------------------------------------------------------------------------

CANARY = "金丝雀9b1c"


def test_nothing_but_the_picture_is_kept_and_nothing_lies_open(town: Town, tmp_path: Path) -> None:
    data = files.with_exif(CANARY) + b"\0" * 10 + CANARY.encode()
    file_id = document(town, "grid_worker", town.capture(), data, mime="image/jpeg")
    send(town, "grid_worker", file_id, data, filename=f"{CANARY}.jpg")
    assert state(town, file_id) == ("verified", None)
    for path in ("", "/thumbnail"):
        read = town.get("clerk", f"{FILES}/{file_id}{path}").content
        assert CANARY.encode() not in read
        assert not Image.open(io.BytesIO(read)).getexif()
    kept = on_disk(town)
    assert {name.split("/")[1] for name in kept} == {"blobs", "thumbs"}
    sha = hashlib.sha256(data).hexdigest()
    for name, body in kept.items():
        assert file_id not in name
        assert sha not in name
        assert b"\xff\xd8\xff" not in body
    for database in tmp_path.rglob("*.db*"):
        assert CANARY.encode() not in database.read_bytes()


def test_the_parts_of_an_upload_lie_sealed(town: Town) -> None:
    data = b"%PDF-1.4 " + CANARY.encode()
    where = create(town, "grid_worker", new_id(), data, filename=CANARY).headers["location"]
    patch(town, "grid_worker", where, 0, data[:-2])
    [body] = on_disk(town).values()
    assert CANARY.encode()[:-2] not in body
    [row] = rows(town, "upload")
    assert CANARY.encode() not in bytes(row["told"])


def test_the_same_picture_of_one_case_lies_once_and_of_two_cases_apart(town: Town) -> None:
    one, other, data = town.capture(), town.capture(), files.picture()
    pair = [verified(town, one, data=data) for _ in range(2)]
    apart = verified(town, other, data=data)
    addresses = [row["address"] for row in rows(town, "blob")]
    assert addresses[0] == addresses[1] != addresses[2]
    assert sum("/blobs/" in name for name in on_disk(town)) == 2
    # One of the two is forgotten: the other keeps its bytes.
    town.submit(erase_work(Collection.files, pair[0]))
    town.runtime.files.delete_dropped(town.district)
    assert town.get("clerk", f"{FILES}/{pair[0]}").status_code == 404
    assert town.get("clerk", f"{FILES}/{pair[1]}").status_code == 200
    assert town.get("clerk", f"{FILES}/{apart}").status_code == 200


def test_an_erased_case_takes_its_pictures_with_it_from_the_disk_too(town: Town) -> None:
    case, data = town.capture(), files.picture()
    file_id = verified(town, case)
    half = document(town, "grid_worker", case, data)
    where = create(town, "grid_worker", half, data).headers["location"]
    patch(town, "grid_worker", where, 0, data[:20])
    kept = on_disk(town)
    town.submit(erase_work(Collection.cases, case))
    for user in ("grid_worker", "clerk"):
        assert town.get(user, f"{FILES}/{file_id}").json()["code"] == "not_found"
    assert patch(town, "grid_worker", where, 20, data[20:]).status_code == 404
    town.runtime.files.delete_dropped(town.district)
    left = on_disk(town)
    assert len(kept) == 3
    assert [name for name in left if "/parts/" not in name] == []
    # What a copy of the folder still holds opens with no key that is left.
    assert {bytes(row["dek"]) for row in rows(town, "upload") if row["state"] == "ended"} == {b""}
    assert rows(town, "document", collection=5, dek=None) != []


# --- collecting what nobody needs ------------------------------------------------------------------------------------

DAY = 86_400_000


def test_what_expired_goes_and_what_a_document_holds_stays_however_old(town: Town) -> None:
    """FI5, FI7."""
    case, data = town.capture(), files.picture()
    held = verified(town, case)
    half = document(town, "grid_worker", case, data)
    where = create(town, "grid_worker", half, data).headers["location"]
    patch(town, "grid_worker", where, 0, data[:20])
    send(town, "grid_worker", new_id(), files.picture(shade=9))  # its document never comes
    store, orphan = BlobStore(town.runtime.settings.files), f"{CODE}/blobs/00/{'0' * 32}"
    store.put(orphan, b"left by a crash")
    now = town.district.context().wall
    town.runtime.files.sweep(town.district, now)
    assert orphan in on_disk(town)
    assert sum("/parts/" in name for name in on_disk(town)) == 2
    # Half a year on a clock of real time, for the upkeep alone.
    later = now + 180 * DAY
    make = town.district.context

    def much_later(actor: str) -> Context:
        return structs.replace(make(actor), wall=later)

    town.district.writer._make_context = much_later
    town.runtime.files.sweep(town.district, later)
    assert {name.split("/")[1] for name in on_disk(town)} == {"blobs", "thumbs"}
    assert orphan not in on_disk(town)
    assert state(town, half) == ("missing", None)
    assert {row["state"] for row in rows(town, "upload")} == {"done", "ended"}
    assert town.get("clerk", f"{FILES}/{held}").status_code == 200


def test_what_waits_for_the_centre_stands_before_nothing_that_has_expired(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FI5: one of two that waited was let go; and as many as are looked at once kept all others for ever."""
    data, awaited, lost = files.picture(), new_id(), stopped(town)
    for _ in range(2):
        where = create(town, "", awaited, data, lost).headers["location"]
        town.client.patch(where, headers={**BODY, "Upload-Offset": "0", **lost}, content=data)
    doc = {"id": awaited, "owner_id": town.capture(), "kind": "photo", "w": next_w()}
    town.client.post("/sync/v1/files/push", headers=lost, json=[{"newDocumentState": doc}])
    send(town, "clerk", awaited, data)  # of somebody else: nobody waits for it
    send(town, "grid_worker", new_id(), data)
    later = town.district.context().wall + 31 * DAY
    make = town.district.context
    monkeypatch.setattr(
        town.district.writer, "_make_context", lambda actor: structs.replace(make(actor), wall=later)
    )
    while town.district.writer.submit_blocking(uploads.end_expired(limit=2)):
        pass
    assert sorted(row["state"] for row in rows(town, "upload")) == ["complete", "complete", "ended", "ended"]


def test_what_waits_for_its_document_is_asked_for_together(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each push of files asked once for each upload that waited, and as often as there were pushes."""
    data, keeper, asked = b"%PDF-1.4 x %%EOF", town.runtime.files, []
    for _ in range(5):
        send(town, "grid_worker", new_id(), data)
    ask = uploads.own_documents

    def counted(*args: Any, **named: Any) -> Any:
        asked.append(named)
        return ask(*args, **named)

    monkeypatch.setattr(uploads, "own_documents", counted)
    settled(town)
    assert len(asked) == 1
    at_work = threading.Event()
    keeper._pool.submit(at_work.wait)  # another look goes on
    for _ in range(5):
        town.push("grid_worker", "files")
    at_work.set()
    settled(town)
    assert 2 <= len(asked) <= 3


def test_a_crash_between_the_store_and_the_database_costs_nothing(town: Town) -> None:
    """The keeper died after the bytes were put away: the next look does it all again."""
    case, data = town.capture(), files.picture()
    file_id = document(town, "grid_worker", case, data)
    where = create(town, "grid_worker", file_id, data).headers["location"]
    keeper = town.runtime.files
    broken, keeper._check = keeper._check, None  # type: ignore[assignment]
    patch(town, "grid_worker", where, 0, data)
    settled(town)
    assert state(town, file_id) == ("stored", None)
    keeper._check = broken
    settled(town)
    assert state(town, file_id) == ("verified", None)


def ends_each_check(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a restart does to every process of the service: the check is ended as soon as it has begun."""
    begin = subprocess.Popen

    def begun_and_ended(command: Any, *args: Any, **more: Any) -> Any:
        process = begin(command, *args, **more)
        os.kill(process.pid, signal.SIGTERM)
        return process

    monkeypatch.setattr(subprocess, "Popen", begun_and_ended)


def test_a_restart_in_the_middle_of_a_check_costs_the_photo_nothing(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FI6: it was refused for ever, and its bytes deleted."""
    monkeypatch.setattr(keeping, "TRY_AGAIN_MS", 0)
    case, data = town.capture(), files.picture()
    file_id = document(town, "grid_worker", case, data)
    with monkeypatch.context() as restart:
        ends_each_check(restart)
        send(town, "grid_worker", file_id, data)
        assert state(town, file_id) == ("stored", None)
    settled(town)
    assert state(town, file_id) == ("verified", None)
    assert town.get("clerk", f"{FILES}/{file_id}").status_code == 200


def test_a_photo_whose_check_never_comes_to_an_end_is_refused_after_three_tries(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FI6: else it would be checked for ever, and its phone would never hear of it."""
    file_id, tried = document(town, "grid_worker", town.capture(), files.picture()), []

    def ends(_: str, data: bytes) -> Checked:
        tried.append(data)
        raise Unjudged

    monkeypatch.setattr(town.runtime.files, "_check", ends)
    send(town, "grid_worker", file_id, files.picture())
    settled(town)
    assert len(tried) == 1  # whatever ended it has a minute to be over
    monkeypatch.setattr(keeping, "TRY_AGAIN_MS", 0)
    settled(town)
    assert (len(tried), state(town, file_id)) == (2, ("stored", None))
    settled(town)
    assert (len(tried), state(town, file_id)) == (3, ("refused", "not_checked"))
    assert on_disk(town) == {}
    settled(town)
    assert len(tried) == 3


def test_a_server_that_closes_leaves_the_other_photos_to_the_next(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    case, keeper = town.capture(), town.runtime.files
    pictures = [files.picture(shade=shade) for shade in (1, 2)]
    names = [document(town, "grid_worker", case, data) for data in pictures]
    with monkeypatch.context() as later:
        later.setattr(keeper, "look", lambda _: None)
        for name, data in zip(names, pictures, strict=True):
            where = create(town, "grid_worker", name, data).headers["location"]
            patch(town, "grid_worker", where, 0, data)
    check = keeper._check

    def closes(kind: str, data: bytes) -> Checked:
        keeper._closing.set()
        return check(kind, data)

    monkeypatch.setattr(keeper, "_check", closes)
    settled(town)
    assert sorted(state(town, name)[0] for name in names) == ["stored", "verified"]


def test_a_case_says_which_of_its_files_are_not_here(town: Town) -> None:
    case = town.capture()
    there = verified(town, case)
    waiting = document(town, "grid_worker", case, files.picture(shade=8))
    refused = document(town, "grid_worker", case, b"<svg onload=alert(1)>")
    send(town, "grid_worker", refused, b"<svg onload=alert(1)>")
    page = town.get("clerk", f"/api/v1/cases/{case}").json()
    assert {file["id"]: file["state_zh"] for file in page["files"]} == {
        there: "已存好", waiting: "未上传", refused: "未收下",
    }  # fmt: skip
    assert page["files_missing"] == [waiting, refused]
    assert [file.get("reason_zh") is not None for file in page["files"]] == [False, False, True]
    assert "files" not in town.get("grid_worker_2", f"/api/v1/cases/{case}").json()


def test_a_lost_file_is_named_by_verify_and_asked_for_again(town: Town) -> None:
    case = town.capture()
    file_id, other = verified(town, case), verified(town, case, data=files.picture(shade=70))
    [report] = run_command(town.runtime, "verify", {}, "test")
    assert report["faults"] == []
    folder = town.runtime.settings.files_folder
    assert folder is not None
    address = rows(town, "blob")[0]["address"]
    path = folder / CODE / "blobs" / address[:2] / address
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    [report] = run_command(town.runtime, "verify", {}, "test")
    assert [fault for fault in report["faults"] if "1 file" in fault] != []
    path.unlink()
    [report] = run_command(town.runtime, "verify", {}, "test")
    assert [fault for fault in report["faults"] if "1 file" in fault] != []
    [report] = run_command(town.runtime, "verify", {"ask_again": True}, "test")
    assert (state(town, file_id)[0], state(town, other)[0]) == ("missing", "verified")
    send(town, "grid_worker", file_id, files.picture())
    assert state(town, file_id) == ("verified", None)


def test_what_another_process_deletes_while_it_is_sent_again_is_put_there_once_more(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FI7, FI9: it was `verified` without its bytes, and its phone let its copy go."""
    data = files.picture()
    file_id = verified(town, town.capture(), data=data)
    [row] = rows(town, "blob")
    town.submit(uploads.ask_again([row["doc_pk"]]))
    assert state(town, file_id) == ("missing", None)
    mine, other = town.runtime.files, keeping.FileKeeper(town.runtime.settings.files)
    put, deleted = mine._verdict, []

    def put_and_deleted(*of: Any) -> uploads.Verdict:
        verdict = put(*of)
        deleted.append(other.delete_dropped(town.district))
        return verdict

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(mine, "_verdict", put_and_deleted)
        send(town, "grid_worker", file_id, data)
    settled(town)
    other.close()
    assert deleted[0] == 1
    assert state(town, file_id) == ("verified", None)
    assert town.get("clerk", f"{FILES}/{file_id}").status_code == 200


def test_an_empty_folder_is_no_reason_to_ask_for_everything(town: Town) -> None:
    """A disk that was not mounted looks like a folder in which every file is lost."""
    file_id = verified(town, town.capture())
    folder = town.runtime.settings.files_folder
    assert folder is not None
    shutil.rmtree(folder)
    [report] = run_command(town.runtime, "verify", {"ask_again": True}, "test")
    assert report["faults"] != []
    assert state(town, file_id) == ("verified", None)


# --- recordings ------------------------------------------------------------------------------------------------------


def test_a_voice_note_waits_to_be_written_down_and_says_how_long_it_is(town: Town) -> None:
    data = files.webm(61.4)
    file_id = document(town, "grid_worker", town.capture(), data, "voice")
    send(town, "grid_worker", file_id, data)
    found = pulled(town, "clerk", file_id)
    assert found is not None
    assert (found["state"], found["seconds"], found["transcript_state"]) == ("verified", 61, "wanted")
    heard = {**found, "transcript": "水从三楼来", "w": next_w()}
    town.post("clerk", "/sync/v1/files/push", [{"newDocumentState": heard, "assumedMasterState": found}])
    found = pulled(town, "clerk", file_id)
    assert found is not None
    assert (found["transcript"], found["transcript_state"]) == ("水从三楼来", "done")
