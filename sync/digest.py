"""Whether a phone holds what it may see: sums over what is visible, range by range, and what differs (DG1–DG4).

A document counts as the first eight bytes of ``sha256("<id>:<v>")``; a digest is how many there are and their sum
modulo 2^64. A range is all ids that end in the same characters: ids begin with the time they were made at, so a
beginning would put a whole season into one range.
"""

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from sync import content
from sync.config import Config
from sync.errors import BadRequest, ForeignEpoch, Unprocessable
from sync.pull import PAGE_BYTES, PAGE_DOCS, Caller, Sender, met, viewer_of
from sync.store import Reader
from sync.values import Collection, Doc, Keys, Level

DOCS_MAX = 20_000  # of one collection that are looked at for one answer
RANGES_MAX = 256
_RANGE_MAX = 36  # characters
HELD_MAX = 10_000
_MODULUS = 1 << 64


class TooManyDocuments(Unprocessable):
    """There is too much in this scope to compare; a phone would not hold it either."""

    code = "too_many_documents"


class _Sum:
    __slots__ = ("count", "total")

    def __init__(self) -> None:
        self.count = self.total = 0

    def take(self, identity: str, v: int) -> None:
        self.count += 1
        told = hashlib.sha256(f"{identity}:{v}".encode()).digest()[:8]
        self.total = (self.total + int.from_bytes(told, "big")) % _MODULUS

    def told(self) -> dict[str, Any]:
        # as text: a phone's numbers have 53 bits
        return {"count": self.count, "sum": f"{self.total:016x}"}


def of_collection(
    reader: Reader, config: Config, caller: Caller, collection: Collection
) -> dict[str, Any] | None:
    """DG1: `{count, sum}` of what the caller sees at the head; None where that is too much to look at."""
    whole = _Sum()
    try:
        for doc, _, identity in _visible(reader, config, caller, collection):
            whole.take(identity, doc.v)
    except TooManyDocuments:
        return None
    return whole.told()


def of_ranges(
    reader: Reader, config: Config, caller: Caller, collection: Collection, asked: Any
) -> dict[str, Any]:
    """DG2: `{epoch, ranges}` → `{epoch, head, ranges}`, the parts of these ranges that hold anything.

    Raises ``BadRequest``, ``ForeignEpoch`` or ``TooManyDocuments``.
    """
    ranges = _ranges(asked)
    head = reader.head()
    if asked.get("epoch") != head.epoch:
        raise ForeignEpoch(epoch=head.epoch)
    sums: dict[str, _Sum] = {}
    for doc, _, identity in _visible(reader, config, caller, collection):
        for length in {len(part) for part in ranges}:
            if identity[len(identity) - length :] in ranges and len(identity) > length:
                sums.setdefault(identity[-length - 1 :], _Sum()).take(identity, doc.v)
    return {
        "epoch": head.epoch,
        "head": head.seq,
        "ranges": {part: sums[part].told() for part in sorted(sums)},
    }


def heal(
    reader: Reader, config: Config, caller: Caller, collection: Collection, asked: Any, *, keys: Keys
) -> dict[str, Any]:
    """DG3: `{epoch, ranges, held: {id: v}}` → `{epoch, head, documents, more}`.

    `documents` is what a pull page would hold: what is missing there or has another version, and a tombstone for what
    is held and not visible. `more`: there are others; ask again. Raises as ``of_ranges``.
    """
    ranges = _ranges(asked)
    held = asked.get("held")
    if (
        not isinstance(held, dict)
        or len(held) > HELD_MAX
        or not all(isinstance(v, int) and not isinstance(v, bool) for v in held.values())
    ):
        raise BadRequest(f"held 应为至多 {HELD_MAX} 个文档编号及其版本。")
    head = reader.head()
    if asked.get("epoch") != head.epoch:
        raise ForeignEpoch(epoch=head.epoch)
    sender = Sender(collection, keys, version=caller.speaks)
    page: list[bytes] = []
    size = 0
    surplus = {identity for identity in held if _within(identity, ranges)}
    more = False
    for doc, level, identity in _visible(reader, config, caller, collection):
        surplus.discard(identity)
        if held.get(identity) == doc.v or not _within(identity, ranges):
            continue
        if size >= PAGE_BYTES or len(page) >= PAGE_DOCS:
            more = True
            continue  # what follows may still be held rightly
        page.append(sender.document(doc, level))
        size += len(page[-1])
    for identity in sorted(surplus):
        try:
            page.append(sender.tombstone(content.id_bytes(collection, identity)))
        except ValueError:
            continue  # no id of ours: its client wrote it itself
    return {
        "epoch": head.epoch,
        "head": head.seq,
        "documents": [msgspec.Raw(body) for body in page],
        "more": more,
    }


def _visible(
    reader: Reader, config: Config, caller: Caller, collection: Collection
) -> Iterator[tuple[Doc, Level, str]]:
    viewer = viewer_of(reader, config, caller, collection)
    n = reader.head().seq
    for count, (doc, level) in enumerate(met(reader, viewer, collection, n)):
        if count >= DOCS_MAX:
            raise TooManyDocuments
        if level != Level.none:
            yield doc, level, content.id_text(collection, doc.id)


def _ranges(asked: Any) -> frozenset[str]:
    ranges = asked.get("ranges") if isinstance(asked, dict) else None
    if (
        not isinstance(ranges, list)
        or not 0 < len(ranges) <= RANGES_MAX
        or not all(isinstance(part, str) and len(part) <= _RANGE_MAX for part in ranges)
    ):
        raise BadRequest(f"ranges 应为至多 {RANGES_MAX} 个编号结尾。")
    return frozenset(ranges)


def _within(identity: str, ranges: frozenset[str] | Sequence[str]) -> bool:
    return any(identity.endswith(part) for part in ranges)
