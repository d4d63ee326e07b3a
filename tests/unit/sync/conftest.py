from __future__ import annotations

from contextlib import AbstractContextManager, ExitStack
from typing import TYPE_CHECKING

import pytest

from sync.sql_store import SqlStore
from tests.conftest import ON_POSTGRES
from tests.unit.sync.district import District, make_district

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Databases = Callable[[str], AbstractContextManager[str]]

SCHEMA = "d_made"


@pytest.fixture(scope="session")
def made_district(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("district") / "made.db"
    make_district(path)
    return path


@pytest.fixture(scope="session")
def made_on_postgres(pg_databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with pg_databases("") as url:
        make_district(tmp_path_factory.mktemp("unused"), store=SqlStore.postgresql(url, SCHEMA))
        yield url


@pytest.fixture
def district(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[District]:
    """A district of its own for each story: on SQLite, or on PostgreSQL with ``WANGGE_STORE=postgresql``."""
    with ExitStack() as held:
        if ON_POSTGRES:
            copies: Databases = request.getfixturevalue("pg_databases")
            url = held.enter_context(copies(request.getfixturevalue("made_on_postgres")))
            made = District(tmp_path, store=SqlStore.postgresql(url, SCHEMA))
        else:
            made = District(tmp_path / "district.db", template=request.getfixturevalue("made_district"))
        held.callback(made.close)
        yield made
