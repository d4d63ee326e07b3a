"""Backups: a zip with a manifest and one snapshot of every district; and the way back.

SQLite is copied by its backup interface while the server runs; PostgreSQL is written out table by table in one
snapshot of all schemas. The district keys are left out unless asked for: a backup without them tells no personal
value, and without them it cannot be used, so they are to be kept elsewhere.

A restore opens a new epoch, greater than any that a phone can have seen, and remembers the number restored to: that
is how phones learn to hand in again what the backup does not hold.
"""

import hashlib
import io
import os
import tempfile
import zipfile
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pysqlite3
from msgspec import Struct
from psycopg import sql
from sqlalchemy import MetaData
from sqlalchemy.schema import CreateSchema

from server.clocks import wall_ms
from server.database import Database, check_code
from server.keys import KeyFileError
from server.migrations.run import newest, upgrade
from server.settings import Settings
from sync.errors import SyncError
from sync.sql_store import SqlStore
from sync.store import Tx
from sync.tables import DirectoryRow, DistrictRow

FORMAT = 1
_CHUNK = 1 << 20
Progress = Callable[[str], None]


class BadBackup(SyncError):
    """The file is no backup of this program, or it is damaged."""

    code = "bad_backup"
    status = 422


class Part(Struct, frozen=True):
    """One district in a backup; `tables` are the columns of each table where it is a PostgreSQL dump."""

    code: str
    revision: str
    head: int
    epoch: int


class Manifest(Struct, frozen=True):
    """What a backup holds; `digests` are the SHA-256 of every other entry."""

    format: int
    program: str
    engine: str
    made_at: int
    directory_revision: str
    districts: list[Part]
    digests: dict[str, str]
    columns: dict[str, list[str]] = {}


def _quiet(_: str) -> None:
    """No progress wanted."""


def backup(
    settings: Settings, target: Path, *, program: str, with_keys: bool = False, progress: Progress = _quiet
) -> Manifest:
    """Write a backup of everything to `target`, which must not exist; while a server runs or not."""
    database = Database(settings)
    if not database.exists:
        raise BadBackup("There is nothing to back up here.")
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(target.name + ".part")
    beside.unlink(missing_ok=True)
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=3) as archive:
                manifest = _write(settings, database, archive, program, progress)
                if with_keys:
                    for path in sorted(settings.keys_folder.glob("*.key")):
                        archive.writestr(f"keys/{path.name}", path.read_bytes())
                archive.writestr("manifest.json", msgspec.json.encode(manifest))
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            raise BadBackup(f"{target} exists already.")
        beside.replace(target)
    finally:
        beside.unlink(missing_ok=True)
        database.close()
    return manifest


def _write(
    settings: Settings, database: Database, archive: zipfile.ZipFile, program: str, progress: Progress
) -> Manifest:
    if settings.postgres:
        return _write_postgres(settings, database, archive, program, progress)
    digests: dict[str, str] = {}
    parts: list[Part] = []
    entries = database.districts()
    with tempfile.TemporaryDirectory(dir=database.folder, prefix="backup-") as folder:
        for name, path in [
            ("directory.db", database.folder / "directory.db"),
            *((f"districts/{entry.code}.db", database.district_path(entry.code)) for entry in entries),
        ]:
            progress(name)
            copy = Path(folder) / path.name
            _copy_sqlite(path, copy)
            digests[name] = _add_file(archive, name, copy)
            if name.startswith("districts/"):
                parts.append(_part_of(copy, path.stem))
            copy.unlink()
    return Manifest(FORMAT, program, "sqlite", wall_ms(), newest("directory"), parts, digests)


def _copy_sqlite(source: Path, target: Path) -> None:
    reading = pysqlite3.connect(f"file:{source}?mode=ro", uri=True)
    writing = pysqlite3.connect(str(target))
    try:
        reading.execute("pragma busy_timeout=5000")
        reading.backup(writing)
        writing.execute("pragma journal_mode=delete")
        if writing.execute("pragma integrity_check(1)").fetchone()[0] != "ok":
            raise BadBackup(f"{source.name} is damaged: its copy does not pass the integrity check.")
    finally:
        writing.close()
        reading.close()


def _part_of(path: Path, code: str) -> Part:
    connection = pysqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        seq, epoch = connection.execute("select seq, epoch from clock where id = 1").fetchone()
        revision = connection.execute("select version_num from alembic_version").fetchone()[0]
    finally:
        connection.close()
    return Part(code, revision, seq, epoch)


