"""JSON from outside, read strictly: what two readers could understand differently is refused.

Refused are keys given twice, nesting deeper than 32, bodies over the limit, NaN and infinities, lone surrogates and
NUL characters (one of our databases cannot store them).
"""

import json
import math
import re
from typing import Any, ClassVar, NoReturn

from sync.errors import BadRequest, SyncError

MAX_DEPTH = 32
MAX_BYTES = 1 << 20
# A string (also one that never ends, so that the scan stays linear), or a bracket outside strings.
_TOKENS = re.compile(rb'"(?:[^"\\]+|\\.)*+(?:"|\\?\Z)|[\[\]{}]', re.DOTALL)
_SUSPICIOUS = re.compile(rb"\\u(?:[dD][89a-fA-F]|0000)")
_BAD_CHARACTER = re.compile("[\ud800-\udfff\x00]")


class MalformedJson(BadRequest):
    """The body is not valid JSON."""

    code: ClassVar[str] = "json_malformed"


class DuplicateKey(BadRequest):
    """A key stands twice in one object of the body."""

    code: ClassVar[str] = "json_duplicate_key"


class TooDeep(BadRequest):
    """The body is nested too deeply."""

    code: ClassVar[str] = "json_too_deep"


class BodyTooLarge(SyncError):
    """The body is larger than this address accepts."""

    code: ClassVar[str] = "body_too_large"
    status: ClassVar[int] = 413


def parse(body: bytes, max_bytes: int = MAX_BYTES, max_depth: int = MAX_DEPTH) -> Any:
    """The value of `body`; raises ``MalformedJson``, ``DuplicateKey``, ``TooDeep`` or ``BodyTooLarge``."""
    if len(body) > max_bytes:
        raise BodyTooLarge(max_bytes=max_bytes)
    _check_depth(body, max_depth)
    try:
        text = body.decode("utf-8")
        value = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=_finite)
    except ValueError as error:
        raise MalformedJson from error
    if _SUSPICIOUS.search(body):
        _check_characters(value)
    return value


def _check_depth(body: bytes, max_depth: int) -> None:
    depth = 0
    for match in _TOKENS.finditer(body):
        first = body[match.start()]
        if first in b"[{":
            depth += 1
            if depth > max_depth:
                raise TooDeep(max_depth=max_depth)
        elif first in b"]}":
            depth -= 1


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise DuplicateKey
    return found


def _no_constant(_: str) -> NoReturn:
    raise MalformedJson


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise MalformedJson
    return number


def _check_characters(value: Any) -> None:
    if isinstance(value, str):
        if _BAD_CHARACTER.search(value):
            raise MalformedJson
    elif isinstance(value, dict):
        for key, inner in value.items():
            _check_characters(key)
            _check_characters(inner)
    elif isinstance(value, list):
        for inner in value:
            _check_characters(inner)
