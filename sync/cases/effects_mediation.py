"""What the acts of a mediation bring about, from the first session to the last obligation performed."""

from collections.abc import Mapping
from typing import Any, Final

from sync.cases.acting import DAY_MS, Acting, Effect, Guard
from sync.cases.acts import ActError, Actor, Handler, Name, TaskDraft, lacks
from sync.cases.calendars import add
from sync.cases.catalogue import CONSENTS, OUTCOMES, SUSPEND_REASONS, SuspendReason
from sync.cases.effects_intake import consent_of, handler_of, known_unit, known_user, name_people_of, sides
from sync.cases.model import deadline_of, end_of_day
from sync.cases.shapes import LATEST


def _assign(acting: Acting) -> None:
    handler = acting.handler
    user = acting.args["user"]
    handler_of(acting, user, handler.get("unit"))
    handler["user"] = user
    acting.set["handler"] = handler
    acting.directives.append(Handler(user))
    acting.name_if_sealed([user])
    acting.close_tasks.append("handle")
    acting.tasks.append(TaskDraft("handle", False, None, user, None, "待办理"))
    acting.notify(user, "case.assigned")


def _consents(acting: Acting) -> dict[str, str]:
    """Party id -> answer: as said with the act, else as written on the party."""
    said = {party["id"]: consent_of(party) or "not_asked" for party in sides(acting.case)}
    if acting.args.get("consent") is True:
        said = dict.fromkeys(said, "yes")
    given = acting.args.get("consents", {})
    if not all(isinstance(answer, str) and answer in CONSENTS for answer in given.values()):
        raise lacks("consents")
    return said | {party: answer for party, answer in given.items() if party in said}


def _need_consent(acting: Acting) -> None:
    # Mediation is voluntary: it begins when each side has agreed to it, and not before.
    said = _consents(acting)
    if acting.args.get("consent") is False or any(answer != "yes" for answer in said.values()):
        raise lacks("consents", zh="须各方当事人同意调解", en="each party has to agree to mediation")
    if not said and acting.args.get("consent") is not True:
        raise lacks("consents", zh="须各方当事人同意调解", en="each party has to agree to mediation")
    acting.track["consents"] = said


def _begin(acting: Acting) -> None:
    if acting.case.get("kind") == "dispute":
        _need_consent(acting)
        entry = acting.args.get("entry") or {}
        if acting.args.get("rights_told") is not True and entry.get("type") != "rights_notice":
            raise lacks(
                "rights_told", zh="须先告知权利义务", en="the parties have to be told their rights first"
            )
        acting.entry("rights_notice", {"read_aloud": True, "means": "oral"})
    acting.worked(acting.actor.user)


def _remediate(acting: Acting) -> None:
    _need_consent(acting)
    acting.set |= {"outcome": None, "resolved_at": None}
    acting.track["obligations"] = []


def _session(acting: Acting) -> None:
    acting.worked(acting.actor.user)


def _join(acting: Acting) -> None:
    handler = acting.handler
    helpers = list(handler.get("helpers") or ())
    for code in acting.args["units"]:
        unit = known_unit(acting, code, "units")
        if unit not in helpers:
            helpers.append(unit)
            name_people_of(acting, unit)
    handler["helpers"] = helpers
    if "lead" in acting.args:
        handler["lead"] = known_unit(acting, acting.args["lead"], "lead", lead=True)
    handler.setdefault("lead", handler.get("unit"))  # who has the case leads, unless somebody else is named
    for user in acting.args.get("users", ()):
        acting.directives.append(Name(known_user(acting, user, None)))
        acting.notify(user, "case.joined")
    acting.set["handler"] = handler


# -- standing still -----------------------------------------------------------------------------


def ask(acting: Acting, approvers: tuple[str, ...]) -> str:
    """Put the act up for approval; the number of the request within the case is its name."""
    requests = acting.list_of("requests")
    name = f"r{len(requests) + 1}"
    requests.append(
        {
            "id": name,
            "act": acting.rule.act,
            "args": {key: value for key, value in acting.args.items() if key != "entry"},
            "by": acting.actor.user,
            "at": acting.now,
            "seen_status": acting.case.get("status"),
            "approvers": list(approvers),
            "state": "open",
        }
    )
    acting.status = str(acting.case.get("status"))
    return name


