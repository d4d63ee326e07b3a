"""The district's list of addresses as CSV: every line that can be used, and for each other one why not."""

import csv
import io
import math
from collections.abc import Mapping
from typing import Any, ClassVar, Final

import msgspec
from msgspec import Struct

from geo.cells import Bbox, is_name
from geo.coordinates import convert_point
from geo.points import Crs, PointCode, Source, faults_of
from geo.regions import Provider
from server.console.layers import layer_in_force
from server.districts import District
from sync import address_text
from sync.address_list import DEGREE, KINDS, SOURCE_MAX, AddressRecord, Taken, add_addresses
from sync.errors import Unprocessable

BODY_MAX: Final = 16 << 20
LINES_MAX: Final = 200_000
PIECE: Final = 500  # lines a work: others write in between
REFUSED_SHOWN: Final = 1000
ENCODINGS: Final = ("utf-8", "gbk", "gb18030")
_COLUMNS: Final = {
    "text": "text",
    "地址": "text",
    "kind": "kind",
    "类别": "kind",
    "lon": "lon",
    "经度": "lon",
    "lat": "lat",
    "纬度": "lat",
    "crs": "crs",
    "坐标系": "crs",
    "source": "source",
    "来源": "source",
}
_NEEDED: Final = ("text", "lon", "lat")
_KIND_WORDS: Final = {
    "": "address",
    "地址": "address",
    "门牌": "address",
    "小区": "compound",
    "楼栋": "building",
} | {kind: kind for kind in KINDS}
_AWAY_DEGREES: Final = 0.1  # how far beyond the cells an address of the district may lie
SENTENCES: Final[Mapping[str, str]] = {
    "line_malformed": "这一行的列数与第一行不符。",
    "text_missing": "没有写地址。",
    "text_too_long": f"地址超过 {address_text.TEXT_MAX} 个字。",
    "text_not_allowed": "地址里有不能用的字符。",
    "text_too_short": "地址太短,查不出来。",
    "kind_unknown": "类别应为 address(门牌)、compound(小区)或 building(楼栋)。",
    "source_not_allowed": f"来源超过 {SOURCE_MAX} 个字,或含有不能用的字符。",
    "outside_district": "坐标不在本区及附近,请核对经纬度次序和坐标系。",
    "twice_in_file": "同一地址在文件里出现两次,坐标不同。",
    PointCode.LON_MISSING: "没有写经度。",
    PointCode.LAT_MISSING: "没有写纬度。",
    PointCode.NOT_A_NUMBER: "经度或纬度不是数字。",
    PointCode.LON_OUT_OF_RANGE: "经度应在 -180 到 180 之间。",
    PointCode.LAT_OUT_OF_RANGE: "纬度应在 -90 到 90 之间。",
    PointCode.CRS_MISSING: "没有写明坐标系。",
    PointCode.CRS_UNKNOWN: "坐标系应为 wgs84、cgcs2000、gcj02 或 bd09。",
}


class FileRefused(Unprocessable):
    """The file is no list of addresses that can be read; nothing of it was kept."""

    code: ClassVar[str] = "addresses_refused"


class Given(Struct, frozen=True):
    """What holds where a line says nothing, what the cells in force span, and whose GCJ-02 it is."""

    crs: str | None = None
    source: str = ""
    near: Bbox | None = None
    provider: Provider = Provider.MAINLAND_HK_MO


class Refused(Struct, frozen=True):
    """A line that was not taken; the first line of the file is 1."""

    line: int
    code: str
    sentence: str


class Reading(Struct, frozen=True):
    """What can be taken, in order, and what cannot."""

    records: list[AddressRecord]
    refused: list[Refused]


def text_of(body: bytes, encoding: str | None) -> str:
    """The file's text in `encoding`, else in UTF-8, else in GB18030, which has GBK in it. Raises ``FileRefused``."""
    named = (encoding or "").lower()
    if named and named not in ENCODINGS:
        raise FileRefused("编码应为 utf-8、gbk 或 gb18030。", line=0)
    tried = {"": ("utf-8-sig", "gb18030"), "utf-8": ("utf-8-sig",)}.get(named, ("gb18030",))
    for name in tried:
        try:
            return body.decode(name)
        except UnicodeDecodeError:
            continue
    raise FileRefused(
        "文件既不是 UTF-8 也不是 GBK 编码。" if not named else f"文件不是 {named} 编码。", line=0
    )


