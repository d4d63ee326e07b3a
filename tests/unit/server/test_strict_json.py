"""JSON that two readers could understand differently is refused."""

import pytest

from server.strict_json import BodyTooLarge, DuplicateKey, MalformedJson, TooDeep, parse


def test_an_ordinary_body_is_read() -> None:
    assert parse('{"name": "王", "tags": ["a", {"b": null}]}'.encode()) == {
        "name": "王",
        "tags": ["a", {"b": None}],
    }


@pytest.mark.parametrize(
    "body",
    [b'{"role": "clerk", "role": "admin"}', b'[{"a": {"b": 1, "b": 1}}]', b'{"a": 1, "\\u0061": 2}'],
)
def test_a_key_given_twice_is_refused(body: bytes) -> None:
    with pytest.raises(DuplicateKey):
        parse(body)


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_a_body_nested_too_deeply_is_refused_before_it_is_built(opening: bytes) -> None:
    with pytest.raises(TooDeep):
        parse(opening * 100_000)


def test_brackets_inside_text_do_not_count_as_depth() -> None:
    text = "[" * 1000 + '\\"' + "{" * 1000
    assert parse(f'{{"text": "{text}"}}'.encode())["text"].startswith("[[[")


def test_thirty_two_levels_are_allowed() -> None:
    assert parse(b"[" * 32 + b"]" * 32)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"a": NaN}',
        b"[Infinity]",
        b"[-Infinity]",
        b'"\xff"',
        b'{"a": 1} x',
        b'["\\ud800"]',
        b'{"\\u0000": 1}',
        b'"' + b'\\"' * 100_000,
        b"1" * 5000,
        b"[1e999]",
        b'"\\',
    ],
)
def test_a_broken_body_is_refused(body: bytes) -> None:
    with pytest.raises(MalformedJson):
        parse(body)


def test_a_pair_of_surrogates_is_one_character() -> None:
    assert parse(b'["\\ud83d\\ude00"]') == ["😀"]


def test_a_body_over_the_limit_is_refused() -> None:
    with pytest.raises(BodyTooLarge):
        parse(b'"' + b"a" * 100 + b'"', max_bytes=100)
