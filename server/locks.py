"""Who may use a database: one process at a time on SQLite; on PostgreSQL everybody together, or a restore alone."""

import contextlib
import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from sync.errors import SyncError
from sync.sql_store import told_unavailable

_ADVISORY = 0x77616E676765  # "wangge"


class DatabaseBusy(SyncError):
    """Another process of this program has the database."""

    code = "database_busy"
    status = 503


@contextmanager
def file_lock(path: Path) -> Generator[None, None, None]:
    """Be the one process that has the file `path`, which names it; raises ``DatabaseBusy``."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
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


@contextmanager
def advisory_lock(url: str, *, alone: bool) -> Generator[None, None, None]:
    """Be one of those who use the PostgreSQL at `url`, or be alone with it; raises ``DatabaseBusy``."""
    import psycopg  # not for a server on SQLite

    with told_unavailable("The PostgreSQL of WANGGE_DATABASE_URL"):
        connection = psycopg.connect(url, autocommit=True)
    with connection:
        kind = "" if alone else "_shared"
        row = connection.execute(f"select pg_try_advisory_lock{kind}({_ADVISORY})".encode()).fetchone()
        if row is None or not row[0]:
            raise DatabaseBusy(
                "A server or a command uses this database: stop them first."
                if alone
                else "A restore has this database: wait for its end."
            )
        try:
            yield
        finally:
            # A server that only sees the connection close gives the lock back some time later.
            with contextlib.suppress(psycopg.Error):  # it may be gone itself
                connection.execute(f"select pg_advisory_unlock{kind}({_ADVISORY})".encode())
