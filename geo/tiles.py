"""The tile index: from a point to its cell by one or two look-ups, exactly.

See `geo/tiling.py` for the tiles. Coordinates are WGS-84 degrees; an answer is the smallest ordinal among the cells
that a point touches, `OUTSIDE` if it touches none. Two paths give the same answers: arrays of points go through
numpy in pieces that fit a processor's cache, and one point goes through plain Python, which starts faster.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import shapely
from numpy.typing import NDArray

from geo.tiling import EXACT, LEVELS, PARTS, SHIFT, Tiles, build

if TYPE_CHECKING:
    from collections.abc import Callable

    from geo.coordinates import Floats, Geometries

Ordinals: TypeAlias = NDArray[np.int32]

OUTSIDE = -1  # the ordinal of no cell
_FINE = SHIFT * LEVELS
_FINEST = 1 << _FINE
_MASK = PARTS - 1
_PIECE = 32_768
# The sign of an orientation is right if its magnitude exceeds this share of the sum of its two products
# (Shewchuk 1997, ccwerrboundA: (3 + 16 ε) ε, with ε = 2⁻⁵³).
_CERTAIN = 3.3306690738754716e-16


def touched_first(tree: shapely.STRtree, lon: Floats, lat: Floats) -> Ordinals:
    """The smallest ordinal that each point touches, borders included, by geometry; `OUTSIDE` where none."""
    none = np.iinfo(np.int32).max
    smallest = np.full(len(lon), none, dtype=np.int32)
    points, cells = tree.query(shapely.points(lon, lat), predicate="intersects")
    np.minimum.at(smallest, points, cells.astype(np.int32))
    smallest[smallest == none] = OUTSIDE
    return smallest


class TileIndex:
    """Answers which cell a point lies in."""

    def __init__(self, tiles: Tiles, tree: shapely.STRtree) -> None:
        """`tree` holds the cells that the tiles were built from: the last resort asks it."""
        self.tiles = tiles
        self._tree = tree
        grid = tiles.grid
        self._west, self._south = grid.west, grid.south
        self._east_scale, self._north_scale = grid.east_scale * _FINEST, grid.north_scale * _FINEST
        self._columns, self._rows = grid.columns, grid.rows
        self._wide, self._high = float(grid.columns * _FINEST), float(grid.rows * _FINEST)
        self.locate_one = _one_by_one(tiles, tree)
        """The ordinal for one point, longitude and latitude in degrees."""

    @classmethod
    def over(cls, geometries: Geometries) -> TileIndex:
        """The index over cells in degrees, by ordinal."""
        return cls(build(geometries), shapely.STRtree(geometries))

    @property
    def bytes(self) -> int:
        """What its arrays weigh."""
        tiles = self.tiles
        return int(tiles.base.nbytes + tiles.blocks.nbytes + tiles.ends.nbytes + tiles.sides.nbytes)

    def locate(self, lon: Floats, lat: Floats) -> Ordinals:
        """Ordinals for one-dimensional arrays of degrees."""
        answers = np.empty(len(lon), dtype=np.int32)
        for start in range(0, len(lon), _PIECE):
            piece = slice(start, start + _PIECE)
            self._answer(lon[piece], lat[piece], answers[piece])
        return answers

    def _answer(self, lon: Floats, lat: Floats, answers: Ordinals) -> None:
        tiles = self.tiles
        x = (lon - self._west) * self._east_scale
        y = (lat - self._south) * self._north_scale
        known = (x >= 0.0) & (x < self._wide) & (y >= 0.0) & (y < self._high)  # never of NaN
        if not known.all():
            x, y = np.where(known, x, 0.0), np.where(known, y, 0.0)  # the corner tile is outside
        column, row = x.astype(np.int32), y.astype(np.int32)
        codes = tiles.base.take((row >> _FINE) * np.int32(self._columns) + (column >> _FINE), mode="clip")
        hard = np.flatnonzero(codes < 0)
        if len(hard):
            codes[hard] = self._resolved(codes[hard], column[hard], row[hard], lon[hard], lat[hard])
        np.subtract(codes, 1, out=answers)

    def _resolved(
        self, codes: Ordinals, column: Ordinals, row: Ordinals, lon: Floats, lat: Floats
    ) -> Ordinals:
        """Codes that are final, for codes that are not."""
        tiles = self.tiles
        for level in range(LEVELS - 1, -1, -1):
            parted = np.flatnonzero((codes < EXACT) & (codes & 1 == 1))
            if not len(parted):
                break
            shift = SHIFT * level
            inner = (row[parted] >> shift & _MASK) << SHIFT | (column[parted] >> shift & _MASK)
            codes[parted] = tiles.blocks.take(((-3 - codes[parted]) >> 1 << 2 * SHIFT) + inner, mode="clip")
        crossed = np.flatnonzero(codes < EXACT)
        edge = (-2 - codes[crossed]) >> 1
        ax, ay, bx, by = tiles.ends.take(edge, axis=0, mode="clip").T
        px, py = lon[crossed], lat[crossed]
        left, right = (bx - ax) * (py - ay), (by - ay) * (px - ax)
        turn = left - right
        certain = np.abs(turn) > _CERTAIN * (np.abs(left) + np.abs(right))
        side = tiles.sides.reshape(-1).take(edge * 2 + (turn < 0.0), mode="clip")
        codes[crossed] = np.where(certain, side, EXACT)
        doubtful = np.flatnonzero(codes == EXACT)
        if len(doubtful):
            codes[doubtful] = touched_first(self._tree, lon[doubtful], lat[doubtful]) + 1
        return codes


def _one_by_one(tiles: Tiles, tree: shapely.STRtree) -> Callable[[float, float], int]:
    """The way of one point, with every name that it needs at hand: looking them up would cost it a third more."""
    grid = tiles.grid
    west, south = grid.west, grid.south
    east_scale, north_scale = grid.east_scale * _FINEST, grid.north_scale * _FINEST
    columns = grid.columns
    wide, high = float(grid.columns * _FINEST), float(grid.rows * _FINEST)
    base, blocks = tiles.base.data, tiles.blocks.data
    ends, sides = tiles.ends.reshape(-1).data, tiles.sides.reshape(-1).data

    def locate_one(lon: float, lat: float) -> int:
        x = (lon - west) * east_scale
        y = (lat - south) * north_scale
        if not (0.0 <= x < wide and 0.0 <= y < high):
            return OUTSIDE
        column, row = int(x), int(y)
        code: int = base[(row >> _FINE) * columns + (column >> _FINE)]
        if code >= 0:
            return code - 1
        shift = _FINE
        while code & 1 and code < EXACT:
            shift -= SHIFT
            inner = (row >> shift & _MASK) << SHIFT | (column >> shift & _MASK)
            code = blocks[((-3 - code) >> 1 << 2 * SHIFT) + inner]
            if code >= 0:
                return code - 1
        if code < EXACT:
            edge = -2 - code  # twice the number
            place = edge * 2
            ax, ay = ends[place], ends[place + 1]
            left = (ends[place + 2] - ax) * (lat - ay)
            right = (ends[place + 3] - ay) * (lon - ax)
            turn = left - right
            if abs(turn) > _CERTAIN * (abs(left) + abs(right)):
                return sides[edge + (turn < 0.0)] - 1
        return int(touched_first(tree, np.array([lon]), np.array([lat]))[0])

    return locate_one
