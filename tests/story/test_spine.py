"""A dispute captured out of reach reaches the centre and, when nobody acts, the leaders' queue.

One story against the real server in a process of its own. Li's phone is an unmodified RxDB; everybody else speaks the
same HTTP. The day is a Monday; the district's clock is moved by its clock file.
"""

from __future__ import annotations

import signal
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest
import shapely

from geo.points import Crs
from server.phones_worker import Ground
from tests.faults.launcher import COMMITTED, FIRST_ROW
from tests.story.actors import Person, Phone, Refused, RxPhone, fix_in, new_id
from tests.story.district import set_up
from tests.story.secrecy import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from server.phones_shelf import Document
    from tests.story.district import Place
    from tests.story.process import ServerProcess

pytestmark = pytest.mark.rxdb
HOUR = 3_600_000
CIVIL = timezone(timedelta(hours=8))
CANARY = "金丝雀工程款"


@dataclass
class Town:
    """Everybody in the story, signed in."""

    place: Place
    server: ServerProcess
    li: RxPhone
    zhao: Phone
    sun: Phone
    qian: Phone
    clerk: Phone
    verifier: Person
    dispatcher: Person
    director: Person
    secretary: Phone
    street: Phone
    mediator: Person
    manager: Person
    justice: Person


@pytest.fixture
def town(server: ServerProcess, tmp_path: Path) -> Iterator[Town]:
    set_the_clock_to_monday_morning(server)
    place = set_up(server, tmp_path)
    desks: dict[str, Any] = {
        name: Person(server.url, name).sign_in()
        for name in ("verifier", "dispatcher", "director", "mediator", "manager", "justice")
    }
    phones: dict[str, Any] = {
        name: Phone(server.url, name).sign_in()
        for name in ("zhao", "sun", "qian", "clerk", "secretary", "street")
    }
    li = RxPhone(server.url, "li").sign_in()
    yield Town(place=place, server=server, li=li, **phones, **desks)
    for person in (li, *desks.values(), *phones.values()):
        person.close()


def set_the_clock_to_monday_morning(server: ServerProcess) -> None:
    """The coming Monday, 9:30 by the district's clock: the offices are open and the weekend is far."""
    now = datetime.now(UTC).astimezone(CIVIL)
    monday = (now + timedelta(days=7 - now.weekday())).replace(hour=9, minute=30, second=0, microsecond=0)
    server.move_clock(int((monday - now).total_seconds() * 1000))


def test_a_dispute_captured_out_of_reach_is_seen_raised_settled_and_verified_and_nothing_is_lost(
    town: Town,
) -> None:
    leak, wall = out_of_reach_and_back(town)
    the_centre_and_the_phone_edit_the_same_case(town, leak)
    secret = Secret(town.secretary, CANARY, wall)
    nobody_accepts_and_the_ladder_climbs(town, leak, secret)
    the_unit_mediates_and_another_person_verifies(town, leak)
    secret.was_kept()
    a_case_moves_next_door_while_its_author_is_out_of_reach(town)
    assert town.li.errors() == []
    the_server_is_killed_and_the_phone_repeats(town)


# --- 2: the worker ---------------------------------------------------------------------------------------------------


def out_of_reach_and_back(town: Town) -> tuple[str, str]:
    """Three disputes and a visit, written where there is no signal."""
    li, place = town.li, town.place
    assert list(li.sees("cells")) == [place.here]
    cell = li.sees("cells")[place.here]

    shifted = fix_in(cell, Crs.GCJ02)
    ground = Ground.of(cell)
    assert ground is not None
    assert not shapely.contains_xy(
        ground.shape, shifted["lon"], shifted["lat"]
    )  # read as WGS-84 it lies elsewhere

    li.goes_out_of_reach()
    leak = li.captures(
        title="楼上漏水",
        description="三楼卫生间漏水",
        parties=[
            {"id": "p1", "role": "applicant", "alias": "三楼姓李的", "name": "李春花", "phone": "13800000001"}
        ],
        location=shifted,
    )
    li.edits(leak, description="三楼卫生间漏水,二楼天花板起皮")
    li.edits(leak, wishes="希望赔偿")
    lon, lat = place.at_the_wall
    wall = li.captures(
        title=f"社区{CANARY}去向不明",
        description=f"居民反映书记经手的{CANARY}没有公示",
        involves_staff=True,
        location={
            "lon": lon,
            "lat": lat,
            "crs": "wgs84",
            "accuracy_m": 20,
            "confidence": 68,
            "source": "gps",
        },
    )
    li.notes(wall, f"有收据:{CANARY}")
    quarrel = li.captures(title="楼道口角", on_spot={"how": "当面劝和", "both_content": True})
    visit = li.visits(place_text="便民超市", purpose="safety", outcome="met", notes="提醒用电")
    assert li.sees()[leak].get("cell") is None
    li.comes_back()

    cases = li.sees()
    assert cases.keys() == {leak, wall, quarrel}
    assert cases[leak]["cell"] == place.here
    assert cases[leak]["description"] == "三楼卫生间漏水,二楼天花板起皮"
    assert cases[leak]["wishes"] == "希望赔偿"
    assert cases[wall]["cell"] == place.here
    assert cases[wall]["assignment"]["needs_confirmation"]
    assert place.next_door in cases[wall]["assignment"]["candidates"]
    settled_on_the_spot(li, quarrel)
    assert visit in li.sees("visits")

    town.zhao.pull()
    assert town.zhao.sees().keys() == {leak, quarrel}  # of the wall he must not know
    for worker in (town.sun, town.qian):
        worker.pull()
        assert worker.sees() == {}
        assert worker.sees("entries") == {}
    assert CANARY not in "".join(town.zhao.heard + town.sun.heard + town.qian.heard)
    return leak, wall


