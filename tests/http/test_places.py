"""Addresses typed and points pointed at: the district's own list, what lies where, and the cells of a map."""

from __future__ import annotations

from typing import Any

import mapbox_vector_tile
import pytest
from shapely.geometry import shape

from geo.coordinates import convert_point
from geo.points import Crs
from geo.regions import Provider
from geo.vector_tiles import tile_at
from server.address_file import Given, read_addresses
from sync.administration import put_settings
from sync.cases.catalogue import ROLES
from sync.config import MAP_PROVIDER
from sync.homes_work import add_households
from tests.http.town import (
    CELLS,
    CODE,
    ELSEWHERE,
    SOUTH,
    STEP_X,
    STEP_Y,
    WEST,
    Town,
    layer_geojson,
    middle_of,
    new_id,
)


def line(text: str, cell: str, kind: str = "", east: float = 0.0) -> str:
    place = middle_of(cell)
    return f"{text},{kind},{place['lon'] + east:.7f},{place['lat']:.7f}"


LIST = "\n".join(
    (
        "地址,类别,经度,纬度",
        line("涧东区牡丹路12号", CELLS[0]),
        line("涧东区牡丹路112号", CELLS[1]),
        line("涧东区芍药路12号", CELLS[2]),
        line("幸福小区", CELLS[1], "小区"),
        line("幸福小区3号楼", CELLS[1], "楼栋", 0.0001),
        line("幸福小区5号楼", CELLS[3], "楼栋"),
    )
)


def bring(town: Town, body: bytes | str = LIST, user: str = "admin", **params: Any) -> Any:
    content = body.encode() if isinstance(body, str) else body
    return town.post(user, "/api/v1/addresses", content, params={"crs": "wgs84", **params})


def typed(town: Town, q: str, user: str = "clerk", **params: Any) -> list[dict[str, Any]]:
    answer = town.get(user, "/api/v1/addresses", q=q, **params)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


def two_homes() -> list[dict[str, Any]]:
    """One in the first worker's cell and one in the other's; whose home it is is no part of its address."""
    return [
        {
            "id": new_id(),
            "cell": CELLS[0],
            "address_text": "丁香里9号楼2单元501室",
            "contact_name": "丁香里王小梅",
        },
        {
            "id": new_id(),
            "cell": CELLS[3],
            "compound": "丁香里",
            "building": "7",
            "unit_no": "1",
            "room": "102",
        },
    ]


@pytest.fixture(scope="module")
def homes(shared_town: Town) -> Town:
    """A town with two homes and no list."""
    shared_town.submit(add_households(two_homes()))
    return shared_town


@pytest.fixture
def listed(town: Town) -> Town:
    """The town with its list, and a home in the first worker's cell and one in the other's."""
    answer = bring(town)
    assert answer.json() == {"added": 6, "changed": 0, "unchanged": 0, "refused": 0, "lines": []}
    town.submit(add_households(two_homes()))
    return town


# --- the list is brought ---------------------------------------------------------------------------------------------


def test_only_the_administrator_brings_the_list(town: Town) -> None:
    assert town.client.post("/api/v1/addresses", content=LIST.encode()).status_code == 401
    assert bring(town, user="clerk").status_code == 403


def test_a_list_is_taken_in_once_however_often_it_comes(listed: Town) -> None:
    again = bring(listed).json()
    assert (again["added"], again["changed"], again["unchanged"]) == (0, 0, 6)
    moved = bring(
        listed, LIST.replace(line("幸福小区", CELLS[1], "小区"), line("幸福 小区", CELLS[0], "compound"))
    )
    assert (moved.json()["added"], moved.json()["changed"], moved.json()["unchanged"]) == (0, 1, 5)
    assert typed(listed, "幸福小区")[0]["cell"] == CELLS[0]


def test_a_spreadsheet_in_gbk_is_read_too(town: Town) -> None:
    assert bring(town, LIST.encode("gbk")).json()["added"] == 6
    assert typed(town, "牡丹路12号")[0]["text"] == "涧东区牡丹路12号"
    wrong = bring(town, LIST.encode("gbk"), encoding="utf-8")
    assert (wrong.status_code, wrong.json()["code"]) == (422, "addresses_refused")
    assert bring(town, LIST, encoding="klingon").json()["code"] == "addresses_refused"


