"""Reading a layer from a GeoJSON file as districts hand it in.

The way of a file: JSON → features → coordinates → ground → parents → layer → `check`. Whatever is wrong is
collected in a report; a file with an error makes no layer.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from typing import TYPE_CHECKING, Any, cast

import msgspec
import numpy as np
import shapely

from geo import checks
from geo.cells import Area, Cell, Kind, Layer, Level, is_code, is_name
from geo.coordinates import convert
from geo.document import open_document
from geo.faults import Fault, FaultCode, Report, error, report_of, warning
from geo.points import Crs
from geo.whereabouts import lies_right

if TYPE_CHECKING:
    from numpy.typing import NDArray

CODE_DIGITS = 15  # 6 county + 3 street + 3 community + 3 cell
_SHOWN = 64  # as much of a value as a sentence repeats
PREFIXES = ((12, Level.COMMUNITY), (9, Level.STREET), (6, Level.DISTRICT))


class Fields(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which property of a feature means what.

    `parents` are named from the nearest to the district, so three of them are community, street and district,
    and a single one is the district. Without any they are found: from the digits of 15-digit codes, else from
    properties that are called as in `USUAL_PARENTS`.
    `parent_names` are the properties that hold those areas' names, in the same order.
    """

    code: str = "code"
    name: str = "name"
    kind: str = "kind"
    parents: tuple[str, ...] = ()
    parent_names: tuple[str, ...] = ()


# What files that nobody described call the areas above a cell.
USUAL_PARENTS = (("community", "street", "district"), ("street", "district"), ("parent",))


class Reading(msgspec.Struct, frozen=True):
    """What became of a file: a layer if nothing blocks it, and the report in any case."""

    layer: Layer | None
    report: Report


class _Feature(msgspec.Struct):
    """A feature on its way to a cell. `label` is its code, or `#n` while it has none."""

    label: str
    code: str
    properties: Mapping[str, Any]
    ground: Any


def read_geojson(
    content: bytes,
    crs_declared: Crs | None,
    fields: Fields | None = None,
    *,
    area_names: Mapping[str, str] | None = None,
    repair: bool = False,
    previous: Layer | None = None,
    district: str | None = None,
    number: int = 1,
    name: str = "",
) -> Reading:
    """Read a district's file. With `repair`, invalid rings are mended and told of as warnings.

    Without `crs_declared` the file must name its coordinate system itself. `previous` is the layer it replaces: it
    tells whether this one lies where the district is, in the system that was declared. `district` is the code that
    the district's own codes begin with. `area_names` gives names by area code.
    """
    fields = fields or Fields()
    faults: list[Fault] = []
    document = open_document(content, crs_declared, faults)
    if document is None:
        return Reading(None, report_of(faults))

    features = _codes(document.features, fields, faults)
    _foreign_codes(features, district, faults)
    _grounds(features, document.features, faults)
    features = [feature for feature in features if feature.ground is not None]
    if features and not lies_right(
        [feature.ground for feature in features], [feature.label for feature in features], previous, faults
    ):
        return Reading(None, report_of(faults))
    if repair:
        _mend(features, faults)
    _to_wgs84(features, document.crs)

    fields = _with_parents(fields, features)
    areas = _Areas(faults, area_names or {})
    cells = [_cell(feature, areas.parent_of(feature, fields), fields, faults) for feature in features]
    layer = Layer.of(cells, areas.found(), number=number, name=name)
    faults += checks.check(layer).faults
    if previous is not None and all(fault.code is not FaultCode.LAYER_ELSEWHERE for fault in faults):
        faults += checks.crs_faults(layer, document.crs, previous)
    report = report_of(faults)
    return Reading(layer if report.usable else None, report)


def _with_parents(fields: Fields, features: list[_Feature]) -> Fields:
    """The fields with parents filled in for a file whose codes do not tell them."""
    if fields.parents or all(_tells_parents(feature.code) for feature in features):
        return fields
    for usual in USUAL_PARENTS:
        if all(field in feature.properties for feature in features for field in usual):
            return msgspec.structs.replace(fields, parents=usual)
    return fields


def _codes(raw: list[Any], fields: Fields, faults: list[Fault]) -> list[_Feature]:
    features = []
    for place, item in enumerate(raw, start=1):
        properties = item.get("properties") if isinstance(item, dict) else None
        properties = properties if isinstance(properties, dict) else {}
        code = _text(properties.get(fields.code))
        if not code:
            faults.append(error(FaultCode.CODE_MISSING, (f"#{place}",)))
        elif not is_code(code):
            faults.append(error(FaultCode.CODE_NOT_ALLOWED, (f"#{place}",), field=fields.code))
            code = ""
        features.append(_Feature(code or f"#{place}", code, properties, None))
    return features


def _foreign_codes(features: list[_Feature], district: str | None, faults: list[Fault]) -> None:
    """Codes of 15 digits tell their district: those of another are its neighbour's file, or a neighbour's cells."""
    if district is None or not district.isdigit():
        return
    foreign = [
        feature.code
        for feature in features
        if _tells_parents(feature.code) and not feature.code.startswith(district)
    ]
    if foreign:
        words = {"count": str(len(foreign)), "district": district}
        faults.append(warning(FaultCode.CODE_FOREIGN, tuple(foreign[:1]), **words))


def _tells_parents(code: str) -> bool:
    return len(code) == CODE_DIGITS and code.isascii() and code.isdigit()


