"""What the migrations build is what the rows declare, on both databases."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from server.database import BadDistrict, Database
from server.migrations.run import Tree, config_of, newest, revisions
from server.settings import Settings
from sync.tables import DirectoryRow, DistrictRow

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Engine, MetaData


def differences(engine: Engine, metadata: MetaData) -> list[object]:
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return list(compare_metadata(context, metadata))


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    url = "" if request.param == "sqlite" else request.getfixturevalue("fresh_pg_url")
    return Settings(data=str(tmp_path), database_url=url, purpose="test")


def test_a_migrated_district_has_the_tables_that_the_rows_declare(settings: Settings) -> None:
    database = Database(settings)
    database.migrate_directory()
    entry = database.add_district("990101", "涧东区", "涧东", demo=False, now=7)
    assert entry.schema_version == newest("district")
    store = database.open_store("990101")
    try:
        assert differences(store.engine, DistrictRow.metadata) == []
        assert differences(database._directory(), DirectoryRow.metadata) == []
        with store.read() as reader:
            assert reader.head().epoch == 1
    finally:
        store.close()
        database.close()


@pytest.mark.parametrize("tree", get_args(Tree))
def test_the_revisions_are_those_of_the_tree_newest_first(tree: Tree) -> None:
    """They are read from the files themselves, so that a server need not carry what runs them."""
    walked = ScriptDirectory.from_config(config_of(tree)).walk_revisions()
    assert revisions(tree) == [script.revision for script in walked]


def test_migrating_again_changes_nothing(settings: Settings) -> None:
    database = Database(settings)
    for _ in range(2):
        database.migrate_directory()
    database.add_district("990101", "涧东区", "涧东", demo=False, now=7)
    assert database.migrate_district("990101") == newest("district")
    assert [entry.code for entry in database.districts()] == ["990101"]
    database.close()


def test_districts_do_not_see_each_other(settings: Settings) -> None:
    database = Database(settings)
    database.migrate_directory()
    for code in ("990101", "990102"):
        database.add_district(code, code, code, demo=False, now=7)
    stores = [database.open_store(code) for code in ("990101", "990102")]
    stores[0].write(lambda tx: tx.number())
    heads = []
    for store in stores:
        with store.read() as reader:
            heads.append(reader.head().seq)
        store.close()
    database.close()
    assert heads == [1, 0]


@pytest.mark.parametrize("code", ["", "a", "A1", "99;drop", "../x", "d" * 25, "directory.db", "99-01"])
def test_a_code_that_could_be_more_than_a_name_is_refused(tmp_path: Path, code: str) -> None:
    database = Database(Settings(data=str(tmp_path)))
    database.migrate_directory()
    with pytest.raises(BadDistrict):
        database.add_district(code, "x", "x", demo=False, now=1)
    database.close()


def test_a_code_is_given_once(settings: Settings) -> None:
    database = Database(settings)
    database.migrate_directory()
    database.add_district("990101", "a", "a", demo=False, now=1)
    with pytest.raises(BadDistrict):
        database.add_district("990101", "b", "b", demo=False, now=1)
    database.close()
