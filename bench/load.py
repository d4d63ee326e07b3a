"""Many phones on one server process: ``python -m bench.load [--phones N] [--documents N] [--storm SECONDS]``.

A district whose store holds `documents` cases, and as many grid workers as phones. Everybody comes within `storm`
seconds, as on a morning, works and thinks for some rounds, and in the end every phone is held against the server.
Prints throughput, times of answers, memory and CPU of the server; ends with 1 if anything was lost, doubled or differs.
"""

import argparse
import asyncio
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.served import DISTRICT, Served
from server.auth.sessions import open_session
from server.auth.tokens import Claims, make_access_token, make_refresh_token
from server.clocks import wall_ms
from server.phones import Account, Summary, simulate
from server.runtime import opened
from server.settings import Settings
from sync.commit import Context
from sync.store import Tx


def sessions_of(settings: Settings, count: int) -> list[dict[str, Any]]:
    """A session of each worker, as a sign-in answers it: two thousand passwords would be minutes of hashing."""
    made: list[dict[str, Any]] = []
    with opened(settings) as runtime:
        district = runtime.districts[DISTRICT]

        def begin(tx: Tx, context: Context) -> None:
            for number in range(count):
                account = tx.find("account", {"username": f"worker{number:04d}"})[0]
                one = open_session(tx, context, account=account, device_id=None, device_name="load")
                assert one is not None  # the account was read in this transaction
                wall = wall_ms()
                claims = Claims(
                    DISTRICT, one.user_id, one.session, one.device_id, one.rotation, one.expires_at
                )
                signing = runtime.signing
                access = make_access_token(signing, claims, wall=wall, jti=runtime.chance.uuid7(wall))
                made.append(
                    {
                        "access_token": access,
                        "refresh_token": make_refresh_token(signing, DISTRICT, one.session, one.secret),
                        "user": {"id": one.user_id},
                        "device_id": one.device_id,
                    }
                )

        district.writer.submit_blocking(begin)
    return made


def told(summary: Summary, served: Served, *, seconds: float, cpu: float, before_mib: float) -> None:
    """Print what came of it."""
    contacts = summary.latencies["hello"].count
    requests = sum(one.count for one in summary.latencies.values())
    print(f"{summary.phones} phones, {seconds:.0f} s: {requests:,} requests ({requests / seconds:,.0f}/s)")
    print(f"{contacts:,} contacts, {summary.acknowledged:,} captures acknowledged, {summary.edits:,} edits")
    print(f"{summary.repeated:,} sent again, {summary.waits:,} asked to wait, {summary.pokes:,} pokes")
    print(f"server: {cpu:.0f} CPU-s, {before_mib:.0f} MiB before, {served.server.rss_mib():.0f} MiB after")
    for kind, one in summary.latencies.items():
        print(f"{kind:8} {one.count:8,}  p50 {one.p50:8.1f} ms  p95 {one.p95:8.1f}  p99 {one.p99:8.1f}")
    for name, lines in summary.wrong.items():
        print(f"{name}: {len(lines)}", *lines[:5], sep="\n  ")
    print("nothing lost, doubled or apart" if summary.ok else "NOT in order")


def main() -> int:
    """Fill, play, tell."""
    parser = argparse.ArgumentParser(prog="python -m bench.load", description=__doc__)
    parser.add_argument("--phones", type=int, default=2_000)
    parser.add_argument("--documents", type=int, default=20_000)
    parser.add_argument("--storm", type=float, default=300.0, help="seconds within which everybody comes")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--pause", type=float, default=60.0, help="longest time out of reach, seconds")
    parser.add_argument("--loss", type=float, default=0.02)
    parser.add_argument("--folder", type=Path, help="where databases are made (default: ./data)")
    asked = parser.parse_args()
    home: Path = asked.folder or Path("data")
    home.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="load-", dir=home))
    held: list[dict[str, Any]] = []
    accounts = [Account(username=f"worker{number:04d}", password="") for number in range(asked.phones)]
    try:
        with Served(
            folder,
            workers=asked.phones,
            ready=lambda settings: held.extend(sessions_of(settings, asked.phones)),
        ) as served:
            begun = time.monotonic()
            served.fill_to(asked.documents)
            print(f"{asked.documents:,} cases stored in {time.monotonic() - begun:.0f} s")
            cpu, mib, begun = served.server.cpu(), served.server.rss_mib(), time.monotonic()
            summary = asyncio.run(
                simulate(
                    f"http://127.0.0.1:{served.server.port}",
                    accounts,
                    phones=asked.phones,
                    rounds=asked.rounds,
                    loss=asked.loss,
                    pause=asked.pause,
                    spread=asked.storm,
                    sessions=held,
                )
            )
            seconds = time.monotonic() - begun
            told(summary, served, seconds=seconds, cpu=served.server.cpu() - cpu, before_mib=mib)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0 if summary.ok else 1


if __name__ == "__main__":
    sys.exit(main())
