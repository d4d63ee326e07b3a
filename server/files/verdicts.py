"""What a check of bytes comes to; shared by the checks and by who calls them."""

from typing import Final, NamedTuple

FORMATS: Final = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp"}
"""The pictures that are taken, by their names in Pillow, and their types."""


class Refused(Exception):
    """The bytes are not kept: `reason` is a code of the table ``file_refusals``."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Unjudged(Exception):
    """The check ended before it came to a verdict: somebody ended it, or the machine had too much to do."""


class Checked(NamedTuple):
    """What is kept: its type, the bytes, a small picture if it is one, and how long it is if it can be heard."""

    mime: str
    content: bytes
    thumbnail: bytes = b""
    seconds: int | None = None
