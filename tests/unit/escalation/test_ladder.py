"""Stories of one case on the ladder. The engine looks when the story says so; nothing runs by itself."""

import msgspec
import pytest

from sync.cases.calendars import HOUR, changed_between, parse_calendar
from sync.cases.clocks import Clock, remaining, used
from sync.cases.escalation import Event, State, dump, load, next_due, opening_due, plan, withdraw
from sync.cases.rulesets import load_rules
from tests.unit.escalation.world import CALENDARS, DATA, EVERYBODY, RULES, Case, at


def dispatched(**facts: object) -> Case:
    case = Case()
    case.becomes(status="dispatched", **facts)
    case.happens("case.dispatched", "2026-11-20 09:00", unit="J01")
    return case


def clock(case: Case, kind: str, epoch: int = 1) -> Clock:
    return next(c for c in case.plan.clocks if (c.kind, c.epoch) == (kind, epoch))


class TestNobodyAccepts:
    def test_the_unit_is_reminded_then_the_community_the_street_and_the_district_hear_of_it(self) -> None:
        case = dispatched()
        assert case.tick("2026-11-20 11:59") == ()
        (warned,) = case.tick("2026-11-20 12:00")  # three of four office hours
        assert (warned.outcome, warned.warn, warned.to, warned.level_to) == ("fired", True, ("worker",), 0)
        (first,) = case.tick("2026-11-20 14:30")
        assert (first.to, first.level_from, first.level_to) == (("secretary",), 0, 1)
        (second,) = case.tick("2026-11-23 17:30")
        assert (second.to, second.level_to) == (("street",), 2)
        (third,) = case.tick("2026-11-25 17:30")
        assert (third.to, third.level_to) == (("district",), 3)
        assert case.next_due == at("2026-11-26 17:30")  # and again every working day, from nominal to nominal
        for day in ("26", "27", "30"):
            assert [f.to for f in case.tick(f"2026-11-{day} 18:00")] == [("district",)]

    def test_a_red_case_waits_for_no_office(self) -> None:
        case = Case()
        case.becomes(status="dispatched", risk="red")
        case.happens("case.dispatched", "2026-11-21 23:00")  # Saturday night
        assert case.next_due == at("2026-11-21 23:15")
        assert [f.level_to for f in case.tick("2026-11-21 23:30")] == [0, 1]
        assert [f.level_to for f in case.tick("2026-11-22 00:00")] == [2]

    def test_a_case_rated_red_in_the_afternoon_is_not_late_at_once(self) -> None:
        case = dispatched()
        case.happens("case.rated", "2026-11-20 11:00", colour="red")
        case.becomes(risk="red")
        assert clock(case, "accept").due_at == at("2026-11-20 11:30")

    def test_a_return_does_not_refund_time_but_a_ruling_does(self) -> None:
        case = dispatched()
        case.happens("case.returned", "2026-11-20 11:00")
        case.happens("case.dispatched", "2026-11-20 14:00", unit="J02")
        assert clock(case, "accept").due_at == at("2026-11-20 14:30")
        case.happens("case.adjudicated", "2026-11-20 15:00", unit="J01")
        assert clock(case, "accept").state == "cancelled"
        assert clock(case, "accept", 2).due_at == at("2026-11-23 10:30")

    def test_once_accepted_nothing_more_is_said(self) -> None:
        case = dispatched()
        case.happens("case.accepted", "2026-11-20 14:00")
        case.becomes(status="accepted")
        assert case.tick("2026-11-20 15:00") == ()
        assert clock(case, "accept").state == "met"
        assert clock(case, "resolve_grid").due_at == at("2026-11-23 17:30")

    def test_a_merged_or_closed_case_does_not_climb(self) -> None:
        case = dispatched()
        case.becomes(status="merged", open=False)
        assert case.tick("2026-12-20 15:00") == ()
        assert case.next_due is None


class TestAfterAStandStill:
    def test_nobody_is_overtaken_and_the_reminder_is_dropped_silently(self) -> None:
        case = dispatched()
        found = case.tick("2026-11-27 10:00")  # a week later
        assert [(f.outcome, f.warn) for f in found] == [
            ("superseded", True),
            ("fired", False),
            ("deferred", False),
        ]
        assert found[1].nominal_at == at("2026-11-20 14:30")  # its lateness is the engine's, not the unit's
        assert found[2].explain["why"] == "dwell"
        assert case.facts.level == 1
        assert case.next_due == at("2026-11-27 15:30")  # the community keeps it for four office hours
        assert [f.level_to for f in case.tick("2026-11-27 15:30") if f.outcome == "fired"] == [2]
        assert case.next_due == at("2026-11-30 17:30")  # the street for a working day
        found = case.tick("2026-11-30 17:30")
        assert [f.outcome for f in found if f.level_to == 3] == ["fired", *["superseded"] * 3]

    def test_what_was_kept_in_the_meantime_says_nothing(self) -> None:
        case = dispatched()
        case.happens("case.accepted", "2026-11-20 14:40")
        assert case.tick("2026-11-27 10:00")[0].key.startswith("resolve_grid")


