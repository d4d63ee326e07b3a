"""The client library on a phone's own store: RxDB on IndexedDB in Chromium, against our server over HTTP.

What the library does at all is shown in Node (``tests/rxdb/test_library.py``). Here it is what only a browser has: a
store that outlives the page, tabs, connections that Chromium opens, keeps and repeats by itself, and much of it.
Every document, tombstones too, is checked against the published schema.
"""

from __future__ import annotations

import random
import shutil
import time
from typing import TYPE_CHECKING, Any

import pytest

from sync import administration
from tests.browser.phones import ALL, BrowserPhone, Tab
from tests.http.served import ServedTown
from tests.http.town import CELLS, middle_of, new_id
from tests.rxdb.cutter import Cutter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Browser

    Phones = Callable[..., BrowserPhone]

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

HERE, THERE = CELLS[0], CELLS[3]


@pytest.fixture
def district(tmp_path: Path, town_files: Path) -> Iterator[ServedTown]:
    """A district of its own for a story, on a port of its own."""
    shutil.copytree(town_files, tmp_path / "town")
    served = ServedTown(tmp_path / "town")
    yield served
    served.close()


@pytest.fixture
def phone_of(district: ServedTown, browser: Browser, phone_script: Path) -> Iterator[Phones]:
    """Makes a phone of somebody; one that failed somewhere in its page fails the story."""
    made: list[BrowserPhone] = []

    def make(user: str, *collections: str, base: str | None = None) -> BrowserPhone:
        made.append(BrowserPhone(browser, base or district.base, phone_script, collections or ALL))
        made[-1].sign_in(user)
        return made[-1]

    yield make
    for phone in made:
        phone.close()
    assert [fault for phone in made for fault in phone.faults] == []


def capture(**values: Any) -> dict[str, Any]:
    """A case as somebody types it; id and write id are the phone's own."""
    return {
        "kind": "request",
        "title": "路灯不亮",
        "captured_at": 1_800_000_000_000,
        "location": middle_of(HERE),
    } | values


def fill(district: ServedTown, count: int, **values: Any) -> list[str]:
    """So many cases in the worker's cell, as his other phone handed them in."""
    rows = [
        {"newDocumentState": capture(id=new_id(), title=f"旧案{n}", w=f"{n + 1}:{new_id()}", **values)}
        for n in range(count)
    ]
    for start in range(0, count, 1_000):
        answer = district.post("grid_worker", "/sync/v1/cases/push", rows[start : start + 1_000])
        assert answer.status_code == 200, answer.text
    return [row["newDocumentState"]["id"] for row in rows]


def all_of(district: ServedTown, user: str, collection: str = "cases") -> dict[str, dict[str, Any]]:
    """What the server has for somebody, by id, as a phone that begins from nothing is told it."""
    found: dict[str, dict[str, Any]] = {}
    body: dict[str, Any] = {"checkpoint": None, "limit": 1}
    headers = {"Wangge-Schema": "2"}
    while page := district.post(user, f"/sync/v1/{collection}/pull", body, headers=headers).json():
        if not page["documents"]:
            break
        body["checkpoint"] = page["checkpoint"]
        found |= {doc["id"]: doc for doc in page["documents"] if not doc.pop("_deleted")}
    return found


def pages_of(app: Tab) -> list[int]:
    """How large the pages of cases were that this page wished for."""
    return [asked["bytes"] for asked in app("log")["asked"] if asked["path"].endswith("/cases/pull")]


def test_what_is_captured_without_a_signal_survives_the_app_and_arrives_once(
    district: ServedTown, phone_of: Phones
) -> None:
    """PL12, PU12."""
    phone = phone_of("grid_worker")
    app = phone.tab()
    app("sync")
    phone.context.set_offline(True)
    cases = app.insert(*[capture(title=f"第{n}件") for n in range(20)])
    app("patch", "cases", cases[0], {"title": "第0件，改过"})
    app.reload()
    entry = {"case_id": cases[1], "type": "note", "at": 1_800_000_000_000, "body": {"text": "到过现场"}}
    (note,) = app.insert(entry, collection="entries")
    app.close()
    app = phone.tab()
    assert app("unsent") == 21
    assert all_of(district, "clerk") == {}
    phone.context.set_offline(False)
    app("sync")
    app(
        "sync"
    )  # in an app just opened the entry may overtake its case, and is told with the next pull that it came
    held = app.documents()
    assert held == all_of(district, "clerk")
    assert [held[case]["title"] for case in cases] == ["第0件，改过", *[f"第{n}件" for n in range(1, 20)]]
    assert {(doc["status"], doc["cell"], doc["device"]) for doc in held.values()} == {
        ("submitted", HERE, held[cases[0]]["device"])
    }
    assert app.documents("entries") == all_of(district, "clerk", "entries")
    assert "parent_missing" not in app.documents("entries")[note]
    assert app("unsent") == 0
    assert app("log")["errors"] == []


