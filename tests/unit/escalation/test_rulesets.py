import msgspec
import pytest

from sync.cases.catalogue import TABLES
from sync.cases.rules_lint import Fault, lint
from sync.cases.rulesets import Condition, RuleError, RuleSet, holds, load_rules, parse_rules
from tests.unit.escalation.world import ALWAYS, CALENDARS, RULES, RULES_TEXT, WEEKDAYS

SMALL = """
schema = 1
[meta]
id = "small"
version = 3
[ack]
within = "4wh"
holds_for = "1wd"
[clocks.accept]
zh = "签收"
en = "acceptance"
late_zh = "仍未签收"
late_en = "not accepted"
starts = ["case.dispatched"]
meets = ["case.accepted"]
[[clocks.accept.budget]]
calendar = "office"
span = "4wh"
[[ladders]]
id = "accept"
clocks = ["accept"]
calendar = "office"
[[ladders.steps]]
id = "community"
at = "100%"
level = 1
to = ["community_leader"]
[[ladders.steps]]
id = "street"
at = "100%+1wd"
level = 2
to = ["street_leader"]
min_dwell = "4wh"
"""


def codes(text: str) -> set[str]:
    return {fault.code for fault in lint(parse_rules(text), CALENDARS)}


def test_the_default_rules_have_no_error() -> None:
    faults = lint(RULES, CALENDARS)
    assert [fault for fault in faults if fault.severity == "error"] == []
    assert {fault.code for fault in faults} <= {"outside_hours"}
    assert lint(parse_rules(SMALL), CALENDARS) == []


def test_a_rule_set_is_known_by_its_content_and_not_by_its_layout() -> None:
    spaced = parse_rules(SMALL.replace("\n[", "\n\n# a remark\n["))
    assert spaced.sha256 == parse_rules(SMALL).sha256
    assert parse_rules(SMALL.replace('"4wh"', '"5wh"')).sha256 != spaced.sha256
    stored = load_rules(RULES.canonical)
    assert (stored.sha256, stored.canonical) == (RULES.sha256, RULES.canonical)
    assert stored.rules == RULES.rules


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (('at = "100%"', 'at = "sometimes"'), "sometimes"),
        (('span = "4wh"', 'span = "4 hours"'), "4 hours"),
        (('to = ["street_leader"]', 'to = ["street_leader"]\nfine = 50'), "fine"),
        (("schema = 1", "schema = 2"), "schema"),
        (("version = 3", 'version = "three"'), "version"),
        (("[ack]", "[ack"), "line"),
    ],
)
def test_rules_that_cannot_be_understood_say_where(change: tuple[str, str], words: str) -> None:
    with pytest.raises(RuleError, match=words):
        parse_rules(SMALL.replace(*change))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (('calendar = "office"\nspan', 'calendar = "moon"\nspan'), "calendar_unknown"),
        (('meets = ["case.accepted"]', "meets = []"), "never_met"),
        (('starts = ["case.dispatched"]', "starts = []"), "never_starts"),
        (('span = "4wh"', 'span = "0wh"'), "budget_not_positive"),
        (('span = "4wh"', ""), "budget_empty"),
        (('span = "4wh"', 'span = "4wh"\nwhen = { field = "risk", value = "red" }'), "budget_has_hole"),
        (('clocks = ["accept"]', 'clocks = ["accept", "nap"]'), "clock_unknown"),
        (('clocks = ["accept"]', "clocks = []"), "nobody_hears"),
        (
            ('meets = ["case.accepted"]', 'meets = ["case.accepted"]\npausable = ["wait_party"]'),
            "must_not_pause",
        ),
        (('meets = ["case.accepted"]', 'meets = ["case.accepted"]\npausable = ["weather"]'), "pause_unknown"),
        (("level = 2", "level = 4"), "level_unknown"),
        (("level = 2", "level = 0"), "warn_is_level_0"),
        (('to = ["street_leader"]', "to = []"), "nobody_told"),
        (('min_dwell = "4wh"', ""), "no_dwell"),
        (('min_dwell = "4wh"', 'repeat = { every = "1wd", max = 999 }'), "repeat_without_end"),
        (('min_dwell = "4wh"', 'repeat = { every = "0d", max = 2 }'), "repeat_at_once"),
        (('at = "100%+1wd"', 'at = "75%"'), "unreachable"),
        (('at = "100%+1wd"', 'at = "100%"'), "overlap"),
        (('at = "100%+1wd"', 'at = "100%+90m"'), "outside_hours"),
        (('id = "street"', 'id = "community"'), "name_twice"),
        (('id = "street"', 'id = "a:b"'), "name_has_colon"),
        (
            ('calendar = "office"\n[[', 'calendar = "office"\nwhen = { field = "points", value = 3 }\n[['),
            "field_unknown",
        ),
        (
            (
                'calendar = "office"\n[[',
                'calendar = "office"\nwhen = { field = "risk", op = "in", value = "red" }\n[[',
            ),
            "value_not_a_list",
        ),
    ],
)
def test_lint_finds_what_is_wrong_before_anybody_relies_on_it(change: tuple[str, str], code: str) -> None:
    assert change[0] in SMALL
    assert code in codes(SMALL.replace(*change))


def test_lint_refuses_a_calendar_that_never_opens_and_marks_one_without_notices() -> None:
    shut = msgspec.structs.replace(WEEKDAYS, week=((),) * 7)
    rules = parse_rules(SMALL)
    assert [f.code for f in lint(rules, {"office": shut})] == ["calendar_empty"]
    found: list[Fault] = lint(rules, {"office": WEEKDAYS, "always": ALWAYS})
    assert [(f.code, f.severity) for f in found] == [("calendar_provisional", "warning")]


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (Condition(field="risk", op="eq", value="red"), True),
        (Condition(field="risk", op="ne", value="red"), False),
        (Condition(field="risk", op="in", value=["red", "orange"]), True),
        (Condition(field="risk", op="not_in", value=["red"]), False),
        (Condition(field="category", op="prefix", value="01"), True),
        (Condition(field="level", op="gte", value=2), True),
        (Condition(field="level", op="lte", value=1), False),
        (Condition(field="complexity", op="present", value=True), False),
        (Condition(field="complexity", op="present", value=False), True),
        (Condition(field="complexity", op="gte", value=1), False),
        (Condition(all=(Condition(field="risk", value="red"), Condition(field="level", value=2))), True),
        (Condition(any=(Condition(field="risk", value="blue"), Condition(field="level", value=2))), True),
        (Condition(not_=Condition(field="risk", value="red")), False),
        (None, True),
    ],
)
def test_a_condition_is_a_tree_that_is_read_and_never_run(
    condition: Condition | None, expected: bool
) -> None:
    facts = {"risk": "red", "category": "0106", "level": 2}
    assert holds(condition, facts.get) is expected


def test_every_clock_of_a_case_in_the_catalogue_has_a_rule_and_a_ladder() -> None:
    named = set(RULES.rules.clocks)
    assert named >= {
        "emergency_ack", "admit", "first_contact", "accept", "instruction_reply", "resolve_grid", "resolve_community",
        "resolve_street", "resolve_district", "mediation", "service", "verify", "obligation", "confirmation",
        "follow_up", "referral_receipt", "source_reply",
    }  # fmt: skip
    assert all(RULES.ladders_of[kind] for kind in named)
    assert named <= TABLES["clocks"].keys()  # each has a name for the screen
    assert "case.received" in RULES_TEXT
    assert isinstance(RULES, RuleSet)
