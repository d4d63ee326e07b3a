"""What an erasure leaves to be done outside the rows: the list beside the database, bytes of files, free pages.

The list (``erased/{district}.jsonl`` in the data folder) names what was erased, by collection and id. It lies outside
the database so that a restore of an older backup knows what it must not bring back (ER4); keep it with the keys.
"""

import logging
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final

import msgspec

from server import swap
from server.database import check_code
from server.districts import District
from sync.erasing import mark_swept, unswept
from sync.errors import BadRequest
from sync.store import Row

Pair = tuple[str, str]
ERASED_FOLDER: Final = "erased"
# Whoever keeps bytes of documents elsewhere adds a function: it is given the ids of erased files, perhaps twice.
DROP_FILES: Final[list[Callable[[District, Sequence[str]], None]]] = []
_log = logging.getLogger("wangge.erasing")


def list_path(folder: Path, code: str) -> Path:
    """Where the list of a district is."""
    check_code(code)
    return folder / ERASED_FOLDER / f"{code}.jsonl"


def read_list(path: Path) -> set[Pair]:
    """What the list names; a last line that a crash has cut is passed over. Raises ``BadRequest`` for another file."""
    found: set[Pair] = set()
    lines = path.read_bytes().split(b"\n") if path.exists() else []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            found.add(msgspec.json.decode(line, type=Pair))
        except msgspec.DecodeError as error:
            if number < len(lines):
                raise BadRequest(f"{path} is no list of erasures: line {number}.") from error
    return found


def add_to_list(path: Path, pairs: Iterable[Pair]) -> None:
    """Write pairs that are not there yet, to the disk."""
    fresh = sorted(set(pairs) - read_list(path))
    if not fresh:
        return
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(handle, "r+b") as file:
        size = path.stat().st_size
        file.seek(max(size - 1, 0))
        if size and file.read(1) != b"\n":
            file.write(b"\n")  # the end of a line that a crash has cut
        file.write(b"".join(msgspec.json.encode(pair) + b"\n" for pair in fresh))
        file.flush()
        os.fsync(file.fileno())
    swap.sync_folder(path.parent)


def pairs_of(rows: Iterable[Row]) -> list[Pair]:
    """What rows of ``erasure`` have erased."""
    return [pair for row in rows for pair in msgspec.json.decode(row["ids"], type=list[Pair])]


def sweep(district: District, folder: Path) -> int:
    """Finish every erasure that is done in the rows: list, files, free pages. Blocking; returns how many.

    What cannot be finished now is tried again by the next call; to do it twice does no harm.
    """
    rows = district.read_blocking(unswept)
    if not rows:
        return 0
    pairs = pairs_of(rows)
    add_to_list(list_path(folder, district.code), pairs)
    files = [doc_id for collection, doc_id in pairs if collection == "files"]
    for drop in DROP_FILES:
        drop(district, files)
    if not district.writer.alone_blocking(district.store.scrub):
        _log.warning("an erasure waits for a reader", extra={"fields": {"district": district.code}})
        return 0
    district.writer.submit_blocking(mark_swept([row["pk"] for row in rows]), actor="erasure")
    return len(rows)
