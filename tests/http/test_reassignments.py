"""Mass re-assignments as an administrator asks for them: allowed, refused, malformed, and to the end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from server.jobs.upkeep import reassign_documents
from tests.http.town import CELLS

if TYPE_CHECKING:
    from tests.http.town import Town

PATH = "/api/v1/reassignments"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"kind": "unit", "source": "C1-STATION", "target": "C1-STATION"}, 422, "invalid"),
        ({"kind": "unit", "source": "nowhere", "target": "C1-STATION"}, 422, "invalid"),
        ({"kind": "worker", "source": "nobody", "target": "mediator"}, 404, "not_found"),
        ({"kind": "worker", "source": "mediator", "target": "auditor"}, 422, "invalid"),
        ({"kind": "everything", "source": "a", "target": "b"}, 400, None),
        ({"kind": "unit", "source": "", "target": "b"}, 400, None),
        ({"kind": "unit", "source": "a"}, 400, None),
    ],
)
def test_what_cannot_be_handed_over_is_refused_and_nothing_begins(
    town: Town, body: dict[str, Any], status: int, code: str | None
) -> None:
    before = town.get("admin", PATH).json()
    answer = town.post("admin", PATH, body)
    assert answer.status_code == status, answer.text
    if code is not None:
        assert answer.json()["code"] == code
    assert town.get("admin", PATH).json() == before


def test_a_unit_hands_over_and_the_job_goes_on_to_the_end(town: Town) -> None:
    case = town.capture(cell=CELLS[0])
    assert town.get("community_leader_2", f"/api/v1/cases/{case}").status_code == 404
    answer = town.post("admin", PATH, {"kind": "unit", "source": "C1-STATION", "target": "C2-STATION"})
    assert answer.status_code == 201, answer.text
    assert town.get("community_leader_2", f"/api/v1/cases/{case}").status_code == 200
    assert town.get("community_leader", f"/api/v1/cases/{case}").status_code == 404
    asyncio.run(reassign_documents(town.runtime))
    newest = town.get("centre_director", PATH).json()["items"][0]
    assert (newest["number"], newest["kind"]) == (answer.json()["number"], "unit")
    assert (newest["from"], newest["to"], newest["state"]) == ("C1-STATION", "C2-STATION", "done")
    assert newest["looked_at"] == newest["total"]
    assert case not in town.get("centre_director", PATH).text
