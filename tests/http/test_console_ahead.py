"""What a leader is told of what lies ahead, and which acts a row offers him."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.http.town import Town


def queue(town: Town, user: str) -> dict[str, Any]:
    answer = town.get(user, "/api/v1/escalations")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def dispatched(town: Town, **fields: Any) -> str:
    case = town.admitted(**fields)
    town.must_act("dispatcher", case, "dispatch", unit="S1-JUSTICE")
    return case


def test_what_reaches_a_leader_by_tomorrow_is_told_today_with_the_hour(town: Town) -> None:
    case = dispatched(town)
    today = queue(town, "community_leader")
    coming = next(item for item in today["tomorrow"] if item["case_id"] == case)
    assert coming["next"]["level"] == 1
    assert coming["next"]["at"] > today["now"]
    assert "提级到社区" in coming["next"]["zh"]
    assert "Reaches the community" in coming["next"]["en"]
    assert coming["title"] == "楼道堆物起争执"
    town.advance(1)
    later = queue(town, "community_leader")
    assert case in {item["case_id"] for item in later["items"]}
    assert case not in {item["case_id"] for item in later["tomorrow"]}


def test_a_row_says_what_comes_next_and_what_the_leader_may_do(town: Town) -> None:
    dispatched(town)
    town.advance(1)
    row = next(row for row in queue(town, "community_leader")["items"] if row["clock"] == "accept")
    assert row["next"]["level"] == 2
    assert {"acknowledge", "instruct"} <= set(row["acts"])
    assert "sponsor" not in row["acts"]


def test_the_centre_follows_the_queue_and_answers_for_nobody(town: Town) -> None:
    dispatched(town)
    town.advance(1)
    told = queue(town, "clerk")
    assert told["items"]
    assert all(row["acts"] == [] for row in told["items"])
    assert told["tomorrow"] == []


def test_what_lies_ahead_of_a_sealed_case_is_not_told_before_it_is_raised(town: Town) -> None:
    plain, sealed = town.capture(), town.capture(protection="sealed", title="内部线索")
    for _ in range(2):
        coming = {item["case_id"] for item in queue(town, "community_leader")["tomorrow"]}
        assert sealed not in coming
        if plain in coming:
            break
        town.advance(1)
    else:
        raise AssertionError("the ordinary case was never told ahead")
