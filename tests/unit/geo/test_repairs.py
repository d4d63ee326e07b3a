"""What is shown before it is made: corners for a shared border, a crack that a neighbour gets; then all is even."""

import json
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given, settings, strategies as st

from geo import repairs
from geo.cells import Layer
from geo.checks import check
from geo.faults import Fault, FaultCode, Severity
from geo.layer import Reading, read_geojson
from geo.points import Crs
from tests.unit.geo.conftest import chessboard, collection, feature, square


def read(features: list[dict[str, Any]], *, repair: bool = False) -> Reading:
    return read_geojson(collection(features), Crs.WGS84, repair=repair)


def found(reading: Reading, code: FaultCode) -> list[Fault]:
    return [fault for fault in reading.report.faults if fault.code is code]


def three() -> list[dict[str, Any]]:
    """A tall cell in the west, and two beside it whose common corner the tall one does not have."""
    return [
        feature("410399001001001", square(112.4, 34.66, 112.41, 34.68)),
        feature("410399001001002", square(112.41, 34.66, 112.42, 34.67)),
        feature("410399001001003", square(112.41, 34.67, 112.42, 34.68)),
    ]


def cracked(narrow: float = 0.000005) -> list[dict[str, Any]]:
    """The middle cell of the board stops short of its eastern neighbour by so many degrees: 46 cm."""
    cells = chessboard()
    cells[4]["geometry"] = square(112.4011, 34.6609, 112.4022 - narrow, 34.6618)
    return cells


def test_a_missing_corner_is_offered_at_its_place_and_then_put_in() -> None:
    (fault,) = read(three()).report.faults
    assert (fault.code, fault.severity) == (FaultCode.BORDER_NOT_SHARED, Severity.WARNING)
    assert fault.cells == ("410399001001001", "410399001001002", "410399001001003")
    assert fault.geometry == {"type": "MultiPoint", "coordinates": [[112.41, 34.67]]}
    assert fault.repair is not None
    assert (fault.repair.method, fault.repair.made, fault.repair.cell) == ("node", False, "410399001001001")
    assert fault.repair.vertices_inserted == 1
    assert fault.repair.area_after_m2 == fault.repair.area_before_m2
    reading = read(three(), repair=True)
    (made,) = reading.report.faults
    assert made.repair is not None
    assert made.repair.made
    assert reading.layer is not None
    assert check(reading.layer).faults == ()
    assert [112.41, 34.67] in shapely.get_coordinates(reading.layer.cells[0].geometry).tolist()
    # the layer is what was shown
    assert shapely.from_geojson(json.dumps(fault.repair.geometry)).equals(reading.layer.cells[0].geometry)


def test_a_crack_is_offered_to_who_has_most_of_its_border_and_then_filled() -> None:
    (fault,) = found(read(cracked()), FaultCode.SLIVER)
    assert fault.geometry is not None
    assert shapely.from_geojson(json.dumps(fault.geometry)).bounds == pytest.approx(
        (112.402195, 34.6609, 112.4022, 34.6618)
    )
    repair = fault.repair
    assert repair is not None
    assert (repair.method, repair.made) == ("fill", False)
    assert repair.cell in {"410399001002002", "410399001002003"}
    assert repair.area_after_m2 - repair.area_before_m2 == pytest.approx(fault.area_m2, abs=0.02)
    reading = read(cracked(), repair=True)
    assert reading.layer is not None
    assert check(reading.layer).faults == ()
    assert {fault.repair.made for fault in reading.report.faults if fault.repair} == {True}
    whole = shapely.union_all(reading.layer.geometries)
    board = read(chessboard()).layer
    assert board is not None
    assert whole.equals(shapely.union_all(board.geometries))


def test_a_gap_as_wide_as_a_path_is_nobodys_to_fill() -> None:
    reading = read(cracked(0.000012), repair=True)  # 1.1 m
    (gap,) = found(reading, FaultCode.GAP)
    assert gap.repair is None
    assert reading.layer is not None
    assert reading.layer.cells[4].geometry.bounds[2] == 112.4022 - 0.000012


def test_a_crack_that_opens_to_the_outside_is_told_and_left() -> None:
    cells = [
        feature("410399001001001", square(112.4, 34.66, 112.41, 34.67)),
        feature("410399001001002", square(112.410005, 34.66, 112.42, 34.67)),
    ]
    for repair in (False, True):
        slivers = found(read(cells, repair=repair), FaultCode.SLIVER)
        assert len(slivers) == 2
        assert all(fault.repair is None and fault.geometry is not None for fault in slivers)


def test_an_overlap_is_never_repaired_and_shows_its_ground() -> None:
    cells = chessboard()
    cells[0]["geometry"] = square(112.4, 34.66, 112.4012, 34.6609)
    for repair in (False, True):
        (fault,) = found(read(cells, repair=repair), FaultCode.OVERLAP)
        assert (fault.severity, fault.repair) == (Severity.ERROR, None)
        ground = shapely.from_geojson(json.dumps(fault.geometry))
        assert ground.bounds == pytest.approx((112.4011, 34.66, 112.4012, 34.6609))


