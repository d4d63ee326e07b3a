"""Whether a layer may be used: parents, rings, overlaps, gaps. Measured in metres on the layer's plane."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import shapely

from geo.cells import Area, Cell, Layer, Level
from geo.coordinates import Geometries, LocalPlane, convert
from geo.faults import Fault, FaultCode, Repair, Report, error, report_of, warning
from geo.points import Crs
from geo.suspicion import read_as, reading_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

SLIVER_WIDTH_M = 1.0  # narrower than this, a gap is a slip of the pen and not a lake
OVERLAP_WIDTH_M = 0.01  # narrower than this, an overlap is rounding
_TOLD = 5
REPAIR_METHOD = "make_valid:structure"
# A wrong tag shifts by 250 m at least, a redrawn border moves a cell's middle by far less.
SUSPECT_SHIFT_M = 100.0
FAR_M = 20_000.0  # no survey moves the cells of a district so far and keeps their codes


def check(layer: Layer) -> Report:
    """Everything wrong with a layer. Cost: about 1 s for 25,000 cells."""
    if not layer.cells:
        return report_of([error(FaultCode.NO_CELLS)])
    faults = parent_faults(layer) + ring_faults(layer)
    if not any(fault.code in {FaultCode.RING_INVALID, FaultCode.GEOMETRY_EMPTY} for fault in faults):
        faults += coverage_faults(layer)  # defined for valid rings only
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
        area_before_m2=round(float(shapely.area(before_m)), 1),
        area_after_m2=round(float(shapely.area(after_m)), 1),
        parts_before=int(shapely.get_num_geometries(geometry)),
        parts_after=int(shapely.get_num_geometries(after)),
        geometry=json.loads(shapely.to_geojson(after)),
    )
    say = warning if made else error
    reason = str(shapely.is_valid_reason(geometry))
    return msgspec.structs.replace(say(FaultCode.RING_INVALID, (code,), reason=reason), repair=repair)


def mended(geometry: Any) -> Any:
    """The polygons left when a ring's crossings are resolved by what is shell and what is hole."""
    return polygons_of(shapely.make_valid(geometry, method="structure", keep_collapsed=False))


def polygons_of(geometry: Any) -> Any:
    """The ground of a geometry of any sort: one polygon, several, or an empty polygon."""
    parts = [
        part
        for part in shapely.get_parts(shapely.get_parts(np.array([geometry], dtype=object)))
        if part.geom_type == "Polygon" and not part.is_empty
    ]
    if not parts:
        return shapely.Polygon()
    return parts[0] if len(parts) == 1 else shapely.MultiPolygon(parts)


def coverage_faults(layer: Layer) -> list[Fault]:
    """Overlaps, borders drawn with different points, and gaps. The rings must be valid."""
    ground = layer.plane.geometries_to_metres(layer.geometries)
    faults: list[Fault] = []
    uneven = ~shapely.is_empty(shapely.coverage_invalid_edges(ground, gap_width=SLIVER_WIDTH_M))
    told: set[str] = set()
    if uneven.any():
        faults = _overlaps(layer, ground, np.flatnonzero(uneven))
        told = {code for fault in faults for code in fault.cells}
    gaps = _gaps(layer, ground, exact=not uneven.any())
    told |= {code for fault in gaps for code in fault.cells}
    edges = shapely.coverage_invalid_edges(ground, gap_width=0.0)
    for i in np.flatnonzero(uneven):
        if layer.codes[i] in told:
            continue
        if shapely.is_empty(edges[i]):  # valid but for the width: a crack that opens to the outside
            faults.append(warning(FaultCode.SLIVER, (layer.codes[i],), width=f"{SLIVER_WIDTH_M:g}"))
        else:
            faults.append(warning(FaultCode.BORDER_NOT_SHARED, (layer.codes[i],)))
    return faults + gaps


def _overlaps(layer: Layer, ground: Geometries, suspects: NDArray[np.intp]) -> list[Fault]:
    tree = shapely.STRtree(ground)
    pairs = tree.query(ground[suspects], predicate="intersects")
    first, second = suspects[pairs[0]], pairs[1]
    unordered = {
        (min(a, b), max(a, b)) for a, b in zip(first.tolist(), second.tolist(), strict=True) if a != b
    }
    faults = []
    for a, b in sorted(unordered):
        common = polygons_of(shapely.intersection(ground[a], ground[b]))
        width = width_m(common)
        if width > OVERLAP_WIDTH_M:
            fault = error(FaultCode.OVERLAP, (layer.codes[a], layer.codes[b]), width=f"{width:.2f}")
            area = round(float(shapely.area(common)), 2)
            faults.append(msgspec.structs.replace(fault, area_m2=area, width_m=round(width, 2)))
    return faults


def _gaps(layer: Layer, ground: Geometries, *, exact: bool) -> list[Fault]:
    union = shapely.coverage_union_all(ground) if exact else shapely.union_all(ground)
    rings = [
        ring for part in shapely.get_parts(union) if part.geom_type == "Polygon" for ring in part.interiors
    ]
    if not rings:
        return []
    # A hole inside one cell is the surveyor's own doing (a park without dwellings); it has one neighbour.
    holes = shapely.polygons(rings)
    tree = shapely.STRtree(ground)
    faults = []
    for hole in holes:
        around = tuple(sorted(layer.codes[i] for i in tree.query(hole, predicate="intersects")))
        width, area = width_m(hole), round(float(shapely.area(hole)), 2)
        if width < SLIVER_WIDTH_M:
            fault = warning(FaultCode.SLIVER, around, width=f"{SLIVER_WIDTH_M:g}")
        else:
            fault = warning(FaultCode.GAP, around, area=f"{area:.0f}")
        faults.append(msgspec.structs.replace(fault, area_m2=area, width_m=round(width, 2)))
    return faults


def width_m(ground: Any) -> float:
    """Diameter of the widest circle that fits into ground measured in metres; 0 for nothing."""
    if shapely.is_empty(ground) or shapely.area(ground) == 0.0:
        return 0.0
    # An upper bound for any shape; the circle of something this thin need not be searched for.
    bound = 2.0 * float(np.sqrt(shapely.area(ground) / np.pi))
    if bound < OVERLAP_WIDTH_M:
        return bound
    circle = shapely.maximum_inscribed_circle(ground, tolerance=max(bound / 1000, 1e-4))
    return 2.0 * float(shapely.length(circle))


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
