"""A district hands in a file: what is right becomes a layer, what is wrong is named and can be mended."""

import json
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest
import shapely

from geo.cells import Area, Cell, Kind, Layer, Level
from geo.checks import check
from geo.coordinates import convert
from geo.faults import Fault, FaultCode, Severity
from geo.layer import Fields, Reading, read_geojson
from geo.points import Crs
from geo.writing import LayerError, from_geojson, simplified, to_geojson
from tests.unit.geo.conftest import MANCHESTER_FIELDS, chessboard, collection, feature, square
from tests.unit.geo.layer_files import in_metres


def read(features: list[dict[str, Any]], **options: Any) -> Reading:
    return read_geojson(collection(features), Crs.WGS84, **options)


def only(reading: Reading, code: FaultCode) -> Fault:
    """The one fault of this code."""
    (fault,) = [fault for fault in reading.report.faults if fault.code is code]
    return fault


# The good file


def test_a_clean_file_becomes_a_layer_without_a_word() -> None:
    reading = read(chessboard())
    assert reading.report.faults == ()
    assert reading.layer is not None
    assert len(reading.layer.cells) == 9


def test_parents_are_read_from_the_digits_of_the_code(board: Layer) -> None:
    assert board.ancestors("410399001002003") == ("410399001002", "410399001", "410399")
    assert [area.level for area in map(board.area, board.ancestors("410399001002003")) if area] == [1, 2, 3]
    assert board.cells_of("410399001002") == ("410399001002001", "410399001002002", "410399001002003")
    assert len(board.cells_of("410399")) == 9
    assert board.cells_of("410399001002003") == ("410399001002003",)
    assert board.cells_of("unknown") == board.ancestors("unknown") == ()


def test_parents_may_be_properties_with_names() -> None:
    above = {"lsoa": "L1", "msoa": "M1", "lad": "D1", "lsoa_name": "东社区"}
    cell = feature("a", square(112.4, 34.66, 112.41, 34.67), **above)
    fields = Fields(parents=("lsoa", "msoa", "lad"), parent_names=("lsoa_name",))
    layer = read([cell], fields=fields, area_names={"D1": "涧东区"}).layer
    assert layer is not None
    assert layer.area("L1") == Area("L1", "东社区", Level.COMMUNITY, Kind.AREA, "M1")
    assert layer.area("D1") == Area("D1", "涧东区", Level.DISTRICT, Kind.AREA, None)
    assert layer.area("a") == Area("a", "格a", Level.CELL, Kind.BASIC, "L1")


def test_codes_that_a_table_holds_as_numbers_are_codes() -> None:
    cells = chessboard()
    for cell in cells:
        cell["properties"] = {"code": int(cell["properties"]["code"])}  # type: ignore[index]
    layer = read(cells).layer
    assert layer is not None
    assert layer.codes[0] == "410399001001001"


def test_a_file_in_another_system_lands_where_it_belongs(board: Layer) -> None:
    shifted = shapely.transform(
        board.geometries, lambda xy: np.column_stack(convert(xy[:, 0], xy[:, 1], Crs.WGS84, Crs.BD09))
    )
    cells = [
        feature(cell.code, json.loads(shapely.to_geojson(ground)))
        for cell, ground in zip(board.cells, shifted, strict=True)
    ]
    reading = read_geojson(collection(cells), Crs.BD09)
    assert reading.report.faults == ()  # shared vertices are still shared
    assert reading.layer is not None
    assert reading.layer.bbox == pytest.approx(board.bbox, abs=1e-9)


# Manchester, which carries two rings that touch themselves


def test_invalid_rings_block_an_import_and_the_repair_is_shown_before_it_is_made(
    manchester_file: bytes,
) -> None:
    reading = read_geojson(manchester_file, Crs.WGS84, MANCHESTER_FIELDS)
    assert reading.layer is None
    assert [(fault.code, fault.severity, fault.cells) for fault in reading.report.faults] == [
        (FaultCode.RING_INVALID, Severity.ERROR, ("E00025747",)),
        (FaultCode.RING_INVALID, Severity.ERROR, ("E00025897",)),
        (FaultCode.PLACE_UNUSUAL, Severity.WARNING, ()),  # it is not in China
    ]
    for fault in reading.report.errors:
        assert fault.repair is not None
        assert not fault.repair.made
        assert fault.repair.area_after_m2 == pytest.approx(fault.repair.area_before_m2, rel=1e-6)
        assert shapely.from_geojson(json.dumps(fault.repair.geometry)).is_valid


