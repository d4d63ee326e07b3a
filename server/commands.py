"""What the command line can ask for, by name: run by the command itself, or by the server that holds the database.

Arguments and results are JSON values, so that both ways are the same. Every change goes through the district's
writer under the actor ``cli:<os user>``.
"""

import base64
import csv
import io
from collections.abc import Callable
from typing import Any

import msgspec

from geo.layer import Fields, Form, Layer, Report, read_file
from geo.regions import Provider
from server.address_file import take_in
from server.auth.passwords import Hasher, check_new_password
from server.auth.records import record_act
from server.auth.sessions import end_sessions_of, grants_of, revoke_device, set_password
from server.console.layers import find_generation, layer_in_force, layer_of
from server.console.preview import Preview
from server.console.scope import Sight
from server.districts import District
from server.dry_run import try_rules
from server.erasing import sweep
from server.files.verifying import look_over
from server.layer_files import CODE_SCHEME, TELL, bytes_of, read_for, scheme_in, scheme_named, written
from server.reassigning import go_on_blocking
from server.receipts import checked, standing
from server.runtime import Runtime
from server.sealing import newest_key, opened_each, rotate_work
from server.verify import Verified, verify_district
from sync.administration import (
    UnitRecord,
    add_account,
    end_grant,
    grant_role,
    import_units,
    load_calendar,
    load_ruleset,
    put_settings,
)
from sync.cases.calendars import parse_calendar
from sync.cases.rules_lint import lint
from sync.cases.rulesets import RuleError, parse_rules
from sync.commit import Context
from sync.config import MAP_PROVIDER, PLACING
from sync.erasing import ask_erasure, decide_erasure, erasures, unswept
from sync.errors import BadRequest, NotFound, StoreUnavailable, SyncError, Unprocessable
from sync.generations import activate_generation, add_generation
from sync.hand_in import hand_in_work
from sync.reassign import RUNNING, hand_over_unit, hand_over_worker, progress
from sync.scope import POLICIES, POLICY
from sync.store import Reader, Row, Tx
from sync.uploads import ask_again as ask_for_files

_PIECES_A_STEP = 10
UNIT_COLUMNS = ("code", "type", "name", "area", "level", "parent")


class UnknownCommand(SyncError):
    """There is no such command."""

    code = "unknown_command"
    status = 404


class CommandFailed(SyncError):
    """The command found its input wrong and changed nothing."""

    code = "command_failed"
    status = 422


def run_command(runtime: Runtime, command: str, args: dict[str, Any], actor: str) -> Any:
    """Run `command`; blocking. Raises ``UnknownCommand``, ``BadRequest`` for wrong arguments, or what it raises."""
    function = COMMANDS.get(command)
    if function is None:
        raise UnknownCommand(f"There is no command {command!r}.")
    try:
        return function(runtime, actor, **args)
    except TypeError as error:
        # only a call with other arguments than the function has is the asker's mistake
        if error.__traceback__ is not None and error.__traceback__.tb_next is None:
            raise BadRequest(f"The command {command} does not take these arguments.") from error
        raise


def the_district(runtime: Runtime, code: str | None) -> District:
    """The district named, or the only one; raises ``BadRequest``."""
    if code:
        return runtime.district(code)
    if len(runtime.districts) != 1:
        raise BadRequest("There are several districts: name one with --district.")
    return next(iter(runtime.districts.values()))


# --- people ----------------------------------------------------------------------------------------------------------


def users_add(
    runtime: Runtime,
    actor: str,
    *,
    username: str,
    name: str,
    password: str,
    roles: list[dict[str, Any]] | None = None,
    district: str | None = None,
) -> str:
    """A new account, with roles ``{role, unit | cell}``; all or nothing. Returns the user's id."""
    check_new_password(password, username)
    adding = add_account(username, name, Hasher.shared().hash(password))
    granting = [grant_role(username, **_grant(role)) for role in roles or []]

    def work(tx: Tx, context: Context) -> str:
        identity = adding(tx, context)
        for grant in granting:
            grant(tx, context)
        return identity

    return the_district(runtime, district).writer.submit_blocking(work, actor=actor)


def _grant(given: dict[str, Any]) -> dict[str, Any]:
    if not set(given) <= {"role", "unit", "cell", "stands_in_for", "until_at"} or not isinstance(
        given.get("role"), str
    ):
        raise BadRequest("A role is given as {role, unit or cell, stands_in_for?, until_at?}.")
    return given


