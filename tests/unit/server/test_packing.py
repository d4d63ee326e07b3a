"""What comes compressed is unpacked a little at a time, and no further than the limit."""

from __future__ import annotations

import contextlib
import gzip
import random
import tracemalloc
import zlib
from typing import TYPE_CHECKING

import brotli
import pytest
from backports import zstd
from litestar.exceptions.http_exceptions import RequestEntityTooLarge

from server.packing import ENCODINGS, EncodingBroken, EncodingRefused, chosen, encoding_of, unpacked

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

pytestmark = pytest.mark.anyio
PACK: dict[str, Callable[[bytes], bytes]] = {
    "zstd": zstd.compress,
    "br": brotli.compress,
    "gzip": gzip.compress,
}
LIMIT = 4 << 20
each_encoding = pytest.mark.parametrize("encoding", ENCODINGS)


async def in_chunks(body: bytes, size: int) -> AsyncGenerator[bytes, None]:
    for start in range(0, len(body), size):
        yield body[start : start + size]


async def whole(encoding: str, packed: bytes, size: int = 1 << 16, limit: int = LIMIT) -> bytes:
    return b"".join([piece async for piece in unpacked(encoding, in_chunks(packed, size), limit)])


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", None),
        ("gzip, deflate, br, zstd", "zstd"),
        ("gzip, br", "br"),
        ("gzip", "gzip"),
        ("x-gzip", "gzip"),
        ("gzip;q=1.0, zstd;q=0.5", "gzip"),
        ("zstd;q=0, br;q=0.000, gzip;q=0.1", "gzip"),
        ("gzip;q=0", None),
        ("*", "zstd"),
        ("*;q=0.1, zstd;q=0", "br"),
        ("identity, gzip;q=0.5", None),
        ("identity;q=0.1, gzip;q=0.5", "gzip"),
        ("GZIP ; Q=0.8", "gzip"),
        ("gzip;q=2, br;q=x, zstd;q=-1", None),
        ("gzipped, brotli", None),
        (",,;;q", None),
    ],
)
def test_the_best_liked_encoding_is_taken(accept: str, expected: str | None) -> None:
    assert chosen(accept) == expected  # FL3


def test_what_is_no_encoding_of_ours_is_refused() -> None:
    assert encoding_of("") is None
    assert encoding_of("identity") is None
    assert encoding_of(" GZIP ") == "gzip"
    for other in ("deflate", "gzip, gzip", "br, gzip", "compress", "\x00"):
        with pytest.raises(EncodingRefused):
            encoding_of(other)


@each_encoding
@pytest.mark.parametrize("size", [1, 7, 1 << 16])
async def test_a_body_comes_out_as_it_went_in_however_it_is_cut(encoding: str, size: int) -> None:
    body = bytes(random.Random(encoding).choices(b"abcdef", k=20_000)) + b"z" * 150_000
    assert await whole(encoding, PACK[encoding](body), size) == body


@each_encoding
async def test_a_body_that_is_cut_off_damaged_or_goes_on_is_broken(encoding: str) -> None:
    packed = PACK[encoding](random.Random(1).randbytes(5_000))
    harmed = [packed[:-1], packed[: len(packed) // 2], packed + b"more", packed + packed, b"\xff" * 50, b"{}"]
    for form in harmed:
        for size in (11, 1 << 16):
            with pytest.raises(EncodingBroken):
                await whole(encoding, form, size)


@each_encoding
async def test_random_bytes_are_never_more_than_a_refusal(encoding: str) -> None:
    chance = random.Random(f"fuzz {encoding}")
    packed = PACK[encoding](bytes(chance.choices(b"abc", k=3_000)))
    for _ in range(300):
        harmed = bytearray(packed)
        for _ in range(chance.randrange(1, 6)):
            harmed[chance.randrange(len(harmed))] = chance.randrange(256)
        with contextlib.suppress(EncodingBroken, RequestEntityTooLarge):
            await whole(encoding, bytes(harmed), chance.choice([3, 1 << 16]), 1 << 16)


def bomb(encoding: str, size: int) -> bytes:
    """Zeros, packed without ever holding them."""
    zeros = bytes(1 << 20)
    if encoding == "gzip":
        packer = zlib.compressobj(9, zlib.DEFLATED, 31)
        return b"".join(packer.compress(zeros) for _ in range(size >> 20)) + packer.flush()
    if encoding == "zstd":
        other = zstd.ZstdCompressor()
        return b"".join(other.compress(zeros) for _ in range(size >> 20)) + other.flush()
    last = brotli.Compressor(quality=1)
    return b"".join([*(last.process(zeros) for _ in range(size >> 20)), last.finish()])


@each_encoding
async def test_a_bomb_is_stopped_before_it_has_grown(encoding: str) -> None:
    packed = bomb(encoding, 1 << 28)
    assert len(packed) < 2 << 20

    async def swallow() -> None:
        came = 0
        async for piece in unpacked(encoding, in_chunks(packed, len(packed)), LIMIT):
            came += len(piece)
            assert len(piece) <= 1 << 20
            assert came <= LIMIT  # FL4

    tracemalloc.start()
    try:
        with pytest.raises(RequestEntityTooLarge):
            await swallow()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8 << 20


@each_encoding
async def test_the_limit_counts_what_comes_out(encoding: str) -> None:
    body = random.Random(2).randbytes(100_000)
    packed = PACK[encoding](body)
    assert await whole(encoding, packed, limit=100_000) == body
    with pytest.raises(RequestEntityTooLarge):
        await whole(encoding, packed, limit=99_999)


@each_encoding
async def test_a_ratio_that_no_documents_have_is_too_large_but_not_in_a_small_body(encoding: str) -> None:
    assert len(await whole(encoding, PACK[encoding](b"a" * 1_000_000))) == 1_000_000
    with pytest.raises(RequestEntityTooLarge):
        await whole(encoding, PACK[encoding](b"a" * 3_000_000))
