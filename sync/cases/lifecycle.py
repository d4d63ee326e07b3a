"""The way of a case: which acts are legal, what an act brings about, how a case begins.

`run_act` decides in one order: is there such an act here at all, may this person do it, is it legal at this status,
does anything of this very case stand in its way, is what it needs given, and then what follows. Nothing is changed: the
answer says what is to be written.
"""

from collections.abc import Mapping
from typing import Any, Final

from sync.cases import effects_any, effects_closing, effects_intake, effects_mediation
from sync.cases.acting import Acting, Effect, Guard, begin_acting
from sync.cases.acts import (
    ACTS,
    ANY_STATUS_ACTS,
    CLOSED_TO_ACTS,
    CREATED,
    SYSTEM,
    Act,
    ActError,
    Actor,
    CaseFacts,
    ClearHandler,
    ClockEvent,
    Directive,
    Dispatch,
    Done,
    EntryDraft,
    Handler,
    LiftRecusal,
    MergeInto,
    Name,
    NoticeDraft,
    Recuse,
    Refused,
    SetClass,
    SetPlace,
    TaskDraft,
    Unname,
    checked_args,
    find_act,
    lifecycle_of,
)
from sync.cases.catalogue import CATEGORIES, PROTECTIONS, TASK_TYPES, URGENCIES, band_of, highest
from sync.cases.model import category_group

__all__ = [
    "SYSTEM",
    "Actor",
    "CaseFacts",
    "ClearHandler",
    "ClockEvent",
    "Directive",
    "Dispatch",
    "Done",
    "EntryDraft",
    "Handler",
    "LiftRecusal",
    "MergeInto",
    "Name",
    "NoticeDraft",
    "Recuse",
    "Refused",
    "SetClass",
    "SetPlace",
    "TaskDraft",
    "Unname",
    "kind_may_change",
    "legal_acts",
    "may_need_code",
    "on_create",
    "on_entry",
    "run_act",
]

EFFECTS: Final[Mapping[str, Effect]] = {
    **effects_intake.EFFECTS,
    **effects_mediation.EFFECTS,
    **effects_closing.EFFECTS,
    **effects_any.EFFECTS,
}
"""Act -> what it does beyond its row; `submit` is `on_create`."""

GUARDS: Final[Mapping[str, Guard]] = {
    **effects_intake.GUARDS,
    **effects_mediation.GUARDS,
    **effects_closing.GUARDS,
    **effects_any.GUARDS,
}
"""Act -> what stands in its way on this case, whatever is given with it."""

# A case is numbered when it is admitted, or when one worker settles it alone; reopening may be its first
# admission.
_NUMBERED: Final = frozenset({"admit", "settle_on_spot", "answer", "reopen"})


def may_need_code(act: str) -> bool:
    """Whether the caller should offer the next official number with this act, if the case has none."""
    return act in _NUMBERED


def kind_may_change(case: Mapping[str, Any]) -> bool:
    """The kind decides the lifecycle: it is fixed once somebody has worked on the case."""
    return case.get("status") in {None, "submitted"} and not case.get("triaged_at")


def _status_legal(rule: Act, status: str) -> bool:
    if status in CLOSED_TO_ACTS:
        return status in rule.from_
    return not rule.from_ or status in rule.from_


# What only the unit or person that has the case does: a worker of its cell does not sign for another's dispatch.
HANDLING_ACTS: Final = frozenset(
    {
        "accept", "return", "assign", "begin", "session", "suspend", "resume", "agree", "settle", "perform", "breach",
        "fail", "close", "remediate", "settle_on_spot", "answer",
    }
)  # fmt: skip
# What a unit that helps does beside the one that has the case.
JOINT_ACTS: Final = frozenset({"session", "reply_instruction"})


# Whoever oversees reads and alters nothing: not meant where every role with the case is.
_OVERSEERS: Final = frozenset({"supervisor"})


def _permitted(rule: Act, actor: Actor) -> bool:
    if actor.system:
        return "system" in rule.who
    roles = actor.roles
    if rule.act in HANDLING_ACTS and actor.handling is not None:
        roles = actor.handling
    if rule.act in JOINT_ACTS or "*" in rule.who:
        roles |= actor.helping
    if "*" in rule.who:
        return bool(roles - _OVERSEERS) or actor.is_author or actor.is_handler
    return bool(roles & set(rule.who)) or ("handler" in rule.who and actor.is_handler)


def legal_acts(case: Mapping[str, Any], actor: Actor) -> tuple[str, ...]:
    """The acts this person could do on the case as it stands, if they give what is needed."""
    status = str(case.get("status"))
    rules = [*ACTS[lifecycle_of(case)].values(), *ANY_STATUS_ACTS.values()]
    return tuple(
        rule.act
        for rule in rules
        if _status_legal(rule, status) and _permitted(rule, actor) and _fault(rule.act, case, actor) is None
    )