def _suspend(acting: Acting) -> None:
    row = SUSPEND_REASONS.get(acting.args["reason"])
    limited = row is None or row.cap_days is not None or row.cap_working_days is not None
    if limited and "until" not in acting.args:
        raise lacks("until", zh="须写明中止到何时", en="say until when")
    if acting.args.get("until", acting.now + 1) <= acting.now:
        raise lacks("until", zh="中止期限应在将来", en="the date has to lie ahead")
    limit = _longest(acting, row)
    if limit is not None and acting.args["until"] > limit:
        raise lacks("until", zh="超过该原因可中止的期限", en="longer than this reason carries")
    past = [part for part in acting.track.get("suspensions", ()) if part["reason"] == acting.args["reason"]]
    if row is not None and row.times is not None and len(past) >= row.times:
        raise lacks(
            "reason", zh=f"该原因最多中止{row.times}次", en=f"at most {row.times} times for this reason"
        )
    ask(acting, (row.approver if row else "centre_director",))
    acting.silent = True
    acting.event("case.suspension_requested", reason=acting.args["reason"], until=acting.args.get("until"))


def _longest(acting: Acting, row: SuspendReason | None) -> int | None:
    """To when at most this reason lets a case stand still, the last day whole; None: no cap."""
    if row is not None and row.cap_days is not None:
        return end_of_day(acting.now + row.cap_days * DAY_MS)
    if row is None or row.cap_working_days is None:
        return None
    office = acting.facts.office
    if office is None:
        return end_of_day(acting.now + row.cap_working_days * DAY_MS)
    return end_of_day(add(office, acting.now, row.cap_working_days, "wd"))


def suspend_now(acting: Acting, request: Mapping[str, Any]) -> None:
    """What an approved request to suspend brings about."""
    args = request["args"]
    acting.status = "suspended"
    acting.list_of("suspensions").append(
        {
            "reason": args["reason"],
            "until": args.get("until"),
            "from": acting.now,
            "before": acting.case.get("status"),
            "approved_by": acting.actor.user,
        }
    )
    acting.event(
        "case.suspended", reason=args["reason"], until=args.get("until"), approved_by=acting.actor.user
    )


def _resume(acting: Acting) -> None:
    suspensions = acting.list_of("suspensions")
    if suspensions:
        suspensions[-1]["to"] = acting.now
        if suspensions[-1].get("before") == "accepted":
            # Standing still is no way into mediation: that begins with the parties' consent.
            acting.status = "accepted"


# -- agreement and performance ------------------------------------------------------------------


