"""Phones that are asked to wait: with a time each, nothing lost, and the ways that never close."""

from __future__ import annotations

import random
import threading
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from msgspec import structs

from server.admission import Admission
from server.errors import TooManyRequests
from server.phones import Account, Phone as SimulatedPhone, check_phone
from server.phones_line import Figures, Line
from tests.http.test_bad_input import problem
from tests.http.town import CELLS, PASSWORD, Town, middle_of, new_id
from tests.http.tus import create

if TYPE_CHECKING:
    from collections.abc import Callable

PULL = "/sync/v1/cases/pull"
Point = dict[str, Any]


def bounded(town: Town, **bounds: int) -> Admission:
    """Take up the bounds from here on."""
    settings = structs.replace(town.runtime.settings, **bounds)
    made = Admission(settings, town.runtime.metrics)
    town.client.app.state.admission = made
    return made


def pull(town: Town, user: str | None, checkpoint: Any = None) -> Any:
    return town.post(user, PULL, {"checkpoint": checkpoint, "limit": 1})


def test_a_device_that_asks_without_end_is_asked_to_wait_and_others_are_not(town: Town) -> None:
    assert problem(pull(town, None)) == (401, "token_refused")
    bounded(town, device_requests=3)
    for _ in range(3):
        assert pull(town, "grid_worker").status_code == 200
    refused = pull(town, "grid_worker")
    assert problem(refused) == (429, "too_many_requests")
    assert int(refused.headers["retry-after"]) == refused.json()["retry_after"] >= 1
    for path, body in (
        ("/sync/v1/hello", {}),
        ("/sync/v1/cases/push", []),
        ("/sync/v1/cases/reconcile", {}),
        ("/sync/v1/cases/digest", {}),
        ("/sync/v1/sealed", {"bundles": []}),
        ("/sync/v1/receipts", {"writes": []}),
    ):
        assert town.post("grid_worker", path, body).status_code == 429
    assert create(town, "grid_worker", new_id(), b"abc").status_code == 429
    assert pull(town, "clerk").status_code == 200
    # what never closes (FL8)
    assert town.get(None, "/health/live").status_code == 200
    assert town.get(None, "/health/ready").status_code == 200
    assert 'wangge_asked_to_wait_total{why="budget"} 8' in town.get(None, "/metrics").text
    answer = town.client.delete("/api/v1/sessions/current", headers=town.bearer("grid_worker"))
    assert answer.status_code == 204


def test_a_large_push_is_taken_and_the_next_waits(town: Town) -> None:
    bounded(town, device_rows=5)
    docs = [
        {"id": new_id(), "kind": "request", "title": "灯", "location": middle_of(CELLS[0]), "captured_at": 1,
         "w": f"{number}:{new_id()}"}
        for number in range(1, 21)
    ]  # fmt: skip
    assert town.push("grid_worker", "cases", *docs).status_code == 200
    before = town.district.head.seq
    assert problem(town.push("grid_worker", "cases", docs[0])) == (429, "too_many_requests")
    assert town.district.head.seq == before


def test_first_plans_wait_in_line_and_a_phone_in_step_does_not(town: Town) -> None:
    town.capture()
    bounded(town, first_plans=1)
    first = pull(town, "grid_worker")
    done = first.json()["checkpoint"]
    assert done["s"] > 0  # it was short: the place is free again
    town.client.app.state.admission.first_plans.enter((town.district.code, 0), "cases", 1 << 60)
    for user, place in (("clerk", 1), ("dispatcher", 2), ("clerk", 1)):
        refused = pull(town, user)
        assert problem(refused) == (503, "sync_waits")
        assert refused.json()["position"] == place
        assert int(refused.headers["retry-after"]) >= 2
    assert pull(town, "grid_worker", done).status_code == 200  # FL6: what is new is never in that line
    assert town.push("clerk", "cases").status_code == 200


