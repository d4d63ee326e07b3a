"""Pokes: at once after connecting, then rarely, never lost, never with content."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from server import pokes
from server.clocks import monotonic_ms
from server.pokes import Hub

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

pytestmark = pytest.mark.anyio
LONG = 60_000


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Hub:
    monkeypatch.setattr(pokes, "COALESCE_MS", 0)
    return Hub()


async def event(stream: AsyncGenerator[bytes, None]) -> dict[str, object]:
    text = (await asyncio.wait_for(anext(stream), 10)).decode()
    assert text.startswith("event: RESYNC\ndata: ")
    assert text.endswith("\n\n")
    found: dict[str, object] = json.loads(text.split("data: ")[1])
    return found


async def always() -> bool:
    return True


async def opened(
    hub: Hub, user: int = 1, district: str = "d", life: int = LONG, still: Any = always
) -> AsyncGenerator[bytes, None]:
    stream = hub.stream(district, user, 7, life, still)
    retry = (await anext(stream)).decode()
    assert 3000 <= int(retry.removeprefix("retry: ")) <= 15000
    assert await event(stream) == {"collections": None, "head": 7}
    return stream


async def test_a_stream_begins_with_a_poke_since_something_may_have_been_missed(hub: Hub) -> None:
    stream = await opened(hub)
    assert hub.streams == 1
    await stream.aclose()
    assert hub.streams == 0


async def test_many_commits_before_a_phone_is_told_are_one_poke(hub: Hub) -> None:
    stream = await opened(hub)
    for head, collection in ((8, "cases"), (9, "tasks"), (10, "cases")):
        hub.poke("d", head, [collection])
    assert await event(stream) == {"collections": ["cases", "tasks"], "head": 10}
    hub.poke("d", 11)
    assert await event(stream) == {"collections": None, "head": 11}
    await stream.aclose()


async def test_pokes_reach_the_district_and_the_users_they_are_for(hub: Hub) -> None:
    streams = [await opened(hub, 1), await opened(hub, 2), await opened(hub, 3, district="e")]
    hub.poke("d", 8, users=[2])
    hub.poke("e", 5)
    assert (await event(streams[1]))["head"] == 8
    assert (await event(streams[2]))["head"] == 7
    hub.poke("d", 9)
    assert (await event(streams[0]))["head"] == 9
    for stream in streams:
        await stream.aclose()


async def test_a_poke_may_come_from_any_thread(hub: Hub) -> None:
    stream = await opened(hub)
    await asyncio.to_thread(hub.poke, "d", 8)
    assert (await event(stream))["head"] == 8
    await stream.aclose()


async def test_a_second_poke_waits_for_its_time(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0
    monkeypatch.setattr(pokes, "monotonic_ms", lambda: now)
    monkeypatch.setattr(pokes, "COALESCE_MS", 20)
    stream = await opened(hub)
    hub.poke("d", 8)
    waiting = asyncio.ensure_future(anext(stream))
    await asyncio.wait([waiting], timeout=0.1)
    assert not waiting.done(), "by the clock of the hub no time has passed"
    now = 20
    assert b'"head":8' in await asyncio.wait_for(waiting, 10)
    await stream.aclose()


async def test_a_quiet_stream_shows_that_it_lives(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pokes, "HEARTBEAT_MS", 1)
    stream = await opened(hub)
    assert await anext(stream) == b": \n\n"
    await stream.aclose()


async def test_a_stream_ends_with_its_token(hub: Hub) -> None:
    stream = await opened(hub, life=1)
    with pytest.raises(StopAsyncIteration):
        await asyncio.wait_for(anext(stream), 10)


async def test_a_stream_ends_untold_when_its_session_does(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """ES5: asked before a poke, before a heartbeat, and at once when a session is known to have ended."""
    stands = [True]

    async def still() -> bool:
        return stands[0]

    for wake in ("poke", "heartbeat", "doubt"):
        stands[0] = True
        stream = await opened(hub, still=still)
        if wake == "heartbeat":
            monkeypatch.setattr(pokes, "HEARTBEAT_MS", 1)
            assert await anext(stream) == b": \n\n"
        waiting = asyncio.ensure_future(anext(stream))
        stands[0] = False
        if wake != "heartbeat":
            hub.poke("d", 8 if wake == "poke" else 0, None if wake == "poke" else ())
        with pytest.raises(StopAsyncIteration):
            await asyncio.wait_for(waiting, 10)
        monkeypatch.setattr(pokes, "HEARTBEAT_MS", 15_000)
    assert hub.streams == 0


async def test_a_stream_that_is_only_asked_about_tells_nothing(hub: Hub) -> None:
    stream = await opened(hub)
    waiting = asyncio.ensure_future(anext(stream))
    hub.poke("d", 0, ())
    await asyncio.wait([waiting], timeout=0.1)
    assert not waiting.done()
    hub.poke("d", 8, ["cases"])
    assert b'"head":8' in await asyncio.wait_for(waiting, 10)
    await stream.aclose()


async def test_closing_ends_every_stream_also_one_that_is_about_to_tell(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pokes, "COALESCE_MS", LONG)
    quiet, busy = await opened(hub, 1), await opened(hub, 2)
    waiting = [asyncio.ensure_future(anext(stream)) for stream in (quiet, busy)]
    await asyncio.sleep(0)
    hub.poke("d", 8, users=[2])
    await asyncio.sleep(0)
    await asyncio.to_thread(hub.close)
    for task in waiting:
        with pytest.raises(StopAsyncIteration):
            await asyncio.wait_for(task, 10)
    assert hub.streams == 0


async def test_a_ticket_opens_once_and_not_late(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    ticket = hub.ticket("wang")
    assert hub.redeem(ticket) == "wang"
    assert hub.redeem(ticket) is None
    assert hub.redeem("guess") is None
    late = hub.ticket("wang")
    at = monotonic_ms()
    monkeypatch.setattr(pokes, "monotonic_ms", lambda: at + pokes.TICKET_MS)
    assert hub.redeem(late) is None


async def test_commits_that_come_before_the_streams_are_walked_through_are_one_round(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pokes, "MANY_STREAMS", 1)
    streams = [await opened(hub, user) for user in range(3)]
    walks: list[int] = []
    tell = hub._tell

    def counted(*args: Any) -> None:
        walks.append(args[2].head)
        tell(*args)

    monkeypatch.setattr(hub, "_tell", counted)
    for head in range(8, 108):
        hub.poke("d", head, ["cases"])
    for stream in streams:
        assert await event(stream) == {"collections": ["cases"], "head": 107}
        await stream.aclose()
    assert walks == [107]


async def test_a_district_without_streams_keeps_nothing_for_later(hub: Hub) -> None:
    hub.poke("d", 9)
    stream = await opened(hub)
    hub.poke("d", 10)
    assert (await event(stream))["head"] == 10
    await stream.aclose()
    hub.poke("d", 11)
    assert hub._rounds == {}


async def test_a_poke_for_later_comes_once(hub: Hub) -> None:
    stream = await opened(hub, 1)
    for _ in range(3):
        hub.poke_later("d", 1, 1)
    assert hub._later == {("d", 1)}
    assert (await event(stream))["collections"] is None
    assert hub._later == set()
    await stream.aclose()
    assert hub._by_user == {}


async def test_of_a_mass_re_assignment_streams_are_told_at_instants_of_their_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """ES6: not all phones in one second, and however many commits it takes, each phone once."""
    monkeypatch.setattr(pokes, "COALESCE_MS", 0)
    drawn = iter(range(0, 60_000, 1000))
    hub = Hub(draw=lambda window: next(drawn) % window)
    loop = asyncio.get_running_loop()
    later: list[tuple[float, Any]] = []

    def call_later(delay: float, told: Any, *args: Any) -> None:
        later.append((delay, lambda: told(*args)))

    streams = [await opened(hub, user) for user in range(5)]
    with monkeypatch.context() as patched:
        patched.setattr(loop, "call_later", call_later)
        for head in (8, 9, 10):
            hub.poke_spread("d", head, 60_000)
            await asyncio.sleep(0)
    assert sorted(delay for delay, _ in later) == [0, 1, 2, 3, 4]
    waiting = [asyncio.ensure_future(event(stream)) for stream in streams]
    await asyncio.sleep(0)
    assert not any(one.done() for one in waiting), "nobody hears before his instant"
    for _, tell in later:
        tell()
    assert [await one for one in waiting] == [{"collections": None, "head": 10}] * 5
    for stream in streams:
        await stream.aclose()


async def test_with_no_window_everybody_is_told_at_once(hub: Hub) -> None:
    stream = await opened(hub)
    hub.poke_spread("d", 9, 0)
    assert await event(stream) == {"collections": None, "head": 9}
    await stream.aclose()