def test_good_lines_are_kept_and_each_bad_one_is_named(town: Town) -> None:
    bad = (
        ("112.4,34.6", "line_malformed"),
        (",,112.4,34.66", "text_missing"),
        (f"{'长' * 201},,112.4,34.66", "text_too_long"),
        ("牡丹\x00路1号,,112.4,34.66", "text_not_allowed"),
        ("号,,112.4,34.66", "text_too_short"),
        ("牡丹路1号,宫殿,112.4,34.66", "kind_unknown"),
        ("牡丹路2号,,,34.66", "lon_missing"),
        ("牡丹路3号,,112.4,", "lat_missing"),
        ("牡丹路4号,,nan,34.66", "coordinate_not_a_number"),
        ("牡丹路5号,,1e999,34.66", "coordinate_not_a_number"),
        ("牡丹路6号,,东,34.66", "coordinate_not_a_number"),
        ("牡丹路7号,,212.4,34.66", "lon_out_of_range"),
        ("牡丹路8号,,34.66,112.4", "lat_out_of_range"),
        ("牡丹路9号,,118.4,34.66", "outside_district"),
        (line("牡丹路十二号", CELLS[3]), "twice_in_file"),
    )
    good = line("牡丹路12号", CELLS[0])
    last = line("芍药路1号", CELLS[0])
    text = "\r\n".join(["text,kind,lon,lat", good, *(row for row, _ in bad), "", last])
    answer = bring(town, text).json()
    assert (answer["added"], answer["refused"]) == (2, len(bad))
    assert [(row["line"], row["code"]) for row in answer["lines"]] == [
        (number, code) for number, (_, code) in enumerate(bad, start=3)
    ]
    assert all(row["sentence"].endswith("。") for row in answer["lines"])
    assert typed(town, "芍药路1号")[0]["cell"] == CELLS[0]


def test_coordinates_without_a_system_are_refused_and_others_are_converted(town: Town) -> None:
    path, (text, _) = "/api/v1/addresses", ("text,lon,lat\n牡丹路1号,112.4005,34.6604", 0)
    unknown = town.post("admin", path, text.encode()).json()
    assert [row["code"] for row in unknown["lines"]] == ["crs_missing"]
    odd = town.post("admin", path, text.encode(), params={"crs": "epsg:3857"}).json()
    assert [row["code"] for row in odd["lines"]] == ["crs_unknown"]
    place = middle_of(CELLS[2])
    lon, lat = convert_point(place["lon"], place["lat"], Crs.WGS84, Crs.BD09)
    shifted = f"text,lon,lat,crs\n牡丹路1号,{lon},{lat},bd09"
    assert bring(town, shifted).json()["added"] == 1
    found = typed(town, "牡丹路1号")[0]
    assert found["cell"] == CELLS[2]
    assert abs(found["lon"] - place["lon"]) < 2e-6


def test_shifted_coordinates_are_those_of_the_districts_provider(town: Town) -> None:
    text = "text,lon,lat,crs\n弥敦道1号,114.17,22.31,gcj02"
    with_, without = (
        read_addresses(text, Given(provider=provider)).records[0]
        for provider in (Provider.MAINLAND_HK_MO, Provider.MAINLAND)
    )
    assert abs(with_.lon - without.lon) > 1000  # millionths of a degree
    assert (without.lon, without.lat) == (114_170_000, 22_310_000)
    town.submit(put_settings({MAP_PROVIDER: "mainland"}))
    far = town.get("clerk", "/api/v1/places", lon=114.17, lat=22.31, crs="gcj02").json()
    assert (far["lon"], far["lat"]) == (114.17, 22.31)


def test_what_is_no_list_is_refused_as_a_whole(town: Town) -> None:
    for body in (b"", b"\x00", b"text,lon\n", b"text,lon,lat,text\n", b'text,lon,lat\n"a', b"\xff\xff\xff"):
        answer = bring(town, body)
        assert (answer.status_code, answer.json()["code"]) == (422, "addresses_refused"), body
    assert bring(town, b"text,lon,lat\n").json()["added"] == 0
    assert bring(town, LIST, crss="wgs84").json()["code"] == "bad_request"
    assert bring(town, LIST, source="x" * 101).status_code == 400
    assert bring(town, LIST, source="a\x07").json()["code"] == "addresses_refused"
    huge = bring(town, b"text,lon,lat\n" + b"x" * (17 << 20))
    assert (huge.status_code, huge.json()["code"]) == (413, "body_too_large")


# --- somebody types --------------------------------------------------------------------------------------------------


