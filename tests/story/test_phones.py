"""`wangge phones simulate` against the real server: nothing is lost, and what would be lost is found."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from server.phones import Account, Phone, check_phone
from server.phones_line import Figures, Line
from tests.faults import district
from tests.story.actors import PASSWORD

if TYPE_CHECKING:
    from pathlib import Path

    from tests.story.process import ServerProcess


def test_simulated_phones_lose_requests_and_replies_and_all_they_wrote_stands_on_the_server_once(
    server: ServerProcess, tmp_path: Path
) -> None:
    district.set_up(server)
    accounts = [
        {"username": username, "password": PASSWORD, "role": "grid_worker"}
        for username in ("li", "zhao", "sun")
    ]
    accounts.append({"username": "admin", "password": "not asked for", "role": "admin"})
    file = tmp_path / "accounts.json"
    file.write_text(json.dumps(accounts), encoding="utf-8")
    play = ("phones", "simulate", "--url", server.url, "--accounts", str(file))
    how = ("--phones", "6", "--rounds", "4", "--seed", "4", "--loss", "0.3", "--pause", "0.05", "--json")
    said = server.wangge(*play, *how, data=False)
    told = json.loads(said[: said.rindex("}") + 1])
    assert told["ok"] is True
    assert told["acknowledged"] == sum(told["captured"].values())
    assert told["lost_requests"]
    assert told["lost_replies"]
    assert told["repeated"]
    assert {"sign_in", "hello", "pull", "push"} <= told["latencies"].keys()


def test_phones_that_cannot_sign_in_end_the_command_with_an_error(
    server: ServerProcess, tmp_path: Path
) -> None:
    file = tmp_path / "accounts.json"
    file.write_text(json.dumps([{"username": "nobody", "password": "x" * 12}]), encoding="utf-8")
    play = (
        "phones",
        "simulate",
        "--url",
        server.url,
        "--accounts",
        str(file),
        "--phones",
        "1",
        "--rounds",
        "1",
    )
    assert "401" in server.wangge(*play, data=False, fails=True)


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '[{"username": "clerk", "password": "x", "role": "clerk"}]']
)
def test_a_file_without_workers_is_told_in_a_sentence(tmp_path: Path, content: str) -> None:
    from click.testing import CliRunner

    from server.phones_command import simulate_command

    file = tmp_path / "accounts.json"
    file.write_text(content, encoding="utf-8")
    done = CliRunner().invoke(simulate_command, ["--accounts", str(file)])
    assert done.exit_code == 1
    assert "accounts.json" in done.output
    assert "Traceback" not in done.output


# --- the check itself ------------------------------------------------------------------------------------------------


def played() -> tuple[Phone, dict[str, Any]]:
    """A phone with three acknowledged captures, and a server that has them all."""
    client = httpx.AsyncClient(base_url="http://127.0.0.1:1")
    line = Line(client, Account(username="li", password=""), random.Random(1), Figures(), loss=0)
    phone = Phone("li-0", line, random.Random(1))
    for number in range(3):
        mark = f"li-0-{number}"
        key = f"case-{number}"
        doc = {"id": key, "source_ref": mark, "cell": "A", "_deleted": False}
        phone.shelves["cases"].take_page({"documents": [doc], "checkpoint": {}})
        phone.captured["cases"].append(key)
        phone.acknowledged.add(("cases", key))
        phone.expected_cell[key] = "A"
    return phone, deepcopy(phone.shelves)


def test_the_check_finds_nothing_where_nothing_is_wrong() -> None:
    phone, server = played()
    end = check_phone(phone, server)
    assert [end.missing, end.doubled, end.misplaced, end.evicted] == [[], [], [], 0]


def test_the_check_finds_a_capture_that_was_acknowledged_and_is_gone() -> None:
    phone, server = played()
    del server["cases"].mine["case-1"]
    assert check_phone(phone, server).missing == ["li-0 cases case-1"]


def test_the_check_finds_a_capture_that_stands_twice() -> None:
    phone, server = played()
    server["cases"].mine["other"] = {**server["cases"].mine["case-1"], "id": "other"}
    assert check_phone(phone, server).doubled == ["li-0 cases li-0-1"]


def test_the_check_finds_a_fix_that_was_put_into_another_cell() -> None:
    phone, server = played()
    server["cases"].mine["case-2"]["cell"] = "B"
    assert check_phone(phone, server).misplaced == ["li-0 cases case-2"]


def test_a_capture_that_left_the_scope_is_counted_and_not_missed() -> None:
    phone, server = played()
    gone = {"id": "case-0", "_deleted": True}
    phone.shelves["cases"].take_page({"documents": [gone], "checkpoint": {}})
    del server["cases"].mine["case-0"]
    end = check_phone(phone, server)
    assert end.missing == []
    assert end.evicted == 1


def test_a_morning_of_many_phones_ends_in_order(tmp_path: Path) -> None:
    """The load of `python -m bench.load`, small: that it runs, and says so when all is well."""
    how = [
        "--phones",
        "8",
        "--documents",
        "300",
        "--storm",
        "1",
        "--rounds",
        "1",
        "--pause",
        "0.2",
        "--loss",
        "0.1",
    ]
    command = [sys.executable, "-m", "bench.load", *how, "--folder", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.rstrip().endswith("nothing lost, doubled or apart")
    assert list(tmp_path.iterdir()) == []
