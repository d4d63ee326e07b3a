"""The databases of one installation: the directory of districts, and one store a district.

SQLite: a folder with ``directory.db`` and ``districts/{code}.db``. PostgreSQL: the schema ``directory`` and one schema
``d_{code}`` a district. On SQLite one server process at a time holds ``wangge.lock``; on PostgreSQL everybody who
serves or writes shares an advisory lock, which a restore wants for itself.
"""

import contextlib
import os
import re
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from msgspec import Struct
from sqlalchemy import Connection, Engine, Table, inspect, select
from sqlalchemy.schema import CreateSchema

from server import swap
from server.clocks import wall_ms
from server.locks import advisory_lock, file_lock
from server.migrations.run import check_known, check_served, newest, upgrade
from server.settings import Kind, Settings
from sync.errors import StoreUnavailable, SyncError
from sync.sql_store import SqlStore, open_clock, postgres_engine, sqlite_engine, told_unavailable
from sync.tables import District

_CODE = re.compile(r"[a-z0-9]{2,24}")
_RESERVED = frozenset({"token"})  # names of other keys
_DISTRICT = cast("Table", District.__table__)  # type: ignore[attr-defined]


class BadDistrict(SyncError):
    """There is no such district, or its code cannot be one."""

    code = "bad_district"
    status = 400


class DistrictEntry(Struct, frozen=True):
    """A district as the directory knows it. `state` is active or closed."""

    code: str
    name: str
    short_name: str
    state: str
    demo: bool
    test: bool
    schema_version: str
    created_at: int

    @property
    def kind(self) -> Kind:
        """What the district is for."""
        if self.demo:
            return "demo"
        return "test" if self.test else "real"


def check_code(code: str) -> str:
    """The code; raises ``BadDistrict`` unless it is 2 to 24 small letters and digits (it names a file or a schema)."""
    if not _CODE.fullmatch(code):
        raise BadDistrict(f"A district's code is 2 to 24 small letters and digits, not {code!r}.")
    if code in _RESERVED:
        raise BadDistrict(f"{code!r} cannot be a district's code: another key has this name.")
    return code


