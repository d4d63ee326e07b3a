"""What this process does with what others on the same PostgreSQL have committed: it looks, pokes and forgets (FL5)."""

import asyncio

from litestar import Litestar

from server.heralds import EVERYBODY, HEADS, Listener
from server.jobs.schedule import watch_head
from server.metrics import Metrics
from server.runtime import Runtime
from sync.errors import StoreUnavailable


class Others:
    """Hears the other processes; ``start`` within the loop that serves."""

    def __init__(self, app: Litestar, runtime: Runtime) -> None:
        self._app = app
        self._runtime = runtime
        self._looking: set[str] = (
            set()
        )  # districts whose head is being read; more words meanwhile are one more look
        self._again: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.listener = Listener(
            runtime.settings.libpq_url, asyncio.get_running_loop(), self.heard, self.deaf_until_now
        )

    def describe(self, metrics: Metrics) -> None:
        """The figures of what is heard."""
        listener = self.listener
        metrics.gauge(
            "wangge_listening",
            "Whether other processes are heard at once (1), or their heads are looked at every few seconds (0).",
            lambda: [((), float(listener.listening))],
        )
        metrics.gauge(
            "wangge_words_heard", "Words of processes since the start.", lambda: [((), listener.words)]
        )
        metrics.gauge(
            "wangge_listener_losses", "How often the line to them was lost.", lambda: [((), listener.losses)]
        )

    def start(self) -> None:
        """Begin to listen."""
        self.listener.start()

    def stop(self) -> None:
        """End."""
        self.listener.stop()

    def heard(self, channel: str, words: list[str]) -> None:
        """One word of another process, or of this one, which is passed over."""
        district = self._runtime.districts.get(words[0]) if len(words) > 1 else None
        if district is None:
            return
        if channel == HEADS:
            head = district.head
            if tuple(map(int, words[1:])) > (head.epoch, head.seq, head.config):
                self._look(district.code)
        else:
            self._forget(district.code, None if words[1] == EVERYBODY else int(words[1]))

    def deaf_until_now(self) -> None:
        """Nothing was heard for a while: every district is looked at, every session asked about."""
        for code in list(self._runtime.districts):
            self._look(code)
            self._forget(code, None)

    def _forget(self, code: str, user_pk: int | None) -> None:
        callers = self._app.state.callers.get(code)
        if callers is not None:
            if user_pk is None:
                callers.forget_all()
            else:
                callers.forget_user(user_pk)
        self._runtime.hub.poke(code, 0, (), None if user_pk is None else {user_pk})

    def _look(self, code: str) -> None:
        if code in self._looking:
            self._again.add(code)
            return
        self._looking.add(code)
        task = asyncio.get_running_loop().create_task(self._looked(code))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _looked(self, code: str) -> None:
        try:
            while True:
                self._again.discard(code)
                district = self._runtime.districts.get(code)
                if district is not None:
                    await watch_head(self._runtime, district)
                if code not in self._again:
                    return
        except StoreUnavailable:
            return  # the next look of the watch finds it
        finally:
            self._looking.discard(code)
