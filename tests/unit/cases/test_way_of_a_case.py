"""Stories of single cases, told act by act. `way` plays acts on a case as the writer would."""

from typing import Any

import pytest

from sync.cases.acts import (
    ClearHandler,
    Dispatch,
    Handler,
    LiftRecusal,
    MergeInto,
    Name,
    Recuse,
    SetClass,
    SetPlace,
)
from sync.cases.calendars import parse_calendar
from sync.cases.catalogue import DATA
from sync.cases.lifecycle import (
    SYSTEM,
    Actor,
    CaseFacts,
    Done,
    Refused,
    kind_may_change,
    legal_acts,
    on_create,
    run_act,
)

NOW = 1_800_000_000_000
DAY = 86_400_000
ID = "01890000-0000-7000-8000-000000000001"

WORKER = Actor("worker", frozenset({"grid_worker"}), is_author=True)
CLERK = Actor("clerk", frozenset({"clerk"}))
DISPATCHER = Actor("dispatcher", frozenset({"dispatcher"}))
DIRECTOR = Actor("director", frozenset({"centre_director"}))
MEDIATOR = Actor("lin", frozenset({"mediator"}), is_handler=True)
MANAGER = Actor("chief", frozenset({"unit_manager"}))
STREET = Actor("street", frozenset({"street_leader"}))
DISTRICT = Actor("district", frozenset({"district_leader"}))

FACTS = CaseFacts(
    units={"sifasuo": "justice_office", "tiaowei": "mediation_committee", "dangwei": "party_committee"},
    unit_exists=frozenset({"sifasuo", "tiaowei", "dangwei"}),
    user_units={"lin": frozenset({"sifasuo"}), "wang": frozenset({"tiaowei"})},
    offices={"lin": frozenset({("mediator", "sifasuo")}), "wang": frozenset({("mediator", "tiaowei")})},
    chance=50,
    code="涧东矛〔2026〕000001",
    query_code="23456789ABCDEF",
)
PARTIES = [
    {"id": "a", "role": "applicant", "alias": "李", "consent_to_mediate": "yes"},
    {"id": "b", "role": "respondent", "alias": "王", "consent_to_mediate": {"answer": "yes"}},
    {"id": "c", "role": "witness", "alias": "张"},
]


def new(actor: Any = WORKER, facts: Any = FACTS, **values: Any) -> Any:
    case = {"id": ID, "kind": "dispute", "category": "0201", "author": "worker", "parties": PARTIES, **values}
    done = on_create(case, actor, facts, NOW)
    return {**case, **done.set}, done


def way(case: Any, *steps: Any) -> Any:
    done = None
    for act, args, actor in steps:
        done = run_act(case, act, args, actor, FACTS, NOW)
        assert isinstance(done, Done), (act, done)
        case = {**case, **done.set}
    return case, done


def refused(case: Any, act: Any, args: Any, actor: Any, facts: Any = FACTS) -> Any:
    out = run_act(case, act, args, actor, facts, NOW)
    assert isinstance(out, Refused), out
    return out


Step = tuple[str, dict[str, Any], Actor]

TRIAGE: Step = (
    "triage",
    {"basis": "lawful", "risk": "yellow", "reason": "双方对立", "channel": "grid"},
    CLERK,
)
ADMIT: Step = ("admit", {}, CLERK)
DISPATCH = ("dispatch", {"unit": "sifasuo"}, DISPATCHER)
ACCEPT: Step = ("accept", {}, MEDIATOR)
BEGIN = ("begin", {"rights_told": True}, MEDIATOR)
TO_MEDIATION = (TRIAGE, ADMIT, DISPATCH, ACCEPT, BEGIN)


def agreement(*dues: Any) -> Any:
    rows = [{"no": n, "what": "赔", "due": due} for n, due in enumerate(dues, 1)]
    return {"entry": {"type": "agreement", "body": {"obligations": rows}}}


def kinds(done: Any) -> Any:
    return [event.kind for event in done.events]


# -- the beginning ------------------------------------------------------------------------------


def test_a_captured_dispute_waits_for_admission_and_its_clock_starts_at_receipt() -> None:
    case, done = new()
    assert case["status"] == "submitted"
    assert case["received_at"] == NOW
    assert case.get("code") is None
    assert case["query_code"] == "23456789ABCDEF"
    assert kinds(done) == ["case.received"]


def test_settled_on_the_spot_is_numbered_resolved_and_followed_up_in_one_commit() -> None:
    case, done = new(on_spot={"how": "当面说开", "look_back_on": "2027-02-01"})
    assert (case["status"], case["outcome"]) == ("settled", "on_spot")
    assert case["admitted_at"] == case["resolved_at"] == case["received_at"] == NOW
    assert case["code"] == "涧东矛〔2026〕000001"
    assert kinds(done) == ["case.received", "case.settled"]
    assert [entry.type for entry in done.entries] == ["on_spot"]
    assert [(task.type, task.to_cell) for task in done.tasks] == [("follow_up", True)]
    assert case["track"]["sample"] is False


@pytest.mark.parametrize(
    ("why", "chance"),
    [
        ({}, 3),
        ({"signals": ["drink"]}, 50),
        ({"involves_staff": True}, 50),
        ({"protection": "restricted"}, 50),
        ({"category": "0101"}, 50),
    ],
)
def test_a_delicate_or_drawn_settlement_waits_for_a_person(why: Any, chance: Any) -> None:
    facts = CaseFacts(chance=chance, code="c")
    case, _ = new(facts=facts, on_spot={"how": "说开"}, **why)
    assert case["track"]["sample"] is True
    assert refused(case, "verify", {}, SYSTEM).code == "act_forbidden"
    closed, _ = way(case, ("verify", {"parties_asked": True}, DIRECTOR))
    assert closed["status"] == "closed"


