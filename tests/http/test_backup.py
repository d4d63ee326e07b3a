"""A backup is taken while people work, and put back under a new epoch."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
import zipfile
from typing import TYPE_CHECKING, Any

import msgspec
import psycopg
import pysqlite3
import pytest

from server import restore as restores, restore_postgres, swap
from server.auth.passwords import Hasher
from server.backup import BadBackup, Manifest, backup, read_manifest
from server.calling import call
from server.database import Database
from server.keys import DistrictKeys, KeyFileError, create_key_file
from server.locks import DatabaseBusy, advisory_lock
from server.migrations.run import SchemaMismatch, newest
from server.restore import restore
from server.runtime import initialise, opened
from server.settings import Settings
from sync.errors import StoreUnavailable

if TYPE_CHECKING:
    from pathlib import Path

    from sync.store import Tx
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
    monkeypatch.setattr(restores, "wall_ms", lambda: 1_000)
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


# --- a restore that is interrupted -----------------------------------------------------------------------------------


def killed_restore(settings: Settings, source: Path, module: Any, name: str, after: int) -> bool:
    """Restore in a process that dies when it calls `name` once more than `after` times; whether it died."""
    child = os.fork()
    if child == 0:
        calls = 0
        untouched = getattr(module, name)

        def dying(*args: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls > after:
                os._exit(9)
            return untouched(*args)

        setattr(module, name, dying)
        try:
            restore(settings, source, force=True)
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


DEATHS = {
    "sqlite": [
        (restores, "_open_epoch", 0),
        (swap, "mark", 0),
        *((swap, "sync_folder", after) for after in range(9)),  # between any two steps to the disk
        *((swap, "_set_aside", after) for after in range(3)),
    ],
    "postgresql": [
        (restore_postgres, "_load_schema", 1),
        (restore_postgres, "_rename", 2),  # inside the one transaction
        (swap, "place_keys", 0),  # after it
        (swap, "_set_aside", 0),
    ],
}


@pytest.mark.parametrize(
    ("kept", "module", "name", "after"),
    [
        pytest.param(
            engine,
            *death,
            id=f"{engine}-{death[1]}-{death[2]}",
            marks=[pytest.mark.postgres] if engine == "postgresql" else [],
        )
        for engine, deaths in DEATHS.items()
        for death in deaths
    ],
    indirect=["kept"],
)
def test_a_restore_that_dies_halfway_has_happened_wholly_or_not_at_all(
    kept: Settings, tmp_path: Path, module: Any, name: str, after: int
) -> None:
    other_key = kept.keys_folder / f"{CODE}.key"
    backup(kept, tmp_path / "b.zip", program="t", with_keys=True)
    before = verified(kept)["epoch"]
    call(kept, "users_add", username="late", name="迟", password=PASSWORD)
    own = other_key.read_bytes()
    other_key.write_text(secrets.token_hex(32) + "\n")
    assert killed_restore(kept, tmp_path / "b.zip", module, name, after)
    if not kept.postgres and swap.is_pending(kept.folder):
        with pytest.raises(StoreUnavailable, match="interrupted"):
            backup(kept, tmp_path / "c.zip", program="t")
    found = (names(kept), verified(kept)["epoch"] > before, other_key.read_bytes() == own)
    assert found in [(["late", "wang"], False, False), (["wang"], True, True)]
    restore(kept, tmp_path / "b.zip", force=True)
    assert (names(kept), other_key.read_bytes() == own) == (["wang"], True)
    assert not (kept.folder / swap.PREPARED).exists()
    assert not swap.keys_are_prepared(kept.keys_folder)


def test_a_backup_whose_rows_are_of_a_newer_program_changes_nothing(
    settings: Settings, tmp_path: Path
) -> None:
    call(settings, "users_add", username="wang", name="王", password=PASSWORD)
    path = tmp_path / "b.zip"
    backup(settings, path, program="t")
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    rows = tmp_path / "rows.db"
    rows.write_bytes(entries[f"districts/{CODE}.db"])
    with contextlib.closing(pysqlite3.connect(str(rows))) as connection:
        connection.execute("update alembic_version set version_num = '0099'")
        connection.commit()
    manifest = msgspec.json.decode(entries["manifest.json"], type=Manifest)
    entries[f"districts/{CODE}.db"] = rows.read_bytes()
    manifest.digests[f"districts/{CODE}.db"] = hashlib.sha256(rows.read_bytes()).hexdigest()
    entries["manifest.json"] = msgspec.json.encode(manifest)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    before = verified(settings)
    with pytest.raises(SchemaMismatch, match="0099"):
        restore(settings, path, force=True)
    assert names(settings) == ["wang"]
    assert verified(settings) == before
    assert not (settings.folder / swap.PREPARED).exists()


def test_what_was_there_is_kept_under_a_new_name(kept: Settings, tmp_path: Path) -> None:
    backup(kept, tmp_path / "b.zip", program="t")
    call(kept, "users_add", username="late", name="迟", password=PASSWORD)
    epoch = restore(kept, tmp_path / "b.zip", force=True)[CODE]
    if kept.postgres:
        with psycopg.connect(kept.libpq_url) as connection:
            query = f"select username from d_{CODE}_before_{epoch}.account order by 1"
            rows = connection.execute(query.encode()).fetchall()
    else:
        former = kept.folder / "districts" / f"{CODE}.db.before-{epoch}"
        with contextlib.closing(pysqlite3.connect(str(former))) as connection:
            rows = connection.execute("select username from account order by 1").fetchall()
    assert [row[0] for row in rows] == ["late", "wang"]


@pytest.mark.postgres
def test_a_restore_waits_for_nobody_on_postgresql(tmp_path: Path, fresh_pg_url: str) -> None:
    settings = Settings(data=str(tmp_path / "data"), database_url=fresh_pg_url, purpose="test")
    initialise(settings, CODE, "涧东区")
    backup(settings, tmp_path / "b.zip", program="t")
    with Database(settings).lock(), pytest.raises(DatabaseBusy, match="stop them"):
        restore(settings, tmp_path / "b.zip", force=True)
    with Database(settings).lock(alone=True), pytest.raises(DatabaseBusy, match="restore"):
        call(settings, "users_list")
    restore(settings, tmp_path / "b.zip", force=True)


def test_a_lock_on_postgresql_is_given_back_before_the_server_sees_its_connection_close(
    fresh_pg_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a machine with much to do that took longer than the next command."""
    left: list[psycopg.Connection[Any]] = []
    close = psycopg.Connection.close

    def leave(connection: psycopg.Connection[Any]) -> None:
        left.append(connection)

    monkeypatch.setattr(psycopg.Connection, "close", leave)
    with advisory_lock(fresh_pg_url, alone=False):
        pass
    with advisory_lock(fresh_pg_url, alone=True):
        pass
    assert len(left) == 2
    for connection in left:
        close(connection)


