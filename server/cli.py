"""The command ``wangge``. Every command ends with 0 when it did what it says, 1 when it could not, 2 on bad use."""

import functools
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import click
import msgspec

from server.settings import BadSettings, Settings, load_settings, refusals
from sync.errors import SyncError

P = ParamSpec("P")
R = TypeVar("R")
_UNSAFE = 2


def _settings(purpose: str = "serve", **overrides: Any) -> Settings:
    try:
        return load_settings(os.environ, purpose=purpose, **overrides)
    except BadSettings as error:
        raise click.ClickException(str(error)) from error


def reported(command: Callable[P, R]) -> Callable[P, R]:
    """Turn our errors into a sentence on standard error and exit code 1."""

    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        from server.keys import KeyFileError
        from server.serve import CannotListen

        try:
            return command(*args, **kwargs)
        except SyncError as error:
            for fault in error.extra.get("faults", []):
                _echo_fault(fault)
            raise click.ClickException(error.detail or error.code) from error
        except (KeyFileError, CannotListen) as error:
            raise click.ClickException(str(error)) from error

    return wrapped


def _call(command: str, data: str | None, **args: Any) -> Any:
    from server.calling import call

    return call(_settings(data=data), command, **args)


def _echo_fault(fault: Any) -> None:
    if isinstance(fault, dict):
        text = fault.get("sentence_zh") or fault.get("zh") or ""
        english = fault.get("sentence_en") or fault.get("en") or ""
        place = fault.get("where") or " ".join(fault.get("cells", []))
        click.echo(
            f"{fault.get('severity', 'error')}: {fault.get('code', '')} {place}: {text} / {english}", err=True
        )
    else:
        click.echo(f"error: {fault}", err=True)


def _data(command: Callable[P, R]) -> Callable[P, R]:
    return click.option("--data", metavar="FOLDER", help="The data folder (WANGGE_DATA, ./data).")(command)


def _district(command: Callable[P, R]) -> Callable[P, R]:
    return click.option("--district", metavar="CODE", help="The district, where there are several.")(command)


_FILE = click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)
_TARGET = click.Path(path_type=Path)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="wangge")
def main() -> None:
    """网格: offline-first case work of community grids. Settings come from WANGGE_* and the file WANGGE_CONFIG."""
    # databases, uploads and backups are nobody else's to read
    os.umask(0o077)


# --- serving ---------------------------------------------------------------------------------------------------------


@main.command()
@click.option("--host", help="Address to listen on (WANGGE_HOST, 127.0.0.1).")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on (WANGGE_PORT, 8000).")
@click.option(
    "--clock-file", help="Refused here: only demo and test districts have a clock that can be moved."
)
@_data
@reported
def serve(host: str | None, port: int | None, clock_file: str | None, data: str | None) -> None:
    """Serve for real use; refuses an unsafe configuration, saying why."""
    from server.database import Database
    from server.runtime import NotInitialised
    from server.serve import run_server

    settings = _settings(host=host, port=port, data=data, clock_file=clock_file)
    reasons = refusals(settings)
    if not reasons:
        database = Database(settings)
        try:
            if not database.exists:
                raise NotInitialised
            entries = database.districts()
        finally:
            database.close()
        reasons = refusals(settings, demo_districts=[entry.code for entry in entries if entry.demo])
    if reasons:
        for reason in reasons:
            click.echo(f"refused: {reason}", err=True)
        sys.exit(_UNSAFE)
    run_server(settings, on_ready=lambda url: click.echo(f"wangge is serving at {url}"))


@main.command()
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on (WANGGE_PORT, 8000).")
@click.option("--prepare-only", is_flag=True, help="Prepare the demo district and end.")
@_data
@reported
def demo(port: int | None, prepare_only: bool, data: str | None) -> None:
    """Prepare the demo district where there is none, then serve it on this machine."""
    from server.serve import run_server

    settings = _settings("demo", port=port, data=data)
    settings = msgspec.structs.replace(
        settings, host="127.0.0.1", clock_file=settings.clock_file or str(settings.folder / "clock.json")
    )
    prepare = _later("server.demo.prepare", "prepare")
    prepare(settings)
    reasons = refusals(settings)
    if reasons:
        for reason in reasons:
            click.echo(f"refused: {reason}", err=True)
        sys.exit(_UNSAFE)
    if prepare_only:
        click.echo(f"The demo district is ready in {settings.data}.")
        return
    welcome = _later("server.demo.prepare", "welcome")
    run_server(settings, on_ready=lambda url: click.echo(welcome(settings, url)))


