"""The ticks: an in-memory scheduler that calls jobs; what is due stands in the database, never here.

A job that runs late, twice, or in several processes at once must do no harm: each finds out for itself what is due.
"""

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Sequence
from importlib import import_module

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from msgspec import Struct

from server.districts import District
from server.runtime import Runtime
from sync.errors import StoreUnavailable
from sync.reassign import is_under_way

MODULES: list[str] = [
    "server.jobs.bounds",
    "server.jobs.escalate",
    "server.jobs.upkeep",
    "server.jobs.files",
]
_log = logging.getLogger("wangge.jobs")


class Job(Struct, frozen=True):
    """Something to do every `seconds`; a plain function runs in a thread, a coroutine on the loop."""

    name: str
    seconds: float
    run: Callable[[Runtime], Awaitable[None] | None]


async def watch_heads(runtime: Runtime) -> None:
    """Poke for what other processes have committed (PostgreSQL; on SQLite this process is the only writer).

    FL5: what is told between processes may go unheard; this finds it.
    """
    if not runtime.database.postgres:
        return
    for district in list(runtime.districts.values()):
        await watch_head(runtime, district)


async def watch_head(runtime: Runtime, district: District) -> None:
    """Look at one district."""
    head = await district.read(lambda reader: reader.head())
    if district.saw(head):
        if await district.read(is_under_way):  # what has changed is most of all what moves
            runtime.hub.poke_spread(district.code, head.seq, runtime.settings.poke_window_s * 1000)
        else:
            runtime.hub.poke(district.code, head.seq)


OWN = (Job("watch_heads", 3, watch_heads),)


def all_jobs() -> list[Job]:
    """The jobs of every module."""
    return [*OWN, *(job for name in MODULES for job in import_module(name).JOBS)]


def start(runtime: Runtime, jobs: Sequence[Job]) -> AsyncIOScheduler:
    """Begin to tick, in the running loop; ``shutdown(wait=False)`` ends it."""
    scheduler = AsyncIOScheduler()
    for job in jobs:
        scheduler.add_job(
            _run,
            "interval",
            args=(runtime, job),
            seconds=job.seconds,
            id=job.name,
            coalesce=True,
            max_instances=1,
            misfire_grace_time=None,
        )
    scheduler.start()
    return scheduler


async def _run(runtime: Runtime, job: Job) -> None:
    try:
        if inspect.iscoroutinefunction(job.run):
            await job.run(runtime)
        else:
            await asyncio.to_thread(job.run, runtime)
    except StoreUnavailable:
        _log.warning("job waits for the database", extra={"fields": {"job": job.name}})
    except Exception as error:  # noqa: BLE001  # the next tick tries again
        # not its text, which may quote data
        _log.error("job failed", extra={"fields": {"job": job.name, "kind": type(error).__name__}})
        runtime.metrics.count("wangge_job_failures_total", (("job", job.name),))
