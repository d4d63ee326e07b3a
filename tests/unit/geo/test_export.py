"""A layer goes out and comes in again as it was, in whatever form, also one whose codes do not tell where they lie."""

import json

import msgspec
import pytest
from hypothesis import given, settings, strategies as st

from geo.cells import Area, Cell, Kind, Layer, Level
from geo.layer import Form, exported, read_file, to_geojson
from geo.points import Crs
from tests.unit.geo.conftest import collection


def of_words(board: Layer, *, levels: int = 3, name: str = "格") -> Layer:
    """The board with codes of letters, below a community, a street and a district, or fewer of them."""
    chain = [
        Area("C", "东社区", Level.COMMUNITY, Kind.AREA, "S"),
        Area("S", "街道", Level.STREET, Kind.AREA, "D"),
        Area("D", "涧东区", Level.DISTRICT, Kind.AREA, None),
    ][3 - levels :]
    cells = [
        Cell.of(f"g-{number}", f"{name}{number}", chain[0].code, cell.geometry, Kind.DEDICATED)
        for number, cell in enumerate(board.cells)
    ]
    return Layer.of(cells, chain)


@pytest.mark.parametrize("form", list(Form))
@pytest.mark.parametrize("levels", [1, 2, 3])
def test_parents_and_their_names_come_back_whatever_the_codes_are(
    board: Layer, form: Form, levels: int
) -> None:
    layer = of_words(board, levels=levels)
    reading = read_file(exported(layer, form), Crs.WGS84)
    assert reading.report.faults == ()
    assert reading.layer == layer


@pytest.mark.parametrize("form", list(Form))
def test_names_of_areas_come_back_where_codes_tell_the_areas(board: Layer, form: Form) -> None:
    areas = [msgspec.structs.replace(area, name=f"名{area.code}") for area in board.areas]
    layer = Layer.of(list(board.cells), areas)
    assert read_file(exported(layer, form), Crs.WGS84).layer == layer


@given(
    st.lists(st.floats(0.00001, 0.00109), min_size=3, max_size=3, unique=True),
    st.text(st.characters(min_codepoint=0x4E00, max_codepoint=0x9FFF), min_size=1, max_size=80),
    st.sampled_from(list(Form)),
)
@settings(max_examples=60, deadline=None)
def test_coordinates_of_any_digits_and_names_of_any_characters_come_back_to_the_last_bit(
    steps: list[float], name: str, form: Form
) -> None:
    board = read_file(collection(slanted(steps)), Crs.WGS84).layer
    assert board is not None
    layer = of_words(board, name=name)
    assert read_file(exported(layer, form), Crs.WGS84).layer == layer


def slanted(steps: list[float]) -> list[dict[str, object]]:
    """Two cells whose common border has corners at any fraction of a degree."""
    border = [[112.41 + step, 34.66 + 0.001 * place] for place, step in enumerate(steps)]
    west = [[112.40, 34.66], *border, [112.40, 34.662], [112.40, 34.66]]
    east = [[112.42, 34.66], [112.42, 34.662], *border[::-1], [112.42, 34.66]]
    return [
        {
            "type": "Feature",
            "properties": {"code": f"41039900100100{number}"},
            "geometry": {"type": "Polygon", "coordinates": [ring]},
        }
        for number, ring in enumerate((west, east), start=1)
    ]


def test_what_others_call_areas_in_their_geojson_is_passed_over(board: Layer) -> None:
    for areas in (3, ["x"], {"a": 1}, [{"code": "D"}], None):
        document = json.loads(to_geojson(board)) | {"areas": areas}
        assert read_file(json.dumps(document).encode(), Crs.WGS84).layer == board