def test_an_undrawn_settlement_is_verified_by_the_system() -> None:
    case, _ = new(on_spot={"how": "说开"})
    closed, done = way(case, ("verify", {}, SYSTEM))
    assert closed["status"] == "closed"
    assert "tell_back" in [task.type for task in done.tasks]
    assert "follow_up" not in [task.type for task in done.tasks]  # it began when settled


@pytest.mark.parametrize(
    "flag", [{"signals": ["threat_kill"]}, {"involves_staff": True}, {"protection": "restricted"}]
)
def test_a_settlement_flagged_after_the_draw_waits_for_a_person(flag: Any) -> None:
    case, _ = new(on_spot={"how": "说开"})
    assert refused({**case, **flag}, "verify", {}, SYSTEM).code == "act_forbidden"
    assert way({**case, **flag}, ("verify", {"parties_asked": True}, DIRECTOR))[0]["status"] == "closed"


def test_a_lamp_repaired_at_once_is_reported_and_still_verified() -> None:
    case, done = new(kind="request", category="R02", on_spot={"how": "灯泡换好了"})
    assert (case["status"], case["outcome"]) == ("reported", "service_done")
    assert kinds(done) == ["case.received", "case.reported"]


def test_an_assistant_may_tell_of_a_settlement_but_not_make_one() -> None:
    case, _ = new(actor=Actor("worker", frozenset({"grid_assistant"})), on_spot={"how": "说开"})
    assert case["status"] == "submitted"
    assert case["on_spot"] == {"how": "说开"}


@pytest.mark.parametrize(
    ("values", "protection"),
    [
        ({}, "normal"),
        ({"protection": "restricted"}, "restricted"),
        ({"category": "0106"}, "sealed"),
        ({"category": "0101", "protection": "sealed"}, "sealed"),
        ({"category": "0101"}, "restricted"),
        ({"kind": "tip_off", "category": None}, "sealed"),
    ],
)
def test_the_class_at_birth_is_the_highest_of_phone_category_and_kind(values: Any, protection: Any) -> None:
    case, done = new(**values)
    assert case["protection"] == protection
    assert (SetClass(protection) in done.directives) == (protection != "normal")


def test_violence_going_on_is_an_emergency_even_if_nobody_chose_it() -> None:
    case, done = new(signals=["violence_now"], urgency="normal")
    assert case["urgency"] == "emergency"
    assert done.events[0].args["urgency"] == "emergency"


def test_ticks_propose_a_colour_and_no_more() -> None:
    case, _ = new(signals=["threat_kill", "drink"])
    assert case["risk"] == {"colour": None, "proposed": "red"}
    assert new(signals=["gathering"], people_count=60)[0]["risk"]["proposed"] == "red"
    assert new(signals=["gathering"], people_count=20)[0]["risk"]["proposed"] == "orange"


def test_staff_involved_is_marked_for_the_denials() -> None:
    assert new(involves_staff=True)[0]["track"]["staff"] is True


def test_the_kind_is_fixed_once_the_case_was_worked_on() -> None:
    case, _ = new()
    assert kind_may_change(case)
    assert not kind_may_change(way(case, TRIAGE)[0])


# -- to the unit --------------------------------------------------------------------------------


def test_admission_needs_a_triage() -> None:
    case, _ = new()
    out = refused(case, *ADMIT)
    assert (out.code, out.missing) == ("act_needs", ("triage",))
    assert "triage" in out.legal


def test_triage_rates_in_the_same_act_and_keeps_what_was_before() -> None:
    case, done = way(new()[0], TRIAGE)
    assert case["risk"]["colour"] == "yellow"
    assert case["risk"]["set_by"] == "clerk"
    assert kinds(done) == ["case.rated"]
    again, _ = way(case, ("rate", {"colour": "red", "reason": "扬言"}, DIRECTOR))
    assert again["risk"]["previous"] == "yellow"


def test_a_channel_is_chosen_and_a_high_risk_explained() -> None:
    case, _ = new()
    said = {"basis": "lawful", "risk": "blue", "channel": "grid"}
    assert way(case, ("triage", said, CLERK))[0]["risk"]["colour"] == "blue"
    assert refused(case, "triage", {**said, "channel": None}, CLERK).missing == ("channel",)
    for colour in ("orange", "red"):
        assert refused(case, "triage", {**said, "risk": colour}, CLERK).missing == ("reason",)
    assert way(case, ("triage", {**said, "risk": "red", "reason": "扬言报复"}, CLERK))[1] is not None


def test_admission_numbers_the_case_and_writes_the_receipt() -> None:
    case, done = way(new()[0], TRIAGE, ADMIT)
    assert case["code"] == "涧东矛〔2026〕000001"
    assert [entry.type for entry in done.entries] == ["receipt"]
    assert [notice.user for notice in done.tell] == ["worker"]


def test_a_refusing_party_needs_a_ground_to_admit() -> None:
    parties = [{"id": "a", "role": "respondent", "consent_to_mediate": "no"}]
    case, _ = way(new(parties=parties)[0], TRIAGE)
    assert refused(case, *ADMIT).missing == ("ground",)
    assert way(case, ("admit", {"ground": "一方申请"}, CLERK))[0]["status"] == "admitted"


def test_dispatch_goes_to_a_unit_that_handles_cases() -> None:
    case, _ = way(new()[0], TRIAGE, ADMIT)
    assert refused(case, "dispatch", {"unit": "nowhere"}, DISPATCHER).missing == ("unit",)
    assert refused(case, "dispatch", {"unit": "dangwei"}, DISPATCHER).missing == ("unit",)
    assert refused(case, "dispatch", {"unit": "sifasuo", "user": "wang"}, DISPATCHER).missing == ("user",)
    case, done = way(case, DISPATCH)
    assert Dispatch("sifasuo", None) in done.directives
    assert case["handler"]["unit"] == "sifasuo"


