"""What can be wrong with a layer: how grave it is, where, and what would mend it."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec

from geo.refusals import SystemCode, SystemRefused
from geo.sentences import SENTENCES, FaultCode

__all__ = [
    "Fault",
    "FaultCode",
    "Repair",
    "Report",
    "Severity",
    "error",
    "notice",
    "refused",
    "report_of",
    "warning",
]

_NAMED_MAX = 8  # as many cells as a sentence names


class Severity(StrEnum):
    """Errors block a layer; warnings are for a person to look at; notices say what is unusual and right."""

    ERROR = "error"
    WARNING = "warning"
    NOTICE = "notice"


class Repair(msgspec.Struct, frozen=True):
    """What a repair would do to the ground of `cell`, or has done: shown before it is made."""

    method: str  # how: make_valid:structure, node, fill
    made: bool
    area_before_m2: float
    area_after_m2: float
    parts_before: int
    parts_after: int
    geometry: dict[str, Any]  # GeoJSON of the ground afterwards, WGS-84
    cell: str = ""  # reports that were kept before repairs had one are of the fault's one cell
    vertices_inserted: int = 0


class Fault(msgspec.Struct, frozen=True):
    """One thing wrong. `cells` are codes, or `#n` for the n-th feature of a file where it has none.

    `geometry` is GeoJSON in WGS-84: the overlapping ground, the gap, the point where a ring crosses itself, else the
    outlines of the cells; None where there is no place.
    """

    code: FaultCode
    severity: Severity
    cells: tuple[str, ...]
    sentence_zh: str
    sentence_en: str
    area_m2: float | None = None
    width_m: float | None = None
    geometry: dict[str, Any] | None = None
    repair: Repair | None = None


class Report(msgspec.Struct, frozen=True):
    """Everything found: errors, warnings, notices, each in the order of codes and cells."""

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
    def notices(self) -> tuple[Fault, ...]:
        """What somebody may want to know."""
        return tuple(fault for fault in self.faults if fault.severity is Severity.NOTICE)

    @property
    def usable(self) -> bool:
        """Whether nothing blocks the layer."""
        return not self.errors


def refused(problem: SystemRefused) -> Fault:
    """The fault of a coordinate system that cannot be used; a name that nobody knows has the code it always had."""
    code = FaultCode.CRS_UNKNOWN if problem.code is SystemCode.UNKNOWN else FaultCode(problem.code)
    return Fault(code, Severity.ERROR, (), problem.sentence_zh, problem.sentence_en)


_ORDER = {code: place for place, code in enumerate(FaultCode)}
_GRAVEST = {severity: place for place, severity in enumerate(Severity)}


def report_of(faults: list[Fault]) -> Report:
    """A report in its stable order."""
    return Report(
        tuple(
            sorted(
                faults,
                key=lambda fault: (_GRAVEST[fault.severity], _ORDER[fault.code], fault.cells),
            )
        )
    )


def error(code: FaultCode, cells: tuple[str, ...] = (), **words: str) -> Fault:
    """A blocking fault. `words` fill the sentence."""
    return _fault(code, Severity.ERROR, cells, words)


def warning(code: FaultCode, cells: tuple[str, ...] = (), **words: str) -> Fault:
    """A fault that does not block. `words` fill the sentence."""
    return _fault(code, Severity.WARNING, cells, words)


def notice(code: FaultCode, cells: tuple[str, ...] = (), **words: str) -> Fault:
    """Something unusual that is right. `words` fill the sentence."""
    return _fault(code, Severity.NOTICE, cells, words)


def _fault(code: FaultCode, severity: Severity, cells: tuple[str, ...], words: dict[str, str]) -> Fault:
    zh, en = SENTENCES[code]
    named = {"cells": _named(cells, "、", "等"), "cells_en": _named(cells, ", ", " and others"), **words}
    return Fault(code, severity, cells, zh.format(**named), en.format(**named))


def _named(cells: tuple[str, ...], between: str, more: str) -> str:
    return between.join(cells[:_NAMED_MAX]) + (more if len(cells) > _NAMED_MAX else "")
