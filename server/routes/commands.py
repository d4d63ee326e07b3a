"""The door through which the command line reaches a server that holds the database."""

import asyncio
from typing import Any

from litestar import Request, post
from msgspec import Struct

from server.auth.guards import CommandCaller, runtime_of, session_changed
from server.commands import run_command
from sync.errors import Forbidden

LAYER_MAX = 64 << 20  # a layer of cells comes as one argument


class CommandBody(Struct, forbid_unknown_fields=True):
    """One command of ``server.commands`` and its arguments."""

    command: str
    args: dict[str, Any]


@post("/api/v1/admin/command", opt={"access": "command"}, status_code=200, request_max_body_size=LAYER_MAX)
async def command(request: Request[Any, Any, Any], data: CommandBody) -> dict[str, Any]:
    """Run a command of the command line here; this machine only, with a token signed by its key."""
    caller = request.scope.get("user")
    if not isinstance(caller, CommandCaller):
        raise Forbidden
    runtime = runtime_of(request)
    actor = f"cli:{caller.os_user}"
    result = await asyncio.to_thread(run_command, runtime, data.command, data.args, actor)
    for code in list(runtime.districts):
        session_changed(request, code)
    return {"result": result}


HANDLERS = [command]
