"""What the acts from receipt to acceptance bring about: triage, admission, referral, dispatch, return, ruling."""

from collections.abc import Mapping
from typing import Any, Final

from sync.cases.acting import Acting, Effect, Guard, tell_back_task
from sync.cases.acts import (
    ACTS,
    ActError,
    Actor,
    ClearHandler,
    Dispatch,
    EntryDraft,
    Handler,
    MergeInto,
    Name,
    Recuse,
    SetClass,
    TaskDraft,
    lacks,
    lifecycle_of,
)
from sync.cases.catalogue import CATEGORIES, PARTY_ROLES, PROTECTIONS, UNIT_TYPES, highest
from sync.cases.model import category_group

# A unit that only leads or watches, or stands outside the district, is not given a case to handle.
_NOT_GIVEN_CASES: Final = frozenset(
    code for code, row in UNIT_TYPES.items() if not set(row.holds) & {"process", "handling", "joint"}
)
# Who only joins in does not lead: 妇联, a court's station, a property company help whoever has the case.
_NOT_GIVEN_THE_LEAD: Final = frozenset(
    code for code, row in UNIT_TYPES.items() if not set(row.holds) & {"process", "handling"}
)
RETURNS_BEFORE_RULING: Final = 2
_EXPLAINED: Final = frozenset({"orange", "red"})


def set_category(acting: Acting, category: str) -> None:
    """Change the category; its default class may raise the protection, never lower it."""
    row = CATEGORIES.get(category)
    if row is not None and row.kind != acting.case.get("kind"):
        raise lacks("category", zh="类别与事件种类不符", en="the category belongs to another kind of case")
    acting.set["category"] = category
    acting.set["category_group"] = category_group(category)
    if row is not None:
        raise_protection(acting, row.protection)


def raise_protection(acting: Acting, protection: str) -> None:
    held = acting.value("protection") or "normal"
    wanted = highest(PROTECTIONS, held, protection)
    if wanted != held:
        acting.set["protection"] = wanted
        acting.directives.append(SetClass(wanted))


def rate(acting: Acting, colour: str, reason: str | None, signals: list[str] | None = None) -> None:
    """A colour is a person's decision: who, when, why, and what it was before."""
    held: Mapping[str, Any] = acting.value("risk") or {}
    acting.set["risk"] = {
        "colour": colour,
        "basis": reason or "",
        "set_by": acting.actor.user,
        "set_at": acting.now,
        "previous": held.get("colour"),
        "proposed": held.get("proposed"),
        "signals": list(acting.case.get("signals") or ()) if signals is None else signals,
    }


def _triage(acting: Acting) -> None:
    args = acting.args
    if "category" in args:
        set_category(acting, args["category"])
    if args["risk"] in _EXPLAINED and "reason" not in args:
        raise lacks("reason", zh="橙色、红色风险须写明理由", en="orange and red are explained")
    rate(acting, args["risk"], args.get("reason"), args.get("signals"))
    acting.set["basis"] = args["basis"]
    acting.set["triaged_at"] = acting.now
    if "complexity" in args:
        acting.set["complexity"] = args["complexity"]
    if "channel" in args:
        acting.track["mediation_channel"] = args["channel"]
    acting.event_args["colour"] = args["risk"]


def _admit(acting: Acting) -> None:
    case = acting.case
    if case.get("kind") == "dispute" and not case.get("triaged_at"):
        raise lacks("triage", zh="尚未研判", en="the case has not been triaged")
    if "category" in acting.args:
        set_category(acting, acting.args["category"])
    if _somebody_refuses(case) and not acting.args.get("ground"):
        raise lacks(
            "ground",
            zh="有当事人不同意调解,请写明受理依据",
            en="a party refuses: say on what ground it is admitted",
        )
    number(acting)
    acting.set["admitted_at"] = acting.now
    acting.entry(
        "receipt",
        {
            "given_to": acting.args.get("given_to"),
            "query_code_given": True,
            "papers_to_bring": acting.args.get("papers_to_bring"),
            "next_date": acting.args.get("next_date"),
        },
    )
    acting.notify(case.get("author"), "case.admitted", number=acting.value("code"))


