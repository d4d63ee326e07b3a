"""待核箱: what could not be applied, how many there are of each sort, and what the centre does with them."""

from typing import Annotated, Any, Literal

import msgspec
from litestar import Request, get, post
from litestar.di import Provide
from litestar.params import Parameter

from server.auth.callers import Caller
from server.console import kept, kept_work
from server.console.asking import access, act_in, actor_of, district_of, look, writer_of
from server.console.scope import CENTRE, Sight
from sync.errors import StoreUnavailable, SyncError, Unprocessable
from sync.values import Collection

HttpRequest = Request[Any, Any, Any]
_CODE = r"^[A-Za-z0-9_.:\-]*$"
Word = Annotated[str | None, Parameter(max_length=64, pattern=_CODE)]
State = Annotated[str, Parameter(query="state", max_length=64, pattern=_CODE)]
Sort = Literal["cases", "entries", "visits", "households", "tasks", "files", "notices", "cells"]
Instant = Annotated[int | None, Parameter(ge=0, le=1 << 62)]
Days = Annotated[int | None, Parameter(ge=0, le=36_500)]
_IDS_MAX = 200


def narrowed(
    reason: Word = None,
    wanted: State = "open",
    collection: Sort | None = None,
    user: Word = None,
    device: Word = None,
    case: Word = None,
    cell: Word = None,
    unit: Word = None,
    since: Instant = None,
    until: Instant = None,
    days: Days = None,
) -> kept.Wanted:
    """What list and figures are narrowed to; nothing narrows where nothing stands."""
    return kept.Wanted(
        state=None if wanted in {"all", ""} else wanted,
        reason=reason or None,
        collection=None if collection is None else int(Collection[collection]),
        user=user or None,
        device=device or None,
        case=case or None,
        cell=cell or None,
        unit=unit or None,
        since=since,
        until=until,
        days=days,
    )


_NARROWED = {"narrowed": Provide(narrowed, sync_to_thread=False)}


@get("/api/v1/quarantine", opt=access(*CENTRE), dependencies=_NARROWED)
async def list_quarantine(
    request: HttpRequest,
    caller: Caller,
    narrowed: kept.Wanted,
    after: Annotated[int | None, Parameter(ge=1, le=1 << 62)] = None,
    limit: Annotated[int, Parameter(ge=1, le=200)] = 50,
) -> dict[str, Any]:
    """Newest first, each with a sentence, of what the caller may open. `state` may be all, `days` is an age."""
    now = district_of(request, caller).clock.now_ms()

    def question(sight: Sight) -> tuple[list[dict[str, Any]], int | None]:
        return kept.visible_items(sight, narrowed, now=now, after=after, limit=limit)

    items, following = await look(request, caller, question)
    return {"items": items, "next": following}


@get("/api/v1/quarantine/counts", opt=access(*CENTRE, "admin", "data_officer"), dependencies=_NARROWED)
async def count_quarantine(request: HttpRequest, caller: Caller, narrowed: kept.Wanted) -> dict[str, Any]:
    """How many for each reason, of what the caller may know of; without the right to open, no figure below five."""
    now = district_of(request, caller).clock.now_ms()
    return await look(request, caller, lambda sight: kept.counts(sight, narrowed, now=now))


@post("/api/v1/quarantine/{item_id:str}/acts", opt=access(*CENTRE), status_code=200)
async def act_on_item(
    request: HttpRequest, caller: Caller, item_id: str, data: dict[str, Any]
) -> dict[str, Any]:
    """`apply` in its author's name, `merge {values?}` in the caller's (409 `still_impossible`), `discard {reason}`."""
    row, payload = await look(request, caller, lambda sight: kept_work.find_item(sight, item_id))
    work = kept_work.decide_work(row, payload, writer_of(caller), kept_work.chosen(*act_in(data)))
    done = await district_of(request, caller).writer.submit(work, actor=actor_of(caller))
    answer: dict[str, Any] = msgspec.to_builtins(done)
    return answer


@post("/api/v1/quarantine/acts", opt=access(*CENTRE), status_code=200)
async def act_on_items(request: HttpRequest, caller: Caller, data: dict[str, Any]) -> dict[str, Any]:
    """The same act on many `ids`: each is decided alone, and each has its answer."""
    act, args = act_in(data)
    wanted = kept_work.chosen(act, args)
    given = args.get("ids")
    ids = [one for one in given if isinstance(one, str)] if isinstance(given, list) else []
    if not ids or len(ids) != len(given or ()) or len(ids) > _IDS_MAX:
        raise Unprocessable(f"须给出 1 到 {_IDS_MAX} 项的编号。", missing=["ids"])
    if wanted.values:
        raise Unprocessable("更正内容须逐项给出。", missing=["values"])
    return {"results": [await _one(request, caller, one, wanted) for one in dict.fromkeys(ids)]}


async def _one(
    request: HttpRequest, caller: Caller, item_id: str, wanted: kept_work.Chosen
) -> dict[str, Any]:
    try:
        row, payload = await look(request, caller, lambda sight: kept_work.find_item(sight, item_id))
        work = kept_work.decide_work(row, payload, writer_of(caller), wanted)
        done = await district_of(request, caller).writer.submit(work, actor=actor_of(caller))
    except StoreUnavailable:
        raise  # of all: what has no answer can be asked again
    except SyncError as error:
        return {"id": item_id, "ok": False, "code": error.code, "detail": error.detail}
    told: dict[str, Any] = msgspec.to_builtins(done)
    return told | {"ok": True}


HANDLERS = [list_quarantine, count_quarantine, act_on_item, act_on_items]
