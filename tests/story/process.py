"""The real server in a process of its own, which can be stopped, killed and started again on the same data."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from copy import copy
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from server.calling import call
from server.runtime import initialise
from server.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 60  # seconds until a server that does not answer counts as hanging; never part of a measurement


class ServerProcess:
    """One installation with one test district, and the process that serves it.

    `fault_file` names points at which the server dies (see ``tests.faults.launcher``).
    """

    def __init__(
        self, folder: Path, code: str, name: str, short_name: str, *, database_url: str = ""
    ) -> None:
        self.folder = folder
        self.code = code
        self.clock_file = folder / "clock.json"
        self.fault_file = folder / "fault"
        self.settings = Settings(
            data=str(folder), database_url=database_url, clock_file=str(self.clock_file), purpose="test"
        )
        initialise(self.settings, code, name, short_name, test=True)
        self.url = ""
        self.process: subprocess.Popen[bytes] | None = None
        self._log = folder / "server.log"

    def another(self, name: str) -> Self:
        """One more process of the same installation, not started; only on PostgreSQL."""
        assert self.settings.postgres
        found = copy(self)
        found.url, found.process, found._log = "", None, self.folder / f"{name}.log"
        return found

    def start(self, **environ: str) -> Self:
        """Start it, at the same address as before, and wait until it answers."""
        port = urlsplit(self.url).port if self.url else 0
        environment = {
            **os.environ,
            "WANGGE_DATA": str(self.folder),
            "WANGGE_DATABASE_URL": self.settings.database_url,
            "WANGGE_CLOCK_FILE": str(self.clock_file),
            "WANGGE_PORT": str(port),
            "WANGGE_LOG_LEVEL": "warning",
            "FAULT_FILE": str(self.fault_file),
            **environ,
        }
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.faults.launcher"],
                cwd=ROOT,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=log,
                bufsize=0,
            )
        self.url = self._first_line()
        return self

    def _first_line(self) -> str:
        assert self.process is not None
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], PATIENCE)
        line = self.process.stdout.readline().decode().strip() if ready else ""
        if not line:
            self.kill()
            raise AssertionError(f"the server did not start:\n{self.log()}")
        return line

    def log(self) -> str:
        return self._log.read_text(encoding="utf-8") if self._log.exists() else ""

    def kill(self) -> None:
        """SIGKILL: the process has no chance to finish anything."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """SIGTERM: a graceful stop."""
        self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> None:
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.send_signal(number)
        self.wait_dead()

    def wait_dead(self) -> int:
        """Wait until the process has ended; its exit code."""
        assert self.process is not None
        code = self.process.wait(PATIENCE)
        if self.process.stdout is not None:
            self.process.stdout.close()
        return code

    def die_at(self, point: str, *, after: int = 0) -> None:
        """The server dies when it next gets to this point, having passed it `after` times."""
        beside = self.fault_file.with_suffix(".new")
        beside.write_text(f"{point}|{after}", encoding="utf-8")
        beside.replace(self.fault_file)

    def lives_on(self) -> None:
        """Take an order to die back."""
        self.fault_file.unlink(missing_ok=True)

    def command(self, command: str, /, **args: Any) -> Any:
        """A command of the command line, run by whoever holds the database."""
        if self.settings.postgres:
            assert self.process is None or self.process.poll() is not None, "on PostgreSQL: before the start"
        return call(self.settings, command, **args)

    def wangge(self, *arguments: str, data: bool = True, fails: bool = False) -> str:
        """The command line itself, as an administrator types it; what it says. `fails`: it must end with an error."""
        where = ("--data", str(self.folder)) if data else ()
        done = subprocess.run(
            [sys.executable, "-m", "server.cli", *arguments, *where],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE * 5,
        )
        said = done.stdout + done.stderr
        assert (done.returncode != 0) is fails, f"wangge {' '.join(arguments)}: {said}"
        return said

    def move_clock(self, milliseconds: int) -> None:
        """Move the district's domain clock forward, as `--clock-file` allows for demo and test districts."""
        offset = json.loads(self.clock_file.read_text())["offset_ms"] if self.clock_file.exists() else 0
        beside = self.clock_file.with_suffix(".new")
        beside.write_text(json.dumps({"offset_ms": offset + milliseconds}), encoding="utf-8")
        beside.replace(self.clock_file)

    def now(self) -> int:
        """The district's domain time, ms."""
        offset = json.loads(self.clock_file.read_text())["offset_ms"] if self.clock_file.exists() else 0
        return time.time_ns() // 1_000_000 + int(offset)
