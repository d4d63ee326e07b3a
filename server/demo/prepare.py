"""Makes the demo district: the same doors as real use, a year told in the order of time, then the list of accounts."""

import os
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import msgspec

from server.auth.passwords import Hasher
from server.auth.sessions import revoke_device
from server.database import Database
from server.demo.captures import World
from server.demo.district import DISTRICT, DISTRICT_NAME, drafted, draw
from server.demo.homes import Homes
from server.demo.ladder import Ladder
from server.demo.people import Person, people
from server.demo.stage import DAY, HOUR, Script, Stage
from server.demo.stories import Stories
from server.demo.units import units
from server.demo.year import CASES, Year
from server.districts import District
from server.runtime import Runtime, initialise, opened
from server.settings import Settings
from sync.administration import (
    UnitRecord,
    add_account,
    grant_role,
    import_units,
    put_settings,
)
from sync.cases.catalogue import ROLES
from sync.commit import Context, Work
from sync.config import Config
from sync.errors import Conflict
from sync.generations import activate_generation, add_generation
from sync.store import Tx

SEED = 410399
ACCOUNTS_FILE = "demo-accounts.json"
Say = Callable[[str], None]


def prepare(settings: Settings, *, scale: float = 1.0, say: Say | None = None) -> bool:
    """Make the demo district in the data folder; False when it is there already.

    It is made beside and moved into place whole, so that a preparation that was interrupted leaves nothing half.
    `scale` makes fewer ordinary cases and households; the stories are always all there. Raises ``Conflict`` where the
    folder holds another district, or the database is not SQLite in it.
    """
    tell = say or (lambda text: click.echo(text, err=True))
    if settings.database_url:
        raise Conflict("The demo district lives on SQLite in its data folder: unset WANGGE_DATABASE_URL.")
    if _ready(settings):
        return False
    tell("preparing the demo district (about ten seconds) …")
    folder = settings.folder
    beside = folder / "preparing"
    shutil.rmtree(beside, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    beside.mkdir(mode=0o700)
    if settings.keys_folder.is_dir():
        shutil.copytree(settings.keys_folder, beside / "keys")
    _make(msgspec.structs.replace(settings, data=str(beside)), scale, tell)
    for path in sorted(beside.rglob("*")):
        target = folder / path.relative_to(beside)
        if path.is_dir():
            target.mkdir(mode=0o700, exist_ok=True)
        elif path.name not in {ACCOUNTS_FILE, "directory.db"}:
            path.replace(target)
    for name in (ACCOUNTS_FILE, "directory.db"):  # the directory says that all is there, so it comes last
        (beside / name).replace(folder / name)
    shutil.rmtree(beside)
    return True


def _ready(settings: Settings) -> bool:
    database = Database(settings)
    try:
        if not database.exists:
            return False
        entries = database.districts()
    finally:
        database.close()
    others = [entry.code for entry in entries if not entry.demo]
    if others or all(entry.code != DISTRICT for entry in entries):
        raise Conflict(
            f"{settings.data} holds {f'the district {others[0]}' if others else 'something else'}: "
            "give the demo a folder of its own (DATA=…)."
        )
    if not (settings.folder / ACCOUNTS_FILE).is_file():
        raise Conflict(
            f"{settings.folder / ACCOUNTS_FILE} is not there: nobody could sign in. "
            "Give the demo another folder (DATA=…), or remove this one to have it made again."
        )
    return True


def _make(settings: Settings, scale: float, tell: Say) -> None:
    initialise(settings, DISTRICT, DISTRICT_NAME, "涧东", demo=True)
    with opened(settings) as runtime:
        district = runtime.district(DISTRICT)
        layer = draw(SEED)
        crew = people(layer)
        password = secrets.token_urlsafe(9)
        now = runtime.clock.now_ms() // 60_000 * 60_000
        _found(district, crew, password)
        calendar = district.config().calendars["office"]
        stage = Stage(district, calendar, layer, now, SEED)
        _tell_year(stage, crew, scale, tell)
        _write_accounts(settings.folder, runtime, crew, password)


def _found(district: District, crew: tuple[Person, ...], password: str) -> None:
    """Cells, units, people and their roles, as an administrator enters them."""
    layer = draw(SEED)
    hashed = Hasher.shared().hash(password)
    works: list[Work[object]] = [
        add_generation(layer),
        import_units([UnitRecord(u.code, u.type, u.name, u.area, u.level, u.parent) for u in units()]),
        activate_generation(1),
        add_generation(drafted(layer)),
        put_settings({"sealed_clerk": "clerk-1"}),
    ]
    for person in crew:
        works.append(add_account(person.username, person.name, hashed))
        works += [
            grant_role(person.username, role, unit=unit, cell=cell) for role, unit, cell in person.grants
        ]

    def work(tx: Tx, context: Context) -> None:
        for one in works:
            one(tx, context)

    district.writer.submit_blocking(work, actor="demo")


def _tell_year(stage: Stage, crew: tuple[Person, ...], scale: float, tell: Say) -> None:
    world = World(stage, crew)
    begin = stage.until - 370 * DAY

    def arrive() -> Script:
        for person in crew:
            stage.sign_in(person.username, person.phone or "办公电脑")
        yield stage.now + HOUR

    stage.add(begin, arrive())
    stage.add(begin + DAY, stage.upkeep())
    stage.play(begin)
    Homes(world, scale).begin(begin + 2 * DAY)
    Stories(world).begin()
    Ladder(world).begin()
    stage.add(stage.before(30), lost_phone(stage))
    year = Year(world)
    year.count, year.services = Stories.COUNT + Ladder.COUNT, Stories.SERVICES
    year.reasons()
    year.today()
    year.rest(int(CASES * scale))
    step = 30 * DAY
    for n, to in enumerate(range(begin + step, stage.until, step), start=1):
        stage.play(to)
        tell(f"  month {n} of 12")
    stage.play(stage.until)


def lost_phone(stage: Stage) -> Script:
    """A worker's old phone is lost, and stopped; the new one is signed in."""
    pk = stage.phones["grid-worker-5"].caller.device_pk

    def work(tx: Tx, context: Context) -> None:
        revoke_device(tx, context, pk)

    stage.run(work, actor="cli:demo")
    stage.sign_in("grid-worker-5", "红米 Note 12(新)")
    yield from ()


def _write_accounts(folder: Path, runtime: Runtime, crew: tuple[Person, ...], password: str) -> None:
    config = runtime.district(DISTRICT).config()
    listed = []
    for person in crew:
        unit = next((unit for _, unit, _ in person.grants if unit), None)
        cells = [cell for _, _, cell in person.grants if cell]
        listed.append(
            {
                "username": person.username,
                "password": password,
                "name": person.name,
                "role": person.role,
                "role_zh": ROLES[person.role].zh,
                "unit": unit or "",
                "unit_name": config.unit_by_code[unit].name if unit else _community(config, cells),
                "cells": cells,
            }
        )
    path = folder / ACCOUNTS_FILE
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(listed)))


