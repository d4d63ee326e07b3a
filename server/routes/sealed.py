"""What was captured while a phone could not read, handed in; receipts for what was; the public keys of a district."""

import asyncio
from typing import Any

import msgspec
from litestar import Request, Response, get, post
from litestar.enums import MediaType
from litestar.exceptions.http_exceptions import RequestEntityTooLarge

from server.admission import admitted
from server.auth.callers import Caller
from server.auth.guards import runtime_of
from server.clocks import monotonic_ms, wall_ms
from server.districts import District
from server.receipts import signed
from server.routes.sync import WIPE_HEADER
from server.sealing import newest_key, opened, published
from sync import receipts
from sync.errors import BadRequest, BatchTooLarge, NotFound
from sync.hand_in import hand_in_work
from sync.push_body import BYTES_MAX
from sync.store import Reader

HttpRequest = Request[Any, Any, Any]
_decode_asked = msgspec.json.Decoder(receipts.Asked).decode


@post("/sync/v1/sealed", opt={"access": "user:late"}, status_code=200, request_max_body_size=BYTES_MAX + 1)
async def hand_in(request: HttpRequest, caller: Caller) -> Response[bytes]:
    """`{bundles: [...]}`, of whomever → `{results: ["taken", ...]}`: all are safe, and nothing is said of any."""
    district = runtime_of(request).district(caller.district)
    admission, device = admitted(request, caller)
    try:
        body = await request.body()
    except RequestEntityTooLarge:
        raise BatchTooLarge from None
    admission.charge(device, monotonic_ms(), 0, len(body))
    bundles = await asyncio.to_thread(opened, district, body, await district.read(_newest_of(district)))
    await district.writer.submit(hand_in_work(bundles), actor=f"user:{caller.user_id}")
    headers = {WIPE_HEADER: "true"} if caller.device_revoked else None
    answer = msgspec.json.encode({"results": ["taken"] * len(bundles)})
    return Response(answer, media_type=MediaType.JSON, headers=headers)


def _newest_of(district: District) -> Any:
    return lambda reader: newest_key(district.config_of(reader))


@post("/sync/v1/receipts", opt={"access": "user"}, status_code=200)
async def give_receipt(request: HttpRequest, caller: Caller) -> dict[str, Any]:
    """`{writes: [{collection, id, w}], device?}` → one signed receipt for those that are here, and which are not."""
    district = runtime_of(request).district(caller.district)
    admitted(request, caller)
    try:
        asked = _decode_asked(await request.body())
    except (ValueError, RecursionError) as error:
        raise BadRequest("正文应为 {writes: [{collection, id, w}], device?}。") from error

    def question(reader: Reader) -> receipts.Receipt:
        device = receipts.device_of(reader, caller.user_pk, caller.device_id, asked)
        return receipts.receipt(reader, district.code, caller.user_id, device, asked.writes, wall=wall_ms())

    made = await district.read(question)
    found = {(line.collection, line.id, line.w) for line in made.writes}
    missing = [one.w for one in asked.writes if (one.collection, one.id, one.w) not in found]
    return {**signed(district.keys.receipts, made), "missing": missing}


@get("/public/v1/keys/{district:str}", opt={"access": "open"})
async def get_keys(request: HttpRequest, district: str) -> Response[bytes]:
    """The public keys of a district: to which phones seal, and with which its receipts are checked."""
    found = runtime_of(request).districts.get(district)
    if found is None:
        raise NotFound
    keys = await found.read(lambda reader: published(reader, found))
    return Response(
        msgspec.json.encode(keys), media_type=MediaType.JSON, headers={"Cache-Control": "public, max-age=300"}
    )


HANDLERS = [hand_in, give_receipt, get_keys]
