"""Who is let in, who waits, and in which order."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from server.admission import (
    LEASE_MS,
    PLACE_MS,
    PULLS,
    PULLS_BESIDE_PUSHES,
    PUSHES_FIRST,
    Admission,
    Budgets,
    FirstPlans,
    SyncWaits,
)
from server.errors import AccountLocked, TooManyRequests, problem_of
from server.metrics import Metrics
from server.settings import BadSettings, Settings, load_settings, refusals
from sync.errors import StoreUnavailable

DEVICE = ("410399", 1)
MINUTE = 60_000


def test_a_device_has_so_many_requests_a_minute_and_gets_them_back_little_by_little() -> None:
    budgets = Budgets(60, 0, 0)
    for _ in range(60):
        budgets.admit(DEVICE, 0)
    with pytest.raises(TooManyRequests) as told:
        budgets.admit(DEVICE, 0)
    assert told.value.extra["retry_after"] == 1
    budgets.admit(("410399", 2), 0)  # another device has its own
    budgets.admit(DEVICE, 1_000)  # FL7: who waits as long as told is let in
    with pytest.raises(TooManyRequests):
        budgets.admit(DEVICE, 1_000)


@pytest.mark.parametrize(("rows", "octets"), [(100, 0), (0, 1_000)])
def test_no_batch_is_too_large_but_the_next_waits_until_it_is_paid(rows: int, octets: int) -> None:
    budgets = Budgets(0, rows, octets)
    budgets.admit(DEVICE, 0)
    budgets.charge(DEVICE, 0, 3 * rows, 3 * octets)
    with pytest.raises(TooManyRequests) as told:
        budgets.admit(DEVICE, 0)
    wait = told.value.extra["retry_after"]
    assert wait == 120
    with pytest.raises(TooManyRequests):
        budgets.admit(DEVICE, wait * 1000 - 2_000)
    budgets.admit(DEVICE, wait * 1000)


def test_without_a_bound_nobody_waits() -> None:
    budgets = Budgets(0, 0, 0)
    for _ in range(1_000):
        budgets.admit(DEVICE, 0)
        budgets.charge(DEVICE, 0, 1 << 30, 1 << 40)


def test_first_plans_go_in_turn_and_one_that_asks_again_keeps_its_place() -> None:
    plans = FirstPlans(2)
    for phone in (1, 2):
        plans.enter(("d", phone), "cases", 0)
        plans.enter(("d", phone), "entries", 0)
    places = {}
    for phone in (3, 4, 5, 3, 5, 4):
        with pytest.raises(SyncWaits) as told:
            plans.enter(("d", phone), "cases", 1_000)
        places[phone] = told.value.extra["position"]
    assert places == {3: 1, 4: 2, 5: 3}
    plans.enter(("d", 1), "cases", 2_000)  # who is inside goes on
    plans.finished(("d", 1), "cases", 3_000)
    with pytest.raises(SyncWaits):
        plans.enter(("d", 3), "cases", 3_000)  # one collection of phone 1 is not done
    plans.finished(("d", 1), "entries", 3_000)
    with pytest.raises(SyncWaits):
        plans.enter(("d", 4), "cases", 3_000)  # not its turn, though there is room
    plans.enter(("d", 3), "cases", 3_000)
    assert (plans.running, plans.waiting) == (2, 2)


def test_phones_that_went_away_leave_room() -> None:
    plans = FirstPlans(1)
    plans.enter(("d", 1), "cases", 0)
    with pytest.raises(SyncWaits):
        plans.enter(("d", 2), "cases", 1)
    with pytest.raises(SyncWaits):
        plans.enter(("d", 3), "cases", PLACE_MS - 5)  # the first one is gone, the second keeps its place
    plans.enter(("d", 3), "cases", PLACE_MS + LEASE_MS)
    assert (plans.running, plans.waiting) == (1, 0)


def test_however_the_phones_come_again_all_get_in_and_never_too_many() -> None:
    chance = random.Random("line")
    plans, now, done = FirstPlans(3), 0, Counter[int]()
    asleep = dict.fromkeys(range(60), 0)
    busy: dict[int, int] = {}
    while len(done) < 60:
        now += 100
        for phone, until in list(busy.items()):
            if until <= now:
                plans.finished(("d", phone), "cases", now)
                done[phone] += 1
                del busy[phone]
        for phone, until in list(asleep.items()):
            if until > now:
                continue
            try:
                plans.enter(("d", phone), "cases", now)
            except SyncWaits as wait:
                # RxDB comes again after a time of its own, whatever it is told
                asleep[phone] = now + chance.choice([5_000, wait.extra["retry_after"] * 1000])
            else:
                del asleep[phone]
                busy[phone] = now + chance.randrange(200, 5_000)
        assert len(busy) <= 3
        assert now < 60 * MINUTE
    assert set(done.values()) == {1}


def test_pushes_go_first() -> None:
    admission = Admission(Settings(first_plans=5), Metrics())
    with admission.pull(DEVICE, "cases", 0, 0, far_behind=False):
        pass
    with pytest.raises(SyncWaits), admission.pull(DEVICE, "cases", PUSHES_FIRST, 0, far_behind=True):
        pass  # nobody begins to get everything while so many pushes wait
    held = []
    for _ in range(PULLS_BESIDE_PUSHES):
        one = admission.pull(DEVICE, "cases", PUSHES_FIRST, 0, far_behind=False)
        one.__enter__()
        held.append(one)
    with pytest.raises(SyncWaits), admission.pull(DEVICE, "cases", PUSHES_FIRST, 0, far_behind=False):
        pass  # FL6: a few go on, so that nobody starves
    for _ in range(PULLS - PULLS_BESIDE_PUSHES):
        one = admission.pull(DEVICE, "cases", 0, 0, far_behind=False)
        one.__enter__()
        held.append(one)
    with pytest.raises(SyncWaits), admission.pull(DEVICE, "cases", 0, 0, far_behind=False):
        pass
    for one in held:
        one.__exit__(None, None, None)
    with admission.pull(DEVICE, "cases", 0, 0, far_behind=False):
        pass


def test_whoever_is_asked_to_wait_is_told_how_long_and_not_all_the_same() -> None:
    for error in (
        SyncWaits(retry_after=10),
        TooManyRequests(retry_after=10),
        StoreUnavailable(retry_after=10),
    ):
        told = {int(problem_of(error).headers["Retry-After"]) for _ in range(200)}
        assert min(told) >= 10  # FL6
        assert max(told) <= 16
        assert len(told) > 3
    assert int(problem_of(StoreUnavailable()).headers["Retry-After"]) >= 1
    assert problem_of(AccountLocked(retry_after=30)).headers["Retry-After"] == "30"


def test_the_bounds_are_settings() -> None:
    found = load_settings({"WANGGE_DEVICE_ROWS": "0", "WANGGE_FIRST_PLANS": "7"})
    assert (found.device_rows, found.first_plans) == (0, 7)
    for wrong in ("-1", "many", "1.5", ""):
        with pytest.raises(BadSettings):
            load_settings({"WANGGE_DEVICE_BYTES": wrong})
    assert any("WANGGE_FIRST_PLANS" in reason for reason in refusals(Settings(first_plans=-1)))
