"""The words and rules of one district: its labels and own rows over the tables, and what the phone is given of both."""

import hashlib
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from sync.cases.acts import ACTS, ANY_STATUS_ACTS
from sync.cases.catalogue import KINDS, OPEN_TABLES, PROTECTIONS, ROW_TYPES, TABLES, Row

_OWN_PREFIX: Final = "x_"
_LABELS: Final = frozenset({"code", "zh", "en", "hidden"})


class RowFault(msgspec.Struct, frozen=True):
    """What is wrong with a row of a district; `fault` is `table_closed`, `row_unknown`, `shape` or the like."""

    table: str
    code: str
    fault: str
    message: str


def faults_of(rows: Mapping[str, list[dict[str, Any]]]) -> list[RowFault]:
    """What keeps a district's rows (`table -> [{code, zh, en, …}]`) from being taken over; empty if nothing does.

    Any row may be given other words or be hidden; a row of its own needs a table that is open and a code `x_…`.
    """
    found: list[RowFault] = []
    for table, given in rows.items():
        if table not in TABLES:
            found.append(RowFault(table, "", "table_unknown", "没有这张表"))
            continue
        seen: set[str] = set()
        for row in given:
            code = str(row.get("code", ""))
            fault = _fault_of(table, code, row)
            if fault is None and code in seen:
                fault = ("code_twice", "代码重复")
            seen.add(code)
            if fault is not None:
                found.append(RowFault(table, code, *fault))
    return found


def _fault_of(table: str, code: str, row: Mapping[str, Any]) -> tuple[str, str] | None:
    if not all(isinstance(row.get(name, ""), str) for name in ("zh", "en")):
        return "shape", "名称须为文字"
    if code in TABLES[table]:
        fixed = set(row) - _LABELS
        return ("fixed", f"只能改名称或隐藏,不能改:{'、'.join(sorted(fixed))}") if fixed else None
    if not code.startswith(_OWN_PREFIX) or len(code) <= len(_OWN_PREFIX):
        return "row_unknown", "自设代码须以 x_ 开头"
    if table not in OPEN_TABLES:
        return "table_closed", "此表不能增加自设代码"
    try:
        typed = _typed(table, row)
    except (msgspec.ValidationError, TypeError) as error:
        return "shape", str(error)
    if table == "categories" and getattr(typed, "kind", None) not in KINDS:
        return "shape", "类别须写明事件种类"
    if getattr(typed, "protection", None) not in {None, *PROTECTIONS}:
        return "shape", "保密等级不存在"
    return None


def _typed(table: str, row: Mapping[str, Any]) -> Row:
    given = {name: value for name, value in row.items() if name != "hidden"}
    given.setdefault("en", given.get("zh"))
    return msgspec.convert(given, ROW_TYPES.get(table, Row))


def catalogue_json(rows: Mapping[str, list[dict[str, Any]]] | None = None) -> dict[str, Any]:
    """Words and rules for the phone: `{tables, lifecycles, any_status_acts, sha256}`.

    tables: name -> rows in order, with the district's words, `hidden` where it hides one, its own rows at the end.
    lifecycles: lifecycle -> acts (`act, zh, en, from, to, who, needs, args, entry, offline`).
    sha256: of the canonical JSON of the rest. Raises `ValueError` if the district's rows have faults.
    """
    own = rows or {}
    faults = faults_of(own)
    if faults:
        raise ValueError(f"{faults[0].table} {faults[0].code}: {faults[0].message}")
    body: dict[str, Any] = {
        "tables": {table: _table(table, own.get(table, [])) for table in TABLES},
        "lifecycles": {name: [_act(row) for row in acts.values()] for name, acts in ACTS.items()},
        "any_status_acts": [_act(row) for row in ANY_STATUS_ACTS.values()],
    }
    canonical = msgspec.json.encode(body, order="deterministic")
    return {**body, "sha256": hashlib.sha256(canonical).hexdigest()}


def _table(table: str, own: list[dict[str, Any]]) -> list[dict[str, Any]]:
    changes = {row["code"]: row for row in own}
    out = []
    for code, row in TABLES[table].items():
        shown = msgspec.to_builtins(row)
        change = changes.pop(code, {})
        shown |= {name: change[name] for name in ("zh", "en", "hidden") if name in change}
        out.append(shown)
    for added in changes.values():
        shown = msgspec.to_builtins(_typed(table, added))
        out.append({**shown, "hidden": True} if added.get("hidden") else shown)
    return out


def _act(row: Any) -> dict[str, Any]:
    shown: dict[str, Any] = msgspec.to_builtins(row)
    return shown
