"""The stream of pokes over HTTP: who may open it, and that it never holds a stop up."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import httpx
import pytest

from server.calling import call
from server.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.http.conftest import Served

PASSWORD = "lan tian bai yun"


def test_a_stream_is_opened_by_a_bearer_or_a_ticket_and_nothing_else(served: Served) -> None:
    for path in ("/sync/v1/stream", "/sync/v1/stream?ticket=guess", "/sync/v1/stream?ticket="):
        answer = served.client.get(path)
        assert answer.status_code == 401, path
    assert served.client.post("/sync/v1/ticket").status_code == 401


def test_a_ticket_that_was_guessed_twice_in_one_address_is_refused(served: Served) -> None:
    served.add_person("wang", "grid_worker")
    headers = served.bearer("wang")
    ticket = served.client.post("/sync/v1/ticket", headers=headers).json()["ticket"]
    answer = served.client.get(f"/sync/v1/stream?ticket=x&ticket={ticket}")
    assert answer.json()["code"] == "ticket_refused"


def test_a_ticket_does_not_outlive_the_session_it_was_given_to(served: Served) -> None:
    served.add_person("wang", "grid_worker")
    headers = served.bearer("wang")
    ticket = served.client.post("/sync/v1/ticket", headers=headers).json()["ticket"]
    served.client.delete("/api/v1/sessions/current", headers=headers)
    answer = served.client.get(f"/sync/v1/stream?ticket={ticket}")
    assert (answer.status_code, answer.json()["code"]) == (401, "session_ended")


# --- a real server ---------------------------------------------------------------------------------------------------


@contextmanager
def a_server(data: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`wangge serve` in a process of its own, and its address."""
    environ = {key: value for key, value in os.environ.items() if not key.startswith("WANGGE_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "server.cli", "serve", "--port", "0", "--data", str(data)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environ,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("wangge is serving at "), line
        yield process, line.split()[-1]
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


@pytest.fixture
def data(settings: Settings) -> Path:
    call(settings, "users_add", username="wang", name="王", password=PASSWORD)
    return settings.folder


def sign_in(url: str, user: str = "wang", device: str | None = None) -> dict[str, str]:
    body: dict[str, object] = {"username": user, "password": PASSWORD}
    if device is not None:
        body["device"] = {"id": device}
    answer = httpx.post(f"{url}/api/v1/sessions", json=body, trust_env=False, timeout=30)
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def test_a_stop_ends_open_streams_and_the_server_in_good_order(data: Path) -> None:
    [report] = call(Settings(data=str(data)), "verify")
    head = report["head"]
    with a_server(data) as (process, url), httpx.Client(trust_env=False, timeout=30) as client:
        headers = sign_in(url)
        ticket = client.post(f"{url}/sync/v1/ticket", headers=headers).json()["ticket"]
        with (
            client.stream("GET", f"{url}/sync/v1/stream", headers=headers) as one,
            client.stream("GET", f"{url}/sync/v1/stream?ticket={ticket}") as other,
        ):
            for stream in (one, other):
                assert stream.status_code == 200
                assert stream.headers["content-type"].startswith("text/event-stream")
                assert stream.headers["cache-control"] == "no-store, no-transform"
                assert stream.headers["x-accel-buffering"] == "no"
                assert "content-encoding" not in stream.headers
            lines = [one.iter_lines(), other.iter_lines()]
            for found in lines:
                assert next(found).startswith("retry: ")
                assert [next(found), next(found), next(found)] == [
                    "",
                    "event: RESYNC",
                    f'data: {{"collections":null,"head":{head}}}',
                ]
            assert client.get(f"{url}/sync/v1/stream?ticket={ticket}").status_code == 401
            # a change made by the command line reaches the phones through this very server
            call(Settings(data=str(data)), "users_add", username="li", name="李", password=PASSWORD)
            told = [next(lines[0]) for _ in range(3)]
            assert told == ["", "event: RESYNC", f'data: {{"collections":null,"head":{head + 1}}}']
            process.send_signal(signal.SIGTERM)
            for found in lines:
                assert not any(line.startswith("event: x") for line in found), "the streams end by themselves"
        assert process.wait(30) == 0
    assert [row["username"] for row in call(Settings(data=str(data)), "users_list")] == ["li", "wang"]


def test_an_open_stream_ends_with_its_session_whoever_ends_it(data: Path) -> None:
    """ES5: signing out, a closed account, a stopped device; and no other stream ends with it."""
    settings = Settings(data=str(data))
    call(settings, "users_add", username="li", name="李", password=PASSWORD)
    with (
        a_server(data) as (_, url),
        httpx.Client(trust_env=False, timeout=10) as client,
        client.stream("GET", f"{url}/sync/v1/stream", headers=sign_in(url, "li")) as other,
    ):
        others = other.iter_lines()
        headers = sign_in(url)
        device = client.get(f"{url}/api/v1/devices", headers=headers).json()[0]["id"]
        for end in ("sign out", "revoke", "close"):
            headers = sign_in(url, device=device)
            with client.stream("GET", f"{url}/sync/v1/stream", headers=headers) as stream:
                lines = stream.iter_lines()
                assert next(lines).startswith("retry: ")
                if end == "sign out":
                    client.delete(f"{url}/api/v1/sessions/current", headers=headers)
                elif end == "revoke":
                    call(settings, "users_revoke_device", username="wang", device=device)
                else:
                    call(settings, "users_state", username="wang", state="closed")
                assert not any(line.startswith(":") for line in lines), "it ends before its next heartbeat"
        assert next(others).startswith("retry: ")
        call(settings, "users_state", username="wang", state="active")
        told = [next(others) for _ in range(6)]
        assert told.count("event: RESYNC") >= 2


def test_a_second_server_on_the_same_files_is_refused(data: Path) -> None:
    with a_server(data):
        second = subprocess.run(
            [sys.executable, "-m", "server.cli", "serve", "--port", "0", "--data", str(data)],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    assert second.returncode == 1
    assert "Another process" in second.stderr


def test_the_command_line_acts_through_the_server_and_under_its_own_name(data: Path) -> None:
    settings = Settings(data=str(data))
    with a_server(data) as (_, url):
        headers = sign_in(url)
        path = f"{url}/api/v1/sessions/current"
        assert httpx.get(path, headers=headers, trust_env=False).status_code == 200
        call(settings, "users_state", username="wang", state="closed")
        assert httpx.get(path, headers=headers, trust_env=False).status_code == 401
    from server.runtime import opened

    with opened(settings) as runtime, runtime.districts["990101"].store.read() as reader:
        actors = {row["action"]: row["actor"] for row in reader.find("audit")}
    assert actors["account.closed"].startswith("cli:")
    assert actors["sign_in"].startswith("user:")


def test_nobody_reaches_the_door_of_the_command_line_with_a_users_token(served: Served) -> None:
    served.add_person("wang", "admin")
    body = {"command": "users_list", "args": {}}
    path = "/api/v1/admin/command"
    assert served.client.post(path, json=body).status_code == 401
    assert served.client.post(path, json=body, headers=served.bearer("wang")).status_code == 401


def test_a_command_token_is_good_once_for_commands_and_on_this_machine(served: Served) -> None:
    from server.auth.tokens import make_command_token
    from server.clocks import wall_ms

    def token(jti: str, wall: int = 0) -> dict[str, str]:
        made = make_command_token(served.runtime.signing, "root", wall=wall or wall_ms(), jti=jti)
        return {"Authorization": f"Bearer {made}"}

    body = {"command": "users_list", "args": {}}
    path = "/api/v1/admin/command"
    assert served.client.post(path, json=body, headers=token("1")).json() == {"result": []}
    assert served.client.post(path, json=body, headers=token("1")).status_code == 401, "used"
    assert served.client.post(path, json=body, headers=token("2", wall_ms() - 301_000)).status_code == 401, (
        "old"
    )
    assert served.client.get("/api/v1/sessions/current", headers=token("3")).status_code == 401
    through_proxy = token("4") | {"X-Forwarded-For": "127.0.0.1"}
    assert served.client.post(path, json=body, headers=through_proxy).status_code == 401
    unknown = served.client.post(path, json={"command": "rm", "args": {}}, headers=token("5"))
    assert (unknown.status_code, unknown.json()["code"]) == (404, "unknown_command")
    wrong = served.client.post(path, json={"command": "users_list", "args": {"x": 1}}, headers=token("6"))
    assert (wrong.status_code, wrong.json()["code"]) == (400, "bad_request")
