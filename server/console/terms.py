"""Why a case stands where it stands and why it has not been raised yet, for one caller."""

from typing import Any

import msgspec

from server.console.scope import Seen, Sight
from sync import content
from sync.cases import escalation
from sync.cases.catalogue import TABLES
from sync.cases.escalation import Reach
from sync.cases.explain import Explanation, explain
from sync.errors import Forbidden
from sync.reach import reach_of
from sync.timing import case_facts
from sync.values import Level


def reach_on(sight: Sight, seen: Seen) -> Reach:
    """Who could be told in each role; whoever is recused is left out, without a trace."""
    rows = [row for row in sight.reader.namings(cases=[seen.doc.pk]) if row.v_to is None]
    hidden = {row.user_pk for row in rows if row.denied}
    named = {row.user_pk for row in rows if not row.denied}
    return reach_of(sight.config, seen.doc, hidden=hidden, named=named)


def explained(sight: Sight, seen: Seen, *, now: int, lang: str) -> Explanation | None:
    """The case's clocks and rungs at this instant; None where none runs under the rules in force."""
    config = sight.config
    rows = sight.reader.find("case_clocks", {"case_pk": seen.doc.pk}, columns=["state"])
    if config.ruleset is None or not rows:
        return None
    state = escalation.load(rows[0]["state"])
    facts = case_facts(content.whole(seen.doc, sight.keys))
    plan = escalation.plan(state.events, facts, config.ruleset, config.calendars)
    names = names_of(sight)
    return explain(state, plan, facts, config.calendars, reach_on(sight, seen), now, lang, names)


def names_of(sight: Sight) -> dict[str, str]:
    """Users as people know them, by id."""
    return {account.id: account.name for account in sight.config.accounts.values()}


def clocks_of(sight: Sight, seen: Seen, *, now: int, lang: str) -> dict[str, Any]:
    """The explanation of a case; `lang` is zh or en. Raises ``Forbidden`` for the holder of a shell."""
    if seen.level < Level.plain and seen.form != "facts":
        raise Forbidden
    told = explained(sight, seen, now=now, lang=lang)
    if told is None:
        return {"case_id": seen.shown["id"], "now": now, "sentence": None, "clocks": [], "rungs": []}
    names = names_of(sight)
    rules = sight.config.ruleset
    own = {} if rules is None else rules.rules.clocks  # a district's own clock has its name from the rules
    clocks = []
    for line in told.clocks:
        row: Any = TABLES["clocks"].get(line.clock) or own.get(line.clock)
        label = None if row is None else (row.zh if lang == "zh" else row.en)
        clocks.append(msgspec.to_builtins(line) | {"label": label})
    rungs = []
    for rung in told.rungs:
        # Of a protected case a leader is shown the facts, and not who has it: whom its warnings go to would say so.
        to = rung.to if seen.level >= Level.plain or not rung.warn else ()
        line_of = {"to": list(to), "to_names": [names.get(user, user) for user in to]}
        rungs.append(msgspec.to_builtins(rung) | line_of)
    return {
        "case_id": seen.shown["id"],
        "now": now,
        "sentence": told.sentence_zh if lang == "zh" else told.sentence_en,
        "sentence_zh": told.sentence_zh,
        "sentence_en": told.sentence_en,
        "clocks": clocks,
        "rungs": rungs,
    }
