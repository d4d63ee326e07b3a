"""What every request passes: the host name it was asked under, headers that protect, counting and the log line."""

import logging
from typing import Any

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from server.clocks import monotonic_ms
from server.metrics import Metrics
from server.settings import Settings, is_loopback
from sync.errors import BadRequest

_log = logging.getLogger("wangge.requests")

API_POLICY = "default-src 'none'; frame-ancestors 'none'; sandbox"
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), geolocation=(self), microphone=(self), payment=(), usb=()",
}
# Every answer of an address of uploads says which tus is spoken, the refusal of another version too.
FILES_PATH = "/files/v1"
TUS_HEADERS = {"Tus-Resumable": "1.0.0", "Tus-Version": "1.0.0"}
TLS_HEADER = ("Strict-Transport-Security", "max-age=31536000; includeSubDomains")


class AddressRefused(BadRequest):
    """A NUL in an address: not every database can look for it, and no id or word has one."""

    code = "address_refused"


class HostRefused(BadRequest):
    """The server does not answer to this host name."""

    code = "host_refused"


def host_is_allowed(settings: Settings, hosts: list[str]) -> bool:
    """Whether the Host headers of a request name this server: exactly one, named in the settings or loopback."""
    if len(hosts) != 1:
        return False
    host = hosts[0].strip().lower()
    name = host[: host.rfind("]") + 1] if host.startswith("[") else host.split(":", 1)[0]
    if name in {allowed.lower() for allowed in settings.allowed_hosts} or is_loopback(name):
        return True
    return settings.purpose == "test" and name in {"testserver", "testserver.local"}


def make_shield(settings: Settings, metrics: Metrics) -> Any:
    """The middleware factory."""

    def shield(app: ASGIApp) -> ASGIApp:
        async def inner(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != ScopeType.HTTP:
                await app(scope, receive, send)
                return
            hosts = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
            if not host_is_allowed(settings, hosts):
                raise HostRefused
            if "\0" in scope["path"] or b"%00" in scope["query_string"]:
                raise AddressRefused
            began = monotonic_ms()
            status = 500

            async def counting(message: Message) -> None:
                nonlocal status
                if message["type"] == "http.response.start":
                    status = message["status"]
                await send(message)

            try:
                await app(scope, receive, counting)
            finally:
                _record(scope, metrics, status, monotonic_ms() - began)

        return inner

    return shield


def _record(scope: Scope, metrics: Metrics, status: int, milliseconds: int) -> None:
    route = scope.get("path_template") or "unknown"
    method = str(scope.get("method", ""))
    metrics.count("wangge_requests_total", (("method", method), ("route", route), ("status", str(status))))
    if route != "/sync/v1/stream":
        metrics.observe("wangge_request_seconds", milliseconds / 1000, (("route", route),))
    # the template, never the path or the query: those hold ids, codes of receipts, words that were searched for
    _log.info(
        "request", extra={"fields": {"method": method, "route": route, "status": status, "ms": milliseconds}}
    )


def make_before_send(settings: Settings) -> Any:
    """The hook that puts the protecting headers on every answer, errors included, where it has none of that name."""
    always = HEADERS | {"Content-Security-Policy": API_POLICY, "Cache-Control": "no-store"}
    if settings.behind_tls_proxy:
        always |= dict([TLS_HEADER])
    pairs, of_files = _encoded(always), _encoded(always | TUS_HEADERS)

    async def protect(message: Message, scope: Scope) -> None:
        if message["type"] == "http.response.start" and scope["type"] == ScopeType.HTTP:
            headers = list(message["headers"])
            given = {name.lower() for name, _ in headers}
            wanted = of_files if scope["path"].startswith(FILES_PATH) else pairs
            message["headers"] = headers + [pair for pair in wanted if pair[0] not in given]

    return protect


def _encoded(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode(), value.encode()) for name, value in headers.items()]
