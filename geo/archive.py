"""Zip files as layers come in them: a few files are taken out into memory, within limits; nothing else is touched."""

from __future__ import annotations

import io
import zipfile
import zlib
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from geo.faults import Fault, FaultCode, error

if TYPE_CHECKING:
    from collections.abc import Sequence

ENTRIES_MAX = 500
_DIRECTORY_MAX = ENTRIES_MAX << 10  # a name and what belongs to it are shorter than 1 kB
_END, _END_LENGTH = b"PK\x05\x06", 22
UNPACKED_MAX = 96 << 20  # a province in a shapefile is less
_PLAIN = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}  # others may ask for any amount of memory
_SHOWN = 64


def is_archive(content: bytes) -> bool:
    """Whether the bytes begin as a zip file does."""
    return content.startswith((b"PK\x03\x04", b"PK\x05\x06"))


class Archive:
    """A zip file whose entries are found by how their names end. Made by `open_archive`."""

    def __init__(self, file: zipfile.ZipFile, entries: Sequence[zipfile.ZipInfo]) -> None:
        self._file = file
        self._entries = entries
        self._left = UNPACKED_MAX

    def ending(self, *endings: str) -> list[str]:
        """Names that end in one of these, in any case."""
        return [entry.filename for entry in self._entries if entry.filename.lower().endswith(endings)]

    def beside(self, name: str, ending: str) -> str | None:
        """The entry that is called as `name` but for its ending, in any case; or None."""
        wanted = str(PurePosixPath(name).with_suffix(ending)).lower()
        return next((entry.filename for entry in self._entries if entry.filename.lower() == wanted), None)

    def take(self, name: str, faults: list[Fault]) -> bytes | None:
        """An entry's bytes; None with a fault where it is broken or, with those taken before, too large."""
        if self._left < 0:  # that has been told
            return None
        try:
            with self._file.open(name) as stream:
                content = stream.read(self._left + 1)  # what the directory says of its size is not believed
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, LookupError, RuntimeError):
            faults.append(error(FaultCode.ARCHIVE_BROKEN))
            return None
        self._left -= len(content)
        if self._left < 0:
            faults.append(error(FaultCode.ARCHIVE_TOO_LARGE, megabytes=str(UNPACKED_MAX >> 20)))
            return None
        return content


def open_archive(content: bytes, faults: list[Fault]) -> Archive | None:
    """The archive, or None with a fault: broken, locked, too many entries, names that lead out of a folder."""
    if _directory_length(content) > _DIRECTORY_MAX:  # each entry would become an object
        faults.append(error(FaultCode.ARCHIVE_TOO_MANY, most=str(ENTRIES_MAX)))
        return None
    try:
        file = zipfile.ZipFile(io.BytesIO(content))
        entries = [entry for entry in file.infolist() if not entry.is_dir()]
    except (zipfile.BadZipFile, EOFError, OSError, ValueError, LookupError, RuntimeError):
        faults.append(error(FaultCode.ARCHIVE_BROKEN))
        return None
    if len(entries) > ENTRIES_MAX:
        faults.append(error(FaultCode.ARCHIVE_TOO_MANY, most=str(ENTRIES_MAX)))
        return None
    outside = next((entry.filename for entry in entries if _leads_out(entry.filename)), None)
    if outside is not None:
        faults.append(error(FaultCode.ARCHIVE_PATHS, name=ascii(outside)[1:-1][:_SHOWN]))
        return None
    shown = [entry for entry in entries if not _is_hidden(entry.filename)]
    if any(entry.flag_bits & 1 for entry in shown):
        faults.append(error(FaultCode.ARCHIVE_LOCKED))
        return None
    if any(entry.compress_type not in _PLAIN for entry in shown):
        faults.append(error(FaultCode.ARCHIVE_BROKEN))
        return None
    return Archive(file, shown)


def _directory_length(content: bytes) -> int:
    """How long the directory at the end says it is; looked for where `zipfile` looks."""
    start = len(content) - _END_LENGTH
    if content[start : start + 4] != _END or content[-2:] != b"\0\0":
        start = content.rfind(_END, max(0, start - 0xFFFF))
    return int.from_bytes(content[start + 12 : start + 16], "little") if start >= 0 else 0


def _leads_out(name: str) -> bool:
    parts = name.replace("\\", "/").split("/")
    return parts[0] == "" or parts[0].endswith(":") or ".." in parts


def _is_hidden(name: str) -> bool:
    """What a Mac puts beside every file."""
    return any(part.startswith((".", "__MACOSX")) for part in PurePosixPath(name).parts)
