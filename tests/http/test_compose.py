"""What docker-compose.yml says, run as processes: the same commands in the same environment, on a real PostgreSQL.

Only names that exist inside its network are exchanged: the database's address, the data folder, host and port.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
PUBLIC = "grid.example.cn"
GIVEN = {"WANGGE_DB_PASSWORD": "sesame1234", "WANGGE_PUBLIC_HOST": PUBLIC}
_VARIABLE = re.compile(r"\$\{(\w+)(?:(:-|:\?)([^}]*))?\}")
READY_WITHIN_S = 60

pytestmark = pytest.mark.postgres


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
    return found


def filled_in(text: str, given: dict[str, str]) -> str:
    """Compose's own substitution: a value, its default, or the sentence that asks for it."""

    def one(match: re.Match[str]) -> str:
        name, kind, rest = match.groups()
        if name in given:
            return given[name]
        if kind == ":-":
            return str(rest)
        raise KeyError(rest or name)

    return _VARIABLE.sub(one, text)


def environment_of(service: dict[str, Any], given: dict[str, str]) -> dict[str, str]:
    return {name: filled_in(str(value), given) for name, value in service["environment"].items()}


def test_without_a_password_or_a_name_it_asks_for_them(compose: dict[str, Any]) -> None:
    for missing in GIVEN:
        given = {name: value for name, value in GIVEN.items() if name != missing}
        with pytest.raises(KeyError, match=missing):
            environment_of(compose["services"]["app"], given) | environment_of(
                compose["services"]["db"], given
            )


def test_the_app_is_told_the_database_that_stands_beside_it(compose: dict[str, Any]) -> None:
    app, database = (environment_of(compose["services"][name], GIVEN) for name in ("app", "db"))
    user, password, name = (database[f"POSTGRES_{part}"] for part in ("USER", "PASSWORD", "DB"))
    assert app["WANGGE_DATABASE_URL"] == f"postgresql://{user}:{password}@db:5432/{name}"
    assert compose["services"]["app"]["depends_on"]["db"]["condition"] == "service_healthy"
    assert compose["services"]["app"]["ports"] == ["127.0.0.1:${WANGGE_PORT:-8000}:8000"]


@contextlib.contextmanager
def running(command: list[str], environment: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as out:
        process = subprocess.Popen(command, env=environment, stdout=out, stderr=out)  # our own program
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()


def wait_until_ready(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    until = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < until:
        assert process.poll() is None, log.read_text()
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"{url}/health/ready", timeout=2).status_code == 200:
                return
        time.sleep(0.1)  # between two looks, never instead of one
    pytest.fail(log.read_text())


def test_the_app_starts_serves_its_name_only_and_stops_in_time(
    compose: dict[str, Any], tmp_path: Path, fresh_pg_url: str
) -> None:
    service = compose["services"]["app"]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = (
        os.environ
        | environment_of(service, GIVEN)
        | {
            "WANGGE_DATABASE_URL": fresh_pg_url,
            "WANGGE_DATA": str(tmp_path / "data"),
            "WANGGE_FILES_URL": (tmp_path / "data" / "files").as_uri(),
            "WANGGE_HOST": "127.0.0.1",
            "WANGGE_PORT": str(port),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        }
    )
    made = subprocess.run(  # as the head of the file tells to
        [Path(sys.executable).parent / "wangge", "init", "410399", "涧东区"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    url = f"http://127.0.0.1:{port}"
    log = tmp_path / "log"
    command = [str(Path(sys.executable).parent / service["command"][0]), *service["command"][1:]]
    with running(command, environment, log) as process:
        wait_until_ready(process, url, log)
        test = [part.replace(":8000", f":{port}") for part in service["healthcheck"]["test"]]
        assert test[:2] == ["CMD", "python"]
        subprocess.run([sys.executable, *test[2:]], env=environment, check=True)
        assert httpx.get(f"{url}/health/live", headers={"Host": PUBLIC}).status_code == 200
        assert httpx.get(f"{url}/health/live", headers={"Host": "elsewhere.example"}).status_code == 400
        process.send_signal(signal.SIGTERM)
        grace = int(str(service["stop_grace_period"]).removesuffix("s"))
        assert process.wait(timeout=grace) == 0, log.read_text()