def _text(value: object) -> str:
    """A property as text: many tables hold codes as numbers."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else ""


def _grounds(features: list[_Feature], raw: list[Any], faults: list[Fault]) -> None:
    for feature, item in zip(features, raw, strict=True):
        geometry = item.get("geometry") if isinstance(item, dict) else None
        if not isinstance(geometry, dict):
            faults.append(error(FaultCode.GEOMETRY_MISSING, (feature.label,)))
            continue
        sort, coordinates = geometry.get("type"), geometry.get("coordinates")
        if not isinstance(sort, str) or sort not in {"Polygon", "MultiPolygon"}:
            faults.append(error(FaultCode.GEOMETRY_NOT_POLYGON, (feature.label,), type=str(sort)[:_SHOWN]))
            continue
        try:
            parts = coordinates if sort == "MultiPolygon" else [coordinates]
            polygons = [_polygon(rings) for rings in cast("list[Any]", parts) if rings]
        except (TypeError, ValueError, LookupError, OverflowError, shapely.GEOSException):
            faults.append(error(FaultCode.COORDINATES_MALFORMED, (feature.label,)))
            continue
        if not polygons:
            faults.append(error(FaultCode.GEOMETRY_EMPTY, (feature.label,)))
            continue
        feature.ground = polygons[0] if len(polygons) == 1 else shapely.MultiPolygon(polygons)


def _polygon(rings: list[Any]) -> Any:
    shell, *holes = [_ring(ring) for ring in rings]
    return shapely.Polygon(shell, holes)


def _ring(positions: list[Any]) -> NDArray[np.float64]:
    if not set(map(type, chain.from_iterable(positions))) <= {int, float}:
        raise TypeError  # numpy would take "112.4" and true for numbers
    # a height as third number is allowed and dropped; fewer than three corners make no ground
    ring = np.array([(position[0], position[1]) for position in positions], dtype=np.float64)
    if len(ring) < 4 or not np.isfinite(ring).all():  # the first corner is repeated at the end
        raise ValueError(len(ring))
    return ring


def _mend(features: list[_Feature], faults: list[Fault]) -> None:
    for feature in features:
        if not shapely.is_valid(feature.ground):
            after = checks.mended(feature.ground)
            faults.append(checks.ring_fault(feature.label, feature.ground, after, made=True))
            feature.ground = after


def _to_wgs84(features: list[_Feature], declared: Crs) -> None:
    if declared in {Crs.WGS84, Crs.CGCS2000}:
        return

    def earth(lonlat: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.column_stack(convert(lonlat[:, 0], lonlat[:, 1], declared, Crs.WGS84))

    # all at once: vertices that neighbours share are the same numbers, and stay so
    moved = shapely.transform(np.array([feature.ground for feature in features], dtype=object), earth)
    for feature, ground in zip(features, moved, strict=True):
        feature.ground = ground


def _cell(feature: _Feature, parent: str, fields: Fields, faults: list[Fault]) -> Cell:
    name = _text(feature.properties.get(fields.name))
    if not name and fields.name in feature.properties:
        faults.append(warning(FaultCode.NAME_MISSING, (feature.label,)))
    if not is_name(name):
        faults.append(error(FaultCode.NAME_NOT_ALLOWED, (feature.label,), field=fields.name))
    kind = _text(feature.properties.get(fields.kind)) or Kind.BASIC
    if kind not in {"basic", "dedicated"}:
        faults.append(error(FaultCode.KIND_UNKNOWN, (feature.label,), kind=kind[:_SHOWN]))
        kind = Kind.BASIC
    return Cell.of(feature.label, name or feature.label, parent, feature.ground, Kind(kind))


class _Areas:
    """The areas met while reading cells: each once, and with one parent."""

    def __init__(self, faults: list[Fault], names: Mapping[str, str]) -> None:
        self._faults = faults
        self._names = dict(names)
        self._levels: dict[str, Level] = {}
        self._parents: dict[str, set[str | None]] = {}

    def parent_of(self, feature: _Feature, fields: Fields) -> str:
        """Enter the areas above a cell; its direct parent, or an empty code if it has none."""
        if fields.parents:
            levels = tuple(Level)[-len(fields.parents) :]
            codes = [_text(feature.properties.get(field)) for field in fields.parents]
            for code, field in zip(codes, fields.parents, strict=True):
                if code and not is_code(code):
                    self._faults.append(error(FaultCode.CODE_NOT_ALLOWED, (feature.label,), field=field))
                    return ""
            for code, field in zip(codes, fields.parent_names, strict=False):
                self._name(feature, code, field)
        elif _tells_parents(feature.code):
            levels = tuple(level for _, level in PREFIXES)
            codes = [feature.code[:digits] for digits, _ in PREFIXES]
        else:
            if feature.code:
                self._faults.append(error(FaultCode.CODE_MALFORMED, (feature.label,)))
            return ""
        if not all(codes):
            self._faults.append(error(FaultCode.PARENT_MISSING, (feature.label,)))
            return ""
        for code, level, above in zip(codes, levels, [*codes[1:], None], strict=True):
            self._levels.setdefault(code, level)
            self._parents.setdefault(code, set()).add(above)
        return codes[0]

    def _name(self, feature: _Feature, code: str, field: str) -> None:
        name = _text(feature.properties.get(field))
        if not is_name(name):
            self._faults.append(error(FaultCode.NAME_NOT_ALLOWED, (feature.label,), field=field))
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
