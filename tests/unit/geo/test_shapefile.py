"""A district hands in a shapefile: the same cells, the same rules, the same report; and what is broken says how."""

import io
import struct
import tracemalloc
import zipfile
from typing import Any

import numpy as np
import pyproj
import pytest
import shapefile
import shapely
from hypothesis import given, settings, strategies as st

from geo import archive as archives, document
from geo.cells import Layer
from geo.coordinates import convert
from geo.faults import Fault, FaultCode
from geo.layer import Fields, Form, Reading, Severity, exported, read_file
from geo.points import Crs
from geo.shapefile import RINGS_MAX
from tests.unit.geo.conftest import chessboard, feature, square
from tests.unit.geo.layer_files import CGCS_PRJ, METRES_PRJ, WGS84_PRJ, board_shapefile, parts_of, zipped


def read(content: bytes, crs: Crs | None = Crs.WGS84, **options: Any) -> Reading:
    return read_file(content, crs, **options)


def codes(reading: Reading) -> list[FaultCode]:
    return [fault.code for fault in reading.report.faults]


def only_error(reading: Reading) -> Fault:
    """The one fault of a file that makes no layer, with its sentences filled in."""
    assert reading.layer is None
    (fault,) = reading.report.errors
    assert fault.sentence_zh.endswith("。")
    assert "{" not in fault.sentence_zh + fault.sentence_en
    return fault


# The good file


@pytest.mark.parametrize(
    ("prj", "crs"), [(WGS84_PRJ, None), (CGCS_PRJ, None), (WGS84_PRJ, Crs.CGCS2000), ("", Crs.WGS84)]
)
def test_a_shapefile_is_the_same_layer_as_geojson(board: Layer, prj: str, crs: Crs | None) -> None:
    said = {"prj": prj} if prj else {}
    reading = read(board_shapefile(cpg="UTF-8", **said), crs)
    assert reading.report.faults == ()
    assert reading.layer == board


def test_the_shx_is_not_needed_and_names_may_be_in_capitals(board: Layer) -> None:
    parts = parts_of(chessboard())
    del parts[".shx"]
    shouted = {ending.upper(): content for ending, content in parts.items()} | {".CPG": b"65001"}
    assert read(zipped(shouted, stem="CELLS")).layer == board
    beside = {"__MACOSX/._cells.shp": b"x", "readme.txt": b"y"}
    assert read(zipped(parts | {".cpg": b"utf8"}, beside)).layer == board


def test_it_is_known_by_its_bytes_whatever_it_is_called(board: Layer) -> None:
    content = board_shapefile(cpg="UTF-8")
    assert read(content, form=None).layer == read(content, form=Form.SHAPEFILE).layer == board
    assert only_error(read(content, form=Form.GEOJSON)).code is FaultCode.ENCODING_WRONG
    assert only_error(read(b"{}", form=Form.SHAPEFILE)).code is FaultCode.ARCHIVE_BROKEN


def test_a_shapefile_in_a_shifted_system_lands_where_it_belongs(board: Layer) -> None:
    cells: list[dict[str, Any]] = chessboard()
    for cell in cells:
        ring = np.array(cell["geometry"]["coordinates"][0])
        moved = np.column_stack(convert(ring[:, 0], ring[:, 1], Crs.WGS84, Crs.GCJ02)).tolist()
        cell["geometry"]["coordinates"] = [moved]
    content = zipped(parts_of(cells) | {".cpg": b"UTF-8"})
    reading = read(content, Crs.GCJ02)
    assert reading.layer is not None
    assert reading.layer.bbox == pytest.approx(board.bbox, abs=1e-9)
    # the file itself says that nothing is shifted
    named = read(zipped(parts_of(cells) | {".cpg": b"UTF-8", ".prj": WGS84_PRJ.encode()}), Crs.GCJ02)
    assert codes(named) == [FaultCode.CRS_CONFLICT]


