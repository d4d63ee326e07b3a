"""Idle streams of pokes: what one costs, and how soon all of them are told."""

import selectors
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

from bench.documents import push_body
from bench.figures import Figure, Scale, percentile
from bench.served import NEAR, WRITER, Process, Served, free_port
from bench.wire import Connection, WireError, request_bytes

_POKES = 5
_QUIET_SECONDS = (
    2.5  # a stream is told at most once in two seconds: a poke inside them would wait for the next
)


class Streams:
    """Many open streams, read by one selector."""

    def __init__(self, port: int, request: bytes, count: int) -> None:
        self._selector = selectors.DefaultSelector()
        self._sockets: list[socket.socket] = []
        for _ in range(count):
            opened = socket.create_connection(("127.0.0.1", port))
            opened.sendall(request)
            self._sockets.append(opened)
            self._selector.register(opened, selectors.EVENT_READ)

    def told(self, begun: float, seconds: float) -> list[float]:
        """Milliseconds from `begun` to the next RESYNC of each stream."""
        found: dict[int, float] = {}
        until = time.perf_counter() + seconds
        while len(found) < len(self._sockets) and time.perf_counter() < until:
            for key, _ in self._selector.select(timeout=0.2):
                data = key.fileobj.recv(65536)  # type: ignore[union-attr]  # only sockets are registered
                if not data:
                    raise WireError("a stream ended")
                if b"RESYNC" in data:
                    found.setdefault(key.fd, (time.perf_counter() - begun) * 1000)
        if len(found) < len(self._sockets):
            raise WireError(f"only {len(found)} of {len(self._sockets)} streams were told")
        return list(found.values())

    def drain(self, seconds: float) -> None:
        """Read and forget for a while."""
        until = time.perf_counter() + seconds
        while (left := until - time.perf_counter()) > 0:
            for key, _ in self._selector.select(timeout=left):
                key.fileobj.recv(65536)  # type: ignore[union-attr]  # only sockets are registered

    def close(self) -> None:
        """Close them all."""
        self._selector.close()
        for opened in self._sockets:
            opened.close()


class _Measured(Struct, frozen=True):
    kib: float
    p99_ms: float


def _measure(server: Process, request: bytes, count: int, poke: Callable[[], None]) -> _Measured:
    warm = Streams(server.port, request, 20)  # what the first ones bring in is not theirs
    warm.told(time.perf_counter(), 20)
    warm.close()
    time.sleep(0.5)
    before = server.rss_mib()
    streams = Streams(server.port, request, count)
    try:
        streams.told(time.perf_counter(), 60)
        streams.drain(_QUIET_SECONDS)
        kib = (server.rss_mib() - before) * 1024 / count
        times: list[float] = []
        for _ in range(_POKES):
            begun = time.perf_counter()
            poke()
            times += streams.told(begun, 20)
            streams.drain(_QUIET_SECONDS)
    finally:
        streams.close()
    return _Measured(kib, percentile(times, 0.99))


_done: dict[int, tuple[_Measured, _Measured]] = {}


def _both(folder: Path, scale: Scale) -> tuple[_Measured, _Measured]:
    """Ours and the bare one, measured once for both figures."""
    if scale.streams not in _done:
        with Served(folder / "streams") as served:
            token = served.token(NEAR)
            request = (
                f"GET /sync/v1/stream HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n\r\n"
            ).encode()

            def push() -> None:
                body = push_body([served.maker.case()])
                served.connection.send(served.push_request(WRITER, body)).json()

            push()
            ours = _measure(served.server, request, scale.streams, push)
        with _bare(folder) as server:
            connection = Connection(server.port)

            def wake() -> None:
                connection.send(request_bytes("/poke", b""))

            get = b"GET /stream HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
            bare = _measure(server, get, scale.streams, wake)
            connection.close()
        _done[scale.streams] = (ours, bare)
    return _done[scale.streams]


@contextmanager
def _bare(folder: Path) -> Iterator[Process]:
    port = free_port()
    server = Process("bench.bare", port, {"BARE_PORT": str(port)}, folder / "bare.log")
    try:
        server.wait("/")
        yield server
    finally:
        server.stop()


def stream_kib(folder: Path, scale: Scale) -> Figure:
    """Memory of one idle stream."""
    ours, bare = _both(folder, scale)
    return Figure(
        "stream_kib",
        ours.kib,
        "KiB",
        bare.kib,
        ours.kib / bare.kib,
        "value ≤ 24",
        f"{scale.streams} idle streams of one worker in one process, growth of resident memory; "
        "limit: a bare ASGI function under the same uvicorn",
    )


def poke_p99_ms(folder: Path, scale: Scale) -> Figure:
    """From sending a push to the last but one hundredth of the streams having been told."""
    ours, bare = _both(folder, scale)
    return Figure(
        "poke_p99_ms",
        ours.p99_ms,
        "ms",
        bare.p99_ms,
        ours.p99_ms / bare.p99_ms,
        "value ≤ 1000",
        f"a push is sent, its commit pokes {scale.streams} streams, {_POKES} times; limit: a bare ASGI function that "
        "wakes as many",
    )
