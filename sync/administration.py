"""Works of the administrator: people, units, grants, cells, rules, settings. All go through the one door.

Whatever moves visibility takes a number of the clock, so that a phone learns of it at its next pull.
"""

from collections.abc import Iterable, Mapping, Sequence, Set as AbstractSet
from typing import Any

import msgspec

from geo.cells import NAME_MAX, is_code, is_name
from geo.certainty import Thresholds
from sync import scope
from sync.batch import Batch
from sync.cases.calendars import CalendarError, parse_calendar
from sync.cases.catalogue import ROLES, UNIT_TYPES
from sync.cases.rulesets import RuleError, parse_rules
from sync.commit import Context, Work, audit_row, write
from sync.config import DISTRICT_LEVEL, OUTSIDE, PLACING
from sync.errors import Conflict, NotFound, Unprocessable
from sync.facts import Facts, load_cases
from sync.recusal import KEPT_FROM_STAFF_CASES, recuse_staff
from sync.store import Reader, Row, Tx
from sync.values import FOREVER, Collection, Place

_PAGE = 500
USERNAME_MAX = 64  # signing in takes no longer one
_APART = frozenset({"admin", "auditor", "data_officer"})  # nobody may hold two of these


def new_batch(tx: Tx, context: Context, *, actor: int | None = None, device: int | None = None) -> Batch:
    """An empty batch at the transaction's head."""
    return Batch(
        tx.head(), now=context.now, chance=context.chance, keys=context.keys, actor=actor, device=device
    )


def done(tx: Tx, context: Context, n: int, action: str, touched: Sequence[str] = ()) -> int:
    """Close an administrative work: configuration raised, audit written."""
    tx.raise_config()
    audit_row(tx, context, n, action, touched)
    return n


# --- accounts --------------------------------------------------------------------------------------------------------


def add_account(username: str, name: str, password: str, *, user_id: str | None = None) -> Work[str]:
    """A person who can sign in; `password` is a hash. Value: the user's id. Raises ``Conflict`` for a taken name."""

    def work(tx: Tx, context: Context) -> str:
        if not username.strip() or not name.strip():
            raise Unprocessable("帐号和姓名都要填写。")
        if len(username) > USERNAME_MAX or not username.isprintable() or username != username.strip():
            raise Unprocessable(f"帐号最多 {USERNAME_MAX} 个字符,首尾不得有空格,也不得有控制字符。")
        if not is_name(name):
            raise Unprocessable(f"姓名最多 {NAME_MAX} 个字符,不得有控制字符。")
        if tx.find("account", {"username": username}):
            raise Conflict(f"帐号 {username} 已经存在。")
        identity = user_id or context.chance.uuid7(context.wall)
        row = {
            "id": identity,
            "username": username,
            "name": name,
            "password": password,
            "state": "active",
            "not_before": 0,
            "failed": 0,
            "locked_until": 0,
            "created_at": context.wall,
        }
        pk = tx.add("account", row)
        done(tx, context, tx.number(), "account.add", [f"user:{pk}"])
        return identity

    return work


def account_of(reader: Reader, who: str) -> Row:
    """The account of a name or an id; raises ``NotFound``."""
    rows = reader.find("account", {"username": who}) or reader.find("account", {"id": who})
    if not rows:
        raise NotFound(f"没有帐号 {who}。")
    return rows[0]


