"""Cells and their generations, what was kept aside, and the audit."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from tests.http.town import CELLS, Town, layer_geojson, middle_of, new_id

NEW_CELLS = (CELLS[0], "410399001001003", CELLS[2], CELLS[3])


def add(town: Town, body: bytes, user: str = "admin", **params: Any) -> Any:
    return town.post(user, "/api/v1/cells/generations", body, params=params)


def test_everybody_gets_the_cells_in_force_as_geojson(town: Town) -> None:
    answer = town.get("grid_worker", "/api/v1/cells")
    assert answer.headers["content-type"].startswith("application/geo+json")
    assert {feature["id"] for feature in answer.json()["features"]} == set(CELLS)
    assert answer.json()["generation"] == 1
    some = town.get("grid_worker", "/api/v1/cells", bbox="112.4,34.66,112.4005,34.6605", tolerance_m=5).json()
    assert [feature["id"] for feature in some["features"]] == [CELLS[0]]
    assert town.get("grid_worker", "/api/v1/cells", generation=9).status_code == 404
    for wrong in ("1,2,3", "a,b,c,d", "5,5,1,1", "nan,nan,nan,nan"):
        assert town.get("grid_worker", "/api/v1/cells", bbox=wrong).status_code == 400


def test_a_new_generation_is_kept_looked_at_and_put_in_force(town: Town) -> None:
    moving = town.capture(cell=CELLS[1])
    fixed = town.capture(cell=CELLS[2])
    added = add(town, layer_geojson(NEW_CELLS), crs="wgs84", name="第二版")
    assert added.status_code == 201, added.text
    number = added.json()["number"]
    assert [row["state"] for row in town.get("admin", "/api/v1/cells/generations").json()["items"]] == [
        "draft",
        "active",
    ]
    seen = town.get("centre_director", f"/api/v1/cells/generations/{number}/preview").json()
    assert (seen["open_cases"], seen["moved"]) == (2, 1)
    (move,) = seen["moves"]
    assert (move["from"], move["to"], move["cases"]) == (CELLS[1], NEW_CELLS[1], 1)
    assert [case["id"] for case in seen["cases"]] == [moving]
    blind = town.get("admin", f"/api/v1/cells/generations/{number}/preview")
    assert blind.json()["cases"] == []
    assert moving not in blind.text
    assert town.post("centre_director", f"/api/v1/cells/generations/{number}/activate").status_code == 403
    done = town.post("admin", f"/api/v1/cells/generations/{number}/activate")
    assert (done.json()["moved"], done.json()["finished"]) == (1, True)
    assert town.post("admin", f"/api/v1/cells/generations/{number}/activate").status_code == 409
    assert town.get("clerk", f"/api/v1/cases/{moving}").json()["case"]["cell"] == NEW_CELLS[1]
    assert town.get("clerk", f"/api/v1/cases/{fixed}").json()["case"]["cell"] == CELLS[2]
    assert town.get("clerk", f"/api/v1/cells/generations/{number}").json()["state"] == "active"


def test_the_look_ahead_tells_what_becomes_of_the_cells_and_whose_phones_it_concerns(town: Town) -> None:
    """A house and a visit lie in a cell that another takes over; a phone there says that it holds three captures."""
    town.grant("grid_worker_2", CELLS[1])
    assert town.post("grid_worker_2", "/sync/v1/hello", {"pending": 3}).status_code == 200
    assert town.post("grid_worker", "/sync/v1/hello", {"pending": "many"}).status_code == 200
    visit = {"id": new_id(), "outcome": "normal", "captured_at": town.now(), "w": f"1:{new_id()}"}
    assert town.push("grid_worker_2", "visits", visit).status_code == 200
    closed, moving = town.capture(cell=CELLS[1]), town.capture(cell=CELLS[1])
    town.must_act("clerk", closed, "void", reason="重复登记")
    number = add(town, layer_geojson(NEW_CELLS), crs="wgs84").json()["number"]
    path = f"/api/v1/cells/generations/{number}"
    seen = town.get("admin", f"{path}/preview").json()
    assert seen["changes"] == [{"fate": "renamed", "before": [CELLS[1]], "after": [NEW_CELLS[1]]}]
    assert (seen["moved"], seen["closed_cases"]) == (1, 1)
    assert seen["phones"]["devices_with_unsent"] == 1
    assert seen["phones"]["unsent"] == 3
    assert seen["phones"]["documents_out"] >= 2
    assert seen["phones"]["bytes"] > 0
    assert NEW_CELLS[1] in seen["cells_without_worker"]
    town.post("admin", f"{path}/activate")
    assert (
        town.get("clerk", f"/api/v1/cases/{moving}").json()["case"]["assignment"]["moved"]["from"] == CELLS[1]
    )
    back = town.get("admin", "/api/v1/cells/generations/1/preview").json()
    assert back["changes"] == [{"fate": "renamed", "before": [NEW_CELLS[1]], "after": [CELLS[1]]}]
    assert (back["moved"], back["closed_cases"]) == (1, 1)
    assert town.post("admin", "/api/v1/cells/generations/1/activate").status_code == 200
    assert town.get("clerk", f"/api/v1/cases/{moving}").json()["case"]["cell"] == CELLS[1]
    states = {row["number"]: row for row in town.get("admin", "/api/v1/cells/generations").json()["items"]}
    assert states[1]["retired_at"] is None
    assert states[number]["retired_at"] is not None


def test_what_the_look_ahead_says_is_what_happens(town: Town) -> None:
    cases = [town.capture(cell=cell) for cell in CELLS for _ in range(2)]
    town.must_act("clerk", cases[2], "set_place", cell=CELLS[0], evidence="到场核实")
    town.must_act("clerk", cases[4], "void", reason="重复登记")
    merged = layer_geojson((CELLS[1], CELLS[0], NEW_CELLS[1], CELLS[3]))  # two change places, one vanishes
    number = add(town, merged, crs="wgs84").json()["number"]
    seen = town.get("admin", f"/api/v1/cells/generations/{number}/preview").json()
    before = {case: town.get("clerk", f"/api/v1/cases/{case}").json()["case"]["cell"] for case in cases}
    done = town.post("admin", f"/api/v1/cells/generations/{number}/activate").json()
    after = {case: town.get("clerk", f"/api/v1/cases/{case}").json()["case"]["cell"] for case in cases}
    moves = Counter((before[case], after[case]) for case in cases if before[case] != after[case])
    assert {(move["from"], move["to"]): move["cases"] for move in seen["moves"] if move["cases"]} == moves
    assert (seen["moved"], seen["closed_cases"]) == (moves.total(), 1)
    assert done["moved"] == moves.total() + 1


def test_the_fields_of_a_file_may_have_other_names(town: Town) -> None:
    body = layer_geojson().replace(b'"code"', b'"GRIDCODE"').replace(b'"name"', b'"MC"')
    assert add(town, body, crs="wgs84").json()["code"] == "layer_refused"
    assert add(town, body, crs="wgs84", code_field="GRIDCODE", name_field="MC").status_code == 201


def test_a_file_that_is_no_layer_for_this_district_is_refused_with_the_reason(town: Town) -> None:
    body = layer_geojson()
    named = {"type": "name", "properties": {"name": "EPSG:4490"}}
    assert (
        add(
            town, layer_geojson().replace(b'"type"', f'"crs": {json.dumps(named)}, "type"'.encode(), 1)
        ).status_code
        == 201
    )
    for wrong, params, code in (
        (body.replace(b"112.4,", b"1" + b"0" * 400 + b","), {"crs": "wgs84"}, "coordinates_malformed"),
        (body.replace(b'"code":', b'"code": "1", "code":'), {"crs": "wgs84"}, "json_duplicate_key"),
        (body.replace(b'{"type"', b'{"crs": "EPSG:3857", "type"', 1), {"crs": "wgs84"}, "crs_conflict"),
        (body.replace(b"34.6", b"35.6"), {"crs": "wgs84"}, "layer_elsewhere"),
        (layer_geojson(name="甲\x00"), {"crs": "wgs84"}, "name_not_allowed"),
        (body, {"crs": "gcj02"}, "crs_suspected"),
        (body, {}, "crs_missing"),
    ):
        answer = add(town, wrong, **params)
        assert (answer.status_code, answer.json()["code"]) == (422, "layer_refused"), answer.text
        assert code in {fault["code"] for fault in answer.json()["report"]["faults"]}
    moved = add(town, body.replace(b"34.6", b"35.6"), crs="wgs84", elsewhere=True)
    assert moved.status_code == 201, moved.text  # what is in force is the wrong one
    assert add(town, body, crs="wgs84", code_feild="GRIDCODE").json()["code"] == "bad_request"


def test_only_the_administrator_brings_a_layer(town: Town) -> None:
    assert add(town, layer_geojson(), user="clerk", crs="wgs84").status_code == 403
    for number in (99, 10**30):
        for path in ("", "/preview"):
            assert town.get("admin", f"/api/v1/cells/generations/{number}{path}").status_code == 404
        assert town.post("admin", f"/api/v1/cells/generations/{number}/activate").status_code == 404


# --- what was kept aside ---------------------------------------------------------------------------------------------


def edit(town: Town, user: str, case: str, **fields: Any) -> None:
    doc = {"id": case, "kind": "dispute", "captured_at": town.now(), "w": f"950:{new_id()}", **fields}
    assert town.push(user, "cases", doc).status_code == 200


def kept(town: Town, user: str = "clerk", **params: Any) -> list[dict[str, Any]]:
    answer = town.get(user, "/api/v1/quarantine", **params)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


def test_an_edit_out_of_reach_waits_for_the_centre_which_sees_what_was_written(town: Town) -> None:
    case = town.capture()
    edit(town, "grid_worker_2", case, description="我不再管这个网格了,但看到了")
    item = kept(town)[0]
    assert (item["reason"], item["state"], item["collection"]) == ("out_of_scope", "open", "cases")
    assert item["payload"]["new"]["description"] == "我不再管这个网格了,但看到了"
    assert item["user_name"] == "网格员乙"
    assert kept(town, user="clerk_2") == []
    assert town.get("admin", "/api/v1/quarantine").status_code == 403
    assert kept(town, reason="no_such_reason") == []
    assert len(kept(town, user="clerk", reason="out_of_scope")) == 1


def test_what_is_still_impossible_stays_and_says_so(town: Town) -> None:
    case = town.capture()
    edit(town, "grid_worker_2", case, description="还是不行")
    path = f"/api/v1/quarantine/{kept(town)[0]['id']}/acts"
    refused = town.post("clerk", path, {"act": "apply"})
    assert (refused.status_code, refused.json()["code"]) == (409, "still_impossible")
    assert len(kept(town)) == 1


def test_what_has_become_possible_is_applied_in_its_authors_name(town: Town) -> None:
    from sync import administration

    case = town.capture()
    edit(town, "grid_worker_2", case, address="三号院二单元")
    item = kept(town)[0]
    town.submit(administration.grant_role("grid_worker_2", "grid_worker", cell=CELLS[0]))
    done = town.post("clerk", f"/api/v1/quarantine/{item['id']}/acts", {"act": "apply"})
    assert done.status_code == 200, done.text
    assert town.get("clerk", f"/api/v1/cases/{case}").json()["case"]["address"] == "三号院二单元"
    assert kept(town) == []
    assert kept(town, state="all")[0]["state"] == "applied"
    again = town.post("clerk", f"/api/v1/quarantine/{item['id']}/acts", {"act": "apply"})
    assert (again.status_code, again.json()["code"]) == (409, "already_decided")


def test_what_is_let_go_is_kept_with_the_reason(town: Town) -> None:
    case = town.capture()
    edit(town, "grid_worker_2", case, description="误操作")
    path = f"/api/v1/quarantine/{kept(town)[0]['id']}/acts"
    assert town.post("clerk", path, {"act": "discard"}).json()["missing"] == ["reason"]
    assert town.post("clerk", path, {"act": "burn"}).status_code == 422
    assert town.post("clerk", path, {"act": "discard", "reason": "本人确认误操作"}).status_code == 200
    item = kept(town, state="discarded")[0]
    assert (item["decision"], item["decided_by"]) == ("本人确认误操作", "窗口受理员甲")
    assert town.post("clerk_2", path, {"act": "apply"}).status_code == 404


def test_what_concerns_a_sealed_case_is_not_shown_to_a_clerk_who_does_not_know_it(town: Town) -> None:
    case = town.capture(protection="sealed", description="线索")
    edit(town, "grid_worker_2", case, description="听说那件事")
    assert kept(town, user="clerk") == []
    assert len(kept(town, user="centre_director")) == 1


def test_a_stopped_phone_hands_in_what_it_holds_and_gets_nothing(town: Town) -> None:
    """PU13, as an unmodified client meets it: pulls fail, pushes do not, and the centre finds what was written."""
    from tests.http.town import PASSWORD

    body = {"username": "grid_worker", "password": PASSWORD, "device": {"id": "lost"}}
    session = town.client.post("/api/v1/sessions", json=body).json()
    lost = {"Authorization": f"Bearer {session['access_token']}"}
    seen = town.capture()
    assert town.post("grid_worker", "/api/v1/devices/lost/revoke").status_code == 204

    def on_lost_phone(path: str, sent: Any) -> Any:
        return town.client.post(path, json=sent, headers=lost)

    refused = on_lost_phone("/sync/v1/cases/pull", {"checkpoint": None, "limit": 1})
    assert (refused.status_code, refused.json()["code"], refused.json()["wipe"]) == (
        401,
        "session_ended",
        True,
    )
    renewed = town.client.post(
        "/api/v1/sessions/refresh", json={"refresh_token": session["refresh_token"]}
    ).json()
    assert (renewed["wipe"], renewed["user"]["roles"], renewed["user"]["grants"]) == (True, [], [])
    lost = {"Authorization": f"Bearer {renewed['access_token']}"}
    again = on_lost_phone("/sync/v1/cases/pull", {"checkpoint": None, "limit": 1})
    assert again.content == refused.content

    identity = new_id()
    sent = {
        "id": identity,
        "kind": "dispute",
        "category": "0204",
        "title": "山里记的",
        "captured_at": town.now(),
    }
    rows = [{"newDocumentState": doc | {"w": f"9:{new_id()}"}} for doc in (sent, sent | {"id": seen})]
    answer = on_lost_phone("/sync/v1/cases/push", rows)
    assert (answer.status_code, answer.headers["wangge-wipe"]) == (200, "true")
    assert [(doc["id"], doc["_deleted"], "title" in doc) for doc in answer.json()] == [
        (identity, True, False),
        (seen, True, False),
    ]
    assert "wangge-wipe" not in town.push("grid_worker", "cases").headers

    assert town.get("clerk", f"/api/v1/cases/{identity}").status_code == 404
    items = {item["doc_id"]: item for item in kept(town, reason="device_revoked")}
    assert set(items) == {identity, seen}
    assert items[identity]["payload"]["new"]["title"] == "山里记的"
    done = town.post("clerk", f"/api/v1/quarantine/{items[identity]['id']}/acts", {"act": "apply"})
    assert done.status_code == 200, done.text
    assert town.get("clerk", f"/api/v1/cases/{identity}").json()["case"]["title"] == "山里记的"


# --- audit -----------------------------------------------------------------------------------------------------------


def test_the_auditor_reads_who_did_what_and_no_case_text(town: Town) -> None:
    town.bearer("auditor")
    town.admitted(title="审计不应看到的标题")
    answer = town.get("auditor", "/api/v1/audit", limit=3)
    actions = [line["action"] for line in answer.json()["items"]]
    assert actions[:2] == ["act:admit", "act:triage"]
    assert "标题" not in answer.text
    following = town.get("auditor", "/api/v1/audit", limit=3, before=answer.json()["next"]).json()
    assert following["items"][0]["id"] == answer.json()["next"] - 1
    for user in ("admin", "clerk", "centre_director", "data_officer"):
        assert town.get(user, "/api/v1/audit").status_code == 403


def test_a_record_that_was_changed_breaks_the_chain(town: Town) -> None:
    town.capture()
    assert town.get("auditor", "/api/v1/audit").json()["chain"]["verified"] is True
    town.submit(lambda tx, _: tx.update("audit", {"pk": 3}, {"actor": "somebody else"}))
    assert town.get("auditor", "/api/v1/audit").json()["chain"]["verified"] is False


def test_a_place_a_person_has_set_stays_in_the_preview(town: Town) -> None:
    case = town.capture(cell=CELLS[1])
    town.must_act("clerk", case, "set_place", cell=CELLS[0], evidence="到场核实")
    number = add(town, layer_geojson(NEW_CELLS), crs="wgs84").json()["number"]
    seen = town.get("centre_director", f"/api/v1/cells/generations/{number}/preview").json()
    assert (seen["moved"], seen["set_by_person"]) == (0, 1)
    assert middle_of(CELLS[1])["lon"] > middle_of(CELLS[0])["lon"]


def test_a_figure_of_what_would_move_betrays_no_sealed_case(town: Town) -> None:
    """By none at all: whoever draws a layer for it would learn where it lies."""
    town.capture(cell=CELLS[1], protection="sealed")
    number = add(town, layer_geojson(NEW_CELLS), crs="wgs84", name="第二版").json()["number"]
    path = f"/api/v1/cells/generations/{number}/preview"
    blind = town.get("admin", path).json()
    assert (blind["moved"], blind["moves"]) == (0, [])
    assert (blind["open_cases"], blind["set_by_person"], blind["needs_confirmation"]) == (0, 0, 0)
    assert town.get("centre_director", path).json()["moved"] == 1  # he is named for it
    for _ in range(4):
        town.capture(cell=CELLS[1])
    assert town.get("admin", path).json()["moved"] == 4
    assert town.get("centre_director", path).json()["moved"] == 5
