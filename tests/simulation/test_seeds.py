"""Hundreds of districts, each from its seed: whatever people, the centre and the network do, every phone ends right.

``WANGGE_SEEDS`` raises the number of seeds; ``python -m tests.simulation N N+1`` tells the history of one.
"""

from __future__ import annotations

import os

import pytest

from sync.sql_store import SqlStore
from tests.simulation.history import History
from tests.simulation.world import populate

SEEDS = max(240, int(os.environ.get("WANGGE_SEEDS", "0")))
PORTION = 40
POSTGRES_SEEDS = 12


@pytest.mark.parametrize("first", range(0, SEEDS, PORTION))
def test_every_phone_ends_as_the_oracle_says(first: int) -> None:
    for seed in range(first, min(first + PORTION, SEEDS)):
        History(seed).run()


@pytest.mark.postgres
def test_the_same_holds_on_postgresql(fresh_pg_url: str) -> None:
    for seed in range(POSTGRES_SEEDS):
        store = SqlStore.postgresql(fresh_pg_url, f"d_sim_{seed}")
        populate(store)
        History(seed, store).run()
