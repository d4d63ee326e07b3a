"""The server dies by SIGKILL in the middle of its work: nothing acknowledged is missing, nothing stands twice."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

import httpx
import psycopg
import pytest

from geo.points import Crs
from server.phones import Account, Phone as SimulatedPhone, check_phone
from server.phones_line import Figures, Line
from tests.faults import district
from tests.faults.launcher import ALL_ROWS, COMMITTED, FIRST_ROW
from tests.story.actors import PASSWORD, Phone, fix_in
from tests.story.process import ServerProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

POINTS = (FIRST_ROW, ALL_ROWS, COMMITTED)
KILLS = int(os.environ.get("WANGGE_KILLS", "10"))  # for each of the two databases
PHONES = 4


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def make_server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[str], ServerProcess]]:
    """Starts servers of a small district, each with a database of its own."""
    with contextlib.ExitStack() as stack:

        def make(name: str) -> ServerProcess:
            url = ""
            if request.param == "postgresql":
                url = stack.enter_context(own_database(request.getfixturevalue("pg_server_url"), name))
            server = ServerProcess(tmp_path / name, district.CODE, "涧东区", "涧东", database_url=url)
            stack.callback(server.kill)
            district.set_up(server)
            return server.start()

        yield make


@contextlib.contextmanager
def own_database(server_url: str, name: str) -> Iterator[str]:
    """`postgresql://...` of an empty database."""
    named = f"wangge_{name}_{os.getpid()}"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE \"{named}\" TEMPLATE template0 ENCODING 'UTF8'".encode())
    yield urlunsplit(urlsplit(server_url)._replace(path=f"/{named}"))
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE "{named}" WITH (FORCE)'.encode())


def a_morning(server: ServerProcess, *, dies_at: str | None) -> tuple[dict[str, Any], list[str]]:
    """Li writes, the server dies or not, Li repeats; what the books say then, and what her colleague reads."""
    li, zhao = Phone(server.url, "li").sign_in(), Phone(server.url, "zhao").sign_in()
    cell = li.pull().sees("cells")[district.CELLS[0]]
    earlier = li.captures(title="井盖破损", kind="request", location=fix_in(cell, Crs.WGS84))
    li.sync()
    before = district.books(server)

    li.captures(title="楼上漏水", description="三楼卫生间漏水", location=fix_in(cell, Crs.GCJ02))
    li.captures(title="噪声", on_spot={"how": "当面劝和", "both_content": True})
    li.edits(earlier, title="井盖破损,已围挡", people_count=3)
    li.notes(earlier, "现场看过")
    li.visits(place_text="便民超市", purpose="safety", outcome="met", notes="提醒用电")
    if dies_at is not None:
        server.die_at(dies_at)
        with pytest.raises(httpx.TransportError):
            li.push()
        assert server.wait_dead() == -signal.SIGKILL
        alone = district.books(server)
        arrived = alone["documents of cases"] - before["documents of cases"]
        assert arrived == (2 if dies_at == COMMITTED else 0)
        assert (alone == before) is (dies_at != COMMITTED)
        server.start()
    assert len(li.unsent()) == 5
    li.sync()
    assert li.unsent() == []
    assert li.sees()[earlier]["title"] == "井盖破损,已围挡"
    zhao.pull()
    assert zhao.sees().keys() == li.sees().keys()
    books, read = district.books(server), district.content(zhao)
    li.sync()  # and once more, for nothing
    assert district.books(server) == books
    for person in (li, zhao):
        person.close()
    return books, read


@pytest.mark.parametrize("point", POINTS)
def test_a_push_that_the_server_did_not_survive_is_repeated_and_leaves_the_books_as_if_nothing_had_been(
    make_server: Callable[[str], ServerProcess], point: str
) -> None:
    killed = a_morning(make_server("killed"), dies_at=point)
    spared = a_morning(make_server("spared"), dies_at=None)
    assert killed == spared


def test_ten_kills_under_load_lose_nothing_that_was_acknowledged(
    make_server: Callable[[str], ServerProcess],
) -> None:
    server = make_server("fire")
    try:
        phones = asyncio.run(under_fire(server))
        acknowledged = {pair for phone in phones for pair in phone.acknowledged}
        assert len(acknowledged) > KILLS * PHONES
        assert sum(phone.repeated for phone in phones) >= KILLS
        server.stop()
        (report,) = server.command("verify")
        assert report["faults"] == []
    finally:
        server.kill()


async def under_fire(server: ServerProcess) -> list[SimulatedPhone]:
    """Phones write and push without end while the server is killed again and again; then all is looked for."""
    chance = random.Random("ten kills")
    figures = Figures()
    up, over, worked = asyncio.Event(), asyncio.Event(), asyncio.Event()
    up.set()

    async def day(phone: SimulatedPhone) -> None:
        await phone.line.sign_in(phone.name)
        while not over.is_set():
            if len(phone.unsent()) < 20:
                phone.work()
            reached = await phone.contact()
            worked.set()
            if not reached:
                await up.wait()

    async def fire() -> None:
        for number in range(KILLS):
            worked.clear()
            if number % 3 == 2:  # from outside, whatever it is doing
                for _ in range(chance.randint(1, 4)):
                    await worked.wait()
                    worked.clear()
                up.clear()
                server.kill()
            else:  # inside a commit
                server.die_at(chance.choice(POINTS), after=chance.randint(0, 6))
                assert await asyncio.to_thread(server.wait_dead) == -signal.SIGKILL
                up.clear()
            await asyncio.to_thread(server.start)
            up.set()
        over.set()

    async with httpx.AsyncClient(base_url=server.url, trust_env=False) as client:
        phones = []
        for number in range(PHONES):
            account = Account(username=("li", "zhao", "sun")[number % 3], password=PASSWORD)
            dice = random.Random(number)
            line = Line(client, account, dice, figures, loss=0.05)
            phones.append(SimulatedPhone(f"{account.username}-{number}", line, dice))
        await asyncio.gather(fire(), *(day(phone) for phone in phones))
        for phone in phones:
            await phone.heal()
            assert phone.unsent() == []
        for phone in phones:
            end = check_phone(phone, *await phone.compare())
            assert [end.missing, end.doubled, end.misplaced, end.diverged] == [[], [], [], []]
            assert end.evicted == 0
    return phones
