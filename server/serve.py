"""Runs the server process, and ends it well: streams first, then requests, then the writer, then the files."""

import errno
import logging
import signal
import socket
import sys
from collections.abc import Callable

import uvicorn
from msgspec import Struct

from server.app import create_app
from server.logs import configure_logs
from server.memory import settle_memory, share_one_heap
from server.runtime import Runtime
from server.settings import Settings

_log = logging.getLogger("wangge.serve")
_LOOPBACK = "127.0.0.1"
_EVERYWHERE = "0.0.0.0"  # noqa: S104  # compared, not bound
BACKLOG = 8192  # a district's phones come back together after a restart
STOP_SECONDS = 20


class CannotListen(Exception):  # said to the person who starts the server
    """The address cannot be listened on."""


class DiskFailed(Exception):  # said to the person who starts the server
    """A commit could not be synced to the disk."""


class Server(uvicorn.Server):
    """A server whose streams end when it is told to stop: otherwise it would wait for them for ever."""

    def __init__(self, config: uvicorn.Config, runtime: Runtime) -> None:
        super().__init__(config)
        self._runtime = runtime
        self.disk_failed = False

    def end_for_the_disk(self) -> None:
        """End in order, since nothing can be written any more; from any thread."""
        _log.critical("a commit could not be synced to the disk: the server ends and must be started anew")
        self.disk_failed = self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the streams, then wait for the rest."""
        self._runtime.hub.close()
        await super().shutdown(sockets)


def listen_on(host: str, port: int) -> socket.socket:
    """A listening socket; raises ``CannotListen`` with a sentence that says why."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise CannotListen(f"Port {port} on {host} is taken: choose another with --port.") from error
        raise CannotListen(f"Cannot listen on {host} port {port}: {error.strerror}.") from error


class Doors(Struct, frozen=True):
    """Where a server listens: `url` is told to people, `commands` to the command line."""

    sockets: list[socket.socket]
    url: str
    commands: str


def open_doors(settings: Settings) -> Doors:
    """Listen where the settings say; on SQLite also on loopback, over which alone commands are taken.

    Raises ``CannotListen``.
    """
    opened = listen_on(settings.host, settings.port)
    port = opened.getsockname()[1]
    if settings.loopback or settings.host == _EVERYWHERE or settings.postgres:
        url = _url(settings.host, port)
        return Doors([opened], url, url)
    try:
        inner = listen_on(_LOOPBACK, 0)
    except CannotListen:
        opened.close()
        raise
    return Doors([opened, inner], _url(settings.host, port), _url(_LOOPBACK, inner.getsockname()[1]))


def _url(host: str, port: int) -> str:
    host = {_EVERYWHERE: _LOOPBACK, "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _nothing_left_to_do(_: int, __: object) -> None:
    pass


def run_server(settings: Settings, *, on_ready: Callable[[str], None] | None = None) -> None:
    """Serve until SIGINT or SIGTERM; `on_ready` gets the address once requests are answered.

    Raises ``CannotListen``, ``DatabaseBusy``, ``NotInitialised`` or ``KeyFileError`` before anything is served, and
    ``DiskFailed`` at the end.
    """
    share_one_heap()
    configure_logs(settings.log_level)
    doors = open_doors(settings)

    def ready(runtime: Runtime) -> None:
        settle_memory()
        runtime.database.announce(doors.commands)
        if on_ready is not None:
            on_ready(doors.url)

    app = create_app(settings, on_ready=ready)
    config = uvicorn.Config(
        app,
        loop="uvloop" if sys.platform != "win32" else "asyncio",
        http="httptools",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,  # whose word counts is decided in auth.guards
        server_header=False,
        backlog=BACKLOG,
        timeout_graceful_shutdown=STOP_SECONDS,
    )
    server = Server(config, app.state.runtime)
    # uvicorn raises the signal again once it has ended well; that is the normal end, not a death by signal
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _nothing_left_to_do)
    runtime: Runtime = app.state.runtime
    runtime.on_failed = server.end_for_the_disk
    try:
        with runtime.database.lock():
            try:
                runtime.open()
                server.run(sockets=doors.sockets)
            finally:
                runtime.close()
    finally:
        for opened in doors.sockets:
            opened.close()
    if not server.started:
        raise CannotListen("The server did not start; the reason is in the log above.")
    if server.disk_failed:
        raise DiskFailed("The disk did not take a commit in. Look at the disk, then start the server again.")
