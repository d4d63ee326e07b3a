"""What a demo district offers on this machine alone: known accounts, and a clock that can be moved."""

from pathlib import Path
from typing import Any, Final

import msgspec

from server.auth.guards import Connection, from_this_machine, runtime_of
from server.districts import District
from server.runtime import Runtime
from server.settings import Settings
from sync.cases.calendars import DAY, Calendar, day_of, has_hours, hours_of
from sync.cases.catalogue import ROLES
from sync.config import Config
from sync.errors import NotFound
from sync.firing import Ticked, tick_work

ACCOUNTS_FILE: Final = "demo-accounts.json"
_TICKS_MAX: Final = 1000
_LOOK_DAYS: Final = 3660


def demo_district(connection: Connection) -> District:
    """The demo district of this server; ``NotFound`` unless it is served to this machine only."""
    runtime = runtime_of(connection)
    district = next((one for one in runtime.districts.values() if one.demo), None)
    allowed = runtime.settings.purpose in {"demo", "test"} and runtime.settings.loopback
    if district is None or not allowed or not from_this_machine(connection):
        raise NotFound
    return district


def accounts(settings: Settings, config: Config) -> list[dict[str, Any]]:
    """The accounts one may sign in as, passwords included; ``NotFound`` where none were written."""
    path = Path(settings.data) / ACCOUNTS_FILE
    try:
        listed = msgspec.json.decode(path.read_bytes(), type=list[dict[str, Any]])
    except (OSError, msgspec.DecodeError):
        raise NotFound from None
    for account in listed:
        role = ROLES.get(str(account.get("role")))
        unit = config.unit_by_code.get(str(account.get("unit")))
        account.setdefault("role_zh", account.get("role") if role is None else role.zh)
        account.setdefault("unit_name", account.get("unit") if unit is None else unit.name)
    return listed


def same_hour_after(calendar: Calendar | None, now: int, working_days: int) -> int:
    """The instant at the same time of day, so many working days later."""
    if calendar is None or not has_hours(calendar):
        return now + working_days * DAY
    day = first = day_of(calendar, now)
    left = working_days
    while left and day - first < _LOOK_DAYS:
        day += 1
        left -= 1 if hours_of(calendar, day) else 0
    return now + (day - first) * DAY


def calendar_of(config: Config) -> Calendar | None:
    """The office calendar: the one the rules of the district use."""
    return next(iter(config.calendars.values()), None)


async def advance(runtime: Runtime, district: District, working_days: int) -> dict[str, Any]:
    """Move the domain clock and let everything that falls due take effect."""
    config = await district.read(district.config_of)
    before = runtime.clock.now_ms()
    try:
        runtime.clock.advance(same_hour_after(calendar_of(config), before, working_days) - before)
    except ValueError:
        raise NotFound from None
    cases = fired = 0
    for _ in range(_TICKS_MAX):
        ticked: Ticked = await district.writer.submit(tick_work(), actor="system")
        cases, fired = cases + ticked.cases, fired + ticked.fired
        if not ticked.more:
            break
    return {"now": runtime.clock.now_ms(), "cases": cases, "fired": fired}
