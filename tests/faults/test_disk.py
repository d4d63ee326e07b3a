"""The disk is full, or fails: the server says so, keeps what it has, and takes the rest when it can again."""

from __future__ import annotations

import contextlib
import subprocess
from typing import TYPE_CHECKING

import pytest

from geo.points import Crs
from tests.faults import district
from tests.story.actors import Phone, Refused, fix_in
from tests.story.process import ServerProcess

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextlib.contextmanager
def disk_that(server: ServerProcess, calls: str, error: str) -> Iterator[None]:
    """These calls of the server process to the system fail from now on."""
    assert server.process is not None
    faults = ("-e", f"trace={calls}", "-e", f"inject={calls}:error={error}")
    command = ["strace", "-f", "-o", "/dev/null", *faults, "-p", str(server.process.pid)]
    tracer = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        assert tracer.stderr is not None
        if not any("attached" in line for line in tracer.stderr):
            raise AssertionError("strace could not attach")
        yield
    finally:
        tracer.terminate()
        tracer.wait(60)
        if tracer.stderr is not None:
            tracer.stderr.close()


def test_a_phone_is_told_to_come_again_while_the_disk_is_full_and_nothing_is_half_written(
    tmp_path: Path,
) -> None:
    server = ServerProcess(tmp_path / "data", district.CODE, "涧东区", "涧东")
    district.set_up(server)
    server.start()
    try:
        li, zhao = Phone(server.url, "li").sign_in(), Phone(server.url, "zhao").sign_in()
        cell = li.pull().sees("cells")[district.CELLS[0]]
        earlier = li.captures(title="井盖破损", kind="request", location=fix_in(cell, Crs.WGS84))
        li.sync()
        zhao.pull()
        before = district.books(server)

        with disk_that(server, "pwrite64", "ENOSPC"):
            later = li.captures(title="楼上漏水", location=fix_in(cell, Crs.GCJ02))
            for _ in range(3):
                with pytest.raises(Refused) as refused:
                    li.push()
                assert (refused.value.status, refused.value.code) == (503, "store_unavailable")
            assert district.books(server) == before
            assert earlier in zhao.pull().sees()  # reading goes on

        li.sync()
        assert li.unsent() == []
        assert zhao.pull().sees().keys() == {earlier, later}
        (report,) = server.command("verify")
        assert report["faults"] == []
        for person in (li, zhao):
            person.close()
    finally:
        server.kill()


def test_after_a_sync_that_failed_the_server_acknowledges_nothing_and_ends(tmp_path: Path) -> None:
    """To sync again would succeed and prove nothing; so nothing more is written until a new start."""
    server = ServerProcess(tmp_path / "data", district.CODE, "涧东区", "涧东")
    district.set_up(server)
    server.start()
    try:
        li = Phone(server.url, "li").sign_in()
        cell = li.pull().sees("cells")[district.CELLS[0]]
        safe = [li.captures(title=f"第{number}件", location=fix_in(cell, Crs.WGS84)) for number in range(3)]
        li.sync()
        assert li.unsent() == []

        with disk_that(server, "fsync,fdatasync", "EIO"):
            later = li.captures(title="楼上漏水", location=fix_in(cell, Crs.GCJ02))
            with pytest.raises(Refused) as refused:
                li.push()
            assert (refused.value.status, refused.value.code) == (503, "store_failed")
            assert len(li.unsent()) == 1
            assert server.wait_dead() != 0  # whoever watches over it starts it anew

        server.start()
        li.sync()
        assert li.unsent() == []
        assert li.sees().keys() == {*safe, later}
        (report,) = server.command("verify")
        assert report["faults"] == []
        li.close()
    finally:
        server.kill()
