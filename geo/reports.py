"""A report for people and for maps: the place of each fault, a table, and the faults as GeoJSON."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

import msgspec
import shapely

from geo.faults import Fault, Report
from geo.shapes import geojson_of

if TYPE_CHECKING:
    from collections.abc import Mapping

PLACED_MAX = (
    1_000  # outlines of cells are in the file: those of the first faults are repeated, not those of each
)
OUTLINES_MAX = 20  # of one fault
COLUMNS = ("code", "severity", "cells", "area_m2", "width_m", "sentence_zh", "sentence_en")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet would reckon with


def placed(report: Report, outlines: Mapping[str, Any]) -> Report:
    """The report with the outlines of their cells (WGS-84, by code) for faults that have no place of their own."""
    faults, drawn = [], 0
    for fault in report.faults:
        known = [outlines[code] for code in fault.cells[:OUTLINES_MAX] if code in outlines]
        if fault.geometry is None and known and drawn < PLACED_MAX:
            drawn += 1
            ground = known[0] if len(known) == 1 else shapely.MultiPolygon(list(shapely.get_parts(known)))
            faults.append(msgspec.structs.replace(fault, geometry=geojson_of(ground)))
        else:
            faults.append(fault)
    return Report(tuple(faults))


def report_geojson(report: Report) -> bytes:
    """A FeatureCollection of all faults; those without a place have no geometry."""
    features = [
        {
            "type": "Feature",
            "geometry": fault.geometry,
            "properties": _about(fault) | {"repair": None if fault.repair is None else _repair(fault)},
        }
        for fault in report.faults
    ]
    return msgspec.json.encode({"type": "FeatureCollection", "features": features})


def report_csv(report: Report) -> bytes:
    """A table in UTF-8 with a mark, as spreadsheets want it: a row for each fault."""
    text = io.StringIO(newline="")
    table = csv.writer(text)
    table.writerow([*COLUMNS, "repair", "made", "area_before_m2", "area_after_m2", "vertices_inserted"])
    for fault in report.faults:
        repair = {} if fault.repair is None else _repair(fault)
        mended = [repair.get(name) for name in ("method", "made", "area_before_m2", "area_after_m2")]
        table.writerow([*map(_plain, row_of(fault)), *mended, repair.get("vertices_inserted")])
    return text.getvalue().encode("utf-8-sig")


def row_of(fault: Fault) -> tuple[Any, ...]:
    """A fault in the order of `COLUMNS`."""
    return tuple(_about(fault)[name] for name in COLUMNS)


def _about(fault: Fault) -> dict[str, Any]:
    return {
        "code": str(fault.code),
        "severity": str(fault.severity),
        "cells": " ".join(fault.cells),
        "area_m2": fault.area_m2,
        "width_m": fault.width_m,
        "sentence_zh": fault.sentence_zh,
        "sentence_en": fault.sentence_en,
    }


def _repair(fault: Fault) -> dict[str, Any]:
    about: dict[str, Any] = msgspec.to_builtins(fault.repair)
    return about


def _plain(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
