"""How sure it is that a place lies in its cell: shares of a normal distribution, counted on a fixed pattern of points.

The pattern is the same for every fix, so an answer can be worked out again. Everything is done for many fixes at once:
their samples are looked up in the layer together.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from geo.points import SIGMAS_AT_68
from geo.tiles import OUTSIDE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from geo.assignment import LayerIndex
    from geo.coordinates import Floats
    from geo.tiles import Ordinals

CANDIDATES_MAX = 5
LEAST_SHARE = 0.05  # a cell that is less probable than this is not worth a person's look
SAMPLES = 64  # right to about 0.02
MANY_SAMPLES = 256  # right to about 0.005
CLOSE = 0.03  # so near to a threshold the smaller pattern is not trusted
_BLOCK = 1024  # fixes sampled together: their arrays stay in the processor's cache


class Thresholds(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a district calls sure. Raises ``ValueError`` for what contradicts itself.

    `auto`: from this probability on nobody is asked. `flag`: from this one on the cell is chosen, and a person
    confirms; below it none is. `radius_m`: nor is one with a radius of 68 per cent beyond this. `tolerance_m`: so far
    outside a point may lie and still belong to the nearest cell.
    """

    auto: float = 0.8
    flag: float = 0.5
    radius_m: float = 100.0
    tolerance_m: float = 50.0

    def __post_init__(self) -> None:
        if not all(math.isfinite(value) for value in msgspec.structs.astuple(self)):
            raise ValueError("a threshold is no number")
        if not 0.0 < self.flag < self.auto <= 1.0:
            raise ValueError("it must be 0 < flag < auto <= 1")
        if not 0.0 < self.radius_m <= 10_000.0:
            raise ValueError("it must be 0 < radius_m <= 10000")
        if not 0.0 <= self.tolerance_m <= 1_000.0:
            raise ValueError("it must be 0 <= tolerance_m <= 1000")


class Weighed(msgspec.Struct, frozen=True):
    """One fix. All shares are probabilities, rounded to 0.01.

    `p`: of the cell it was weighed for. `hopeless`: no cell may be chosen; `above` then has the shares of the cell's
    community, street and district, 0 where it has none. `candidates`: ordinals of the cells it may mean, the most
    probable first, the cell itself always among them; empty where nobody has to be asked.
    """

    p: float
    hopeless: bool = False
    above: tuple[float, ...] = ()
    candidates: tuple[int, ...] = ()


def weigh(
    index: LayerIndex,
    cells: Ordinals,
    places_m: Floats,
    sigmas_m: Floats,
    within: NDArray[np.bool_],
    rule: Thresholds,
) -> list[Weighed]:
    """How sure it is that each place (n, 2), in metres, lies in the cell beside it (`OUTSIDE`: in none).

    Sigmas are positive. Where `within` says so the place is taken to lie in some cell, so that what of its mass lies in
    none does not count.
    """
    found: list[Weighed] = []
    for first in range(0, len(cells), _BLOCK):
        block = slice(first, first + _BLOCK)
        found += _weigh_block(index, cells[block], places_m[block], sigmas_m[block], within[block], rule)
    return found


def _weigh_block(
    index: LayerIndex,
    cells: Ordinals,
    places_m: Floats,
    sigmas_m: Floats,
    within: NDArray[np.bool_],
    rule: Thresholds,
) -> list[Weighed]:
    shares = _Shares(index, cells, places_m, sigmas_m, within, rule, _FEW)
    answers = shares.told()
    close = np.flatnonzero(shares.close)
    if close.size:
        again = _Shares(index, cells[close], places_m[close], sigmas_m[close], within[close], rule, _MANY)
        for row, answer in zip(close.tolist(), again.told(), strict=True):
            answers[row] = answer
    return answers