class TestTakingOn:
    def test_it_holds_the_next_rung_and_then_the_climb_resumes(self) -> None:
        case = dispatched()
        case.tick("2026-11-20 14:30")
        case.taken_on(1, "secretary", "2026-11-23 17:00")
        (held,) = case.tick("2026-11-23 17:30")
        assert (held.outcome, held.explain["why"]) == ("deferred", "held")
        assert case.facts.level == 1
        assert case.next_due == at("2026-11-24 17:30")
        assert clock(case, "accept").due_at == at("2026-11-20 14:30")  # the clock never stopped
        assert [f.level_to for f in case.tick("2026-11-24 17:30")] == [2]

    def test_a_shorter_promise_holds_only_until_it_passes(self) -> None:
        case = dispatched()
        case.tick("2026-11-20 14:30")
        case.taken_on(1, "secretary", "2026-11-23 17:00", "2026-11-24 10:00")
        assert case.next_due == at("2026-11-24 10:00")

    def test_a_promise_cannot_silence_the_ladder_for_a_year(self) -> None:
        case = dispatched()
        case.tick("2026-11-20 14:30")
        case.taken_on(1, "secretary", "2026-11-23 17:00", "2027-11-24 10:00")
        assert case.next_due == at("2026-11-24 17:30")

    def test_the_level_below_cannot_hold_what_stands_higher(self) -> None:
        case = dispatched()
        case.tick("2026-11-20 14:30")
        case.tick("2026-11-23 17:30")
        case.taken_on(1, "secretary", "2026-11-25 17:00")
        assert case.next_due == at("2026-11-25 17:30")


class TestNobodyThere:
    def test_an_empty_level_is_passed_over_and_said_so(self) -> None:
        case = dispatched()
        case.reach = {
            "street_leader": ("street",),
            "district_leader": ("district",),
        }  # the secretary is recused
        first = case.tick("2026-11-20 14:30")[-1]
        assert (first.to, first.level_to, first.passed_over) == (("street",), 2, (1,))

    def test_with_nobody_anywhere_it_stays_where_the_rule_put_it(self) -> None:
        case = dispatched()
        case.reach = {}
        first = case.tick("2026-11-20 14:30")[-1]
        assert (first.outcome, first.to, first.level_to) == ("fired", (), 1)
        assert first.explain["why"] == "nobody_reachable"


class TestStandingStill:
    def in_mediation(self) -> Case:
        case = Case()
        case.becomes(status="in_mediation")
        case.happens("case.accepted", "2026-11-20 10:00")  # resolve_grid: until Monday 17:30
        return case

    def test_a_paused_clock_says_nothing_and_runs_on_with_what_was_left(self) -> None:
        case = self.in_mediation()
        case.happens("case.suspended", "2026-11-23 10:00", reason="wait_party")
        case.becomes(status="suspended")
        assert clock(case, "resolve_grid").state == "paused"
        assert case.tick("2026-11-24 10:00") == ()
        case.happens("case.resumed", "2026-11-25 10:00")
        case.becomes(status="in_mediation")
        resumed = clock(case, "resolve_grid")
        assert resumed.due_at == at("2026-11-25 17:30")
        calendar = CALENDARS["office"]
        assert used(resumed, calendar, at("2026-11-25 11:00")) == (2 + 4 + 1 + 1) * HOUR
        assert remaining(resumed, calendar, at("2026-11-25 11:00")) == 5 * HOUR

    def test_a_pause_ends_by_itself_at_its_cap(self) -> None:
        case = self.in_mediation()
        case.happens("case.suspended", "2026-11-23 10:00", reason="wait_party")
        assert clock(case, "resolve_grid").resumes_at == at("2026-11-30 17:30")
        assert clock(case, "resolve_grid").due_at == at("2026-12-01 16:30")
        assert case.next_due is not None
        assert case.next_due > at("2026-11-30 17:30")

    def test_a_pause_without_end_parks_the_rungs_but_keeps_them(self) -> None:
        case = self.in_mediation()
        case.happens("case.suspended", "2026-11-23 10:00", reason="force_majeure")
        assert case.next_due is None
        assert clock(case, "resolve_grid").due_at is None
        assert any(step.clock == "resolve_grid" and step.nominal_at is None for step in case.plan.steps)

    def test_the_third_wait_for_the_parties_stops_nothing(self) -> None:
        case = self.in_mediation()
        for hour in (9, 10, 11):
            case.happens("case.suspended", f"2026-11-23 {hour:02d}:00", reason="wait_party")
            case.happens("case.resumed", f"2026-11-23 {hour:02d}:30")
        pauses = [s for s in clock(case, "resolve_grid").segments if s.state == "paused"]
        assert len(pauses) == 2

    def test_a_pause_over_night_moves_nothing(self) -> None:
        case = self.in_mediation()
        before = case.plan.steps
        case.happens("case.suspended", "2026-11-20 18:00", reason="cooling")
        case.happens("case.resumed", "2026-11-23 08:00")
        assert case.plan.steps == before

    def test_acceptance_and_emergencies_never_stand_still(self) -> None:
        case = dispatched(urgency="emergency")
        case.happens("case.received", "2026-11-20 09:01")
        before = case.plan.steps
        case.happens("case.suspended", "2026-11-20 09:30", reason="appraisal")
        assert [s for s in case.plan.steps if s.clock in {"accept", "emergency_ack"}] == [
            s for s in before if s.clock in {"accept", "emergency_ack"}
        ]


