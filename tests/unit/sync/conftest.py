from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.unit.sync.district import District, make_district

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def made_district(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("district") / "made.db"
    make_district(path)
    return path


@pytest.fixture
def district(made_district: Path, tmp_path: Path) -> Iterator[District]:
    """A district of its own for each story."""
    made = District(tmp_path / "district.db", template=made_district)
    yield made
    made.close()
