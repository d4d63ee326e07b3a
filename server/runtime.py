"""Everything a running server holds, joined in one place."""

import threading
from collections.abc import Generator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from server.clocks import DomainClock, wall_ms
from server.database import BadDistrict, Database, DistrictEntry
from server.districts import District
from server.keys import DistrictKeys, KeyFileError, SystemChance, TokenKey, create_key_file
from server.metrics import Metrics
from server.pokes import Hub
from server.settings import Settings
from sync.errors import SyncError


class NotInitialised(SyncError):
    """There is nothing here yet: run `wangge init` first."""

    code = "not_initialised"
    status = 503


class Runtime:
    """The open districts, the clock, the keys and the streams of this process."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.database = Database(settings)
        self.clock = DomainClock(Path(settings.clock_file) if settings.clock_file else None)
        self.chance = SystemChance()
        self.metrics = Metrics()
        self.hub = Hub()
        self.token_key: TokenKey | None = None
        self.districts: dict[str, District] = {}
        self.started_at = wall_ms()
        self.version = version("wangge")
        self._lock = threading.Lock()

    def open(self) -> None:
        """Open every active district; raises ``NotInitialised`` or ``KeyFileError``."""
        if not self.database.exists:
            raise NotInitialised
        self.token_key = TokenKey.of(self.settings.keys_folder)
        for entry in self.database.districts():
            if entry.state == "active":
                self._open_district(entry)

    def _open_district(self, entry: DistrictEntry) -> District:
        keys = DistrictKeys.of(self.settings.keys_folder, entry.code)
        district = District(entry, self.database.open_store(entry.code), keys, self.clock, self.chance)
        district.open()
        code = entry.code
        district.writer.listen(lambda head: self.hub.poke(code, head.seq))
        with self._lock:
            self.districts[code] = district
        return district

    def close(self) -> None:
        """End the streams, finish the writes, close the databases."""
        self.hub.close()
        for district in list(self.districts.values()):
            district.close()
        self.districts.clear()
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
    settings: Settings, code: str, name: str, short_name: str = "", *, demo: bool = False
) -> DistrictEntry:
    """Make a new installation, or add a district to one: keys, directory, database.

    A key file that is there already is kept, since it may come from a backup. Raises ``BadDistrict``.
    """
    database = Database(settings)
    try:
        if not (settings.keys_folder / "token.key").exists():
            create_key_file(settings.keys_folder / "token.key")
        database.migrate_directory()
        if any(entry.code == code for entry in database.districts()):
            raise BadDistrict(f"The district {code} exists already.")
        if not (settings.keys_folder / f"{code}.key").exists():
            create_key_file(settings.keys_folder / f"{code}.key")
        return database.add_district(code, name, short_name or name, demo=demo, now=wall_ms())
    finally:
        database.close()


@contextmanager
def opened(settings: Settings) -> Generator[Runtime, None, None]:
    """A runtime for a command: opened, and closed at the end."""
    runtime = Runtime(settings)
    try:
        runtime.open()
        yield runtime
    finally:
        runtime.close()


__all__ = ["KeyFileError", "NotInitialised", "Runtime", "initialise", "opened"]