class TestWhatLeadersDo:
    def test_an_instruction_without_answer_comes_back_to_who_gave_it(self) -> None:
        case = dispatched(level=2)
        case.happens("case.accepted", "2026-11-20 10:00", level=2)
        case.happens("case.instructed", "2026-11-20 18:00", id="i1", level=2, due=at("2026-11-23 12:00"))
        case.happens("case.instructed", "2026-11-20 18:05", id="i2", level=2, due=at("2026-11-23 15:00"))
        case.happens("instruction.replied", "2026-11-23 09:00", id="i1")
        assert clock(case, "instruction_reply", 1).state == "met"
        found = case.tick("2026-11-23 15:00")
        assert [(f.key, f.to) for f in found if f.outcome == "fired" and not f.warn] == [
            ("instruction_reply:2:instruction_street:no_reply:0", ("street",))
        ]

    def test_what_was_sent_back_and_not_done_returns_to_the_street(self) -> None:
        case = dispatched()
        case.tick("2026-11-20 14:30")
        case.tick("2026-11-23 17:30")
        case.happens(
            "case.sent_back", "2026-11-23 18:00", level=1, from_level=2, deadline=at("2026-11-24 17:00")
        )
        case.becomes(level=1)
        case.happens("case.accepted", "2026-11-24 09:00")
        assert clock(case, "resolve_community").args["level"] == 1
        assert [f.level_to for f in case.tick("2026-11-24 17:00") if not f.warn] == [2]

    def test_an_extension_in_time_moves_the_due_and_one_after_it_gives_the_promise_anew(self) -> None:
        case = dispatched()
        case.happens("case.extended", "2026-11-20 10:00", clock="accept", span="1wd")
        assert clock(case, "accept").due_at == at("2026-11-23 17:30")
        case.tick("2026-11-23 17:30")
        case.happens("case.extended", "2026-11-23 18:00", clock="accept", span="2wd")
        assert clock(case, "accept").state == "cancelled"
        assert clock(case, "accept", 2).due_at == at("2026-11-25 17:30")
        assert [f.level_to for f in case.tick("2026-11-25 17:30") if not f.warn] == [1]


