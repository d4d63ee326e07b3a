"""CL: what a phone says of the time stays as it said it, an estimate stands beside it, and nothing hangs on either."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest

from sync import hello
from sync.cases.shapes import LATEST
from tests.unit.sync.district import DAY, HOUR, District

if TYPE_CHECKING:
    from pathlib import Path

MINUTE = 60_000


def call(district: District, who: str, *, off: int = 0, boot: str = "a", slept: int = 0) -> None:
    """The phone of somebody says hello; its wall clock is `off` ahead of ours."""
    told = {
        "wall": district.now + off,
        "monotonic": district.now % DAY - slept,
        "boot": boot,
        "rtt": 0,
    }
    caller = district.caller(who, f"phone-{who}")
    district.commit(hello.remember(caller.device_pk, told, at=district.now))


def test_a_capture_of_a_phone_whose_clock_is_years_off_has_its_hour_beside_what_the_phone_said(
    district: District,
) -> None:
    behind = -20 * 365 * DAY
    call(district, "an", off=behind)
    district.now += 3 * HOUR
    an = district.phone("an")
    sent, true = an.new(captured_at=district.now + behind), district.now
    note = an.entry(sent["id"], at=district.now + behind)
    district.now += 5 * HOUR
    call(district, "an", off=behind)
    answer = an.push("cases", sent)
    an.push("entries", note)
    assert answer["captured_at"] == true + behind
    assert abs(answer["captured_est"] - true) <= answer["captured_err"] < 10_000
    assert (answer["clock_flag"], answer["received_at"]) == ("off", district.now)
    entry = district.whole("entries", note["id"])
    assert (entry["at"], entry["clock_flag"]) == (true + behind, "off")
    assert abs(entry["captured_est"] - true) <= entry["captured_err"]


def test_of_a_phone_that_never_told_its_clock_nothing_is_claimed(district: District) -> None:
    case = district.phone("an").capture()
    assert not {"captured_est", "captured_err", "clock_flag"} & case.keys()
    ahead = district.phone("an").capture(captured_at=district.now + DAY)
    assert ahead["clock_flag"] == "future"
    assert not {"captured_est", "captured_err"} & ahead.keys()


def test_the_estimate_is_made_once_and_no_phone_writes_it(district: District) -> None:
    call(district, "an", off=10 * MINUTE)
    an = district.phone("an")
    case = an.push("cases", an.new(captured_at=district.now + 10 * MINUTE, captured_est=5, clock_flag="ok"))
    assert case["clock_flag"] == "off"
    assert "issues" not in case
    district.now += HOUR
    call(district, "an", off=-DAY)
    edited = an.edit(case, title="改过", captured_est=7, captured_at=9)
    for name in ("captured_at", "captured_est", "captured_err", "clock_flag"):
        assert edited[name] == case[name]


def test_a_second_clock_shows_that_the_first_was_set_in_between(district: District) -> None:
    call(district, "an")
    district.now += 2 * HOUR
    an = district.phone("an")
    told = {"monotonic": district.now % DAY, "boot": "a"}
    sent = an.new(captured_at=district.now - HOUR, phone_clock=told)
    district.now += 2 * HOUR
    call(district, "an")
    answer = an.push("cases", sent)
    assert (answer["clock_flag"], answer["phone_clock"]) == ("jumped", told)


def test_a_visit_is_dated_by_the_half_day_and_no_minute_of_it_is_worked_out(district: District) -> None:
    call(district, "an", off=HOUR)
    an = district.phone("an")
    visit = {
        "id": district.chance.uuid7(district.now),
        "subject_kind": "household",
        "at": district.now,
        "captured_at": district.now,
        "w": an.next_w(),
    }
    an.push("visits", visit)
    (stored,) = district.documents("visits")
    assert not {"captured_est", "captured_err", "clock_flag"} & stored.keys()


@pytest.mark.parametrize("captured", [0, 1, 946_684_800_000, 4_102_444_800_000, LATEST])
@pytest.mark.parametrize("off", [-LATEST // 8, 0, LATEST // 2])
def test_no_clock_is_so_wrong_that_a_capture_is_refused(district: District, captured: int, off: int) -> None:
    call(district, "an", off=max(off, -district.now))
    case = district.phone("an").capture(captured_at=captured)
    assert (case["status"], case["captured_at"], case["received_at"]) == ("submitted", captured, district.now)
    assert district.kept_aside() == []


# --- CL5: nothing hangs on a phone's clock ----------------------------------------------------------------------------

_TELLING = frozenset(
    {"captured_at", "captured_est", "captured_err", "clock_flag", "phone_clock", "at", "digest"}
)


def history(path: Path, template: Path, seed: int | None) -> dict[str, Any]:
    """Two workers write over each other for a day; with a seed each phone's clock says whatever it likes."""
    district = District(path, template=template)
    wild = random.Random(seed)

    def said() -> int:
        return district.now if seed is None else wild.randrange(0, LATEST)

    def contact(who: str) -> None:
        if seed is None or wild.random() < 0.7:
            call(district, who, off=said() - district.now, boot=wild.choice("ab"))

    an, bo = district.phone("an"), district.phone("bo")
    contact("an")
    case = an.capture(captured_at=said(), title="甲")
    held = dict(case)
    for turn in range(6):
        district.now += HOUR
        writer = (an, bo)[turn % 2]
        contact(writer.who)
        writer.pull("cases")
        base = writer.held["cases"][case["id"]] if turn % 3 else held
        change = {"title": f"第{turn}稿", "address": f"{turn}号楼", "captured_at": said()}
        writer.push("cases", base | change | {"w": writer.next_w()}, base=base)
        writer.push("entries", writer.entry(case["id"], at=said(), body={"text": f"{turn}"}))
    district.act(
        "clerk", case["id"], "triage", category="0204", basis="lawful", risk="yellow", channel="grid"
    )
    district.now += 5 * DAY
    district.tick()
    entries = sorted(district.entries_of(case["id"]), key=lambda entry: str(entry["id"]))
    found = {
        "case": without_times(district.whole("cases", case["id"])),
        "entries": [without_times(entry) for entry in entries],
        "order": [(row["doc_pk"], row["seq"], row["fields"], row["w"]) for row in district.rows("change")],
        "ledger": [
            (line["field"], line["rule"], line["values"])
            for line in district.ledger(case["id"])
            if line["field"] != "captured_at"
        ],
        "queue": [(row["level"], row["opened_at"], row["key"]) for row in district.rows("escalation")],
        "due": [row["next_due"] for row in district.rows("case_clocks")],
    }
    district.close()
    return found


def without_times(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in _TELLING}


@pytest.mark.parametrize("seed", range(6))
def test_order_winners_and_deadlines_are_the_same_whatever_the_clocks_of_the_phones_say(
    made_district: Path, tmp_path: Path, seed: int
) -> None:
    right = history(tmp_path / "right.db", made_district, None)
    wild = history(tmp_path / "wild.db", made_district, seed)
    assert right["ledger"]
    assert right["queue"]
    for name, value in right.items():
        assert wild[name] == value, name
