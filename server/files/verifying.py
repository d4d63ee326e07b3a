"""Whether the bytes of every verified file are where they should be, and open, and are what they were."""

import hashlib
from collections.abc import Iterator

from msgspec import Struct

from server.files.keeper import NAMES_OF, read_blob
from server.files.store import BlobStore, BytesLost, blob_name, thumbnail_name
from sync.errors import KeyLost
from sync.sql_store import SqlStore
from sync.store import Row
from sync.values import Keys

_OPENED = 500  # of the newest files are read whole, unless all are asked for
_PAGE = 500


class Looked(Struct, frozen=True):
    """`lost` are keys of documents whose bytes are not there, `spoiled` of those whose bytes are not what they were."""

    held: int
    lost: list[int]
    spoiled: list[int]

    def faults(self) -> list[str]:
        """A sentence for each sort of fault."""
        found = []
        if self.lost:
            found.append(f"the bytes of {_files(self.lost)} are not in the store")
        if self.spoiled:
            found.append(f"the bytes of {_files(self.spoiled)} do not open or are not what was put there")
        return found


def _files(pks: list[int]) -> str:
    return f"{len(pks)} file{'s' if len(pks) > 1 else ''} of the collection `files`"


def look_over(code: str, store: SqlStore, keys: Keys, blobs: BlobStore, *, every: bool = False) -> Looked:
    """FI9: look for the bytes of every held file; read those of the newest, or of `every` one.

    Raises ``StoreUnavailable`` where the store cannot be asked.
    """
    there = {kept.name for folder in NAMES_OF for kept in blobs.kept(f"{code}/{folder}")}
    held, lost, spoiled = 0, [], []
    for row in _held(store):
        held += 1
        if not _is_there(code, row, there):
            lost.append(row["doc_pk"])
        elif (every or held <= _OPENED) and not _opens(code, store, keys, blobs, row):
            spoiled.append(row["doc_pk"])
    return Looked(held, _still_held(store, lost), _still_held(store, spoiled))


def _held(store: SqlStore) -> Iterator[Row]:
    """Rows of held bytes, the newest first, a short snapshot a page."""
    where: dict[str, object] = {"state": "held"}
    while True:
        with store.read() as reader:
            rows = reader.find("blob", where, order=["-pk"], limit=_PAGE)
        yield from rows
        if len(rows) < _PAGE:
            return
        where["pk__lt"] = rows[-1]["pk"]


def _is_there(code: str, row: Row, there: set[str]) -> bool:
    small = not row["thumbnail"] or thumbnail_name(code, row["address"]) in there
    return small and blob_name(code, row["address"]) in there


def _opens(code: str, store: SqlStore, keys: Keys, blobs: BlobStore, row: Row) -> bool:
    with store.read() as reader:
        [doc] = reader.documents_by_pk([row["doc_pk"]])
    try:
        body = read_blob(blobs, code, keys, doc, row)
        if row["thumbnail"]:
            read_blob(blobs, code, keys, doc, row, thumbnail=True)
    except (BytesLost, KeyLost):
        return False
    return hashlib.sha256(body).hexdigest() == str(row["sha256"])


def _still_held(store: SqlStore, pks: list[int]) -> list[int]:
    """What was erased while it was looked for is no fault."""
    found: list[int] = []
    for start in range(0, len(pks), _PAGE):
        with store.read() as reader:
            where = {"doc_pk": pks[start : start + _PAGE], "state": "held"}
            found += [row["doc_pk"] for row in reader.find("blob", where, columns=["doc_pk"])]
    return found
