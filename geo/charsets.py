"""How the texts of a layer's file are encoded: as it was declared, as the file says, else a guess that is told.

GBK is usual in China where nothing says so; every GBK text is GB18030.
"""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING

from geo.faults import Fault, FaultCode, error, notice

if TYPE_CHECKING:
    from collections.abc import Iterable

KNOWN = ("utf-8", "gb18030", "big5hkscs", "cp1252", "latin-1")
_GUESSES = KNOWN[:2]
_CALLED = {
    "utf8": "utf-8",
    "65001": "utf-8",
    "ascii": "utf-8",
    "gbk": "gb18030",
    "gb2312": "gb18030",
    "936": "gb18030",
    "cp936": "gb18030",
    "ansi936": "gb18030",
    "54936": "gb18030",
    "big5": "big5hkscs",
    "950": "big5hkscs",
    "cp950": "big5hkscs",
    "1252": "cp1252",
    "ansi1252": "cp1252",
    "iso88591": "latin-1",
    "88591": "latin-1",
    "latin1": "latin-1",
} | {name.replace("-", ""): name for name in KNOWN}


def known(name: str) -> str | None:
    """The encoding that a name, also one of a .cpg file, means; None for one that is not read here."""
    return _CALLED.get("".join(sign for sign in name.lower() if sign.isalnum()))


def decoded(text: bytes, encoding: str) -> str:
    """Text whose last character may have been cut off by the width of its column; raises ``UnicodeDecodeError``."""
    return codecs.getincrementaldecoder(encoding)("strict").decode(text)


def guess(texts: Iterable[bytes]) -> str | None:
    """The first of UTF-8 and GB18030 that all texts can be; None when they are neither.

    Two Chinese characters of GBK can pass for letters of UTF-8 that nobody writes here: then they are GBK.
    """
    strange = [text for text in texts if not text.isascii()]
    fitting = [encoding for encoding in _GUESSES if _fits(strange, encoding)]
    if len(fitting) > 1 and any(_is_foreign(decoded(text, "utf-8")) for text in strange):
        return "gb18030"
    return fitting[0] if fitting else None


def _fits(texts: list[bytes], encoding: str) -> bool:
    try:
        for text in texts:
            decoded(text, encoding)
    except UnicodeDecodeError:
        return False
    return True


def _is_foreign(text: str) -> bool:
    """Whether there are letters of other scripts and nothing Chinese: two bytes each in UTF-8, as in GBK."""
    signs = [sign for sign in text if sign >= "\u0080"]
    return bool(signs) and all(sign < "\u0800" for sign in signs)


def text_of(content: bytes, encoding: str | None, faults: list[Fault]) -> str | None:
    """The text of a whole file, without its mark; None with a fault where it cannot be read."""
    wanted = known(encoding) if encoding is not None else None
    try:
        return content.decode("utf-8-sig" if wanted in {None, "utf-8"} else str(wanted))
    except UnicodeDecodeError:
        if wanted is not None:
            faults.append(error(FaultCode.ENCODING_WRONG, encoding=wanted))
            return None
    try:
        text = content.decode("gb18030")
    except UnicodeDecodeError:
        faults.append(error(FaultCode.ENCODING_WRONG, encoding="utf-8"))
        return None
    faults.append(notice(FaultCode.ENCODING_GUESSED, encoding="gb18030"))
    return text
