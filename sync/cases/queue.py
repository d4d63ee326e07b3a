"""The leaders' queue: a row opens when a rung reaches a level, and asks one question.

A row says why it is here in words a person would use. Having read it changes nothing; only taking it on,
instructing, sponsoring, sending back or extending does, and each of these is an event of the case with a
clock of its own. The row closes when the promise it came from is kept.
"""

from collections.abc import Mapping, Sequence
from typing import Final, Literal

import msgspec

from sync.cases.calendars import add_span, span_words
from sync.cases.clocks import Clock, Event
from sync.cases.escalation import Ack, Firing, Plan, State, Step, ready

RowState = Literal["open", "acked", "acted", "returned", "withdrawn"]
Group = Literal["decide", "know", "tomorrow"]
GROUP_WORDS: Final[Mapping[Group, tuple[str, str]]] = {
    "decide": ("须我决定", "For me to decide"),
    "know": ("须我知道", "For me to know"),
    "tomorrow": ("明天会到我这里", "Reaches me tomorrow"),
}
_ASKED: Final[Mapping[str, tuple[str, str]]] = {
    "accept": ("请明确承办单位或催其签收", "Name the unit, or have it accept"),
    "admit": ("请督促受理", "Have it admitted"),
    "dispatch": ("请督促派单", "Have it dispatched"),
    "conclude": ("请督促后续处理", "Have the next step taken"),
    "first_contact": ("请安排人今天联系当事人", "Have somebody reach the parties today"),
    "emergency_ack": ("请立即领办", "Take it on at once"),
    "instruction_reply": (
        "批示后无回音,请再次明确",
        "Your instruction was not answered: say again what is to be done",
    ),
    "send_back": ("退回后到期未办结,请决定", "Sent back and not done: decide"),
    "verify": ("请督促核实", "Have it verified"),
}
_ASKED_ELSE: Final = ("请领办、批示、包案、退回或延期", "Take it on, instruct, sponsor, send back or extend")


class Row(msgspec.Struct, frozen=True, omit_defaults=True):
    """One entry of a level's queue. Instants are ms; `ack_due_at` is when taking it on is expected."""

    id: str
    case_id: str
    level: int
    clock: str
    epoch: int
    opened_by: str  # the key of the firing
    opened_at: int
    nominal_at: int
    reason_zh: str
    reason_en: str
    asked_zh: str
    asked_en: str
    ack_due_at: int
    state: RowState = "open"
    passed_over: tuple[int, ...] = ()
    reminded: int = 0
    ack_by: str | None = None
    ack_until: int | None = None
    instruction_id: str | None = None
    instruction_due_at: int | None = None
    sponsor: str | None = None
    sponsor_until: int | None = None
    returned_to: int | None = None
    closed_at: int | None = None
    closed_zh: str = ""
    closed_en: str = ""


class Acted(msgspec.Struct, frozen=True):
    """What an act on a row comes to: the row after it, events to record, and perhaps an acknowledgement."""

    row: Row
    events: tuple[Event, ...] = ()
    ack: Ack | None = None


class Refused(msgspec.Struct, frozen=True):
    """Why an act on a row cannot be; nothing changed."""

    code: Literal[
        "row_closed",
        "time_passed",
        "level_not_below",
        "nothing_to_do",
        "clock_not_open",
        "no_row",
        "held_above",
        "no_consent",
    ]
    zh: str
    en: str
    missing: tuple[str, ...] = ()


_CLOSED: Final = Refused("row_closed", "该事项已结束", "this row is closed")
_PAST: Final = Refused("time_passed", "时间须晚于现在", "the time must lie ahead")
NO_ROW: Final = Refused("no_row", "本案没有提级到您的未结事项", "nothing of this case has been raised to you")
HELD_ABOVE: Final = Refused(
    "held_above",
    "本案已提级到上级,由上级退回",
    "the case stands at a level above: it is sent back from there",
)


def open_row(
    firing: Firing,
    plan: Plan,
    rows: Sequence[Row],
    *,
    row_id: str,
    case_id: str,
    holder: str | None,
    now: int,
) -> Row | None:
    """The row a firing opens, or the open row of the same clock and level reminded once more.

    `holder` is the name of the unit that holds the case. Warnings and whatever took no effect open nothing:
    None.
    """
    if firing.outcome != "fired" or firing.warn:
        return None
    step = next(step for step in plan.steps if step.key == firing.key)
    for row in rows:
        same = (row.case_id, row.clock, row.epoch, row.level) == (
            case_id,
            step.clock,
            step.epoch,
            firing.queue,
        )
        if same and row.closed_at is None:
            return msgspec.structs.replace(row, reminded=row.reminded + 1, state="open")
    zh, en = reason(plan, step, holder)
    asked_zh, asked_en = _ASKED.get(step.clock, _ASKED_ELSE)
    return Row(
        id=row_id,
        case_id=case_id,
        level=firing.queue,
        clock=step.clock,
        epoch=step.epoch,
        opened_by=firing.key,
        opened_at=now,
        nominal_at=firing.nominal_at,
        reason_zh=zh,
        reason_en=en,
        asked_zh=asked_zh,
        asked_en=asked_en,
        ack_due_at=add_span(plan.calendars[step.calendar], now, step.within),
        passed_over=firing.passed_over,
    )


