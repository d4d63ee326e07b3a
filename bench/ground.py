"""Points to cells: the layer's index beside Shapely's tree on the same points."""

import functools
import time

import numpy as np
import shapely

from bench.figures import Figure, Scale, cpu_rate, median, percentile
from geo.assignment import LayerIndex
from geo.cells import Area, Cell, Kind, Layer, Level

_SIDE = 158  # 24,964 cells: a city's worth
_STEP = 0.004
_WEST, _SOUTH = 112.0, 34.0


@functools.cache
def _index() -> LayerIndex:
    """A lattice of quadrangles with crooked sides that neighbours share."""
    chance = np.random.default_rng(5)
    corners = np.stack(np.meshgrid(np.arange(_SIDE + 1.0), np.arange(_SIDE + 1.0), indexing="ij"), axis=-1)
    corners += chance.uniform(-0.3, 0.3, corners.shape)
    corners = corners * _STEP + (_WEST, _SOUTH)
    beside = 0.5 * (corners[:-1] + corners[1:]) + chance.uniform(-0.1, 0.1, corners[1:].shape) * _STEP
    above = 0.5 * (corners[:, :-1] + corners[:, 1:])
    above += chance.uniform(-0.1, 0.1, above.shape) * _STEP
    cells = []
    for i in range(_SIDE):
        for j in range(_SIDE):
            ring = [
                corners[i, j],
                beside[i, j],
                corners[i + 1, j],
                above[i + 1, j],
                corners[i + 1, j + 1],
                beside[i, j + 1],
                corners[i, j + 1],
                above[i, j],
            ]
            cells.append(Cell.of(f"{i:03d}{j:03d}", "", "C", shapely.Polygon(ring)))
    areas = [Area("C", "", Level.COMMUNITY, Kind.AREA, None)]
    return LayerIndex(Layer.of(cells, areas))


def _points(count: int) -> tuple[np.ndarray, np.ndarray]:
    chance = np.random.default_rng(9)
    span = _SIDE * _STEP
    return _WEST + chance.uniform(0, span, count), _SOUTH + chance.uniform(0, span, count)


def assign_bulk(scale: Scale) -> Figure:
    """Points a CPU-second, all at once."""
    index = _index()
    tree = shapely.STRtree(index.layer.geometries)
    lon, lat = _points(scale.points)
    index.locate(lon[:1000], lat[:1000])
    ours: list[float] = []
    limits: list[float] = []
    for _ in range(scale.runs):
        limits.append(
            cpu_rate(scale.points, lambda: tree.query(shapely.points(lon, lat), predicate="intersects"))
        )
        ours.append(cpu_rate(scale.points, lambda: index.locate(lon, lat)))
    value, limit = median(ours), median(limits)
    return Figure(
        "assign_bulk",
        value,
        "points/CPU-s",
        limit,
        value / limit,
        "ratio ≥ 40, value ≥ 25000000",
        f"{scale.points} points, {len(index.layer.cells)} cells; limit: STRtree, bulk; median of {scale.runs}",
    )


def assign_one_us(scale: Scale) -> Figure:
    """One point at a time."""
    index = _index()
    tree = shapely.STRtree(index.layer.geometries)
    lon, lat = _points(5_000)
    pairs = list(zip(lon.tolist(), lat.tolist(), strict=True))
    ours: list[float] = []
    limits: list[float] = []
    for x, y in pairs:
        begun = time.perf_counter_ns()
        tree.query(shapely.Point(x, y), predicate="intersects")
        between = time.perf_counter_ns()
        index.locate([x], [y])
        ours.append((time.perf_counter_ns() - between) / 1000)
        limits.append((between - begun) / 1000)
    value, limit = percentile(ours, 0.5), percentile(limits, 0.5)
    return Figure(
        "assign_one_us",
        value,
        "µs",
        limit,
        value / limit,
        "p50 ≤ 1, p99 ≤ 3",
        f"p50 of {len(pairs)} points one by one, {len(index.layer.cells)} cells, p99 {percentile(ours, 0.99):.1f} µs; "
        f"limit: Shapely's STRtree; runs as {'quick' if scale.quick else 'default'}",
    )