def test_codes_that_the_table_holds_as_numbers_and_struck_out_rows(board: Layer) -> None:
    files = {ending: io.BytesIO() for ending in ("shp", "shx", "dbf")}
    with shapefile.Writer(shapeType=shapefile.POLYGON, **files) as writer:
        writer.field("code", "N", size=15)
        writer.field("area", "F", size=12, decimal=3)
        writer.field("since", "D")
        cells: list[dict[str, Any]] = chessboard()
        for cell in [*cells, cells[0]]:
            writer.poly([ring[::-1] for ring in cell["geometry"]["coordinates"]])
            writer.record(int(cell["properties"]["code"]), 1.5, "20260101")
    table = bytearray(files["dbf"].getvalue())
    header, width = struct.unpack("<HH", table[8:12])
    table[header + 9 * width] = ord("*")  # the last row, which would be a duplicate
    parts = {".shp": files["shp"].getvalue(), ".dbf": bytes(table)}
    reading = read(zipped(parts))
    assert reading.layer is not None, reading.report
    assert reading.layer.codes == board.codes


def test_holes_and_pieces_are_kept_and_noticed() -> None:
    ring = [[112.4, 34.66], [112.41, 34.66], [112.41, 34.67], [112.4, 34.67], [112.4, 34.66]]
    park = [[112.403, 34.663], [112.403, 34.666], [112.406, 34.666], [112.406, 34.663], [112.403, 34.663]]
    ground = {"type": "Polygon", "coordinates": [ring, park]}
    island = [[112.42, 34.66], [112.43, 34.66], [112.43, 34.67], [112.42, 34.67], [112.42, 34.66]]
    files = {ending: io.BytesIO() for ending in ("shp", "shx", "dbf")}
    with shapefile.Writer(shapeType=shapefile.POLYGON, **files) as writer:
        writer.field("code", "C", size=15)
        writer.poly([ring[::-1], park[::-1], island[::-1]])
        writer.record("410399001001001")
    reading = read(zipped({".shp": files["shp"].getvalue(), ".dbf": files["dbf"].getvalue()}))
    assert reading.layer is not None
    (cell,) = reading.layer.cells
    assert cell.geometry.equals(
        shapely.MultiPolygon([shapely.Polygon(ring, [park]), shapely.Polygon(island)])
    )
    noticed = {fault.code: fault.severity for fault in reading.report.faults}
    assert noticed[FaultCode.HOLES] is noticed[FaultCode.MULTI_PART] is Severity.NOTICE
    assert ground["type"] == "Polygon"


# Its texts


def in_gbk() -> dict[str, bytes]:
    return parts_of(chessboard(), encoding="gbk")


def test_names_in_gbk_without_a_cpg_are_read_and_the_guess_is_told(board: Layer) -> None:
    reading = read(zipped(in_gbk()))
    assert reading.layer == board
    (fault,) = reading.report.faults
    assert (fault.code, fault.severity) == (FaultCode.ENCODING_GUESSED, Severity.NOTICE)
    assert "gb18030" in fault.sentence_zh


def test_names_in_utf_8_without_a_cpg_are_read_as_such(board: Layer) -> None:
    reading = read(zipped(parts_of(chessboard())))
    assert reading.layer == board
    assert "utf-8" in reading.report.faults[0].sentence_en


def test_gbk_that_could_be_letters_of_utf_8_is_read_as_chinese() -> None:
    assert "路楼".encode("gbk").decode("utf-8") == "·¥"
    cells: list[dict[str, Any]] = chessboard()
    for cell in cells:
        cell["properties"]["name"] = "路楼"
    layer = read(zipped(parts_of(cells, encoding="gbk"))).layer
    assert layer is not None
    assert {cell.name for cell in layer.cells} == {"路楼"}


