"""How long one waits after wrong passwords, and what a new password must be."""

from __future__ import annotations

import pytest

from server.auth.lockout import PerMinute, Phantoms, Tries, may_try, wait_after
from server.auth.passwords import Hasher, check_new_password
from server.errors import PasswordRefused


def test_four_wrong_passwords_cost_nothing_then_the_wait_doubles_to_half_an_hour() -> None:
    assert [wait_after(failures) for failures in range(5)] == [0] * 5
    assert [wait_after(failures) // 1000 for failures in range(5, 12)] == [30, 60, 120, 240, 480, 960, 1800]
    assert wait_after(10_000) == 1_800_000


def test_names_that_do_not_exist_are_locked_too_and_forgotten_in_the_end() -> None:
    phantoms = Phantoms()
    for _ in range(5):
        phantoms.failed("d", "nobody", 1000)
    assert phantoms.locked_until("d", "nobody") == 31_000
    assert phantoms.locked_until("e", "nobody") == 0
    for number in range(10_000):
        phantoms.failed("d", str(number), 1000)
    assert phantoms.locked_until("d", "nobody") == 0


def test_what_is_being_looked_at_counts_until_it_ends() -> None:
    tries = Tries()
    one, phone = ("d", "wang", ""), ("d", "wang", "phone")
    with tries.one(*one) as first, tries.one(*one) as second, tries.one(*phone) as other:
        assert (first, second, other) == (0, 1, 0)
    with tries.one(*one) as again:
        assert again == 0
    assert [may_try(0, under_way) for under_way in (0, 4, 5)] == [True, True, False]
    assert [may_try(3, under_way) for under_way in (1, 2)] == [True, False]
    assert [may_try(12, under_way) for under_way in (0, 1)] == [True, False]


def test_an_address_gets_so_many_tries_a_minute() -> None:
    limit = PerMinute(per_minute=2)
    assert [limit.allows("a", now) for now in (0, 1, 2)] == [True, True, False]
    assert limit.allows("b", 3)
    assert limit.allows("a", 60_000)


def test_a_hash_is_argon2id_of_the_strength_we_promise() -> None:
    hashed = Hasher.shared().hash("lan tian bai yun")
    assert hashed.startswith("$argon2id$v=19$m=47104,t=1,p=1$")
    assert Hasher.shared().matches("lan tian bai yun", hashed)
    assert not Hasher.shared().matches("lan tian bai yum", hashed)
    assert not Hasher.shared().matches("x", "not a hash")
    assert not Hasher.shared().matches("nobody has this password", None)
    assert Hasher.shared().outdated(
        "$argon2id$v=19$m=8192,t=1,p=1$" + hashed.rsplit("$", 2)[1] + "$" + hashed[-43:]
    )


@pytest.mark.parametrize(
    "password", ["short", "x" * 129, "12345678", "PASSWORD1", "aaaaaaaaaaaa", "wangxiaoming"]
)
def test_a_password_that_anybody_would_try_is_refused(password: str) -> None:
    with pytest.raises(PasswordRefused):
        check_new_password(password, "WangXiaoMing")


def test_any_other_password_of_eight_characters_is_taken() -> None:
    check_new_password("晴天霹雳一二三四", "wang")