def test_a_corner_that_would_not_make_the_border_even_is_not_offered() -> None:
    cells = three()
    # the tall one also reaches a metre into the lower one: with the corner it would still not fit
    cells[0]["geometry"] = {
        "type": "Polygon",
        "coordinates": [
            [
                [112.4, 34.66],
                [112.41001, 34.66],
                [112.41, 34.672],
                [112.41, 34.68],
                [112.4, 34.68],
                [112.4, 34.66],
            ]
        ],
    }
    report = read(cells).report
    assert found(read(cells), FaultCode.OVERLAP)
    assert all(fault.repair is None for fault in report.faults)


def test_where_nothing_is_shared_no_repair_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repairs, "TRIED_MAX", 2)
    reading = read(three(), repair=True)
    assert {fault.code for fault in reading.report.faults} == {FaultCode.BORDER_NOT_SHARED}
    assert all(fault.repair is None for fault in reading.report.faults)


def test_a_slanted_border_is_noded_though_no_corner_lies_on_it_to_the_bit() -> None:
    west = [[112.4, 34.66], [112.4103, 34.66], [112.4117, 34.6707], [112.4, 34.6707], [112.4, 34.66]]
    corner = [112.4103 + 0.0014 / 3, 34.66 + 0.0107 / 3]
    lower = [[112.4103, 34.66], [112.42, 34.66], [112.42, corner[1]], corner, [112.4103, 34.66]]
    upper = [corner, [112.42, corner[1]], [112.42, 34.6707], [112.4117, 34.6707], corner]
    cells = [
        feature(f"41039900100100{n}", {"type": "Polygon", "coordinates": [ring]})
        for n, ring in enumerate((west, lower, upper), start=1)
    ]
    (fault,) = read(cells).report.faults
    assert fault.code is FaultCode.BORDER_NOT_SHARED
    reading = read(cells, repair=True)
    assert reading.layer is not None
    assert check(reading.layer).faults == ()


def test_manchester_with_corners_that_a_neighbour_lacks_is_even_again(manchester: Layer) -> None:
    """Some census areas, no two of them beside each other, get a corner every 80 metres that their neighbours lack."""
    ground = manchester.geometries[:300].copy()
    tree = shapely.STRtree(ground)
    chosen: set[int] = set()
    for i in range(len(ground)):
        if not chosen & set(tree.query(ground[i], predicate="intersects").tolist()):
            chosen.add(i)
    finer = sorted(chosen)
    ground[finer] = shapely.segmentize(ground[finer], 0.0008)
    uneven = [
        feature(code, json.loads(shapely.to_geojson(shape)), parent="D")
        for code, shape in zip(manchester.codes[:300], ground, strict=True)
    ]
    before = found(read(uneven), FaultCode.BORDER_NOT_SHARED)
    assert all(fault.repair is not None for fault in before)
    assert sum(fault.repair.vertices_inserted for fault in before if fault.repair) > 100
    reading = read(uneven, repair=True)
    assert reading.layer is not None
    assert not found(Reading(None, check(reading.layer)), FaultCode.BORDER_NOT_SHARED)


@given(st.lists(st.tuples(st.integers(0, 8), st.integers(1, 99)), min_size=1, max_size=6), st.integers(0, 60))
@settings(max_examples=60, deadline=None)
def test_whatever_corners_are_missing_and_however_it_cracks_what_is_offered_leaves_nothing(
    extra: list[tuple[int, int]], crack: int
) -> None:
    """Corners on the north sides of cells, which the cells above them do not have, and a crack of up to 60 cm."""
    cells: list[dict[str, Any]] = cracked(crack * 1e-7) if crack else chessboard()
    rings = [cell["geometry"]["coordinates"][0] for cell in cells]
    for which in {cell for cell, _ in extra}:
        (east, north), (west, _) = rings[which][2:4]
        shares = sorted(
            {share for cell, share in extra if cell == which}, reverse=True
        )  # a metre apart at least
        more = [[west + (east - west) * share / 100, north] for share in shares]
        corners = [*rings[which][:3], *more, *rings[which][3:]]
        cells[which]["geometry"]["coordinates"] = [corners]
    shown, made = read(cells), read(cells, repair=True)
    assert made.layer is not None
    left = {fault.code for fault in check(made.layer).faults if fault.code is not FaultCode.RING_INVALID}
    offered = [fault for fault in shown.report.faults if fault.repair is not None]
    if all(fault.repair is not None for fault in shown.report.faults):
        assert left == set()
    for fault in offered:
        assert fault.repair is not None
        after = next(cell for cell in made.layer.cells if cell.code == fault.repair.cell)
        assert np.array_equal(
            shapely.get_coordinates(after.geometry),
            shapely.get_coordinates(shapely.from_geojson(json.dumps(fault.repair.geometry))),
        )
