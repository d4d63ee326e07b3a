"""Several real server processes on one PostgreSQL: what one commits the phones at the others hear of (FL5).

Nothing here is measured: a stream is read until it tells what it must, and a server that never tells it hangs the test
until patience ends. Each process can be made to hear by one way only, so that the other cannot help out.
"""

from __future__ import annotations

import contextlib
import json
import re
import time
from typing import TYPE_CHECKING, Any

import httpx
import psycopg
import pytest

from geo.points import Crs
from tests.faults import district
from tests.story.actors import PASSWORD, Phone, fix_in
from tests.story.process import PATIENCE, ServerProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.postgres


@pytest.fixture
def begin(tmp_path: Path, fresh_pg_url: str) -> Iterator[Callable[..., ServerProcess]]:
    """Starts one more process of a small district."""
    first = ServerProcess(tmp_path / "data", district.CODE, "涧东区", "涧东", database_url=fresh_pg_url)
    district.set_up(first)
    with contextlib.ExitStack() as stack:

        def one(name: str, only: str = "") -> ServerProcess:
            server = first.another(name)
            stack.callback(server.kill)
            return server.start(ONLY=only)

        yield one


class Stream:
    """One open stream of pokes."""

    def __init__(self, stack: contextlib.ExitStack, server: ServerProcess, bearer: dict[str, str]) -> None:
        client = stack.enter_context(httpx.Client(base_url=server.url, trust_env=False, timeout=PATIENCE))
        self._answer = stack.enter_context(client.stream("GET", "/sync/v1/stream", headers=bearer))
        assert self._answer.status_code == 200
        self._lines = self._answer.iter_lines()
        self.head = 0
        self.next_head()  # the one that comes at once

    def next_head(self) -> int:
        """The head of the next poke."""
        for line in self._lines:
            if line.startswith("data: "):
                self.head = json.loads(line.removeprefix("data: "))["head"]
                return self.head
        raise AssertionError("the stream ended")

    def until(self, head: int) -> None:
        while self.head < head:
            self.next_head()

    def ends(self) -> None:
        """Read to the end."""
        with contextlib.suppress(httpx.RemoteProtocolError):
            for _ in self._lines:
                pass


def sign_in(server: ServerProcess, username: str) -> dict[str, str]:
    body = {"username": username, "password": PASSWORD}
    answer = httpx.post(f"{server.url}/api/v1/sessions", json=body, trust_env=False, timeout=PATIENCE)
    assert answer.status_code == 201, answer.text
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def metric(server: ServerProcess, name: str) -> float:
    text = httpx.get(f"{server.url}/metrics", trust_env=False, timeout=PATIENCE).text
    found = re.search(rf"^{name} (\S+)$", text, re.MULTILINE)
    assert found, name
    return float(found[1])


def wait_for(what: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < until, "it never came to that"
        time.sleep(0.05)  # between two looks


def head_of(server: ServerProcess) -> int:
    store = district.store_of(server)
    try:
        with store.read() as reader:
            return reader.head().seq
    finally:
        store.close()


def writes(server: ServerProcess, username: str = "li") -> int:
    """Somebody captures at this process; the head afterwards."""
    with contextlib.closing(Phone(server.url, username).sign_in()) as phone:
        cell = phone.pull().sees("cells")[district.CELLS[0]]
        phone.captures(title="井盖破损", kind="request", location=fix_in(cell, Crs.WGS84))
        phone.push()
        assert phone.unsent() == []
    return head_of(server)


def end_connections(url: str, words: str) -> int:
    """Have PostgreSQL end the connections whose last statement begins so; how many."""
    with psycopg.connect(url, autocommit=True) as connection:
        rows = connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity "
            "where datname = current_database() and pid <> pg_backend_pid() and query ilike %s",
            (f"{words}%",),
        ).fetchall()
    return len(rows)


