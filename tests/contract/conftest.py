"""The two stores under one contract. Each test has an empty district; the tables are made once a run."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from sync.sql_store import SqlStore, open_clock
from sync.tables import DistrictRow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SCHEMA = "d_contract"


@pytest.fixture(scope="session")
def empty_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("contract") / "empty.db"
    store = SqlStore.sqlite(path)
    store.create()
    with store.engine.connect() as connection:
        connection.exec_driver_sql("pragma wal_checkpoint(truncate)")
    store.close()
    return path


@pytest.fixture(scope="session")
def made_schema(pg_url: str) -> str:
    store = SqlStore.postgresql(pg_url, SCHEMA)
    store.create()
    store.close()
    return pg_url


@pytest.fixture(params=["sqlite", "postgresql"])
def another(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], SqlStore]]:
    """Opens the same empty district once more, as another process would."""
    stores: list[SqlStore] = []
    path = tmp_path / "district.db"

    def opened() -> SqlStore:
        if request.param == "sqlite":
            stores.append(SqlStore.sqlite(path))
        else:
            stores.append(SqlStore.postgresql(request.getfixturevalue("made_schema"), SCHEMA))
        return stores[-1]

    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("empty_file"), path)
    else:
        store = opened()
        tables = ", ".join(f'"{name}"' for name in DistrictRow.metadata.tables)
        with store.engine.begin() as connection:
            connection.exec_driver_sql(f"truncate {tables}")
            connection.exec_driver_sql("insert into clock values (1, 0, 1, 1, 0)")
            connection.exec_driver_sql("insert into epoch values (1, 0)")
        store.write(open_clock)
    yield opened
    for store in stores:
        store.close()


@pytest.fixture
def store(another: Callable[[], SqlStore]) -> SqlStore:
    return another()
