"""The tiles of a layer are built once, kept in a file, and shared; whatever happens to the file, answers stay right."""

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from geo import assignment, tiling
from geo.assignment import LayerIndex
from geo.layer import to_geojson
from server import tile_file
from server.demo.district import draw
from server.indexes import Indexes

LAYER = draw(7)
CONTENT = to_geojson(LAYER)
WEST, SOUTH, EAST, NORTH = LAYER.bbox
PLACES = np.random.default_rng(20_261).uniform((WEST, SOUTH), (EAST, NORTH), (2_000, 2))


def answers(index: LayerIndex) -> list[int]:
    return list(index.locate(PLACES[:, 0], PLACES[:, 1]).tolist())


WANTED = answers(LayerIndex(LAYER))


def built(folder: Path) -> Path:
    """The file of the tiles, once they are built."""
    indexes = Indexes(folder)
    indexes.of(CONTENT)
    indexes.close()  # which waits
    (file,) = folder.iterdir()
    return file


@pytest.fixture
def never_build(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> None:
        raise AssertionError("the tiles were there already")

    monkeypatch.setattr(assignment, "build", refuse)


def test_an_index_answers_at_once_and_alike_when_its_tiles_are_there(tmp_path: Path) -> None:
    indexes = Indexes(tmp_path)
    index = indexes.of(CONTENT)
    assert answers(index) == WANTED
    indexes.close()
    assert answers(index) == WANTED
    assert [index.locate_one(x, y) for x, y in PLACES.tolist()] == WANTED


def test_whoever_asks_again_gets_the_same_index(tmp_path: Path) -> None:
    indexes = Indexes(tmp_path)
    assert indexes.of(CONTENT) is indexes.of(CONTENT)
    assert indexes.of(to_geojson(draw(8))) is not indexes.of(CONTENT)
    indexes.close()


def test_the_next_start_maps_the_file(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    built(tmp_path)
    request.getfixturevalue("never_build")
    indexes = Indexes(tmp_path)
    index = indexes.of(CONTENT)
    indexes.close()
    assert answers(index) == WANTED
    assert index._tiles is not None
    assert not index._tiles.tiles.base.flags.writeable, "it is mapped, not copied"


def cut_short(content: bytes) -> bytes:
    return content[: len(content) // 2]


def one_bit_wrong(content: bytes) -> bytes:
    place = len(content) * 2 // 3
    return content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :]


def longer(content: bytes) -> bytes:
    return content + bytes(64)


def of_another_version(content: bytes) -> bytes:
    return content.replace(b'"version":1', b'"version":0', 1)


def of_other_lengths(content: bytes) -> bytes:
    return content.replace(b'"lengths":[', b'"lengths":[1', 1)[:1024] + content[1024:]


def nothing(_: bytes) -> bytes:
    return b""


def not_ours(_: bytes) -> bytes:
    return b"<html>" * 400


@pytest.mark.parametrize(
    "damage", [cut_short, one_bit_wrong, longer, of_another_version, of_other_lengths, nothing, not_ours]
)
def test_a_file_that_is_not_whole_counts_as_none(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    file = built(tmp_path)
    sound = file.read_bytes()
    file.write_bytes(damage(sound))
    assert file.read_bytes() != sound
    indexes = Indexes(tmp_path)
    index = indexes.of(CONTENT)
    indexes.close()
    assert answers(index) == WANTED
    assert file.read_bytes() == sound, "it was built again"


def test_tiles_of_another_layer_are_not_taken(tmp_path: Path) -> None:
    file = tmp_path / "of.tiles"
    tile_file.save(tiling.build(LAYER.geometries), file, "one")
    assert tile_file.load(file, "one") is not None
    assert tile_file.load(file, "other") is None
    assert tile_file.load(tmp_path / "none.tiles", "one") is None


def test_tiles_that_cannot_be_kept_serve_all_the_same(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "a file where a folder should be"
    folder.write_text("")
    indexes = Indexes(folder)
    with caplog.at_level(logging.WARNING, logger="wangge.indexes"):
        index = indexes.of(CONTENT)
        indexes.close()
    assert answers(index) == WANTED
    assert index._tiles is not None
    assert "could not be kept" in caplog.text


def test_tiles_that_cannot_be_built_are_told_of_and_geometry_goes_on_answering(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(assignment, "build", fail)
    indexes = Indexes(tmp_path)
    with caplog.at_level(logging.ERROR, logger="wangge.indexes"):
        index = indexes.of(CONTENT)
        indexes.close()
    assert answers(index) == WANTED
    assert "could not be built" in caplog.text


def test_old_files_are_tidied_away(tmp_path: Path) -> None:
    for number in range(20):
        (tmp_path / f"{number:032x}.tiles").write_bytes(b"old")
    built_file = {file.name for file in tmp_path.iterdir()}
    indexes = Indexes(tmp_path)
    indexes.of(CONTENT)
    indexes.close()
    left = {file.name for file in tmp_path.iterdir()}
    assert len(left) == 16
    assert left - built_file, "the new one is kept"
