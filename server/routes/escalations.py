"""The leaders' queue, and what a leader does with a row of it."""

from typing import Annotated, Any, Literal

from litestar import Request, get, post
from litestar.params import Parameter

from server.auth.callers import Caller
from server.console.ahead import coming
from server.console.asking import access, act_in, actor_of, district_of, look, writer_of
from server.console.raised import QUEUE_ROLES, item_of, items_of, open_row, visible_rows
from server.console.scope import Sight
from sync.acting_work import ActForbidden
from sync.errors import NotFound
from sync.queue_work import queue_act_work

HttpRequest = Request[Any, Any, Any]


@get("/api/v1/escalations", opt=access(*QUEUE_ROLES))
async def list_escalations(
    request: HttpRequest,
    caller: Caller,
    wanted: Annotated[Literal["open", "closed"], Parameter(query="state")] = "open",
    limit: Annotated[int, Parameter(ge=1, le=1000)] = 500,
) -> dict[str, Any]:
    """What is stuck and has been raised, the highest level and the longest waiting first; `tomorrow`: what will be."""
    district = district_of(request, caller)
    now = district.clock.now_ms()

    def question(sight: Sight) -> dict[str, Any]:
        rows = visible_rows(sight, closed=wanted == "closed", limit=limit)
        return {
            "items": items_of(sight, rows, now),
            "tomorrow": coming(sight, now) if wanted == "open" else [],
        }

    return await look(request, caller, question) | {"now": now, "demo": district.demo}


@post("/api/v1/escalations/{row_id:str}/acts", opt=access(*QUEUE_ROLES), status_code=200)
async def act_on_row(
    request: HttpRequest, caller: Caller, row_id: str, data: dict[str, Any]
) -> dict[str, Any]:
    """`acknowledge {until}`, `instruct {text, due_at, unit?}`, `sponsor {until}`, `send_back`, `extend {days}`."""
    await look(request, caller, lambda sight: open_row(sight, row_id))
    act, args = act_in(data)
    if act == "send_back" and "deadline" not in args and "due_at" in args:
        args["deadline"] = args.pop("due_at")
    district = district_of(request, caller)
    try:
        work = queue_act_work(writer_of(caller), row_id, act, args)
        done = await district.writer.submit(work, actor=actor_of(caller))
    except NotFound as error:
        # He sees the row (asked above); it is another's to answer.
        raise ActForbidden from error
    now = district.clock.now_ms()

    def question(sight: Sight) -> dict[str, Any] | None:
        try:
            row, seen = open_row(sight, row_id)
        except NotFound:
            return None
        return item_of(sight, row, seen, now)

    item = await look(request, caller, question)
    return {"item": item, "case_id": done.case_id, "entry_id": done.entry_id, "now": now}


HANDLERS = [list_escalations, act_on_row]
