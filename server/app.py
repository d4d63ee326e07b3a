"""The application: routes, guards, errors and what lives as long as the process."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from litestar import Litestar, Request, Router
from litestar.config.cors import CORSConfig
from litestar.datastructures import State
from litestar.di import Provide
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme

from server import strict_json
from server.admission import Admission
from server.auth.guards import provide_caller, require_access
from server.auth.lockout import PerMinute, Phantoms, Tries
from server.auth.tokens import KnownTokens
from server.errors import EXCEPTION_HANDLERS
from server.jobs import schedule
from server.metrics import Metrics
from server.packing import EncodingRefused, encoding_of, make_packing, unpacked
from server.routes import all_handlers
from server.routes.files import EXPOSED
from server.routes.pages import read_pages
from server.routes.sync import DIGESTS_A_MINUTE, WIPE_HEADER
from server.runtime import Runtime
from server.scopes import Scopes
from server.settings import Settings
from server.shield import make_before_send, make_shield

BODY_MAX = 1 << 20
PAGES_FOLDER = Path(__file__).resolve().parent.parent / "web" / "dist"


class StrictRequest(Request[Any, Any, Any]):
    """A request whose JSON is read strictly, and whose body may come compressed where the route says so."""

    async def stream(self) -> AsyncGenerator[bytes, None]:
        """The body in pieces, unpacked; raises what ``packing.unpacked`` raises."""
        encoding = encoding_of(self.headers.get("content-encoding", ""))
        plain = super().stream()
        if encoding is None:
            async for piece in plain:
                yield piece
            return
        if not self.route_handler.opt.get("packed_body"):
            raise EncodingRefused(accepted=[])
        async for piece in unpacked(
            encoding, plain, self.route_handler.resolve_request_max_body_size() or BODY_MAX
        ):
            yield piece

    async def json(self) -> Any:
        """The body's value; raises the errors of ``strict_json``."""
        body = await self.body()
        return strict_json.parse(body, max_bytes=max(BODY_MAX, len(body)))


def create_app(
    settings: Settings,
    *,
    handlers: Sequence[Any] | None = None,
    jobs: Sequence[schedule.Job] | None = None,
    on_ready: Callable[[Runtime], None] | None = None,
) -> Litestar:
    """The application for `settings`; the databases open with its lifespan.

    `handlers` and `jobs` replace those of the program; `on_ready` is called once everything is open.
    ``app.state.runtime`` is the ``Runtime``.
    """
    runtime, scopes = Runtime(settings), Scopes()
    describe(runtime.metrics, runtime)
    runtime.metrics.gauge(
        "wangge_large_scopes", "People whose places hold more than a phone carries well.", scopes.figures
    )

    @asynccontextmanager
    async def living(app: Litestar) -> AsyncIterator[None]:
        with ExitStack() as held:
            if not runtime.is_open:  # a server process has opened it before it listens, to say what is wrong
                held.enter_context(runtime.database.lock())
                held.callback(runtime.close)
                runtime.open()
            scheduler = schedule.start(runtime, schedule.all_jobs() if jobs is None else jobs)
            held.callback(scheduler.shutdown, wait=False)
            app.state.scheduler = scheduler
            if settings.postgres:
                from server.others import Others  # with the driver of PostgreSQL

                others = Others(app, runtime)
                others.start()
                held.callback(others.stop)
                others.describe(runtime.metrics)
            if on_ready is not None:
                on_ready(runtime)
            yield

    lifespan: list[Callable[[Litestar], AbstractAsyncContextManager[None]]] = [living]
    return Litestar(
        route_handlers=list(all_handlers() if handlers is None else handlers),
        lifespan=lifespan,
        guards=[require_access],
        dependencies={"caller": Provide(provide_caller)},
        middleware=[make_shield(settings, runtime.metrics), make_packing()],
        before_send=[make_before_send(settings)],
        exception_handlers=EXCEPTION_HANDLERS,
        request_class=StrictRequest,
        request_max_body_size=BODY_MAX,
        cors_config=CORSConfig(
            allow_origins=list(settings.cors_origins),
            expose_headers=sorted({WIPE_HEADER, "Retry-After", *EXPOSED}),
        )
        if settings.cors_origins
        else None,
        openapi_config=_openapi(),
        logging_config=None,
        debug=False,
        state=State(
            {
                "runtime": runtime,
                "callers": {},
                "known_tokens": KnownTokens(),
                "used_commands": {},
                "phantoms": Phantoms(),
                "tries": Tries(),
                "address_limit": PerMinute(),
                "digest_limit": PerMinute(DIGESTS_A_MINUTE),
                "scopes": scopes,
                "admission": Admission(settings, runtime.metrics),
                "pages": read_pages(PAGES_FOLDER),
            }
        ),
    )


def _openapi() -> OpenAPIConfig:
    return OpenAPIConfig(
        title="wangge",
        version=version("wangge"),
        openapi_router=Router("/schema", route_handlers=[], opt={"access": "open"}),
        render_plugins=[JsonRenderPlugin()],
        components=Components(
            security_schemes={"bearer": SecurityScheme(type="http", scheme="bearer", bearer_format="JWT")}
        ),
        security=[{"bearer": []}],
    )


def describe(metrics: Metrics, runtime: Runtime) -> None:
    """Name the figures of this process."""
    hub = runtime.hub
    metrics.describe("wangge_requests_total", "Requests answered, by route and status.")
    metrics.describe("wangge_request_seconds", "Time from a request to the end of its answer.")
    metrics.describe("wangge_job_failures_total", "Jobs that ended in an error.")
    metrics.gauge("wangge_streams", "Open streams of pokes.", lambda: [((), hub.streams)])
    metrics.gauge(
        "wangge_district_head",
        "The district's logical clock.",
        lambda: [((("district", code),), open_.head.seq) for code, open_ in list(runtime.districts.items())],
    )
    metrics.describe("wangge_reads_ended_total", "Reads that lasted too long and were ended.")
    metrics.gauge(
        "wangge_log_bytes",
        "Size of SQLite's write-ahead log.",
        lambda: [
            ((("district", code),), open_.store.log_bytes())
            for code, open_ in list(runtime.districts.items())
        ],
    )
    metrics.gauge(
        "wangge_writes_waiting",
        "Works in the queue of the district's writer.",
        lambda: [
            ((("district", code),), open_.writer.waiting) for code, open_ in list(runtime.districts.items())
        ],
    )
    metrics.gauge(
        "wangge_commits",
        "Transactions the writer has committed since the start.",
        lambda: [
            ((("district", code),), open_.writer.commits) for code, open_ in list(runtime.districts.items())
        ],
    )
