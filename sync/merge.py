"""Three-way merge of a pushed document: base (what the phone started from), mine (pushed), theirs (the server's row).

Field by field:

- ME1  absent in `mine`: unknown to the phone, `theirs` stays;
- ME2  `mine` equals the base: the phone did not touch it, `theirs` stays;
- ME3  `theirs` equals the base, or `mine`: nobody else touched it, `mine` is taken;
- ME4  both changed: the same device wrote it last (then `mine` is its successor), else the field's rule decides and
  the loser goes to the ledger.

ME5: without a base a push overwrites only what its own device alone has written; it fills what is empty, the rest goes
to the ledger.
"""

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct

from sync.cases.merge_rules import ALWAYS, MERGED_FIELDS, RULES, Conflict, Where, empty, same

__all__ = ["Conflict", "Merged", "merge", "same"]


class Merged(Struct, frozen=True):
    """What a merge came to.

    values: the phone-owned fields after the merge (all of `theirs`, with what changed); the envelope (`id`,
    `author`, `device`, `w`) is not among them.
    conflicts: lines for the ledger of changes.
    changed: fields whose value differs from the server's.
    """

    values: dict[str, Any]
    conflicts: tuple[Conflict, ...]
    changed: frozenset[str]


def merge(
    collection: str,
    base: Mapping[str, Any] | None,
    mine: Mapping[str, Any],
    theirs: Mapping[str, Any],
    *,
    same_device: Callable[[str], bool],
) -> Merged:
    """Merge the valid values of a push (`Checked.values`) into the server's document.

    `base` must have been projected for the same reader as `mine`. `same_device(field)` says whether `mine` succeeds
    what the pushing device itself wrote last in that field; without a base: whether it alone ever wrote it.
    """
    rules = MERGED_FIELDS[collection]
    values = {name: theirs[name] for name in rules if name in theirs}
    conflicts: list[Conflict] = []
    changed: set[str] = set()
    for name, value in mine.items():
        rule = rules.get(name)
        if rule is None:
            continue
        held = theirs.get(name)
        if same(value, held):
            continue
        if base is not None:
            merged, lost = _three_way(name, rule, base.get(name), value, held, same_device)
        elif same_device(name):
            merged, lost = _three_way(name, rule, held, value, held, same_device)
        else:
            merged, lost = _soft(name, rule, value, held)
        conflicts.extend(lost)
        if not same(merged, held):
            values[name] = merged
            changed.add(name)
    return Merged(values, tuple(conflicts), frozenset(changed))


def merge_stale(
    collection: str, base: Mapping[str, Any], mine: Mapping[str, Any], theirs: Mapping[str, Any]
) -> Merged:
    """PU11: an older write of the same device, come late: it fills what nobody has touched since, by the field's rule.

    The rest goes to the ledger, never over a newer value.
    """
    rules = MERGED_FIELDS[collection]
    values = {name: theirs[name] for name in rules if name in theirs}
    conflicts: list[Conflict] = []
    changed: set[str] = set()
    for name, value in mine.items():
        rule, before, held = rules.get(name), base.get(name), theirs.get(name)
        if rule is None or same(value, before) or same(value, held):
            continue
        if not same(held, before):
            conflicts.append(Conflict(name, before, held, value, "older_write", "theirs"))
            continue
        merged, lost = _three_way(name, rule, before, value, held, lambda _: False)
        conflicts.extend(lost)
        if not same(merged, held):
            values[name] = merged
            changed.add(name)
    return Merged(values, tuple(conflicts), frozenset(changed))


def _soft(name: str, rule: str, mine: Any, theirs: Any) -> tuple[Any, tuple[Conflict, ...]]:
    if empty(theirs):
        return mine, ()
    if empty(mine):
        return theirs, ()
    return RULES[rule](None, mine, theirs, Where(name, soft=True))


def _three_way(
    name: str, rule: str, base: Any, mine: Any, theirs: Any, same_device: Callable[[str], bool]
) -> tuple[Any, tuple[Conflict, ...]]:
    if same(mine, base):
        return theirs, ()
    untouched = same(theirs, base)
    if untouched and rule not in ALWAYS:
        return mine, ()
    merged, lost = RULES[rule](base, mine, theirs, Where(name, successor=same_device(name)))
    # What nobody else has written is overwritten without a line.
    return merged, tuple(line for line in lost if not untouched or line.decided == "theirs")