# --- keys ------------------------------------------------------------------------------------------------------------


def seal_something(settings: Settings) -> None:
    """A document with a data key under the district's key."""
    keys = DistrictKeys.of(settings.keys_folder, CODE)
    database = Database(settings)
    store = database.open_district(CODE)
    row = {
        "pk": 1,
        "collection": 0,
        "id": bytes(16),
        "seq": 1,
        "born": 1,
        "v": 1,
        "klass": 0,
        "klass_since": 1,
    }
    row |= {"history": False, "clear": b"{}", "dek": keys.wrap(bytes(32))}

    def work(tx: Tx) -> None:
        tx.insert("document", [row])
        tx.advance(tx.head().seq, 2)

    store.write(work)
    store.close()
    database.close()


@pytest.fixture
def elsewhere(kept: Settings, tmp_path: Path) -> Settings:
    """The same database with keys of its own."""
    seal_something(kept)
    found = msgspec.structs.replace(kept, data=str(tmp_path / "elsewhere"))
    if kept.postgres:
        for name in ("token", CODE):
            create_key_file(found.keys_folder / f"{name}.key")
    else:
        initialise(found, CODE, "涧东区")
    return found


def test_over_another_key_nothing_is_restored(kept: Settings, elsewhere: Settings, tmp_path: Path) -> None:
    backup(kept, tmp_path / "b.zip", program="t")
    before = (elsewhere.keys_folder / f"{CODE}.key").read_bytes()
    epoch = call(elsewhere, "verify")[0]["epoch"]
    with pytest.raises(KeyFileError, match="another key"):
        restore(elsewhere, tmp_path / "b.zip", force=True)
    assert call(elsewhere, "verify")[0]["epoch"] == epoch
    assert (elsewhere.keys_folder / f"{CODE}.key").read_bytes() == before
    # the key of the backup, put there by hand
    (elsewhere.keys_folder / f"{CODE}.key").write_bytes((kept.keys_folder / f"{CODE}.key").read_bytes())
    restore(elsewhere, tmp_path / "b.zip", force=True)
    verified(elsewhere)


