"""A district's public keys as they are told, and the opening of bundles before they come to the writer (SE1, SE4)."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from msgspec import Raw, Struct

from server.districts import District
from server.signing import SealingKeys
from sync.administration import put_settings
from sync.commit import Context, Work
from sync.config import Config
from sync.errors import BadRequest, BatchTooLarge
from sync.hand_in import BUNDLES_MAX
from sync.push_body import BYTES_MAX, cut
from sync.sealed import SUITE, VERSION, Opened, open_bundle, to_base64url
from sync.store import Reader, Tx

SETTING: Final = "sealing_key"  # the number of the key to which phones seal now


class _HandedIn(Struct, forbid_unknown_fields=True):
    bundles: list[Raw]


_EXPECTED: Final = "正文应为 {bundles: [...]}。"
_decode = msgspec.json.Decoder(_HandedIn).decode


def newest_key(config: Config) -> int:
    """The number of the key to which phones seal now."""
    number = config.settings.get(SETTING, 1)
    return number if isinstance(number, int) and number >= 1 else 1


def sealing_of(reader: Reader, district: District) -> dict[str, Any]:
    """SE1: to which key, and how, a phone of this district seals."""
    keys, number = district.keys.sealing, newest_key(district.config_of(reader))
    return {
        "version": VERSION,
        "suite": SUITE,
        "key": keys.id(number),
        "public": to_base64url(keys.public(number)),
    }


def published(reader: Reader, district: District) -> dict[str, Any]:
    """Every public key of a district."""
    receipts = district.keys.receipts
    return {
        "district": district.code,
        "sealing": sealing_of(reader, district),
        "receipts": {"key": receipts.id, "public": to_base64url(receipts.public), "algorithm": "Ed25519"},
    }


def opened(district: District, body: bytes, newest: int) -> list[Opened]:
    """The bundles of a request, opened as far as they can be; raises ``BadRequest`` or ``BatchTooLarge``."""
    if len(body) > BYTES_MAX:
        raise BatchTooLarge
    try:
        bundles = [bytes(bundle) for bundle in _decode(body).bundles]
    except RecursionError:
        bundles = _one_by_one(body)
    except ValueError as error:
        raise BadRequest(_EXPECTED) from error
    return opened_each(district, bundles, newest)


def _one_by_one(body: bytes) -> list[bytes]:
    """SE4 for a list in which one is nested so deep that no parser goes down to its end."""
    begin, end = body.find(b"["), body.rfind(b"]") + 1
    if b"".join((body[:begin] + body[end:]).split()) != b'{"bundles":}':
        raise BadRequest(_EXPECTED)
    return cut(body[begin:end])[1]


def opened_each(district: District, bundles: Sequence[bytes], newest: int) -> list[Opened]:
    """Bundles as they were handed in; raises ``BatchTooLarge`` for too many of them."""
    if len(bundles) > BUNDLES_MAX:
        raise BatchTooLarge

    def opener(identity: str, sealed: bytes, info: bytes) -> bytes | None:
        return district.keys.sealing.open(identity, sealed, info, newest=newest)

    return [open_bundle(bundle, district.code, opener) for bundle in bundles]


def rotate_work(keys: SealingKeys) -> Work[str]:
    """Begin to publish the next key; what was sealed to earlier ones opens as before. Returns its name."""

    def work(tx: Tx, context: Context) -> str:
        number = newest_key(context.configs.get(tx)) + 1
        put_settings({SETTING: number})(tx, context)
        return keys.id(number)

    return work