def _later(module: str, name: str) -> Any:
    try:
        return getattr(import_module(module), name)
    except (ModuleNotFoundError, AttributeError) as error:
        raise click.ClickException(f"This build has no {module}.{name}.") from error


# --- installation ----------------------------------------------------------------------------------------------------


@main.command()
@click.argument("code")
@click.argument("name")
@click.option("--short-name", default="", help="For headings; the name where left out.")
@click.option("--test", is_flag=True, help="A district for tests: `serve` refuses it.")
@_data
@reported
def init(code: str, name: str, short_name: str, test: bool, data: str | None) -> None:
    """Make a district: keys, directory, database. CODE is the division's code, 6 digits for a county."""
    from server.runtime import initialise

    settings = _settings(data=data)
    entry = initialise(settings, code, name, short_name, demo=test)
    click.echo(f"District {entry.code} {entry.name} is ready in {settings.data}.")
    click.echo(
        f"Keep a copy of {settings.keys_folder} apart from the backups: without it they cannot be read."
    )


@main.command()
@click.option("--all", "every", is_flag=True, help="Every district, one after another.")
@click.argument("codes", nargs=-1)
@_data
@reported
def migrate(every: bool, codes: tuple[str, ...], data: str | None) -> None:
    """Bring the directory and districts to this program's version; no server may run on SQLite."""
    from server.database import Database

    database = Database(_settings(data=data))
    try:
        if not database.exists:
            raise click.ClickException("There is nothing here yet: run `wangge init`.")
        if not every and not codes:
            raise click.UsageError("Name districts, or use --all.")
        with database.lock():
            database.migrate_directory()
            chosen = [entry.code for entry in database.districts()] if every else list(codes)
            for code in chosen:
                database.district(code)
                click.echo(f"{code}: {database.migrate_district(code)}")
    finally:
        database.close()


@main.command(name="backup")
@click.argument("target", type=_TARGET)
@click.option(
    "--with-keys", is_flag=True, help="Put the keys in: the file then tells everything to who has it."
)
@_data
@reported
def backup_command(target: Path, with_keys: bool, data: str | None) -> None:
    """Write a backup of every district to the zip file TARGET, while a server runs or not."""
    from importlib.metadata import version

    from server import backup

    manifest = backup.backup(
        _settings(data=data), target, program=version("wangge"), with_keys=with_keys, progress=_progress
    )
    click.echo(f"{target}: {target.stat().st_size:,} bytes\n{backup.summary(manifest)}", nl=False)
    if not with_keys:
        click.echo("Without the keys: keep a copy of the folder of keys elsewhere.")


@main.command(name="restore")
@click.argument("source", type=_FILE)
@click.option(
    "--force", is_flag=True, help="Replace what is there; on SQLite it is kept beside under a new name."
)
@_data
@reported
def restore_command(source: Path, force: bool, data: str | None) -> None:
    """Put a backup back and open a new epoch, so that phones hand in again what it does not hold."""
    from server import backup

    epochs = backup.restore(_settings(data=data), source, force=force, progress=_progress)
    for code, epoch in epochs.items():
        click.echo(f"{code}: restored, epoch {epoch}")


def _progress(what: str) -> None:
    click.echo(f"  {what} …", err=True)


@main.command(name="verify")
@_district
@_data
@reported
def verify_command(district: str | None, data: str | None) -> None:
    """Check the file, the references, the clock, the audit chain and the keys of each district."""
    bad = False
    for report in _call("verify", data, district=district):
        click.echo(
            f"{report['district']}: number {report['head']}, epoch {report['epoch']}, {report['documents']} documents, "
            f"{report['audit_records']} audit records, chain ends {report['audit_last'] or '-'}"
        )
        for fault in report["faults"]:
            bad = True
            _echo_fault(fault)
    if bad:
        raise click.ClickException("The database has faults.")


# --- people ----------------------------------------------------------------------------------------------------------


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
@_district
@_data
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
    identity = _call(
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
@_district
@_data
@reported
def users_list(as_json: bool, district: str | None, data: str | None) -> None:
    """Every account with its roles."""
    rows = _call("users_list", data, district=district)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(rows)).decode())
        return
    for row in rows:
        roles = " ".join(f"{role['role']}@{role['unit'] or role['cell']}" for role in row["roles"])
        click.echo(f"{row['username']}\t{row['name']}\t{row['state']}\t{roles}")


@users.command(name="passwd")
@click.argument("username")
@_asks_password
@_district
@_data
@reported
def users_passwd(
    username: str, password: str | None, password_stdin: bool, district: str | None, data: str | None
) -> None:
    """Give somebody a new password: they are signed out everywhere, and a lock is lifted."""
    new = _password(password, stdin=password_stdin)
    _call("users_passwd", data, username=username, password=new, district=district)
    click.echo(f"{username} has a new password.")


