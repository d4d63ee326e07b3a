"""A line that breaks: a proxy that passes on so many bytes of a connection and then cuts it, both ways at once."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Iterable

PIECE = 4096


class Cutter:
    """Listens on a port of its own in front of `target`.

    The n-th connection is cut once it has passed the n-th number of `sent` bytes to the server, or of `told` bytes
    back (None: never); connections after these are left alone.
    """

    def __init__(
        self, target: int, *, sent: Iterable[int | None] = (), told: Iterable[int | None] = ()
    ) -> None:
        self.cuts = 0
        self.connections = 0
        self._target = target
        self._sent, self._told = list(sent), list(told)
        self._open: set[asyncio.Task[Any]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._server: asyncio.Server | None = None
        self.port = 0

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result()
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def spoil(self, *, sent: Iterable[int | None] = (), told: Iterable[int | None] = ()) -> None:
        """Cut what is open now, and the connections that come next at these numbers of bytes."""

        async def spoiled() -> None:
            past = [None] * self.connections
            self._sent, self._told = [*past, *sent], [*past, *told]
            for task in self._open:
                task.cancel()

        asyncio.run_coroutine_threadsafe(spoiled(), self._loop).result()

    async def _listen(self) -> asyncio.Server:
        return await asyncio.start_server(self._connected, "127.0.0.1", 0)

    async def _end(self) -> None:
        if self._server is not None:
            self._server.close()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = self.connections
        self.connections += 1
        self._keep(asyncio.current_task())
        there, back = await asyncio.open_connection("127.0.0.1", self._target)

        def most(cuts: list[int | None]) -> int | None:
            return cuts[number] if number < len(cuts) else None

        ways = [
            asyncio.ensure_future(self._pass(reader, back, most(self._sent))),
            asyncio.ensure_future(self._pass(there, writer, most(self._told))),
        ]
        try:
            done, _ = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            self.cuts += sum(bool(way.result()) for way in done)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            for end in (writer, back):
                end.transport.abort()

    def _keep(self, task: asyncio.Task[Any] | None) -> None:
        assert task is not None
        self._open.add(task)
        task.add_done_callback(self._open.discard)

    async def _pass(self, reader: Any, writer: Any, most: int | None) -> bool:
        """Whether it was cut rather than over."""
        passed = 0
        with contextlib.suppress(ConnectionError):
            while piece := await reader.read(PIECE if most is None else min(PIECE, max(most - passed, 0))):
                writer.write(piece)
                await writer.drain()
                passed += len(piece)
                if most is not None and passed >= most:
                    return True
        return most == 0