@pytest.mark.parametrize("cpg", ["GBK", "936", "cp936", "ANSI 936", "GB2312", "gb18030"])
def test_what_the_cpg_says_is_followed_without_a_word(board: Layer, cpg: str) -> None:
    reading = read(zipped(in_gbk() | {".cpg": cpg.encode()}))
    assert (reading.layer, reading.report.faults) == (board, ())


def test_the_language_in_the_table_and_the_option_tell_it_too(board: Layer) -> None:
    parts = in_gbk()
    assert read(zipped(parts), encoding="gbk").report.faults == ()
    marked = bytearray(parts[".dbf"])
    marked[29] = 0x4D
    reading = read(zipped(parts | {".dbf": bytes(marked)}))
    assert (reading.layer, reading.report.faults) == (board, ())
    # the option is above a .cpg that is wrong, and a .cpg that nobody knows is a guess
    assert read(zipped(parts | {".cpg": b"UTF-8"}), encoding="gb18030").layer == board
    assert codes(read(zipped(parts | {".cpg": b"OEM 437"}))) == [FaultCode.ENCODING_GUESSED]


def test_a_wrong_encoding_is_an_error_and_no_scrambled_names() -> None:
    for reading in (read(zipped(in_gbk() | {".cpg": b"UTF-8"})), read(zipped(in_gbk()), encoding="utf-8")):
        fault = only_error(reading)
        assert (fault.code, "utf-8" in fault.sentence_zh) == (FaultCode.ENCODING_WRONG, True)
    unknown = only_error(read(zipped(in_gbk()), encoding="rot13"))
    assert (unknown.code, "gb18030" in unknown.sentence_en) == (FaultCode.ENCODING_UNKNOWN, True)


def test_a_column_that_cuts_a_character_in_half_loses_only_that() -> None:
    parts = parts_of([feature("410399001001001", square(112.4, 34.66, 112.41, 34.67))], columns=("code",))
    for encoding, cut in (("gbk", "网格".encode("gbk")[:3]), ("utf-8", "网格".encode()[:5])):
        files = {ending: io.BytesIO() for ending in ("shp", "shx", "dbf")}
        with shapefile.Writer(shapeType=shapefile.POLYGON, encoding="latin-1", **files) as writer:
            writer.field("code", "C", size=15)
            writer.field("name", "C", size=len(cut))
            writer.poly([[(112.4, 34.66), (112.4, 34.67), (112.41, 34.67), (112.4, 34.66)]])
            writer.record("410399001001001", cut.decode("latin-1"))
        content = zipped(parts | {".dbf": files["dbf"].getvalue(), ".shp": files["shp"].getvalue()})
        layer = read(content, encoding=encoding).layer
        assert layer is not None
        assert layer.cells[0].name == "网"


@given(
    st.lists(st.text("网格东西南北社区一二三号楼路院ab12", min_size=1, max_size=12), min_size=1, max_size=4)
)
@settings(max_examples=60, deadline=None)
def test_whatever_the_names_are_gbk_is_found_or_the_names_are_the_same_in_both(names: list[str]) -> None:
    cells: list[dict[str, Any]] = chessboard()
    for cell, name in zip(cells, names, strict=False):
        cell["properties"]["name"] = name
    for encoding in ("gbk", "utf-8"):
        layer = read(zipped(parts_of(cells, encoding=encoding))).layer
        assert layer is not None
        assert [cell.name for cell in layer.cells[: len(names)]] == names


# What is broken


def test_a_part_that_is_missing_is_named() -> None:
    for ending in (".shp", ".dbf"):
        parts = parts_of(chessboard())
        del parts[ending]
        fault = only_error(read(zipped(parts)))
        assert (fault.code, ending in fault.sentence_zh) == (FaultCode.SHAPEFILE_PART_MISSING, True)


