"""Pull: a planned temporal diff from one number to another, stateless but for one push mark a device.

The steps are those of ``PROTOCOL.md`` (PL1–PL12); the comments quote them. A plan goes from ``s`` to ``h``; ``h`` fixes
the set of tags and the upper bound of the enumeration only, every candidate is decided at the head ``n`` of this very
snapshot, so that nothing is sent that is no longer the reader's.
"""

from collections.abc import Callable, Collection as Some, Iterator, Mapping, Sequence, Set as AbstractSet
from typing import Any

import msgspec
from msgspec import UNSET, Struct, UnsetType

from sync import content, versions
from sync.batch import STATUS_CODES
from sync.cases import model
from sync.cases.catalogue import OPEN_STATUSES
from sync.config import Config
from sync.errors import BadCheckpoint, BadLimit, ForeignCheckpoint
from sync.store import Reader
from sync.values import FOREVER, Collection, Doc, Hold, Keys, Level
from sync.visibility import FOLLOWERS, NO_PAST, OTHER_PARENTS, Relation, Sight, Viewer, level_now, pasts

LIMIT_MAX = 1000
PAGE_BYTES = 512 * 1024  # FL1
HINT_BYTES = (16 * 1024, 1024 * 1024)  # what a phone may ask for instead
PAGE_DOCS = 1000
BATCH = 128  # candidates looked at in one go, at most
_BATCH_LEAST = 16
_USUAL_BYTES = 1536  # of a document, until the page has some
OVERLAP_MS = 120_000  # longer than a push answer can still be under way (proxy and client time-outs)
_KEYS = ("e", "d", "u", "s", "h", "k", "l", "r", "b", "t")
_PHASES = 4
_BEHIND = 3  # the phase that fills up to version V is this and V (EV5)
_KINDS = 4
_OPEN = frozenset(number for number, code in enumerate(STATUS_CODES) if code in OPEN_STATUSES - {"settled"})


class Caller(Struct, frozen=True):
    """Who asks, from which device; `marks` are the device's push marks by collection.

    `late`: the device was stopped, and hands in what it holds (PU13). `kept_for`: another reason for which what it
    sends is put aside unseen, as a sealed bundle may give one (SE5). `told`: the version its app tells (EV1).
    `words_of`: who wrote what a person at the desk merges in (QU6).
    """

    user_pk: int
    user_id: str
    user_name: str
    device_pk: int
    device_id: str
    registered: int
    marks: dict[str, tuple[int, int]]  # collection -> (push_low, push_last_at)
    late: bool = False
    kept_for: str = ""
    told: int | None = None
    words_of: int | None = None

    @property
    def speaks(self) -> int:
        """The version to speak with it."""
        return versions.spoken(self.told)


class Checkpoint(Struct):
    """Where a phone stands. All keys are always present: an RxDB client merges checkpoints, never replaces them."""

    e: int
    d: str
    u: str
    s: int
    h: int | None
    k: int
    l: list[int] | None  # noqa: E741  # the wire's name
    r: int
    b: int | None
    t: int | None
    f: int | UnsetType = (
        UNSET  # the version the phone is complete to; clients that tell none are not told it either
    )


class Page(Struct, frozen=True):
    """One answer: `body` is the JSON to send, `count` the number of documents in it."""

    body: bytes
    count: int
    checkpoint: Checkpoint