def test_the_repair_is_made_when_asked_for_and_still_reported(manchester_file: bytes) -> None:
    reading = read_geojson(manchester_file, Crs.WGS84, MANCHESTER_FIELDS, repair=True)
    assert [
        (fault.severity, fault.cells, fault.repair and fault.repair.made) for fault in reading.report.warnings
    ] == [
        (Severity.WARNING, (), None),
        (Severity.WARNING, ("E00025747",), True),
        (Severity.WARNING, ("E00025897",), True),
    ]
    assert reading.layer is not None
    assert len(reading.layer.cells) == 1530
    again = check(reading.layer)
    assert (again.errors, again.warnings) == ((), ())
    assert {fault.code for fault in again.notices} == {FaultCode.MULTI_PART, FaultCode.HOLES}


# The file itself


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", FaultCode.FILE_EMPTY),
        (b" \n", FaultCode.FILE_EMPTY),
        (b'{"type": "FeatureCollection", "features": [', FaultCode.JSON_MALFORMED),
        (b'{"type": "FeatureCollection", "features": [NaN]}', FaultCode.JSON_MALFORMED),
        (b"PK\x03\x04 a spreadsheet", FaultCode.JSON_MALFORMED),
        (b"[" * 100_000, FaultCode.JSON_MALFORMED),
        (b'{"type": "FeatureCollection", "features": [' + b"9" * 5000 + b"]}", FaultCode.JSON_MALFORMED),
        (b'{"type": "FeatureCollection", "features": [{"id": 1, "id": 2}]}', FaultCode.JSON_DUPLICATE_KEY),
        (b'{"features": [], "type": "FeatureCollection", "features": []}', FaultCode.JSON_DUPLICATE_KEY),
        (b"[]", FaultCode.NOT_A_FEATURE_COLLECTION),
        (b'{"type": "Topology", "features": []}', FaultCode.NOT_A_FEATURE_COLLECTION),
        (b'{"type": "FeatureCollection", "features": []}', FaultCode.NO_CELLS),
    ],
)
def test_a_file_that_holds_no_layer_says_why(content: bytes, code: FaultCode) -> None:
    reading = read_geojson(content, Crs.WGS84)
    assert reading.layer is None
    assert [fault.code for fault in reading.report.faults] == [code]


def test_a_file_with_a_byte_order_mark_is_read() -> None:
    assert read_geojson(b"\xef\xbb\xbf" + collection(chessboard()), Crs.WGS84).layer is not None


def test_without_a_declared_coordinate_system_nothing_is_guessed() -> None:
    reading = read_geojson(collection(chessboard()), None)
    assert reading.layer is None
    assert [fault.code for fault in reading.report.faults] == [FaultCode.CRS_MISSING]


@pytest.mark.parametrize("said", ["EPSG:4547", "urn:ogc:def:crs:EPSG::4547", "the text of a .prj"])
@pytest.mark.parametrize("by", ["the file", "a person"])
def test_a_layer_in_metres_comes_to_lie_where_it_does_in_degrees(said: str, by: str) -> None:
    cells, text = in_metres(chessboard())
    system = text if "text" in said else said
    if by == "a person":
        reading = read_geojson(collection(cells), system)
    else:
        reading = read_geojson(collection(cells, crs={"type": "name", "properties": {"name": system}}), None)
    degrees = read_geojson(collection(chessboard()), Crs.WGS84)
    assert reading.layer is not None, reading.report
    assert degrees.layer is not None
    apart = shapely.hausdorff_distance(reading.layer.geometries, degrees.layer.geometries)
    assert apart.max() < 1e-9
    assert reading.report.faults == degrees.report.faults


def test_a_citys_own_plane_is_told_by_its_table() -> None:
    cells, _ = in_metres(chessboard(), east=300_000, north=3_800_000)
    shift = {"axes": "east_north", "dx_m": 300_000, "dy_m": 3_800_000, "rotation_s": 0, "scale_ppm": 0}
    table = {"base": "EPSG:4547", "name": "洛阳地方坐标系", "plane": shift}
    reading = read_geojson(collection(cells), table)
    assert reading.layer is not None, reading.report
    assert reading.layer.bbox == pytest.approx((112.4, 34.66, 112.4033, 34.6627), abs=1e-8)


