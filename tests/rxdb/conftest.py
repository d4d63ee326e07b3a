"""Unmodified RxDB clients in Node, and a district served over real HTTP for them."""

from __future__ import annotations

import shutil
import threading
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import uvicorn

from server.app import create_app
from server.serve import Server, listen_on
from tests.http.town import PASSWORD, Town, build_town, settings_in
from tests.rxdb.phone import RxdbPhone

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from server.admission import Admission


@pytest.fixture
def phone() -> Iterator[RxdbPhone]:
    with RxdbPhone() as driven:
        yield driven


class Served(Town):
    """A town behind a socket, and phones signed in to it."""

    base: str
    phones: list[RxdbPhone]
    admission: Admission

    def phone(self, user: str, *collections: str, **options: Any) -> RxdbPhone:
        """A new phone of somebody, replicating; the schemas are the published ones, and every document is checked."""
        driven = RxdbPhone()
        self.phones.append(driven)
        driven("login", base=self.base, username=user, password=PASSWORD)
        for name in collections or ("cases",):
            driven("open", name, **{"remote": "http", "schema": "published", "validate": True, **options})
            driven("settled", name)
        return driven


@pytest.fixture
def district(tmp_path: Path, district_files: Path) -> Iterator[Served]:
    """A district of its own for a scenario, on a port of its own."""
    shutil.copytree(district_files, tmp_path / "town")
    app = create_app(settings_in(tmp_path / "town"), jobs=[])
    opened = listen_on("127.0.0.1", 0)
    config = uvicorn.Config(app, lifespan="on", log_config=None, access_log=False, ws="none")
    base = f"http://127.0.0.1:{opened.getsockname()[1]}"
    with httpx.Client(base_url=base, timeout=60) as client:
        started = threading.Event()
        server = _Told(config, app.state.runtime, started)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [opened]})
        thread.start()
        started.wait()
        served = Served(client, app.state.runtime)  # type: ignore[arg-type]  # it is asked over the wire
        served.base = base
        served.phones = []
        served.admission = app.state.admission
        try:
            yield served
        finally:
            for driven in served.phones:
                driven.close()
            server.should_exit = True
            thread.join()
            opened.close()


class _Told(Server):
    """Says when it answers, or that it never will."""

    def __init__(self, config: uvicorn.Config, runtime: Any, started: threading.Event) -> None:
        super().__init__(config, runtime)
        self._told = started

    async def startup(self, sockets: Any = None) -> None:
        try:
            await super().startup(sockets)
        finally:
            self._told.set()


@pytest.fixture(scope="session")
def district_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The district's files, made once and copied for each scenario."""
    folder = tmp_path_factory.mktemp("rxdb") / "town"
    folder.mkdir()
    build_town(folder)
    return folder
