"""What becomes of the cells from one edition to the next, and who takes over the ground of one that vanishes."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import shapely

if TYPE_CHECKING:
    from collections.abc import Mapping

    from geo.cells import Layer

# A cell that two others share has no successor: nobody can say which half a house without a fix stands in.
LEAST_SHARE = 0.9


def successors(outlines: Mapping[str, Any], layer: Layer) -> dict[str, str]:
    """For each old outline (a Shapely geometry in degrees, by code) the one cell that has at least nine tenths of it.

    Shares of one small outline are compared, so degrees will do. Codes without a successor are left out.
    """
    if not outlines or not layer.cells:
        return {}
    tree = shapely.STRtree(layer.geometries)
    found: dict[str, str] = {}
    for code, outline in outlines.items():
        old = shapely.make_valid(outline)
        whole = float(shapely.area(old))
        near = tree.query(old, predicate="intersects")
        if not whole or not near.size:
            continue
        shares = shapely.area(shapely.intersection(layer.geometries[near], old)) / whole
        best = int(np.argmax(shares))
        if shares[best] >= LEAST_SHARE:
            found[code] = layer.cells[int(near[best])].code
    return found


class Fate(StrEnum):
    """What becomes of cells from one edition to the next."""

    RENAMED = "renamed"  # another code on the same ground
    SPLIT = "split"
    MERGED = "merged"
    MOVED = "moved"  # the same codes, other borders
    REDRAWN = "redrawn"  # several into several
    REMOVED = "removed"
    ADDED = "added"


class Change(msgspec.Struct, frozen=True):
    """Cells that belong together by their ground, before and after."""

    fate: Fate
    before: tuple[str, ...]
    after: tuple[str, ...]


# Two cells have to do with each other when they share a tenth of either; a border moves with more than a thousandth.
_LINKED = 0.1
_SAME = 0.999


def changes(old: Layer, new: Layer) -> list[Change]:
    """What becomes of each cell of `old` that is not the same in `new`, and what is new; in the order of codes.

    Cost: about 1 s for 25,000 cells; cells whose outlines are equal cost nothing.
    """
    same = {cell.code for cell in old.cells} & {cell.code for cell in new.cells}
    outlines = {cell.code: cell.geometry for cell in new.cells}
    same = {cell.code for cell in old.cells if cell.code in same and cell.geometry == outlines[cell.code]}
    left = [cell for cell in old.cells if cell.code not in same]
    right = [cell for cell in new.cells if cell.code not in same]
    grounds = [
        shapely.make_valid(np.array([cell.geometry for cell in side], dtype=object)) for side in (left, right)
    ]
    links: list[tuple[int, int]] = []
    alike: set[tuple[int, int]] = set()
    if left and right:
        one, other = shapely.STRtree(grounds[1]).query(grounds[0], predicate="intersects")
        common = shapely.area(shapely.intersection(grounds[0][one], grounds[1][other]))
        shares = [common / shapely.area(grounds[0][one]), common / shapely.area(grounds[1][other])]
        for i, j, here, there in zip(one.tolist(), other.tolist(), *shares, strict=True):
            if max(here, there) >= _LINKED:
                links.append((i, j))
            if min(here, there) >= _SAME:
                alike.add((i, j))
    found = []
    for befores, afters in _grouped(len(left), len(right), links):
        before = tuple(left[i].code for i in befores)
        after = tuple(right[j].code for j in afters)
        if before == after and len(before) == 1 and (befores[0], afters[0]) in alike:
            continue  # drawn with other points
        found.append(Change(_fate(before, after), before, after))
    return sorted(found, key=lambda change: change.before or change.after)


def _fate(before: tuple[str, ...], after: tuple[str, ...]) -> Fate:
    if not before:
        return Fate.ADDED
    if not after:
        return Fate.REMOVED
    if len(before) == len(after) == 1:
        return Fate.MOVED if before == after else Fate.RENAMED
    if len(before) == 1:
        return Fate.SPLIT
    return Fate.MERGED if len(after) == 1 else Fate.REDRAWN


def _grouped(left: int, right: int, links: list[tuple[int, int]]) -> list[tuple[list[int], list[int]]]:
    """What hangs together over links between two sides."""
    beside: dict[tuple[int, int], list[tuple[int, int]]] = {
        **{(0, i): [] for i in range(left)},
        **{(1, j): [] for j in range(right)},
    }
    for i, j in links:
        beside[0, i].append((1, j))
        beside[1, j].append((0, i))
    seen: set[tuple[int, int]] = set()
    groups = []
    for start in beside:
        if start in seen:
            continue
        seen.add(start)
        waiting, group = [start], list[tuple[int, int]]()
        while waiting:
            node = waiting.pop()
            group.append(node)
            fresh = [other for other in beside[node] if other not in seen]
            seen.update(fresh)
            waiting += fresh
        groups.append(
            (sorted(i for side, i in group if side == 0), sorted(j for side, j in group if side == 1))
        )
    return groups
