"""Over the wire: the version a phone tells, an app too old to be read, and how often a device may compare itself."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from server.routes.sync import DIGESTS_A_MINUTE
from tests.http.town import Town, new_id


def capture(**fields: Any) -> dict[str, Any]:
    return {"id": new_id(), "kind": "request", "title": "路灯不亮", "captured_at": 1_800_000_000_000} | fields


def speaking(town: Town, version: Any, user: str = "grid_worker") -> dict[str, str]:
    return town.bearer(user) | {"Wangge-Schema": str(version)}


def post(town: Town, version: Any, path: str, body: Any) -> Any:
    return town.client.post(path, headers=speaking(town, version), json=body)


def test_an_app_too_old_to_be_read_is_told_so_and_what_it_handed_in_is_there(town: Town) -> None:
    """EV6."""
    sent = capture()
    for _ in range(2):
        answer = post(town, 0, "/sync/v1/cases/push", [{"newDocumentState": sent}])
        assert (answer.status_code, answer.json()["code"]) == (426, "schema_too_old")
        assert (answer.json()["oldest"], answer.headers["upgrade"]) == (1, "wangge-schema")
    kept = town.get("clerk", "/api/v1/quarantine").json()["items"]
    assert [row["reason"] for row in kept] == ["schema_too_old"]
    pulled = post(town, 0, "/sync/v1/cases/pull", {"checkpoint": None, "limit": 1})
    assert (pulled.status_code, pulled.json()["code"]) == (426, "schema_too_old")
    assert post(town, 0, "/sync/v1/cases/reconcile", {"epoch": 1, "ids": []}).status_code == 426
    assert post(town, 0, "/sync/v1/cases/digest", {"epoch": 1, "ranges": [""]}).status_code == 426
    assert post(town, 0, "/sync/v1/hello", {}).json()["minimum"] == {"protocol": 1, "schema": 1}


def test_a_person_of_the_centre_can_apply_what_an_app_too_old_handed_in(town: Town) -> None:
    """EV6, QU5."""
    sent = capture(title="旧应用交来的")
    post(town, 0, "/sync/v1/cases/push", [{"newDocumentState": sent}])
    (row,) = town.get("clerk", "/api/v1/quarantine").json()["items"]
    answer = town.post("clerk", f"/api/v1/quarantine/{row['id']}/acts", {"act": "apply"})
    assert answer.status_code == 200, answer.text
    assert town.get("clerk", f"/api/v1/cases/{sent['id']}").json()["case"]["title"] == "旧应用交来的"


def test_a_stopped_phone_hands_in_whatever_it_speaks_and_is_told_to_wipe_itself(town: Town) -> None:
    """PU13 goes before EV6: this phone is not to be updated."""
    device = town.get("grid_worker", "/api/v1/devices").json()
    town.post("grid_worker", f"/api/v1/devices/{device[0]['id']}/revoke")
    answer = post(town, 0, "/sync/v1/cases/push", [{"newDocumentState": capture()}])
    assert (answer.status_code, answer.headers["wangge-wipe"]) == (200, "true")


def test_the_problem_of_an_app_too_old_is_that_of_the_page_for_makers_of_clients(shared_town: Town) -> None:
    page = Path(__file__).resolve().parents[2] / "docs" / "sync-protocol.md"
    shown = re.search(r"```json too-old\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    assert shown is not None
    told = post(shared_town, 0, "/sync/v1/cases/push", []).json()
    assert json.loads(shown[1]).items() <= told.items()


@pytest.mark.parametrize("version", ["", "two", "-1", "1, 2"])
def test_what_is_no_version_is_a_bad_request(shared_town: Town, version: str) -> None:
    """EV1."""
    for path, body in (("pull", {"checkpoint": None, "limit": 1}), ("push", [])):
        answer = post(shared_town, version, f"/sync/v1/cases/{path}", body)
        assert (answer.status_code, answer.json()["code"]) == (400, "bad_schema")


def test_the_schema_of_each_version_is_open_and_without_one_it_is_that_of_version_1(
    shared_town: Town,
) -> None:
    def names(query: str) -> set[str]:
        return set(shared_town.client.get(f"/sync/v1/schema/files{query}").json()["properties"])

    assert names("") == names("?version=1")
    assert names("?version=2") - names("") == {"caption"}
    for odd in ("0", "3"):
        assert shared_town.client.get(f"/sync/v1/schema/files?version={odd}").status_code == 404
    assert shared_town.client.get("/sync/v1/schema/files?version=x").status_code == 400


def test_a_device_compares_itself_so_often_a_minute_and_another_device_too(town: Town) -> None:
    """DG4."""
    asked = {"epoch": 1, "ranges": [""]}
    codes = [
        post(town, 2, "/sync/v1/cases/digest", asked).status_code for _ in range(2 * DIGESTS_A_MINUTE + 2)
    ]
    assert 429 in codes  # whatever minute it is when the test begins
    assert codes[:DIGESTS_A_MINUTE] == [200] * DIGESTS_A_MINUTE
    over = post(town, 2, "/sync/v1/cases/reconcile", asked | {"held": {}})
    assert over.status_code in {200, 429}
    assert town.post("clerk", "/sync/v1/cases/digest", asked).status_code == 200
