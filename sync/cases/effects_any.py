"""What the acts bring about that change no status: rating, protection, place, supervision, instructions, requests."""

from collections.abc import Mapping
from typing import Any, Final

from sync.cases.acting import DAY_MS, Acting, Effect, Guard
from sync.cases.acts import (
    ActError,
    Actor,
    LiftRecusal,
    Name,
    SetClass,
    SetPlace,
    lacks,
)
from sync.cases.catalogue import COLOURS, PROTECTIONS, SIGNALS, SUPERVISIONS, highest
from sync.cases.effects_intake import keep_away, known_unit, rate, set_category
from sync.cases.effects_mediation import ask, suspend_now
from sync.cases.escalation import LEVEL_ROLES
from sync.cases.shapes import PARTY_SECRET

CENTRE: Final = frozenset({"clerk", "dispatcher", "centre_director"})
_RANK: Final[Mapping[str, int]] = {
    "community_leader": 1,
    "centre_director": 2,
    "street_leader": 3,
    "district_leader": 4,
}
_SPONSORED_DAYS: Final = 366


def rank(roles: frozenset[str]) -> int:
    """How high somebody stands, for what only the same or a higher leader may take back."""
    return max((_RANK.get(role, 0) for role in roles), default=0)


# -- risk, protection, recusal ------------------------------------------------------------------


def proposed_colour(signals: list[str], people_count: int | None) -> str | None:
    """The highest colour the ticks propose; a person confirms it or does not."""
    rows = [SIGNALS[code] for code in signals if code in SIGNALS]
    many = (people_count or 0) > 50
    colours = [(row.colour_above_50 if many else None) or row.colour for row in rows]
    return highest(COLOURS, *colours) if any(colours) else None


def proposed_urgency(signals: list[str]) -> str | None:
    return next((row.urgency for code in signals if (row := SIGNALS.get(code)) and row.urgency), None)


def _rate(acting: Acting) -> None:
    rate(acting, acting.args["colour"], acting.args["reason"], acting.args.get("signals"))
    acting.event_args["colour"] = acting.args["colour"]


def _raise_signal(acting: Acting) -> None:
    signal = acting.args["signal"]
    signals = list(acting.case.get("signals") or ())
    if signal not in signals:
        signals.append(signal)
    acting.set["signals"] = signals
    held = acting.case.get("risk") or {}
    acting.set["risk"] = {**held, "proposed": proposed_colour(signals, acting.case.get("people_count"))}
    if proposed_urgency([signal]) == "emergency" and acting.case.get("urgency") != "emergency":
        acting.set["urgency"] = "emergency"
        acting.event("case.urgency_raised", urgency="emergency")
    acting.event_args["signal"] = signal


def _protect(acting: Acting) -> None:
    held = str(acting.case.get("protection") or "normal")
    wanted = acting.args["class"]
    if acting.case.get("kind") == "tip_off" and wanted != "sealed":
        raise lacks("class", zh="问题线索始终为密级", en="a report of wrongdoing stays sealed")
    if PROTECTIONS.index(wanted) < PROTECTIONS.index(held) and "centre_director" not in acting.actor.roles:
        raise ActError(
            "act_forbidden", "只有中心主任可以降低保密等级", "only the centre director lowers the protection"
        )
    acting.set["protection"] = wanted
    acting.directives.append(SetClass(wanted))
    acting.event_args["class"] = wanted


def _recuse(acting: Acting) -> None:
    user = acting.args["user"]
    if user != acting.actor.user:
        # Everybody declares himself; to keep somebody else away is the centre's.
        if not acting.actor.roles & CENTRE:
            raise ActError(
                "act_forbidden", "只能申请本人回避,他人回避由中心决定", "for somebody else the centre decides"
            )
        if acting.facts.directors - set(acting.case.get("recused") or ()) == {user}:
            raise ActError(
                "act_forbidden",
                "本案只有这一位主任,须由其本人提出回避",
                "the only director of a case is kept from it by himself alone",
            )
    keep_away(acting, user)