def _somebody_refuses(case: Mapping[str, Any]) -> bool:
    return any(consent_of(party) == "no" for party in sides(case))


def sides(case: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The parties whose quarrel it is; who only saw or told has nothing to consent to."""
    roles = {code for code, row in PARTY_ROLES.items() if row.side == "party"}
    return [party for party in case.get("parties") or () if party.get("role", "party") in roles]


def consent_of(party: Mapping[str, Any]) -> str | None:
    said = party.get("consent_to_mediate")
    return said.get("answer") if isinstance(said, dict) else said


def number(acting: Acting) -> None:
    """The official number, once: a case keeps it when it is reopened, merged or carried over."""
    if not acting.value("code") and acting.facts.code:
        acting.set["code"] = acting.facts.code
    if not acting.value("query_code") and acting.facts.query_code:
        acting.set["query_code"] = acting.facts.query_code


def _decline(acting: Acting) -> None:
    acting.track["declined"] = {"reason": acting.args["reason"], "routes_told": acting.args["routes_told"]}
    acting.set["closed_at"] = acting.now
    acting.event_args["reason"] = acting.args["reason"]
    acting.close_tasks += ["accept_due", "handle"]
    tell_back_task(acting, "告知不予受理的原因和其他途径")
    acting.notify(acting.case.get("author"), "case.declined", reason=acting.args["reason"])


def _refer_out(acting: Acting) -> None:
    args = acting.args
    acting.track["referral"] = {
        "target": args["target"],
        "unit": args.get("unit"),
        "at": acting.now,
        "receipt_due": args.get("receipt_due"),
    }
    acting.set["closed_at"] = acting.now
    acting.entry(
        "referral",
        {
            "target": args["target"],
            "reason": args.get("reason"),
            "packet_files": args.get("packet"),
            "reply_due": args.get("receipt_due"),
        },
    )
    if "receipt_due" in args:
        acting.event_args["receipt_due"] = args["receipt_due"]
    acting.close_tasks += ["accept_due", "handle"]
    acting.notify(acting.case.get("author"), "case.referred_out", target=args["target"])


# -- to a unit and back -------------------------------------------------------------------------


def known_unit(acting: Acting, unit: str, name: str = "unit", *, lead: bool = False) -> str:
    """A unit that may help with a case, or have it (`lead`); raises `ActError` for any other."""
    facts = acting.facts
    if unit not in facts.unit_exists and unit not in facts.units:
        raise lacks(name, zh=f"没有这个单位:{unit}", en=f"no such unit: {unit}")
    if facts.units.get(unit) in _NOT_GIVEN_CASES:
        raise lacks(name, zh="该单位不承办案件", en="this unit does not handle cases")
    if lead and facts.units.get(unit) in _NOT_GIVEN_THE_LEAD:
        raise lacks(name, zh="该单位只参与联合办理,不能牵头", en="this unit joins in, it does not lead")
    return unit


def known_user(acting: Acting, user: str, unit: str | None) -> str:
    units = acting.facts.user_units.get(user)
    if units is None or (unit is not None and unit not in units):
        raise lacks("user", zh="没有这个人员,或不属于该单位", en="no such person at this unit")
    if user in (acting.value("recused") or ()):
        raise lacks("user", zh="该人员不能承办本案", en="this person cannot take the case")
    return user


def handler_of(acting: Acting, user: str, unit: str | None) -> str | None:
    """The unit at which this person may sign for the case; None: he is a worker of a cell, of no unit.

    Raises `ActError` for somebody who could not accept it.
    """
    known_user(acting, user, unit)
    signs = set(ACTS[lifecycle_of(acting.case)]["accept"].who)
    places = {
        at
        for role, at in acting.facts.offices.get(user, ())
        if role in signs and (unit is None or at == unit)
    }
    if not places:
        raise lacks("user", zh="该人员不承办案件", en="this person does not handle cases")
    units = sorted(at for at in places if at is not None)
    leading = [at for at in units if acting.facts.units.get(at) not in _NOT_GIVEN_THE_LEAD]
    if units and not leading and None not in places:
        known_unit(acting, units[0], "user", lead=True)
    return leading[0] if leading else None


def hand_over(acting: Acting, *, ruling: bool = False) -> None:
    """Give the case to a unit, or to a person: then the unit is theirs."""
    args = acting.args
    unit: str | None = known_unit(acting, args["unit"], lead=True) if "unit" in args else None
    user: str | None = args.get("user")
    if user is not None:
        unit = handler_of(acting, user, unit)
    if acting.value("protection") == "sealed" and user is None:
        raise lacks("user", zh="密级案件须指定承办人", en="a sealed case is given to a named person")
    helpers = [known_unit(acting, code, "helpers") for code in args.get("helpers", ())]
    channel = args.get("mediation_channel") or acting.track.get("mediation_channel")
    acting.set["handler"] = {"unit": unit, "user": user, "helpers": helpers, "channel": channel}
    acting.directives.append(Dispatch(unit, user))
    if user is not None:
        acting.name_if_sealed([user])
    for helper in helpers:
        name_people_of(acting, helper)
    acting.track["final"] = ruling
    acting.event_args |= {"unit": unit, "level": acting.value("level") or 0}
    acting.close_tasks.append("accept_due")
    acting.tasks.append(
        TaskDraft("accept_due", False, None if user else "unit_manager", user, None, "待签收")
    )
    acting.notify(user, "case.dispatched", unit=unit)


def name_people_of(acting: Acting, unit: str) -> None:
    """A helping unit has no place of its own on the case: its people are named."""
    recused = acting.value("recused") or ()
    for user, units in sorted(acting.facts.user_units.items()):
        if unit in units and user not in recused:
            acting.directives.append(Name(user))


def _dispatch(acting: Acting) -> None:
    hand_over(acting)
    if acting.case.get("kind") == "dispute" and acting.handler["channel"] is None:
        raise lacks("mediation_channel", zh="请选择调解渠道", en="say by which channel it is mediated")


def _adjudicate(acting: Acting) -> None:
    hand_over(acting, ruling=True)
    # The unit's own time to accept begins with the ruling.
    acting.event("case.dispatched", **acting.event_args)


def _recall(acting: Acting) -> None:
    acting.set["handler"] = None
    acting.directives.append(ClearHandler())
    acting.close_tasks.append("accept_due")
    acting.event_args["reason"] = acting.args["reason"]


def _accept(acting: Acting) -> None:
    handler = acting.handler
    acting.close_tasks.append("accept_due")
    if handler.get("user") is None and not acting.actor.system:
        handler["user"] = acting.actor.user
        acting.set["handler"] = handler
        acting.directives.append(Dispatch(handler.get("unit"), acting.actor.user))
    acting.event_args["level"] = acting.value("level") or 0
    acting.tasks.append(TaskDraft("handle", False, None, handler.get("user"), None, "待办理"))


def _ruled(case: Mapping[str, Any], _: Actor) -> ActError | None:
    if not (case.get("track") or {}).get("final"):
        return None
    return ActError("act_illegal", "裁定后不得再退回", "a ruling is final: it cannot be returned")


def _return(acting: Acting) -> None:
    returns = acting.list_of("returns")
    handler = acting.handler
    returns.append(
        {
            "unit": handler.get("unit"),
            "by": acting.actor.user,
            "at": acting.now,
            "reason": acting.args["reason"],
            "suggested": acting.args.get("suggested_unit"),
        }
    )
    acting.worked(acting.actor.user)
    acting.set["handler"] = None
    acting.directives.append(ClearHandler())
    acting.close_tasks += ["accept_due", "handle"]
    acting.event_args |= {"unit": handler.get("unit"), "reason": acting.args["reason"]}
    if len(returns) >= RETURNS_BEFORE_RULING:
        # A case that bounces is not passed round a third time: it is put up for a ruling at once.
        acting.status = "adjudication"
        acting.event("case.contested", returns=len(returns))
        body = {
            "act": "contest",
            "args": {},
            "outcome": "done",
            "from": "returned",
            "to": "adjudication",
            "by": "system",
        }
        acting.entries.append(EntryDraft("act", body, "o"))


def _contest(acting: Acting) -> None:
    bounced = len(acting.track.get("returns", ()))
    if bounced < RETURNS_BEFORE_RULING and not acting.args.get("reason"):
        raise lacks(
            "reason", zh="未满两次退回,请写明职责争议", en="returned less than twice: say what is disputed"
        )


def _step_up(acting: Acting) -> None:
    level = int(acting.value("level") or 0)
    wanted = acting.args["level"]
    if wanted <= level:
        raise lacks("level", zh="只能提到更高层级", en="a case is stepped up to a higher level only")
    lower = known_unit(acting, acting.args["helper"], "helper") if "helper" in acting.args else None
    lower = lower or acting.handler.get("unit")
    if lower is None:
        raise lacks("helper", zh="请写明由哪个下级单位协办", en="say which unit below goes on helping")
    acting.track["helper_duty"] = lower
    acting.track["final"] = False
    acting.set |= {"level": wanted, "handler": None}
    acting.directives.append(ClearHandler())
    acting.close_tasks += ["accept_due", "handle"]
    acting.event_args |= {"level": wanted, "from_level": level}


# -- one case or two ----------------------------------------------------------------------------


def keep_away(acting: Acting, user: str) -> None:
    """The user may know of the case no longer, and has it no longer."""
    acting.set["recused"] = sorted({*(acting.value("recused") or ()), user})
    if user in (lifted := acting.list_of("lifted")):
        lifted.remove(user)
    acting.directives.append(Recuse(user))
    handler = acting.handler
    if handler.get("user") == user:
        handler["user"] = None
        acting.set["handler"] = handler
        acting.directives.append(Handler(None))


def _merge(acting: Acting) -> None:
    master = acting.facts.other
    if master is None or master.get("id") != acting.args["master"]:
        raise lacks("master", zh="没有找到要并入的案件", en="the case to merge into was not found")
    if master.get("id") == acting.case.get("id") or master.get("status") in {"merged", "voided"}:
        raise lacks("master", zh="不能并入该案件", en="this case cannot be merged into")
    if (master.get("kind") == "tip_off") != (acting.case.get("kind") == "tip_off"):
        raise lacks(
            "master", zh="问题线索不与其他案件并案", en="a report of wrongdoing merges with its like only"
        )
    # The case points to its master from now on: it must not tell of it whom the master does not know.
    raise_protection(acting, master.get("protection") or "normal")
    for user in sorted(set(master.get("recused") or ()) - set(acting.case.get("recused") or ())):
        keep_away(acting, user)
    acting.set["master_case"] = master["id"]
    acting.track["before_merge"] = acting.case.get("status")
    acting.directives.append(MergeInto(master["id"]))
    acting.close_tasks += ["accept_due", "handle", "follow_up"]
    acting.event_args["master"] = master["id"]
    # Which case it is stands in the case alone: a notice stays with whoever has it.
    acting.notify(acting.case.get("author"), "case.merged")


def _unmerge(acting: Acting) -> None:
    acting.set |= {"master_case": None, "handler": None}
    acting.directives += [MergeInto(None), ClearHandler()]


def _void(acting: Acting) -> None:
    acting.set["closed_at"] = acting.now
    acting.close_tasks += ["accept_due", "handle", "confirm_place", "mend"]
    acting.notify(acting.case.get("author"), "case.voided", reason=acting.args["reason"])


GUARDS: Final[Mapping[str, Guard]] = {"return": _ruled}
EFFECTS: Final[Mapping[str, Effect]] = {
    "triage": _triage,
    "admit": _admit,
    "decline": _decline,
    "refer_out": _refer_out,
    "dispatch": _dispatch,
    "adjudicate": _adjudicate,
    "recall": _recall,
    "accept": _accept,
    "return": _return,
    "contest": _contest,
    "step_up": _step_up,
    "merge": _merge,
    "unmerge": _unmerge,
    "void": _void,
}