def read_checkpoint(
    raw: Any, *, district: str, user: str, epoch: int, head: int, told: int | None = None
) -> Checkpoint:
    """PL1: null, another epoch or numbers above the head give a fresh plan; another user or district is refused.

    EV5: a checkpoint without a version was made under the one that nobody tells.
    """
    fresh = Checkpoint(
        epoch,
        district,
        user,
        0,
        None,
        0,
        None,
        0,
        None,
        None,
        UNSET if told is None else versions.spoken(told),
    )
    if raw is None:
        return fresh
    if not isinstance(raw, dict) or set(raw) - {"f"} != set(_KEYS):
        raise BadCheckpoint
    try:
        point = msgspec.convert(raw, Checkpoint, strict=True)
    except msgspec.ValidationError as error:
        raise BadCheckpoint from error
    if point.d != district or point.u != user:
        raise ForeignCheckpoint
    if point.e != epoch or point.s > head or (point.h or 0) > head:
        return fresh
    if point.f is UNSET and told is not None:
        point.f = versions.UNTOLD
    numbers = [
        point.s,
        point.r,
        point.h or 0,
        point.b or 0,
        0 if point.f is UNSET else point.f,
        *(point.l or []),
    ]
    shape = point.l is None or len(point.l) == _KEY_SIZE
    if (
        min(numbers) < 0
        or max(numbers) > FOREVER
        or not 0 <= point.k <= _BEHIND + versions.CURRENT
        or not shape
        or point.r > point.s
    ):
        raise BadCheckpoint
    return point


def is_far_behind(point: Checkpoint, collection: int, version: int, head: int) -> bool:
    """FL6: whether a plan from here looks at most of what its reader holds, as a first plan does.

    So it is from before half of what the district has written, and where a phone's app fills up (EV5).
    """
    owed = point.f is not UNSET and bool(versions.added(collection, point.f, version))
    return owed or 2 * point.s < head


_KEY_SIZE = 4  # (kind, tag, number, pk)
_Key = tuple[int, int, int, int]
_START: _Key = (-1, -1, -1, -1)
_NAMED: _Key = (4, 0, 0, 0)  # behind every kind of tag


