"""Unmodified RxDB clients in Node, and a district served over real HTTP for them."""

from __future__ import annotations

import shutil
import subprocess
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import uvicorn

from server.app import create_app
from server.backup import backup
from server.restore import restore
from server.serve import Server, listen_on
from tests.http.town import PASSWORD, Town, build_town, settings_in
from tests.rxdb.phone import RxdbError, RxdbPhone

if TYPE_CHECKING:
    from collections.abc import Iterator

    from server.admission import Admission

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def phone() -> Iterator[RxdbPhone]:
    with RxdbPhone() as driven:
        yield driven


class Served(Town):
    """A town behind a socket, and phones signed in to it."""

    admission: Admission

    def __init__(self, folder: Path, library: Path) -> None:
        self.folder = folder
        self.library = library
        self.phones: list[RxdbPhone] = []
        self._port = 0
        self._start()
        super().__init__(httpx.Client(base_url=self.base, timeout=60), self.runtime)  # type: ignore[arg-type]

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def _start(self) -> None:
        app = create_app(settings_in(self.folder), jobs=[])
        self._opened = listen_on("127.0.0.1", self._port)
        self._port = self._opened.getsockname()[1]
        config = uvicorn.Config(app, lifespan="on", log_config=None, access_log=False, ws="none")
        started = threading.Event()
        self.runtime = app.state.runtime
        self.admission = app.state.admission
        self._server = _Told(config, self.runtime, started)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._opened]})
        self._thread.start()
        started.wait()

    def halt(self) -> None:
        """End the process, and with it every connection (RC5)."""
        self._server.should_exit = True
        self._thread.join()
        self._opened.close()

    def back_up(self) -> Path:
        target = self.folder.parent / "backup.zip"
        backup(settings_in(self.folder), target, program="test", with_keys=True)
        return target

    def restore(self, source: Path) -> None:
        """The district goes back to a backup, and is served again under the same address."""
        self.halt()
        restore(settings_in(self.folder), source, force=True)
        self._start()

    def whole_phone(self, user: str, *collections: str, **options: Any) -> RxdbPhone:
        """A new phone of somebody that runs the client library; `pages` is what becomes of pages on their way."""
        driven = RxdbPhone("phone.mjs", WANGGE_SYNC=(self.library / "index.js").as_uri())
        self.phones.append(driven)
        login = {name: options.pop(name) for name in ("schema", "device") if name in options}
        driven("login", base=self.base, username=user, password=PASSWORD, **login)
        driven("filter", filter=options.pop("pages", None))
        if collections:
            options["collections"] = collections
        driven("open", **options)
        driven("sync")
        return driven

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
def district(tmp_path: Path, district_files: Path, library: Path) -> Iterator[Served]:
    """A district of its own for a scenario, on a port of its own."""
    shutil.copytree(district_files, tmp_path / "town")
    served = Served(tmp_path / "town", library)
    try:
        yield served
    finally:
        for driven in served.phones:
            driven.close()
        served.client.close()
        served.halt()


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
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The client library as JavaScript, with the packages that the phones of these tests use."""
    node, compiler = shutil.which("node"), ROOT / "web" / "node_modules" / "typescript" / "bin" / "tsc"
    if node is None or not compiler.is_file():
        raise RxdbError("no Node, or no TypeScript in web/: run `make setup`")
    folder = tmp_path_factory.mktemp("library")
    (folder / "package.json").write_text('{"type": "module"}')
    (folder / "node_modules").symlink_to(Path(__file__).parent / "node_modules")
    project = ROOT / "web" / "shared" / "sync"
    made = subprocess.run(
        [node, compiler, "-p", project, "--noEmit", "false", "--outDir", folder],
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stdout
    return folder


@pytest.fixture(scope="session")
def district_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The district's files, made once and copied for each scenario."""
    folder = tmp_path_factory.mktemp("rxdb") / "town"
    folder.mkdir()
    build_town(folder)
    return folder
