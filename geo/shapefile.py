"""Shapefiles in a zip: read into features as GeoJSON has them, and written.

The structure of the .shp is walked before it is read, so that a length in it cannot lead anywhere; the .shx only
repeats it and is not needed. Texts of the .dbf are taken as bytes and decoded here, so that the encoding can be guessed
from all of them.
"""

from __future__ import annotations

import io
import re
import struct
import zipfile
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import shapely

import shapefile
from geo import charsets
from geo.faults import Fault, FaultCode, error, notice

if TYPE_CHECKING:
    from geo.archive import Archive
    from geo.cells import Layer

RINGS_MAX = 2000  # which hole lies in which piece is found by comparing each with each
_HEADER, _RECORD = 100, 8
_FILE_CODE = 9994
_DBF_HEADER = 32
_LANGUAGES = {0x4D: "gb18030", 0x7A: "gb18030", 0x78: "big5hkscs", 0x4F: "big5hkscs"}
_BROKEN = (
    shapefile.ShapefileException,
    struct.error,
    ValueError,  # of which a text that is not ASCII in a date is one
    LookupError,
    TypeError,
    OverflowError,
    AssertionError,
    EOFError,
)
_WKT = re.compile(r'\s*([A-Z]+)\s*[\[(]\s*"([^"]*)"', re.IGNORECASE)
_TEXT_MAX = 254  # bytes a column of a .dbf holds
_WGS84 = (
    'GEOGCS["GCS_WGS_1984",DATUM["D_WGS_1984",SPHEROID["WGS_1984",6378137.0,298.257223563]],'
    'PRIMEM["Greenwich",0.0],UNIT["Degree",0.0174532925199433]]'
)
# names of columns have ten letters at most
COLUMNS = (
    "code",
    "name",
    "kind",
    "parent",
    "community",
    "comm_name",
    "street",
    "str_name",
    "district",
    "dist_name",
)


class Found(msgspec.Struct, frozen=True):
    """The features of a shapefile, and what its .prj says; None where there is none."""

    features: list[Any]
    projection: str | None


def read(archive: Archive, faults: list[Fault], encoding: str | None) -> Found | None:
    """The one shapefile of an archive; None with a fault for each thing that cannot be read."""
    names = archive.ending(".shp")
    if len(names) != 1:
        several = "、".join(ascii(name)[1:-1] for name in names[:5])
        missing = error(FaultCode.SHAPEFILE_PART_MISSING, part=".shp")
        faults.append(error(FaultCode.ARCHIVE_SEVERAL_LAYERS, names=several) if names else missing)
        return None
    table = archive.beside(names[0], ".dbf")
    if table is None:
        faults.append(error(FaultCode.SHAPEFILE_PART_MISSING, part=".dbf"))
        return None
    shp, dbf = archive.take(names[0], faults), archive.take(table, faults)
    said = {}
    for ending in (".prj", ".cpg"):
        name = archive.beside(names[0], ending)
        told = None if name is None else archive.take(name, faults)
        said[ending] = None if told is None else told.decode("utf-8-sig", "replace").strip()
    if shp is None or dbf is None or not _is_whole(shp, dbf, faults):
        return None
    geometries = _geometries(shp, faults)
    rows = _rows(dbf, faults)
    if geometries is None or rows is None:
        return None
    if len(geometries) != len(rows):
        shapes, records = str(len(geometries)), str(len(rows))
        faults.append(error(FaultCode.SHAPEFILE_COUNTS, shapes=shapes, records=records))
        return None
    properties = _texts(rows, encoding, said[".cpg"], dbf[29], faults)
    if properties is None:
        return None
    features = [
        {"type": "Feature", "properties": row, "geometry": geometry}
        for row, geometry in zip(properties, geometries, strict=True)
        if row is not None
    ]
    return Found(features, said[".prj"])


def name_of(projection: str) -> str:
    """What a .prj calls its system; empty where it is no such text."""
    match = _WKT.match(projection)
    return "" if match is None else match[2]


def _is_whole(shp: bytes, dbf: bytes, faults: list[Fault]) -> bool:
    """Whether all that the two headers and the heads of the records announce is there."""
    if len(shp) < _HEADER or int.from_bytes(shp[:4]) != _FILE_CODE:
        short = FaultCode.SHAPEFILE_TRUNCATED if len(shp) < _HEADER else FaultCode.SHAPEFILE_BROKEN
        faults.append(error(short, part=".shp"))
        return False
    end, at = 2 * int.from_bytes(shp[24:28]), _HEADER
    while at < end and at + _RECORD <= len(shp):
        length = 2 * int.from_bytes(shp[at + 4 : at + 8], signed=True)
        if length < 4:
            faults.append(error(FaultCode.SHAPEFILE_BROKEN, part=".shp"))
            return False
        at += _RECORD + length
    if end > len(shp) or at != end:
        faults.append(error(FaultCode.SHAPEFILE_TRUNCATED, part=".shp"))
        return False
    if len(dbf) < _DBF_HEADER:
        faults.append(error(FaultCode.SHAPEFILE_TRUNCATED, part=".dbf"))
        return False
    count, header, width = struct.unpack("<4xLHH", dbf[:12])
    if not width or header < _DBF_HEADER:
        faults.append(error(FaultCode.SHAPEFILE_BROKEN, part=".dbf"))
        return False
    if header + count * width > len(dbf):
        faults.append(error(FaultCode.SHAPEFILE_TRUNCATED, part=".dbf"))
        return False
    return True


