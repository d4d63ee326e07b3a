"""Jobs of the system itself: timed grants end, documents are re-assigned, settlements are verified."""

import logging

from server.districts import District
from server.erasing import sweep
from server.jobs.schedule import Job
from server.reassigning import go_on
from server.runtime import Runtime
from sync import reassign, upkeep
from sync.store import Reader

_log = logging.getLogger("wangge.jobs")


async def reassign_documents(runtime: Runtime) -> None:
    """Go on with what is to be re-assigned, piece by piece, waiting pushes in between."""
    for code, district in list(runtime.districts.items()):
        if await district.read(reassign.is_under_way):
            moved = await go_on(district)
            _log.info("documents re-assigned", extra={"fields": {"district": code, "moved": moved}})


async def end_grants(runtime: Runtime) -> None:
    """Close the grants whose announced end has come."""
    for district in list(runtime.districts.values()):
        await district.writer.submit(upkeep.end_timed_grants(), actor="grants")


async def verify(runtime: Runtime) -> None:
    """What was settled on the spot and not drawn for the sample is verified after two working days."""
    for district in list(runtime.districts.values()):
        now = district.clock.now_ms()

        def question(reader: Reader, district: District = district, now: int = now) -> list[int]:
            return upkeep.unsampled(reader, district.config_of(reader), district.keys, now=now)

        if due := await district.read(question):
            await district.writer.submit(upkeep.verify_unsampled(due), actor="verify")


async def link_waiting(runtime: Runtime) -> None:
    """What was written to a case that its writer could not see finds it once he can."""
    for district in list(runtime.districts.values()):
        after: int | None = 0
        while after is not None:
            done = await district.writer.submit(upkeep.link_waiting(after), actor="waiting")
            after = done.after


def sweep_erasures(runtime: Runtime) -> None:
    """What was erased leaves the file as well, and is written down outside of it."""
    for district in list(runtime.districts.values()):
        sweep(district, runtime.settings.folder)


JOBS = [
    Job("reassign", 5, reassign_documents),
    Job("end_grants", 60, end_grants),
    Job("verify", 300, verify),
    Job("link_waiting", 60, link_waiting),
    Job("sweep_erasures", 60, sweep_erasures),
]
