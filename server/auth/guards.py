"""Who may call a route: every route declares it, and one that does not is closed.

``opt={"access": …}`` is one of

- ``open``: anybody,
- ``user``: anybody who is signed in,
- ``user:late``: also from a revoked device, which may sign out and hand in what it holds (PU13),
- ``role:a,b``: somebody who has one of these roles in the district,
- ``stream``: bearer or ticket, looked at by the route itself,
- ``metrics``: this machine, or the metrics token,
- ``command``: the command line on this machine.
"""

import hmac
import ipaddress
from typing import Any

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.datastructures import State
from litestar.handlers.base import BaseRouteHandler

from server.auth.callers import Caller, Callers
from server.auth.tokens import KnownTokens, read_command_token
from server.clocks import wall_ms
from server.errors import SessionEnded, Unauthorized
from server.runtime import Runtime
from server.settings import is_loopback
from sync.errors import Forbidden

Connection = ASGIConnection[Any, Any, Any, State]
_FORWARDED = ("x-forwarded-for", "forwarded", "x-real-ip")


class CommandCaller:
    """The command line, as an OS user of this machine."""

    def __init__(self, os_user: str) -> None:
        self.os_user = os_user


def runtime_of(connection: Connection) -> Runtime:
    """The runtime behind a connection."""
    runtime: Runtime = connection.app.state.runtime
    return runtime


def callers_of(connection: Connection, district: str) -> Callers:
    """The known callers of a district."""
    callers: dict[str, Callers] = connection.app.state.callers
    found = callers.get(district)
    if found is None:
        found = callers.setdefault(district, Callers(runtime_of(connection).district(district)))
    return found


def session_changed(connection: Connection, district: str, *, user_pk: int | None = None) -> None:
    """Something may have ended sessions: whoever calls, and whoever has a stream open, is asked about at once (ES5).

    `user_pk` is the one user whom it concerns, None everybody.
    """
    runtime = runtime_of(connection)
    callers, hub = callers_of(connection, district), runtime.hub
    if runtime.herald is not None:
        runtime.herald.sessions(district, user_pk)
    if user_pk is None:
        callers.forget_all()
        hub.poke(district, 0, ())
    else:
        callers.forget_user(user_pk)
        hub.poke(district, 0, (), {user_pk})


def bearer_of(connection: Connection) -> str:
    """The bearer token of the request; raises ``Unauthorized``."""
    values = connection.headers.getall("authorization", [])
    if len(values) != 1:
        raise Unauthorized
    scheme, _, token = values[0].partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthorized
    return token.strip()


async def identify(connection: Connection, *, late: bool = False) -> Caller:
    """The caller of a request with a bearer token; raises ``Unauthorized``, ``SessionEnded`` or ``Forbidden``."""
    runtime = runtime_of(connection)
    wall = wall_ms()
    known: KnownTokens = connection.app.state.known_tokens
    claims = known.read(runtime.signing, bearer_of(connection), wall=wall, districts=runtime.districts)
    caller = await callers_of(connection, claims.district).caller(claims, wall)
    if caller.device_revoked and not late:
        raise SessionEnded("This device has been revoked.", wipe=True)
    return caller


async def require_access(connection: Connection, handler: BaseRouteHandler) -> None:
    """The guard of the whole app: denies unless the route's declared access is met."""
    access = str(handler.opt.get("access", ""))
    if access in {"open", "stream"}:
        return
    if access == "metrics":
        _require_metrics(connection)
    elif access == "command":
        connection.scope["user"] = _command_caller(connection)
    elif access in {"user", "user:late"} or access.startswith("role:"):
        caller = await identify(connection, late=access == "user:late")
        if access.startswith("role:") and not caller.roles & set(access.removeprefix("role:").split(",")):
            raise Forbidden
        connection.scope["user"] = caller
    else:
        raise Forbidden("This route declares no access.")


async def provide_caller(request: Request[Any, Any, Any]) -> Caller:
    """The caller that the guard has let in: a dependency named ``caller``."""
    caller = request.scope.get("user")
    if not isinstance(caller, Caller):
        raise Unauthorized
    return caller


def _require_metrics(connection: Connection) -> None:
    token = runtime_of(connection).settings.metrics_token
    if token:
        if not hmac.compare_digest(bearer_of(connection).encode(), token.encode()):
            raise Unauthorized
    elif not from_this_machine(connection):
        raise Unauthorized


def _command_caller(connection: Connection) -> CommandCaller:
    if not from_this_machine(connection):
        raise Unauthorized
    wall = wall_ms()
    os_user, jti = read_command_token(runtime_of(connection).signing, bearer_of(connection), wall=wall)
    used: dict[str, int] = connection.app.state.used_commands
    for name in [name for name, until in used.items() if until < wall]:
        del used[name]
    if jti in used:
        raise Unauthorized
    used[jti] = wall + 10 * 60_000
    return CommandCaller(os_user)


def from_this_machine(connection: Connection) -> bool:
    """Whether the request comes from this machine itself, and not through a proxy on it."""
    client = connection.client
    if client is None or any(name in connection.headers for name in _FORWARDED):
        return False
    return is_loopback(client.host) or client.host == "testclient"


def address_of(connection: Connection) -> str:
    """The network address of whoever asks: the nearest one in X-Forwarded-For that is no trusted proxy.

    The header counts only when the connection itself comes from a trusted proxy.
    """
    client = connection.client.host if connection.client else ""
    trusted = [
        ipaddress.ip_network(text, strict=False) for text in runtime_of(connection).settings.trusted_proxies
    ]

    def is_trusted(text: str) -> bool:
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            return False
        return any(address in network for network in trusted)

    if not trusted or not is_trusted(client):
        return client
    chain = [
        part.strip() for part in connection.headers.get("x-forwarded-for", "").split(",") if part.strip()
    ]
    for hop in reversed(chain):
        if not is_trusted(hop):
            try:
                return str(ipaddress.ip_address(hop))
            except ValueError:
                return client
    return client
