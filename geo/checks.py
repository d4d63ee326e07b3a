"""Whether a layer may be used: parents, rings, thin cells, overlaps, gaps. Measured in metres on the layer's plane."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import shapely

from geo.cells import Area, Cell, Layer, Level
from geo.codes import scheme_of
from geo.coordinates import LocalPlane, convert
from geo.coverage import coverage_faults
from geo.faults import Fault, FaultCode, Repair, Report, error, notice, report_of, warning
from geo.points import Crs
from geo.shapes import geojson_of, polygons_of, width_m
from geo.suspicion import read_as, reading_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

SLIVER_ROUNDNESS = 0.03  # 4πA/P², 1 for a circle: a strip a hundred times as long as wide
SLIVER_CELL_WIDTH_M = 5.0  # a long valley or a riverside is as long and wider
VERTICES_MANY = 2_000  # three times the most of all census areas of London; phones download every corner
_TOLD = 5
REPAIR_METHOD = "make_valid:structure"
_PLACE = re.compile(r"\[(-?[\d.e+-]+) (-?[\d.e+-]+)\]")
# A wrong tag shifts by 250 m at least, a redrawn border moves a cell's middle by far less.
SUSPECT_SHIFT_M = 100.0
FAR_M = 20_000.0  # no survey moves the cells of a district so far and keeps their codes


def check(layer: Layer) -> Report:
    """Everything wrong with a layer. Cost: about 1 s for 25,000 cells."""
    if not layer.cells:
        return report_of([error(FaultCode.NO_CELLS)])
    faults = parent_faults(layer) + ring_faults(layer)
    if not any(fault.code in {FaultCode.RING_INVALID, FaultCode.GEOMETRY_EMPTY} for fault in faults):
        faults += cell_faults(layer) + coverage_faults(layer)  # defined for valid rings only
    return report_of(faults)


def parent_faults(layer: Layer) -> list[Fault]:
    """Duplicate codes, several districts, and parents that are missing, unknown or not above their children."""
    times = Counter([*layer.codes, *(area.code for area in layer.areas)])
    faults = [
        error(FaultCode.CODE_DUPLICATE, (code,), times=str(n)) for code, n in sorted(times.items()) if n > 1
    ]
    districts = [area.code for area in layer.areas if area.level == Level.DISTRICT]
    if len(districts) > 1:
        words = {"count": str(len(districts)), "areas": "、".join(districts[:_TOLD])}
        faults.append(error(FaultCode.DISTRICT_NOT_ONE, (), **words))
    places: list[Cell | Area] = [*layer.cells, *layer.areas]
    for place in places:
        if place.parent is None:
            if place.level != Level.DISTRICT:
                faults.append(error(FaultCode.PARENT_MISSING, (place.code,)))
            continue
        parent = layer.area(place.parent)
        if parent is None:
            faults.append(error(FaultCode.PARENT_UNKNOWN, (place.code,), parent=place.parent))
        elif parent.level <= place.level:
            faults.append(error(FaultCode.PARENT_LEVEL, (place.code,), parent=place.parent))
    return faults + _codes_of_others(layer)


def _codes_of_others(layer: Layer) -> list[Fault]:
    """Cells whose codes tell another community, street or district than they are said to lie in."""
    faults = []
    for cell in layer.cells:
        scheme, parent = scheme_of(cell.code), layer.area(cell.parent)
        told = {level: code for code, level in scheme.parse(cell.code).parents()} if scheme else {}
        other = parent is not None and told.get(parent.level, parent.code) != parent.code
        # a parent that is called in another way contradicts nothing
        if (
            other
            and parent is not None
            and parent.code.isdigit()
            and len(parent.code) == len(told[parent.level])
        ):
            faults.append(warning(FaultCode.CODE_NOT_OF_PARENT, (cell.code,), parent=parent.code))
    return faults


def ring_faults(layer: Layer) -> list[Fault]:
    """Empty ground and rings that cross or touch themselves, each with the repair that would mend it."""
    faults = [
        error(FaultCode.GEOMETRY_EMPTY, (layer.codes[i],))
        for i in np.flatnonzero(shapely.is_empty(layer.geometries))
    ]
    for i in np.flatnonzero(~shapely.is_valid(layer.geometries)):
        geometry = layer.geometries[i]
        faults.append(ring_fault(layer.codes[i], geometry, mended(geometry), made=False))
    return faults


def ring_fault(code: str, geometry: Any, after: Any, *, made: bool) -> Fault:
    """The fault of one invalid ring: an error until the repair is made, then a warning."""
    middle = shapely.centroid(shapely.envelope(geometry))
    plane = LocalPlane.around(float(shapely.get_x(middle)), float(shapely.get_y(middle)))
    before_m, after_m = plane.geometries_to_metres(np.array([geometry, after], dtype=object))
    repair = Repair(
        method=REPAIR_METHOD,
        made=made,
        cell=code,
        area_before_m2=round(float(shapely.area(before_m)), 1),
        area_after_m2=round(float(shapely.area(after_m)), 1),
        parts_before=int(shapely.get_num_geometries(geometry)),
        parts_after=int(shapely.get_num_geometries(after)),
        geometry=geojson_of(after),
    )
    say = warning if made else error
    reason = str(shapely.is_valid_reason(geometry))
    crossing = _PLACE.search(reason)
    where = None
    if crossing is not None:
        where = {"type": "Point", "coordinates": [float(crossing[1]), float(crossing[2])]}
    # a repair that leaves nothing, or still crosses itself, is none
    offered = repair if not shapely.is_empty(after) and shapely.is_valid(after) else None
    fault = say(FaultCode.RING_INVALID, (code,), reason=reason)
    return msgspec.structs.replace(fault, geometry=where, repair=offered)


def mended(geometry: Any) -> Any:
    """The polygons left when a ring's crossings are resolved by what is shell and what is hole."""
    sound = shapely.make_valid(geometry, method="structure", keep_collapsed=False)
    return shapely.orient_polygons(polygons_of(sound))


