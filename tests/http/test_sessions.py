"""Signing in, staying signed in, and being signed out."""

from __future__ import annotations

import base64
import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import jwt
import pytest

from server.auth.tokens import make_access_token, read_access_token
from server.clocks import wall_ms
from tests.http.conftest import CODE, PASSWORD, Served

if TYPE_CHECKING:
    from collections.abc import Callable

CURRENT = "/api/v1/sessions/current"
REFRESH = "/api/v1/sessions/refresh"


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture
def wang(served: Served) -> Served:
    served.add_person("wang", "grid_worker")
    return served


def refresh(served: Served, token: str, status: int = 200) -> dict[str, Any]:
    answer = served.client.post(REFRESH, json={"refresh_token": token})
    assert answer.status_code == status, answer.text
    found: dict[str, Any] = answer.json()
    return found


def change(
    served: Served, table: str, where: dict[str, Any], values: dict[str, Any], *, config: bool = False
) -> None:
    def work(tx: Any, _: Any) -> None:
        assert tx.update(table, where, values)
        if config:
            tx.raise_config()

    served.district.writer.submit_blocking(work)


def test_a_worker_signs_in_and_is_told_who_she_is(wang: Served) -> None:
    answer = wang.sign_in("wang", device={"name": "redmi"})
    assert answer["expires_in"] == 900
    assert answer["user"]["roles"] == ["grid_worker"]
    assert answer["user"]["grants"][0]["unit"] == "D"
    me = wang.client.get(CURRENT, headers=bearer(answer["access_token"]))
    assert me.json()["id"] == answer["user"]["id"]


