"""A small district for stories: the default rules, two calendars, and a case to which things happen in order."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from importlib.resources import files
from typing import Any

import msgspec

from sync.cases.calendars import calendars_by_id, parse_calendar
from sync.cases.escalation import (
    Ack,
    CaseFacts,
    Event,
    Firing,
    Firings,
    Plan,
    State,
    acknowledge,
    fire,
    next_due,
    plan,
    record,
)
from sync.cases.rulesets import RuleSet, parse_rules

DATA = files("sync.cases") / "data"
RULES_TEXT = (DATA / "rules_default.toml").read_text("utf-8")
RULES = parse_rules(RULES_TEXT)
WEEKDAYS = parse_calendar((DATA / "calendar_weekdays.toml").read_text("utf-8"))
CHINA = parse_calendar((DATA / "calendar_cn.toml").read_text("utf-8"))
ALWAYS = parse_calendar((DATA / "calendar_always.toml").read_text("utf-8"))
CALENDARS = calendars_by_id(CHINA, ALWAYS)
EVERYBODY: Mapping[str, tuple[str, ...]] = {
    "handler": ("worker",),
    "community_leader": ("secretary",),
    "street_leader": ("street",),
    "district_leader": ("district",),
}
DISPUTE = CaseFacts("dispute", "0201", "yellow", "normal", None, "normal", "submitted", 0, True)


def at(text: str) -> int:
    """Local time in Shanghai as epoch milliseconds: `2026-11-20 10:00`."""
    return int(datetime.fromisoformat(f"{text}+08:00").timestamp() * 1000)


@dataclass
class Case:
    """A case in the hands of the engine, driven by hand: what happens, and when the engine looks."""

    facts: CaseFacts = DISPUTE
    rules: RuleSet = RULES
    reach: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: EVERYBODY)
    state: State = field(default_factory=State)
    calendars: Mapping[str, Any] = field(default_factory=lambda: CALENDARS)

    def happens(self, kind: str, when: str | int, **args: Any) -> None:
        instant = at(when) if isinstance(when, str) else when
        self.state = record(self.state, Event(kind, instant, args))

    def becomes(self, **facts: Any) -> None:
        self.facts = msgspec.structs.replace(self.facts, **facts)

    def people(self, role: str) -> tuple[str, ...]:
        """Who may be told in a role."""
        return self.reach.get(role, ())

    @property
    def plan(self) -> Plan:
        return plan(self.state.events, self.facts, self.rules, self.calendars)

    def tick(self, when: str | int) -> tuple[Firing, ...]:
        """The engine looks once; returns what took effect or was put off."""
        result: Firings = fire(
            self.state, self.plan, self.facts, self.people, at(when) if isinstance(when, str) else when
        )
        self.state = result.state
        self.facts = msgspec.structs.replace(
            self.facts, level=max([self.facts.level, *(f.level_to for f in result.firings)])
        )
        return result.firings

    def taken_on(self, level: int, by: str, when: str, until: str | None = None) -> Ack:
        self.state = acknowledge(
            self.state, Ack(level, by, at(when), at(until) if until else None), self.rules
        )
        return self.state.acks[-1]

    @property
    def next_due(self) -> int | None:
        return next_due(self.plan, self.state)

    def rungs(self, outcome: str = "fired") -> list[str]:
        return [":".join(row.key.split(":")[2:4]) for row in self.state.fired if row.outcome == outcome]