def grant_role(
    username: str,
    role: str,
    *,
    unit: str | None = None,
    cell: str | None = None,
    stands_in_for: str | None = None,
    until_at: int | None = None,
) -> Work[int]:
    """A role at a unit or at a cell, from now on; value: the grant's key."""

    def work(tx: Tx, context: Context) -> int:
        if role not in ROLES:
            raise Unprocessable(f"没有角色 {role}。")
        if (unit is None) == (cell is None):
            raise Unprocessable("授权要落在一个单位或一个网格上,二者选一。")
        if stands_in_for == username:
            raise Unprocessable("代管他人的岗位,不能代管自己。")
        if until_at is not None and until_at <= context.now:
            raise Unprocessable("代管或授权的截止时间已经过去。")
        account = account_of(tx, username)
        held = {row["role"] for row in tx.find("grant_role", {"user_pk": account["pk"], "v_to": None})}
        if role in _APART and held & (_APART - {role}):
            raise Conflict("系统管理员、审计员、个人信息保护负责人不得由一人兼任。")
        unit_pk = cell_pk = None
        if unit is not None:
            rows = tx.find("unit", {"code": unit})
            if not rows:
                raise NotFound(f"没有单位 {unit}。")
            unit_pk = rows[0]["pk"]
        else:
            rows = tx.find("cell", {"code": cell, "level": 0})
            if not rows:
                raise NotFound(f"没有网格 {cell}。")
            cell_pk = rows[0]["pk"]
        former = tx.find(
            "grant_role",
            {"user_pk": account["pk"], "role": role, "unit_pk": unit_pk, "cell_pk": cell_pk, "v_to": None},
        )
        if former:
            return int(former[0]["pk"])
        batch = new_batch(tx, context)
        n = batch.n
        row = {
            "user_pk": account["pk"],
            "role": role,
            "unit_pk": unit_pk,
            "cell_pk": cell_pk,
            "stands_in_for": account_of(tx, stands_in_for)["pk"] if stands_in_for else None,
            "v_from": n,
            "v_to": None,
            "until_at": until_at,
        }
        pk = tx.add("grant_role", row)
        tx.raise_config()
        scope.refuse_growth(tx, context.configs.get(tx), account["pk"], role)
        batch.effects.append(f"grant:{pk}")
        if role in KEPT_FROM_STAFF_CASES:
            holds = context.configs.get(tx).holds(account["pk"])
            cells = {hold.tag for hold in holds if hold.kind == Place.cell and hold.v_to == FOREVER}
            _recuse_newcomers(tx, context, batch, cells)
        if batch.empty():
            done(tx, context, tx.number(), "grant.add", batch.effects)
        else:
            write(tx, batch, context, "grant.add")
        return pk

    return work


def _recuse_newcomers(tx: Tx, context: Context, batch: Batch, cells: Iterable[int]) -> None:
    """Whoever takes office where a case about the staff is open is recused from it as his predecessor was.

    At the very number of the grant, or of the unit's getting the cells, so that there is no number at which he could
    have seen it.
    """
    facts = Facts(batch.head, context.configs.get(tx), context.keys)
    tags = sorted(cells)
    after = None
    while True:
        docs = tx.tagged(
            Collection.cases, Place.cell, tags, seq_over=0, seq_upto=None, after=after, limit=_PAGE
        )
        flagged = [doc for doc in docs if doc.gone is None and b'"involves_staff":true' in doc.clear]
        facts.learn(flagged)
        load_cases(tx, facts, flagged)
        for doc in flagged:
            recuse_staff(batch, facts, batch.take(doc))
        if len(docs) < _PAGE:
            return
        after = (docs[-1].cell or 0, docs[-1].seq, docs[-1].pk)


def end_grant(
    username: str, role: str | None = None, *, unit: str | None = None, cell: str | None = None
) -> Work[int]:
    """End grants of a person: all, or those of a role, unit or cell. Value: how many ended."""

    def work(tx: Tx, context: Context) -> int:
        where: dict[str, Any] = {"user_pk": account_of(tx, username)["pk"], "v_to": None}
        if role is not None:
            where["role"] = role
        if unit is not None:
            where["unit_pk"] = [row["pk"] for row in tx.find("unit", {"code": unit})]
        if cell is not None:
            where["cell_pk"] = [row["pk"] for row in tx.find("cell", {"code": cell})]
        rows = tx.find("grant_role", where)
        if not rows:
            return 0
        n = tx.number()
        ended = [row["pk"] for row in rows]
        tx.update("grant_role", {"pk": ended}, {"v_to": n})
        unname_leavers(tx, {row["user_pk"] for row in rows}, n)
        done(tx, context, n, "grant.end", [f"grant:{pk}" for pk in ended])
        return len(rows)

    return work


def unname_leavers(tx: Tx, users: Iterable[int], n: int) -> None:
    """Whoever has no office left that brings cases in view keeps none he was named for: a naming is no office."""
    for user_pk in sorted(users):
        left = tx.find("grant_role", {"user_pk": user_pk, "v_to": None}, columns=["role"])
        roles = [role for row in left if (role := ROLES.get(row["role"])) is not None]
        if not any(right.reach != "none" for role in roles for right in role.rights):
            tx.update("naming", {"user_pk": user_pk, "denied": False, "v_to": None}, {"v_to": n})


