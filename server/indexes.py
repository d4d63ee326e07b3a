"""The indexes of the layers in force: shared by whoever asks, their tiles kept in files and built beside the work.

A layer is known by the hash of its bytes. An index answers from the first moment on; its tiles come from the file, or
are built in a thread of their own and put there for the next start and for other processes on this machine.
"""

import hashlib
import logging
import threading
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from geo.assignment import LayerIndex
from geo.layer import from_geojson
from server import tile_file
from server.errors import place_of
from server.memory import give_back

_KEPT_MAX: Final = 8  # in memory, of all districts
_FILES_MAX: Final = 16
_log = logging.getLogger("wangge.indexes")


class Indexes:
    """Indexes by the layers they are of; `folder` is where the files lie."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, LayerIndex] = OrderedDict()
        self._builder = ThreadPoolExecutor(1, thread_name_prefix="indexes")

    def of(self, content: bytes) -> LayerIndex:
        """The index of a layer as it is kept."""
        digest = hashlib.sha256(content).hexdigest()
        with self._lock:
            index = self._kept.get(digest)
            if index is None:
                index = self._kept[digest] = LayerIndex(from_geojson(content))
                self._equip(index, digest)
                while len(self._kept) > _KEPT_MAX:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(digest)
        return index

    def close(self) -> None:
        """Wait for what is being built."""
        self._builder.shutdown(wait=True, cancel_futures=True)

    def _equip(self, index: LayerIndex, digest: str) -> None:
        tiles = tile_file.load(self._path(digest), digest)
        if tiles is None:
            self._builder.submit(self._build, index, digest)
        else:
            index.equip(tiles)

    def _build(self, index: LayerIndex, digest: str) -> None:
        try:
            tiles = index.equip()
            tile_file.save(tiles, self._path(digest), digest)
            self._tidy()
            give_back()
        except OSError as error:  # the index has its tiles; only the next start does without the file
            _log.warning("the tiles of a layer could not be kept", extra={"fields": {"why": error.strerror}})
        except Exception as error:  # noqa: BLE001  # nobody waits for this thread
            # Geometry goes on answering, slowly.
            _log.error("the tiles of a layer could not be built", extra={"fields": place_of(error)})

    def _path(self, digest: str) -> Path:
        return self._folder / f"{digest[:32]}.tiles"

    def _tidy(self) -> None:
        """Leave the newest files; one that another process has mapped goes on living for it."""
        files = sorted(self._folder.glob("*.tiles"), key=lambda file: file.stat().st_mtime, reverse=True)
        for file in files[_FILES_MAX:]:
            file.unlink(missing_ok=True)
