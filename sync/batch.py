"""One unit of work: the documents it has in hand, what becomes of them, and the rows that say so.

A batch is filled by decisions and knows no database. Every row of it takes one number, ``n``, which is the number
after the head the facts were read at; ``commit.write`` puts it down in one transaction.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from msgspec import Struct, structs

from sync import content
from sync.cases.catalogue import STATUSES
from sync.content import NewKey, Said
from sync.store import Row
from sync.values import CLASSES, Chance, Collection, Doc, Head, Interval, Keys, Named, Place

_encode = msgspec.json.Encoder().encode
_STATUS_NUMBER = {code: number for number, code in enumerate(STATUSES)}
STATUS_CODES = tuple(STATUSES)
_PLACE_COLUMNS = {
    Place.cell: ("cell", "cell_since"),
    Place.duty: ("duty", "duty_since"),
    Place.person: ("person", "person_since"),
}
_OWN_KEY = frozenset({Collection.cases, Collection.households, Collection.visits})


def status_number(code: str | None) -> int | None:
    """The number of a status in rows; the order of the catalogue, which only grows."""
    return None if code is None else _STATUS_NUMBER.get(code)


class Met(Struct, frozen=True):
    """Who wrote the value that an edit met, on which device, and when it had come (ms)."""

    user: int | None = None
    device: int | None = None
    at: int | None = None


class Item:
    """One document in hand."""

    __slots__ = ("before", "created", "doc", "final", "fresh", "moved", "old", "said", "values", "wrote")

    def __init__(self, doc: Doc, values: dict[str, Any] | None, *, fresh: NewKey | None = None) -> None:
        self.before = doc
        self.doc = doc
        self.values: dict[str, Any] = {} if values is None else values
        self.fresh = fresh
        self.created = False
        self.old: dict[str, Any] = {}  # former values of changed fields
        self.moved = False  # a place, class or link changed: children follow
        self.wrote = False  # content changed
        self.final: Doc | None = None  # the row as written
        self.said: Said | None = None  # what its phone wrote, of a capture

    @property
    def id(self) -> str:
        return content.id_text(self.doc.collection, self.doc.id)

    @property
    def klass(self) -> str:
        return CLASSES[self.doc.klass]


class Batch:
    """See the module's head. `actor` and `device` are keys of rows, None for the system."""

    def __init__(
        self, head: Head, *, now: int, chance: Chance, keys: Keys, actor: int | None, device: int | None
    ) -> None:
        self.head = head
        self.n = head.seq + 1
        self.now = now
        self.chance = chance
        self.keys = keys
        self.actor = actor
        self.device = device
        self.next_pk = head.next_pk
        self.items: dict[tuple[int, bytes], Item] = {}
        self.replaced: list[Row] = []  # writes of this batch that a later row of it replaced
        self.places: list[Interval] = []
        self.classes: list[Row] = []
        self.opened: list[Row] = []  # namings and denials
        self.closed: list[Named] = []
        self.ledger: list[Row] = []
        self.ledgered: set[tuple[int, str, str | None]] = set()  # lines already there: a repeat adds none
        self.quarantine: list[Row] = []
        self.completed: list[Row] = []  # rows put aside before that have gained what they came without
        self.clocks: dict[int, Row] = {}
        self.firings: list[Row] = []
        self.escalations: dict[int, dict[str, Row]] = {}  # by case and id
        self.query_codes: list[Row] = []
        self.waiting: list[Row] = []  # entries that begin to wait for their case
        self.linked: list[int] = []  # entries that have found it
        self.arrived: list[int] = []  # rows put aside whose write has been handed in again and taken
        self.series: dict[str, int] = {}
        self.marks: dict[str, tuple[int, int]] | None = None
        self.open_parts: dict[int, bytes] = {}  # what this batch has just sealed, for the answer
        self.effects: list[str] = []  # what the audit record tells besides the documents

    # --- documents ---------------------------------------------------------------------------------------------------

    def take(self, doc: Doc) -> Item:
        """The item of a stored document, its content opened once."""
        key = (doc.collection, doc.id)
        item = self.items.get(key)
        if item is None:
            item = self.items[key] = Item(doc, content.whole(doc, self.keys))
        return item

    def husk(self, doc: Doc) -> Item:
        """The item of a stored document of which nothing but the id is wanted: no key is needed."""
        key = (doc.collection, doc.id)
        item = self.items[key] = Item(doc, {"id": content.id_text(doc.collection, doc.id)})
        return item

    def held(self, collection: int, key: bytes) -> Item | None:
        """The item in hand under this id."""
        return self.items.get((collection, key))

    def create(
        self,
        collection: int,
        key: bytes,
        values: dict[str, Any],
        *,
        klass: int = 0,
        cell: int | None = None,
        person: int | None = None,
        author: int | None = None,
        writer: int | None = None,
        parent: Item | None = None,
        of_case: Item | None = None,
        entry_class: int | None = None,
        own: bool = False,
        w: str | None = None,
        device: int | None = None,
        digest: bytes | None = None,
    ) -> Item:
        """A new document.

        A child of `parent` takes its case's places, class and key; a task `of_case` has a place of its own and
        follows its case's class and cell; `own`: an entry that waits for its case.
        """
        n = self.n
        pk, self.next_pk = self.next_pk, self.next_pk + 1
        fresh = None
        dek = None
        if parent is not None:
            dek = parent.doc.dek
            fresh = parent.fresh
        elif (
            collection in _OWN_KEY
            or collection in {Collection.entries, Collection.files}
            or "words" in values
        ):
            fresh = NewKey(self.keys, self.chance)
            dek = fresh.wrapped
        if parent is None and of_case is None and not own:
            status, code = (
                (status_number(values.get("status")), values.get("code"))
                if collection == Collection.cases
                else (None, None)
            )
            # The common case, by position: naming thirty fields costs more than filling them.
            doc = Doc(
                pk, collection, key, n, n, None, n,
                cell, None if cell is None else n, None, None, person, None if person is None else n,
                author, None if author is None else n, klass, n, writer, entry_class, None, None, None,
                False, w, device, digest, status, code, dek, b"", None,  # the column `history`
            )  # fmt: skip
            return self._made(collection, key, doc, values, fresh)
        up = parent.doc if parent is not None else None
        follows = of_case.doc if of_case is not None else up
        doc = Doc(
            pk=pk,
            collection=collection,
            id=key,
            seq=n,
            born=n,
            gone=None,
            v=n,
            cell=up.cell if up else cell,
            cell_since=(up.cell_since if up else n) if (up.cell if up else cell) is not None else None,
            duty=up.duty if up else None,
            duty_since=up.duty_since if up else None,
            person=up.person if up else person,
            person_since=up.person_since if up else (n if person is not None else None),
            author=up.author if up else author,
            author_since=up.author_since if up else (n if author is not None else None),
            klass=follows.klass if follows else klass,
            klass_since=follows.klass_since if follows else n,
            writer=writer,
            entry_class=entry_class,
            case_pk=follows.pk if follows else None,
            link=n if up else None,
            own_since=n if own else None,
            history=False,
            w=w,
            device=device,
            digest=digest,
            status=status_number(values.get("status")) if collection == Collection.cases else None,
            code=values.get("code") if collection == Collection.cases else None,
            dek=dek,
            clear=b"",
            sealed=None,
        )
        return self._made(collection, key, doc, values, fresh)

    def _made(
        self, collection: int, key: bytes, doc: Doc, values: dict[str, Any], fresh: NewKey | None
    ) -> Item:
        item = Item(doc, values, fresh=fresh)
        item.created = item.wrote = True
        self.items[collection, key] = item
        return item

    def set(self, item: Item, fields: Mapping[str, Any]) -> None:
        """Give fields new values; equal ones leave no trace."""
        for name, value in fields.items():
            former = item.values.get(name)
            if former == value:
                continue
            if not item.created:
                item.old.setdefault(name, former)
            item.wrote = True
            if value is None:
                item.values.pop(name, None)
            else:
                item.values[name] = value
        if item.doc.collection == Collection.cases and ("status" in fields or "code" in fields):
            item.doc = structs.replace(
                item.doc, status=status_number(item.values.get("status")), code=item.values.get("code")
            )

    def stamp(self, item: Item, *, w: str | None, device: int | None, digest: bytes | None) -> None:
        """The write that makes the new state; a server's own write has none.

        A write of this very batch that it replaces is kept like any other, or its repeat would be taken for new.
        """
        former = item.doc
        if former.w is not None and (item.created or former.w != item.before.w):
            self.replaced.append(self._change(former, fields="", delta=b""))
        item.doc = structs.replace(item.doc, w=w, device=device, digest=digest)

    def mint(self, collection: int, values: dict[str, Any], **places: Any) -> Item:
        """A document the server makes itself, with an id of its own."""
        identity = self.chance.uuid7(self.now)
        values = {"id": identity, **values}
        return self.create(collection, content.id_bytes(collection, identity), values, **places)

    # --- places ------------------------------------------------------------------------------------------------------

    def _close(self, item: Item, kind: Place, tag: int | None, since: int | None) -> None:
        if tag is None or since is None or since >= self.n:
            return  # never open, or opened at this very number: nobody can have seen it
        doc = item.doc
        self.places.append(Interval(doc.pk, doc.collection, int(kind), tag, since, self.n))
        item.doc = structs.replace(item.doc, history=True)

    def place(self, item: Item, kind: Place, tag: int | None) -> None:
        """Move a document to another tag of one kind; the former place becomes an interval row."""
        name, since_name = _PLACE_COLUMNS[kind]
        former = getattr(item.doc, name)
        if former == tag:
            return
        self._close(item, kind, former, getattr(item.doc, since_name))
        changes: dict[str, Any] = {name: tag, since_name: None if tag is None else self.n}
        item.doc = structs.replace(item.doc, **changes)
        item.moved = True

    def close_author(self, item: Item) -> None:
        """VI8: the author's place ends with the first re-assignment by a person or a generation; it never reopens."""
        if item.doc.author_since is None:
            return
        self._close(item, Place.author, item.doc.author, item.doc.author_since)
        item.doc = structs.replace(item.doc, author_since=None)
        item.moved = True

    def set_class(self, item: Item, klass: int) -> None:
        """Another protection class; the former one becomes a row."""
        doc = item.doc
        if doc.klass == klass:
            return
        if doc.klass_since < self.n:
            row = {"doc_pk": doc.pk, "klass": doc.klass, "v_from": doc.klass_since, "v_to": self.n}
            self.classes.append(row)
            item.doc = structs.replace(item.doc, history=True)
        item.doc = structs.replace(item.doc, klass=klass, klass_since=self.n)
        self.set(item, {"protection": CLASSES[klass]})
        item.wrote = True  # what is sealed depends on the class
        item.moved = True

    def link(self, item: Item, parent: Item) -> None:
        """An entry that waited finds its case."""
        self._close(item, Place.author, item.doc.author, item.doc.author_since)
        up = parent.doc
        item.doc = structs.replace(
            item.doc,
            own_since=None,
            link=self.n,
            case_pk=up.pk,
            cell=up.cell,
            cell_since=up.cell_since,
            duty=up.duty,
            duty_since=up.duty_since,
            person=up.person,
            person_since=up.person_since,
            author=up.author,
            author_since=up.author_since,
            klass=up.klass,
            klass_since=up.klass_since,
            history=True,
        )  # its key stays its own: history and ledger were sealed under it
        item.wrote = True

    def name(self, case: Item, user_pk: int, known: Iterable[Named], *, denied: bool = False) -> None:
        """Name somebody for a case, or recuse somebody from it."""
        live = any(
            r.user_pk == user_pk and r.denied == denied and r.v_to is None and r not in self.closed
            for r in known
        )
        pending = any(
            r["user_pk"] == user_pk and r["case_pk"] == case.doc.pk and r["denied"] == denied
            for r in self.opened
        )
        if not live and not pending:
            row = {
                "user_pk": user_pk,
                "case_pk": case.doc.pk,
                "denied": denied,
                "v_from": self.n,
                "v_to": None,
            }
            self.opened.append(row)
            self.effects.append(f"{'recuse' if denied else 'name'}:{user_pk}:{case.doc.pk}")

    def unname(self, case: Item, user_pk: int, known: Iterable[Named], *, denied: bool = False) -> None:
        """End a naming or a recusal."""
        for row in known:
            if row.user_pk == user_pk and row.denied == denied and row.v_to is None:
                self.closed.append(row)
                self.effects.append(f"{'lift' if denied else 'unname'}:{user_pk}:{case.doc.pk}")

    # --- what is kept beside -----------------------------------------------------------------------------------------

    def keep(
        self,
        reason: str,
        payload: Any,
        *,
        collection: int,
        doc_id: str,
        case_pk: int | None = None,
        parent_id: str | None = None,
        w: str | None = None,
        user_pk: int | None = None,
    ) -> Row:
        """QU1: put something into quarantine, sealed under a key of its own; returns its row.

        `case_pk` is the case it is about, `parent_id` what it says it hangs on: an erasure of either empties it.
        """
        identity = self.chance.uuid7(self.now)
        fresh = NewKey(self.keys, self.chance)
        body = payload if isinstance(payload, bytes) else _encode(payload)
        nonce = self.chance.bytes(12)
        row = {
            "id": identity,
            "seq": self.n,
            "at": self.now,
            "reason": reason,
            "user_pk": self.actor if user_pk is None else user_pk,
            "device": self.device,
            "collection": collection,
            "doc_id": doc_id,
            "case_pk": case_pk,
            "parent_id": parent_id,
            "w": w,
            "dek": fresh.wrapped,
            "payload": nonce + fresh.cipher.encrypt(nonce, body, identity.encode()),
            "state": "open",
        }
        self.quarantine.append(row)
        return row

    def complete(self, row: Row, payload: Any, *, case_pk: int | None) -> None:
        """QU2: what was put aside, by this batch or before, holds this now, under the key it has."""
        label = row["id"].encode()
        row["payload"] = content.seal(self.keys, self.chance, row["dek"], _encode(payload), label)
        if row["case_pk"] is None:
            row["case_pk"] = case_pk
        if "pk" in row:
            self.completed.append(row)
            self.effects.append(f"quarantine:{row['pk']}")

    def dispute(
        self,
        item: Item,
        field: str,
        rule: str,
        values: Mapping[str, Any],
        *,
        w: str | None,
        met: Met,
        decided: str | None = None,
        wrote_at: int | None = None,
    ) -> None:
        """ME8: a line of the ledger: `values` are base, winner and loser.

        `decided` says whose the winner is, `mine` of what was pushed or `theirs`; `wrote_at` is when the phone wrote
        it, as far as can be told.
        """
        if (item.doc.pk, field, w) in self.ledgered:
            return
        self.ledgered.add((item.doc.pk, field, w))
        body = _encode(values)
        doc = item.doc
        if doc.dek is not None:
            body = self._seal(item, body, b"ledger")
        self.ledger.append(
            {
                "doc_pk": doc.pk,
                "seq": self.n,
                "at": self.now,
                "field": field,
                "rule": rule,
                "state": "auto",
                "user_pk": self.actor,
                "device": self.device,
                "w": w,
                "other_device": met.device,
                "other_user": met.user,
                "other_at": met.at,
                "decided": decided,
                "wrote_at": wrote_at,
                "payload": body,
            }
        )

    def _seal(self, item: Item, body: bytes, purpose: bytes) -> bytes:
        label = content.label_of(item.doc.collection, item.doc.id) + purpose
        if item.fresh is not None:
            nonce = self.chance.bytes(12)
            return nonce + item.fresh.cipher.encrypt(nonce, body, label)
        if item.doc.dek is None:
            return body
        return content.seal(self.keys, self.chance, item.doc.dek, body, label)

    def former(self, item: Item, delta: bytes) -> dict[str, Any]:
        """The values that one update of a stored document replaced."""
        body = bytes(delta)
        if body and item.before.dek is not None:
            label = content.label_of(item.doc.collection, item.doc.id) + b"change"
            body = content.unseal(self.keys, item.before.dek, body, label)
        values: dict[str, Any] = msgspec.json.decode(body) if body else {}
        return values

    def notice(
        self,
        user_pk: int,
        user_id: str,
        kind: str,
        code: str,
        args: Mapping[str, Any],
        *,
        of_case: Item | None = None,
        words: str | None = None,
    ) -> None:
        """Tell somebody something on every phone of theirs; a notice of a case goes when he is recused from it.

        `words` are what a person wrote to him: sealed under a key of the notice.
        """
        values: dict[str, Any] = {
            "user": user_id,
            "kind": kind,
            "code": code,
            "at": self.now,
            "args": dict(args),
        }
        if words is not None:
            values["words"] = words
        self.mint(Collection.notices, values, author=user_pk, writer=user_pk, of_case=of_case)

    # --- rows --------------------------------------------------------------------------------------------------------

    def changes(self) -> list[Row]:
        """The reverse delta of every updated document, with the write it replaces."""
        rows: list[Row] = []
        for item in self.items.values():
            if item.created or not item.wrote or not item.old:
                continue
            delta = self._seal(item, _encode(item.old), b"change")
            rows.append(self._change(item.before, fields=",".join(sorted(item.old)), delta=delta))
        return rows + self.replaced

    def _change(self, former: Doc, *, fields: str, delta: bytes) -> Row:
        return {
            "doc_pk": former.pk,
            "seq": self.n,
            "at": self.now,
            "actor": self.actor,
            "by_device": self.device,
            "w": former.w,
            "device": former.device,
            "digest": former.digest,
            "fields": fields,
            "delta": delta,
        }

    def finished(self, item: Item) -> Doc:
        """The row of an item as it will stand; sealed once, so what is written is what is answered."""
        if item.final is not None:
            return item.final
        doc = item.doc
        if item.wrote:
            clear, sealed, self.open_parts[doc.pk] = content.pack(
                doc.collection,
                doc.id,
                item.values,
                doc.klass,
                doc.entry_class,
                dek=item.fresh or doc.dek,
                keys=self.keys,
                chance=self.chance,
                said=item.said,
            )
            doc = structs.replace(doc, clear=clear, sealed=sealed, v=self.n, seq=self.n)
        elif item.moved:
            doc = structs.replace(doc, seq=self.n)
        item.final = doc
        return doc

    def empty(self) -> bool:
        """Whether nothing at all is to be written."""
        touched = any(item.wrote or item.moved for item in self.items.values())
        beside = self.ledger or self.quarantine or self.completed
        return not (touched or self.opened or self.closed or beside or self.clocks)
