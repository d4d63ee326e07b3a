"""Replication over HTTP: hello, pull, push, reconcile, schemas and the catalogue.

Everything about a row is answered with 200; other statuses concern the request as a whole. The rules are numbered in
``sync/PROTOCOL.md``.
"""

import contextlib
from functools import cache
from typing import Any

import msgspec
from litestar import Request, Response, get, post
from litestar.enums import MediaType
from litestar.exceptions.http_exceptions import RequestEntityTooLarge

from server import strict_json
from server.admission import Admission, Device
from server.auth.callers import Caller
from server.auth.guards import runtime_of
from server.clocks import monotonic_ms, wall_ms
from server.districts import District
from server.packing import ENCODINGS
from server.sealing import sealing_of
from sync import hello, reconcile
from sync.cases import district as words, schema
from sync.errors import BadRequest, BatchTooLarge, NotFound, StoreUnavailable
from sync.pull import OVERLAP_MS, Caller as Puller, Page, pull
from sync.push import push_work
from sync.push_body import BYTES_MAX
from sync.scope import PHONE_ROLES, Scope, refuses, tell_centre
from sync.store import Reader
from sync.values import Collection

HttpRequest = Request[Any, Any, Any]
WIPE_HEADER = "Wangge-Wipe"
_PULL_BODY_MAX = 64 * 1024
_SCHEMAS: dict[str, bytes] = {}


@cache
def _catalogue_version() -> tuple[str, str]:
    """The version of the words a phone keeps, and their hash; the version is the hash cut short."""
    digest = str(words.catalogue_json()["sha256"])
    return digest[:16], digest


def _collection(name: str) -> Collection:
    try:
        return Collection[name]
    except KeyError:
        raise NotFound(f"没有集合 {name}。") from None


def _district(request: HttpRequest, caller: Caller) -> District:
    return runtime_of(request).district(caller.district)


def puller(reader: Reader, caller: Caller) -> Puller:
    """The caller as the core knows him, with his device's marks in this snapshot."""
    rows = reader.find("device", {"pk": caller.device_pk}, columns=["registered_seq", "marks"])
    row: dict[str, Any] = rows[0] if rows else {"registered_seq": 0, "marks": "{}"}
    return Puller(
        user_pk=caller.user_pk,
        user_id=caller.user_id,
        user_name=caller.username,
        device_pk=caller.device_pk,
        device_id=caller.device_id,
        registered=row["registered_seq"],
        marks={name: (mark[0], mark[1]) for name, mark in msgspec.json.decode(row["marks"]).items()},
    )


def _json(body: bytes, status: int = 200) -> Response[bytes]:
    return Response(body, media_type=MediaType.JSON, status_code=status)


@post("/sync/v1/{collection:str}/pull", opt={"access": "user"}, status_code=200)
async def pull_page(request: HttpRequest, caller: Caller, collection: str) -> Response[bytes]:
    """`{checkpoint, limit, bytes?}` → `{documents, checkpoint}`: one page of what this phone does not have yet."""
    number = _collection(collection)
    asked = strict_json.parse(await request.body(), max_bytes=_PULL_BODY_MAX)
    if not isinstance(asked, dict) or not set(asked) <= {"checkpoint", "limit", "bytes"}:
        raise BadRequest("正文应为 {checkpoint, limit, bytes}。")
    district = _district(request, caller)
    admission, device = _admitted(request, caller)

    def question(reader: Reader) -> Page:
        return pull(
            reader,
            district.config_of(reader),
            puller(reader, caller),
            number,
            asked.get("checkpoint"),
            asked.get("limit", 1),
            keys=district.keys,
            now=wall_ms(),
            page_bytes=asked.get("bytes"),
        )

    checkpoint = asked.get("checkpoint")
    with admission.pull(device, number.name, checkpoint, district.writer.waiting, monotonic_ms()):
        page = await district.read(question)
    now = monotonic_ms()
    admission.charge(device, now, page.count, len(page.body))
    if page.checkpoint.s:
        admission.first_plans.finished(device, number.name, now)
    return _json(page.body)


def _admitted(request: HttpRequest, caller: Caller) -> tuple[Admission, Device]:
    """FL7: counts a request of the caller's device; raises ``TooManyRequests``."""
    admission: Admission = request.app.state.admission
    device = (caller.district, caller.device_pk)
    admission.admit(device, monotonic_ms())
    return admission, device


