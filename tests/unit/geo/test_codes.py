"""What a code tells: which district, street and community a cell lies in."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, strategies as st

from geo.cells import Level
from geo.codes import CJT_349, GRID_15, SCHEMES, CodeError, Part, Scheme, scheme_of
from geo.faults import FaultCode
from geo.layer import Fields, read_geojson
from geo.points import Crs
from tests.unit.geo.conftest import chessboard, collection, feature, square

ROADS = Scheme(
    "roads",
    9,
    (Part("district", 6, Level.DISTRICT), Part("kind", 1, may_be_zero=True), Part("no", 2, Level.CELL)),
)


def test_fifteen_digits_are_county_street_community_and_cell() -> None:
    code = GRID_15.parse("410399001002003")
    assert code.parts == {"district": "410399", "street": "001", "community": "002", "cell": "003"}
    assert code.parents() == (
        ("410399001002", Level.COMMUNITY),
        ("410399001", Level.STREET),
        ("410399", Level.DISTRICT),
    )


def test_twenty_digits_begin_with_the_object_and_the_cell_may_be_00() -> None:
    code = CJT_349.parse("01020041039900160100")
    assert code.parts == {
        "object": "010200", "district": "410399", "street": "001", "community": "601", "cell": "00",
    }  # fmt: skip
    assert [parent for parent, _ in code.parents()] == ["410399001601", "410399001", "410399"]


@pytest.mark.parametrize(
    "text",
    ["", "41039900100200", "4103990010020031", "410399001002000", "410399000002003", "000000001002003",
     "41039900100200x", "４10399001002003", "41039900100200３"],
)  # fmt: skip
def test_what_is_no_code_is_refused_and_no_part_is_numbered_000(text: str) -> None:
    assert scheme_of(text) is None
    with pytest.raises(CodeError):
        GRID_15.parse(text)


@given(st.sampled_from(SCHEMES), st.data())
def test_what_is_built_is_parsed_again(scheme: Scheme, data: st.DataObject) -> None:
    numbers = {
        part.name: data.draw(st.integers(0 if part.may_be_zero else 1, 10**part.digits - 1))
        for part in scheme.parts
    }
    code = scheme.build(numbers)
    assert len(code) == scheme.total
    assert scheme_of(code) is scheme
    assert {name: int(digits) for name, digits in scheme.parse(code).parts.items()} == numbers
    for above, _ in scheme.parse(code).parents():
        assert above in code


@pytest.mark.parametrize("wrong", [{"cell": 1000}, {"cell": 0}, {"cell": -1}, {"cell": "x"}, {"extra": 1}])
def test_numbers_that_make_no_code_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(CodeError):
        GRID_15.build({"district": 410399, "street": 1, "community": 1, "cell": 1} | wrong)
    with pytest.raises(CodeError):
        GRID_15.build({"district": 410399, "street": 1, "community": 1})


@pytest.mark.parametrize(
    "parts",
    [
        (),
        (Part("cell", 3, Level.CELL),),  # whose?
        (Part("district", 3, Level.DISTRICT),),  # which?
        (Part("cell", 3, Level.CELL), Part("district", 6, Level.DISTRICT)),  # upside down
        (Part("district", 6, Level.DISTRICT), Part("a", 2, Level.CELL), Part("b", 2, Level.CELL)),
        (Part("district", 6, Level.DISTRICT), Part("cell", 0, Level.CELL)),
        (Part("district", 6, Level.DISTRICT), Part("cell", 3, Level.CELL)),  # that is 9
    ],
)
def test_a_table_that_is_no_scheme_is_refused(parts: tuple[Part, ...]) -> None:
    with pytest.raises(CodeError):
        Scheme("odd", 10, parts)


def test_a_district_may_have_a_scheme_of_its_own() -> None:
    table = {
        "name": "roads",
        "total": 9,
        "parts": [
            {"name": "district", "digits": 6, "level": 3},
            {"name": "kind", "digits": 1, "may_be_zero": True},
            {"name": "no", "digits": 2, "level": 0},
        ],
    }
    assert msgspec.convert(table, Scheme) == ROADS
    cells = [feature("410399001", square(112.4, 34.66, 112.41, 34.67))]
    layer = read_geojson(collection(cells), Crs.WGS84, Fields(scheme=ROADS)).layer
    assert layer is not None
    assert layer.ancestors("410399001") == ("410399",)
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(table | {"total": 8}, Scheme)


def test_the_importer_reads_parents_from_twenty_digits_and_tells_foreign_ones() -> None:
    cells: list[dict[str, Any]] = chessboard()
    for cell in cells:
        code = cell["properties"]["code"]
        cell["properties"]["code"] = f"010200{code[:12]}{code[13:]}"
    reading = read_geojson(collection(cells), Crs.WGS84, district="410399")
    assert reading.report.faults == ()
    assert reading.layer is not None
    assert reading.layer.ancestors("01020041039900100203") == ("410399001002", "410399001", "410399")
    abroad = read_geojson(collection(cells), Crs.WGS84, district="110101")
    assert [fault.code for fault in abroad.report.faults] == [FaultCode.CODE_FOREIGN]


def test_a_declared_scheme_takes_no_code_of_another() -> None:
    report = read_geojson(collection(chessboard()), Crs.WGS84, Fields(scheme=CJT_349)).report
    fault = next(fault for fault in report.errors if fault.code is FaultCode.CODE_MALFORMED)
    assert "cjt349" in fault.sentence_en
    assert "20" in fault.sentence_zh


def test_a_code_that_tells_another_parent_than_the_file_is_told_of() -> None:
    cells: list[dict[str, Any]] = chessboard()
    for cell in cells:
        code = cell["properties"]["code"]
        cell["properties"] |= {"c": code[:12], "s": code[:9], "d": code[:6]}
    fields = Fields(parents=("c", "s", "d"))
    assert read_geojson(collection(cells), Crs.WGS84, fields).report.faults == ()
    cells[0]["properties"]["c"] = "410399001002"
    (fault,) = read_geojson(collection(cells), Crs.WGS84, fields).report.faults
    assert (fault.code, fault.cells) == (FaultCode.CODE_NOT_OF_PARENT, ("410399001001001",))
    for cell in cells:
        cell["properties"]["c"] = "东社区"  # called in another way
    assert read_geojson(collection(cells), Crs.WGS84, fields).report.faults == ()