@pytest.mark.parametrize("only", ["words", "looks"])
def test_a_push_at_one_process_pokes_the_streams_of_two_others(
    begin: Callable[..., ServerProcess], only: str
) -> None:
    first, second, third = begin("first"), begin("second", only), begin("third", only)
    with contextlib.ExitStack() as stack:
        streams = [Stream(stack, server, sign_in(server, "zhao")) for server in (second, third)]
        for _ in range(2):
            head = writes(first)
            for stream in streams:
                stream.until(head)
        for server in (second, third):
            assert (metric(server, "wangge_words_heard") > 0) is (only == "words")
            assert metric(server, "wangge_listening") == (only == "words")


def test_a_listener_that_was_cut_off_comes_back_and_looks_at_once(
    begin: Callable[..., ServerProcess], fresh_pg_url: str
) -> None:
    first, second = begin("first"), begin("second", "words")
    with contextlib.ExitStack() as stack:
        stream = Stream(stack, second, sign_in(second, "zhao"))
        wait_for(lambda: metric(first, "wangge_listening") == metric(second, "wangge_listening") == 1)
        stream.until(writes(first))
        assert end_connections(fresh_pg_url, "listen ") == 2  # those of both processes
        missed = writes(first)  # while nobody hears
        stream.until(missed)
        wait_for(lambda: metric(second, "wangge_listening") == 1)
        assert metric(second, "wangge_listener_losses") == 1
        stream.until(writes(first))
        # and so does the one that tells
        assert end_connections(fresh_pg_url, "select pg_notify") >= 1
        lost = writes(first)
        told = writes(first)
        assert told > lost
        stream.until(told)


@pytest.mark.parametrize("how", ["signs out", "changes the password", "is closed", "is stopped"])
def test_a_session_that_ends_at_one_process_ends_the_stream_at_another(
    begin: Callable[..., ServerProcess], how: str
) -> None:
    first, second = begin("first"), begin("second", "words")
    bearer = sign_in(first, "zhao")
    ask: dict[str, Any] = {"headers": bearer, "trust_env": False, "timeout": PATIENCE}
    with contextlib.ExitStack() as stack:
        wait_for(lambda: metric(second, "wangge_listening") == 1)
        stream = Stream(stack, second, bearer)
        if how == "signs out":
            answer = httpx.delete(f"{first.url}/api/v1/sessions/current", **ask)
        elif how == "changes the password":
            other = {"Authorization": sign_in(first, "zhao")["Authorization"]}
            body = {"password": PASSWORD, "new_password": "xin de yi tian"}
            answer = httpx.post(
                f"{first.url}/api/v1/sessions/current/password", json=body, **{**ask, "headers": other}
            )
        elif how == "is closed":
            first.another("command").command("users_state", username="zhao", state="closed")
            answer = httpx.Response(204)
        else:
            device = httpx.get(f"{first.url}/api/v1/devices", **ask).json()[0]["id"]
            first.another("command").command("users_revoke_device", username="zhao", device=device)
            answer = httpx.Response(204)
        assert answer.status_code == 204, answer.text
        stream.ends()
    assert httpx.get(f"{second.url}/api/v1/sessions/current", **ask).status_code == 401


def test_a_rung_that_two_processes_reach_takes_effect_once(begin: Callable[..., ServerProcess]) -> None:
    servers = [begin("first"), begin("second"), begin("third")]
    for server in servers:
        writes(server)
    servers[0].move_clock(40 * 86_400_000)  # everything that can run out has
    store = district.store_of(servers[0])
    try:

        def firings() -> list[dict[str, Any]]:
            with store.read() as reader:
                return reader.find("firing")

        wait_for(lambda: len({row["case_pk"] for row in firings()}) == 3)
        settled = -1
        while settled != (settled := len(firings())):
            time.sleep(1)  # several ticks of each
        raised = [
            (row["case_pk"], row["level_to"]) for row in firings() if row["level_to"] > row["level_from"]
        ]
        assert raised
        assert len(set(raised)) == len(raised)
        with store.read() as reader:
            rows = reader.find("escalation")
        assert len({(row["case_pk"], row["key"]) for row in rows}) == len(rows)
    finally:
        store.close()