def _not_his_to_lift(_: Mapping[str, Any], actor: Actor) -> ActError | None:
    if "centre_director" in actor.roles or actor.director_away:
        return None
    return ActError(
        "act_forbidden", "解除回避由中心主任决定", "while a director has the case, lifting is the director's"
    )


def _lift_recusal(acting: Acting) -> None:
    user = acting.args["user"]
    acting.set["recused"] = [other for other in acting.case.get("recused") or () if other != user]
    acting.directives.append(LiftRecusal(user))
    if user not in (lifted := acting.list_of("lifted")):
        lifted.append(user)  # else the next move, or the next newcomer to the cell, would recuse him again


# -- place, category, links ---------------------------------------------------------------------


def _set_place(acting: Acting) -> None:
    args = acting.args
    said = SetPlace(args.get("cell"), args.get("location"), args.get("evidence"), by=acting.actor.user)
    acting.directives.append(said)
    acting.track["place_by"] = acting.actor.user
    assignment = dict(acting.case.get("assignment") or {})
    acting.set["assignment"] = {**assignment, "needs_confirmation": False}
    acting.close_tasks.append("confirm_place")


def _set_category(acting: Acting) -> None:
    if "category" not in acting.args:
        raise lacks("category")  # the one the case has does not count here
    set_category(acting, acting.args["category"])


def _no_more_closed(acting: Acting) -> None:
    """The case that is named is there, and is kept from nobody who reads this one."""
    other = acting.facts.other
    if other is None or other.get("id") != acting.args["case"]:
        raise lacks("case", zh="没有找到要关联的案件", en="the case to relate to was not found")
    kept_from = set(other.get("recused") or ()) - set(acting.case.get("recused") or ())
    held, wanted = (str(case.get("protection") or "normal") for case in (acting.case, other))
    if kept_from or highest(PROTECTIONS, held, wanted) != held:
        raise lacks(
            "case",
            zh="该案件的知情范围更小,不能在本案中写明",
            en="that case is more closed than this one: it is not named here",
        )


def _relate(acting: Acting) -> None:
    if "case" in acting.args:
        _no_more_closed(acting)
    related = list(acting.case.get("related") or ())
    for kind in ("case", "matter", "visit"):
        link = {"kind": kind, "id": acting.args.get(kind)}
        if link["id"] and link not in related:
            related.append(link)
    acting.set["related"] = related
    if "matter" in acting.args:
        acting.entry("matter_link", {"matter_id": acting.args["matter"], "why": acting.args.get("why")})


# -- danger and duty ----------------------------------------------------------------------------


def _call_emergency(acting: Acting) -> None:
    body = {name: acting.args.get(name) for name in ("number", "answered", "instruction")}
    acting.entry("emergency_call", {**body, "called_at": acting.args.get("called_at", acting.now)})
    acting.event_args["number"] = acting.args["number"]


def _report_mandatory(acting: Acting) -> None:
    receipt = acting.args.get("receipt")
    if receipt is not None and "centre_director" not in acting.actor.roles:
        raise ActError(
            "act_forbidden", "强制报告由中心主任办结", "the centre director completes a mandatory report"
        )
    acting.list_of("mandatory").append(
        {
            "authority": acting.args["authority"],
            "at": acting.args["reported_at"],
            "by": acting.actor.user,
            "receipt": receipt,
        }
    )
    acting.entry(
        "mandatory_report",
        {
            "authority": acting.args["authority"],
            "ground": acting.args.get("ground"),
            "reported_at": acting.args["reported_at"],
            "by": acting.actor.user,
            "receipt": receipt,
        },
    )


# -- requests -----------------------------------------------------------------------------------


_WORK: Final = (
    "mediation", "service", "resolve_grid", "resolve_community", "resolve_street", "resolve_district",
)  # fmt: skip
"""Clocks of the work itself: what somebody means who asks for more time and names none."""


def _runs(acting: Acting, clock: str) -> bool:
    return any(line.get("clock") == clock for line in acting.case.get("due") or ())


