"""The ways disputes go: each a script of the people who act one after the other, in office hours.

A script may be told where to stay (`stop`), which is how every status has cases today; without it, it goes to the end
or to today, whichever comes first.
"""

from typing import Any

from server.demo.captures import DISPUTES
from server.demo.flows_service import taken_in
from server.demo.stage import DAY, Script
from server.demo.way import Case, day_text, told_back

RESOLVED_BY_WORDS = (
    "oral_agreement",
    "written_agreement",
    "self_settled",
    "court_mediation",
    "admin_decision",
)
# Who approves that a case stands still; else the leader of the street.
_APPROVERS = {"wait_party": "centre-director-1", "party_away": "centre-director-1"}


def on_spot(case: Case) -> Script:
    """The commonest case: settled by the worker who heard of it."""
    stage, author = case.stage, case.scene.author
    look_back = stage.now + 7 * DAY
    case.capture(
        on_spot={
            "how": case.said("sessions"),
            "agreement_text": case.done_text,
            "both_content": True,
            "look_back_on": day_text(look_back),
        }
    )
    if case.stop == "settled":
        return
    yield case.after(9)
    if stage.case(case.id)["track"]["sample"]:
        # the sample is looked at by a person; what was not drawn the system verifies after two days
        case.act(case.clerk, "verify", parties_asked=True)
    yield stage.days(2)
    told_back(case)
    yield from follow_ups(case, author, first=3.5)


def admitted(case: Case, *, risk: str | None = None, complexity: str = "ordinary") -> Script:
    """Captured, contacted, rated and taken in."""
    case.capture()
    yield case.after(0.8)
    case.note(
        case.scene.author, "contact_attempt", how="phone", reached=True, text=case.said("circumstances")
    )
    yield case.after(1.2)
    colour = risk or case.rng.choices(("blue", "yellow", "orange"), (6, 3, 1))[0]
    case.act(
        case.clerk,
        "triage",
        category=case.told.row["category"],
        basis="lawful",
        risk=colour,
        reason=case.said("risk_reasons"),
        signals=[],
        channel="grid",
        complexity=complexity,
    )
    yield case.after(0.2)
    case.act(case.clerk, "admit", given_to=case.told.slots["b"])


def taken(case: Case, **how: Any) -> Script:
    """Admitted, dispatched to a mediator and accepted."""
    yield from admitted(case, **how)
    yield case.after(1)
    case.act(case.dispatcher, "dispatch", **_to(case), mediation_channel="grid")
    yield case.after(1.2)
    case.act(case.mediator, "accept")


def _to(case: Case) -> dict[str, Any]:
    sealed = case.dispatcher == "centre-director-1"
    return {"unit": case.unit} | ({"user": case.stage.id_of(case.mediator)} if sealed else {})


def talking(case: Case, **how: Any) -> Script:
    """In mediation, with a first session held."""
    yield from taken(case, **how)
    yield case.after(2)
    case.act(case.mediator, "begin", consent=True, rights_told=True)
    yield case.after(2)
    case.act(case.mediator, "session", entry=session(case))


def session(case: Case) -> dict[str, Any]:
    return case.entry(
        "session",
        at=case.stage.now,
        mode="face",
        place="调解室",
        present=[case.told.slots["a"], case.told.slots["b"]],
        disputed_points=[case.told.say(case.told.row["title"])],
        proposals=case.said("sessions"),
        result="continue",
    )


def settled(case: Case, outcome: str = "oral_agreement", **how: Any) -> Script:
    """Mediated to an agreement that is performed at once."""
    yield from talking(case, **how)
    yield case.after(4)
    entry = None
    if outcome == "oral_agreement":
        entry = case.entry("oral_agreement", content=case.done_text, agreed_at=case.stage.now)
    elif outcome == "written_agreement":
        entry = agreement(case, [])
    case.act(case.mediator, "settle", outcome=outcome, entry=entry)
    yield from ended(case, outcome)


def agreement(case: Case, obligations: list[dict[str, Any]]) -> dict[str, Any]:
    return case.entry(
        "agreement",
        parties=["p1", "p2"],
        facts=case.told.say(case.told.row.get("text", "")),
        points=[case.done_text],
        obligations=obligations,
        effective_at=case.stage.now,
        capacity_checked=True,
        law_checked=True,
    )


