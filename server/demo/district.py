"""涧东区, a district that does not exist, near Luoyang: 6 streets, 2 towns, 34 communities, 210 cells.

The ground is a lattice of quadrangles. Corners are moved by chance, and every edge gets three points of its
own that both neighbours use, so there is no gap and no overlap, down to the last bit. A path winds through
the lattice in strips three rows high; communities are consecutive stretches of it, and so hang together.
"""

from __future__ import annotations

import random
from typing import TypeAlias

import msgspec
from shapely import Polygon

from geo.cells import Area, Cell, Kind, Layer, Level

DISTRICT = "410399"  # 4103 is Luoyang; 99 is given to no county
DISTRICT_NAME = "涧东区"

COLUMNS = 17  # odd, so that a strip ends at its southern row, beside the next one's beginning
ROWS = 12
STRIP_ROWS = 3
RURAL_ROWS = 3  # the southernmost strip: hills, villages, large cells

WEST, NORTH = 112.362, 34.677
COLUMN_DEGREES = 0.0045  # about 410 m
URBAN_ROW_DEGREES = 0.0034  # about 380 m
RURAL_ROW_DEGREES = 0.0085  # about 940 m
RURAL_SPREAD = 0.35  # how much wider the south is than the north
CORNER_CHANCE = 0.20  # how far a corner may move, in steps of the lattice
BEND_CHANCE = 0.05  # how far the points of an edge may move


class Quarter(msgspec.Struct, frozen=True):
    """A street or town: its code within the district, its communities or villages by name."""

    code: str
    name: str
    rural: bool
    communities: tuple[str, ...]


QUARTERS = (
    Quarter("001", "临涧街道", rural=False, communities=("河堤", "柳湾", "春晖", "安平", "桥西")),
    Quarter("002", "工运街道", rural=False, communities=("焊花", "轴光", "建工", "铸锻")),
    Quarter("003", "洛桥街道", rural=False, communities=("古仓", "洛苑", "书院", "钟楼")),
    Quarter("004", "北岸街道", rural=False, communities=("北岸", "石榴园", "水厂", "站前", "货场")),
    Quarter("005", "青杨街道", rural=False, communities=("青杨", "梧桐", "向阳", "双塔")),
    Quarter("006", "槐荫街道", rural=False, communities=("槐荫", "医学路", "丁香", "文昌")),
    Quarter("101", "涧源镇", rural=True, communities=("上涧", "下涧", "柳林", "官渡")),
    Quarter("102", "石岭镇", rural=True, communities=("石岭", "后沟", "云台", "槐树坪")),
)
# Where no telephone reaches: the captures of these villages arrive days late.
DEAD_ZONES = (f"{DISTRICT}102202", f"{DISTRICT}102204")

# Dedicated cells, by the community in which they are cut out of a basic one.
DEDICATED = {
    f"{DISTRICT}001004": "临涧综合市场",
    f"{DISTRICT}002001": "电焊条厂家属院",
    f"{DISTRICT}003002": "洛苑公园",
    f"{DISTRICT}003003": "书院中学",
    f"{DISTRICT}004004": "涧东火车站",
    f"{DISTRICT}006002": "涧东区人民医院",
}

# The cell that the drafted second edition cuts in two.
SPLIT = f"{DISTRICT}005002002"

_NUMERALS = "一二三四五六七八九十"

Corner: TypeAlias = tuple[int, int]  # row, column
Point: TypeAlias = tuple[float, float]  # longitude, latitude


class _Lattice:
    """Corners and edges, each made once and used by every cell that touches it."""

    def __init__(self, chance: random.Random) -> None:
        self._corners = {
            (row, column): _moved(chance, _place(row, column), row)
            for row in range(ROWS + 1)
            for column in range(COLUMNS + 1)
        }
        self._edges: dict[tuple[Corner, Corner], tuple[Point, ...]] = {}
        for row, column in self._corners:
            for beside in ((row, column + 1), (row + 1, column)):
                if beside in self._corners:
                    self._edges[(row, column), beside] = self._bent(chance, (row, column), beside)

    def _bent(self, chance: random.Random, start: Corner, end: Corner) -> tuple[Point, ...]:
        (ax, ay), (bx, by) = self._corners[start], self._corners[end]
        length = max(abs(bx - ax), abs(by - ay))
        return tuple(
            (
                round(ax + (bx - ax) * part + chance.uniform(-BEND_CHANCE, BEND_CHANCE) * length, 7),
                round(ay + (by - ay) * part + chance.uniform(-BEND_CHANCE, BEND_CHANCE) * length, 7),
            )
            for part in (0.25, 0.5, 0.75)
        )

    def _edge(self, start: Corner, end: Corner) -> list[Point]:
        """From one corner towards the next, without the next; in either direction."""
        between = self._edges.get((start, end)) or tuple(reversed(self._edges[end, start]))
        return [self._corners[start], *between]

    def ring(self, row: int, column: int) -> list[Point]:
        """Sixteen points around a quadrangle from its north-west corner by south; none is repeated."""
        corners = [(row, column), (row + 1, column), (row + 1, column + 1), (row, column + 1), (row, column)]
        return [point for i in range(4) for point in self._edge(corners[i], corners[i + 1])]