def reason(plan: Plan, step: Step, holder: str | None) -> tuple[str, str]:
    """Why a rung speaks, in Chinese and English: 已派城关司法所,超过签收时限(4个工作小时)仍未签收."""
    rule = plan.ruleset.rules.clocks[step.clock]
    clock = next(clock for clock in plan.clocks if (clock.kind, clock.epoch) == (step.clock, step.epoch))
    span = clock.budget
    words = [
        text.format(
            holder=holder or unknown,
            budget=span_words(span, lang) if span else ("规定时限" if lang == "zh" else "its time"),
        )
        for text, lang, unknown in ((rule.late_zh, "zh", "承办单位"), (rule.late_en, "en", "the unit"))
    ]
    return words[0], words[1][:1].upper() + words[1][1:]


def acknowledge(row: Row, by: str, now: int, promise_until: int | None) -> Acted | Refused:
    """领办: `by` answers for the case until the time promised. The next rung waits, the clock does not."""
    if row.closed_at is not None:
        return _CLOSED
    if promise_until is not None and promise_until <= now:
        return _PAST
    after = msgspec.structs.replace(row, state="acked", ack_by=by, ack_until=promise_until)
    event = Event("case.acknowledged", now, {"level": row.level, "by": by})
    return Acted(after, (event,), Ack(row.level, by, now, promise_until))


def instruct(
    row: Row, by: str, now: int, *, instruction_id: str, unit: str, due: int | None, text: str
) -> Acted | Refused:
    """批示: asks a unit for an answer by `due` (None: as the rules have it, see `follow`).

    Without an answer the case comes back as 批示后无回音.
    """
    if row.closed_at is not None:
        return _CLOSED
    if due is not None and due <= now:
        return _PAST
    if not text.strip():
        return Refused("nothing_to_do", "批示须有内容", "an instruction says what is to be done")
    after = msgspec.structs.replace(row, state="acted", instruction_id=instruction_id, instruction_due_at=due)
    args = {"id": instruction_id, "level": row.level, "by": by, "unit": unit}
    args |= {} if due is None else {"due": due}
    return Acted(after, (Event("case.instructed", now, args),))


def sponsor(row: Row, by: str, now: int, until: int) -> Acted | Refused:
    """包案: `by` answers for the case himself until a date; holds the ladder as an acknowledgement does."""
    if row.closed_at is not None:
        return _CLOSED
    if until <= now:
        return _PAST
    after = msgspec.structs.replace(
        row, state="acted", sponsor=by, sponsor_until=until, ack_by=by, ack_until=until
    )
    event = Event("case.sponsored", now, {"level": row.level, "by": by, "until": until})
    return Acted(after, (event,), Ack(row.level, by, now, until))


def send_back(row: Row, by: str, now: int, *, level: int, deadline: int, what: str) -> Acted | Refused:
    """退回下级办理: the one way a level comes down. Not done by `deadline`, it returns to who sent it."""
    if row.closed_at is not None:
        return _CLOSED
    if not 0 <= level < row.level:
        return Refused("level_not_below", "只能退回下级", "only to a level below")
    if deadline <= now:
        return _PAST
    if not what.strip():
        return Refused("nothing_to_do", "须写明要办什么", "say what is to be done")
    after = msgspec.structs.replace(
        row,
        state="returned",
        returned_to=level,
        closed_at=now,
        closed_zh="已退回下级办理",
        closed_en="Sent back down",
    )
    args = {"level": level, "from_level": row.level, "by": by, "deadline": deadline}
    hold = Ack(row.level, by, now, deadline, firm=True)
    return Acted(after, (Event("case.sent_back", now, args),), hold)


def taken_down(rows: Sequence[Row], sent: Row, now: int) -> tuple[Row, ...]:
    """The other open rows above the level a case was sent back to, closed with the one that was `sent`."""
    return tuple(
        msgspec.structs.replace(
            row,
            state="returned",
            returned_to=sent.returned_to,
            closed_at=now,
            closed_zh=sent.closed_zh,
            closed_en=sent.closed_en,
        )
        for row in rows
        if row.closed_at is None and row.id != sent.id and row.level > (sent.returned_to or 0)
    )


