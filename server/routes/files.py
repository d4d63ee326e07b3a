"""The bytes of files: uploads by tus 1.0.0, and reading what was checked. The rules are FI1–FI11 of the protocol.

Whoever may write the bytes of a file need not be allowed to read them, and the other way round: the one is decided by
who wrote its document, the other by who sees that now.
"""

import asyncio
from typing import Any, Final

from litestar import Request, Response, delete, get, head, patch, post, route
from litestar.enums import HttpMethod

from server.admission import admitted, charged
from server.auth.callers import Caller
from server.auth.guards import runtime_of
from server.console.asking import actor_of, district_of, look
from server.console.records import look_work
from server.console.scope import Sight, find_document
from server.files import tus
from server.files.keeper import read_blob
from server.files.verdicts import FORMATS
from server.shield import FILES_PATH
from sync import content, uploads
from sync.errors import BadRequest, KeyLost, NotFound, SyncError
from sync.store import Row
from sync.uploads import Sender, Wanted
from sync.values import Collection, Doc, Level

HttpRequest = Request[Any, Any, Any]
EXPOSED: Final = (
    "Location",
    "Tus-Extension",
    "Tus-Max-Size",
    "Tus-Resumable",
    "Tus-Version",
    "Upload-Expires",
    "Upload-Length",
    "Upload-Metadata",
    "Upload-Offset",
)
_UPLOADS: Final = f"{FILES_PATH}/uploads/{{upload_id:str}}"
_LATE: Final = {"access": "user:late"}  # FI2: a stopped device may finish what it holds, and reads nothing
_SUFFIX: Final = {mime: name.lower() for name, mime in FORMATS.items()} | {
    "application/pdf": "pdf",
    "audio/ogg": "ogg",
    "audio/webm": "webm",
    "audio/mp4": "m4a",
    "audio/aac": "aac",
}


class FileNotHere(SyncError):
    """The bytes of this file are not here, or not checked yet."""

    code = "file_not_here"
    status = 404


def _sender(caller: Caller) -> Sender:
    return Sender(caller.user_pk, caller.device_pk, caller.device_revoked)


def _answer(caller: Caller, status: int, headers: dict[str, str]) -> Response[None]:
    # PU13: a stopped device learns that it is to empty itself when it has no more to hand in.
    wipe = {"Wangge-Wipe": "true"} if caller.device_revoked else {}
    return Response(None, status_code=status, headers={"Cache-Control": "no-store", **headers, **wipe})


def _told(row: Row) -> dict[str, str]:
    """How far an upload is, and until when it waits."""
    told = {"Upload-Offset": str(row["received"])}
    if row["state"] == "open":
        told["Upload-Expires"] = tus.http_date(row["expires_at"])
    return told


@route(FILES_PATH, http_method=[HttpMethod.OPTIONS], opt={"access": "open"}, status_code=204)
async def tell_tus() -> Response[None]:
    """What of tus is spoken here."""
    headers = {
        "Tus-Extension": tus.EXTENSIONS,
        "Tus-Max-Size": str(uploads.LENGTH_MAX),
        "Tus-Checksum-Algorithm": "sha256",
    }
    return Response(None, status_code=204, headers=headers)


@post(FILES_PATH, opt=_LATE, status_code=201, request_max_body_size=None)
async def create_upload(request: HttpRequest, caller: Caller) -> Response[None]:
    """Begin an upload: `Upload-Length`, `Upload-Metadata` with `file_id` and `sha256`; a body is its first part."""
    admitted(request, caller)
    tus.check_version(request.headers.get("tus-resumable"))
    if "upload-concat" in request.headers or "upload-defer-length" in request.headers:
        raise BadRequest("不支持 Upload-Concat 与 Upload-Defer-Length。")
    length = tus.whole_number(request.headers.get("upload-length"), "Upload-Length")
    if length == 0:
        raise BadRequest("文件是空的。")
    told = tus.read_metadata(request.headers.get("upload-metadata"))
    checksum = tus.read_checksum(request.headers.get("upload-checksum"))
    runtime, district = runtime_of(request), district_of(request, caller)
    wanted = Wanted(
        id=runtime.chance.bytes(16).hex(),
        file_id=content.id_bytes(Collection.files, told.file_id),
        kind=told.kind,
        sha256=told.sha256,
        length=length,
        told=told.told.encode(),
    )
    expires_at = await district.writer.submit(
        uploads.open_upload(_sender(caller), wanted), actor=actor_of(caller)
    )
    headers = {
        "Location": f"{FILES_PATH}/uploads/{wanted.id}",
        "Upload-Expires": tus.http_date(expires_at),
        "Upload-Offset": "0",
    }
    if request.headers.get("content-type") == tus.BODY_TYPE:
        headers |= _told(await _append(request, caller, wanted.id, 0, checksum))
    return _answer(caller, 201, headers)


@head(_UPLOADS, opt=_LATE)
async def tell_upload(request: HttpRequest, caller: Caller, upload_id: str) -> Response[None]:
    """How far an upload has come."""
    return await _tell(request, caller, upload_id)


@patch(_UPLOADS, opt=_LATE, status_code=204, request_max_body_size=None)
async def append_to_upload(request: HttpRequest, caller: Caller, upload_id: str) -> Response[None]:
    """Append the body at `Upload-Offset`; with `Upload-Checksum` wholly or not at all."""
    return await _patch(request, caller, upload_id)


@delete(_UPLOADS, opt={"access": "user"}, status_code=204)
async def delete_upload(request: HttpRequest, caller: Caller, upload_id: str) -> Response[None]:
    """Let an upload go that is no document's yet."""
    return await _end(request, caller, upload_id)