class _Plan:
    """The tags of one plan, and its candidates phase by phase."""

    def __init__(
        self,
        reader: Reader,
        viewer: Viewer,
        collection: int,
        s: int,
        h: int,
        room: Callable[[], int] = lambda: BATCH,
    ) -> None:
        self._room = room  # how many more documents are wanted, about: what is read beyond them is read again
        self._reader = reader
        self._viewer = viewer
        self._collection = collection
        self._s = s
        self._h = h
        self.low = max(s, viewer.registered)
        held: dict[tuple[int, int], tuple[Hold, ...]] = viewer.holds
        window = {
            tag for tag, holds in held.items() if any(x.v_from <= h and x.v_to > self.low for x in holds)
        }
        self.now = {tag for tag, holds in held.items() if any(x.v_from <= h < x.v_to for x in holds)}
        # PL5: tags whose set of roles begins or ends in (s, h]; a first plan takes all of them.
        changed = {
            tag for tag in window if s == 0 or any(s < x.v_from <= h or s < x.v_to <= h for x in held[tag])
        }
        self.held = sorted(window)
        self.lost = sorted(changed - self.now)
        self.gained = sorted(changed & self.now)
        self.rest = sorted(self.now - changed)

    def _upto(self, tag: tuple[int, int]) -> int | None:
        # PL6: no bound for a tag that is not held at h any more; nobody looks at it in a later plan.
        return self._h if tag in self.now else None

    def candidates(self, phase: int, after: _Key) -> Iterator[list[tuple[_Key, list[Doc]]]]:
        """Batches of candidates of one phase, in key order after `after`; what shares a key is decided together."""
        if phase == 0:
            # FL2: what goes comes first, then open cases, then the others. A case that changes its status meanwhile
            # has a number above h: the next plan meets it.
            yield from self._in_tags(self.lost, 0, after, bounded=False)
            if self._collection == Collection.cases:
                yield from self._in_tags(self.gained, 0, after, bounded=False, part=1, statuses=_OPEN)
                yield from self._in_tags(
                    self.gained, 0, after, bounded=False, part=2, statuses=_OPEN, others=True
                )
            else:
                yield from self._in_tags(self.gained, 0, after, bounded=False, part=1)
        elif phase == 1:
            yield from self._left(after)
        elif phase == 2:
            yield from self._named(after)
        elif phase < _PHASES:
            yield from self._in_tags(self.rest, self._s, after, bounded=True)
        else:
            yield from self.everything(after)

    def everything(self, after: _Key = _START) -> Iterator[list[tuple[_Key, list[Doc]]]]:
        """Whatever can be visible at h; a document may come more than once."""
        if after < _NAMED:
            yield from self._in_tags(sorted(self.now), 0, after, bounded=True)
        children = self._collection in FOLLOWERS
        if not children and self._collection != Collection.cases:
            return
        live = [
            case
            for case, rows in self._viewer.namings.items()
            if any(not row.denied and row.v_from <= self._h < (row.v_to or FOREVER) for row in rows)
        ]
        wanted = [pk for pk in sorted(live) if (*_NAMED[:3], pk) > after]
        for start in range(0, len(wanted), BATCH):
            part = wanted[start : start + BATCH]
            docs = self._docs(part, children=children)
            yield [((*_NAMED[:3], pk), docs.get(pk, [])) for pk in part]

    def _in_tags(
        self,
        tags: Sequence[tuple[int, int]],
        over: int,
        after: _Key,
        *,
        bounded: bool,
        part: int = 0,
        statuses: Some[int] = (),
        others: bool = False,
    ) -> Iterator[list[tuple[_Key, list[Doc]]]]:
        """Documents in `tags`; `part` is which of several walks of one phase this is.

        What lies in two tags of a walk up to h has not changed since h: the walk has met it in the first of them.
        """
        walked = frozenset(tags) if part or bounded else frozenset()
        for kind, upto, group in self._groups(tags, bounded=bounded):
            rank = part * _KINDS + kind
            if (rank, group[-1]) < after[:2]:
                continue
            key = after[1:] if after[0] == rank and after[1] >= group[0] else None
            while True:
                limit = min(max(_BATCH_LEAST, self._room()), BATCH)
                found = self._reader.tagged(
                    self._collection,
                    kind,
                    group,
                    seq_over=over,
                    seq_upto=upto,
                    after=key,
                    limit=limit,
                    statuses=statuses,
                    others=others,
                )
                batch: list[tuple[_Key, list[Doc]]] = []
                for doc in found:
                    key = (_tag(doc, kind), doc.seq, doc.pk)
                    met = kind > 0 and any(
                        (other, tag) in walked for other, tag in enumerate(_tags(doc)[:kind])
                    )
                    batch.append(((rank, *key), [] if met else [doc]))
                if batch:
                    yield batch
                if len(found) < limit:
                    break

    def _groups(
        self, tags: Sequence[tuple[int, int]], *, bounded: bool
    ) -> Iterator[tuple[int, int | None, list[int]]]:
        """Neighbouring tags of one kind and one bound, asked for together."""
        kind, upto, group = -1, None, list[int]()
        for tag in tags:
            bound = self._h if bounded else self._upto(tag)
            if group and (tag[0] != kind or bound != upto):
                yield kind, upto, group
                group = []
            kind, upto = tag[0], bound
            group.append(tag[1])
        if group:
            yield kind, upto, group

    def _left(self, after: _Key) -> Iterator[list[tuple[_Key, list[Doc]]]]:
        """PL7: documents that left a held tag inside the window; for children, those of what left it, too."""
        sources = [(self._collection, False)]
        if self._collection in FOLLOWERS:
            sources.insert(0, (Collection.cases, True))
        if (other := OTHER_PARENTS.get(Collection(self._collection))) is not None:
            sources.append((other, True))
        for order, (place, of_parent) in enumerate(sources):
            for kind, upto, group in self._groups(self.held, bounded=False):
                rank = order * _KINDS + kind
                if (rank, group[-1]) < after[:2]:
                    continue
                key = after[1:] if after[0] == rank and after[1] >= group[0] else None
                while True:
                    rows = self._reader.left(
                        place, kind, group, to_over=self.low, to_upto=upto, after=key, limit=BATCH
                    )
                    docs = self._docs(sorted({row.doc_pk for row in rows}), children=of_parent)
                    batch: list[tuple[_Key, list[Doc]]] = []
                    for row in rows:
                        key = (row.tag, row.v_to, row.doc_pk)
                        # A child born after the place had closed was never there.
                        gone = [doc for doc in docs.get(row.doc_pk, ()) if doc.born < row.v_to]
                        batch.append(((rank, *key), gone))
                    if batch:
                        yield batch
                    if len(rows) < BATCH:
                        break

    def _docs(self, pks: Sequence[int], *, children: bool, over: int = 0) -> dict[int, list[Doc]]:
        """Documents changed after `over` by key, or the children of these parents by parent."""
        if not children:
            return {doc.pk: [doc] for doc in self._reader.documents_by_pk(pks, seq_over=over)}
        found: dict[int, list[Doc]] = {}
        for doc in self._reader.children(pks, seq_over=over):
            if doc.collection == self._collection and doc.case_pk is not None:
                found.setdefault(doc.case_pk, []).append(doc)
        return found

    def _named(self, after: _Key) -> Iterator[list[tuple[_Key, list[Doc]]]]:
        """PL8: cases (or their children) of this person's namings and denials."""
        children = self._collection in FOLLOWERS
        if not children and self._collection != Collection.cases:
            return
        turned: list[int] = []
        live: list[int] = []
        for case, rows in self._viewer.namings.items():
            if any(self._s < end <= self._h for row in rows for end in (row.v_from, row.v_to or 0)):
                turned.append(case)
            elif any(
                not row.denied and row.v_from <= self._h and (row.v_to or FOREVER) > self.low for row in rows
            ):
                live.append(case)
        for order, over, pks in ((0, 0, sorted(turned)), (1, self._s, sorted(live))):
            wanted = [pk for pk in pks if (order, 0, 0, pk) > after]
            for start in range(0, len(wanted), BATCH):
                part = wanted[start : start + BATCH]
                docs = self._docs(part, children=children, over=over)
                yield [((order, 0, 0, pk), docs.get(pk, [])) for pk in part]


