"""The coordinate system that a LAYER is declared in: one of the four words, a published one, or a city's own.

A city surveys its cells in a plane of its own, so four words are not enough for a layer (a case has one of the four).
The way to degrees: a local plane is turned into its base by four parameters; the base is unprojected; its datum is
carried to WGS-84, which CGCS2000 equals here, by seven parameters, by the one published operation, or not at all.
PROJ does the projections, from what comes with it: it is never let on the net, and a declared text names no file.

Nothing is guessed. A datum whose way to WGS-84 is not known to the metre is refused: a layer read as if it were WGS-84
would lie a hundred metres off, and look right. What was left out is asked for, the order of the axes included.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, TypeAlias

import msgspec
import numpy as np
import pyproj
from numpy.typing import ArrayLike, NDArray
from pyproj.exceptions import CRSError, ProjError
from pyproj.network import set_network_enabled  # type: ignore[attr-defined]  # exported, not in its types
from pyproj.transformer import TransformerGroup

from geo.coordinates import CoordinatesError, convert
from geo.points import Crs
from geo.refusals import SystemCode, SystemRefused
from geo.regions import Provider

Floats: TypeAlias = NDArray[np.float64]
_Way: TypeAlias = Callable[[Floats, Floats], tuple[Floats, Floats]]

set_network_enabled(False)

TEXT_MAX = 16_384
_AREA_MARGIN_DEGREES = 0.5  # an operation's area is drawn roughly
_EPSG = re.compile(r"(?:EPSG:|urn:ogc:def:crs:EPSG:[\d.]*:)(\d{4,6})", re.IGNORECASE)
_WKT = re.compile(
    r"(?:PROJCS|GEOGCS|PROJCRS|GEOGCRS|GEODCRS|BOUNDCRS|COMPOUNDCRS|COMPD_CS)\s*[\[(]", re.IGNORECASE
)
# What of WKT could make PROJ open a file, or is PROJ's own text in disguise.
_WKT_FORBIDDEN = re.compile(r"PARAMETERFILE|EXTENSION|grids|\+proj|DERIVING", re.IGNORECASE)
# The options of a PROJ text that say where and how large a plane is; any other is refused, a file's name above all.
_PROJ_OPTIONS = frozenset(
    {
        *("proj", "lat_0", "lon_0", "lat_1", "lat_2", "lat_ts", "k", "k_0", "x_0", "y_0", "zone", "south"),
        *("a", "b", "rf", "f", "R", "ellps", "datum", "towgs84", "units", "to_meter", "no_defs", "type"),
    }
)
_PROJECTIONS = frozenset({"tmerc", "etmerc", "utm", "gauss", "merc", "lcc", "longlat", "latlong", "lonlat"})
_CRS84 = frozenset({"OGC:CRS84", "URN:OGC:DEF:CRS:OGC:1.3:CRS84", "URN:OGC:DEF:CRS:OGC::CRS84"})
_AS_WGS84 = frozenset({"World Geodetic System 1984", "World Geodetic System 1984 ensemble", "China 2000"})


Metres = Annotated[float, msgspec.Meta(ge=-1e8, le=1e8)]
Seconds = Annotated[float, msgspec.Meta(ge=-1_296_000.0, le=1_296_000.0)]  # of arc: a turn at most
Millionths = Annotated[float, msgspec.Meta(ge=-100_000.0, le=100_000.0)]
Kilo = Annotated[float, msgspec.Meta(ge=-10_000.0, le=10_000.0)]


class FourParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A plane similarity: (u, v) becomes d + k·R(u, v), k = 1 + scale_ppm/10⁶, R turns the first axis to the second.

    `axes` says which axis is the first, of the parameters and of nothing else: surveyors' tables begin with north.
    `direction` says whether the parameters lead from the local plane to the base, as they are used, or back.
    """

    axes: Literal["east_north", "north_east"]
    dx_m: Metres
    dy_m: Metres
    rotation_s: Seconds
    scale_ppm: Millionths
    direction: Literal["to_base", "from_base"] = "to_base"


class SevenParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """From the base's datum to WGS-84 in space. The two conventions turn the other way round: it must be said which."""

    dx_m: Kilo
    dy_m: Kilo
    dz_m: Kilo
    rx_s: Kilo
    ry_s: Kilo
    rz_s: Kilo
    scale_ppm: Millionths
    convention: Literal["position_vector", "coordinate_frame"]


