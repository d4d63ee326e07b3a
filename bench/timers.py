"""Clocks of cases: what a tick costs when nothing is due, and how fast firings take effect."""

import time
from pathlib import Path
from typing import Any

from bench.documents import Maker
from bench.figures import Figure, Scale, median, percentile
from bench.raw import RawSqlite, rows_of
from bench.served import DISTRICT, prepare, push_cases
from server.clocks import wall_ms
from server.runtime import opened
from server.settings import Settings
from sync.commit import Context, commit
from sync.config import ConfigCache
from sync.firing import CASES_A_TICK, nearest_due, tick_work
from sync.sql_store import SqlStore
from sync.store import Tx

_TIMERS = 1_000_000
_LATER_MS = 40 * 86_400_000  # by then every fresh case has missed something


def tick_idle_us(folder: Path, scale: Scale) -> Figure:
    """A tick of a district with a million timers of which none is due."""
    timers = _TIMERS // 5 if scale.quick else _TIMERS
    store = SqlStore.sqlite(folder / "timers" / "timers.db")
    store.create()
    future = 10**15

    def fill(tx: Tx) -> None:
        for start in range(0, timers, 10_000):
            rows = [
                {"case_pk": pk, "next_due": future + pk * 7 % timers, "state": b"{}"}
                for pk in range(start, start + 10_000)
            ]
            tx.insert("case_clocks", rows)

    store.write(fill)
    ours: list[float] = []
    limits: list[float] = []
    nearest: int | None = None
    pooled = store.engine.raw_connection()
    bare: Any = pooled.driver_connection
    for _ in range(2_000):
        begun = time.perf_counter_ns()
        bare.execute(
            "select next_due from case_clocks where next_due > 0 order by next_due limit 1"
        ).fetchall()
        limits.append((time.perf_counter_ns() - begun) / 1000)
        begun = time.perf_counter_ns()
        with store.read() as reader:
            nearest = nearest_due(reader)
        ours.append((time.perf_counter_ns() - begun) / 1000)
    pooled.close()
    store.close()
    if nearest is None or nearest < future:
        raise AssertionError(nearest)
    value, limit = percentile(ours, 0.5), percentile(limits, 0.5)
    return Figure(
        "tick_idle_us",
        value,
        "µs",
        limit,
        value / limit,
        "value ≤ 100",
        f"{timers} armed timers, none due; p50 of 2000 ticks, each a snapshot of its own; limit: the bare look-up",
    )


def firings_per_s(folder: Path, scale: Scale) -> Figure:
    """Cases a second on which something fires, with all effects, on SQLite."""
    count = CASES_A_TICK * (5 if scale.quick else 20)
    settings = Settings(data=str(folder / "firings"))
    points = prepare(settings)
    maker = Maker(3, points)
    raw = RawSqlite(folder / "firings" / "raw.db")
    batches = list(maker.batches(count, 100))
    begun = time.perf_counter()
    raw.insert(rows_of(maker.batches(count, CASES_A_TICK), len(points), 0))
    limit = count / (time.perf_counter() - begun)
    raw.close()
    with opened(settings) as runtime:
        district = runtime.districts[DISTRICT]
        push_cases(district, batches)
        district.writer.stop()  # the ticks below are the only writer from here on
        fired = cases = 0
        rates: list[float] = []
        now = wall_ms() + _LATER_MS
        context = Context(now, wall_ms(), district.chance, district.keys, ConfigCache(DISTRICT))
        while True:
            begun = time.perf_counter()
            ticked = commit(district.store, tick_work(), context)
            spent = time.perf_counter() - begun
            fired += ticked.fired
            cases += ticked.cases
            if ticked.cases == CASES_A_TICK:
                rates.append(ticked.cases / spent)
            if not ticked.more:
                break
    if cases < count or not fired:
        raise AssertionError((cases, fired))
    value = median(rates)
    return Figure(
        "firings_per_s",
        value,
        "cases/s",
        limit,
        value / limit,
        "value ≥ 2000",
        f"{cases} cases due, {fired} firings, {CASES_A_TICK} cases a transaction, in process, SQLite WAL FULL, all "
        "effects; limit: as many documents inserted raw, as many a transaction",
    )
