"""Devices of the district as whoever looks after them needs to know of them."""

from typing import Any

from litestar import Request, get

from server.auth.callers import Caller
from server.console.asking import access, district_of
from server.console.suspicions import suspicions
from sync.store import Reader

HttpRequest = Request[Any, Any, Any]


@get("/api/v1/devices/suspicions", opt=access("admin", "centre_director"))
async def list_suspicions(request: HttpRequest, caller: Caller) -> dict[str, Any]:
    """Devices whose recent fixes look mis-tagged: figures, the coordinate system that fits better, a sentence."""
    district = district_of(request, caller)
    now = district.clock.now_ms()

    def question(reader: Reader) -> dict[str, Any]:
        return suspicions(reader, district.config_of(reader), now=now)

    return await district.read(question)


HANDLERS = [list_suspicions]