def test_a_dispute_that_nobody_triaged_is_dispatched_by_a_channel() -> None:
    case, _ = new(on_spot={"how": "说开"})
    case, _ = way(case, ("verify", {}, SYSTEM), ("reopen", {"reason": "又吵起来"}, CLERK))
    assert refused(case, *DISPATCH).missing == ("mediation_channel",)
    case, _ = way(case, ("dispatch", {"unit": "sifasuo", "mediation_channel": "grid"}, DISPATCHER))
    assert case["handler"]["channel"] == "grid"


def test_what_is_referred_says_what_goes_along_what_is_asked_and_when_a_receipt_is_due() -> None:
    case, _ = way(new()[0], TRIAGE, ADMIT)
    said = {"target": "court", "packet": [ID], "receipt_due": NOW + DAY}
    for name in ("packet", "receipt_due"):
        out = refused(case, "refer_out", {**said, name: None}, DISPATCHER)
        assert name in out.missing[0]
    assert way(case, ("refer_out", said, DISPATCHER))[0]["status"] == "referred_out"
    asked = {**said, "packet": [], "asks": "请立案"}
    assert way(case, ("refer_out", asked, DISPATCHER))[0]["status"] == "referred_out"


def test_a_person_named_brings_the_own_unit() -> None:
    case, _ = way(new()[0], TRIAGE, ADMIT, ("dispatch", {"user": "wang"}, DISPATCHER))
    assert (case["handler"]["unit"], case["handler"]["user"]) == ("tiaowei", "wang")


def test_a_helping_unit_is_named_person_by_person() -> None:
    case, _ = way(new()[0], TRIAGE, ADMIT)
    _, done = way(case, ("dispatch", {"unit": "sifasuo", "helpers": ["tiaowei"]}, DISPATCHER))
    assert Name("wang") in done.directives


def test_a_sealed_case_is_given_to_a_named_person_only() -> None:
    case, _ = way(new(category="0106")[0], TRIAGE, ADMIT)
    assert refused(case, "dispatch", {"unit": "sifasuo"}, DISPATCHER).missing == ("user",)
    _, done = way(case, ("dispatch", {"unit": "sifasuo", "user": "lin"}, DISPATCHER))
    assert Name("lin") in done.directives


def test_who_accepts_becomes_the_handler() -> None:
    case, done = way(new()[0], TRIAGE, ADMIT, DISPATCH, ACCEPT)
    assert case["handler"]["user"] == "lin"
    assert done.events[0].args == {"level": 0}
    assert "accept_due" in done.close_tasks


def test_a_case_that_bounces_twice_is_put_up_for_a_ruling_which_is_final() -> None:
    back = ("return", {"reason": "not_our_duty"}, MANAGER)
    case, done = way(new()[0], TRIAGE, ADMIT, DISPATCH, back)
    assert case["status"] == "returned"
    assert ClearHandler() in done.directives
    case, done = way(case, DISPATCH, back)
    assert case["status"] == "adjudication"
    assert kinds(done) == ["case.returned", "case.contested"]
    assert done.entries[0].body["act"] == "contest"
    case, done = way(case, ("adjudicate", {"unit": "sifasuo"}, DIRECTOR))
    assert kinds(done) == ["case.adjudicated", "case.dispatched"]
    assert refused(case, *back).code == "act_illegal"


def test_who_returned_a_case_does_not_rule_on_it() -> None:
    both = Actor("chief", frozenset({"unit_manager", "centre_director"}))
    back = ("return", {"reason": "not_our_duty"}, both)
    case, _ = way(new()[0], TRIAGE, ADMIT, DISPATCH, back, DISPATCH, back)
    assert refused(case, "adjudicate", {"unit": "sifasuo"}, both).code == "own_work"


def test_stepping_up_raises_the_level_and_leaves_the_lower_unit_a_duty() -> None:
    case, _ = way(new()[0], TRIAGE, ADMIT, DISPATCH, ACCEPT)
    case, done = way(case, ("step_up", {"level": 1}, MANAGER))
    assert (case["status"], case["level"]) == ("admitted", 1)
    assert case["track"]["helper_duty"] == "sifasuo"
    assert case["handler"] is None
    assert done.events[0].args == {"level": 1, "from_level": 0}
    assert refused({**case, "status": "accepted"}, "step_up", {"level": 1}, MANAGER).missing == ("level",)


def test_who_steps_up_says_how_far_and_who_below_goes_on_helping() -> None:
    case, _ = way(new()[0], TRIAGE, ADMIT, DISPATCH, ACCEPT)
    assert refused(case, "step_up", {}, MANAGER).missing == ("level",)
    back, _ = way(case, ("return", {"reason": "not_our_duty"}, MANAGER))
    assert refused(back, "step_up", {"level": 1}, DISPATCHER).missing == ("helper",)
    assert refused(back, "step_up", {"level": 1, "helper": "nowhere"}, DISPATCHER).missing == ("helper",)
    up, _ = way(back, ("step_up", {"level": 2, "helper": "tiaowei"}, DISPATCHER))
    assert (up["level"], up["track"]["helper_duty"]) == (2, "tiaowei")


# -- mediation ----------------------------------------------------------------------------------


def test_mediation_begins_when_each_side_agrees_and_knows_its_rights() -> None:
    case, _ = way(new()[0], TRIAGE, ADMIT, DISPATCH, ACCEPT)
    assert refused(case, "begin", {}, MEDIATOR).missing == ("rights_told",)
    unwilling = {**case, "parties": [{"id": "a", "role": "applicant", "consent_to_mediate": "no"}]}
    assert refused(unwilling, "begin", {"rights_told": True}, MEDIATOR).missing == ("consents",)
    silent = {**case, "parties": []}
    assert refused(silent, "begin", {"rights_told": True}, MEDIATOR).missing == ("consents",)
    case, done = way(case, BEGIN)
    assert case["status"] == "in_mediation"
    assert [entry.type for entry in done.entries] == ["rights_notice"]