class TestNothingLiesForgotten:
    def test_an_admitted_case_that_nobody_dispatches_climbs_too(self) -> None:
        case = Case()
        case.happens("case.received", "2026-11-20 09:00")
        case.happens("case.admitted", "2026-11-20 10:00")
        case.happens("case.contacted", "2026-11-20 10:00")
        assert clock(case, "admit").state == "met"
        assert [f.level_to for f in case.tick("2026-11-23 17:30") if not f.warn] == [1]

    def test_work_sent_back_by_the_centre_has_its_term_again(self) -> None:
        case = Case()
        case.happens("case.accepted", "2026-11-16 10:00")
        case.happens("case.reported", "2026-11-17 10:00")
        case.happens("case.rejected", "2026-11-20 10:00")
        assert clock(case, "resolve_grid", 2).due_at == at("2026-11-23 17:30")
        assert clock(case, "verify").state == "met"

    def test_a_failed_mediation_must_come_to_an_end(self) -> None:
        case = Case()
        case.happens("case.begun", "2026-11-16 10:00")
        case.happens("case.failed", "2026-11-17 10:00")
        assert clock(case, "conclude").due_at == at("2026-11-24 17:30")

    def test_only_settlements_drawn_for_the_sample_wait_for_a_person_to_verify(self) -> None:
        for drawn in (True, False):
            case = Case()
            case.happens("case.settled", "2026-11-16 10:00", on_spot=True, sample=drawn)
            assert any(c.kind == "verify" for c in case.plan.clocks) is drawn

    def test_a_case_settled_reopened_and_settled_again_is_followed_up_again(self) -> None:
        case = Case()
        case.happens("case.settled", "2026-11-02 10:00")
        case.happens("case.reopened", "2026-11-05 10:00")
        case.happens("case.settled", "2026-11-20 10:00")
        assert clock(case, "follow_up").state == "cancelled"
        assert clock(case, "follow_up", 2).due_at == at("2026-11-27 17:30")

    def test_an_extension_that_names_no_clock_means_the_one_due_first(self) -> None:
        case = dispatched()
        case.happens("case.contacted", "2026-11-20 09:00")
        case.happens("case.extended", "2026-11-20 10:00", span="2wd")
        assert clock(case, "accept").due_at == at("2026-11-24 17:30")


class TestClocksStopAndStartWhereTheyShould:
    def running(self, case: Case) -> set[str]:
        return {clock.kind for clock in case.plan.clocks if clock.state == "running"}

    def test_a_danger_removed_at_once_asks_for_nobody_on_duty(self) -> None:
        case = Case()
        case.becomes(kind="hazard", urgency="emergency", status="reported")
        case.happens("case.received", "2026-11-20 10:00", urgency="emergency")
        case.happens("case.reported", "2026-11-20 10:00", sample=True)
        assert self.running(case) == {"verify"}
        assert [f.level_to for f in case.tick("2026-11-20 10:20")] == []

    def test_what_was_taken_out_of_a_merger_is_received_again_and_no_more(self) -> None:
        case = Case()
        case.happens("case.received", "2026-11-16 10:00")
        case.happens("case.merged", "2026-11-17 10:00")
        case.happens("case.unmerged", "2026-11-20 10:00")
        assert self.running(case) == {"admit", "first_contact"}
        assert clock(case, "first_contact", 2).due_at == at("2026-11-23 17:30")

    def test_a_mediation_that_failed_before_it_began_needs_no_first_contact(self) -> None:
        case = Case()
        case.becomes(status="failed")
        case.happens("case.received", "2026-11-16 10:00")
        case.happens("case.accepted", "2026-11-16 11:00")
        case.happens("case.failed", "2026-11-16 12:00")
        assert self.running(case) == {"admit", "conclude"}

    def test_a_case_rated_orange_the_next_morning_is_not_late_at_once(self) -> None:
        case = Case()
        case.happens("case.received", "2026-11-23 10:00")  # a Monday
        case.happens("case.admitted", "2026-11-23 11:00")
        case.happens("case.rated", "2026-11-24 09:00", colour="orange")
        case.becomes(risk="orange")
        assert clock(case, "first_contact").due_at == at("2026-11-24 17:30")
        assert [f for f in case.tick("2026-11-24 09:05") if not f.warn] == []

    def test_a_date_the_source_sets_later_starts_its_clock_and_a_new_one_moves_it(self) -> None:
        case = Case()
        case.happens("case.received", "2026-11-16 10:00")
        assert "source_reply" not in self.running(case)
        case.happens("source.due_set", "2026-11-17 10:00", source_due=at("2026-11-27 17:30"))
        assert [c.due_at for c in case.plan.clocks if c.kind == "source_reply"] == [at("2026-11-26 17:30")]
        case.happens("source.due_set", "2026-11-18 10:00", source_due=at("2026-12-04 17:30"))
        assert clock(case, "source_reply", 3).due_at == at("2026-12-03 17:30")
        case.happens("source.due_set", "2026-11-19 10:00")
        assert "source_reply" not in self.running(case)


