"""One collection as a phone keeps it: the person's copy, what the phone takes for the master, how far it has pulled.

It behaves as RxDB 17 does, blind spots included, since a server that is right only for better phones is not right:

- a pulled document is passed over while the person's copy has an edit that was not pushed, and the checkpoint moves on;
- a checkpoint is merged into the one before, key by key, and kept after the documents of its page;
- a pushed row that is not answered counts as accepted as it was sent; an answered one is adopted as the master's;
- if the person has changed the document meanwhile, nothing is adopted and the row goes out again on its old base.
"""

from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from typing import Any

Document = dict[str, Any]


class Shelf:
    """One collection of one phone. `mine` is what the person sees, `master` what the server last was known to have."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.mine: dict[str, Document] = {}
        self.master: dict[str, Document] = {}
        self.checkpoint: Document | None = None
        self.evicted: set[str] = set()  # documents that a tombstone took away
        self.adopted = 0  # answers that differed from what was sent

    def documents(self) -> dict[str, Document]:
        """What the person sees, by id."""
        return {key: doc for key, doc in self.mine.items() if not doc["_deleted"]}

    def unsent(self) -> list[str]:
        """Ids whose last edit the server has not taken yet, as far as the phone knows."""
        return [key for key, doc in self.mine.items() if self.master.get(key) != doc]

    def write(self, values: Mapping[str, Any]) -> Document:
        """Create or edit the document ``values["id"]``; returns the new state."""
        former = self.mine.get(values["id"], {"_deleted": False})
        self.mine[values["id"]] = {**former, **deepcopy(dict(values))}
        return self.mine[values["id"]]

    def rows(self, ids: Iterable[str] | None = None) -> list[Document]:
        """Rows of a push: of these documents, or of all unsent ones."""
        rows = []
        for key in self.unsent() if ids is None else ids:
            row = {"newDocumentState": deepcopy(self.mine[key])}
            if key in self.master:
                row["assumedMasterState"] = deepcopy(self.master[key])
            rows.append(row)
        return rows

    def take_page(self, page: Mapping[str, Any]) -> bool:
        """Store a pulled page; False when it is empty, which ends the pull and leaves the checkpoint alone."""
        if not page["documents"]:
            return False
        for doc in page["documents"]:
            key = doc["id"]
            if key in self.mine and self.mine[key] != self.master.get(key):
                continue
            self._adopt(doc)
        self.checkpoint = {**(self.checkpoint or {}), **page["checkpoint"]}
        return True

    def take_answer(self, rows: Sequence[Mapping[str, Any]], answer: Sequence[Document]) -> None:
        """Store the answer to a push of `rows`."""
        current = {doc["id"]: doc for doc in answer}
        for row in rows:
            sent = row["newDocumentState"]
            key = sent["id"]
            if key not in current:
                self.master[key] = deepcopy(sent)
            elif self.mine[key] == sent:
                self.adopted += 1
                self._adopt(current[key])

    def _adopt(self, doc: Document) -> None:
        if doc["_deleted"]:
            self.evicted.add(doc["id"])
        else:
            self.evicted.discard(doc["id"])
        self.mine[doc["id"]] = deepcopy(doc)
        self.master[doc["id"]] = deepcopy(doc)
