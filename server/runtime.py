"""Everything a running server holds, joined in one place."""

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from server.clocks import DomainClock, wall_ms
from server.database import BadDistrict, Database, DistrictEntry, check_code
from server.districts import District
from server.files.keeper import FileKeeper
from server.indexes import Indexes
from server.keys import DistrictKeys, KeyFileError, SystemChance, TokenKey, create_key_file
from server.metrics import Metrics
from server.migrations.run import SchemaMismatch
from server.pokes import Hub
from server.settings import Settings
from sync.administration import load_calendar, load_ruleset, put_settings
from sync.cases.catalogue import DATA
from sync.commit import Context, Work, commit
from sync.config import ConfigCache
from sync.errors import StoreUnavailable, SyncError

if TYPE_CHECKING:
    from server.heralds import Herald

_CALENDARS: Final = ("calendar_cn.toml", "calendar_always.toml")


class NotInitialised(SyncError):
    """There is nothing here yet: run `wangge init` first."""

    code = "not_initialised"
    status = 503


def _herald(settings: Settings) -> "Herald | None":
    if not settings.postgres:
        return None
    from server.heralds import Herald  # with the driver of PostgreSQL

    return Herald(settings.libpq_url)


class Runtime:
    """The open districts, the clock, the keys and the streams of this process."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.database = Database(settings)
        self.clock = DomainClock(Path(settings.clock_file) if settings.clock_file else None)
        self.chance = SystemChance()
        self.metrics = Metrics()
        self.hub = Hub()
        self.herald = _herald(settings)
        self.files = FileKeeper(settings.files)
        self.indexes = Indexes(Path(settings.data) / "indexes")
        self.token_key: TokenKey | None = None
        self.districts: dict[str, District] = {}
        self.unreadable: dict[
            str, str
        ] = {}  # code of a district that could not be opened: the sentence that says why
        self.is_open = False
        self.on_failed: Callable[[], None] | None = None  # what is done once a store has failed
        self.started_at = wall_ms()
        self.version = version("wangge")
        self._lock = threading.Lock()

    def open(self, *, whatever_can_be: bool = False) -> None:
        """Open every active district; raises ``NotInitialised``, ``KeyFileError``, or what a district raises.

        `whatever_can_be` puts a district that cannot be read among the ``unreadable`` and goes on.
        """
        if not self.database.exists:
            raise NotInitialised
        self.token_key = TokenKey.of(self.settings.keys_folder)
        self.is_open = True
        for entry in self.database.districts():
            if entry.state != "active":
                continue
            try:
                self._open_district(entry)
            except (StoreUnavailable, SchemaMismatch) as error:
                if not whatever_can_be:
                    raise
                self.unreadable[entry.code] = error.detail

    def _open_district(self, entry: DistrictEntry) -> District:
        keys = DistrictKeys.of(self.settings.keys_folder, entry.code)
        store = self.database.open_district(entry.code)
        district = District(entry, store, keys, self.clock, self.chance, self.indexes)
        try:
            district.open()
        except BaseException:  # an interrupt too must give the connections back
            district.store.close()
            raise
        code = entry.code
        window = self.settings.poke_window_s * 1000
        district.writer.listen(
            lambda head: self.hub.poke(code, head.seq),
            unhurried=lambda head: self.hub.poke_spread(code, head.seq, window),
        )
        if self.on_failed is not None:
            district.writer.on_failed = self.on_failed
        herald = self.herald
        if herald is not None:
            district.writer.listen(lambda head: herald.head(code, head.epoch, head.seq, head.config))
        with self._lock:
            self.districts[code] = district
        return district

    def close(self) -> None:
        """End the streams, finish the writes, close the databases."""
        self.hub.close()
        self.files.close()
        self.indexes.close()
        for district in list(self.districts.values()):
            district.close()
        self.districts.clear()
        if self.herald is not None:
            self.herald.close()
        self.is_open = False
        self.database.close()

    def district(self, code: str) -> District:
        """An open district; raises ``BadDistrict``."""
        try:
            return self.districts[code]
        except KeyError as error:
            raise BadDistrict(f"There is no district {code!r} here.") from error

    @property
    def signing(self) -> TokenKey:
        """The key that signs tokens."""
        if self.token_key is None:
            raise NotInitialised
        return self.token_key


def initialise(
    settings: Settings, code: str, name: str, short_name: str = "", *, demo: bool = False, test: bool = False
) -> DistrictEntry:
    """Make a new installation, or add a district to one: keys, directory, database.

    A key file that is there already is kept, since it may come from a backup. Raises ``BadDistrict`` before anything
    is written.
    """
    check_code(code)
    if not name.strip():
        raise BadDistrict("A district needs a name.")
    database = Database(settings)
    try:
        database.migrate_directory()
        entries = database.districts()
        if any(entry.code == code for entry in entries):
            raise BadDistrict(f"The district {code} exists already.")
        if any(entry.demo is not demo for entry in entries):
            raise BadDistrict(
                "A demo district has a clock that can be moved and known passwords: it shares its folder with no "
                "other. Name another one with --data."
            )
        for key in ("token", code):
            if not (settings.keys_folder / f"{key}.key").exists():
                create_key_file(settings.keys_folder / f"{key}.key")
        entry = database.add_district(code, name, short_name or name, demo=demo, test=test, now=wall_ms())
        _first_rules(database, settings, entry)
        return entry
    finally:
        database.close()


def _first_rules(database: Database, settings: Settings, entry: DistrictEntry) -> None:
    """A new district works at once: the default rules and calendars, to be replaced by its own."""
    store = database.open_store(entry.code)
    keys = DistrictKeys.of(settings.keys_folder, entry.code)
    chance = SystemChance()
    configs = ConfigCache(entry.code)
    works: list[Work[Any]] = [
        put_settings({"name": entry.name, "short_name": entry.short_name}),
        *(load_calendar((DATA / file).read_text("utf-8")) for file in _CALENDARS),
        load_ruleset((DATA / "rules_default.toml").read_text("utf-8")),
    ]
    try:
        for work in works:
            commit(store, work, Context(wall_ms(), wall_ms(), chance, keys, configs, "init"))
    finally:
        store.close()


@contextmanager
def opened(settings: Settings, *, whatever_can_be: bool = False) -> Generator[Runtime, None, None]:
    """A runtime for a command: opened, and closed at the end."""
    runtime = Runtime(settings)
    try:
        runtime.open(whatever_can_be=whatever_can_be)
        yield runtime
    finally:
        runtime.close()


__all__ = ["KeyFileError", "NotInitialised", "Runtime", "initialise", "opened"]