@pytest.mark.parametrize(
    ("named", "declared", "code"),
    [
        (
            "urn:ogc:def:crs:EPSG::4547",
            Crs.CGCS2000,
            FaultCode.CRS_CONFLICT,
        ),  # a projected system of zone 114
        ("EPSG:99999", Crs.CGCS2000, FaultCode.CRS_UNKNOWN),
        ("urn:ogc:def:crs:OGC:1.3:CRS84", Crs.GCJ02, FaultCode.CRS_CONFLICT),
        ("EPSG:4490", Crs.CGCS2000, None),
        ("EPSG:4490", Crs.WGS84, None),  # the same numbers
        ("EPSG:4490", None, None),
        ("urn:ogc:def:crs:EPSG::4326", None, None),
        ("urn:x:klingon", None, FaultCode.CRS_UNKNOWN),
    ],
)
def test_a_coordinate_system_named_in_the_file_must_agree(
    named: str, declared: Crs | None, code: FaultCode | None
) -> None:
    member = {"type": "name", "properties": {"name": named}}
    for crs in (member, named):
        reading = read_geojson(collection(chessboard(), crs=crs), declared)
        assert [fault.code for fault in reading.report.errors] == ([] if code is None else [code])


@pytest.mark.parametrize(
    "crs",
    [
        {"type": "link", "properties": {"href": "http://example.org/crs"}},
        {"type": "EPSG", "properties": {"code": 3857}},
        {"type": "name", "properties": {"name": 4326}},
        4326,
        {},
    ],
)
def test_a_coordinate_system_told_in_a_way_nobody_here_knows_is_not_passed_over(crs: object) -> None:
    for declared in (Crs.WGS84, None):
        reading = read_geojson(collection(chessboard(), crs=crs), declared)
        assert [fault.code for fault in reading.report.faults] == [FaultCode.CRS_UNKNOWN]


def test_a_coordinate_system_may_stand_at_the_geometry() -> None:
    cells: list[dict[str, Any]] = chessboard()
    cells[3]["geometry"]["crs"] = {"type": "name", "properties": {"name": "EPSG:3857"}}
    assert only(read(cells), FaultCode.CRS_CONFLICT).severity is Severity.ERROR
    assert read_geojson(collection(chessboard(), crs=None), Crs.WGS84).report.faults == ()


def test_a_key_that_stands_twice_is_no_choice_between_two_codes() -> None:
    body = collection(chessboard()).replace(
        b'"code": "410399001001001"', b'"code": "410399001009001", "code": "410399001001001"'
    )
    (fault,) = read_geojson(body, Crs.WGS84).report.faults
    assert fault.code is FaultCode.JSON_DUPLICATE_KEY
    assert "code" in fault.sentence_en


# Coordinates


def moved(change: Callable[[float, float], tuple[float, float]]) -> list[dict[str, Any]]:
    cells: list[dict[str, Any]] = chessboard()
    for cell in cells:
        ring = cell["geometry"]["coordinates"][0]
        cell["geometry"]["coordinates"] = [[list(change(x, y)) for x, y in ring]]
    return cells


def test_latitude_first_is_recognised() -> None:
    assert [fault.code for fault in read(moved(lambda x, y: (y, x))).report.faults] == [
        FaultCode.AXES_SWAPPED
    ]


def test_latitude_first_is_recognised_where_both_could_be_latitudes() -> None:
    # Kashgar: 75.98 E could be a latitude
    west = moved(lambda x, y: (y + 4.8, x - 36.4))
    assert [fault.code for fault in read(west).report.faults] == [FaultCode.AXES_SWAPPED]


def test_latitude_first_is_recognised_by_the_last_edition_outside_china(manchester: Layer) -> None:
    swapped = [
        feature(
            cell.code,
            json.loads(shapely.to_geojson(shapely.transform(cell.geometry, lambda xy: xy[:, ::-1]))),
        )
        for cell in manchester.cells[:20]
    ]
    reading = read(swapped, fields=MANCHESTER_FIELDS, previous=manchester)
    assert [fault.code for fault in reading.report.faults] == [FaultCode.AXES_SWAPPED]


