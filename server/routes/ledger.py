"""修改对照: the lines of a document, and what a person decides on one."""

from typing import Annotated, Any, Literal

import msgspec
from litestar import Request, get, post
from litestar.params import Parameter

from server.auth.callers import Caller
from server.console.asking import act_in, actor_of, district_of, look, writer_of
from server.console.ledger import lines_of
from server.console.records import look_work
from server.console.scope import Sight
from sync.errors import NotFound
from sync.ledger_work import line_of, review_work
from sync.values import Collection, Level

HttpRequest = Request[Any, Any, Any]
Kept = Literal["cases", "entries", "visits", "households", "files"]


@get("/api/v1/ledger/{collection:str}/{doc_id:str}", opt={"access": "user"})
async def get_ledger(request: HttpRequest, caller: Caller, collection: Kept, doc_id: str) -> dict[str, Any]:
    """What two have written of one thing in a document that the caller sees in full. The look is recorded."""
    doc, lines = await look(request, caller, lambda sight: lines_of(sight, Collection[collection], doc_id))
    await district_of(request, caller).writer.submit(look_work(doc.pk), actor=actor_of(caller))
    return {"items": lines}


@post("/api/v1/ledger/{line_id:int}/acts", opt={"access": "user"}, status_code=200)
async def act_on_line(
    request: HttpRequest,
    caller: Caller,
    line_id: Annotated[int, Parameter(ge=1, le=1 << 62)],
    data: dict[str, Any],
) -> dict[str, Any]:
    """`take` writes the other value in the caller's name, `leave` keeps what stands; 409 says why it cannot be."""

    def seen(sight: Sight) -> None:
        _, doc = line_of(sight.reader, line_id)
        if sight.level(doc) != Level.full:
            raise NotFound

    await look(request, caller, seen)
    act, args = act_in(data)
    work = review_work(writer_of(caller), line_id, act, args)
    done = await district_of(request, caller).writer.submit(work, actor=actor_of(caller))
    answer: dict[str, Any] = msgspec.to_builtins(done)
    return answer


HANDLERS = [get_ledger, act_on_line]