def test_however_it_is_written_the_house_is_found_first(listed: Town) -> None:
    for q in (
        "牡丹路12号",
        "牡丹路十二号",
        "牡丹路１２號",
        "涧东区 牡丹路12号院",
        "牡丹路012#",
        "牡丹路12号2单元501",
    ):
        best = typed(listed, q)[0]
        assert (best["text"], best["cell"], best["kind"]) == ("涧东区牡丹路12号", CELLS[0], "address"), q
    assert typed(listed, "牡丹路112号")[0]["text"] == "涧东区牡丹路112号"
    assert [one["text"] for one in typed(listed, "幸福小区5幢")][:1] == ["幸福小区5号楼"]
    assert typed(listed, "牡丹路12号")[0]["same_number"] is True
    assert typed(listed, "牡丹路")[0]["same_number"] is False
    assert typed(listed, "天上人间") == []
    assert len(typed(listed, "幸福小区", limit=2)) == 2


def test_a_search_can_keep_to_a_cell_or_an_area(listed: Town) -> None:
    assert [one["text"] for one in typed(listed, "幸福小区", cell=CELLS[3])] == ["幸福小区5号楼"]
    assert {one["cell"] for one in typed(listed, "牡丹路12号", cell=f"{CODE}001001")} == {CELLS[0], CELLS[1]}
    assert typed(listed, "幸福小区", cell="nowhere") == []


def test_a_worker_finds_homes_of_his_own_cell_and_no_others(listed: Town) -> None:
    mine = typed(listed, "丁香里9号楼", user="grid_worker")
    assert [(one["kind"], one["text"], one["cell"]) for one in mine] == [
        ("household", "丁香里9号楼2单元501室", CELLS[0])
    ]
    theirs = typed(listed, "丁香里7栋", user="grid_worker_2")
    assert [(one["kind"], one["text"]) for one in theirs] == [("household", "丁香里7栋1单元102室")]
    for user in ("admin", "auditor", "integration", "data_officer"):
        assert typed(listed, "丁香里", user=user) == [], user
    assert {one["cell"] for one in typed(listed, "丁香里", user="clerk")} == {CELLS[0], CELLS[3]}
    assert typed(listed, "王小梅", user="grid_worker") == []
    assert typed(listed, "幸福小区", user="grid_worker_2")  # the list is for everybody


@pytest.mark.parametrize("user", sorted({*ROLES, *ELSEWHERE}))
def test_homes_are_found_by_whom_a_phone_would_have_them(homes: Town, user: str) -> None:
    pulled = homes.post(user, "/sync/v1/households/pull", {"checkpoint": None, "limit": 1000})
    here = {doc["id"] for doc in pulled.json().get("documents", []) if not doc.get("_deleted")}
    found = typed(homes, "丁香里", user=user)
    assert {one["id"] for one in found} == here


def test_what_cannot_be_looked_for_is_told_so(listed: Town) -> None:
    path = "/api/v1/addresses"
    assert listed.get(None, path, q="牡丹路").status_code == 401
    assert listed.get("clerk", path).status_code == 400
    for q, code in (
        ("", "query_too_short"),
        ("牡", "query_too_short"),
        ("%%%", "query_too_short"),
        ("_ _", "query_too_short"),
        ("' or 1=1 --", None),
        ("牡丹\x07路", "query_not_allowed"),
        ("x" * 10_000, "invalid"),
        ("牡" * 201, "invalid"),
        ("\ufdfa" * 200, None),
    ):
        answer = listed.get("clerk", path, q=q)
        assert (answer.status_code, answer.json().get("code")) == (200 if code is None else 400, code), q
    assert listed.client.get(f"{path}?q=%00", headers=listed.bearer("clerk")).status_code == 400
    assert listed.client.get(f"{path}?q=%ff%fe%fd", headers=listed.bearer("clerk")).status_code < 500
    for limit in ("0", "51", "nan", "1" * 400):
        assert listed.get("clerk", path, q="牡丹路", limit=limit).status_code == 400
    assert typed(listed, "牡%路1_号") == []


# --- somebody points -------------------------------------------------------------------------------------------------


def at(town: Town, **params: Any) -> Any:
    return town.get("grid_worker", "/api/v1/places", **params)


def test_a_point_has_its_cell_the_areas_above_and_what_is_near(listed: Town) -> None:
    place = {name: middle_of(CELLS[0])[name] for name in ("lon", "lat", "crs")}
    answer = at(listed, **place).json()
    assert answer["cell"] == {"code": CELLS[0], "name": "第1网格", "kind": "basic"}
    assert [area["code"] for area in answer["areas"]] == [f"{CODE}001001", f"{CODE}001", CODE]
    assert (answer["assignment"]["method"], answer["assignment"]["needs_confirmation"]) == (
        "contained",
        False,
    )
    assert (answer["generation"], answer["lon"]) == (1, round(place["lon"], 6))
    near = answer["addresses"]
    assert [one["distance_m"] for one in near] == sorted(one["distance_m"] for one in near)
    assert (near[0]["text"], near[0]["distance_m"] < 1, near[0]["cell"]) == (
        "涧东区牡丹路12号",
        True,
        CELLS[0],
    )
    assert max(one["distance_m"] for one in near) <= 200
    assert "household" not in str(answer)


