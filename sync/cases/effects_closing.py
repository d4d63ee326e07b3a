"""What the acts that end a case bring about: reported, verified, filed; and those that open it again."""

from collections.abc import Mapping
from typing import Any, Final

from sync.cases.acting import DAY_MS, Acting, Effect, Guard, follow_up_tasks, tell_back_task
from sync.cases.acts import ActError, Actor, ClearHandler, Handler, TaskDraft, lacks
from sync.cases.catalogue import OUTCOMES, PROTECTIONS
from sync.cases.effects_intake import number
from sync.cases.effects_mediation import settle_with
from sync.cases.model import instant_of

DEFAULT_SAMPLE_PERCENT: Final = 10
_LOOK_BACK_DAYS: Final = 7


# -- settled or answered at once ----------------------------------------------------------------


def drawn(acting: Acting) -> bool:
    """Whether a person has to look at what one worker settled alone: by chance, and always where it is delicate."""
    percent = int(acting.facts.settings.get("sample_percent", DEFAULT_SAMPLE_PERCENT))
    return acting.facts.chance < percent or delicate({**acting.case, **acting.set})


def delicate(case: Mapping[str, Any]) -> bool:
    """Whether a person looks at the case in any event, as it is now: it may have been flagged after the draw."""
    return (
        PROTECTIONS.index(case.get("protection") or "normal") > 0
        or bool(case.get("signals"))
        or bool(case.get("involves_staff"))
    )


def waits_for_a_person(case: Mapping[str, Any]) -> bool:
    """Whether time alone does not verify the case."""
    track = case.get("track") or {}
    return bool(track.get("sample")) or not track.get("on_spot") or delicate(case)


def settle_on_spot(acting: Acting) -> None:
    """Received, numbered, admitted and resolved in one commit; the follow-up begins here."""
    on_spot: dict[str, Any] = acting.args.get("on_spot") or acting.case.get("on_spot") or {}
    acting.set["on_spot"] = on_spot
    number(acting)
    acting.set |= {"admitted_at": acting.case.get("admitted_at") or acting.now}
    settle_with(acting, acting.args.get("outcome", "on_spot"))
    acting.worked(acting.case.get("author"))
    acting.track["on_spot"] = True
    acting.track["sample"] = drawn(acting)
    acting.entry("on_spot", on_spot)
    look_back = on_spot.get("look_back_on")
    due = instant_of(look_back) if isinstance(look_back, str) else None
    acting.tasks.append(
        TaskDraft(
            "follow_up",
            True,
            "grid_worker",
            None,
            due or acting.now + _LOOK_BACK_DAYS * DAY_MS,
            "回访:是否反复",
        )
    )
    acting.event_args |= {"on_spot": True, "sample": acting.track["sample"]}


def answer(acting: Acting) -> None:
    """A request answered or done at once; if drawn for the sample, the centre still verifies it."""
    outcome = acting.args.get("outcome") or (
        "explained" if acting.case.get("kind") in {"consult", "opinion"} else "service_done"
    )
    number(acting)
    acting.set |= {"admitted_at": acting.case.get("admitted_at") or acting.now}
    acting.worked(acting.case.get("author"))
    acting.track["on_spot"] = True
    acting.track["sample"] = acting.event_args["sample"] = drawn(acting)
    acting.track["answered_at"] = acting.now
    acting.entry("reply", {"text": acting.args["plain_text"], "plain_text": acting.args["plain_text"]})
    _report(acting, outcome)


def _report(acting: Acting, outcome: str) -> None:
    acting.set["outcome"] = outcome
    row = OUTCOMES.get(outcome)
    if row is not None and row.resolved and not acting.case.get("resolved_at"):
        acting.set["resolved_at"] = acting.now
    acting.track["told"] = acting.args.get("plain_text")
    acting.worked(acting.actor.user)
    acting.worked(acting.handler.get("user"))
    acting.close_tasks += ["handle", "accept_due"]
    acting.event_args["outcome"] = outcome


# -- reported, verified, sent back --------------------------------------------------------------


def _close(acting: Acting) -> None:
    if acting.case.get("kind") == "tip_off":
        _close_by_receipt(acting)
        return
    outcome = acting.args.get("outcome") or acting.case["outcome"]
    row = OUTCOMES.get(outcome)
    if acting.case.get("status") == "failed" and row is not None and row.resolved:
        raise lacks(
            "outcome", zh="调解不成的案件不能报为化解", en="a failed mediation is not reported as resolved"
        )
    _report(acting, outcome)


def _close_by_receipt(acting: Acting) -> None:
    acting.set["closed_at"] = acting.now
    acting.entry(
        "referral_reply",
        {
            "number": acting.args.get("number"),
            "person": acting.args.get("person"),
            "at": acting.now,
            "result": acting.args.get("result"),
            "text": acting.args["receipt"],
        },
    )
    acting.event("referral.replied")


