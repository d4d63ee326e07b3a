from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.story.ground import DISTRICT
from tests.story.process import ServerProcess

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    """The real server, running, with an empty test district."""
    process = ServerProcess(tmp_path / "data", DISTRICT, "涧东区", "涧东").start()
    try:
        yield process
    finally:
        process.stop()