# --- units -----------------------------------------------------------------------------------------------------------


class UnitRecord(msgspec.Struct, frozen=True):
    """One row of the units' list; `area` is the code of the area the unit stands at."""

    code: str
    type: str
    name: str
    area: str
    level: int
    parent: str | None = None


def import_units(records: Iterable[UnitRecord]) -> Work[int]:
    """Add or change units; value: how many rows changed. Raises ``Unprocessable`` naming the first bad row.

    Once cells are in force, a new unit, or one that moves, must stand at an area that they know.
    """
    listed = list(records)

    def work(tx: Tx, context: Context) -> int:
        known = {row["code"]: row for row in tx.find("unit")}
        cells = tx.find("cell")
        areas = {row["code"] for row in cells if row["generation"] >= 0}
        changed: list[str] = []
        batch = new_batch(tx, context)
        n = batch.n
        parents = {code: row["parent"] for code, row in known.items()}
        parents |= {record.code: record.parent for record in listed}
        for number, record in enumerate(listed, start=2):
            former = known.get(record.code)
            wrong = _unit_fault(record, parents)
            if not wrong and areas and record.area not in areas and (former or {}).get("area") != record.area:
                wrong = f"没有网格或区域 {record.area}。"
            if wrong:
                raise Unprocessable(f"第 {number} 行:{wrong}", line=number)
            row = msgspec.structs.asdict(record)
            if former is None:
                pk = tx.add("unit", row)
                changed.append(f"unit:{pk}")
                continue
            if {name: former[name] for name in row} == row:
                continue
            tx.update("unit", {"pk": former["pk"]}, row)
            changed.append(f"unit:{former['pk']}")
            if former["area"] != record.area or former["level"] != record.level:
                tx.update("unit", {"pk": former["pk"]}, {"successor": None})  # it stands for itself again
        gained = settle_unit_cells(tx, n) if changed else {}
        tx.raise_config()
        batch.effects += changed
        recuse_where_gained(tx, context, batch, gained)
        if batch.empty():
            done(tx, context, tx.number(), "units.import", changed)
        else:
            write(tx, batch, context, "units.import")
        return len(changed)

    return work


def recuse_where_gained(
    tx: Tx, context: Context, batch: Batch, gained: Mapping[int, AbstractSet[int]]
) -> None:
    """A unit that gets a cell brings its officers there: from cases about the staff they are recused at once."""
    where = {"unit_pk": sorted(gained), "role": sorted(KEPT_FROM_STAFF_CASES), "v_to": None}
    units = {row["unit_pk"] for row in tx.find("grant_role", where, columns=["unit_pk"])} if gained else set()
    cells = {cell for unit in units for cell in gained[unit]}
    if cells:
        _recuse_newcomers(tx, context, batch, cells)


def _unit_fault(record: UnitRecord, parents: Mapping[str, str | None]) -> str:
    """What is wrong with one unit, as a sentence; `parents` tells the parent of every unit there will be."""
    if not all(is_code(code) for code in (record.code, record.area, record.type)) or not is_name(record.name):
        return "编码、类型、名称或区域太长,或含有不能用的字符。"
    if record.type not in UNIT_TYPES and not record.type.startswith("x_"):
        return f"没有单位类型 {record.type}。"
    if not 0 <= record.level <= DISTRICT_LEVEL:
        return "层级应为 0 到 3。"
    above, passed = record.parent, {record.code}
    while above:
        if above in passed:
            return f"上级单位 {record.parent} 又归到自己下面。"
        if above not in parents:
            return f"上级单位 {record.parent} 不存在。"
        passed.add(above)
        above = parents[above]
    return ""


