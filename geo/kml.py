"""KML and KMZ: placemarks with polygons, read into features as GeoJSON has them, and written.

The file is read as a stream and each placemark is let go once it is read, so that what is between them costs nothing.
A declaration of types or entities is refused by `defusedxml`.
"""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET  # only to write; what is read goes through defusedxml

import numpy as np
import shapely
from defusedxml import ElementTree
from defusedxml.common import DefusedXmlException

from geo.faults import Fault, FaultCode, error, notice

if TYPE_CHECKING:
    from geo.archive import Archive
    from geo.cells import Layer

DEPTH_MAX = 64
ELEMENTS_MAX = 20_000  # in one placemark
_NUMBERS = re.compile(r"[-+.,0-9eE\s]*", re.ASCII)
_NAMESPACE = "http://www.opengis.net/kml/2.2"
_GROUND = {"Polygon", "MultiGeometry"}
_OTHER = {
    "Point": "Point",
    "LineString": "LineString",
    "LinearRing": "LineString",
    "Track": "Track",
    "Model": "Model",
}


class _TooMuch(ValueError):
    """Nested too deeply, or too much in one placemark."""


def read(source: bytes | Archive, faults: list[Fault]) -> list[Any] | None:
    """The placemarks of a KML file, or of the one in a KMZ, as features; None with a fault."""
    content = source if isinstance(source, bytes) else _of_archive(source, faults)
    if content is None:
        return None
    try:
        return _placemarks(content, faults)
    except _NotKml:
        faults.append(error(FaultCode.NOT_KML))
    except _TooMuch:
        faults.append(error(FaultCode.XML_TOO_LARGE))
    except DefusedXmlException:
        faults.append(error(FaultCode.XML_FORBIDDEN))
    except (
        ET.ParseError,
        ValueError,
        LookupError,
    ) as problem:  # an encoding that nobody knows is a LookupError
        faults.append(error(FaultCode.XML_MALFORMED, detail=str(problem)[:100]))
    return None


class _NotKml(Exception):
    """The outermost element is another."""


def _of_archive(archive: Archive, faults: list[Fault]) -> bytes | None:
    names = archive.ending(".kml")
    main = [name for name in names if name.lower() == "doc.kml"] or names
    if len(main) != 1:
        several = "、".join(ascii(name)[1:-1] for name in names[:5])
        none = error(FaultCode.ARCHIVE_WITHOUT_LAYER)
        faults.append(error(FaultCode.ARCHIVE_SEVERAL_LAYERS, names=several) if names else none)
        return None
    return archive.take(main[0], faults)


def _placemarks(content: bytes, faults: list[Fault]) -> list[Any]:
    features: list[Any] = []
    above: list[Any] = []
    within = 0  # elements since a placemark began, 0 outside of one
    for event, element in ElementTree.iterparse(
        io.BytesIO(content), events=("start", "end"), forbid_dtd=True
    ):
        if event == "start":
            if not above and _tag(element) != "kml":
                raise _NotKml
            above.append(element)
            if within or _tag(element) == "Placemark":
                within += 1
            if len(above) > DEPTH_MAX or within > ELEMENTS_MAX:
                raise _TooMuch
            continue
        above.pop()
        if _tag(element) == "Placemark" and not any(_tag(outer) == "Placemark" for outer in above):
            feature, beside = _feature(element)
            features.append(feature)
            if beside:
                faults.append(notice(FaultCode.PARTS_BESIDE, (f"#{len(features)}",)))
            within = 0
        if not within and above:
            above[-1].remove(element)
    return features


def _tag(element: Any) -> str:
    return str(element.tag).rpartition("}")[2]


