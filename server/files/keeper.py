"""Takes complete uploads one after another, has them checked, and puts away what may be kept.

One thread an installation: a picture takes more memory than anything else here, and nobody waits for the verdict. What
is to be done stands in the database; whoever is told to look finds it there, after a crash too.
"""

import hashlib
import logging
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, Final

import msgspec

from server.clocks import monotonic_ms, wall_ms
from server.districts import District
from server.errors import place_of
from server.files.checker import check_apart
from server.files.store import BlobStore, BytesLost, blob_name, part_name, thumbnail_name
from server.files.verdicts import Checked, Refused, Unjudged
from sync import content, uploads
from sync.cases.catalogue import FILE_KINDS
from sync.errors import Conflict, KeyLost, StoreUnavailable
from sync.store import Reader, Row
from sync.uploads import Verdict
from sync.values import Doc, Keys

_log = logging.getLogger("wangge.files")
_DAY_MS: Final = 86_400_000
_HOUR_MS: Final = 3_600_000
ORPHAN_DAYS: Final = 30  # a restored database may not know yet what lies in the store
_PAGE: Final = 200
TRIES: Final = 3  # to come to a verdict
TRY_AGAIN_MS: Final = 60_000  # after a try without one: what ended it may be over then
NAMES_OF: Final = ("blobs", "thumbs")  # folders of what is kept


class FileKeeper:
    """The bytes of files of one installation. `store` is where they lie; `busy` are uploads that are being written."""

    def __init__(self, url: str, check: Callable[[str, bytes], Checked] = check_apart) -> None:
        self.store = BlobStore(url)
        self.busy: set[str] = set()
        self._check = check
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="files")
        self._tried: dict[str, tuple[int, int]] = {}  # by upload: tries without a verdict, when the last was
        self._closing = threading.Event()
        self._behind: dict[str, Future[None]] = {}  # by district, the look that has not begun yet
        self._lock = threading.Lock()

    def close(self) -> None:
        """Finish the upload in hand; the others are found by the next server."""
        self._closing.set()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def look(self, district: District) -> Future[None]:
        """Look soon for complete uploads whose document is here: one look goes on, one more may stand behind it."""
        with self._lock:
            if district.code not in self._behind:
                self._behind[district.code] = self._pool.submit(self._look, district)
            return self._behind[district.code]

    def _look(self, district: District) -> None:
        with self._lock:
            self._behind.pop(district.code, None)
        after = ""
        while rows := district.read_blocking(partial(_complete, after=after)):
            # Most may wait for documents that never come: those are asked for together.
            found = district.read_blocking(partial(uploads.own_documents, keys=district.keys, uploads=rows))
            for row in [row for row in rows if row["id"] in found]:
                if self._closing.is_set():
                    return
                try:
                    self._finish(district, row)
                except (StoreUnavailable, Conflict):
                    continue  # the next look
                except Exception as error:  # noqa: BLE001  # one upload must not stop the others
                    _log.error("an upload could not be finished", extra={"fields": place_of(error)})
            after = rows[-1]["id"]

    def _finish(self, district: District, row: Row) -> None:
        tries, last = self._tried.get(row["id"], (0, 0))
        if tries and monotonic_ms() < last + TRY_AGAIN_MS:
            return

        def question(reader: Reader) -> tuple[Doc, dict[str, Any]] | None:
            return uploads.own_document(reader, district.keys, row)

        own = district.read_blocking(question)
        if own is None:
            return
        try:
            data = assembled(self.store, district, row)
        except (BytesLost, KeyLost):
            end = uploads.end_upload(row["id"], row["user_pk"], why="upload.lost")
            district.writer.submit_blocking(end)
            return
        try:
            verdict = self._verdict(district, own[0], str(own[1].get("kind")), row, data)
        except Unjudged:
            _log.warning(
                "the check of a file ended without a verdict", extra={"fields": {"tries": tries + 1}}
            )
            if tries + 1 < TRIES:
                self._tried[row["id"]] = (tries + 1, monotonic_ms())
                return
            verdict = Verdict(reason="not_checked")
        self._tried.pop(row["id"], None)
        if district.writer.submit_blocking(uploads.settle(row["id"], verdict), actor="files"):
            self.store.delete(part_names(district.code, row))

    def _verdict(self, district: District, doc: Doc, kind: str, row: Row, data: bytes) -> Verdict:
        if row["length"] > FILE_KINDS[kind].max_bytes:
            return Verdict(reason="too_large")
        try:
            checked = self._check(kind, data)
        except Refused as refused:
            return Verdict(reason=refused.reason)
        address = address_of(district, doc, checked.content)
        gone = district.read_blocking(partial(uploads.gone_from, address=address))
        for name, body in (
            (blob_name(district.code, address), checked.content),
            (thumbnail_name(district.code, address), checked.thumbnail),
        ):
            if body:
                label = label_of(name)
                self.store.put(
                    name, content.seal(district.keys, district.chance, doc.dek or b"", body, label)
                )
        return Verdict(
            address=address,
            sha256=hashlib.sha256(checked.content).hexdigest(),
            size=len(checked.content),
            thumbnail=len(checked.thumbnail),
            mime=checked.mime,
            seconds=checked.seconds,
            gone=gone,
        )

    # --- what lies there and should not ------------------------------------------------------------------------------

    def sweep(self, district: District, wall: int | None = None) -> int:
        """FI5, FI7, FI8: end what has expired, delete what was dropped and what nothing refers to; how many objects.

        In the keeper's own thread; `wall` is the real time, ms.
        """
        return self._pool.submit(self._sweep, district, wall_ms() if wall is None else wall).result()

    def _sweep(self, district: District, wall: int) -> int:
        while district.writer.submit_blocking(uploads.end_expired(), actor="files"):
            pass
        deleted = self._delete_dropped(district)
        stray = [*self._stray_parts(district, wall), *self._stray_blobs(district, wall)]
        self.store.delete(stray)
        return deleted + len(stray)

    def delete_dropped(self, district: District) -> int:
        """Delete the bytes that nobody may read any more; how many objects."""
        return self._pool.submit(self._delete_dropped, district).result()

    def _delete_dropped(self, district: District) -> int:
        deleted = 0
        while addresses := district.writer.submit_blocking(uploads.claim_dropped()):
            for address in addresses:
                self.store.delete([blob_name(district.code, address), thumbnail_name(district.code, address)])
            district.writer.submit_blocking(uploads.note_deleted(addresses))
            deleted += len(addresses)
        return deleted

    def _stray_parts(self, district: District, wall: int) -> Iterable[str]:
        """Parts of uploads that are over; a part that has just been written is not known yet."""
        under_way = {
            row["id"]
            for row in district.read_blocking(
                lambda reader: reader.find("upload", {"state": ["open", "complete"]}, columns=["id"])
            )
        }
        for kept in self.store.kept(f"{district.code}/parts"):
            if kept.at < wall - _HOUR_MS and kept.name.split("/")[2] not in under_way:
                yield kept.name

    def _stray_blobs(self, district: District, wall: int) -> Iterable[str]:
        """FI7: what no row knows, long after it was put there; whatever a row holds stays."""
        known = known_addresses(district)
        for folder in NAMES_OF:
            for kept in self.store.kept(f"{district.code}/{folder}"):
                if kept.at < wall - ORPHAN_DAYS * _DAY_MS and kept.name.rsplit("/", 1)[1] not in known:
                    yield kept.name


