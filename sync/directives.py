"""What an act, or an edit, orders about a case's places, class and people."""

from sync import placing
from sync.batch import Batch, Item
from sync.cases import lifecycle
from sync.cases.lifecycle import Directive
from sync.config import OUTSIDE, OUTSIDE_CODE, duty_tag
from sync.facts import Facts
from sync.recusal import denied, recuse_staff, seal_to, sealed_to, tell_recused
from sync.values import CLASSES, SEALED, Level, Place

_KEEPERS = frozenset({"centre_director"})


def follow(batch: Batch, facts: Facts, item: Item, directive: Directive) -> None:  # noqa: C901  # one arm each
    """Do what one directive says."""
    config = facts.config
    known = facts.namings.get(item.doc.pk, [])
    match directive:
        case lifecycle.Dispatch(unit=unit, user=user):
            _dispatch(batch, facts, item, unit, user)
        case lifecycle.Handler(user=user):
            hand_to(batch, facts, item, user)
        case lifecycle.ClearHandler():
            _let_go(batch, facts, item, None)
            batch.place(item, Place.duty, None)
            batch.place(item, Place.person, None)
        case lifecycle.Name(user=user):
            # A helping unit's people are named, not its administrator or auditor: they have no case in view.
            if (account := config.account_by_id.get(user)) is not None and config.may_have_cases(account.pk):
                batch.name(item, account.pk, known)
        case lifecycle.Unname(user=user):
            if (account := config.account_by_id.get(user)) is not None:
                batch.unname(item, account.pk, known)
        case lifecycle.Recuse(user=user):
            if (account := config.account_by_id.get(user)) is not None:
                batch.name(item, account.pk, known, denied=True)
                tell_recused(batch, facts, item)
        case lifecycle.LiftRecusal(user=user):
            if (account := config.account_by_id.get(user)) is not None:
                batch.unname(item, account.pk, known, denied=True)
                tell_recused(batch, facts, item)
        case lifecycle.SetClass(protection=protection):
            reclass(batch, facts, item, CLASSES.index(protection))
        case lifecycle.SetPlace():
            _set_place(batch, facts, item, directive)
        case lifecycle.MergeInto(case_id=master):
            batch.set(item, {"master_case": master})


def _dispatch(batch: Batch, facts: Facts, item: Item, unit: str | None, user: str | None) -> None:
    """To a unit, whose handlers all see it until one person has it; a sealed case only to whom it names."""
    config = facts.config
    row = config.unit_by_code.get(unit) if unit else None
    handler = config.account_by_id.get(user) if user else None
    _let_go(batch, facts, item, None if handler is None else handler.pk)
    batch.place(item, Place.duty, None if row is None else duty_tag(row.pk, assigned=handler is not None))
    batch.place(item, Place.person, None if handler is None else handler.pk)
    if handler is not None and item.doc.klass == SEALED and config.may_have_cases(handler.pk):
        batch.name(item, handler.pk, facts.namings.get(item.doc.pk, []))


