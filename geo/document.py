"""A layer's file before its features are looked at: what sort it is, its features, and the system that it names.

Whatever a file is, its features come out as GeoJSON has them, so that one set of rules is for all. In JSON a key that
stands twice in one object is an error and not a choice between the two: somebody would see the other code.
"""

from __future__ import annotations

import json
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NoReturn

import msgspec

from geo import charsets, kml, shapefile
from geo.archive import Archive, is_archive, open_archive
from geo.cells import Area
from geo.faults import Fault, FaultCode, error, refused
from geo.points import Crs
from geo.refusals import SystemRefused
from geo.systems import System, read_system

if TYPE_CHECKING:
    from collections.abc import Iterator

# What a `crs` member may name, and what we call it. Files before RFC 7946 carry one.
NAMED_CRS = {
    "urn:ogc:def:crs:OGC:1.3:CRS84": Crs.WGS84,
    "urn:ogc:def:crs:OGC::CRS84": Crs.WGS84,
    "OGC:CRS84": Crs.WGS84,
    "urn:ogc:def:crs:EPSG::4326": Crs.WGS84,
    "EPSG:4326": Crs.WGS84,
    "urn:ogc:def:crs:EPSG::4490": Crs.CGCS2000,
    "EPSG:4490": Crs.CGCS2000,
    # as a .prj has them
    "GCS_WGS_1984": Crs.WGS84,
    "WGS 84": Crs.WGS84,
    "WGS_1984": Crs.WGS84,
    "GCS_China_Geodetic_Coordinate_System_2000": Crs.CGCS2000,
    "China Geodetic Coordinate System 2000": Crs.CGCS2000,
    "GCS_CGCS_2000": Crs.CGCS2000,
    "CGCS2000": Crs.CGCS2000,
}
CELLS_MAX = 200_000  # all of England and Wales in areas of 125 households
_SHOWN = 64  # as much of a name as a sentence repeats


class _DoubleKey(ValueError):
    """A key that stands twice in one object."""


class Form(StrEnum):
    """The sorts of files that hold layers."""

    GEOJSON = "geojson"
    SHAPEFILE = "shapefile"  # a zip with .shp, .dbf and what belongs to them
    KML = "kml"  # or a KMZ


class Document(msgspec.Struct, frozen=True):
    """The features of a file as they came, the coordinate system they are in, and the areas above, if it lists them."""

    features: list[Any]
    crs: System
    areas: tuple[Area, ...] = ()


