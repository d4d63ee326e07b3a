from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.rxdb.phone import RxdbPhone

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def phone() -> Iterator[RxdbPhone]:
    with RxdbPhone() as driven:
        yield driven
