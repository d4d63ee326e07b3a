"""The one writer of a district: a thread that drains a queue and commits what waits together.

Requests of several phones share a transaction, each in a savepoint of its own (see ``sync.commit``). A request is
answered only after the commit that holds it.
"""

import asyncio
import contextlib
import logging
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from sync.commit import Context, Outcome, Work, commit_group
from sync.errors import StoreFailed, StoreUnavailable
from sync.store import Store, Tx
from sync.values import Head

T = TypeVar("T")
Listener = Callable[[Head], None]
MAX_GROUP = 64
MAX_WAITING = 2000
_log = logging.getLogger("wangge.writer")


class _Job:
    """One submitted work and the way back to its submitter."""

    __slots__ = ("actor", "alone", "done", "loop", "unhurried", "work")

    def __init__(
        self,
        work: Work[Any],
        actor: str,
        loop: asyncio.AbstractEventLoop | None,
        done: "asyncio.Future[Any] | Future[Any]",
        *,
        unhurried: bool = False,
    ) -> None:
        self.work = work
        self.actor = actor
        self.loop = loop
        self.done = done
        self.unhurried = unhurried
        self.alone: Callable[[], Any] | None = None  # done between two transactions, instead of a work


def _nothing(_: Tx, __: Context) -> None:
    """The work of a job that is none."""


