"""tus 1.0.0: what its headers say, and the body of a PATCH taken in piece by piece.

Core, creation, creation-with-upload, checksum (sha256), termination, expiration. A body that breaks off leaves what
came of it; one with a checksum is taken wholly or not at all.
"""

import asyncio
import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import AsyncIterator
from contextlib import suppress
from email.utils import formatdate
from typing import ClassVar, Final

import msgspec
from litestar.exceptions import HTTPException
from msgspec import Struct

from server.districts import District
from server.files.keeper import FileKeeper, assembled, part_names
from server.files.store import BytesLost, part_name
from sync import content, uploads
from sync.cases.catalogue import FILE_KINDS
from sync.errors import BadRequest, StoreUnavailable, SyncError
from sync.store import Row
from sync.uploads import Sender

VERSION: Final = "1.0.0"
EXTENSIONS: Final = "creation,creation-with-upload,checksum,termination,expiration"
BODY_TYPE: Final = "application/offset+octet-stream"
REQUEST_MAX: Final = 16 << 20  # bytes of one body
PART: Final = 1 << 20  # bytes of a part as it lies in the store
_IDLE: Final = 30  # seconds without a byte until a body counts as broken off
_METADATA_MAX: Final = 4096
_HEX: Final = re.compile(r"[0-9a-f]{64}")
_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_WHOLE: Final = re.compile(r"[0-9]{1,15}")


class VersionDiffers(SyncError):
    """This server speaks tus 1.0.0: say so in Tus-Resumable."""

    code: ClassVar[str] = "tus_version"
    status: ClassVar[int] = 412


class ChecksumDiffers(SyncError):
    """The bytes are not those of the checksum; they were not kept."""

    code: ClassVar[str] = "checksum_differs"
    status: ClassVar[int] = 460


class UploadLocked(SyncError):
    """Another request is writing to this upload."""

    code: ClassVar[str] = "upload_locked"
    status: ClassVar[int] = 423


class WrongType(SyncError):
    """The body of an upload is application/offset+octet-stream."""

    code: ClassVar[str] = "wrong_type"
    status: ClassVar[int] = 415


class BodyTooLong(SyncError):
    """The body is longer than the upload, or than one request may be; what fitted was kept."""

    code: ClassVar[str] = "upload_too_long"
    status: ClassVar[int] = 413


class Stalled(SyncError):
    """The body broke off; what came of it was kept."""

    code: ClassVar[str] = "upload_stalled"
    status: ClassVar[int] = 408


class Metadata(Struct, frozen=True):
    """What an upload says of itself: the document it is for, its kind where that is told, and its SHA-256."""

    file_id: str
    sha256: str
    kind: str | None
    told: str


def check_version(told: str | None) -> None:
    """Raise ``VersionDiffers`` unless the client speaks this version."""
    if told != VERSION:
        raise VersionDiffers


def whole_number(told: str | None, name: str) -> int:
    """The value of a header that must be a whole number; raises ``BadRequest``."""
    if told is None or _WHOLE.fullmatch(told) is None:
        raise BadRequest(f"{name} 应为整数。")
    return int(told)


def read_metadata(told: str | None) -> Metadata:
    """`Upload-Metadata`: ``file_id`` and ``sha256`` must be there, ``kind`` may; what else is there says nothing here.

    Raises ``BadRequest``.
    """
    # tus has keys and Base64 in ASCII; what is told is told back, and must not spoil that answer.
    if not told or len(told) > _METADATA_MAX or not told.isascii() or not told.isprintable():
        raise BadRequest("Upload-Metadata 须含 file_id 与 sha256。")
    values: dict[str, str] = {}
    for pair in told.split(","):
        name, _, encoded = pair.strip().partition(" ")
        if not name or name in values:
            raise BadRequest("Upload-Metadata 的键为空或重复。")
        try:
            values[name] = base64.b64decode(encoded.strip(), validate=True).decode()
        except ValueError:  # no Base64, or no UTF-8 in it
            raise BadRequest("Upload-Metadata 的值应为 Base64。") from None
    file_id, digest, kind = values.get("file_id", ""), values.get("sha256", ""), values.get("kind")
    if _UUID.fullmatch(file_id) is None or _HEX.fullmatch(digest) is None:
        raise BadRequest("Upload-Metadata 须含 file_id 与 sha256。")
    if kind is not None and kind not in FILE_KINDS:
        raise BadRequest("Upload-Metadata 的 kind 不认识。")
    return Metadata(file_id, digest, kind, told)


def read_checksum(told: str | None) -> bytes | None:
    """The SHA-256 that the body is to have, None where none is told; raises ``BadRequest`` for another algorithm."""
    if told is None:
        return None
    name, _, encoded = told.partition(" ")
    try:
        digest = base64.b64decode(encoded.strip(), validate=True)
    except ValueError:  # of what is not ASCII the decoder says so by itself
        digest = b""
    if name.lower() != "sha256" or len(digest) != hashlib.sha256().digest_size:
        raise BadRequest("Upload-Checksum 应为 sha256 与其 Base64 值。")
    return digest


def http_date(at: int) -> str:
    """An instant, ms, as `Upload-Expires` has it."""
    return formatdate(at / 1000, usegmt=True)


class _Body:
    """What is still to come of a body; `broken` once it has broken off or stalled."""

    def __init__(self, stream: AsyncIterator[bytes]) -> None:
        self._stream = stream
        self.broken: SyncError | None = None

    async def piece(self) -> bytes | None:
        """The next bytes, None at the end."""
        try:
            return await asyncio.wait_for(anext(self._stream), _IDLE)
        except StopAsyncIteration:
            return None
        except (HTTPException, TimeoutError):
            # Litestar says so when the client has gone; then nobody hears the answer either.
            self.broken = Stalled()
            return None


