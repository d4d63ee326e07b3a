"""Access tokens: JSON Web Tokens signed with Ed25519, and nothing else accepted (RFC 8725, RFC 9068).

``iss`` is wangge, ``aud`` the district, ``sub`` the user's id, ``sid`` the session, ``dev`` the device, ``rot`` the
instant of the rotation that the token came with. Times are of the wall clock.
"""

import base64
import hmac
import threading
from collections import OrderedDict
from collections.abc import Collection
from typing import Any

import jwt
from msgspec import Struct

from server.errors import SessionEnded, Unauthorized
from server.keys import TokenKey

ISSUER = "wangge"
ACCESS_SECONDS = 15 * 60
COMMAND_SECONDS = 5 * 60
_ALGORITHMS = ["EdDSA"]
_ACCESS_TYPE, _COMMAND_TYPE = "at+jwt", "cli+jwt"
_LONGEST = 4096


class Claims(Struct, frozen=True):
    """What a valid access token says. `expires_at` in ms."""

    district: str
    user_id: str
    session: str
    device_id: str
    rotation: int
    expires_at: int


def make_access_token(key: TokenKey, claims: Claims, *, wall: int, jti: str) -> str:
    """A signed access token; its life is 15 minutes or what `claims` leave of it."""
    now = wall // 1000
    body = {
        "iss": ISSUER,
        "aud": claims.district,
        "sub": claims.user_id,
        "sid": claims.session,
        "dev": claims.device_id,
        "rot": claims.rotation,
        "iat": now,
        "exp": min(now + ACCESS_SECONDS, claims.expires_at // 1000),
        "jti": jti,
    }
    return jwt.encode(body, key.private, algorithm="EdDSA", headers={"typ": _ACCESS_TYPE, "kid": key.kid})


def read_access_token(key: TokenKey, token: str, *, wall: int, districts: Collection[str]) -> Claims:
    """The claims of a token that this installation signed for one of `districts`; raises ``Unauthorized``."""
    body = _verified(key, token, _ACCESS_TYPE, ["sub", "sid", "dev", "rot"], wall)
    audience = body["aud"]
    texts = (body["sub"], body["sid"], body["dev"])
    if not isinstance(audience, str) or audience not in districts:
        raise Unauthorized
    if not all(isinstance(text, str) for text in texts) or not isinstance(body["rot"], int):
        raise Unauthorized
    return Claims(audience, *texts, body["rot"], body["exp"] * 1000)


class KnownTokens:
    """Tokens whose signature was found right before: checking it again costs half a millisecond a request.

    What can change about a token is looked at each time: its expiry, and whether its district is served.
    """

    def __init__(self, most: int = 20_000) -> None:
        self._lock = threading.Lock()
        self._most = most
        self._claims: OrderedDict[str, Claims] = OrderedDict()

    def read(self, key: TokenKey, token: str, *, wall: int, districts: Collection[str]) -> Claims:
        """``read_access_token``, remembered."""
        with self._lock:
            claims = self._claims.get(token)
        if claims is None:
            claims = read_access_token(key, token, wall=wall, districts=districts)
            with self._lock:
                self._claims[token] = claims
                while len(self._claims) > self._most:
                    self._claims.popitem(last=False)
        if claims.expires_at <= wall or claims.district not in districts:
            with self._lock:
                self._claims.pop(token, None)
            raise Unauthorized
        return claims


def make_command_token(key: TokenKey, os_user: str, *, wall: int, jti: str) -> str:
    """A token of the command line for the server on the same machine; five minutes."""
    now = wall // 1000
    body = {
        "iss": ISSUER,
        "aud": "command",
        "sub": os_user,
        "iat": now,
        "exp": now + COMMAND_SECONDS,
        "jti": jti,
    }
    return jwt.encode(body, key.private, algorithm="EdDSA", headers={"typ": _COMMAND_TYPE, "kid": key.kid})


def read_command_token(key: TokenKey, token: str, *, wall: int) -> tuple[str, str]:
    """The OS user and the token's id; raises ``Unauthorized``."""
    body = _verified(key, token, _COMMAND_TYPE, ["sub"], wall)
    if body["aud"] != "command" or not isinstance(body["sub"], str) or not isinstance(body["jti"], str):
        raise Unauthorized
    return body["sub"], body["jti"]


def make_refresh_token(key: TokenKey, district: str, session: str, secret: bytes) -> str:
    """What a phone keeps: district, session, secret and our mark, joined by points."""
    return f"{district}.{session}.{_text(secret)}.{_text(key.mark(session, secret))}"


def read_refresh_token(key: TokenKey, token: str) -> tuple[str, str, bytes]:
    """District, session and secret of a refresh token that was made here; raises ``SessionEnded``."""
    parts = token.split(".")
    if len(token) > _LONGEST or len(parts) != 4:
        raise SessionEnded
    try:
        secret, mark = (base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)) for part in parts[2:])
    except ValueError as error:
        raise SessionEnded from error
    if not hmac.compare_digest(mark, key.mark(parts[1], secret)):
        raise SessionEnded
    return parts[0], parts[1], secret


def _text(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).decode().rstrip("=")


def _verified(key: TokenKey, token: str, kind: str, needed: list[str], wall: int) -> dict[str, Any]:
    if len(token) > _LONGEST:
        raise Unauthorized
    try:
        header = jwt.get_unverified_header(token)
        if header.get("typ") != kind or header.get("kid") != key.kid or set(header) != {"alg", "typ", "kid"}:
            raise Unauthorized
        body: dict[str, Any] = jwt.decode(
            token,
            key.public,
            algorithms=_ALGORITHMS,
            issuer=ISSUER,
            options={
                "require": ["iss", "aud", "exp", "iat", "jti", *needed],
                "verify_aud": False,  # checked by the caller: one token names one audience, as text
                "verify_exp": False,  # checked below, on the clock that was given
                "verify_iat": False,
            },
        )
    except jwt.PyJWTError as error:
        raise Unauthorized from error
    issued, expires = body["iat"], body["exp"]
    if type(issued) is not int or type(expires) is not int:
        raise Unauthorized
    # a minute for a clock that was set back between two servers
    if expires * 1000 <= wall or issued * 1000 > wall + 60_000:
        raise Unauthorized
    return body