def _add_file(archive: zipfile.ZipFile, name: str, path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as source, archive.open(name, "w", force_zip64=True) as target:
        while chunk := source.read(_CHUNK):
            digest.update(chunk)
            target.write(chunk)
    return digest.hexdigest()


def _postgres_address(settings: Settings) -> str:
    return settings.database_url.replace("postgresql+psycopg://", "postgresql://")


def _write_postgres(
    settings: Settings, database: Database, archive: zipfile.ZipFile, program: str, progress: Progress
) -> Manifest:
    digests: dict[str, str] = {}
    columns: dict[str, list[str]] = {}
    parts: list[Part] = []
    with psycopg.connect(_postgres_address(settings)) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        codes = [entry.code for entry in database.districts()]
        schemas: list[tuple[str, str, MetaData]] = [("directory", "directory", DirectoryRow.metadata)]
        schemas += [(f"districts/{code}", f"d_{check_code(code)}", DistrictRow.metadata) for code in codes]
        for prefix, schema, metadata in schemas:
            progress(prefix)
            for table in sorted(metadata.tables):
                name = f"{prefix}/{table}.copy"
                columns[name] = [column.name for column in metadata.tables[table].c]
                digests[name] = _dump_table(connection, archive, name, schema, table, columns[name])
            if prefix != "directory":
                parts.append(_postgres_part(connection, schema))
    return Manifest(FORMAT, program, "postgresql", wall_ms(), newest("directory"), parts, digests, columns)


def _dump_table(
    connection: psycopg.Connection[Any],
    archive: zipfile.ZipFile,
    name: str,
    schema: str,
    table: str,
    columns: Sequence[str],
) -> str:
    digest = hashlib.sha256()
    query = sql.SQL("copy (select {} from {}) to stdout").format(
        sql.SQL(", ").join(map(sql.Identifier, columns)), sql.Identifier(schema, table)
    )
    with (
        connection.cursor() as cursor,
        cursor.copy(query) as copy,
        archive.open(name, "w", force_zip64=True) as target,
    ):
        for chunk in copy:
            digest.update(chunk)
            target.write(chunk)
    return digest.hexdigest()


def _postgres_part(connection: psycopg.Connection[Any], schema: str) -> Part:
    def one(text: str) -> tuple[Any, ...]:
        row = connection.execute(sql.SQL(text).format(sql.Identifier(schema))).fetchone()
        if row is None:
            raise BadBackup(f"The schema {schema} has no clock.")
        return tuple(row)

    seq, epoch = one("select seq, epoch from {}.clock where id = 1")
    (revision,) = one("select version_num from {}.alembic_version")
    return Part(schema.removeprefix("d_"), revision, seq, epoch)


# --- the way back ----------------------------------------------------------------------------------------------------


def read_manifest(source: Path) -> Manifest:
    """The manifest of a backup whose every entry is unharmed; raises ``BadBackup``."""
    try:
        with zipfile.ZipFile(source) as archive:
            manifest = msgspec.json.decode(archive.read("manifest.json"), type=Manifest)
            if manifest.format != FORMAT:
                raise BadBackup(f"The backup has format {manifest.format}; this program reads {FORMAT}.")
            for name, expected in manifest.digests.items():
                digest = hashlib.sha256()
                with archive.open(name) as entry:
                    while chunk := entry.read(_CHUNK):
                        digest.update(chunk)
                if digest.hexdigest() != expected:
                    raise BadBackup(f"{name} in the backup is damaged.")
    except (OSError, KeyError, zipfile.BadZipFile, msgspec.DecodeError, EOFError) as error:
        raise BadBackup(f"{source} cannot be read as a backup: {error}") from error
    for part in manifest.districts:
        check_code(part.code)
    return manifest


def restore(
    settings: Settings, source: Path, *, force: bool = False, progress: Progress = _quiet
) -> dict[str, int]:
    """Put everything back as the backup has it; returns the new epoch of each district. No server may run (RC5).

    What is there already is replaced only with `force`, and on SQLite then kept beside under a new name.
    Raises ``BadBackup``, ``KeyFileError``.
    """
    manifest = read_manifest(source)
    engine = "postgresql" if settings.postgres else "sqlite"
    if manifest.engine != engine:
        raise BadBackup(
            f"The backup was made on {manifest.engine}; it is restored there and not on {engine}."
        )
    database = Database(settings)
    try:
        if database.exists and not force:
            raise BadBackup("There is a database here already: use --force to replace it.")
        with database.lock(), zipfile.ZipFile(source) as archive:
            _restore_keys(settings, archive, manifest)
            used = _epochs_here(database)
            if settings.postgres:
                _read_postgres(settings, database, archive, manifest, progress)
            else:
                _read_sqlite(database, archive, manifest, progress)
            database.migrate_directory()
            return {
                part.code: _open_epoch(database, part, max(used.get(part.code, 0), part.epoch))
                for part in manifest.districts
            }
    finally:
        database.close()


def _restore_keys(settings: Settings, archive: zipfile.ZipFile, manifest: Manifest) -> None:
    for name in ["token", *(part.code for part in manifest.districts)]:
        path = settings.keys_folder / f"{name}.key"
        entry = f"keys/{name}.key"
        if path.exists():
            continue
        if entry not in archive.namelist():
            raise KeyFileError(f"The backup holds no keys and {path} is not there: put it back first.")
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(archive.read(entry))


def _epochs_here(database: Database) -> dict[str, int]:
    """The epochs of the districts that will be replaced, as far as they can still be read."""
    found: dict[str, int] = {}
    try:
        entries = database.districts() if database.exists else []
    except Exception:  # noqa: BLE001  # a database too damaged to be asked is why one restores
        return found
    for entry in entries:
        try:
            with _opened(database, entry.code) as store, store.read() as reader:
                found[entry.code] = reader.head().epoch
        except Exception:  # noqa: BLE001, S112  # as above
            continue
    database.close()
    return found


@contextmanager
def _opened(database: Database, code: str) -> Generator[SqlStore, None, None]:
    store = database.open_store(code)
    try:
        yield store
    finally:
        store.close()


def _read_sqlite(
    database: Database, archive: zipfile.ZipFile, manifest: Manifest, progress: Progress
) -> None:
    stamp = wall_ms()
    database.close()
    for name in ["directory.db", *(f"districts/{part.code}.db" for part in manifest.districts)]:
        progress(name)
        target = database.folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        beside = target.with_name(target.name + ".restoring")
        with archive.open(name) as entry, beside.open("wb") as file:
            while chunk := entry.read(_CHUNK):
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            _set_aside(target, stamp)
        beside.replace(target)


def _set_aside(target: Path, stamp: int) -> None:
    # The log belongs to the file it was written for: left beside another one, it would be played into it.
    for suffix in ("", "-wal", "-shm"):
        path = target.with_name(target.name + suffix)
        if path.exists():
            path.replace(target.with_name(f"{target.name}.before-{stamp}{suffix}"))


def _read_postgres(
    settings: Settings, database: Database, archive: zipfile.ZipFile, manifest: Manifest, progress: Progress
) -> None:
    with psycopg.connect(_postgres_address(settings), autocommit=True) as connection:
        for schema in ["directory", *(f"d_{part.code}" for part in manifest.districts)]:
            connection.execute(sql.SQL("drop schema if exists {} cascade").format(sql.Identifier(schema)))
    database.migrate_directory()
    _load_schema(settings, archive, manifest, "directory", "directory", DirectoryRow.metadata)
    for part in manifest.districts:
        progress(f"districts/{part.code}")
        with _opened(database, part.code) as store:
            with store.engine.begin() as connection:
                connection.execute(CreateSchema(f"d_{part.code}", if_not_exists=True))
            upgrade(store.engine, "district", part.revision)
        _load_schema(
            settings, archive, manifest, f"districts/{part.code}", f"d_{part.code}", DistrictRow.metadata
        )


def _load_schema(
    settings: Settings,
    archive: zipfile.ZipFile,
    manifest: Manifest,
    prefix: str,
    schema: str,
    metadata: MetaData,
) -> None:
    with psycopg.connect(_postgres_address(settings)) as connection:
        for table in sorted(metadata.tables):
            name = f"{prefix}/{table}.copy"
            columns = manifest.columns.get(name)
            if columns is None:
                continue
            query = sql.SQL("copy {} ({}) from stdin").format(
                sql.Identifier(schema, table), sql.SQL(", ").join(map(sql.Identifier, columns))
            )
            with connection.cursor() as cursor, cursor.copy(query) as copy, archive.open(name) as entry:
                while chunk := entry.read(_CHUNK):
                    copy.write(chunk)
            key = metadata.tables[table].autoincrement_column
            if key is not None and key.name == "pk" and table != "document":
                connection.execute(
                    sql.SQL(
                        "select setval(pg_get_serial_sequence({}, 'pk'), (select coalesce(max(pk), 0) + 1 from {}), "
                        "false)"
                    ).format(sql.Literal(f"{schema}.{table}"), sql.Identifier(schema, table))
                )


def _open_epoch(database: Database, part: Part, used: int) -> int:
    """RC1: begin an epoch that no phone has seen, not even from a restore of this backup on another machine."""
    database.migrate_district(part.code)
    epoch = max(used + 1, wall_ms() // 1000)

    def work(tx: Tx) -> int:
        tx.new_epoch(epoch)
        tx.insert("epoch", [{"epoch": epoch, "restored_to": tx.head().seq}])
        tx.raise_config()
        return epoch

    with _opened(database, part.code) as store:
        return store.write(work)


def summary(manifest: Manifest) -> str:
    """One line a district, for the person who made the backup."""
    out = io.StringIO()
    for part in manifest.districts:
        out.write(f"  {part.code}: number {part.head}, epoch {part.epoch}, revision {part.revision}\n")
    return out.getvalue()
