"""Jobs of the system itself: timed grants end, cases follow a new edition of the cells, settlements are verified."""

import asyncio
import logging

from server.jobs.schedule import Job
from server.runtime import Runtime
from sync import upkeep
from sync.generations import REGRID

_log = logging.getLogger("wangge.jobs")


async def regrid(runtime: Runtime) -> None:
    """Go on with a re-assignment that is under way, chunk by chunk, waiting pushes in between."""
    for code, district in list(runtime.districts.items()):
        config = await district.read(district.config_of)
        if config.settings.get(REGRID) is None:
            continue
        moved = 0
        while True:
            done = await district.writer.submit(upkeep.regrid_work(), actor="regrid")
            moved += done.moved
            if done.after is None:
                break
            await asyncio.sleep(0)
        _log.info("cases follow the cells", extra={"fields": {"district": code, "moved": moved}})


async def end_grants(runtime: Runtime) -> None:
    """Close the grants whose announced end has come."""
    for district in list(runtime.districts.values()):
        await district.writer.submit(upkeep.end_timed_grants(), actor="grants")


async def verify(runtime: Runtime) -> None:
    """What was settled on the spot and not drawn for the sample is verified after two working days."""
    for district in list(runtime.districts.values()):
        await district.writer.submit(upkeep.verify_unsampled(), actor="verify")


async def link_waiting(runtime: Runtime) -> None:
    """What was written to a case that its writer could not see finds it once he can."""
    for district in list(runtime.districts.values()):
        after: int | None = 0
        while after is not None:
            done = await district.writer.submit(upkeep.link_waiting(after), actor="waiting")
            after = done.after


JOBS = [
    Job("regrid", 5, regrid),
    Job("end_grants", 60, end_grants),
    Job("verify", 300, verify),
    Job("link_waiting", 60, link_waiting),
]
