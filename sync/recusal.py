"""Who is named for a case, and who is kept from it (回避): rows that move visibility like a place does."""

from sync.batch import Batch, Item
from sync.config import duty_tag
from sync.facts import Facts
from sync.values import Place

# Who is kept from a case about the community's own staff, besides the cell's other workers.
_STAFF_ROLES = frozenset({"grid_leader", "community_officer", "community_leader"})
_CELL_ROLES = frozenset({"grid_worker", "grid_assistant"})
KEPT_FROM_STAFF_CASES = _STAFF_ROLES | _CELL_ROLES


def seal_to(batch: Batch, facts: Facts, item: Item, author: int | None) -> None:
    """Sealed at birth: the author, the centre's director, and the one clerk the district names."""
    people = sealed_to(facts, item)
    if author is not None and item.doc.author_since is not None:
        people.add(author)
    known = facts.namings.get(item.doc.pk, [])
    for user_pk in sorted(people):
        batch.name(item, user_pk, known)


def sealed_to(facts: Facts, item: Item) -> set[int]:
    """Who keeps any sealed case of this place: the centre's director, and the one clerk the district names."""
    config = facts.config
    clerk = config.settings.get("sealed_clerk")
    clerks = {
        row.pk for row in config.accounts.values() if clerk is not None and clerk in {row.username, row.id}
    }
    return set(config.holders(frozenset({"centre_director"}), item.doc.cell)) | clerks


def recuse_staff(batch: Batch, facts: Facts, item: Item) -> None:
    """回避 by flag: those who hold office at the case's cell or community, and the cell's other workers."""
    config = facts.config
    cell = item.doc.cell
    known = facts.namings.get(item.doc.pk, [])
    people = {*config.holders(_STAFF_ROLES, cell), *config.holders(_CELL_ROLES, cell)} - {item.doc.writer}
    lifted = set((item.values.get("track") or {}).get("lifted", ()))
    for user_pk in sorted(people):
        account = config.accounts.get(user_pk)
        if account is not None and account.id not in lifted:
            batch.name(item, user_pk, known, denied=True)
    tell_recused(batch, facts, item)
    if item.doc.person in denied(batch, facts, item):
        _take_back(batch, item)


def _take_back(batch: Batch, item: Item) -> None:
    """Who is recused has the case no longer: it lies in its unit's pool again, or with nobody."""
    handler = item.values.get("handler")
    if handler is not None:
        batch.set(item, {"handler": {**handler, "user": None}})
    if item.doc.duty is not None:
        batch.place(item, Place.duty, duty_tag(item.doc.duty // 2, assigned=False))
    batch.place(item, Place.person, None)


def tell_recused(batch: Batch, facts: Facts, item: Item) -> None:
    users = sorted(denied(batch, facts, item))
    ids = [facts.config.accounts[pk].id for pk in users if pk in facts.config.accounts]
    batch.set(item, {"recused": ids or None})


def denied(batch: Batch, facts: Facts, item: Item) -> set[int]:
    """Who may not know of the case."""
    return _people(batch, facts, item, denied=True)


def named(batch: Batch, facts: Facts, item: Item) -> set[int]:
    """Who is named for the case."""
    return _people(batch, facts, item, denied=False)


def _people(batch: Batch, facts: Facts, item: Item, *, denied: bool) -> set[int]:
    pk = item.doc.pk
    closed = {row.pk for row in batch.closed}
    stored = {
        row.user_pk
        for row in facts.namings.get(pk, ())
        if row.denied is denied and row.v_to is None and row.pk not in closed
    }
    return stored | {
        row["user_pk"] for row in batch.opened if row["case_pk"] == pk and row["denied"] is denied
    }