def test_whoever_has_the_case_leads_those_who_join_unless_another_is_named() -> None:
    case, _ = way(new()[0], *TO_MEDIATION)
    joined, _ = way(case, ("join", {"units": ["tiaowei"]}, MEDIATOR))
    assert joined["handler"]["lead"] == "sifasuo"
    joined, _ = way(case, ("join", {"units": ["tiaowei"], "lead": "tiaowei"}, MEDIATOR))
    assert joined["handler"]["lead"] == "tiaowei"


def test_an_agreement_is_performed_row_by_row_and_then_settled() -> None:
    case, done = way(new()[0], *TO_MEDIATION, ("agree", agreement(NOW + DAY, NOW + 2 * DAY), MEDIATOR))
    assert case["status"] == "agreed"
    assert kinds(done) == ["case.agreed", "obligation.agreed", "obligation.agreed"]
    assert refused(case, "settle", {"outcome": "written_agreement"}, MEDIATOR).missing == ("obligations",)
    case, done = way(case, ("perform", {"obligation": 1}, MEDIATOR))
    assert case["status"] == "agreed"
    case, done = way(case, ("perform", {"obligation": "2"}, MEDIATOR))
    assert (case["status"], case["outcome"]) == ("settled", "written_agreement")
    assert kinds(done) == ["obligation.performed", "case.settled"]
    assert refused({**case, "status": "agreed"}, "perform", {"obligation": 2}, MEDIATOR).missing == (
        "obligation",
    )


@pytest.mark.parametrize(
    ("due", "at"),
    [
        ("2027-02-01", 1_801_497_599_999),  # the end of the day in civil time
        ("2027-02-01T10:00:00+08:00", 1_801_447_200_000),
        ("2027-02-01T02:00:00Z", 1_801_447_200_000),
        (1_801_447_200_000, 1_801_447_200_000),
        (None, None),
    ],
)
def test_a_date_of_an_agreement_said_as_text_sets_its_clock(due: Any, at: Any) -> None:
    said = agreement(due)
    said["entry"]["body"]["effective_at"] = due
    case, done = way(new()[0], *TO_MEDIATION, ("agree", said, MEDIATOR))
    (event,) = [event for event in done.events if event.kind == "obligation.agreed"]
    assert event.args.get("due") == at
    assert done.events[0].args.get("effective_at") == at
    assert [task.due for task in done.tasks if task.type == "performance"] == [at]
    assert case["track"]["obligations"][0].get("due") == at


@pytest.mark.parametrize("due", ["明天", "2027-02-30", -1, 10**30, True, [1], {}])
def test_a_date_that_nobody_can_read_is_asked_for_again(due: Any) -> None:
    case, _ = way(new()[0], *TO_MEDIATION)
    assert refused(case, "agree", agreement(due), MEDIATOR).missing == ("obligations.due",)
    said = agreement(NOW + DAY)
    said["entry"]["body"]["effective_at"] = due
    assert refused(case, "agree", said, MEDIATOR).missing == ("effective_at",)


def test_an_agreement_with_nothing_left_to_do_is_settled_at_once() -> None:
    body = {"entry": {"type": "oral_agreement", "body": {"content": "和好"}}}
    case, _ = way(new()[0], *TO_MEDIATION)
    assert refused(case, "agree", body, MEDIATOR).missing == ("obligations",)
    case, done = way(case, ("settle", body, MEDIATOR))
    assert (case["status"], case["outcome"]) == ("settled", "oral_agreement")
    assert done.entries[0].class_ == "c"


def test_a_breach_can_still_be_performed_or_mediated_again() -> None:
    case, _ = way(new()[0], *TO_MEDIATION, ("agree", agreement(NOW + DAY), MEDIATOR))
    case, done = way(case, ("breach", {"obligation": 1}, SYSTEM))
    assert case["status"] == "breached"
    assert "obligation.breached" in kinds(done)
    assert way(case, ("perform", {"obligation": 1}, MEDIATOR))[0]["status"] == "settled"
    assert way(case, ("remediate", {"consent": True}, MEDIATOR))[0]["status"] == "in_mediation"


def test_settling_takes_an_outcome_that_counts_as_resolved() -> None:
    case, _ = way(new()[0], *TO_MEDIATION)
    assert refused(case, "settle", {"outcome": "party_unreachable"}, MEDIATOR).missing == ("outcome",)


def test_a_failed_mediation_is_not_reported_as_resolved() -> None:
    end = ("fail", {"reason": "positions_apart", "routes_told": ["lawsuit"]}, MEDIATOR)
    case, done = way(new()[0], *TO_MEDIATION, end)
    assert [entry.type for entry in done.entries] == ["failure_notice"]
    said = {"outcome": "written_agreement", "plain_text": "好"}
    assert refused(case, "close", said, MEDIATOR).missing == ("outcome",)
    case, _ = way(case, ("close", {"outcome": "unresolved_told", "plain_text": "可以起诉"}, MEDIATOR))
    assert (case["status"], case.get("resolved_at")) == ("reported", None)


def test_a_suspension_takes_effect_when_somebody_else_approves() -> None:
    ask = (
        "suspend",
        {"reason": "appraisal", "until": NOW + 10 * DAY, "evidence": ["鉴定委托书"]},
        MEDIATOR,
    )
    case, done = way(new()[0], *TO_MEDIATION, ask)
    assert case["status"] == "in_mediation"
    assert kinds(done) == ["case.suspension_requested"]
    assert refused(case, "approve", {"request": "r1"}, DIRECTOR).code == "act_forbidden"  # the street decides
    both = Actor("lin", frozenset({"mediator", "street_leader"}))
    assert refused(case, "approve", {"request": "r1"}, both).code == "own_work"
    case, done = way(case, ("approve", {"request": "r1"}, STREET))
    assert case["status"] == "suspended"
    assert done.events[0].args == {"reason": "appraisal", "until": NOW + 10 * DAY, "approved_by": "street"}
    assert refused(case, "approve", {"request": "r1"}, STREET).missing == ("request",)
    case, done = way(case, ("resume", {}, SYSTEM))
    assert (case["status"], kinds(done)) == ("in_mediation", ["case.resumed"])