@pytest.mark.parametrize("ending", [".shp", ".dbf"])
def test_a_part_that_ends_too_early_is_named(ending: str) -> None:
    parts = parts_of(chessboard())
    for length in (0, 10, 99, 101, 150, len(parts[ending]) // 2, len(parts[ending]) - 9):
        fault = only_error(read(zipped(parts | {ending: parts[ending][:length]})))
        assert (fault.code, ending in fault.sentence_en) == (FaultCode.SHAPEFILE_TRUNCATED, True), length


def test_lengths_in_the_file_lead_nowhere() -> None:
    parts = parts_of(chessboard())
    for words in (-4, 0, 1, 2**31 - 1):
        changed = bytearray(parts[".shp"])
        changed[104:108] = struct.pack(">i", words)
        found = only_error(read(zipped(parts | {".shp": bytes(changed)}))).code
        assert found in {FaultCode.SHAPEFILE_BROKEN, FaultCode.SHAPEFILE_TRUNCATED}
    counted = bytearray(parts[".shp"])
    counted[148:152] = struct.pack("<i", 2**31 - 1)  # points of the first shape
    assert only_error(read(zipped(parts | {".shp": bytes(counted)}))).code is FaultCode.SHAPEFILE_BROKEN
    rows = bytearray(parts[".dbf"])
    rows[4:8] = struct.pack("<L", 2**32 - 1)
    assert only_error(read(zipped(parts | {".dbf": bytes(rows)}))).code is FaultCode.SHAPEFILE_TRUNCATED
    narrow = bytearray(parts[".dbf"])
    narrow[10:12] = b"\0\0"
    assert only_error(read(zipped(parts | {".dbf": bytes(narrow)}))).code is FaultCode.SHAPEFILE_BROKEN
    assert only_error(read(zipped(parts | {".shp": b"x" * 200}))).code is FaultCode.SHAPEFILE_BROKEN


def test_shapes_and_rows_must_be_as_many() -> None:
    more = parts_of(chessboard()[:5])
    fault = only_error(read(zipped(parts_of(chessboard()) | {".dbf": more[".dbf"]})))
    assert (fault.code, "9" in fault.sentence_en, "5" in fault.sentence_en) == (
        FaultCode.SHAPEFILE_COUNTS,
        True,
        True,
    )


def test_points_are_no_cells_and_a_cell_without_ground_is_named() -> None:
    points = read(zipped(parts_of(chessboard(), shape_type=shapefile.POINT)))
    assert {fault.code for fault in points.report.errors} == {
        FaultCode.GEOMETRY_NOT_POLYGON,
        FaultCode.NO_CELLS,
    }
    cells: list[dict[str, Any]] = chessboard()
    cells[4]["geometry"] = None
    fault = only_error(read(zipped(parts_of(cells))))
    assert (fault.code, fault.cells) == (FaultCode.GEOMETRY_MISSING, ("410399001002002",))


def test_a_shape_of_more_rings_than_anybody_compares_is_refused() -> None:
    ring = [(112.4, 34.66), (112.4, 34.67), (112.41, 34.67), (112.4, 34.66)]
    files = {ending: io.BytesIO() for ending in ("shp", "shx", "dbf")}
    with shapefile.Writer(shapeType=shapefile.POLYGON, **files) as writer:
        writer.field("code", "C", size=15)
        writer.poly([ring] * (RINGS_MAX + 1))
        writer.record("410399001001001")
    reading = read(zipped({f".{ending}": file.getvalue() for ending, file in files.items()}))
    assert FaultCode.COORDINATES_MALFORMED in codes(reading)


def in_metres() -> dict[str, bytes]:
    """The chessboard in the plane of zone 114 of CGCS2000."""
    there = pyproj.Transformer.from_crs("EPSG:4490", "EPSG:4547", always_xy=True)
    cells: list[dict[str, Any]] = chessboard()
    for cell in cells:
        ring = [list(there.transform(x, y)) for x, y in cell["geometry"]["coordinates"][0]]
        cell["geometry"]["coordinates"] = [ring]
    return parts_of(cells) | {".cpg": b"UTF-8"}


def test_a_plane_that_the_prj_describes_is_turned_into_degrees(board: Layer) -> None:
    prj = pyproj.CRS.from_epsg(4547).to_wkt("WKT1_ESRI").encode()
    for content, declared in (
        (zipped(in_metres() | {".prj": prj}), None),
        (zipped(in_metres()), "EPSG:4547"),
        (zipped(in_metres()), {"base": "EPSG:4547", "name": "town"}),
    ):
        reading = read_file(content, declared)
        assert reading.report.errors == ()
        assert reading.layer is not None
        assert reading.layer.bbox == pytest.approx(board.bbox, abs=1e-9)


def test_a_plane_is_no_degrees_whatever_was_declared() -> None:
    prj = pyproj.CRS.from_epsg(4547).to_wkt("WKT1_ESRI").encode()
    for declared in (Crs.WGS84, Crs.GCJ02):
        report = read(zipped(in_metres() | {".prj": prj}), declared).report
        (fault,) = [fault for fault in report.errors if fault.code is FaultCode.CRS_CONFLICT]
        assert "CGCS2000_3_Degree_GK_CM_114E" in fault.sentence_zh
    assert only_error(read(zipped(in_metres()))).code is FaultCode.METRES_AS_DEGREES
    assert (
        only_error(read(board_shapefile(prj=METRES_PRJ), None)).code is FaultCode.CRS_UNKNOWN
    )  # not all of it


def test_a_datum_whose_way_is_not_known_is_refused_by_its_name_and_no_prj_needs_a_declaration() -> None:
    prj = pyproj.CRS.from_epsg(4214).to_wkt("WKT1_ESRI")
    old = only_error(read(board_shapefile(prj=prj), None))
    assert (old.code, "1954" in old.sentence_en) == (FaultCode.SYSTEM_DATUM_UNKNOWN, True)
    assert only_error(read(board_shapefile(prj="scribble"))).code is FaultCode.CRS_UNKNOWN
    assert only_error(read(board_shapefile(), None)).code is FaultCode.CRS_MISSING
    assert only_error(read_file(board_shapefile(), {"plane": 1})).code is FaultCode.SYSTEM_TABLE_INVALID


# The archive


def test_an_archive_that_is_no_layer_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = parts_of(chessboard())
    good = zipped(parts)
    assert only_error(read(b"PK\x03\x04 a spreadsheet")).code is FaultCode.ARCHIVE_BROKEN
    assert only_error(read(good[:-30])).code is FaultCode.ARCHIVE_BROKEN
    assert only_error(read(zipped({}, {"a.txt": b""}))).code is FaultCode.ARCHIVE_WITHOUT_LAYER
    assert only_error(read(zipped(parts, {"other.shp": b""}))).code is FaultCode.ARCHIVE_SEVERAL_LAYERS
    for name in ("../evil.shp", "/etc/cells.shp", "C:\\cells.shp", "a/../../b.dbf"):
        assert only_error(read(zipped(parts, {name: b""}))).code is FaultCode.ARCHIVE_PATHS
    many = zipped({}, {f"{n}.txt": b"" for n in range(archives.ENTRIES_MAX + 1)})
    assert only_error(read(many)).code is FaultCode.ARCHIVE_TOO_MANY
    locked = bytearray(good)
    for head, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = locked.find(head)
        locked[place + at] |= 1
    assert only_error(read(bytes(locked))).code is FaultCode.ARCHIVE_LOCKED
    odd = io.BytesIO()
    with zipfile.ZipFile(odd, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("cells.shp", b"x")
    assert only_error(read(odd.getvalue())).code is FaultCode.ARCHIVE_BROKEN
    monkeypatch.setattr(document, "CELLS_MAX", 8)
    assert only_error(read(good)).code is FaultCode.CELLS_TOO_MANY


def test_a_directory_of_very_many_files_is_not_even_read(monkeypatch: pytest.MonkeyPatch) -> None:
    most = zipped({}, {f"{n}.txt": b"" for n in range(archives.ENTRIES_MAX * 30)})

    def never(*_: object) -> None:
        raise AssertionError("the directory was read")

    monkeypatch.setattr("geo.archive.zipfile.ZipFile", never)
    for content in (
        most,
        most[:-2] + b"\x01\0x",
    ):  # the second with a comment, behind which the end is looked for
        assert only_error(read(content)).code is FaultCode.ARCHIVE_TOO_MANY


def test_of_a_bomb_no_more_is_unpacked_than_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = zipped(parts_of(chessboard()) | {".shp": bytes(64 << 20)})
    monkeypatch.setattr(archives, "UNPACKED_MAX", 1 << 20)
    tracemalloc.start()
    assert only_error(read(bomb)).code is FaultCode.ARCHIVE_TOO_LARGE
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16 << 20


def test_a_zip_bomb_is_put_down_before_it_goes_off() -> None:
    parts = parts_of(chessboard())
    bomb = zipped(parts | {".shp": bytes(archives.UNPACKED_MAX + 1)})
    assert len(bomb) < 200_000
    assert only_error(read(bomb)).code is FaultCode.ARCHIVE_TOO_LARGE
    # several that are small enough are too large together
    half = bytes(archives.UNPACKED_MAX // 2 + 1)
    assert only_error(read(zipped(parts | {".shp": half, ".dbf": half}))).code is FaultCode.ARCHIVE_TOO_LARGE
    # a directory that says less than there is
    lying = bytearray(bomb)
    place = lying.find(b"PK\x01\x02")
    lying[place + 24 : place + 28] = struct.pack("<L", 500)
    assert only_error(read(bytes(lying))).code in {FaultCode.ARCHIVE_BROKEN, FaultCode.ARCHIVE_TOO_LARGE}


WHOLE = board_shapefile(prj=WGS84_PRJ)
PARTS = parts_of(chessboard())


@given(
    st.sampled_from([".shp", ".dbf"]),
    st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 255)), max_size=6),
)
@settings(max_examples=150, deadline=None)
def test_bytes_that_fell_over_make_a_fault_or_a_layer_and_never_an_exception(
    ending: str, changes: list[tuple[int, int]]
) -> None:
    changed = bytearray(PARTS[ending])
    for place, value in changes:
        changed[place % len(changed)] = value
    reading = read(zipped(PARTS | {ending: bytes(changed)}))
    assert (reading.layer is None) == bool(reading.report.errors)


