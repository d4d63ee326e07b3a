"""Signing in, refreshing, signing out, the own password and devices."""

from typing import Any

from litestar import Request, delete, get, post
from msgspec import Struct, structs

from server.auth import sessions
from server.auth.callers import Caller
from server.auth.guards import address_of, callers_of, runtime_of, session_changed
from server.auth.lockout import PerMinute, Phantoms, Tries, may_try
from server.auth.passwords import Hasher, check_new_password
from server.auth.tokens import Claims, make_access_token, make_refresh_token, read_refresh_token
from server.clocks import wall_ms
from server.districts import District
from server.errors import AccountLocked, CredentialsRefused, DistrictRequired, SessionEnded, TooManyRequests
from server.runtime import Runtime
from sync.administration import USERNAME_MAX
from sync.commit import Context
from sync.errors import NotFound, Unprocessable
from sync.store import Reader, Row, Tx

HttpRequest = Request[Any, Any, Any]
_PASSWORD_MAX, _DEVICE_MAX = 256, 64


class DeviceBody(Struct, frozen=True, forbid_unknown_fields=True):
    """The phone that signs in; without an `id` the server makes one, to be kept for ever."""

    name: str = ""
    id: str | None = None


class SignInBody(Struct, forbid_unknown_fields=True):
    """`district` may be left out where there is one."""

    username: str
    password: str
    device: DeviceBody = DeviceBody()
    district: str | None = None


class RefreshBody(Struct, forbid_unknown_fields=True):
    """The refresh token; a device id, if given, must be the session's."""

    refresh_token: str
    device_id: str | None = None


class PasswordBody(Struct, forbid_unknown_fields=True):
    """The present password and the next."""

    password: str
    new_password: str


class UserAnswer(Struct):
    """Who has signed in."""

    id: str
    name: str
    username: str
    roles: list[str]
    grants: list[dict[str, Any]]


class SessionAnswer(Struct):
    """What a phone keeps of its session; `expires_in` in seconds.

    `wipe`: the device was stopped. The token lets it push what it holds, after which it must empty itself.
    """

    access_token: str
    refresh_token: str
    token_type: str
    expires_in: int
    device_id: str
    district: str
    district_name: str
    user: UserAnswer
    wipe: bool = False


@post("/api/v1/sessions", opt={"access": "open"}, status_code=201)
async def sign_in(request: HttpRequest, data: SignInBody) -> SessionAnswer:
    """Sign in with name and password on a device."""
    runtime = runtime_of(request)
    wall = wall_ms()
    limit: PerMinute = request.app.state.address_limit
    if not limit.allows(address_of(request), wall):
        raise TooManyRequests(retry_after=60)
    _check_lengths(data)
    district = _district(runtime, data.district)
    device_id = data.device.id or None
    if district is None:
        await Hasher.shared().check(data.password, None)
        raise CredentialsRefused
    account = await _named(request, district, data, device_id)
    new_hash = (
        await Hasher.shared().make(data.password) if Hasher.shared().outdated(account["password"]) else None
    )

    def work(tx: Tx, context: Context) -> sessions.Opened | None:
        return sessions.open_session(
            tx,
            context,
            account=account,
            device_id=device_id,
            device_name=data.device.name,
            new_hash=new_hash,
        )

    opened = await district.writer.submit(work, actor=f"user:{account['id']}")
    if opened is None:
        raise CredentialsRefused
    return await _answer(runtime, district, opened)


async def _named(request: HttpRequest, district: District, data: SignInBody, device_id: str | None) -> Row:
    """The account whose name and password were given; raises ``AccountLocked`` or ``CredentialsRefused``."""

    def standing(reader: Reader) -> sessions.Standing:
        return sessions.standing(reader, data.username, device_id)

    found = await district.read(standing)
    enrolled = found.device["id"] if found.device else ""
    tries: Tries = request.app.state.tries
    phantoms: Phantoms = request.app.state.phantoms
    with tries.one(district.code, data.username, enrolled) as under_way:
        found = await district.read(standing)
        account = found.account if found.account and found.account["state"] == "active" else None
        if account is None:
            until = phantoms.locked_until(district.code, data.username)
            failures = phantoms.failures(district.code, data.username)
        else:
            until, failures = found.locked_until, found.failures
        _let_try(until, failures, under_way)
        if await Hasher.shared().check(data.password, account["password"] if account else None) and account:
            return account
        if account is None:
            phantoms.failed(district.code, data.username, wall_ms())
        else:
            await _count_failure(district, account["pk"], found.device["pk"] if found.device else None)
    raise CredentialsRefused