def with_due(case: Any, *clocks: str) -> Any:
    """The case with these clocks running, as the server shows them on it."""
    return {**case, "due": [{"clock": clock, "due_at": NOW + DAY, "state": "running"} for clock in clocks]}


def test_standing_still_is_no_way_into_mediation() -> None:
    ask = ("suspend", {"reason": "party_away", "until": NOW + 10 * DAY, "evidence": ["车票"]}, MEDIATOR)
    case, _ = way(new()[0], TRIAGE, ADMIT, DISPATCH, ACCEPT, ask, ("approve", {"request": "r1"}, DIRECTOR))
    assert case["status"] == "suspended"
    case, done = way(case, ("resume", {}, MEDIATOR))
    assert (case["status"], kinds(done)) == ("accepted", ["case.resumed"])
    assert refused(case, "agree", agreement(NOW + DAY), MEDIATOR).code == "act_illegal"
    assert way(case, BEGIN)[0]["status"] == "in_mediation"


@pytest.mark.parametrize(
    ("reason", "days"),
    [("party_away", 15), ("appraisal", 30), ("wait_case", 60), ("wait_policy", 30), ("cooling", 7)],
)
def test_a_case_stands_still_no_longer_than_its_reason_carries(reason: str, days: int) -> None:
    case, _ = way(new()[0], *TO_MEDIATION)
    asked = {"reason": reason, "until": NOW + days * DAY, "evidence": ["材料"]}
    assert way(case, ("suspend", asked, MEDIATOR))[0]["track"]["requests"]
    longer = {**asked, "until": NOW + (days + 1) * DAY}
    assert refused(case, "suspend", longer, MEDIATOR).missing == ("until",)
    assert refused(case, "suspend", {**asked, "evidence": [" "]}, MEDIATOR).missing == ("evidence|entry",)


def test_waiting_for_a_party_is_counted_in_working_days() -> None:
    office = parse_calendar((DATA / "calendar_weekdays.toml").read_text("utf-8"))
    facts = CaseFacts(office=office)
    case, _ = way(new()[0], *TO_MEDIATION)
    for days, taken in ((7, True), (8, False)):  # Friday to Friday: five working days
        asked = {"reason": "wait_party", "until": NOW + days * DAY, "evidence": ["材料清单"]}
        out = run_act(case, "suspend", asked, MEDIATOR, facts, NOW)
        assert isinstance(out, Done) is taken, out


def test_a_refused_request_changes_nothing_but_is_told() -> None:
    ask = ("request_extension", {"days": 10, "reason": "鉴定", "consent": True}, MEDIATOR)
    case, _ = way(new()[0], *TO_MEDIATION)
    case, _ = way(with_due(case, "mediation"), ask)
    case, done = way(case, ("refuse", {"request": "r1", "reason": "再谈"}, DIRECTOR))
    assert case["status"] == "in_mediation"
    assert [(n.user, n.code) for n in done.tell] == [("lin", "request.refused")]


def test_longer_mediation_needs_the_parties_and_is_asked_in_time() -> None:
    case, _ = way(new()[0], *TO_MEDIATION)
    case = with_due(case, "mediation", "resolve_grid")
    assert refused(case, "request_extension", {"days": 5, "reason": "x"}, MEDIATOR).missing == ("consent",)
    late = {**case, "due": [{"clock": "mediation", "due_at": NOW - 1}]}
    asked = {"days": 5, "reason": "x", "consent": True}
    assert refused(late, "request_extension", asked, MEDIATOR).missing == ("clock",)
    case, done = way(case, ("request_extension", asked, MEDIATOR), ("approve", {"request": "r1"}, DIRECTOR))
    assert [(e.kind, e.args["clock"], e.args["span"]) for e in done.events] == [
        ("case.extended", "mediation", "5d")
    ]


def test_more_time_is_asked_for_a_clock_that_runs_whatever_level_the_case_has_climbed_to() -> None:
    case, _ = way(new()[0], TRIAGE, ADMIT, DISPATCH, ACCEPT)
    case = with_due({**case, "level": 1}, "first_contact", "resolve_grid")
    asked = {"days": 5, "reason": "在等材料"}
    wrong = refused(case, "request_extension", {**asked, "clock": "resolve_community"}, MANAGER)
    assert wrong.missing == ("clock",)
    assert refused(with_due(case, "accept"), "request_extension", asked, MANAGER).missing == ("clock",)
    case, _ = way(case, ("request_extension", asked, MANAGER))
    assert case["track"]["requests"][-1]["args"]["clock"] == "resolve_grid"
    over = refused(with_due(case, "mediation"), "approve", {"request": "r1"}, DIRECTOR)
    assert over.missing == ("request",)


def test_a_case_is_sponsored_until_a_day_ahead_and_for_a_year_at_most() -> None:
    case = new()[0]
    for until in (1, NOW, NOW + 400 * DAY):
        assert refused(case, "sponsor", {"until": until}, STREET).missing == ("until",)
    way(case, ("sponsor", {"until": NOW + 30 * DAY}, STREET))


# -- the end and again --------------------------------------------------------------------------

SETTLED = (*TO_MEDIATION, ("settle", {"outcome": "self_settled"}, MEDIATOR))
REPORTED = (*SETTLED, ("close", {"plain_text": "已和好"}, MEDIATOR))


