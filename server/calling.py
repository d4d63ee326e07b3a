"""How the command line gets at a district: itself, or through the server that holds the database."""

import getpass
import os
from typing import Any

import httpx

from server.auth.tokens import make_command_token
from server.clocks import wall_ms
from server.commands import run_command
from server.database import Database
from server.keys import SystemChance, TokenKey
from server.locks import DatabaseBusy
from server.runtime import NotInitialised, opened
from server.settings import Settings
from sync.errors import SyncError

_WAIT_SECONDS = 600


class RemoteError(SyncError):
    """The running server refused the command."""

    code = "remote_error"
    status = 502


def os_user() -> str:
    """Who runs the command, for the audit record."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def call(settings: Settings, command: str, **args: Any) -> Any:
    """Run a command of ``server.commands`` here, or on the server that holds the lock; raises ``SyncError``."""
    database = Database(settings)
    try:
        if not database.exists:
            raise NotInitialised
        try:
            # a district that cannot be read is what `verify` is asked about
            with database.lock(), opened(settings, whatever_can_be=command == "verify") as runtime:
                try:
                    return run_command(runtime, command, args, f"cli:{os_user()}")
                finally:
                    if runtime.herald is not None and command.startswith("users_"):
                        for code in runtime.districts:
                            runtime.herald.sessions(code)
        except DatabaseBusy:
            url = database.holder_url()
            if url is None:
                raise
            return _call_server(settings, url, command, args)
    finally:
        database.close()


def _call_server(settings: Settings, url: str, command: str, args: dict[str, Any]) -> Any:
    wall = wall_ms()
    key = TokenKey.of(settings.keys_folder)
    token = make_command_token(key, os_user(), wall=wall, jti=SystemChance().uuid7(wall))
    try:
        answer = httpx.post(
            f"{url}/api/v1/admin/command",
            json={"command": command, "args": args},
            headers={"Authorization": f"Bearer {token}"},
            timeout=_WAIT_SECONDS,
            trust_env=False,  # a proxy of the environment has no business on loopback
        )
    except httpx.HTTPError as error:
        raise RemoteError(f"The server at {url} holds the database but does not answer: {error}.") from error
    try:
        body = answer.json()
    except ValueError as error:
        raise RemoteError(f"The server at {url} answered {answer.status_code}.") from error
    if answer.status_code != httpx.codes.OK:
        fixed = {"type", "title", "status", "code", "detail", "detail_en"}
        extra = {name: value for name, value in body.items() if name not in fixed}
        raise RemoteError(body.get("detail") or body.get("detail_en", ""), **extra)
    return body["result"]
