"""What becomes of uploads by itself: complete ones find their document, expired ones and what nobody holds go."""

from server.jobs.schedule import Job
from server.runtime import Runtime


def look(runtime: Runtime) -> None:
    """Complete uploads whose document has come since, or that a server before this one had not finished."""
    for district in list(runtime.districts.values()):
        runtime.files.look(district).result()


def delete_dropped(runtime: Runtime) -> None:
    """The bytes of what was erased."""
    for district in list(runtime.districts.values()):
        runtime.files.delete_dropped(district)


def sweep(runtime: Runtime) -> None:
    """Expired uploads, parts of uploads that are over, bytes that nothing refers to."""
    for district in list(runtime.districts.values()):
        runtime.files.sweep(district)


JOBS = [
    Job("files_look", 60, look),
    Job("files_delete", 60, delete_dropped),
    Job("files_sweep", 6 * 3600, sweep),
]
