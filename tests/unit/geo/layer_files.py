"""Shapefiles and KML as districts hand them in, made for a test."""

import io
import zipfile
from collections.abc import Sequence
from typing import Any

import pyproj
import shapefile

from tests.unit.geo.conftest import chessboard

WGS84_PRJ = 'GEOGCS["GCS_WGS_1984",DATUM["D_WGS_1984",SPHEROID["WGS_1984",6378137,298.257223563]]]'
CGCS_PRJ = 'GEOGCS["GCS_China_Geodetic_Coordinate_System_2000",DATUM["D_China_2000"]]'
METRES_PRJ = 'PROJCS["CGCS2000_3_Degree_GK_CM_114E",GEOGCS["GCS_China_Geodetic_Coordinate_System_2000"]]'


def parts_of(
    features: Sequence[dict[str, Any]],
    *,
    encoding: str = "utf-8",
    shape_type: int = shapefile.POLYGON,
    columns: Sequence[str] = ("code", "name"),
) -> dict[str, bytes]:
    """The files of a shapefile by ending, of features with one polygon each; without .prj and .cpg."""
    files = {ending: io.BytesIO() for ending in ("shp", "shx", "dbf")}
    with shapefile.Writer(shapeType=shape_type, encoding=encoding, **files) as writer:
        for name in columns:
            writer.field(name, "C", size=60)
        for feature in features:
            if shape_type == shapefile.POINT:
                writer.point(112.4, 34.66)
            elif feature["geometry"] is None:
                writer.null()
            else:
                # a shell is clockwise there
                writer.poly([ring[::-1] for ring in feature["geometry"]["coordinates"]])
            writer.record(*(feature["properties"][name] for name in columns))
    return {f".{ending}": file.getvalue() for ending, file in files.items()}


def zipped(
    parts: dict[str, bytes], more: dict[str, bytes] | None = None, *, stem: str = "网格/cells"
) -> bytes:
    """A zip of files by ending; `more` are called by whole names."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for ending, content in parts.items():
            archive.writestr(f"{stem}{ending}", content)
        for name, content in (more or {}).items():
            archive.writestr(name, content)
    return packed.getvalue()


def board_shapefile(**said: str) -> bytes:
    """The chessboard; `prj` and `cpg` as they are given."""
    parts = parts_of(chessboard())
    return zipped(parts | {f".{ending}": text.encode() for ending, text in said.items()})


def placemark(feature: dict[str, Any], *, more: str = "") -> str:
    rings = [" ".join(f"{x},{y},0" for x, y in ring) for ring in feature["geometry"]["coordinates"]]
    sides = ["outerBoundaryIs", *["innerBoundaryIs"] * (len(rings) - 1)]
    ground = "".join(
        f"<{side}><LinearRing><coordinates>\n {ring} </coordinates></LinearRing></{side}>"
        for side, ring in zip(sides, rings, strict=True)
    )
    about = feature["properties"]
    return (
        f"<Placemark><name>{about['name']}</name><ExtendedData><Data name='code'><value>{about['code']}</value>"
        f"</Data></ExtendedData><MultiGeometry><Polygon>{ground}</Polygon>{more}</MultiGeometry></Placemark>"
    )


def kml_of(placemarks: str) -> bytes:
    head = (
        "<?xml version='1.0' encoding='UTF-8'?><kml xmlns='http://www.opengis.net/kml/2.2'><Document><Folder>"
    )
    return f"{head}<Style id='s'/>{placemarks}</Folder></Document></kml>".encode()


def board_kml(*, more: str = "") -> bytes:
    return kml_of("".join(placemark(cell, more=more) for cell in chessboard()))


def in_metres(
    features: Sequence[dict[str, Any]], *, east: float = 0, north: float = 0
) -> tuple[list[dict[str, Any]], str]:
    """Cells of one ring as a city surveys them, in CGCS2000 of zone 114 less an offset; what ArcGIS calls the plane."""
    plane = pyproj.CRS.from_epsg(4547)
    way = pyproj.Transformer.from_crs(plane.geodetic_crs, plane, always_xy=True)
    moved = []
    for feature in features:
        places = [way.transform(*place) for place in feature["geometry"]["coordinates"][0]]
        ring = [[x - east, y - north] for x, y in places]
        moved.append({**feature, "geometry": {"type": "Polygon", "coordinates": [ring]}})
    return moved, str(plane.to_wkt("WKT1_ESRI"))