class Database:
    """Opens, lists and migrates what an installation keeps."""

    def __init__(self, settings: Settings, *, prepared: bool = False) -> None:
        """Those of `settings`; `prepared`: those that a restore prepares beside them."""
        self._settings = settings
        self._prepared = prepared
        self.postgres = settings.postgres
        self.folder = settings.sqlite_folder / swap.PREPARED if prepared else settings.sqlite_folder
        self._engine: Engine | None = None

    @property
    def lock_path(self) -> Path:
        """The file that the one server process locks."""
        return self.folder / "wangge.lock"

    @property
    def exists(self) -> bool:
        """Whether `init` has run here."""
        if not self.postgres:
            return (self.folder / "directory.db").exists() or swap.is_pending(self.folder)
        with (
            told_unavailable("The PostgreSQL of WANGGE_DATABASE_URL"),
            self._directory().connect() as connection,
        ):
            return inspect(connection).has_table("district", schema=self.schema())

    def schema(self, code: str = "") -> str:
        """The PostgreSQL schema of a district, or of the directory."""
        name = f"d_{check_code(code)}" if code else "directory"
        return f"{swap.PREPARED}_{name}" if self._prepared else name

    def _directory(self) -> Engine:
        if not self.postgres and swap.is_pending(self.folder):
            raise StoreUnavailable(
                "A restore was interrupted here when all was prepared: `wangge migrate --all` finishes it."
            )
        if self._engine is None:
            if self.postgres:
                self._engine = postgres_engine(self._settings.database_url, self.schema())
            else:
                self._engine = sqlite_engine(_private(self.folder / "directory.db"))
        return self._engine

    def close(self) -> None:
        """Give back the connections of the directory."""
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None

    @property
    def _directory_name(self) -> str:
        return f"The schema {self.schema()}" if self.postgres else str(self.folder / "directory.db")

    def migrate_directory(self, revision: str = "head") -> None:
        """Bring the directory to this program's version or to `revision`, making it where there is none."""
        engine = self._directory()
        with told_unavailable(self._directory_name):
            if self.postgres:
                with engine.begin() as connection:
                    connection.execute(CreateSchema(self.schema(), if_not_exists=True))
            check_known(engine, "directory", self._directory_name)
            upgrade(engine, "directory", revision)

    def districts(self) -> list[DistrictEntry]:
        """Every district, by code; raises ``SchemaMismatch`` and ``StoreUnavailable``."""
        with told_unavailable(self._directory_name):
            check_served(self._directory(), "directory", self._directory_name)
            with self._directory().connect() as connection:
                rows = connection.execute(select(_DISTRICT).order_by(_DISTRICT.c.code)).mappings().all()
                connection.rollback()
        return [
            DistrictEntry(
                row["code"],
                row["name"],
                row["short_name"],
                row["state"],
                bool(row["demo"]),
                bool(row["test"]),
                row["schema_version"],
                row["created_at"],
            )
            for row in rows
        ]

    def district(self, code: str) -> DistrictEntry:
        """One district; raises ``BadDistrict``."""
        for entry in self.districts():
            if entry.code == code:
                return entry
        raise BadDistrict(f"There is no district {code!r}.")

    def add_district(
        self, code: str, name: str, short_name: str, *, demo: bool = False, test: bool = False, now: int
    ) -> DistrictEntry:
        """Make a district's database with its tables and clock, then name it in the directory.

        Raises ``BadDistrict`` when the code is taken.
        """
        check_code(code)
        if any(entry.code == code for entry in self.districts()):
            raise BadDistrict(f"The district {code} exists already.")
        version = self.migrate_store(code)
        store = self.open_store(code)
        try:
            store.write(open_clock)
        finally:
            store.close()
        entry = DistrictEntry(code, name, short_name, "active", demo, test, version, now)
        with self._directory_write() as connection:
            connection.execute(
                _DISTRICT.insert(),
                [{name: getattr(entry, name) for name in DistrictEntry.__struct_fields__}],
            )
        return entry

    def migrate_district(self, code: str) -> str:
        """Bring one district to this program's version; returns the version."""
        self._must_be_there(code)
        version = self.migrate_store(code)
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
            except BaseException:  # an interrupt too must not leave the transaction open
                _finish(connection, "rollback", postgres=self.postgres)
                raise
            _finish(connection, "commit", postgres=self.postgres)

    def migrate_store(self, code: str, revision: str = "head") -> str:
        """Bring a district's tables to `revision`, making them where there are none; returns the newest version."""
        store = self.open_store(code)
        try:
            with told_unavailable(store.name):
                if store.schema:
                    with store.engine.begin() as connection:
                        connection.execute(CreateSchema(store.schema, if_not_exists=True))
                check_known(store.engine, "district", store.name)
                upgrade(store.engine, "district", revision)
        finally:
            store.close()
        return newest("district")

    def _must_be_there(self, code: str) -> None:
        if self.postgres:
            return
        path = self.district_path(code)
        if not path.is_file() or not path.stat().st_size:
            raise StoreUnavailable(
                f"The database {path} of the district {code} is missing or empty: restore a backup."
            )

    def open_district(self, code: str) -> SqlStore:
        """The store of a district that is there, at a revision that is served; the caller closes it.

        Raises ``StoreUnavailable`` and ``SchemaMismatch``.
        """
        self._must_be_there(code)
        store = self.open_store(code)
        try:
            with told_unavailable(store.name):
                check_served(store.engine, "district", store.name)
        except BaseException:  # an interrupt too must give the connections back
            store.close()
            raise
        return store

    def open_store(self, code: str) -> SqlStore:
        """The store of a district, in whatever state, a new file where there is none; the caller closes it."""
        check_code(code)
        if self.postgres:
            return SqlStore.postgresql(self._settings.database_url, self.schema(code))
        return SqlStore.sqlite(_private(self.district_path(code)))

    def district_path(self, code: str) -> Path:
        """The SQLite file of a district."""
        return self.folder / "districts" / f"{check_code(code)}.db"

    @contextmanager
    def lock(self, *, alone: bool = False) -> Generator[None, None, None]:
        """Be the one process that writes (SQLite), or one of those that do; a restore is `alone` on PostgreSQL too.

        Raises ``DatabaseBusy``. The file names the holder's process and, once ``announce`` was called, where it
        listens. A restore that was interrupted after all was prepared is finished first.
        """
        url, path = self._settings.libpq_url, self.lock_path
        with advisory_lock(url, alone=alone) if self.postgres else file_lock(path):
            self._finish_restore()
            yield

    def _finish_restore(self) -> None:
        if not self.postgres:
            if swap.is_pending(self.folder):
                swap.finish(self.folder, self._settings.keys_folder)
        elif swap.keys_are_prepared(self._settings.keys_folder):
            # keys are prepared after the side schemas, which are renamed in one transaction: gone means done
            prepared = Database(self._settings, prepared=True)
            try:
                with told_unavailable("The PostgreSQL of WANGGE_DATABASE_URL"):
                    waits = prepared.has_schema()
            finally:
                prepared.close()
            if not waits:
                swap.place_keys(self._settings.keys_folder, wall_ms())

    def has_schema(self) -> bool:
        """Whether the schema of the directory is there (PostgreSQL)."""
        with self._directory().connect() as connection:
            return inspect(connection).has_schema(self.schema())

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


def _private(path: Path) -> Path:
    """A file that is its owner's alone, in a folder that is, made where there is none."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # A file that is there is not opened: to close it again would take SQLite's locks on it from this process.
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    return path
