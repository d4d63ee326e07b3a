"""The way back from a backup.

A restore opens a new epoch, greater than any that a phone can have seen, and remembers the number restored to: that
is how phones learn to hand in again what the backup does not hold.

Everything is made ready beside what is there: rows, migrations, the new epoch, keys. Only then, in one step that is
done wholly or not at all (``server/swap.py``; on PostgreSQL one transaction), does it take the place of the former,
which is kept under a new name.
"""

import os
import zipfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from server import restore_postgres, swap
from server.backup import CHUNK, BadBackup, Manifest, Part, Progress, quiet, read_manifest
from server.clocks import wall_ms
from server.database import Database
from server.erasing import Pair, add_to_list, list_path, pairs_of, read_list
from server.keys import DistrictKeys, KeyFileError, SystemChance, fingerprint, read_key
from server.settings import Settings
from sync.commit import Context, commit
from sync.config import ConfigCache
from sync.erasing import DONE, erase_again
from sync.errors import KeyLost
from sync.sql_store import SqlStore
from sync.store import Tx

_DEKS = 20  # data keys that are tried


def restore(
    settings: Settings,
    source: Path,
    *,
    force: bool = False,
    erased: Path | None = None,
    progress: Progress = quiet,
) -> dict[str, int]:
    """Put everything back as the backup has it; returns the new epoch of each district. No server may run (RC5).

    What was erased after the backup was made is erased again in what it brings (ER4): what the list in the data folder
    names, the list `erased` of another installation, and the database that is replaced.

    What is there already is replaced only with `force`, and then kept beside under a new name.
    Raises ``BadBackup``, ``KeyFileError``, ``DatabaseBusy``; until it returns, the former state stands.
    """
    manifest = read_manifest(source)
    engine = "postgresql" if settings.postgres else "sqlite"
    if manifest.engine != engine:
        raise BadBackup(
            f"The backup was made on {manifest.engine}; it is restored there and not on {engine}."
        )
    database = Database(settings)
    prepared = Database(settings, prepared=True)
    try:
        if database.exists and not force:
            raise BadBackup("There is a database here already: use --force to replace it.")
        with database.lock(alone=True), zipfile.ZipFile(source) as archive:
            keys = _keys_to_place(settings, archive, manifest, force=force)
            used = _epochs_here(database, manifest)
            gone = {
                part.code: _erased_here(settings, database, part.code, erased) for part in manifest.districts
            }
            _clear(settings)
            try:
                if settings.postgres:
                    restore_postgres.load(settings, prepared, archive, manifest, progress)
                else:
                    _unpack(prepared, archive, manifest, progress)
                epochs = {
                    part.code: _open_epoch(prepared, part, max(used.get(part.code, 0), part.epoch))
                    for part in manifest.districts
                }
                for part in manifest.districts:
                    held = _check_key(settings, prepared, part.code, keys.get(part.code))
                    _erase_again(settings, prepared, part.code, gone[part.code], held)
                prepared.close()
                database.close()
                for name, content in keys.items():
                    swap.prepare_key(settings.keys_folder, name, content)
                _take_place(settings, manifest, max(epochs.values(), default=wall_ms()))
            except BaseException:  # an interrupt too must not leave what was prepared
                if not _may_be_done(settings):
                    _clear(settings)
                raise
            return epochs
    finally:
        prepared.close()
        database.close()


def _take_place(settings: Settings, manifest: Manifest, stamp: int) -> None:
    # what makes way is named by the epoch it makes way for: no two restores have the same
    if settings.postgres:
        restore_postgres.take_place(settings, manifest, stamp)
        swap.place_keys(settings.keys_folder, stamp)
    else:
        swap.mark(settings.sqlite_folder, stamp)
        swap.finish(settings.sqlite_folder, settings.keys_folder)


def _may_be_done(settings: Settings) -> bool:
    """Whether the step has begun: what is left of it is then for whoever has the lock next."""
    if settings.postgres:
        return swap.keys_are_prepared(settings.keys_folder)
    return swap.is_pending(settings.sqlite_folder)


def _clear(settings: Settings) -> None:
    swap.clear(settings.sqlite_folder, settings.keys_folder)
    if settings.postgres:
        restore_postgres.clear(settings)


# --- keys ------------------------------------------------------------------------------------------------------------


