"""Who reads what was put aside: by what it is about, and by what it says where that is not here (QU1, QU7)."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct

from server.console.scope import Sight, find_document
from sync import content
from sync.cases.catalogue import CATEGORIES
from sync.cases.kept import FIELDS_REFUSED
from sync.config import OUTSIDE
from sync.errors import KeyLost
from sync.push_body import rescue
from sync.store import Reader, Row
from sync.values import FOREVER, SEALED, Collection, Doc, Level, Place, Reach
from sync.visibility import CHILDREN

_PARENTS: Final = ("case_id", "owner_id")


class About(Struct, frozen=True):
    """What a kept row speaks of.

    docs: as far as it is here; lost: whether it hangs on what is not; sealed: whether it says that it is to be sealed,
    or cannot be asked.
    """

    docs: Sequence[Doc]
    lost: bool
    sealed: bool


def payload_of(sight: Sight, row: Row) -> Any:
    """The kept payload; None where its key has been dropped."""
    try:
        plain = content.unseal(sight.keys, row["dek"], row["payload"], row["id"].encode())
    except KeyLost:
        return None
    try:
        return msgspec.json.decode(plain)
    except msgspec.DecodeError:
        return {"raw": plain.decode(errors="replace")}


def about(reader: Reader, row: Row, payload: Any) -> About:
    """What a row is, what it hangs on, and what its words say of who may read them."""
    new, base = _new_and_base(row, payload)
    told = [text for text in (new, base) if text is not None]
    own = find_document(reader, row["collection"], row["doc_id"])
    docs = [own] + [
        find_document(reader, Collection.cases, text["id"]) for text in told if _is_text(text, "id")
    ]
    docs += reader.documents_by_pk([row["case_pk"]]) if row["case_pk"] is not None else []
    named = {text[name] for text in told for name in _PARENTS if _is_text(text, name)}
    found = [_parents(reader, identity) for identity in sorted(named)]
    if own is not None and own.own_since is not None:
        found.append(_awaited(reader, own))
    known = {doc.pk: doc for doc in (*docs, *(doc for some in found for doc in some)) if doc is not None}
    # Its own row, while that waits for its case, is its author's alone; what he wrote is not.
    spoken_of = [doc for doc in known.values() if doc.own_since is None]
    lost = any(not some for some in found) or (row["collection"] in CHILDREN and not spoken_of)
    if spoken_of:
        # A case that is here and was known as sealed has been opened by its director: only what is new counts.
        sealed = new is not None and _says_sealed(new) and not _says_sealed(base)
    else:
        sealed = new is None or _says_sealed(new) or _says_sealed(base)
    return About(spoken_of, lost=lost and payload is not None, sealed=sealed)


def _new_and_base(row: Row, payload: Any) -> tuple[Mapping[str, Any] | None, Mapping[str, Any]]:
    """What was kept, None where it cannot be read, and the base it came with."""
    if payload is None:
        return {}, {}  # nothing is left of it
    if not isinstance(payload, dict):
        return None, {}
    if row["reason"] == FIELDS_REFUSED:
        return payload, {}
    new, base = payload.get("new", payload), payload.get("base")
    if isinstance(new, dict) and _is_text(new, "raw"):
        new = rescue(new["raw"].encode())
    return (new if isinstance(new, dict) else None), (base if isinstance(base, dict) else {})


def _is_text(text: Mapping[str, Any], name: str) -> bool:
    return isinstance(text.get(name), str)


def _parents(reader: Reader, identity: str) -> list[Doc]:
    """What an id names that something can hang on: a case, a visit, or an entry with its case; empty if not here."""
    case = find_document(reader, Collection.cases, identity)
    if case is not None:
        return [case]
    entry = find_document(reader, Collection.entries, identity)
    if entry is None:
        visit = find_document(reader, Collection.visits, identity)
        return [] if visit is None else [visit]
    if entry.own_since is not None:
        return _awaited(reader, entry)
    return [entry, *reader.documents_by_pk([entry.case_pk] if entry.case_pk is not None else [])]


def _awaited(reader: Reader, doc: Doc) -> list[Doc]:
    """What a row that waits is to hang on, as far as that is here: its author alone does not see it."""
    rows = reader.find("waiting", {"entry_pk": doc.pk}, columns=["case_id"])
    ids = [content.id_text(Collection.cases, bytes(row["case_id"])) for row in rows]
    return [parent for identity in ids for parent in _parents(reader, identity)]


def _says_sealed(told: Mapping[str, Any]) -> bool:
    """Whether the words are of what is kept sealed."""
    category = told.get("category")
    row = CATEGORIES.get(category) if isinstance(category, str) else None
    by_category = row is not None and row.protection == "sealed"
    return by_category or told.get("kind") == "tip_off" or told.get("protection") == "sealed"


def is_kept_sealed(about: About) -> bool:
    """Whether it is, or may be, of something sealed."""
    return about.lost or about.sealed or any(doc.klass == SEALED for doc in about.docs)


def may_open(sight: Sight, row: Row, about: About) -> bool:
    """Whether this person of the centre reads it: it is of cases he sees in full, or of none and of his own workers.

    QU7: what may belong to a sealed case that nobody can ask yet is read by those to whom sealed cases come.
    """
    docs = about.docs
    if any(doc.gone is not None or sight.level(doc) != Level.full for doc in docs):
        return False
    if docs and not about.lost and (not about.sealed or any(doc.klass == SEALED for doc in docs)):
        return True
    cells = {doc.cell for doc in docs if doc.cell is not None} or _cells_of(sight, row["user_pk"])
    if (about.lost or about.sealed) and not _keeps_sealed(sight, cells):
        return False
    return bool(docs) or _is_own_worker(sight, cells)


def _cells_of(sight: Sight, user_pk: int | None) -> set[int]:
    """Where an author works now; nowhere for whom nobody knows."""
    holds = sight.config.holds(user_pk) if user_pk is not None else ()
    return {hold.tag for hold in holds if hold.kind == Place.cell and hold.v_to == FOREVER}


def _keeps_sealed(sight: Sight, cells: set[int]) -> bool:
    """Whether sealed cases of a place come to this person: its director, or the clerk whom the district names."""
    config = sight.config
    account = config.accounts[sight.user_pk]
    clerk = config.settings.get("sealed_clerk")
    if clerk is not None and clerk in {account.username, account.id}:
        return True
    return any("centre_director" in config.roles_at(sight.user_pk, cell) for cell in cells | {OUTSIDE})


def _is_own_worker(sight: Sight, cells: set[int]) -> bool:
    mine = {
        tag
        for (kind, tag), holds in sight.viewer.holds.items()
        if kind == Place.cell
        and any(hold.reach is Reach.centre and hold.v_from <= sight.n < hold.v_to for hold in holds)
    }
    # The district's centre: somebody has to see what belongs to nobody.
    return OUTSIDE in mine or bool(mine & cells)
