"""A new edition of the cells: how fast open cases follow it, with all effects."""

import time
from pathlib import Path

import numpy as np
import shapely
from msgspec import structs

from bench.documents import Maker
from bench.figures import Figure, Scale
from bench.raw import RawSqlite, rows_of
from bench.served import DISTRICT, prepare, push_cases
from geo.cells import Layer
from server.demo.district import draw
from server.reassigning import go_on_blocking
from server.runtime import opened
from server.settings import Settings
from sync.generations import activate_generation, add_generation

_CASES = 100_000
_SHARE = 0.3  # of a cell's width that every border moves


def activate_cases_per_s(folder: Path, scale: Scale) -> Figure:
    """Open cases a second that are looked at, and moved where the new edition has them in another cell."""
    count = _CASES // 10 if scale.quick else _CASES
    settings = Settings(data=str(folder / "editions"))
    prepare(settings)
    layer = draw(7)
    chance = np.random.default_rng(3)
    west, south, east, north = layer.bbox
    maker = Maker(
        3, [tuple(place) for place in chance.uniform((west, south), (east, north), (4_000, 2)).tolist()]
    )
    raw = RawSqlite(folder / "editions" / "raw.db")
    begun = time.perf_counter()
    raw.insert(rows_of(maker.batches(count, 50), len(layer.cells), 0))
    limit = count / (time.perf_counter() - begun)
    raw.close()
    with opened(settings) as runtime:
        district = runtime.districts[DISTRICT]
        push_cases(district, maker.batches(count, 100))
        number = district.writer.submit_blocking(add_generation(_moved(layer)))
        begun = time.perf_counter()
        district.writer.submit_blocking(activate_generation(number))
        go_on_blocking(district, pieces=1_000_000, actor="bench")
        spent = time.perf_counter() - begun
        with district.store.read() as reader:
            (row,) = reader.find("reassignment", {"state": "done"}, order=["-pk"], limit=1)
    value = count / spent
    return Figure(
        "activate_cases_per_s",
        value,
        "cases/s",
        limit,
        value / limit,
        "100,000 open cases within 60 s: value ≥ 1667",
        f"{count} open cases, {row['moved']} move, {spent:.1f} s from the act to the last, in pieces of 50 ms; limit: "
        "as many documents inserted raw, 50 a transaction",
    )


def _moved(layer: Layer) -> Layer:
    """The same cells with every border a good way to the east."""
    wide = float(np.median(np.diff(shapely.bounds(layer.geometries)[:, [0, 2]], axis=1)))

    def east(points: np.ndarray) -> np.ndarray:
        return np.asarray(points + np.array([wide * _SHARE, 0.0]))

    cells = [
        structs.replace(cell, geometry=ground, bbox=tuple(shapely.bounds(ground).tolist()))
        for cell, ground in zip(layer.cells, shapely.transform(layer.geometries, east), strict=True)
    ]
    return Layer.of(cells, list(layer.areas))