def test_a_shifted_point_is_the_same_place(listed: Town) -> None:
    place = middle_of(CELLS[2])
    lon, lat = convert_point(place["lon"], place["lat"], Crs.WGS84, Crs.GCJ02)
    assert at(listed, lon=lon, lat=lat, crs="gcj02").json()["cell"]["code"] == CELLS[2]
    assert at(listed, lon=lon, lat=lat, crs="wgs84").json()["cell"] is None


def test_a_vague_point_says_how_sure_it_is(listed: Town) -> None:
    place = middle_of(CELLS[0]) | {"accuracy_m": 60, "confidence": 68}
    del place["source"]
    found = at(listed, **place).json()["assignment"]
    assert (found["method"], found["needs_confirmation"], found["candidates"][0]) == (
        "contained",
        True,
        CELLS[0],
    )
    assert 0 < found["p"] < 1
    raised = at(listed, **(place | {"accuracy_m": 110})).json()
    assert (raised["cell"], raised["assignment"]["method"]) == (None, "raised")
    assert raised["assignment"]["needs_confirmation"]
    assert raised["areas"] == []  # where no area is sure either
    between = at(
        listed, **(place | {"lon": WEST + STEP_X, "accuracy_m": 30})
    ).json()  # of one community's two cells
    assert (between["cell"], between["assignment"]["area"]) == (None, f"{CODE}001001")
    assert [area["code"] for area in between["areas"]] == [f"{CODE}001001", f"{CODE}001", CODE]
    beyond = at(listed, lon=WEST - 0.0003, lat=SOUTH + STEP_Y / 2, crs="wgs84").json()
    assert (beyond["cell"]["code"], beyond["assignment"]["method"]) == (CELLS[0], "snapped")
    assert 25 < beyond["assignment"]["distance_m"] < 30
    far = at(listed, lon=-179.99, lat=-89.9, crs="wgs84").json()
    assert (far["cell"], far["areas"], far["addresses"]) == (None, [], [])
    assert (far["assignment"]["method"], far["assignment"]["needs_confirmation"]) == ("outside", True)


def test_a_point_that_cannot_be_used_is_refused_with_every_reason(listed: Town) -> None:
    good = {"lon": 112.4, "lat": 34.66, "crs": "wgs84"}
    assert listed.get(None, "/api/v1/places", **good).status_code == 401
    for change, codes in (
        ({"crs": ""}, {"crs_missing"}),
        ({"crs": "epsg:3857"}, {"crs_unknown"}),
        ({"lon": "nan"}, {"coordinate_not_a_number"}),
        ({"lon": "1e999"}, {"coordinate_not_a_number"}),
        ({"lon": "东"}, {"coordinate_not_a_number"}),
        ({"lat": "", "lon": ""}, {"lat_missing", "lon_missing"}),
        ({"lat": 112.4}, {"lat_out_of_range"}),
        ({"accuracy_m": "-1"}, {"accuracy_invalid"}),
        ({"accuracy_m": "inf"}, {"accuracy_invalid"}),
        ({"confidence": 50}, {"confidence_invalid"}),
    ):
        answer = at(listed, **(good | change))
        assert (answer.status_code, answer.json()["code"]) == (400, "place_unusable"), change
        assert {issue["code"] for issue in answer.json()["issues"]} == codes
    missing = at(listed).json()
    assert {issue["code"] for issue in missing["issues"]} == {"lon_missing", "lat_missing", "crs_missing"}
    assert at(listed, **(good | {"lon": "1" * 400})).status_code == 400


def test_a_district_without_cells_still_answers(served: Any) -> None:
    served.add_person("wang", "clerk")
    headers = served.bearer("wang")
    place = {"lon": "112.4", "lat": "34.66", "crs": "wgs84"}
    found = served.client.get("/api/v1/places", params=place, headers=headers).json()
    assert (found["cell"], found["assignment"]["method"]) == (None, "outside")
    assert served.client.get("/api/v1/cells/x/neighbours", headers=headers).status_code == 404
    assert served.client.get("/api/v1/cells/tiles/1/0/0", headers=headers).status_code == 404
    assert served.client.get("/api/v1/addresses?q=牡丹路", headers=headers).json()["items"] == []


# --- cells on a map --------------------------------------------------------------------------------------------------


