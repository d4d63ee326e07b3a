"""What only PostgreSQL does: a commit that is none, many rows in one stream."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import exc

from sync.errors import StoreUnavailable
from sync.sql_store import SqlStore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sync.sql_store import SqlTx

pytestmark = pytest.mark.postgres


@pytest.fixture
def store(fresh_pg_url: str) -> Iterator[SqlStore]:
    made = SqlStore.postgresql(fresh_pg_url, "d_own")
    made.create()
    yield made
    made.close()


def test_a_transaction_in_which_something_failed_is_never_taken_for_committed(store: SqlStore) -> None:
    def work(tx: SqlTx) -> str:
        tx.put("setting", {"name": "a", "value": "1"})
        with contextlib.suppress(exc.IntegrityError):  # without a savepoint the transaction is lost with it
            tx.insert("clock", [{"id": 1, "seq": 0, "next_pk": 1, "epoch": 1, "config": 0}])
        return "done"

    with pytest.raises(StoreUnavailable):
        store.write(work)
    with store.read() as reader:
        assert reader.find("setting") == []
    assert store.write(lambda tx: tx.number()) == 1  # and the connection is good for the next


@pytest.mark.parametrize("count", [1, 7, 8, 500])
def test_rows_come_back_as_they_were_however_many_go_at_once(store: SqlStore, count: int) -> None:
    rows = [
        {
            "pk": number + 1,
            "user_pk": 1,
            "case_pk": number,
            "denied": number % 2 == 0,
            "v_from": number << 40,
            "v_to": None if number % 3 else 7,
        }
        for number in range(count)
    ]
    words = [
        {"name": f"{number}\t\\N \n 网格 'x\"", "value": "\\." if number % 2 else ""}
        for number in range(count)
    ]

    def work(tx: SqlTx) -> None:
        tx.insert("naming", rows)
        tx.insert("setting", words)

    store.write(work)
    with store.read() as reader:
        assert [row | {"denied": bool(row["denied"])} for row in reader.find("naming", order=["pk"])] == rows
        assert sorted(reader.find("setting"), key=str) == sorted(words, key=str)


def test_a_stream_that_breaks_off_leaves_nothing_and_says_what_it_was(store: SqlStore) -> None:
    double = [{"name": f"{number % 19}", "value": ""} for number in range(20)]
    with pytest.raises(exc.IntegrityError):
        store.write(lambda tx: tx.insert("setting", double))

    def work(tx: SqlTx) -> int:
        with contextlib.suppress(exc.IntegrityError), tx.savepoint():
            tx.insert("setting", double)
        tx.insert("setting", double[:19])
        return tx.number()

    assert store.write(work) == 1
    with store.read() as reader:
        assert len(reader.find("setting")) == 19
