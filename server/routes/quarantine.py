"""待核箱: what could not be applied, and what the centre does with it."""

from typing import Annotated, Any

import msgspec
from litestar import Request, get, post
from litestar.params import Parameter

from server.auth.callers import Caller
from server.console import kept
from server.console.asking import access, act_in, actor_of, district_of, look
from server.console.scope import CENTRE
from sync.errors import Unprocessable

HttpRequest = Request[Any, Any, Any]
Word = Annotated[str | None, Parameter(max_length=64, pattern=r"^[A-Za-z0-9_.:\-]*$")]
_REASON_MAX = 500


@get("/api/v1/quarantine", opt=access(*CENTRE, "admin", "data_officer"))
async def list_quarantine(
    request: HttpRequest,
    caller: Caller,
    reason: Word = None,
    wanted: Annotated[str, Parameter(query="state", max_length=64, pattern=r"^[A-Za-z0-9_.:\-]*$")] = "open",
    user: Word = None,
    after: Annotated[int | None, Parameter(ge=1, le=1 << 62)] = None,
    limit: Annotated[int, Parameter(ge=1, le=200)] = 50,
) -> dict[str, Any]:
    """Newest first; only the centre sees what is inside. `state` is open, applied, discarded, or all."""

    def question(sight: Any) -> tuple[list[dict[str, Any]], int | None]:
        return kept.visible_items(
            sight,
            state=None if wanted in {"all", ""} else wanted,
            reason=reason or None,
            user=user or None,
            after=after,
            limit=limit,
        )

    items, following = await look(request, caller, question)
    return {"items": items, "next": following}


@post("/api/v1/quarantine/{item_id:str}/acts", opt=access(*CENTRE), status_code=200)
async def act_on_item(
    request: HttpRequest, caller: Caller, item_id: str, data: dict[str, Any]
) -> dict[str, Any]:
    """`apply` pushes it again in its author's name (409 `still_impossible`); `discard` wants a `reason`."""
    row, payload = await look(request, caller, lambda sight: kept.find_item(sight, item_id))
    act, args = act_in(data)
    reason = args.get("reason")
    if act == "apply":
        work = kept.apply_work(row, payload, caller.user_pk)
    elif act == "discard":
        if not isinstance(reason, str) or not reason.strip() or len(reason) > _REASON_MAX:
            raise Unprocessable("存查须写明理由。", missing=["reason"])
        work = kept.discard_work(row, caller.user_pk, reason.strip())
    else:
        raise Unprocessable("待核项只能再次提交或存查。", missing=["act"])
    done = await district_of(request, caller).writer.submit(work, actor=actor_of(caller))
    answer: dict[str, Any] = msgspec.to_builtins(done)
    return answer


HANDLERS = [list_quarantine, act_on_item]
