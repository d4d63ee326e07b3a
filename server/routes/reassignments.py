"""Mass re-assignments: who has asked for one, and how far it is."""

from typing import Annotated, Any, Literal

from litestar import Request, get, post
from litestar.params import Parameter
from msgspec import Meta, Struct

from server.auth.callers import Caller
from server.console.asking import access, actor_of, district_of
from sync.reassign import hand_over_unit, hand_over_worker, progress

HttpRequest = Request[Any, Any, Any]
Word = Annotated[str, Meta(min_length=1, max_length=64)]


class Handover(Struct, forbid_unknown_fields=True):
    """From one unit to another, by code; or from one person to another, by user name."""

    kind: Literal["unit", "worker"]
    source: Word
    target: Word


@get("/api/v1/reassignments", opt=access("admin", "centre_director"))
async def list_reassignments(
    request: HttpRequest, caller: Caller, limit: Annotated[int, Parameter(ge=1, le=200)] = 50
) -> dict[str, Any]:
    """Newest first, with how far each is: `looked_at` of `total`, and how many documents have moved."""
    return {"items": await district_of(request, caller).read(lambda reader: progress(reader, limit))}


@post("/api/v1/reassignments", opt=access("admin"), status_code=201)
async def add_reassignment(request: HttpRequest, caller: Caller, data: Handover) -> dict[str, Any]:
    """A unit's cells and open cases, or what one person has in hand, go to another; documents follow in pieces."""
    hand_over = hand_over_unit if data.kind == "unit" else hand_over_worker
    work = hand_over(data.source, data.target)
    return {"number": await district_of(request, caller).writer.submit(work, actor=actor_of(caller))}


HANDLERS = [list_reassignments, add_reassignment]