def _community(config: Config, cells: list[str]) -> str:
    above = config.ancestors(cells[0]) if cells else []
    return above[0].name if above else ""


# --- what is printed -------------------------------------------------------------------------------------------------

# Whom to sign in as, and what there is to see: first on the page, then through the interfaces only.
_SHOWN = (
    ("street-leader-1", "本街道的提级队列,领办、批示", "the street's queue: take on, instruct"),
    ("community-leader-1", "本社区的提级队列", "the community's queue"),
    ("district-leader-1", "全区的提级队列", "the district's queue"),
    ("duty-officer-1", "各级提级的案件,可领办", "what has been raised anywhere: take on"),
    ("clerk-1", "各级提级的案件,只看", "the same, to look at"),
)
_BY_INTERFACE = (
    ("grid-worker-4", "今天六户该走访,本格案件", "six visits due today, cases of two cells"),
    ("dispatcher-1", "研判、派单", "rate, dispatch"),
    ("mediator-2", "签收、调解、协议", "accept, mediate, agree"),
    ("centre-director-1", "裁定、批准、核实", "rule, approve, verify"),
)


def welcome(settings: Settings, url: str) -> str:
    """What `wangge demo` prints once it serves: where to go, as whom, and the three minutes that show it."""
    listed = msgspec.json.decode((settings.folder / ACCOUNTS_FILE).read_bytes(), type=list[dict[str, Any]])
    accounts = {account["username"]: account for account in listed}

    def lines_of(rows: tuple[tuple[str, str, str], ...]) -> list[str]:
        return [
            f"    {name:<18}  {accounts[name]['role_zh']}: {zh} / {en}"
            for name, zh, en in rows
            if name in accounts
        ]

    lines = [
        "",
        f"  演示数据 · demo data, nobody in it exists · {DISTRICT_NAME}",
        "",
        f"  Open {url}  and sign in there by one click as somebody of any role. You see the queue of a leader:",
        "",
        *lines_of(_SHOWN),
        "",
        "  Others work through the interfaces so far (phones: docs/contract.md); for them the page says so:",
        "",
        *lines_of(_BY_INTERFACE),
        "",
        f"  Password of all: {listed[0]['password']}   All accounts: {settings.folder / ACCOUNTS_FILE}",
        "",
        "  Three minutes:",
        "   1. One click on 街道领导 (street leader): 「顶楼漏雨维修资金使用争议」 says why it is here and",
        "      what comes next; take it on (领办) with a promised time, or instruct (批示).",
        "   2. Press 「+1 工作日」 (twice late in the day): 「物业费收缴方式引起争执」, announced for tomorrow,",
        "      is there with its reason; 「楼道杂物清理引起对立」 asks again: its promised time has passed.",
        "   3. 退出 (sign out), then 区领导 (district leader): what nobody has touched for three working days,",
        "      「烧烤店油烟反复扰民」.",
        "",
        f"  The contract: {url}/schema/openapi.json      Stop: Ctrl-C",
        "",
    ]
    return "\n".join(lines)
