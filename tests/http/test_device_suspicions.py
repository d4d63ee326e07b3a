"""Devices whose fixes look mis-tagged, as an administrator asks for them: allowed, refused, and without a position."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from geo.coordinates import convert_point
from geo.points import Crs
from sync import administration
from tests.http.town import CELLS, PASSWORD, SOUTH, STEP_X, STEP_Y, WEST, middle_of, new_id, next_w

if TYPE_CHECKING:
    import pytest

    from tests.http.town import Town

PATH = "/api/v1/devices/suspicions"


def captures(
    town: Town, user: str, cell: str, count: int = 25, *, true: Crs, tagged: Crs, **fields: Any
) -> list[dict[str, Any]]:
    """Cases all over a cell, in the numbers of one system under the tag of another, as one push."""
    row, column = divmod(CELLS.index(cell), 2)
    chance = np.random.default_rng(61)
    docs = []
    for across, up in chance.uniform(0.1, 0.9, (count, 2)).tolist():
        place = WEST + (column + across) * STEP_X, SOUTH + (row + up) * STEP_Y
        lon, lat = convert_point(*place, Crs.WGS84, true)
        location = middle_of(cell) | {"lon": lon, "lat": lat, "crs": str(tagged), "source": "gps"}
        docs.append(
            {
                "id": new_id(),
                "kind": "hazard",
                "category": "H02",
                "location": location,
                "captured_at": town.now(),
                "w": next_w(),
                **fields,
            }
        )
    assert town.push(user, "cases", *docs).status_code == 200
    return docs


def test_whoever_does_not_look_after_devices_is_told_nothing(town: Town) -> None:
    assert town.get(None, PATH).status_code == 401
    for user in ("grid_worker", "clerk", "dispatcher", "auditor", "data_officer"):
        assert town.get(user, PATH).status_code == 403
    assert town.get("admin", PATH).json() == {"items": [], "judged": 0, "days": 90}


def test_a_device_that_tags_gcj02_as_wgs84_is_named_and_one_that_does_not_is_not(
    town: Town, capfd: pytest.CaptureFixture[str]
) -> None:
    wrong = captures(town, "grid_worker", CELLS[0], true=Crs.GCJ02, tagged=Crs.WGS84)
    captures(town, "grid_worker_2", CELLS[3], true=Crs.GCJ02, tagged=Crs.GCJ02)
    said = ""
    for user in ("admin", "centre_director"):
        answer = town.get(user, PATH)
        said += answer.text
        assert answer.status_code == 200, answer.text
        (item,) = answer.json()["items"]
        assert answer.json()["judged"] == 2
        (own,) = town.get("grid_worker", "/api/v1/devices").json()
        assert item["device"] == {"id": own["id"], "name": own["name"], "revoked": False}
        assert (item["user"], item["declared"], item["likely"]) == ("grid_worker", "wgs84", "gcj02")
        assert item["missed"] == item["places"] > 12
        assert (item["missed_if"], item["off_if_m"]) == (0, 0)
        assert "GCJ-02" in item["told_zh"]
        assert "GCJ-02" in item["told_en"]
    said += "".join(capfd.readouterr())
    for doc in wrong:
        for number in (doc["location"]["lon"], doc["location"]["lat"]):
            assert f"{number:.4f}" not in said


def test_what_is_sealed_changes_no_figure(town: Town) -> None:
    captures(town, "grid_worker", CELLS[0], true=Crs.GCJ02, tagged=Crs.WGS84, protection="sealed")
    assert town.get("admin", PATH).json() == {"items": [], "judged": 0, "days": 90}


def test_what_is_long_past_is_not_recent(town: Town) -> None:
    captures(town, "grid_worker", CELLS[0], true=Crs.GCJ02, tagged=Crs.WGS84)
    assert len(town.get("admin", PATH).json()["items"]) == 1
    town.advance(30)
    assert len(town.get("admin", PATH).json()["items"]) == 1
    for _ in range(2):
        town.advance(30)
    assert town.get("admin", PATH).json()["items"] == []


def test_where_a_person_put_the_cases_is_evidence_and_his_own_pin_is_none(town: Town) -> None:
    # A worker of no cell: what the clerk says of the places is all that is known of them.
    town.submit(administration.end_grant("grid_worker_2", "grid_worker", cell=CELLS[3]))
    town.submit(administration.grant_role("grid_worker_2", "clerk", unit="S1-CENTRE"))
    docs = captures(town, "grid_worker_2", CELLS[0], true=Crs.GCJ02, tagged=Crs.WGS84)
    for doc in docs:
        town.must_act("clerk", doc["id"], "set_place", cell=CELLS[0], evidence="现场核对")
    (item,) = town.get("admin", PATH).json()["items"]
    assert item["user"] == "grid_worker_2"
    assert item["confirmed"] == item["places"]
    for doc in docs:
        lon, lat = convert_point(doc["location"]["lon"], doc["location"]["lat"], Crs.GCJ02, Crs.WGS84)
        pin = middle_of(CELLS[0]) | {"lon": lon, "lat": lat}
        town.must_act("clerk", doc["id"], "set_place", location=pin, evidence="图上点选")
    assert town.get("admin", PATH).json() == {"items": [], "judged": 0, "days": 90}


def test_two_phones_of_one_worker_are_two_devices(town: Town) -> None:
    captures(town, "grid_worker", CELLS[0], true=Crs.WGS84, tagged=Crs.WGS84)
    body = {"username": "grid_worker", "password": PASSWORD, "device": {"name": "旧手机"}}
    token = town.client.post("/api/v1/sessions", json=body).json()["access_token"]
    first, town._bearers["grid_worker"] = town.bearer("grid_worker"), {"Authorization": f"Bearer {token}"}
    captures(town, "grid_worker", CELLS[0], true=Crs.BD09, tagged=Crs.GCJ02)
    town._bearers["grid_worker"] = first
    found = town.get("admin", PATH).json()
    assert found["judged"] == 2
    (item,) = found["items"]
    assert (item["device"]["name"], item["declared"], item["likely"]) == ("旧手机", "gcj02", "bd09")
