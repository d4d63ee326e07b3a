"""What only SQLite needs: a library without the defect of its log, WAL and FULL, readers that cannot write."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pysqlite3
import pytest

from sync import sql_store
from sync.errors import StoreUnavailable
from sync.sql_store import SQLITE_MINIMUM, SqlStore, postgres_engine, sqlite_engine, sqlite_version

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sync.store import Reader


def test_the_library_in_use_is_new_enough() -> None:
    assert SQLITE_MINIMUM == (3, 51, 3)
    assert sqlite_version() >= SQLITE_MINIMUM


@pytest.mark.parametrize("version", ["3.7.0", "3.40.1", "3.51.2"])
def test_a_library_that_can_damage_a_database_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    monkeypatch.setattr(pysqlite3, "sqlite_version", version)
    with pytest.raises(StoreUnavailable, match=r"3\.51\.3"):
        SqlStore.sqlite(tmp_path / "d.db")
    assert not (tmp_path / "d.db").exists()


def test_versions_are_compared_as_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pysqlite3, "sqlite_version", "3.100.0")
    SqlStore.sqlite(tmp_path / "d.db").close()


@pytest.mark.parametrize("readonly", [False, True])
def test_every_connection_has_the_log_and_waits_for_the_disk(tmp_path: Path, readonly: bool) -> None:
    store = SqlStore.sqlite(tmp_path / "d.db")
    store.create()
    engine = store.reader if readonly else store.engine
    with engine.connect() as connection:
        read = {
            name: connection.exec_driver_sql(f"pragma {name}").scalar()
            for name in (
                "journal_mode",
                "synchronous",
                "foreign_keys",
                "trusted_schema",
                "secure_delete",
                "query_only",
            )
        }
    store.close()
    assert read == {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "trusted_schema": 0,
        "secure_delete": 1,
        "query_only": int(readonly),
    }


@pytest.mark.parametrize("weaker", ["journal_mode=DELETE", "synchronous=NORMAL"])
def test_a_connection_that_got_less_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, weaker: str
) -> None:
    monkeypatch.setattr(sql_store, "_PRAGMAS", (*sql_store._PRAGMAS, weaker))
    engine = sqlite_engine(tmp_path / "d.db")
    with pytest.raises(StoreUnavailable, match="WAL and FULL"):
        engine.connect()


def test_a_file_in_a_missing_folder_gets_its_folder(tmp_path: Path) -> None:
    SqlStore.sqlite(tmp_path / "districts" / "410399.db").close()
    assert (tmp_path / "districts").is_dir()


@pytest.mark.parametrize("schema", ["d; drop schema public", "D", "1d", "", 'd"x'])
def test_a_schema_name_that_could_be_more_than_a_name_is_refused(schema: str) -> None:
    with pytest.raises(StoreUnavailable):
        postgres_engine("postgresql://nobody@127.0.0.1:1/none", schema)


def test_a_database_that_cannot_be_reached_is_told_as_such() -> None:
    store = SqlStore.postgresql("postgresql://nobody@127.0.0.1:1/none", "d_1")
    with pytest.raises(StoreUnavailable):
        store.write(lambda tx: tx.number())
    with pytest.raises(StoreUnavailable), store.read() as reader:
        reader.head()
    store.close()


def test_what_is_asked_all_day_is_compiled_once(tmp_path: Path) -> None:
    """A bound collection had each pull compile its five statements again: the half of its time."""
    store = SqlStore.sqlite(tmp_path / "d.db")
    store.create()
    questions = _all_day()
    compiled = 0

    def count(*_: object) -> int:
        nonlocal compiled
        compiled += 1
        return 0  # allowed

    with store.read() as reader:
        reader._driver.set_authorizer(count)  # which SQLite asks while it compiles
        for question in questions:
            question(reader)
        assert compiled > 0, "the count counts"
        compiled = 0
        for question in questions * 2:
            question(reader)
        again = compiled
    store.close()
    assert again == 0


def test_what_is_asked_all_day_never_walks_through_a_whole_collection(tmp_path: Path) -> None:
    """The tasks of fifty cases were found by walking through all tasks of the district."""
    store = SqlStore.sqlite(tmp_path / "d.db")
    store.create()
    asked: list[str] = []
    with store.read() as reader:
        reader._driver.set_trace_callback(asked.append)
        for question in _all_day():
            question(reader)
        reader._driver.set_trace_callback(None)
        plans = {
            text: [str(line[3]) for line in reader._driver.execute(f"explain query plan {text}")]
            for text in asked
            if " document " in text
        }
    store.close()
    assert len(plans) > 10
    # The list of the newest is walked along its index: that is what it is for, and a limit ends it.
    walks = re.compile(r"SCAN document(?! USING INDEX document_recent)|\(collection=\?\)$")
    assert {text: plan for text, plan in plans.items() if any(walks.search(line) for line in plan)} == {}


def _all_day() -> list[Callable[[Reader], object]]:
    many = list(range(1, 60))
    return [
        lambda reader: reader.documents(0, [bytes(16), bytes(range(16))]),
        lambda reader: reader.documents_by_pk(many, seq_over=3),
        lambda reader: reader.children([1, 2]),
        lambda reader: reader.children(many, seq_over=3),
        lambda reader: reader.children(many, collection=4),
        lambda reader: reader.recent(0, below=None, limit=10, statuses=[1, 2]),
        lambda reader: reader.recent(0, below=(9, 9), limit=10, statuses=[1, 2]),
        lambda reader: reader.recent(0, below=None, limit=10),
        lambda reader: reader.recent(0, below=(9, 9), limit=10),
        lambda reader: reader.recent(0, below=(9, 9), limit=10, statuses=[1, 2], place=(0, 1)),
        lambda reader: reader.namings(users=[1]),
        lambda reader: reader.closed_places([1, 2]),
        *(_asked(kind, tags) for kind in range(4) for tags in ([1], list(range(20)))),
    ]


def _asked(kind: int, tags: list[int]) -> Callable[[Reader], object]:
    def question(reader: Reader) -> object:
        reader.left(0, kind, tags, to_over=1, to_upto=9, after=None, limit=128)
        return reader.tagged(0, kind, tags, seq_over=1, seq_upto=9, after=None, limit=128)

    return question
