"""The domain clock can be moved in a demo; the wall clock cannot."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from server import clocks
from server.clocks import DomainClock

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _noon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clocks, "wall_ms", lambda: 1_000_000)


def test_without_a_file_the_domain_clock_is_the_wall_clock() -> None:
    clock = DomainClock()
    assert clock.now_ms() == 1_000_000
    with pytest.raises(ValueError, match="cannot be moved"):
        clock.advance(1)


def test_a_clock_that_one_moves_is_moved_for_all_who_read_the_file(tmp_path: Path) -> None:
    one, other = DomainClock(tmp_path / "clock.json"), DomainClock(tmp_path / "clock.json")
    assert other.now_ms() == 1_000_000
    one.advance(86_400_000)
    assert one.now_ms() == other.now_ms() == 87_400_000
    other.advance(1)
    os.utime(tmp_path / "clock.json", (1, 1))
    assert one.now_ms() == 87_400_001


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"offset_ms": "x"}', '{"offset_ms": null}'])
def test_a_file_that_cannot_be_read_keeps_the_last_shift(tmp_path: Path, text: str) -> None:
    clock = DomainClock(tmp_path / "clock.json")
    clock.advance(5)
    assert clock.now_ms() == 1_000_005
    (tmp_path / "clock.json").write_text(text)
    assert clock.now_ms() == 1_000_005
