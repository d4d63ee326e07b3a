"""An address as text: one form for the many ways to write it, the pairs of signs it is found by, its house numbers.

A number is one sign, so that 12号 is not found in 112号, nor 2号. What differs in writing only becomes one form: full
and half width, `三号` and `3号`, `5号楼`, `5幢` and `5栋`, `012号`. Traditional characters stay as they are.
"""

import itertools
import re
import unicodedata
from collections.abc import Sequence
from functools import cached_property
from typing import Final

from msgspec import Struct

TEXT_MAX: Final = 200
_DIGITS: Final = {"〇": 0, "零": 0} | {
    sign: value for value, sign in enumerate("一二三四五六七八九", start=1)
}
_TENS: Final = {"十": 10, "百": 100, "千": 1000}
_NUMERAL: Final = "〇零一二三四五六七八九十百千"
# What a house number is counted in, outermost first; `in` a building is what a cell never tells apart.
_OUTSIDE: Final = ("号", "號", "弄", "栋", "座", "组", "队")
_INSIDE: Final = ("单元", "單元", "层", "層", "楼", "樓", "室", "户", "房")
_WORDS: Final = (*_OUTSIDE, *_INSIDE)
_COUNTED: Final = "|".join((*_WORDS, "幢", "棟"))
_SAID: Final = re.compile(rf"[{_NUMERAL}]+(?={_COUNTED})")
_BUILDING: Final = re.compile(r"(?<=\d)(?:号楼|號樓|#楼|幢|棟|栋楼)")
_SIGNS: Final = re.compile(r"\d+|[a-z]+|-|[^\W_]")
_HYPHENS: Final = re.compile(r"[\u2010-\u2015\u2212~—_]")
_STROKE: Final = "-"
# Near a place is not at it.
_BESIDE: Final = (
    "对面",
    "附近",
    "旁",
    "隔壁",
    "之间",
    "路口",
    "交叉口",
    "中间",
    "斜对",
    "以东",
    "以西",
    "以南",
    "以北",
)
_ROADS: Final = ("路", "街", "巷", "桥", "线")
# Where the name of an area ends, and that of a road or a compound may begin.
_SEAMS: Final = ("省", "市", "区", "县", "旗", "镇", "乡", "街道", "社区", "办事处")

_ABOVE: Final = ("省", "市")


class Number(Struct, frozen=True):
    """A house number and what it counts: `12`, `号`; nothing where the text does not say."""

    value: str
    word: str

    def same(self, other: "Number") -> bool:
        """Whether both can mean one house."""
        return self.value == other.value and (self.word == other.word or not self.word or not other.word)


