"""待核箱: who reads what could not be applied."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.http.town import CELLS, new_id

if TYPE_CHECKING:
    from tests.http.town import Town

CANARY = "金丝雀九号"


def deep(depth: int) -> Any:
    value: Any = CANARY
    for _ in range(depth):
        value = [value]
    return value


def kept(town: Town, user: str) -> str:
    answer = town.get(user, "/api/v1/quarantine", limit=200)
    assert answer.status_code == 200, answer.text
    return str(answer.text)


def note(case: str, **fields: Any) -> dict[str, Any]:
    body = {"text": CANARY}
    return {
        "id": new_id(),
        "case_id": case,
        "type": "note",
        "at": 1,
        "body": body,
        "w": f"1:{new_id()}",
    } | fields


def test_nobody_reads_what_is_kept_without_a_session(town: Town) -> None:
    assert town.get(None, "/api/v1/quarantine").status_code == 401


def test_a_note_that_waits_for_its_case_is_read_by_the_desk_that_sees_the_case(town: Town) -> None:
    case = town.capture("grid_worker_2", cell=CELLS[3])
    town.push("grid_worker", "entries", note(case))
    assert CANARY in kept(town, "clerk")
    assert CANARY in kept(town, "clerk_2")  # its own street
    unknown = note(new_id(), body={"text": "另一张便条"})
    town.push("grid_worker", "entries", unknown)
    assert "另一张便条" in kept(town, "clerk")
    assert "另一张便条" not in kept(town, "clerk_2")  # another street's worker, and nobody's case


def test_what_is_kept_of_a_sealed_case_is_read_by_those_it_is_sealed_to(town: Town) -> None:
    case = town.capture(protection="sealed")
    town.push("grid_worker", "entries", note(case, body={"text": deep(40)}), note(case, type="no_such_type"))
    assert CANARY in kept(town, "centre_director")
    assert CANARY not in kept(town, "dispatcher")
    assert CANARY not in kept(town, "clerk")


def test_a_tip_off_without_an_id_is_no_reading_for_the_whole_desk(town: Town) -> None:
    row = {"kind": "tip_off", "title": CANARY}
    town.push("grid_worker", "cases", row)
    assert CANARY in kept(town, "centre_director")
    assert CANARY not in kept(town, "dispatcher")
    town.push("grid_worker", "cases", {"kind": "dispute", "title": "另一件"})
    assert "另一件" in kept(town, "dispatcher")
