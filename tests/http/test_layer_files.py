"""The administrator brings a layer in whatever form the surveyor sent it, looks at the faults, and takes one out."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

import msgspec
import pyproj
import pytest

from geo.layer import Form, exported, read_file, read_geojson
from geo.points import Crs
from server.layer_files import CODE_SCHEME
from sync.administration import put_settings
from tests.http.town import CELLS, CODE, STEP_X, layer_geojson
from tests.unit.geo.layer_files import METRES_PRJ, WGS84_PRJ, in_metres, kml_of, parts_of, placemark, zipped

if TYPE_CHECKING:
    from tests.http.town import Town

PATH = "/api/v1/cells/generations"
ZIP, KML, KMZ = "application/zip", "application/vnd.google-earth.kml+xml", "application/vnd.google-earth.kmz"
BYTES = "application/octet-stream"


def features() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(layer_geojson())["features"]
    return found


def a_shapefile(encoding: str = "utf-8", **said: str) -> bytes:
    parts = parts_of(features(), encoding=encoding)
    return zipped(parts | {f".{ending}": text.encode() for ending, text in said.items()})


def a_kml() -> bytes:
    return kml_of("".join(map(placemark, features())))


def add(town: Town, body: bytes, sort: str = BYTES, *, user: str = "admin", **params: Any) -> Any:
    return town.post(user, PATH, body, params={"crs": "wgs84"} | params, headers={"Content-Type": sort})


def refused(town: Town, body: bytes, sort: str = BYTES, **params: Any) -> dict[str, Any]:
    """The faults by code of a file that was not kept."""
    answer = add(town, body, sort, **params)
    assert (answer.status_code, answer.json()["code"]) == (422, "layer_refused"), answer.text
    return {fault["code"]: fault for fault in answer.json()["report"]["faults"]}


@pytest.mark.parametrize(
    "sort", [BYTES, ZIP, KML, KMZ, "application/json", "text/plain; charset=utf-8", "nonsense"]
)
def test_a_file_is_taken_by_what_it_is_said_to_be_or_by_its_bytes(town: Town, sort: str) -> None:
    bodies = {"shapefile": a_shapefile(cpg="UTF-8"), "kml": a_kml(), "kmz": zipped({}, {"doc.kml": a_kml()})}
    fitting = {ZIP: {"shapefile", "kmz"}, KML: {"kml", "kmz"}, KMZ: {"kml", "kmz"}}.get(sort, set(bodies))
    for name in fitting:
        answer = add(town, bodies[name], sort)
        assert answer.status_code == 201, answer.text
        assert (answer.json()["cells"], answer.json()["report"]["faults"]) == (len(CELLS), [])
    newest = town.get("admin", PATH).json()["items"][0]["number"]
    shown = town.get("clerk", "/api/v1/cells", generation=newest).json()
    assert [item["id"] for item in shown["features"]] == sorted(CELLS)
    assert shown["features"][0]["properties"]["name"] == "第1网格"


def test_a_city_declares_its_own_plane_with_the_file(town: Town) -> None:
    cells, _ = in_metres(features(), east=300_000, north=3_800_000)
    body = json.dumps({"type": "FeatureCollection", "features": cells}).encode()
    shift = {"axes": "east_north", "dx_m": 300_000, "dy_m": 3_800_000, "rotation_s": 0, "scale_ppm": 0}
    table = json.dumps({"base": "EPSG:4547", "plane": shift})
    answer = add(town, body, crs=table)
    assert answer.status_code == 201, answer.text
    assert answer.json()["report"]["faults"] == [], "it lies where the layer in force does"
    assert "system_table_invalid" in refused(town, body, crs=json.dumps({"base": "EPSG:4547", "plan": shift}))
    assert add(town, body, crs='{"base": 1, "base": 2}').status_code == 400
    assert add(town, body, crs="{" * 5_000).status_code == 400


def test_what_a_file_is_said_to_be_counts_before_its_bytes(town: Town) -> None:
    assert set(refused(town, a_kml(), "application/geo+json")) == {"json_malformed"}
    assert set(refused(town, layer_geojson(), KML)) == {"xml_malformed"}


def test_gbk_names_are_found_out_told_and_kept_right(town: Town) -> None:
    answer = add(town, a_shapefile("gbk", prj=WGS84_PRJ), crs="")
    assert answer.status_code == 201, answer.text
    (fault,) = answer.json()["report"]["faults"]
    assert (fault["code"], fault["severity"]) == ("encoding_guessed", "notice")
    assert add(town, a_shapefile("gbk"), encoding="GBK").json()["report"]["faults"] == []
    assert "encoding_wrong" in refused(town, a_shapefile("gbk"), encoding="utf-8")
    assert "encoding_unknown" in refused(town, a_shapefile("gbk"), encoding="base64")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"PK\x03\x04 a spreadsheet", "archive_broken"),
        (a_shapefile()[:-40], "archive_broken"),
        (zipped({}, {"readme.txt": b"x"}), "archive_without_layer"),
        (zipped({}, {"../cells.shp": b"x"}), "archive_paths"),
        (zipped({".shp": bytes(100 << 20), ".dbf": b""}), "archive_too_large"),
        (zipped({".shp": parts_of(features())[".shp"]}), "shapefile_part_missing"),
        (zipped(parts_of(features()) | {".shp": parts_of(features())[".shp"][:-9]}), "shapefile_truncated"),
        (zipped(parts_of(features()) | {".shp": b"x" * 200}), "shapefile_broken"),
        (zipped(parts_of(features()) | {".dbf": parts_of(features()[:1])[".dbf"]}), "shapefile_counts"),
        (zipped(parts_of(features(), shape_type=1)), "geometry_not_polygon"),
        (a_shapefile(prj=METRES_PRJ), "crs_unknown"),
        (a_shapefile(prj=pyproj.CRS.from_epsg(4547).to_wkt("WKT1_ESRI")), "crs_conflict"),
        (kml_of(""), "no_cells"),
        (b"<gpx/>", "not_kml"),
        (b"<kml>", "xml_malformed"),
        (b"<!DOCTYPE kml [<!ENTITY a 'b'>]><kml>&a;</kml>", "xml_forbidden"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_file_that_is_broken_is_refused_with_a_code_and_both_sentences(
    shared_town: Town, body: bytes, code: str
) -> None:
    fault = refused(shared_town, body)[code]
    assert fault["sentence_zh"].endswith("。")
    assert fault["sentence_en"].endswith(".")


def overlapping() -> bytes:
    layer = json.loads(layer_geojson())
    ring = layer["features"][1]["geometry"]["coordinates"][0]
    layer["features"][1]["geometry"]["coordinates"][0] = [[x - STEP_X / 2, y] for x, y in ring]
    return json.dumps(layer).encode()


def test_a_refused_layer_shows_the_ground_that_overlaps(town: Town) -> None:
    fault = refused(town, overlapping())["overlap"]
    assert fault["geometry"]["type"] == "Polygon"
    assert fault["width_m"] > 10
    assert fault["area_m2"] > 100


def cracked() -> bytes:
    """The first cell stops 30 cm short of what lies east of it."""
    layer = json.loads(layer_geojson())
    ring = layer["features"][0]["geometry"]["coordinates"][0]
    layer["features"][0]["geometry"]["coordinates"][0] = [
        [x - 0.000003 if place in {1, 2} else x, y] for place, (x, y) in enumerate(ring)
    ]
    return json.dumps(layer).encode()


def test_the_report_of_a_generation_is_a_map_and_a_table(town: Town) -> None:
    number = add(town, cracked()).json()["number"]
    answer = town.get("clerk", f"{PATH}/{number}/report")
    assert answer.headers["content-type"].startswith("application/geo+json")
    found = answer.json()["features"]
    assert found
    assert all(item["geometry"] for item in found)
    table = town.get("clerk", f"{PATH}/{number}/report", format="csv")
    assert table.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(table.content.decode("utf-8-sig"))))
    assert [row["code"] for row in rows] == [item["properties"]["code"] for item in found]
    kept = town.get("clerk", f"{PATH}/{number}").json()["report"]["faults"]
    assert [fault["code"] for fault in kept] == [row["code"] for row in rows]
    assert (
        town.get("clerk", f"{PATH}/1/report").json()["features"] == []
    )  # that was made before there were reports
    assert town.get("clerk", f"{PATH}/{number}/report", format="pdf").status_code == 400
    assert town.get("clerk", f"{PATH}/99/report").status_code == 404


@pytest.mark.parametrize("form", list(Form))
def test_a_generation_goes_out_and_comes_in_again_as_it_was(town: Town, form: Form) -> None:
    wanted = read_geojson(layer_geojson(), Crs.WGS84).layer
    assert wanted is not None
    first = add(town, layer_geojson(), name="第二版").json()["number"]
    answer = town.get("grid_worker", f"{PATH}/{first}/export", format=str(form))
    assert answer.status_code == 200
    assert f"cells-{CODE}-{first}." in answer.headers["content-disposition"]
    again = add(town, answer.content, answer.headers["content-type"])
    assert (again.status_code, again.json()["report"]["faults"]) == (201, []), again.text
    number = again.json()["number"]
    both = [town.get("clerk", f"{PATH}/{which}/export", format="geojson").json() for which in (first, number)]
    assert both[0]["features"] == both[1]["features"]
    assert both[0]["areas"] == both[1]["areas"]
    read = read_file(answer.content, Crs.WGS84).layer
    assert read is not None
    assert (read.cells, read.areas) == (wanted.cells, wanted.areas)
    assert answer.content == exported(msgspec.structs.replace(wanted, number=first, name="第二版"), form)


def test_what_is_not_there_or_no_format_cannot_be_taken_out(town: Town) -> None:
    for number in (99, 10**30):
        assert town.get("admin", f"{PATH}/{number}/export").status_code == 404
    assert town.get("admin", f"{PATH}/1/export", format="dwg").status_code == 400
    assert town.get(None, f"{PATH}/1/export").status_code == 401
    assert town.get(None, f"{PATH}/1/report").status_code == 401
    assert add(town, a_kml(), user="clerk").status_code == 403


def test_a_name_longer_than_a_column_is_cut_and_a_code_is_not_lost(town: Town) -> None:
    number = add(town, layer_geojson(name="网" * 100)).json()["number"]
    content = town.get("clerk", f"{PATH}/{number}/export", format="shapefile").content
    read = read_file(content, Crs.WGS84).layer
    assert read is not None
    assert {cell.name for cell in read.cells} == {"网" * 84}
    whole = read_file(town.get("clerk", f"{PATH}/{number}/export", format="kml").content, Crs.WGS84).layer
    assert whole is not None
    assert {cell.name for cell in whole.cells} == {"网" * 100}


def test_a_district_s_own_scheme_of_codes_tells_the_parents(town: Town) -> None:
    parts = [{"name": "district", "digits": 6, "level": 3}, {"name": "cell", "digits": 9, "level": 0}]
    scheme = {"name": "flat", "total": 15, "parts": parts}
    town.submit(put_settings({CODE_SCHEME: scheme}))
    number = add(town, layer_geojson()).json()["number"]
    areas = town.get("clerk", "/api/v1/cells", generation=number).json()["areas"]
    assert [area["code"] for area in areas] == [CODE]
