"""Reading a layer from a file as districts hand it in: GeoJSON, a shapefile in a zip, KML or KMZ.

The way of a file: features → ground → degrees → parents → layer → `check`. Whatever is wrong is collected in a report;
a file with an error makes no layer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, TypeAlias

import msgspec
import shapely

from geo import checks
from geo.cells import Cell, Kind, Layer, is_name
from geo.coverage import mended_layer
from geo.document import Form, open_document
from geo.faults import Fault, FaultCode, Report, error, refused, report_of, warning
from geo.features import (
    SHOWN,
    Feature,
    Fields,
    features_of,
    foreign_codes,
    give_grounds,
    mend,
    text_of,
    to_wgs84,
)
from geo.parents import Areas, outline_faults, parted, with_parents
from geo.points import Crs
from geo.refusals import SystemRefused
from geo.regions import Provider
from geo.reports import placed
from geo.systems import read_system
from geo.whereabouts import lies_right


class Step(StrEnum):
    """Where a reading is, for who waits for it."""

    OPEN = "open"
    GROUND = "ground"
    CELLS = "cells"
    REPAIR = "repair"
    CHECK = "check"


Tell: TypeAlias = Callable[[Step], None]


class Reading(msgspec.Struct, frozen=True):
    """What became of a file: a layer if nothing blocks it, and the report in any case."""

    layer: Layer | None
    report: Report


def quiet(_: Step) -> None:
    """Nobody waits."""


def read_file(
    content: bytes,
    crs_declared: str | Mapping[str, Any] | None,
    fields: Fields | None = None,
    *,
    provider: Provider = Provider.MAINLAND_HK_MO,
    form: Form | None = None,
    encoding: str | None = None,
    area_names: Mapping[str, str] | None = None,
    repair: bool = False,
    previous: Layer | None = None,
    district: str | None = None,
    number: int = 1,
    name: str = "",
    tell: Tell = quiet,
) -> Reading:
    """Read a district's file. With `repair`, what can safely be mended is, and told of as warnings.

    `crs_declared` is one of the four words, a published system or a table, as `geo.systems` reads them, of a map of
    `provider`. Without it the file must name its coordinate system itself; without `form` its bytes tell what it is;
    `encoding` is of its texts, where the file does not say. `previous` is the layer it replaces: it tells whether this
    one lies where the district is, in the system that was declared. `district` is the code that the district's own
    codes begin with. `area_names` gives names by area code.
    """
    fields = fields or Fields()
    faults: list[Fault] = []
    tell(Step.OPEN)
    try:
        declared = None if crs_declared is None else read_system(crs_declared, provider)
    except SystemRefused as problem:
        return Reading(None, report_of([refused(problem)]))
    document = open_document(content, declared, faults, form=form, encoding=encoding)
    if document is None:
        return Reading(None, report_of(faults))

    tell(Step.GROUND)
    features = features_of(document.features, fields, faults)
    foreign_codes(features, fields, district, faults)
    give_grounds(features, document.features, faults)
    features = [feature for feature in features if feature.ground is not None]
    if features:
        try:
            to_wgs84(features, document.crs)
        except SystemRefused as problem:
            return Reading(None, report_of([*faults, refused(problem)]))
        grounds, labels = [feature.ground for feature in features], [feature.label for feature in features]
        if not lies_right(grounds, labels, previous, faults):
            return Reading(None, placed(report_of(faults), _outlines(features)))
    if repair:
        mend(features, faults)

    tell(Step.CELLS)
    features, outlines = parted(features, fields, faults)
    fields = with_parents(fields, features)
    names = {outline.label: text_of(outline.properties.get(fields.name)) for outline in outlines}
    areas = Areas(faults, names | dict(area_names or {}), document.areas)
    cells = [_cell(feature, areas.parent_of(feature, fields), fields, faults) for feature in features]
    layer = Layer.of(cells, areas.found(), number=number, name=name)
    if repair and layer.cells and shapely.is_valid(layer.geometries).all():
        tell(Step.REPAIR)
        layer, made = mended_layer(layer)
        faults += made
    tell(Step.CHECK)
    faults += outline_faults(layer, outlines)
    faults += checks.check(layer).faults
    if previous is not None and all(fault.code is not FaultCode.LAYER_ELSEWHERE for fault in faults):
        faults += checks.crs_faults(layer, document.crs.word or Crs.WGS84, previous)
    report = placed(report_of(faults), _outlines([*features, *outlines]))
    return Reading(layer if report.usable else None, report)


def read_geojson(
    content: bytes, crs_declared: str | Mapping[str, Any] | None, fields: Fields | None = None, **options: Any
) -> Reading:
    """`read_file` for GeoJSON."""
    return read_file(content, crs_declared, fields, form=Form.GEOJSON, **options)


def _outlines(features: list[Feature]) -> dict[str, Any]:
    return {feature.label: feature.ground for feature in features}


def _cell(feature: Feature, parent: str, fields: Fields, faults: list[Fault]) -> Cell:
    name = text_of(feature.properties.get(fields.name))
    if not name and fields.name in feature.properties:
        faults.append(warning(FaultCode.NAME_MISSING, (feature.label,)))
    if not is_name(name):
        faults.append(error(FaultCode.NAME_NOT_ALLOWED, (feature.label,), field=fields.name))
    kind = text_of(feature.properties.get(fields.kind)) or Kind.BASIC
    if kind not in {"basic", "dedicated"}:
        faults.append(error(FaultCode.KIND_UNKNOWN, (feature.label,), kind=kind[:SHOWN]))
        kind = Kind.BASIC
    return Cell.of(feature.label, name or feature.label, parent, feature.ground, Kind(kind))