def test_projected_metres_declared_as_degrees_are_recognised() -> None:
    metres = moved(lambda x, y: (x * 91_000, y * 111_000))
    assert [fault.code for fault in read(metres).report.faults] == [FaultCode.METRES_AS_DEGREES]


def test_coordinates_off_the_earth_name_their_cell() -> None:
    cells = chessboard()
    cells[4]["geometry"] = square(190.0, 34.66, 190.1, 34.67)
    fault = only(read(cells), FaultCode.COORDINATES_OUT_OF_RANGE)
    assert fault.cells == ("410399001002002",)


def test_a_cell_far_from_the_last_edition_is_an_error(board: Layer) -> None:
    cells = [*chessboard(), feature("410399001004001", square(113.6, 34.7, 113.7, 34.8))]
    fault = only(read(cells, previous=board), FaultCode.OUTSIDE_EXTENT)
    assert fault.cells == ("410399001004001",)


def test_a_wrong_tag_is_suspected_when_the_last_edition_lies_elsewhere(board: Layer) -> None:
    gcj = moved(lambda x, y: tuple(float(v[0]) for v in convert([x], [y], Crs.WGS84, Crs.GCJ02)))  # type: ignore[arg-type,return-value]
    fault = only(read(gcj, previous=board), FaultCode.CRS_SUSPECTED)
    assert "gcj02" in fault.sentence_en
    assert read_geojson(collection(gcj), Crs.GCJ02, previous=board).report.faults == ()
    assert read(chessboard(), previous=board).report.faults == ()


def test_a_layer_far_from_the_last_edition_is_refused_as_a_whole(board: Layer) -> None:
    for change in (lambda x, y: (x + 1, y), lambda x, y: (x - 112.4, y - 34.66)):
        (fault,) = read(moved(change), previous=board).report.errors
        assert fault.code is FaultCode.LAYER_ELSEWHERE
    assert read(moved(lambda x, y: (x - 112.4, y - 34.66))).report.warnings[0].code is FaultCode.PLACE_UNUSUAL


def test_a_last_edition_that_lies_nowhere_does_not_keep_the_right_one_out(board: Layer) -> None:
    nowhere = read(moved(lambda x, y: (x - 112.4, y - 34.66))).layer
    reading = read(chessboard(), previous=nowhere)
    assert reading.layer is not None
    assert [fault.code for fault in reading.report.faults] == [FaultCode.LAYER_ELSEWHERE]


def test_cells_that_keep_their_codes_and_not_their_ground_are_told_of(board: Layer) -> None:
    near = only(read(moved(lambda x, y: (x + 0.01, y)), previous=board), FaultCode.CELLS_MOVED)
    assert (near.severity, " 917 m" in near.sentence_en) == (Severity.WARNING, True)
    stretched = read(moved(lambda x, y: (112.4 + (x - 112.4) * 300, y))).layer
    far = only(read(chessboard(), previous=stretched), FaultCode.CELLS_MOVED)
    assert far.severity is Severity.ERROR


@pytest.mark.parametrize("number", [10**400, -(10**309), "112.4", True, None, [112.4]])
def test_what_is_no_coordinate_names_its_cell(number: object) -> None:
    cells: list[dict[str, Any]] = chessboard()
    cells[0]["geometry"]["coordinates"][0][1][0] = number
    assert only(read(cells), FaultCode.COORDINATES_MALFORMED).cells == ("410399001001001",)


# Codes and parents


@pytest.mark.parametrize(
    "code", ["outside", "a\x00b", "a b", "x" * 65, "x" * 100_000, "<b>", 10**100, "\ud800"], ids=range(8)
)
def test_what_cannot_be_a_code_blocks_and_is_not_repeated(code: object) -> None:
    for field in ("code", "parent"):
        cells: list[dict[str, Any]] = [feature("a", square(112.4, 34.66, 112.41, 34.67), parent="D")]
        cells[0]["properties"][field] = code
        report = read(cells, fields=Fields(parents=("parent",))).report
        fault = next(fault for fault in report.errors if fault.code is FaultCode.CODE_NOT_ALLOWED)
        assert field in fault.sentence_en
        assert len(msgspec.json.encode(report)) < 2000


