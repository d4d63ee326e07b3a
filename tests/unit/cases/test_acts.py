"""Every act of the tables: legal where the table says so, by whom it says so, with what it needs; else refused.

`GOOD` holds arguments with which an act goes through; `case_at` a case as it stands at a status, with the history the
act builds on. Each row of the tables is then tried from every status, by every role, and with each need left out.
"""

import copy
from typing import Any

import pytest

from sync.cases.acts import ACTS, ANY_STATUS_ACTS, CLOSED_TO_ACTS
from sync.cases.catalogue import ENTRY_TYPES, ROLES, STATUSES
from sync.cases.lifecycle import SYSTEM, Actor, CaseFacts, Done, Refused, legal_acts, run_act

NOW = 1_800_000_000_000
LATER = NOW + 86_400_000
ID = "01890000-0000-7000-8000-000000000001"
MASTER = "01890000-0000-7000-8000-000000000002"

GOOD: dict[str, dict[str, Any]] = {
    "settle_on_spot": {"on_spot": {"how": "当面说开"}},
    "triage": {"category": "0201", "basis": "lawful", "risk": "yellow", "channel": "grid"},
    "admit": {"category": None},
    "decline": {"reason": "in_suit", "routes_told": ["lawsuit"]},
    "refer_out": {"target": "court", "packet": [ID], "receipt_due": LATER},
    "dispatch": {"unit": "sifasuo", "mediation_channel": "grid"},
    "return": {"reason": "not_our_duty"},
    "contest": {"reason": "两家都说不归自己"},
    "adjudicate": {"unit": "sifasuo"},
    "recall": {"reason": "派错"},
    "assign": {"user": "lin"},
    "begin": {"consent": True, "rights_told": True},
    "session": {"entry": {"type": "session", "body": {"positions": "各执一词"}}},
    "join": {"units": ["fulian"]},
    "suspend": {"reason": "wait_party", "until": LATER, "evidence": ["情况说明"]},
    "agree": {
        "entry": {"type": "agreement", "body": {"obligations": [{"no": 1, "what": "修", "due": LATER}]}}
    },
    "settle": {"outcome": "oral_agreement"},
    "perform": {"obligation": 1},
    "breach": {"obligation": 1},
    "remediate": {"consent": True},
    "confirm_court": {"value": "applied", "at": NOW, "number": "(2026)豫0305诉前调确1号"},
    "fail": {"reason": "positions_apart", "routes_told": ["lawsuit", "legal_aid"]},
    "step_up": {"level": 2},
    "close": {"outcome": "unresolved_told", "plain_text": "没谈成,可以去法院", "receipt": "已收"},
    "verify": {"parties_asked": True},
    "reject_close": {"missing": "没有回复"},
    "follow_up": {"entry": {"type": "follow_up", "body": {"round": 1, "satisfied": "yes"}}},
    "reopen": {"reason": "又漏了"},
    "withdraw": {"free_will": True},
    "merge": {"master": MASTER},
    "unmerge": {"reason": "不是一件事"},
    "void": {"reason": "误报"},
    "answer": {"plain_text": "路灯今天修好了"},
    "check": {"entry": {"type": "field_check", "body": {"found_state": "已修好"}}},
    "rate": {"colour": "orange", "reason": "有肢体冲突"},
    "raise_signal": {"signal": "drink"},
    "protect": {"class": "sealed", "reason": "家暴"},
    "recuse": {"user": "zhao", "reason": "亲戚"},
    "lift_recusal": {"user": "zhao", "reason": "查清"},
    "set_place": {"cell": "410300001001001", "evidence": "到过现场"},
    "set_category": {"category": "0202"},
    "relate": {"matter": "m1", "why": "同一件事"},
    "call_emergency": {"number": "110"},
    "report_mandatory": {"authority": "公安", "reported_at": NOW},
    "request_extension": {"days": 10, "reason": "要鉴定", "consent": True},
    "approve": {"request": "r1"},
    "refuse": {"request": "r1"},
    "card": {"card": "red"},
    "lift_card": {"reason": "已办"},
    "sponsor": {"until": LATER},
    "acknowledge": {"promise": LATER},
    "instruct": {"text": "三天内上门", "due": LATER},
    "reply_instruction": {"text": "已上门"},
    "send_back": {"level": 0, "deadline": LATER, "text": "再谈一次"},
    "extend": {"days": 5, "reason": "在等材料", "consent": True},
    "put_on_agenda": {"meeting": "本月会商"},
    "reveal": {"purpose": "打电话", "party": "a", "field": "phone"},
    "tell_back": {"how": "当面"},
    "correct": {"entry_id": ID, "text": "是三楼"},
}

