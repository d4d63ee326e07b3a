"""Cases that were merged are one matter: who may not know of one knows of none, and all are as closed (VI10).

This runs at the door, before a batch is written, so that it holds whoever wrote: an act, a phone's edit, a new edition
of the cells, a new office. What is asked is which cases point to which, in the rows of `merger`.
"""

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

from msgspec import Struct

from sync import content, timing
from sync.batch import Batch, Item
from sync.cases.catalogue import OPEN_STATUSES
from sync.config import Config
from sync.directives import hand_to, reclass
from sync.facts import Facts, load_cases
from sync.recusal import denied, tell_recused
from sync.store import Reader, Row, Tx
from sync.values import Collection

Link: TypeAlias = tuple[int, int]  # the merged case and the one it went into


class Links(Struct, frozen=True):
    """Which cases are one matter: links that stand through this batch, that it makes, and that it ends."""

    standing: frozenset[Link]
    fresh: frozenset[Link]
    ended: frozenset[Link]

    def around(self, pk: int, links: Iterable[Link]) -> set[int]:
        """Every case that hangs together with this one by `links`, itself included."""
        found, links = {pk}, list(links)
        while True:
            more = {end for link in links if found & set(link) for end in link} - found
            if not more:
                return found
            found |= more


def follow(tx: Tx, batch: Batch, config: Callable[[Tx], Config]) -> None:
    """Let what this batch does to class and recusals of a case hold for every case of the same matter."""
    moved = [item for item in _cases(batch) if "master_case" in item.old]
    touched = {item.doc.pk for item in _cases(batch) if item.doc.klass != item.before.klass}
    touched |= {row["case_pk"] for row in batch.opened if row["denied"]}
    touched |= {row.case_pk for row in batch.closed if row.denied}
    touched |= {item.doc.pk for item in moved}
    if not touched:
        return
    links = _relinked(tx, batch, moved, touched)
    every = links.standing | links.fresh | links.ended
    if not every:
        return
    facts = Facts(batch.head, config(tx), batch.keys)
    facts.learn(tx.documents_by_pk(sorted({pk for link in every for pk in link})))
    load_cases(tx, facts, list(facts.by_pk.values()))
    matter = {doc.pk: batch.take(doc) for doc in facts.by_pk.values()}
    matter = {pk: item for pk, item in matter.items() if item.doc.gone is None}
    _recusals(batch, facts, links, matter)
    _classes(batch, facts, links, matter)


def _cases(batch: Batch) -> Iterable[Item]:
    """Stored cases in hand: a new one is merged with nothing yet."""
    return (i for i in batch.items.values() if not i.created and i.doc.collection == Collection.cases)


def links_of(reader: Reader, pks: Iterable[int]) -> set[Link]:
    """The links in force among all cases that hang together with these."""
    found: set[Link] = set()
    seen: set[int] = set()
    wanted = set(pks)
    while wanted - seen:
        asked = sorted(wanted - seen)
        seen |= wanted
        rows: list[Row] = []
        for end in ("case_pk", "master_pk"):
            rows += reader.find("merger", {end: asked, "v_to": None}, columns=["case_pk", "master_pk"])
        found |= {(row["case_pk"], row["master_pk"]) for row in rows}
        wanted |= {pk for link in found for pk in link}
    return found


def _relinked(tx: Tx, batch: Batch, moved: list[Item], touched: set[int]) -> Links:
    """Write down what was merged and taken apart, and tell what hangs together before and after."""
    now: dict[int, int] = {}
    for item in moved:
        master = item.values.get("master_case")
        above = tx.documents(Collection.cases, [content.id_bytes(0, master)]) if master else []
        if above:
            now[item.doc.pk] = above[0].pk
    former = links_of(tx, touched | set(now.values()))
    apart = {item.doc.pk for item in moved}
    ended = {link for link in former if link[0] in apart and now.get(link[0]) != link[1]}
    fresh = set(now.items()) - former
    for case_pk, _ in sorted(ended):
        tx.update("merger", {"case_pk": case_pk, "v_to": None}, {"v_to": batch.n})
    tx.insert(
        "merger",
        [
            {"case_pk": case, "master_pk": master, "v_from": batch.n, "v_to": None}
            for case, master in sorted(fresh)
        ],
    )
    return Links(frozenset(former - ended), frozenset(fresh), frozenset(ended))