def settled_on_the_spot(li: RxPhone, quarrel: str) -> None:
    case = li.sees()[quarrel]
    assert case["status"] == "settled"
    assert case["outcome"] == "on_spot"
    assert case["code"].startswith("涧东矛〔")
    assert case["admitted_at"] == case["resolved_at"] == case["received_at"]
    assert [entry["type"] for entry in li.entries_of(quarrel)] == ["on_spot"]
    tasks = [task["type"] for task in li.sees("tasks").values() if task["case_id"] == quarrel]
    assert "follow_up" in tasks


# --- 3: the centre, meanwhile ----------------------------------------------------------------------------------------


def the_centre_and_the_phone_edit_the_same_case(town: Town, leak: str) -> None:
    """Both edit apart; each field keeps the edit made to it, and where both wrote, the loser stands in the ledger."""
    li, clerk = town.li, town.clerk
    li.goes_out_of_reach()
    li.edits(leak, address="三号院2单元301", people_count=3)
    clerk.pull()
    clerk.edits(leak, title="三号院漏水", people_count=5)
    clerk.sync()
    li.comes_back()

    for case in (li.sees()[leak], clerk.pull().sees()[leak], town.zhao.pull().sees()[leak]):
        assert case["title"] == "三号院漏水"
        assert case["address"] == "三号院2单元301"
        assert case["people_count"] == 3  # the later arrival
        assert case["parties"][0]["name"] == "李春花"
    (line,) = clerk.case(leak)["ledger"]
    assert (line["field"], line["winner"], line["loser"]) == ("people_count", 3, 5)


# --- 4: the centre, the unit, the leaders ----------------------------------------------------------------------------


def nobody_accepts_and_the_ladder_climbs(town: Town, leak: str, secret: Secret) -> None:
    clerk, wall = town.clerk, secret.case_id
    for case, category in ((leak, "0402"), (wall, "0404")):
        clerk.act(
            case,
            "triage",
            category=category,
            basis="lawful",
            risk="yellow",
            reason="双方情绪激动",
            channel="grid",
        )
    clerk.act(leak, "rate", colour="orange", reason="有人扬言动手")
    admitted = clerk.act(leak, "admit")
    code = admitted["case"]["code"]
    assert code.startswith("涧东矛〔")
    asked = clerk.get(f"/public/v1/progress/{admitted['query_code']}")
    assert code not in str(asked)  # the slip tells how far it is, and no more
    secret.words |= {clerk.act(wall, "admit")["case"]["code"]}
    with pytest.raises(Refused) as refused:
        town.mediator.act(leak, "accept")
    assert refused.value.status == 404  # not his yet, and he learns nothing
    town.dispatcher.act(leak, "dispatch", unit="MEDIATION")
    town.dispatcher.act(wall, "dispatch", unit="JUSTICE")
    with pytest.raises(Refused) as refused:
        clerk.act(leak, "admit")
    assert refused.value.code == "act_illegal"
    assert "triage" not in refused.value.problem["legal"]
    assert town.secretary.queue() == {}

    # four working hours pass and nobody signs for either
    town.server.move_clock(6 * HOUR)
    row = town.secretary.waits_for(town.secretary.queue)[leak]
    assert row["level"] == 1
    assert "社区人民调解委员会" in row["reason_zh"]
    assert "仍未签收" in row["reason_zh"]
    assert town.secretary.queue().keys() == {leak}
    secret.is_kept_everywhere()
    why = town.secretary.get(f"/api/v1/cases/{leak}/clocks")
    assert "accept" in str(why)

    # the wall's ladder has passed over him to the street
    raised = town.street.waits_for(lambda: town.street.queue().get(wall, {}))
    assert raised["level"] == 2
    assert CANARY in "".join(town.street.heard)  # so it would be found, had it been told
    secret.is_no_row_of_the_queue(raised["id"])
    secret.words |= {entry["id"] for entry in town.li.entries_of(wall)}
    assert town.street.pull().sees("notices")
    assert town.li.sync().sees()[wall]["level"] == 2  # who wrote it goes on seeing it

    later = town.server.now() + 24 * HOUR
    town.secretary.acts_on_row(row, "acknowledge", until=later)
    town.secretary.acts_on_row(row, "instruct", text="今天下班前签收并联系双方", due_at=later)
    row = town.secretary.queue()[leak]
    assert row["ack"]["by"] == town.secretary.user
    assert row["instruction"]["text"] == "今天下班前签收并联系双方"
    clocks = {line["clock"] for line in town.secretary.case(leak)["due"]}
    assert "instruction_reply" in clocks


