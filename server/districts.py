"""A district that is being served: its store, writer, readers, keys and clock."""

import asyncio
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from server.clocks import DomainClock, wall_ms
from server.database import DistrictEntry
from server.errors import place_of
from server.indexes import Indexes
from server.keys import DistrictKeys, SystemChance
from server.writer import Writer
from sync.commit import Context
from sync.config import Config, ConfigCache
from sync.sql_store import SqlStore
from sync.store import Reader
from sync.values import Head

T = TypeVar("T")
_READERS = 2
_log = logging.getLogger("wangge.districts")


def _broke(error: Exception) -> None:
    _log.error("a row of a push could not be decided and is put aside", extra={"fields": place_of(error)})


class District:
    """One open district. `entry` is what the directory knows of it."""

    def __init__(
        self,
        entry: DistrictEntry,
        store: SqlStore,
        keys: DistrictKeys,
        clock: DomainClock,
        chance: SystemChance,
        indexes: Indexes,
    ) -> None:
        self.entry = entry
        self.code = entry.code
        self.name = entry.name
        self.demo = entry.demo
        self.store = store
        self.keys = keys
        self.clock = clock
        self.chance = chance
        # Readers in several threads share one cache: it holds finished values only.
        self.configs = ConfigCache(entry.code, indexes.of)
        self._config_lock = threading.Lock()
        # The writer sees configurations that are not committed yet; nobody else may.
        self._writer_configs = ConfigCache(entry.code, indexes.of)
        self.head = Head(0, 1, 1, 0)
        self._head_lock = threading.Lock()
        self.writer = Writer(store, self.context, name=f"writer-{entry.code}")
        self.writer.listen(self._on_commit)
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix=f"reader-{entry.code}")

    def open(self) -> None:
        """Read the head and begin to write."""
        self.store.settle()
        with self.store.read() as reader:
            self.head = reader.head()
        self.writer.start()

    def close(self) -> None:
        """Finish what waits and give everything back."""
        self.writer.stop()
        self._readers.shutdown(wait=True)
        self.store.close()

    def context(self, actor: str = "system") -> Context:
        """What a commit of this district is done with, now."""
        now, configs = self.clock.now_ms(), self._writer_configs
        return Context(now, wall_ms(), self.chance, self.keys, configs, actor, broke=_broke)

    def config(self) -> Config:
        """The newest committed configuration; blocking, for threads."""
        return self.read_blocking(self.config_of)

    def config_of(self, reader: Reader) -> Config:
        """The configuration of the reader's snapshot."""
        with self._config_lock:
            return self.configs.get(reader)

    async def read(self, question: Callable[[Reader], T]) -> T:
        """What `question` finds in one snapshot; it runs in a thread and must be short."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, self.read_blocking, question)

    def read_blocking(self, question: Callable[[Reader], T]) -> T:
        """``read`` for threads."""
        with self.store.read(bounded=True) as reader:
            return question(reader)

    def _on_commit(self, head: Head) -> None:
        self.saw(head)

    def saw(self, head: Head) -> bool:
        """Take in where the district stands; False when that is known, or older than what is."""
        with self._head_lock:
            known = self.head
            if (head.epoch, head.seq, head.config) <= (known.epoch, known.seq, known.config):
                return False
            self.head = head
            return True
