"""The leaders' queue: who sees a row, how much of it, and what he can do with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.http.town import CELLS, PASSWORD, Town

if TYPE_CHECKING:
    import pytest

HOUR = 3_600_000
DAY = 24 * HOUR


def rows(town: Town, user: str, **params: Any) -> list[dict[str, Any]]:
    answer = town.get(user, "/api/v1/escalations", **params)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


def not_accepted(town: Town, **fields: Any) -> str:
    """A case that was dispatched and that nobody signs for until it has come to the community."""
    case = town.admitted(**fields)
    town.must_act("dispatcher", case, "dispatch", unit="S1-JUSTICE")
    town.advance(1)
    return case


def test_a_case_nobody_signs_for_comes_to_the_secretarys_queue_with_the_reason(town: Town) -> None:
    case = not_accepted(town)
    row = next(row for row in rows(town, "community_leader") if row["clock"] == "accept")
    assert row["case_id"] == case
    assert "一街司法所" in row["reason_zh"]
    assert (row["level"], row["state"], row["group"]) == (1, "open", "decide")
    assert row["title"] == "楼道堆物起争执"
    assert row["status_zh"] == "已派·待签收"
    assert row["handler"]["unit_name"] == "一街司法所"
    assert row["cell"]["code"] == CELLS[0]
    assert row["risk"] == {"colour": "yellow"}
    assert row["due_at"] is not None
    assert row["firing_key"].startswith("accept:")
    assert town.get("community_leader", "/api/v1/escalations").json()["demo"] is True


def test_leaders_elsewhere_and_people_who_lead_nothing_see_no_row(town: Town) -> None:
    not_accepted(town)
    assert rows(town, "community_leader_2") == []
    assert rows(town, "clerk_2") == []
    for user in ("grid_worker", "mediator", "unit_handler", "admin", "auditor", "integration"):
        assert town.get(user, "/api/v1/escalations").status_code == 403
    row = rows(town, "community_leader")[0]
    elsewhere = town.post(
        "community_leader_2", f"/api/v1/escalations/{row['id']}/acts", {"act": "acknowledge"}
    )
    unknown = town.post("community_leader_2", "/api/v1/escalations/nowhere/acts", {"act": "acknowledge"})
    assert elsewhere.status_code == 404
    assert elsewhere.content == unknown.content


def test_the_recused_secretary_finds_neither_row_nor_count_and_the_next_level_does(town: Town) -> None:
    case = town.capture(user="grid_worker", involves_staff=True, title="反映社区书记")
    town.advance(4)
    assert case not in town.get("community_leader", "/api/v1/escalations").text
    assert rows(town, "community_leader") == []
    seen = [row for row in rows(town, "street_leader") if row["case_id"] == case]
    assert {row["level"] for row in seen} == {2}
    refused = town.post(
        "community_leader", f"/api/v1/escalations/{seen[0]['id']}/acts", {"act": "acknowledge"}
    )
    assert refused.status_code == 404


def test_of_a_sealed_case_the_leader_it_was_raised_to_sees_the_facts_until_he_takes_it_on(town: Town) -> None:
    case = town.capture(protection="sealed", title="内部线索", description="只有点名的人能看")
    town.advance(2)
    assert town.get("street_leader", f"/api/v1/cases/{case}").status_code == 404
    row = next(row for row in rows(town, "community_leader") if row["case_id"] == case)
    assert row["title"] is None
    assert row["handler"] is None
    assert row["category_zh"] is None
    page = town.get("community_leader", f"/api/v1/cases/{case}")
    assert page.json()["form"] == "facts"
    assert "线索" not in page.text
    assert town.get("community_leader", f"/api/v1/cases/{case}/clocks").status_code == 200
    assert rows(town, "district_leader") == []
    until = town.now() + DAY
    taken = town.post(
        "community_leader", f"/api/v1/escalations/{row['id']}/acts", {"act": "acknowledge", "until": until}
    )
    assert taken.status_code == 200, taken.text
    assert taken.json()["item"]["state"] == "acked"
    assert town.get("community_leader", f"/api/v1/cases/{case}").json()["form"] == "full"


def test_of_a_restricted_case_neither_the_row_nor_its_clocks_say_who_has_it(town: Town) -> None:
    case = town.admitted(protection="restricted")
    handler = town.user_id("mediator")
    town.must_act("dispatcher", case, "dispatch", unit="S1-JUSTICE", user=handler)
    town.advance(1)
    row = next(row for row in rows(town, "community_leader") if row["clock"] == "accept")
    assert row["handler"] is None
    assert "司法所" not in json.dumps(row, ensure_ascii=False)
    clocks = town.get("community_leader", f"/api/v1/cases/{case}/clocks")
    assert clocks.status_code == 200
    assert handler not in clocks.text
    assert handler in town.get("clerk", f"/api/v1/cases/{case}/clocks").text


def test_a_recusal_after_the_case_was_raised_takes_the_row_and_the_facts_away(town: Town) -> None:
    case = town.capture(protection="sealed", title="内部线索")
    town.advance(2)
    row = next(row for row in rows(town, "community_leader") if row["case_id"] == case)
    town.must_act("centre_director", case, "recuse", user=town.user_id("community_leader"), reason="亲属")
    assert rows(town, "community_leader") == []
    assert rows(town, "community_leader", state="closed") == []
    assert town.get("community_leader", f"/api/v1/cases/{case}").status_code == 404
    assert town.get("community_leader", f"/api/v1/cases/{case}/clocks").status_code == 404
    body = {"act": "acknowledge", "until": town.now() + DAY}
    path = f"/api/v1/escalations/{row['id']}/acts"
    assert town.post("community_leader", path, body).status_code == 404


def test_taking_on_names_the_leader_and_his_promise(town: Town) -> None:
    not_accepted(town)
    row = rows(town, "community_leader")[0]
    path = f"/api/v1/escalations/{row['id']}/acts"
    assert town.post("community_leader", path, {"act": "acknowledge"}).json()["missing"] == ["promise"]
    late = town.post("community_leader", path, {"act": "acknowledge", "until": town.now() - 1})
    assert late.status_code in {409, 422}
    until = town.now() + DAY
    taken = town.post("community_leader", path, {"act": "acknowledge", "until": until})
    item = taken.json()["item"]
    assert item["ack"] == {"by": town.user_id("community_leader"), "by_name": "社区书记甲", "until": until}
    assert item["group"] == "know"


def test_an_instruction_stands_on_the_row_with_its_date(town: Town) -> None:
    not_accepted(town)
    row = rows(town, "community_leader")[0]
    due = town.now() + DAY
    body = {"act": "instruct", "text": "今天上门", "due_at": due, "unit": "S1-JUSTICE"}
    done = town.post("community_leader", f"/api/v1/escalations/{row['id']}/acts", body)
    assert done.status_code == 200, done.text
    assert done.json()["item"]["instruction"] == {"text": "今天上门", "due_at": due, "unit": "S1-JUSTICE"}


def test_what_a_leader_of_this_level_cannot_do_is_refused_with_a_stable_code(town: Town) -> None:
    not_accepted(town)
    row = rows(town, "community_leader")[0]
    path = f"/api/v1/escalations/{row['id']}/acts"
    assert town.post("community_leader", path, {"act": "settle"}).status_code == 422
    sponsored = town.post("community_leader", path, {"act": "sponsor", "until": town.now() + DAY})
    assert (sponsored.status_code, sponsored.json()["code"]) == (403, "act_forbidden")
    down = {"act": "send_back", "level": 1, "due_at": town.now() + DAY, "text": "请办"}
    assert town.post("community_leader", path, down).status_code in {409, 422}
    assert town.post("clerk", path, {"act": "acknowledge", "until": town.now() + DAY}).status_code == 403


def test_a_row_closes_when_the_unit_signs_for_the_case(town: Town) -> None:
    case = not_accepted(town)
    assert any(row["clock"] == "accept" for row in rows(town, "community_leader"))
    town.must_act("mediator", case, "accept")
    assert not any(row["clock"] == "accept" for row in rows(town, "community_leader"))
    assert any(row["clock"] == "accept" for row in rows(town, "community_leader", state="closed"))


# --- the demo district -----------------------------------------------------------------------------------------------


def test_a_demo_district_tells_this_machine_whom_to_sign_in_as(town: Town) -> None:
    assert town.get(None, "/api/v1/demo/accounts").status_code == 404
    listed = [{"username": "clerk", "password": PASSWORD, "role": "clerk", "unit": "D-CENTRE", "cells": []}]
    path = Path(town.runtime.settings.data) / "demo-accounts.json"
    path.write_text(json.dumps(listed), encoding="utf-8")
    told = town.get(None, "/api/v1/demo/accounts").json()
    assert (told[0]["role_zh"], told[0]["unit_name"]) == ("窗口受理员", "区综治中心")
    proxied = town.client.get("/api/v1/demo/accounts", headers={"X-Forwarded-For": "203.0.113.9"})
    assert proxied.status_code == 404


def test_the_clock_moves_to_the_same_hour_of_the_next_working_day(town: Town) -> None:
    before = town.now()
    moved = town.advance(5)
    days = round((moved["now"] - before) / DAY)
    assert days in {7, 8}  # five working days always cross a weekend
    assert abs(moved["now"] - before - days * DAY) < HOUR
    for wrong in ({"working_days": 0}, {"working_days": 61}, {"working_days": "x"}, {"days": 1}):
        assert town.post("clerk", "/api/v1/demo/advance", wrong).status_code == 400


def test_outside_a_demo_district_these_addresses_are_not_there(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(town.district, "demo", False)
    assert town.get(None, "/api/v1/demo/accounts").status_code == 404
    assert town.post("admin", "/api/v1/demo/advance", {"working_days": 1}).status_code == 404
    assert town.post(None, "/api/v1/demo/advance", {"working_days": 1}).status_code == 401