def _clock(acting: Acting) -> str:
    """The clock an extension is for: as said, else that of the work; one that does not run cannot be extended."""
    wanted = [str(acting.args["clock"])] if "clock" in acting.args else _WORK
    found = next((clock for clock in wanted if _runs(acting, clock)), None)
    if found is None:
        raise lacks("clock", zh="没有在计时的该项时限", en="no such clock is running")
    return found


def _request_extension(acting: Acting) -> None:
    clock = _clock(acting)
    if clock == "mediation" and acting.args.get("consent") is not True:
        raise lacks("consent", zh="调解延期须各方同意", en="the parties have to consent to longer mediation")
    for line in acting.case.get("due") or ():
        due = line.get("due_at") or line.get("due")
        if line.get("clock") == clock and isinstance(due, int) and due <= acting.now:
            raise lacks("clock", zh="期限已过,不能再申请延期", en="the time has run out: too late to ask")
    ask(acting, ("centre_director", "street_leader"))
    acting.list_of("requests")[-1]["args"]["clock"] = clock


def _not_his(request: Mapping[str, Any], actor: Actor) -> ActError | None:
    if not actor.roles & set(request["approvers"]):
        return ActError("act_forbidden", "该申请不由您批准", "this request is not yours to approve")
    if request["by"] == actor.user:
        return ActError("own_work", "不能批准自己的申请", "nobody approves an own request")
    return None


def _nothing_to_decide(case: Mapping[str, Any], actor: Actor) -> ActError | None:
    requests = (case.get("track") or {}).get("requests", ())
    faults = [_not_his(request, actor) for request in requests if request["state"] == "open"]
    if not faults:
        return _no_request()
    return None if None in faults else faults[0]


def _no_request() -> ActError:
    return lacks("request", zh="没有这项待批的申请", en="no such open request")


def _open_request(acting: Acting) -> dict[str, Any]:
    for request in acting.list_of("requests"):
        if request["id"] == acting.args["request"] and request["state"] == "open":
            assert isinstance(request, dict)  # noqa: S101 - written by `ask`
            break
    else:
        raise _no_request()
    if (fault := _not_his(request, acting.actor)) is not None:
        raise fault
    return request


def _approve(acting: Acting) -> None:
    request = _open_request(acting)
    if request["act"] == "suspend" and acting.case.get("status") != request["seen_status"]:
        raise lacks("request", zh="案件状态已变化,请重新申请", en="the case has moved on: ask again")
    if request["act"] != "suspend" and not _runs(acting, request["args"]["clock"]):
        raise lacks("request", zh="该项时限已结束,无须延期", en="that clock has ended: nothing to extend")
    request |= {"state": "approved", "decided_by": acting.actor.user, "decided_at": acting.now}
    if request["act"] == "suspend":
        suspend_now(acting, request)
    else:
        args = request["args"]
        acting.event("case.extended", clock=args["clock"], span=f"{args['days']}d", by=acting.actor.user)
    acting.notify(request["by"], "request.approved", request=request["id"], act=request["act"])


def _refuse(acting: Acting) -> None:
    request = _open_request(acting)
    request |= {
        "state": "refused",
        "decided_by": acting.actor.user,
        "decided_at": acting.now,
        "reason": acting.args.get("reason"),
    }
    acting.notify(request["by"], "request.refused", request=request["id"], act=request["act"])


# -- those above --------------------------------------------------------------------------------


def _urge(acting: Acting) -> None:
    acting.notify(acting.handler.get("user"), "case.urged", text=acting.args.get("text"))


def _card(acting: Acting) -> None:
    held = str(acting.case.get("supervision") or "none")
    wanted = acting.args["card"]
    if wanted not in SUPERVISIONS or SUPERVISIONS.index(wanted) <= SUPERVISIONS.index(held):
        raise lacks("card", zh="挂牌只能逐级加重", en="a card is never the same or lower again")
    acting.set["supervision"] = wanted
    acting.track["card"] = {"by": acting.actor.user, "rank": rank(acting.actor.roles), "at": acting.now}
    acting.event_args["card"] = wanted
    acting.notify(acting.handler.get("user"), "case.carded", card=wanted)