def test_the_keys_of_a_backup_replace_others_when_told_to_and_those_are_kept(
    kept: Settings, elsewhere: Settings, tmp_path: Path
) -> None:
    backup(kept, tmp_path / "b.zip", program="t", with_keys=True)
    former = (elsewhere.keys_folder / f"{CODE}.key").read_bytes()
    epoch = restore(elsewhere, tmp_path / "b.zip", force=True)[CODE]
    verified(elsewhere)
    assert (elsewhere.keys_folder / f"{CODE}.key.before-{epoch}").read_bytes() == former
    for path in elsewhere.keys_folder.iterdir():
        assert path.stat().st_mode & 0o077 == 0


def test_a_key_that_opens_no_value_of_the_backup_is_found_before_anything_is_touched(
    kept: Settings, elsewhere: Settings, tmp_path: Path
) -> None:
    path = tmp_path / "b.zip"
    backup(kept, path, program="t")
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    manifest = msgspec.json.decode(entries["manifest.json"], type=Manifest)
    manifest.keys.clear()  # as if nothing were known of the keys
    entries["manifest.json"] = msgspec.json.encode(manifest)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    epoch = call(elsewhere, "verify")[0]["epoch"]
    with pytest.raises(KeyFileError, match="opens no value"):
        restore(elsewhere, path, force=True)
    assert call(elsewhere, "verify")[0]["epoch"] == epoch


def test_a_backup_with_a_key_that_was_exchanged_is_refused(kept: Settings, tmp_path: Path) -> None:
    path = tmp_path / "b.zip"
    backup(kept, path, program="t", with_keys=True)
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    entries[f"keys/{CODE}.key"] = secrets.token_hex(32).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    with pytest.raises(BadBackup, match="damaged"):
        restore(kept, path, force=True)


def test_fingerprints_tell_keys_apart_and_nothing_else(kept: Settings, tmp_path: Path) -> None:
    manifest = backup(kept, tmp_path / "b.zip", program="t")
    assert set(manifest.keys) == {"token", CODE}
    assert len(set(manifest.keys.values())) == 2
    for path in kept.keys_folder.glob("*.key"):
        assert manifest.keys[path.stem] not in path.read_text()


# --- a damaged backup ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "harm",
    [
        "cut",
        "altered",
        "flipped",
        "no zip",
        "no manifest",
        "another format",
        "newer",
        "newer directory",
        "undigested",
    ],
)
def test_a_damaged_backup_is_found_out_before_anything_is_touched(
    settings: Settings, tmp_path: Path, harm: str
) -> None:
    path = tmp_path / "b.zip"
    backup(settings, path, program="t")
    if harm == "cut":
        path.write_bytes(path.read_bytes()[:-200])
    elif harm == "flipped":  # inside the packed bytes, which then do not unpack
        packed = bytearray(path.read_bytes())
        packed[2_000:2_200] = b"\xff" * 200
        path.write_bytes(packed)
    elif harm == "no zip":
        path.write_bytes(b"x" * 100)
    else:
        with zipfile.ZipFile(path) as archive:
            entries = {name: archive.read(name) for name in archive.namelist()}
        if harm == "altered":
            entries["directory.db"] = entries["directory.db"][:-1] + b"?"
        elif harm == "no manifest":
            del entries["manifest.json"]
        elif harm == "newer":
            ours = b'"revision":"%b"' % newest("district").encode()
            assert ours in entries["manifest.json"]
            entries["manifest.json"] = entries["manifest.json"].replace(ours, b'"revision":"0099"')
        elif harm == "newer directory":
            entries["manifest.json"] = entries["manifest.json"].replace(
                b'"directory_revision":"0002"', b'"directory_revision":"0099"'
            )
        elif harm == "undigested":
            entries["manifest.json"] = re.sub(
                rb'"districts/990101.db":"[0-9a-f]+"', b'"x":""', entries["manifest.json"]
            )
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
