"""A district hands in KML or KMZ: the same cells, the same rules; and what somebody hid in the XML does nothing."""

import tracemalloc
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings, strategies as st

from geo import kml
from geo.cells import Layer
from geo.faults import Fault, FaultCode
from geo.layer import Fields, Form, Reading, Severity, exported, read_file
from geo.points import Crs
from tests.unit.geo.conftest import chessboard, feature, square
from tests.unit.geo.layer_files import board_kml, kml_of, placemark, zipped

_RING = "<Polygon><outerBoundaryIs><LinearRing><coordinates>{}</coordinates></LinearRing></outerBoundaryIs></Polygon>"


def read(content: bytes, **options: Any) -> Reading:
    return read_file(content, Crs.WGS84, **options)


def only_error(reading: Reading) -> Fault:
    assert reading.layer is None
    (fault,) = reading.report.errors
    assert fault.sentence_zh.endswith("。")
    assert "{" not in fault.sentence_zh + fault.sentence_en
    return fault


def test_kml_is_the_same_layer_as_geojson(board: Layer) -> None:
    for content in (board_kml(), b"\xef\xbb\xbf" + board_kml(), b"\n " + board_kml().partition(b"?>")[2]):
        reading = read(content)
        assert (reading.layer, reading.report.faults) == (board, ())
    assert read(board_kml(), form=Form.KML).layer == board


def test_a_kmz_is_opened_and_its_doc_kml_is_the_layer(board: Layer) -> None:
    assert read(zipped({}, {"doc.kml": board_kml(), "files/icon.png": b"x"})).layer == board
    assert read(zipped({}, {"a/Cells.KML": board_kml()})).layer == board
    assert read(zipped({}, {"doc.kml": board_kml(), "other.kml": b"<"})).layer == board
    two = only_error(read(zipped({}, {"a.kml": board_kml(), "b.kml": board_kml()})))
    assert (two.code, "a.kml" in two.sentence_en) == (FaultCode.ARCHIVE_SEVERAL_LAYERS, True)
    assert only_error(read(zipped({}, {"a.txt": b""}), form=Form.KML)).code is FaultCode.ARCHIVE_WITHOUT_LAYER


def test_as_other_programs_write_it(board: Layer) -> None:
    cells = board_kml().decode()
    other = cells.replace("<Data name='code'><value>", "<SchemaData schemaUrl='#s'><SimpleData name='code'>")
    other = other.replace("</value></Data>", "</SimpleData></SchemaData>")
    other = other.replace("opengis.net/kml/2.2", "google.com/kml/2.1").replace(",0 ", ",12.5\t\n")
    assert read(other.encode()).layer == board
    named = [feature(cell["properties"]["code"], cell["geometry"]) for cell in chessboard()]  # type: ignore[index,arg-type]
    for cell in named:
        cell["properties"]["name"] = cell["properties"]["code"]  # type: ignore[index]
    without = kml_of("".join(placemark(cell).replace("name='code'", "name='x'") for cell in named))
    layer = read(without, fields=Fields(code="name")).layer
    assert layer is not None
    assert layer.codes == board.codes


def test_labels_beside_the_polygons_are_left_out_and_noticed(board: Layer) -> None:
    reading = read(board_kml(more="<Point><coordinates>112.4,34.66</coordinates></Point>"))
    assert reading.layer == board
    assert {(fault.code, fault.severity) for fault in reading.report.faults} == {
        (FaultCode.PARTS_BESIDE, Severity.NOTICE)
    }


def test_pieces_and_holes_are_kept() -> None:
    island = "<MultiGeometry><Polygon><outerBoundaryIs><LinearRing><coordinates>{}</coordinates></LinearRing>"
    island += "</outerBoundaryIs></Polygon></MultiGeometry>"
    ring = "112.42,34.66 112.43,34.66 112.43,34.67 112.42,34.66"
    outer: Any = square(112.4, 34.66, 112.41, 34.67)
    outer["coordinates"].append([[112.403, 34.663], [112.403, 34.666], [112.406, 34.666], [112.403, 34.663]])
    layer = read(kml_of(placemark(feature("410399001001001", outer), more=island.format(ring)))).layer
    assert layer is not None
    (cell,) = layer.cells
    assert [len(part.interiors) for part in cell.geometry.geoms] == [1, 0]