def _no_heavier(case: Mapping[str, Any], _: Actor) -> ActError | None:
    if (case.get("supervision") or "none") != SUPERVISIONS[-1]:
        return None
    return lacks("card", zh="挂牌只能逐级加重", en="a card is never the same or lower again")


def _no_card_of_his(case: Mapping[str, Any], actor: Actor) -> ActError | None:
    if (case.get("supervision") or "none") == "none":
        return lacks("card", zh="本案没有挂牌", en="the case is not supervised")
    held = (case.get("track") or {}).get("card") or {}
    if held.get("by") == actor.user or rank(actor.roles) > int(held.get("rank", 0)):
        return None
    return ActError("act_forbidden", "须由挂牌人或其上级撤牌", "only who set it, or somebody above, lifts it")


def _lift_card(acting: Acting) -> None:
    acting.set["supervision"] = "none"
    acting.track["card"] = None


def _is_for_leaders(acting: Acting) -> None:
    """A report of wrongdoing may be about a leader: none of them takes it on, whatever brought it before him."""
    if acting.case.get("kind") == "tip_off" and "centre_director" not in acting.actor.roles:
        raise ActError(
            "act_forbidden",
            "问题线索只由中心主任和指定的受理员经手",
            "a report of wrongdoing is for the centre director and one named clerk",
        )


def _sponsor(acting: Acting) -> None:
    _is_for_leaders(acting)
    until = acting.args["until"]
    if not acting.now < until <= acting.now + _SPONSORED_DAYS * DAY_MS:
        raise lacks(
            "until",
            zh="包案期限应在将来,最长一年",
            en="a case is sponsored until a day ahead, for a year at most",
        )
    acting.set["sponsor"] = {"user": acting.actor.user, "since": acting.now, "until": until}
    acting.directives.append(Name(acting.actor.user))
    acting.event_args |= {"by": acting.actor.user, "until": until}


def _acknowledge(acting: Acting) -> None:
    _is_for_leaders(acting)
    promise = acting.args["promise"]
    if promise <= acting.now:
        raise lacks("promise", zh="承诺时间应在将来", en="the promised time has to lie ahead")
    acting.track["taken_on"] = {"by": acting.actor.user, "at": acting.now, "promise": promise}
    acting.directives.append(Name(acting.actor.user))
    acting.event_args |= {"by": acting.actor.user, "promise": promise, "level": acting.value("level") or 0}
    if acting.case.get("urgency") == "emergency":
        acting.event("emergency.acknowledged", by=acting.actor.user)


def _instruct(acting: Acting) -> None:
    _is_for_leaders(acting)
    args = acting.args
    unit = known_unit(acting, args["unit"]) if "unit" in args else acting.handler.get("unit")
    instructions = acting.list_of("instructions")
    name = str((args.get("entry") or {}).get("id") or f"i{len(instructions) + 1}")
    due = args.get("due")
    if due is not None and due <= acting.now:
        raise lacks("due", zh="回复时间应在将来", en="the time to reply has to lie ahead")
    instructions.append({"id": name, "unit": unit, "due": due, "by": acting.actor.user, "at": acting.now})
    acting.entry(
        "instruction",
        {"text": args.get("text"), "voice_file": args.get("voice_file"), "unit": unit, "due": due},
    )
    level = max((level for level, roles in LEVEL_ROLES.items() if roles & acting.actor.roles), default=0)
    # Left unanswered it goes back to the level that gave it; 0 is the centre.
    acting.event_args |= {"id": name, "unit": unit, "by": acting.actor.user, "level": level}
    if due is not None:
        acting.event_args["due"] = due
    acting.notify(acting.handler.get("user"), "case.instructed", due=due)


def _reply_instruction(acting: Acting) -> None:
    waiting = [one for one in acting.list_of("instructions") if "replied_at" not in one]
    wanted = acting.args.get("instruction")
    found = next((one for one in waiting if wanted is None or one["id"] == wanted), None)
    if found is None:
        raise lacks("instruction", zh="没有待回复的批示", en="no instruction waits for a reply")
    found |= {"replied_at": acting.now, "replied_by": acting.actor.user}
    acting.entry("instruction_reply", {"instruction_id": found["id"], "text": acting.args["text"]})
    acting.event_args["id"] = found["id"]
    acting.close_tasks.append("meeting_do")
    acting.notify(found["by"], "instruction.replied", id=found["id"])


