"""The rules of escalation as data: what starts a clock, how long it runs, who hears when it runs out.

People write TOML. What is stored, hashed and compared is the canonical JSON of the frozen `RuleSet`, so two
texts that differ only in layout are one rule set. Conditions are a closed tree (field, op, value, all, any,
not) and never text that is evaluated: a form can edit them and `rules_lint` can read them.
"""

import hashlib
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, Literal

import msgspec

from sync.cases.calendars import CalendarError, Span, parse_span

Op = Literal["eq", "ne", "in", "not_in", "gte", "lte", "prefix", "present"]
FACTS: Final = frozenset(
    {
        "kind",
        "category",
        "risk",
        "urgency",
        "complexity",
        "protection",
        "status",
        "level",
        "open",
        "protective",
    }
)
_AT: Final = re.compile(r"(\d{1,3})%(?:([+-])(\d+(?:wh|wd|m|h|d)))?")


class RuleError(ValueError):
    """The text of a rule set cannot be understood; the message says where."""


class Condition(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, rename={"not_": "not"}
):
    """One node of the tree: either `field`, `op`, `value`, or exactly one of `all`, `any`, `not`.

    Fields are those of `CaseFacts`, or `args.x` for an argument of the event that started the clock. A
    field that is unknown satisfies only `ne`, `not_in` and `present = false`.
    """

    field: str | None = None
    op: Op = "eq"
    value: Any = None
    all: tuple["Condition", ...] | None = None
    any: tuple["Condition", ...] | None = None
    not_: "Condition | None" = None


