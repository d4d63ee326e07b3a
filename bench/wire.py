"""A client over bare sockets, so that what is measured is the server and not an HTTP library."""

import http
import selectors
import socket
import time
import zlib
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

_IDLE_SECONDS = 3.0  # a server closes what is idle for longer: uvicorn after five
_HEAD_END = b"\r\n\r\n"


class WireError(Exception):
    """The server answered otherwise than a benchmark may accept."""


def request_bytes(path: str, body: bytes, token: str = "", *, gzip: bool = False) -> bytes:
    """A whole POST request."""
    head = [
        f"POST {path} HTTP/1.1",
        "Host: 127.0.0.1",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
    ]
    if token:
        head.append(f"Authorization: Bearer {token}")
    if gzip:
        head.append("Accept-Encoding: gzip")
    return "\r\n".join(head).encode() + _HEAD_END + body


class Answer(msgspec.Struct, frozen=True):
    """Status, the body as it came (perhaps compressed), and the body in the clear."""

    status: int
    wire: bytes
    body: bytes

    def json(self) -> Any:
        """The value; raises ``WireError`` unless the status is 2xx."""
        if not http.HTTPStatus.OK <= self.status < http.HTTPStatus.MULTIPLE_CHOICES:
            raise WireError(f"{self.status}: {self.body[:300]!r}")
        return msgspec.json.decode(self.body)


class Incoming:
    """One answer being read."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._size = -1
        self._start = 0
        self._gzip = False
        self._status = 0

    def feed(self, data: bytes) -> Answer | None:
        """The answer once it is whole."""
        self._data += data
        if self._size < 0:
            end = self._data.find(_HEAD_END)
            if end < 0:
                return None
            head = bytes(self._data[:end]).lower()
            self._status = int(head.split(b" ", 2)[1])
            self._start = end + len(_HEAD_END)
            for line in head.split(b"\r\n")[1:]:
                if line.startswith(b"content-length:"):
                    self._size = int(line.partition(b":")[2])
                elif line.startswith(b"content-encoding:"):
                    self._gzip = b"gzip" in line
                elif line.startswith(b"transfer-encoding:"):
                    raise WireError("a chunked answer was not expected")
        if len(self._data) - self._start < self._size:
            return None
        wire = bytes(self._data[self._start : self._start + self._size])
        return Answer(self._status, wire, zlib.decompress(wire, 31) if self._gzip else wire)


class Connection:
    """One kept connection; one request at a time."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._open()

    def _open(self) -> None:
        self.socket = socket.create_connection(("127.0.0.1", self._port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._used = time.monotonic()

    def send(self, request: bytes) -> Answer:
        """Send a request made by ``request_bytes`` and wait for its answer."""
        if time.monotonic() - self._used > _IDLE_SECONDS:
            self.socket.close()
            self._open()
        self.socket.sendall(request)
        incoming = Incoming()
        while True:
            data = self.socket.recv(1 << 20)
            if not data:
                raise WireError("the server closed the connection")
            if (answer := incoming.feed(data)) is not None:
                self._used = time.monotonic()
                return answer

    def close(self) -> None:
        """Close it."""
        self.socket.close()


def drive(port: int, queues: Sequence[Sequence[bytes]]) -> list[Answer]:
    """Send each queue over a connection of its own, all at once; one request in flight a connection."""
    answers: list[Answer] = []
    waiting: list[Iterator[bytes]] = [iter(queue) for queue in queues]
    connections = [Connection(port) for _ in queues]
    with selectors.DefaultSelector() as selector:
        for place, connection in enumerate(connections):
            first = next(waiting[place], None)
            if first is not None:
                selector.register(connection.socket, selectors.EVENT_READ, [place, Incoming()])
                connection.socket.sendall(first)
        while selector.get_map():
            for key, _ in selector.select():
                place, incoming = key.data
                data = connections[place].socket.recv(1 << 20)
                if not data:
                    raise WireError("the server closed the connection")
                answer = incoming.feed(data)
                if answer is None:
                    continue
                answers.append(answer)
                following = next(waiting[place], None)
                if following is None:
                    selector.unregister(connections[place].socket)
                else:
                    key.data[1] = Incoming()
                    connections[place].socket.sendall(following)
    for connection in connections:
        connection.close()
    return answers