def _moment(value: Any, name: str) -> int | None:
    """A date of an agreement, epoch milliseconds or text; raises `ActError` for one to which no clock could be set."""
    if value is None:
        return None
    if isinstance(value, str):
        value = deadline_of(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= LATEST:
        raise lacks(name, zh="日期无法识别", en="this date cannot be read")
    return value


def obligations_of(entry: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """The open rows of an agreement, numbered; raises `ActError` for a row that says nothing."""
    listed = (entry or {}).get("body", {}).get("obligations") or []
    if not isinstance(listed, list):
        raise lacks("obligations")
    rows: list[dict[str, Any]] = []
    for position, row in enumerate(listed, 1):
        if not isinstance(row, dict):
            raise lacks("obligations")
        kept = {name: row[name] for name in ("debtor", "creditor", "what", "amount_fen") if name in row}
        due = _moment(row.get("due"), "obligations.due")
        kept |= {} if due is None else {"due": due}
        done_at = _moment(row.get("done_at"), "obligations.done_at")
        rows.append({"no": row.get("no", position), **kept, "done_at": done_at})
    if len({str(row["no"]) for row in rows}) != len(rows):
        raise lacks("obligations", zh="义务编号重复", en="two obligations have the same number")
    return rows


def _outcome_of(entry: Mapping[str, Any] | None) -> str | None:
    return {"agreement": "written_agreement", "oral_agreement": "oral_agreement"}.get(
        str((entry or {}).get("type"))
    )


def _agree(acting: Acting) -> None:
    entry = acting.args["entry"]
    rows = obligations_of(entry)
    if all(row["done_at"] is not None for row in rows):
        raise lacks(
            "obligations",
            zh="没有待履行的义务,请直接登记化解",
            en="nothing is left to perform: settle instead",
        )
    acting.track["obligations"] = rows
    acting.track["agreed_outcome"] = _outcome_of(entry)
    acting.worked(acting.actor.user)
    for row in rows:
        if row["done_at"] is None:
            due = row.get("due")
            acting.event("obligation.agreed", id=row["no"], due=due)
            acting.tasks.append(
                TaskDraft("performance", False, None, acting.handler.get("user"), due, "到期履行提醒")
            )
    effective = _moment(entry["body"].get("effective_at"), "effective_at")
    if effective is not None:
        acting.event_args["effective_at"] = effective


def _open(acting: Acting) -> list[dict[str, Any]]:
    return [row for row in acting.track.get("obligations", ()) if row.get("done_at") is None]


def settle_with(acting: Acting, outcome: str) -> None:
    """The dispute is resolved now, with this outcome."""
    acting.status = "settled"
    acting.set |= {"outcome": outcome, "resolved_at": acting.now}
    acting.worked(acting.actor.user)
    acting.worked(acting.handler.get("user"))
    acting.close_tasks += ["handle", "performance"]


def _settle(acting: Acting) -> None:
    entry = acting.args.get("entry")
    if entry is not None and entry["type"] in {"agreement", "oral_agreement"}:
        acting.track["obligations"] = obligations_of(entry)
    if _open(acting):
        raise lacks("obligations", zh="尚有未履行的义务", en="an obligation is still open")
    outcome = acting.args.get("outcome") or acting.track.get("agreed_outcome") or _outcome_of(entry)
    if outcome is None:
        raise lacks("outcome")
    if outcome in OUTCOMES and not OUTCOMES[outcome].resolved:
        raise lacks("outcome", zh="该结果不属于化解", en="this outcome does not count as resolved")
    settle_with(acting, outcome)


def _row(acting: Acting) -> dict[str, Any]:
    wanted = str(acting.args["obligation"])
    for row in acting.list_of("obligations"):
        if str(row["no"]) == wanted and row.get("done_at") is None:
            assert isinstance(row, dict)  # noqa: S101 - written by `obligations_of`
            return row
    raise lacks("obligation", zh="没有这项待履行的义务", en="no such open obligation")


def _nothing_open(case: Mapping[str, Any], _: Actor) -> ActError | None:
    rows = (case.get("track") or {}).get("obligations", ())
    if any(row.get("done_at") is None for row in rows):
        return None
    return lacks("obligation", zh="没有这项待履行的义务", en="no such open obligation")


def _perform(acting: Acting) -> None:
    row = _row(acting)
    done_at = acting.args.get("done_at", acting.now)
    row["done_at"] = done_at
    acting.entry(
        "performance",
        {
            "obligation_no": row["no"],
            "done_at": done_at,
            "amount_fen": acting.args.get("amount_fen"),
            "proof_file": acting.args.get("proof_file"),
            "by_party": acting.args.get("by_party"),
        },
    )
    acting.event_args["id"] = row["no"]
    if not _open(acting):
        settle_with(acting, acting.track.get("agreed_outcome") or "written_agreement")
        acting.event("case.settled")


def _breach(acting: Acting) -> None:
    row = _row(acting)
    row["breached_at"] = acting.now
    acting.entry(
        "breach",
        {"obligation_no": row["no"], "reason": acting.args.get("reason"), "next": acting.args.get("next")},
    )
    acting.event("obligation.breached", id=row["no"])


# From the application on the court has a number for it.
_NUMBERED: Final = frozenset({"applied", "granted", "refused"})


def _confirm_court(acting: Acting) -> None:
    value = acting.args["value"]
    if value in _NUMBERED and "number" not in acting.args:
        raise lacks("number", zh="请写明法院案号", en="the court's number is missing")
    acting.set["confirmation"] = value
    acting.entry(
        "court_confirmation",
        {
            "step": value,
            "court": acting.args.get("court"),
            "number": acting.args.get("number"),
            "at": acting.args["at"],
        },
    )
    acting.event_args["value"] = value
    if value == "applied":
        acting.event("confirmation.applied")


def _fail(acting: Acting) -> None:
    acting.track["failed"] = {"reason": acting.args["reason"], "routes_told": acting.args["routes_told"]}
    acting.worked(acting.actor.user)
    acting.entry(
        "failure_notice",
        {
            "reason": acting.args["reason"],
            "routes_told": acting.args["routes_told"],
            "given_to": acting.args.get("given_to"),
            "means": acting.args.get("means"),
        },
    )
    acting.event_args["reason"] = acting.args["reason"]


GUARDS: Final[Mapping[str, Guard]] = {"perform": _nothing_open, "breach": _nothing_open}
EFFECTS: Final[Mapping[str, Effect]] = {
    "assign": _assign,
    "begin": _begin,
    "session": _session,
    "join": _join,
    "suspend": _suspend,
    "resume": _resume,
    "agree": _agree,
    "settle": _settle,
    "perform": _perform,
    "breach": _breach,
    "remediate": _remediate,
    "confirm_court": _confirm_court,
    "fail": _fail,
}
