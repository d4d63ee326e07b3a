"""疑似重复 at the desk: asked for one case, marked on the list, merged, and followed by the receipt."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.http.town import CELLS, middle_of, new_id

if TYPE_CHECKING:
    from tests.http.town import Town


def test_one_quarrel_captured_twice_is_marked_compared_and_merged(town: Town) -> None:
    first, second = town.admitted(), town.capture()
    path = f"/api/v1/cases/{first}/duplicates"
    assert town.get(None, path).status_code == 401
    (found,) = town.get("clerk", path).json()["items"]
    assert (found["id"], found["likely"]) == (second, True)
    assert {"当事人电话相同", "类别相同"} <= set(found["reasons"])
    assert "1380000" not in town.get("clerk", path).text
    items = {row["id"]: row for row in town.get("clerk", "/api/v1/cases").json()["items"]}
    assert (items[first]["duplicates"], items[second]["duplicates"]) == (1, 1)
    assert "duplicates" not in town.get("grid_worker", "/api/v1/cases").json()["items"][0]
    assert town.get("community_leader", path).json() == {"items": []}  # sees a smaller form

    town.must_act("clerk", second, "merge", master=first, reason="同一件事")
    assert town.get("clerk", path).json()["items"] == []
    (part,) = town.get("clerk", f"/api/v1/cases/{first}").json()["merged"]
    assert part["case"]["id"] == second
    entry = {"id": new_id(), "case_id": second, "type": "note", "at": 1, "body": {"text": "又去看了"}}
    assert town.push("grid_worker", "entries", entry).json()[0]["case_id"] == first


def test_what_is_not_there_for_somebody_looks_like_what_is_not_there(town: Town) -> None:
    case = town.capture()
    for user in ("clerk_2", "grid_worker_2", "auditor", "admin"):
        there = town.get(user, f"/api/v1/cases/{case}/duplicates")
        assert there.status_code == 404
        assert there.content == town.get(user, f"/api/v1/cases/{new_id()}/duplicates").content
    assert town.get("clerk", "/api/v1/cases/nothing/duplicates").status_code == 404


def test_a_sealed_second_is_there_for_the_director_and_for_nobody_else(town: Town) -> None:
    first = town.capture()
    town.capture(protection="sealed")
    plain = town.get("clerk", f"/api/v1/cases/{first}/duplicates")
    assert plain.json() == {"items": []}
    mark = next(row for row in town.get("clerk", "/api/v1/cases").json()["items"] if row["id"] == first)
    assert mark["duplicates"] == 0
    assert len(town.get("centre_director", f"/api/v1/cases/{first}/duplicates").json()["items"]) == 1


def test_the_receipt_of_the_merged_case_tells_of_the_master(town: Town) -> None:
    loser = town.capture(location=middle_of(CELLS[1]))
    town.must_act("clerk", loser, "triage", category="0204", basis="lawful", risk="yellow", channel="grid")
    code = town.must_act("clerk", loser, "admit")["query_code"]
    master = town.admitted()
    town.must_act("dispatcher", master, "dispatch", unit="S1-JUSTICE")
    town.must_act("clerk", loser, "merge", master=master, reason="同一件事")
    assert town.get(None, f"/public/v1/progress/{code}").json()["status"] == "dispatched"
    number = town.get("clerk", f"/api/v1/cases/{loser}").json()["case"]["code"]
    found = {row["id"] for row in town.get("clerk", "/api/v1/cases", q=number).json()["items"]}
    assert found == {loser, master}
    town.must_act("dispatcher", loser, "unmerge", reason="不是一件事")
    assert town.get(None, f"/public/v1/progress/{code}").json()["status"] == "submitted"