def _tags(doc: Doc) -> tuple[int | None, ...]:
    """Where a document lies, by kind of place; 0 is a tag like any other."""
    return doc.cell, doc.duty, doc.person, doc.author


def _tag(doc: Doc, kind: int) -> int:
    return _tags(doc)[kind] or 0


_NOTHING_OPEN: dict[int, bytes] = {}


class Sender:
    """Turns decisions into bytes: a projection, or a tombstone that tells nothing."""

    def __init__(
        self,
        collection: int,
        keys: Keys,
        open_parts: Mapping[int, bytes] = _NOTHING_OPEN,
        *,
        version: int = versions.CURRENT,
    ) -> None:
        self._open_parts = open_parts
        self._newer = versions.added(collection, version)
        self._version = version
        self._collection = collection
        self._name = content.NAMES[collection]
        self._keys = keys

    def document(self, doc: Doc, level: Level) -> bytes:
        """The projection of `doc` at `level`."""
        if level == Level.full and not self._newer:
            return content.wire_bytes(doc, self._keys, self._open_parts.get(doc.pk))
        return msgspec.json.encode(self._values(doc, level) | {"_deleted": False})

    def holds(self, doc: Doc, level: Level, fields: AbstractSet[str]) -> bool:
        """Whether the projection of `doc` at `level` has anything in these fields."""
        values = self._values(doc, level)
        return any(values.get(name) is not None for name in fields)

    def _values(self, doc: Doc, level: Level) -> dict[str, Any]:
        values = content.wire_values(doc, self._keys)
        if level != Level.full:
            values = model.project(self._name, values, "plain" if level == Level.plain else "shell")
        return versions.lowered(self._collection, values, self._version)

    def tombstone(self, key: bytes) -> bytes:
        """PL9: the same for out of scope, recused, sealed, erased and unknown."""
        identity = content.id_text(self._collection, key)
        return content.tombstone(model.neutral(self._name, identity) | {"_deleted": True})


def viewer_of(reader: Reader, config: Config, caller: Caller, collection: int) -> Viewer:
    """The caller, as somebody who looks at documents of this collection."""
    namings = reader.namings(users=[caller.user_pk]) if collection in FOLLOWERS | {Collection.cases} else []
    return Viewer.of(caller.user_pk, config.held(caller.user_pk), namings, caller.registered)