class Writer:
    """Takes works from any thread or task and commits them in the order they came."""

    def __init__(
        self,
        store: Store,
        make_context: Callable[[str], Context],
        *,
        name: str = "writer",
        max_waiting: int = MAX_WAITING,
    ) -> None:
        self._store = store
        self._make_context = make_context
        self._queue: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._max_waiting = max_waiting
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        # While the disk takes a push in, its answer is worked out, and the rows of the last one are given back.
        self._beside = ThreadPoolExecutor(1, thread_name_prefix=f"{name}-answers")
        self._spent: list[_Job] = []
        self._stopping = False
        self._listeners: list[tuple[Listener, Listener]] = []
        self.on_failed: Callable[[], None] = _log_alone
        self._gate = threading.Lock()
        self._open = False
        self._head: Head | None = None
        self.commits = 0
        self.works = 0

    @property
    def waiting(self) -> int:
        """How many works are queued."""
        return self._queue.qsize()

    def listen(self, listener: Listener, *, unhurried: Listener | None = None) -> None:
        """Call `listener(head)` in the writer's thread after every commit that moved the clock or the configuration.

        `unhurried` is called instead, where given, after a commit of nothing but works of which nobody needs to hear
        at once.
        """
        self._listeners.append((listener, unhurried or listener))

    def start(self) -> None:
        """Begin to take works."""
        with self._gate:
            self._open = True
        self._thread.start()

    def stop(self, timeout: float = 30) -> None:
        """Take nothing new, finish what waits, end."""
        with self._gate:
            if not self._open:
                return
            self._open = False
        self._queue.put(None)
        self._thread.join(timeout)
        self._beside.shutdown(wait=False)

    async def submit(
        self, work: Work[T], *, actor: str = "system", unhurried: bool = False, always: bool = False
    ) -> T:
        """What `work` returns, once it is committed; raises what it raises, or ``StoreUnavailable`` when too many wait.

        `always`: however many wait (FL8). Of `unhurried` works phones hear over a while, not all at once. If the caller
        goes away meanwhile the work is committed all the same.
        """
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()
        self._put(_Job(work, actor, loop, done, unhurried=unhurried), always=always)
        return await done

    def submit_blocking(self, work: Work[T], *, actor: str = "system", unhurried: bool = False) -> T:
        """``submit`` for threads; never call it from an event loop or from inside a work."""
        if threading.current_thread() is self._thread:
            raise RuntimeError("a work cannot wait for another work")
        done: Future[T] = Future()
        self._put(_Job(work, actor, None, done, unhurried=unhurried))
        return done.result()

    def alone_blocking(self, function: Callable[[], T]) -> T:
        """What `function` returns, called while no transaction is open; for what a database does as a whole."""
        done: Future[T] = Future()
        job = _Job(_nothing, "", None, done)
        job.alone = function
        self._put(job)
        return done.result()

    def _put(self, job: _Job, *, always: bool = False) -> None:
        with self._gate:
            if not self._open:
                raise StoreUnavailable("The server is stopping; nothing was stored.", retry_after=5)
            if self._queue.qsize() >= self._max_waiting and not always:
                raise StoreUnavailable("Too many writes are waiting; nothing was stored.", retry_after=5)
            self._queue.put(job)

    def _run(self) -> None:
        while group := self._waiting_together():
            for job in group:
                if job.alone is not None:
                    _settle([(job.done, _called(job.alone))])
            group = [job for job in group if job.alone is None]
            if not group:
                continue
            self._commit(group)
            self._spent = group if len(group) == 1 else []

    def _waiting_together(self) -> list[_Job]:
        """What is to be committed next; nothing at the end."""
        group: list[_Job] = []
        if self._stopping:
            return group
        job = self._queue.get()
        while job is not None:
            group.append(job)
            if len(group) >= MAX_GROUP:
                return group
            try:
                job = self._queue.get_nowait()
            except queue.Empty:
                return group
        self._stopping = True
        return group

    def _commit(self, group: list[_Job]) -> None:
        try:
            works = [(job.work, self._make_context(job.actor)) for job in group]
            outcomes = commit_group(self._store, works, self._meanwhile)
        except Exception as error:  # noqa: BLE001  # every submitter must hear of it, and the thread must live on
            outcomes = [Outcome(error=error) for _ in group]
        self.commits += 1
        self.works += len(group)
        # Listeners hear first: whoever is answered may rely on the next request being judged by the new state.
        heads = [outcome.head for outcome in outcomes if outcome.head is not None]
        if heads:
            self._tell(max(heads, key=lambda head: head.seq), unhurried=all(job.unhurried for job in group))
        self._answer(group, outcomes)
        if any(isinstance(outcome.error, StoreFailed) for outcome in outcomes):
            self.on_failed()

    def _meanwhile(self, make: Callable[[], T]) -> Callable[[], T]:
        begun = self._beside.submit(make)
        spent, self._spent = self._spent, []
        self._beside.submit(spent.clear)
        return begun.result

    def _answer(self, group: list[_Job], outcomes: list[Outcome[Any]]) -> None:
        per_loop: dict[asyncio.AbstractEventLoop, list[tuple[Any, Outcome[Any]]]] = {}
        for job, outcome in zip(group, outcomes, strict=True):
            if job.loop is None:
                _settle([(job.done, outcome)])
            else:
                per_loop.setdefault(job.loop, []).append((job.done, outcome))
        for loop, settled in per_loop.items():
            # a loop that is closed by now has nobody left who waits
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(_settle, settled)

    def _tell(self, head: Head, *, unhurried: bool) -> None:
        before, self._head = self._head, head
        if before is not None and (before.seq, before.config, before.epoch) == (
            head.seq,
            head.config,
            head.epoch,
        ):
            return
        for at_once, over_a_while in self._listeners:
            try:
                (over_a_while if unhurried else at_once)(head)
            except Exception:  # noqa: BLE001  # a poke that fails must not stop the writer
                _log.exception("a listener failed")


def _log_alone() -> None:
    _log.critical("a commit could not be synced to the disk: nothing more is written until a new start")


def _called(function: Callable[[], Any]) -> Outcome[Any]:
    try:
        return Outcome(function())
    except Exception as error:  # noqa: BLE001  # handed to the submitter, never swallowed
        return Outcome(error=error)


def _settle(settled: list[tuple[Any, Outcome[Any]]]) -> None:
    for done, outcome in settled:
        if done.done():
            continue
        if outcome.error is not None:
            done.set_exception(outcome.error)
        else:
            done.set_result(outcome.value)
