"""Bytes that tests send: pictures and recordings made here, small, and each of the kind that its name says."""

from __future__ import annotations

import io
import struct
from typing import Any

from PIL import Image


def picture(kind: str = "JPEG", size: tuple[int, int] = (64, 48), shade: int = 90, **options: Any) -> bytes:
    """A picture whose pixels depend on `shade`."""
    out = io.BytesIO()
    image = Image.linear_gradient("L").resize(size).point([(value + shade) % 256 for value in range(256)])
    image.convert("RGB").save(out, kind, **options)
    return out.getvalue()


def with_exif(text: str) -> bytes:
    """A JPEG that tells where and with what it was taken."""
    exif = Image.Exif()
    exif[0x010F], exif[0x010E] = text, text
    exif.get_ifd(0x8825)[2] = (34.0, 39.0, 36.0)
    return picture(exif=exif, comment=text.encode())


def _page(serial: int, number: int, granule: int, body: bytes) -> bytes:
    laced = [255] * (len(body) // 255) + [len(body) % 255]
    head = struct.pack("<4sBBqIIIB", b"OggS", 0, 0, granule, serial, number, 0, len(laced))
    return head + bytes(laced) + body


def ogg(seconds: float, *, serial: int = 7, codec: bytes = b"OpusHead", tags: bytes = b"") -> bytes:
    """Opus in Ogg: the head, the tags, and a page that ends at `seconds`."""
    skip = 312
    head = codec + struct.pack("<BBHIhB", 1, 1, skip, 48000, 0, 0)
    pages = [head, b"OpusTags" + bytes(8) + tags, bytes(200)]
    ends = [0, 0, int(seconds * 48000) + skip]
    return b"".join(
        _page(serial, number, end, body) for number, (end, body) in enumerate(zip(ends, pages, strict=True))
    )


def _element(name: int, body: bytes, *, open_: bool = False) -> bytes:
    size = b"\x01" + b"\xff" * 7 if open_ else _size(len(body))
    return name.to_bytes((name.bit_length() + 7) // 8, "big") + size + body


def _size(length: int) -> bytes:
    return (1 << 28 | length).to_bytes(4, "big")


def webm(seconds: float, *, codec: bytes = b"A_OPUS", kind: int = 2) -> bytes:
    """Opus in WebM as a browser's recorder writes it: segment and cluster of unknown length, no duration."""
    head = _element(0x1A45DFA3, _element(0x4282, b"webm"))
    track = _element(0xAE, _element(0xD7, b"\x01") + _element(0x83, bytes([kind])) + _element(0x86, codec))
    info = _element(0x1549A966, _element(0x2AD7B1, (1_000_000).to_bytes(3, "big")))
    last = int(seconds * 1000)
    blocks = _element(0xE7, last.to_bytes(4, "big")) + _element(0xA3, b"\x81\x00\x00\x80" + bytes(50))
    cluster = _element(0x1F43B675, blocks, open_=True)
    return head + _element(0x18538067, info + _element(0x1654AE6B, track) + cluster, open_=True)


def _box(name: bytes, body: bytes) -> bytes:
    return (8 + len(body)).to_bytes(4, "big") + name + body


def mp4(seconds: float, *, handler: bytes = b"soun", coded: bytes = b"mp4a") -> bytes:
    """AAC in MP4."""
    times = bytes(12) + struct.pack(">II", 1000, int(seconds * 1000)) + bytes(4)
    described = _box(b"stsd", bytes(4) + struct.pack(">I", 1) + _box(coded, bytes(28)))
    inside = _box(b"mdhd", times) + _box(b"hdlr", bytes(8) + handler + bytes(12))
    inside += _box(b"minf", _box(b"stbl", described))
    moov = _box(b"moov", _box(b"mvhd", times) + _box(b"trak", _box(b"mdia", inside)))
    return _box(b"ftyp", b"M4A " + bytes(8)) + moov + _box(b"mdat", bytes(300))


def adts(seconds: float, *, rate_index: int = 8) -> bytes:
    """Bare AAC frames at 16 kHz."""
    size = 20
    frame = bytes([0xFF, 0xF1, 0x40 | rate_index << 2, 0x40, size >> 3, (size & 7) << 5 | 0x1F, 0xFC])
    return (frame + bytes(size - 7)) * max(1, round(seconds * 16000 / 1024))
