"""The part of a restore that PostgreSQL does: load into schemas beside those in force, then rename, all at once."""

import zipfile
from typing import Any

import psycopg
from psycopg import sql

from server import swap
from server.backup import CHUNK, Manifest, Progress
from server.database import Database
from server.settings import Settings
from sync.sql_store import told_unavailable

_NAME = "The PostgreSQL"


def clear(settings: Settings) -> None:
    """Drop what an interrupted restore has left beside."""
    with told_unavailable(_NAME), psycopg.connect(settings.libpq_url) as connection:
        rows = connection.execute(
            "select nspname from pg_namespace where starts_with(nspname, %s)", (f"{swap.PREPARED}_",)
        ).fetchall()
        for (schema,) in rows:
            connection.execute(sql.SQL("drop schema {} cascade").format(sql.Identifier(schema)))


def load(
    settings: Settings, prepared: Database, archive: zipfile.ZipFile, manifest: Manifest, progress: Progress
) -> None:
    """Fill the schemas beside, each at the revision it was saved at; the directory is then brought up to date."""
    prepared.migrate_directory(manifest.directory_revision)
    _load_schema(settings, archive, manifest, "directory", prepared.schema())
    prepared.migrate_directory()
    for part in manifest.districts:
        progress(f"districts/{part.code}")
        prepared.migrate_store(part.code, part.revision)
        _load_schema(settings, archive, manifest, f"districts/{part.code}", prepared.schema(part.code))


def _load_schema(
    settings: Settings, archive: zipfile.ZipFile, manifest: Manifest, prefix: str, schema: str
) -> None:
    with told_unavailable(_NAME), psycopg.connect(settings.libpq_url) as connection:
        for name, columns in manifest.columns.items():
            folder, _, file = name.rpartition("/")
            if folder != prefix:
                continue
            table = sql.Identifier(schema, file.removesuffix(".copy"))
            query = sql.SQL("copy {} ({}) from stdin").format(
                table, sql.SQL(", ").join(map(sql.Identifier, columns))
            )
            with connection.cursor() as cursor, cursor.copy(query) as copy, archive.open(name) as entry:
                while chunk := entry.read(CHUNK):
                    copy.write(chunk)
            if "pk" in columns:
                _raise_series(connection, table)


def _raise_series(connection: psycopg.Connection[Any], table: sql.Identifier) -> None:
    """New rows take keys that are free, where the database gives out the keys."""
    connection.execute(
        sql.SQL(
            "select setval(series, (select coalesce(max(pk), 0) + 1 from {}), false) "
            "from pg_get_serial_sequence({}, 'pk') series where series is not null"
        ).format(table, sql.Literal(table.as_string(connection)))
    )


def take_place(settings: Settings, manifest: Manifest, stamp: int) -> None:
    """Rename in one transaction: what is there becomes ``*_before_{stamp}``, what was loaded takes its name."""
    with told_unavailable(_NAME), psycopg.connect(settings.libpq_url) as connection:
        for schema in ["directory", *(f"d_{part.code}" for part in manifest.districts)]:
            there = connection.execute("select 1 from pg_namespace where nspname = %s", (schema,)).fetchone()
            if there:
                _rename(connection, schema, f"{schema}_before_{stamp}")
            _rename(connection, f"{swap.PREPARED}_{schema}", schema)


def _rename(connection: psycopg.Connection[Any], old: str, new: str) -> None:
    connection.execute(
        sql.SQL("alter schema {} rename to {}").format(sql.Identifier(old), sql.Identifier(new))
    )
