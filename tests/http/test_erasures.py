"""Legal erasure over HTTP and on the command line, and a backup of before that does not bring it back."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest

from server import backup, restore
from server.calling import call
from server.commands import run_command
from server.erasing import DROP_FILES, add_to_list, list_path, read_list
from server.jobs.upkeep import sweep_erasures
from server.runtime import opened
from sync import content
from sync.errors import BadRequest
from sync.homes_work import add_households
from sync.values import Collection
from tests.http.town import CELLS, CODE, new_id, settings_in

if TYPE_CHECKING:
    from pathlib import Path

    from tests.http.town import Town

PATH = "/api/v1/erasures"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"collection": "cases", "id": "no-id", "reason": "ordered"}, 404),
        ({"collection": "cases", "id": "01998d6f-3c00-7000-8000-0000000000a1", "reason": "ordered"}, 404),
        ({"collection": "notices", "id": "x", "reason": "ordered"}, 400),
        ({"collection": "cases", "id": "x", "reason": "丈夫动手"}, 422),
        ({"collection": "cases", "id": "x" * 65, "reason": "ordered"}, 400),
        ({"collection": "cases", "reason": "ordered"}, 400),
    ],
)
def test_what_cannot_be_erased_is_refused(town: Town, body: dict[str, Any], status: int) -> None:
    answer = town.post("data_officer", PATH, body)
    assert answer.status_code == status, answer.text
    assert "丈夫" not in answer.text
    assert town.get("data_officer", PATH).json()["items"] == []


def test_the_officer_asks_the_director_decides_and_the_file_is_swept(town: Town) -> None:
    case = town.capture(cell=CELLS[0])
    picture = {"id": new_id(), "owner_id": case, "kind": "photo", "w": f"9:{new_id()}"}
    assert town.push("grid_worker", "files", picture).json()[0]["id"] == picture["id"]
    asked = town.post("data_officer", PATH, {"collection": "cases", "id": case, "reason": "subject_request"})
    assert asked.status_code == 201, asked.text
    acts = f"{PATH}/{asked.json()['id']}/acts"
    own = town.post("data_officer", acts, {"act": "confirm"})
    assert (own.status_code, own.json()["code"]) == (409, "needs_another_person")
    assert town.post("centre_director", f"{PATH}/{new_id()}/acts", {"act": "confirm"}).status_code == 404
    assert town.post("centre_director", acts, {"act": "burn"}).status_code == 400
    assert town.get("clerk", f"/api/v1/cases/{case}").status_code == 200
    done = town.post("centre_director", acts, {"act": "confirm"})
    assert done.status_code == 200, done.text
    assert town.get("clerk", f"/api/v1/cases/{case}").status_code == 404
    dropped: list[str] = []
    DROP_FILES.append(lambda _, ids: dropped.extend(ids))
    try:
        sweep_erasures(town.runtime)
    finally:
        DROP_FILES.pop()
    (row,) = town.get("centre_director", PATH).json()["items"]
    assert (row["state"], row["swept"], row["doc_id"]) == ("done", True, case)
    assert dropped == [picture["id"]]
    pairs = read_list(list_path(town.runtime.settings.folder, CODE))
    assert {("cases", case), ("files", picture["id"])} <= pairs


def test_an_older_backup_does_not_bring_it_back(tmp_path: Path, built_town: Path) -> None:
    town_folder = tmp_path / "town"
    shutil.copytree(built_town, town_folder)
    settings = settings_in(town_folder)
    case = _captured(settings)
    made = town_folder / "before.zip"
    backup.backup(settings, made, program="0")
    wanted = call(settings, "erasures_ask", collection="households", doc_id=case, reason="ordered")
    with opened(settings) as runtime:
        done = run_command(runtime, "erasures_decide", {"erasure_id": wanted, "confirm": True}, "cli:other")
        assert done["swept"] is True
    assert _gone(settings, case)
    restore.restore(settings, made, force=True)
    assert _gone(settings, case)
    # On a machine that has never heard of it, the list says so.
    listed = list_path(settings.folder, CODE)
    elsewhere = town_folder / "elsewhere"
    (elsewhere / "keys").mkdir(parents=True)
    for key in (town_folder / "keys").glob("*.key"):
        (elsewhere / "keys" / key.name).write_bytes(key.read_bytes())
    there = settings_in(elsewhere)
    restore.restore(there, made, erased=listed)
    assert _gone(there, case)
    assert read_list(list_path(elsewhere, CODE)) == read_list(listed)


def _captured(settings: Any) -> str:
    with opened(settings) as runtime:
        district = runtime.districts[CODE]
        (home,) = district.writer.submit_blocking(
            add_households([{"cell": CELLS[0], "contact_name": "罗桂兰"}])
        )
        return str(home)


def _gone(settings: Any, doc_id: str) -> bool:
    with opened(settings) as runtime:
        key = content.id_bytes(Collection.households, doc_id)
        (doc,) = runtime.districts[CODE].read_blocking(
            lambda reader: reader.documents(Collection.households, [key])
        )
        return doc.gone is not None and doc.dek is None


def test_a_list_that_is_none_stops_a_restore_before_it_begins(tmp_path: Path) -> None:
    path = list_path(tmp_path, "990101")
    assert read_list(path) == set()
    add_to_list(path, [("cases", "b"), ("cases", "a")])
    add_to_list(path, [("files", "a")])
    assert read_list(path) == {("cases", "a"), ("cases", "b"), ("files", "a")}
    path.write_bytes(b'["cases","b')
    with pytest.raises(BadRequest):
        read_list(path)