def the_unit_mediates_and_another_person_verifies(town: Town, leak: str) -> None:
    unit = town.mediator
    unit.act(leak, "accept")
    assert leak not in town.secretary.queue() or town.secretary.queue()[leak]["clock"] != "accept"
    town.manager.act(leak, "reply_instruction", text="已签收,明早上门")
    assert "instruction_reply" not in {line["clock"] for line in unit.case(leak)["due"]}
    with pytest.raises(Refused) as refused:
        unit.act(leak, "begin")
    assert refused.value.code == "act_needs"  # nobody is mediated who has not agreed to it
    unit.act(leak, "begin", consents={"p1": "yes"}, rights_told=True)
    session = {"type": "session", "body": {"mode": "face_to_face", "result": "双方同意修补并赔偿"}}
    unit.act(leak, "session", entry={"id": new_id(), **session})
    promise = {"no": 1, "debtor": "四楼", "what": "修好水管", "due": town.server.now() + 24 * HOUR}
    agreement = {"type": "agreement", "body": {"points": "修好水管,赔偿粉刷", "obligations": [promise]}}
    unit.act(leak, "agree", entry={"id": new_id(), **agreement})
    with pytest.raises(Refused) as refused:
        unit.act(leak, "settle")
    assert refused.value.code == "act_needs"  # an obligation is open
    assert unit.act(leak, "perform", obligation=1)["case"]["status"] == "settled"
    unit.act(leak, "close", outcome="written_agreement", plain_text="水管修好了,墙也粉刷了")
    with pytest.raises(Refused) as refused:
        unit.act(leak, "verify", parties_asked=True)
    assert refused.value.status == 403
    town.verifier.act(leak, "verify", parties_asked=True)

    told = town.li.sync().sees()[leak]
    assert told["status"] == "closed"
    assert "case.closed" in {notice["code"] for notice in town.li.sees("notices").values()}
    assert "tell_back" in {task["type"] for task in town.li.sees("tasks").values()}
    acts = [line for line in town.verifier.timeline(leak) if line.startswith("act:")]
    assert acts == [
        f"act:{name}"
        for name in (
            "triage", "rate", "admit", "dispatch", "acknowledge", "instruct", "accept", "reply_instruction",
            "begin", "session", "agree", "perform", "close", "verify",
        )
    ]  # fmt: skip


# --- 5: another cell -------------------------------------------------------------------------------------------------


def a_case_moves_next_door_while_its_author_is_out_of_reach(town: Town) -> None:
    li, place = town.li, town.place
    cell = li.sees("cells")[place.here]
    tree = li.captures(title="大树遮光", description="两家为修剪争执", location=fix_in(cell, Crs.CGCS2000))
    note = li.notes(tree, "两家都想协商")
    li.sync()
    assert tree in town.zhao.pull().sees()

    li.goes_out_of_reach()
    li.edits(tree, description="两家为修剪争执,树在东边院里")
    town.dispatcher.act(tree, "set_place", cell=place.next_door, evidence="到过现场")
    town.zhao.pull()
    assert tree not in town.zhao.sees()
    assert not town.zhao.entries_of(tree)
    li.comes_back()

    assert tree not in li.sees()
    assert not li.entries_of(tree)
    assert "东边院里" not in li.bones("cases", tree)  # nothing of it is left in the phone's storage
    notices = {notice["code"]: notice for notice in li.sees("notices").values()}
    assert notices["moved_out"]["args"]["id"] == tree
    assert notices["out_of_scope"]["args"]["id"] == tree
    (kept,) = town.clerk.get("/api/v1/quarantine", reason="out_of_scope")["items"]
    assert "东边院里" in str(kept)

    arrived: Document = town.sun.pull().sees()[tree]
    assert arrived["title"] == "大树遮光"
    assert {entry["id"] for entry in town.sun.entries_of(tree)} >= {note}
    assert "act" in {entry["type"] for entry in town.sun.entries_of(tree)}


# --- 6: the server dies ----------------------------------------------------------------------------------------------


def the_server_is_killed_and_the_phone_repeats(town: Town) -> None:
    """Killed between the first row and the commit, and again between the commit and the reply."""
    li, server = town.li, town.server
    before = li.sees().keys() | set()
    written = []
    for point in (FIRST_ROW, COMMITTED):
        server.die_at(point)
        written.append(li.captures(title=f"电线松动({point})", kind="hazard"))
        order = li.begins_to_sync("cases")
        assert server.wait_dead() == -signal.SIGKILL
        server.start()
        li.ends_sync(order)
    li.sync()
    assert li.sees().keys() == before | set(written)
    titles = [case["title"] for case in town.zhao.pull().sees().values() if case["id"] in written]
    assert sorted(titles) == sorted(li.sees()[case]["title"] for case in written)
    (report,) = server.command("verify")
    assert report["faults"] == []
