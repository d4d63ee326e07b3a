"""The demo district's known accounts and its movable clock; for everybody else these addresses are not there."""

from typing import Annotated, Any

from litestar import Request, get, post
from msgspec import Meta, Struct

from server.auth.callers import Caller
from server.auth.guards import runtime_of
from server.console import demo
from sync.errors import NotFound

HttpRequest = Request[Any, Any, Any]


class AdvanceBody(Struct, forbid_unknown_fields=True):
    """How far the clock goes."""

    working_days: Annotated[int, Meta(ge=1, le=60)] = 1


@get("/api/v1/demo/accounts", opt={"access": "open"})
async def list_demo_accounts(request: HttpRequest) -> list[dict[str, Any]]:
    """Whom one may sign in as, passwords included: a demo district on this machine only."""
    district = demo.demo_district(request)
    config = await district.read(district.config_of)
    return demo.accounts(runtime_of(request).settings, config)


@post("/api/v1/demo/advance", opt={"access": "user"}, status_code=200)
async def advance_demo(request: HttpRequest, caller: Caller, data: AdvanceBody) -> dict[str, Any]:
    """Move the clock to the same hour so many working days later, and let what falls due take effect."""
    district = demo.demo_district(request)
    if caller.district != district.code:
        raise NotFound
    return await demo.advance(runtime_of(request), district, data.working_days)


HANDLERS = [list_demo_accounts, advance_demo]
