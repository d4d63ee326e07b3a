"""The report: each fault where it is, as a table and on a map; and the faults of single cells and of their parents."""

import csv
import io
import json
from typing import Any

import msgspec
import pytest
import shapely

from geo import checks, reports
from geo.faults import Fault, FaultCode, Report, Severity, warning
from geo.layer import Reading, read_geojson, report_csv, report_geojson
from geo.points import Crs
from geo.refusals import SystemCode
from geo.sentences import SENTENCES
from tests.unit.geo.conftest import chessboard, collection, feature, square


def read(features: list[dict[str, Any]], **options: Any) -> Reading:
    return read_geojson(collection(features), Crs.WGS84, **options)


def only(reading: Reading, code: FaultCode) -> Fault:
    (fault,) = [fault for fault in reading.report.faults if fault.code is code]
    return fault


def faulty() -> Reading:
    """An overlap, a gap, a bow-tie beside them, a missing name and a foreign code."""
    cells: list[dict[str, Any]] = chessboard()
    del cells[4]
    cells[0]["geometry"] = square(112.4, 34.66, 112.4012, 34.6609)
    cells[7]["properties"]["name"] = ""
    return read(cells, district="110101")


def test_every_fault_of_a_cell_has_its_place() -> None:
    for fault in faulty().report.faults:
        assert (fault.geometry is not None) == (fault.code is not FaultCode.CODE_FOREIGN or bool(fault.cells))
    gap = only(faulty(), FaultCode.GAP)
    assert shapely.from_geojson(json.dumps(gap.geometry)).bounds == pytest.approx(
        (112.4011, 34.6609, 112.4022, 34.6618)
    )
    nameless = only(faulty(), FaultCode.NAME_MISSING)
    assert shapely.from_geojson(json.dumps(nameless.geometry)).geom_type == "Polygon"  # the cell's outline


def test_a_crossing_ring_is_shown_at_the_point_where_it_crosses() -> None:
    ring = [[112.41, 34.66], [112.42, 34.67], [112.42, 34.66], [112.41, 34.67], [112.41, 34.66]]
    bow_tie = [feature("410399001004001", {"type": "Polygon", "coordinates": [ring]})]
    for repair in (False, True):
        fault = only(read(bow_tie, repair=repair), FaultCode.RING_INVALID)
        assert fault.geometry is not None
        assert fault.geometry["type"] == "Point"
        assert fault.geometry["coordinates"] == pytest.approx([112.415, 34.665])


def test_a_repair_that_leaves_nothing_is_not_offered() -> None:
    line = [[112.4, 34.66], [112.41, 34.66], [112.42, 34.66], [112.4, 34.66]]
    flat = read([feature("410399001004001", {"type": "Polygon", "coordinates": [line]})])
    assert only(flat, FaultCode.RING_INVALID).repair is None


def test_the_faults_are_geojson_that_a_map_can_show() -> None:
    report = faulty().report
    document = json.loads(report_geojson(report))
    assert document["type"] == "FeatureCollection"
    assert len(document["features"]) == len(report.faults)
    for item, fault in zip(document["features"], report.faults, strict=True):
        assert item["properties"]["code"] == fault.code
        assert item["properties"]["sentence_zh"] == fault.sentence_zh
        if item["geometry"] is not None:
            assert shapely.from_geojson(json.dumps(item["geometry"])).is_valid
    assert document["features"][0]["properties"]["width_m"] == pytest.approx(9.2, abs=0.1)


def test_the_table_opens_in_a_spreadsheet_and_reckons_nothing() -> None:
    text = report_csv(faulty().report)
    assert text.startswith(b"\xef\xbb\xbf")
    rows = list(csv.DictReader(io.StringIO(text.decode("utf-8-sig"))))
    assert [row["code"] for row in rows] == [fault.code for fault in faulty().report.faults]
    assert rows[0]["cells"] == "410399001001001 410399001001002"
    assert float(rows[0]["area_m2"]) == pytest.approx(915, rel=0.01)
    evil = Report(
        (warning(FaultCode.NAME_MISSING, ("-1",)), warning(FaultCode.KIND_UNKNOWN, (), kind="=1+1"))
    )
    for row in csv.DictReader(io.StringIO(report_csv(evil).decode("utf-8-sig"))):
        assert not any(value and value[0] in "=+-@" for value in row.values())


def test_a_report_that_was_kept_is_read_again_also_one_of_the_first_edition() -> None:
    report = read(chessboard()[:1], repair=True).report
    assert msgspec.json.decode(msgspec.json.encode(report), type=Report) == report
    old = (
        b'{"faults":[{"code":"ring_invalid","severity":"warning","cells":["a"],"sentence_zh":"x","sentence_en":"y",'
        b'"area_m2":null,"width_m":null,"repair":{"method":"make_valid:structure","made":true,"area_before_m2":1.0,'
        b'"area_after_m2":1.0,"parts_before":1,"parts_after":2,"geometry":{}}}]}'
    )
    kept = msgspec.json.decode(old, type=Report)
    assert reports.placed(kept, {"a": shapely.box(0, 0, 1, 1)}).faults[0].geometry is not None
    assert msgspec.json.decode(b"{}", type=Report) == Report()


def test_a_file_full_of_faults_does_not_come_back_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports, "PLACED_MAX", 3)
    cells: list[dict[str, Any]] = chessboard()
    for cell in cells:
        cell["properties"]["name"] = ""
    placed = [fault.geometry is not None for fault in read(cells).report.faults]
    assert placed == [True] * 3 + [False] * 6


