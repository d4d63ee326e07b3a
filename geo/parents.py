"""The areas above the cells of a file: from codes, from properties, and their outlines where a file draws them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import shapely

from geo import checks
from geo.cells import Area, Kind, Layer, Level, is_code, is_name
from geo.codes import GRID_15, scheme_of
from geo.faults import Fault, FaultCode, error, warning
from geo.features import Feature, Fields, text_of
from geo.shapes import SLIVER_WIDTH_M, geojson_of, polygons_of, width_m

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# What files that nobody described call the areas above a cell, and their names.
USUAL_PARENTS = (("community", "street", "district"), ("street", "district"), ("district",), ("parent",))
USUAL_NAMES = {"community": "comm_name", "street": "str_name", "district": "dist_name"}
OUTLINE = "area"  # the kind of a feature that is no cell but the outline of an area above


def with_parents(fields: Fields, features: Sequence[Feature]) -> Fields:
    """The fields with parents filled in for a file whose codes do not tell them."""
    if fields.parents or all(scheme_of(feature.code, fields.scheme) for feature in features):
        return fields
    for usual in USUAL_PARENTS:
        if all(field in feature.properties for feature in features for field in usual):
            names = tuple(USUAL_NAMES.get(field, "") for field in usual)
            return msgspec.structs.replace(fields, parents=usual, parent_names=fields.parent_names or names)
    return fields


def parted(
    features: list[Feature], fields: Fields, faults: list[Fault]
) -> tuple[list[Feature], list[Feature]]:
    """The cells, and the outlines of areas, each of which may stand once."""
    outlines = [feature for feature in features if text_of(feature.properties.get(fields.kind)) == OUTLINE]
    times = Counter(outline.label for outline in outlines)
    faults += [error(FaultCode.CODE_DUPLICATE, (code,), times=str(n)) for code, n in times.items() if n > 1]
    drawn = set(map(id, outlines))
    return [feature for feature in features if id(feature) not in drawn], outlines


class Areas:
    """The areas met while reading cells: each once, and with one parent."""

    def __init__(self, faults: list[Fault], names: Mapping[str, str], listed: Sequence[Area]) -> None:
        self._faults = faults
        self._names = {area.code: area.name for area in listed} | dict(names)
        self._listed = {area.code: area for area in listed}
        self._levels: dict[str, Level] = {}
        self._parents: dict[str, set[str | None]] = {}

    def parent_of(self, feature: Feature, fields: Fields) -> str:
        """Enter the areas above a cell; its direct parent, or an empty code if it has none."""
        scheme = scheme_of(feature.code, fields.scheme)
        levels: tuple[Level, ...]
        listed = self._chain(text_of(feature.properties.get("parent")))
        if listed and fields.parents in {(), ("parent",)}:
            codes, levels = [area.code for area in listed], tuple(area.level for area in listed)
        elif fields.parents:
            levels = tuple(Level)[-len(fields.parents) :]
            codes = [text_of(feature.properties.get(field)) for field in fields.parents]
            for code, field in zip(codes, fields.parents, strict=True):
                if code and not is_code(code):
                    self._faults.append(error(FaultCode.CODE_NOT_ALLOWED, (feature.label,), field=field))
                    return ""
            for code, field in zip(codes, fields.parent_names, strict=False):
                self._name(feature, code, field)
        elif scheme is not None:
            above = scheme.parse(feature.code).parents()
            codes, levels = [code for code, _ in above], tuple(level for _, level in above)
            for code, level in above:
                self._name(feature, code, USUAL_NAMES[level.name.lower()])
        else:
            if feature.code:
                wanted = fields.scheme or GRID_15
                words = {"scheme": wanted.name, "digits": str(wanted.total)}
                self._faults.append(error(FaultCode.CODE_MALFORMED, (feature.label,), **words))
            return ""
        if not all(codes):
            self._faults.append(error(FaultCode.PARENT_MISSING, (feature.label,)))
            return ""
        for code, level, above_it in zip(codes, levels, [*codes[1:], None], strict=True):
            self._levels.setdefault(code, level)
            self._parents.setdefault(code, set()).add(above_it)
        return codes[0]

    def _chain(self, code: str) -> list[Area]:
        """The areas above a cell as the file lists them, up to the district; none where the list breaks off."""
        chain: list[Area] = []
        area = self._listed.get(code)
        while area is not None and area not in chain:
            chain.append(area)
            if area.parent is None:
                return chain
            area = self._listed.get(area.parent)
        return []

    def _name(self, feature: Feature, code: str, field: str) -> None:
        name = text_of(feature.properties.get(field))
        if not is_name(name):
            self._faults.append(error(FaultCode.NAME_NOT_ALLOWED, (feature.label,), field=field))
        elif name:
            self._names.setdefault(code, name)

    def found(self) -> list[Area]:
        """The areas, each with its one parent; a fault for each that was given several."""
        areas = []
        for code, level in self._levels.items():
            parents = sorted(self._parents[code], key=lambda parent: parent or "")
            if len(parents) > 1:
                told = "、".join(parent or "-" for parent in parents)
                self._faults.append(error(FaultCode.PARENT_CONFLICT, (), area=code, parents=told))
            areas.append(Area(code, self._names.get(code) or code, level, Kind.AREA, parents[0]))
        return areas


def outline_faults(layer: Layer, outlines: Sequence[Feature]) -> list[Fault]:
    """Cells that lie outside of the area they belong to, where its outline is drawn, and outlines without cells."""
    faults = []
    for outline in outlines:
        codes = set(layer.cells_of(outline.label)) if layer.cell(outline.label) is None else set()
        if not codes:
            faults.append(warning(FaultCode.AREA_WITHOUT_CELLS, (outline.label,), area=outline.label))
            continue
        sound = checks.mended(outline.ground)
        if not shapely.is_valid(outline.ground):  # it is only compared with, and not kept
            faults.append(checks.ring_fault(outline.label, outline.ground, sound, made=True))
        within = np.array([sound], dtype=object)
        (area,) = layer.plane.geometries_to_metres(within)
        ordinals = [i for i, code in enumerate(layer.codes) if code in codes]
        ground = shapely.make_valid(layer.plane.geometries_to_metres(layer.geometries[ordinals]))
        beyond = shapely.difference(ground, area)
        for i, whole, rest in zip(ordinals, ground, beyond, strict=True):
            fault = _outside(layer, i, outline.label, polygons_of(rest), float(shapely.area(whole)))
            if fault is not None:
                faults.append(fault)
    return faults


def _outside(layer: Layer, i: int, parent: str, rest: Any, whole: float) -> Fault | None:
    """The fault of ground outside of a parent; an error where it is most of the cell. Outlines are drawn roughly."""
    width, area = width_m(rest), float(shapely.area(rest))
    if width < SLIVER_WIDTH_M:
        return None
    say = error if area > whole / 2 else warning
    words = {"parent": parent, "area": f"{area:.0f}", "width": f"{width:.2f}"}
    fault = say(FaultCode.OUTSIDE_PARENT, (layer.codes[i],), **words)
    where = geojson_of(shapely.transform(rest, layer.plane.to_degrees))
    return msgspec.structs.replace(fault, area_m2=round(area, 2), width_m=round(width, 2), geometry=where)
