"""Voice notes: Opus in Ogg or WebM, AAC in MP4 or ADTS, told by what is in them, never by a name or a type.

No library is asked: those that know all four read dozens of other formats with them. What is needed is to walk over
frames and add up their times, and each walk is bounded by the length of the file.
"""

from collections.abc import Iterator
from typing import Final

from server.files.verdicts import Checked, Refused

SECONDS_MAX: Final = 30 * 60
_OPUS_RATE: Final = 48_000
_ADTS_RATES: Final = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)


def check(data: bytes) -> Checked:
    """The recording as it is, with its type and length; raises ``Refused``."""
    if data.startswith(b"OggS"):
        mime, seconds = "audio/ogg", _ogg(data)
    elif data.startswith(b"\x1a\x45\xdf\xa3"):
        mime, seconds = "audio/webm", _webm(data)
    elif data[4:8] == b"ftyp":
        mime, seconds = "audio/mp4", _mp4(data)
    elif data[:2] in {b"\xff\xf1", b"\xff\xf9"}:
        mime, seconds = "audio/aac", _adts(data)
    else:
        raise Refused("format")
    if seconds > SECONDS_MAX:
        raise Refused("too_long")
    return Checked(mime, data, seconds=max(1, round(seconds)))


# --- Ogg (RFC 3533, RFC 7845) ----------------------------------------------------------------------------------------


def _ogg(data: bytes) -> float:
    at = pages = 0
    skip = end = 0
    serial = b""
    while at < len(data):
        if data[at : at + 4] != b"OggS" or at + 27 > len(data):
            raise Refused("damaged")
        segments = data[at + 26]
        body = at + 27 + segments
        size = sum(data[at + 27 : body])
        if body + size > len(data):
            raise Refused("damaged")
        if pages == 0:
            if data[body : body + 8] != b"OpusHead" or size < 19:
                raise Refused("format")
            serial = data[at + 14 : at + 18]
            skip = int.from_bytes(data[body + 10 : body + 12], "little")
        elif data[at + 14 : at + 18] != serial:
            raise Refused("mixed")
        granule = int.from_bytes(data[at + 6 : at + 14], "little", signed=True)
        end = max(end, granule)
        at = body + size
        pages += 1
    if pages < 3:  # head, tags, sound
        raise Refused("damaged")
    return max(0, end - skip) / _OPUS_RATE


# --- WebM (RFC 8794) -------------------------------------------------------------------------------------------------

_SEGMENT, _INFO, _TRACKS, _TRACK, _CLUSTER = 0x18538067, 0x1549A966, 0x1654AE6B, 0xAE, 0x1F43B675
_SCALE, _KIND, _CODEC, _TIME, _SIMPLE, _GROUP, _BLOCK = 0x2AD7B1, 0x83, 0x86, 0xE7, 0xA3, 0xA0, 0xA1
_HEAD, _DOCTYPE = 0x1A45DFA3, 0x4282
_OPENED: Final = frozenset({_HEAD, _SEGMENT, _INFO, _TRACKS, _TRACK, _CLUSTER, _GROUP})
_UNKNOWN: Final = -1


def _webm(data: bytes) -> float:
    scale, cluster, last = 1_000_000, 0, 0
    doctype = b""
    codecs: list[bytes] = []
    blocks = 0
    for name, body in _elements(data):
        if name == _DOCTYPE:
            doctype = body
        elif name == _SCALE:
            scale = int.from_bytes(body, "big")
        elif name == _KIND and body != b"\x02":
            raise Refused("format")  # a picture that moves
        elif name == _CODEC:
            codecs.append(body)
        elif name == _TIME:
            cluster = int.from_bytes(body, "big")
        elif name in {_SIMPLE, _BLOCK}:
            blocks += 1
            # Track number in one byte, then the time within the cluster.
            last = max(last, cluster + int.from_bytes(body[1:3], "big", signed=True))
    if doctype != b"webm" or codecs != [b"A_OPUS"]:
        raise Refused("format")
    if not blocks:
        raise Refused("damaged")
    return last * scale / 1e9


def _elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Every element that holds no others, in order; a recorder leaves open how long segment and clusters are."""
    at = 0
    while at < len(data):
        name, at = _number(data, at, keep=True)
        size, at = _number(data, at)
        if name in _OPENED:
            continue  # its children follow
        if size == _UNKNOWN or at + size > len(data):
            raise Refused("damaged")
        yield name, data[at : at + size]
        at += size


def _number(data: bytes, at: int, *, keep: bool = False) -> tuple[int, int]:
    """A number of variable length, and where it ends; `keep` leaves the mark of its length in, as names have it."""
    first = data[at] if at < len(data) else 0
    length = 9 - first.bit_length()
    if first == 0 or length > (4 if keep else 8) or at + length > len(data):
        raise Refused("damaged")
    value = int.from_bytes(data[at : at + length], "big")
    if not keep:
        value &= (1 << 7 * length) - 1
        if value == (1 << 7 * length) - 1:
            value = _UNKNOWN
    return value, at + length


# --- MP4 (ISO 14496-12) ----------------------------------------------------------------------------------------------

_INSIDE: Final = frozenset({b"moov", b"trak", b"mdia", b"minf", b"stbl"})


def _mp4(data: bytes) -> float:
    seconds, kinds, coded, sound = 0.0, [], [], 0
    for name, body in _boxes(data):
        if name in {b"mvhd", b"mdhd"}:
            seconds = max(seconds, _of_header(body))
        elif name == b"hdlr":
            kinds.append(body[8:12])
        elif name == b"stsd":
            coded.append(body[12:16])
        elif name == b"mdat":
            sound += len(body)
    if kinds != [b"soun"] or coded != [b"mp4a"]:
        raise Refused("format")
    if not sound or not seconds:
        raise Refused("damaged")
    return seconds


def _of_header(body: bytes) -> float:
    """Duration of a movie's or a track's header."""
    wide = body[:1] == b"\x01"
    at = 20 if wide else 12
    scale = int.from_bytes(body[at : at + 4], "big")
    length = int.from_bytes(body[at + 4 : at + (12 if wide else 8)], "big")
    if not scale:
        raise Refused("damaged")
    return length / scale


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at < len(data):
        size, name, head = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8], 8
        if size == 1:
            size, head = int.from_bytes(data[at + 8 : at + 16], "big"), 16
        elif size == 0:
            size = len(data) - at
        if size < head or at + size > len(data):
            raise Refused("damaged")
        if name in _INSIDE:
            at += head
            continue
        yield name, data[at + head : at + size]
        at += size


# --- ADTS (ISO 13818-7) ----------------------------------------------------------------------------------------------


def _adts(data: bytes) -> float:
    at = frames = rate = 0
    while at < len(data):
        if at + 7 > len(data) or data[at] != 0xFF or data[at + 1] & 0xF6 != 0xF0:
            raise Refused("damaged")
        index = data[at + 2] >> 2 & 0xF
        size = (data[at + 3] & 0x3) << 11 | data[at + 4] << 3 | data[at + 5] >> 5
        if index >= len(_ADTS_RATES) or size < 7 or at + size > len(data):
            raise Refused("damaged")
        rate = rate or _ADTS_RATES[index]
        frames += 1 + (data[at + 6] & 0x3)
        at += size
    return frames * 1024 / rate