def read_addresses(text: str, given: Given) -> Reading:
    """Every line of a CSV.

    Raises ``FileRefused`` where the first line does not name the columns, or the file has too many.
    """
    if not is_name(given.source):
        raise FileRefused(SENTENCES["source_not_allowed"], line=0)
    reader = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), strict=True)
    records: dict[tuple[str, str], AddressRecord] = {}
    refused: list[Refused] = []
    try:
        named = [_COLUMNS.get(name.strip().lower(), "") for name in next(reader, [])]
        known = [name for name in named if name]
        if not set(_NEEDED) <= set(known) or len(known) != len(set(known)):
            raise FileRefused(
                "第一行应写明列名 text、lon、lat(或 地址、经度、纬度),可加 kind、crs、source,每列一次。",
                line=1,
            )
        for cells in reader:
            line = reader.line_num
            if line > LINES_MAX:
                raise FileRefused(f"一个文件最多 {LINES_MAX} 行,请分开导入。", line=line)
            if not any(cell.strip() for cell in cells):
                continue
            code = _take(dict(zip(named, cells, strict=False)), len(cells) == len(named), given, records)
            if code:
                refused.append(Refused(line, code, SENTENCES[code]))
    except csv.Error as error:
        line = max(reader.line_num, 1)
        raise FileRefused(f"第 {line} 行不能按 CSV 读取,例如引号不成对。", line=line) from error
    return Reading(list(records.values()), refused)


def _take(
    row: Mapping[str, str],
    whole: bool,  # one of the things a line may lack
    given: Given,
    records: dict[tuple[str, str], AddressRecord],
) -> str:
    """Take one line in; else the code of what is wrong with it."""
    if not whole:
        return "line_malformed"
    text, kind = row["text"].strip(), _KIND_WORDS.get(row.get("kind", "").strip().lower())
    told = row.get("source", "").strip() or given.source
    code = _text_fault(text)
    if code or kind is None or not is_name(told):
        return code or ("kind_unknown" if kind is None else "source_not_allowed")
    place = {"lon": _number(row["lon"]), "lat": _number(row["lat"])}
    system = (row.get("crs", "").strip() or given.crs or "").lower()
    faults = faults_of({**place, "crs": system, "source": Source.ADDRESS})
    if faults:
        return str(faults[0].code)
    lon, lat = convert_point(float(place["lon"]), float(place["lat"]), Crs(system), Crs.WGS84, given.provider)
    if given.near is not None and not _is_near(lon, lat, given.near):
        return "outside_district"
    record = AddressRecord(text, kind, round(lon * DEGREE), round(lat * DEGREE), told)
    former = records.setdefault((address_text.read(text).plain, kind), record)
    return "" if (former.lon, former.lat) == (record.lon, record.lat) else "twice_in_file"


def _text_fault(text: str) -> str:
    if not text:
        return "text_missing"
    if len(text) > address_text.TEXT_MAX:
        return "text_too_long"
    if any(not sign.isprintable() for sign in text):
        return "text_not_allowed"
    return "" if address_text.read(text).pairs else "text_too_short"


def _number(text: str) -> Any:
    """A number as its column says it; None where it says nothing, the text itself where it is none."""
    if not text.strip():
        return None
    try:
        number = float(text)
    except ValueError:
        return text
    return number if math.isfinite(number) and text.isascii() and "_" not in text else text


def _is_near(lon: float, lat: float, near: Bbox) -> bool:
    west, south, east, north = near
    return (
        west - _AWAY_DEGREES <= lon <= east + _AWAY_DEGREES
        and south - _AWAY_DEGREES <= lat <= north + _AWAY_DEGREES
    )


def take_in(
    district: District, body: bytes, *, crs: str | None, encoding: str | None, source: str | None, actor: str
) -> dict[str, Any]:
    """Take a file into a district's list, a piece at a time; blocking. Every good line is kept.

    Answers `{added, changed, unchanged, refused, lines: [{line, code, sentence}]}`, of the refused lines the first
    1,000. Raises ``FileRefused``.
    """
    layer = district.read_blocking(lambda reader: layer_in_force(reader, district.code))
    provider = district.config().provider
    near = layer.bbox if layer is not None and layer.cells else None
    reading = read_addresses(text_of(body, encoding), Given(crs, source or "", near, provider))
    sums = Taken()
    for start in range(0, len(reading.records), PIECE):
        work = add_addresses(reading.records[start : start + PIECE])
        part = district.writer.submit_blocking(work, actor=actor)
        sums = Taken(sums.added + part.added, sums.changed + part.changed, sums.unchanged + part.unchanged)
    lines = msgspec.to_builtins(reading.refused[:REFUSED_SHOWN])
    return {**msgspec.to_builtins(sums), "refused": len(reading.refused), "lines": lines}