def users_list(runtime: Runtime, _: str, *, district: str | None = None) -> list[dict[str, Any]]:
    """Every account with its roles; no passwords."""
    open_ = the_district(runtime, district)

    def question(reader: Reader) -> list[dict[str, Any]]:
        config = open_.config_of(reader)
        return [
            {
                "id": account.id,
                "username": account.username,
                "name": account.name,
                "state": account.state,
                "roles": grants_of(config, account.pk),
            }
            for account in sorted(config.accounts.values(), key=lambda row: row.username)
        ]

    return open_.read_blocking(question)


def users_passwd(
    runtime: Runtime, actor: str, *, username: str, password: str, district: str | None = None
) -> None:
    """A new password for somebody; all their sessions end, and a lock is lifted."""
    check_new_password(password, username)
    hashed = Hasher.shared().hash(password)

    def work(tx: Tx, context: Context) -> None:
        account = _account(tx, username)
        set_password(tx, context, account["pk"], hashed)
        tx.raise_config()

    the_district(runtime, district).writer.submit_blocking(work, actor=actor)


def users_grant(
    runtime: Runtime,
    actor: str,
    *,
    username: str,
    role: str,
    unit: str | None = None,
    cell: str | None = None,
    stands_in_for: str | None = None,
    until_at: int | None = None,
    district: str | None = None,
) -> int:
    """A role at a unit or a cell; returns the grant's key."""
    work = grant_role(username, role, unit=unit, cell=cell, stands_in_for=stands_in_for, until_at=until_at)
    return the_district(runtime, district).writer.submit_blocking(work, actor=actor)


def users_revoke(
    runtime: Runtime,
    actor: str,
    *,
    username: str,
    role: str | None = None,
    unit: str | None = None,
    cell: str | None = None,
    district: str | None = None,
) -> int:
    """End roles of somebody; returns how many. Raises ``NotFound`` when there was none."""
    work = end_grant(username, role, unit=unit, cell=cell)
    ended = the_district(runtime, district).writer.submit_blocking(work, actor=actor)
    if not ended:
        raise NotFound(f"{username} has no such role.")
    return ended


def users_scope_policy(runtime: Runtime, actor: str, *, policy: str, district: str | None = None) -> None:
    """What happens to whoever has more in his places than a phone carries: `warn`, or `refuse` to grant more."""
    if policy not in POLICIES:
        raise BadRequest("The policy is warn or refuse.")
    the_district(runtime, district).writer.submit_blocking(put_settings({POLICY: policy}), actor=actor)


def users_state(
    runtime: Runtime, actor: str, *, username: str, state: str, district: str | None = None
) -> None:
    """Close an account (its sessions end) or open it again."""
    if state not in {"active", "closed"}:
        raise BadRequest("The state is active or closed.")

    def work(tx: Tx, context: Context) -> None:
        account = _account(tx, username)
        changes: dict[str, Any] = {"state": state, "failed": 0, "locked_until": 0}
        tx.update("account", {"pk": account["pk"]}, changes)
        if state == "closed":
            end_sessions_of(tx, context, account["pk"])
        record_act(tx, context, f"account.{state}", f"user:{account['pk']}")
        tx.raise_config()

    the_district(runtime, district).writer.submit_blocking(work, actor=actor)


def users_revoke_device(
    runtime: Runtime, actor: str, *, username: str, device: str, district: str | None = None
) -> None:
    """Stop a lost device of somebody."""

    def work(tx: Tx, context: Context) -> None:
        account = _account(tx, username)
        rows = tx.find("device", {"user_pk": account["pk"], "id": device}, limit=1)
        if not rows:
            raise NotFound(f"{username} has no device {device}.")
        revoke_device(tx, context, rows[0]["pk"])

    the_district(runtime, district).writer.submit_blocking(work, actor=actor)


def _account(tx: Reader, username: str) -> Row:
    rows = tx.find("account", {"username": username}, limit=1)
    if not rows:
        raise NotFound(f"There is no account {username}.")
    return rows[0]


# --- units and cells -------------------------------------------------------------------------------------------------