def _complete(reader: Reader, after: str) -> list[Row]:
    return reader.find("upload", {"state": "complete", "id__gt": after}, order=["id"], limit=_PAGE)


def known_addresses(district: District) -> set[str]:
    """Addresses that some row holds, or is about to let go."""
    states = ["held", "dropped", "deleting"]
    rows = district.read_blocking(lambda reader: reader.find("blob", {"state": states}, columns=["address"]))
    return {row["address"] for row in rows}


def label_of(name: str) -> bytes:
    """What sealed bytes are bound to: put under another name they do not open."""
    return b"blob " + name.encode()


def address_of(district: District, doc: Doc, body: bytes) -> str:
    """FI7: content and data key, as a keyed digest: the same bytes of one case lie once, of two cases apart."""
    return district.keys.digest(b"blob" + (doc.dek or b"") + hashlib.sha256(body).digest()).hex()


def part_names(code: str, row: Row) -> list[str]:
    """Where the parts of an upload lie, in order."""
    return [part_name(code, row["id"], offset, token) for offset, token in msgspec.json.decode(row["parts"])]


def assembled(store: BlobStore, district: District, row: Row) -> bytes:
    """The bytes of an upload so far; raises ``BytesLost`` and ``KeyLost``."""
    parts = msgspec.json.decode(row["parts"])
    return b"".join(
        content.unseal(
            district.keys, row["dek"] or None, store.get(name), uploads.label_of(row["id"], offset)
        )
        for name, (offset, _) in zip(part_names(district.code, row), parts, strict=True)
    )


def read_blob(
    store: BlobStore, code: str, keys: Keys, doc: Doc, blob: Row, *, thumbnail: bool = False
) -> bytes:
    """The bytes of a verified file, or its small picture; raises ``BytesLost`` and ``KeyLost``."""
    name = (thumbnail_name if thumbnail else blob_name)(code, blob["address"])
    return content.unseal(keys, doc.dek, store.get(name), label_of(name))
