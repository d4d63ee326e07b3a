"""Features of a file on their way to cells: their codes, their ground, and the system that it is in."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from typing import TYPE_CHECKING, Any, cast

import msgspec
import numpy as np
import shapely

from geo import checks
from geo.cells import is_code
from geo.codes import Scheme, scheme_of
from geo.faults import Fault, FaultCode, error, warning
from geo.points import Crs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geo.systems import System

SHOWN = 64  # as much of a value as a sentence repeats


class Fields(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which property of a feature means what.

    `parents` are named from the nearest to the district, so three of them are community, street and district,
    and a single one is the district. Without any they are found: from the digits of codes that follow a scheme, else
    from properties that are called as in `geo.parents.USUAL_PARENTS`.
    `parent_names` are the properties that hold those areas' names, in the same order.
    `scheme` is how the district makes up its codes; without one, whichever known scheme a code fits.
    """

    code: str = "code"
    name: str = "name"
    kind: str = "kind"
    parents: tuple[str, ...] = ()
    parent_names: tuple[str, ...] = ()
    scheme: Scheme | None = None


class Feature(msgspec.Struct):
    """A feature on its way to a cell. `label` is its code, or `#n` while it has none."""

    label: str
    code: str
    properties: Mapping[str, Any]
    ground: Any


def text_of(value: object) -> str:
    """A property as text: many tables hold codes as numbers."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else ""


def features_of(raw: list[Any], fields: Fields, faults: list[Fault]) -> list[Feature]:
    """The features with their codes; a fault for each that has none or one that cannot be a code."""
    features = []
    for place, item in enumerate(raw, start=1):
        properties = item.get("properties") if isinstance(item, dict) else None
        properties = properties if isinstance(properties, dict) else {}
        code = text_of(properties.get(fields.code))
        if not code:
            faults.append(error(FaultCode.CODE_MISSING, (f"#{place}",)))
        elif not is_code(code):
            faults.append(error(FaultCode.CODE_NOT_ALLOWED, (f"#{place}",), field=fields.code))
            code = ""
        features.append(Feature(code or f"#{place}", code, properties, None))
    return features


def foreign_codes(features: list[Feature], fields: Fields, district: str | None, faults: list[Fault]) -> None:
    """Codes of a scheme tell their district: those of another are its neighbour's file, or a neighbour's cells."""
    if district is None or not district.isdigit():
        return
    foreign = []
    for feature in features:
        scheme = scheme_of(feature.code, fields.scheme)
        if scheme is not None and not scheme.parse(feature.code).parents()[-1][0].startswith(district):
            foreign.append(feature.code)
    if foreign:
        words = {"count": str(len(foreign)), "district": district}
        faults.append(warning(FaultCode.CODE_FOREIGN, tuple(foreign[:1]), **words))


def give_grounds(features: list[Feature], raw: list[Any], faults: list[Fault]) -> None:
    """Read each feature's polygons; a fault for each that has none."""
    for feature, item in zip(features, raw, strict=True):
        geometry = item.get("geometry") if isinstance(item, dict) else None
        if not isinstance(geometry, dict):
            faults.append(error(FaultCode.GEOMETRY_MISSING, (feature.label,)))
            continue
        sort, coordinates = geometry.get("type"), geometry.get("coordinates")
        if not isinstance(sort, str) or sort not in {"Polygon", "MultiPolygon"}:
            faults.append(error(FaultCode.GEOMETRY_NOT_POLYGON, (feature.label,), type=str(sort)[:SHOWN]))
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


def _ring(positions: Any) -> NDArray[np.float64]:
    if isinstance(positions, np.ndarray):  # from a file whose numbers cannot be anything else
        ring = positions
    else:
        if not set(map(type, chain.from_iterable(positions))) <= {int, float}:
            raise TypeError  # numpy would take "112.4" and true for numbers
        # a height as third number is allowed and dropped; fewer than three corners make no ground
        ring = np.array([(position[0], position[1]) for position in positions], dtype=np.float64)
    if len(ring) < 4 or not np.isfinite(ring).all():  # the first corner is repeated at the end
        raise ValueError
    return ring


def mend(features: list[Feature], faults: list[Fault]) -> None:
    """Mend invalid rings, and tell of each."""
    for feature in features:
        if not shapely.is_valid(feature.ground):
            after = checks.mended(feature.ground)
            faults.append(checks.ring_fault(feature.label, feature.ground, after, made=True))
            feature.ground = after


def to_wgs84(features: list[Feature], declared: System) -> None:
    """Move the grounds from the system that was declared; the one place where a system becomes degrees.

    Raises `SystemRefused` for coordinates that the system has no place for.
    """

    def earth(xy: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.column_stack(declared.to_wgs84(xy[:, 0], xy[:, 1]))

    ground = np.array([feature.ground for feature in features], dtype=object)
    if declared.word not in {Crs.WGS84, Crs.CGCS2000}:
        # all at once: vertices that neighbours share are the same numbers, and stay so
        ground = shapely.transform(ground, earth)
    # shells anticlockwise, whatever the file's format has: so a layer is the same from each of them
    for feature, oriented in zip(features, shapely.orient_polygons(ground), strict=True):
        feature.ground = oriented