def extend(
    row: Row, plan: Plan, by: str, now: int, *, days: int, reason_text: str, consent: bool = False
) -> Acted | Refused:
    """准予延期: the promise behind the row gets `days` natural days more, from its due or from now.

    Mediation is voluntary: it goes on longer with the `consent` of the parties only.
    """
    if row.closed_at is not None:
        return _CLOSED
    if days < 1 or not reason_text.strip():
        return Refused("nothing_to_do", "须写明天数和理由", "give days and a reason")
    if not any(_is_of(row, clock) and clock.state in {"running", "paused"} for clock in plan.clocks):
        return Refused("clock_not_open", "该时限已结束", "that clock is no longer running")
    if row.clock == "mediation" and not consent:
        return Refused(
            "no_consent",
            "调解延期须各方同意",
            "the parties have to consent to longer mediation",
            ("consent",),
        )
    after = msgspec.structs.replace(
        row,
        state="acted",
        closed_at=now,
        closed_zh=f"已准予延期{days}天",
        closed_en=f"Extended by {days} day{'' if days == 1 else 's'}",
    )
    args = {"clock": row.clock, "epoch": row.epoch, "span": f"{days}d", "by": by, "reason": reason_text}
    return Acted(after, (Event("case.extended", now, args),))


def follow(rows: Sequence[Row], plan: Plan) -> tuple[Row, ...]:
    """What a row says of its instruction is what its clock says: due then, or answered. Those that changed."""
    clocks = {clock.args.get("id"): clock for clock in plan.clocks if clock.kind == "instruction_reply"}
    changed = []
    for row in rows:
        clock = clocks.get(row.instruction_id)
        if row.closed_at is not None or row.instruction_id is None or clock is None:
            continue
        asked = clock.state in {"running", "paused"}
        after = msgspec.structs.replace(
            row,
            instruction_id=row.instruction_id if asked else None,
            instruction_due_at=clock.due_at if asked else None,
        )
        if after != row:
            changed.append(after)
    return tuple(changed)


def settle(rows: Sequence[Row], plan: Plan, now: int) -> tuple[Row, ...]:
    """Close the rows whose clock is met, gone or climbs no more, and return those that changed."""
    climbing = {(step.clock, step.epoch) for step in plan.steps if not step.warn}
    changed = []
    for row in rows:
        clock = next((clock for clock in plan.clocks if _is_of(row, clock)), None)
        if row.closed_at is not None or (row.clock, row.epoch) in climbing:
            continue
        met = clock is not None and clock.state == "met"
        zh, en = ("已办,事项结束", "Done") if met else ("时限已取消", "No longer runs")
        ended = clock.ended_at if clock is not None and clock.ended_at is not None else now
        changed.append(
            msgspec.structs.replace(row, closed_at=max(ended, row.opened_at), closed_zh=zh, closed_en=en)
        )
    return tuple(changed)


def withdraw(rows: Sequence[Row], keys: Sequence[str], now: int) -> tuple[Row, ...]:
    """Close the rows of firings taken back (see `escalation.withdraw`), and return those that changed."""
    return tuple(
        msgspec.structs.replace(
            row,
            state="withdrawn",
            closed_at=now,
            closed_zh="期限前已办结,因迟报而触发",
            closed_en="Resolved before due, reported late",
        )
        for row in rows
        if row.opened_by in keys and row.state != "withdrawn"
    )


def group(row: Row, now: int) -> Group | None:
    """Which of the leader's groups an existing row belongs to; None once it is closed.

    What nobody has answered, or whose answer has run out, asks for a decision; what is in somebody's hands
    is to know.
    """
    if row.closed_at is not None:
        return None
    if row.state == "open" or unanswered(row, now):
        return "decide"
    ran_out = row.state == "acked" and row.ack_until is not None and row.ack_until <= now
    return "decide" if ran_out else "know"


def unanswered(row: Row, now: int) -> bool:
    """批示后无回音: an instruction was given on this row and its date has passed while the row is open."""
    return row.closed_at is None and row.instruction_due_at is not None and row.instruction_due_at <= now


def coming(state: State, plan: Plan, level: int, until: int) -> tuple[tuple[Step, int], ...]:
    """Rungs that will reach a level by `until` if nothing happens, each with its instant: 明天会到我这里."""
    fired = {row.key for row in state.fired}
    found = []
    for step in plan.steps:
        if step.warn or step.repeat_no or step.level != level or step.key in fired:
            continue
        when = ready(plan, state, step).at
        if when is not None and when <= until:
            found.append((step, when))
    return tuple(sorted(found, key=lambda pair: pair[1]))


def _is_of(row: Row, clock: Clock) -> bool:
    return (clock.kind, clock.epoch) == (row.clock, row.epoch)
