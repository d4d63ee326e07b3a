"""What can be wrong with a layer: stable codes, and a sentence in both languages for whoever must mend it."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec


class Severity(StrEnum):
    """Errors block a layer; warnings are for a person to look at."""

    ERROR = "error"
    WARNING = "warning"


class FaultCode(StrEnum):
    """Stable codes; a retired code is never used again."""

    # the file
    FILE_EMPTY = "file_empty"
    JSON_MALFORMED = "json_malformed"
    JSON_DUPLICATE_KEY = "json_duplicate_key"
    NOT_A_FEATURE_COLLECTION = "not_a_feature_collection"
    NO_CELLS = "no_cells"
    CRS_MISSING = "crs_missing"
    CRS_UNKNOWN = "crs_unknown"
    CRS_CONFLICT = "crs_conflict"
    # codes and parents
    CODE_MISSING = "code_missing"
    CODE_NOT_ALLOWED = "code_not_allowed"
    CODE_MALFORMED = "code_malformed"
    CODE_DUPLICATE = "code_duplicate"
    CODE_FOREIGN = "code_foreign"
    NAME_MISSING = "name_missing"
    NAME_NOT_ALLOWED = "name_not_allowed"
    KIND_UNKNOWN = "kind_unknown"
    PARENT_MISSING = "parent_missing"
    PARENT_UNKNOWN = "parent_unknown"
    PARENT_CONFLICT = "parent_conflict"
    PARENT_LEVEL = "parent_level"
    DISTRICT_NOT_ONE = "district_not_one"
    # coordinates
    COORDINATES_MALFORMED = "coordinates_malformed"
    COORDINATES_OUT_OF_RANGE = "coordinates_out_of_range"
    AXES_SWAPPED = "axes_swapped"
    METRES_AS_DEGREES = "metres_as_degrees"
    PLACE_UNUSUAL = "place_unusual"
    LAYER_ELSEWHERE = "layer_elsewhere"
    OUTSIDE_EXTENT = "outside_extent"
    CRS_SUSPECTED = "crs_suspected"
    CELLS_MOVED = "cells_moved"
    # geometry of one cell
    GEOMETRY_MISSING = "geometry_missing"
    GEOMETRY_NOT_POLYGON = "geometry_not_polygon"
    GEOMETRY_EMPTY = "geometry_empty"
    RING_INVALID = "ring_invalid"
    # geometry between cells
    OVERLAP = "overlap"
    BORDER_NOT_SHARED = "border_not_shared"
    GAP = "gap"
    SLIVER = "sliver"


class Repair(msgspec.Struct, frozen=True):
    """What mending a ring would do, or has done: shown before it is made."""

    method: str  # how, e.g. make_valid:structure
    made: bool
    area_before_m2: float
    area_after_m2: float
    parts_before: int
    parts_after: int
    geometry: dict[str, Any]  # GeoJSON of the mended ground, in the file's own coordinates


class Fault(msgspec.Struct, frozen=True):
    """One thing wrong. `cells` are codes, or `#n` for the n-th feature of a file where it has none."""

    code: FaultCode
    severity: Severity
    cells: tuple[str, ...]
    sentence_zh: str
    sentence_en: str
    area_m2: float | None = None
    width_m: float | None = None
    repair: Repair | None = None


class Report(msgspec.Struct, frozen=True):
    """Everything found, errors first, then in the order of codes and cells."""

    faults: tuple[Fault, ...] = ()

    @property
    def errors(self) -> tuple[Fault, ...]:
        """What blocks the layer."""
        return tuple(fault for fault in self.faults if fault.severity is Severity.ERROR)

    @property
    def warnings(self) -> tuple[Fault, ...]:
        """What somebody should look at."""
        return tuple(fault for fault in self.faults if fault.severity is Severity.WARNING)

    @property
    def usable(self) -> bool:
        """Whether nothing blocks the layer."""
        return not self.errors


_ORDER = {code: place for place, code in enumerate(FaultCode)}


def report_of(faults: list[Fault]) -> Report:
    """A report in its stable order."""
    return Report(
        tuple(
            sorted(
                faults,
                key=lambda fault: (fault.severity is not Severity.ERROR, _ORDER[fault.code], fault.cells),
            )
        )
    )


def error(code: FaultCode, cells: tuple[str, ...] = (), **words: str) -> Fault:
    """A blocking fault. `words` fill the sentence."""
    return _fault(code, Severity.ERROR, cells, words)


def warning(code: FaultCode, cells: tuple[str, ...] = (), **words: str) -> Fault:
    """A fault that does not block. `words` fill the sentence."""
    return _fault(code, Severity.WARNING, cells, words)


def _fault(code: FaultCode, severity: Severity, cells: tuple[str, ...], words: dict[str, str]) -> Fault:
    zh, en = _SENTENCES[code]
    named = {"cells": "、".join(cells), "cells_en": ", ".join(cells), **words}
    return Fault(code, severity, cells, zh.format(**named), en.format(**named))


_SENTENCES: dict[FaultCode, tuple[str, str]] = {
    FaultCode.FILE_EMPTY: ("文件是空的。", "The file is empty."),
    FaultCode.JSON_MALFORMED: (
        "文件不是有效的 JSON:{detail}。",
        "The file is not valid JSON: {detail}.",
    ),
    FaultCode.JSON_DUPLICATE_KEY: (
        "同一个对象里有两个“{key}”,不知道该用哪个。",
        "The key “{key}” stands twice in one object: which one counts?",
    ),
    FaultCode.NOT_A_FEATURE_COLLECTION: (
        "文件不是 GeoJSON 的 FeatureCollection。",
        "The file is not a GeoJSON FeatureCollection.",
    ),
    FaultCode.NO_CELLS: ("文件里没有网格。", "There are no cells."),
    FaultCode.CRS_MISSING: (
        "没有说明坐标系。请选择 WGS-84、CGCS2000、GCJ-02 或 BD-09;选错会偏移数百米。",
        "No coordinate system was declared. Choose WGS-84, CGCS2000, GCJ-02 or BD-09: they lie far apart.",
    ),
    FaultCode.CRS_UNKNOWN: (
        "不认识坐标系“{crs}”。请先转换成经纬度。",
        "The coordinate system “{crs}” is not known here. Convert the file to degrees first.",
    ),
    FaultCode.CRS_CONFLICT: (
        "文件自己写的坐标系是“{crs}”,与所选的“{declared}”不符。",
        "The file itself says “{crs}”, which is not the declared “{declared}”.",
    ),
    FaultCode.CODE_MISSING: ("{cells} 没有网格编码。", "{cells_en} has no cell code."),
    FaultCode.CODE_NOT_ALLOWED: (
        "{cells} 的“{field}”不能作编码:编码为 1 到 64 个字母、数字或 - _ . :,且不得是 outside。",
        "The `{field}` of {cells_en} cannot be a code: 1 to 64 letters, digits or - _ . :, and not outside.",
    ),
    FaultCode.CODE_FOREIGN: (
        "{count} 个网格的编码不以本区代码 {district} 开头,例如 {cells}。",
        "The codes of {count} cells do not begin with the district's own, {district}: {cells_en}, for one.",
    ),
    FaultCode.CODE_MALFORMED: (
        "{cells} 的编码不是 15 位数字,无法推出上级。",
        "The code of {cells_en} is not 15 digits, so its parents cannot be read from it.",
    ),
    FaultCode.CODE_DUPLICATE: (
        "编码 {cells} 出现了 {times} 次。",
        "The code {cells_en} occurs {times} times.",
    ),
    FaultCode.NAME_MISSING: (
        "{cells} 没有名称,暂用编码代替。",
        "{cells_en} has no name; its code stands in.",
    ),
    FaultCode.NAME_NOT_ALLOWED: (
        "{cells} 的“{field}”太长或含有控制字符。",
        "The `{field}` of {cells_en} is over 100 characters or holds control characters.",
    ),
    FaultCode.KIND_UNKNOWN: (
        "{cells} 的类别“{kind}”不认识,应为 basic 或 dedicated。",
        "The kind “{kind}” of {cells_en} is neither basic nor dedicated.",
    ),
    FaultCode.PARENT_MISSING: (
        "{cells} 没有写所属的上级。",
        "{cells_en} does not say which area it belongs to.",
    ),
    FaultCode.PARENT_UNKNOWN: (
        "{cells} 的上级 {parent} 不存在。",
        "The parent {parent} of {cells_en} does not exist.",
    ),
    FaultCode.PARENT_CONFLICT: (
        "区域 {area} 在不同网格里写了不同的上级:{parents}。",
        "The area {area} is given different parents by different cells: {parents}.",
    ),
    FaultCode.PARENT_LEVEL: (
        "{cells} 的上级 {parent} 层级不比它高。",
        "The parent {parent} of {cells_en} does not stand above it.",
    ),
    FaultCode.DISTRICT_NOT_ONE: (
        "最上级应只有一个区,现有 {count} 个:{areas}。",
        "There must be one district at the top, and there are {count}: {areas}.",
    ),
    FaultCode.COORDINATES_MALFORMED: (
        "{cells} 的坐标写法不对。",
        "The coordinates of {cells_en} are malformed.",
    ),
    FaultCode.COORDINATES_OUT_OF_RANGE: (
        "{cells} 的坐标超出经纬度范围。",
        "The coordinates of {cells_en} are outside the range of degrees.",
    ),
    FaultCode.AXES_SWAPPED: (
        "经度和纬度像是写反了(先纬度后经度)。",
        "Longitude and latitude look swapped (latitude first).",
    ),
    FaultCode.METRES_AS_DEGREES: (
        "坐标像是投影后的米,不是经纬度。请先转换。",
        "The coordinates look like projected metres, not degrees. Convert the file first.",
    ),
    FaultCode.PLACE_UNUSUAL: (
        "图层的中心在经度 {lon}、纬度 {lat},离国内常用的范围很远,请核对坐标。",
        "The middle of the layer is at longitude {lon}, latitude {lat}, far from where districts lie here.",
    ),
    FaultCode.LAYER_ELSEWHERE: (
        "整个图层不在本区:中心在 {lon}、{lat},上一版在 {old_lon}、{old_lat}。若错的是上一版,导入时加 elsewhere。",
        (
            "The whole layer lies elsewhere: around {lon}, {lat}; the last edition around {old_lon}, {old_lat}. "
            "If that one was wrong, import with `elsewhere`."
        ),
    ),
    FaultCode.OUTSIDE_EXTENT: (
        "{cells} 离上一版的范围很远。",
        "{cells_en} lies far outside of what the last edition covers.",
    ),
    FaultCode.CRS_SUSPECTED: (
        "按“{declared}”导入,与上一版相差约 {shift} 米;按“{crs}”只差 {rest} 米。坐标系可能选错了。",
        "As “{declared}” the cells lie about {shift} m off the last edition; as “{crs}” only {rest} m.",
    ),
    FaultCode.CELLS_MOVED: (
        "编码不变的网格与上一版相差约 {shift} 米(中位数),换坐标系也解释不了。",
        "Cells of the same codes lie about {shift} m (median) off the last edition, in no coordinate system nearer.",
    ),
    FaultCode.GEOMETRY_MISSING: ("{cells} 没有边界。", "{cells_en} has no geometry."),
    FaultCode.GEOMETRY_NOT_POLYGON: (
        "{cells} 的边界是 {type},不是面。",
        "The geometry of {cells_en} is a {type}, not a polygon.",
    ),
    FaultCode.GEOMETRY_EMPTY: ("{cells} 的边界是空的。", "The geometry of {cells_en} is empty."),
    FaultCode.RING_INVALID: (
        "{cells} 的边界自相交({reason})。",
        "The border of {cells_en} crosses or touches itself ({reason}).",
    ),
    FaultCode.OVERLAP: (
        "{cells} 互相重叠,最宽 {width} 米。",
        "{cells_en} overlap, {width} m at the widest.",
    ),
    FaultCode.BORDER_NOT_SHARED: (
        "{cells} 与邻格的公共边没有用同样的点。",
        "{cells_en} and a neighbour draw their common border with different points.",
    ),
    FaultCode.GAP: (
        "{cells} 之间有 {area} 平方米没有划入任何网格。",
        "Between {cells_en} lie {area} m² that belong to no cell.",
    ),
    FaultCode.SLIVER: (
        "{cells} 之间有不到 {width} 米宽的缝。",
        "Between {cells_en} runs a gap less than {width} m wide.",
    ),
}
