"""Voice notes are told by what is in them, measured, and bounded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings, strategies as st

from server.files import sounds
from server.files.checker import check_apart
from server.files.verdicts import Refused
from tests import files

if TYPE_CHECKING:
    from collections.abc import Callable

MAKERS = {"audio/ogg": files.ogg, "audio/webm": files.webm, "audio/mp4": files.mp4, "audio/aac": files.adts}
kinds = pytest.mark.parametrize(("mime", "make"), MAKERS.items(), ids=MAKERS)


def reason(data: bytes) -> str:
    with pytest.raises(Refused) as refused:
        sounds.check(data)
    return refused.value.reason


@kinds
def test_a_recording_is_kept_as_it_came_and_measured(mime: str, make: Callable[[float], bytes]) -> None:
    data = make(75)
    checked = check_apart("voice", data)
    assert (checked.mime, checked.seconds, checked.content, checked.thumbnail) == (mime, 75, data, b"")


@kinds
def test_half_an_hour_is_the_most(mime: str, make: Callable[[float], bytes]) -> None:
    assert sounds.check(make(1799)).seconds == 1799
    assert reason(make(1805)) == "too_long"


@kinds
def test_a_recording_that_was_cut_off_is_told_to_be_damaged(
    mime: str, make: Callable[[float], bytes]
) -> None:
    assert reason(make(3)[:-5]) == "damaged"


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "format"),
        (b"ID3\x04" + bytes(100), "format"),
        (b"RIFF\0\0\0\0WAVEfmt ", "format"),
        (files.picture(), "format"),
        (files.ogg(3, codec=b"\x01vorbis\0"), "format"),
        (files.ogg(3) + files.ogg(3, serial=8), "mixed"),
        (files.webm(3, codec=b"A_VORBIS"), "format"),
        (files.webm(3, codec=b"V_VP8", kind=1), "format"),
        (files.mp4(3, handler=b"vide", coded=b"avc1"), "format"),
        (files.mp4(3, coded=b"alac"), "format"),
        (files.mp4(0), "damaged"),
        (b"\x1a\x45\xdf\xa3" + b"\xff" * 40, "damaged"),
        (b"\0\0\0\x08ftyp" + b"\0\0\0\x01moov" + b"\xff" * 8, "damaged"),
        (b"\xff\xf1" + b"\0" * 50, "damaged"),
    ],
)
def test_what_is_no_recording_that_is_taken_is_refused(data: bytes, why: str) -> None:
    assert reason(data) == why


VERDICTS = {"good", "format", "damaged", "mixed", "too_long"}


def verdict(data: bytes) -> str:
    try:
        sounds.check(data)
    except Refused as refused:
        return refused.reason
    return "good"


@kinds
def test_broken_bytes_end_in_a_verdict(mime: str, make: Callable[[float], bytes]) -> None:
    good = make(2)

    @settings(max_examples=150, deadline=None)
    @given(st.lists(st.tuples(st.integers(0, len(good) - 1), st.integers(0, 255)), min_size=1, max_size=6))
    def broken(changes: list[tuple[int, int]]) -> None:
        data = bytearray(good)
        for at, value in changes:
            data[at] = value
        assert verdict(bytes(data)) in VERDICTS

    broken()


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from([b"OggS", b"\x1a\x45\xdf\xa3", b"\0\0\0\x10ftyp", b"\xff\xf1"]), st.binary(max_size=300)
)
def test_bytes_without_sense_end_in_a_verdict(head: bytes, rest: bytes) -> None:
    assert verdict(head + rest) in VERDICTS
