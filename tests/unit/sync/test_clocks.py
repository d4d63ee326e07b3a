"""The clocks of a case inside commits: due once a key, passed on over the recused, held by an acknowledgement."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from sync.cases.calendars import add, parse_calendar
from sync.cases.catalogue import DATA
from sync.commit import commit_group
from sync.firing import nearest_due, tick_work
from sync.upkeep import unsampled, verify_unsampled
from tests.unit.sync.district import DAY, HOUR, user_id

if TYPE_CHECKING:
    from tests.unit.sync.district import District


def wait(district: District, hours: int, step: int = 4) -> list[int]:
    """Let time go by, a tick every few hours; the levels of every case as they were seen."""
    levels = []
    for _ in range(0, hours, step):
        district.now += step * HOUR
        district.tick()
        levels += [case.get("level", 0) for case in district.documents("cases")]
    return levels


def verified(district: District, limit: int = 500) -> int:
    """What the job does: look beside the writer, then verify what was found."""
    with district.store.read() as reader:
        due = unsampled(reader, district.configs.get(reader), district.keys, now=district.now, limit=limit)
    count: int = district.commit(verify_unsampled(due))
    return count


def queue(district: District, **where: Any) -> list[dict[str, Any]]:
    return [row | {"said": json.loads(row["body"])} for row in district.rows("escalation", **where)]


def test_a_case_nobody_admits_climbs_level_by_level_and_never_falls(district: District) -> None:
    district.phone("an").capture()
    levels = wait(district, 12 * 24)
    assert levels == sorted(levels)
    assert levels[-1] >= 2
    assert {row["level"] for row in queue(district)} >= {1, 2}


def test_each_key_takes_effect_once_whoever_ticks_and_however_often(district: District) -> None:
    district.phone("an").capture()
    wait(district, 4 * 24)
    before = district.rows("firing")
    keys = [row["key"] for row in before]
    assert keys
    assert len(keys) == len(set(keys))
    for _ in range(3):
        assert district.tick() == 0
    assert district.rows("firing") == before
    notices = [notice["args"]["key"] for notice in district.notices_of("secretary", "escalation")]
    assert len(notices) == len(set(notices))


def test_two_ticks_that_share_a_transaction_fire_once(district: District) -> None:
    district.phone("an").capture()
    district.now += 3 * DAY
    works = [(tick_work(), district.context()) for _ in range(3)]
    fired = [outcome.result().fired for outcome in commit_group(district.store, works)]
    assert fired[0] > 0
    assert fired[1:] == [0, 0]


def test_a_tick_that_was_late_by_days_does_what_was_due_in_order(district: District) -> None:
    district.phone("an").capture()
    district.now += 10 * DAY
    district.tick()
    fired = [row for row in district.rows("firing") if row["outcome"] == "fired"]
    assert fired
    assert [row["level_to"] for row in fired] == sorted(row["level_to"] for row in fired)


def test_the_nearest_due_is_told_without_looking_at_cases(district: District) -> None:
    with district.store.read() as reader:
        assert nearest_due(reader) is None
    district.phone("an").capture()
    with district.store.read() as reader:
        due = nearest_due(reader)
    assert due is not None
    assert due > district.now
    district.now = due - 1
    assert district.tick() == 0
    district.now = due
    assert district.tick() > 0


def test_a_recused_secretary_is_passed_over_and_the_next_level_hears(district: District) -> None:
    district.phone("an").capture(involves_staff=True)
    district.phone("an").capture()
    wait(district, 3 * 24)
    rows = queue(district)
    assert {row["level"] for row in rows} >= {1, 2}
    about = {notice["args"].get("id") for notice in district.notices_of("secretary")}
    staff, plain = (
        next(case["id"] for case in district.documents("cases") if bool(case.get("involves_staff")) is flag)
        for flag in (True, False)
    )
    assert about == {plain}
    told = {notice["args"].get("id") for notice in district.notices_of("street")}
    assert staff in told


def test_what_a_leader_is_told_of_a_restricted_case_names_nothing(district: District) -> None:
    case = district.phone("an").capture(protection="restricted", title="家事")
    wait(district, 4 * 24)
    notices = district.notices_of("secretary", "escalation")
    assert notices
    assert all("id" not in notice["args"] and "case_code" not in notice["args"] for notice in notices)
    assert case["id"] not in json.dumps(notices)


def test_an_acknowledgement_holds_the_next_rung_until_its_promise(district: District) -> None:
    case = district.phone("an").capture()
    street = f"{case['id']}:admit:1:admit:street:0"
    wait(district, 56)  # Wednesday, 17:00: half an hour before the street would hear
    row = next(row for row in queue(district, level=1) if row["said"]["clock"] == "admit")
    promise = district.now + 19 * HOUR
    district.act_on_row("secretary", row["id"], "acknowledge", until=promise)
    (acked,) = queue(district, id=row["id"])
    assert (acked["state"], acked["said"]["ack_by"]) == ("acked", user_id("secretary"))
    district.now = promise - 1
    district.tick()
    assert district.rows("firing", key=street) == []
    district.now = promise
    district.tick()
    assert [row["outcome"] for row in district.rows("firing", key=street)] == ["fired"]


def test_without_an_acknowledgement_the_next_rung_comes_in_its_time(district: District) -> None:
    case = district.phone("an").capture()
    wait(district, 60)
    assert district.rows("firing", key=f"{case['id']}:admit:1:admit:street:0")


def test_a_kept_promise_closes_the_row(district: District) -> None:
    case = district.phone("an").capture()
    while not queue(district, level=1):
        wait(district, 4)
    opened = [row for row in queue(district) if row["said"]["clock"] == "admit"]
    assert opened
    assert all(row["closed_at"] is None for row in opened)
    triage = {"category": "0201", "basis": "lawful", "risk": "blue", "reason": "一般", "channel": "grid"}
    district.act("clerk", case["id"], "triage", **triage)
    district.act("clerk", case["id"], "admit", given_to="三楼住户")
    closed = [row for row in queue(district) if row["said"]["clock"] == "admit"]
    assert all(row["closed_at"] == district.now for row in closed)
    assert district.whole("cases", case["id"])["level"] >= 1  # the level stays: it tells what has happened


def test_what_was_due_fires_before_the_act_that_ends_its_clock(district: District) -> None:
    """Nobody hides a rung by acting before the tick that is late."""
    case = district.phone("an").capture()
    district.now += 2 * DAY
    triage = {"category": "0201", "basis": "lawful", "risk": "blue", "reason": "一般", "channel": "grid"}
    district.act("clerk", case["id"], "triage", **triage)
    district.act("clerk", case["id"], "admit", given_to="三楼住户")
    assert [row for row in district.rows("firing") if row["key"].startswith(f"{case['id']}:admit")]


def test_a_row_that_is_not_yours_is_not_found(district: District) -> None:
    from sync.errors import NotFound

    district.phone("an").capture()
    while not queue(district, level=1):
        wait(district, 4)
    row = queue(district, level=1)[0]
    for who in ("an", "mediator", "auditor"):
        with pytest.raises(NotFound):
            district.act_on_row(who, row["id"], "acknowledge", until=district.now + DAY)
    with pytest.raises(NotFound):
        district.act_on_row("secretary", "no-row", "acknowledge", until=district.now + DAY)


def test_an_erased_case_fires_no_more(district: District) -> None:
    from sync.erasing import erase_work
    from sync.values import Collection

    case = district.phone("an").capture()
    district.commit(erase_work(Collection.cases, case["id"]))
    district.now += 5 * DAY
    assert district.tick() == 0
    with district.store.read() as reader:
        assert nearest_due(reader) is None


# --- settled on the spot ---------------------------------------------------------------------------------------------


def test_a_settlement_that_was_not_drawn_is_verified_by_the_system_after_two_days(district: District) -> None:
    district.chance.sample = 99
    case = district.phone("an").capture(on_spot={"how": "当面说和", "both_content": True})
    received = district.now
    due = add(parse_calendar((DATA / "calendar_weekdays.toml").read_text("utf-8")), received, 2, "wd")
    assert due > received + 2 * DAY  # to the close of the second working day after
    district.now = due - 1
    assert verified(district) == 0
    district.now = due
    assert verified(district) == 1
    assert verified(district) == 0
    assert district.whole("cases", case["id"])["status"] not in {"settled", "submitted"}
    (entry,) = district.entries_of(case["id"], "act")
    assert entry["body"]["act"] == "verify"
    assert "author" not in entry


def test_a_settlement_that_was_drawn_waits_for_a_person(district: District) -> None:
    district.chance.sample = 0
    case = district.phone("an").capture(on_spot={"how": "当面说和", "both_content": True})
    district.now += 5 * DAY
    assert verified(district) == 0
    assert district.whole("cases", case["id"])["status"] == "settled"


def test_a_settlement_that_the_phone_flags_after_the_draw_waits_for_a_person(district: District) -> None:
    district.chance.sample = 99
    an = district.phone("an")
    flags: list[dict[str, Any]] = [
        {"involves_staff": True},
        {"signals": ["threat_kill"]},
        {"protection": "restricted"},
    ]
    cases = [an.capture(on_spot={"how": "当面说和"}) for _ in flags]
    for case, flag in zip(cases, flags, strict=True):
        an.edit(case, **flag)
    district.now += 7 * DAY
    assert verified(district) == 0
    assert {district.whole("cases", case["id"])["status"] for case in cases} == {"settled"}
    district.act("clerk", cases[1]["id"], "verify", parties_asked=True)


def test_settlements_that_wait_for_a_person_do_not_hold_up_later_ones(district: District) -> None:
    """The job looks at a few hundred at a time: those that stay must not fill every look."""
    district.chance.sample = 0
    for _ in range(3):
        district.phone("an").capture(on_spot={"how": "当面说和"})
    district.chance.sample = 99
    last = district.phone("an").capture(on_spot={"how": "当面说和"})
    district.now += 3 * DAY
    verified(district, limit=2)
    verified(district, limit=2)
    assert district.whole("cases", last["id"])["status"] != "settled"


def test_what_a_person_took_up_between_the_look_and_the_writing_is_left_to_him(district: District) -> None:
    district.chance.sample = 99
    an = district.phone("an")
    case = an.capture(on_spot={"how": "当面说和"})["id"]
    district.now += 3 * DAY
    with district.store.read() as reader:
        due = unsampled(reader, district.configs.get(reader), district.keys, now=district.now)
    assert len(due) == 1
    district.act("clerk", case, "verify", parties_asked=True)
    before = district.whole("cases", case)
    assert district.commit(verify_unsampled(due)) == 0
    assert district.whole("cases", case) == before


def test_a_date_of_the_source_that_is_added_later_is_watched_too(district: District) -> None:
    an = district.phone("an")
    case = an.capture()
    an.edit(case, source_due=district.now + 20 * DAY)
    lines = {line["clock"]: line["due_at"] for line in district.whole("cases", case["id"])["due"]}
    assert 17 * DAY < lines["source_reply"] - district.now < 20 * DAY


def test_a_request_answered_at_once_and_not_drawn_is_verified_by_the_system_and_climbs_to_nobody(
    district: District,
) -> None:
    district.chance.sample = 99
    case = district.phone("an").capture(kind="request", category="R02", on_spot={"how": "当场换了灯泡"})["id"]
    assert district.whole("cases", case)["status"] == "reported"
    district.now += 2 * DAY - 1
    assert verified(district) == 0
    wait(district, 4 * 24)
    assert queue(district) == []
    assert verified(district) == 1
    assert district.whole("cases", case)["status"] == "closed"


def test_two_working_days_are_counted_from_the_answer(district: District) -> None:
    district.chance.sample = 99
    case = district.phone("an").capture(kind="consult", category=None)["id"]
    district.now += 5 * DAY
    district.act("clerk", case, "answer", plain_text="可到窗口办理")
    assert verified(district) == 0
    district.now += 5 * DAY
    assert verified(district) == 1


def test_an_answer_that_was_drawn_waits_for_a_person(district: District) -> None:
    district.chance.sample = 0
    case = district.phone("an").capture(kind="request", category="R02", on_spot={"how": "当场换了灯泡"})["id"]
    assert "verify" in {line["clock"] for line in district.whole("cases", case)["due"]}
    district.now += 5 * DAY
    assert verified(district) == 0