def hand_to(batch: Batch, facts: Facts, item: Item, user: str | None) -> None:
    """Another person of the same unit."""
    handler = facts.config.account_by_id.get(user) if user else None
    _let_go(batch, facts, item, None if handler is None else handler.pk)
    if item.doc.duty is not None:
        batch.place(item, Place.duty, duty_tag(item.doc.duty // 2, assigned=handler is not None))
    batch.place(item, Place.person, None if handler is None else handler.pk)
    if handler is not None and item.doc.klass == SEALED and facts.config.may_have_cases(handler.pk):
        batch.name(item, handler.pk, facts.namings.get(item.doc.pk, []))


def _let_go(batch: Batch, facts: Facts, item: Item, following: int | None) -> None:
    """Who had a sealed case and has it no longer is no longer named for it, unless he is for another reason."""
    former = item.doc.person
    if former is None or former == following or item.doc.klass != SEALED:
        return
    writes = former == item.doc.author and item.doc.author_since is not None
    if not writes and not _stays_named(facts, item, former):
        batch.unname(item, former, facts.namings.get(item.doc.pk, []))


def _stays_named(facts: Facts, item: Item, user_pk: int) -> bool:
    """Whether somebody is named for a case for another reason than having written or handled it."""
    config = facts.config
    account = config.accounts.get(user_pk)
    if account is None:
        return False
    keeps = config.roles_at(user_pk, item.doc.cell) & _KEEPERS
    clerk = config.settings.get("sealed_clerk") in {account.id, account.username}
    return bool(keeps) or clerk or (item.values.get("sponsor") or {}).get("user") == account.id


def reclass(batch: Batch, facts: Facts, item: Item, klass: int) -> None:
    """Another protection class; sealing names those who keep the case, and opening it ends that again."""
    former = item.doc.klass
    batch.set_class(item, klass)
    if former == SEALED and klass != SEALED:
        _open_again(batch, facts, item)
    if klass == SEALED and former != SEALED:
        seal_to(batch, facts, item, item.doc.writer if item.doc.author_since is not None else None)
        if item.doc.person is not None:
            batch.name(item, item.doc.person, facts.namings.get(item.doc.pk, []))


def _open_again(batch: Batch, facts: Facts, item: Item) -> None:
    """From here on they see the case by where it is: else they would still when it is elsewhere."""
    config = facts.config
    sponsor = config.account_by_id.get((item.values.get("sponsor") or {}).get("user") or "")
    people = {item.doc.person, *sealed_to(facts, item)}
    if item.doc.author_since is not None:
        people.add(item.doc.author)
    for user_pk in sorted(pk for pk in people - {None if sponsor is None else sponsor.pk} if pk is not None):
        batch.unname(item, user_pk, facts.namings.get(item.doc.pk, []))


def _set_place(batch: Batch, facts: Facts, item: Item, directive: lifecycle.SetPlace) -> None:
    """A person says where the case is: that stands until another person says otherwise."""
    if directive.location is not None:
        batch.set(item, {"location": directive.location})
    former = item.values.get("cell")
    if directive.cell is not None:
        row = facts.config.cell_by_code.get(directive.cell)
        cell_pk, code = (row.pk, row.code) if row is not None else (OUTSIDE, OUTSIDE_CODE)
    else:
        cell_pk, code = placing.place_by_word(facts.config, directive.location or {})
    record = placing.word_of(
        former if isinstance(former, str) else None,
        code,
        by=directive.by,
        at=batch.now,
        evidence=directive.evidence,
    )
    batch.set(item, {"assignment": record})
    move(batch, facts, item, cell_pk, code)


def end_authorship(batch: Batch, facts: Facts, item: Item) -> None:
    """The author's place ends, and what he was named for in a sealed case because he had written it."""
    author = item.doc.author
    batch.close_author(item)
    named = item.doc.klass == SEALED and author is not None and author != item.doc.person
    if named and author is not None and not _stays_named(facts, item, author):
        batch.unname(item, author, facts.namings.get(item.doc.pk, []))


def move(batch: Batch, facts: Facts, item: Item, cell_pk: int, code: str) -> None:
    """Re-assignment by a person or a generation: the author's place ends, he keeps a notice."""
    author, was_open = item.doc.author, item.doc.author_since is not None
    if item.doc.cell == cell_pk:
        batch.set(item, {"cell": code})
        return
    batch.place(item, Place.cell, cell_pk)
    batch.set(item, {"cell": code, "cell_generation": facts.config.generation})
    end_authorship(batch, facts, item)
    if item.values.get("involves_staff"):
        recuse_staff(batch, facts, item)
    account = facts.config.accounts.get(author) if author is not None else None
    if account is None or not was_open or account.pk in denied(batch, facts, item):
        return
    if facts.level(account.pk, item.doc, batch.opened, batch.closed) != Level.full:
        args = {"id": item.id, "case_code": item.values.get("code"), "status": item.values.get("status")}
        batch.notice(account.pk, account.id, "moved_out", "moved_out", args, of_case=item)
