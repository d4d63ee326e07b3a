"""A trial of rules says what would change, and changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from server.commands import run_command
from sync.cases.catalogue import DATA
from sync.errors import Unprocessable

if TYPE_CHECKING:
    from tests.http.town import Town

RULES = (DATA / "rules_default.toml").read_text("utf-8")


def tried(town: Town, toml: str) -> dict[str, Any]:
    found: dict[str, Any] = run_command(town.runtime, "rules_dry_run", {"toml": toml}, "t")
    return found


def test_the_rules_in_force_change_nothing(town: Town) -> None:
    for _ in range(3):
        town.capture()
    found = tried(town, RULES)
    assert (found["open_cases"], found["changed"], found["cases"]) == (3, 0, [])


def test_rules_without_ladders_would_leave_every_case_without_a_next_step(town: Town) -> None:
    town.capture()
    head, _, _ = RULES.partition("[[ladders]]")
    bare = head if "[[ladders]]" in RULES else RULES
    before = town.district.head
    try:
        found = tried(town, bare)
    except Unprocessable:
        pytest.fail("the head of the default rules is a rule set of its own")
    assert (found["changed"], found["later"]) == (1, 1)
    assert found["cases"][0]["after"] is None
    assert town.district.head == before