FACTS = CaseFacts(
    units={"sifasuo": "justice_office", "fulian": "womens_federation", "dangwei": "party_committee"},
    unit_exists=frozenset({"sifasuo", "fulian", "dangwei"}),
    user_units={"lin": frozenset({"sifasuo"}), "wang": frozenset({"fulian"})},
    offices={"lin": frozenset({("mediator", "sifasuo")}), "wang": frozenset({("unit_handler", "fulian")})},
    chance=50,
    code="涧东矛〔2026〕000001",
    query_code="23456789ABCDEF",
    other={"id": MASTER, "kind": "dispute", "status": "admitted", "code": "涧东矛〔2026〕000000"},
    entry_author="me",
)
KIND_OF = {"dispute": "dispute", "service": "request", "tip_off": "tip_off"}
TABLE = [(name, act) for name, acts in ACTS.items() for act in acts if act != "submit"]
ANY = [("dispute", act) for act in ANY_STATUS_ACTS]


def case_at(status: Any, lifecycle: Any = "dispute", **more: Any) -> Any:
    track = {
        "workers": ["lin"],
        "obligations": [{"no": 1, "what": "修", "due": LATER, "done_at": None}],
        "requests": [
            {
                "id": "r1",
                "act": "request_extension",
                "args": {"days": 5, "clock": "mediation"},
                "by": "lin",
                "approvers": ["centre_director", "street_leader", "unit_manager"],
                "state": "open",
            }
        ],
        "instructions": [{"id": "i1", "by": "leader", "unit": "sifasuo"}],
        "card": {"by": "somebody", "rank": 0},
    }
    return {
        "id": ID,
        "kind": KIND_OF[lifecycle],
        "status": status,
        "category": {"dispute": "0201", "service": "R02", "tip_off": "T01"}[lifecycle],
        "protection": "normal",
        "level": 1,
        "supervision": "ordinary",
        "triaged_at": NOW - 1000,
        "author": "worker",
        "handler": {"unit": "sifasuo", "user": "lin", "helpers": []},
        "parties": [{"id": "a", "role": "applicant", "alias": "李"}, {"id": "b", "role": "respondent"}],
        "recused": ["zhao"],
        "due": [{"clock": "mediation", "due_at": LATER, "state": "running"}],
        "track": track,
        **more,
    }


def good(act: Any, lifecycle: Any = "dispute") -> Any:
    args = dict(GOOD.get(act, {}))
    if act == "set_category" and lifecycle != "dispute":
        args["category"] = "R01"
    return args


def case_for(act: Any, status: Any, lifecycle: Any = "dispute") -> Any:
    case = case_at(status, lifecycle)
    if act == "settle":
        case["track"]["obligations"] = []
    return case


def facts_for(lifecycle: Any) -> Any:
    kind = KIND_OF[lifecycle]
    target = {**(FACTS.other or {}), "kind": kind}
    return CaseFacts(
        **{name: getattr(FACTS, name) for name in FACTS.__struct_fields__ if name != "other"},
        other=target,
    )


def actor_for(role: Any) -> Any:
    return SYSTEM if role == "system" else Actor("me", frozenset({role}), director_away=True)


def rule_of(lifecycle: Any, act: Any) -> Any:
    return ACTS[lifecycle].get(act) or ANY_STATUS_ACTS[act]


def first_person(rule: Any) -> Any:
    return next((role for role in rule.who if role not in {"system", "*", "handler"}), "grid_worker")


def test_only_named_roles_statuses_and_entry_types_stand_in_the_tables() -> None:
    for rules in [*ACTS.values(), ANY_STATUS_ACTS]:
        for rule in rules.values():
            assert set(rule.who) <= {*ROLES, "system", "*", "handler"}, rule.act
            assert set(rule.from_) <= {*STATUSES, "-"}, rule.act
            assert rule.to in {*STATUSES, "same"}, rule.act
            assert set(rule.entry) <= set(ENTRY_TYPES), rule.act
            assert {name for need in rule.needs for name in need.split("|")} <= {*rule.args, "entry"}, (
                rule.act
            )


def test_a_status_occurs_only_in_the_lifecycles_the_catalogue_names() -> None:
    for lifecycle, rules in ACTS.items():
        used = {s for rule in rules.values() for s in (*rule.from_, rule.to)} - {"-", "same"}
        assert {s for s in used if lifecycle not in STATUSES[s].lifecycles} == set()


@pytest.mark.parametrize(("lifecycle", "act"), TABLE)
def test_an_act_goes_through_from_each_status_of_its_row_by_each_role(lifecycle: Any, act: Any) -> None:
    rule = ACTS[lifecycle][act]
    for status in set(rule.from_) - {"-"}:
        for role in rule.who:
            if role == "system" and act in {"verify", "dispatch"}:
                continue  # have a test of their own
            case = case_for(act, status, lifecycle)
            before = copy.deepcopy(case)
            done = run_act(case, act, good(act, lifecycle), actor_for(role), facts_for(lifecycle), NOW)
            assert isinstance(done, Done), (status, role, done)
            after = done.set.get("status", status)
            expected = {"perform": "settled", "suspend": status}.get(
                act, status if rule.to == "same" else rule.to
            )
            assert after == expected, (status, role)
            assert case == before