def performed(case: Case, *, parts: int = 2, due_days: float = 9, **how: Any) -> Script:
    """A written agreement with parts to perform, each of them performed in time."""
    yield from promised(case, parts=parts, due_days=due_days, **how)
    for part in range(1, parts + 1):
        yield case.stage.days(due_days * 0.9)
        case.act(case.mediator, "perform", obligation=part, done_at=case.stage.now, by_party="p2")
    yield from ended(case, "written_agreement")


def promised(case: Case, *, parts: int = 2, due_days: float = 9, **how: Any) -> Script:
    """As far as the agreement."""
    yield from talking(case, **how)
    yield case.after(4)
    total = int(case.told.slots["y"]) * 100
    rows = [
        {
            "no": part,
            "debtor": "p2",
            "creditor": "p1",
            "what": case.done_text,
            "amount_fen": total // parts,
            "due": case.stage.now + int(part * due_days * DAY),
        }
        for part in range(1, parts + 1)
    ]
    case.act(case.mediator, "agree", entry=agreement(case, rows))


def breached(case: Case, **how: Any) -> Script:
    """A promise not kept, taken up again, and settled in the end."""
    yield from promised(case, parts=1, due_days=5, **how)
    yield case.stage.days(6)
    case.act(case.mediator, "breach", obligation=1, reason="到期未付", next="再次约谈")
    yield case.after(6)
    case.act(case.mediator, "remediate", consent=True)
    yield case.after(3)
    case.act(case.mediator, "session", entry=session(case))
    yield case.after(3)
    content = f"当场付清。{case.done_text}"
    case.act(
        case.mediator,
        "settle",
        outcome="oral_agreement",
        entry=case.entry("oral_agreement", content=content, agreed_at=case.stage.now),
    )
    yield from ended(case, "oral_agreement")


def failed(
    case: Case, reason: str = "positions_apart", outcome: str = "unresolved_told", **how: Any
) -> Script:
    """No agreement: the routes are told, in writing."""
    yield from talking(case, **how)
    yield case.after(6)
    case.act(
        case.mediator,
        "fail",
        reason=reason,
        routes_told=["lawsuit", "legal_aid"],
        given_to=case.told.slots["b"],
        means="当面送达",
    )
    yield case.after(3)
    text = "双方分歧较大,已书面告知可以起诉或申请法律援助。"
    case.act(case.mediator, "close", outcome=outcome, plain_text=text)
    yield case.after(3)
    case.act(case.clerk, "verify", parties_asked=True)
    yield case.after(6)
    told_back(case)
    yield case.stage.days(40)
    case.act(case.clerk, "file", gaps=["当事人未签收终止通知"], reason="已留置送达")


def ended(case: Case, outcome: str) -> Script:
    """Reported, verified by somebody else, followed up, filed."""
    yield case.after(3)
    case.act(case.mediator, "close", outcome=outcome, plain_text=case.done_text)
    yield case.after(3)
    feedback = case.entry("party_feedback", party="p1", settled=True, attitude="yes", via="phone")
    case.act(case.clerk, "verify", parties_asked=True, entry=feedback)
    yield case.after(6)
    told_back(case)
    yield from follow_ups(case, case.mediator)


def follow_ups(case: Case, who: str, first: float = 4.5) -> Script:
    """Asked again as often as the plan says (after a week, a month and three, oftener where somebody is in danger)."""
    pauses = (first, 21, 56, 7)
    for number, days in enumerate(pauses, start=1):
        if not case.stage.is_open(case.id, "follow_up"):
            break
        yield case.stage.days(days)
        body = case.entry(
            "follow_up", round=number, how="phone", performed=True, satisfied="yes", relapse_signs=False
        )
        case.act(who, "follow_up", entry=body)
    yield case.stage.days(5)
    if case.stage.is_open(case.id, "tell_back"):
        told_back(case)
    case.act(case.clerk, "file")


def declined(case: Case, reason: str) -> Script:
    """Not admitted, and told where to go."""
    case.capture()
    yield case.after(1)
    case.note(case.scene.author, "contact_attempt", how="phone", reached=True, text="已说明受理范围")
    yield case.after(1.5)
    case.act(case.clerk, "decline", reason=reason, routes_told=["lawsuit", "admin_review"])
    yield case.after(5)
    told_back(case)


