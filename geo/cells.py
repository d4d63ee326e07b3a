"""Cells, the areas above them, and a layer: one generation of both as a value.

A generation is never changed in place. A new survey, a split, a merge make a new one, and a case keeps the
number of the generation it was assigned in; so an old case can always be explained with the map of its day.
Geometries are WGS-84 degrees, whatever the file they came from was in.
"""

from __future__ import annotations

import re
from enum import IntEnum, StrEnum
from functools import cached_property
from typing import TypeAlias

import msgspec
import numpy as np
import shapely
from shapely import MultiPolygon, Polygon

from geo.coordinates import Geometries, LocalPlane

Bbox: TypeAlias = tuple[float, float, float, float]  # west, south, east, north

RESERVED_CODE = "outside"  # what a case carries that lies in no cell
NAME_MAX = 100
_CODE = re.compile(r"[\w.:-]{1,64}")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def is_code(text: str) -> bool:
    """Whether a cell or an area may be called so, in addresses, lists and on paper."""
    return _CODE.fullmatch(text) is not None and text != RESERVED_CODE


def is_name(text: str) -> bool:
    """Whether a text can be a name: one line of at most `NAME_MAX` characters, without control characters."""
    return len(text) <= NAME_MAX and _CONTROL.search(text) is None


class Level(IntEnum):
    """How high a place stands; the ladder climbs along these."""

    CELL = 0  # 网格
    COMMUNITY = 1  # 社区、村
    STREET = 2  # 街道、乡镇
    DISTRICT = 3  # 区、县


class Kind(StrEnum):
    """What sort of place it is."""

    BASIC = "basic"  # 基础网格
    DEDICATED = "dedicated"  # 专属网格: a hospital, a school, a market
    AREA = "area"  # community, street, district


class Area(msgspec.Struct, frozen=True):
    """A place without geometry of its own; `parent` is the area it lies in, None for the district."""

    code: str
    name: str
    level: Level
    kind: Kind
    parent: str | None


class Cell(msgspec.Struct, frozen=True):
    """The smallest place, with its ground. `bbox` follows from `geometry`."""

    code: str
    name: str
    kind: Kind
    level: Level
    parent: str
    geometry: Polygon | MultiPolygon
    bbox: Bbox

    @classmethod
    def of(
        cls, code: str, name: str, parent: str, geometry: Polygon | MultiPolygon, kind: Kind = Kind.BASIC
    ) -> Cell:
        """A cell whose bbox is measured from its ground (degrees)."""
        west, south, east, north = (float(side) for side in shapely.bounds(geometry))
        return cls(code, name, kind, Level.CELL, parent, geometry, (west, south, east, north))


class Layer(msgspec.Struct, frozen=True, dict=True):
    """One generation. Cells and areas are sorted by code; a cell's position among the cells is its ordinal.

    Use `Layer.of`, which sorts. A layer may be faulty: `geo.checks.check` says whether it may be used.
    """

    number: int
    name: str
    valid_from: int | None  # epoch milliseconds UTC; None until it is activated
    cells: tuple[Cell, ...]
    areas: tuple[Area, ...]

    @classmethod
    def of(
        cls,
        cells: list[Cell],
        areas: list[Area],
        *,
        number: int = 1,
        name: str = "",
        valid_from: int | None = None,
    ) -> Layer:
        """A layer of cells and areas given in any order."""
        return cls(
            number=number,
            name=name,
            valid_from=valid_from,
            cells=tuple(sorted(cells, key=lambda cell: cell.code)),
            areas=tuple(sorted(areas, key=lambda area: area.code)),
        )

    @cached_property
    def codes(self) -> tuple[str, ...]:
        """The cells' codes; the index is the ordinal."""
        return tuple(cell.code for cell in self.cells)

    @cached_property
    def geometries(self) -> Geometries:
        """The cells' geometries, by ordinal."""
        ground = np.empty(len(self.cells), dtype=object)
        ground[:] = [cell.geometry for cell in self.cells]
        return ground

    @cached_property
    def bbox(self) -> Bbox:
        """What all cells together span, in degrees. A layer without cells spans NaN."""
        west, south, east, north = (float(side) for side in shapely.total_bounds(self.geometries))
        return (west, south, east, north)

    @cached_property
    def plane(self) -> LocalPlane:
        """The metres in which this layer is measured."""
        west, south, east, north = self.bbox
        return LocalPlane.around((west + east) / 2, (south + north) / 2)

    @cached_property
    def _cell_by_code(self) -> dict[str, Cell]:
        return {cell.code: cell for cell in self.cells}

    @cached_property
    def _area_by_code(self) -> dict[str, Area]:
        return {area.code: area for area in self.areas}

    @cached_property
    def _cells_below(self) -> dict[str, tuple[str, ...]]:
        below: dict[str, list[str]] = {area.code: [] for area in self.areas}
        for cell in self.cells:
            for area in self.ancestors(cell.code):
                below[area].append(cell.code)
        return {area: tuple(codes) for area, codes in below.items()}

    def cell(self, code: str) -> Cell | None:
        """The cell of this code, or None."""
        return self._cell_by_code.get(code)

    def area(self, code: str) -> Area | None:
        """The place of this code, a cell or what is above it, without its ground; or None."""
        area = self._area_by_code.get(code)
        if area is not None:
            return area
        cell = self._cell_by_code.get(code)
        return None if cell is None else Area(cell.code, cell.name, cell.level, cell.kind, cell.parent)

    def ancestors(self, code: str) -> tuple[str, ...]:
        """Codes of the areas above a cell or area, the nearest first, up to the district.

        Ends early where a parent is unknown. An unknown code has none.
        """
        place = self.area(code)
        chain: list[str] = []
        while place is not None and place.parent is not None and place.parent not in chain:
            place = self._area_by_code.get(place.parent)
            if place is not None:
                chain.append(place.code)
        return tuple(chain)

    def cells_of(self, code: str) -> tuple[str, ...]:
        """Codes of the cells an area covers, sorted; a cell covers itself; an unknown code covers nothing."""
        if code in self._cell_by_code:
            return (code,)
        return self._cells_below.get(code, ())