def _send_back(acting: Acting) -> None:
    level, deadline = acting.args["level"], acting.args["deadline"]
    if level >= int(acting.case.get("level") or 0):
        raise lacks("level", zh="只能退回较低层级", en="a case is sent back to a lower level only")
    if deadline <= acting.now:
        raise lacks("deadline", zh="期限应在将来", en="the deadline has to lie ahead")
    acting.set["level"] = level
    acting.event_args |= {
        "level": level,
        "deadline": deadline,
        "by": acting.actor.user,
        "text": acting.args["text"],
    }
    acting.notify(acting.handler.get("user"), "case.sent_back", deadline=deadline, text=acting.args["text"])


def _extend(acting: Acting) -> None:
    # The row of the queue that is answered says which clock; one that is named has to run.
    if "clock" in acting.args:
        acting.event_args["clock"] = _clock(acting)
    acting.event_args |= {"span": f"{acting.args['days']}d", "by": acting.actor.user}


def _put_on_agenda(acting: Acting) -> None:
    acting.list_of("agenda").append(
        {
            "meeting": acting.args["meeting"],
            "why": acting.args.get("why"),
            "by": acting.actor.user,
            "at": acting.now,
        }
    )


# -- looking, telling, correcting ---------------------------------------------------------------


# Who may be told an identity number as well: an agreement or a receipt may have to name it.
_TOLD_NUMBERS: Final = frozenset({"clerk", "centre_director"})


def _reveal(acting: Acting) -> None:
    # Changes nothing: what was looked at, by whom and why stands in the audit record of the act.
    acting.silent = True
    if acting.args["party"] not in {party.get("id") for party in acting.case.get("parties") or ()}:
        raise lacks("party", zh="没有这位当事人", en="no such party")
    whole = acting.actor.is_handler or acting.actor.roles & _TOLD_NUMBERS
    if acting.args["field"] in PARTY_SECRET and not whole:
        raise ActError(
            "act_forbidden",
            "证件号码只告知承办人和中心",
            "an identity number is told to the handler and the centre",
        )


def _tell_back(acting: Acting) -> None:
    body = {name: acting.args.get(name) for name in ("to", "how", "reaction")}
    acting.entry("tell_back", body)
    acting.close_tasks.append("tell_back")
    acting.event("source.replied")


def _correct(acting: Acting) -> None:
    if "clerk" not in acting.actor.roles and acting.facts.entry_author != acting.actor.user:
        raise ActError(
            "act_forbidden", "只有记录人或受理员可以更正", "only who wrote it, or the clerk, corrects it"
        )
    acting.entry("correction", {name: acting.args.get(name) for name in ("entry_id", "text", "reason")})


GUARDS: Final[Mapping[str, Guard]] = {
    "lift_recusal": _not_his_to_lift,
    "approve": _nothing_to_decide,
    "refuse": _nothing_to_decide,
    "card": _no_heavier,
    "lift_card": _no_card_of_his,
}
EFFECTS: Final[Mapping[str, Effect]] = {
    "rate": _rate,
    "raise_signal": _raise_signal,
    "protect": _protect,
    "recuse": _recuse,
    "lift_recusal": _lift_recusal,
    "set_place": _set_place,
    "set_category": _set_category,
    "relate": _relate,
    "call_emergency": _call_emergency,
    "report_mandatory": _report_mandatory,
    "request_extension": _request_extension,
    "approve": _approve,
    "refuse": _refuse,
    "urge": _urge,
    "card": _card,
    "lift_card": _lift_card,
    "sponsor": _sponsor,
    "acknowledge": _acknowledge,
    "instruct": _instruct,
    "reply_instruction": _reply_instruction,
    "send_back": _send_back,
    "extend": _extend,
    "put_on_agenda": _put_on_agenda,
    "reveal": _reveal,
    "tell_back": _tell_back,
    "correct": _correct,
}