def _place(row: float, column: float) -> Point:
    urban = min(row, ROWS - RURAL_ROWS)
    rural = row - urban
    lat = NORTH - urban * URBAN_ROW_DEGREES - rural * RURAL_ROW_DEGREES
    spread = 1.0 + RURAL_SPREAD * rural / RURAL_ROWS
    lon = WEST + COLUMNS * COLUMN_DEGREES / 2 + (column - COLUMNS / 2) * COLUMN_DEGREES * spread
    return lon + row * COLUMN_DEGREES / 8, lat + column * URBAN_ROW_DEGREES / 6  # the river runs askew


def _moved(chance: random.Random, place: Point, row: int) -> Point:
    height = URBAN_ROW_DEGREES if row <= ROWS - RURAL_ROWS else RURAL_ROW_DEGREES
    return (
        round(place[0] + chance.uniform(-CORNER_CHANCE, CORNER_CHANCE) * COLUMN_DEGREES, 7),
        round(place[1] + chance.uniform(-CORNER_CHANCE, CORNER_CHANCE) * height, 7),
    )


def draw(seed: int) -> Layer:
    """The district's first generation. The same seed draws the same bits."""
    lattice = _Lattice(random.Random(seed))
    areas = [Area(DISTRICT, DISTRICT_NAME, Level.DISTRICT, Kind.AREA, None)]
    cells: list[Cell] = []
    urban, rural = _path(0, ROWS - RURAL_ROWS), _path(ROWS - RURAL_ROWS, ROWS)
    for path, quarters in ((urban, QUARTERS[:6]), (rural, QUARTERS[6:])):
        communities = [area for quarter in quarters for area in _areas(quarter, areas)]
        for n, community in enumerate(communities):
            stretch = path[n * len(path) // len(communities) : (n + 1) * len(path) // len(communities)]
            cells += _cells(lattice, community, stretch)
    return Layer.of(cells, areas, number=1, name=f"{DISTRICT_NAME}第一版网格")


def drafted(first: Layer) -> Layer:
    """The second generation, not yet in force: one cell is cut in two, and the southern half gets a new code."""
    cells = []
    for cell in first.cells:
        if cell.code != SPLIT:
            cells.append(cell)
            continue
        north, south = _halves([(x, y) for x, y in cell.geometry.exterior.coords[:-1]])
        free = len(first.cells_of(cell.parent)) + 1
        cells.append(Cell.of(cell.code, cell.name, cell.parent, Polygon(north)))
        name = f"第{_NUMERALS[free - 1]}网格"
        cells.append(Cell.of(f"{cell.parent}{free:03}", name, cell.parent, Polygon(south)))
    return Layer.of(
        cells, list(first.areas), number=first.number + 1, name=f"{DISTRICT_NAME}第二版网格(草案)"
    )


def _areas(quarter: Quarter, areas: list[Area]) -> list[Area]:
    """Enter a street or town and its communities; give back the communities."""
    street = f"{DISTRICT}{quarter.code}"
    areas.append(Area(street, quarter.name, Level.STREET, Kind.AREA, DISTRICT))
    first, ending = (201, "村") if quarter.rural else (1, "社区")
    communities = [
        Area(f"{street}{first + n:03}", f"{name}{ending}", Level.COMMUNITY, Kind.AREA, street)
        for n, name in enumerate(quarter.communities)
    ]
    areas.extend(communities)
    return communities


def _path(first_row: int, end_row: int) -> list[Corner]:
    """The quadrangles between two rows in an order in which neighbours follow each other."""
    path = []
    for strip in range(first_row, end_row, STRIP_ROWS):
        eastwards = (strip // STRIP_ROWS) % 2 == 0
        for n, column in enumerate(range(COLUMNS) if eastwards else reversed(range(COLUMNS))):
            rows = range(strip, strip + STRIP_ROWS)
            path += [(row, column) for row in (rows if n % 2 == 0 else reversed(rows))]
    return path


def _cells(lattice: _Lattice, community: Area, stretch: list[Corner]) -> list[Cell]:
    """A community's cells, numbered from west to east and north to south, the dedicated one last."""
    dedicated = DEDICATED.get(community.code)
    host = stretch[len(stretch) // 2]
    cells = []
    for n, corner in enumerate(sorted(stretch, key=lambda corner: (corner[1], corner[0])), start=1):
        ring = lattice.ring(*corner)
        if dedicated is not None and corner == host:
            ring, cut = _halves(ring)
            code = f"{community.code}{len(stretch) + 1:03}"
            cells.append(Cell.of(code, dedicated, community.code, Polygon(cut), Kind.DEDICATED))
        name = f"第{_NUMERALS[n - 1]}网格"
        cells.append(Cell.of(f"{community.code}{n:03}", name, community.code, Polygon(ring)))
    return cells


def _halves(ring: list[Point]) -> tuple[list[Point], list[Point]]:
    """The northern and the southern half, cut between the middle points of the western and eastern edge."""
    west, east = 2, 10
    return ring[: west + 1] + ring[east:], ring[west : east + 1]
