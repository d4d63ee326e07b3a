"""Compression on the wire: answers by what the other side accepts, and pushed bodies that come compressed.

FL3 and FL4 of ``sync/PROTOCOL.md``. What is unpacked comes in small pieces, and stops at the limit of the address: a
body that would grow to gigabytes costs no more memory than one that does not.
"""

import asyncio
import re
import zlib
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterator
from functools import lru_cache, partial
from typing import Any, ClassVar, Protocol

import brotli
from backports import zstd
from litestar.datastructures import MutableScopeHeaders
from litestar.enums import ScopeType
from litestar.exceptions.http_exceptions import RequestEntityTooLarge
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from sync.errors import BadRequest, SyncError

ENCODINGS = ("zstd", "br", "gzip")  # the first is taken where somebody likes several alike
ANSWER_MIN = 1024  # bytes below which nothing is gained
_BESIDE = 64 * 1024  # larger answers are compressed in a thread, so that the loop goes on
_PIECE = 64 * 1024
_RATIO_MAX = 200  # unpacked to packed; ten to twenty is what documents have
_RATIO_FROM = 1 << 20  # unpacked bytes below which the ratio says nothing
_WINDOW_LOG = 23  # 8 MiB, the most that RFC 9659 lets a sender of zstd ask for
_QUALITY = re.compile(r"(?:0(?:\.\d{0,3})?|1(?:\.0{0,3})?)\Z")
_PACKABLE = re.compile(r"(?:text/(?!event-stream)|application/(?:(?:[\w.-]+\+)?json|vnd\.mapbox)|image/svg)")


class EncodingRefused(SyncError):
    """The body is compressed in a way that this address does not take."""

    code: ClassVar[str] = "encoding_refused"
    status: ClassVar[int] = 415


class EncodingBroken(BadRequest):
    """The compressed body cannot be unpacked."""

    code: ClassVar[str] = "encoding_broken"


# --- answers ---------------------------------------------------------------------------------------------------------


@lru_cache(64)
def chosen(accept: str, known: tuple[str, ...] = ENCODINGS) -> str | None:
    """Which of the `known` encodings an ``Accept-Encoding`` likes best (RFC 9110, 12.5.3); None: as it is."""
    said: dict[str, float] = {}
    for part in accept.lower().split(","):
        name, _, parameter = part.partition(";")
        quality = parameter.strip().removeprefix("q=").strip() if parameter else "1"
        if _QUALITY.match(quality):
            said[name.strip().replace("x-gzip", "gzip")] = float(quality)
    best = max(known, key=lambda name: said.get(name, said.get("*", 0.0)))  # the first of equals
    wish = said.get(best, said.get("*", 0.0))
    return best if wish > 0 and wish >= said.get("identity", 0.0) else None


def _gzip(body: bytes) -> bytes:
    packer = zlib.compressobj(6, zlib.DEFLATED, 31)
    return packer.compress(body) + packer.flush()


_PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "zstd": partial(zstd.compress, level=3),
    "br": partial(brotli.compress, quality=4),
    "gzip": _gzip,
}