def read_units(text: str) -> list[UnitRecord]:
    """Units from CSV with the columns code, type, name, area, level, parent; raises ``Unprocessable`` with the line."""
    reader = csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline=""), strict=True)
    found: dict[str, UnitRecord] = {}
    try:
        named = [name.strip() for name in reader.fieldnames or ()]
        if not set(UNIT_COLUMNS[:-1]) <= set(named) or len(named) != len(set(named)):
            raise Unprocessable(
                f"The first line must name the columns {', '.join(UNIT_COLUMNS)}, each once.", line=1
            )
        reader.fieldnames = named
        for row in reader:
            record = _unit(row, reader.line_num)
            if record.code in found:
                raise Unprocessable(
                    f"Line {reader.line_num}: the code {record.code} stands twice.", line=reader.line_num
                )
            found[record.code] = record
    except csv.Error as error:
        line = max(reader.line_num, 1)  # 0 while the first line is read
        raise Unprocessable(f"Line {line}: {error}.", line=line) from error
    if not found:
        raise Unprocessable("There are no units below the first line.", line=1)
    return list(found.values())


def _unit(row: dict[str, str], line: int) -> UnitRecord:
    values = {name: (row.get(name) or "").strip() for name in UNIT_COLUMNS}
    empty = next((name for name in UNIT_COLUMNS[:-1] if not values[name]), None)
    if empty or None in row:
        raise Unprocessable(
            f"Line {line}: {f'`{empty}` is empty' if empty else 'too many columns'}.", line=line
        )
    if not (values["level"].isascii() and values["level"].isdigit() and len(values["level"]) == 1):
        raise Unprocessable(f"Line {line}: `level` must be a number from 0 to 3.", line=line)
    return UnitRecord(
        code=values["code"],
        type=values["type"],
        name=values["name"],
        area=values["area"],
        level=int(values["level"]),
        parent=values["parent"] or None,
    )


def units_import(runtime: Runtime, actor: str, *, csv_text: str, district: str | None = None) -> int:
    """Add or change units; returns how many rows changed."""
    work = import_units(read_units(csv_text))
    return the_district(runtime, district).writer.submit_blocking(work, actor=actor)


def cells_provider(runtime: Runtime, actor: str, *, provider: str, district: str | None = None) -> None:
    """Whose maps the coordinates in GCJ-02 were taken from that come from now on; what is placed stays."""
    if provider not in set(Provider):
        raise BadRequest(f"The provider is {' or '.join(Provider)}.")
    work = put_settings({MAP_PROVIDER: provider})
    the_district(runtime, district).writer.submit_blocking(work, actor=actor)


def addresses_import(
    runtime: Runtime,
    actor: str,
    *,
    csv_text: str,
    crs: str | None = None,
    source: str | None = None,
    district: str | None = None,
) -> dict[str, Any]:
    """Take a list of addresses in; what became of its lines. Raises ``FileRefused``."""
    open_, body = the_district(runtime, district), csv_text.encode()
    return take_in(open_, body, crs=crs, encoding="utf-8", source=source, actor=actor)


def read_layer(
    content: bytes,
    crs: str | dict[str, Any] | None,
    fields: dict[str, Any] | None = None,
    *,
    encoding: str | None = None,
    repair: bool = False,
    beside: District | None = None,
    elsewhere: bool = False,
) -> tuple[Layer | None, Report]:
    """A layer from a file and what was found in it; raises ``Unprocessable`` for an unknown field.

    `beside` is the district that it is meant for: it is compared with the layer in force there.
    """
    try:
        mapped = msgspec.convert(fields, Fields) if fields else Fields()
    except msgspec.ValidationError as error:
        raise Unprocessable(f"cells: {error}") from error
    options: dict[str, Any] = {"encoding": encoding, "repair": repair, "tell": TELL.get()}
    if beside is None:
        reading = read_file(content, crs or None, mapped, **options)
    else:
        reading = read_for(beside, content, crs or None, mapped, elsewhere=elsewhere, **options)
    return reading.layer, reading.report


def told_of(layer: Layer | None, report: Report) -> dict[str, Any]:
    """What a check answers: how much is in a layer, and its faults."""
    return {
        "cells": 0 if layer is None else len(layer.cells),
        "areas": 0 if layer is None else len(layer.areas),
        "faults": msgspec.to_builtins(report.faults),
    }