def _feature(placemark: Any) -> tuple[dict[str, Any], bool]:
    """A placemark as a feature, and whether there are points or lines beside its polygons."""
    properties: dict[str, str] = {}
    polygons: list[Any] = []
    others: list[str] = []
    if placemark.get("id"):
        properties["id"] = placemark.get("id")
    for child in placemark:
        tag = _tag(child)
        if tag in {"name", "description"}:
            properties.setdefault(tag, _text(child))
        elif tag == "ExtendedData":
            properties |= _extended(child)
        elif tag in _GROUND or tag in _OTHER:
            _ground(child, polygons, others)
    geometry: dict[str, Any] | None = None
    if polygons:
        geometry = {"type": "MultiPolygon", "coordinates": polygons}
        if len(polygons) == 1:
            geometry = {"type": "Polygon", "coordinates": polygons[0]}
    elif others:
        geometry = {"type": others[0]}
    feature = {"type": "Feature", "properties": properties, "geometry": geometry}
    return feature, bool(polygons and others)


def _extended(data: Any) -> dict[str, str]:
    found: dict[str, str] = {}
    for element in data.iter():
        name = element.get("name")
        if name and _tag(element) == "SimpleData":
            found[name] = _text(element)
        elif name and _tag(element) == "Data":
            found[name] = next((_text(child) for child in element if _tag(child) == "value"), "")
    return found


def _ground(element: Any, polygons: list[Any], others: list[str]) -> None:
    """Collect the polygons of a geometry, and the names of what else is in it."""
    tag = _tag(element)
    if tag == "Polygon":
        outer = [_ring(side) for side in element if _tag(side) == "outerBoundaryIs"]
        inner = [_ring(side) for side in element if _tag(side) == "innerBoundaryIs"]
        polygons.append(outer + inner if len(outer) == 1 else [None])
    elif tag == "MultiGeometry":
        for part in element:
            _ground(part, polygons, others)
    elif tag in _OTHER:
        others.append(_OTHER[tag])


def _ring(side: Any) -> Any:
    """The corners of a boundary, or None where they cannot be read."""
    texts = [_text(part) for part in side.iter() if _tag(part) == "coordinates"]
    if len(texts) != 1 or not _NUMBERS.fullmatch(texts[0]):
        return None
    try:
        corners = [[float(number) for number in corner.split(",")[:2]] for corner in texts[0].split()]
        return np.array(corners, dtype=np.float64).reshape(-1, 2) if all(map(_is_pair, corners)) else None
    except ValueError:
        return None


def _is_pair(corner: list[float]) -> bool:
    return len(corner) == 2


def _text(element: Any) -> str:
    return (element.text or "").strip()


def write(layer: Layer, rows: list[dict[str, str]]) -> bytes:
    """A KML document of the cells, with a row of texts for each as `ExtendedData`."""
    root = ET.Element("kml", xmlns=_NAMESPACE)
    document = ET.SubElement(root, "Document")
    ET.SubElement(document, "name").text = layer.name or "cells"
    for cell, row in zip(layer.cells, rows, strict=True):
        placemark = ET.SubElement(document, "Placemark")
        ET.SubElement(placemark, "name").text = cell.name
        data = ET.SubElement(placemark, "ExtendedData")
        for name, text in row.items():
            item = ET.SubElement(data, "Data", name=name)
            ET.SubElement(item, "value").text = text
        parts = shapely.get_parts(cell.geometry)
        holder = placemark if len(parts) == 1 else ET.SubElement(placemark, "MultiGeometry")
        for part in parts:
            _write_polygon(holder, part)
    return bytes(ET.tostring(root, encoding="utf-8", xml_declaration=True))


def _write_polygon(holder: Any, part: Any) -> None:
    polygon = ET.SubElement(holder, "Polygon")
    for place, ring in enumerate(shapely.get_rings(part)):
        side = ET.SubElement(polygon, "innerBoundaryIs" if place else "outerBoundaryIs")
        corners = shapely.get_coordinates(ring).tolist()
        text = " ".join(f"{lon!r},{lat!r}" for lon, lat in corners)
        ET.SubElement(ET.SubElement(side, "LinearRing"), "coordinates").text = text
