"""Whether the server lives, whether it can serve, and its figures."""

from typing import Any

from litestar import MediaType, Request, Response, get
from msgspec import Struct

from server.auth.guards import runtime_of
from sync.errors import StoreFailed, StoreUnavailable

HttpRequest = Request[Any, Any, Any]


class Health(Struct):
    """`status` is ok."""

    status: str = "ok"


@get("/health/live", opt={"access": "open"}, sync_to_thread=False)
def live() -> Health:
    """The process answers."""
    return Health()


@get("/health/ready", opt={"access": "open"})
async def ready(request: HttpRequest) -> Health:
    """Every district's database can be read and its writer takes work; 503 otherwise."""
    runtime = runtime_of(request)
    if runtime.hub.closing or not runtime.districts:
        raise StoreUnavailable("The server is not serving.", retry_after=5)
    for district in list(runtime.districts.values()):
        if district.store.failed:
            raise StoreFailed
        await district.read(lambda reader: reader.head())
    return Health()


@get("/metrics", opt={"access": "metrics"}, media_type=MediaType.TEXT, sync_to_thread=False)
def metrics(request: HttpRequest) -> Response[str]:
    """Figures for Prometheus: from this machine, or with the metrics token as bearer."""
    return Response(
        runtime_of(request).metrics.text(),
        headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"},
    )


HANDLERS = [live, ready, metrics]