@pytest.mark.parametrize("name", ["甲\x00", "甲\n乙", "甲" * 101, "\ud800"])
def test_a_name_is_one_line_that_fits_a_list(name: str) -> None:
    cells: list[dict[str, Any]] = chessboard()
    cells[0]["properties"]["name"] = name
    assert only(read(cells), FaultCode.NAME_NOT_ALLOWED).cells == ("410399001001001",)
    above = feature("a", square(112.4, 34.66, 112.41, 34.67), parent="D", parent_name=name)
    fields = Fields(parents=("parent",), parent_names=("parent_name",))
    assert only(read([above], fields=fields), FaultCode.NAME_NOT_ALLOWED).severity is Severity.ERROR


def test_there_is_one_district_at_the_top() -> None:
    cells = [
        feature("a", square(112.4, 34.66, 112.41, 34.67), parent="D"),
        feature("b", square(112.41, 34.66, 112.42, 34.67), parent="E"),
    ]
    fault = only(read(cells, fields=Fields(parents=("parent",))), FaultCode.DISTRICT_NOT_ONE)
    assert "D、E" in fault.sentence_zh


def test_codes_of_another_county_are_told_of() -> None:
    fault = only(read(chessboard(), district="110101"), FaultCode.CODE_FOREIGN)
    assert (fault.severity, "9 cells" in fault.sentence_en) == (Severity.WARNING, True)
    assert read(chessboard(), district="410399").report.faults == ()
    assert read(chessboard(), district="x1").report.faults == ()


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        ("410399001001002", FaultCode.CODE_DUPLICATE),
        ("", FaultCode.CODE_MISSING),
        ("A1", FaultCode.CODE_MALFORMED),
        ("41039900100100１", FaultCode.CODE_MALFORMED),  # a full-width digit
    ],
)
def test_a_bad_code_blocks(code: str, fault: FaultCode) -> None:
    cells: list[dict[str, Any]] = chessboard()
    cells[0]["properties"]["code"] = code
    reading = read(cells)
    assert reading.layer is None
    assert fault in {found.code for found in reading.report.errors}


def test_a_cell_without_parent_blocks() -> None:
    cells = [feature("a", square(112.4, 34.66, 112.41, 34.67), parent=None)]
    assert (
        only(read(cells, fields=Fields(parents=("parent",))), FaultCode.PARENT_MISSING).severity
        is Severity.ERROR
    )


def test_an_area_cannot_lie_in_two_streets() -> None:
    cells = [
        feature("a", square(112.4, 34.66, 112.41, 34.67), c="C", s="S1", d="D"),
        feature("b", square(112.41, 34.66, 112.42, 34.67), c="C", s="S2", d="D"),
    ]
    fault = only(read(cells, fields=Fields(parents=("c", "s", "d"))), FaultCode.PARENT_CONFLICT)
    assert "S1、S2" in fault.sentence_zh


def test_a_layer_put_together_by_hand_must_know_its_parents() -> None:
    ground = shapely.box(112.4, 34.66, 112.41, 34.67)
    street = Area("S", "街道", Level.STREET, Kind.AREA, "D")
    orphan = Layer.of([Cell.of("a", "格", "gone", ground)], [street])
    assert [(fault.code, fault.cells) for fault in check(orphan).errors] == [
        (FaultCode.PARENT_UNKNOWN, ("S",)),
        (FaultCode.PARENT_UNKNOWN, ("a",)),
    ]
    district = Area("D", "区", Level.DISTRICT, Kind.AREA, "S")
    upside_down = Layer.of([Cell.of("a", "格", "S", ground)], [street, district])
    assert [fault.code for fault in check(upside_down).errors] == [FaultCode.PARENT_LEVEL]
    assert upside_down.ancestors("a") == ("S", "D")  # a circle ends
    assert [fault.code for fault in check(Layer.of([], [])).errors] == [FaultCode.NO_CELLS]


def test_an_unknown_kind_blocks_and_a_missing_name_does_not() -> None:
    cells: list[dict[str, Any]] = chessboard()
    cells[0]["properties"]["kind"] = "virtual"
    assert only(read(cells), FaultCode.KIND_UNKNOWN).severity is Severity.ERROR
    cells[0]["properties"] |= {"kind": "dedicated", "name": ""}
    reading = read(cells)
    assert only(reading, FaultCode.NAME_MISSING).severity is Severity.WARNING
    assert reading.layer is not None
    assert reading.layer.cells[0].kind is Kind.DEDICATED
    assert reading.layer.cells[0].name == "410399001001001"