@pytest.mark.parametrize(("lifecycle", "act"), TABLE)
def test_from_any_other_status_an_act_is_illegal_and_the_legal_ones_are_told(
    lifecycle: Any, act: Any
) -> None:
    rule = ACTS[lifecycle][act]
    person = actor_for(first_person(rule))
    for status in [s for s in STATUSES if s not in rule.from_]:
        case = case_for(act, status, lifecycle)
        before = copy.deepcopy(case)
        refused = run_act(case, act, good(act, lifecycle), person, facts_for(lifecycle), NOW)
        assert isinstance(refused, Refused), status
        assert refused.code == "act_illegal"
        assert refused.legal == legal_acts(case, person)
        assert act not in refused.legal
        assert case == before


@pytest.mark.parametrize(("lifecycle", "act"), TABLE + ANY)
def test_by_any_other_role_an_act_is_forbidden(lifecycle: Any, act: Any) -> None:
    rule = rule_of(lifecycle, act)
    if "*" in rule.who:
        stranger = Actor("me")
        refused = run_act(case_at("submitted"), act, good(act), stranger, FACTS, NOW)
        assert isinstance(refused, Refused)
        assert refused.code == "act_forbidden"
        return
    status = next((s for s in rule.from_ if s != "-"), "in_mediation")
    for role in set(ROLES) - set(rule.who):
        case = case_for(act, status, lifecycle)
        before = copy.deepcopy(case)
        refused = run_act(case, act, good(act, lifecycle), Actor("me", frozenset({role})), FACTS, NOW)
        assert isinstance(refused, Refused), role
        assert refused.code == "act_forbidden"
        assert case == before


@pytest.mark.parametrize(
    ("lifecycle", "act", "need"),
    [(name, act, need) for name, act in TABLE + ANY for need in rule_of(name, act).needs],
)
def test_without_what_it_needs_an_act_is_refused_and_says_what_is_missing(
    lifecycle: Any, act: Any, need: Any
) -> None:
    rule = rule_of(lifecycle, act)
    status = next((s for s in rule.from_ if s != "-"), "in_mediation")
    case = {**case_for(act, status, lifecycle), "category": None, "on_spot": None, "outcome": None}
    before = copy.deepcopy(case)
    args = {name: value for name, value in good(act, lifecycle).items() if name not in need.split("|")}
    refused = run_act(case, act, args, actor_for(first_person(rule)), facts_for(lifecycle), NOW)
    assert isinstance(refused, Refused)
    assert refused.code == "act_needs"
    assert need in refused.missing
    assert case == before


@pytest.mark.parametrize("act", list(ANY_STATUS_ACTS))
def test_acts_at_any_status_go_through_everywhere_and_change_no_status(act: Any) -> None:
    rule = ANY_STATUS_ACTS[act]
    roles = [r for r in rule.who if r not in {"*", "handler"}] or ["clerk"]
    for status in STATUSES:
        for role in roles:
            out = run_act(case_at(status), act, good(act), actor_for(role), FACTS, NOW)
            if status in CLOSED_TO_ACTS:
                assert isinstance(out, Refused)
                assert out.code == "act_illegal"
            else:
                assert isinstance(out, Done), (status, role, out)
                assert "status" not in out.set


@pytest.mark.parametrize(("lifecycle", "act"), TABLE + ANY)
def test_an_argument_of_the_wrong_type_is_refused(lifecycle: Any, act: Any) -> None:
    rule = rule_of(lifecycle, act)
    status = next((s for s in rule.from_ if s != "-"), "in_mediation")
    for name in rule.args:
        args = {**good(act, lifecycle), name: {"not": ["this"]} if rule.args[name] != "object" else 7}
        refused = run_act(
            case_for(act, status, lifecycle),
            act,
            args,
            actor_for(first_person(rule)),
            facts_for(lifecycle),
            NOW,
        )
        assert isinstance(refused, Refused), name
        assert name in refused.missing


def test_an_act_nobody_knows_is_illegal() -> None:
    refused = run_act(case_at("submitted"), "abracadabra", {}, Actor("me", frozenset({"clerk"})), FACTS, NOW)
    assert isinstance(refused, Refused)
    assert refused.code == "act_illegal"
    assert "triage" in refused.legal


def test_a_merged_case_can_only_be_taken_apart_again() -> None:
    assert legal_acts(case_at("merged"), Actor("me", frozenset({"dispatcher"}))) == ("unmerge",)
    assert legal_acts(case_at("voided"), Actor("me", frozenset({"dispatcher", "centre_director"}))) == ()