def _keys_to_place(
    settings: Settings, archive: zipfile.ZipFile, manifest: Manifest, *, force: bool
) -> dict[str, bytes]:
    """The key files that the backup brings, by name; raises ``KeyFileError`` where another key would be in its way."""
    found: dict[str, bytes] = {}
    for name in ["token", *(part.code for part in manifest.districts)]:
        path, entry = settings.keys_folder / f"{name}.key", f"keys/{name}.key"
        held = archive.read(entry) if entry in archive.namelist() else None
        expected = manifest.keys.get(name, "")
        if held is not None and fingerprint(held) != expected:
            raise BadBackup(f"{entry} in the backup is damaged.")
        if not path.exists():
            if held is None:
                raise KeyFileError(f"The backup holds no keys and {path} is not there: put it back first.")
            found[name] = held
            continue
        if not expected or fingerprint(path.read_bytes()) == expected:
            continue
        if held is not None and force:
            found[name] = held
        elif name != "token":  # with another key for tokens everybody signs in again, and nothing is lost
            raise KeyFileError(
                f"{path} is another key than the one of the backup, whose values it could not open. Put the key of "
                "the backup there and keep this one elsewhere, or restore a backup made --with-keys with --force."
            )
    return found


def _check_key(settings: Settings, prepared: Database, code: str, brought: bytes | None) -> DistrictKeys:
    """The keys that will be there; raises ``KeyFileError`` when they open none of the newest data keys."""
    path = settings.keys_folder / f"{code}.key"
    keys = DistrictKeys(read_key(path.read_bytes() if brought is None else brought, path))
    with _opened(prepared, code) as store, store.read() as reader:
        rows = reader.find("document", {"dek__ge": b""}, order=["-pk"], limit=_DEKS, columns=["dek"])
    for row in rows:
        try:
            keys.unwrap(bytes(row["dek"]))
        except KeyLost:
            continue
        return keys
    if rows:
        raise KeyFileError(
            f"{path} opens no value of the backup: put the key there that the district had when it was made."
        )
    return keys


# --- epochs ----------------------------------------------------------------------------------------------------------


def _epochs_here(database: Database, manifest: Manifest) -> dict[str, int]:
    """The epochs of the districts that will be replaced, as far as they can still be read."""
    found: dict[str, int] = {}
    for part in manifest.districts:
        if not database.postgres and not database.district_path(part.code).exists():
            continue
        store = database.open_store(part.code)
        try:
            with store.read() as reader:
                found[part.code] = reader.head().epoch
        except Exception:  # noqa: BLE001, S112  # a database too damaged to be asked is why one restores
            continue
        finally:
            store.close()
    return found


@contextmanager
def _opened(database: Database, code: str) -> Generator[SqlStore, None, None]:
    store = database.open_district(code)
    try:
        yield store
    finally:
        store.close()


def _open_epoch(prepared: Database, part: Part, used: int) -> int:
    """RC1: begin an epoch that no phone has seen, not even from a restore of this backup on another machine."""
    prepared.migrate_district(part.code)
    epoch = max(used + 1, wall_ms() // 1000)

    def work(tx: Tx) -> int:
        tx.new_epoch(epoch)
        tx.insert("epoch", [{"epoch": epoch, "restored_to": tx.head().seq}])
        tx.raise_config()
        return epoch

    with _opened(prepared, part.code) as store:
        return store.write(work)


# --- erasures --------------------------------------------------------------------------------------------------------


def _erased_here(settings: Settings, database: Database, code: str, other: Path | None) -> set[Pair]:
    found = read_list(list_path(settings.folder, code))
    if other is not None:
        found |= read_list(other)
    if not database.postgres and not database.district_path(code).exists():
        return found
    store = database.open_store(code)
    try:
        with store.read() as reader:
            found |= set(pairs_of(reader.find("erasure", {"state": DONE})))
    except Exception:  # noqa: BLE001  # damaged, or older than erasures: the list is what there is
        return found
    finally:
        store.close()
    return found


def _erase_again(
    settings: Settings, prepared: Database, code: str, pairs: set[Pair], keys: DistrictKeys
) -> None:
    """ER4: nothing comes back that was erased; and the list tells all of it from here on."""
    with _opened(prepared, code) as store:
        with store.read() as reader:
            known = set(pairs_of(reader.find("erasure", {"state": DONE})))
        if pairs:
            context = Context(wall_ms(), wall_ms(), SystemChance(), keys, ConfigCache(code), "restore")
            commit(store, erase_again(pairs), context)
            if not store.scrub():
                raise BadBackup("What was erased could not be taken out of the prepared file.")
    add_to_list(list_path(settings.folder, code), pairs | known)


# --- SQLite ----------------------------------------------------------------------------------------------------------


def _unpack(prepared: Database, archive: zipfile.ZipFile, manifest: Manifest, progress: Progress) -> None:
    for name in ["directory.db", *(f"districts/{part.code}.db" for part in manifest.districts)]:
        progress(name)
        target = prepared.folder / name
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with archive.open(name) as entry, os.fdopen(handle, "wb") as file:
            while chunk := entry.read(CHUNK):
                file.write(chunk)
    prepared.migrate_directory()
