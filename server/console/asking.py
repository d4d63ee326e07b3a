"""Between a request and the core: the caller's district, his sight of it, and bodies fit to be stored."""

from collections.abc import Callable
from typing import Any, Final, TypeVar

from litestar import Request

from server.auth.callers import Caller
from server.auth.guards import runtime_of
from server.console.scope import Sight
from server.districts import District
from sync.cases.catalogue import ROLES
from sync.errors import Unprocessable
from sync.pull import Caller as Puller
from sync.store import Reader

HttpRequest = Request[Any, Any, Any]
T = TypeVar("T")
# Nobody of these has a case in view, whatever else he may do here.
NO_CASES: Final = frozenset({"admin", "auditor", "data_officer", "integration"})
_INTEGER_MAX: Final = 1 << 63


def access(*roles: str) -> dict[str, Any]:
    """The declared access of a route for these roles."""
    return {"access": f"role:{','.join(sorted(roles))}"}


def case_roles() -> tuple[str, ...]:
    """Every role that may have cases in view."""
    return tuple(code for code in ROLES if code not in NO_CASES)


def district_of(request: HttpRequest, caller: Caller) -> District:
    """The caller's district."""
    return runtime_of(request).district(caller.district)


async def look(request: HttpRequest, caller: Caller, question: Callable[[Sight], T]) -> T:
    """What `question` finds in one snapshot, with the eyes of the caller."""
    district = district_of(request, caller)

    def ask(reader: Reader) -> T:
        return question(Sight(reader, district.config_of(reader), caller.user_pk, district.keys))

    return await district.read(ask)


def writer_of(caller: Caller) -> Puller:
    """The caller as the core knows somebody who writes."""
    return Puller(
        user_pk=caller.user_pk,
        user_id=caller.user_id,
        user_name=caller.username,
        device_pk=caller.device_pk,
        device_id=caller.device_id,
        registered=0,
        marks={},
    )


def actor_of(caller: Caller) -> str:
    """The caller in the audit."""
    return f"user:{caller.user_id}"


def act_in(data: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The act of a body ``{act, …}`` and its arguments; raises ``Unprocessable`` without one."""
    given = check_numbers(data)
    act = given.get("act")
    if not isinstance(act, str) or not act:
        raise Unprocessable("须写明办理动作。", missing=["act"])
    inner = given.get("args")
    rest = {name: value for name, value in given.items() if name not in {"act", "args"}}
    return act, {**(inner if isinstance(inner, dict) else {}), **rest}


def check_numbers(data: dict[str, Any]) -> dict[str, Any]:
    """The body itself; raises ``Unprocessable`` for whole numbers that no database keeps."""
    waiting: list[Any] = [data]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
        elif isinstance(value, int) and not -_INTEGER_MAX <= value < _INTEGER_MAX:
            raise Unprocessable("整数过大。")
    return data