def cell_faults(layer: Layer) -> list[Fault]:
    """Cells too thin to be meant or with very many corners, and notices of those in pieces or with holes."""
    metres = layer.plane.geometries_to_metres(layer.geometries)
    area, around = shapely.area(metres), shapely.length(metres)
    round_is_one = 4 * np.pi * area / np.where(around > 0, around, 1.0) ** 2
    faults = []
    for i in np.flatnonzero(round_is_one < SLIVER_ROUNDNESS).tolist():
        width = width_m(metres[i])
        if width < SLIVER_CELL_WIDTH_M:
            words = {"area": f"{area[i]:.0f}", "width": f"{width:.2f}"}
            fault = warning(FaultCode.SLIVER_CELL, (layer.codes[i],), **words)
            figures = {"area_m2": round(float(area[i]), 2), "width_m": round(width, 2)}
            faults.append(msgspec.structs.replace(fault, **figures))
    corners = shapely.get_num_coordinates(layer.geometries)
    parts = shapely.get_num_geometries(layer.geometries)
    pieces, owner = shapely.get_parts(layer.geometries, return_index=True)
    holes = np.bincount(owner, weights=shapely.get_num_interior_rings(pieces), minlength=len(layer.cells))
    for code, many, say, counts in (
        (FaultCode.VERTICES_MANY, VERTICES_MANY + 1, warning, corners),
        (FaultCode.MULTI_PART, 2, notice, parts),
        (FaultCode.HOLES, 1, notice, holes),
    ):
        found = np.flatnonzero(counts >= many).tolist()
        faults += [say(code, (layer.codes[i],), count=f"{counts[i]:.0f}") for i in found]
    return faults


def crs_faults(layer: Layer, declared: Crs, previous: Layer) -> list[Fault]:
    """Whether cells that keep their codes have moved, and would not had another coordinate system been declared.

    `layer` is already in WGS-84, read as `declared`.
    """
    common = [code for code in layer.codes if previous.cell(code) is not None]
    if not common:
        return []
    now = _middles(layer, common)
    before = _middles(previous, common)
    raw = convert(now[:, 0], now[:, 1], Crs.WGS84, declared)
    shifts = {}
    for crs, read in read_as(*raw).items():
        apart = previous.plane.to_metres(read) - previous.plane.to_metres(before)
        shifts[crs] = float(np.median(np.hypot(apart[:, 0], apart[:, 1])))
    own = shifts[reading_of(declared)]
    best = min(shifts, key=lambda crs: shifts[crs])
    if own < SUSPECT_SHIFT_M:
        return []
    if shifts[best] > own / 4:
        say = error if own > FAR_M else warning
        return [say(FaultCode.CELLS_MOVED, (), shift=f"{own:.0f}")]
    words = {
        "declared": str(declared),
        "crs": str(best),
        "shift": f"{own:.0f}",
        "rest": f"{shifts[best]:.0f}",
    }
    return [error(FaultCode.CRS_SUSPECTED, (), **words)]


def _middles(layer: Layer, codes: list[str]) -> NDArray[np.float64]:
    boxes = np.array([cell.bbox for code in codes if (cell := layer.cell(code)) is not None])
    return np.column_stack([(boxes[:, 0] + boxes[:, 2]) / 2, (boxes[:, 1] + boxes[:, 3]) / 2])