def _let_try(until: int, failures: int, under_way: int) -> None:
    """Raises ``AccountLocked`` while one must wait, or while enough passwords are being looked at."""
    wall = wall_ms()
    if until > wall:
        raise AccountLocked(retry_after=(until - wall + 999) // 1000)
    if not may_try(failures, under_way):
        raise AccountLocked(retry_after=1)


async def _count_failure(district: District, account_pk: int, device_pk: int | None) -> None:
    await district.writer.submit(
        lambda tx, context: sessions.record_failure(tx, context, account_pk, device_pk), actor="anonymous"
    )


def _check_lengths(data: SignInBody) -> None:
    device = data.device.id or ""
    too_long = (
        len(data.username) > USERNAME_MAX or len(data.password) > _PASSWORD_MAX or len(device) > _DEVICE_MAX
    )
    if too_long or not data.username or not data.password:
        raise CredentialsRefused
    if device and not all(letter.isascii() and (letter.isalnum() or letter in "-_.") for letter in device):
        raise Unprocessable("A device id has letters, digits, and - _ . only.")


def _district(runtime: Runtime, named: str | None) -> District | None:
    if named is not None:
        return runtime.districts.get(named)
    if len(runtime.districts) != 1:
        raise DistrictRequired
    return next(iter(runtime.districts.values()))


async def _answer(runtime: Runtime, district: District, opened: sessions.Opened) -> SessionAnswer:
    wall = wall_ms()
    claims = Claims(
        district.code, opened.user_id, opened.session, opened.device_id, opened.rotation, opened.expires_at
    )
    access = make_access_token(runtime.signing, claims, wall=wall, jti=runtime.chance.uuid7(wall))
    config = await district.read(district.config_of)
    account = config.accounts[opened.user_pk]
    return SessionAnswer(
        access_token=access,
        refresh_token=make_refresh_token(runtime.signing, district.code, opened.session, opened.secret),
        token_type="Bearer",  # noqa: S106  # the name of a scheme
        expires_in=max(0, min(15 * 60, (opened.expires_at - wall) // 1000)),
        device_id=opened.device_id,
        district=district.code,
        district_name=district.name,
        user=UserAnswer(
            id=account.id,
            name=account.name,
            username=account.username,
            roles=[] if opened.late else sorted(config.roles(account.pk)),
            grants=[] if opened.late else sessions.grants_of(config, account.pk),
        ),
        wipe=opened.late,
    )


@post("/api/v1/sessions/refresh", opt={"access": "open"}, status_code=200)
async def refresh(request: HttpRequest, data: RefreshBody) -> SessionAnswer:
    """Exchange a refresh token for a new pair; the same question may be asked again until the answer was used."""
    runtime = runtime_of(request)
    code, session, secret = read_refresh_token(runtime.signing, data.refresh_token)
    district = runtime.districts.get(code)
    if district is None:
        raise SessionEnded
    key = runtime.signing
    result = await district.writer.submit(
        lambda tx, context: sessions.rotate(tx, context, key, session, secret, data.device_id),
        actor="anonymous",
    )
    callers_of(request, code).forget(session)
    if isinstance(result, sessions.Reused):
        session_changed(request, code, user_pk=result.user_pk)
        raise SessionEnded
    return await _answer(runtime, district, result)


@get("/api/v1/sessions/current", opt={"access": "user"})
async def current(request: HttpRequest, caller: Caller) -> UserAnswer:
    """Who is signed in, with the roles of this moment."""
    district = runtime_of(request).district(caller.district)
    config = await district.read(district.config_of)
    return UserAnswer(
        id=caller.user_id,
        name=caller.name,
        username=caller.username,
        roles=sorted(caller.roles),
        grants=sessions.grants_of(config, caller.user_pk),
    )


@delete("/api/v1/sessions/current", opt={"access": "user:late"}, status_code=204)
async def sign_out(request: HttpRequest, caller: Caller) -> None:
    """Sign out on this device."""
    district = runtime_of(request).district(caller.district)
    await district.writer.submit(
        lambda tx, context: sessions.end_session(tx, context, caller.session),
        actor=f"user:{caller.user_id}",
        always=True,
    )
    session_changed(request, caller.district, user_pk=caller.user_pk)


@post("/api/v1/sessions/current/password", opt={"access": "user"}, status_code=204)
async def change_password(request: HttpRequest, data: PasswordBody, caller: Caller) -> None:
    """Change the own password; other devices are signed out."""
    district = runtime_of(request).district(caller.district)
    tries: Tries = request.app.state.tries
    with tries.one(caller.district, caller.username, caller.device_id) as under_way:
        found = await district.read(
            lambda reader: sessions.standing(reader, caller.username, caller.device_id)
        )
        _let_try(found.locked_until, found.failures, under_way)
        known = found.account["password"] if found.account else None
        if not await Hasher.shared().check(data.password[:_PASSWORD_MAX], known):
            await _count_failure(district, caller.user_pk, caller.device_pk)
            raise CredentialsRefused
    check_new_password(data.new_password, caller.username)
    new_hash = await Hasher.shared().make(data.new_password)
    await district.writer.submit(
        lambda tx, context: sessions.set_password(tx, context, caller.user_pk, new_hash, keep=caller.session),
        actor=f"user:{caller.user_id}",
    )
    session_changed(request, caller.district, user_pk=caller.user_pk)


class DeviceAnswer(Struct):
    """One device of one's own; instants in ms."""

    id: str
    name: str
    created_at: int
    seen_at: int
    revoked_at: int | None
    current: bool = False


@get("/api/v1/devices", opt={"access": "user"})
async def devices(request: HttpRequest, caller: Caller) -> list[DeviceAnswer]:
    """The caller's devices."""
    district = runtime_of(request).district(caller.district)
    rows = await district.read(
        lambda reader: reader.find("device", {"user_pk": caller.user_pk}, order=["pk"])
    )
    answers = [
        DeviceAnswer(row["id"], row["name"], row["created_at"], row["seen_at"], row["revoked_at"])
        for row in rows
    ]
    return [structs.replace(answer, current=answer.id == caller.device_id) for answer in answers]


@post("/api/v1/devices/{device_id:str}/revoke", opt={"access": "user"}, status_code=204)
async def revoke(request: HttpRequest, device_id: str, caller: Caller) -> None:
    """Stop one of the caller's devices: a lost phone can hand in what it holds, and is told to wipe itself."""
    district = runtime_of(request).district(caller.district)

    def work(tx: Tx, context: Context) -> None:
        rows = tx.find("device", {"id": device_id, "user_pk": caller.user_pk}, limit=1)
        if not rows:
            raise NotFound
        sessions.revoke_device(tx, context, rows[0]["pk"])

    await district.writer.submit(work, actor=f"user:{caller.user_id}")
    session_changed(request, caller.district, user_pk=caller.user_pk)


HANDLERS = [sign_in, refresh, current, sign_out, change_password, devices, revoke]
