"""Keys are made once, kept to their owner, and open only what they closed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from server.keys import DistrictKeys, KeyFileError, SystemChance, TokenKey, create_key_file, read_key_file
from sync.errors import KeyLost

if TYPE_CHECKING:
    from pathlib import Path

ONE, OTHER = DistrictKeys(bytes(range(32))), DistrictKeys(bytes(range(1, 33)))


def test_a_key_file_is_its_owners_alone_and_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "990101.key"
    create_key_file(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert len(read_key_file(path)) == 32
    with pytest.raises(KeyFileError):
        create_key_file(path)


@pytest.mark.parametrize("content", ["", "xx", "ab" * 31, "é"])
def test_a_broken_key_file_is_an_error_that_names_it(tmp_path: Path, content: str) -> None:
    path = tmp_path / "d.key"
    path.write_text(content)
    with pytest.raises(KeyFileError, match=r"d\.key"):
        read_key_file(path)


def test_a_data_key_comes_back_only_under_the_key_that_wrapped_it() -> None:
    wrapped = ONE.wrap(b"k" * 32)
    assert ONE.unwrap(wrapped) == b"k" * 32
    with pytest.raises(KeyLost):
        OTHER.unwrap(wrapped)
    for place in range(len(wrapped)):
        altered = bytearray(wrapped)
        altered[place] ^= 1
        with pytest.raises(KeyLost):
            ONE.unwrap(bytes(altered))
    for wrong in (b"", b"x" * 7, b"x" * 24):
        with pytest.raises(KeyLost):
            ONE.unwrap(wrong)


def test_a_digest_depends_on_the_key() -> None:
    assert ONE.digest(b"13800000000") == ONE.digest(b"13800000000")
    assert ONE.digest(b"13800000000") != OTHER.digest(b"13800000000")
    assert len(ONE.digest(b"")) == 16


def test_the_next_refresh_secret_is_the_same_each_time_and_differs_between_sessions() -> None:
    key = TokenKey(bytes(32))
    assert key.next_secret("s", b"a") == key.next_secret("s", b"a")
    assert key.next_secret("s", b"a") != key.next_secret("t", b"a")
    assert key.next_secret("s", b"a") != key.mark("s", b"a")


def test_ids_sort_in_the_order_they_were_made_even_when_the_clock_steps_back() -> None:
    chance = SystemChance()
    at = 1_800_000_000_000
    made = [chance.uuid7(at - (number % 7)) for number in range(10_000)]
    assert made == sorted(made)
    assert len(set(made)) == len(made)
    assert {text[14] for text in made} == {"7"}
    assert {text[19] for text in made} <= set("89ab")


def test_an_id_made_for_another_year_carries_that_year() -> None:
    chance = SystemChance()
    chance.uuid7(1_800_000_000_000)
    past = chance.uuid7(1_600_000_000_000)
    assert int(past.replace("-", "")[:12], 16) == 1_600_000_000_000


def test_no_random_byte_is_given_out_twice() -> None:
    chance = SystemChance()
    drawn = [chance.bytes(16) for _ in range(2000)]
    assert len(set(drawn)) == 2000
    assert {len(one) for one in drawn} == {16}
    assert len(chance.bytes(10_000)) == 10_000
