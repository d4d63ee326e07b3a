"""An act that cannot be understood, or at which the server fails, is a matter of its own row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sync import casework, children, timing
from sync.acting_work import ActNeeds
from tests.unit.sync.district import HOUR

if TYPE_CHECKING:
    from tests.unit.sync.district import District

OWN_CODES = [
    ("protect", {"class": "x_a", "reason": "亲属在社区工作"}),
    ("rate", {"colour": "x_zzz", "reason": "多次争吵"}),
    ("triage", {"category": "0201", "basis": "x_b", "risk": "blue", "reason": "一般", "channel": "grid"}),
    ("refer_out", {"target": "x_c", "packet": [], "asks": "收案", "receipt_due": 2_000_000_000_000}),
]


@pytest.mark.parametrize(("act", "args"), OWN_CODES)
def test_a_closed_table_takes_no_codes_of_its_own(district: District, act: str, args: dict[str, Any]) -> None:
    case_id = district.phone("an").capture()["id"]
    with pytest.raises(ActNeeds):
        district.act("director", case_id, act, **args)


def test_an_open_table_takes_them(district: District) -> None:
    case_id = district.phone("an").capture()["id"]
    district.act("an", case_id, "raise_signal", signal="x_flood")
    assert district.whole("cases", case_id)["signals"] == ["x_flood"]


def test_an_act_with_a_code_of_no_table_is_refused_and_the_note_beside_it_stored(district: District) -> None:
    an = district.phone("an")
    case_id = an.capture()["id"]
    note = an.entry(case_id)
    act = an.entry(case_id, "act", {"act": "protect", "args": {"class": "x_a", "reason": "亲属"}})
    answer = an.push("entries", act, note)
    assert (answer["body"]["outcome"], answer["body"]["reason"]) == ("refused", "act_needs")
    assert note["id"] in an.pull("entries")


@pytest.mark.parametrize("where", ["entries", "clocks"])
def test_an_act_at_which_the_server_fails_is_kept_and_nothing_of_it_takes_effect(
    district: District, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    an = district.phone("an")
    case_id = an.capture()["id"]
    district.act("clerk", case_id, "set_place", cell=an.pull("cases")[case_id]["cell"], evidence="到过现场")
    before = district.whole("cases", case_id)
    clocks = district.rows("case_clocks")
    district.now += HOUR

    def breaks(*given: Any, **named: Any) -> None:
        raise ZeroDivisionError(given, named)

    module, name = {"entries": (casework, "write_drafts"), "clocks": (timing, "keep")}[where]
    acts = [
        an.entry(case_id, "act", {"act": "raise_signal", "args": {"signal": signal}})
        for signal in ("weapon", "drink")
    ]
    riding = {"type": "emergency_call", "id": an.entry(case_id)["id"], "body": {"number": "110"}}
    acts.append(
        an.entry(case_id, "act", {"act": "call_emergency", "args": {"number": "110", "entry": riding}})
    )
    protect = an.entry(case_id, "act", {"act": "protect", "args": {"class": "sealed", "reason": "未成年人"}})
    with monkeypatch.context() as patched:
        patched.setattr(module, name, breaks)
        answers = an.push_rows("entries", [{"newDocumentState": row} for row in (*acts, protect)])
    for sent in (*acts, protect):
        body = answers[sent["id"]]["body"]
        assert (body["outcome"], body["reason"]) == ("refused", "act_failed")
        assert body["args"] == sent["body"]["args"]
    after = district.whole("cases", case_id)
    assert {name: after[name] for name in before} == before
    assert district.rows("case_clocks") == clocks
    assert district.row("cases", case_id).klass == 0
    assert district.rows("naming") == []
    assert district.entries_of(case_id, "emergency_call") == []
    assert "failed:ZeroDivisionError@test_broken_acts.py" in district.rows("audit")[-1]["touched"]


def test_beside_an_act_that_fails_the_other_acts_of_the_day_are_done(
    district: District, monkeypatch: pytest.MonkeyPatch
) -> None:
    an = district.phone("an")
    first, second = an.capture()["id"], an.capture()["id"]
    really = children.write_drafts

    def breaks(batch: Any, facts: Any, item: Any, *given: Any, **named: Any) -> Any:
        if item.id == first:
            raise ZeroDivisionError
        return really(batch, facts, item, *given, **named)

    monkeypatch.setattr(casework, "write_drafts", breaks)
    rows = [
        an.entry(case_id, "act", {"act": "raise_signal", "args": {"signal": "drink"}})
        for case_id in (second, first, second)
    ]
    note = an.entry(first)
    answers = an.push_rows("entries", [{"newDocumentState": row} for row in (*rows, note)])
    outcomes = [answers[row["id"]]["body"]["outcome"] for row in rows]
    assert outcomes == ["done", "refused", "done"]
    assert district.whole("cases", second)["signals"] == ["drink"]
    assert "signals" not in district.whole("cases", first)
    assert note["id"] in an.pull("entries")


def test_what_broke_is_told_to_whoever_may_log_and_to_nobody_else(
    district: District, monkeypatch: pytest.MonkeyPatch
) -> None:
    from msgspec import structs

    an = district.phone("an")
    case_id = an.capture()["id"]
    heard: list[Exception] = []
    plain = district.context
    monkeypatch.setattr(
        district, "context", lambda actor="test": structs.replace(plain(actor), broke=heard.append)
    )

    def breaks(*given: Any, **named: Any) -> None:
        raise ZeroDivisionError("欧阳晓燕", given, named)

    monkeypatch.setattr(casework, "write_drafts", breaks)
    answer = an.push(
        "entries", an.entry(case_id, "act", {"act": "raise_signal", "args": {"signal": "drink"}})
    )
    assert [type(error) for error in heard] == [ZeroDivisionError]
    assert "欧阳" not in str(answer)
