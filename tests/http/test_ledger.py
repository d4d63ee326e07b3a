"""修改对照 at the desk: two values of one thing, and the other one taken."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.http.town import new_id

if TYPE_CHECKING:
    from tests.http.town import Town


def overlap(town: Town, **fields: Any) -> tuple[str, int]:
    """A capture whose title the clerk's phone wrote too, without a base: the case and its line."""
    case = town.capture(title="三楼漏水", **fields)
    doc = {
        "id": case,
        "kind": "dispute",
        "title": "二楼漏水",
        "captured_at": town.now(),
        "w": f"7:{new_id()}",
    }
    town.push("clerk", "cases", doc)
    lines = town.get("clerk", f"/api/v1/cases/{case}").json()["ledger"]
    return case, next(line["id"] for line in lines if line["field"] == "title")


def test_nobody_decides_on_a_line_without_a_session(town: Town) -> None:
    _, line = overlap(town)
    assert town.post(None, f"/api/v1/ledger/{line}/acts", {"act": "take"}).status_code == 401
    assert town.get(None, f"/api/v1/ledger/cases/{new_id()}").status_code == 401


def test_the_other_value_is_taken_and_the_line_is_done(town: Town) -> None:
    case, line = overlap(town)
    answer = town.post("clerk", f"/api/v1/ledger/{line}/acts", {"act": "take"})
    assert answer.status_code == 200, answer.text
    assert answer.json()["decision"] == "take"
    page = town.get("clerk", f"/api/v1/cases/{case}").json()
    assert page["case"]["title"] == "二楼漏水"
    (told,) = [row for row in page["ledger"] if row["id"] == line]
    assert (told["state"], told["decision_zh"], told["acts"]) == ("reviewed", "已采用另一值", [])
    again = town.post("clerk", f"/api/v1/ledger/{line}/acts", {"act": "leave"})
    assert (again.status_code, again.json()["code"]) == (409, "ledger_reviewed")
    pulled = town.post("grid_worker", "/sync/v1/cases/pull", {"checkpoint": None, "limit": 1000}).json()
    assert [doc["title"] for doc in pulled["documents"] if doc["id"] == case] == ["二楼漏水"]


def test_what_is_not_there_for_somebody_looks_like_what_is_not_there(town: Town) -> None:
    case, line = overlap(town)
    for user in ("clerk_2", "grid_worker_2", "community_leader", "auditor", "admin"):
        there = town.post(user, f"/api/v1/ledger/{line}/acts", {"act": "take"})
        nowhere = town.post(user, "/api/v1/ledger/999999/acts", {"act": "take"})
        assert there.status_code == 404
        assert there.content == nowhere.content
        assert town.get(user, f"/api/v1/ledger/cases/{case}").status_code == 404
    assert town.get("clerk", f"/api/v1/ledger/cases/{case}").json()["items"]


def test_malformed_decisions_are_told_so(town: Town) -> None:
    _, line = overlap(town)
    for body in ({}, {"act": "swallow"}, {"act": 7}, {"act": ""}):
        assert town.post("clerk", f"/api/v1/ledger/{line}/acts", body).status_code == 422, body
    for path in (f"/api/v1/ledger/{1 << 63}/acts", "/api/v1/ledger/0/acts"):
        assert town.post("clerk", path, {"act": "take"}).status_code in {400, 404}
    assert town.get("clerk", f"/api/v1/ledger/secrets/{new_id()}").status_code == 400
    assert town.get("clerk", "/api/v1/ledger/cases/nothing").status_code == 404