class _Shares:
    """The samples of some fixes and what they come to; `close`: where more samples may tell otherwise."""

    def __init__(
        self,
        index: LayerIndex,
        cells: Ordinals,
        places_m: Floats,
        sigmas_m: Floats,
        within: NDArray[np.bool_],
        rule: Thresholds,
        pattern: Floats,
    ) -> None:
        count = pattern.shape[1]
        plane, lonlat = index.layer.plane, index.layer.plane.to_degrees(places_m)
        lon = lonlat[:, :1] + np.multiply.outer(sigmas_m / plane.east_m, pattern[0])
        lat = lonlat[:, 1:] + np.multiply.outer(sigmas_m / plane.north_m, pattern[1])
        self._samples = index.locate(lon.ravel(), lat.ravel()).reshape(len(cells), count)
        self._cells, self._known = cells, len(index.layer.cells)
        self._whole = np.full(len(cells), count)
        if within.any():
            inside = np.count_nonzero(self._samples[within] != OUTSIDE, axis=1)
            self._whole[within] = np.maximum(inside, 1)
        self._p = _share(self._samples == cells[:, None], self._whole)
        self._p[cells == OUTSIDE] = 0.0
        # 100 m as a σ and back are a little more than 100 m
        vague = np.round(sigmas_m * SIGMAS_AT_68, 6) > rule.radius_m
        self._hopeless, self._unsure = (self._p < rule.flag) | vague, (self._p < rule.auto) | vague
        self._lost = np.flatnonzero(self._hopeless & (cells != OUTSIDE))
        self._above = self._areas(index)
        near = CLOSE + 1e-9  # 0.53 - 0.5 is a little more than 0.03
        self.close = (np.abs(self._p - rule.auto) <= near) | (np.abs(self._p - rule.flag) <= near)
        self.close[self._lost] |= (np.abs(self._above - rule.auto) <= near).any(axis=1)
        self.close[cells == OUTSIDE] = False

    def _areas(self, index: LayerIndex) -> Floats:
        """What the areas above the cells have, (lost, levels): asked only where no cell may be chosen."""
        areas, cells, whole = index.areas_above, self._cells[self._lost], self._whole[self._lost]
        shares = np.zeros((len(self._lost), len(areas)))
        if not self._lost.size:
            return shares
        for level, area in enumerate(areas):
            own = area[cells][:, None]
            shares[:, level] = _share((area[self._samples[self._lost]] == own) & (own != OUTSIDE), whole)
        return shares

    def told(self) -> list[Weighed]:
        answers = [Weighed(p) for p in self._p.tolist()]
        above = dict(zip(self._lost.tolist(), self._above.tolist(), strict=True))
        unsure = np.flatnonzero(self._unsure)
        if not unsure.size:
            return answers
        for row, offered in zip(unsure.tolist(), self._candidates(unsure), strict=True):
            hopeless = bool(self._hopeless[row])
            answers[row] = Weighed(answers[row].p, hopeless, tuple(above.get(row, ())), offered)
        return answers

    def _candidates(self, rows: NDArray[np.intp]) -> Iterator[tuple[int, ...]]:
        samples, whole, own = self._samples[rows], self._whole[rows], self._cells[rows]
        row_of, sample_of = np.nonzero(samples != OUTSIDE)
        keys, counts = np.unique(
            row_of.astype(np.int64) * self._known + samples[row_of, sample_of], return_counts=True
        )
        row, cell = np.divmod(keys, max(self._known, 1))
        share = np.round(counts / whole[row], 2)
        others = cell != own[row]
        order = np.lexsort((cell, others, -share, row))
        order = order[(share >= LEAST_SHARE)[order]]
        ends = np.searchsorted(row[order], np.arange(len(rows) + 1)).tolist()
        by_share = cell[order].tolist()
        for number, chosen in enumerate(own.tolist()):
            listed = by_share[ends[number] : ends[number + 1]][:CANDIDATES_MAX]
            if chosen != OUTSIDE and chosen not in listed:
                listed = [*listed[: CANDIDATES_MAX - 1], chosen]
            yield tuple(listed)


def _share(hits: NDArray[np.bool_], whole: NDArray[np.intp]) -> Floats:
    return np.asarray(np.round(np.count_nonzero(hits, axis=1) / whole, 2), dtype=np.float64)


def _sunflower(count: int) -> Floats:
    """So many points, (2, count), that stand for a normal distribution of σ = 1 in the plane."""
    k = np.arange(count)
    radius = np.sqrt(-2.0 * np.log1p(-(k + 0.5) / count))
    angle = k * np.pi * (3.0 - np.sqrt(5.0))
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)])


_FEW, _MANY = _sunflower(SAMPLES), _sunflower(MANY_SAMPLES)
