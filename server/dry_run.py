"""A trial of escalation rules on the open cases as they stand: what would fall due when; nothing is written."""

from typing import Any

import msgspec
from msgspec import Struct

from sync.batch import STATUS_CODES
from sync.cases import escalation
from sync.cases.catalogue import OPEN_STATUSES
from sync.cases.rulesets import RuleSet
from sync.config import Config
from sync.store import Reader
from sync.timing import case_facts
from sync.values import Collection, Doc

_CHUNK = 500
_NAMED = 200


class Trial(Struct):
    """What a rule set would change. Instants in ms; `cases` names the first 200 that differ, by case number or key."""

    open_cases: int = 0
    changed: int = 0
    earlier: int = 0
    later: int = 0
    due_now: int = 0
    due_now_before: int = 0
    cases: list[dict[str, Any]] = []


def try_rules(reader: Reader, config: Config, rules: RuleSet, now: int) -> Trial:
    """Plan every open case under the active rules and under `rules`, and compare what is due next."""
    found = Trial()
    statuses = sorted(STATUS_CODES.index(code) for code in OPEN_STATUSES if code in STATUS_CODES)
    below: tuple[int, int] | None = None
    while True:
        docs = reader.recent(Collection.cases, below=below, limit=_CHUNK, statuses=statuses)
        rows = reader.find("case_clocks", {"case_pk": [doc.pk for doc in docs]}, columns=["case_pk", "state"])
        states = {row["case_pk"]: row["state"] for row in rows}
        for doc in docs:
            if doc.pk in states:
                _compare(found, config, rules, doc, escalation.load(states[doc.pk]), now)
        if len(docs) < _CHUNK:
            return found
        below = (docs[-1].seq, docs[-1].pk)


def _compare(
    found: Trial, config: Config, rules: RuleSet, doc: Doc, state: escalation.State, now: int
) -> None:
    facts = case_facts(msgspec.json.decode(b"{" + doc.clear + b"}"))

    def due(under: RuleSet | None) -> int | None:
        if under is None:
            return None
        return escalation.next_due(escalation.plan(state.events, facts, under, config.calendars), state)

    before, after = due(config.ruleset), due(rules)
    found.open_cases += 1
    found.due_now_before += before is not None and before <= now
    found.due_now += after is not None and after <= now
    if before == after:
        return
    found.changed += 1
    found.earlier += after is not None and (before is None or after < before)
    found.later += before is not None and (after is None or after > before)
    if len(found.cases) < _NAMED:
        found.cases.append({"case": doc.code or str(doc.pk), "before": before, "after": after})
