"""A backup is taken while people work, and put back under a new epoch."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from server import backup as backups
from server.auth.passwords import Hasher
from server.backup import BadBackup, backup, read_manifest, restore
from server.calling import call
from server.keys import KeyFileError
from server.runtime import initialise, opened
from server.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

    from tests.http.conftest import Served

CODE = "990101"
PASSWORD = "lan tian bai yun"


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    url = "" if request.param == "sqlite" else request.getfixturevalue("fresh_pg_url")
    found = Settings(data=str(tmp_path / "data"), database_url=url, purpose="test")
    initialise(found, CODE, "涧东区")
    call(found, "users_add", username="wang", name="王", password=PASSWORD)
    return found


def names(settings: Settings) -> list[str]:
    return [row["username"] for row in call(settings, "users_list")]


def verified(settings: Settings) -> dict[str, Any]:
    [report] = call(settings, "verify")
    assert report["faults"] == []
    found: dict[str, Any] = report
    return found


def test_what_was_there_is_there_again_and_phones_see_a_new_epoch(kept: Settings, tmp_path: Path) -> None:
    before = verified(kept)
    backup(kept, tmp_path / "b.zip", program="t")
    call(kept, "users_add", username="late", name="迟", password=PASSWORD)
    epochs = restore(kept, tmp_path / "b.zip", force=True)
    assert names(kept) == ["wang"]
    after = verified(kept)
    assert after["epoch"] == epochs[CODE] > before["epoch"]
    assert after["head"] == before["head"]
    with opened(kept) as runtime, runtime.districts[CODE].store.read() as reader:
        rows = {row["epoch"]: row["restored_to"] for row in reader.find("epoch")}
    assert rows[epochs[CODE]] == before["head"]
    # the tables take new rows after a restore, with keys that are free
    call(kept, "users_add", username="zhao", name="赵", password=PASSWORD)
    assert names(kept) == ["wang", "zhao"]


def test_each_restore_opens_an_epoch_that_no_phone_has_seen(
    kept: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backup(kept, tmp_path / "b.zip", program="t")
    monkeypatch.setattr(backups, "wall_ms", lambda: 1_000)
    first, second = (restore(kept, tmp_path / "b.zip", force=True)[CODE] for _ in range(2))
    assert 1 < first < second


def test_nothing_is_replaced_without_being_told_to(kept: Settings, tmp_path: Path) -> None:
    backup(kept, tmp_path / "b.zip", program="t")
    with pytest.raises(BadBackup, match="--force"):
        restore(kept, tmp_path / "b.zip")
    with pytest.raises(BadBackup, match="exists already"):
        backup(kept, tmp_path / "b.zip", program="t")


def test_a_backup_taken_under_a_running_server_is_whole(served: Served, tmp_path: Path) -> None:
    served.add_person("wang", "clerk")
    settings = served.runtime.settings
    manifest = backup(settings, tmp_path / "b.zip", program="t", with_keys=True)
    assert manifest.districts[0].head == served.district.head.seq
    elsewhere = msgspec.structs.replace(settings, data=str(tmp_path / "elsewhere"))
    restore(elsewhere, tmp_path / "b.zip")
    assert names(elsewhere) == ["wang"]
    verified(elsewhere)


def test_a_restore_under_a_running_server_is_refused(served: Served, tmp_path: Path) -> None:
    from server.database import DatabaseBusy

    settings = served.runtime.settings
    backup(settings, tmp_path / "b.zip", program="t")
    with pytest.raises(DatabaseBusy):
        restore(settings, tmp_path / "b.zip", force=True)


def test_a_backup_without_keys_needs_the_keys_from_elsewhere(kept: Settings, tmp_path: Path) -> None:
    backup(kept, tmp_path / "b.zip", program="t")
    with zipfile.ZipFile(tmp_path / "b.zip") as archive:
        assert not [name for name in archive.namelist() if "key" in name.split("/")[0]]
    for path in kept.keys_folder.glob("*.key"):
        path.rename(tmp_path / path.name)
    with pytest.raises(KeyFileError, match="put it back"):
        restore(kept, tmp_path / "b.zip", force=True)


@pytest.mark.parametrize("harm", ["cut", "altered", "no zip", "no manifest", "another format"])
def test_a_damaged_backup_is_found_out_before_anything_is_touched(
    settings: Settings, tmp_path: Path, harm: str
) -> None:
    path = tmp_path / "b.zip"
    backup(settings, path, program="t")
    if harm == "cut":
        path.write_bytes(path.read_bytes()[:-200])
    elif harm == "no zip":
        path.write_bytes(b"x" * 100)
    else:
        with zipfile.ZipFile(path) as archive:
            entries = {name: archive.read(name) for name in archive.namelist()}
        if harm == "altered":
            entries["directory.db"] = entries["directory.db"][:-1] + b"?"
        elif harm == "no manifest":
            del entries["manifest.json"]
        else:
            entries["manifest.json"] = entries["manifest.json"].replace(b'"format":1', b'"format":9')
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in entries.items():
                archive.writestr(name, content)
    with pytest.raises(BadBackup):
        read_manifest(path)
    with pytest.raises(BadBackup):
        restore(settings, path, force=True)
    assert names(settings) == []


def test_a_backup_is_its_owners_to_read(settings: Settings, tmp_path: Path) -> None:
    backup(settings, tmp_path / "b.zip", program="t")
    assert (tmp_path / "b.zip").stat().st_mode & 0o077 == 0


# --- verify ----------------------------------------------------------------------------------------------------------


def faults_after(served: Served, *statements: str) -> list[str]:
    for person in ("wang", "li"):
        served.add_person(person, "clerk")
        served.sign_in(person)
    with served.district.store.engine.connect() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
    from server.commands import run_command

    [report] = run_command(served.runtime, "verify", {}, "t")
    found: list[str] = report["faults"]
    return found


def test_an_untouched_district_has_no_faults(served: Served) -> None:
    assert faults_after(served) == []


@pytest.mark.parametrize(
    ("statement", "word"),
    [
        ("update audit set actor = 'somebody else' where pk = 2", "audit record 2"),
        ("update audit set at = at + 1 where pk = 1", "audit record 1"),
        ("delete from audit where pk = 2", "audit record 3"),
        ("update audit set hash = x'00' where pk = 1", "audit record 1"),
        ("delete from account where pk = 1", "account that is not there"),
        ("update clock set seq = 1", "over the clock"),
        ("update clock set epoch = 9", "epoch 9"),
        ("delete from device", "device that is not there"),
    ],
)
def test_what_was_changed_behind_the_servers_back_is_found(served: Served, statement: str, word: str) -> None:
    assert any(word in fault for fault in faults_after(served, statement))


def test_the_end_of_the_chain_is_told_so_that_a_cut_tail_shows(served: Served) -> None:
    from server.commands import run_command

    served.add_person("wang", "clerk")
    served.sign_in("wang")
    [before] = run_command(served.runtime, "verify", {}, "t")
    with served.district.store.engine.connect() as connection:
        connection.exec_driver_sql("delete from audit where pk = (select max(pk) from audit)")
    [after] = run_command(served.runtime, "verify", {}, "t")
    assert after["faults"] == []
    assert after["audit_last"] != before["audit_last"]


def test_passwords_are_not_in_a_backup_in_clear(settings: Settings, tmp_path: Path) -> None:
    assert Hasher.shared().hash(PASSWORD)
    call(settings, "users_add", username="wang", name="王", password=PASSWORD)
    backup(settings, tmp_path / "b.zip", program="t", with_keys=True)
    with zipfile.ZipFile(tmp_path / "b.zip") as archive:
        for name in archive.namelist():
            assert PASSWORD.encode() not in archive.read(name)
