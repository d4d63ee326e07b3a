"""How cells lie beside each other: overlaps, gaps, and borders drawn with different points. The rings must be valid."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import shapely

from geo.faults import Fault, FaultCode, Repair, error, warning
from geo.repairs import Gap, Mending, gaps_of, mending_of
from geo.shapes import OVERLAP_WIDTH_M, SLIVER_WIDTH_M, geojson_of, polygons_of, width_m

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geo.cells import Layer
    from geo.coordinates import Geometries


def coverage_faults(layer: Layer) -> list[Fault]:
    """Overlaps, borders drawn with different points, and gaps, each with the repair that would mend it."""
    ground = layer.plane.geometries_to_metres(layer.geometries)
    edges = shapely.coverage_invalid_edges(ground, gap_width=SLIVER_WIDTH_M)
    uneven = ~shapely.is_empty(edges)
    gaps = gaps_of(layer, exact=not uneven.any())
    mending = mending_of(layer, gaps, np.flatnonzero(uneven))
    faults = [_gap_fault(layer, gap, mending) for gap in gaps]
    if not uneven.any():
        return faults
    faults += _overlaps(layer, ground, np.flatnonzero(uneven)) + border_faults(layer, mending, made=False)
    told = {code for fault in faults for code in fault.cells}
    strict = shapely.coverage_invalid_edges(ground, gap_width=0.0)
    for i in np.flatnonzero(uneven):
        if layer.codes[i] in told:
            continue
        if shapely.is_empty(strict[i]):  # valid but for the width: a crack that opens to the outside
            fault = warning(FaultCode.SLIVER, (layer.codes[i],), width=f"{SLIVER_WIDTH_M:g}")
        else:
            fault = warning(FaultCode.BORDER_NOT_SHARED, (layer.codes[i],))
        faults.append(msgspec.structs.replace(fault, geometry=_in_degrees(layer, edges[i])))
    return faults


def mended_layer(layer: Layer) -> tuple[Layer, list[Fault]]:
    """The layer with narrow gaps filled and borders drawn with the same points, and a warning for each repair made."""
    ground = layer.plane.geometries_to_metres(layer.geometries)
    uneven = np.flatnonzero(
        ~shapely.is_empty(shapely.coverage_invalid_edges(ground, gap_width=SLIVER_WIDTH_M))
    )
    if not uneven.size:
        return layer, []
    gaps = gaps_of(layer, exact=False)
    mending = mending_of(layer, gaps, uneven)
    faults = [_gap_fault(layer, gap, mending, made=True) for gap in gaps if gap in mending.fills]
    faults += border_faults(layer, mending, made=True)
    return mending.layer, faults


def _gap_fault(layer: Layer, gap: Gap, mending: Mending, *, made: bool = False) -> Fault:
    around = tuple(layer.codes[i] for i in gap.around)
    if gap.width_m < SLIVER_WIDTH_M:
        fault = warning(FaultCode.SLIVER, around, width=f"{SLIVER_WIDTH_M:g}")
    else:
        fault = warning(FaultCode.GAP, around, area=f"{gap.area_m2:.0f}")
    repair = _repair(layer, mending, gap.receiver, "fill", made=made) if gap in mending.fills else None
    geometry = geojson_of(gap.ground)
    area, width = round(gap.area_m2, 2), round(gap.width_m, 2)
    return msgspec.structs.replace(fault, area_m2=area, width_m=width, geometry=geometry, repair=repair)


def border_faults(layer: Layer, mending: Mending, *, made: bool) -> list[Fault]:
    """A fault for each cell that lacks corners of its neighbours, at those corners."""
    faults = []
    for i, nodes in sorted(mending.nodes.items()):
        cells = (layer.codes[i], *(layer.codes[j] for j in sorted(nodes.givers)))
        fault = warning(FaultCode.BORDER_NOT_SHARED, cells)
        geometry = geojson_of(shapely.multipoints(nodes.corners))
        repair = _repair(layer, mending, i, "node", made=made)
        faults.append(msgspec.structs.replace(fault, geometry=geometry, repair=repair))
    return faults


def _repair(layer: Layer, mending: Mending, i: int, method: str, *, made: bool) -> Repair:
    before, after = layer.geometries[i], mending.layer.geometries[i]
    areas = shapely.area(layer.plane.geometries_to_metres(np.array([before, after], dtype=object)))
    nodes = mending.nodes.get(i)
    return Repair(
        method=method,
        made=made,
        cell=layer.codes[i],
        area_before_m2=round(float(areas[0]), 2),
        area_after_m2=round(float(areas[1]), 2),
        parts_before=int(shapely.get_num_geometries(before)),
        parts_after=int(shapely.get_num_geometries(after)),
        geometry=geojson_of(after),
        vertices_inserted=0 if nodes is None else len(nodes.corners),
    )


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
            area, where = round(float(shapely.area(common)), 2), _in_degrees(layer, common)
            faults.append(
                msgspec.structs.replace(fault, area_m2=area, width_m=round(width, 2), geometry=where)
            )
    return faults


def _in_degrees(layer: Layer, geometry: Any) -> dict[str, Any]:
    return geojson_of(shapely.transform(geometry, layer.plane.to_degrees))