def _geometries(shp: bytes, faults: list[Fault]) -> list[dict[str, Any] | None] | None:
    end = 2 * int.from_bytes(shp[24:28])  # some programs leave more behind it
    try:
        with shapefile.Reader(shp=io.BytesIO(shp[:end])) as reader:
            return [_geometry(shape) for shape in reader.iterShapes()]
    except _BROKEN:
        faults.append(error(FaultCode.SHAPEFILE_BROKEN, part=".shp"))
        return None


def _geometry(shape: Any) -> dict[str, Any] | None:
    """A shape as GeoJSON, with its rings as arrays; what is no polygon only by its name."""
    name = str(shape.shapeTypeName)
    if name == "NULL":
        return None
    if name not in {"POLYGON", "POLYGONZ", "POLYGONM"}:
        return {"type": name.capitalize()}
    if len(shape.parts) > RINGS_MAX:
        return {"type": "Polygon", "coordinates": [None]}
    try:
        found = shape.__geo_interface__
    except shapefile.RingSamplingError:  # a hole without ground: nobody can say what it is a hole of
        return {"type": "Polygon", "coordinates": [None]}
    if found["type"] == "Polygon":
        return {"type": "Polygon", "coordinates": _rings(found["coordinates"])}
    return {"type": "MultiPolygon", "coordinates": [_rings(part) for part in found["coordinates"]]}


def _rings(rings: Any) -> list[Any]:
    return [np.array([point[:2] for point in ring], dtype=np.float64) for ring in rings]


def _rows(dbf: bytes, faults: list[Fault]) -> list[dict[bytes, Any] | None] | None:
    """The rows of the table, None for each that is struck out; texts and names of columns are bytes still."""
    try:
        with shapefile.Reader(shp=None, dbf=io.BytesIO(dbf), encoding="latin-1") as reader:
            return [_row(record) for record in reader.iterRecords(deleted_as_None=True)]
    except _BROKEN:
        faults.append(error(FaultCode.SHAPEFILE_BROKEN, part=".dbf"))
        return None


def _row(record: Any) -> dict[bytes, Any] | None:
    if record is None:
        return None
    return {
        name.encode("latin-1"): value.encode("latin-1") if isinstance(value, str) else value
        for name, value in record.as_dict().items()
    }


def _texts(
    rows: list[dict[bytes, Any] | None],
    wanted: str | None,
    cpg: str | None,
    language: int,
    faults: list[Fault],
) -> list[dict[str, Any] | None] | None:
    """The rows with their texts read: as it was asked for, as the .cpg or the table says, else as it can be."""
    told = wanted or cpg
    encoding = charsets.known(told) if told else _LANGUAGES.get(language)
    if encoding is None:
        texts = (
            text for row in rows if row for pair in row.items() for text in pair if isinstance(text, bytes)
        )
        found = list(texts)
        encoding = charsets.guess(found)
        if encoding is None:
            faults.append(error(FaultCode.ENCODING_WRONG, encoding="utf-8"))
            return None
        if not all(text.isascii() for text in found):
            faults.append(notice(FaultCode.ENCODING_GUESSED, encoding=encoding))
    try:
        return [None if row is None else _read(row, encoding) for row in rows]
    except UnicodeDecodeError:
        faults.append(error(FaultCode.ENCODING_WRONG, encoding=encoding))
        return None


def _read(row: dict[bytes, Any], encoding: str) -> dict[str, Any]:
    return {
        charsets.decoded(name, encoding): charsets.decoded(value, encoding)
        if isinstance(value, bytes)
        else value
        for name, value in row.items()
    }


def write(layer: Layer, rows: list[dict[str, str]]) -> bytes:
    """A zip of the cells as polygons in WGS-84, with a row of texts for each; names beyond 254 bytes are cut."""
    files = {ending: io.BytesIO() for ending in ("shp", "shx", "dbf")}
    columns = [name for name in COLUMNS if any(name in row for row in rows)]
    with shapefile.Writer(**files, shapeType=shapefile.POLYGON, encoding="utf-8") as writer:
        for name in columns:
            longest = max((len(row.get(name, "").encode()) for row in rows), default=0)
            writer.field(name, "C", size=min(max(longest, 1), _TEXT_MAX))
        for cell, row in zip(layer.cells, rows, strict=True):
            parts = shapely.orient_polygons(shapely.get_parts(cell.geometry), exterior_cw=True)
            writer.poly([shapely.get_coordinates(ring).tolist() for ring in shapely.get_rings(parts)])
            writer.record(*(_cut(row.get(name, "")) for name in columns))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        contents = {ending: file.getvalue() for ending, file in files.items()}
        for ending, content in {**contents, "prj": _WGS84.encode(), "cpg": b"UTF-8"}.items():
            # the same layer makes the same bytes, whenever it is written
            archive.writestr(zipfile.ZipInfo(f"cells.{ending}"), content, zipfile.ZIP_DEFLATED)
    return packed.getvalue()


def _cut(text: str) -> str:
    return text.encode()[:_TEXT_MAX].decode(errors="ignore")
