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
    """What the list names, nothing where there is none. Raises ``BadRequest`` for another file."""
    if not path.exists():
        return set()
    try:
        return {msgspec.json.decode(line, type=Pair) for line in path.read_bytes().splitlines()}
    except msgspec.DecodeError as error:
        raise BadRequest(f"{path} is no list of erasures.") from error


def add_to_list(path: Path, pairs: Iterable[Pair]) -> None:
    """Write pairs that are not there yet, to the disk; the list is there as a whole, before and after."""
    known = read_list(path)
    if set(pairs) <= known:
        return
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    beside = path.with_suffix(".new")
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.writelines(msgspec.json.encode(pair) + b"\n" for pair in sorted(known | set(pairs)))
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
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