def referred(case: Case, target: str) -> Script:
    """Handed to whoever is competent, with a receipt."""
    yield from admitted(case) if case.told.row.get("kind") is None else taken_in(case)
    yield case.after(1)
    if case.told.row.get("kind") is None:
        yield from _to_mediation(case)
    case.act(
        case.dispatcher,
        "refer_out",
        target=target,
        reason="属对方职权范围",
        asks="请依职权处理,并告知结果",
        receipt_due=case.stage.now + 5 * DAY,
    )
    yield case.after(9)
    case.note(case.clerk, "referral_reply", number=f"收〔{case.rng.randint(10, 99)}〕号", result="已收件")


def _to_mediation(case: Case) -> Script:
    case.act(case.dispatcher, "dispatch", **_to(case), mediation_channel="grid")
    yield case.after(1.2)
    case.act(case.mediator, "accept")
    yield case.after(1)
    case.act(case.mediator, "begin", consent=True, rights_told=True)
    yield case.after(2)


def withdrawn(case: Case) -> Script:
    """The party no longer wants it, of free will."""
    yield from taken(case)
    yield case.after(2)
    case.act(case.mediator, "withdraw", free_will=True, reason="双方私下谈妥", party=case.told.slots["b"])


def voided(case: Case) -> Script:
    """Captured by mistake."""
    case.capture()
    yield case.after(1)
    case.act(case.clerk, "void", reason="误报:同一情况已登记")


def merged(case: Case, master: Case) -> Script:
    """The same quarrel told twice."""
    case.capture()
    yield case.after(1)
    case.act(case.clerk, "merge", master=master.id, reason="同一事由,同一当事人")


def returned(case: Case, reason: str, *, times: int = 1) -> Script:
    """Returned by the first unit; a second return puts it up for a ruling."""
    yield from admitted(case)
    units = [case.unit, "D-MEDIATION"]
    for n in range(times):
        yield case.after(1)
        case.unit = units[n % 2]
        case.act(case.dispatcher, "dispatch", **_to(case), mediation_channel="grid")
        yield case.after(1.2)
        case.act(case.mediator, "return", reason=reason, note=case.rng.choice(DISPUTES["returns_text"]))
    yield case.after(1.5)
    case.unit = "D-MEDIATION"
    if times > 1:
        case.act("centre-director-1", "adjudicate", unit=case.unit, reason="按属事原则由区调委会办理")
    else:
        case.act(case.dispatcher, "dispatch", **_to(case), mediation_channel="government_private")
    yield case.after(1.2)
    case.act(case.mediator, "accept")
    yield case.after(2)
    case.act(case.mediator, "begin", consent=True, rights_told=True)
    yield case.after(5)
    content = case.done_text
    entry = case.entry("oral_agreement", content=content, agreed_at=case.stage.now)
    case.act(case.mediator, "settle", outcome="oral_agreement", entry=entry)
    yield from ended(case, "oral_agreement")


def suspended(case: Case, reason: str) -> Script:
    """Standing still for a reason somebody approved, then on again."""
    yield from talking(case)
    yield case.after(2)
    # the shortest of the reasons carries five working days
    until = case.stage.now + 4 * DAY
    case.act(case.mediator, "suspend", reason=reason, until=until, evidence=["情况说明"])
    yield case.after(1)
    approver = _APPROVERS.get(reason) or case.world.leaders[case.scene.street]
    case.act(approver, "approve", request="r1")
    yield case.stage.days(3)
    case.act(case.mediator, "resume")
    yield case.after(4)
    entry = case.entry("oral_agreement", content=case.done_text, agreed_at=case.stage.now)
    case.act(case.mediator, "settle", outcome="oral_agreement", entry=entry)
    yield from ended(case, "oral_agreement")


def reopened(case: Case) -> Script:
    """It came back: admitted again under its old number."""
    yield from settled(case)
    yield case.stage.days(3)
    case.act(case.clerk, "reopen", reason="对方又停了下来,双方再次争执")
    yield case.after(1)
    case.act(case.dispatcher, "dispatch", **_to(case), mediation_channel="grid")
    yield case.after(1)
    case.act(case.mediator, "accept")
    yield case.after(2)
    case.act(case.mediator, "begin", consent=True, rights_told=True)
    yield case.after(4)
    case.act(case.mediator, "settle", outcome="written_agreement", entry=agreement(case, []))
    yield from ended(case, "written_agreement")
