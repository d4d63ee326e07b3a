"""Tiles in a file, mapped into memory: processes that serve one district share one copy of them.

The file is a copy of what can be built again at any time; one that is damaged, of another layer or of another
version of this module counts as none. Layout: a line of JSON, padded, then the arrays, each at a multiple of
`_ALIGNED` bytes, in the byte order of the machine that wrote them.
"""

import contextlib
import mmap
import os
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from geo.tiling import Grid, Tiles

_VERSION = 1
_HEADER_BYTES = 1024
_ALIGNED = 64
_ARRAYS = (("base", "i4", 1), ("blocks", "i4", 1), ("ends", "f8", 4), ("sides", "i4", 2))


class _Header(msgspec.Struct, forbid_unknown_fields=True):
    version: int
    order: str  # of bytes
    layer: str  # the digest of the layer
    grid: Grid
    lengths: list[int]  # of the arrays, in rows
    checksum: int  # CRC-32 of everything behind the header


def save(tiles: Tiles, path: Path, layer: str) -> None:
    """Write the tiles of the layer with this digest; whoever reads meanwhile reads the former file or none."""
    arrays = [np.ascontiguousarray(getattr(tiles, name)) for name, _, _ in _ARRAYS]
    body = b"".join(_padded(array.tobytes()) for array in arrays)
    lengths = [len(array) for array in arrays]
    header = _Header(_VERSION, sys.byteorder, layer, tiles.grid, lengths, zlib.crc32(body))
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        with fresh.open("wb") as file:
            file.write(msgspec.json.encode(header).ljust(_HEADER_BYTES))
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except BaseException:  # an interrupt too must leave no half of a file behind
        with contextlib.suppress(OSError):
            fresh.unlink()
        raise


def load(path: Path, layer: str) -> Tiles | None:
    """The tiles of the layer with this digest, read-only and mapped; None if the file is not just that."""
    try:
        with path.open("rb") as file:
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        header = msgspec.json.decode(content[:_HEADER_BYTES], type=_Header)
    except (OSError, ValueError):  # an empty file cannot be mapped; what is no header cannot be decoded
        return None
    if (header.version, header.order, header.layer) != (_VERSION, sys.byteorder, layer):
        return None
    places = list(_places(header.lengths))
    end = places[-1][2] if places else _HEADER_BYTES
    whole = memoryview(content)
    if len(content) != end or zlib.crc32(whole[_HEADER_BYTES:]) != header.checksum:
        return None
    arrays: dict[str, Any] = {}
    for (name, kind, wide), (start, count, _) in zip(_ARRAYS, places, strict=True):
        array = np.frombuffer(content, dtype=kind, count=count * wide, offset=start)
        arrays[name] = array if wide == 1 else array.reshape(-1, wide)
    return Tiles(header.grid, **arrays)


def _padded(content: bytes) -> bytes:
    return content + bytes(-len(content) % _ALIGNED)


def _places(lengths: list[int]) -> Iterator[tuple[int, int, int]]:
    """Start, rows and end of each array."""
    start = _HEADER_BYTES
    for (_, kind, wide), count in zip(_ARRAYS, lengths, strict=True):
        size = count * wide * np.dtype(kind).itemsize
        end = start + size + (-size % _ALIGNED)
        yield start, count, end
        start = end
