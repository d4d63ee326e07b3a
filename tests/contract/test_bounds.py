"""A reader that does not end must not let the log grow for ever (SQLite; PostgreSQL ends it itself)."""

from __future__ import annotations

import itertools
import threading
from typing import TYPE_CHECKING

import pytest

from sync.errors import StoreUnavailable
from sync.sql_store import SqlStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sync.sql_store import SqlTx


_LETTERS = itertools.cycle("abc")  # what is written once more as it was is not written at all


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqlStore]:
    made = SqlStore.sqlite(tmp_path / "d.db")
    made.create()
    yield made
    made.close()


def write(store: SqlStore, count: int) -> None:
    def work(tx: SqlTx) -> None:
        for number in range(count):
            tx.put("setting", {"name": f"{number % 50}", "value": next(_LETTERS) * 20_000})

    store.write(work)


def test_a_stuck_reader_is_ended_and_the_log_begins_anew(store: SqlStore) -> None:
    stuck, over, told = threading.Event(), threading.Event(), list[str]()

    def read() -> None:
        try:
            with store.read(bounded=True) as reader:
                reader.find("setting")
                stuck.set()
                over.wait(60)
                reader.find("setting")
        except StoreUnavailable:
            told.append("ended")

    thread = threading.Thread(target=read)
    thread.start()
    assert stuck.wait(60)
    for _ in range(20):
        write(store, 50)
    grown = store.log_bytes()
    assert grown > 16 << 20  # past the size at which it would have begun anew
    assert not store.shorten_log()  # somebody reads it
    assert [store.end_long_reads(2) for _ in range(3)] == [0, 0, 1]
    over.set()
    thread.join()
    assert told == ["ended"]
    assert store.shorten_log()
    assert store.log_bytes() == 0
    write(store, 50)
    with store.read(bounded=True) as reader:
        assert len(reader.find("setting")) == 50


def test_a_statement_that_does_not_end_is_ended_too(store: SqlStore) -> None:
    endless = "with recursive n(x) as (values (1) union all select x + 1 from n) select count(*) from n"
    told = list[str]()

    def read() -> None:
        try:
            with store.read(bounded=True) as reader:
                reader._rows(endless, ())
        except StoreUnavailable:
            told.append("ended")

    thread = threading.Thread(target=read)
    thread.start()
    while thread.is_alive():
        store.end_long_reads(2)
        thread.join(0.01)
    assert told == ["ended"]


def test_what_is_meant_to_last_is_left_alone(store: SqlStore) -> None:
    with store.read() as reader:
        assert [store.end_long_reads(0) for _ in range(3)] == [0, 0, 0]
        assert reader.head().seq == 0