@post(
    "/sync/v1/{collection:str}/push",
    opt={"access": "user:late", "packed_body": True},
    status_code=200,
    request_max_body_size=BYTES_MAX + 1,
)
async def push_rows(request: HttpRequest, caller: Caller, collection: str) -> Response[bytes]:
    """`[{newDocumentState, assumedMasterState?}]` → the current master of each row that differs from what was sent.

    What a stopped device hands in is put aside; tombstones come back, with the header `Wangge-Wipe: true`.
    """
    number = _collection(collection)
    district = _district(request, caller)
    sender = Puller(
        user_pk=caller.user_pk,
        user_id=caller.user_id,
        user_name=caller.username,
        device_pk=caller.device_pk,
        device_id=caller.device_id,
        registered=0,
        marks={},
        late=caller.device_revoked,
    )
    admission, device = _admitted(request, caller)
    try:
        body = await request.body()
    except RequestEntityTooLarge:
        raise BatchTooLarge from None  # the phone cuts its batch on this code and no other
    admission.charge(device, monotonic_ms(), body.count(b'"newDocumentState"'), len(body))
    work = push_work(sender, number, body)
    answer = await district.writer.submit(work, actor=f"user:{caller.user_id}")
    if number == Collection.files:
        runtime_of(request).files.look(district)  # the bytes may have come before
    runtime_of(request).hub.poke_later(caller.district, caller.user_pk, OVERLAP_MS + 1_000)
    # PU13: told when the rows are safe, where a client that does not know of it looks over it
    headers = {WIPE_HEADER: "true"} if sender.late else None
    return Response(answer, media_type=MediaType.JSON, headers=headers)


@post("/sync/v1/hello", opt={"access": "user"}, status_code=200)
async def say_hello(request: HttpRequest, caller: Caller) -> Response[bytes]:
    """The phone tells its state and clock; the server its own, the limits, and which collections have news."""
    at = wall_ms()
    told = strict_json.parse(await request.body(), max_bytes=_PULL_BODY_MAX)
    if not isinstance(told, dict):
        raise BadRequest("正文应为一个对象。")
    runtime = runtime_of(request)
    district = _district(request, caller)
    _admitted(request, caller)
    version, digest = _catalogue_version()
    scopes = request.app.state.scopes

    def question(reader: Reader) -> tuple[dict[str, Any], Scope]:
        config = district.config_of(reader)
        scope: Scope = scopes.of(reader, config, caller.user_pk)
        answer = hello.answer(
            reader,
            config,
            puller(reader, caller),
            told,
            wall=at,
            monotonic=monotonic_ms(),
            words={"version": version, "sha256": digest},
            encodings=ENCODINGS,
            scope=scope.told(refuse=refuses(config)),
        )
        return answer | {"sealing": sealing_of(reader, district)}, scope

    answer, scope = await district.read(question)
    known: list[str] | None = None
    with contextlib.suppress(StoreUnavailable):  # a full disk must not keep a phone from reading
        work = hello.remember(caller.device_pk, told, at=at)
        known = await district.writer.submit(work, actor=f"user:{caller.user_id}")
        if scope.state != "ok" and PHONE_ROLES & caller.roles:
            await district.writer.submit(tell_centre(caller.user_pk, scope), actor="scope")
    answer |= {
        "demo": district.demo,
        "server": runtime.version,
        "signers": known,
    }
    return _json(msgspec.json.encode(answer))


@post("/sync/v1/{collection:str}/reconcile", opt={"access": "user", "packed_body": True}, status_code=200)
async def reconcile_ids(request: HttpRequest, caller: Caller, collection: str) -> Response[bytes]:
    """`{epoch, ids}` → `{gone: [...]}`: which of a phone's documents it may not hold; only after a restore."""
    number = _collection(collection)
    _admitted(request, caller)
    asked = strict_json.parse(await request.body(), max_bytes=1 << 20)
    district = _district(request, caller)

    def question(reader: Reader) -> dict[str, Any]:
        return reconcile.answer(reader, district.config_of(reader), puller(reader, caller), number, asked)

    return _json(msgspec.json.encode(await district.read(question)))


@get("/sync/v1/schema/{collection:str}", opt={"access": "open"})
async def get_schema(collection: str) -> Response[bytes]:
    """The JSON Schema of a collection's documents."""
    number = _collection(collection)
    if number.name not in _SCHEMAS:
        _SCHEMAS[number.name] = msgspec.json.encode(schema.json_schema(number.name))
    return _json(_SCHEMAS[number.name])


@get("/sync/v1/catalogue/{version:str}", opt={"access": "user"})
async def get_catalogue(version: str) -> Response[bytes]:
    """The words and rules of the district, immutable under their version."""
    current, _ = _catalogue_version()
    if version != current:
        raise NotFound
    return Response(
        msgspec.json.encode(words.catalogue_json()),
        media_type=MediaType.JSON,
        headers={"Cache-Control": "private, max-age=31536000, immutable"},
    )


HANDLERS = [pull_page, push_rows, say_hello, reconcile_ids, get_schema, get_catalogue]
