"""Why the coordinate system that a layer is declared in cannot be used: stable codes, a sentence in both languages."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class SystemCode(StrEnum):
    """Why a declared system cannot be used. Stable: reports show them."""

    UNKNOWN = "system_unknown"
    NOT_ALLOWED = "system_not_allowed"
    NOT_FLAT = "system_not_flat"
    TABLE_INVALID = "system_table_invalid"
    DATUM_UNKNOWN = "system_datum_unknown"
    OUT_OF_REACH = "system_out_of_reach"


_SENTENCES: Mapping[SystemCode, tuple[str, str]] = {
    SystemCode.UNKNOWN: (
        "不认识坐标系“{system}”。请写 wgs84、cgcs2000、gcj02、bd09,或 EPSG:4547 一类的代号,或地方坐标系的参数表。",
        "The coordinate system “{system}” is not known: one of the four words, a code such as EPSG:4547, or a table.",
    ),
    SystemCode.NOT_ALLOWED: (
        "坐标系里的“{detail}”不能使用:只接受投影和椭球的参数,不接受文件。",
        "“{detail}” is not allowed in a coordinate system: only what describes projection and ellipsoid, and no file.",
    ),
    SystemCode.NOT_FLAT: (
        "坐标系“{system}”既不是经纬度也不是平面坐标。",
        "The coordinate system “{system}” is neither of degrees nor of a plane.",
    ),
    SystemCode.TABLE_INVALID: (
        "地方坐标系的参数表有误:{detail}。",
        "The table of the local coordinate system is wrong: {detail}.",
    ),
    SystemCode.DATUM_UNKNOWN: (
        "“{system}”的基准({detail})与 WGS-84、CGCS2000 的关系不明,会偏移上百米。请在参数表的 datum 里给出七参数。",
        "How the datum of “{system}” ({detail}) lies to WGS-84 is not known: give seven parameters as `datum`.",
    ),
    SystemCode.OUT_OF_REACH: (
        "有的坐标不在“{system}”能表示的范围内。请核对坐标系和坐标。",
        "Some coordinates lie where “{system}” has no place for them.",
    ),
}


class SystemRefused(ValueError):
    """A declared system that cannot be used, or not for these coordinates: a stable code and two sentences."""

    def __init__(self, code: SystemCode, system: str, detail: str = "") -> None:
        zh, en = _SENTENCES[code]
        words = {"system": system[:64], "detail": detail[:200]}
        self.code = code
        self.sentence_zh = zh.format(**words)
        self.sentence_en = en.format(**words)
        super().__init__(self.sentence_en)
