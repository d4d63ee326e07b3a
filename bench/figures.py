"""What a benchmark says: a value, the raw limit of the same run, their ratio, and the goal."""

import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]  # published without types
import pysqlite3
from msgspec import Struct


class Figure(Struct, frozen=True):
    """One line of ``results.json``. `ratio` is what the goal is stated in; `limit` None where nothing bounds it."""

    name: str
    value: float
    unit: str
    limit: float | None
    ratio: float | None
    goal: str
    conditions: str


class Scale(Struct, frozen=True):
    """How much is measured: `runs` of each, `documents` a run."""

    runs: int
    documents: int
    singles: int
    first_pull: int
    delta_rounds: int
    streams: int
    points: int
    quick: bool


FULL = Scale(
    runs=5,
    documents=20_000,
    singles=2_000,
    first_pull=10_000,
    delta_rounds=10,
    streams=500,
    points=1_000_000,
    quick=False,
)
QUICK = Scale(
    runs=3,
    documents=6_000,
    singles=600,
    first_pull=10_000,
    delta_rounds=5,
    streams=500,
    points=300_000,
    quick=True,
)


def median(values: Sequence[float]) -> float:
    """The middle value."""
    return float(statistics.median(values))


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` of `values` do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def rate(count: int, work: Callable[[], Any]) -> float:
    """`count` a second of wall time."""
    begun = time.perf_counter()
    work()
    return count / (time.perf_counter() - begun)


def cpu_rate(count: int, work: Callable[[], Any]) -> float:
    """`count` a second of this process's CPU."""
    begun = time.process_time()
    work()
    return count / max(time.process_time() - begun, 1e-9)


def machine(folder: Path) -> dict[str, Any]:
    """Where the figures come from, and how busy it was."""
    parts = sorted(psutil.disk_partitions(all=True), key=lambda part: len(part.mountpoint))
    here = str(folder.absolute())
    disk = next((part.fstype for part in reversed(parts) if here.startswith(part.mountpoint)), "")
    return {
        "system": platform.platform(),
        "cpu": _cpu_name(),
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "file_system": disk,
        "python": platform.python_version(),
        "sqlite": pysqlite3.sqlite_version,
        "load_before": [round(part, 2) for part in psutil.getloadavg()],
    }


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "")
