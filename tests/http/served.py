"""A town behind a socket: what a client of its own process, a browser or a phone, talks to."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import httpx
import uvicorn

from server.app import create_app
from server.backup import backup
from server.restore import restore
from server.serve import Server, listen_on
from tests.http.town import Town, settings_in

if TYPE_CHECKING:
    from pathlib import Path

    from server.admission import Admission


class ServedTown(Town):
    """The town of a folder, served over real HTTP on a port of its own."""

    admission: Admission

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._port = 0
        self._start()
        super().__init__(httpx.Client(base_url=self.base, timeout=60), self.runtime)  # type: ignore[arg-type]

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def port(self) -> int:
        return self._port

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

    def close(self) -> None:
        self.client.close()
        self.halt()

    def back_up(self) -> Path:
        target = self.folder.parent / "backup.zip"
        backup(settings_in(self.folder), target, program="test", with_keys=True)
        return target

    def restore(self, source: Path) -> None:
        """The district goes back to a backup, and is served again under the same address."""
        self.halt()
        restore(settings_in(self.folder), source, force=True)
        self._start()


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
