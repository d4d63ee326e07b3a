"""What anybody may ask with a receipt in hand."""

from collections.abc import Callable
from typing import Any

from litestar import Request, get

from server.auth.guards import runtime_of
from server.console.progress import normalised, progress_of
from server.districts import District
from sync.errors import NotFound
from sync.store import Reader

HttpRequest = Request[Any, Any, Any]


@get("/public/v1/progress/{query_code:str}", opt={"access": "open"})
async def get_progress(request: HttpRequest, query_code: str) -> dict[str, Any]:
    """The status of the case behind a receipt and the next step; whatever else was asked for is the same 404."""
    code = normalised(query_code)
    if code is None:
        raise NotFound
    for district in list(runtime_of(request).districts.values()):
        found = await district.read(_question(district, code))
        if found is not None:
            return found
    raise NotFound


def _question(district: District, code: str) -> Callable[[Reader], dict[str, Any] | None]:
    def ask(reader: Reader) -> dict[str, Any] | None:
        return progress_of(reader, district, code)

    return ask


HANDLERS = [get_progress]
