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
from server.admission import admitted
from server.auth.callers import Caller
from server.auth.guards import runtime_of
from server.clocks import monotonic_ms, wall_ms
from server.districts import District
from server.errors import TooManyRequests
from server.packing import ENCODINGS
from server.sealing import sealing_of
from sync import digest, hello, reconcile, versions
from sync.cases import district as words, schema
from sync.errors import BadRequest, BatchTooLarge, NotFound, StoreUnavailable
from sync.pull import OVERLAP_MS, Caller as Puller, Page, is_far_behind, pull, read_checkpoint
from sync.push import push_work
from sync.push_body import BYTES_MAX
from sync.scope import PHONE_ROLES, Scope, refuses, tell_centre
from sync.store import Reader
from sync.values import Collection

HttpRequest = Request[Any, Any, Any]
WIPE_HEADER = "Wangge-Wipe"
SCHEMA_HEADER = "Wangge-Schema"
DIGESTS_A_MINUTE = 16  # of a device, each a look through one scope (DG4)
_PULL_BODY_MAX = 64 * 1024


@cache
def _catalogue_version() -> tuple[str, str]:
    """The version of the words a phone keeps, and their hash; the version is the hash cut short."""
    digest = str(words.catalogue_json()["sha256"])
    return digest[:16], digest


@cache
def _schema_of(name: str, version: int) -> bytes:
    return msgspec.json.encode(schema.json_schema(name, version))


def _collection(name: str) -> Collection:
    try:
        return Collection[name]
    except KeyError:
        raise NotFound(f"没有集合 {name}。") from None


def _district(request: HttpRequest, caller: Caller) -> District:
    return runtime_of(request).district(caller.district)


def told_by(request: HttpRequest) -> int | None:
    """EV1: the version the phone's app tells. Raises ``BadSchema``."""
    return versions.read_told(request.headers.getall(SCHEMA_HEADER, []))


def puller(reader: Reader, caller: Caller, told: int | None) -> Puller:
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
        told=told,
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
    told = told_by(request)
    versions.require_readable(told)
    district = _district(request, caller)
    admission, device = admitted(request, caller)

    def question(reader: Reader) -> Page:
        return pull(
            reader,
            district.config_of(reader),
            puller(reader, caller, told),
            number,
            asked.get("checkpoint"),
            asked.get("limit", 1),
            keys=district.keys,
            now=wall_ms(),
            page_bytes=asked.get("bytes"),
        )

    # Another process may have written since, so a phone in step may look newer than this head and stand in line once.
    head, speaks = district.head, versions.spoken(told)
    point = read_checkpoint(
        asked.get("checkpoint"),
        district=district.code,
        user=caller.user_id,
        epoch=head.epoch,
        head=head.seq,
        told=told,
    )
    far_behind = is_far_behind(point, number, speaks, head.seq)
    waiting = district.writer.waiting
    with admission.pull(device, number.name, waiting, monotonic_ms(), far_behind=far_behind):
        page = await district.read(question)
    now = monotonic_ms()
    admission.charge(device, now, page.count, len(page.body))
    if not is_far_behind(page.checkpoint, number, speaks, head.seq):
        admission.first_plans.finished(device, number.name, now)
    return _json(page.body)


