"""The demo district: what a visitor is promised is there, and nobody's real installation is touched."""

from __future__ import annotations

import json
import os
import stat
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from server.clocks import wall_ms
from server.demo.captures import DISPUTES, SERVICES
from server.demo.district import DISTRICT
from server.demo.people import HOME
from server.demo.prepare import ACCOUNTS_FILE, prepare, welcome
from server.demo.year import DECLINES, FAILS, RETURNS, SUSPENSIONS, TARGETS
from server.runtime import initialise, opened
from server.settings import Settings, refusals
from server.verify import verify_district
from sync import content
from sync.cases.catalogue import CATEGORIES, OUTCOMES, ROLES, STATUSES
from sync.errors import Conflict
from sync.values import Collection

if TYPE_CHECKING:
    from sync.store import Reader, Row

SCALE = 0.03  # few ordinary cases; every story, status and reason all the same


class Seen:
    """A prepared district, read once."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.folder = Path(settings.data)
        self.accounts: list[dict[str, Any]] = json.loads((self.folder / ACCOUNTS_FILE).read_text())
        with opened(settings) as runtime:
            district = runtime.district(DISTRICT)
            self.demo = district.demo
            self.config = district.config()
            self.faults = verify_district(DISTRICT, district.store, district.keys).faults
            with district.store.read() as reader:
                self.rows = [row for row in reader.find("escalation") if row["closed_at"] is None]
                self.kept = reader.find("quarantine")
                self.ledger = reader.find("ledger")
                self.devices = reader.find("device")
                self.generations = reader.find("generation", order=["number"], columns=["number", "state"])
                self.docs = {
                    name: [self._whole(reader, row, district.keys) for row in self._of(reader, name)]
                    for name in ("cases", "visits", "households", "tasks", "entries")
                }
                self.case_of = {
                    row["pk"]: content.whole(reader.documents_by_pk([row["pk"]])[0], district.keys)
                    for row in self._of(reader, "cases")
                }

    @staticmethod
    def _of(reader: Reader, name: str) -> list[Row]:
        return reader.find("document", {"collection": int(Collection[name])}, columns=["pk"])

    @staticmethod
    def _whole(reader: Reader, row: Row, keys: Any) -> dict[str, Any]:
        return content.whole(reader.documents_by_pk([row["pk"]])[0], keys)

    @property
    def cases(self) -> list[dict[str, Any]]:
        return self.docs["cases"]

    def titled(self, words: str) -> dict[str, Any]:
        return next(case for case in self.cases if words in (case.get("title") or ""))

    def tracks(self, name: str) -> list[Any]:
        return [case["track"][name] for case in self.cases if (case.get("track") or {}).get(name)]


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    settings = Settings(data=str(tmp_path_factory.mktemp("demo") / "data"), purpose="demo")
    # what an interrupted preparation has left
    (settings.folder / "preparing").mkdir(parents=True)
    (settings.folder / "preparing" / "directory.db").write_text("half")
    assert prepare(settings, scale=SCALE, say=lambda _: None)
    return Seen(settings)


def test_every_status_has_two_cases_or_more(seen: Seen) -> None:
    counts = Counter(case["status"] for case in seen.cases)
    assert [code for code in STATUSES if counts[code] < 2] == []


def test_every_reason_for_an_end_or_a_halt_was_given_once(seen: Seen) -> None:
    assert {one["reason"] for one in seen.tracks("declined")} == set(DECLINES)
    assert {one["reason"] for one in seen.tracks("failed")} >= set(FAILS)
    assert {one["reason"] for rows in seen.tracks("returns") for one in rows} >= set(RETURNS)
    assert {one["reason"] for rows in seen.tracks("suspensions") for one in rows} >= {*SUSPENSIONS, "cooling"}
    assert {one["target"] for one in seen.tracks("referral")} >= {*TARGETS, "discipline"}
    assert {case.get("outcome") for case in seen.cases} >= set(OUTCOMES)


def test_the_same_leak_was_captured_by_two_workers_and_both_edits_are_kept(seen: Seen) -> None:
    leaks = [
        case for case in seen.cases if case["status"] == "submitted" and "漏水" in (case.get("title") or "")
    ]
    assert len({case["author"] for case in leaks}) == 2
    assert {case["cell"] for case in leaks} == {f"{HOME}007"}
    assert seen.ledger


def test_the_wages_were_returned_twice_ruled_upon_and_sponsored_under_a_yellow_card(seen: Seen) -> None:
    case = seen.titled("14名工人工资")
    assert len(case["track"]["returns"]) == 2
    assert (case["track"]["final"], case["supervision"], case["status"]) == (True, "yellow", "in_mediation")
    assert case["people_count"] == 14
    assert case["sponsor"]["until"] > case["sponsor"]["since"]


def test_of_the_sealed_case_nothing_stands_in_words_but_that_it_is_private(seen: Seen) -> None:
    case = seen.titled("隐私")
    assert (case["protection"], case["description"], case["category"]) == ("sealed", "隐私", "0106")
    assert {row["level"] for row in seen.rows if seen.case_of[row["case_pk"]]["id"] == case["id"]} == {1, 2}


def test_the_village_capture_came_six_days_late_and_its_clocks_run_from_today(seen: Seen) -> None:
    case = seen.titled("浇地争水")
    assert case["received_at"] - case["captured_at"] == 6 * 86_400_000
    assert case["cell"].startswith("410399102202")


def test_a_wall_between_two_cells_waits_for_a_person_and_another_was_placed_by_one(seen: Seen) -> None:
    walls = {case["status"]: case for case in seen.cases if "院墙翻修" in (case.get("title") or "")}
    waits = walls.pop("submitted")
    assert waits["assignment"]["needs_confirmation"]
    assert len(waits["assignment"]["candidates"]) >= 2
    assert waits["also_cells"]
    (placed,) = walls.values()
    assert placed["assignment"]["method"] == "person"


def test_the_hotline_case_keeps_its_outer_number_and_date(seen: Seen) -> None:
    case = seen.titled("夜间施工噪声")
    assert case["source_ref"]
    assert any(line["clock"] == "source_reply" for line in case["due"])


def test_twenty_five_thousand_in_three_parts_one_paid_one_late_and_the_courts_window_open(seen: Seen) -> None:
    case = seen.titled("装修漏水损坏家具")
    parts = case["track"]["obligations"]
    assert sum(part["amount_fen"] for part in parts) == 2_500_000
    assert [part["done_at"] is not None for part in parts] == [True, False, False]
    assert parts[1]["due"] < parts[2]["due"]
    assert {"confirmation", "obligation"} <= {line["clock"] for line in case["due"]}


def test_the_ladder_shows_an_item_at_each_level_one_taken_on_and_one_whose_clock_stands(seen: Seen) -> None:
    at = {(row["level"], seen.case_of[row["case_pk"]].get("title")) for row in seen.rows}
    assert (1, "物业费收缴方式引起争执") in at
    assert (2, "物业费收缴方式引起争执") not in at
    assert (2, "顶楼漏雨维修资金使用争议") in at
    assert (3, "顶楼漏雨维修资金使用争议") not in at
    assert (3, "烧烤店油烟反复扰民") in at
    (taken,) = [row for row in seen.rows if row["state"] == "acked"]
    assert "楼道杂物" in seen.case_of[taken["case_pk"]]["title"]
    paused = seen.titled("地暖试压")
    assert ("resolve_grid", "paused") in {(line["clock"], line["state"]) for line in paused["due"]}
    unanswered = [row for row in seen.rows if "停车位划线" in seen.case_of[row["case_pk"]].get("title", "")]
    assert {row["key"].split(":")[0] for row in unanswered} == {"instruction_reply"}


def test_a_case_about_staff_is_hidden_from_those_who_hold_office_there(seen: Seen) -> None:
    case = seen.titled("慰问品发放名单")
    secretary = next(one for one in seen.config.accounts.values() if one.username == "community-leader-1")
    assert secretary.id in case["recused"]


def test_what_could_not_be_applied_is_kept_and_what_has_no_place_waits_for_one(seen: Seen) -> None:
    assert Counter(row["state"] for row in seen.kept) == {"open": 3}
    nowhere = [case for case in seen.cases if case["assignment"]["method"] == "none"]
    assert len(nowhere) == 2
    assert sum(row["revoked_at"] is not None for row in seen.devices) == 1


def test_homes_with_care_are_visited_and_six_wait_for_one_worker_today(seen: Seen) -> None:
    homes = {home["id"]: home for home in seen.docs["households"]}
    assert all(home["cell"].startswith(HOME) for home in homes.values())
    assert any(home["care"] for home in homes.values())
    due = [task for task in seen.docs["tasks"] if task["type"] == "visit_due"]
    assert len(due) == 6
    assert {home["cell"] for task in due for home in [homes[task["household_id"]]]} <= {
        f"{HOME}006",
        f"{HOME}007",
    }
    assert {"not_home", "moved"} <= {visit["outcome"] for visit in seen.docs["visits"]}


def test_every_role_of_the_catalogue_has_somebody_and_only_the_owner_reads_the_passwords(seen: Seen) -> None:
    assert {account["role"] for account in seen.accounts} == set(ROLES)
    assert stat.S_IMODE((seen.folder / ACCOUNTS_FILE).stat().st_mode) == 0o600
    worker = next(account for account in seen.accounts if account["username"] == "grid-worker-4")
    assert worker["cells"] == [f"{HOME}006", f"{HOME}007"]
    assert {"username", "password", "role", "role_zh", "unit", "unit_name", "cells"} <= worker.keys()


def test_the_next_edition_of_the_cells_is_a_draft_beside_the_one_in_force(seen: Seen) -> None:
    assert [(row["number"], row["state"]) for row in seen.generations] == [(1, "active"), (2, "draft")]


def test_the_district_is_marked_as_a_demo_and_serve_refuses_it(seen: Seen) -> None:
    assert seen.demo
    assert any("demo" in reason for reason in refusals(Settings(), {DISTRICT: "demo"}))


def test_nothing_in_the_database_points_nowhere_and_the_audit_chain_holds(seen: Seen) -> None:
    assert seen.faults == []


def test_no_task_is_left_open_on_a_case_that_was_filed(seen: Seen) -> None:
    filed = {case["id"] for case in seen.cases if case["status"] == "filed"}
    left = [
        task["type"]
        for task in seen.docs["tasks"]
        if task.get("case_id") in filed and "closed_at" not in task
    ]
    assert filed
    assert left == []


def test_a_second_start_keeps_everything(seen: Seen) -> None:
    before = (seen.folder / ACCOUNTS_FILE).stat()
    assert prepare(seen.settings, scale=SCALE, say=lambda _: None) is False
    assert (seen.folder / ACCOUNTS_FILE).stat() == before
    assert not (seen.folder / "preparing").exists()


def test_what_is_printed_names_where_to_go_and_as_whom(seen: Seen) -> None:
    text = welcome(seen.settings, "http://127.0.0.1:8000")
    assert "演示数据" in text
    assert "http://127.0.0.1:8000" in text
    assert "street-leader-1" in text


def test_a_folder_with_a_real_district_is_left_alone(tmp_path: Path) -> None:
    settings = Settings(data=str(tmp_path), purpose="demo")
    initialise(settings, "990101", "某区")
    with pytest.raises(Conflict):
        prepare(settings, say=lambda _: None)


def test_on_a_weekend_night_the_ladder_stands_as_on_a_working_day(tmp_path: Path) -> None:
    clock = tmp_path / "clock.json"
    sunday = 1_795_966_200_000  # Sunday 29 November 2026, 23:30 in China
    clock.write_text(msgspec.json.encode({"offset_ms": sunday - int(time.time() * 1000)}).decode())
    settings = Settings(data=str(tmp_path / "data"), purpose="demo", clock_file=str(clock))
    prepare(settings, scale=SCALE, say=lambda _: None)
    found = Seen(settings)
    levels = {seen_level(found, title) for title in ("物业费收缴", "顶楼漏雨", "烧烤店油烟")}
    assert levels == {("物业费收缴", 1), ("顶楼漏雨", 2), ("烧烤店油烟", 3)}


def seen_level(found: Seen, title: str) -> tuple[str, int]:
    rows = [row for row in found.rows if title in (found.case_of[row["case_pk"]].get("title") or "")]
    return title, max(row["level"] for row in rows)


def test_each_template_names_a_category_of_its_own_kind() -> None:
    assert {CATEGORIES[row["category"]].kind for row in DISPUTES["dispute"]} == {"dispute"}
    for row in (*SERVICES["service"], *SERVICES["village"], *SERVICES["others"]):
        assert CATEGORIES[row["category"]].kind == row["kind"]


# Begun at the first moment, a request answered at once was verified by the system before its dispatcher came to it.
MOMENTS = [1795126871340, *range(1796140800000, 1827676800000, 2_628_007_007)]


@pytest.mark.parametrize("begun", MOMENTS[: max(1, int(os.environ.get("WANGGE_DEMOS", "1")))])
def test_a_year_at_its_full_size_is_told_to_the_end(begun: int, tmp_path: Path) -> None:
    """What `make run` does, on whatever day: at a smaller size ways of a case that few take are not gone."""
    clock = tmp_path / "clock.json"
    clock.write_text(json.dumps({"offset_ms": begun - wall_ms()}))
    settings = Settings(data=str(tmp_path / "data"), purpose="demo", clock_file=str(clock))
    assert prepare(settings, say=lambda _: None)
    assert len(Seen(settings).cases) > 400
