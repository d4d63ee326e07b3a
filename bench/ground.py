"""Points to cells: the layer's index beside Shapely's tree on the same points."""

import functools
import time

import numpy as np
import shapely

from bench.figures import Figure, Scale, cpu_rate, median, percentile, rate
from bench.tessellation import voronoi_layer
from geo.assignment import LayerIndex
from geo.cells import Layer
from geo.certainty import SAMPLES, Thresholds, weigh
from geo.coordinates import Floats
from geo.layer import from_geojson, to_geojson
from geo.points import SIGMAS_AT_68
from geo.tiles import OUTSIDE
from geo.tiling import Tiles, build

CELLS = 25_600  # of which those on the edge are left out


@functools.cache
def _index() -> LayerIndex:
    return LayerIndex(voronoi_layer(CELLS))


@functools.cache
def _tiles() -> Tiles:
    return _index().equip()


def _points(count: int) -> tuple[Floats, Floats]:
    """Each in the box around a cell chosen by lot: dense where cells are small, as cases are."""
    chance = np.random.default_rng(9)
    boxes = shapely.bounds(_index().layer.geometries)[chance.integers(0, len(_index().layer.cells), count)]
    lon = boxes[:, 0] + chance.random(count) * (boxes[:, 2] - boxes[:, 0])
    return lon, boxes[:, 1] + chance.random(count) * (boxes[:, 3] - boxes[:, 1])


def assign_bulk(scale: Scale) -> Figure:
    """Points a CPU-second, all at once."""
    index = _index()
    _tiles()
    tree = shapely.STRtree(index.layer.geometries)
    lon, lat = _points(scale.points)
    points = shapely.points(lon, lat)
    index.locate(lon[:1000], lat[:1000])
    ours: list[float] = []
    limits: list[float] = []
    floors: list[float] = []
    for _ in range(scale.runs):
        limits.append(cpu_rate(scale.points, lambda: tree.query(points, predicate="intersects")))
        floors.append(cpu_rate(scale.points, lambda: _gathered(lon, lat)))
        ours.append(cpu_rate(scale.points, lambda: index.locate(lon, lat)))
    value, limit = median(ours), median(limits)
    return Figure(
        "assign_bulk",
        value,
        "points/CPU-s",
        limit,
        value / limit,
        "ratio ≥ 40, value ≥ 25000000",
        f"{scale.points} points, {len(index.layer.cells)} Voronoi cells of {_corners():.1f} corners; limit: STRtree, "
        f"bulk, points made before; beside it the gather alone, without the look at borders: "
        f"{median(floors) / 1e6:.0f} M points/CPU-s; median of {scale.runs}",
    )


def _corners() -> float:
    cells = _index().layer.geometries
    return float(shapely.get_num_coordinates(cells).mean()) - 1  # the last one closes the ring


def _gathered(lon: Floats, lat: Floats) -> None:
    """What any grid of tiles must do: the tile of each point, and one look-up."""
    tiles = _tiles()
    grid = tiles.grid
    for start in range(0, len(lon), 16_384):
        piece = slice(start, start + 16_384)
        column = ((lon[piece] - grid.west) * grid.east_scale).astype(np.int32)
        row = ((lat[piece] - grid.south) * grid.north_scale).astype(np.int32)
        tiles.base.take(row * np.int32(grid.columns) + column)


def index_build_s(scale: Scale) -> Figure:
    """Seconds to build the tiles of a city, beside reading its layer."""
    layer = _index().layer
    content = to_geojson(layer)
    ours: list[float] = []
    limits: list[float] = []
    for _ in range(scale.runs):
        limits.append(1 / rate(1, lambda: from_geojson(content)))
        ours.append(1 / rate(1, lambda: build(layer.geometries)))
    small = Layer.of(list(layer.cells[:1_500]), list(layer.areas))
    little = median([1 / rate(1, lambda: build(small.geometries)) for _ in range(scale.runs)])
    tiles = _tiles()
    weight = sum(array.nbytes for array in (tiles.base, tiles.blocks, tiles.ends, tiles.sides)) / 1e6
    value, limit = median(ours), median(limits)
    return Figure(
        "index_build_s",
        value,
        "s",
        limit,
        value / limit,
        "25,000 cells ≤ 5 s and ≤ 60 MB, 1,500 ≤ 0.3 s",
        f"{len(layer.cells)} cells, {weight:.0f} MB; 1,500 cells {little:.2f} s; limit: reading the layer from the "
        f"bytes it is kept in; median of {scale.runs}",
    )


def certainty_us(scale: Scale) -> Figure:
    """Microseconds a point to say how sure its cell is, many at once."""
    index = _index()
    _tiles()
    count = scale.points // 10
    lon, lat = _points(count)
    cells = index.locate(lon, lat)
    lon, lat, cells = lon[cells != OUTSIDE], lat[cells != OUTSIDE], cells[cells != OUTSIDE]
    places = index.layer.plane.to_metres(np.column_stack([lon, lat]))
    sigmas = np.full(len(cells), 5.0 / SIGMAS_AT_68)
    within = np.zeros(len(cells), dtype=np.bool_)
    samples = np.repeat(lon, SAMPLES), np.repeat(lat, SAMPLES)
    ours: list[float] = []
    limits: list[float] = []
    for _ in range(scale.runs):
        limits.append(1e6 / cpu_rate(len(cells), lambda: index.locate(*samples)))
        ours.append(
            1e6 / cpu_rate(len(cells), lambda: weigh(index, cells, places, sigmas, within, Thresholds()))
        )
    value, limit = median(ours), median(limits)
    return Figure(
        "certainty_us",
        value,
        "µs",
        limit,
        value / limit,
        "64 samples ≤ 5 µs a point",
        f"{len(cells)} points with a radius of 5 m at 68 %, {SAMPLES} samples each (more near a threshold), with the "
        f"candidates where it is unsure; limit: the look-up of {SAMPLES} points alone; median of {scale.runs}",
    )


def assign_one_us(scale: Scale) -> Figure:
    """One point at a time."""
    index = _index()
    _tiles()
    tree = shapely.STRtree(index.layer.geometries)
    lon, lat = _points(5_000)
    pairs = list(zip(lon.tolist(), lat.tolist(), strict=True))
    ours: list[float] = []
    limits: list[float] = []
    clock: list[float] = []
    for x, y in pairs:  # each in a loop of its own, as a process that places one capture after the other
        begun = time.perf_counter_ns()
        index.locate_one(x, y)
        ours.append((time.perf_counter_ns() - begun) / 1000)
    for x, y in pairs:
        begun = time.perf_counter_ns()
        tree.query(shapely.Point(x, y), predicate="intersects")
        limits.append((time.perf_counter_ns() - begun) / 1000)
    for _ in pairs:
        begun = time.perf_counter_ns()
        clock.append((time.perf_counter_ns() - begun) / 1000)
    idle = percentile(clock, 0.5)
    value, limit = percentile(ours, 0.5) - idle, percentile(limits, 0.5) - idle
    return Figure(
        "assign_one_us",
        value,
        "µs",
        limit,
        value / limit,
        "p50 ≤ 1, p99 ≤ 3",
        f"p50 of {len(pairs)} points one by one, {len(index.layer.cells)} cells, p99 "
        f"{percentile(ours, 0.99) - idle:.1f} µs, without the {idle:.2f} µs of the clock; "
        f"limit: Shapely's STRtree; runs as {'quick' if scale.quick else 'default'}",
    )
