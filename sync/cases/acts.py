"""The acts as data, and the values that go into an act and come out of it.

Which act is legal from which status, who may do it and what it needs is read from `data/acts_*.toml`; what an act
does beyond moving the status is in the `effects_*.py` files.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from msgspec import Meta, Struct, convert

from sync.cases import shapes
from sync.cases.calendars import Calendar
from sync.cases.catalogue import KINDS, OPEN_TABLES, TABLES, load_toml
from sync.cases.model import instant_of


class Act(Struct, frozen=True, forbid_unknown_fields=True, rename={"from_": "from"}):
    """One row of the tables of acts.

    from_: statuses it may be done at; `-` at creation; empty: any status but merged and voided.
    to: the status after it, or `same`.
    who: roles; `*` every role with the case but those who only oversee, `system` no person, `handler` who holds it.
    approval: done by these roles it only asks; it takes effect when approved.
    needs: each must be given; `a|b` means one of them.
    args: argument -> type word of `ARG_TYPES` or a table of the catalogue (`[]`: several codes).
    entry: types of the entry that may ride along.
    event: what the clocks hear.
    """

    act: str
    zh: str
    en: str
    to: str
    who: tuple[str, ...]
    from_: tuple[str, ...] = ()
    approval: bool = False
    offline: bool = False
    needs: tuple[str, ...] = ()
    args: dict[str, str] = {}
    entry: tuple[str, ...] = ()
    event: str = ""


def _acts(name: str) -> dict[str, Act]:
    rows = convert(load_toml(f"acts_{name}")["acts"], list[Act])
    return {row.act: row for row in rows}


ACTS: Final[Mapping[str, Mapping[str, Act]]] = {
    name: _acts(name) for name in ("dispute", "service", "tip_off")
}
"""Lifecycle -> act -> row."""
ANY_STATUS_ACTS: Final[Mapping[str, Act]] = _acts("any")
CREATED: Final = "-"
# Nothing more can be done to these, except to undo a merger.
CLOSED_TO_ACTS: Final = frozenset({"merged", "voided"})


def lifecycle_of(case: Mapping[str, Any]) -> str:
    kind = KINDS.get(str(case.get("kind")))
    return kind.lifecycle if kind else "dispute"


def find_act(case: Mapping[str, Any], act: str) -> Act | None:
    """The row of an act for a case of this kind, None if there is none."""
    return ACTS[lifecycle_of(case)].get(act) or ANY_STATUS_ACTS.get(act)


# -- who and what is known ----------------------------------------------------------------------


class Actor(Struct, frozen=True):
    """Who acts. `roles` are those that count on this very case; a timer acts as `system`.

    handling: the roles that count for the unit's own acts (`accept` to `close`) once a unit or a person has the case;
        None while nobody has it, then they are the same.
    helping: the roles at units that help: they count for what is done jointly (`lifecycle.JOINT_ACTS`) and for what
        every role with the case may do.
    """

    user: str
    roles: frozenset[str] = frozenset()
    handling: frozenset[str] | None = None
    helping: frozenset[str] = frozenset()
    device: str | None = None
    is_handler: bool = False
    is_author: bool = False
    system: bool = False
    director_away: bool = False


SYSTEM: Final = Actor(user="system", system=True)


class CaseFacts(Struct, frozen=True):
    """What a decision may ask of the world around the case.

    units: code -> unit type. user_units: user -> units the user stands in.
    offices: user -> what he is and where: pairs of a role and a unit (None: of a cell).
    settings: the district's; `sample_percent` (default 10).
    chance: 0..99, drawn by the caller for the sample of verification.
    code, query_code: the next official number and a fresh query code, if the act may need them.
    other: the case named by `merge` or `relate`, if the actor sees it whole.
    entry_author: author of the entry named by `correct`.
    directors: users who direct the centre of this case.
    office: the district's calendar of working days, None before it has one.
    open_tasks: types of the case's open tasks, where `file` asks whether it is complete.
    """

    units: Mapping[str, str] = {}
    unit_exists: frozenset[str] = frozenset()
    user_units: Mapping[str, frozenset[str]] = {}
    offices: Mapping[str, frozenset[tuple[str, str | None]]] = {}
    settings: Mapping[str, Any] = {}
    chance: int = 0
    code: str | None = None
    query_code: str | None = None
    other: Mapping[str, Any] | None = None
    entry_author: str | None = None
    directors: frozenset[str] = frozenset()
    office: Calendar | None = None
    open_tasks: frozenset[str] = frozenset()


# -- what follows -------------------------------------------------------------------------------


class Dispatch(Struct, frozen=True, tag=True):
    """The case goes to a handling unit, and to a person of it if named."""

    unit: str | None
    user: str | None


class Handler(Struct, frozen=True, tag=True):
    """Another person of the same unit handles the case; None: nobody in particular."""

    user: str | None


class ClearHandler(Struct, frozen=True, tag=True):
    """No unit and no person handles the case any more."""


class Name(Struct, frozen=True, tag=True):
    """The user is named for the case and sees it whole."""

    user: str


class Unname(Struct, frozen=True, tag=True):
    user: str


class Recuse(Struct, frozen=True, tag=True):
    """The user may no longer know of the case."""

    user: str


class LiftRecusal(Struct, frozen=True, tag=True):
    user: str


class SetClass(Struct, frozen=True, tag=True):
    """The class of protection after the act."""

    protection: str


class SetPlace(Struct, frozen=True, tag=True):
    """A person has said where it happened: rules do not move it any more."""

    cell: str | None
    location: dict[str, Any] | None
    evidence: str | None
    by: str | None = None  # the user's id


class MergeInto(Struct, frozen=True, tag=True):
    """The case is part of another; None: it stands alone again."""

    case_id: str | None


Directive = (
    Dispatch | Handler | ClearHandler | Name | Unname | Recuse | LiftRecusal | SetClass | SetPlace | MergeInto
)


class EntryDraft(Struct, frozen=True):
    """An entry to be written besides the act's own. `id` None: the writer gives one."""

    type: str
    body: dict[str, Any]
    class_: str
    id: str | None = None