def cells_check(
    runtime: Runtime,
    _: str,
    *,
    content: str,
    crs: str | dict[str, Any] | None = None,
    fields: dict[str, Any] | None = None,
    encoding: str | None = None,
    repair: bool = False,
    elsewhere: bool = False,
    district: str | None = None,
) -> dict[str, Any]:
    """What is wrong with a file, in base64, of cells meant for a district, beside the layer in force; keeps nothing."""
    open_ = the_district(runtime, district)
    options: dict[str, Any] = {"encoding": encoding, "repair": repair, "elsewhere": elsewhere}
    layer, report = read_layer(bytes_of(content), crs, fields, beside=open_, **options)
    return told_of(layer, report)


def cells_import(
    runtime: Runtime,
    actor: str,
    *,
    content: str,
    crs: str | dict[str, Any] | None = None,
    fields: dict[str, Any] | None = None,
    encoding: str | None = None,
    repair: bool = False,
    elsewhere: bool = False,
    district: str | None = None,
) -> dict[str, Any]:
    """Keep a layer as a draft generation; returns its number and report. Raises ``CommandFailed`` with the faults."""
    open_ = the_district(runtime, district)
    options: dict[str, Any] = {"encoding": encoding, "repair": repair, "elsewhere": elsewhere}
    layer, report = read_layer(bytes_of(content), crs, fields, beside=open_, **options)
    found = told_of(layer, report)
    if layer is None or not report.usable:
        raise CommandFailed("The layer has errors; nothing was kept.", faults=found["faults"])
    work = add_generation(layer, msgspec.json.encode(report))
    return {"generation": open_.writer.submit_blocking(work, actor=actor), **found}


def cells_export(
    runtime: Runtime, _: str, *, generation: int, form: str = "geojson", district: str | None = None
) -> str:
    """A generation as a file, in base64."""
    open_ = the_district(runtime, district)
    if form not in set(Form):
        raise BadRequest("The format is geojson, shapefile or kml.")
    layer = open_.read_blocking(lambda reader: layer_of(reader, open_.code, generation)[1])
    return base64.b64encode(written(layer, Form(form))).decode()


def cells_scheme(
    runtime: Runtime, actor: str, *, scheme: Any = None, district: str | None = None
) -> dict[str, Any]:
    """How a district's codes are made up, after setting it to a known scheme by name or to a table."""
    open_ = the_district(runtime, district)
    if scheme is not None:
        values = {CODE_SCHEME: msgspec.to_builtins(scheme_named(scheme))}
        open_.writer.submit_blocking(put_settings(values), actor=actor)
    found = open_.read_blocking(lambda reader: scheme_in(open_.config_of(reader).settings))
    return {"scheme": msgspec.to_builtins(found)}


def cells_activate(runtime: Runtime, actor: str, *, generation: int, district: str | None = None) -> int:
    """Make a generation the one in force; returns the clock number."""
    return the_district(runtime, district).writer.submit_blocking(
        activate_generation(generation), actor=actor
    )


def cells_preview(
    runtime: Runtime, _: str, *, generation: int, district: str | None = None
) -> dict[str, Any]:
    """What putting a generation in force would move: figures, no case by name."""
    open_ = the_district(runtime, district)
    about, former = open_.read_blocking(
        lambda reader: (
            find_generation(reader, generation, columns=("number", "layer")),
            layer_in_force(reader, open_.code),
        )
    )
    ahead = Preview(about["number"], runtime.indexes.of(about["layer"]), former, named=0)

    def question(reader: Reader) -> bool:
        return ahead.go_on(Sight(reader, open_.config_of(reader), 0, open_.keys))

    while not open_.read_blocking(question):
        pass
    return ahead.told()


def cells_thresholds(
    runtime: Runtime, actor: str, *, changes: dict[str, float], district: str | None = None
) -> dict[str, float]:
    """What a district calls sure, after `changes` (of none nothing is written). Raises ``Unprocessable``."""
    open_ = the_district(runtime, district)
    if not changes:
        return open_.read_blocking(lambda reader: msgspec.structs.asdict(open_.config_of(reader).thresholds))

    def work(tx: Tx, context: Context) -> dict[str, float]:
        wanted = msgspec.structs.asdict(context.configs.get(tx).thresholds) | changes
        put_settings({PLACING: wanted})(tx, context)
        return wanted

    return open_.writer.submit_blocking(work, actor=actor)