# --- recusals --------------------------------------------------------------------------------------------------------


def _recusals(batch: Batch, facts: Facts, links: Links, matter: dict[int, Item]) -> None:
    """Lifting first, then what a merger unites, then what this batch sets: in doubt somebody is kept away."""
    together = links.standing | links.fresh
    set_here = [(row["case_pk"], row["user_pk"]) for row in batch.opened if row["denied"]]
    for row in [row for row in batch.closed if row.denied]:
        for pk in links.around(row.case_pk, links.standing) & matter.keys():
            _lift(batch, facts, matter[pk], row.user_pk)
    for case_pk, _ in links.fresh:
        united = links.around(case_pk, together) & matter.keys()
        for user_pk in sorted(set().union(*(denied(batch, facts, matter[pk]) for pk in united))):
            _keep_away(batch, facts, [matter[pk] for pk in sorted(united)], user_pk)
    for case_pk, user_pk in set_here:
        members = links.around(case_pk, together | links.ended) & matter.keys()
        _keep_away(batch, facts, [matter[pk] for pk in sorted(members)], user_pk)


def _keep_away(batch: Batch, facts: Facts, items: Iterable[Item], user_pk: int) -> None:
    account = facts.config.accounts.get(user_pk)
    for item in items:
        if user_pk in denied(batch, facts, item):
            continue
        batch.name(item, user_pk, facts.namings.get(item.doc.pk, []), denied=True)
        if item.doc.person == user_pk:
            batch.set(item, {"handler": {**(item.values.get("handler") or {}), "user": None}})
            hand_to(batch, facts, item, None)
        if account is not None:
            _lifted(batch, item, account.id, lifted=False)
        tell_recused(batch, facts, item)


def _lift(batch: Batch, facts: Facts, item: Item, user_pk: int) -> None:
    if user_pk not in denied(batch, facts, item):
        return
    batch.unname(item, user_pk, facts.namings.get(item.doc.pk, []), denied=True)
    if (account := facts.config.accounts.get(user_pk)) is not None:
        _lifted(batch, item, account.id, lifted=True)
    tell_recused(batch, facts, item)


def _lifted(batch: Batch, item: Item, user: str, *, lifted: bool) -> None:
    """Whose recusal was lifted by a person is not recused again by the next move of the case."""
    track: dict[str, Any] = item.values.get("track") or {}
    held = list(track.get("lifted", ()))
    if lifted != (user in held):
        others = [other for other in held if other != user]
        batch.set(item, {"track": {**track, "lifted": [*others, user] if lifted else others}})


# --- classes ---------------------------------------------------------------------------------------------------------


def _classes(batch: Batch, facts: Facts, links: Links, matter: dict[int, Item]) -> None:
    """What lowers the class of one lowers that of all, unless something raises it in the same batch."""
    together = links.standing | links.fresh
    changed = [(item.before.klass, item.doc.klass, pk) for pk, item in matter.items()]
    lowered = [(now, pk) for before, now, pk in changed if now < before]
    raised = [(now, pk) for before, now, pk in changed if now > before]
    for now, pk in sorted(lowered):
        _give(batch, facts, _members(links.around(pk, links.standing), matter), now, at_most=True)
    for case_pk, _ in links.fresh:
        united = _members(links.around(case_pk, together), matter)
        _give(batch, facts, united, max((item.doc.klass for item in united), default=0))
    for now, pk in raised:
        _give(batch, facts, _members(links.around(pk, together | links.ended), matter), now)


def _members(pks: set[int], matter: dict[int, Item]) -> list[Item]:
    return [matter[pk] for pk in sorted(pks & matter.keys())]


def _give(batch: Batch, facts: Facts, items: Iterable[Item], klass: int, *, at_most: bool = False) -> None:
    for item in items:
        if item.doc.klass == klass or (item.doc.klass > klass) != at_most:
            continue
        before = dict(item.values)
        reclass(batch, facts, item, klass)
        if item.values.get("status") in OPEN_STATUSES:
            timing.happened(batch, facts, item, [], before=before)