def test_an_app_that_is_closed_while_an_answer_is_under_way_sends_the_same_write_again(
    district: ServedTown, phone_of: Phones
) -> None:
    """PU6, PU7."""
    phone = phone_of("grid_worker", "cases")
    app = phone.tab()
    app("sync")
    (case,) = app.insert(capture(title="初稿"))
    app("sync")
    app("hold", "push")
    app("patch", "cases", case, {"title": "第二稿"})
    app("held")
    stored = all_of(district, "clerk")[case]
    row = {
        "newDocumentState": {**stored, "title": "第三稿", "w": f"1:{new_id()}"},
        "assumedMasterState": stored,
    }
    assert district.post("clerk", "/sync/v1/cases/push", [row]).status_code == 200
    head = district.district.head.seq
    app.reload()
    assert app("unsent") == 1
    app("sync")
    assert app.documents()[case]["title"] == "第三稿"
    assert app.documents() == all_of(district, "clerk")
    assert district.district.head.seq == head
    assert app("unsent") == 0


@pytest.mark.parametrize("why", ["moved", "grant_ended"])
def test_a_case_that_leaves_while_an_edit_is_unsent_leaves_the_store_and_the_edit_is_kept(
    district: ServedTown, phone_of: Phones, why: str
) -> None:
    """PU8, PL9, QU1, QU3."""
    case = district.capture("clerk", HERE, description="canary-in-the-text")
    phone = phone_of("grid_worker", "cases", "notices")
    app = phone.tab()
    app("sync")
    assert "canary" in app("bones")
    phone.context.set_offline(True)
    app("patch", "cases", case, {"title": "canary-typed-meanwhile"})
    if why == "moved":
        district.must_act("dispatcher", case, "set_place", cell=THERE, evidence="到过现场")
    else:
        district.submit(administration.end_grant("grid_worker", "grid_worker", cell=HERE))
    app.reload()
    assert app("unsent") == 1
    phone.context.set_offline(False)
    app("sync")
    assert app.documents() == {}
    assert "canary" not in app("bones")
    (kept,) = district.get("centre_director", "/api/v1/quarantine").json()["items"]
    assert kept["doc_id"] == case
    app("sync")
    (notice,) = app.documents("notices").values()
    assert notice["kind"] == "kept_aside"
    assert app("verify") == {"cases": "same", "notices": "same"}
    assert app("log")["errors"] == []


def test_a_tombstone_passed_over_for_an_edit_takes_the_case_off_with_the_answer(
    district: ServedTown, phone_of: Phones
) -> None:
    """PU5, PU8, PL11: the page with the tombstone is under way while the worker types."""
    case = district.capture("clerk", HERE, description="canary-in-the-text")
    phone = phone_of("grid_worker", "cases")
    app = phone.tab()
    app("sync")
    app("hold", "pull")
    district.must_act("dispatcher", case, "set_place", cell=THERE, evidence="到过现场")
    app.begin("sync")
    app("held")
    app("patch", "cases", case, {"title": "canary-typed-meanwhile"})
    app("hold", None)
    app.end()
    app("sync")
    assert app.documents() == {}
    assert "canary" not in app("bones")
    (kept,) = district.get("centre_director", "/api/v1/quarantine").json()["items"]
    assert kept["doc_id"] == case


def test_two_tabs_of_one_person_lose_nothing_and_double_nothing(
    district: ServedTown, phone_of: Phones
) -> None:
    """PU6, PU11: both hand in what either wrote, side by side."""
    phone = phone_of("grid_worker", "cases", "entries")
    tabs = one, other = phone.tab(push_batch=5), phone.tab(push_batch=5)
    for tab in tabs:
        tab("sync")
    phone.context.set_offline(True)
    for number, tab in enumerate(tabs):
        tab.begin("insert", "cases", [capture(title=f"第{number}页第{n}件") for n in range(30)])
    first, second = one.end(), other.end()
    one("patch", "cases", second[0], {"address": "东门三号楼"})
    other("patch", "cases", second[0], {"title": "两页都改过"})
    note = {"case_id": first[0], "type": "note", "at": 1_800_000_000_000, "body": {"text": "另一页写的"}}
    other.insert(note, collection="entries")
    assert [tab("unsent") for tab in tabs] == [61, 61]
    one("spend_token")  # both find it out at once
    phone.context.set_offline(False)
    for tab in tabs:
        tab.begin("sync")
    for tab in tabs:
        tab.end()
    for tab in tabs:
        tab("sync")  # what the other has brought in meanwhile
    held = one.documents()
    assert set(held) == {*first, *second}
    assert held == other.documents() == all_of(district, "clerk")
    assert (held[second[0]]["address"], held[second[0]]["title"]) == ("东门三号楼", "两页都改过")
    counters = [int(doc["w"].partition(":")[0]) for doc in held.values()]
    assert len(set(counters)) == 60
    (entry,) = all_of(district, "clerk", "entries").values()
    assert "parent_missing" not in entry
    for tab in tabs:
        assert tab("unsent") == 0
        assert "signed_out" not in tab("log")["standing"]
        assert tab("verify") == {"cases": "same", "entries": "same"}
        assert tab("log")["errors"] == []