def test_nobody_is_let_in_without_a_token(wang: Served) -> None:
    for headers in ({}, {"Authorization": "Basic eDp5"}, bearer(""), bearer("x.y.z"), bearer("a" * 10_000)):
        answer = wang.client.get(CURRENT, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (401, "token_refused")
        assert answer.headers["www-authenticate"] == "Bearer"


def test_a_wrong_password_and_an_unknown_name_get_the_same_answer(wang: Served) -> None:
    answers = [
        wang.client.post("/api/v1/sessions", json={"username": name, "password": "wrong wrong"})
        for name in ("wang", "nobody")
    ]
    assert [answer.status_code for answer in answers] == [401, 401]
    assert answers[0].content == answers[1].content
    assert answers[0].headers == answers[1].headers


def test_an_unknown_district_answers_like_a_wrong_password(wang: Served) -> None:
    body = {"username": "wang", "password": PASSWORD, "district": "000000"}
    answer = wang.client.post("/api/v1/sessions", json=body)
    assert (answer.status_code, answer.json()["code"]) == (401, "credentials_refused")


def test_a_known_and_an_unknown_name_are_locked_alike_after_five_wrong_passwords(wang: Served) -> None:
    for name in ("wang", "nobody"):
        codes = [
            wang.client.post(
                "/api/v1/sessions", json={"username": name, "password": "wrong wrong"}
            ).status_code
            for _ in range(6)
        ]
        assert codes == [401] * 5 + [429]
    locked = wang.client.post("/api/v1/sessions", json={"username": "wang", "password": PASSWORD})
    assert locked.json()["code"] == "account_locked"
    assert 0 < int(locked.headers["retry-after"]) <= 30


@pytest.mark.parametrize("name", ["wang", "nobody"])
def test_forty_wrong_passwords_at_once_are_five_tries(wang: Served, name: str) -> None:
    body = {"username": name, "password": "wrong wrong"}
    with ThreadPoolExecutor(40) as pool:
        codes = list(
            pool.map(lambda _: wang.client.post("/api/v1/sessions", json=body).status_code, range(40))
        )
    assert 1 <= codes.count(401) <= 5
    assert codes.count(401) + codes.count(429) == 40


def test_the_own_password_is_not_guessed_in_parallel_either(wang: Served) -> None:
    headers = wang.bearer("wang")
    body = {"password": "wrong wrong", "new_password": "ming tian hui hao"}
    with ThreadPoolExecutor(20) as pool:
        codes = list(
            pool.map(
                lambda _: wang.client.post(f"{CURRENT}/password", json=body, headers=headers).status_code,
                range(20),
            )
        )
    assert 1 <= codes.count(401) <= 5
    assert codes.count(401) + codes.count(429) == 20


def test_after_the_wait_there_is_one_try(wang: Served) -> None:
    change(wang, "account", {"pk": 1}, {"failed": 9, "locked_until": wall_ms() - 1})
    wang.sign_in("wang")


def test_a_stranger_cannot_lock_out_a_phone_that_is_enrolled(wang: Served) -> None:
    device = wang.sign_in("wang")["device_id"]
    for _ in range(6):
        wang.client.post("/api/v1/sessions", json={"username": "wang", "password": "wrong wrong"})
    wang.sign_in("wang", device={"id": device})


def test_an_enrolled_phone_is_locked_by_its_own_wrong_passwords(wang: Served) -> None:
    device = {"id": wang.sign_in("wang")["device_id"]}
    body = {"username": "wang", "password": "wrong wrong", "device": device}
    codes = [wang.client.post("/api/v1/sessions", json=body).status_code for _ in range(6)]
    assert codes == [401] * 5 + [429]
    wang.sign_in("wang")


def test_a_phone_that_brings_its_own_id_may_hold_old_documents_and_counts_from_zero(wang: Served) -> None:
    wang.sign_in("wang", device={"id": "old-phone"})
    fresh = wang.sign_in("wang")["device_id"]
    wang.sign_in("wang", device={"id": fresh})
    with wang.district.store.read() as reader:
        head = reader.head().seq
        numbers = {row["id"]: row["registered_seq"] for row in reader.find("device")}
    assert numbers == {"old-phone": 0, fresh: head}
    assert head > 0


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "invalid"),
        (b"[]", "invalid"),
        (b'{"username": "wang"}', "invalid"),
        (b'{"username": "wang", "password": "x", "role": "admin"}', "invalid"),
        (b'{"username": 1, "password": "x"}', "invalid"),
        (b'{"username": "wang", "username": "li", "password": "x"}', "json_duplicate_key"),
        (b'{"username": ' + b"[" * 40 + b"]" * 40 + b"}", "json_too_deep"),
        (b"{", "json_malformed"),
    ],
)
def test_a_malformed_sign_in_is_refused_with_a_reason(wang: Served, body: bytes, code: str) -> None:
    answer = wang.client.post("/api/v1/sessions", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_body_over_the_limit_is_refused(wang: Served) -> None:
    answer = wang.client.post("/api/v1/sessions", content=b'{"username": "' + b"a" * (2 << 20) + b'"}')
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


# --- refreshing ------------------------------------------------------------------------------------------------------


def test_a_session_is_refreshed_again_and_again(wang: Served) -> None:
    token = wang.sign_in("wang")["refresh_token"]
    seen = {token}
    for _ in range(3):
        answer = refresh(wang, token)
        token = answer["refresh_token"]
        assert token not in seen
        seen.add(token)
        assert wang.client.get(CURRENT, headers=bearer(answer["access_token"])).status_code == 200


def test_a_lost_reply_does_not_sign_the_worker_out(wang: Served) -> None:
    first = wang.sign_in("wang")["refresh_token"]
    lost = refresh(wang, first)
    again = refresh(wang, first)
    assert again["refresh_token"] == lost["refresh_token"]
    refresh(wang, again["refresh_token"])


def test_a_lost_reply_may_be_repeated_days_later(wang: Served) -> None:
    first = wang.sign_in("wang")["refresh_token"]
    refresh(wang, first)
    change(wang, "session", {"user_pk": 1}, {"rotated_at": wall_ms() - 5 * 86_400_000})
    refresh(wang, first)


def test_a_secret_of_long_ago_ends_the_session_for_everybody_who_holds_it(wang: Served) -> None:
    first = wang.sign_in("wang")["refresh_token"]
    second = refresh(wang, first)["refresh_token"]
    third = refresh(wang, second)
    assert refresh(wang, first, 401)["code"] == "session_ended"
    assert refresh(wang, third["refresh_token"], 401)["code"] == "session_ended"
    assert wang.client.get(CURRENT, headers=bearer(third["access_token"])).json()["code"] == "session_ended"


def test_the_secret_before_dies_once_its_successor_was_seen_in_use(wang: Served) -> None:
    first = wang.sign_in("wang")["refresh_token"]
    second = refresh(wang, first)
    assert wang.client.get(CURRENT, headers=bearer(second["access_token"])).status_code == 200
    with wang.district.store.read() as reader:
        session = reader.find("session")[0]
    assert session["confirmed"]
    refresh(wang, first)  # another page of the same phone, in the same moment
    change(wang, "session", {"user_pk": 1}, {"rotated_at": wall_ms() - 60_000})
    refresh(wang, first, 401)
    refresh(wang, second["refresh_token"], 401)


def test_a_guessed_secret_ends_nobodys_session(wang: Served) -> None:
    token = wang.sign_in("wang")["refresh_token"]
    district, session, _, mark = token.split(".")
    guess = base64.urlsafe_b64encode(b"g" * 32).decode().rstrip("=")
    for bad in (
        f"{district}.{session}.{guess}.{mark}",
        "a.b.c",
        "x",
        f"{token}.x",
        f"{district}.{session}.é.ß",
    ):
        refresh(wang, bad, 401)
    refresh(wang, token)


def test_a_refresh_from_another_device_is_refused(wang: Served) -> None:
    token = wang.sign_in("wang")["refresh_token"]
    body = {"refresh_token": token, "device_id": "another"}
    assert wang.client.post(REFRESH, json=body).status_code == 401
    refresh(wang, token)


def test_a_session_ends_thirty_days_after_signing_in_however_often_it_is_refreshed(wang: Served) -> None:
    answer = wang.sign_in("wang")
    change(wang, "session", {"user_pk": 1}, {"expires_at": wall_ms() - 1})
    refresh(wang, answer["refresh_token"], 401)


# --- ending ----------------------------------------------------------------------------------------------------------


def test_signing_out_ends_the_session_at_the_next_request(wang: Served) -> None:
    answer = wang.sign_in("wang")
    headers = bearer(answer["access_token"])
    assert wang.client.get(CURRENT, headers=headers).status_code == 200
    assert wang.client.delete(CURRENT, headers=headers).status_code == 204
    assert wang.client.get(CURRENT, headers=headers).status_code == 401
    refresh(wang, answer["refresh_token"], 401)


def test_a_closed_account_is_out_at_the_next_request(wang: Served) -> None:
    answer = wang.sign_in("wang")
    assert wang.client.get(CURRENT, headers=bearer(answer["access_token"])).status_code == 200
    change(wang, "account", {"pk": 1}, {"state": "closed"}, config=True)
    assert wang.client.get(CURRENT, headers=bearer(answer["access_token"])).status_code == 401
    refresh(wang, answer["refresh_token"], 401)
    body = {"username": "wang", "password": PASSWORD}
    assert wang.client.post("/api/v1/sessions", json=body).json()["code"] == "credentials_refused"


def test_a_role_that_ends_is_gone_at_the_next_request(wang: Served) -> None:
    headers = wang.bearer("wang")
    assert wang.client.get(CURRENT, headers=headers).json()["roles"] == ["grid_worker"]
    change(wang, "grant_role", {"user_pk": 1}, {"v_to": 1}, config=True)
    assert wang.client.get(CURRENT, headers=headers).json()["roles"] == []


def test_not_before_refuses_what_was_opened_earlier(wang: Served) -> None:
    answer = wang.sign_in("wang")
    change(wang, "account", {"pk": 1}, {"not_before": wall_ms() + 1}, config=True)
    assert wang.client.get(CURRENT, headers=bearer(answer["access_token"])).status_code == 401


def test_a_lost_phone_that_is_revoked_is_told_to_wipe_itself(wang: Served) -> None:
    lost = wang.sign_in("wang")
    mine = wang.bearer("wang")
    path = f"/api/v1/devices/{lost['device_id']}/revoke"
    assert wang.client.post(path, headers=mine).status_code == 204
    answer = wang.client.get(CURRENT, headers=bearer(lost["access_token"]))
    assert (answer.status_code, answer.json()["code"], answer.json()["wipe"]) == (401, "session_ended", True)
    listed = wang.client.get("/api/v1/devices", headers=mine).json()
    assert [row["revoked_at"] is not None for row in listed] == [True, False]


def test_nobody_revokes_the_device_of_another(wang: Served) -> None:
    wang.add_person("li", "clerk")
    device = wang.sign_in("wang")["device_id"]
    assert wang.client.post(f"/api/v1/devices/{device}/revoke", headers=wang.bearer("li")).status_code == 404


def test_a_new_password_signs_the_other_devices_out(wang: Served) -> None:
    other = wang.bearer("wang")
    mine = wang.bearer("wang")
    path = f"{CURRENT}/password"
    wrong = {"password": "not it at all", "new_password": "ming tian hui hao"}
    assert wang.client.post(path, json=wrong, headers=mine).status_code == 401
    weak = {"password": PASSWORD, "new_password": "12345678"}
    assert wang.client.post(path, json=weak, headers=mine).json()["code"] == "password_refused"
    good = {"password": PASSWORD, "new_password": "ming tian hui hao"}
    assert wang.client.post(path, json=good, headers=mine).status_code == 204
    assert wang.client.get(CURRENT, headers=mine).status_code == 200
    assert wang.client.get(CURRENT, headers=other).status_code == 401
    wang.sign_in("wang", "ming tian hui hao")


# --- forged tokens ---------------------------------------------------------------------------------------------------


def _parts(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    return jwt.get_unverified_header(token), jwt.decode(token, options={"verify_signature": False})


def _unsigned(served: Served, token: str) -> str:
    header, body = _parts(token)
    return (
        ".".join(
            base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")
            for part in (header | {"alg": "none"}, body)
        )
        + "."
    )


def _signed_with_public_key(served: Served, token: str) -> str:
    header, body = _parts(token)
    key = served.runtime.signing.public.public_bytes_raw().hex().encode()
    return jwt.encode(body, key, algorithm="HS256", headers={"typ": header["typ"], "kid": header["kid"]})


def _altered(**changes: Any) -> Callable[[Served, str], str]:
    def forge(served: Served, token: str) -> str:
        header, body = _parts(token)
        body = {key: value for key, value in (body | changes).items() if value is not None}
        key = served.runtime.signing.private
        return jwt.encode(body, key, algorithm="EdDSA", headers={"typ": header["typ"], "kid": header["kid"]})

    return forge


def _headed(**changes: Any) -> Callable[[Served, str], str]:
    def forge(served: Served, token: str) -> str:
        header, body = _parts(token)
        return jwt.encode(body, served.runtime.signing.private, algorithm="EdDSA", headers=header | changes)

    return forge


def _other_key(_: Served, token: str) -> str:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    header, body = _parts(token)
    return jwt.encode(
        body,
        Ed25519PrivateKey.generate(),
        algorithm="EdDSA",
        headers={"typ": header["typ"], "kid": header["kid"]},
    )


FORGERIES = {
    "no algorithm": _unsigned,
    "the public key as a shared secret": _signed_with_public_key,
    "another key": _other_key,
    "another audience": _altered(aud="000000"),
    "several audiences": _altered(aud=[CODE, "000000"]),
    "no audience": _altered(aud=None),
    "another issuer": _altered(iss="wangg"),
    "expired": _altered(exp=1),
    "no expiry": _altered(exp=None),
    "expiry as text": _altered(exp="9999999999"),
    "endless": _altered(exp=float(2**53)),
    "issued in the future": _altered(iat=2**40, exp=2**41),
    "no token id": _altered(jti=None),
    "a session that is not": _altered(sid="nothing"),
    "another device": _altered(dev="another"),
    "another user": _altered(sub="another"),
    "a rotation as text": _altered(rot="1"),
    "another type": _headed(typ="JWT"),
    "a command's type": _headed(typ="cli+jwt"),
    "an unknown key id": _headed(kid="0000"),
    "a key of its own": _headed(jku="https://example.org/keys"),
    "an unknown demand": _headed(crit=["exp"]),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_token_is_refused(wang: Served, name: str) -> None:
    token = wang.sign_in("wang")["access_token"]
    answer = wang.client.get(CURRENT, headers=bearer(FORGERIES[name](wang, token)))
    assert answer.status_code == 401, answer.text


def test_an_unchanged_copy_of_a_token_is_accepted(wang: Served) -> None:
    token = wang.sign_in("wang")["access_token"]
    assert wang.client.get(CURRENT, headers=bearer(_altered()(wang, token))).status_code == 200


def test_a_token_never_outlives_its_session(wang: Served) -> None:
    runtime = wang.runtime
    wall = wall_ms()
    token = wang.sign_in("wang")["access_token"]
    claims = read_access_token(runtime.signing, token, wall=wall, districts=[CODE])
    import msgspec

    short = msgspec.structs.replace(claims, expires_at=wall + 60_000)
    made = make_access_token(runtime.signing, short, wall=wall, jti="1")
    assert read_access_token(runtime.signing, made, wall=wall, districts=[CODE]).expires_at <= wall + 60_000


def test_a_token_that_was_accepted_before_is_refused_once_it_has_expired(
    wang: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    from server.auth import guards

    headers = bearer(wang.sign_in("wang")["access_token"])
    assert wang.client.get(CURRENT, headers=headers).status_code == 200
    later = wall_ms() + 901_000
    monkeypatch.setattr(guards, "wall_ms", lambda: later)
    assert wang.client.get(CURRENT, headers=headers).json()["code"] == "token_refused"


def test_two_authorization_headers_are_refused(wang: Served) -> None:
    token = wang.sign_in("wang")["access_token"]
    headers = [("Authorization", f"Bearer {token}"), ("Authorization", "Bearer x")]
    assert wang.client.get(CURRENT, headers=headers).status_code == 401


def test_signing_in_and_out_is_on_the_chained_record(wang: Served) -> None:
    from sync.commit import audit_hash

    headers = wang.bearer("wang")
    wang.client.post("/api/v1/sessions", json={"username": "wang", "password": "wrong wrong"})
    wang.client.delete(CURRENT, headers=headers)
    with wang.district.store.read() as reader:
        rows = reader.find("audit", order=["pk"])
    assert [row["action"] for row in rows if row["action"].startswith("sign_")] == [
        "sign_in",
        "sign_in_refused",
        "sign_out",
    ]
    former = b""
    for row in rows:
        record = {key: row[key] for key in ("seq", "at", "actor", "action", "touched")}
        assert row["hash"] == audit_hash(former, record)
        former = row["hash"]