@given(st.integers(0, len(WHOLE)), st.integers(0, 255), st.integers(0, len(WHOLE) - 1))
@settings(max_examples=150, deadline=None)
def test_a_zip_cut_or_changed_anywhere_makes_a_fault_or_a_layer(end: int, value: int, place: int) -> None:
    for content in (WHOLE[:end], WHOLE[:place] + bytes([value]) + WHOLE[place + 1 :]):
        reading = read(content, None)
        assert (reading.layer is None) == bool(reading.report.errors)


def test_names_of_columns_may_be_chinese_and_cut_at_ten_bytes(board: Layer) -> None:
    cells: list[dict[str, Any]] = chessboard()
    for cell in cells:
        cell["properties"] = {"网格编码": cell["properties"]["code"], "名称": cell["properties"]["name"]}
    parts = parts_of(cells, encoding="gbk", columns=("网格编码", "名称"))
    assert read(zipped(parts), fields=Fields(code="网格编码", name="名称")).layer == board


def test_a_layer_written_and_read_again_is_the_same_to_the_last_bit(manchester: Layer, board: Layer) -> None:
    for layer in (manchester, board):
        reading = read(exported(layer, Form.SHAPEFILE), None)
        assert reading.layer is not None
        assert (reading.layer.cells, reading.layer.areas) == (layer.cells, layer.areas)
        assert all(fault.severity is Severity.NOTICE for fault in reading.report.faults if fault.cells)
    assert exported(board, Form.SHAPEFILE) == exported(board, Form.SHAPEFILE)