def test_nobody_verifies_own_work() -> None:
    case, _ = way(new()[0], *REPORTED)
    own = Actor("lin", frozenset({"centre_director"}))
    assert refused(case, "verify", {"parties_asked": True}, own).code == "own_work"
    case, done = way(case, ("verify", {"parties_asked": True}, CLERK))
    assert case["status"] == "closed"
    assert [t.due - NOW for t in done.tasks if t.type == "follow_up"] == [7 * DAY, 30 * DAY, 90 * DAY]
    assert "case.closed" in kinds(done)


def test_that_nobody_was_asked_needs_a_reason() -> None:
    case, _ = way(new()[0], *REPORTED)
    for said in ({"parties_asked": False}, {"parties_asked": False, "reason": " "}, {"reason": "　\n"}):
        assert refused(case, "verify", said, CLERK).missing == ("parties_asked|reason",)
    why = {"parties_asked": False, "reason": "两家均已搬离,电话不通"}
    assert way(case, ("verify", why, CLERK))[0]["status"] == "closed"


def test_blank_text_says_nothing() -> None:
    case, _ = new()
    assert refused(case, "rate", {"colour": "red", "reason": " \t"}, CLERK).missing == ("reason",)
    nothing = {"reason": "in_suit", "routes_told": []}
    assert refused(case, "decline", nothing, CLERK).missing == ("routes_told",)


def test_the_worker_who_settled_on_the_spot_does_not_verify_it() -> None:
    case, _ = new(on_spot={"how": "说开"})
    assert (
        refused(case, "verify", {"parties_asked": True}, Actor("worker", frozenset({"clerk"}))).code
        == "own_work"
    )


def test_a_party_that_does_not_agree_keeps_the_case_open() -> None:
    case, _ = way(new()[0], *REPORTED)
    said = {"parties_asked": True, "party_disagrees": True}
    assert refused(case, "verify", said, CLERK).missing == ("parties_agree",)
    case, _ = way(case, ("reject_close", {"missing": "一方不认可"}, CLERK))
    assert (case["status"], case["outcome"], case["resolved_at"]) == ("accepted", None, None)


