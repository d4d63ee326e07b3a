"""A scope that grows too large for a phone: told in time, and no further grants where the district wants that."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from sync import administration, hello, scope
from sync.scope import Scope, ScopeFull, measure, tell_centre
from tests.unit.sync.district import HOME, NEXT

if TYPE_CHECKING:
    from tests.unit.sync.district import District


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bounds that a test can reach."""
    monkeypatch.setattr(scope, "LARGE", 4)
    monkeypatch.setattr(scope, "FULL", 8)


@pytest.fixture
def town(district: District, small: None) -> District:
    return district


def of(town: District, who: str) -> Scope:
    with town.store.read() as reader:
        config = town.configs.get(reader)
        pk = next(account.pk for account in config.accounts.values() if account.username == who)
        return measure(reader, config, pk)


def test_what_lies_in_ones_places_counts_once_and_the_count_ends_at_the_bound(town: District) -> None:
    empty = of(town, "an").documents
    phone = town.phone("an")
    for _ in range(3):
        phone.capture()
    assert of(town, "an").documents >= empty + 3
    assert of(town, "bo") == of(town, "an")  # the same cell; what one wrote oneself does not count twice
    assert of(town, "cui").documents == 0
    for _ in range(12):
        phone.capture()
    assert of(town, "an").documents == 8
    assert [Scope(count).state for count in (3, 4, 7, 8)] == ["ok", "large", "large", "full"]


def test_the_phone_is_told_in_a_sentence(town: District) -> None:
    phone = town.phone("an")
    for _ in range(12):
        phone.capture()
    told = of(town, "an").told(refuse=True)
    assert told["state"] == "full"
    assert "不再增加新的授权" in told["detail"]
    assert "登记和上报不受影响" in told["detail"]
    assert "授权" not in of(town, "an").told(refuse=False)["detail"]
    with town.store.read() as reader:
        config = town.configs.get(reader)
        caller = town.caller("an", phone.device)
        answer = hello.answer(reader, config, caller, {}, wall=1, monotonic=1, words={}, scope=told)
    assert answer["scope"] == told
    assert phone.capture()["status"]  # FL9: capturing goes on


def test_no_figure_rises_with_what_one_must_not_know(town: District) -> None:
    """FL9: a sealed case in one's own cell, and a note on it, change nothing of what one is told."""

    def told() -> dict[str, Any]:
        return of(town, "long").told(refuse=False)

    before = told()
    case = town.phone("an").capture(category="0106")
    town.phone("an").push("entries", town.phone("an").entry(case["id"], body={"text": "听到哭声"}))
    assert told() == before
    assert not any(isinstance(value, int) and value not in {4, 8} for value in before.values())


def test_more_is_granted_unless_the_district_refuses_it(town: District) -> None:
    phone = town.phone("an")
    for _ in range(12):
        phone.capture()
    town.grant("an", "grid_worker", cell=NEXT)
    town.commit(administration.put_settings({scope.POLICY: "refuse"}))
    head = town.rows("clock")[0]["seq"]
    with pytest.raises(ScopeFull):
        town.commit(administration.grant_role("cui", "grid_worker", cell=HOME))
    assert town.rows("clock")[0]["seq"] == head
    assert of(town, "cui").documents == 0
    town.commit(administration.grant_role("secretary", "street_leader", unit="STREET"))  # works at a desk
    assert phone.capture()["status"]
    town.commit(administration.put_settings({scope.POLICY: "warn"}))
    town.grant("cui", "grid_worker", cell=HOME)


def test_the_centre_is_told_once_for_each_state(town: District) -> None:
    with town.store.read() as reader:
        config = town.configs.get(reader)
        pk = next(account.pk for account in config.accounts.values() if account.username == "an")

    def codes() -> list[Any]:
        return [json.loads(json.dumps(notice))["code"] for notice in town.notices_of("director", "district")]

    assert not town.commit(tell_centre(pk, Scope(3)))
    assert town.commit(tell_centre(pk, Scope(5)))
    assert not town.commit(tell_centre(pk, Scope(6)))
    assert codes() == ["scope_large"]
    assert town.commit(tell_centre(pk, Scope(8)))
    assert not town.commit(tell_centre(pk, Scope(8)))
    assert sorted(codes()) == ["scope_full", "scope_large"]
