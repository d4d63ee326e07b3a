"""Cells as vector tiles: right in place, one border between two cells, and small enough for a phone to keep."""

from typing import Any

import mapbox_vector_tile
import numpy as np
import pytest
import shapely
from shapely.geometry import shape

from geo.cells import Layer
from geo.neighbours import neighbours
from geo.vector_tiles import EXTENT, LAYER_NAME, ZOOM_MAX, VectorTiles, exists, half_a_pixel_m, tile_at

OFFLINE_MAX = 200_000  # bytes of a worker's cells with their neighbours, before compression
ZOOMS = range(12, ZOOM_MAX + 1)  # from a part of the district to a house


def opened(tile: bytes) -> dict[str, Any]:
    """Each cell's ground in units of the tile, south counted down."""
    found = mapbox_vector_tile.decode(tile, default_options={"y_coord_down": True})
    features = found[LAYER_NAME]["features"]
    return {one["properties"]["code"]: shape(one["geometry"]) for one in features}


@pytest.fixture(scope="module")
def tiles(manchester: Layer) -> VectorTiles:
    return VectorTiles(manchester)


def test_the_tiles_of_the_web_are_numbered_from_the_north_west() -> None:
    assert tile_at(0, 112.4, 34.66) == (0, 0)
    assert tile_at(1, -0.1, 0.1) == (0, 0)
    assert tile_at(1, 0.1, -0.1) == (1, 1)
    assert tile_at(10, 112.4, 34.66) == (831, 406)  # as the map servers count it
    assert tile_at(4, 180.0, -90.0) == (15, 15)
    assert tile_at(4, -180.0, 90.0) == (0, 0)


def test_there_are_tiles_down_to_the_deepest_zoom() -> None:
    assert exists(0, 0, 0)
    assert exists(ZOOM_MAX, 2**ZOOM_MAX - 1, 0)
    for wrong in ((-1, 0, 0), (ZOOM_MAX + 1, 0, 0), (3, 8, 0), (3, 0, 8), (3, -1, 0), (3, 0, -1)):
        assert not exists(*wrong)


def test_half_a_pixel_is_what_a_map_shows() -> None:
    assert half_a_pixel_m(0, 0.0) == pytest.approx(156543.03392804097 / 2)
    assert half_a_pixel_m(16, 60.0) == pytest.approx(156543.03392804097 / 2 / 2**16 / 2)


def test_a_cell_lies_in_its_tile_where_it_lies_on_the_earth(manchester: Layer, tiles: VectorTiles) -> None:
    zoom = ZOOM_MAX
    for cell in manchester.cells[::150]:
        place = shapely.point_on_surface(cell.geometry)
        x, y = tile_at(zoom, place.x, place.y)
        world = 2**zoom * EXTENT
        lat = np.radians(place.y)
        across = (place.x + 180) / 360 * world - x * EXTENT
        down = (1 - np.log(np.tan(lat) + 1 / np.cos(lat)) / np.pi) / 2 * world - y * EXTENT
        ground = opened(tiles.tile(zoom, x, y))
        holding = [code for code, piece in ground.items() if piece.contains(shapely.Point(across, down))]
        assert holding == [cell.code]


@pytest.mark.parametrize("zoom", [12, 13, 15])
def test_two_cells_have_one_border_within_a_tile_and_across_two(
    manchester: Layer, tiles: VectorTiles, zoom: int
) -> None:
    """No gap and no overlap: the parts of a tile sum up to the whole that they cover."""
    west, south, east, north = manchester.bbox
    x, y = tile_at(zoom, (west + east) / 2, (south + north) / 2)
    inside = shapely.box(0, 0, EXTENT, EXTENT)
    edges = []
    for column in (x, x + 1):
        ground = opened(tiles.tile(zoom, column, y))
        pieces = np.array(
            [shapely.intersection(shapely.make_valid(piece), inside) for piece in ground.values()]
        )
        assert shapely.area(pieces).sum() == pytest.approx(shapely.union_all(pieces).area, rel=1e-4)
        # Corners on the line between the two tiles, as seen from each.
        side = EXTENT if column == x else 0
        line = shapely.LineString([(side, 0), (side, EXTENT)])
        cuts = {code: shapely.intersection(piece, line).length for code, piece in ground.items()}
        edges.append({code: length for code, length in cuts.items() if length > 20})
    left, right = edges
    assert left.keys() == right.keys()
    assert len(left) > 1
    assert all(abs(left[code] - right[code]) <= 4 for code in left)


def test_a_tile_far_away_is_empty(tiles: VectorTiles) -> None:
    assert opened(tiles.tile(ZOOM_MAX, 0, 0)) == {}


def test_the_whole_world_is_a_tile_too(tiles: VectorTiles) -> None:
    assert tiles.tile(0, 0, 0)


def test_a_far_zoom_has_fewer_corners_than_a_near_one(manchester: Layer, tiles: VectorTiles) -> None:
    def corners(zoom: int) -> int:
        return int(shapely.get_num_coordinates(tiles._ground(zoom)[0]).sum())

    assert corners(12) < corners(14) < corners(16) < shapely.get_num_coordinates(manchester.geometries).sum()


def test_a_phone_keeps_twenty_cells_with_their_neighbours_in_little(
    manchester: Layer, tiles: VectorTiles
) -> None:
    beside = neighbours(manchester)
    for start in range(0, len(manchester.cells), 150):
        mine = [manchester.cells[start].code]
        for code in mine:  # grows as it is walked
            mine += [near.code for near in beside[code] if near.code not in mine][: 20 - len(mine)]
        assert len(mine) == 20
        kept = {near.code for code in mine for near in beside[code]} | set(mine)
        ground = shapely.union_all([cell.geometry for cell in manchester.cells if cell.code in kept])
        size = sum(len(tiles.tile(*place)) for zoom in ZOOMS for place in touched(ground, zoom))
        assert size <= OFFLINE_MAX, f"{start}: {size} bytes"


def touched(ground: Any, zoom: int) -> list[tuple[int, int, int]]:
    """The tiles of a zoom that some ground in degrees touches."""
    west, south, east, north = ground.bounds
    (left, top), (right, bottom) = tile_at(zoom, west, north), tile_at(zoom, east, south)

    def box(x: int, y: int) -> Any:
        lon = [column / 2**zoom * 360 - 180 for column in (x, x + 1)]
        lat = [np.degrees(np.arctan(np.sinh(np.pi * (1 - 2 * row / 2**zoom)))) for row in (y, y + 1)]
        return shapely.box(lon[0], lat[1], lon[1], lat[0])

    places = [(x, y) for x in range(left, right + 1) for y in range(top, bottom + 1)]
    return [(zoom, x, y) for x, y in places if ground.intersects(box(x, y))]
