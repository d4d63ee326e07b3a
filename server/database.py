"""The databases of one installation: the directory of districts, and one store a district.

SQLite: a folder with ``directory.db`` and ``districts/{code}.db``. PostgreSQL: the schema ``directory`` and one schema
``d_{code}`` a district. On SQLite one server process at a time holds ``wangge.lock``.
"""

import fcntl
import os
import re
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from msgspec import Struct
from sqlalchemy import Connection, Engine, Table, exc, inspect, select
from sqlalchemy.schema import CreateSchema

from server.migrations.run import newest, upgrade
from server.settings import Settings
from sync.errors import SyncError
from sync.sql_store import SqlStore, open_clock, postgres_engine, sqlite_engine
from sync.tables import District

_CODE = re.compile(r"^[a-z0-9]{2,24}$")
_DISTRICT = cast("Table", District.__table__)  # type: ignore[attr-defined]


class BadDistrict(SyncError):
    """There is no such district, or its code cannot be one."""

    code = "bad_district"
    status = 400


class DatabaseBusy(SyncError):
    """Another process of this program has the database."""

    code = "database_busy"
    status = 503


class DistrictEntry(Struct, frozen=True):
    """A district as the directory knows it. `state` is active or closed."""

    code: str
    name: str
    short_name: str
    state: str
    demo: bool
    schema_version: str
    created_at: int


def check_code(code: str) -> str:
    """The code; raises ``BadDistrict`` unless it is 2 to 24 small letters and digits (it names a file or a schema)."""
    if not _CODE.match(code):
        raise BadDistrict(f"A district's code is 2 to 24 small letters and digits, not {code!r}.")
    return code


class Database:
    """Opens, lists and migrates what an installation keeps."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.postgres = settings.postgres
        self.folder = settings.sqlite_folder
        self._engine: Engine | None = None

    @property
    def lock_path(self) -> Path:
        """The file that the one server process locks."""
        return self.folder / "wangge.lock"

    @property
    def exists(self) -> bool:
        """Whether `init` has run here."""
        if not self.postgres:
            return (self.folder / "directory.db").exists()
        try:
            with self._directory().connect() as connection:
                return inspect(connection).has_table("district", schema="directory")
        except exc.OperationalError as error:
            raise SyncError("The PostgreSQL of WANGGE_DATABASE_URL cannot be reached.") from error

    def _directory(self) -> Engine:
        if self._engine is None:
            if self.postgres:
                self._engine = postgres_engine(self._settings.database_url, "directory")
            else:
                self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._engine = sqlite_engine(self.folder / "directory.db")
        return self._engine

    def close(self) -> None:
        """Give back the connections of the directory."""
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None

    def migrate_directory(self) -> None:
        """Bring the directory to this program's version, making it where there is none."""
        engine = self._directory()
        if self.postgres:
            with engine.begin() as connection:
                connection.execute(CreateSchema("directory", if_not_exists=True))
        upgrade(engine, "directory")

    def districts(self) -> list[DistrictEntry]:
        """Every district, by code."""
        with self._directory().connect() as connection:
            rows = connection.execute(select(_DISTRICT).order_by(_DISTRICT.c.code)).mappings().all()
            found = [
                DistrictEntry(
                    row["code"],
                    row["name"],
                    row["short_name"],
                    row["state"],
                    bool(row["demo"]),
                    row["schema_version"],
                    row["created_at"],
                )
                for row in rows
            ]
            connection.rollback()
        return found

    def district(self, code: str) -> DistrictEntry:
        """One district; raises ``BadDistrict``."""
        for entry in self.districts():
            if entry.code == code:
                return entry
        raise BadDistrict(f"There is no district {code!r}.")

    def add_district(self, code: str, name: str, short_name: str, *, demo: bool, now: int) -> DistrictEntry:
        """Make a district's database with its tables and clock, then name it in the directory.

        Raises ``BadDistrict`` when the code is taken.
        """
        check_code(code)
        if any(entry.code == code for entry in self.districts()):
            raise BadDistrict(f"The district {code} exists already.")
        store = self.open_store(code)
        try:
            version = self._migrate_store(store)
            store.write(open_clock)
        finally:
            store.close()
        entry = DistrictEntry(code, name, short_name, "active", demo, version, now)
        with self._directory_write() as connection:
            connection.execute(
                _DISTRICT.insert(),
                [{name: getattr(entry, name) for name in DistrictEntry.__struct_fields__}],
            )
        return entry

    def migrate_district(self, code: str) -> str:
        """Bring one district to this program's version; returns the version."""
        store = self.open_store(code)
        try:
            version = self._migrate_store(store)
        finally:
            store.close()
        with self._directory_write() as connection:
            connection.execute(
                _DISTRICT.update().where(_DISTRICT.c.code == code).values(schema_version=version)
            )
        return version

    @contextmanager
    def _directory_write(self) -> Generator[Connection, None, None]:
        with self._directory().connect() as connection:
            if not self.postgres:
                connection.exec_driver_sql("begin immediate")
            try:
                yield connection
            except BaseException:
                _finish(connection, "rollback", postgres=self.postgres)
                raise
            _finish(connection, "commit", postgres=self.postgres)

    def _migrate_store(self, store: SqlStore) -> str:
        if store.schema:
            with store.engine.begin() as connection:
                connection.execute(CreateSchema(store.schema, if_not_exists=True))
        upgrade(store.engine, "district")
        return newest("district")

    def open_store(self, code: str) -> SqlStore:
        """The store of a district; the caller closes it."""
        check_code(code)
        if self.postgres:
            return SqlStore.postgresql(self._settings.database_url, f"d_{code}")
        return SqlStore.sqlite(self.district_path(code))

    def district_path(self, code: str) -> Path:
        """The SQLite file of a district."""
        return self.folder / "districts" / f"{check_code(code)}.db"

    @contextmanager
    def lock(self) -> Generator[None, None, None]:
        """Be the one process that writes (SQLite only); raises ``DatabaseBusy`` when another one is.

        The file names the holder's process and, once ``announce`` was called, where it listens.
        """
        if self.postgres:
            yield
            return
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(self.lock_path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise DatabaseBusy from error
            os.ftruncate(handle, 0)
            os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
            yield
            os.ftruncate(handle, 0)
        finally:
            os.close(handle)

    def announce(self, url: str) -> None:
        """Write into the lock file where the server that holds it listens, for the command line to call."""
        if not self.postgres:
            self.lock_path.write_text(f"{os.getpid()}\n{url}\n", encoding="ascii")

    def holder_url(self) -> str | None:
        """Where the process that holds the lock listens, if it said so."""
        try:
            lines = self.lock_path.read_text(encoding="ascii").splitlines()
        except FileNotFoundError:
            return None
        return lines[1] if len(lines) > 1 else None


def _finish(connection: Connection, word: str, *, postgres: bool) -> None:
    # SQLite's transactions are opened by hand (see sql_store), so they are closed by hand too
    if postgres:
        connection.commit() if word == "commit" else connection.rollback()
    else:
        connection.exec_driver_sql(word)