class Trigger(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """An event, perhaps only with certain arguments."""

    event: str
    when: Condition | None = None


class Pause(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A reason for which a clock may stand still: at most so long (none: until resumed) and so often."""

    zh: str
    en: str
    max: Span | None = None
    max_times: int | None = None
    approver: str = ""


class Budget(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How long a clock runs; the first row whose condition holds counts, the last row has none.

    `rounds` make a clock that starts again from the same anchor each time it is met (follow-up after 7, 30,
    90 days). `since` moves the anchor to the first such event after it: a case rated red in the afternoon
    is not late at once.
    """

    calendar: str
    span: Span | None = None
    rounds: tuple[Span, ...] = ()
    when: Condition | None = None
    since: Trigger | None = None


class ClockRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One promise. `parallel` names the event argument that keeps several clocks of the kind apart.

    `due_from` and `anchor_from` name event arguments holding an instant (ms): the due itself, or where
    counting starts. `late_zh`, `late_en` finish the sentence of a queue row and may use {holder} and
    {budget}.
    """

    zh: str
    en: str
    late_zh: str
    late_en: str
    starts: tuple[Trigger, ...]
    meets: tuple[Trigger, ...]
    budget: tuple[Budget, ...]
    cancels: tuple[Trigger, ...] = ()
    restarts: tuple[Trigger, ...] = ()
    when: Condition | None = None
    pausable: tuple[str, ...] = ()
    parallel: str | None = None
    due_from: str | None = None
    due_shift: Span | None = None
    anchor_from: str | None = None
    once: bool = False
    needs_open: bool = True


class At(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Where a rung hangs: a share of the budget in percent, then an offset."""

    percent: int
    offset: Span | None = None


class AckRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How soon a rung is to be taken on, and how long taking it on holds the next rung at most."""

    within: Span
    holds_for: Span


class Repeat(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The rung speaks again `max` times, `every` so long after its nominal time."""

    every: Span
    max: int


class StepRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A rung. `warn` tells those who hold the case and raises nothing."""

    id: str
    at: At
    level: int
    to: tuple[str, ...]
    warn: bool = False
    min_dwell: Span | None = None
    ack: AckRule | None = None
    repeat: Repeat | None = None
    on_empty: Literal["next_level", "stay"] = "next_level"


class Ladder(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Rungs hung on the clocks named, for the cases the condition holds for; `suppress` keeps them silent."""

    id: str
    clocks: tuple[str, ...]
    calendar: str
    steps: tuple[StepRule, ...]
    when: Condition | None = None
    suppress: Condition | None = None


class Meta(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Which rule set this is."""

    id: str
    version: int
    title: dict[str, str] = {}


class Rules(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The content that is hashed."""

    schema: Literal[1]
    meta: Meta
    clocks: dict[str, ClockRule]
    ladders: tuple[Ladder, ...]
    ack: AckRule
    pause: dict[str, Pause] = {}


class RuleSet(msgspec.Struct, frozen=True, eq=False):
    """A rule set ready for use: its content, its canonical JSON, and indexes over both."""

    rules: Rules
    canonical: bytes
    sha256: str
    clocks_of: dict[str, tuple[str, ...]]  # event kind -> clocks that listen to it
    ladders_of: dict[str, tuple[Ladder, ...]]  # clock kind -> its ladders
    reads: dict[str, tuple[str, ...]]  # event kind -> every field its clocks and their ladders ask about

    @property
    def version(self) -> int:
        return self.rules.meta.version


def parse_rules(toml: str) -> RuleSet:
    """A rule set from its TOML text (see `data/rules_default.toml`). Raises RuleError."""
    try:
        return _indexed(msgspec.convert(_expanded(tomllib.loads(toml)), Rules))
    except (tomllib.TOMLDecodeError, msgspec.ValidationError, CalendarError) as error:
        raise RuleError(str(error)) from error


def load_rules(canonical: bytes) -> RuleSet:
    """A rule set from its stored canonical JSON. Raises RuleError."""
    try:
        return _indexed(msgspec.json.decode(canonical, type=Rules))
    except msgspec.MsgspecError as error:
        raise RuleError(str(error)) from error


def holds(condition: Condition | None, read: Callable[[str], Any]) -> bool:
    """Whether a condition holds, `read` giving the value of a field or None. No condition always holds."""
    if condition is None:
        return True
    if condition.all is not None:
        return all(holds(part, read) for part in condition.all)
    if condition.any is not None:
        return any(holds(part, read) for part in condition.any)
    if condition.not_ is not None:
        return not holds(condition.not_, read)
    return _compare(condition.op, read(condition.field or ""), condition.value)


def fields_of(condition: Condition | None) -> Iterator[Condition]:
    """The leaves of a condition."""
    if condition is None:
        return
    for part in (*(condition.all or ()), *(condition.any or ()), condition.not_):
        yield from fields_of(part)
    if condition.all is None and condition.any is None and condition.not_ is None:
        yield condition


def _compare(op: Op, found: Any, value: Any) -> bool:
    match op:
        case "eq":
            return bool(found == value) and found is not None
        case "ne":
            return bool(found != value)
        case "in":
            return found in value
        case "not_in":
            return found not in value
        case "prefix":
            return isinstance(found, str) and found.startswith(value)
        case "present":
            return (found is not None) is bool(value)
        case "gte":
            return isinstance(found, int | float) and bool(found >= value)
        case "lte":
            return isinstance(found, int | float) and bool(found <= value)


def _indexed(rules: Rules) -> RuleSet:
    canonical = msgspec.json.encode(rules, order="sorted")
    clocks_of: dict[str, list[str]] = {}
    for kind, clock in rules.clocks.items():
        since = [row.since for row in clock.budget if row.since]
        for trigger in (*clock.starts, *clock.meets, *clock.cancels, *clock.restarts, *since):
            listening = clocks_of.setdefault(trigger.event, [])
            if kind not in listening:
                listening.append(kind)
    ladders_of = {kind: tuple(row for row in rules.ladders if kind in row.clocks) for kind in rules.clocks}
    return RuleSet(
        rules=rules,
        canonical=canonical,
        sha256=hashlib.sha256(canonical).hexdigest(),
        clocks_of={event: tuple(kinds) for event, kinds in clocks_of.items()},
        ladders_of=ladders_of,
        reads={
            event: tuple(
                sorted({name for kind in kinds for name in _reads(rules.clocks[kind], ladders_of[kind])})
            )
            for event, kinds in clocks_of.items()
        },
    )


def _reads(clock: ClockRule, ladders: tuple[Ladder, ...]) -> Iterator[str]:
    yield from ("status", "open")
    yield from (f"args.{name}" for name in (clock.parallel, clock.due_from, clock.anchor_from) if name)
    triggers = (*clock.starts, *clock.meets, *clock.cancels, *clock.restarts)
    conditions = [clock.when, *(row.when for row in clock.budget), *(row.when for row in triggers)]
    conditions += [condition for ladder in ladders for condition in (ladder.when, ladder.suppress)]
    for condition in conditions:
        yield from (leaf.field for leaf in fields_of(condition) if leaf.field)


# ---- from the short forms people write to the full form that is stored


def _expanded(text: Mapping[str, Any]) -> dict[str, Any]:
    full = dict(text)
    full["pause"] = {reason: _spans(dict(row), "max") for reason, row in text.get("pause", {}).items()}
    full["clocks"] = {kind: _clock(dict(row)) for kind, row in text.get("clocks", {}).items()}
    full["ladders"] = [_ladder(dict(row)) for row in text.get("ladders", [])]
    if "ack" in full:
        full["ack"] = _spans(dict(full["ack"]), "within", "holds_for")
    return full


def _spans(row: dict[str, Any], *names: str) -> dict[str, Any]:
    for name in names:
        if isinstance(row.get(name), str):
            span = parse_span(row[name])
            row[name] = {"n": span.n, "unit": span.unit}
    return row


def _clock(row: dict[str, Any]) -> dict[str, Any]:
    for name in ("starts", "meets", "cancels", "restarts"):
        if name in row:
            row[name] = [_trigger(trigger) for trigger in row[name]]
    row["budget"] = [_budget(dict(budget)) for budget in row.get("budget", [])]
    return _spans(row, "due_shift")


def _budget(row: dict[str, Any]) -> dict[str, Any]:
    if "rounds" in row:
        row["rounds"] = [_spans({"span": span}, "span")["span"] for span in row["rounds"]]
    if "since" in row:
        row["since"] = _trigger(row["since"])
    return _spans(row, "span")


def _trigger(trigger: Any) -> Any:
    return {"event": trigger} if isinstance(trigger, str) else trigger


def _ladder(row: dict[str, Any]) -> dict[str, Any]:
    row["steps"] = [_step(dict(step)) for step in row.get("steps", [])]
    return row


def _step(row: dict[str, Any]) -> dict[str, Any]:
    if isinstance(row.get("at"), str):
        found = _AT.fullmatch(row["at"])
        if found is None:
            raise RuleError(f"rung {row.get('id')!r}: `at` is a share and an offset, not {row['at']!r}")
        row["at"] = {"percent": int(found[1])}
        if found[3]:
            row["at"] |= _spans({"offset": f"{found[2]}{found[3]}"}, "offset")
    for name, spans in (("ack", ("within", "holds_for")), ("repeat", ("every",))):
        if name in row:
            row[name] = _spans(dict(row[name]), *spans)
    return _spans(row, "min_dwell")
