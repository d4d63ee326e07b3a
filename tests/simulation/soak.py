"""Seeds for as long as there is time, on both databases: ``python -m tests.simulation.soak MINUTES``.

Whole districts, and every fourth seed one of cases and entries alone; every eighth on PostgreSQL. Ends with a table of
what was done and which faults came up, and with 1 if a seed failed or a kind of fault never came up.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
import traceback
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import psycopg

from bench.postgres import postgres
from sync.sql_store import SqlStore
from tests.simulation.history import History
from tests.simulation.town import MUST_HAPPEN, Town
from tests.simulation.world import populate

_POSTGRES_EVERY, _HISTORY_EVERY = 8, 4


def one(seed: int, url: str) -> tuple[int, Counter[str]]:
    """Run a seed; how many operations it had, and what came up."""
    kind = History if seed % _HISTORY_EVERY == _HISTORY_EVERY - 1 else Town
    store = None
    schema = f"d_soak_{seed}"
    if seed % _POSTGRES_EVERY == 0:
        store = SqlStore.postgresql(url, schema)
        populate(store)
    history = kind(seed, store)
    try:
        history.run()
    finally:
        if store is not None:
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute(f"drop schema {schema} cascade".encode())
    happened = history.happened if isinstance(history, Town) else Counter[str]()
    return history.world.operations, happened + Counter([kind.__name__, "PostgreSQL" if store else "SQLite"])


def share(first: int, step: int, until: float, url: str) -> tuple[int, Counter[str], list[str]]:
    """Every `step`-th seed from `first` on, until the monotonic time `until` (seconds)."""
    operations, happened, failures = 0, Counter[str](), list[str]()
    seed = first
    while time.monotonic() < until:
        try:
            count, came = one(seed, url)
        except Exception:  # noqa: BLE001  # whatever went wrong is told with its seed, and the others go on
            failures.append(f"seed {seed}\n{traceback.format_exc()[-6000:]}")
        else:
            operations += count
            happened += came
        seed += step
    return operations, happened, failures


def main(minutes: float, first: int, cores: int) -> int:
    """Soak, and tell."""
    until = time.monotonic() + minutes * 60
    with (
        tempfile.TemporaryDirectory() as folder,
        postgres(Path(folder)) as url,
        ProcessPoolExecutor(cores) as pool,
    ):
        shares = [pool.submit(share, first + core, cores, until, url) for core in range(cores)]
        found = [one.result() for one in shares]
    happened = sum((came for _, came, _ in found), Counter[str]())
    failures = [failure for _, _, failed in found for failure in failed]
    missing = [name for name in MUST_HAPPEN if not happened[name]]
    for name, count in sorted(happened.items()):
        print(f"{count:9,}  {name}")
    operations = sum(count for count, _, _ in found)
    print(f"{operations:9,}  operations from seed {first} on, {minutes:g} minutes, {cores} processes")
    print(*failures, sep="\n")
    print(f"failed: {len(failures)}; never came up: {', '.join(missing) or 'nothing'}")
    return 1 if failures or missing else 0


if __name__ == "__main__":
    asked = argparse.ArgumentParser(prog="python -m tests.simulation.soak", description=__doc__)
    asked.add_argument("minutes", type=float)
    asked.add_argument("--first", type=int, default=1_000_000, help="the first seed")
    asked.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    told = asked.parse_args()
    sys.exit(main(told.minutes, told.first, told.processes))