@post(
    "/sync/v1/{collection:str}/push",
    opt={"access": "user:late", "packed_body": True},
    status_code=200,
    request_max_body_size=BYTES_MAX + 1,
)
async def push_rows(request: HttpRequest, caller: Caller, collection: str) -> Response[bytes]:
    """`[{newDocumentState, assumedMasterState?}]` → the current master of each row that differs from what was sent.

    What a stopped device hands in is put aside; tombstones come back, with the header `Wangge-Wipe: true`. What an app
    too old to be read hands in is put aside before it is told to update.
    """
    number = _collection(collection)
    told = told_by(request)
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
        told=told,
    )
    admission, device = admitted(request, caller)
    try:
        body = await request.body()
    except RequestEntityTooLarge:
        raise BatchTooLarge from None  # the phone cuts its batch on this code and no other
    admission.charge(device, monotonic_ms(), body.count(b'"newDocumentState"'), len(body))
    work = push_work(sender, number, body)
    answer = await district.writer.submit(work, actor=f"user:{caller.user_id}")
    if number == Collection.files:
        runtime_of(request).files.look(district)  # the bytes may have come before
    if not sender.late:
        versions.require_readable(told)  # EV6: the rows are safe by now
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
    schema = told_by(request)
    runtime = runtime_of(request)
    district = _district(request, caller)
    admitted(request, caller)
    scopes = request.app.state.scopes
    version, sha256 = _catalogue_version()
    wanted = len(hello.digests_asked(told))
    allowed = wanted == 0 or _within_budget(request, caller, wanted)

    def question(reader: Reader) -> tuple[dict[str, Any], Scope]:
        config = district.config_of(reader)
        scope: Scope = scopes.of(reader, config, caller.user_pk)
        answer = hello.answer(
            reader,
            config,
            puller(reader, caller, schema),
            told,
            wall=at,
            monotonic=monotonic_ms(),
            words={"version": version, "sha256": sha256},
            digests=allowed,
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
    """What a phone holds against what it may hold: `{epoch, ids}` after a restore, `{epoch, ranges, held}` to heal."""
    number = _collection(collection)
    admitted(request, caller)
    asked = strict_json.parse(await request.body(), max_bytes=1 << 20)
    told = told_by(request)
    versions.require_readable(told)
    if isinstance(asked, dict) and "ranges" in asked:
        _require_budget(request, caller, 1)
    district = _district(request, caller)

    def question(reader: Reader) -> dict[str, Any]:
        return reconcile.answer(
            reader,
            district.config_of(reader),
            puller(reader, caller, told),
            number,
            asked,
            keys=district.keys,
        )

    return _json(msgspec.json.encode(await district.read(question)))


@post("/sync/v1/{collection:str}/digest", opt={"access": "user"}, status_code=200)
async def digest_ranges(request: HttpRequest, caller: Caller, collection: str) -> Response[bytes]:
    """`{epoch, ranges}` → a digest for each part of these ranges: where a phone differs from what it may see."""
    number = _collection(collection)
    asked = strict_json.parse(await request.body(), max_bytes=_PULL_BODY_MAX)
    told = told_by(request)
    versions.require_readable(told)
    admitted(request, caller)
    _require_budget(request, caller, 1)
    district = _district(request, caller)

    def question(reader: Reader) -> dict[str, Any]:
        puller_ = puller(reader, caller, told)
        return digest.of_ranges(reader, district.config_of(reader), puller_, number, asked)

    return _json(msgspec.json.encode(await district.read(question)))


def _within_budget(request: HttpRequest, caller: Caller, cost: int) -> bool:
    """DG4: whether this device may have so many scopes looked through now."""
    allows = request.app.state.digest_limit.allows
    return bool(allows(f"{caller.district}:{caller.device_id}", monotonic_ms(), cost))


def _require_budget(request: HttpRequest, caller: Caller, cost: int) -> None:
    if not _within_budget(request, caller, cost):
        raise TooManyRequests(retry_after=60)


@get("/sync/v1/schema/{collection:str}", opt={"access": "open"})
async def get_schema(collection: str, version: int | None = None) -> Response[bytes]:
    """The JSON Schema of a collection's documents, of `version`; without one, that of a client that tells none."""
    number = _collection(collection)
    told = versions.UNTOLD if version is None else version
    if not versions.OLDEST <= told <= versions.CURRENT:
        raise NotFound
    return _json(_schema_of(number.name, told))


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


HANDLERS = [pull_page, push_rows, say_hello, reconcile_ids, digest_ranges, get_schema, get_catalogue]
