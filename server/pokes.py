"""Pokes: tells waiting phones that something changed, and never what.

Each stream has one pending set, so a slow phone costs nothing: pokes that come before it was told are one poke
(ES1, ES2, ES6 of ``sync/PROTOCOL.md``).
"""

import asyncio
import contextlib
import secrets
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection as Some

import msgspec

from server.clocks import monotonic_ms

COALESCE_MS = 2_000
HEARTBEAT_MS = 15_000
TICKET_MS = 30_000
RETRY_MS = (3_000, 15_000)  # spread, so that a restart is not followed by every phone at once
MANY_STREAMS = 500  # from here on commits are gathered for a moment before the streams are walked through
ROUND_MS = 50
_TICKETS_MAX = 100_000


class _Pending:
    """What a stream has not been told yet."""

    __slots__ = ("changed", "closed", "dirty", "district", "everything", "head", "later", "loop", "user_pk")

    def __init__(self, district: str, user_pk: int, loop: asyncio.AbstractEventLoop) -> None:
        self.district = district
        self.user_pk = user_pk
        self.loop = loop
        self.changed = asyncio.Event()
        self.closed = asyncio.Event()
        self.dirty: set[str] = set()
        self.everything = False
        self.later = False  # will be told of everything at an instant that has been drawn
        self.head = 0

    def end(self) -> None:
        """Wake the stream for the last time."""
        self.closed.set()
        self.changed.set()

    def has_news(self) -> bool:
        """Whether there is anything to tell."""
        return self.everything or bool(self.dirty)

    def take(self) -> bytes:
        """The event for what is pending; nothing is pending afterwards."""
        collections = None if self.everything else sorted(self.dirty)
        data = msgspec.json.encode({"collections": collections, "head": self.head})
        self.dirty.clear()
        self.everything = False
        self.changed.clear()
        return b"event: RESYNC\ndata: " + data + b"\n\n"


def _tell_all(pending: _Pending) -> None:
    pending.later = False
    pending.everything = True
    pending.changed.set()


class _Round:
    """What the next walk over a district's streams will tell."""

    __slots__ = ("dirty", "everything", "head")

    def __init__(self, head: int, collections: Some[str] | None) -> None:
        self.head = head
        self.dirty: set[str] = set()
        self.everything = False
        self.add(head, collections)

    def add(self, head: int, collections: Some[str] | None) -> None:
        """Take in one more commit."""
        self.head = max(self.head, head)
        if collections is None:
            self.everything = True
        else:
            self.dirty.update(collections)