def test_a_sentence_names_some_cells_and_not_hundreds() -> None:
    fault = warning(FaultCode.GAP, tuple(str(n) for n in range(300)), area="1")
    assert len(fault.sentence_en) < 120
    assert "等" in fault.sentence_zh
    assert len(fault.cells) == 300


def test_every_code_has_a_sentence_in_both_languages() -> None:
    refusals = {
        FaultCode(code) for code in SystemCode if code is not SystemCode.UNKNOWN
    }  # these have their own
    assert set(SENTENCES) | refusals == set(FaultCode)
    for zh, en in SENTENCES.values():
        assert zh.endswith("。")
        assert en.endswith((".", "?"))


# Single cells


def test_a_strip_of_a_cell_is_told_with_its_width_and_a_long_valley_is_not() -> None:
    strip = feature("410399001001001", square(112.4, 34.66, 112.41, 34.660009))  # 916 m × 1 m
    fault = only(read([strip]), FaultCode.SLIVER_CELL)
    assert fault.severity is Severity.WARNING
    assert fault.width_m == pytest.approx(1.0, abs=0.05)
    valley = feature("410399001001001", square(112.4, 34.66, 112.5, 34.6603))  # 9 km × 33 m
    assert read([valley]).report.faults == ()


def test_a_border_of_very_many_corners_is_told_with_their_number() -> None:
    ring = shapely.get_coordinates(
        shapely.segmentize(shapely.box(112.4, 34.66, 112.41, 34.67), 0.00001)
    ).tolist()
    many = feature("410399001001001", {"type": "Polygon", "coordinates": [ring]})
    fault = only(read([many]), FaultCode.VERTICES_MANY)
    assert str(len(ring)) in fault.sentence_zh
    assert len(ring) > checks.VERTICES_MANY


def test_pieces_and_holes_are_noticed_and_block_nothing() -> None:
    outer: Any = square(112.4, 34.66, 112.41, 34.67)["coordinates"]
    hole = [[112.403, 34.663], [112.403, 34.666], [112.406, 34.666], [112.403, 34.663]]
    island: Any = square(112.42, 34.66, 112.43, 34.67)["coordinates"]
    ground: dict[str, object] = {"type": "MultiPolygon", "coordinates": [[*outer, hole], island]}
    reading = read([feature("410399001001001", ground)])
    assert reading.layer is not None
    notices = {fault.code: fault for fault in reading.report.notices}
    assert set(notices) == {FaultCode.HOLES, FaultCode.MULTI_PART}
    assert "2" in notices[FaultCode.MULTI_PART].sentence_en
    assert reading.report.warnings[0].code is FaultCode.GAP  # nobody has the ground of the hole


def test_a_cell_across_the_meridian_of_180_degrees_is_refused() -> None:
    cells = [*chessboard(), feature("410399001004001", square(-179.9, 34.66, 179.9, 34.67))]
    fault = only(read(cells), FaultCode.ANTIMERIDIAN)
    assert (fault.severity, fault.cells) == (Severity.ERROR, ("410399001004001",))


# Outlines of the areas above


def outline(code: str, ground: dict[str, object], **more: object) -> dict[str, Any]:
    return feature(code, ground, kind="area", **more)


def test_outlines_of_communities_are_no_cells_and_give_their_names() -> None:
    lats = [34.66 + 0.0009 * i for i in range(4)]
    rows = [
        outline(
            f"410399001{row + 1:03}", square(112.4, lats[row], 112.4033, lats[row + 1]), name=f"社区{row + 1}"
        )
        for row in range(3)
    ]
    reading = read([*chessboard(), *rows])
    assert reading.report.faults == ()
    assert reading.layer is not None
    assert len(reading.layer.cells) == 9
    assert [area.name for area in reading.layer.areas if area.level == 1] == ["社区1", "社区2", "社区3"]


def test_a_cell_outside_of_its_community_is_told_and_blocks_where_most_of_it_is() -> None:
    lats = [34.66 + 0.0009 * i for i in range(4)]
    partly = outline("410399001001", square(112.4, lats[0], 112.4030, lats[1]))
    fault = only(read([*chessboard(), partly]), FaultCode.OUTSIDE_PARENT)
    assert (fault.severity, fault.cells) == (Severity.WARNING, ("410399001001003",))
    assert fault.width_m == pytest.approx(27.5, abs=0.5)
    assert shapely.from_geojson(json.dumps(fault.geometry)).bounds[0] == pytest.approx(112.4030)
    elsewhere = outline("410399001001", square(112.4, lats[0], 112.4022, lats[1]))
    far = only(read([*chessboard(), elsewhere]), FaultCode.OUTSIDE_PARENT)
    assert (far.severity, far.cells) == (Severity.ERROR, ("410399001001003",))
    roughly = outline("410399001001", square(112.4, lats[0], 112.403297, lats[1]))  # 27 cm
    assert read([*chessboard(), roughly]).report.faults == ()


def test_an_outline_that_stands_twice_or_has_no_cells_is_told() -> None:
    ground = square(112.4, 34.66, 112.4033, 34.6627)
    twice = read([*chessboard(), outline("410399001", ground), outline("410399001", ground)])
    assert only(twice, FaultCode.CODE_DUPLICATE).severity is Severity.ERROR
    orphan = only(read([*chessboard(), outline("410399002", ground)]), FaultCode.AREA_WITHOUT_CELLS)
    assert (orphan.severity, orphan.cells) == (Severity.WARNING, ("410399002",))
    ring = [[112.4, 34.66], [112.4033, 34.6627], [112.4033, 34.66], [112.4, 34.6627], [112.4, 34.66]]
    crossed = read([*chessboard(), outline("410399001", {"type": "Polygon", "coordinates": [ring]})])
    assert only(crossed, FaultCode.RING_INVALID).cells == ("410399001",)