def settle_unit_cells(tx: Tx, n: int) -> dict[int, set[int]]:
    """Give every unit the cells it is to have from number `n` on; returns what each unit has gained.

    A unit has the cells below its area, and those of every unit that it has succeeded.
    """
    units, cells = tx.find("unit"), tx.find("cell")
    by_code = {row["code"]: row for row in units}
    wanted: dict[int, set[int]] = {row["pk"]: set() for row in units}
    for row in units:
        wanted[_last_successor(row, by_code)["pk"]] |= set(cells_below(row["area"], row["level"], cells))
    held: dict[int, dict[int, int]] = {}
    for row in tx.find("unit_cell", {"v_to": None}):
        held.setdefault(row["unit_pk"], {})[row["cell_pk"]] = row["pk"]
    gained: dict[int, set[int]] = {}
    ended: list[int] = []
    for unit_pk, due in wanted.items():
        now = held.get(unit_pk, {})
        ended += [pk for cell, pk in now.items() if cell not in due]
        gained[unit_pk] = due - now.keys()
    for start in range(0, len(ended), _PAGE):
        tx.update("unit_cell", {"pk": ended[start : start + _PAGE]}, {"v_to": n})
    fresh = [(unit, cell) for unit, found in gained.items() for cell in sorted(found)]
    tx.insert(
        "unit_cell",
        [{"unit_pk": unit, "cell_pk": cell, "v_from": n, "v_to": None} for unit, cell in fresh],
    )
    return gained


def _last_successor(unit: Row, by_code: Mapping[str, Row]) -> Row:
    passed = {unit["code"]}
    while (code := unit["successor"]) in by_code and code not in passed:
        unit = by_code[code]
        passed.add(code)
    return unit


def cells_below(area: str, level: int, cells: Sequence[Row]) -> list[int]:
    """Cells whose ancestors include `area`; a district's unit also has what lies outside every cell."""
    by_code = {row["code"]: row for row in cells}
    found: list[int] = []
    for row in cells:
        if row["level"] != 0 or row["generation"] < 0:
            continue
        code: str | None = row["code"]
        for _ in range(DISTRICT_LEVEL + 1):
            if code == area:
                found.append(row["pk"])
                break
            parent = by_code.get(code or "")
            code = None if parent is None else parent["parent"]
    if level == DISTRICT_LEVEL:
        found.append(OUTSIDE)
    return found


# --- rules and settings ----------------------------------------------------------------------------------------------


def load_ruleset(toml: str, *, activate: bool = True) -> Work[int]:
    """Keep a version of the escalation rules; value: its version. Raises ``Unprocessable`` for text that is none."""
    try:
        rules = parse_rules(toml)
    except RuleError as error:
        raise Unprocessable(f"规则文本有误:{error}") from error

    def work(tx: Tx, context: Context) -> int:
        last = tx.find("rules", order=["-version"], limit=1, columns=["version"])
        version = (last[0]["version"] if last else 0) + 1
        if activate:
            tx.update("rules", {"state": "active"}, {"state": "retired"})
        row = {
            "version": version,
            "state": "active" if activate else "draft",
            "sha256": rules.sha256,
            "source": toml,
            "activated_at": context.now if activate else None,
            "activated_by": context.actor if activate else None,
        }
        tx.insert("rules", [row])
        done(tx, context, tx.number(), "rules.load", [f"rules:{version}"])
        return version

    return work


def load_calendar(toml: str) -> Work[str]:
    """Keep a new version of a calendar; value: its name."""
    try:
        calendar = parse_calendar(toml)
    except CalendarError as error:
        raise Unprocessable(f"日历文本有误:{error}") from error

    def work(tx: Tx, context: Context) -> str:
        tx.insert("calendar", [{"name": calendar.id, "source": toml, "loaded_at": context.now}])
        done(tx, context, tx.number(), "calendar.load", [f"calendar:{calendar.id}"])
        return calendar.id

    return work


def put_settings(values: Mapping[str, Any]) -> Work[None]:
    """Set settings of the district; raises ``Unprocessable`` at once for a value that contradicts itself.

    PC6: other thresholds move no case; what is captured from then on goes by them.
    """
    if PLACING in values:
        try:
            msgspec.convert(values[PLACING], Thresholds)
        except msgspec.ValidationError as error:
            raise Unprocessable(
                "网格判定的设置要满足:0 < flag < auto ≤ 1,0 < radius_m ≤ 10000,0 ≤ tolerance_m ≤ 1000。"
            ) from error

    def work(tx: Tx, context: Context) -> None:
        for name, value in values.items():
            tx.put("setting", {"name": name, "value": msgspec.json.encode(value).decode()})
        done(tx, context, tx.number(), "settings.put", sorted(values))

    return work