def test_after_violence_the_follow_up_comes_early_and_looks_like_an_ordinary_visit() -> None:
    named = ("dispatch", {"unit": "sifasuo", "user": "lin"}, DISPATCHER)
    acts = [named if act is DISPATCH else act for act in REPORTED]
    _, done = way(new(category="0106")[0], *acts, ("verify", {"parties_asked": True}, DIRECTOR))
    follow = [task for task in done.tasks if task.type == "follow_up"]
    assert [(t.due - NOW) // DAY for t in follow] == [1, 3, 7, 30]
    assert {t.text for t in follow} == {"日常走访"}


def test_who_told_nothing_of_himself_is_not_called_back() -> None:
    _, done = way(new(is_anonymous=True)[0], *REPORTED, ("verify", {"parties_asked": True}, CLERK))
    assert "tell_back" not in [task.type for task in done.tasks]


def test_a_file_is_complete_or_says_what_it_lacks() -> None:
    case, _ = way(new()[0], *REPORTED, ("verify", {"parties_asked": True}, CLERK))
    for kind in ("follow_up", "tell_back"):
        facts = CaseFacts(open_tasks=frozenset({kind}))
        assert refused(case, "file", {}, CLERK, facts).missing == ("gaps",)
        assert refused(case, "file", {"gaps": [" "]}, CLERK, facts).missing == ("gaps",)
        done = run_act(case, "file", {"gaps": ["当事人迁居,回访未成"]}, CLERK, facts, NOW)
        assert isinstance(done, Done)
        assert [entry.type for entry in done.entries] == ["file_note"]
    assert way(case, ("file", {}, CLERK))[0]["status"] == "filed"


def test_filing_a_request_leaves_the_telling_to_be_done() -> None:
    case, _ = new(kind="request", category="R02", on_spot={"how": "灯泡换好了"})
    case, _ = way(case, ("verify", {"parties_asked": True}, CLERK))
    done = run_act(case, "file", {}, CLERK, CaseFacts(open_tasks=frozenset({"tell_back"})), NOW)
    assert isinstance(done, Done)
    assert "tell_back" not in done.close_tasks


@pytest.mark.parametrize(
    "on_spot", [{"how": "x", "look_back_on": 5}, {"how": "x", "zz": {}}, {"how": 7}, {"look_back_on": "明天"}]
)
def test_a_settlement_on_the_spot_is_of_the_published_shape(on_spot: Any) -> None:
    case, _ = new()
    worker = Actor("worker", frozenset({"grid_worker"}))
    assert refused(case, "settle_on_spot", {"on_spot": on_spot}, worker).missing == ("on_spot",)
    assert way(case, ("settle_on_spot", {"on_spot": {"how": "当面说开"}}, worker))[0]["status"] == "settled"


def test_the_court_s_step_has_its_day_and_from_the_application_on_its_number() -> None:
    case, _ = way(new()[0], *SETTLED)
    assert refused(case, "confirm_court", {"value": "intended"}, MEDIATOR).missing == ("at",)
    way(case, ("confirm_court", {"value": "intended", "at": NOW}, MEDIATOR))
    applied = {"value": "applied", "at": NOW}
    assert refused(case, "confirm_court", applied, MEDIATOR).missing == ("number",)
    way(case, ("confirm_court", {**applied, "number": "(2026)豫0305诉前调确1号"}, MEDIATOR))


def test_where_a_case_lies_is_said_with_what_shows_it_and_a_report_with_its_time() -> None:
    case, _ = new()
    assert refused(case, "set_place", {"cell": "c9"}, CLERK).missing == ("evidence",)
    assert refused(case, "report_mandatory", {"authority": "公安"}, WORKER).missing == ("reported_at",)


def test_reopening_keeps_the_number_and_begins_a_new_epoch() -> None:
    case, _ = way(new()[0], *REPORTED, ("verify", {"parties_asked": True}, CLERK))
    case, done = way(case, ("reopen", {"reason": "又漏"}, CLERK))
    assert (case["status"], case["reopened_count"], case["code"]) == ("admitted", 1, "涧东矛〔2026〕000001")
    assert case["outcome"] is case["closed_at"] is case["handler"] is None
    assert done.events[0].args["epoch"] == 1


def test_a_withdrawal_is_of_free_will() -> None:
    case, _ = new()
    assert refused(case, "withdraw", {"free_will": False}, CLERK).missing == ("free_will",)


def test_a_merger_points_to_its_master_and_can_be_undone() -> None:
    master = {"id": "01890000-0000-7000-8000-000000000002", "kind": "dispute", "status": "admitted"}
    facts = CaseFacts(other=master)
    case, _ = new()
    assert refused(case, "merge", {"master": master["id"]}, CLERK).missing == ("master",)
    itself = CaseFacts(other={**master, "id": ID})
    assert refused(case, "merge", {"master": ID}, CLERK, itself).missing == ("master",)
    done = run_act(case, "merge", {"master": master["id"]}, CLERK, facts, NOW)
    assert isinstance(done, Done)
    assert done.set["master_case"] == master["id"]
    assert MergeInto(master["id"]) in done.directives
    back, done = way({**case, **done.set}, ("unmerge", {"reason": "两件事"}, DIRECTOR))
    assert (back["status"], back["master_case"]) == ("submitted", None)


def test_a_report_of_wrongdoing_is_handed_over_and_closed_by_its_receipt() -> None:
    case, _ = new(kind="tip_off", category="T01")
    assert refused(case, "refer_out", {"target": "discipline"}, DIRECTOR).missing == ("receipt_due",)
    case, done = way(case, ("refer_out", {"target": "discipline", "receipt_due": NOW + DAY}, DIRECTOR))
    assert done.events[0].args == {"receipt_due": NOW + DAY}
    assert refused(case, "begin", {}, MEDIATOR).code == "act_illegal"
    case, done = way(case, ("close", {"receipt": "已收"}, DIRECTOR), ("file", {}, CLERK))
    assert case["status"] == "filed"


# -- at any status ------------------------------------------------------------------------------


def test_anybody_with_the_case_raises_the_class_and_only_the_director_lowers_it() -> None:
    case, done = way(new()[0], ("protect", {"class": "restricted", "reason": "未成年人"}, WORKER))
    assert SetClass("restricted") in done.directives
    assert refused(case, "protect", {"class": "normal", "reason": "x"}, CLERK).code == "act_forbidden"
    assert way(case, ("protect", {"class": "normal", "reason": "x"}, DIRECTOR))[0]["protection"] == "normal"


def test_a_report_of_wrongdoing_stays_sealed_whoever_asks() -> None:
    case, _ = new(kind="tip_off", category="T01")
    for wanted in ("normal", "restricted"):
        assert refused(case, "protect", {"class": wanted, "reason": "x"}, DIRECTOR).missing == ("class",)


def test_what_cannot_be_done_is_not_told_as_legal() -> None:
    back = ("return", {"reason": "not_our_duty"}, MANAGER)
    case, _ = way(new()[0], TRIAGE, ADMIT, DISPATCH, back, DISPATCH, back)
    assert "adjudicate" not in legal_acts(case, Actor("chief", frozenset({"centre_director"})))
    case, _ = way(case, ("adjudicate", {"unit": "sifasuo"}, DIRECTOR))
    out = refused(case, *back)
    assert (out.code, "return" in out.legal, "accept" in out.legal) == ("act_illegal", False, True)
    assert not {"approve", "refuse", "lift_card"} & set(legal_acts(case, DIRECTOR))
    assert "lift_recusal" in legal_acts(case, DIRECTOR)
    assert "lift_recusal" not in legal_acts(case, CLERK)
    case, _ = way(case, ("card", {"card": "red"}, STREET))
    assert "card" not in legal_acts(case, DISTRICT)
    assert "lift_card" in legal_acts(case, DISTRICT)
    assert "lift_card" not in legal_acts(case, DIRECTOR)
    case, _ = way(case, ACCEPT, BEGIN, ("agree", agreement(NOW + DAY), MEDIATOR))
    assert "perform" in legal_acts(case, MEDIATOR)
    asked = {"days": 5, "reason": "等材料", "clock": "resolve_grid"}
    case, _ = way(with_due(case, "resolve_grid"), ("request_extension", asked, MEDIATOR))
    assert "approve" in legal_acts(case, DIRECTOR)
    assert "approve" not in legal_acts(case, Actor("lin", frozenset({"mediator", "centre_director"})))
    case, _ = way(new()[0], *REPORTED)
    assert "verify" in legal_acts(case, CLERK)
    assert "verify" not in legal_acts(case, Actor("lin", frozenset({"clerk"})))


PLAIN_READERS = (
    "community_officer", "community_leader", "street_leader", "district_leader", "unit_manager", "supervisor",
)  # fmt: skip


@pytest.mark.parametrize("role", PLAIN_READERS)
def test_whoever_is_sent_masked_parties_asks_for_one_field_and_says_why(role: str) -> None:
    case, _ = new()
    asked = {"purpose": "通知到场", "party": "a", "field": "phone"}
    reader = Actor("reader", frozenset({role}))
    way(case, ("reveal", asked, reader))
    for name in asked:
        assert refused(case, "reveal", {**asked, name: " "}, reader).missing == (name,)
    assert refused(case, "reveal", {**asked, "party": "z"}, reader).missing == ("party",)
    assert refused(case, "reveal", {**asked, "field": "alias"}, reader).missing == ("field",)
    assert refused(case, "reveal", {**asked, "field": "id_number"}, reader).code == "act_forbidden"
    way(case, ("reveal", {**asked, "field": "id_number"}, CLERK))


def test_a_new_category_raises_the_class_but_never_lowers_it() -> None:
    case, _ = way(new()[0], ("set_category", {"category": "0106"}, CLERK))
    assert case["protection"] == "sealed"
    assert case["category_group"] == "01"
    back, _ = way(case, ("set_category", {"category": "0201"}, CLERK))
    assert back["protection"] == "sealed"
    assert refused(case, "set_category", {"category": "R01"}, CLERK).missing == ("category",)


def test_a_recused_handler_loses_the_case_at_once() -> None:
    case, done = way(new()[0], *TO_MEDIATION, ("recuse", {"user": "lin", "reason": "亲戚"}, CLERK))
    assert {Recuse("lin"), Handler(None)} <= set(done.directives)
    assert (case["recused"], case["handler"]["user"]) == (["lin"], None)
    assert refused(case, "assign", {"user": "lin"}, MANAGER).missing == ("user",)
    case, done = way(case, ("lift_recusal", {"user": "lin", "reason": "查清"}, DIRECTOR))
    assert LiftRecusal("lin") in done.directives
    assert case["recused"] == []


def test_a_signal_of_danger_makes_an_emergency_of_a_running_case() -> None:
    case, done = way(new()[0], ("raise_signal", {"signal": "weapon"}, WORKER))
    assert (case["urgency"], case["signals"]) == ("emergency", ["weapon"])
    assert "case.urgency_raised" in kinds(done)


def test_a_place_set_by_a_person_closes_the_question() -> None:
    case, done = way(
        new(assignment={"needs_confirmation": True})[0],
        ("set_place", {"cell": "c9", "evidence": "到过现场"}, CLERK),
    )
    assert SetPlace("c9", None, "到过现场", by="clerk") in done.directives
    assert case["assignment"]["needs_confirmation"] is False
    assert "confirm_place" in done.close_tasks


def test_a_card_only_gets_heavier_and_is_lifted_from_above() -> None:
    case, _ = way(new()[0], ("card", {"card": "yellow"}, STREET))
    assert refused(case, "card", {"card": "ordinary"}, DISTRICT).missing == ("card",)
    assert refused(case, "card", {"card": "yellow"}, DISTRICT).missing == ("card",)
    assert refused(case, "lift_card", {"reason": "x"}, DIRECTOR).code == "act_forbidden"
    assert way(case, ("lift_card", {"reason": "已办"}, DISTRICT))[0]["supervision"] == "none"


def test_an_instruction_waits_for_its_reply_and_the_leader_hears_it() -> None:
    case, done = way(new()[0], ("instruct", {"text": "上门", "unit": "sifasuo", "due": NOW + DAY}, STREET))
    assert done.events[0].args == {
        "id": "i1",
        "unit": "sifasuo",
        "by": "street",
        "level": 2,
        "due": NOW + DAY,
    }
    assert [entry.type for entry in done.entries] == ["instruction"]
    case, done = way(case, ("reply_instruction", {"text": "去过了"}, MANAGER))
    assert done.events[0].args == {"id": "i1"}
    assert [notice.user for notice in done.tell] == ["street"]
    assert refused(case, "reply_instruction", {"text": "又去"}, MANAGER).missing == ("instruction",)


def test_taking_a_case_on_names_the_leader_and_promises_a_time() -> None:
    case, _ = new(urgency="emergency")
    _, done = way(case, ("acknowledge", {"promise": NOW + DAY}, STREET))
    assert Name("street") in done.directives
    assert kinds(done) == ["case.acknowledged", "emergency.acknowledged"]
    assert refused(case, "acknowledge", {"promise": NOW}, STREET).missing == ("promise",)


def test_sending_back_goes_down_and_sets_a_day() -> None:
    case = {**new()[0], "level": 2}
    back, done = way(case, ("send_back", {"level": 1, "deadline": NOW + DAY, "text": "再谈"}, STREET))
    assert back["level"] == 1
    assert done.events[0].args["deadline"] == NOW + DAY
    up = {"level": 2, "deadline": NOW + DAY, "text": "x"}
    assert refused(case, "send_back", up, STREET).missing == ("level",)


def test_a_mandatory_report_is_completed_by_the_director() -> None:
    case, done = way(new()[0], ("report_mandatory", {"authority": "公安", "reported_at": NOW}, WORKER))
    assert [(entry.type, entry.class_) for entry in done.entries] == [("mandatory_report", "s")]
    said = {"authority": "公安", "reported_at": NOW, "receipt": "已受理"}
    assert refused(case, "report_mandatory", said, WORKER).code == "act_forbidden"
    way(case, ("report_mandatory", said, DIRECTOR))


def test_a_record_is_corrected_by_who_wrote_it_or_the_clerk() -> None:
    case, _ = new()
    said = {"entry_id": ID, "text": "是三楼"}
    assert refused(case, "correct", said, MEDIATOR).code == "act_forbidden"
    assert isinstance(run_act(case, "correct", said, MEDIATOR, CaseFacts(entry_author="lin"), NOW), Done)


def test_an_entry_of_another_type_does_not_ride_along() -> None:
    case, _ = way(new()[0], *TO_MEDIATION)
    wrong = {"entry": {"type": "agreement", "body": {}}}
    assert refused(case, "session", wrong, MEDIATOR).missing == ("entry",)
    given = {"entry": {"type": "session", "id": ID, "body": {"result": "再谈"}}}
    _, done = way(case, ("session", given, MEDIATOR))
    assert [(entry.type, entry.id, entry.class_) for entry in done.entries] == [("session", ID, "c")]
    assert kinds(done) == ["case.contacted"]


def test_the_recused_are_told_nothing() -> None:
    case = {**new()[0], "recused": ["worker"]}
    _, done = way(case, TRIAGE, ADMIT)
    assert done.tell == ()
