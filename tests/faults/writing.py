"""A writer over the real store, born anew by fork each time it is killed: many deaths in little time.

Run as ``python -m tests.faults.writing FOLDER DEATHS SEED [too_early]``: the folder gets ``district.db`` and
``acknowledged``, a line for each document whose commit the writer has seen. `too_early` plants the bug: it tells
before it commits.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import msgspec

from sync.commit import commit_group
from sync.push import push_work
from sync.values import Collection
from tests.unit.sync.district import HOME, District, make_district, middle_of

if TYPE_CHECKING:
    from sync.commit import Work

DATABASE, ACKNOWLEDGED = "district.db", "acknowledged"
REPEATED = 12  # documents that a new writer sends again, as phones do after a lost answer
MOST_COMMITS = 3  # before a writer is killed, a little later
LONGEST_WAIT = 0.01  # seconds: about as long as a commit takes


def id_of(number: int) -> str:
    """The id of the capture with this number."""
    return str(uuid.UUID(int=7 << 76 | 2 << 62 | number))


def capture(number: int) -> dict[str, Any]:
    return {
        "newDocumentState": {
            "id": id_of(number),
            "kind": "dispute",
            "title": f"第{number}件",
            "captured_at": 1_795_395_600_000,
            "location": middle_of(HOME),
            "parties": [{"id": "1", "name": f"当事人{number}"}],
            "w": f"{number}:{id_of(number)}",
        }
    }


def write_until_killed(folder: Path, seed: int, beats: int, *, too_early: bool) -> NoReturn:
    """Push captures of growing number, several works a commit, and say which are safe; `beats` hears of each commit."""
    chance = random.Random(seed)
    district = District(folder / DATABASE)
    phone = district.caller("an", "phone-an")
    told = os.open(folder / ACKNOWLEDGED, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    number = max(1, last_acknowledged(folder) - REPEATED)
    while True:
        os.write(beats, b"!")
        works: list[tuple[Work[Any], Any]] = []
        numbers: list[int] = []
        for _ in range(chance.randint(1, 3)):
            rows = range(number, number + chance.randint(1, 20))
            number = rows.stop
            numbers += rows
            body = msgspec.json.encode([capture(row) for row in rows])
            works.append((push_work(phone, Collection.cases, body), district.context()))
        line = "".join(f"{done}\n" for done in numbers).encode()
        if too_early:
            os.write(told, line)
        for outcome in commit_group(district.store, works):
            outcome.result()
        if not too_early:
            os.write(told, line)


def last_acknowledged(folder: Path) -> int:
    """The highest number that is safe; 0 at the beginning."""
    return max(acknowledged(folder), default=0)


def acknowledged(folder: Path) -> set[int]:
    """Every number the writer called safe; a line that death cut short does not count."""
    path = folder / ACKNOWLEDGED
    whole = path.read_text().rpartition("\n")[0] if path.exists() else ""
    return {int(line) for line in whole.split()}


def main(folder: Path, deaths: int, seed: int, *, too_early: bool) -> None:
    """Let a writer be born and killed so many times."""
    chance = random.Random(seed)
    if not (folder / DATABASE).exists():
        make_district(folder / DATABASE)
    for birth in range(deaths):
        heard, beats = os.pipe()
        child = os.fork()
        if child == 0:
            write_until_killed(folder, seed * 100_003 + birth, beats, too_early=too_early)
        os.close(beats)
        for _ in range(chance.randint(1, 1 + MOST_COMMITS)):
            os.read(heard, 1)
        time.sleep(chance.uniform(0, LONGEST_WAIT))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        os.close(heard)
        if os.WTERMSIG(status) != signal.SIGKILL:
            sys.exit(f"writer {birth} ended by itself: {status}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), too_early="too_early" in sys.argv[4:])
