"""CL: when something was captured, by a clock that may be wrong. A table of phones, and what can be said of each."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from sync.cases.phone_clocks import KEPT_MAX, Contact, contact_of, estimate, with_contact
from sync.cases.shapes import LATEST

S, M, H, D = 1_000, 60_000, 3_600_000, 86_400_000
YEAR = 365 * D
NINE = 1_795_395_600_000  # 23 November 2026, 09:00, by the server


def at(hour: float, *, off: int = 0, boot: str | None = "a", slept: int = 0, rtt: int = 200) -> Contact:
    """A contact so many hours after nine, of a phone whose clock is `off` ahead of the server's."""
    true = NINE + int(hour * H)
    return Contact(true, true + off - rtt // 2, int(hour * H) + 7 - rtt // 2 - slept, boot, rtt)


def clock(hour: float, boot: str = "a", *, slept: int = 0) -> dict[str, Any]:
    return {"monotonic": int(hour * H) + 7 - slept, "boot": boot}


GOOD = [at(0), at(8)]
BEHIND = [at(0, off=-20 * YEAR), at(8, off=-20 * YEAR)]
SET_AT_NOON = [at(0), at(8, off=2 * H)]
RESTARTED = [at(0), at(8, boot="b")]
RESTARTED_AND_SET = [at(0), at(8, off=-50 * YEAR, boot="b")]

# what it is · contacts · what the phone's clock said · its monotonic clock · hour it was received ->
# the true hour if it can be told, how far off the estimate may be, the flag
CASES: dict[str, tuple[list[Contact], int, dict[str, Any] | None, float, float | None, int, str | None]] = {
    "nothing is known of the phone": ([], NINE, None, 8, None, 0, None),
    "a few minutes ahead, and nothing known": ([], NINE + 8 * H + 4 * M, None, 8, None, 0, None),
    "days ahead, and nothing known": ([], NINE + 9 * D, None, 8, None, 0, "future"),
    "a good clock": (GOOD, NINE + 3 * H, None, 8, 3, 10 * S, "ok"),
    "a good clock, both kinds": (GOOD, NINE + 3 * H, clock(3), 8, 3, 10 * S, "ok"),
    "six minutes ahead": (
        [at(0, off=6 * M), at(8, off=6 * M)],
        NINE + 3 * H + 6 * M,
        None,
        8,
        3,
        10 * S,
        "off",
    ),
    "twenty years behind": (BEHIND, NINE + 3 * H - 20 * YEAR, None, 8, 3, 10 * S, "off"),
    "twenty years behind, both kinds": (BEHIND, NINE + 3 * H - 20 * YEAR, clock(3), 8, 3, 10 * S, "off"),
    "twenty years ahead": (
        [at(0, off=20 * YEAR), at(8, off=20 * YEAR)],
        NINE + 3 * H + 20 * YEAR,
        None,
        8,
        3,
        10 * S,
        "off",
    ),
    "before the first contact of all": ([at(8)], NINE + 3 * H, None, 9, 3, 10 * S, "ok"),
    "since the last contact": ([at(0)], NINE + 3 * H, None, 8, 3, 10 * S, "ok"),
    "set at noon, captured before": (SET_AT_NOON, NINE + 2 * H, clock(2), 8, 2, 10 * S, "ok"),
    "set at noon, captured after": (SET_AT_NOON, NINE + 7 * H, clock(5), 8, 5, 10 * S, "off"),
    "set at noon, by the wall alone": (SET_AT_NOON, NINE + 4 * H, None, 8, 3, 90 * M, "jumped"),
    "set far back, captured after": (
        [at(0), at(8, off=-30 * D)],
        NINE + 5 * H - 30 * D,
        None,
        8,
        5,
        30 * S,
        "jumped",
    ),
    "set far ahead, captured after": (
        [at(0), at(8, off=30 * D)],
        NINE + 5 * H + 30 * D,
        None,
        8,
        5,
        30 * S,
        "jumped",
    ),
    "set ahead and back between two contacts": (GOOD, NINE + 3 * H - 2 * H, clock(3), 8, 3, 70 * M, "jumped"),
    "slept for two hours with its monotonic clock": (
        [at(0), at(8, slept=2 * H)],
        NINE + 3 * H,
        clock(3, slept=1 * H),
        8,
        3,
        10 * S,
        "ok",
    ),
    "restarted in between": (RESTARTED, NINE + 3 * H, None, 8, 3, 10 * S, "unknown"),
    "restarted before, captured in the second run": (
        RESTARTED,
        NINE + 7 * H,
        clock(7, "b"),
        8,
        7,
        10 * S,
        "ok",
    ),
    "captured in a run that never called": (GOOD, NINE + 3 * H, clock(0.5, "c"), 8, 3, 10 * S, "unknown"),
    "restarted with an empty battery": (RESTARTED_AND_SET, NINE + 2 * H, None, 8, 2, 30 * S, "unknown"),
    "later than it came": ([at(0)], NINE + 9 * H, None, 8, 8, 2 * H, "future"),
    "years later than it came": ([at(0)], NINE + 3 * YEAR, None, 8, 8, 4 * YEAR, "future"),
}


@pytest.mark.parametrize("name", CASES)
def test_what_can_be_said_of_a_capture(name: str) -> None:
    contacts, captured, monotonic, received, true, within, flag = CASES[name]
    found = estimate(captured, contacts, NINE + int(received * H), monotonic)
    if flag is None:
        assert found is None
        return
    assert found is not None
    assert found.flag == flag
    if true is None:
        assert (found.at, found.error) == (None, None)
        return
    assert found.at is not None
    assert found.error is not None
    wrong = abs(found.at - NINE - int(true * H))
    assert wrong <= found.error + 1 <= within + 1, (wrong, found)


def test_what_the_phone_tells_oddly_of_its_clocks_is_not_believed() -> None:
    for wall in (None, True, "x", -1, 1 << 60, float("nan"), [1]):
        assert contact_of({"wall": wall}, NINE) is None
    odd = contact_of({"wall": 5.5, "monotonic": "x", "boot": "b" * 65, "rtt": 10 * H}, NINE)
    assert odd == Contact(NINE, 5, None, None, 60_000)
    assert contact_of({"wall": 5, "boot": "", "rtt": -1, "monotonic": True}, NINE) == Contact(NINE, 5)


@pytest.mark.parametrize("rtt", [0, 300, 20_000])
def test_a_slow_line_does_not_make_a_right_clock_wrong(rtt: int) -> None:
    assert at(0, rtt=rtt).offset == 0
    assert at(0, rtt=rtt).error == rtt // 2


def test_of_contacts_that_agree_the_first_and_the_last_are_kept_and_a_jump_is_never_forgotten() -> None:
    contacts: list[Contact] = []
    for minute in range(600):
        contacts = with_contact(contacts, at(minute / 60))
    assert contacts == [at(0), at(599 / 60)]
    contacts = with_contact(contacts, at(10, off=D))
    contacts = with_contact(contacts, at(11, off=D))
    contacts = with_contact(contacts, at(12, off=D))
    assert [one.at for one in contacts] == [one.at for one in (at(0), at(599 / 60), at(10), at(12))]
    contacts = with_contact(contacts, at(13, off=D, boot="b"))
    assert len(contacts) == 5
    for number in range(100):
        contacts = with_contact(contacts, at(20 + number, off=number * H))
    assert len(contacts) == KEPT_MAX


times = st.integers(0, LATEST)
small = st.none() | st.integers(0, 60_000)
contact = st.builds(
    Contact,
    st.integers(NINE, NINE + 30 * D),
    times,
    st.none() | st.integers(0, 1 << 52),
    st.none() | st.sampled_from("ab"),
    small,
)
clocks = st.none() | st.fixed_dictionaries({"monotonic": st.floats(0, 1e15), "boot": st.sampled_from("abc")})


@settings(deadline=None)
@given(times, st.lists(contact, max_size=6), clocks)
def test_whatever_the_clocks_say_there_is_an_answer_within_what_can_be(
    captured: int, contacts: list[Contact], monotonic: dict[str, Any] | None
) -> None:
    received = NINE + 31 * D
    found = estimate(captured, sorted(contacts, key=lambda one: one.at), received, monotonic)
    if found is None or found.at is None or found.error is None:
        assert not contacts
        return
    assert 0 <= found.at <= received
    assert 0 <= found.error <= LATEST


@settings(deadline=None)
@given(st.integers(-20 * YEAR, 20 * YEAR), st.integers(0, 8 * H), st.integers(0, 2_000), st.booleans())
def test_a_clock_that_runs_evenly_is_corrected_however_far_it_is_off(
    off: int, passed: int, rtt: int, both: bool
) -> None:
    contacts = [at(0, off=off, rtt=rtt), at(8, off=off, rtt=rtt)]
    told = clock(passed / H) if both else None
    found = estimate(NINE + passed + off, contacts, NINE + 8 * H + S, told)
    assert found is not None
    assert found.at is not None
    assert found.error is not None
    assert abs(found.at - NINE - passed) <= found.error + 1
    assert found.flag == ("ok" if abs(off) <= 5 * M + rtt // 2 else "off")