def met(reader: Reader, viewer: Viewer, collection: int, n: int) -> Iterator[tuple[Doc, Level]]:
    """Every document of a collection that can be visible at head `n`, once, with its level; `none`: it is not."""
    done: set[int] = set()
    sight = Sight(viewer, collection, n)
    for batch in _Plan(reader, viewer, collection, 0, n).everything():
        for doc in (doc for _, docs in batch for doc in docs if doc.pk not in done):
            done.add(doc.pk)
            yield doc, sight.level(doc) or level_now(viewer, doc, n)


def pull(
    reader: Reader,
    config: Config,
    caller: Caller,
    collection: int,
    checkpoint: Any,
    limit: Any,
    *,
    keys: Keys,
    now: int,
    page_bytes: Any = None,
) -> Page:
    """One page for this caller; see the module's head.

    `checkpoint`, `limit` and `page_bytes` (FL1) are as they came; raises ``BadCheckpoint``, ``ForeignCheckpoint`` or
    ``BadLimit``. `now` (ms) is monotone server time, for the overlap of pushes only.
    """
    if not isinstance(limit, int) or isinstance(limit, bool) or not 1 <= limit <= LIMIT_MAX:
        raise BadLimit
    size = _size(page_bytes)
    head = reader.head()
    n = head.seq
    point = read_checkpoint(
        checkpoint,
        district=config.district,
        user=caller.user_id,
        epoch=head.epoch,
        head=n,
        told=caller.told,
    )
    # EV5: what an earlier plan passed over since the phone's app did not know it then
    owed = frozenset() if point.f is UNSET else versions.added(collection, point.f, caller.speaks)
    viewer = viewer_of(reader, config, caller, collection)
    sender = Sender(collection, keys, version=caller.speaks)
    work = _Work(reader, viewer, collection, n, sender, limit, size, owed, _BEHIND + caller.speaks)
    while True:
        if point.h is None:
            # PL3: a push may have been answered behind an earlier page; look back once it can no longer arrive.
            if point.b is not None and now - (point.t or 0) > OVERLAP_MS:
                point.s = min(point.s, point.b)
                point.r = min(point.r, point.s)
                point.b = None
            if point.s == n and not work.owed:  # PL2: nothing is due
                break
            point.h, point.k, point.l = n, 0, None
        if not work.run(point):
            break  # the page is full
        # PL10: a plan that ran wholly at one head needs no reach-back before it.
        if point.h == n:
            point.r = n
        point.s, point.h, point.k, point.l = point.h or n, None, 0, None
    if point.f is not UNSET and not work.owed:
        point.f = caller.speaks  # lower, too, where the app went back
    mark = caller.marks.get(content.NAMES[collection])
    if mark is not None and now - mark[1] < OVERLAP_MS:  # PL11
        point.b = mark[0] if point.b is None else min(point.b, mark[0])
        point.t = now
    body = (
        b'{"documents":['
        + b",".join(work.in_order())
        + b'],"checkpoint":'
        + msgspec.json.encode(point)
        + b"}"
    )
    return Page(body, len(work.page), point)


def _size(asked: Any) -> int:
    """FL1: how many bytes a page may have; a wish out of bounds is taken to the nearest bound."""
    if asked is None:
        return PAGE_BYTES
    if not isinstance(asked, int) or isinstance(asked, bool) or asked < 1:
        raise BadLimit("`bytes` must be a whole number above 0.")
    return max(HINT_BYTES[0], min(asked, HINT_BYTES[1]))