def cells_list(runtime: Runtime, _: str, *, district: str | None = None) -> list[Row]:
    """Every generation, without its layer."""
    columns = ["number", "state", "name", "created_at", "activated_at", "activated_seq"]
    return the_district(runtime, district).read_blocking(
        lambda reader: reader.find("generation", order=["number"], columns=columns)
    )


# --- re-assignments --------------------------------------------------------------------------------------------------


def reassign_unit(
    runtime: Runtime, actor: str, *, source: str, target: str, district: str | None = None
) -> int:
    """All cells and open cases of a unit go to another; returns the re-assignment's number."""
    work = hand_over_unit(source, target)
    return the_district(runtime, district).writer.submit_blocking(work, actor=actor)


def reassign_worker(
    runtime: Runtime, actor: str, *, source: str, target: str, district: str | None = None
) -> int:
    """What one person has in hand goes to another; returns the re-assignment's number."""
    work = hand_over_worker(source, target)
    return the_district(runtime, district).writer.submit_blocking(work, actor=actor)


def reassign_step(runtime: Runtime, actor: str, *, district: str | None = None) -> dict[str, Any] | None:
    """Go on for some pieces; how far the oldest one under way is, None when there is none."""
    open_ = the_district(runtime, district)
    go_on_blocking(open_, pieces=_PIECES_A_STEP, actor=actor)
    found = open_.read_blocking(progress)
    return next((row for row in reversed(found) if row["state"] == RUNNING), None)


def reassign_list(runtime: Runtime, _: str, *, district: str | None = None) -> list[dict[str, Any]]:
    """The newest re-assignments and how far they are."""
    return the_district(runtime, district).read_blocking(progress)


# --- erasures --------------------------------------------------------------------------------------------------------


def erasures_ask(
    runtime: Runtime, actor: str, *, collection: str, doc_id: str, reason: str, district: str | None = None
) -> str:
    """Ask for an erasure; returns its id."""
    work = ask_erasure(collection, doc_id, reason)
    return the_district(runtime, district).writer.submit_blocking(work, actor=actor)


def erasures_decide(
    runtime: Runtime, actor: str, *, erasure_id: str, confirm: bool, district: str | None = None
) -> dict[str, Any]:
    """Erase what another person asked for, or refuse; returns how many documents, and whether nothing is left."""
    open_ = the_district(runtime, district)
    done = open_.writer.submit_blocking(decide_erasure(erasure_id, confirm=confirm), actor=actor)
    sweep(open_, runtime.settings.folder)
    return {"documents": done.documents, "swept": not open_.read_blocking(unswept)}


def erasures_list(runtime: Runtime, _: str, *, district: str | None = None) -> list[dict[str, Any]]:
    """The newest erasures."""
    return the_district(runtime, district).read_blocking(erasures)


# --- rules -----------------------------------------------------------------------------------------------------------


def lint_rules(toml: str, calendars: dict[str, str]) -> list[dict[str, Any]]:
    """Findings in a rule set, errors and warnings; raises ``Unprocessable`` for text that is none."""
    try:
        rules = parse_rules(toml)
    except RuleError as error:
        raise Unprocessable(f"The rules cannot be read: {error}") from error
    found: list[dict[str, Any]] = msgspec.to_builtins(
        lint(rules, {name: parse_calendar(source) for name, source in calendars.items()})
    )
    return found


def rules_activate(runtime: Runtime, actor: str, *, toml: str, district: str | None = None) -> dict[str, Any]:
    """Put a rule set in force when the lint finds no error; returns version and warnings."""
    open_ = the_district(runtime, district)
    findings = lint_rules(toml, open_.config().calendar_sources)
    if any(finding["severity"] == "error" for finding in findings):
        raise CommandFailed("The rules have errors; nothing was changed.", faults=findings)
    version = open_.writer.submit_blocking(load_ruleset(toml), actor=actor)
    return {"version": version, "faults": findings}


def rules_lint(runtime: Runtime, _: str, *, toml: str, district: str | None = None) -> list[dict[str, Any]]:
    """Findings against the district's own calendars."""
    return lint_rules(toml, the_district(runtime, district).config().calendar_sources)