def open_document(
    content: bytes,
    declared: System | None,
    faults: list[Fault],
    *,
    form: Form | None = None,
    encoding: str | None = None,
) -> Document | None:
    """The features and their coordinate system, the declared one or the file's own; None when there are none.

    Without `form` the bytes tell it. `encoding` is of the texts of a shapefile or of JSON that is not UTF-8.
    """
    if not content.strip():
        faults.append(error(FaultCode.FILE_EMPTY))
        return None
    if encoding is not None and charsets.known(encoding) is None:
        names = "、".join(charsets.KNOWN)
        faults.append(error(FaultCode.ENCODING_UNKNOWN, encoding=encoding[:_SHOWN], known=names))
        return None
    archive: Archive | None = None
    if form is not Form.GEOJSON and is_archive(content):
        archive = open_archive(content, faults)
        if archive is None:
            return None
        form = form or (Form.SHAPEFILE if archive.ending(".shp", ".dbf", ".shx") else None)
        form = form or (Form.KML if archive.ending(".kml") else None)
        if form is None:
            faults.append(error(FaultCode.ARCHIVE_WITHOUT_LAYER))
            return None
    if form is Form.SHAPEFILE:
        return _shapefile(archive, declared, faults, encoding)
    if form is Form.KML or (form is None and content.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<")):
        features = kml.read(content if archive is None else archive, faults)
        return None if features is None else _document(features, set(), declared, faults)
    raw = _collection_of(content, faults, encoding)
    return None if raw is None else _document(raw["features"], _names(raw), declared, faults, _areas_of(raw))


def _shapefile(
    archive: Archive | None, declared: System | None, faults: list[Fault], encoding: str | None
) -> Document | None:
    if archive is None:
        faults.append(error(FaultCode.ARCHIVE_BROKEN))
        return None
    found = shapefile.read(archive, faults, encoding)
    if found is None:
        return None
    names = set() if found.projection is None else {_name_of_projection(found.projection)}
    return _document(found.features, names, declared, faults)


def _name_of_projection(text: str) -> str:
    """What a .prj says: the name of plain degrees, and all of it where it takes more to say."""
    name = shapefile.name_of(text)
    return name if name in NAMED_CRS else text


def _document(
    features: list[Any],
    named: set[str],
    declared: System | None,
    faults: list[Fault],
    areas: tuple[Area, ...] = (),
) -> Document | None:
    if not features:
        faults.append(error(FaultCode.NO_CELLS))
        return None
    if len(features) > CELLS_MAX:
        faults.append(error(FaultCode.CELLS_TOO_MANY, count=str(len(features)), most=str(CELLS_MAX)))
        return None
    found = _crs_of(named, declared, faults)
    return None if found is None else Document(features, found, areas)


def _collection_of(content: bytes, faults: list[Fault], encoding: str | None) -> dict[str, Any] | None:
    text = charsets.text_of(content, encoding, faults)
    if text is None:
        return None
    try:
        document: Any = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except _DoubleKey as problem:
        faults.append(error(FaultCode.JSON_DUPLICATE_KEY, key=str(problem)))
        return None
    except (ValueError, RecursionError) as problem:
        faults.append(error(FaultCode.JSON_MALFORMED, detail=str(problem)))
        return None
    collection: dict[str, Any] = document if isinstance(document, dict) else {}
    features = collection.get("features")
    if not isinstance(features, list) or collection.get("type") != "FeatureCollection":
        faults.append(error(FaultCode.NOT_A_FEATURE_COLLECTION))
        return None
    return collection


def _areas_of(document: dict[str, Any]) -> tuple[Area, ...]:
    """The areas above, as `to_geojson` writes them beside the features; what others call so is none of ours."""
    try:
        return msgspec.convert(document.get("areas"), tuple[Area, ...])
    except msgspec.ValidationError:
        return ()


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        raise _DoubleKey(ascii(next(name for name in found if names.count(name) > 1))[1:-1][:_SHOWN])
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _names(document: dict[str, Any]) -> set[str]:
    return {_name_of(member) for member in _crs_members(document)}


def _crs_of(named: set[str], declared: System | None, faults: list[Fault]) -> System | None:
    """What was declared, else what the file names; a fault where the two differ or the name is not known."""
    found: dict[str, System] = {}
    for name in sorted(named):
        try:
            found[name] = read_system(str(NAMED_CRS.get(name, name)))
        except SystemRefused as problem:
            faults.append(refused(problem))
            return declared
    for name, system in found.items():
        if declared is not None and not _agree(system, declared):
            faults.append(error(FaultCode.CRS_CONFLICT, crs=_short(name), declared=_short(declared.name)))
    if declared is None and not named:
        faults.append(error(FaultCode.CRS_MISSING))
        return None
    return declared or found[min(named)]


def _agree(system: System, declared: System) -> bool:
    """Whether a file may be read as declared though it names a system; of two planes the declared one is meant."""
    # WGS-84 and CGCS2000 are the same numbers; a shifted system under an unshifted name is not
    unshifted = {Crs.WGS84, Crs.CGCS2000}
    return (system.word in unshifted and declared.word in unshifted) or (system.word is declared.word is None)


def _short(name: str) -> str:
    return (shapefile.name_of(name) or name)[:_SHOWN]


def _crs_members(document: dict[str, Any]) -> Iterator[object]:
    """Every `crs` that is said: of the file, of a feature, or of its geometry, as some databases write it."""
    for holder in (document, *document["features"]):
        if isinstance(holder, dict):
            geometry = holder.get("geometry")
            for member in (holder.get("crs"), geometry.get("crs") if isinstance(geometry, dict) else None):
                if member is not None:
                    yield member


def _name_of(member: object) -> str:
    """The name in a `crs` member; what has none is told as it stands."""
    if isinstance(member, dict) and member.get("type", "name") == "name":
        properties = member.get("properties")
        member = properties.get("name", member) if isinstance(properties, dict) else member
    return member if isinstance(member, str) else json.dumps(member)[:_SHOWN]
