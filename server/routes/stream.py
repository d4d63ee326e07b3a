"""The stream of pokes, and the ticket that opens it where no header can be sent."""

from functools import partial
from typing import Any

from litestar import Request, get, post
from litestar.response import Stream
from msgspec import Struct

from server.auth.callers import Caller
from server.auth.guards import callers_of, identify, runtime_of
from server.clocks import wall_ms
from server.errors import SessionEnded, TicketRefused
from sync.errors import StoreUnavailable

HttpRequest = Request[Any, Any, Any]


class TicketAnswer(Struct):
    """A ticket that opens one stream; `expires_in` in seconds."""

    ticket: str
    expires_in: int = 30


@post("/sync/v1/ticket", opt={"access": "user"}, status_code=201)
async def ticket(request: HttpRequest, caller: Caller) -> TicketAnswer:
    """A ticket for an EventSource, which cannot send a bearer token."""
    return TicketAnswer(runtime_of(request).hub.ticket(caller))


@get(
    "/sync/v1/stream",
    opt={"access": "stream"},
    media_type="text/event-stream",
    description="Events named RESYNC, with the dirty collections (null: all) and the head; never a document.",
)
async def stream(request: HttpRequest) -> Stream:
    """Pokes until the session, the token or the server ends."""
    runtime = runtime_of(request)
    given = request.query_params.getall("ticket", [])
    if given:
        caller = runtime.hub.redeem(given[0]) if len(given) == 1 else None
        if not isinstance(caller, Caller):
            raise TicketRefused
        if not await callers_of(request, caller.district).still(caller.session):
            raise SessionEnded
    else:
        caller = await identify(request)
    if runtime.hub.closing:
        raise StoreUnavailable("The server is stopping.", retry_after=5)
    district = runtime.district(caller.district)
    life = caller.token_expires_at - wall_ms()
    still = partial(callers_of(request, caller.district).still, caller.session)
    return Stream(
        runtime.hub.stream(caller.district, caller.user_pk, district.head.seq, life, still),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store, no-transform", "X-Accel-Buffering": "no"},
    )


HANDLERS = [ticket, stream]