def make_packing() -> Any:
    """The middleware factory: compresses whole answers of text; what streams or is packed already goes as it is."""

    def packing(app: ASGIApp) -> ASGIApp:
        async def inner(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == ScopeType.HTTP:
                await app(scope, receive, _Packing(scope, send))
            else:
                await app(scope, receive, send)

        return inner

    return packing


class _Packing:
    """Sends one answer on."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self._scope = scope
        self._send = send
        self._start: Message | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start" and self._is_packable(message):
            self._start = message  # until the body is there
            return
        start, self._start = self._start, None
        if start is not None:
            if message["type"] == "http.response.body" and not message.get("more_body"):
                await self._pack(start, message)
                return
            await self._send(start)
        await self._send(message)

    def _is_packable(self, start: Any) -> bool:
        headers = {name.lower(): value for name, value in start["headers"]}
        if b"content-encoding" in headers or b"no-transform" in headers.get(b"cache-control", b""):
            return False
        return _PACKABLE.match(headers.get(b"content-type", b"").decode("latin-1")) is not None

    async def _pack(self, start: Any, message: Any) -> None:
        body = message["body"]
        if len(body) >= ANSWER_MIN:
            headers = MutableScopeHeaders.from_message(start)
            headers.extend_header_value("vary", "Accept-Encoding")
            accept = b",".join(value for name, value in self._scope["headers"] if name == b"accept-encoding")
            encoding = chosen(accept.decode("latin-1"))
            if encoding is not None:
                packer = _PACKERS[encoding]
                body = packer(body) if len(body) < _BESIDE else await asyncio.to_thread(packer, body)
                headers["Content-Encoding"] = encoding
                headers["Content-Length"] = str(len(body))
                message["body"] = body
        await self._send(start)
        await self._send(message)


# --- bodies of requests ----------------------------------------------------------------------------------------------


class _Unpacker(Protocol):
    def pieces(self, packed: bytes) -> Iterator[bytes]:
        """What more can be unpacked now that `packed` came, in pieces of bounded size."""

    def ended(self) -> bool:
        """Whether the last byte of the packed form has come."""


class _Gzip:
    def __init__(self) -> None:
        self._inner = zlib.decompressobj(31)

    def pieces(self, packed: bytes) -> Iterator[bytes]:
        while packed:
            if self._inner.eof:
                raise EncodingBroken  # something after the end
            yield self._inner.decompress(packed, _PIECE)
            packed = self._inner.unconsumed_tail or self._inner.unused_data

    def ended(self) -> bool:
        return self._inner.eof


class _Zstd:
    def __init__(self) -> None:
        options: dict[int, int] = {zstd.DecompressionParameter.window_log_max: _WINDOW_LOG}
        self._inner = zstd.ZstdDecompressor(options=options)

    def pieces(self, packed: bytes) -> Iterator[bytes]:
        if self._inner.eof:
            raise EncodingBroken
        yield self._inner.decompress(packed, _PIECE)
        while not (self.ended() or self._inner.needs_input):
            yield self._inner.decompress(b"", _PIECE)
        if self._inner.unused_data:
            raise EncodingBroken

    def ended(self) -> bool:
        return self._inner.eof


class _Brotli:
    def __init__(self) -> None:
        self._inner = brotli.Decompressor()

    def pieces(self, packed: bytes) -> Iterator[bytes]:
        if self._inner.is_finished():
            raise EncodingBroken
        piece = self._inner.process(packed, output_buffer_limit=_PIECE)
        yield piece
        # it says that it can take more while a full buffer still waits to be fetched
        while not self._inner.is_finished() and (piece or not self._inner.can_accept_more_data()):
            piece = self._inner.process(b"", output_buffer_limit=_PIECE)
            yield piece

    def ended(self) -> bool:
        return bool(self._inner.is_finished())


_UNPACKERS: dict[str, Callable[[], _Unpacker]] = {
    "zstd": _Zstd,
    "br": _Brotli,
    "gzip": _Gzip,
    "x-gzip": _Gzip,
}
_BROKEN = (zlib.error, zstd.ZstdError, brotli.error)


def encoding_of(value: str) -> str | None:
    """The one encoding that a ``Content-Encoding`` names, None for a plain body; raises ``EncodingRefused``."""
    name = value.strip().lower()
    if name in {"", "identity"}:
        return None
    if name not in _UNPACKERS:
        raise EncodingRefused(accepted=list(ENCODINGS))
    return name


async def unpacked(encoding: str, body: AsyncIterable[bytes], max_bytes: int) -> AsyncGenerator[bytes, None]:
    """The plain bytes of a packed `body`, piece by piece.

    Raises ``RequestEntityTooLarge`` beyond `max_bytes` or a ratio that no documents have, and ``EncodingBroken`` for
    what is cut off, damaged, or goes on after its end.
    """
    unpacker = _UNPACKERS[encoding]()
    came = made = 0
    try:
        async for packed in body:
            came += len(packed)
            for piece in unpacker.pieces(packed) if packed else ():
                made += len(piece)
                if made > max_bytes or (made > _RATIO_FROM and made > came * _RATIO_MAX):
                    raise RequestEntityTooLarge
                if piece:
                    yield piece
    except _BROKEN as error:
        raise EncodingBroken from error
    if came and not unpacker.ended():
        raise EncodingBroken
