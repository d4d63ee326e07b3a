"""How this process keeps house with its memory; of the C library where that is glibc, elsewhere it is left alone."""

import ctypes
import gc
from typing import Any, Final

_ARENA_MAX: Final = -8  # M_ARENA_MAX of malloc.h


def settle_memory() -> None:
    """Take what the program consists of out of the collector's rounds, and have it make fewer of them.

    A request makes thousands of small values that reference counting frees; looking through all of the program's own
    for cycles after every few of them costs a tenth of a push.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def share_one_heap() -> None:
    """Let all threads have one heap; to be called before they are begun.

    With one each, every thread that ever made a page keeps the room for it; and they take turns anyway.
    """
    if (library := _glibc()) is not None:
        library.mallopt(_ARENA_MAX, 1)


def give_back() -> None:
    """Give the system back what was freed, after work that took much and is done once."""
    if (library := _glibc()) is not None:
        library.malloc_trim(0)


def _glibc() -> Any:
    library = ctypes.CDLL(None)
    return library if hasattr(library, "gnu_get_libc_version") else None