class ClockEvent(Struct, frozen=True):
    """What the clocks of the case hear, at `now`."""

    kind: str
    args: dict[str, Any] = {}


class TaskDraft(Struct, frozen=True):
    """A task for a person (`user`), or for a role at the case's cell (`to_cell`) or handling unit."""

    type: str
    to_cell: bool
    role: str | None
    user: str | None
    due: int | None
    text: str


class NoticeDraft(Struct, frozen=True):
    user: str
    kind: str
    code: str
    args: dict[str, Any]


class Done(Struct, frozen=True):
    """The act holds; nothing of this has been written yet.

    set: fields of the case to change, `status` and `track` among them.
    entries: besides the entry of the act itself, which the writer adds with outcome `done`.
    close_tasks: types of the case's open tasks that are done by this.
    """

    set: dict[str, Any]
    entries: tuple[EntryDraft, ...] = ()
    directives: tuple[Directive, ...] = ()
    events: tuple[ClockEvent, ...] = ()
    tasks: tuple[TaskDraft, ...] = ()
    close_tasks: tuple[str, ...] = ()
    tell: tuple[NoticeDraft, ...] = ()


RefusedCode = Literal["act_illegal", "act_forbidden", "act_needs", "own_work"]


class Refused(Struct, frozen=True):
    """The act does not hold and nothing changes.

    code: act_illegal (not at this status), act_forbidden (not by this person), act_needs (`missing` says what),
        own_work (nobody judges own work).
    legal: the acts this person could do now.
    """

    code: RefusedCode
    zh: str
    en: str
    legal: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


class ActError(Exception):
    """Raised inside an effect to refuse; `lifecycle.run_act` turns it into `Refused`."""

    def __init__(self, code: RefusedCode, zh: str, en: str, missing: tuple[str, ...] = ()) -> None:
        super().__init__(en)
        self.code, self.zh, self.en, self.missing = code, zh, en, missing