class Address(Struct, frozen=True, dict=True):
    """A text and its one form, sign by sign."""

    signs: tuple[str, ...]

    @property
    def plain(self) -> str:
        """The one form, as it is kept: two texts with the same one are one address."""
        return "".join(self.signs)

    @cached_property
    def pairs(self) -> frozenset[str]:
        """Signs that stand side by side, two and two: what it is found by."""
        return _pairs_of(self.signs)

    @cached_property
    def telling_pairs(self) -> frozenset[str]:
        """Those down to the building: what follows tells no house from another."""
        return _pairs_of(self.signs[: self._split[2]])

    @cached_property
    def _split(self) -> tuple[int, tuple[Number, ...], int]:
        """How many signs stand before the first house number, the numbers down to the building, where they end."""
        begin = next((at for at in range(len(self.signs)) if self._number_at(at) is not None), None)
        if begin is None:
            return len(self.signs), (), len(self.signs)
        numbers: list[Number] = []
        at = begin
        while at < len(self.signs):
            found = self._number_at(at)
            if found is None or found.word in _INSIDE or (not found.word and numbers):
                break
            numbers.append(found)
            at += 1 + len(found.word)
            at += at < len(self.signs) and self.signs[at] == _STROKE
        return begin, tuple(numbers), at

    def _number_at(self, at: int) -> Number | None:
        """The house number that begins at a sign, if one does."""
        if not self.signs[at].isdigit():
            return None
        rest = "".join(self.signs[at + 1 : at + 4])
        word = next((word for word in _WORDS if rest.startswith(word)), "")
        after = rest.removeprefix(word)
        if (word and after.startswith(_ROADS)) or (not word and after and not after.startswith(_STROKE)):
            return None  # 1号路, 207国道: a number in a name
        return Number(self.signs[at], word)

    @property
    def name(self) -> str:
        """What stands before the house number: the road, the compound, and what they lie in."""
        return "".join(self.signs[: self._split[0]])

    @property
    def numbers(self) -> tuple[Number, ...]:
        """House numbers down to the building."""
        return self._split[1]

    @property
    def tail(self) -> str:
        """What follows them: staircase, floor, room, or words."""
        return "".join(self.signs[self._split[2] :])

    @property
    def is_beside(self) -> bool:
        """Whether the text names a place near the house rather than the house."""
        return any(word in self.plain for word in _BESIDE)

    def same_house(self, other: "Address") -> bool:
        """Whether both texts have the same house numbers, down to the building."""
        return len(self.numbers) == len(other.numbers) and all(
            mine.same(theirs) for mine, theirs in zip(self.numbers, other.numbers, strict=True)
        )

    def means_name(self, listed: "Address", areas: Sequence[str] = ()) -> bool:
        """Whether the name that was typed is one of the list: equal, or one of them says more about where it lies.

        `areas` are names of the district's own areas, which either may leave out. A line of the list may have more
        before it, up to the name of an area; what was typed only the province and the city before an area of our own,
        since there may be a road of that name elsewhere too.
        """
        mine, theirs = _without(self.name, areas), _without(listed.name, areas)
        if not mine or not theirs:
            return False
        if len(mine) <= len(theirs):
            before = theirs[: len(theirs) - len(mine)]
            return theirs.endswith(mine) and (
                not before or (before.endswith(_SEAMS) and not before.endswith("小区"))
            )
        before = mine[: len(mine) - len(theirs)]
        ours = any(self.name.startswith(before + area) for area in areas)
        return mine.endswith(theirs) and ours and before.endswith(_ABOVE)


def read(text: str) -> Address:
    """The one form of a text. Signs that are neither letter, digit nor stroke between digits are left out."""
    told = _HYPHENS.sub(_STROKE, unicodedata.normalize("NFKC", text).casefold())
    told = re.sub(r"(?<=\d)[\W_]+(?=\d)", _STROKE, told)  # 12、13 is no 1213
    told = re.sub(r"\s+", "", told)
    told = _SAID.sub(lambda found: _spoken(found[0]), told)
    told = _BUILDING.sub("栋", told)
    told = re.sub(r"(?<=\d)#", "号", told)
    told = re.sub(r"(?<=\d号)院", "", told)
    told = re.sub(r"(?<!\d)-|-(?!\d)", "", told)
    return Address(tuple(_signs_of(told)))


def of_plain(plain: str) -> Address:
    """The address of one form that was kept."""
    return Address(tuple(_SIGNS.findall(plain)))


def _pairs_of(signs: Sequence[str]) -> frozenset[str]:
    pairs = itertools.pairwise(signs)
    return frozenset(one + other for one, other in pairs if _STROKE not in (one, other))


def _signs_of(text: str) -> list[str]:
    return [sign.lstrip("0") or "0" if sign.isdigit() else sign for sign in _SIGNS.findall(text)]


def _spoken(numeral: str) -> str:
    """A Chinese number in digits; what is none stays."""
    if not set(numeral) & set(_TENS):
        return "".join(str(_DIGITS[sign]) for sign in numeral)
    total, digit, last = 0, -1, 10_000
    for sign in numeral:
        if sign in _DIGITS:
            if digit > 0:
                return numeral
            digit = _DIGITS[sign]
            continue
        ten = _TENS[sign]
        if ten >= last or (digit <= 0 and not (ten == 10 and not total)):
            return numeral
        total += (1 if digit < 0 else digit) * ten
        digit, last = -1, ten
    return str(total + max(digit, 0))


def _without(name: str, areas: Sequence[str]) -> str:
    for area in areas:
        name = name.replace(area, "", 1) if name != area else name
    return name
