"""Legal erasures: asked for by the data protection officer, decided by somebody else."""

from typing import Annotated, Any, Literal

from litestar import Request, get, post
from litestar.params import Parameter
from msgspec import Meta, Struct

from server.auth.callers import Caller
from server.console.asking import access, actor_of, district_of
from sync.erasing import ask_erasure, decide_erasure, erasures

HttpRequest = Request[Any, Any, Any]


class Wanted(Struct, forbid_unknown_fields=True):
    """What is to be erased, with all that hangs on it, and why."""

    collection: Literal["cases", "entries", "visits", "households", "files"]
    id: Annotated[str, Meta(min_length=1, max_length=64)]
    reason: Annotated[
        str, Meta(min_length=1, max_length=64)
    ]  # looked at by the core, which does not repeat it


class Decision(Struct, forbid_unknown_fields=True):
    """Yes or no, of another person than who asked."""

    act: Literal["confirm", "refuse"]


@get("/api/v1/erasures", opt=access("data_officer", "centre_director"))
async def list_erasures(
    request: HttpRequest, caller: Caller, limit: Annotated[int, Parameter(ge=1, le=500)] = 100
) -> dict[str, Any]:
    """Newest first: asked for, done, refused; `swept` says that nothing is left in the file either."""
    return {"items": await district_of(request, caller).read(lambda reader: erasures(reader, limit))}


@post("/api/v1/erasures", opt=access("data_officer"), status_code=201)
async def add_erasure(request: HttpRequest, caller: Caller, data: Wanted) -> dict[str, Any]:
    """Ask for an erasure: 201 `{id}`; nothing is erased before another person confirms it."""
    work = ask_erasure(data.collection, data.id, data.reason)
    return {"id": await district_of(request, caller).writer.submit(work, actor=actor_of(caller))}


@post(
    "/api/v1/erasures/{erasure_id:str}/acts", opt=access("data_officer", "centre_director"), status_code=200
)
async def act_on_erasure(
    request: HttpRequest, caller: Caller, erasure_id: str, data: Decision
) -> dict[str, Any]:
    """`confirm` erases in one commit, `refuse` does not; 409 `needs_another_person` for who asked for it."""
    work = decide_erasure(erasure_id, confirm=data.act == "confirm")
    done = await district_of(request, caller).writer.submit(work, actor=actor_of(caller))
    return {"documents": done.documents}


HANDLERS = [list_erasures, add_erasure, act_on_erasure]
