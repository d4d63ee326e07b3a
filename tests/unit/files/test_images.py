"""Pictures that strangers sent: what is good is written anew, what is not is refused in words, nothing does harm."""

from __future__ import annotations

import io
import resource
import struct
import zlib
from typing import Any

import pytest
from PIL import Image

from server.files import checker, images
from server.files.checker import check_apart
from server.files.verdicts import Refused, Unjudged
from sync.cases.catalogue import TABLES
from tests import files


def reason(data: bytes, kind: str = "photo") -> str:
    """Why the bytes are refused, by the process that is used in earnest."""
    with pytest.raises(Refused) as refused:
        check_apart(kind, data)
    assert refused.value.reason in TABLES["file_refusals"]
    return refused.value.reason


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, body: bytes, *, more: bytes = b"") -> bytes:
    """A PNG that says so of its size, whatever it holds."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + more + chunk(b"IDAT", body) + chunk(b"IEND", b"")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_picture_is_written_anew_in_its_own_format_with_a_small_one_beside_it(kind: str) -> None:
    checked = check_apart("photo", files.picture(kind, (1600, 1200)))
    assert checked.mime == f"image/{kind.lower()}"
    with Image.open(io.BytesIO(checked.content)) as whole, Image.open(io.BytesIO(checked.thumbnail)) as small:
        assert (whole.format, whole.size) == (kind, (1600, 1200))
        assert (small.format, small.size) == ("JPEG", (360, 270))
    assert len(checked.thumbnail) <= images.THUMBNAIL_BYTES_MAX


def test_a_small_picture_of_noise_is_small_all_the_same() -> None:
    out = io.BytesIO()
    Image.effect_noise((2000, 2000), 200).convert("RGB").save(out, "JPEG", quality=95)
    assert len(images.check(out.getvalue()).thumbnail) <= images.THUMBNAIL_BYTES_MAX


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_nothing_but_the_picture_is_left(kind: str) -> None:
    canary = "金丝雀4d2e"
    exif = Image.Exif()
    exif[0x010F] = canary
    exif.get_ifd(0x8825)[2] = (34.0, 39.0, 36.0)
    told: dict[str, Any] = {"exif": exif, "icc_profile": canary.encode() * 40, "xmp": canary.encode()}
    if kind == "PNG":
        from PIL.PngImagePlugin import PngInfo

        text = PngInfo()
        text.add_itxt("Comment", canary)
        told = {"exif": exif, "pnginfo": text}
    data = files.picture(kind, **told)
    assert canary.encode() in data
    checked = images.check(data)
    for body in (checked.content, checked.thumbnail):
        assert canary.encode() not in body
        with Image.open(io.BytesIO(body)) as image:
            assert not image.getexif()
            assert set(image.info) <= {
                "jfif",
                "jfif_version",
                "jfif_unit",
                "jfif_density",
                "loop",
                "background",
            }


def test_a_picture_taken_sideways_is_kept_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    with Image.open(io.BytesIO(images.check(files.picture(size=(64, 48), exif=exif)).content)) as image:
        assert image.size == (48, 64)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
        b"<?xml version='1.0'?><svg/>",
        b"GIF89a" + bytes(40),
        b"BM" + bytes(60),
        b"II*\0" + bytes(60),
        b"%PDF-1.4\n%%EOF",
        b"PK\x03\x04" + bytes(60),
        b"GIF89a/*" + files.picture(),
        b"<html>" + files.picture(),
        b"RIFF\0\0\0\0WAVE",
    ],
)
def test_what_is_no_picture_that_is_taken_is_refused_by_its_first_bytes(data: bytes) -> None:
    assert reason(data) == "format"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("part", [0.2, 0.5, 0.95])
def test_a_picture_that_was_cut_off_is_told_to_be_damaged(kind: str, part: float) -> None:
    data = files.picture(kind, (300, 200))
    assert reason(data[: int(len(data) * part)]) == "damaged"


def test_a_picture_with_a_broken_middle_harms_nobody() -> None:
    data = bytearray(files.picture("PNG", (300, 200)))
    data[len(data) // 2] ^= 0xFF
    assert reason(bytes(data)) == "damaged"


@pytest.mark.parametrize(
    ("width", "height", "why"),
    [
        (30_000, 30_000, "too_many_pixels"),
        (2**31 - 1, 2**31 - 1, "too_many_pixels"),
        (6000, 5001, "too_many_pixels"),
        (1, 65_535, "shape"),
        (65_535, 1, "shape"),
        (0, 5, "damaged"),
    ],
)
def test_the_size_is_looked_at_before_a_pixel_is_decoded(
    width: int, height: int, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def decoded(*_: object) -> None:
        raise AssertionError("it was decoded")

    data = png(width, height, zlib.compress(bytes(100)))
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", decoded)
    with pytest.raises(Refused) as refused:
        images.check(data)
    assert refused.value.reason == why


def test_a_picture_of_as_many_pixels_as_may_be_is_taken() -> None:
    out = io.BytesIO()
    Image.new("RGB", (6000, 5000), "navy").save(out, "JPEG")
    assert check_apart("photo", out.getvalue()).mime == "image/jpeg"


def test_a_bomb_in_a_chunk_beside_the_picture_does_not_go_off() -> None:
    bomb = b"Comment\0\0" + zlib.compress(bytes(200 << 20), 9)
    data = png(4, 4, zlib.compress(bytes(52)), more=chunk(b"zTXt", bomb))
    assert len(data) < 1 << 20
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert reason(data) == "damaged"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # KiB


def test_more_lines_than_the_picture_has_do_not_count() -> None:
    data = png(4, 4, zlib.compress(bytes(100 << 20), 9))
    checked = check_apart("photo", data)
    assert len(checked.content) < 1000


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_an_animation_is_refused(kind: str) -> None:
    out = io.BytesIO()
    frames = [Image.new("RGB", (8, 8), shade) for shade in ("red", "blue")]
    frames[0].save(out, kind, save_all=True, append_images=frames[1:])
    assert reason(out.getvalue()) == "animated"


@pytest.mark.parametrize(
    "hidden",
    [
        b"PK\x03\x04 an archive PK\x05\x06" + bytes(18),
        b"<html><script>alert(1)</script>",
        b"<SCRIPT src=x>",
        b"%PDF-1.4 a paper",
        b"<?php system($_GET[0]);",
        b"<svg onload=alert(1)>",
    ],
)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_picture_with_another_file_behind_it_is_refused(kind: str, hidden: bytes) -> None:
    with pytest.raises(Refused) as refused:
        images.check(files.picture(kind) + hidden)
    assert refused.value.reason == "mixed"


def test_the_film_that_a_phone_hangs_behind_its_photo_is_cut_off() -> None:
    film = b"\0\0\0\x18ftypmp42" + bytes(500)
    checked = images.check(files.picture() + film)
    assert b"ftyp" not in checked.content


def test_a_picture_before_which_a_paper_begins_is_refused() -> None:
    data = files.picture(comment=b"%PDF-1.4 1 0 obj")
    with pytest.raises(Refused) as refused:
        images.check(data)
    assert refused.value.reason == "mixed"


# --- the process apart -----------------------------------------------------------------------------------------------


def planted(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """Something else runs where the bytes are read, under the same limits."""
    start = "import sys; sys.path.insert(0, sys.argv.pop(1)); import server.files.checker as c; "
    monkeypatch.setattr(
        checker, "_START", f"{start}\ndef check(kind, data):\n    {code}\nc.check = check\nc.main()"
    )


def test_a_picture_that_takes_more_memory_than_there_is_for_it_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    planted(monkeypatch, "return bytearray(2 << 30)")
    assert reason(files.picture()) == "not_checked"


@pytest.mark.parametrize(
    "code",
    [
        "import os; os.kill(os.getpid(), 9)",
        "import os; os.kill(os.getpid(), 15)",
        "import ctypes; ctypes.string_at(0)",
        "open('/dev/shm/left', 'w').write('x' * 10000); raise SystemExit(0)",
        "raise SystemExit(0)",
        "import a_package_that_is_being_replaced",
        "import resource; resource.setrlimit(resource.RLIMIT_CPU, (1, 1))\n    while True: pass",
    ],
)
def test_a_process_that_ends_without_a_verdict_says_nothing_of_the_picture(
    monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    """FI6: a restart of the service ends it too, and then it is no fault of the picture's."""
    planted(monkeypatch, code)
    with pytest.raises(Unjudged):
        check_apart("photo", files.picture())


def test_what_is_typed_at_the_server_s_terminal_does_not_end_a_check(monkeypatch: pytest.MonkeyPatch) -> None:
    planted(
        monkeypatch, "import os; raise c.Refused('shape' if os.getsid(0) == os.getpid() else 'not_checked')"
    )
    assert reason(files.picture()) == "shape"


def test_the_process_knows_no_secret_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary")
    planted(monkeypatch, "import os; raise c.Refused(os.environ.get('AWS_SECRET_ACCESS_KEY', 'shape'))")
    assert reason(files.picture()) == "shape"


# --- papers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["scan", "signature", "roster", "document"])
def test_a_paper_is_a_pdf_or_a_picture(kind: str) -> None:
    assert check_apart(kind, b"%PDF-1.7\n...\n%%EOF\n").mime == "application/pdf"
    assert check_apart(kind, files.picture()).mime == "image/jpeg"
    assert reason(b"%PDF-1.7\n" + bytes(5000), kind) == "damaged"
    assert reason(b"PK\x03\x04" + bytes(100), kind) == "format"
    assert reason(b"%PDF-1.7\n%%EOF", "photo") == "format"
