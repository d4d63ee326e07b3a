"""A body is read in one pass where nothing is wrong in it, and row by row where anything is: the rows are the same."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings, strategies as st

from sync import push_body
from sync.push_body import DEPTH_MAX, parse
from sync.values import Collection

CASE = {"id": "01998d6f-3c00-7000-8000-0000000000a1", "kind": "dispute", "title": "三楼漏水", "w": "1:a"}
SCALARS = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)
FIELDS = ("title", "location", "parties", "signals", "assignment", "due", "unheard_of", "captured_at")


def body(*documents: object, base: object = None) -> bytes:
    rows = [
        {"newDocumentState": doc} | ({} if base is None else {"assumedMasterState": base})
        for doc in documents
    ]
    return msgspec.json.encode(rows)


def nested(levels: int) -> object:
    value: object = 1
    for _ in range(levels):
        value = [value]
    return value


@settings(deadline=None)  # the machine may be busy
@given(st.lists(st.dictionaries(st.sampled_from(FIELDS), VALUES), min_size=1, max_size=3), VALUES)
def test_one_pass_and_row_by_row_read_the_same(documents: list[dict[str, object]], base: object) -> None:
    sent = body(*(CASE | doc for doc in documents), base=base)
    at_once = push_body._all_sound(Collection.cases, sent)
    apart = push_body._one_by_one(Collection.cases, sent)
    assert at_once is None or at_once == apart
    assert at_once is not None or any(row.fault for row in apart)


@pytest.mark.parametrize("field", ["location", "assignment", "unheard_of", "title"])
def test_a_row_as_deep_as_allowed_is_read_and_a_deeper_one_is_a_matter_of_its_own(field: str) -> None:
    """PU9."""
    fits, too_deep = CASE | {field: nested(DEPTH_MAX - 1)}, CASE | {field: nested(DEPTH_MAX)}
    assert [row.fault for row in parse(Collection.cases, body(CASE, fits))] == [None, None]
    assert [row.fault for row in parse(Collection.cases, body(CASE, too_deep))] == [None, "row_too_deep"]


def test_a_base_that_is_too_deep_counts_as_none() -> None:
    """PU9."""
    [deep] = parse(Collection.cases, body(CASE, base=CASE | {"due": nested(DEPTH_MAX)}))
    [fits] = parse(Collection.cases, body(CASE, base=CASE | {"due": nested(DEPTH_MAX - 1)}))
    assert deep.base is None
    assert fits.base is not None


def test_an_entry_may_be_deep_in_its_body_alone_as_far_as_allowed() -> None:
    """PU9: the shape of a body says nothing of its depth."""
    entry = {"id": CASE["id"], "case_id": CASE["id"], "type": "note"}
    fits, too_deep = ({"a": nested(levels)} for levels in (DEPTH_MAX - 2, DEPTH_MAX - 1))
    assert [row.fault for row in parse(Collection.entries, body(entry | {"body": fits}))] == [None]
    assert [row.fault for row in parse(Collection.entries, body(entry | {"body": too_deep}))] == [
        "row_too_deep"
    ]