def run_act(
    case: Mapping[str, Any], act: str, args: Mapping[str, Any], actor: Actor, facts: CaseFacts, now: int
) -> Done | Refused:
    """What an act on the current case brings about, or why it does not hold.

    `case` is the whole document, `track` included. `now` is epoch milliseconds.
    """
    rule = find_act(case, act)
    status = str(case.get("status"))
    if rule is None:
        return _refused(
            case, actor, ActError("act_illegal", f"没有这个办理动作:{act}", f"no such act here: {act}")
        )
    if not _permitted(rule, actor):
        return _refused(
            case, actor, ActError("act_forbidden", f"您不能{rule.zh}", f"not yours to do: {rule.en}")
        )
    if not _status_legal(rule, status):
        return _refused(
            case,
            actor,
            ActError("act_illegal", f"当前状态不能{rule.zh}", f"not possible at this status: {rule.en}"),
        )
    # Asked before the arguments: whoever may not judge is not asked for reasons first.
    if (fault := _fault(act, case, actor)) is not None:
        return _refused(case, actor, fault)
    if actor.system and act == "verify":
        # What was not drawn for the sample is closed by time alone; that is the reason nobody was asked.
        args = {"reason": "not drawn", **args}
    try:
        acting = begin_acting(case, rule, checked_args(rule, args, case), actor, facts, now)
        EFFECTS[act](acting)
    except ActError as error:
        return _refused(case, actor, error)
    return acting.done()


def _fault(act: str, case: Mapping[str, Any], actor: Actor) -> ActError | None:
    guard = GUARDS.get(act)
    return None if guard is None else guard(case, actor)


def _refused(case: Mapping[str, Any], actor: Actor, error: ActError) -> Refused:
    return Refused(error.code, error.zh, error.en, legal_acts(case, actor), error.missing)


# -- the beginning ------------------------------------------------------------------------------

_CREATE: Final = Act(act="submit", zh="上报", en="submit", to="submitted", who=("*",), event="case.received")


def on_create(case: Mapping[str, Any], actor: Actor, facts: CaseFacts, now: int) -> Done:
    """What the receipt of a new case brings about. A capture is never refused, whoever sent it.

    With `on_spot` given by somebody who may settle on the spot, the case is settled (a service: answered) in the same
    commit. `track.staff` says that somebody of the cell or the community is involved: the caller opens the denials.
    """
    acting = begin_acting({**case, "status": None}, _CREATE, {}, actor, facts, now)
    category = CATEGORIES.get(str(case.get("category")))
    signals = list(case.get("signals") or ())
    acting.set |= {
        "received_at": now,
        "level": 0,
        "supervision": "none",
        "court": case.get("court") or "none",
        "confirmation": "none",
        "recused": [],
        "related": [],
        "reopened_count": 0,
        "carried_over": False,
        "people_band": band_of(case.get("people_count")),
        "collective": (case.get("people_count") or 0) >= 5,
        "category_group": category_group(case.get("category")),
        "protection": _class_at_birth(case, category.protection if category else None),
        "urgency": highest(URGENCIES, case.get("urgency"), effects_any.proposed_urgency(signals)),
        "risk": {"colour": None, "proposed": effects_any.proposed_colour(signals, case.get("people_count"))},
    }
    if facts.query_code:
        acting.set["query_code"] = facts.query_code
    if case.get("involves_staff"):
        acting.track["staff"] = True
    acting.track["workers"] = []
    if acting.set["protection"] != "normal":
        acting.directives.append(SetClass(acting.set["protection"]))
    acting.event_args |= _received(case, acting.set["urgency"])
    if case.get("on_spot"):
        _at_once(acting)
    return acting.done()


def _class_at_birth(case: Mapping[str, Any], by_category: str | None) -> str:
    by_kind = "sealed" if case.get("kind") == "tip_off" else None
    return highest(PROTECTIONS, case.get("protection"), by_category, by_kind)


def _received(case: Mapping[str, Any], urgency: str) -> dict[str, Any]:
    args: dict[str, Any] = {"urgency": urgency}
    if isinstance(case.get("source_due"), int):
        args["source_due"] = case["source_due"]
    return args


def _at_once(acting: Acting) -> None:
    lifecycle = lifecycle_of(acting.case)
    act = {"dispute": "settle_on_spot", "service": "answer"}.get(lifecycle)
    if (
        act is None
        or CREATED not in ACTS[lifecycle][act].from_
        or not _permitted(ACTS[lifecycle][act], acting.actor)
    ):
        return
    on_spot = acting.case["on_spot"]
    acting.status = ACTS[lifecycle][act].to
    if act == "settle_on_spot":
        acting.args = {"on_spot": on_spot}
    else:
        said = on_spot.get("agreement_text") or on_spot.get("how") or "已当场办理"
        acting.args = {"plain_text": said}
    received = dict(acting.event_args)
    acting.event_args = {}
    EFFECTS[act](acting)
    acting.event(ACTS[lifecycle][act].event, **acting.event_args)
    acting.event_args = received


# -- what is written without an act -------------------------------------------------------------

_HEARD: Final[Mapping[str, str]] = {
    "session": "case.contacted",
    "follow_up": "case.followed_up",
    "referral_reply": "referral.replied",
    "tell_back": "source.replied",
}


def on_entry(entry_type: str, body: Mapping[str, Any]) -> Done:
    """What an entry written by itself brings about: clocks that hear it, tasks it closes; fields never change."""
    kind = _HEARD.get(entry_type)
    if entry_type == "contact_attempt" and body.get("reached") is True:
        kind = "case.contacted"
    closed = tuple(code for code, row in TASK_TYPES.items() if entry_type in row.closed_by)
    return Done({}, events=(ClockEvent(kind),) if kind else (), close_tasks=closed)
