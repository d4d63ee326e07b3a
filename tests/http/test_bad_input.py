"""What comes in broken: a stable code each time, nothing lost, never an error of ours."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.http.town import CELLS, STEP_X, Town, layer_geojson, middle_of, new_id

DAY = 86_400_000
# Addresses that read a JSON body, with somebody who may call them. The push reads rows by rules of its own.
READERS = (
    (None, "/api/v1/sessions"),
    (None, "/api/v1/sessions/refresh"),
    ("clerk", "/api/v1/cases"),
    ("grid_worker", "/sync/v1/cases/pull"),
    ("grid_worker", "/sync/v1/hello"),
    ("grid_worker", "/sync/v1/cases/reconcile"),
    ("clerk", "/api/v1/demo/advance"),
)


def problem(answer: Any) -> tuple[int, str]:
    """Status and code; the test fails where it is not a problem document."""
    assert answer.headers["content-type"].startswith("application/problem+json"), answer.text
    body = answer.json()
    assert body["status"] == answer.status_code
    assert body["detail"]
    assert body["detail_en"]
    return answer.status_code, body["code"]


@pytest.mark.parametrize(("user", "path"), READERS)
@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"a": ', "json_malformed"),
        (b"\xff\xfe{}", "json_malformed"),
        (b'{"a": NaN}', "json_malformed"),
        (b'{"a": "\\ud800"}', "json_malformed"),
        (b'{"username": "a", "username": "b"}', "json_duplicate_key"),
        (b'{"a":' * 200 + b"1" + b"}" * 200, "json_too_deep"),
        (b"[" * 50_000, "json_too_deep"),
    ],
    ids=["cut off", "not text", "not a number", "half a character", "twice", "deep", "endless"],
)
def test_json_that_is_none_is_refused_everywhere_alike(
    shared_town: Town, user: str | None, path: str, body: bytes, code: str
) -> None:
    assert problem(shared_town.post(user, path, body)) == (400, code)


def test_a_body_over_the_limit_is_refused_before_it_is_read(shared_town: Town) -> None:
    body = json.dumps({"kind": "dispute", "description": "长" * 1_200_000}).encode()
    assert problem(shared_town.post("clerk", "/api/v1/cases", body)) == (413, "body_too_large")
    assert problem(shared_town.post("grid_worker", "/sync/v1/cases/push", b"[" + b" " * (5 << 20))) == (
        413,
        "batch_too_large",
    )


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/v1/sessions", {"username": "clerk", "password": "x", "is_admin": True}),
        ("/api/v1/sessions", {"username": ["clerk"], "password": {}}),
        ("/api/v1/demo/advance", {"working_days": "soon"}),
        ("/api/v1/cases", []),
        ("/api/v1/cases", "text"),
    ],
)
def test_unknown_members_and_wrong_types_of_a_request_are_named(
    shared_town: Town, path: str, body: Any
) -> None:
    user = None if path == "/api/v1/sessions" else "clerk"
    assert problem(shared_town.post(user, path, body)) == (400, "invalid")


@pytest.mark.parametrize("verb", ["pull", "push", "reconcile"])
def test_a_collection_that_does_not_exist_is_not_found(shared_town: Town, verb: str) -> None:
    for name in ("people", "cases ", "Cases", "0", "__class__"):
        assert problem(shared_town.post("grid_worker", f"/sync/v1/{name}/{verb}", b"[]"))[0] == 404


# --- checkpoints -----------------------------------------------------------------------------------------------------


def pulled(town: Town, checkpoint: Any, limit: Any = 100, user: str = "grid_worker") -> Any:
    return town.post(user, "/sync/v1/cases/pull", {"checkpoint": checkpoint, "limit": limit})


def test_a_checkpoint_of_another_user_or_district_is_refused_and_one_of_another_epoch_begins_anew(
    town: Town,
) -> None:
    case = town.capture()
    first = pulled(town, None).json()
    mine = first["checkpoint"]
    assert [doc["id"] for doc in first["documents"]] == [case]
    assert problem(pulled(town, mine, user="clerk")) == (409, "foreign_checkpoint")
    assert problem(pulled(town, mine | {"d": "110101"})) == (409, "foreign_checkpoint")
    for other in ({"e": mine["e"] + 7}, {"s": mine["s"] + 10_000}):
        again = pulled(town, mine | other)
        assert again.status_code == 200
        assert [doc["id"] for doc in again.json()["documents"]] == [case]


@pytest.mark.parametrize(
    "change",
    [
        {"s": "1"},
        {"s": -1},
        {"k": 9},
        {"l": [1]},
        {"l": [1, 2, 3, "x"]},
        {"r": 1 << 70},
        {"x": 1},
        {"s": None},
    ],
)
def test_a_checkpoint_of_the_wrong_shape_is_refused(shared_town: Town, change: dict[str, Any]) -> None:
    good = pulled(shared_town, None).json()["checkpoint"]
    assert problem(pulled(shared_town, good | change)) == (400, "bad_checkpoint")
    assert problem(pulled(shared_town, [good])) == (400, "bad_checkpoint")
    assert problem(pulled(shared_town, {"s": 1})) == (400, "bad_checkpoint")


@pytest.mark.parametrize("limit", [0, -1, 1001, "10", 1.5, True, None, 10**30])
def test_a_limit_that_is_none_is_refused(shared_town: Town, limit: Any) -> None:
    assert problem(pulled(shared_town, None, limit)) == (400, "bad_limit")


# --- pushed rows -----------------------------------------------------------------------------------------------------


def pushed(town: Town, *docs: Any, user: str = "grid_worker") -> Any:
    return town.post(user, "/sync/v1/cases/push", [{"newDocumentState": doc} for doc in docs])


def document(**fields: Any) -> dict[str, Any]:
    return {"id": new_id(), "kind": "dispute", "title": "x", "captured_at": 1, "w": f"1:{new_id()}"} | fields


def quarantined(town: Town) -> list[dict[str, Any]]:
    answer = town.get("clerk", "/api/v1/quarantine", limit=200)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


def test_ten_thousand_rows_at_once_are_refused_whole_and_nothing_is_stored(town: Town) -> None:
    docs = [document() for _ in range(10_000)]
    assert problem(pushed(town, *docs)) == (413, "batch_too_large")
    assert town.get("clerk", "/api/v1/cases").json()["items"] == []
    assert quarantined(town) == []


@pytest.mark.parametrize("body", [b"{}", b'"x"', b"[1", b"", b"[" * 50_000])
def test_a_push_that_is_no_list_of_rows_is_refused(shared_town: Town, body: bytes) -> None:
    assert problem(shared_town.post("grid_worker", "/sync/v1/cases/push", body))[0] == 400


def test_broken_rows_block_no_neighbour_and_are_kept_for_the_centre(town: Town) -> None:
    good = document(location=middle_of(CELLS[0]))
    deep: Any = "x"
    for _ in range(60):
        deep = [deep]
    broken = [
        document(kind="nonsense"),
        document(description="长" * 100_000),
        document(wishes=deep),
        document(kind=["dispute"]),
        document(location=[]),
        {"kind": "dispute"},
        {"id": "not-an-id"},
        [1, 2],
        "text",
        None,
    ]
    answer = pushed(town, *broken, good)
    assert answer.status_code == 200, answer.text
    listed = {item["id"] for item in town.get("clerk", "/api/v1/cases", limit=200).json()["items"]}
    assert good["id"] in listed
    # What has an id stands there as a case, if only as a stub; whatever was refused of it waits in the box.
    assert {doc["id"] for doc in broken[:5] if isinstance(doc, dict)} <= listed
    assert len(quarantined(town)) >= len(broken)


def test_unknown_fields_and_wrong_types_of_a_row_are_put_aside_and_the_rest_is_kept(town: Town) -> None:
    doc = document(
        people_count="many", colour_of_door="red", parties=[{"id": new_id(), "age": 3}], status="filed"
    )
    assert pushed(town, doc).status_code == 200
    case = town.get("clerk", f"/api/v1/cases/{doc['id']}").json()["case"]
    assert {issue["field"] for issue in case["issues"]} >= {"people_count", "colour_of_door"}
    assert (case["title"], case["status"]) == ("x", "submitted")
    kept = next(item for item in quarantined(town) if item["reason"] == "fields_refused")
    assert kept["payload"]["colour_of_door"] == "red"
    assert kept["payload"]["people_count"] == "many"


def test_a_location_without_a_coordinate_system_is_never_guessed(town: Town) -> None:
    place = {name: value for name, value in middle_of(CELLS[0]).items() if name != "crs"}
    doc = document(location=place)
    pushed(town, doc)
    case = town.get("clerk", f"/api/v1/cases/{doc['id']}").json()["case"]
    assert [issue["code"] for issue in case["issues"]] == ["crs_missing"]
    assert "location" not in case
    assert case["assignment"]["needs_confirmation"] is True
    assert next(item["payload"]["location"] for item in quarantined(town)) == place


def test_a_phone_whose_clock_runs_ahead_loses_nothing_and_starts_no_clock_early(town: Town) -> None:
    ahead = town.now() + 400 * DAY
    doc = document(captured_at=ahead, location=middle_of(CELLS[0]))
    pushed(town, doc)
    case = town.get("clerk", f"/api/v1/cases/{doc['id']}").json()["case"]
    assert case["captured_at"] == ahead
    assert case["received_at"] <= town.now()
    assert all(line["due_at"] < town.now() + 30 * DAY for line in case["due"])


def test_text_with_control_characters_and_emoji_is_kept_or_named_but_never_breaks(town: Town) -> None:
    for text in ("\u0000零", "\u202e反", "👨\u200d👩\u200d👧", "a" * 199, "\ufffe"):
        doc = document(title=text)
        assert pushed(town, doc).status_code == 200
        answer = town.get("clerk", f"/api/v1/cases/{doc['id']}")
        assert answer.status_code == 200
        assert answer.json()["case"].get("title") == text or answer.json()["case"]["issues"]


# --- layers ----------------------------------------------------------------------------------------------------------


def refused(town: Town, body: bytes, **params: Any) -> set[str]:
    """Codes of the report; the test fails where the layer was kept."""
    options = {"crs": "wgs84"} | params
    answer = town.post("admin", "/api/v1/cells/generations", body, params=options)
    assert problem(answer) == (422, "layer_refused")
    return {fault["code"] for fault in answer.json()["report"]["faults"]}


def changed(change: Any) -> bytes:
    layer = json.loads(layer_geojson())
    change(layer["features"])
    return json.dumps(layer).encode()


def moved(dx: float) -> Any:
    def change(features: list[Any]) -> None:
        ring = features[1]["geometry"]["coordinates"][0]
        features[1]["geometry"]["coordinates"][0] = [[x + dx, y] for x, y in ring]

    return change


def bow_tie(features: list[Any]) -> None:
    ring = features[0]["geometry"]["coordinates"][0]
    ring[1], ring[2] = ring[2], ring[1]


def twice(features: list[Any]) -> None:
    features[1]["properties"]["code"] = features[0]["properties"]["code"]


def swapped(features: list[Any]) -> None:
    for feature in features:
        feature["geometry"]["coordinates"][0] = [[y, x] for x, y in feature["geometry"]["coordinates"][0]]


def in_metres(features: list[Any]) -> None:
    for feature in features:
        ring = feature["geometry"]["coordinates"][0]
        feature["geometry"]["coordinates"][0] = [[x * 111_000, y * 111_000] for x, y in ring]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "file_empty"),
        (b"not json", "json_malformed"),
        (b'{"type": "FeatureCollection", "features": []}', "no_cells"),
        (b'{"type": "Topology"}', "not_a_feature_collection"),
        (b"[" * 200_000, "json_malformed"),
        (changed(moved(-STEP_X / 2)), "overlap"),
        (changed(bow_tie), "ring_invalid"),
        (changed(twice), "code_duplicate"),
        (changed(swapped), "axes_swapped"),
        (changed(in_metres), "metres_as_degrees"),
        (changed(lambda features: features[0].pop("geometry")), "geometry_missing"),
        (changed(lambda features: features[0]["properties"].pop("code")), "code_missing"),
        (
            changed(lambda features: features[0].update(geometry={"type": "Point", "coordinates": [1, 2]})),
            "geometry_not_polygon",
        ),
        (
            changed(lambda features: features[0]["geometry"].update(coordinates=[["x"]])),
            "coordinates_malformed",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_faulty_layer_is_refused_with_a_report_that_names_the_fault(
    shared_town: Town, body: bytes, code: str
) -> None:
    assert code in refused(shared_town, body)
    listed = shared_town.get("admin", "/api/v1/cells/generations").json()["items"]
    assert [row["number"] for row in listed] == [1]


def test_a_layer_must_say_its_coordinate_system_and_say_it_rightly(shared_town: Town) -> None:
    assert "crs_missing" in refused(shared_town, layer_geojson(), crs="")
    assert "crs_unknown" in refused(shared_town, layer_geojson(), crs="utm")
    named = json.loads(layer_geojson()) | {
        "crs": {"type": "name", "properties": {"name": "EPSG:4490"}},
    }
    assert "crs_conflict" in refused(shared_town, json.dumps(named).encode(), crs="gcj02")


def test_wrong_words_in_a_query_are_refused_or_find_nothing(shared_town: Town) -> None:
    wrong = (
        ("clerk", "/api/v1/cases?limit=0"),
        ("clerk", "/api/v1/cases?limit=x"),
        ("clerk", "/api/v1/cases?level=9"),
        ("clerk", "/api/v1/cases?after=zzz"),
        ("clerk", "/api/v1/cases?after=99999999999999999999-1"),
        ("clerk", "/api/v1/cases?overdue=perhaps"),
        ("clerk", "/api/v1/cases?q=" + "x" * 300),
        ("auditor", "/api/v1/audit?before=-1"),
        ("auditor", "/api/v1/audit?before=99999999999999999999"),
        ("clerk", "/api/v1/quarantine?reason=%00"),
        ("clerk", "/api/v1/cases?q=%00"),
        ("clerk", "/api/v1/cases?cell=%00"),
        ("clerk", "/api/v1/cells?tolerance_m=nan"),
        ("clerk", "/api/v1/cells?tolerance_m=inf"),
        ("clerk", "/api/v1/cells?tolerance_m=-1"),
    )
    for user, path in wrong:
        assert problem(shared_town.get(user, path))[0] == 400, path
    nothing = ("?status=x", "?kind=';drop", "?unit=x", "?category=%25")
    for query in nothing:
        answer = shared_town.get("clerk", f"/api/v1/cases{query}")
        assert (answer.status_code, answer.json()["items"]) == (200, []), query