class Hub:
    """The streams of this process."""

    def __init__(self, draw: Callable[[int], int] = secrets.randbelow) -> None:
        self._draw = draw
        self._lock = threading.Lock()
        # by district and loop, so that the writer's thread never walks through ten thousand streams
        self._streams: dict[str, dict[asyncio.AbstractEventLoop, set[_Pending]]] = {}
        self._by_user: dict[tuple[str, int], set[_Pending]] = {}
        self._tickets: dict[str, tuple[int, object]] = {}
        self._later: set[tuple[str, int]] = set()
        self._rounds: dict[tuple[str, asyncio.AbstractEventLoop], _Round] = {}
        self.closing = False

    @property
    def streams(self) -> int:
        """How many streams are open."""
        with self._lock:
            return sum(len(found) for loops in self._streams.values() for found in loops.values())

    def poke(
        self, district: str, head: int, collections: Some[str] | None = None, users: Some[int] | None = None
    ) -> None:
        """Tell the streams of a district, or of some of its users; from any thread. None means all.

        With no collection at all nothing is told: each stream is only asked whether it may go on (ES5).

        Commits that come while a round over the streams is still to begin are told in that round: a district that
        commits a hundred times a second has its streams walked through twenty times.
        """
        with self._lock:
            open_ = self._streams.get(district, {})
            size = sum(map(len, open_.values()))
            loops = set(open_)
            if users is None:
                waiting = {loop for loop in loops if (district, loop) in self._rounds}
                for loop in waiting:
                    self._rounds[district, loop].add(head, collections)
                loops -= waiting
                self._rounds |= {(district, loop): _Round(head, collections) for loop in loops}
        for loop in loops:
            with contextlib.suppress(RuntimeError):  # the loop has closed: nobody listens
                if users is None:
                    loop.call_soon_threadsafe(self._begin_round, district, loop, size)
                else:
                    loop.call_soon_threadsafe(self._tell, district, loop, _Round(head, collections), users)

    def _begin_round(self, district: str, loop: asyncio.AbstractEventLoop, size: int) -> None:
        if size < MANY_STREAMS:
            self._walk(district, loop)
        else:
            loop.call_later(ROUND_MS / 1000, self._walk, district, loop)

    def _walk(self, district: str, loop: asyncio.AbstractEventLoop) -> None:
        with self._lock:
            told = self._rounds.pop((district, loop), None)
        if told is not None:
            self._tell(district, loop, told, None)

    def _tell(
        self, district: str, loop: asyncio.AbstractEventLoop, told: "_Round", users: Some[int] | None
    ) -> None:
        with self._lock:
            if users is None:
                found = list(self._streams.get(district, {}).get(loop, ()))
            else:
                own = [pending for user in users for pending in self._by_user.get((district, user), ())]
                found = [pending for pending in own if pending.loop is loop]
        for pending in found:
            if told.everything:
                pending.everything = True
            else:
                pending.dirty |= told.dirty
            pending.head = max(pending.head, told.head)
            pending.changed.set()

    def poke_later(self, district: str, user_pk: int, delay_ms: int) -> None:
        """Tell one user's streams after a while, once however often it is asked for; from a running loop (PU10).

        A page that overtook a push answer is repaired by the first pull after the answer can no longer be on its way.
        """
        key = (district, user_pk)
        with self._lock:
            if key in self._later:
                return
            self._later.add(key)

        def now() -> None:
            with self._lock:
                self._later.discard(key)
            self.poke(district, 0, None, {user_pk})

        asyncio.get_running_loop().call_later(delay_ms / 1000, now)

    def poke_spread(self, district: str, head: int, window_ms: int) -> None:
        """ES6: tell each stream of a district at an instant drawn within `window_ms`; from any thread.

        While a stream's instant is to come, more to tell is told then: a re-assignment of many documents in many
        commits is one poke a window for a phone, and no two thousand phones pull in one second.
        """
        if not window_ms:
            self.poke(district, head)
            return
        with self._lock:
            loops = set(self._streams.get(district, {}))
        for loop in loops:
            with contextlib.suppress(RuntimeError):  # the loop has closed: nobody listens
                loop.call_soon_threadsafe(self._spread, district, loop, head, window_ms)

    def _spread(self, district: str, loop: asyncio.AbstractEventLoop, head: int, window_ms: int) -> None:
        with self._lock:
            found = list(self._streams.get(district, {}).get(loop, ()))
        for pending in found:
            pending.head = max(pending.head, head)
            if not pending.later:
                pending.later = True
                loop.call_later(self._draw(window_ms) / 1000, _tell_all, pending)

    def close(self) -> None:
        """End every stream; from any thread."""
        self.closing = True
        with self._lock:
            found = [
                pending
                for loops in self._streams.values()
                for streams in loops.values()
                for pending in streams
            ]
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
        self, district: str, user_pk: int, head: int, ends_in_ms: int, still: Callable[[], Awaitable[bool]]
    ) -> AsyncGenerator[bytes, None]:
        """ES4: the bytes of one stream: RESYNC at once, then at most one in two seconds, to the token's end.

        ES5: before whatever it says later, `still` is asked whether its session stands.
        """
        pending = _Pending(district, user_pk, asyncio.get_running_loop())
        pending.everything, pending.head = True, head
        end = monotonic_ms() + ends_in_ms
        with self._lock:
            self._streams.setdefault(district, {}).setdefault(pending.loop, set()).add(pending)
            self._by_user.setdefault((district, user_pk), set()).add(pending)
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
                due = pending.changed.is_set() and now >= told + COALESCE_MS
                if not due and now < beat:
                    continue
                if not await still():
                    break
                if due and pending.has_news():
                    yield pending.take()
                    told, beat = now, now + HEARTBEAT_MS
                elif due:  # only woken to be asked about
                    pending.changed.clear()
                else:
                    yield b": \n\n"
                    beat = now + HEARTBEAT_MS
        finally:
            with self._lock:
                streams = self._streams[district][pending.loop]
                streams.discard(pending)
                if not streams:
                    del self._streams[district][pending.loop]
                own = self._by_user[district, user_pk]
                own.discard(pending)
                if not own:
                    del self._by_user[district, user_pk]

    async def _wait(self, pending: _Pending, milliseconds: int, *, sleeping: bool) -> None:
        """Wait for a poke, or, when one is already pending, for the two seconds to pass; closing ends both."""
        if milliseconds <= 0 or self.closing:
            return
        event = pending.closed if sleeping else pending.changed
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(milliseconds / 1000):  # no task of its own, unlike wait_for
                await event.wait()