@post(_UPLOADS, opt=_LATE, status_code=204, request_max_body_size=None)
async def act_on_upload(request: HttpRequest, caller: Caller, upload_id: str) -> Response[None]:
    """PATCH, HEAD and DELETE for networks that let nothing through but POST: `X-HTTP-Method-Override` says which."""
    method = request.headers.get("x-http-method-override", "").upper()
    if method == "PATCH":
        return await _patch(request, caller, upload_id)
    if method == "HEAD":
        return await _tell(request, caller, upload_id)
    if method == "DELETE" and not caller.device_revoked:
        return await _end(request, caller, upload_id)
    raise BadRequest("X-HTTP-Method-Override 应为 PATCH、HEAD 或 DELETE。")


async def _row(request: HttpRequest, caller: Caller, upload_id: str) -> Row:
    admitted(request, caller)
    tus.check_version(request.headers.get("tus-resumable"))
    district = district_of(request, caller)
    return await district.read(lambda reader: uploads.find_upload(reader, upload_id, caller.user_pk))


async def _tell(request: HttpRequest, caller: Caller, upload_id: str) -> Response[None]:
    row = await _row(request, caller, upload_id)
    headers = {"Upload-Length": str(row["length"]), **_told(row)}
    if row["told"]:
        keys = district_of(request, caller).keys
        told = content.unseal(keys, row["dek"], row["told"], uploads.label_of(row["id"], -1))
        headers["Upload-Metadata"] = told.decode()
    return _answer(caller, 200, headers)


async def _patch(request: HttpRequest, caller: Caller, upload_id: str) -> Response[None]:
    tus.check_version(request.headers.get("tus-resumable"))
    if request.headers.get("content-type") != tus.BODY_TYPE:
        raise tus.WrongType
    offset = tus.whole_number(request.headers.get("upload-offset"), "Upload-Offset")
    checksum = tus.read_checksum(request.headers.get("upload-checksum"))
    return _answer(caller, 204, _told(await _append(request, caller, upload_id, offset, checksum)))


async def _append(
    request: HttpRequest, caller: Caller, upload_id: str, offset: int, checksum: bytes | None
) -> Row:
    """The upload with the body of the request behind it."""
    runtime, district = runtime_of(request), district_of(request, caller)
    row = await _row(request, caller, upload_id)
    if upload_id in runtime.files.busy:
        raise tus.UploadLocked(retry_after=5)  # before its offset is looked at, which is about to change
    if row["received"] != offset or row["state"] != "open":
        raise uploads.OffsetDiffers
    row = await tus.take_in(runtime.files, district, _sender(caller), row, request.stream(), checksum)
    charged(request, caller, row["received"] - offset)
    if row["state"] == "complete":
        runtime.files.look(district)
    return row


async def _end(request: HttpRequest, caller: Caller, upload_id: str) -> Response[None]:
    await _row(request, caller, upload_id)
    if upload_id in runtime_of(request).files.busy:
        raise tus.UploadLocked(retry_after=5)
    await district_of(request, caller).writer.submit(
        uploads.end_upload(upload_id, caller.user_pk), actor=actor_of(caller)
    )
    return _answer(caller, 204, {})


# --- reading ---------------------------------------------------------------------------------------------------------


def _seen(sight: Sight, file_id: str) -> tuple[Doc, Row | None]:
    """FI10: a file that this person sees now, and its bytes; the same ``NotFound`` for every other id."""
    doc = find_document(sight.reader, Collection.files, file_id)
    level = Level.none if doc is None else sight.level(doc)
    if doc is None or level < Level.plain:
        raise NotFound
    # A transcript is left out of the plain projection, and so is the voice that says the same.
    if level < Level.full and content.whole(doc, sight.keys).get("kind") != "photo":
        raise NotFound
    return doc, uploads.held_blob(sight.reader, doc)


async def _bytes_of(
    request: HttpRequest, caller: Caller, file_id: str, *, thumbnail: bool
) -> Response[bytes]:
    doc, blob = await look(request, caller, lambda sight: _seen(sight, file_id))
    if blob is None or (thumbnail and not blob["thumbnail"]):
        raise FileNotHere
    runtime, district = runtime_of(request), district_of(request, caller)
    try:
        body = await asyncio.to_thread(
            read_blob, runtime.files.store, district.code, district.keys, doc, blob, thumbnail=thumbnail
        )
    except KeyLost:
        raise FileNotHere from None
    # Before the answer leaves: a look that could not be recorded is not given.
    action = "file.thumbnail" if thumbnail else "file.look"
    await district.writer.submit(look_work(doc.pk, action), actor=actor_of(caller))
    mime, name = "image/jpeg" if thumbnail else blob["mime"], content.id_text(doc.collection, doc.id)
    return Response(
        body,
        media_type=mime,
        headers={
            "Content-Disposition": f'attachment; filename="{name}.{_SUFFIX[mime]}"',
            "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "private, no-store",
        },
    )


@get(f"{FILES_PATH}/{{file_id:str}}", opt={"access": "user"})
async def read_file(request: HttpRequest, caller: Caller, file_id: str) -> Response[bytes]:
    """The bytes of a file whose document the caller sees, once they are checked. The look is recorded."""
    return await _bytes_of(request, caller, file_id, thumbnail=False)


@get(f"{FILES_PATH}/{{file_id:str}}/thumbnail", opt={"access": "user"})
async def read_thumbnail(request: HttpRequest, caller: Caller, file_id: str) -> Response[bytes]:
    """The small picture of a file, at most 40 KB of JPEG."""
    return await _bytes_of(request, caller, file_id, thumbnail=True)


HANDLERS = [
    tell_tus,
    create_upload,
    tell_upload,
    append_to_upload,
    delete_upload,
    act_on_upload,
    read_file,
    read_thumbnail,
]
