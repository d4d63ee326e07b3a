"""The demo district is a layer as a careful surveyor would hand it in, and its units stand where they say."""

import re

import pytest
import shapely

from geo.assignment import LayerIndex, Method, assign
from geo.layer import Kind, Layer, Level, check, from_geojson, read_geojson, to_geojson
from geo.points import Crs, Fix
from server.demo.district import DEAD_ZONES, DEDICATED, DISTRICT, SPLIT, drafted, draw
from server.demo.units import units

# the levels at which a unit of a type may stand
LEVELS = {
    "district_centre": {3},
    "street_centre": {2},
    "community_station": {1},
    "party_committee": {1, 2, 3},
    "residents_committee": {1},
    "villagers_committee": {1},
    "oversight_committee": {1},
    "mediation_committee": {1, 2, 3},
    "justice_office": {2},
    "police_station": {2},
    "court_station": {2, 3},
    "petition_office": {2, 3},
    "hotline": {3},
    "department": {2, 3},
    "womens_federation": {1, 2, 3},
    "legal_aid": {3},
    "four_officer_team": {3},
    "counselling": {2, 3},
    "property_company": {1},
    "owners_committee": {1},
    "employer": {0, 1},
}


@pytest.fixture(scope="module")
def district() -> Layer:
    return draw(410)


@pytest.mark.parametrize("seed", [0, 1, 410, 2026])
def test_every_drawing_passes_the_check_without_a_word(seed: int) -> None:
    assert check(draw(seed)).faults == ()


def test_the_same_seed_draws_the_same_bits(district: Layer) -> None:
    assert to_geojson(draw(410)) == to_geojson(district)
    assert to_geojson(draw(411)) != to_geojson(district)


def test_the_drawing_survives_being_kept_and_being_imported(district: Layer) -> None:
    kept = to_geojson(district)
    assert from_geojson(kept) == district
    names = {area.code: area.name for area in district.areas}
    imported = read_geojson(kept, Crs.WGS84, area_names=names, name=district.name).layer
    assert imported == district  # the parents in the codes are the parents we gave


def test_it_has_the_size_of_a_district(district: Layer) -> None:
    by_level = {level: [area for area in district.areas if area.level == level] for level in Level}
    assert [len(by_level[level]) for level in Level] == [0, 34, 8, 1]
    assert len(district.cells) == 210
    assert sorted(cell.name for cell in district.cells if cell.kind is Kind.DEDICATED) == sorted(
        DEDICATED.values()
    )
    assert all(re.fullmatch(r"410399(00[1-6]0|1022|1012)\d{5}", code) for code in district.codes)


def test_communities_and_streets_hang_together_and_the_district_has_no_hole(district: Layer) -> None:
    for area in district.areas:
        ground = shapely.coverage_union_all(
            [cell.geometry for cell in district.cells if area.code in district.ancestors(cell.code)]
        )
        assert ground.geom_type == "Polygon", area.name
        assert not ground.interiors, area.name


def test_the_middle_of_every_cell_is_assigned_to_it(district: Layer) -> None:
    index = LayerIndex(district)
    for cell in district.cells:
        inside = shapely.point_on_surface(cell.geometry)
        answer = assign(index, Fix(inside.x, inside.y, Crs.WGS84))
        assert (answer.method, answer.cell) == (Method.CONTAINED, cell.code)


def test_the_draft_cuts_one_cell_in_two_and_leaves_the_rest(district: Layer) -> None:
    draft = drafted(district)
    assert check(draft).faults == ()
    assert draft.number == 2
    changed = [cell.code for cell in draft.cells if district.cell(cell.code) != cell]
    assert len(changed) == 2
    assert SPLIT in changed
    before, halves = district.cell(SPLIT), [draft.cell(code) for code in changed]
    assert before is not None
    both = shapely.union_all([half.geometry for half in halves if half])
    assert shapely.area(both) == pytest.approx(shapely.area(before.geometry), rel=1e-12)


def test_villages_without_signal_are_villages(district: Layer) -> None:
    assert [area.name for area in map(district.area, DEAD_ZONES) if area] == ["后沟村", "槐树坪村"]


def test_units_stand_at_areas_of_the_level_their_type_allows(district: Layer) -> None:
    for unit in units():
        area = district.area(unit.area)
        assert area is not None, unit
        assert area.level == unit.level, unit
        assert unit.level in LEVELS[unit.type], unit


def test_units_form_one_tree_under_the_centre() -> None:
    known: set[str] = set()
    for unit in units():
        assert unit.code.isascii()
        assert unit.code not in known
        assert unit.parent in known if known else (unit.parent is None and unit.area == DISTRICT)
        known.add(unit.code)
    assert len(known) == 49
