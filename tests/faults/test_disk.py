"""The disk is full: the server says so, keeps what it has, and takes the rest when there is room again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from geo.points import Crs
from tests.faults import district
from tests.faults.launcher import DISK_FULL
from tests.story.actors import Phone, Refused, fix_in
from tests.story.process import ServerProcess

if TYPE_CHECKING:
    from pathlib import Path


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

        server.die_at(DISK_FULL)
        later = li.captures(title="楼上漏水", location=fix_in(cell, Crs.GCJ02))
        for _ in range(3):
            with pytest.raises(Refused) as refused:
                li.push()
            assert (refused.value.status, refused.value.code) == (503, "store_unavailable")
        assert district.books(server) == before
        assert earlier in zhao.pull().sees()  # reading goes on

        server.lives_on()
        li.sync()
        assert li.unsent() == []
        assert zhao.pull().sees().keys() == {earlier, later}
        (report,) = server.command("verify")
        assert report["faults"] == []
        for person in (li, zhao):
            person.close()
    finally:
        server.kill()
