"""A phone as RxDB is one: two copies of each document, a checkpoint that is merged, and its blind spots.

The rules are read from RxDB 17.6 and shown against the real one in ``tests/rxdb``:

- *fork* is what the person sees, *meta* what the phone takes for the master; they differ while an edit is unpushed;
- a pulled document is dropped while fork and meta differ, and the checkpoint goes on all the same;
- a checkpoint is merged into the one before (``Object.assign``) and stored after the documents of its page;
- a row without an answer is marked as accepted as it was sent; an answered one is adopted, unless the person has
  changed the document meanwhile: then nothing is stored and the row goes out again on its old base;
- a pull loop ends at an empty page; no loop begins while a push is open, but a push may begin while a loop runs.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

Document = dict[str, Any]
NEVER_SENT = object()


@dataclass
class Push:
    """One request under way: what was sent, and the answer that has not arrived."""

    collection: str
    rows: list[Document]
    sent_at: int
    answer: list[Document] | None = None


@dataclass
class Copy:
    """One collection on the phone; the whole of it is durable."""

    fork: dict[str, Document] = field(default_factory=dict)
    meta: dict[str, Document] = field(default_factory=dict)
    checkpoint: Document | None = None

    def dirty(self) -> list[str]:
        return [key for key, doc in self.fork.items() if self.meta.get(key) != doc]

    def seen(self) -> dict[str, Document]:
        """What the person sees."""
        return {key: doc for key, doc in self.fork.items() if not doc["_deleted"]}

    def edit(self, key: str, values: Document) -> None:
        self.fork[key] = {**self.fork.get(key, {"id": key, "_deleted": False}), **values}

    def rows(self) -> list[Document]:
        rows = []
        for key in self.dirty():
            row = {"newDocumentState": deepcopy(self.fork[key])}
            if key in self.meta:
                row["assumedMasterState"] = deepcopy(self.meta[key])
            rows.append(row)
        return rows

    @staticmethod
    def whole(documents: dict[str, Document], number: int) -> list[Document]:
        """Documents held in full with a version above `number`."""
        held = [doc for doc in documents.values() if not doc["_deleted"] and doc.get("v", 0) > number]
        marks = {"captured_at", "type", "notes", "transcript"}  # what a smaller form leaves out
        told = [doc for doc in held if marks & doc.keys() and "parties_masked" not in doc]
        return [doc for doc in told if "opened_at" not in doc]  # a task is nobody's to hand in

    def lost_since(self, number: int) -> list[Document]:
        """What a restored server may never have seen, as rows without a base."""
        return [{"newDocumentState": deepcopy(doc)} for doc in self.whole(self.fork, number)]

    def begin_again(self, gone: list[str]) -> None:
        """After a restore: what the server does not give goes, and everything is asked for from the beginning."""
        for key in gone:
            if key not in self.dirty():
                self.fork.pop(key, None)
                self.meta.pop(key, None)
        self.checkpoint = None

    def pulled(self, documents: list[Document]) -> None:
        """Write a page; what the person has changed is passed over."""
        for doc in documents:
            key = doc["id"]
            mine = self.fork.get(key)
            if mine is not None and self.meta.get(key) != mine:
                continue
            self.fork[key] = deepcopy(doc)
            self.meta[key] = deepcopy(doc)

    def answered(self, push: Push) -> None:
        """Take the answer to a push in."""
        assert push.answer is not None
        conflicts = {doc["id"]: doc for doc in push.answer}
        for row in push.rows:
            sent = row["newDocumentState"]
            key = sent["id"]
            if key not in conflicts:
                self.meta[key] = deepcopy(sent)
            elif self.fork[key] == sent:
                self.fork[key] = deepcopy(conflicts[key])
                self.meta[key] = deepcopy(conflicts[key])


@dataclass
class Loop:
    """A pull loop under way; pages that came but are not written yet wait in `unwritten`."""

    checkpoint: Document | None
    unwritten: list[tuple[list[Document], Document | None]] = field(default_factory=list)


class Phone:
    """One device of one person."""

    def __init__(self, device: str, user: str, collections: tuple[str, ...]) -> None:
        self.device = device
        self.user = user
        self.copies = {name: Copy() for name in collections}
        self.loops: dict[str, Loop] = {}
        self.pushes: dict[str, Push] = {}
        self.counter = 0
        self.epoch: int | None = None  # of the server whose whole plan it last finished
        self.reached: int | None = None  # of the server it has handed in again to; its plan may be under way
        self.finished: set[str] = set()  # collections whose plan of `reached` is done

    def write_id(self, unique: str) -> str:
        self.counter += 1
        return f"{self.counter}:{unique}"

    # --- pull ---------------------------------------------------------------------------------------------

    def may_begin_loop(self, collection: str) -> bool:
        return collection not in self.loops and collection not in self.pushes

    def begin_loop(self, collection: str) -> None:
        self.loops[collection] = Loop(self.copies[collection].checkpoint)

    def page_came(self, collection: str, page: Document) -> bool:
        """Take one page in memory; False at the empty page that ends the loop."""
        loop = self.loops[collection]
        if not page["documents"]:
            self.write_pages(collection)
            del self.loops[collection]
            self.loop_ended(collection)
            return False
        loop.checkpoint = {**(loop.checkpoint or {}), **page["checkpoint"]}
        loop.unwritten.append((page["documents"], loop.checkpoint))
        return True

    def loop_ended(self, collection: str) -> None:
        """Until everything has come from the new server, an old version may stand here: the old epoch counts still."""
        self.finished.add(collection)
        if self.finished == self.copies.keys():
            self.epoch = self.reached

    def write_pages(self, collection: str, *, but_checkpoint: bool = False) -> None:
        """Pages are written some time after they came, the checkpoint last of all."""
        loop = self.loops[collection]
        copy = self.copies[collection]
        for documents, checkpoint in loop.unwritten:
            copy.pulled(documents)
            if not but_checkpoint:
                copy.checkpoint = checkpoint
        loop.unwritten = []

    # --- push ---------------------------------------------------------------------------------------------

    def begin_push(self, collection: str, at: int) -> Push | None:
        rows = self.copies[collection].rows()
        if not rows or collection in self.pushes:
            return None
        push = Push(collection, rows, at)
        self.pushes[collection] = push
        return push

    def end_push(self, collection: str, *, lost: bool) -> None:
        push = self.pushes.pop(collection)
        if not lost and push.answer is not None:
            self.copies[collection].answered(push)

    # --- faults -------------------------------------------------------------------------------------------

    def crash(self) -> None:
        """The page dies: what was not written is gone, requests under way are forgotten."""
        self.loops.clear()
        self.pushes.clear()