class LocalSystem(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A city's own system as a table of TOML or JSON: the published system it rests on, and what leads there.

    ``base = "EPSG:4547"`` with ``[plane]`` ``axes = "north_east"``, ``dx_m = 3800000``, ``dy_m = 350000``,
    ``rotation_s = -12.5``, ``scale_ppm = 3.1`` is a plane that begins somewhere in town and is turned a little.
    """

    base: Annotated[str, msgspec.Meta(min_length=1, max_length=TEXT_MAX)]
    name: Annotated[str, msgspec.Meta(max_length=100)] = ""
    plane: FourParameters | None = None
    datum: SevenParameters | None = None


class System(msgspec.Struct, frozen=True):
    """A system that a layer can be read in. `word` is the one of the four that it is, None for another."""

    name: str
    word: Crs | None
    ways: tuple[_Way, ...]

    def to_wgs84(self, x: ArrayLike, y: ArrayLike) -> tuple[Floats, Floats]:
        """East and north, or longitude and latitude, to WGS-84 degrees. NaN stays NaN; inputs are not changed.

        Raises `SystemRefused` where the system has no place for one, `CoordinatesError` for shapes that differ.
        """
        east, north = np.array(x, dtype=np.float64), np.array(y, dtype=np.float64)
        if east.shape != north.shape:
            raise CoordinatesError(f"{east.shape} eastings, {north.shape} northings")
        known = np.isfinite(east) & np.isfinite(north)
        place = east[known], north[known]
        for way in self.ways if known.any() else ():
            place = way(*place)
            if not (np.isfinite(place[0]).all() and np.isfinite(place[1]).all()):
                raise SystemRefused(SystemCode.OUT_OF_REACH, self.name)
        lon, lat = np.full(east.shape, np.nan), np.full(east.shape, np.nan)
        lon[known], lat[known] = place
        return lon, lat


def read_system(declared: str | Mapping[str, Any], provider: Provider = Provider.MAINLAND_HK_MO) -> System:
    """The system that a layer's declaration means; raises `SystemRefused`. `provider` is whose GCJ-02 it is."""
    if isinstance(declared, str):
        word = _word_of(declared)
        if word is not None:
            return System(str(word), word, (_by_word(word, provider),))
        return _of_table(LocalSystem(base=declared))
    try:
        table = msgspec.convert(dict(declared), LocalSystem)
    except (msgspec.ValidationError, TypeError, ValueError) as problem:
        raise SystemRefused(SystemCode.TABLE_INVALID, "", str(problem)) from problem
    return _of_table(table)


def _word_of(text: str) -> Crs | None:
    if text.strip().upper() in _CRS84:
        return Crs.WGS84
    plain = text.strip().lower().replace("-", "")
    return Crs(plain) if plain in set(Crs) else None


def _by_word(word: Crs, provider: Provider) -> _Way:
    def way(lon: Floats, lat: Floats) -> tuple[Floats, Floats]:
        return convert(lon, lat, word, Crs.WGS84, provider)

    return way


def _of_table(table: LocalSystem) -> System:
    base, towgs84 = _unbound(_flat(_parsed(table.base), table.base))
    name = table.name or table.base
    if len(name) > 100:  # a WKT is no name
        name = base.name
    ways: list[_Way] = []
    if table.plane is not None:
        if not base.is_projected:
            raise SystemRefused(SystemCode.TABLE_INVALID, name, "plane: base is not a plane")
        ways.append(_similarity(table.plane))
    geodetic = base.geodetic_crs
    meridian = None if geodetic is None else geodetic.prime_meridian
    if geodetic is None or meridian is None or meridian.longitude != 0.0:
        raise SystemRefused(SystemCode.NOT_ALLOWED, name, "PRIMEM")
    if base.is_projected:
        ways.append(_transform(pyproj.Transformer.from_crs(base, geodetic, always_xy=True)))
    datum = table.datum or towgs84
    if datum is not None:
        ways.append(_helmert(geodetic, datum))
    elif geodetic.datum is None or geodetic.datum.name not in _AS_WGS84:
        ways.append(_published(geodetic, base, name))
    if not ways:  # plain degrees under their number
        china = geodetic.datum is not None and geodetic.datum.name == "China 2000"
        return System(name, Crs.CGCS2000 if china else Crs.WGS84, ())
    return System(name, None, tuple(ways))


def _parsed(text: str) -> pyproj.CRS:
    """A published system by code, PROJ text or WKT."""
    stripped = text.strip()
    if len(text) > TEXT_MAX or not stripped:
        raise SystemRefused(SystemCode.UNKNOWN, stripped)
    try:
        code = _EPSG.fullmatch(stripped)
        if code is not None:
            return pyproj.CRS.from_epsg(int(code[1]))
        if stripped.startswith("+"):
            _look_over(stripped)
            return pyproj.CRS.from_user_input(stripped)
        if _WKT.match(stripped):
            found = _WKT_FORBIDDEN.search(stripped)
            if found is not None:
                raise SystemRefused(SystemCode.NOT_ALLOWED, "WKT", found[0])
            return pyproj.CRS.from_wkt(stripped)
    except CRSError as problem:
        raise SystemRefused(SystemCode.UNKNOWN, stripped) from problem
    raise SystemRefused(SystemCode.UNKNOWN, stripped)


def _look_over(text: str) -> None:
    for part in text.split():
        key, _, value = part.removeprefix("+").partition("=")
        if not part.startswith("+") or key not in _PROJ_OPTIONS or not re.fullmatch(r"[\w.,+-]*", value):
            raise SystemRefused(SystemCode.NOT_ALLOWED, text, part)
        if key == "proj" and value not in _PROJECTIONS:
            raise SystemRefused(SystemCode.NOT_ALLOWED, text, part)


def _flat(crs: pyproj.CRS, text: str) -> pyproj.CRS:
    """The part of a system that says where on the map; heights are no matter here."""
    if crs.type_name == "Compound CRS" and crs.sub_crs_list:
        crs = crs.sub_crs_list[0]
    within = crs.source_crs if crs.type_name == "Bound CRS" else crs
    kinds = {"Projected CRS", "Geographic 2D CRS", "Geographic 3D CRS"}
    if within is None or within.type_name not in kinds:
        raise SystemRefused(SystemCode.NOT_FLAT, text)
    return crs


def _unbound(crs: pyproj.CRS) -> tuple[pyproj.CRS, SevenParameters | None]:
    """A system, and the seven parameters that its own text gives."""
    if crs.source_crs is None or crs.type_name != "Bound CRS":
        return crs, None
    given = () if crs.coordinate_operation is None else tuple(crs.coordinate_operation.towgs84)
    if len(given) != 7:
        raise SystemRefused(SystemCode.NOT_ALLOWED, crs.name, "BOUNDCRS")
    dx, dy, dz, rx, ry, rz, scale = given
    return crs.source_crs, SevenParameters(dx, dy, dz, rx, ry, rz, scale, "position_vector")


def _similarity(four: FourParameters) -> _Way:
    turn = math.radians(four.rotation_s / 3600.0)
    k = 1.0 + four.scale_ppm * 1e-6
    cosine, sine = k * math.cos(turn), k * math.sin(turn)

    def forth(u: Floats, v: Floats) -> tuple[Floats, Floats]:
        return four.dx_m + cosine * u - sine * v, four.dy_m + sine * u + cosine * v

    def back(u: Floats, v: Floats) -> tuple[Floats, Floats]:
        u, v = (u - four.dx_m) / k**2, (v - four.dy_m) / k**2
        return cosine * u + sine * v, cosine * v - sine * u

    way = forth if four.direction == "to_base" else back

    def north_first(east: Floats, north: Floats) -> tuple[Floats, Floats]:
        first, second = way(north, east)
        return second, first

    return north_first if four.axes == "north_east" else way


def _helmert(geodetic: pyproj.CRS, seven: SevenParameters) -> _Way:
    ellipsoid = geodetic.ellipsoid
    if ellipsoid is None:
        raise SystemRefused(SystemCode.DATUM_UNKNOWN, geodetic.name)
    shape = f"+a={ellipsoid.semi_major_metre!r} +b={ellipsoid.semi_minor_metre!r}"
    pipeline = (
        "+proj=pipeline +step +proj=unitconvert +xy_in=deg +xy_out=rad "
        f"+step +proj=cart {shape} "
        f"+step +proj=helmert +x={seven.dx_m!r} +y={seven.dy_m!r} +z={seven.dz_m!r} +rx={seven.rx_s!r} "
        f"+ry={seven.ry_s!r} +rz={seven.rz_s!r} +s={seven.scale_ppm!r} +convention={seven.convention} "
        "+step +inv +proj=cart +ellps=WGS84 +step +proj=unitconvert +xy_in=rad +xy_out=deg"
    )
    return _transform(pyproj.Transformer.from_pipeline(pipeline))


def _published(geodetic: pyproj.CRS, base: pyproj.CRS, name: str) -> _Way:
    """The one published operation that leads from a datum to WGS-84 where the base is used; several are none."""
    datum = "?" if geodetic.datum is None else geodetic.datum.name
    found = TransformerGroup(base, "EPSG:4326", always_xy=True, allow_ballpark=False).transformers
    if len(found) != 1 or found[0].area_of_use is None:
        raise SystemRefused(SystemCode.DATUM_UNKNOWN, name, datum)
    area = found[0].area_of_use
    across = TransformerGroup(geodetic, "EPSG:4326", always_xy=True, allow_ballpark=False).transformers
    # The same operation without the projection before it, which is its own step here.
    alike = [one for one in across if one.area_of_use == area]
    if len(alike) != 1:
        raise SystemRefused(SystemCode.DATUM_UNKNOWN, name, datum)
    carry = _transform(alike[0])

    def way(lon: Floats, lat: Floats) -> tuple[Floats, Floats]:
        margin = _AREA_MARGIN_DEGREES
        within = (lon >= area.west - margin) & (lon <= area.east + margin)
        within &= (lat >= area.south - margin) & (lat <= area.north + margin)
        if not within.all():
            raise SystemRefused(SystemCode.OUT_OF_REACH, name)
        return carry(lon, lat)

    return way


def _transform(transformer: pyproj.Transformer) -> _Way:
    def way(x: Floats, y: Floats) -> tuple[Floats, Floats]:
        try:
            lon, lat = transformer.transform(x, y, errcheck=False)
        except ProjError:
            return np.full(x.shape, np.nan), np.full(x.shape, np.nan)
        return np.asarray(lon, dtype=np.float64), np.asarray(lat, dtype=np.float64)

    return way
