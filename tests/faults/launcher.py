"""Starts the real server for a test district, and lets it die at a point that a test names.

The product knows nothing of this: the points are put around its functions here, in the process that will be killed.
While the file named in ``FAULT_FILE`` is absent nothing happens; a test writes the name of a point into it and how
often the server may pass it, and it dies by SIGKILL when it next gets there.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import structs

import server.heralds
import server.pokes
import sync.commit
from server.jobs import schedule
from server.serve import run_server
from server.settings import load_settings
from sync.sql_store import SqlStore, SqlTx

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sync.commit import Context
    from sync.store import Tx
    from sync.values import Doc

FIRST_ROW = "between the first row written and the commit"
ALL_ROWS = "between the last row written and the commit"
TICK_SECONDS = 0.25
COMMITTED = "between the commit and the reply"


def here(point: str) -> None:
    """Die if this is the point the test named."""
    order = Path(os.environ["FAULT_FILE"])
    try:
        wanted = order.read_text(encoding="utf-8")
    except FileNotFoundError:
        return
    name, _, left = wanted.partition("|")
    if name != point:
        return
    if int(left) == 0:
        order.unlink()
        os.kill(os.getpid(), signal.SIGKILL)
    order.write_text(f"{name}|{int(left) - 1}", encoding="utf-8")


def plant() -> None:
    """Put the points around the store."""
    insert_documents, write, audit_row = SqlTx.insert_documents, SqlStore.write, sync.commit.audit_row

    def inserting(self: SqlTx, docs: Sequence[Doc]) -> None:
        if len(docs) > 1:
            insert_documents(self, docs[:1])
            here(FIRST_ROW)
            insert_documents(self, docs[1:])
        else:
            insert_documents(self, docs)
            if docs:
                here(FIRST_ROW)

    def writing(self: SqlStore, work: Callable[[SqlTx], Any]) -> Any:
        wrote: list[bool] = []

        def watched(tx: SqlTx) -> Any:
            before = tx.head().seq
            result = work(tx)
            wrote.append(tx.head().seq != before)
            return result

        result = write(self, watched)
        if wrote and wrote[-1]:
            here(COMMITTED)
        return result

    def auditing(tx: Tx, context: Context, n: int, action: str, touched: Sequence[str]) -> None:
        audit_row(tx, context, n, action, touched)
        here(ALL_ROWS)

    SqlTx.insert_documents = inserting  # type: ignore[method-assign]
    SqlStore.write = writing  # type: ignore[method-assign]
    sync.commit.audit_row = auditing


def tick_often() -> None:
    """The clocks are looked at several times a second: a story does not wait."""
    everybody = schedule.all_jobs
    schedule.all_jobs = lambda: [
        structs.replace(job, seconds=TICK_SECONDS) if job.name == "escalate" else job for job in everybody()
    ]


def _never(_: server.heralds.Listener) -> None:
    """In place of listening."""


def hear_by_one_way_only() -> None:
    """``ONLY=words``: what other processes commit is heard and never looked at; ``ONLY=looks``: the other way round.

    A sign of life, at which a stream asks about its session, is as good as never then.
    """
    only = os.environ.get("ONLY", "")
    if only:
        server.pokes.HEARTBEAT_MS = 3_600_000
    if only == "words":
        everybody = schedule.all_jobs
        schedule.all_jobs = lambda: [job for job in everybody() if job.name != "watch_heads"]
    elif only == "looks":
        server.heralds.Listener.start = _never  # type: ignore[assignment,method-assign]


def main() -> None:
    settings = load_settings(os.environ, purpose="test")
    tick_often()
    hear_by_one_way_only()
    if "FAULT_FILE" in os.environ:
        plant()
    run_server(settings, on_ready=lambda url: print(url, flush=True))


if __name__ == "__main__":
    main()
