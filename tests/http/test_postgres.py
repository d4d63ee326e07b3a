"""The same server over PostgreSQL, where several processes may share a district."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from litestar.testing import TestClient

from server.app import create_app
from server.calling import call
from server.jobs.schedule import watch_heads
from server.runtime import Runtime, initialise
from server.settings import Settings
from tests.http.conftest import CODE, Served

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.postgres, pytest.mark.anyio]


@pytest.fixture
def shared(tmp_path: Path, fresh_pg_url: str) -> Settings:
    found = Settings(data=str(tmp_path), database_url=fresh_pg_url, purpose="test")
    initialise(found, CODE, "涧东区")
    return found


def test_a_worker_signs_in_works_and_signs_out(shared: Settings) -> None:
    app = create_app(shared, jobs=[])
    with TestClient(app) as client:
        served = Served(client, app.state.runtime)
        served.add_person("wang", "grid_worker")
        first = served.sign_in("wang")
        answer = client.post(
            "/api/v1/sessions/refresh", json={"refresh_token": first["refresh_token"]}
        ).json()
        headers = {"Authorization": f"Bearer {answer['access_token']}"}
        assert client.get("/api/v1/sessions/current", headers=headers).json()["roles"] == ["grid_worker"]
        assert client.get("/health/ready").status_code == 200
        # another process needs no lock here
        call(shared, "users_add", username="li", name="李", password="ming tian hui hao")
        assert client.delete("/api/v1/sessions/current", headers=headers).status_code == 204
        assert client.get("/api/v1/sessions/current", headers=headers).status_code == 401


async def test_a_commit_of_another_process_pokes_the_streams_of_this_one(shared: Settings) -> None:
    async def stands() -> bool:
        return True

    runtime = Runtime(shared)
    runtime.open()
    try:
        head = runtime.districts[CODE].head.seq
        stream = runtime.hub.stream(CODE, 1, head, 60_000, stands)
        await anext(stream)
        await anext(stream)
        call(shared, "users_add", username="li", name="李", password="ming tian hui hao")
        assert runtime.districts[CODE].head.seq == head
        await watch_heads(runtime)
        assert runtime.districts[CODE].head.seq == head + 1
        assert f'"head":{head + 1}'.encode() in await anext(stream)
        await stream.aclose()
    finally:
        runtime.close()
