"""A reader never passes a change that can still appear: sixteen writers that dawdle before their commit.

The naive cursor, a sequence and `seq > last seen`, is the positive control: on the same database, with the
same writers and the same reader, it loses rows. In one process nothing waits for a clock: writers dawdle until the
reader has read. In several they sleep, and nothing depends on how long.
"""

from __future__ import annotations

import random
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from sync.sql_store import SqlStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sync.sql_store import SqlTx

WRITERS = 16
ROUNDS = 12
ROOT = Path(__file__).parents[2]


class Pace:
    """Lets a writer dawdle until the reader has read `reads` times more."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._reads = 0
        self._over = False

    def read_once(self) -> None:
        with self._changed:
            self._reads += 1
            self._changed.notify_all()

    def dawdle(self, reads: int) -> None:
        with self._changed:
            until = self._reads + reads
            self._changed.wait_for(lambda: self._reads >= until or self._over)

    def end(self) -> None:
        with self._changed:
            self._over = True
            self._changed.notify_all()


def follow(
    write: Callable[[int, int, Callable[[], None]], int],
    read_after: Callable[[int], list[int]],
) -> tuple[set[int], set[int]]:
    """Numbers written and numbers the reader saw, following its cursor while sixteen writers write."""
    pace = Pace()
    seen: set[int] = set()
    cursor = 0

    def writer(number: int) -> set[int]:
        chance = random.Random(number)
        return {write(number, turn, lambda: pace.dawdle(chance.randrange(4))) for turn in range(ROUNDS)}

    def read() -> None:
        nonlocal cursor
        found = read_after(cursor)
        seen.update(found)
        cursor = max([cursor, *found])
        pace.read_once()

    with ThreadPoolExecutor(WRITERS) as pool:
        writers = [pool.submit(writer, number) for number in range(WRITERS)]
        try:
            while not all(one.done() for one in writers):
                read()
        finally:
            pace.end()
        written = set().union(*(one.result() for one in writers))
    read()
    read()
    return written, seen


@pytest.fixture(params=["sqlite", "postgresql"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], SqlStore]]:
    """Opens the same district once more, as another process would."""
    stores: list[SqlStore] = []

    def another() -> SqlStore:
        if request.param == "sqlite":
            stores.append(SqlStore.sqlite(tmp_path / "d.db"))
        else:
            stores.append(SqlStore.postgresql(request.getfixturevalue("fresh_pg_url"), "d_commit_order"))
        return stores[-1]

    another().create()
    yield another
    for store in stores:
        store.close()


def test_the_naive_cursor_over_a_sequence_loses_rows(pg_url: str) -> None:
    with psycopg.connect(pg_url, autocommit=True) as made:
        made.execute("drop table if exists naive")
        made.execute("create table naive (seq bigserial primary key, writer int)")
    reader = psycopg.connect(pg_url, autocommit=True)
    writers = [psycopg.connect(pg_url) for _ in range(WRITERS)]
    try:

        def write(number: int, turn: int, dawdle: Callable[[], None]) -> int:
            with writers[number].transaction():
                row = (
                    writers[number]
                    .execute("insert into naive (writer) values (%s) returning seq", (number,))
                    .fetchone()
                )
                dawdle()
            assert row
            return int(row[0])

        def read_after(cursor: int) -> list[int]:
            return [row[0] for row in reader.execute("select seq from naive where seq > %s", (cursor,))]

        written, seen = follow(write, read_after)
    finally:
        for connection in (reader, *writers):
            connection.close()
    assert len(written) == WRITERS * ROUNDS
    assert written - seen, "the control did not fail: the reader met no row that was committed late"


def test_the_district_clock_loses_none(opened: Callable[[], SqlStore]) -> None:
    writers = [opened() for _ in range(WRITERS)]
    store = opened()

    def write(number: int, turn: int, dawdle: Callable[[], None]) -> int:
        def work(tx: SqlTx) -> int:
            seq = tx.number()
            tx.put("series", {"name": f"{number}-{turn}", "value": seq})
            dawdle()
            return seq

        return writers[number].write(work)

    def read_after(cursor: int) -> list[int]:
        with store.read() as reader:
            head = reader.head().seq
            found = [row["value"] for row in reader.find("series", {"value__gt": cursor})]
        assert max([cursor, *found]) <= head  # head and rows belong to one snapshot
        assert sorted(found) == list(range(cursor + 1, cursor + 1 + len(found)))  # no hole is ever seen
        return found

    written, seen = follow(write, read_after)
    assert written == seen == set(range(1, WRITERS * ROUNDS + 1))


def test_a_number_taken_by_a_write_that_fails_is_not_missed(opened: Callable[[], SqlStore]) -> None:
    store = opened()

    class BrokenError(Exception):
        pass

    def fails(tx: SqlTx) -> None:
        tx.put("series", {"name": "lost", "value": tx.number()})
        raise BrokenError

    with pytest.raises(BrokenError):
        store.write(fails)
    store.write(lambda tx: tx.put("series", {"name": "kept", "value": tx.number()}))
    with store.read() as reader:
        assert reader.head().seq == 1
        assert reader.find("series") == [{"name": "kept", "value": 1}]


def dawdlers(url: str, schema: str) -> list[subprocess.Popen[bytes]]:
    """Sixteen writers in four processes."""
    words = [sys.executable, "-m", "tests.contract.dawdlers", url, schema]
    return [subprocess.Popen([*words, str(4 * number)], cwd=ROOT) for number in range(4)]


def keep_all(
    processes: list[subprocess.Popen[bytes]], read_after: Callable[[int], list[int]]
) -> list[set[int]]:
    """What three readers have seen, each following a cursor of its own until the writers have ended."""

    def reader(_: int) -> set[int]:
        seen, cursor, over = set[int](), 0, False
        while not over:
            over = all(process.poll() is not None for process in processes)
            found = read_after(cursor)
            seen.update(found)
            cursor = max([cursor, *found])
        return seen

    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(reader, range(3)))
    assert [process.wait() for process in processes] == [0] * 4
    return found


@pytest.mark.postgres
def test_sixteen_writers_in_four_processes_leave_no_gap_behind_any_reader(fresh_pg_url: str) -> None:
    store = SqlStore.postgresql(fresh_pg_url, "d_order")
    store.create()

    def read_after(cursor: int) -> list[int]:
        with store.read() as reader:
            head = reader.head().seq
            found = sorted(row["value"] for row in reader.find("series", {"value__gt": cursor}))
        assert found == list(
            range(cursor + 1, head + 1)
        )  # ST2: all there is up to the head, and nothing above
        return found

    try:
        kept = keep_all(dawdlers(fresh_pg_url, "d_order"), read_after)
        with store.read() as reader:
            head = reader.head().seq
    finally:
        store.close()
    assert head >= 16 * 25
    assert kept == [set(range(1, head + 1))] * 3


@pytest.mark.postgres
def test_the_same_writers_leave_gaps_behind_readers_of_a_sequence(fresh_pg_url: str) -> None:
    with psycopg.connect(fresh_pg_url, autocommit=True) as made:
        made.execute("create table naive (seq bigserial primary key, writer int)")

        def read_after(cursor: int) -> list[int]:
            with psycopg.connect(fresh_pg_url, autocommit=True) as reader:
                return [row[0] for row in reader.execute("select seq from naive where seq > %s", (cursor,))]

        kept = keep_all(dawdlers(fresh_pg_url, "naive"), read_after)
        written = {row[0] for row in made.execute("select seq from naive")}
    assert len(written) == 16 * 25
    assert all(written - seen for seen in kept), "the control did not fail"
