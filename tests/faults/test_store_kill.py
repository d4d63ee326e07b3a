"""A writer over the real store is killed hundreds of times: what it called safe is there, once, in a sound file."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pysqlite3
import pytest

from sync import content
from sync.commit import audit_hash
from sync.values import Collection
from tests.faults.writing import DATABASE, acknowledged, id_of
from tests.unit.sync.district import District

ROOT = Path(__file__).resolve().parents[2]
DEATHS = int(os.environ.get("WANGGE_DEATHS", "280"))
SEED = 20261126


def kill(folder: Path, deaths: int, *words: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.writing", str(folder), str(deaths), str(SEED), *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]


def missing(folder: Path) -> set[int]:
    """Numbers that were called safe and are not in the file."""
    district = District(folder / DATABASE)
    try:
        safe = acknowledged(folder)
        with district.store.read() as reader:
            keys = [content.id_bytes(Collection.cases, id_of(number)) for number in sorted(safe)]
            stored = {doc.id for doc in reader.documents(Collection.cases, keys)}
        return {number for number in safe if content.id_bytes(Collection.cases, id_of(number)) not in stored}
    finally:
        district.close()


def test_what_was_acknowledged_before_any_of_many_deaths_is_stored_once_and_whole(tmp_path: Path) -> None:
    kill(tmp_path, DEATHS)
    assert len(acknowledged(tmp_path)) > DEATHS
    assert missing(tmp_path) == set()
    district = District(tmp_path / DATABASE)
    try:
        cases = district.documents("cases")  # every one opens: no row without its key
        assert len({case["id"] for case in cases}) == len(cases)
        assert all(case["title"].startswith("第") and case["parties"][0]["name"] for case in cases)
        clocks = {row["case_pk"] for row in district.rows("case_clocks")}
        assert clocks == {row["pk"] for row in district.rows("document", collection=int(Collection.cases))}
        former = b""
        for row in sorted(district.rows("audit"), key=lambda row: row["pk"]):
            record = {name: row[name] for name in ("seq", "at", "actor", "action", "touched")}
            assert bytes(row["hash"]) == audit_hash(former, record)
            former = bytes(row["hash"])
        assert not district.rows("quarantine")
        assert not district.rows("ledger")
    finally:
        district.close()
    connection = pysqlite3.connect(str(tmp_path / DATABASE))
    assert connection.execute("pragma integrity_check").fetchall() == [("ok",)]
    connection.close()


def test_a_writer_that_tells_before_it_commits_is_found_out(tmp_path: Path) -> None:
    """The planted bug."""
    for _ in range(20):
        kill(tmp_path, 10, "too_early")
        if missing(tmp_path):
            return
    pytest.fail("no acknowledged capture was ever missing: the check sees nothing")
