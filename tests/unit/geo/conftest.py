"""Layers for the tests: a chessboard of 100-metre squares, and 1,530 census areas of Manchester."""

import json
from pathlib import Path

import pytest

from geo.assignment import LayerIndex
from geo.cells import Layer
from geo.layer import Fields, read_geojson
from geo.points import Crs

MANCHESTER = Path(__file__).parents[2] / "data" / "manchester_output_areas.geojson"
MANCHESTER_FIELDS = Fields(parents=("parent",))
BOTH_WAYS = ("tiles", "geometry")  # an index answers alike before it has its tiles and after


def index_of(layer: Layer, way: str) -> LayerIndex:
    index = LayerIndex(layer)
    if way == "tiles":
        index.equip()
    return index


@pytest.fixture(scope="session")
def manchester_file() -> bytes:
    return MANCHESTER.read_bytes()


@pytest.fixture(scope="session")
def manchester(manchester_file: bytes) -> Layer:
    reading = read_geojson(manchester_file, Crs.WGS84, MANCHESTER_FIELDS, repair=True)
    assert reading.layer is not None
    return reading.layer


@pytest.fixture(scope="session", params=BOTH_WAYS)
def manchester_index(manchester: Layer, request: pytest.FixtureRequest) -> LayerIndex:
    return index_of(manchester, request.param)


def square(west: float, south: float, east: float, north: float) -> dict[str, object]:
    """A GeoJSON polygon of four corners."""
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {"type": "Polygon", "coordinates": [ring]}


def feature(code: str, geometry: dict[str, object] | None, **more: object) -> dict[str, object]:
    return {
        "type": "Feature",
        "properties": {"code": code, "name": f"格{code[-3:]}", **more},
        "geometry": geometry,
    }


def collection(features: list[dict[str, object]], **more: object) -> bytes:
    return json.dumps({"type": "FeatureCollection", "features": features, **more}).encode()


def chessboard() -> list[dict[str, object]]:
    """Nine squares of about 100 m in three rows; a row is a community of street 410399001."""
    lons = [112.4 + 0.0011 * i for i in range(4)]
    lats = [34.66 + 0.0009 * i for i in range(4)]
    return [
        feature(
            f"410399001{row + 1:03}{column + 1:03}",
            square(lons[column], lats[row], lons[column + 1], lats[row + 1]),
        )
        for row in range(3)
        for column in range(3)
    ]


@pytest.fixture(scope="session")
def board() -> Layer:
    reading = read_geojson(collection(chessboard()), Crs.WGS84)
    assert reading.layer is not None
    return reading.layer


@pytest.fixture(scope="session", params=BOTH_WAYS)
def board_index(board: Layer, request: pytest.FixtureRequest) -> LayerIndex:
    return index_of(board, request.param)
