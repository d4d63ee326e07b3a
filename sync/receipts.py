"""Receipts: what a device has handed in, as the district can vouch for it (RE1 to RE4). Signed by ``server``."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from sync import content
from sync.errors import NotFound
from sync.store import Reader, Row
from sync.values import Collection, Doc, Head

VERSION = 1
WRITES_MAX = 500
LABEL = b"wangge receipt %d\0" % VERSION
_Text = Annotated[str, Meta(min_length=1, max_length=100)]


class Write(Struct, frozen=True, forbid_unknown_fields=True):
    """One write of a device: the document, and the write id it was sent with."""

    collection: _Text
    id: _Text
    w: _Text


class Asked(Struct, frozen=True, forbid_unknown_fields=True):
    """What a phone asks for; `device` is another one of its owner's, as after it was lost."""

    writes: Annotated[list[Write], Meta(max_length=WRITES_MAX)]
    device: _Text | None = None


class Vouched(Struct, frozen=True):
    """RE2: one write that is here. `n` is the number of its commit; `digest` of the content the phone owns."""

    collection: str
    id: str
    w: str
    n: int
    state: str  # stored, ledger (it lost a merge) or kept_aside
    digest: str | None = None


class Receipt(Struct, frozen=True):
    """What is signed. `at` is when it was made, ms: the writes were here by then."""

    wangge_receipt: int
    district: str
    author: str
    device: str
    epoch: int
    head: int
    at: int
    writes: list[Vouched]


def device_of(reader: Reader, user_pk: int, own: str, asked: Asked) -> Row:
    """The device that is asked about; ``NotFound`` for one that is not the asker's."""
    rows = reader.find("device", {"id": asked.device or own, "user_pk": user_pk}, limit=1)
    if not rows:
        raise NotFound
    return rows[0]


def receipt(
    reader: Reader, district: str, author: str, device: Row, writes: Sequence[Write], *, wall: int
) -> Receipt:
    """RE2, RE4: what of these writes this history holds, and no word of the others."""
    head: Head = reader.head()
    found = vouched(reader, device["pk"], writes)
    return Receipt(VERSION, district, author, device["id"], head.epoch, head.seq, wall, found)


def vouched(reader: Reader, device_pk: int, writes: Sequence[Write]) -> list[Vouched]:
    """Those of the writes that are here, in the order they were asked for."""
    docs = _documents(reader, writes)
    history = _history(reader, docs.values())
    beside = _beside(reader, device_pk, docs, writes)
    found = []
    for write in writes:
        doc = docs.get((write.collection, write.id))
        here = None if doc is None else _stored(doc, history.get(doc.pk, ()), device_pk, write)
        here = here or beside.get(write)
        if here is not None:
            found.append(here)
    return found


def _history(reader: Reader, docs: Iterable[Doc]) -> Mapping[int, Sequence[Row]]:
    """The states of these documents that were replaced, oldest first."""
    pks = [doc.pk for doc in docs]
    columns = ["doc_pk", "seq", "w", "device", "digest"]
    found: dict[int, list[Row]] = {}
    for row in reader.find("change", {"doc_pk": pks}, order=["seq", "pk"], columns=columns) if pks else ():
        found.setdefault(row["doc_pk"], []).append(row)
    return found


def _documents(reader: Reader, writes: Sequence[Write]) -> Mapping[tuple[str, str], Doc]:
    wanted: dict[str, set[bytes]] = {}
    for write in writes:
        if write.collection in Collection.__members__:
            try:
                key = content.id_bytes(Collection[write.collection], write.id)
            except ValueError:
                continue
            wanted.setdefault(write.collection, set()).add(key)
    return {
        (name, content.id_text(doc.collection, doc.id)): doc
        for name, keys in wanted.items()
        for doc in reader.documents(Collection[name], sorted(keys))
    }


def _stored(doc: Doc, past: Sequence[Row], device_pk: int, write: Write) -> Vouched | None:
    """The number at which a state with this write id began: the document's birth, or the update that made it."""
    begun = doc.born
    states = [(row["w"], row["device"], row["digest"], row["seq"]) for row in past]
    for w, device, digest, ended in [*states, (doc.w, doc.device, doc.digest, 0)]:
        if w == write.w and device == device_pk:
            told = None if digest is None else bytes(digest).hex()
            return Vouched(write.collection, write.id, write.w, begun, "stored", told)
        begun = ended
    return None


def _beside(
    reader: Reader, device_pk: int, docs: Mapping[tuple[str, str], Doc], writes: Sequence[Write]
) -> Mapping[Write, Vouched]:
    """What of these writes is kept beside the documents: in the ledger, or put aside."""
    found: dict[Write, Vouched] = {}
    ids = {doc.pk: key for key, doc in docs.items()}
    lines = reader.find("ledger", {"doc_pk": sorted(ids), "device": device_pk}, order=["pk"]) if ids else []
    kept = {"doc_id": sorted({write.id for write in writes}), "device": device_pk}
    rows = reader.find("quarantine", kept, order=["pk"]) if writes else []
    places = [(*ids[line["doc_pk"]], line, "ledger") for line in lines]
    places += [(content.NAMES[row["collection"]], row["doc_id"], row, "kept_aside") for row in rows]
    for name, identity, row, state in places:
        w = str(row["w"] or "").rpartition("#")[0]
        found.setdefault(Write(name, identity, w), Vouched(name, identity, w, row["seq"], state))
    return found


def encoded(made: Receipt) -> str:
    """The text that is signed."""
    return msgspec.json.encode(made).decode()


def read(text: Any) -> Receipt:
    """The receipt in a text; raises ``ValueError``."""
    return msgspec.json.decode(str(text), type=Receipt)
