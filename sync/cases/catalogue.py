"""The field's tables: codes are stable and never reused for another meaning, words belong to the district.

Every table lies in `data/*.toml` and is read once, here, into frozen rows. A district may change every label and hide
rows; rows of its own (`x_…`) are allowed only where `OPEN_TABLES` says so (see `district.py`).
"""

import tomllib
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

DATA: Final = Path(__file__).parent / "data"

# How two users may come to hold a right on a case: through the cells of a unit, by the unit that handles
# it, or not by place at all.
VIAS: Final = ("cell", "unit", "person", "none")
REACHES: Final = ("worker", "lead", "centre", "handler", "manager", "none")


class Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    code: str
    zh: str
    en: str


class Level(Row, frozen=True, forbid_unknown_fields=True, kw_only=True):
    outer: str
    ladder_zh: str


class UnitType(Row, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`holds`: in which part a unit of this type may hold a case: process, handling, joint, outside."""

    levels: tuple[int, ...]
    holds: tuple[str, ...] = ()


class Right(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Over what a grant of the role reaches a case (`via`) and how far (`reach`)."""

    via: str
    reach: str


class Role(Row, frozen=True, forbid_unknown_fields=True, kw_only=True):
    rights: tuple[Right, ...]

    @property
    def via(self) -> str:
        return self.rights[0].via

    @property
    def reach(self) -> str:
        return self.rights[0].reach


class Kind(Row, frozen=True, forbid_unknown_fields=True, kw_only=True):
    lifecycle: str


class Source(Row, frozen=True, forbid_unknown_fields=True, kw_only=True):
    found_by: str = "application"


class Status(Row, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`counts_as`: the column of the monthly sheet; `lifecycles`: where the status occurs."""

    open: bool
    counts_as: str
    lifecycles: tuple[str, ...]


class Outcome(Row, frozen=True, forbid_unknown_fields=True, kw_only=True):
    resolved: bool = False


class DeclineReason(Row, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`mark`: L fixed by law, P common practice, D default of the product."""

    mark: str = "D"


class SuspendReason(Row, frozen=True, forbid_unknown_fields=True, kw_only=True):
    approver: str = "centre_director"
    cap_working_days: int | None = None
    cap_days: int | None = None
    times: int | None = None
    review_days: int | None = None


class Category(Row, frozen=True, forbid_unknown_fields=True, kw_only=True):
    kind: str
    protection: str = "normal"
    map15: str | None = None
    flags: tuple[str, ...] = ()


class PartyRole(Row, frozen=True, forbid_unknown_fields=True, kw_only=True):
    side: str


class Band(Row, frozen=True, forbid_unknown_fields=True, kw_only=True, rename={"from_": "from"}):
    from_: int
    to: int | None = None
    outer: str


class Signal(Row, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a tick proposes; a person confirms."""

    colour: str | None = None
    colour_above_50: str | None = None
    urgency: str | None = None
    protection: str | None = None
    also: tuple[str, ...] = ()


class EntryType(Row, frozen=True, forbid_unknown_fields=True, kw_only=True, rename={"class_": "class"}):
    """`body`: names of the fields of the body; `class_`: who reads it (o, c, s); `phone`: a phone may write it."""

    body: tuple[str, ...]
    phone: bool
    class_: str


class VisitOutcome(Row, frozen=True, forbid_unknown_fields=True, kw_only=True):
    met: bool = False


class Care(Row, frozen=True, forbid_unknown_fields=True, kw_only=True):
    grounds: tuple[str, ...] = ()
    cadence: str = "none"
    cadence_days: int | None = None
    first_hours: int | None = None
    protection: str = "restricted"


class TaskType(Row, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`closed_by`: acts and entry types of which the first one done closes the task for all."""

    closed_by: tuple[str, ...]


class ClockName(Row, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pausable: bool


class FileKind(Row, frozen=True, forbid_unknown_fields=True, kw_only=True):
    max_bytes: int


class Paper(Row, frozen=True, forbid_unknown_fields=True, kw_only=True):
    place: str = "-"


ROW_TYPES: Final[dict[str, type[Row]]] = {
    "levels": Level,
    "unit_types": UnitType,
    "roles": Role,
    "kinds": Kind,
    "sources": Source,
    "statuses": Status,
    "outcomes": Outcome,
    "decline_reasons": DeclineReason,
    "suspend_reasons": SuspendReason,
    "categories": Category,
    "party_roles": PartyRole,
    "people_bands": Band,
    "signals": Signal,
    "entry_types": EntryType,
    "visit_outcomes": VisitOutcome,
    "care": Care,
    "task_types": TaskType,
    "clocks": ClockName,
    "file_kinds": FileKind,
    "papers": Paper,
}
"""Tables whose rows say more than code and words; all others are plain `Row`s."""

OPEN_TABLES: Final = frozenset(
    {
        "unit_types",
        "sources",
        "channels",
        "categories",
        "signals",
        "decline_reasons",
        "return_reasons",
        "suspend_reasons",
        "fail_reasons",
        "outcomes",
        "visit_purposes",
        "visit_outcomes",
        "care",
        "papers",
    }
)
"""Tables to which a district may add rows of its own."""

_FILES: Final = (
    "units",
    "cases",
    "reasons",
    "categories",
    "capture",
    "entries",
    "visits",
    "households",
    "clocks",
    "papers",
    "words",
    "kept",
)
_R = TypeVar("_R", bound=Row)


def load_toml(name: str) -> dict[str, Any]:
    """One data file of the package."""
    return tomllib.loads((DATA / f"{name}.toml").read_text(encoding="utf-8"))


def _tables() -> dict[str, dict[str, Row]]:
    tables: dict[str, dict[str, Row]] = {}
    for name in _FILES:
        for table, rows in load_toml(name).items():
            typed = msgspec.convert(rows, list[ROW_TYPES.get(table, Row)])  # type: ignore[misc]
            by_code = {row.code: row for row in typed}
            if table in tables or len(by_code) != len(rows):
                raise ValueError(f"a code or a table stands twice: {name}.toml {table}")
            tables[table] = by_code
    return tables


TABLES: Final = _tables()
"""Table name -> code -> row, in the order of the files."""


def _typed(table: str, row_type: type[_R]) -> dict[str, _R]:
    return {code: row for code, row in TABLES[table].items() if isinstance(row, row_type)}


LEVELS: Final = _typed("levels", Level)
UNIT_TYPES: Final = _typed("unit_types", UnitType)
ROLES: Final = _typed("roles", Role)
KINDS: Final = _typed("kinds", Kind)
SOURCES: Final = _typed("sources", Source)
STATUSES: Final = _typed("statuses", Status)
OUTCOMES: Final = _typed("outcomes", Outcome)
DECLINE_REASONS: Final = _typed("decline_reasons", DeclineReason)
SUSPEND_REASONS: Final = _typed("suspend_reasons", SuspendReason)
CATEGORIES: Final = _typed("categories", Category)
PARTY_ROLES: Final = _typed("party_roles", PartyRole)
BANDS: Final = _typed("people_bands", Band)
SIGNALS: Final = _typed("signals", Signal)
ENTRY_TYPES: Final = _typed("entry_types", EntryType)
VISIT_OUTCOMES: Final = _typed("visit_outcomes", VisitOutcome)
CARE: Final = _typed("care", Care)
TASK_TYPES: Final = _typed("task_types", TaskType)
FILE_KINDS: Final = _typed("file_kinds", FileKind)
PAPERS: Final = _typed("papers", Paper)

OPEN_STATUSES: Final = frozenset(code for code, row in STATUSES.items() if row.open)
PROTECTIONS: Final = ("normal", "restricted", "sealed")
URGENCIES: Final = ("normal", "urgent", "emergency")
COLOURS: Final = ("blue", "yellow", "orange", "red")
CONSENTS: Final = frozenset(TABLES["consents"])
SUPERVISIONS: Final = ("none", "ordinary", "yellow", "red")


def codes(table: str) -> tuple[str, ...]:
    return tuple(TABLES[table])


def highest(order: tuple[str, ...], *values: str | None) -> str:
    """The highest of the given values in `order`; an unknown or absent one counts as the lowest."""
    return max((value for value in values if value in order), key=order.index, default=order[0])


def band_of(people_count: int | None) -> str | None:
    """The scale of a case by the number of people (catalogue of the field, 6.4)."""
    if people_count is None:
        return None
    for row in BANDS.values():
        if people_count >= row.from_ and (row.to is None or people_count <= row.to):
            return row.code
    return None
