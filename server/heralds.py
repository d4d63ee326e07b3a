"""What the processes on one PostgreSQL tell each other: that a district moved on, and whose sessions may have ended.

FL5 of ``sync/PROTOCOL.md``. It is a hint and nothing more: told after the commit, so that no commit waits for the lock
that a notification takes over the whole server, and gathered, so that a hundred commits are one. What is not heard is
found by looking at the head every few seconds, as ever. No document, no id and no name is in it.
"""

import asyncio
import logging
import secrets
import threading
from collections.abc import Callable
from typing import Final

import psycopg

HEADS: Final = "wangge_heads"  # district, epoch, number, configuration
SESSIONS: Final = "wangge_sessions"  # district, and the key of the account or *
EVERYBODY: Final = "*"
_CONNECT_SECONDS = 5
_AGAIN_SECONDS = (1.0, 3.0)  # by chance between these: all processes lose the same database at once
_LOOK_SECONDS = 15  # a line that is dead without having said so is found out
_WAITING_MAX = 1_000
_log = logging.getLogger("wangge.heralds")


def _connect(url: str) -> "psycopg.Connection[tuple[object, ...]]":
    return psycopg.connect(url, autocommit=True, connect_timeout=_CONNECT_SECONDS, application_name="wangge")


def _wait_before_again() -> float:
    low, high = _AGAIN_SECONDS
    return low + (high - low) * secrets.randbelow(1_000) / 1_000


class Herald:
    """Tells the others, from a thread of its own; begun by the first word."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._changed = threading.Condition()
        self._waiting: dict[tuple[str, str], str] = {}  # the newest word replaces the one before
        self._thread: threading.Thread | None = None
        self._closing = False
        self.told = 0
        self.lost = 0  # words that could not be sent; the others find out by looking

    def head(self, district: str, epoch: int, seq: int, config: int) -> None:
        """The district stands here now; from any thread, after the commit."""
        self._tell(HEADS, district, f"{district} {epoch} {seq} {config}")

    def sessions(self, district: str, user_pk: int | None = None) -> None:
        """Sessions of this account, or of anybody, may have ended."""
        who = EVERYBODY if user_pk is None else str(user_pk)
        self._tell(SESSIONS, f"{district} {who}", f"{district} {who}")

    def _tell(self, channel: str, key: str, words: str) -> None:
        with self._changed:
            if self._closing:
                return
            if len(self._waiting) >= _WAITING_MAX and (channel, key) not in self._waiting:
                self.lost += 1
                return
            self._waiting[channel, key] = words
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="herald", daemon=True)
                self._thread.start()
            self._changed.notify()

    def close(self) -> None:
        """Send what waits, and end."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(_CONNECT_SECONDS)

    def _run(self) -> None:
        connection = None
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closing)
                words, self._waiting = self._waiting, {}
                closing = self._closing
            try:
                if words and connection is None:
                    connection = _connect(self._url)
                if words and connection is not None:
                    told = [(channel, payload) for (channel, _), payload in words.items()]
                    connection.cursor().executemany("select pg_notify(%s, %s)", told)
                    self.told += len(words)
            except psycopg.Error as error:
                self.lost += len(words)
                _log.warning(
                    "other processes could not be told", extra={"fields": {"kind": type(error).__name__}}
                )
                _drop(connection)
                connection = None
                if not closing:
                    with self._changed:
                        self._changed.wait_for(lambda: self._closing, _wait_before_again())
            if closing:
                _drop(connection)
                return


def _drop(connection: "psycopg.Connection[tuple[object, ...]] | None") -> None:
    if connection is not None:
        connection.close()


class Listener:
    """Hears the others, on a connection of its own that comes back when it was lost.

    `heard(channel, words)` and `deaf_until_now()` are called in the loop: the latter each time the line stands, since
    whatever was told before was not heard.
    """

    def __init__(
        self,
        url: str,
        loop: asyncio.AbstractEventLoop,
        heard: Callable[[str, list[str]], None],
        deaf_until_now: Callable[[], None],
    ) -> None:
        self._url = url
        self._loop = loop
        self._heard = heard
        self._deaf_until_now = deaf_until_now
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="listener", daemon=True)
        self._connection: psycopg.Connection[tuple[object, ...]] | None = None
        self.listening = False
        self.words = 0
        self.losses = 0

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def stop(self) -> None:
        """End; the thread follows within a second."""
        self._stopping.set()
        self._thread.join(_CONNECT_SECONDS)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                with _connect(self._url) as connection:
                    for channel in (HEADS, SESSIONS):
                        connection.execute(f"listen {channel}".encode())
                    self.listening = True
                    self._in_loop(self._deaf_until_now)
                    self._listen(connection)
            except psycopg.Error as error:
                self.losses += 1
                _log.warning(
                    "other processes are not heard; their heads are looked at meanwhile",
                    extra={"fields": {"kind": type(error).__name__}},
                )
            finally:
                self.listening = False
            self._stopping.wait(_wait_before_again())

    def _listen(self, connection: "psycopg.Connection[tuple[object, ...]]") -> None:
        quiet = 0
        while not self._stopping.is_set():
            before = self.words
            for note in connection.notifies(timeout=1):
                self.words += 1
                self._in_loop(self._heard, note.channel, note.payload.split())
                if self._stopping.is_set():
                    return
            quiet = 0 if self.words != before else quiet + 1
            if quiet >= _LOOK_SECONDS:
                quiet = 0
                connection.execute("select 1")

    def _in_loop(self, function: Callable[..., None], *words: object) -> None:
        try:
            self._loop.call_soon_threadsafe(function, *words)
        except RuntimeError:  # the loop has closed: the process ends
            self._stopping.set()