def rules_dry_run(runtime: Runtime, _: str, *, toml: str, district: str | None = None) -> dict[str, Any]:
    """What the rules would change for the open cases as they stand."""
    open_ = the_district(runtime, district)
    try:
        rules = parse_rules(toml)
    except RuleError as error:
        raise Unprocessable(f"The rules cannot be read: {error}") from error

    def question(reader: Reader) -> dict[str, Any]:
        found: dict[str, Any] = msgspec.to_builtins(
            try_rules(reader, open_.config_of(reader), rules, open_.clock.now_ms())
        )
        return found

    return open_.read_blocking(question)


def calendar_import(runtime: Runtime, actor: str, *, toml: str, district: str | None = None) -> str:
    """Keep a new version of a calendar; returns its name."""
    return the_district(runtime, district).writer.submit_blocking(load_calendar(toml), actor=actor)


def verify(
    runtime: Runtime,
    actor: str,
    *,
    district: str | None = None,
    all_files: bool = False,
    ask_again: bool = False,
) -> list[dict[str, Any]]:
    """Check every district, or one; returns a report each.

    `all_files` reads the bytes of every file and not only of the newest; `ask_again` lets those that are lost be
    missing again, so that phones which have them send them.
    """
    lost = {code: why for code, why in runtime.unreadable.items() if district in {None, code}}
    chosen = list(runtime.districts.values())
    if district:
        chosen = [] if lost else [runtime.district(district)]
    found = [_with_files(runtime, open_, actor, every=all_files, ask_again=ask_again) for open_ in chosen]
    found += [Verified(code, [why]) for code, why in lost.items()]
    return [msgspec.to_builtins(report) for report in found]


def _with_files(runtime: Runtime, open_: District, actor: str, *, every: bool, ask_again: bool) -> Verified:
    report = verify_district(open_.code, open_.store, open_.keys)
    try:
        looked = look_over(open_.code, open_.store, open_.keys, runtime.files.store, every=every)
    except StoreUnavailable as error:
        report.faults.append(f"files: {error.detail}")
        return report
    report.files = looked.held
    report.faults += looked.faults()
    if ask_again and looked.lost:
        if len(looked.lost) == looked.held:
            report.faults.append("no file at all is in the store: see that it is the right one, and mounted")
        else:
            open_.writer.submit_blocking(ask_for_files(looked.lost), actor=actor)
    return report


# --- sealed bundles and receipts -------------------------------------------------------------------------------------


def sealed_hand_in(runtime: Runtime, actor: str, *, bundles: list[str], district: str | None = None) -> int:
    """Take bundles that somebody brought as a file, one text each; returns how many. SE6: no word of any."""
    open_ = the_district(runtime, district)
    texts = [text.encode("utf-8", "replace") for text in bundles]
    found = opened_each(open_, texts, open_.read_blocking(lambda reader: newest_key(open_.config_of(reader))))
    open_.writer.submit_blocking(hand_in_work(found), actor=actor)
    return len(found)


def sealed_rotate(runtime: Runtime, actor: str, *, district: str | None = None) -> str:
    """Publish a new key for phones to seal to; returns its name."""
    open_ = the_district(runtime, district)
    return open_.writer.submit_blocking(rotate_work(open_.keys.sealing), actor=actor)


def verify_receipt(
    runtime: Runtime, _: str, *, receipt: dict[str, Any], district: str | None = None
) -> dict[str, Any]:
    """What a receipt says, and whether what it vouches for is here; ``BadRequest`` for one that is not genuine."""
    open_ = the_district(runtime, district)
    made = checked(receipt, open_.keys.receipts.public)
    if made.district != open_.code:
        raise BadRequest("This receipt is another district's.")
    found = open_.read_blocking(lambda reader: standing(reader, made))
    return {"receipt": msgspec.to_builtins(made), **found}


COMMANDS: dict[str, Callable[..., Any]] = {
    function.__name__: function
    for function in (
        addresses_import,
        calendar_import,
        cells_activate,
        cells_check,
        cells_export,
        cells_import,
        cells_list,
        cells_provider,
        cells_preview,
        cells_thresholds,
        cells_scheme,
        erasures_ask,
        erasures_decide,
        erasures_list,
        reassign_list,
        reassign_step,
        reassign_unit,
        reassign_worker,
        rules_activate,
        rules_dry_run,
        rules_lint,
        sealed_hand_in,
        sealed_rotate,
        units_import,
        users_add,
        users_grant,
        users_list,
        users_passwd,
        users_revoke,
        users_revoke_device,
        users_scope_policy,
        users_state,
        verify,
        verify_receipt,
    )
}
