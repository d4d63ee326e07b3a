"""Fifty thousand documents move: pushes get their turn, a server that dies goes on, and every phone ends right.

Per commit a tenth of them (``WANGGE_SEEDS`` as of ``make soak``: all). Turns are counted in pieces, never timed.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import shutil
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from server.writer import Writer
from sync.administration import new_batch
from sync.commit import Context, write
from sync.config import ConfigCache
from sync.content import id_bytes
from sync.push import push_work
from sync.reassign import Budget, reassign_work
from sync.sql_store import SqlStore
from sync.values import Collection
from tests.simulation.world import CELLS, DISTRICT, OpenKeys, SeededChance, World, user_id

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sync.store import Tx

HOMES = 50_000 if os.environ.get("WANGGE_SEEDS") else 5_000
PUSHES = 20
FROM, TO = CELLS[0], CELLS[1]


def fill(world: World, count: int) -> None:
    """Homes in the cell that is to vanish; cheap rows, written a few thousand at a time."""
    for start in range(0, count, 5_000):

        def work(tx: Tx, context: Context, start: int = start) -> None:
            batch = new_batch(tx, context)
            for number in range(start, min(start + 5_000, count)):
                key = f"01998d6f-3c00-7000-8000-{number:012x}"
                values = {"id": key, "cell": FROM}
                batch.create(
                    Collection.households,
                    id_bytes(Collection.households, key),
                    values,
                    cell=world.cells[FROM],
                )
            write(tx, batch, context, "fill")

        world.commit(work)


def seen(world: World, device: str, user: str) -> set[str]:
    """Every home that a new phone is given."""
    world.register(device, user)
    world.server_page = 1000
    held: set[str] = set()
    checkpoint: Any = None
    while True:
        page = json.loads(world.pull(device, user, "households", checkpoint, 1000)[1])
        if not page["documents"]:
            return held
        checkpoint = page["checkpoint"]
        held |= {doc["id"] for doc in page["documents"] if not doc["_deleted"]}


def begin(count: int) -> World:
    world = World(5)
    world.grant("an", "grid_worker", cell=FROM)
    world.grant("bo", "grid_worker", cell=TO)
    world.grant("cui", "clerk", unit="centre")
    fill(world, count)
    world.new_edition(merged=True)
    return world


@pytest.fixture
def world() -> Iterator[World]:
    found = begin(HOMES)
    yield found
    found.close()


def context_of(store: SqlStore) -> Any:
    configs = ConfigCache(DISTRICT)
    chance = SeededChance(9)
    return lambda actor: Context(1_800_000_000_000, 1_800_000_000_000, chance, OpenKeys(), configs, actor)


@pytest.mark.anyio
async def test_pushes_are_answered_between_two_pieces(world: World) -> None:
    """MA1: whoever pushes waits for the piece under way and for the one that shares his commit, no longer."""
    writer = Writer(world.store, context_of(world.store))
    writer.start()
    world.register("phone", "bo")
    caller = world.caller("phone", "bo")
    pieces, waited = 0, []

    async def pushes() -> None:
        for number in range(PUSHES):
            capture = {
                "id": world.new_id(),
                "kind": "request",
                "title": "灯",
                "captured_at": 1,
                "w": f"{number + 1}:x",
            }
            body = json.dumps([{"newDocumentState": capture}]).encode()
            before = pieces
            answer = json.loads(await writer.submit(push_work(caller, Collection.cases, body)))
            assert answer[0]["status"] == "submitted"
            waited.append(pieces - before)

    pushing = asyncio.create_task(pushes())
    looked = 0
    while True:
        piece = await writer.submit(reassign_work(Budget(100)), unhurried=True)
        if piece.pk is None:
            break
        assert piece.looked_at <= 100
        looked += piece.looked_at
        pieces += 1
        await asyncio.sleep(0)
    assert pieces >= HOMES // 100 > PUSHES, "while documents were on their way"
    await pushing
    writer.stop()
    assert max(waited) <= 2
    assert looked >= HOMES
    assert seen(world, "of the heir", "bo") == seen(world, "of the centre", "cui") != set()
    assert seen(world, "of the past", "an") == set()


def _go_on(path: str, ready: Any) -> None:
    store = SqlStore.sqlite(Path(path))
    make = context_of(store)
    while True:
        piece = store.write(lambda tx: reassign_work(Budget(100))(tx, make("reassign")))
        ready.put(piece.moved)


def test_a_server_that_is_killed_in_the_middle_goes_on_where_it_was(world: World, tmp_path: Path) -> None:
    """MA2: by SIGKILL, at whatever instruction it is; nothing moves twice, nothing is left."""
    assert world.folder is not None
    phone = world.caller if world.register("old", "an") else None
    del phone
    world.store.close()
    spawn = multiprocessing.get_context("spawn")
    moved = 0
    for _ in range(3):
        ready = spawn.Queue()
        child = spawn.Process(target=_go_on, args=(str(world.folder / "d.db"), ready))
        child.start()
        for _ in range(7):
            moved += ready.get(timeout=120)
        os.kill(child.pid or 0, signal.SIGKILL)
        child.join()
    shutil.copy(world.folder / "d.db", tmp_path / "as-it-was.db")
    world.store = SqlStore.sqlite(world.folder / "d.db")
    with world.store.read() as reader:
        (row,) = reader.find("reassignment", {"state": "running"})
    assert 0 < moved <= row["moved"] < HOMES, "in the middle"
    while world.reassign(500).pk is not None:
        pass
    with world.store.read() as reader:
        left = reader.find("closed_place", {"collection": int(Collection.households)}, columns=["doc_pk"])
    assert len(left) == len({line["doc_pk"] for line in left}) == HOMES
    assert len(seen(world, "of the heir", "bo")) == len(seen(world, "of the centre", "cui")) == HOMES
    assert seen(world, "of the past", "an") == set()
    assert user_id("an")