def lacks(*missing: str, zh: str = "", en: str = "") -> ActError:
    """What to raise when something needed was not given, or was given wrongly."""
    return ActError(
        "act_needs",
        zh or f"缺少或不合要求:{'、'.join(missing)}",
        en or f"needed: {', '.join(missing)}",
        missing,
    )


# -- arguments ----------------------------------------------------------------------------------

ARG_TYPES: Final[Mapping[str, Any]] = {
    "text": shapes.text(4000),
    "texts": shapes.rows(shapes.text(1000), 100),
    "bool": bool,
    "time": shapes.Time,
    "day": shapes.Day,
    "count": shapes.Fen,
    "days": Annotated[int, Meta(ge=1, le=3660)],  # an extension is counted day by day
    "number": shapes.Count | shapes.text(40),
    "level": Literal[0, 1, 2, 3],
    "unit": shapes.CellCode,
    "units": shapes.rows(shapes.CellCode, 20),
    "user": shapes.CellCode,
    "users": shapes.rows(shapes.CellCode, 50),
    "cell": shapes.CellCode,
    "id": shapes.Id,
    "ids": shapes.rows(shapes.Id, 50),
    "object": dict[str, Any],
    "on_spot": shapes.OnSpot,
    "location": shapes.Location,
    "personal": Literal[tuple(sorted(shapes.PARTY_PERSONAL))],
}


def _arg_fits(word: str, value: Any) -> bool:
    shape = ARG_TYPES.get(word)
    if shape is not None:
        try:
            convert(value, shape)
        except (ValueError, TypeError, RecursionError):
            return False
        return True
    table = word.removesuffix("[]")
    if word.endswith("[]"):
        return isinstance(value, list) and len(value) <= 50 and all(_code_fits(table, code) for code in value)
    return _code_fits(table, value)


def _code_fits(table: str, code: Any) -> bool:
    if not isinstance(code, str):
        return False
    own = table in OPEN_TABLES and code.startswith("x_") and len(code) <= 64
    return own or code in TABLES[table]


def checked_args(rule: Act, args: Mapping[str, Any], case: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments an act knows, each of its type; raises `ActError` naming what is missing or wrong.

    Null and blank text count as absent, ISO times are taken as instants, other arguments are left to the timeline. A
    need is not met by `false` or by a list of nothing. What the case already says (its category, its on-the-spot
    record, its outcome) need not be said again.
    """
    known: dict[str, Any] = {}
    wrong: list[str] = []
    for name, word in rule.args.items():
        value = args.get(name)
        if value is None or (isinstance(value, str) and not value.strip()):
            continue
        if word == "texts" and isinstance(value, list):
            value = [one for one in value if not isinstance(one, str) or one.strip()]
        if word == "time" and isinstance(value, str):
            value = instant_of(value)
        if _arg_fits(word, value):
            known[name] = value
        else:
            wrong.append(name)
    if wrong:
        raise lacks(*wrong)
    entry = args.get("entry")
    if entry is not None:
        known["entry"] = _checked_entry(rule, entry)
    if isinstance(args.get("note"), str):
        known["note"] = args["note"]
    said = {name for name, value in known.items() if value is not False and value not in ([], {})} | _said_by(
        case
    )
    missing = [need for need in rule.needs if not any(name in said for name in need.split("|"))]
    if missing:
        raise lacks(*missing)
    return known


def _said_by(case: Mapping[str, Any]) -> set[str]:
    return {name for name in ("category", "on_spot", "outcome") if case.get(name)}


def _checked_entry(rule: Act, entry: Any) -> dict[str, Any]:
    if (
        not isinstance(entry, dict)
        or not isinstance(entry.get("body"), dict)
        or entry.get("type") not in rule.entry
        or not (entry.get("id") is None or _arg_fits("id", entry["id"]))
    ):
        raise lacks(
            "entry",
            zh="随附记录的类型或内容不合要求",
            en="the entry riding along is of the wrong type or shape",
        )
    return entry