@users.command(name="grant")
@click.argument("username")
@click.argument("role")
@click.option("--unit", help="Code of the unit.")
@click.option("--cell", help="Code of the cell.")
@click.option("--stands-in-for", metavar="USERNAME", help="Holiday cover for somebody.")
@_district
@_data
@reported
def users_grant(
    username: str,
    role: str,
    unit: str | None,
    cell: str | None,
    stands_in_for: str | None,
    district: str | None,
    data: str | None,
) -> None:
    """Give somebody a role at a unit or at a cell."""
    if (unit is None) == (cell is None):
        raise click.UsageError("Name a unit or a cell.")
    _call(
        "users_grant",
        data,
        username=username,
        role=role,
        unit=unit,
        cell=cell,
        stands_in_for=stands_in_for,
        district=district,
    )
    click.echo(f"{username} is {role} at {unit or cell}.")


@users.command(name="revoke")
@click.argument("username")
@click.argument("role", required=False)
@click.option("--unit", help="Only at this unit.")
@click.option("--cell", help="Only at this cell.")
@_district
@_data
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
    ended = _call("users_revoke", data, username=username, role=role, unit=unit, cell=cell, district=district)
    click.echo(f"{ended} roles ended.")


@users.command(name="close")
@click.argument("username")
@click.option("--reopen", is_flag=True, help="Open a closed account again.")
@_district
@_data
@reported
def users_close(username: str, reopen: bool, district: str | None, data: str | None) -> None:
    """Close an account: it is signed out everywhere at once."""
    _call("users_state", data, username=username, state="active" if reopen else "closed", district=district)
    click.echo(f"{username} is {'open' if reopen else 'closed'}.")


@users.command(name="revoke-device")
@click.argument("username")
@click.argument("device")
@_district
@_data
@reported
def users_revoke_device(username: str, device: str, district: str | None, data: str | None) -> None:
    """Stop a lost phone: it is told to wipe itself when it next calls."""
    _call("users_revoke_device", data, username=username, device=device, district=district)
    click.echo(f"The device {device} is stopped.")


# --- units, cells, rules ---------------------------------------------------------------------------------------------


@main.group()
def units() -> None:
    """Organisations."""


@units.command(name="import")
@click.argument("file", type=_FILE)
@_district
@_data
@reported
def units_import(file: Path, district: str | None, data: str | None) -> None:
    """Add or change units from CSV with the columns code, type, name, area, level, parent."""
    changed = _call("units_import", data, csv_text=_text(file), district=district)
    click.echo(f"{changed} units added or changed.")


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        try:
            return file.read_text(encoding="gb18030")  # what spreadsheets in China write
        except UnicodeDecodeError as error:
            raise click.ClickException(f"{file} is neither UTF-8 nor GB18030.") from error


@main.group()
def cells() -> None:
    """Layers of grid cells."""


def _reads_layer(command: Callable[P, R]) -> Callable[P, R]:
    command = click.option("--repair", is_flag=True, help="Mend broken rings, and say what was done.")(
        command
    )
    command = click.option(
        "--fields", type=_FILE, help="JSON: which property means code, name, kind, parents."
    )(command)
    return click.option("--crs", help="wgs84, cgcs2000, gcj02 or bd09, where the file does not say.")(command)


