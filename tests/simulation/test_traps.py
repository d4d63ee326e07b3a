"""Seventeen traps of the pull, each with the shortest history that falls into it.

Random seeds meet some of these once in thousands; here each is met every time. The checks are those of every history:
no leak in any answer, and after healing each phone is what the oracle says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sync.errors import ForeignEpoch
from tests.simulation.history import History
from tests.simulation.oracle import NORMAL, RESTRICTED, SEALED
from tests.simulation.phone import Phone
from tests.simulation.world import CELLS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.simulation.oracle import Case

HERE, THERE = CELLS[0], CELLS[3]


class Story(History):
    """A history told step by step; pages are written as they come unless the story says otherwise."""

    def __init__(self) -> None:
        super().__init__(seed=0, lazy=0.0)
        self.users = ["an", "bo", "cui", "ding"]

    def phone(self, name: str, user: str) -> Phone:
        self.phones[name] = Phone(name, user, ("cases", "entries"))
        self.contact(self.phones[name])
        return self.phones[name]

    def works_at(self, user: str, cell: str) -> None:
        self.grant(user, "grid_worker", "cell", cell)

    def leaves(self, user: str) -> None:
        for grant in self.open_grants():
            if grant.user == user:
                self.end_grant(grant)

    def case(self, by: Phone, cell: str = HERE, klass: int = NORMAL) -> Case:
        """A case captured by somebody and pushed at once."""
        key = self.capture(by, cell, klass)
        self.push(by)
        return self.oracle.cases[key]

    def push(self, phone: Phone, name: str = "cases") -> None:
        self.begin_push(phone, name)
        self.end_push(phone, name)

    def pull(self, phone: Phone, name: str = "cases") -> None:
        while self.page(phone, name, 10):
            pass

    def ends_well(self) -> None:
        self.heal()
        self.compare()


@pytest.fixture
def story() -> Iterator[Story]:
    told = Story()
    yield told
    told.world.close()


def touched(story: Story, case: Case) -> None:
    """Something that gives the case a new number and changes nothing else for a worker of its cell."""
    story.hand_to(case, "mediation", None)


def held_by_an(story: Story, count: int) -> tuple[Phone, Phone, list[Case]]:
    """An works here and holds `count` cases that bo, who works elsewhere, captured."""
    story.works_at("an", HERE)
    story.works_at("bo", THERE)
    an, bo = story.phone("an's", "an"), story.phone("bo's", "bo")
    cases = [story.case(bo) for _ in range(count)]
    story.pull(an)
    return an, bo, cases


@pytest.mark.parametrize("then", ["moved away", "edited by another"])
def test_1_a_page_overtakes_the_answer_to_a_push(story: Story, then: str) -> None:
    an, bo, (case,) = held_by_an(story, 1)
    story.pull(bo)
    story.case(bo)  # something for the loop to bring
    assert story.page(an, "cases")  # the loop runs
    story.edit(an, case.id)
    story.begin_push(an, "cases")  # applied; the answer is under way
    if then == "moved away":
        story.move(case, THERE)
    else:
        story.edit(bo, case.id)
        story.push(bo)
    story.pull(an)  # the page has the change; it is passed over, and the checkpoint goes on
    story.end_push(an, "cases")
    story.ends_well()


def test_2_a_change_escapes_a_plan_in_pages(story: Story) -> None:
    an, _, cases = held_by_an(story, 4)
    for case in cases[:3]:
        touched(story, case)
    sealed = cases[3]
    story.set_class(sealed, SEALED)
    story.page(an, "cases", 2)  # the plan stands, page one does not reach the sealed one
    touched(story, sealed)  # now it is beyond the plan's end
    story.pull(an)
    story.ends_well()
    assert sealed.id not in an.copies["cases"].seen()


def test_3_a_lost_cell_is_enumerated_without_a_bound(story: Story) -> None:
    an, _, cases = held_by_an(story, 4)
    story.leaves("an")
    story.page(an, "cases", 2)
    touched(story, cases[3])
    story.pull(an)
    story.ends_well()
    assert an.copies["cases"].seen() == {}


def test_4_lost_cells_come_before_closed_places(story: Story) -> None:
    an, _, cases = held_by_an(story, 4)
    story.leaves("an")
    story.page(an, "cases", 2)
    story.move(cases[3], THERE)
    story.pull(an)
    story.ends_well()
    assert an.copies["cases"].seen() == {}


def test_4_b_a_case_that_moves_out_after_the_closed_places_were_looked_through(story: Story) -> None:
    """Whatever the order of the two lists, a case must not slip from the one to the other unseen."""
    an, _, cases = held_by_an(story, 6)
    story.move(cases[0], THERE)
    story.leaves("an")
    for case in cases[1:]:
        story.page(an, "cases", 2)
        story.move(case, THERE)
    story.pull(an)
    story.ends_well()
    assert an.copies["cases"].seen() == {}


def test_5_visible_at_both_ends_and_away_between(story: Story) -> None:
    an, _, (case,) = held_by_an(story, 1)
    story.leaves("an")
    an.begin_loop("cases")
    story.lazy = 1.0
    story.page(an, "cases")
    an.write_pages("cases", but_checkpoint=True)  # the tombstone is written
    an.crash()  # the checkpoint is not
    story.lazy = 0.0
    assert an.copies["cases"].seen() == {}
    story.works_at("an", HERE)
    story.ends_well()
    assert case.id in an.copies["cases"].seen()


def test_5_b_recused_and_called_back_while_the_checkpoint_was_lost(story: Story) -> None:
    an, _, (case,) = held_by_an(story, 1)
    story.recuse(case, "an")
    story.lazy = 1.0
    story.page(an, "cases")
    an.write_pages("cases", but_checkpoint=True)
    an.crash()
    story.lazy = 0.0
    story.lift(case, "an")
    story.ends_well()
    assert case.id in an.copies["cases"].seen()


def test_6_a_case_that_came_by_a_push_and_left_before_the_next_pull(story: Story) -> None:
    an, _, _ = held_by_an(story, 1)
    case = story.case(an, THERE)
    story.move(case, CELLS[1])
    story.ends_well()
    assert case.id not in an.copies["cases"].seen()


def test_7_every_page_is_decided_at_the_head_it_is_read_at(story: Story) -> None:
    story.works_at("bo", THERE)
    bo = story.phone("bo's", "bo")
    for _ in range(6):
        story.case(bo)
    an = story.phone("an's", "an")
    story.works_at("an", HERE)
    story.page(an, "cases", 2)
    story.leaves("an")
    while story.page(an, "cases", 2):
        pass  # every page is looked through for what an may not see any more
    story.ends_well()
    assert an.copies["cases"].seen() == {}


@pytest.mark.parametrize(
    ("before", "after"), [("grid_worker", "community_leader"), ("community_leader", "grid_worker")]
)
def test_8_a_change_of_role_changes_the_form(story: Story, before: str, after: str) -> None:
    story.works_at("bo", THERE)
    bo = story.phone("bo's", "bo")
    story.grant("an", before, "cell", HERE)
    an = story.phone("an's", "an")
    case = story.case(bo)
    story.pull(an)
    former = an.copies["cases"].seen()[case.id]
    story.grant("an", after, "cell", HERE)  # never without any role in between
    story.end_grant(next(g for g in story.open_grants() if (g.user, g.role) == ("an", before)))
    story.pull(an)
    assert an.copies["cases"].seen()[case.id] != former
    story.ends_well()


def test_8_b_the_shell_of_a_restricted_case_replaces_the_whole(story: Story) -> None:
    an, _, (case,) = held_by_an(story, 1)
    story.set_class(case, RESTRICTED)
    story.pull(an)
    assert "title" not in an.copies["cases"].seen()[case.id]
    story.set_class(case, NORMAL)
    story.pull(an)
    assert "title" in an.copies["cases"].seen()[case.id]
    story.ends_well()


def test_9_a_case_that_is_sealed_is_taken_from_the_phones_that_held_it(story: Story) -> None:
    an, _, (case,) = held_by_an(story, 1)
    story.set_class(case, SEALED)
    story.pull(an)
    assert an.copies["cases"].seen() == {}
    story.ends_well()


def test_10_a_sealed_case_is_not_told_to_phones_that_never_could_see_it(story: Story) -> None:
    _, bo, (case,) = held_by_an(story, 1)
    story.set_class(case, SEALED)
    born_sealed = story.case(bo, klass=SEALED)
    story.works_at("cui", HERE)
    cui = story.phone("cui's", "cui")
    story.pull(cui)
    assert not {case.id, born_sealed.id} & cui.copies["cases"].fork.keys()
    second = story.phone("an's second", "an")  # an could see the case, but this phone never had it
    story.pull(second)
    assert second.copies["cases"].fork == {}
    story.ends_well()


def test_11_documents_of_a_phone_that_never_stored_a_checkpoint_are_taken_back(story: Story) -> None:
    story.works_at("an", HERE)
    story.works_at("bo", THERE)
    an, bo = story.phone("an's", "an"), story.phone("bo's", "bo")
    case = story.case(bo)
    story.lazy = 1.0
    story.page(an, "cases")
    an.write_pages("cases", but_checkpoint=True)
    an.crash()
    story.lazy = 0.0
    assert case.id in an.copies["cases"].seen()
    story.leaves("an")
    story.pull(an)
    assert an.copies["cases"].seen() == {}
    late = story.phone("an's second", "an")
    story.pull(late)
    assert late.copies["cases"].fork == {}  # registered after the end: told of nothing
    story.ends_well()


def test_12_entries_move_with_their_case_and_later_ones_are_not_told_to_the_old_cell(story: Story) -> None:
    an, bo, (case,) = held_by_an(story, 1)
    story.pull(bo)
    early = story.entry(bo, case.id)
    story.push(bo, "entries")
    story.pull(an, "entries")
    assert early in an.copies["entries"].seen()
    story.move(case, THERE)
    late = story.entry(bo, case.id)
    story.push(bo, "entries")
    story.pull(an, "entries")
    assert an.copies["entries"].seen() == {}
    assert late not in an.copies["entries"].fork
    story.ends_well()


def test_12_a_an_entry_is_not_told_to_a_cell_its_case_had_left_before(story: Story) -> None:
    an, bo, (case,) = held_by_an(story, 1)
    story.entry(bo, case.id)
    story.push(bo, "entries")
    story.pull(an, "entries")
    story.move(case, THERE)
    late = story.entry(bo, case.id)
    story.push(bo, "entries")
    story.move(case, CELLS[1])
    story.pull(an, "entries")
    assert late not in an.copies["entries"].fork
    story.ends_well()


def test_12_b_entries_follow_the_class_of_their_case(story: Story) -> None:
    an, bo, (case,) = held_by_an(story, 1)
    story.entry(bo, case.id)
    story.push(bo, "entries")
    story.pull(an, "entries")
    assert an.copies["entries"].seen()
    story.set_class(case, RESTRICTED)
    story.pull(an, "entries")
    assert an.copies["entries"].seen() == {}
    story.ends_well()


def test_13_a_duplicate_is_answered_with_what_another_has_written_meanwhile(story: Story) -> None:
    an, bo, (case,) = held_by_an(story, 1)
    story.pull(bo)
    story.edit(an, case.id, "title")
    story.begin_push(an, "cases")
    story.end_push(an, "cases", lost=True)
    story.edit(bo, case.id, "description")
    story.push(bo)
    story.pull(an)  # passed over: an's edit is not acknowledged
    story.push(an)  # the same push again
    truth = story.world.truth("cases", case.id)
    assert an.copies["cases"].seen()[case.id] == truth
    story.ends_well()


def test_14_every_key_of_the_checkpoint_is_always_there(story: Story) -> None:
    an, bo, _ = held_by_an(story, 3)
    an.copies["cases"].checkpoint = None
    while story.page(an, "cases", 2):
        assert "".join(sorted(an.loops["cases"].checkpoint or {})) == "bdehklrstu"
    story.case(bo)
    story.ends_well()


def test_an_edit_of_a_case_that_has_left_is_answered_with_its_tombstone(story: Story) -> None:
    an, _, (case,) = held_by_an(story, 1)
    story.edit(an, case.id)
    story.move(case, THERE)
    story.pull(an)  # the tombstone is passed over: there is an edit to push
    assert case.id in an.copies["cases"].seen()
    story.push(an)
    assert an.copies["cases"].seen() == {}
    story.ends_well()  # and what was typed is in quarantine


def test_an_edit_is_answered_with_the_document_as_it_was_merged(story: Story) -> None:
    an, bo, (case,) = held_by_an(story, 1)
    story.pull(bo)
    story.edit(bo, case.id, "description")
    story.push(bo)
    story.edit(an, case.id, "title")
    story.push(an)
    assert an.copies["cases"].seen()[case.id] == story.world.truth("cases", case.id)
    story.ends_well()


def test_the_holder_of_a_shell_cannot_write_and_gets_it_back(story: Story) -> None:
    an, _, (case,) = held_by_an(story, 1)
    before = story.words(case.id)
    story.edit(an, case.id)
    story.set_class(case, RESTRICTED)
    story.push(an)
    assert story.words(case.id) == before
    assert "title" not in an.copies["cases"].seen()[case.id]
    story.ends_well()


def test_an_entry_that_came_before_its_case_is_linked_when_the_case_comes(story: Story) -> None:
    an, bo, _ = held_by_an(story, 1)
    key = story.capture(bo, HERE)
    entry = story.entry(bo, key)
    story.push(bo, "entries")
    assert bo.copies["entries"].seen()[entry]["parent_missing"] is True
    story.pull(an, "entries")
    assert an.copies["entries"].fork == {}
    story.push(bo)
    story.pull(an, "entries")
    assert entry in an.copies["entries"].seen()
    story.ends_well()


def test_an_entry_to_an_unknown_case_and_to_an_invisible_one_get_one_and_the_same_answer(
    story: Story,
) -> None:
    _, bo, (case,) = held_by_an(story, 1)
    story.works_at("cui", CELLS[1])
    cui = story.phone("cui's", "cui")
    answers = []
    for wanted in (case.id, story.world.new_id()):
        key = story.entry(cui, wanted)
        story.push(cui, "entries")
        held = dict(cui.copies["entries"].seen()[key])
        own = {"id", "case_id", "body", "w", "v"}
        answers.append({field: value for field, value in held.items() if field not in own})
    assert answers[0] == answers[1]
    story.pull(bo, "entries")
    assert bo.copies["entries"].fork == {}
    story.ends_well()


def test_a_row_that_nobody_can_read_holds_up_no_other(story: Story) -> None:
    an, _, _ = held_by_an(story, 1)
    kinds: list[Any] = [None, 7, {"deep": []}, ["request"], "no such kind", "\ud83d"]
    for kind in kinds:
        key = story.world.new_id()
        story.poisoned.add(key)
        an.copies["cases"].edit(key, {"id": key, "kind": kind, "w": an.write_id(story.world.new_id())})
    good = story.capture(an, HERE)
    story.push(an)
    assert story.world.truth("cases", good) is not None
    assert an.copies["cases"].dirty() == []
    story.ends_well()


def test_an_entry_goes_on_to_the_last_of_several_masters(story: Story) -> None:
    an, bo, (first, second, third) = held_by_an(story, 3)
    story.merge_into(first, second)
    story.merge_into(second, third)
    entry = story.entry(bo, first.id)
    story.push(bo, "entries")
    assert (story.world.truth("entries", entry) or {})["case_id"] == third.id
    story.pull(an, "entries")
    assert entry in an.copies["entries"].seen()
    story.ends_well()


def test_what_was_merged_is_as_closed_as_its_master(story: Story) -> None:
    an, bo, (merged, master, other) = held_by_an(story, 3)
    story.merge_into(merged, master)
    story.recuse(master, "an")
    story.pull(an)
    assert set(an.copies["cases"].seen()) == {other.id}
    story.lift(merged, "an")
    story.set_class(master, RESTRICTED)
    story.pull(an)
    assert "title" not in an.copies["cases"].seen()[merged.id]  # the shell
    story.pull(bo)
    story.ends_well()


def test_a_merger_keeps_away_from_both_whoever_is_kept_from_one(story: Story) -> None:
    an, _, (merged, master) = held_by_an(story, 2)
    story.recuse(merged, "an")
    story.merge_into(merged, master)
    story.pull(an)
    assert not an.copies["cases"].seen()
    story.ends_well()


def test_15_of_two_restores_the_lower_number_counts(story: Story) -> None:
    an, bo, _ = held_by_an(story, 1)
    story.back_up()
    for _ in range(3):
        touched(story, next(iter(story.oracle.cases.values())))
        story.move(next(iter(story.oracle.cases.values())), THERE)
    lost = story.case(an)  # only in the history that will be lost, and on this phone
    story.restore()
    for _ in range(6):
        story.case(bo, THERE)
    story.back_up()
    story.restore()
    assert (
        (an.copies["cases"].seen()[lost.id])["v"] <= story.n
    )  # the newer restore alone would not ask for it
    story.ends_well()
    assert story.world.truth("cases", lost.id) is not None


def test_16_ids_of_one_epoch_are_not_judged_in_another(story: Story) -> None:
    an, _, (case,) = held_by_an(story, 1)
    story.back_up()
    story.restore()
    epoch = story.world.epoch
    story.restore()
    with pytest.raises(ForeignEpoch):
        story.world.reconcile(an.device, "an", "cases", epoch, [case.id])
    story.ends_well()


@pytest.mark.parametrize("numbers_between", [0, 1, 5])
def test_17_an_edit_over_a_lost_base_keeps_what_the_base_had(story: Story, numbers_between: int) -> None:
    an, bo, (case,) = held_by_an(story, 1)
    story.pull(bo)
    story.back_up()
    story.edit(bo, case.id, "description")
    story.push(bo)
    story.pull(an)  # an's phone has bo's text; bo's own phone is lost
    del story.phones[bo.device]
    story.restore()
    for _ in range(numbers_between):
        touched(story, story.oracle.cases[case.id])  # the new history gives the lost version's number again
    story.edit(an, case.id, "title")
    story.push(an)  # before the phone has seen the new epoch
    story.ends_well()


@pytest.mark.parametrize("then", ["nothing", "moved away", "moved away before"])
def test_17_b_a_lost_base_is_kept_though_its_edit_was_handed_in_without_it(story: Story, then: str) -> None:
    an, _, (case,) = held_by_an(story, 1)
    story.back_up()
    story.edit(an, case.id, "description")
    story.push(an)
    story.pull(an)
    story.restore()
    story.edit(an, case.id, "description")  # the former text stands in the copy of the master alone
    if then == "moved away before":
        story.move(story.oracle.cases[case.id], THERE)  # so what is handed in is put aside
    story.pull(an)  # another epoch: handed in again, without a base
    if then == "moved away":
        story.move(story.oracle.cases[case.id], THERE)
    story.push(an)
    story.ends_well()


def test_what_was_granted_in_the_lost_history_alone_is_taken_away(story: Story) -> None:
    _, bo, (case,) = held_by_an(story, 1)
    cui = story.phone("cui's", "cui")
    story.back_up()
    story.works_at("cui", HERE)
    story.pull(cui)
    assert case.id in cui.copies["cases"].seen()
    story.restore()
    for _ in range(8):
        story.case(bo, THERE)  # the new history passes the number the phone stands at
    story.pull(cui)
    story.pull(cui)
    assert cui.copies["cases"].seen() == {}
    story.ends_well()


def test_an_erased_case_leaves_every_phone_with_its_entries(story: Story) -> None:
    an, bo, (case,) = held_by_an(story, 1)
    story.entry(bo, case.id)
    story.push(bo, "entries")
    story.pull(an, "entries")
    story.edit(an, case.id)
    story.erase(case)
    story.pull(an)
    story.push(an)
    story.pull(an, "entries")
    assert an.copies["cases"].seen() == {}
    assert an.copies["entries"].seen() == {}
    story.ends_well()


def test_who_is_named_for_a_case_gets_it_and_who_is_no_longer_loses_it(story: Story) -> None:
    _, _, (case,) = held_by_an(story, 1)
    story.works_at("cui", CELLS[1])
    cui = story.phone("cui's", "cui")
    story.pull(cui)
    story.name(case, "cui")
    story.pull(cui)
    assert case.id in cui.copies["cases"].seen()
    story.unname(case, "cui")
    story.pull(cui)
    assert cui.copies["cases"].seen() == {}
    story.ends_well()


def test_a_repeat_is_not_written_over_what_another_has_written_since(story: Story) -> None:
    an, bo, (case,) = held_by_an(story, 1)
    story.pull(bo)
    story.edit(an, case.id, "title")
    story.begin_push(an, "cases")
    story.end_push(an, "cases", lost=True)
    story.pull(bo)
    story.edit(bo, case.id, "title")
    story.push(bo)
    newer = story.words(case.id)
    story.push(an)  # the same push again
    assert story.words(case.id) == newer
    story.ends_well()


def test_what_cannot_be_read_keeps_its_class(story: Story) -> None:
    an, _, _ = held_by_an(story, 1)
    key = story.world.new_id()
    written = {"id": key, "title": "no kind", "protection": "sealed", "w": an.write_id(story.world.new_id())}
    an.copies["cases"].edit(key, written)
    story.push(an)
    assert (story.world.truth("cases", key) or {})["protection"] == "sealed"
    story.ends_well()
