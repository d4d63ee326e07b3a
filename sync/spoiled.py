"""What cannot be decided must not stop its neighbours.

A fault of ours in one row would turn the whole push away, and a phone repeats a push for ever. So a work that runs into
one is decided anew with that row put aside: nothing has been written yet, since decisions fill a batch only.
"""

import traceback
from collections.abc import Callable, Hashable, Mapping
from pathlib import PurePath
from typing import TypeVar

T = TypeVar("T")
# What failed: the place of a row in its push, or the key of an entry that waited; and where in the program it did.
Failures = Mapping[Hashable, str]


class Spoiled(Exception):
    """The decision on `key` failed; the cause is the error."""

    def __init__(self, key: Hashable) -> None:
        super().__init__(key)
        self.key = key


def despite(attempt: Callable[[Failures], T], broke: Callable[[Exception], None]) -> T:
    """What `attempt` comes to, once it has been told what to leave; raises the error of what fails even then.

    `broke` hears of each failure.
    """
    failed: dict[Hashable, str] = {}
    while True:
        try:
            return attempt(failed)
        except Spoiled as spoiled:
            cause = spoiled.__cause__
            if not isinstance(cause, Exception) or spoiled.key in failed:
                raise cause or spoiled from None
            failed[spoiled.key] = _told(cause)
            broke(cause)


def _told(error: BaseException) -> str:
    """Kind and place of an error for the audit record; never its text, which may quote what somebody wrote."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f"{PurePath(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "unknown"
    return f"failed:{type(error).__name__}@{where}"