@pytest.mark.parametrize(
    ("ground", "code"),
    [
        ("", FaultCode.GEOMETRY_MISSING),
        ("<Point><coordinates>112.4,34.66</coordinates></Point>", FaultCode.GEOMETRY_NOT_POLYGON),
        ("<LineString><coordinates>1,2 3,4</coordinates></LineString>", FaultCode.GEOMETRY_NOT_POLYGON),
        ("<Polygon/>", FaultCode.COORDINATES_MALFORMED),
        *(
            (_RING.format(text), FaultCode.COORDINATES_MALFORMED)
            for text in (
                "", "112.4,34.66", "112.4 34.66 112.5 34.66 112.5 34.7", "a,b c,d e,f a,b", "1_0,2 3,4 5,6 1_0,2",
                "nan,1 2,3 4,5 nan,1", "1e999,1 2,3 4,5 1e999,1", "1,,2 3,4 5,6 1,,2", "--1,2 3,4 5,6 --1,2",
            )
        ),
    ],
)  # fmt: skip
def test_ground_that_is_no_polygon_names_its_placemark(ground: str, code: FaultCode) -> None:
    wrong = f"<Placemark><name>x</name>{ground}</Placemark>"
    reading = read(kml_of("".join(map(placemark, chessboard())) + wrong), fields=Fields(code="name"))
    assert reading.layer is None
    fault = next(fault for fault in reading.report.errors if fault.code is code)
    assert fault.cells == ("x",)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (kml_of(""), FaultCode.NO_CELLS),
        (b"<kml/>", FaultCode.NO_CELLS),
        (b"<gpx><Placemark/></gpx>", FaultCode.NOT_KML),
        (b"<html>", FaultCode.NOT_KML),
        (board_kml()[:-20], FaultCode.XML_MALFORMED),
        (b"<kml><a></b></kml>", FaultCode.XML_MALFORMED),
        (b"<", FaultCode.XML_MALFORMED),
        (b"<?xml version='1.0' encoding='klingon'?><kml/>", FaultCode.XML_MALFORMED),
        (b"<kml>\x00</kml>", FaultCode.XML_MALFORMED),
        (b"<kml>\xff</kml>", FaultCode.XML_MALFORMED),
        (b"<kml>" + b"<a>" * 100_000, FaultCode.XML_TOO_LARGE),
        (kml_of("<Placemark>" + "<a/>" * kml.ELEMENTS_MAX + "</Placemark>"), FaultCode.XML_TOO_LARGE),
    ],
)
def test_a_file_that_is_no_kml_says_why(content: bytes, code: FaultCode) -> None:
    assert only_error(read(content, form=Form.KML)).code is code


def test_a_bomb_of_entities_and_files_of_others_are_refused_unread() -> None:
    laughs = "".join(f"<!ENTITY l{n} '{f'&l{n - 1};' * 10}'>" for n in range(1, 12))
    bomb = f"<!DOCTYPE kml [<!ENTITY l0 'ha'>{laughs}]><kml><Placemark><name>&l11;</name></Placemark></kml>"
    outside = "<!DOCTYPE kml [<!ENTITY f SYSTEM 'file:///etc/passwd'>]><kml><Placemark><name>&f;</name></Placemark></kml>"
    for content in (bomb, outside, "<!DOCTYPE kml SYSTEM 'http://127.0.0.1/x.dtd'><kml/>"):
        fault = only_error(read(content.encode()))
        assert fault.code is FaultCode.XML_FORBIDDEN
        assert "root:" not in fault.sentence_en


def test_what_is_between_the_placemarks_costs_nothing() -> None:
    content = kml_of(
        "<Style><LineStyle><color>ff</color></LineStyle></Style>" * 60_000 + placemark(chessboard()[0])
    )
    tracemalloc.start()
    assert read(content).layer is not None
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * len(content)


def test_a_layer_written_and_read_again_is_the_same_to_the_last_bit(manchester: Layer, board: Layer) -> None:
    for layer in (manchester, board):
        reading = read(exported(layer, Form.KML))
        assert reading.layer is not None
        assert (reading.layer.cells, reading.layer.areas) == (layer.cells, layer.areas)


KML = board_kml()


@given(st.integers(0, len(KML)), st.binary(max_size=3), st.integers(0, len(KML) - 1))
@settings(max_examples=200, deadline=None)
def test_a_file_cut_or_changed_anywhere_makes_a_fault_or_a_layer(end: int, put: bytes, place: int) -> None:
    for content in (KML[:end], KML[:place] + put + KML[place + 1 :]):
        reading = read(content)
        assert (reading.layer is None) == bool(reading.report.errors)


def test_names_with_marks_of_xml_come_back(board: Layer) -> None:
    cells = [msgspec.structs.replace(cell, name="<甲&'\">") for cell in board.cells]
    odd = Layer.of(cells, list(board.areas))
    assert read(exported(odd, Form.KML)).layer == odd
