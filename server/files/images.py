"""Pictures: looked at before they are decoded, decoded in a process of its own, and written anew.

What is kept holds the picture and nothing else: no place where it was taken, no name of a phone, no second file behind
its end. Only ``checker`` calls this, in a process whose memory and time are limited.
"""

import io
from typing import Final

from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

from server.files.verdicts import FORMATS, Checked, Refused

PIXELS_MAX: Final = 30_000_000
SIDE_MAX, SIDES_RATIO_MAX = 20_000, 100
THUMBNAIL_BYTES_MAX: Final = 40 * 1024
THUMBNAIL_SIDE: Final = 360
_QUALITY: Final = 87
# What another reader would find behind or before a picture: an archive, a page, a document.
_HIDDEN: Final = (
    b"PK\x03\x04",
    b"PK\x05\x06",
    b"%PDF-",
    b"<html",
    b"<script",
    b"<svg",
    b"<?php",
    b"Rar!",
    b"7z\xbc\xaf",
)


def is_picture(data: bytes) -> bool:
    """Whether the first bytes are those of a picture that is taken."""
    return data.startswith((b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")) or (
        data[:4] == b"RIFF" and data[8:12] == b"WEBP"
    )


def check(data: bytes) -> Checked:
    """The picture written anew, with a small one beside it; raises ``Refused``."""
    if not is_picture(data):
        raise Refused("format")
    end = _end_of(data)
    behind = data[end:].lower()
    if any(mark.lower() in behind for mark in _HIDDEN) or b"%pdf-" in data[:1024].lower():
        raise Refused("mixed")
    Image.MAX_IMAGE_PIXELS = None  # the cap is below, before anything is decoded
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    try:
        with Image.open(io.BytesIO(data[:end]), formats=list(FORMATS)) as image:
            _look(image)
            mime, whole = FORMATS[str(image.format)], _clean(image)
    except Refused:
        raise
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, EOFError) as error:
        raise Refused("damaged") from error
    return Checked(mime, _written(whole, mime), _thumbnail(whole))


def _look(image: Image.Image) -> None:
    """What the head of the file says, before a pixel is decoded."""
    width, height = image.size
    if width * height > PIXELS_MAX:
        raise Refused("too_many_pixels")
    if max(width, height) > SIDE_MAX or max(width, height) > SIDES_RATIO_MAX * min(width, height):
        raise Refused("shape")
    if getattr(image, "n_frames", 1) > 1:
        raise Refused("animated")


def _clean(image: Image.Image) -> Image.Image:
    """The pixels alone, upright; as few copies of them at a time as can be."""
    ImageOps.exif_transpose(image, in_place=True)
    alpha = image.mode in {"RGBA", "LA", "PA"} or "transparency" in image.info
    grey = image.mode in {"1", "L", "I", "I;16", "F"}
    pixels = image.convert("RGBA" if alpha else "L" if grey else "RGB")
    pixels.info = {}  # nothing of what was read beside the pixels is written with them
    return pixels


def _written(image: Image.Image, mime: str) -> bytes:
    out = io.BytesIO()
    if mime == "image/jpeg":
        image.save(out, "JPEG", quality=_QUALITY)
    elif mime == "image/webp":
        image.save(out, "WEBP", quality=_QUALITY, method=2)
    else:
        image.save(out, "PNG", compress_level=4)
    return out.getvalue()


def _thumbnail(image: Image.Image) -> bytes:
    scale = min(1.0, THUMBNAIL_SIDE / max(image.size))
    width, height = (max(1, round(side * scale)) for side in image.size)
    small = image.resize((width, height), reducing_gap=2.0)
    if small.mode == "RGBA":
        ground = Image.new("RGB", small.size, "white")
        ground.paste(small, mask=small.getchannel("A"))
        small = ground
    told = b""
    for quality in (75, 55, 35, 15):
        out = io.BytesIO()
        small.save(out, "JPEG", quality=quality)
        told = out.getvalue()
        if len(told) <= THUMBNAIL_BYTES_MAX:
            break
    return told


# --- where a picture ends --------------------------------------------------------------------------------------------


def _end_of(data: bytes) -> int:
    """The first byte behind the picture; raises ``Refused`` for one that never ends."""
    if data[:4] == b"RIFF":
        end = 8 + int.from_bytes(data[4:8], "little")
        end += end & 1
    elif data[:1] == b"\x89":
        end = _png_end(data)
    else:
        end = _jpeg_end(data)
    if end > len(data):
        raise Refused("damaged")
    return end


def _png_end(data: bytes) -> int:
    at = 8
    while at + 12 <= len(data):
        size, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        at += 12 + size
        if kind == b"IEND":
            return at
    raise Refused("damaged")


def _jpeg_end(data: bytes) -> int:
    at = 2
    while True:
        at = data.find(b"\xff", at)
        if at < 0 or at + 2 > len(data):
            raise Refused("damaged")
        kind = data[at + 1]
        if kind == 0xD9:
            return at + 2
        if kind in {0x00, 0x01, 0xFF} or 0xD0 <= kind <= 0xD8:  # no segment: data, fill, restart
            at += 1 if kind == 0xFF else 2
            continue
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
