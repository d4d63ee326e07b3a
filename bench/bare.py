"""The least a server of streams can be: an ASGI function under the same uvicorn. The limit beside our streams."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Any

import uvicorn

Send = Callable[[dict[str, Any]], Awaitable[None]]
_waiting: set[asyncio.Event] = set()


async def app(scope: dict[str, Any], receive: Callable[[], Awaitable[Any]], send: Send) -> None:
    """GET holds a stream open; POST wakes all of them."""
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    if scope["method"] == "POST" or scope["path"] != "/stream":
        for event in _waiting:
            event.set()
        head = [(b"content-length", b"2")]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await send({"type": "http.response.body", "body": b"ok"})
        return
    head = [(b"content-type", b"text/event-stream")]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    await send({"type": "http.response.body", "body": b"event: RESYNC\n\n", "more_body": True})
    event = asyncio.Event()
    _waiting.add(event)
    while True:
        await event.wait()
        event.clear()
        await send({"type": "http.response.body", "body": b"event: RESYNC\n\n", "more_body": True})


if __name__ == "__main__":
    uvicorn.run(
        app, port=int(os.environ["BARE_PORT"]), log_config=None, access_log=False, timeout_graceful_shutdown=1
    )
