"""A layer's file before its features are looked at: JSON that can be understood in one way, and what it names.

A key that stands twice in one object is an error and not a choice between the two: somebody would see the other code.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NoReturn

import msgspec

from geo.faults import Fault, FaultCode, error
from geo.points import Crs

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
}
_SHOWN = 64  # as much of a name as a sentence repeats


class _DoubleKey(ValueError):
    """A key that stands twice in one object."""


class Document(msgspec.Struct, frozen=True):
    """The features of a file as they came, and the coordinate system they are in."""

    features: list[Any]
    crs: Crs


def open_document(content: bytes, declared: Crs | None, faults: list[Fault]) -> Document | None:
    """The features and their coordinate system, the declared one or the file's own; None when there are none."""
    raw = _collection_of(content, faults)
    if raw is None:
        return None
    found = _crs_of(raw, declared, faults)
    return None if found is None else Document(raw["features"], found)


def _collection_of(content: bytes, faults: list[Fault]) -> dict[str, Any] | None:
    if not content.strip():
        faults.append(error(FaultCode.FILE_EMPTY))
        return None
    try:
        document: Any = json.loads(
            content.decode("utf-8-sig"), object_pairs_hook=_unique, parse_constant=_no_constant
        )
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
    if not features:
        faults.append(error(FaultCode.NO_CELLS))
        return None
    return collection


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        raise _DoubleKey(ascii(next(name for name in found if names.count(name) > 1))[1:-1][:_SHOWN])
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _crs_of(document: dict[str, Any], declared: Crs | None, faults: list[Fault]) -> Crs | None:
    """What was declared, else what the file names; a fault where the two differ or the name is not known."""
    named = {_name_of(member) for member in _crs_members(document)}
    unknown = sorted(name for name in named if name not in NAMED_CRS)
    if unknown:
        faults.append(error(FaultCode.CRS_UNKNOWN, crs=unknown[0]))
        return declared
    # WGS-84 and CGCS2000 are the same numbers; a shifted system under an unshifted name is not
    if named and declared in {Crs.GCJ02, Crs.BD09}:
        faults.append(error(FaultCode.CRS_CONFLICT, crs=min(named), declared=str(declared)))
    if declared is None and not named:
        faults.append(error(FaultCode.CRS_MISSING))
        return None
    return declared or NAMED_CRS[min(named)]


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
