"""Drives a phone in a Node process of its own: an unmodified RxDB (``client.mjs``), or the library (``phone.mjs``)."""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
from pathlib import Path
from typing import Any, Self

HERE = Path(__file__).parent
PATIENCE = 60  # seconds until a phone that does not answer counts as hanging; never part of a measurement


class RxdbError(Exception):
    """RxDB, or the scenario, did not do what was asked."""


class RxdbPhone:
    """One phone. Each call is a command of its script and returns the answer."""

    def __init__(self, script: str = "client.mjs", **environment: str) -> None:
        node = shutil.which("node")
        if node is None or not (HERE / "node_modules" / "rxdb").is_dir():
            raise RxdbError("no Node, or no RxDB beside it: run `make setup`")
        self._process = subprocess.Popen(
            [node, script],
            cwd=HERE,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            env=os.environ | environment,
        )
        self._number = 0
        self._answers: dict[int, dict[str, Any]] = {}
        self._rest = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                pipe.close()
        self._process.terminate()
        self._process.wait()

    def begin(self, command: str, **values: Any) -> int:
        """Send a command without waiting; returns its number for `end`."""
        self._number += 1
        order = {"n": self._number, "do": command, **values}
        assert self._process.stdin
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        return self._number

    def end(self, number: int) -> dict[str, Any]:
        """The answer to a command begun earlier."""
        while number not in self._answers:
            self._read()
        answer = self._answers.pop(number)
        if not answer["ok"]:
            raise RxdbError(answer["error"])
        return answer

    def __call__(self, command: str, collection: str = "cases", **values: Any) -> dict[str, Any]:
        return self.end(self.begin(command, collection=collection, **values))

    def documents(self, collection: str = "cases") -> dict[str, dict[str, Any]]:
        """What the application sees, by id."""
        return {doc["id"]: doc for doc in self("dump", collection)["documents"]}

    def _read(self) -> None:
        assert self._process.stdout
        ready, _, _ = select.select([self._process.stdout], [], [], PATIENCE)
        if not ready:
            raise RxdbError("the phone does not answer")
        piece = self._process.stdout.read(1 << 16)
        if not piece:
            raise RxdbError("the phone's process has ended")
        self._rest += piece
        *lines, self._rest = self._rest.split(b"\n")
        for line in lines:
            answer = json.loads(line)
            self._answers[answer["n"]] = answer
