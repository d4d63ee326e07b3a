"""Whom a rung of a ladder can tell: the people behind its roles, on this very case, today."""

from collections.abc import Collection
from functools import cache
from typing import Final

from sync.cases.catalogue import ROLES
from sync.cases.escalation import LEADERS, Reach
from sync.config import Config
from sync.values import SEALED, Doc

# Roles that have cases at their unit; what is in nobody's hands yet is theirs together.
_AT_UNITS: Final = frozenset(
    code for code, role in ROLES.items() if any(right.via == "unit" for right in role.rights)
)


def reach_of(config: Config, doc: Doc, *, hidden: Collection[int], named: Collection[int]) -> Reach:
    """Who could be told in a role; a level with nobody passes to the next.

    `hidden` are the recused, who hear nothing. Of a sealed case only the `named` hear, besides the leaders it has
    climbed to: these are shown its bare facts.
    """

    @cache
    def people(role: str) -> tuple[str, ...]:
        found = (config.accounts.get(pk) for pk in _holders(config, doc, role, hidden))
        return tuple(
            account.id
            for account in found
            if account is not None
            and account.state == "active"
            and account.pk not in hidden
            and (doc.klass != SEALED or role in LEADERS or account.pk in named)
        )

    return people


def _holders(config: Config, doc: Doc, role: str, hidden: Collection[int]) -> list[int]:
    unit = None if doc.duty is None else doc.duty // 2
    if role == "handler":
        if doc.person is not None and doc.person not in hidden:
            return [doc.person]
        return [] if unit is None else config.unit_members(unit, _AT_UNITS)
    if role == "unit_manager":
        return [] if unit is None else config.unit_members(unit, frozenset({role}))
    return config.holders(frozenset({role}), doc.cell)
