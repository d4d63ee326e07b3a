"""Pokes: tells waiting phones that something changed, and never what.

Each stream has one pending set, so a slow phone costs nothing: pokes that come before it was told are one poke
(ES1, ES2 of ``sync/PROTOCOL.md``).
"""

import asyncio
import contextlib
import secrets
import threading
from collections.abc import AsyncGenerator, Collection as Some

import msgspec

from server.clocks import monotonic_ms

COALESCE_MS = 2_000
HEARTBEAT_MS = 15_000
TICKET_MS = 30_000
RETRY_MS = (3_000, 15_000)  # spread, so that a restart is not followed by every phone at once
_TICKETS_MAX = 100_000


class _Pending:
    """What a stream has not been told yet."""

    __slots__ = ("changed", "closed", "dirty", "district", "everything", "head", "loop", "user_pk")

    def __init__(self, district: str, user_pk: int, loop: asyncio.AbstractEventLoop) -> None:
        self.district = district
        self.user_pk = user_pk
        self.loop = loop
        self.changed = asyncio.Event()
        self.closed = asyncio.Event()
        self.dirty: set[str] = set()
        self.everything = False
        self.head = 0

    def end(self) -> None:
        """Wake the stream for the last time."""
        self.closed.set()
        self.changed.set()

    def take(self) -> bytes:
        """The event for what is pending; nothing is pending afterwards."""
        collections = None if self.everything else sorted(self.dirty)
        data = msgspec.json.encode({"collections": collections, "head": self.head})
        self.dirty.clear()
        self.everything = False
        self.changed.clear()
        return b"event: RESYNC\ndata: " + data + b"\n\n"


class Hub:
    """The streams of this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._streams: dict[str, set[_Pending]] = {}
        self._tickets: dict[str, tuple[int, object]] = {}
        self._later: set[tuple[str, int]] = set()
        self.closing = False

    @property
    def streams(self) -> int:
        """How many streams are open."""
        with self._lock:
            return sum(len(found) for found in self._streams.values())

    def poke(
        self, district: str, head: int, collections: Some[str] | None = None, users: Some[int] | None = None
    ) -> None:
        """Tell the streams of a district, or of some of its users; from any thread. None means all."""
        with self._lock:
            found = list(self._streams.get(district, ()))
        if users is not None:
            found = [pending for pending in found if pending.user_pk in users]
        per_loop: dict[asyncio.AbstractEventLoop, list[_Pending]] = {}
        for pending in found:
            per_loop.setdefault(pending.loop, []).append(pending)
        for loop, pendings in per_loop.items():
            with contextlib.suppress(RuntimeError):  # the loop has closed: nobody listens
                loop.call_soon_threadsafe(_mark, pendings, head, collections)

    def poke_later(self, district: str, user_pk: int, delay_ms: int) -> None:
        """Tell one user's streams after a while, once however often it is asked for; from a running loop (PU10).

        A page that overtook a push answer is repaired by the first pull after the answer can no longer be on its way.
        """
        key = (district, user_pk)
        if key in self._later:
            return
        self._later.add(key)

        def now() -> None:
            self._later.discard(key)
            self.poke(district, 0, None, {user_pk})

        asyncio.get_running_loop().call_later(delay_ms / 1000, now)

    def close(self) -> None:
        """End every stream; from any thread."""
        self.closing = True
        with self._lock:
            found = [pending for streams in self._streams.values() for pending in streams]
        for pending in found:
            with contextlib.suppress(RuntimeError):
                pending.loop.call_soon_threadsafe(pending.end)

    def _is_closing(self) -> bool:
        return self.closing

    def ticket(self, bearer: object) -> str:
        """ES3: a ticket that opens one stream for `bearer` within 30 s."""
        now = monotonic_ms()
        with self._lock:
            if len(self._tickets) >= _TICKETS_MAX:
                self._tickets = {key: kept for key, kept in self._tickets.items() if kept[0] > now}
            name = secrets.token_urlsafe(24)
            self._tickets[name] = (now + TICKET_MS, bearer)
        return name

    def redeem(self, ticket: str) -> object | None:
        """Who the ticket was given to, once; None when it is unknown, used or expired."""
        with self._lock:
            found = self._tickets.pop(ticket, None)
        return None if found is None or found[0] <= monotonic_ms() else found[1]

    async def stream(
        self, district: str, user_pk: int, head: int, ends_in_ms: int
    ) -> AsyncGenerator[bytes, None]:
        """ES4: the bytes of one stream: RESYNC at once, then at most one in two seconds, to the token's end."""
        pending = _Pending(district, user_pk, asyncio.get_running_loop())
        pending.everything, pending.head = True, head
        end = monotonic_ms() + ends_in_ms
        with self._lock:
            self._streams.setdefault(district, set()).add(pending)
        try:
            low, high = RETRY_MS
            yield f"retry: {low + secrets.randbelow(high - low + 1)}\n\n".encode()
            yield pending.take()
            told = monotonic_ms()
            beat = told + HEARTBEAT_MS
            while not self._is_closing() and monotonic_ms() < end:
                ready_at = max(told + COALESCE_MS, monotonic_ms()) if pending.changed.is_set() else None
                wake = min(end, beat if ready_at is None else min(beat, ready_at))
                await self._wait(pending, wake - monotonic_ms(), sleeping=ready_at is not None)
                now = monotonic_ms()
                if self._is_closing() or now >= end:
                    break
                if pending.changed.is_set() and now >= told + COALESCE_MS:
                    yield pending.take()
                    told, beat = now, now + HEARTBEAT_MS
                elif now >= beat:
                    yield b": \n\n"
                    beat = now + HEARTBEAT_MS
        finally:
            with self._lock:
                self._streams.get(district, set()).discard(pending)

    async def _wait(self, pending: _Pending, milliseconds: int, *, sleeping: bool) -> None:
        """Wait for a poke, or, when one is already pending, for the two seconds to pass; closing ends both."""
        if milliseconds <= 0 or self.closing:
            return
        event = pending.closed if sleeping else pending.changed
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(event.wait(), milliseconds / 1000)


def _mark(pendings: list[_Pending], head: int, collections: Some[str] | None) -> None:
    for pending in pendings:
        if collections is None:
            pending.everything = True
        else:
            pending.dirty.update(collections)
        pending.head = max(pending.head, head)
        pending.changed.set()