# The ground of one cell


@pytest.mark.parametrize(
    ("geometry", "code"),
    [
        (None, FaultCode.GEOMETRY_MISSING),
        ({"type": "Point", "coordinates": [112.4, 34.66]}, FaultCode.GEOMETRY_NOT_POLYGON),
        ({"type": "GeometryCollection", "geometries": []}, FaultCode.GEOMETRY_NOT_POLYGON),
        ({"type": "Polygon", "coordinates": []}, FaultCode.GEOMETRY_EMPTY),
        (
            {"type": "Polygon", "coordinates": [[[112.4, 34.66], [112.41, 34.66]]]},
            FaultCode.COORDINATES_MALFORMED,
        ),
        ({"type": "Polygon", "coordinates": [[["a", "b"]] * 4]}, FaultCode.COORDINATES_MALFORMED),
        ({"type": "Polygon", "coordinates": [[112.4, 34.66]]}, FaultCode.COORDINATES_MALFORMED),
        ({"type": "Polygon", "coordinates": 5}, FaultCode.COORDINATES_MALFORMED),
        ({"type": "Polygon"}, FaultCode.GEOMETRY_EMPTY),
    ],
)
def test_ground_that_is_no_polygon_names_its_cell(
    geometry: dict[str, object] | None, code: FaultCode
) -> None:
    cells = [*chessboard(), feature("410399001004001", geometry)]
    reading = read(cells)
    assert reading.layer is None
    assert only(reading, code).cells == ("410399001004001",)


def test_a_bow_tie_is_mended_into_its_two_halves() -> None:
    ring = [[112.41, 34.66], [112.42, 34.67], [112.42, 34.66], [112.41, 34.67], [112.41, 34.66]]
    bow_tie = [feature("410399001004001", {"type": "Polygon", "coordinates": [ring]})]
    assert only(read(bow_tie), FaultCode.RING_INVALID).severity is Severity.ERROR
    reading = read(bow_tie, repair=True)
    repair = only(reading, FaultCode.RING_INVALID).repair
    assert repair is not None
    assert (repair.made, repair.parts_before, repair.parts_after) == (True, 1, 2)
    assert reading.layer is not None
    assert shapely.get_num_geometries(reading.layer.cells[0].geometry) == 2


def test_a_ring_without_ground_cannot_be_mended() -> None:
    line = [[112.4, 34.66], [112.41, 34.66], [112.42, 34.66], [112.4, 34.66]]
    reading = read([feature("410399001004001", {"type": "Polygon", "coordinates": [line]})], repair=True)
    assert reading.layer is None
    assert FaultCode.GEOMETRY_EMPTY in {fault.code for fault in reading.report.errors}


# Between cells


def test_an_overlap_blocks_and_tells_area_and_width() -> None:
    cells = chessboard()
    # the south-west cell reaches 0.0001 degrees (9.2 m) into its eastern neighbour, over 0.0009 (99.8 m)
    cells[0]["geometry"] = square(112.4, 34.66, 112.4012, 34.6609)
    reading = read(cells)
    assert reading.layer is None
    fault = only(reading, FaultCode.OVERLAP)
    assert fault.cells == ("410399001001001", "410399001001002")
    assert fault.width_m == pytest.approx(9.2, abs=0.1)
    assert fault.area_m2 == pytest.approx(9.17 * 99.84, rel=0.01)


def test_the_same_ground_given_twice_is_an_overlap() -> None:
    cells = chessboard()
    cells[1]["geometry"] = cells[0]["geometry"]
    assert only(read(cells), FaultCode.OVERLAP).cells == ("410399001001001", "410399001001002")


def test_a_hole_between_cells_is_a_gap_that_does_not_block() -> None:
    cells = chessboard()
    del cells[4]
    reading = read(cells)
    assert reading.layer is not None
    fault = only(reading, FaultCode.GAP)
    assert fault.area_m2 == pytest.approx(100.8 * 99.8, rel=0.01)
    assert len(fault.cells) == 8


