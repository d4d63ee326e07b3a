"""Bugs to plant into a copy of the core, each of which the simulation must notice: the checker is checked too.

A bug is a change of a few characters. `caught_by` is a number of seeds within which random histories meet it, the seeds
of random districts ("town:40", or from one seed on, "town:25-65"), or the trap that meets it every time. Where a text
to be replaced is no longer in the file, the table must follow the code.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Edit:
    file: str
    old: str
    new: str


@dataclass(frozen=True)
class Bug:
    name: str
    edits: tuple[Edit, ...]
    caught_by: int | str


def bug(name: str, caught_by: int | str, *edits: tuple[str, str, str]) -> Bug:
    return Bug(name, tuple(Edit(f"sync/{file}.py", old, new) for file, old, new in edits), caught_by)


_TOMBSTONE = "elif relation.ever(low, self._n):"
_LOW = "low = max(min(point.r, point.s), self._viewer.registered)"
_SILENT_DUPLICATE = """\
        item = batch.held(collection, row.key)
        stored = facts.docs.get((collection, row.key))
        if stored is not None and any(r["w"] == row.w for r in facts.history.get(stored.pk, ())):
            continue
"""
_PUT = "if doc.seq > s or not relation.constant(s, self._n):"

BUGS = (
    bug(
        "everything is visible to everybody",
        80,
        (
            "visibility",
            "        if x < self._born or (",
            "        return _FULL\n        if x < self._born or (",
        ),
    ),
    bug(
        "a tombstone only for what was visible at s", 80, ("pull", _TOMBSTONE, "elif relation.level(s) > 0:")
    ),
    bug("what goes comes last", 80, ("pull", "tombstone(doc.id), rank=0)", "tombstone(doc.id), rank=3)")),
    bug(
        "closed cases are in no first plan",
        80,
        ("pull", "part=2, statuses=_OPEN, others=True", "part=2, statuses=_OPEN"),
    ),
    bug(
        "what lies nowhere is taken for met outside",
        80,
        ("pull", "enumerate(_tags(doc)[:kind])", "enumerate(tag or 0 for tag in _tags(doc)[:kind])"),
    ),
    bug("no tombstones", 80, ("pull", _TOMBSTONE, "elif False:")),
    bug("a tombstone for every candidate", 80, ("pull", _TOMBSTONE, "else:")),
    bug(
        "decided at the end of the plan, not at the head",
        "test_7",
        (
            "pull",
            "        plan = _Plan(self._reader",
            "        self._n = point.h or 0\n        plan = _Plan(self._reader",
        ),
    ),
    bug(
        "no reach-back before a plan in pages",
        "test_2",
        ("pull", _LOW, "low = max(point.s, self._viewer.registered)"),
    ),
    bug(
        "no overlap with pushes",
        "test_1",
        ("pull", "if mark is not None and now", "if False and mark is not None and now"),
    ),
    bug(
        "a lost cell is bounded",
        "test_3",
        ("pull", "return self._h if tag in self.now else None", "return self._h"),
    ),
    bug(
        "closed places before lost cells",
        "test_4",
        ("pull", "        if phase == 0:", "        if phase == 1:"),
        ("pull", "        elif phase == 1:", "        elif phase == 0:"),
    ),
    bug(
        "away between is not noticed",
        "test_5",
        ("pull", _PUT, "if doc.seq > s or relation.level(s) == Level.none:"),
    ),
    bug(
        "a form is a yes or no",
        "test_8",
        (
            "visibility",
            "return all(self.level(x) == at_first",
            "return all(bool(self.level(x)) == bool(at_first)",
        ),
    ),
    bug("registration is no lower end", "test_10", ("pull", _LOW, "low = min(point.r, point.s)")),
    bug(
        "tags are those held at the end",
        "test_4",
        ("pull", "self.held = sorted(window)", "self.held = sorted(self.now)"),
    ),
    bug(
        "only tags held at the end can have changed",
        "test_3",
        ("pull", "tag for tag in window if s == 0", "tag for tag in self.now if s == 0"),
    ),
    bug(
        "namings and denials bring no candidates",
        "test_who_is_named",
        ("pull", "yield from self._named(after)", "return"),
    ),
    bug(
        "a plan that ends does not go on to the head",
        80,
        ("pull", "point.h or n, None, 0, None\n", "point.h or n, None, 0, None\n        break\n"),
    ),
    bug(
        "empty keys are left out of the checkpoint",
        "test_14",
        (
            "pull",
            "+ msgspec.json.encode(point)",
            "+ msgspec.json.encode({k: v for k, v in msgspec.structs.asdict(point).items() if v is not None})",
        ),
    ),
    bug(
        "classes of the past are forgotten", "test_9", ("visibility", "tuple(by_class.get(case, ())))", "())")
    ),
    bug(
        "a denial denies nothing",
        80,
        ("visibility", "for low, high, denied in ends if denied]", "for low, high, denied in ()]"),
    ),
    bug(
        "an entry is as old as its case",
        "test_12",
        ("visibility", "        if x < self._born or (", "        if ("),
        ("visibility", "start = max(doc.born, doc.link or 0) if child else doc.born", "start = 0"),
        (
            "visibility",
            "if doc.own_since is not None or (doc.link is not None and x < doc.link):",
            "if doc.own_since is not None:",
        ),
        ("pull", "if doc.born < row.v_to]", "]"),
    ),
    bug(
        "the author's place is no place",
        80,
        ("visibility", "if doc.author is not None and doc.author_since", "if False and doc.author_since"),
    ),
    bug(
        "the author's place never closes",
        80,
        ("batch", "        if item.doc.author_since is None:\n            return\n", "        return\n"),
    ),
    bug(
        "a place that closes leaves no row",
        80,
        ("batch", "        self.places.append(Interval(", "        _ = (Interval("),
    ),
    bug(
        "what is set on the master does not reach what was merged into it",
        "test_what_was_merged",
        ("commit", "    mergers.follow(tx, batch, context.configs.get)\n", ""),
    ),
    bug(
        "a merger unites no recusals",
        "test_a_merger_keeps_away",
        (
            "mergers",
            "    for case_pk, _ in links.fresh:\n        united = links.around(case_pk, together) & ",
            "    for case_pk, _ in ():\n        united = links.around(case_pk, together) & ",
        ),
    ),
    bug(
        "entries do not follow their case",
        "test_12",
        (
            "commit",
            "        child,\n        seq=n,\n        cell=case.cell,",
            "        child,\n        seq=child.seq,\n        cell=case.cell,",
        ),
    ),
    bug(
        "cells a unit has lost count still",
        80,
        (
            "config",
            "first, last = max(grant.v_from, v_from), min(until, v_to)",
            "first, last = max(grant.v_from, v_from), until",
        ),
    ),
    bug(
        "a push that comes twice is not known again",
        "test_a_repeat",
        (
            "push_cases",
            "    w = row.w\n    if w is None or row.fault is not None:\n        return False\n",
            "    return False\n",
        ),
    ),
    bug(
        "a duplicate is answered with nothing",
        "test_13",
        (
            "push",
            "        item = batch.held(collection, row.key)\n",
            _SILENT_DUPLICATE,
        ),
    ),
    bug(
        "what differs is not answered",
        "test_an_edit_is_answered",
        ("push", "        answers[row.key] = sender.document(doc, level)\n", ""),
    ),
    bug(
        "an edit of a case that has left is answered with nothing",
        "test_an_edit_of_a_case_that_has_left",
        ("push", "            answers[row.key] = sender.tombstone(row.key)\n", ""),
    ),
    bug(
        "the holder of a shell writes",
        "test_the_holder_of_a_shell",
        ("push_cases", "    if level != Level.full:", "    if False:"),
    ),
    bug(
        "who sees nothing writes",
        80,
        ("push_cases", "    if doc.gone is not None or level == Level.none:", "    if False:"),
        ("push_cases", "    if level != Level.full:", "    if False:"),
    ),
    bug(
        "a row that nobody can read fails its batch",
        "test_a_row_that_nobody_can_read",
        (
            "push_cases",
            "        _stub(batch, facts, caller, row, result.reason",
            "        raise RuntimeError(result.reason",
        ),
        ("push", "        raise Spoiled(place) from error\n", "        raise\n"),
    ),
    bug(
        "what came before its case waits for ever",
        "test_an_entry_that_came_before",
        ("push_cases", "    batch.link(entry, case)\n", ""),
    ),
    bug(
        "the quarantine is not written", 80, ("commit", '    tx.insert("quarantine", batch.quarantine)\n', "")
    ),
    bug("the history is not written", 80, ("commit", '    tx.insert("change", batch.changes())\n', "")),
    bug("the ledger is not written", 80, ("commit", '    tx.insert("ledger", batch.ledger)\n', "")),
    bug(
        "a base of a lost history is forgotten",
        "test_17",
        ("push_cases", "    keep_lost_base(batch, facts, row, item, name)\n", ""),
    ),
    bug(
        "a base that comes after what was put aside without it is dropped",
        "test_17_b",
        ("push_cases", '    if payload.get("base") is None:\n', "    if not payload:\n"),
    ),
    bug(
        "a person's task that changed hands stays where it was",
        "town:80-400",
        (
            "visibility",
            "for row in followed if row.kind == Place.cell and row.v_from < until]",
            "for row in followed]",
        ),
    ),
    bug(
        "photos stay where their visit was",
        "town:25-65",
        ("commit", "item.doc.collection in PARENTS", "item.doc.collection == Collection.cases"),
    ),
    bug(
        "homes of a vanished cell stay in it",
        "town:40",
        (
            "reassign_rules",
            "    if target == doc.cell:\n        return False\n    row",
            "    return False\n    row",
        ),
    ),
    bug(
        "a visit goes without its home",
        "town:40",
        (
            "reassign_rules",
            "cell = doc.cell if home is None or home.cell is None else home.cell",
            "cell = OUTSIDE",
        ),
    ),
    bug(
        "an older edition goes on beside the newer one",
        "town:55-135",
        ("reassign", "    if kind == rules.EDITION:\n", "    if False:\n"),
    ),
    bug(
        "a re-assignment forgets how far it is",
        "town:40",
        ("reassign", '"after": after,\n        "upto"', '"after": after + 40,\n        "upto"'),
    ),
    bug(
        "a stand-in stays for ever",
        "town:40",
        ("upkeep", 'tx.update("grant_role", {"pk": ended}, {"v_to": n})', "_ = ended"),
    ),
    bug(
        "an erased household leaves its visits",
        "town:360-440",
        ("erasing", "    if doc.collection == Collection.households:\n", "    if False:\n"),
    ),
    bug(
        "what waits for an erased case stays",
        "town:55-135",
        ("erasing", "tx.documents_by_pk(waiting)", "tx.documents_by_pk([])"),
    ),
    bug(
        "an erased document lives on",
        "town:18-58",
        ("erasing", "gone=batch.n, dek=None, code=None", "gone=None, dek=None, code=None"),
    ),
    bug(
        "ids are judged whatever the epoch",
        "test_16",
        ("reconcile", '    if asked.get("epoch") != head.epoch:', "    if False:"),
    ),
    bug(
        "a checkpoint of another epoch counts",
        "test_what_was_granted",
        ("pull", "if point.e != epoch or", "if"),
    ),
)
