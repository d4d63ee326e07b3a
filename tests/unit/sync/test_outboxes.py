"""Outboxes as apps of each released version filled them, handed to the server of today (EV2–EV4).

The files are never changed, only added to: whatever phone still holds such an outbox will hand it in some day.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from sync import content, versions
from sync.values import Collection

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.unit.sync.district import District, Phone

FOLDER = Path(__file__).resolve().parents[2] / "data" / "outboxes"
RELEASED = [version.number for version in versions.VERSIONS]
# What is not typed by anybody: ids, codes of a table, and what the session says better.
_MACHINE = frozenset({"id", "w", "kind", "type", "crs", "source", "mime", "sha256", "role", "captured_at"})

each_version = pytest.mark.parametrize("version", RELEASED)


def outbox(version: int) -> Any:
    return json.loads((FOLDER / f"{version}.json").read_text(encoding="utf-8"))


def typed(value: Any) -> Iterator[str]:
    """Every text that a person may have typed."""
    if isinstance(value, dict):
        for name, part in value.items():
            if name not in _MACHINE:
                yield from typed(part)
    elif isinstance(value, list):
        for part in value:
            yield from typed(part)
    elif isinstance(value, str):
        yield value


def kept(district: District) -> str:
    """All that is kept of anything: documents, what they were before, the ledger, what was put aside."""
    with district.store.read() as reader:
        pks = [row["pk"] for row in reader.find("document", columns=["pk"])]
        docs = {doc.pk: doc for doc in reader.documents_by_pk(pks)}
    texts: list[Any] = [content.whole(doc, district.keys) for doc in docs.values()]
    for table, column in (("change", "delta"), ("ledger", "payload")):
        for row in district.rows(table):
            doc = docs[row["doc_pk"]]
            label = content.label_of(doc.collection, doc.id) + (b"change" if table == "change" else b"ledger")
            sealed = doc.dek is not None
            body = content.unseal(district.keys, doc.dek, row[column], label) if sealed else row[column]
            texts.append(json.loads(body) if body else {})
    texts += [row["content"] for row in district.kept_aside()]
    return json.dumps(texts, ensure_ascii=False)


def hand_in(phone: Phone, version: int) -> None:
    recorded = outbox(version)
    phone.told = recorded["told"]
    for push in recorded["pushes"]:
        phone.push_rows(push["collection"], push["rows"])


def fingerprint(district: District) -> Any:
    counts = [len(district.rows(table)) for table in ("change", "ledger", "quarantine", "closed_place")]
    return counts, sorted((row["pk"], row["seq"], row["v"]) for row in district.rows("document"))


def test_each_released_version_has_its_outbox() -> None:
    assert sorted(int(path.stem) for path in FOLDER.glob("*.json")) == RELEASED


@each_version
def test_an_outbox_fits_the_schema_it_was_written_under(version: int) -> None:
    """A file that says more than its version knows would show nothing."""
    for push in outbox(version)["pushes"]:
        newer = versions.added(Collection[push["collection"]], version)
        assert all(newer.isdisjoint(row["newDocumentState"]) for row in push["rows"])


@each_version
def test_nothing_of_an_old_outbox_is_lost(district: District, version: int) -> None:
    hand_in(district.phone("an"), version)
    everything = kept(district)
    texts = {
        text
        for push in outbox(version)["pushes"]
        for row in push["rows"]
        for text in typed(row["newDocumentState"])
    }
    assert len(texts) > 5
    assert {text for text in texts if text not in everything} == set()


@each_version
def test_an_old_outbox_sent_again_changes_nothing(district: District, version: int) -> None:
    """PU6, QU2."""
    an = district.phone("an")
    hand_in(an, version)
    before = fingerprint(district)
    hand_in(an, version)
    assert fingerprint(district) == before


@each_version
def test_after_an_old_outbox_its_phone_and_a_new_one_hold_the_same(district: District, version: int) -> None:
    an = district.phone("an")
    hand_in(an, version)
    fresh = district.phone("an", "new-phone")
    fresh.told = an.told
    for collection in Collection:
        assert an.pull(collection.name) == fresh.pull(collection.name), collection.name


@each_version
def test_an_old_outbox_sent_by_the_app_of_today_keeps_what_only_that_can_say(
    district: District, version: int
) -> None:
    """EV4: the rows say what they were written under; another phone's caption stays."""
    hand_in(district.phone("an"), RELEASED[-1])
    captions = {doc["id"]: doc.get("caption") for doc in district.documents("files")}
    an = district.phone("an", "other-phone")
    an.told = versions.CURRENT
    for push in outbox(version)["pushes"]:
        rows = [{"schema": version} | row for row in push["rows"]]
        an.push_rows(push["collection"], rows)
    now = {doc["id"]: doc.get("caption") for doc in district.documents("files")}
    assert {key: now[key] for key in captions} == captions
    assert any(captions.values())
