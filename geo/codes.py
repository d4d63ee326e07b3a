"""Codes of cells that tell their place: which digits are the district, the street, the community and the cell.

A scheme is data of a district: a name and the parts of its codes with their lengths. Two are known here. The form of 15
digits is what most platforms number by: county (GB/T 2260), street or town, community or village, cell. CJ/T 349 has 20
digits: first the object that the code is for, then the same parts with two digits for the cell, which are 00 where a
community is not divided.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from geo.cells import Level

if TYPE_CHECKING:
    from collections.abc import Mapping


class CodeError(ValueError):
    """A code, or a number in it, that is not of the scheme."""


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Some digits of a code. `level` is whose they are, None for digits that say nothing of the place."""

    name: str
    digits: int
    level: Level | None = None
    may_be_zero: bool = False


class Scheme(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the codes of a district are made up. Raises `CodeError` for parts that do not name each level once."""

    name: str
    total: int
    parts: tuple[Part, ...]

    def __post_init__(self) -> None:
        """Levels go down from the district to the cell, so that the code of an area is the beginning of its cells'."""
        levels = [part.level for part in self.parts if part.level is not None]
        if levels != sorted(set(levels), reverse=True) or levels[:1] != [Level.DISTRICT]:
            raise CodeError(f"{self.name}: the levels must go down from the district, each once")
        if Level.CELL not in levels:
            raise CodeError(f"{self.name}: no digits number the cells")
        if (
            any(part.digits < 1 for part in self.parts)
            or sum(part.digits for part in self.parts) != self.total
        ):
            raise CodeError(f"{self.name}: the parts do not make {self.total} digits")

    def fits(self, code: str) -> bool:
        """Whether a text is a code of this scheme: its digits, and no part 000 that numbers something."""
        if len(code) != self.total or not (code.isascii() and code.isdigit()):
            return False
        cut = self._cut(code)
        return all(part.may_be_zero or int(cut[part.name]) > 0 for part in self.parts)

    def parse(self, code: str) -> Code:
        """The parts of a code; raises `CodeError`."""
        if not self.fits(code):
            raise CodeError(f"{code[: self.total + 1]!r} is no code of {self.name}")
        return Code(self, code, self._cut(code))

    def build(self, numbers: Mapping[str, int | str]) -> str:
        """A code from the number of each part by name; raises `CodeError` for one that is missing or does not fit."""
        if set(numbers) != {part.name for part in self.parts}:
            raise CodeError(f"{self.name} has the parts {', '.join(part.name for part in self.parts)}")
        code = "".join(str(numbers[part.name]).zfill(part.digits) for part in self.parts)
        if not self.fits(code) or any(len(str(numbers[part.name])) > part.digits for part in self.parts):
            raise CodeError(f"these numbers make no code of {self.name}")
        return code

    def _cut(self, code: str) -> dict[str, str]:
        cut, start = {}, 0
        for part in self.parts:
            cut[part.name] = code[start : start + part.digits]
            start += part.digits
        return cut


class Code(msgspec.Struct, frozen=True):
    """A code that fits its scheme, and the digits of each part by name."""

    scheme: Scheme
    text: str
    parts: dict[str, str]

    def parents(self) -> tuple[tuple[str, Level], ...]:
        """Codes and levels of the areas above the cell, the nearest first, up to the district."""
        above: list[tuple[str, Level]] = []
        code = ""
        for part in self.scheme.parts:
            if part.level is not None:
                code += self.parts[part.name]
                above.append((code, part.level))
        return tuple(reversed(above[:-1]))


GRID_15 = Scheme(
    "grid15",
    15,
    (
        Part("district", 6, Level.DISTRICT),
        Part("street", 3, Level.STREET),
        Part("community", 3, Level.COMMUNITY),
        Part("cell", 3, Level.CELL),
    ),
)
CJT_349 = Scheme(
    "cjt349",
    20,
    (
        Part("object", 6, may_be_zero=True),
        Part("district", 6, Level.DISTRICT),
        Part("street", 3, Level.STREET),
        Part("community", 3, Level.COMMUNITY),
        Part("cell", 2, Level.CELL, may_be_zero=True),
    ),
)
SCHEMES = (GRID_15, CJT_349)


def scheme_of(code: str, declared: Scheme | None = None) -> Scheme | None:
    """The scheme that a code fits: the declared one, else whichever of the known ones; they differ in length."""
    return next(
        (scheme for scheme in (SCHEMES if declared is None else (declared,)) if scheme.fits(code)), None
    )
