"""How a plan is cut into pages, and what comes first (FL1, FL2)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from sync import pull as pulling
from sync.errors import BadLimit
from sync.values import Collection
from tests.simulation.world import CELLS, World

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def world() -> Iterator[World]:
    """A worker of the first cell with a phone that writes, and a colleague who will come."""
    made = World(0)
    made.grant("an", "grid_worker", cell=CELLS[0])
    made.register("phone-1", "an")
    yield made
    made.close()


def write(world: World, count: int, text: str = "楼道堆物") -> list[str]:
    ids = [world.new_id() for _ in range(count)]
    rows = [
        {
            "newDocumentState": {
                "id": key,
                "kind": "dispute",
                "title": "一",
                "description": text,
                "location": {
                    "lon": 112.40055,
                    "lat": 34.66045,
                    "crs": "wgs84",
                    "accuracy_m": 5,
                    "confidence": 68,
                    "source": "gps",
                },
                "captured_at": world.now,
                "w": f"{number + 1}:{world.new_id()}",
            }
        }
        for number, key in enumerate(ids)
    ]
    world.push("phone-1", "an", "cases", json.dumps(rows).encode())
    return ids


def page(
    world: World, user: str, checkpoint: Any, *, page_bytes: Any = None, limit: int = 1
) -> tuple[list[dict[str, Any]], Any, int]:
    """Documents, checkpoint and bytes of one page."""
    device = {"an": "phone-1", "bo": "phone-2"}[user]
    caller = world.caller(device, user)
    with world.store.read() as reader:
        config = world.configs.get(reader)
        found = pulling.pull(
            reader, config, caller, Collection.cases, checkpoint, limit,
            keys=world.keys, now=world.now, page_bytes=page_bytes,
        )  # fmt: skip
    body = json.loads(found.body)
    return body["documents"], body["checkpoint"], len(found.body)


def walk(world: World, user: str, checkpoint: Any = None, **options: Any) -> list[list[dict[str, Any]]]:
    pages: list[list[dict[str, Any]]] = []
    while True:
        documents, checkpoint, _ = page(world, user, checkpoint, **options)
        if not documents:
            return pages
        pages.append(documents)


def test_a_page_has_half_a_megabyte_unless_the_phone_wishes_otherwise(world: World) -> None:
    write(world, 700, "两户为楼道堆物争吵，已上门两次。" * 25)
    sizes = {}
    for wish, most in ((None, 512 << 10), (1, 16 << 10), (64 << 10, 64 << 10), (1 << 30, 1 << 20)):
        _, checkpoint, size = page(world, "an", None, page_bytes=wish)
        assert checkpoint["h"] is not None, "there is more"
        assert most <= size < most + 4_096, wish  # FL1: it ends with the document that reaches it
        sizes[wish] = size
    assert len({json.dumps(size) for size in sizes.values()}) == 4
    assert sum(len(found) for found in walk(world, "an", page_bytes=1)) == 700
    wrong: tuple[Any, ...] = (0, -1, "64k", 1.5, True)
    for odd in wrong:
        with pytest.raises(BadLimit):
            page(world, "an", None, page_bytes=odd)


def test_a_page_has_a_thousand_documents_at_most(world: World) -> None:
    for _ in range(3):
        write(world, 400, "")
    pages = walk(world, "an", page_bytes=1 << 20)
    assert [len(found) for found in pages] == [1000, 200]


def test_a_limit_still_means_at_least_so_many(world: World) -> None:
    write(world, 60, "长" * 3_000)
    found, _, size = page(world, "an", None, limit=50, page_bytes=1)
    assert len(found) == 50
    assert size > 256 << 10  # fewer would end the pull of an RxDB client


def test_a_new_phone_gets_open_cases_before_closed_ones_over_all_pages(world: World) -> None:
    ids = write(world, 30)
    for key in ids[::2]:
        world.set_status(key, "closed")
    world.grant("bo", "grid_worker", cell=CELLS[0])
    world.register("phone-2", "bo")
    found = [doc for documents in walk(world, "bo", limit=4) for doc in documents]
    assert {doc["id"] for doc in found} == set(ids)
    assert [doc["status"] for doc in found] == ["submitted"] * 15 + ["closed"] * 15  # FL2


def test_what_goes_comes_before_what_comes(world: World) -> None:
    write(world, 10)
    world.grant("bo", "grid_worker", cell=CELLS[0])
    world.register("phone-2", "bo")
    _, checkpoint, _ = page(world, "bo", None)
    held = {doc["id"] for documents in walk(world, "bo") for doc in documents}
    here = write(world, 5)
    for key in here:
        world.move(key, CELLS[1])
    world.end_grant("bo", "grid_worker", cell=CELLS[0])
    world.grant("bo", "grid_worker", cell=CELLS[1])
    found = [doc for documents in walk(world, "bo", checkpoint, limit=3) for doc in documents]
    assert {doc["id"] for doc in found[:10]} == held
    assert [doc["_deleted"] for doc in found] == [True] * 10 + [False] * (
        len(found) - 10
    )  # FL2, over all pages
    assert {doc["id"] for doc in found[10:]} == set(here)
