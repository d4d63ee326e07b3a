"""Decisions on pushed rows of ``cases``: a new capture is always stored, an edit is merged by field."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from sync import casework, content
from sync.batch import Batch, Item, Met
from sync.captured import timed
from sync.cases.catalogue import CATEGORIES, highest
from sync.cases.kept import FIELDS_REFUSED, told_author
from sync.cases.lifecycle import kind_may_change
from sync.cases.merge_rules import Conflict, empty, not_taken_out
from sync.cases.model import checked
from sync.errors import KeyLost
from sync.facts import Facts
from sync.merge import merge, merge_stale, same
from sync.pull import Caller
from sync.recusal import denied
from sync.rows import PARENT_FIELDS, PushRow, counter_of, parent_id, written_at
from sync.store import Reader, Row
from sync.values import CLASSES, Collection, Doc, Level
from sync.visibility import CHILDREN

_NAME = "cases"
_IDENTIFYING = ("id", "kind", "subject_kind", "owner_id")


def load_waiting(reader: Reader, facts: Facts, keys: Sequence[bytes]) -> None:
    """Entries that came before their case: nearly always there is none at all."""
    if not reader.find("waiting", {"linked": False}, limit=1, columns=["entry_pk"]):
        return
    for row in reader.find("waiting", {"case_id": list(keys), "linked": False}, order=["entry_pk"]):
        facts.waiting.setdefault(row["case_id"], []).append(row["entry_pk"])
    pks = [pk for pks in facts.waiting.values() for pk in pks]
    facts.learn(reader.documents_by_pk(pks))


def decide(batch: Batch, facts: Facts, caller: Caller, row: PushRow) -> None:
    """PU3 for one row."""
    held = batch.held(Collection.cases, row.key)
    doc = held.doc if held is not None else facts.docs.get((Collection.cases, row.key))
    if doc is None:
        _capture(batch, facts, caller, row)
        return
    if is_duplicate(batch, facts, doc, row):
        if facts.restored is not None and doc.gone is None:
            # What was handed in again without its base comes once more with it, as an ordinary push.
            keep_lost_base(batch, facts, row, batch.take(doc), _NAME)
        return
    # PU8: who sees nothing, or not everything, does not write; what he sent is kept.
    level = facts.level(caller.user_pk, doc, batch.opened, batch.closed)
    if doc.gone is not None or level == Level.none:
        aside(batch, facts, caller, row, "out_of_scope", Collection.cases)
        return
    if level != Level.full:
        aside(batch, facts, caller, row, "not_yours_to_write", Collection.cases)
        return
    if row.fault is not None:
        aside(batch, facts, caller, row, row.fault, Collection.cases)
        return
    if row.doc.get("_deleted") is True:
        # A phone cannot delete a case; the wish is kept for the centre, the document comes back.
        aside(batch, facts, caller, row, "deletion_wanted", Collection.cases)
        return
    _edit(batch, facts, caller, row, batch.take(doc))


def is_duplicate(batch: Batch, facts: Facts, doc: Doc, row: PushRow) -> bool:
    """PU6: the same write id and the same client-owned content, now, in the history or earlier in the batch."""
    w = row.w
    if w is None or row.fault is not None:
        return False
    if doc.w == w:
        return doc.digest == row.digest
    return any(
        past["w"] == w and past["digest"] == row.digest
        for past in (*facts.history.get(doc.pk, ()), *batch.replaced)
        if past["w"] is not None and past["doc_pk"] == doc.pk
    )


def aside(
    batch: Batch,
    facts: Facts,
    caller: Caller,
    row: PushRow,
    reason: str,
    collection: int,
    *,
    tell: bool = True,
) -> None:
    """QU2, QU3: keep what a row holds where a person finds it; its author is told once, in plain words.

    It is kept beside the case it is about, so that whoever may not know of that case does not read it here, and an
    erasure empties it too.
    """
    kept = facts.kept.get((collection, row.key, row.mark))
    if kept is not None and (row.base is None or kept["device"] != caller.device_pk):
        return
    case = _about(batch, facts, collection, row)
    case_pk = None if case is None else case.doc.pk
    if kept is not None:
        _keep_base_too(batch, facts, row, kept, collection, case_pk)
        return
    doc_id = content.id_text(collection, row.key) if row.key else ""
    payload = {
        "new": {"raw": row.raw.decode(errors="replace")} if row.raw else row.doc,
        "base": row.base,
    }
    above = parent_id(collection, row.doc)
    place: dict[str, Any] = {"doc_id": doc_id, "case_pk": case_pk, "parent_id": above}
    kept = batch.keep(reason, payload, collection=collection, w=row.mark, **place)
    facts.kept[collection, row.key, row.mark] = kept
    if not tell:
        return
    name = content.NAMES[collection]
    args = {"collection": name, "reason": reason, "quarantine": kept["id"], "text": told_author(name, reason)}
    if collection == Collection.cases:
        knows = case is not None and caller.user_pk not in denied(batch, facts, case)
        named = knows or case is None
    else:
        # VI7: by what he is told of his own row nobody finds out whether a guessed case is real, or kept from him.
        knows = case is not None and _sees(batch, facts, caller, case)
        named = True
    if doc_id and named:
        args["id"] = doc_id
    batch.notice(caller.user_pk, caller.user_id, "kept_aside", reason, args, of_case=case if knows else None)


def _keep_base_too(
    batch: Batch, facts: Facts, row: PushRow, kept: Row, collection: int, case_pk: int | None
) -> None:
    """QU2: what was handed in again without its base after a restore comes once more with it, by its own device."""
    if kept["reason"] == FIELDS_REFUSED:
        # All but these values was merged, without a base.
        held = batch.held(collection, row.key)
        doc = held.doc if held is not None else facts.docs.get((collection, row.key))
        if doc is not None and doc.gone is None:
            keep_lost_base(batch, facts, row, batch.take(doc), content.NAMES[collection])
        return
    try:
        payload = msgspec.json.decode(
            content.unseal(facts.keys, kept["dek"], kept["payload"], kept["id"].encode())
        )
    except KeyLost:
        return
    if payload.get("base") is None:
        batch.complete(kept, payload | {"base": row.base}, case_pk=case_pk)


def _sees(batch: Batch, facts: Facts, caller: Caller, case: Item) -> bool:
    return facts.level(caller.user_pk, case.doc, batch.opened, batch.closed) != Level.none


def is_new_and_sound(batch: Batch, facts: Facts, caller: Caller, row: PushRow, collection: int) -> bool:
    """Whether a row of an unknown id can become a document; what cannot is put aside."""
    if row.fault is not None or row.doc.get("_deleted") is True:
        aside(batch, facts, caller, row, row.fault or "deleted_before_arrival", collection)
        return False
    if not row.checked.usable:
        aside(batch, facts, caller, row, row.checked.reason or "unusable", collection)
        return False
    return True


def _about(batch: Batch, facts: Facts, collection: int, row: PushRow) -> Item | None:
    """The living case that a row is, or is of, as far as can be read."""
    doc = facts.docs.get((collection, row.key)) if row.key else None
    if doc is not None and doc.collection in CHILDREN:
        doc = facts.by_pk.get(doc.case_pk or 0)
    if doc is None and collection in CHILDREN:
        doc = _case_named(facts, row.doc.get(PARENT_FIELDS[collection]))
    return batch.take(doc) if doc is not None and _is_living_case(doc) else None


def _case_named(facts: Facts, named: object) -> Doc | None:
    """The case of this id, or that of the entry whose id it is."""
    try:
        key = content.id_bytes(Collection.cases, named) if isinstance(named, str) else b""
    except ValueError:
        return None
    entry = facts.docs.get((Collection.entries, key))
    above = facts.by_pk.get(entry.case_pk or 0) if entry is not None else None
    return facts.docs.get((Collection.cases, key), above)


def _is_living_case(doc: Doc) -> bool:
    return doc.collection == Collection.cases and doc.gone is None


def _capture(batch: Batch, facts: Facts, caller: Caller, row: PushRow) -> None:
    """A new case: what is understandable is kept, and what is not becomes a stub that points to it."""
    if row.fault is not None:
        _stub(batch, facts, caller, row, row.fault)
        return
    if row.doc.get("_deleted") is True:
        aside(batch, facts, caller, row, "deleted_before_arrival", Collection.cases, tell=False)
        return
    result = row.checked
    if not result.usable:
        _stub(batch, facts, caller, row, result.reason or "unusable")
        return
    # A copy: a work that fails among others is done once more alone.
    values = {
        **result.values,
        "author": caller.user_id,
        "device": caller.device_id,
        **timed(facts, result.values),
    }
    issues = [_issue(issue.field, issue.code, issue.message) for issue in result.issues]
    if "author" in result.values or "device" in result.values:
        issues += claims(result.values, caller)
    if row.w is not None:
        values["w"] = row.w
    if issues:
        values["issues"] = issues
    item = casework.open_case(
        batch,
        facts,
        row.key,
        values,
        author=caller.user_pk,
        device=caller.device_pk,
        w=row.w,
        digest=row.digest,
    )
    item.said = row.said
    if result.rest:
        keep_rest(batch, facts, row, item, result.rest)
    keep_base(batch, row, item, values)
    _link_waiting(batch, facts, item, row.key)


def keep_base(batch: Batch, row: PushRow, item: Item, values: Mapping[str, Any]) -> None:
    """RC6: a base that nobody here has: its values may be all that is left of a lost history."""
    lost = {
        field: value
        for field, value in (row.base or {}).items()
        if field in values and value is not None and not same(value, values.get(field))
    }
    if lost:
        batch.dispute(item, "*", "lost_base", {"base": lost}, w=row.mark, met=Met())


def _stub(batch: Batch, facts: Facts, caller: Caller, row: PushRow, reason: str) -> None:
    """QU4: a capture that cannot be read is still a capture: a stub stands for it and the payload is kept."""
    identity = content.id_text(Collection.cases, row.key)
    aside(batch, facts, caller, row, reason, Collection.cases)
    kind = row.doc.get("kind")
    values: dict[str, Any] = {
        "id": identity,
        # the phone may have sent anything at all, a list or an object too
        "kind": kind if isinstance(kind, str) and kind in casework.KIND_CODES else "dispute",
        "captured_at": batch.now,
        "author": caller.user_id,
        "device": caller.device_id,
        "issues": [_issue("*", "unusable", reason)],
    }
    # What cannot be read is no less to be protected: by what it says of itself, and by what it is about.
    protection, category = row.doc.get("protection"), row.doc.get("category")
    about = CATEGORIES.get(category) if isinstance(category, str) else None
    told = protection if isinstance(protection, str) else None
    values["protection"] = highest(CLASSES, told, about.protection if about is not None else None)
    if row.w is not None:
        values["w"] = row.w
    item = casework.open_case(
        batch, facts, row.key, values, author=caller.user_pk, device=caller.device_pk, w=row.w, digest=None
    )
    _link_waiting(batch, facts, item, row.key)


def tell_issues(batch: Batch, row: PushRow, item: Item, caller: Caller) -> None:
    """What was wrong with an edit, beside what is wrong still; a good value ends the issues of its field."""
    was = item.values.get("issues") or []
    fresh = [_issue(issue.field, issue.code, issue.message) for issue in row.checked.issues]
    written = {name: value for name, value in row.checked.values.items() if value != item.values.get(name)}
    fresh += claims(written, caller)
    faulty = {issue["field"].partition(".")[0] for issue in fresh}
    good = row.checked.values.keys() - faulty
    kept = [issue for issue in was if issue["field"].partition(".")[0] not in good and issue not in fresh]
    batch.set(item, {"issues": [*kept, *fresh] or None})


def _issue(field: str, code: str, message: str) -> dict[str, str]:
    return {"field": field, "code": code, "message": message}


def claims(values: Mapping[str, Any], caller: Caller) -> list[dict[str, str]]:
    """Author and device are those of the session; another claim is told, not believed."""
    issues = []
    for field, own in (("author", {caller.user_id, caller.user_name}), ("device", {caller.device_id})):
        claim = values.get(field)
        if claim is not None and claim not in own:
            issues.append(_issue(field, "claim_differs", str(claim)[:64]))
    return issues


def keep_rest(batch: Batch, facts: Facts, row: PushRow, item: Item, rest: Mapping[str, Any]) -> None:
    """Refused and unknown values of an otherwise good row, once however often it is sent."""
    collection = item.doc.collection
    key = (collection, row.key, row.mark)
    if key in facts.kept:
        return
    case_pk = item.doc.pk if collection == Collection.cases else item.doc.case_pk
    place: dict[str, Any] = {"doc_id": item.id, "case_pk": case_pk}
    facts.kept[key] = batch.keep(FIELDS_REFUSED, dict(rest), collection=collection, w=row.mark, **place)


def _link_waiting(batch: Batch, facts: Facts, case: Item, key: bytes) -> None:
    for pk in facts.waiting.get(key, ()):
        doc = facts.by_pk.get(pk)
        if doc is None or doc.own_since is None or doc.writer is None:
            continue
        if facts.level(doc.writer, case.doc, batch.opened, batch.closed) >= Level.plain:
            link(batch, doc, case)  # who cannot see the case learns nothing of it


def link(batch: Batch, waiting: Doc, case: Item) -> None:
    """PU12: hang an entry or a file that waits on its case, which its writer sees."""
    entry = batch.take(waiting)
    batch.link(entry, case)
    batch.set(entry, {"parent_missing": None})
    batch.linked.append(waiting.pk)


def last_writer(facts: Facts, doc: Doc, field: str) -> int | None:
    """The device that last wrote a field; for a field never edited, the device of the capture."""
    line = _last_edit(facts, doc, field)
    device = _captured_on(facts, doc) if line is None else line["by_device"]
    return None if device is None else int(device)


def _last_edit(facts: Facts, doc: Doc, field: str) -> Row | None:
    past = facts.history.get(doc.pk, ())
    return next((line for line in past if field in line["fields"].split(",")), None)


def _captured_on(facts: Facts, doc: Doc) -> int | None:
    past = facts.history.get(doc.pk)
    return past[-1]["device"] if past else doc.device


def _succeeds(facts: Facts, doc: Doc, caller: Caller, row: PushRow, field: str) -> bool:
    """ME4, ME5: whether the pushed value comes after what this very device wrote in the field.

    A capture edited while its first push was under way goes out again without a base, since its phone never took the
    answer in. It is a successor if its counter is higher and nobody else has touched the field.
    """
    if row.base is not None:
        return last_writer(facts, doc, field) == caller.device_pk
    past = facts.history.get(doc.pk, [])
    first = past[-1]["device"] if past else doc.device
    others = [line for line in past if field in line["fields"].split(",") and line["by_device"] != first]
    counters = [counter_of(doc.w)] if doc.device == caller.device_pk else []
    counters += [counter_of(line["w"]) for line in past if line["device"] == caller.device_pk]
    applied = [counter for counter in counters if counter is not None]
    mine = counter_of(row.w)
    newer = mine is not None and bool(applied) and mine > max(applied)
    return first == caller.device_pk and not others and newer


def is_stale(facts: Facts, doc: Doc, caller: Caller, w: str | None) -> bool:
    """PU11: an older counter of this device than the last one applied to the document."""
    mine = counter_of(w)
    if mine is None:
        return False
    applied = [counter_of(doc.w)] if doc.device == caller.device_pk else []
    applied += [
        counter_of(row["w"]) for row in facts.history.get(doc.pk, ()) if row["device"] == caller.device_pk
    ]
    return any(counter is not None and counter > mine for counter in applied)


def _edit(batch: Batch, facts: Facts, caller: Caller, row: PushRow, item: Item) -> None:
    result = row.checked
    if not result.usable:
        aside(batch, facts, caller, row, result.reason or "unusable", Collection.cases)
        return
    if result.rest:
        keep_rest(batch, facts, row, item, result.rest)
    mine = result.values
    if (
        "kind" in mine
        and not same(mine["kind"], item.values.get("kind"))
        and not kind_may_change(item.values)
    ):
        # It decides the lifecycle: whoever has begun to work on the case has it as what it was.
        lost = {
            "base": (row.base or {}).get("kind"),
            "winner": item.values.get("kind"),
            "loser": mine["kind"],
        }
        keep_apart(batch, facts, row, item, Conflict("kind", **lost, rule="fixed", decided="theirs"))
        mine = {name: value for name, value in mine.items() if name != "kind"}
    tell_issues(batch, row, item, caller)
    changed = merged_into(batch, facts, caller, row, item, mine, _NAME)
    if changed:
        restamp(batch, facts, item, row, caller)
        casework.amended(batch, facts, item, changed)


def merged_into(
    batch: Batch,
    facts: Facts,
    caller: Caller,
    row: PushRow,
    item: Item,
    mine: Mapping[str, Any],
    name: str,
) -> frozenset[str]:
    """Merge the pushed values into the item; losers go to the ledger. Returns the changed fields."""
    doc = item.before
    theirs = item.values
    keep_lost_base(batch, facts, row, item, name)
    base = _base_of(name, row, mine)
    if base is not None:
        base |= {field: not_taken_out(base.get(field), mine[field]) for field in row.checked.partial}
    if is_stale(facts, item.doc, caller, row.w):
        merged = merge_stale(name, base or {}, mine, theirs)
    else:
        merged = merge(
            name, base, mine, theirs, same_device=lambda field: _succeeds(facts, doc, caller, row, field)
        )
    for conflict in merged.conflicts:
        keep_apart(batch, facts, row, item, conflict)
    told = {conflict.field for conflict in merged.conflicts}
    for field in sorted(merged.changed - told):
        # What an earlier row of this very batch wrote stands in no history yet.
        written = item.values.get(field) if item.created or field in item.old else None
        if not empty(written):
            values = (item.old.get(field), merged.values.get(field), written)
            keep_apart(batch, facts, row, item, Conflict(field, *values, "same_batch", "mine"))
    if merged.changed:
        batch.set(item, {field: merged.values.get(field) for field in merged.changed})
    return merged.changed


def keep_apart(batch: Batch, facts: Facts, row: PushRow, item: Item, conflict: Conflict) -> None:
    """ME8: what two have written of one thing, with who, on which device and when."""
    field = conflict.field.partition(".")[0]
    just_now = item.created or field in item.old  # by an earlier row of this very batch
    met = Met(batch.actor, batch.device, batch.now) if just_now else _met(facts, item, field)
    batch.dispute(
        item,
        conflict.field,
        conflict.rule,
        {"base": conflict.base, "winner": conflict.winner, "loser": conflict.loser},
        w=row.mark,
        met=met,
        decided=conflict.decided,
        wrote_at=written_at(row.w, facts.clock_offset, batch.now),
    )


def _met(facts: Facts, item: Item, field: str) -> Met:
    """Who wrote a field last; one that was never edited is of the capture."""
    line = _last_edit(facts, item.before, field)
    if line is not None:
        return Met(line["actor"], line["by_device"], line["at"])
    received = item.values.get("received_at")
    return Met(
        item.before.writer,
        _captured_on(facts, item.before),
        received if isinstance(received, int) else None,
    )


def keep_lost_base(batch: Batch, facts: Facts, row: PushRow, item: Item, name: str) -> None:
    """RC6: after a restore, values of a base that this history never had may be all that is left of them.

    Fields the phone did not touch would else come back in their older form, and nobody would know of the newer. A
    version alone says nothing: the new history soon gives the same numbers again.
    """
    base = row.base or {}
    version = base.get("v")
    if facts.restored is None or not isinstance(version, int) or version <= facts.restored:
        return
    owned = content.PHONE_OWNED[name] - {"id", "w", "author", "device"}
    lost = {
        field: value
        for field, value in base.items()
        if field in owned and value is not None and not same(value, item.values.get(field))
    }
    for past in facts.history.get(item.doc.pk, ()) if lost else ():
        if lost.keys() & set(past["fields"].split(",")):
            former = batch.former(item, past["delta"])
            lost = {field: value for field, value in lost.items() if not same(value, former.get(field))}
    if lost:
        batch.dispute(item, "*", "lost_base", {"base": lost}, w=row.mark, met=Met())


def _base_of(name: str, row: PushRow, mine: Mapping[str, Any]) -> dict[str, Any] | None:
    """What the phone says it started from, as far as it can have been; an older app may hold odder things."""
    if row.base is None:
        return None
    known = {field: mine[field] for field in _IDENTIFYING if field in mine}
    return checked(name, {**row.base, **known}).values | {
        field: row.base[field] for field in ("kind", "subject_kind") if isinstance(row.base.get(field), str)
    }


def restamp(batch: Batch, facts: Facts, item: Item, row: PushRow, caller: Caller) -> None:
    """The new state carries the write id of the push, unless that id is spent or the push gave none."""
    past = {item.before.w, *(line["w"] for line in facts.history.get(item.doc.pk, ()))}
    spent = row.w is None or row.w in past
    w = f"0:{batch.chance.uuid7(batch.now)}" if spent else row.w
    batch.set(item, {"w": w})
    batch.stamp(
        item,
        w=w,
        device=caller.device_pk,
        digest=None if spent else row.digest,
    )