class TestLateEvidence:
    def test_settled_on_tuesday_and_received_on_thursday_takes_the_firing_back(self) -> None:
        case = Case()
        case.becomes(status="accepted")
        case.happens("case.accepted", "2026-11-20 10:00")
        (*_, fired) = case.tick("2026-11-23 17:30")
        late = Event("case.settled", at("2026-11-26 09:00"), {"captured_at": at("2026-11-23 15:00")})
        case.state, keys = withdraw(case.state, late, RULES)
        assert keys == (fired.key,)
        assert case.rungs("withdrawn") == ["resolve_low:community"]
        in_time = Event("case.settled", at("2026-11-26 09:00"), {"captured_at": at("2026-11-23 17:31")})
        assert withdraw(case.state, in_time, RULES)[1] == ()
        assert withdraw(case.state, Event("case.settled", at("2026-11-26 09:00")), RULES)[1] == ()


class TestFollowUp:
    def test_rounds_follow_each_other_from_the_same_day(self) -> None:
        case = Case()
        case.becomes(status="settled")
        case.happens("case.settled", "2026-11-20 10:00")
        assert clock(case, "follow_up").due_at == at("2026-11-27 17:30")
        case.happens("case.followed_up", "2026-11-26 10:00")
        assert clock(case, "follow_up", 2).due_at == at("2026-12-21 17:30")  # day 30 is a Sunday
        case.happens("case.closed", "2026-11-30 10:00")
        case.becomes(status="closed", open=False)
        assert clock(case, "follow_up", 2).state == "running"

    def test_a_protected_case_is_looked_after_sooner(self) -> None:
        case = Case()
        case.becomes(status="settled", protective=True)
        case.happens("case.settled", "2026-11-19 10:00")
        assert clock(case, "follow_up").due_at == at("2026-11-20 17:30")

    def test_reopened_cases_start_over_with_a_budget_of_their_own(self) -> None:
        case = Case()
        case.happens("case.received", "2026-11-02 10:00")
        case.happens("case.admitted", "2026-11-02 11:00")
        case.happens("case.dispatched", "2026-11-02 12:00")
        case.happens("case.accepted", "2026-11-02 14:00")
        case.happens("case.settled", "2026-11-03 10:00")
        case.happens("case.reopened", "2026-11-20 09:00")
        case.happens("case.dispatched", "2026-11-20 09:00")
        assert clock(case, "accept", 2).due_at == at("2026-11-20 14:30")
        assert case.tick("2026-11-20 10:00") == ()


def test_the_first_due_of_a_new_case_is_that_of_its_whole_plan() -> None:
    for facts in ({}, {"risk": "red"}, {"urgency": "emergency"}, {"kind": "hazard"}):
        case = Case()
        case.becomes(**facts)
        event = Event("case.received", at("2026-11-20 10:00"), {"source_due": at("2026-11-25 10:00")})
        full = next_due(plan([event], case.facts, RULES, CALENDARS), State((event,)))
        assert opening_due(event, case.facts, RULES, CALENDARS) == full


def test_the_row_of_a_case_goes_out_and_comes_back_unchanged() -> None:
    case = dispatched()
    case.tick("2026-11-20 14:30")
    case.taken_on(1, "secretary", "2026-11-20 15:00", "2026-11-23 10:00")
    assert load(dump(case.state)) == case.state


def test_publishing_the_same_rules_or_calendar_again_changes_nothing() -> None:
    case = dispatched()
    again = parse_calendar((DATA / "calendar_cn.toml").read_text("utf-8"))
    other = plan(case.state.events, case.facts, load_rules(RULES.canonical), CALENDARS | {"office": again})
    assert other.steps == case.plan.steps
    assert not changed_between(CALENDARS["office"], again, at("2026-01-01 00:00"), at("2027-12-01 00:00"))


def test_a_suppressed_ladder_is_recorded_as_silent() -> None:
    quiet = tuple(
        msgspec.structs.replace(ladder, suppress=RULES.rules.clocks["follow_up"].budget[0].when)
        for ladder in RULES.rules.ladders
    )
    rules = load_rules(
        msgspec.json.encode(msgspec.structs.replace(RULES.rules, ladders=quiet), order="sorted")
    )
    case = dispatched(protective=True)
    case.rules = rules
    assert {f.outcome for f in case.tick("2026-11-20 14:30")} == {"suppressed"}
    assert case.facts.level == 0


@pytest.mark.parametrize("level", [1, 2, 3])
def test_a_rung_below_where_the_case_stands_is_left_out(level: int) -> None:
    case = dispatched(level=level)
    case.reach = EVERYBODY
    (_, first) = case.tick("2026-11-20 14:30")
    assert first.outcome == ("fired" if level == 1 else "superseded")
    assert case.facts.level == level