def test_a_slip_of_the_pen_is_a_sliver_with_its_width() -> None:
    cells = chessboard()
    # the middle cell stops 0.000005 degrees (46 cm) short of its eastern neighbour
    cells[4]["geometry"] = square(112.4011, 34.6609, 112.402195, 34.6618)
    reading = read(cells)
    assert reading.layer is not None
    fault = only(reading, FaultCode.SLIVER)
    assert fault.width_m == pytest.approx(0.46, abs=0.02)
    assert {"410399001002002", "410399001002003"} <= set(fault.cells)


def test_a_crack_that_opens_to_the_outside_is_a_sliver_too() -> None:
    cells = [
        feature("410399001001001", square(112.4, 34.66, 112.41, 34.67)),
        feature("410399001001002", square(112.410005, 34.66, 112.42, 34.67)),
    ]
    slivers = {fault.cells for fault in read(cells).report.warnings if fault.code is FaultCode.SLIVER}
    assert slivers == {("410399001001001",), ("410399001001002",)}


def test_a_border_drawn_with_different_points_is_a_warning() -> None:
    cells = [
        feature("410399001001001", square(112.4, 34.66, 112.41, 34.68)),
        feature("410399001001002", square(112.41, 34.66, 112.42, 34.67)),
        feature("410399001001003", square(112.41, 34.67, 112.42, 34.68)),
    ]
    reading = read(cells)
    assert reading.layer is not None
    assert {fault.code for fault in reading.report.faults} == {FaultCode.BORDER_NOT_SHARED}
    # once the missing corner is drawn, nothing is left to say
    corners = [
        [112.4, 34.66],
        [112.41, 34.66],
        [112.41, 34.67],
        [112.41, 34.68],
        [112.4, 34.68],
        [112.4, 34.66],
    ]
    cells[0]["geometry"] = {"type": "Polygon", "coordinates": [corners]}
    assert read(cells).report.faults == ()


def test_every_fault_has_a_sentence_in_both_languages() -> None:
    cells: list[dict[str, Any]] = chessboard()
    cells[0]["geometry"] = square(112.4, 34.66, 112.4012, 34.6609)
    cells[5]["properties"]["code"] = "x"
    for fault in read(cells).report.faults:
        assert fault.sentence_zh.endswith("。")
        assert fault.sentence_en.endswith(".")
        assert all(code in fault.sentence_en for code in fault.cells)


# Keeping and drawing


def test_a_layer_written_and_read_back_is_the_same_to_the_last_bit(manchester: Layer, board: Layer) -> None:
    assert from_geojson(to_geojson(manchester)) == manchester
    assert from_geojson(to_geojson(board)) == board


def test_what_is_written_is_geojson_that_anybody_can_read(board: Layer) -> None:
    document = json.loads(to_geojson(board))
    assert document["type"] == "FeatureCollection"
    assert document["features"][0]["properties"]["parent"] == "410399001001"
    assert read_geojson(to_geojson(board), Crs.WGS84).layer == board


@pytest.mark.parametrize("content", [b"", b"{}", b"null", b'{"type": "FeatureCollection", "features": []}'])
def test_bytes_that_are_no_kept_layer_are_refused(content: bytes) -> None:
    with pytest.raises(LayerError):
        from_geojson(content)


def test_a_drawing_has_fewer_corners_and_still_no_gaps(manchester: Layer) -> None:
    drawn = simplified(manchester, 100.0)
    corners = shapely.get_num_coordinates
    assert corners(drawn.geometries).sum() < 0.6 * corners(manchester.geometries).sum()
    assert drawn.codes == manchester.codes
    found = {fault.code for fault in check(drawn).faults}
    assert found <= {FaultCode.SLIVER_CELL, FaultCode.MULTI_PART, FaultCode.HOLES}  # none is between cells
    assert len(to_geojson(drawn, decimals=6)) < 0.7 * len(to_geojson(manchester))


def test_a_file_that_calls_its_parents_parent_needs_no_description(manchester_file: bytes) -> None:
    reading = read_geojson(manchester_file, Crs.WGS84, repair=True)
    assert reading.layer is not None
    assert [fault.code for fault in reading.report.errors] == []
    assert {area.code for area in reading.layer.areas} == {"E08000003"}
