"""Where bytes lie: a folder of this machine or a bucket, by the same calls. Everything in it is sealed.

A name in it is made of a district's code and of what a keyed digest or chance gave, never of what somebody sent.
"""

import os
import re
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import obstore
from msgspec import Struct
from obstore.exceptions import BaseError
from obstore.store import LocalStore, S3Store

from sync.errors import StoreUnavailable, SyncError

_NAME: Final = re.compile(r"(?:[a-z0-9][a-z0-9_-]*/)*[a-z0-9][a-z0-9_-]*")


class BytesLost(SyncError):
    """Bytes that should be in the store are not there, or are not what was put there."""

    code = "bytes_lost"
    status = 500


class Kept(Struct, frozen=True):
    """Something in the store: its name, bytes, and when it was put there (ms)."""

    name: str
    size: int
    at: int


class BlobStore:
    """See the module's head; every call may take as long as a disk or a network does."""

    def __init__(self, url: str) -> None:
        """Of a ``file:///folder`` or ``s3://bucket/prefix``; nothing is opened before it is asked.

        A bucket's region, keys and endpoint are those of the usual ``AWS_*`` variables.
        """
        self._url = urlsplit(url)
        self._store: Any = None
        self._folder: Path | None = None
        if self._url.scheme == "file":
            self._folder = Path(unquote(self._url.path))

    def _opened(self) -> Any:
        if self._store is None:
            if self._folder is not None:
                self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._store = LocalStore(self._folder)
            else:
                prefix = self._url.path.strip("/")
                self._store = S3Store(
                    self._url.netloc, prefix=prefix or None, virtual_hosted_style_request=False
                )
        return self._store

    def put(self, name: str, content: bytes) -> None:
        """Keep `content` under `name`, in place of what was there; it is on the disk when this returns."""
        with _told():
            obstore.put(self._opened(), _checked(name), content)
            if self._folder is not None:
                self._sync(self._folder / name)

    def _sync(self, path: Path) -> None:
        for place in (path, *path.parents):
            handle = os.open(place, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
            if place == self._folder:
                return

    def get(self, name: str) -> bytes:
        """What was put under `name`; raises ``BytesLost``."""
        with _told():
            return bytes(obstore.get(self._opened(), _checked(name)).bytes())

    def delete(self, names: Iterable[str]) -> None:
        """Delete these; what is not there is as good as deleted."""
        for name in names:
            try:
                with _told():
                    obstore.delete(self._opened(), _checked(name))
            except BytesLost:
                continue

    def kept(self, prefix: str) -> Iterator[Kept]:
        """Everything whose name begins with the folder `prefix`."""
        with _told():
            for chunk in obstore.list(self._opened(), _checked(prefix), chunk_size=1000):
                for found in chunk:
                    at = int(found["last_modified"].timestamp() * 1000)
                    yield Kept(found["path"], found["size"], at)


def _checked(name: str) -> str:
    if _NAME.fullmatch(name) is None:
        raise ValueError("a name in the store is made here, never taken from outside")
    return name


@contextmanager
def _told() -> Generator[None, None, None]:
    try:
        yield
    except FileNotFoundError as error:
        raise BytesLost from error
    except (BaseError, OSError) as error:
        raise StoreUnavailable from error


def blob_name(district: str, address: str) -> str:
    """Where the bytes of a verified file lie."""
    return f"{district}/blobs/{address[:2]}/{address}"


def thumbnail_name(district: str, address: str) -> str:
    """Where its small picture lies."""
    return f"{district}/thumbs/{address[:2]}/{address}"


def part_name(district: str, upload: str, offset: int, token: str) -> str:
    """Where a part of an upload lies."""
    return f"{district}/parts/{upload}/{offset}-{token}"
