"""The one writer of a district: order, company in one commit, and nobody's error becomes a neighbour's."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest

from server.keys import DistrictKeys, SystemChance
from server.writer import MAX_GROUP, Writer
from sync.commit import Context, Later
from sync.config import ConfigCache
from sync.errors import Conflict, StoreUnavailable
from sync.sql_store import SqlStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sync.store import Tx
    from sync.values import Head


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqlStore]:
    found = SqlStore.sqlite(tmp_path / "d.db")
    found.create()
    yield found
    found.close()


pytestmark = pytest.mark.anyio


def context(actor: str = "system") -> Context:
    return Context(1, 1, SystemChance(), DistrictKeys(bytes(32)), ConfigCache("d"), actor)


@pytest.fixture
def writer(store: SqlStore) -> Iterator[Writer]:
    found = Writer(store, context)
    found.start()
    yield found
    found.stop()


def number(tx: Any, _: Context) -> int:
    found: int = tx.number()
    return found


def refuse(tx: Any, _: Context) -> int:
    tx.number()
    raise Conflict("not now")


def head(store: SqlStore) -> int:
    with store.read() as reader:
        return reader.head().seq


def held(writer: Writer) -> threading.Event:
    """Keeps the writer busy until the event is set, so that what follows waits together."""
    gate, inside = threading.Event(), threading.Event()

    def wait(*_: Any) -> None:
        inside.set()
        assert gate.wait(10)

    threading.Thread(target=writer.submit_blocking, args=(wait,)).start()
    assert inside.wait(10)
    return gate


async def test_works_are_done_in_the_order_they_came(writer: Writer) -> None:
    gate = held(writer)
    tasks = [asyncio.ensure_future(writer.submit(number)) for _ in range(10)]
    await asyncio.sleep(0)
    gate.set()
    assert await asyncio.gather(*tasks) == list(range(1, 11))


async def test_works_that_wait_together_share_commits(writer: Writer) -> None:
    gate = held(writer)
    before = writer.commits
    tasks = [asyncio.ensure_future(writer.submit(number)) for _ in range(3 * MAX_GROUP)]
    await asyncio.sleep(0)
    gate.set()
    await asyncio.gather(*tasks)
    assert writer.commits - before <= 4


async def test_a_refused_work_leaves_no_trace_and_its_neighbours_stay(
    writer: Writer, store: SqlStore
) -> None:
    gate = held(writer)
    tasks = [asyncio.ensure_future(writer.submit(work)) for work in (number, refuse, number)]
    await asyncio.sleep(0)
    gate.set()
    first, refused, last = await asyncio.gather(*tasks, return_exceptions=True)
    assert (first, last) == (1, 2)
    assert isinstance(refused, Conflict)
    assert head(store) == 2


async def test_an_unexpected_error_reaches_its_submitter_and_the_writer_lives_on(writer: Writer) -> None:
    def broken(*_: Any) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await writer.submit(broken)
    assert await writer.submit(number) == 1


async def test_an_answer_may_be_worked_out_while_the_disk_takes_the_work_in(
    writer: Writer, store: SqlStore
) -> None:
    where: list[str] = []

    def told(tx: Any, _: Context) -> Any:
        found: int = tx.number()

        def make() -> int:
            where.append(threading.current_thread().name)
            return found * 10

        return Later(make)

    gate = held(writer)
    tasks = [asyncio.ensure_future(writer.submit(work)) for work in (told, number, told)]
    await asyncio.sleep(0)
    gate.set()
    assert await asyncio.gather(*tasks) == [10, 2, 30]
    assert await writer.submit(told) == 40
    assert all("answers" in name for name in where)
    assert head(store) == 4


async def test_an_answer_that_fails_reaches_its_submitter_alone(writer: Writer, store: SqlStore) -> None:
    def broken(tx: Any, _: Context) -> Any:
        tx.number()
        return Later(lambda: 1 // 0)

    gate = held(writer)
    tasks = [asyncio.ensure_future(writer.submit(work)) for work in (number, broken, number)]
    await asyncio.sleep(0)
    gate.set()
    first, failed, last = await asyncio.gather(*tasks, return_exceptions=True)
    assert (first, last) == (1, 3)
    assert isinstance(failed, ZeroDivisionError)
    assert head(store) == 3  # it was done; only the telling failed
    with pytest.raises(ZeroDivisionError):
        await writer.submit(broken)


async def test_a_work_is_committed_although_its_submitter_went_away(writer: Writer, store: SqlStore) -> None:
    gate = held(writer)
    task = asyncio.ensure_future(writer.submit(number))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    gate.set()
    assert await writer.submit(number) == 2
    assert head(store) == 2


async def test_too_many_waiting_works_are_refused_with_a_time_to_come_back(store: SqlStore) -> None:
    writer = Writer(store, context, max_waiting=2)
    writer.start()
    gate = held(writer)
    tasks = [asyncio.ensure_future(writer.submit(number)) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(StoreUnavailable) as refused:
        await writer.submit(number)
    assert refused.value.extra["retry_after"] == 5
    gate.set()
    assert await asyncio.gather(*tasks) == [1, 2]
    writer.stop()


async def test_stopping_finishes_what_waits_and_takes_nothing_new(store: SqlStore) -> None:
    writer = Writer(store, context)
    writer.start()
    gate = held(writer)
    tasks = [asyncio.ensure_future(writer.submit(number)) for _ in range(5)]
    await asyncio.sleep(0)
    stopping = asyncio.ensure_future(asyncio.to_thread(writer.stop))
    gate.set()
    assert await asyncio.gather(*tasks) == [1, 2, 3, 4, 5]
    await stopping
    with pytest.raises(StoreUnavailable):
        await writer.submit(number)


async def test_listeners_hear_of_a_commit_before_its_submitter(store: SqlStore) -> None:
    heard: list[int] = []
    writer = Writer(store, context)

    def listen(head: Head) -> None:
        heard.append(head.seq)
        raise ValueError("a listener that fails stops nobody")

    writer.listen(listen)
    writer.start()
    assert await writer.submit(number) == 1
    assert heard == [1]
    await writer.submit(lambda _, __: None)
    assert heard == [1], "nothing moved, nobody is told"
    writer.stop()


def test_a_work_cannot_wait_for_another_work(writer: Writer) -> None:
    with pytest.raises(RuntimeError):
        writer.submit_blocking(lambda _, __: writer.submit_blocking(number))


def test_a_work_knows_for_whom_it_is_done(writer: Writer) -> None:
    assert writer.submit_blocking(lambda _, context: context.actor, actor="cli:root") == "cli:root"


async def test_of_works_nobody_need_hear_of_at_once_phones_hear_over_a_while(store: SqlStore) -> None:
    """ES6: but where a push shares their commit, at once."""
    heard: list[tuple[str, int]] = []
    writer = Writer(store, context)
    writer.listen(
        lambda head: heard.append(("at once", head.seq)),
        unhurried=lambda head: heard.append(("over a while", head.seq)),
    )
    writer.start()
    await writer.submit(number, unhurried=True)
    await writer.submit(number)
    assert heard == [("over a while", 1), ("at once", 2)]
    held, go = threading.Event(), threading.Event()

    def hold(tx: Tx, _: Context) -> None:
        held.set()
        go.wait()

    first = asyncio.ensure_future(writer.submit(hold))
    await asyncio.to_thread(held.wait)
    both = [asyncio.ensure_future(writer.submit(number, unhurried=calm)) for calm in (True, False)]
    await asyncio.sleep(0)
    go.set()
    await asyncio.gather(first, *both)
    assert heard[2:] == [("at once", 4)]
    writer.stop()
