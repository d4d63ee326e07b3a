"""Files over a real line, by an unmodified tus-js-client, through connections that break (FI4)."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import socket
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests import files
from tests.http.town import new_id
from tests.http.tus import BODY, FILES, TUS, create, document, rows, settled, state
from tests.rxdb.cutter import Cutter

if TYPE_CHECKING:
    from tests.rxdb.conftest import Served

pytestmark = pytest.mark.rxdb
HERE = Path(__file__).parent
PATIENCE = 120  # seconds until a client that does not end counts as hanging; never part of a measurement


def port_of(district: Served) -> int:
    return int(district.base.rsplit(":", 1)[1])


def tus(
    district: Served, path: Path, file_id: str, *, port: int | None = None, **options: Any
) -> dict[str, Any]:
    """The file at `path` sent by the client; what it tells of it."""
    node = shutil.which("node")
    assert node is not None
    assert (HERE / "node_modules" / "tus-js-client").is_dir(), "run `make setup`"
    asked = {
        "endpoint": f"http://127.0.0.1:{port or port_of(district)}{FILES}",
        "token": district.bearer("grid_worker")["Authorization"].removeprefix("Bearer "),
        "path": str(path),
        "file_id": file_id,
        **options,
    }
    done = subprocess.run(
        [node, "upload.mjs"],
        cwd=HERE,
        input=json.dumps(asked).encode(),
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def paper(tmp_path: Path, size: int, seed: int) -> tuple[Path, bytes]:
    """A paper of so many bytes, on the phone's disk."""
    print(f"seed {seed}")
    data = b"%PDF-1.7\n" + random.Random(seed).randbytes(size) + b"\n%%EOF"
    path = tmp_path / "paper.pdf"
    path.write_bytes(data)
    return path, data


def arrived(district: Served, file_id: str, data: bytes) -> None:
    settled(district)
    assert state(district, file_id) == ("verified", None)
    read = district.get("clerk", f"{FILES}/{file_id}").content
    assert hashlib.sha256(read).hexdigest() == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize(
    "options", [{}, {"chunk": 300_000}, {"at_once": True}, {"by_post": True, "chunk": 500_000}]
)
def test_a_paper_arrives_whole(district: Served, tmp_path: Path, options: dict[str, Any]) -> None:
    path, data = paper(tmp_path, 1_500_000, 1)
    file_id = document(district, "grid_worker", district.capture(), data, "scan")
    told = tus(district, path, file_id, **options)
    assert (told["error"], told["retries"]) == (None, 0)
    arrived(district, file_id, data)


@pytest.mark.parametrize("seed", range(4))
def test_a_line_that_breaks_again_and_again_costs_only_what_was_on_it(
    district: Served, tmp_path: Path, seed: int
) -> None:
    path, data = paper(tmp_path, 3_000_000, seed)
    file_id = document(district, "grid_worker", district.capture(), data, "scan")
    chance = random.Random(seed)
    cuts = [None, *(chance.choice([300, 5_000, 200_000, 700_000, 1_400_000]) for _ in range(12))]
    # Requests on one connection count together; a connection that ended is followed by a new one.
    with Cutter(port_of(district), sent=cuts[1:]) as line:
        told = tus(district, path, file_id, port=line.port, chunk=chance.choice([None, 400_000, 1_000_000]))
        assert told["error"] is None, told
        assert line.cuts > 0
    arrived(district, file_id, data)


def test_an_answer_that_was_lost_is_found_out_by_asking(district: Served, tmp_path: Path) -> None:
    """The server has it all; the phone was never told."""
    path, data = paper(tmp_path, 200_000, 5)
    file_id = document(district, "grid_worker", district.capture(), data, "scan")
    with Cutter(port_of(district), told=[0, 600, 10, 0, 700, 0]) as line:
        told = tus(district, path, file_id, port=line.port)
        assert told["error"] is None, told
        assert line.cuts > 0
    arrived(district, file_id, data)


def _request(base: str, method: str, path: str, headers: dict[str, str], length: int) -> socket.socket:
    """A request whose head has gone out, and none of its body."""
    port = int(base.rsplit(":", 1)[1])
    line = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
    head = {**headers, "Host": f"127.0.0.1:{port}", "Content-Length": str(length)}
    told = "".join(f"{name}: {value}\r\n" for name, value in head.items())
    line.sendall(f"{method} {path} HTTP/1.1\r\n{told}\r\n".encode())
    return line


def _until(district: Served, where: str, *, busy: bool) -> None:
    """Wait until the server takes a body of this upload in, or no longer does."""
    for _ in range(10_000_000):
        if (where.rsplit("/", 1)[1] in district.runtime.files.busy) is busy:
            return
        os.sched_yield()
    pytest.fail("the server does not come to it")


def test_two_requests_that_write_at_once_do_not_mix(district: Served) -> None:
    data = files.picture(size=(400, 300))
    file_id = document(district, "grid_worker", district.capture(), data)
    where = str(create(district, "grid_worker", file_id, data).headers["location"])
    headers = {**BODY, "Upload-Offset": "0", **district.bearer("grid_worker")}
    with _request(district.base, "PATCH", where, headers, len(data)) as line:
        line.sendall(data[:100])
        _until(district, where, busy=True)
        second = district.client.patch(where, headers=headers, content=b"x" * len(data))
        assert (second.status_code, second.json()["code"]) == (423, "upload_locked")
        assert (
            district.client.delete(where, headers={**TUS, **district.bearer("grid_worker")}).status_code
            == 423
        )
        line.sendall(data[100:])
        assert b" 204 " in line.recv(1000).split(b"\r\n")[0] + b" "
    settled(district)
    assert state(district, file_id) == ("verified", None)


def test_what_came_before_the_line_broke_is_kept_and_with_a_checksum_nothing(district: Served) -> None:
    data = files.picture(size=(400, 300))
    half = len(data) // 2
    for headers, kept in (({}, half), ({"Upload-Checksum": "sha256 " + "A" * 43 + "="}, 0)):
        where = str(create(district, "grid_worker", new_id(), data).headers["location"])
        told = {**BODY, "Upload-Offset": "0", **district.bearer("grid_worker"), **headers}
        with _request(district.base, "PATCH", where, told, len(data)) as line:
            line.sendall(data[:half])
            _until(district, where, busy=True)
        _until(district, where, busy=False)
        answer = district.client.head(where, headers={**TUS, **district.bearer("grid_worker")})
        assert answer.headers["upload-offset"] == str(kept)
    assert [row["state"] for row in rows(district, "upload")] == ["open", "open"]