def test_a_cell_knows_its_neighbours_over_a_border_and_over_a_corner(town: Town) -> None:
    path = f"/api/v1/cells/{CELLS[0]}/neighbours"
    assert town.get(None, path).status_code == 401
    answer = town.get("grid_worker", path).json()
    assert (answer["code"], answer["generation"]) == (CELLS[0], 1)
    assert {one["code"]: one["touch"] for one in answer["items"]} == {
        CELLS[1]: "border",
        CELLS[2]: "border",
        CELLS[3]: "corner",
    }
    assert answer["items"][0]["name"] == "第2网格"
    for unknown in ("nothing", f"{CODE}001", "%25", "x" * 3000):
        assert town.get("grid_worker", f"/api/v1/cells/{unknown}/neighbours").status_code == 404


def test_a_tile_has_the_cells_and_is_asked_for_again_only_when_they_change(town: Town) -> None:
    x, y = tile_at(16, WEST + STEP_X, SOUTH + STEP_Y)
    path = f"/api/v1/cells/tiles/16/{x}/{y}"
    assert town.get(None, path).status_code == 401
    answer = town.get("grid_worker", path)
    assert answer.headers["content-type"] == "application/vnd.mapbox-vector-tile"
    assert answer.headers["cache-control"] == "private, no-cache"
    (layer,) = mapbox_vector_tile.decode(answer.content).values()
    about = {one["properties"]["code"]: one["properties"] for one in layer["features"]}
    assert set(about) == set(CELLS)
    assert about[CELLS[0]] == {
        "code": CELLS[0],
        "name": "第1网格",
        "kind": "basic",
        "parent": f"{CODE}001001",
    }
    etag = answer.headers["etag"]
    same = town.client.get(path, headers=town.bearer("clerk") | {"If-None-Match": f'"x", {etag}'})
    assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", etag)
    plain = {"Accept-Encoding": "identity", "If-None-Match": etag.removeprefix("W/")}
    assert town.client.get(path, headers=town.bearer("clerk") | plain).status_code == 304
    codes = (CELLS[0], CELLS[1], CELLS[2], "410399002001009")
    number = town.post(
        "admin", "/api/v1/cells/generations", layer_geojson(codes), params={"crs": "wgs84"}
    ).json()["number"]
    assert town.post("admin", f"/api/v1/cells/generations/{number}/activate").status_code == 200
    new = town.client.get(path, headers=town.bearer("clerk") | {"If-None-Match": etag})
    assert new.status_code == 200
    assert new.headers["etag"] != etag
    assert b"410399002001009" in new.content
    old = town.get("clerk", path, generation=1)
    assert (old.content, old.headers["etag"]) == (answer.content, etag)
    assert town.get("clerk", path, generation=77).status_code == 404


def test_a_tile_that_there_is_not_is_told_so(town: Town) -> None:
    for z, x, y in (
        (17, 0, 0),
        (1, 2, 0),
        (1, 0, 2),
        (-1, 0, 0),
        (3, -1, 0),
        (10**30, 0, 0),
        (16, 10**30, 0),
    ):
        answer = town.get("clerk", f"/api/v1/cells/tiles/{z}/{x}/{y}")
        assert (answer.status_code, answer.json()["code"]) == (404, "tile_out_of_range"), (z, x, y)
    for wrong in ("a/0/0", "1/0.5/0", "1/0/nan", "1/0"):
        assert town.get("clerk", f"/api/v1/cells/tiles/{wrong}").status_code == 404
    empty = town.get("clerk", "/api/v1/cells/tiles/16/0/0")
    assert (empty.status_code, empty.headers["content-type"]) == (200, "application/vnd.mapbox-vector-tile")
    (layer,) = mapbox_vector_tile.decode(empty.content).values()
    assert layer["features"] == []


def test_cells_are_simplified_to_what_a_zoom_can_show(town: Town) -> None:
    whole = town.get("clerk", "/api/v1/cells").json()
    near = town.get("clerk", "/api/v1/cells", zoom=20).json()
    for one, other in zip(whole["features"], near["features"], strict=True):
        assert shape(one["geometry"]).equals(shape(other["geometry"]))  # the ring begins elsewhere
    assert len(town.get("clerk", "/api/v1/cells", zoom=0).json()["features"]) == len(CELLS)
    for wrong in ({"zoom": -1}, {"zoom": 23}, {"zoom": "nan"}, {"zoom": 1.5}, {"zoom": 3, "tolerance_m": 5}):
        assert town.get("clerk", "/api/v1/cells", **wrong).status_code == 400, wrong