def test_a_tab_that_is_closed_in_the_middle_leaves_its_work_to_the_other(
    district: ServedTown, phone_of: Phones
) -> None:
    """PU5, PU6."""
    known = district.capture("clerk", HERE)
    phone = phone_of("grid_worker", "cases")
    leading = phone.tab()
    leading("sync")
    other = phone.tab()
    assert other("unsent") == 0
    leading("hold", "push")
    cases = leading.insert(*[capture(title=f"第{n}件") for n in range(10)])
    leading("held")
    leading.close()
    (later,) = other.insert(capture(title="另一页写的"))
    other("sync")
    assert set(other.documents()) == {known, *cases, later}
    assert other.documents() == all_of(district, "clerk")
    assert other("verify") == {"cases": "same"}
    assert other("log")["errors"] == []


def test_a_stopped_phone_hands_in_what_it_holds_and_nothing_stays_in_the_browser(
    district: ServedTown, phone_of: Phones
) -> None:
    """PU13: with the app open in two tabs."""
    district.capture("clerk", HERE, description="canary-in-the-text")
    phone = phone_of("grid_worker", "cases")
    app, other = phone.tab(), phone.tab()
    for tab in (app, other):
        tab("sync")
    phone.context.set_offline(True)
    ids = app.insert(*[capture(title=f"canary {n}") for n in range(10)])
    (lost,) = [
        one["id"] for one in district.get("grid_worker", "/api/v1/devices").json() if one["name"] == "browser"
    ]
    assert district.post("grid_worker", f"/api/v1/devices/{lost}/revoke").status_code == 204
    assert "canary" in other("bones")
    phone.context.set_offline(False)
    for tab in (app, other):
        tab("emptied")
    rows = district.get("clerk", "/api/v1/quarantine", limit=100).json()["items"]
    assert {row["doc_id"] for row in rows} == set(ids)
    assert "canary" not in app("bones")


@pytest.mark.parametrize("seed", [1, 2])
def test_a_line_that_breaks_again_and_again_brings_everything_both_ways(
    district: ServedTown, phone_of: Phones, seed: int
) -> None:
    """PL12, FL1, DG1."""
    print(f"seed {seed}")
    chance = random.Random(seed)
    known = fill(district, 600)
    with Cutter(district.port) as line:
        phone = phone_of("grid_worker", "cases", "entries", base=f"http://127.0.0.1:{line.port}")
        app = phone.tab()
        phone.context.set_offline(True)
        cases = app.insert(*[capture(title=f"第{n}件") for n in range(40)])
        for case in cases[::4]:
            note = {"case_id": case, "type": "note", "at": 1_800_000_000_000, "body": {"text": "到过现场"}}
            app.insert(note, collection="entries")
        # nothing of an answer, a piece of it, all of one; of a request too
        line.spoil(
            told=[chance.choice([0, 100, chance.randrange(20_000)]) for _ in range(30)],
            sent=[chance.choice([None, None, chance.randrange(10_000)]) for _ in range(30)],
        )
        phone.context.set_offline(False)
        app("sync")
        print(f"{line.cuts} cuts, pages of {sorted({size // 1024 for size in pages_of(app)})} KiB")
        assert line.cuts >= 3
        assert min(pages_of(app)) < 256 * 1024
        assert set(app.documents()) == {*known, *cases}
        assert app.documents() == all_of(district, "grid_worker")
        entries = app.documents("entries")
        assert entries == all_of(district, "grid_worker", "entries")
        assert len(entries) == 10
        assert app("unsent") == 0
        assert app("verify") == {"cases": "same", "entries": "same"}
        assert app("log")["errors"] == []


def test_ten_thousand_documents_lie_in_the_store_and_an_edit_comes_through(
    district: ServedTown, phone_of: Phones
) -> None:
    """PL12, DG1, FL1."""
    known = fill(district, 10_000, kind="dispute")
    phone = phone_of("grid_worker", "cases")
    app = phone.tab()
    began = time.monotonic()
    app("sync")
    print(f"10,000 cases into IndexedDB: {time.monotonic() - began:.1f} s")
    assert app("count", "cases") == 10_000
    assert len(pages_of(app)) < 60
    edited = known[4_711]
    district.must_act(
        "clerk", edited, "triage", category="0204", basis="lawful", risk="yellow", channel="grid"
    )
    app("sync")
    began = time.monotonic()
    app.reload()
    assert app("documents_of", "cases", [edited])[0]["category"] == "0204"
    print(f"opened again: {time.monotonic() - began:.1f} s")
    app("patch", "cases", edited, {"title": "十千件里的一件"})
    began = time.monotonic()
    assert app("verify") == {"cases": "same"}
    print(f"compared: {time.monotonic() - began:.1f} s")
    assert district.get("clerk", f"/api/v1/cases/{edited}").json()["title"] == "十千件里的一件"
    assert app("count", "cases") == 10_000
    assert app("log")["errors"] == []
