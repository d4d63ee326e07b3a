"""Prepared files take the place of others: all of them or none, whatever happens in between.

What is to come lies in the folder ``restoring`` as it will lie later, keys beside the keys under ``*.key.restoring``.
Until the mark is there nothing has happened, and the rest may be thrown away; from then on the renames are done, and
done again from where they stopped, by whoever has the lock next. What was there is kept beside under a new name.
"""

import os
import shutil
from pathlib import Path

PREPARED = "restoring"
_MARK = "complete"
_KEY_SUFFIX = f".{PREPARED}"


def is_pending(folder: Path) -> bool:
    """Whether prepared files are to take their places, and have not all done so."""
    return (folder / PREPARED / _MARK).exists()


def prepare_key(keys_folder: Path, name: str, content: bytes) -> None:
    """Lay a key file beside the others."""
    keys_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(keys_folder / f"{name}.key{_KEY_SUFFIX}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    sync_folder(keys_folder)


def mark(folder: Path, stamp: int) -> None:
    """Say that everything is prepared; what makes way is called ``*.before-{stamp}``."""
    prepared = folder / PREPARED
    logs = [path.name for path in prepared.rglob("*-wal") if path.stat().st_size]
    if logs:
        raise RuntimeError(f"still open: {', '.join(logs)}")
    for path in prepared.rglob("*.db"):
        with path.open("rb") as file:
            os.fsync(file.fileno())
    for path in (*prepared.glob("*/"), prepared, folder):
        sync_folder(path)
    beside = prepared / f"{_MARK}.new"
    with beside.open("w", encoding="ascii") as file:
        file.write(str(stamp))
        file.flush()
        os.fsync(file.fileno())
    beside.replace(prepared / _MARK)
    sync_folder(prepared)


def finish(folder: Path, keys_folder: Path) -> None:
    """Put every prepared file into its place; may be called again after it was interrupted."""
    prepared = folder / PREPARED
    stamp = int((prepared / _MARK).read_text(encoding="ascii"))
    place_keys(keys_folder, stamp)
    for source in sorted(prepared.rglob("*.db")):
        target = folder / source.relative_to(prepared)
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _set_aside(target, stamp)
        source.replace(target)
        sync_folder(target.parent)
    (prepared / _MARK).unlink()
    sync_folder(prepared)
    shutil.rmtree(prepared)


def place_keys(keys_folder: Path, stamp: int) -> None:
    """Put the prepared keys into their places."""
    for source in sorted(keys_folder.glob(f"*.key{_KEY_SUFFIX}")):
        target = source.with_name(source.name.removesuffix(_KEY_SUFFIX))
        _set_aside(target, stamp)
        source.replace(target)
        sync_folder(keys_folder)


def keys_are_prepared(keys_folder: Path) -> bool:
    """Whether a key waits for its place."""
    return any(keys_folder.glob(f"*.key{_KEY_SUFFIX}"))


def clear(folder: Path, keys_folder: Path) -> None:
    """Throw away what was prepared and not marked."""
    for path in keys_folder.glob(f"*.key{_KEY_SUFFIX}"):
        path.unlink()
    shutil.rmtree(folder / PREPARED, ignore_errors=True)


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _set_aside(target: Path, stamp: int) -> None:
    # The log belongs to the file it was written for: left beside another one, it would be played into it.
    for suffix in ("", "-wal", "-shm"):
        path = target.with_name(target.name + suffix)
        if path.exists():
            path.replace(target.with_name(f"{target.name}.before-{stamp}{suffix}"))
