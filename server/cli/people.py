"""Accounts and their roles."""

import sys
from collections.abc import Callable
from datetime import datetime, timedelta

import click
import msgspec

from server.cli.common import P, R, call_district, data_option, district_option, main, reported
from sync.cases.model import CIVIL


@main.group()
def users() -> None:
    """Accounts and their roles."""


def _password(given: str | None, *, stdin: bool) -> str:
    if stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if given is not None:
        return given
    entered: str = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    return entered


def _asks_password(command: Callable[P, R]) -> Callable[P, R]:
    command = click.option(
        "--password", help="Asked for when left out; others can see it in the process list."
    )(command)
    return click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")(
        command
    )


@users.command(name="add")
@click.argument("username")
@click.option("--name", required=True, help="The person's name.")
@click.option(
    "--role", "roles", multiple=True, metavar="ROLE@UNIT", help="As clerk@U1 or grid_worker@cell:CODE."
)
@_asks_password
@district_option
@data_option
@reported
def users_add(
    username: str,
    name: str,
    roles: tuple[str, ...],
    password: str | None,
    password_stdin: bool,
    district: str | None,
    data: str | None,
) -> None:
    """Make an account."""
    granted = [_role(text) for text in roles]
    identity = call_district(
        "users_add",
        data,
        username=username,
        name=name,
        password=_password(password, stdin=password_stdin),
        roles=granted,
        district=district,
    )
    click.echo(identity)


def _role(text: str) -> dict[str, str]:
    role, separator, place = text.partition("@")
    if not separator or not role or not place:
        raise click.BadParameter(f"{text!r} is not of the form ROLE@UNIT or ROLE@cell:CODE.")
    if place.startswith("cell:"):
        return {"role": role, "cell": place.removeprefix("cell:")}
    return {"role": role, "unit": place}


@users.command(name="list")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@district_option
@data_option
@reported
def users_list(as_json: bool, district: str | None, data: str | None) -> None:
    """Every account with its roles."""
    rows = call_district("users_list", data, district=district)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(rows)).decode())
        return
    for row in rows:
        roles = " ".join(f"{role['role']}@{role['unit'] or role['cell']}" for role in row["roles"])
        click.echo(f"{row['username']}\t{row['name']}\t{row['state']}\t{roles}")


@users.command(name="passwd")
@click.argument("username")
@_asks_password
@district_option
@data_option
@reported
def users_passwd(
    username: str, password: str | None, password_stdin: bool, district: str | None, data: str | None
) -> None:
    """Give somebody a new password: they are signed out everywhere, and a lock is lifted."""
    new = _password(password, stdin=password_stdin)
    call_district("users_passwd", data, username=username, password=new, district=district)
    click.echo(f"{username} has a new password.")


@users.command(name="grant")
@click.argument("username")
@click.argument("role")
@click.option("--unit", help="Code of the unit.")
@click.option("--cell", help="Code of the cell.")
@click.option("--stands-in-for", metavar="USERNAME", help="Holiday cover for somebody.")
@click.option(
    "--until",
    type=click.DateTime(["%Y-%m-%d"]),
    help="The last day of it, in China's time; it ends by itself with the day.",
)
@district_option
@data_option
@reported
def users_grant(
    username: str,
    role: str,
    unit: str | None,
    cell: str | None,
    stands_in_for: str | None,
    until: datetime | None,
    district: str | None,
    data: str | None,
) -> None:
    """Give somebody a role at a unit or at a cell."""
    if (unit is None) == (cell is None):
        raise click.UsageError("Name a unit or a cell.")
    call_district(
        "users_grant",
        data,
        username=username,
        role=role,
        unit=unit,
        cell=cell,
        stands_in_for=stands_in_for,
        until_at=None if until is None else _end_of(until),
        district=district,
    )
    ends = "" if until is None else f" until the end of {until:%Y-%m-%d}"
    click.echo(f"{username} is {role} at {unit or cell}{ends}.")


def _end_of(day: datetime) -> int:
    return int((day.replace(tzinfo=CIVIL) + timedelta(days=1)).timestamp() * 1000)


@users.command(name="revoke")
@click.argument("username")
@click.argument("role", required=False)
@click.option("--unit", help="Only at this unit.")
@click.option("--cell", help="Only at this cell.")
@district_option
@data_option
@reported
def users_revoke(
    username: str,
    role: str | None,
    unit: str | None,
    cell: str | None,
    district: str | None,
    data: str | None,
) -> None:
    """End a role of somebody, or all of them; at once."""
    ended = call_district(
        "users_revoke", data, username=username, role=role, unit=unit, cell=cell, district=district
    )
    click.echo(f"{ended} roles ended.")


@users.command(name="close")
@click.argument("username")
@click.option("--reopen", is_flag=True, help="Open a closed account again.")
@district_option
@data_option
@reported
def users_close(username: str, reopen: bool, district: str | None, data: str | None) -> None:
    """Close an account: it is signed out everywhere at once."""
    call_district(
        "users_state", data, username=username, state="active" if reopen else "closed", district=district
    )
    click.echo(f"{username} is {'open' if reopen else 'closed'}.")


@users.command(name="scope-policy")
@click.argument("policy", type=click.Choice(["warn", "refuse"]))
@district_option
@data_option
@reported
def users_scope_policy(policy: str, district: str | None, data: str | None) -> None:
    """Whether a worker whose cells hold 20,000 documents may be granted more (warn) or not (refuse)."""
    call_district("users_scope_policy", data, policy=policy, district=district)
    click.echo(f"Grants beyond what a phone carries: {policy}.")


@users.command(name="revoke-device")
@click.argument("username")
@click.argument("device")
@district_option
@data_option
@reported
def users_revoke_device(username: str, device: str, district: str | None, data: str | None) -> None:
    """Stop a lost phone: what it still hands in is put aside, and it is told to wipe itself."""
    call_district("users_revoke_device", data, username=username, device=device, district=district)
    click.echo(f"The device {device} is stopped.")
