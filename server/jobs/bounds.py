"""What must stay bounded by itself: SQLite's log, and the reads that would keep it from beginning anew."""

import logging

from server.jobs.schedule import Job
from server.runtime import Runtime

ROUNDS = 2  # a read ends after two or three of them
LOG_BYTES = 64 << 20  # above this the log is cut as soon as nobody reads it
_SECONDS = 15
_log = logging.getLogger("wangge.jobs")


def keep_bounds(runtime: Runtime) -> None:
    """End reads that last, and cut the log where it has grown."""
    for code, district in list(runtime.districts.items()):
        ended = district.store.end_long_reads(ROUNDS)
        if ended:
            runtime.metrics.count("wangge_reads_ended_total", (("district", code),), ended)
            _log.warning("reads lasted too long", extra={"fields": {"district": code, "ended": ended}})
        size = district.store.log_bytes()
        if size > LOG_BYTES and not district.store.shorten_log():
            _log.warning("the log is still read", extra={"fields": {"district": code, "bytes": size}})


JOBS = (Job("bounds", _SECONDS, keep_bounds),)