def half(done: Point, head: int) -> Point:
    return done | {"s": (head - 1) // 2, "r": 0}


@pytest.mark.parametrize(
    "asked",
    [
        pytest.param(lambda done, _: done | {"s": 1, "r": 1}, id="from 1"),
        pytest.param(half, id="from before half of what was written"),
        pytest.param(
            lambda done, head: half(done, head) | {"h": head, "k": 3}, id="in the middle of such a plan"
        ),
        pytest.param(lambda done, _: done | {"e": 7}, id="from before a restore"),
        pytest.param(
            lambda done, head: done | {"s": head + 9, "r": 0}, id="from a number that is not there yet"
        ),
    ],
)
def test_whoever_is_far_behind_stands_in_line_as_for_a_first_plan(
    town: Town, asked: Callable[[Point, int], Point]
) -> None:
    """FL6: it looks at as much, whatever it calls itself."""
    done = pull(town, "grid_worker").json()["checkpoint"]
    admission, head = bounded(town, first_plans=1), town.district.head.seq
    admission.first_plans.enter((town.district.code, 0), "cases", 1 << 60)
    assert problem(pull(town, "grid_worker", asked(done, head))) == (503, "sync_waits")
    near = done | {"s": (head + 1) // 2, "r": 0}
    assert pull(town, "grid_worker", near).status_code == 200


def test_a_phone_that_fills_up_after_an_update_stands_in_line(town: Town) -> None:
    """FL6, EV5: it looks at everything; one whose collection has no new field does not."""
    told = {"Wangge-Schema": "2"}
    admission = bounded(town, first_plans=1)
    done = {
        name: town.post("grid_worker", f"/sync/v1/{name}/pull", {"checkpoint": None, "limit": 1}).json()[
            "checkpoint"
        ]
        for name in ("cases", "files")
    }
    admission.first_plans.enter((town.district.code, 0), "cases", 1 << 60)
    status = {
        name: town.post(
            "grid_worker", f"/sync/v1/{name}/pull", {"checkpoint": point, "limit": 1}, headers=told
        ).status_code
        for name, point in done.items()
    }
    assert status == {"cases": 200, "files": 503}


def test_a_plan_from_far_behind_keeps_its_place_until_it_ends(town: Town) -> None:
    """FL6: each that is let in must end."""
    for number in range(12):
        town.capture(description="楼道堆物" * 1000, title=f"第{number}件")
    bounded(town, first_plans=1)
    point: Point | None = None
    pages = 0
    while True:
        asked = {"checkpoint": point, "limit": 1, "bytes": 16 * 1024}
        page = town.post("grid_worker", PULL, asked).json()
        pages += 1
        if page["checkpoint"]["h"] is None:
            break
        point = page["checkpoint"] if point else page["checkpoint"] | {"s": 1, "r": 1}
        assert problem(pull(town, "clerk")) == (503, "sync_waits")
    assert pages > 2
    assert pull(town, "clerk").status_code == 200


def test_a_phone_with_a_fault_keeps_no_place_from_a_sound_one(town: Town) -> None:
    """FL6: what it asks is refused, and was no first plan."""
    bounded(town, first_plans=1)
    for spoiled in ({"s": 0}, {"s": 0, "e": "x"}):
        assert problem(pull(town, "grid_worker", spoiled)) == (400, "bad_checkpoint")
        assert pull(town, "clerk").status_code == 200
    without_end = town.post("grid_worker", PULL, {"checkpoint": None, "limit": 0})
    assert problem(without_end) == (400, "bad_limit")
    assert pull(town, "clerk").status_code == 200


def test_signing_out_is_never_refused_however_many_writes_wait(town: Town) -> None:
    bearer, writer = town.bearer("grid_worker"), town.district.writer
    assert pull(town, "grid_worker").status_code == 200  # the first use of a session is a write of its own
    held = threading.Event()
    blocking = threading.Thread(target=writer.submit_blocking, args=(lambda _, __: held.wait(60),))
    blocking.start()
    writer._max_waiting = 0
    try:
        refused = town.push("grid_worker", "cases")
        assert problem(refused) == (503, "store_unavailable")
        assert int(refused.headers["retry-after"]) >= 5
        threading.Timer(0.2, held.set).start()
        assert town.client.delete("/api/v1/sessions/current", headers=bearer).status_code == 204  # FL8
    finally:
        held.set()
        blocking.join()


@pytest.mark.anyio
async def test_phones_that_are_asked_to_wait_lose_nothing(town: Town) -> None:
    chance, figures = random.Random("waiting"), Figures()
    waited = 0
    bounded(town, first_plans=1)
    app = town.client.app
    transport = httpx.ASGITransport(app=app)
    admission: Admission = app.state.admission

    def moody(device: tuple[str, int], now: int) -> None:
        nonlocal waited
        if chance.random() < 0.3:
            waited += 1
            raise TooManyRequests(retry_after=0)

    admission.budgets.admit = moody  # type: ignore[method-assign]
    async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
        phones = []
        for number, user in enumerate(("grid_worker", "grid_worker", "clerk")):
            line = Line(client, Account(username=user, password=PASSWORD), chance, figures, loss=0.1)
            phones.append(SimulatedPhone(f"{user}-{number}", line, chance))
        for phone in phones:
            await phone.line.sign_in(phone.name)
        for _ in range(3):
            for phone in phones:
                phone.work()
                await phone.contact()
        for phone in phones:
            await phone.heal()
            assert phone.unsent() == []
        for phone in phones:
            end = check_phone(phone, *await phone.compare())
            assert [end.missing, end.doubled, end.misplaced, end.diverged] == [[], [], [], []]
    assert waited > 5
    assert figures.waits == waited