class _Work:
    """The page under way."""

    def __init__(
        self,
        reader: Reader,
        viewer: Viewer,
        collection: int,
        n: int,
        sender: Sender,
        limit: int,
        size: int,
        owed: frozenset[str],
        behind: int,
    ) -> None:
        self._reader = reader
        self._viewer = viewer
        self._collection = collection
        self._n = n
        self._sight = Sight(viewer, collection, n)
        self._sender = sender
        self._limit = limit
        self._size = size
        self.owed = owed
        self._behind = behind
        self._carrier: tuple[Doc, Level] | None = None
        self._bytes = 0
        self._rank: dict[int, int] = {}
        self.page: dict[int, bytes] = {}

    def in_order(self) -> list[bytes]:
        """FL2: the documents of the page, tombstones first, then open cases."""
        return [self.page[pk] for pk in sorted(self.page, key=self._rank.__getitem__)]

    def _full(self) -> bool:
        # PL12: with a limit of 1 the server sizes the page, else it holds at least so many or everything due.
        if self._limit == 1:
            return bool(self.page) and (self._bytes >= self._size or len(self.page) >= PAGE_DOCS)
        return len(self.page) >= self._limit

    def _room(self) -> int:
        """How many more documents the page holds, about."""
        count = len(self.page)
        if self._limit > 1:
            return self._limit - count
        usual = self._bytes / count if count else _USUAL_BYTES
        return min(PAGE_DOCS - count, int((self._size - self._bytes) / usual) + 1)

    def run(self, point: Checkpoint) -> bool:
        """Go on with the plan of `point`; False when the page filled up before the plan ended."""
        plan = _Plan(self._reader, self._viewer, self._collection, point.s, point.h or 0, self._room)
        low = max(min(point.r, point.s), self._viewer.registered)
        while (phase := self._phase(point)) is not None:
            after: _Key = _START if point.l is None else (point.l[0], point.l[1], point.l[2], point.l[3])
            for batch in plan.candidates(phase, after):
                past = self._pasts([doc for _, docs in batch for doc in docs])
                for key, docs in batch:
                    for doc in docs:
                        if phase < _PHASES:
                            self._decide(doc, past, point.s, low)
                        else:
                            self._fill_up(doc)
                    if self._full():
                        point.l = list(key)
                        return False
            point.k, point.l = point.k + 1, None
            if phase >= _PHASES:
                self.owed = frozenset()
                if not self.page and self._carrier is not None:
                    # An empty page would carry no checkpoint, and all would be looked through at each pull.
                    doc, level = self._carrier
                    self._put(doc, self._sender.document(doc, level))
        return True

    def _phase(self, point: Checkpoint) -> int | None:
        """The phase under way; None behind the last. Filling up begins anew when the version has risen meanwhile."""
        if point.k < _PHASES:
            return point.k
        if not self.owed:
            return None
        if point.k != self._behind:
            point.k, point.l = self._behind, None
        return point.k

    def _pasts(self, docs: list[Doc]) -> dict[int, Any]:
        old = [doc for doc in docs if doc.history]
        if not old:
            return {}
        pks = sorted({pk for doc in old for pk in (doc.pk, doc.case_pk) if pk is not None})
        return pasts(old, self._reader.closed_places(pks), self._reader.closed_classes(pks))

    def _decide(self, doc: Doc, past: dict[int, Any], s: int, low: int) -> None:
        # PL4: by what is visible at the head of this snapshot, and by what was on the way to it.
        if doc.seq > s and (seen := self._sight.level(doc)) != Level.none:
            self._put(doc, self._sender.document(doc, seen))
            return
        relation = Relation(self._viewer, doc, past.get(doc.pk, NO_PAST))
        level = relation.level(self._n)
        if level != Level.none:
            if doc.seq > s or not relation.constant(s, self._n):
                self._put(doc, self._sender.document(doc, level))
        elif relation.ever(low, self._n):
            self._put(doc, self._sender.tombstone(doc.id), rank=0)

    def _put(self, doc: Doc, body: bytes, *, rank: int | None = None) -> None:
        self._bytes += len(body) - len(self.page.get(doc.pk, b""))
        self.page[doc.pk] = body
        self._rank[doc.pk] = (1 if doc.status in _OPEN else 2) if rank is None else rank

    def _fill_up(self, doc: Doc) -> None:
        """EV5: what is visible and has something in a field that the phone's app did not know before."""
        level = Relation(self._viewer, doc).level(self._n)
        if level == Level.none:
            return
        if self._sender.holds(doc, level, self.owed):
            self._put(doc, self._sender.document(doc, level))
        else:
            self._carrier = (doc, level)
