"""Backups: a zip with a manifest and one snapshot of every district; ``server/restore.py`` is the way back.

SQLite is copied by its backup interface while the server runs; PostgreSQL is written out table by table in one
snapshot of all schemas. The district keys are left out unless asked for: a backup without them tells no personal
value, and without them it cannot be used, so they are to be kept elsewhere; it knows them by their fingerprints.
"""

import contextlib
import hashlib
import io
import os
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pysqlite3
from msgspec import Struct
from psycopg import sql

from server.clocks import wall_ms
from server.database import Database, DistrictEntry, check_code
from server.keys import fingerprint
from server.migrations.run import Tree, newest, revisions
from server.settings import Settings
from sync.errors import SyncError
from sync.sql_store import told_unavailable
from sync.tables import DirectoryRow, DistrictRow

FORMAT = 1
CHUNK = 1 << 20
# what a zip file says that is none, cut, altered, encrypted or packed in an unknown way
_UNREADABLE = (
    OSError,
    KeyError,
    EOFError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
    msgspec.DecodeError,
)
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
    """What a backup holds; `digests` are the SHA-256 of every other entry, `keys` the fingerprints of the keys."""

    format: int
    program: str
    engine: str
    made_at: int
    directory_revision: str
    districts: list[Part]
    digests: dict[str, str]
    columns: dict[str, list[str]] = {}
    keys: dict[str, str] = {}


def quiet(_: str) -> None:
    """No progress wanted."""


def backup(
    settings: Settings, target: Path, *, program: str, with_keys: bool = False, progress: Progress = quiet
) -> Manifest:
    """Write a backup of everything to `target`, which must not exist; while a server runs or not.

    Raises ``BadBackup``, ``StoreUnavailable``, ``SchemaMismatch``, or ``OSError`` where `target` cannot be written.
    """
    if target.exists():
        raise BadBackup(f"{target} exists already.")
    database = Database(settings)
    if not database.exists:
        raise BadBackup("There is nothing to back up here.")
    beside = target.with_name(target.name + ".part")
    try:
        entries = database.districts()
        target.parent.mkdir(parents=True, exist_ok=True)
        beside.unlink(missing_ok=True)
        handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=3) as archive:
                manifest = _write(settings, database, entries, archive, program, progress)
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
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
        database.close()
    return manifest


def _fingerprints(settings: Settings, entries: Sequence[DistrictEntry]) -> dict[str, str]:
    paths = [settings.keys_folder / f"{name}.key" for name in ("token", *(entry.code for entry in entries))]
    return {path.stem: fingerprint(path.read_bytes()) for path in paths if path.is_file()}


def _write(
    settings: Settings,
    database: Database,
    entries: Sequence[DistrictEntry],
    archive: zipfile.ZipFile,
    program: str,
    progress: Progress,
) -> Manifest:
    if settings.postgres:
        return _write_postgres(settings, entries, archive, program, progress)
    digests: dict[str, str] = {}
    parts: list[Part] = []
    with tempfile.TemporaryDirectory(dir=database.folder, prefix="backup-") as folder:
        for name, path in [
            ("directory.db", database.folder / "directory.db"),
            *((f"districts/{entry.code}.db", database.district_path(entry.code)) for entry in entries),
        ]:
            progress(name)
            copy = Path(folder) / path.name
            with told_unavailable(str(path)):
                _copy_sqlite(path, copy)
            digests[name] = _add_file(archive, name, copy)
            if name.startswith("districts/"):
                parts.append(_part_of(copy, path.stem))
            copy.unlink()
    revision, keys = newest("directory"), _fingerprints(settings, entries)
    return Manifest(FORMAT, program, "sqlite", wall_ms(), revision, parts, digests, keys=keys)


def _copy_sqlite(source: Path, target: Path) -> None:
    if not source.is_file() or not source.stat().st_size:
        raise BadBackup(f"{source} is missing or empty: there is nothing of it to back up.")
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
        while chunk := source.read(CHUNK):
            digest.update(chunk)
            target.write(chunk)
    return digest.hexdigest()


def _write_postgres(
    settings: Settings,
    entries: Sequence[DistrictEntry],
    archive: zipfile.ZipFile,
    program: str,
    progress: Progress,
) -> Manifest:
    digests: dict[str, str] = {}
    columns: dict[str, list[str]] = {}
    parts: list[Part] = []
    with told_unavailable("The PostgreSQL"), psycopg.connect(settings.libpq_url) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        codes = [entry.code for entry in entries]
        schemas = [
            ("directory", "directory", DirectoryRow.metadata),
            *((f"districts/{code}", f"d_{check_code(code)}", DistrictRow.metadata) for code in codes),
        ]
        for prefix, schema, metadata in schemas:
            progress(prefix)
            for table in sorted(metadata.tables):
                name = f"{prefix}/{table}.copy"
                columns[name] = [column.name for column in metadata.tables[table].c]
                digests[name] = _dump_table(connection, archive, name, schema, table, columns[name])
            if prefix != "directory":
                parts.append(_postgres_part(connection, schema))
    revision, keys = newest("directory"), _fingerprints(settings, entries)
    return Manifest(FORMAT, program, "postgresql", wall_ms(), revision, parts, digests, columns, keys)


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


def read_manifest(source: Path) -> Manifest:
    """The manifest of a backup whose every entry is unharmed; raises ``BadBackup``."""
    try:
        with zipfile.ZipFile(source) as archive:
            manifest = msgspec.json.decode(archive.read("manifest.json"), type=Manifest)
            if manifest.format != FORMAT:
                raise BadBackup(f"The backup has format {manifest.format}; this program reads {FORMAT}.")
            for part in manifest.districts:
                check_code(part.code)
            _check_revisions(manifest)
            for name, expected in {**dict.fromkeys(_needed(manifest), ""), **manifest.digests}.items():
                digest = hashlib.sha256()
                with archive.open(name) as entry:
                    while chunk := entry.read(CHUNK):
                        digest.update(chunk)
                if digest.hexdigest() != expected:
                    raise BadBackup(f"{name} in the backup is damaged.")
    except _UNREADABLE as error:
        raise BadBackup(f"{source} cannot be read as a backup: {error}") from error
    return manifest


def _needed(manifest: Manifest) -> list[str]:
    if manifest.engine == "sqlite":
        return ["directory.db", *(f"districts/{part.code}.db" for part in manifest.districts)]
    return list(manifest.columns)


def _check_revisions(manifest: Manifest) -> None:
    made: list[tuple[str, Tree, str]] = [("The directory", "directory", manifest.directory_revision)]
    made += [(f"The district {part.code}", "district", part.revision) for part in manifest.districts]
    for name, tree, revision in made:
        if revision not in revisions(tree):
            raise BadBackup(
                f"{name} in the backup is at revision {revision}, which this program does not know: restore it with "
                "the program that made it, or a newer one."
            )


def summary(manifest: Manifest) -> str:
    """One line a district, for the person who made the backup."""
    out = io.StringIO()
    for part in manifest.districts:
        out.write(f"  {part.code}: number {part.head}, epoch {part.epoch}, revision {part.revision}\n")
    return out.getvalue()