class _Taking:
    """One PATCH: parts that were put into the store, and how far the upload has come."""

    def __init__(self, keeper: FileKeeper, district: District, sender: Sender, row: Row) -> None:
        self.keeper, self.district, self.sender, self.row = keeper, district, sender, row
        self.known: list[tuple[int, str]] = msgspec.json.decode(row["parts"])  # less what was taken up again
        self.put: list[tuple[int, str]] = []
        self.end: int = row["received"]

    async def keep(self, piece: bytes) -> None:
        """Put a part into the store; the upload does not know of it yet."""
        upload, token = self.row["id"], secrets.token_hex(4)
        district, end = self.district, self.end + len(piece)

        def put() -> int:
            begin, joined = self._joined(piece)
            label = uploads.label_of(upload, begin)
            sealed = content.seal(district.keys, district.chance, self.row["dek"], joined, label)
            self.keeper.store.put(part_name(district.code, upload, begin, token), sealed)
            return begin

        self.put.append((await asyncio.to_thread(put), token))
        self.end = end

    def _joined(self, piece: bytes) -> tuple[int, bytes]:
        """Where a part begins and what it holds: small ones before it that are not much larger are taken into it.

        So each small part is twice as large as the next, and an upload has few of them, however small the pieces are
        that a line lets through; and no byte is written anew more than a few dozen times.
        """
        begin, joined = self.end, piece
        if self.put or begin + len(piece) == self.row["length"]:
            return begin, joined  # the end of an upload may be small
        while self.known and begin - self.known[-1][0] < min(PART, 2 * len(joined)):
            before, token = self.known[-1]
            try:
                sealed = self.keeper.store.get(part_name(self.district.code, self.row["id"], before, token))
            except BytesLost:
                break  # told when the whole is looked at
            label = uploads.label_of(self.row["id"], before)
            joined = content.unseal(self.district.keys, self.row["dek"], sealed, label) + joined
            begin = before
            self.known.pop()
        return begin, joined

    async def note(self) -> None:
        """Tell the upload of what was put; FI4: the last part only if the whole is what was promised."""
        if not self.put:
            return
        start, kept = self.row["received"], len(self.known)
        if self.end == self.row["length"]:
            await self._check_whole()
        work = uploads.advance(self.row["id"], self.sender, start, self.put, self.end, kept=kept)
        former = part_names(self.district.code, self.row)[kept:]
        self.row = await self.district.writer.submit(work, actor="files")
        self.known, self.put = msgspec.json.decode(self.row["parts"]), []
        with suppress(StoreUnavailable):  # what is left there goes with the upload's other leavings
            await asyncio.to_thread(self.keeper.store.delete, former)

    async def _check_whole(self) -> None:
        parts = [*self.known, *self.put]
        row = self.row | {"parts": msgspec.json.encode(parts).decode()}
        data = await asyncio.to_thread(assembled, self.keeper.store, self.district, row)
        if not hmac.compare_digest(hashlib.sha256(data).hexdigest(), self.row["sha256"]):
            end = uploads.end_upload(self.row["id"], self.sender.user_pk, why="upload.differs")
            await self.district.writer.submit(end, actor="files")
            raise ChecksumDiffers

    async def drop(self) -> None:
        """Forget what was put since the upload was last told."""
        names = [part_name(self.district.code, self.row["id"], offset, token) for offset, token in self.put]
        self.known, self.put = msgspec.json.decode(self.row["parts"]), []
        self.end = self.row["received"]
        await asyncio.to_thread(self.keeper.store.delete, names)


async def take_in(
    keeper: FileKeeper,
    district: District,
    sender: Sender,
    row: Row,
    stream: AsyncIterator[bytes],
    checksum: bytes | None = None,
) -> Row:
    """FI4: append a body to an upload; value: the upload as it is then.

    Without a checksum each full part counts as soon as it lies in the store. Raises ``UploadLocked`` while another
    request writes, ``ChecksumDiffers``, ``BodyTooLong`` and ``Stalled``.
    """
    if row["id"] in keeper.busy:
        raise UploadLocked(retry_after=5)
    keeper.busy.add(row["id"])
    try:
        return await _take_in(keeper, district, sender, row, stream, checksum)
    finally:
        keeper.busy.discard(row["id"])


async def _take_in(
    keeper: FileKeeper,
    district: District,
    sender: Sender,
    row: Row,
    stream: AsyncIterator[bytes],
    checksum: bytes | None,
) -> Row:
    taking, body = _Taking(keeper, district, sender, row), _Body(stream)
    room = min(row["length"] - row["received"], REQUEST_MAX)
    digest, waiting = hashlib.sha256(), bytearray()
    too_long = False
    try:
        while (piece := await body.piece()) is not None:
            if len(piece) > room:
                piece, too_long = piece[:room], True
            room -= len(piece)
            digest.update(piece)
            waiting += piece
            if len(waiting) >= PART:
                await taking.keep(bytes(waiting))
                waiting.clear()
                if checksum is None:
                    await taking.note()
            if too_long:
                break
        if checksum is not None and (body.broken or too_long or digest.digest() != checksum):
            raise body.broken or (BodyTooLong() if too_long else ChecksumDiffers())  # noqa: TRY301  # see below
        if waiting:
            await taking.keep(bytes(waiting))
        await taking.note()
    except Exception:  # whatever it was, it is raised again: only what was kept of this request goes first
        await taking.drop()
        raise
    if too_long:
        raise BodyTooLong
    if body.broken is not None:
        raise body.broken
    return taking.row