def _fields(file: Path | None) -> dict[str, Any] | None:
    if file is None:
        return None
    try:
        found: dict[str, Any] = msgspec.json.decode(file.read_bytes(), type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise click.ClickException(f"{file}: {error}") from error
    return found


@cells.command(name="check")
@click.argument("file", type=_FILE)
@_reads_layer
@reported
def cells_check(file: Path, crs: str | None, fields: Path | None, repair: bool) -> None:
    """Say what is wrong with a GeoJSON file of cells; changes nothing."""
    from server.commands import read_layer

    layer, report = read_layer(_text(file), crs, _fields(fields), repair=repair)
    for fault in report.faults:
        _echo_fault(msgspec.to_builtins(fault))
    if layer is None or not report.usable:
        raise click.ClickException(f"{len(report.errors)} errors, {len(report.warnings)} warnings.")
    click.echo(f"{len(layer.cells)} cells in {len(layer.areas)} areas, {len(report.warnings)} warnings.")


@cells.command(name="import")
@click.argument("file", type=_FILE)
@_reads_layer
@click.option("--activate", is_flag=True, help="Put it in force at once.")
@_district
@_data
@reported
def cells_import(
    file: Path,
    crs: str | None,
    fields: Path | None,
    repair: bool,
    activate: bool,
    district: str | None,
    data: str | None,
) -> None:
    """Keep a layer as a draft generation."""
    done = _call(
        "cells_import",
        data,
        geojson=_text(file),
        crs=crs,
        fields=_fields(fields),
        repair=repair,
        district=district,
    )
    for fault in done["faults"]:
        _echo_fault(fault)
    click.echo(f"Generation {done['generation']}: {done['cells']} cells in {done['areas']} areas.")
    if activate:
        _call("cells_activate", data, generation=done["generation"], district=district)
        click.echo("It is in force.")


@cells.command(name="activate")
@click.argument("generation", type=int)
@_district
@_data
@reported
def cells_activate(generation: int, district: str | None, data: str | None) -> None:
    """Put a generation in force."""
    _call("cells_activate", data, generation=generation, district=district)
    click.echo(f"Generation {generation} is in force.")


@cells.command(name="preview")
@click.argument("generation", type=int)
@_district
@_data
@reported
def cells_preview(generation: int, district: str | None, data: str | None) -> None:
    """Say how many open cases a generation would move, and between which cells; changes nothing."""
    found = _call("cells_preview", data, generation=generation, district=district)
    click.echo(
        f"Generation {found['generation']}: {found['moved']} of {found['open_cases']} open cases move; "
        f"{found['set_by_person']} were placed by a person, {found['needs_confirmation']} would need confirmation."
    )
    for move in found["moves"]:
        click.echo(f"{move['from']}\t{move['to']}\t{move['cases']}")


@cells.command(name="list")
@_district
@_data
@reported
def cells_list(district: str | None, data: str | None) -> None:
    """Every generation."""
    for row in _call("cells_list", data, district=district):
        click.echo(f"{row['number']}\t{row['state']}\t{row['name']}")


@main.group()
def rules() -> None:
    """Escalation rules."""


@rules.command(name="lint")
@click.argument("file", type=_FILE)
@_district
@_data
@reported
def rules_lint(file: Path, district: str | None, data: str | None) -> None:
    """Say what is wrong with a rule set, against the district's calendars; changes nothing."""
    findings = _call("rules_lint", data, toml=_text(file), district=district)
    for finding in findings:
        _echo_fault(finding)
    errors = sum(finding["severity"] == "error" for finding in findings)
    if errors:
        raise click.ClickException(f"{errors} errors.")
    click.echo(f"No errors, {len(findings)} warnings.")


@rules.command(name="activate")
@click.argument("file", type=_FILE)
@_district
@_data
@reported
def rules_activate(file: Path, district: str | None, data: str | None) -> None:
    """Put a rule set in force."""
    done = _call("rules_activate", data, toml=_text(file), district=district)
    for finding in done["faults"]:
        _echo_fault(finding)
    click.echo(f"Version {done['version']} is in force.")


@rules.command(name="dry-run")
@click.argument("file", type=_FILE)
@_district
@_data
@reported
def rules_dry_run(file: Path, district: str | None, data: str | None) -> None:
    """Say for which open cases something else would fall due under a rule set; changes nothing."""
    found = _call("rules_dry_run", data, toml=_text(file), district=district)
    click.echo(
        f"{found['open_cases']} open cases, {found['changed']} with another next step: {found['earlier']} earlier, "
        f"{found['later']} later; due at once {found['due_now']} (now {found['due_now_before']})."
    )
    for case in found["cases"]:
        click.echo(f"{case['case']}\t{_instant(case['before'])}\t{_instant(case['after'])}")


def _instant(at: int | None) -> str:
    return "-" if at is None else datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="minutes")


@main.group()
def calendar() -> None:
    """Working days."""


@calendar.command(name="import")
@click.argument("file", type=_FILE)
@_district
@_data
@reported
def calendar_import(file: Path, district: str | None, data: str | None) -> None:
    """Keep a new version of a calendar."""
    click.echo(_call("calendar_import", data, toml=_text(file), district=district))


# --- for others ------------------------------------------------------------------------------------------------------


@main.group()
def phones() -> None:
    """Phones that are not there."""


@phones.command(name="simulate", context_settings={"ignore_unknown_options": True, "help_option_names": []})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@reported
def phones_simulate(arguments: tuple[str, ...]) -> None:
    """Simulated phones against a running server; --help says more."""
    run = _later("server.phones", "main")
    run(list(arguments))


@main.command(name="export-contract")
@click.argument("folder", type=_TARGET)
@reported
def export_contract(folder: Path) -> None:
    """Write what others rely on: OpenAPI, the schemas of documents, the words and rules, the codes of errors."""
    from server.contract import contract_files

    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contract_files().items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        click.echo(path)


if __name__ == "__main__":
    main()