def _not_his_to_verify(case: Mapping[str, Any], actor: Actor) -> ActError | None:
    if not actor.system:
        return own_work(case, actor)
    if waits_for_a_person(case):
        return ActError("act_forbidden", "须由专人核实", "this case has to be verified by a person")
    return None


def own_work(case: Mapping[str, Any], actor: Actor) -> ActError | None:
    """Nobody judges what he has done himself."""
    workers = (case.get("track") or {}).get("workers", ())
    handler = (case.get("handler") or {}).get("user")
    if actor.user in workers or actor.user == handler:
        return ActError(
            "own_work", "不能核实、裁定或批准自己办理的事项", "nobody verifies, rules on or approves own work"
        )
    return None


def _verify(acting: Acting) -> None:
    if acting.args.get("party_disagrees"):
        raise lacks(
            "parties_agree", zh="一方不认可,不能办结", en="a party does not agree: it cannot be closed"
        )
    acting.set["closed_at"] = acting.now
    acting.close_tasks += ["handle", "check"]
    if acting.case.get("kind") == "dispute" and not acting.track.get("on_spot"):
        follow_up_tasks(acting)
    tell_back_task(acting, str(acting.track.get("told") or "把结果告诉反映人"))
    acting.event("case.closed", outcome=acting.case.get("outcome"))
    acting.notify(acting.case.get("author"), "case.closed", outcome=acting.case.get("outcome"))
    acting.notify(acting.handler.get("user"), "case.closed", outcome=acting.case.get("outcome"))


def _reject_close(acting: Acting) -> None:
    workers = acting.track.get("workers") or [acting.case.get("author")]
    handler = acting.handler
    if handler.get("user") is None:
        # Answered at once and not accepted as done: it goes back to who answered.
        handler |= {"user": workers[0]}
        acting.set["handler"] = handler
        acting.directives.append(Handler(workers[0]))
    acting.set |= {"outcome": None, "resolved_at": None}
    acting.track.pop("on_spot", None)
    acting.track.pop("sample", None)
    acting.tasks.append(TaskDraft("handle", False, None, handler["user"], None, "退回重办"))
    missing = acting.args.get("missing") or acting.args.get("reason")
    acting.event_args |= {"level": acting.value("level") or 0}
    acting.notify(handler["user"], "case.rejected", missing=missing)


def _check(acting: Acting) -> None:
    acting.close_tasks.append("check")


def _follow_up(acting: Acting) -> None:
    body = acting.args["entry"]["body"]
    rounds = acting.list_of("follow_ups")
    rounds.append({"at": acting.now, "by": acting.actor.user, "satisfied": body.get("satisfied")})
    acting.event_args["round"] = len(rounds)
    acting.close_tasks.append("follow_up")


def _file(acting: Acting) -> None:
    gaps = acting.args.get("gaps")
    dispute = acting.case.get("kind") == "dispute"
    if dispute and not gaps and acting.facts.open_tasks & {"tell_back", "follow_up"}:
        raise lacks(
            "gaps",
            zh="回访或向反映人反馈尚未完成,归档须写明缺项",
            en="a follow-up, or telling whoever told, is still open: say what the file lacks and why",
        )
    acting.close_tasks.append("follow_up")
    if gaps:
        acting.entry("file_note", {"missing_items": gaps, "reason": acting.args.get("reason")})
        acting.close_tasks.append("tell_back")


# -- again, or not at all -----------------------------------------------------------------------


def _reopen(acting: Acting) -> None:
    number(acting)
    count = int(acting.case.get("reopened_count") or 0) + 1
    acting.set |= {
        "reopened_count": count,
        "admitted_at": acting.case.get("admitted_at") or acting.now,
        "closed_at": None,
        "resolved_at": None,
        "outcome": None,
        "handler": None,
    }
    for name in ("on_spot", "sample", "final", "returns", "obligations", "agreed_outcome", "told", "workers"):
        acting.track.pop(name, None)
    acting.directives.append(ClearHandler())
    acting.close_tasks.append("follow_up")
    acting.event_args |= {
        "level": acting.value("level") or 0,
        "epoch": count,
        "reason": acting.args["reason"],
    }
    acting.notify(acting.case.get("author"), "case.reopened")


def _withdraw(acting: Acting) -> None:
    if acting.args.get("free_will") is False:
        raise lacks("free_will", zh="须确认当事人自愿撤回", en="the party has to withdraw of free will")
    acting.set["closed_at"] = acting.now
    acting.close_tasks += ["accept_due", "handle"]
    acting.notify(acting.case.get("author"), "case.withdrawn")


GUARDS: Final[Mapping[str, Guard]] = {"verify": _not_his_to_verify, "adjudicate": own_work}
EFFECTS: Final[Mapping[str, Effect]] = {
    "settle_on_spot": settle_on_spot,
    "answer": answer,
    "close": _close,
    "verify": _verify,
    "reject_close": _reject_close,
    "check": _check,
    "follow_up": _follow_up,
    "file": _file,
    "reopen": _reopen,
    "withdraw": _withdraw,
}
