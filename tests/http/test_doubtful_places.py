"""A good fix, a doubtful one, a hopeless one and one outside; and the centre says where they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sync.administration import put_settings
from sync.config import PLACING
from sync.generations import activate_generation
from sync.reassign import Budget, reassign_work
from tests.http.test_console import ids
from tests.http.test_console_cells import NEW_CELLS, add
from tests.http.town import CELLS, SOUTH, STEP_X, STEP_Y, WEST, layer_geojson, middle_of

if TYPE_CHECKING:
    from tests.http.town import Town

EAST_M = 91_680.0
PHONE = {"crs": "wgs84", "confidence": 68, "source": "gps"}
MIDDLE = SOUTH + STEP_Y / 2
GOOD = {"lon": WEST + STEP_X / 2, "lat": MIDDLE, "accuracy_m": 8} | PHONE
DOUBTFUL = {"lon": WEST + STEP_X - 4 / EAST_M, "lat": MIDDLE, "accuracy_m": 15} | PHONE
HOPELESS = {"lon": WEST + STEP_X - 1 / EAST_M, "lat": MIDDLE, "accuracy_m": 45} | PHONE
ELSEWHERE = {"lon": WEST - 400 / EAST_M, "lat": MIDDLE, "accuracy_m": 8} | PHONE
COMMUNITY = "410399001001"


def page(town: Town, user: str, case: str) -> dict[str, Any]:
    answer = town.get(user, f"/api/v1/cases/{case}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()["case"]
    return found


def asked(town: Town) -> set[str]:
    """What the dispatcher finds under 位置待确认."""
    return set(ids(town.get("dispatcher", "/api/v1/cases", needs_confirmation="true")))


def moves(seen: dict[str, Any]) -> list[tuple[str, str, int]]:
    return [(line["from"], line["to"], line["cases"]) for line in seen["moves"]]


def test_each_fix_comes_to_what_it_is_worth_and_the_centre_says_where_the_rest_is(town: Town) -> None:
    good, doubtful, hopeless, elsewhere = (
        town.capture(location=place) for place in (GOOD, DOUBTFUL, HOPELESS, ELSEWHERE)
    )
    assert page(town, "clerk", good)["assignment"] == {
        "method": "contained",
        "p": 1.0,
        "needs_confirmation": False,
    }
    doubt = page(town, "clerk", doubtful)
    assert (doubt["cell"], doubt["assignment"]["candidates"]) == (CELLS[0], [CELLS[0], CELLS[1]])
    raised = page(town, "clerk", hopeless)
    assert (raised["cell"], raised["assignment"]["method"]) == ("outside", "raised")
    assert raised["assignment"]["candidates"][:2] == [CELLS[0], CELLS[1]]
    assert raised["assignment"]["area"] == COMMUNITY
    lost = page(town, "clerk", elsewhere)
    assert (lost["cell"], lost["assignment"]["method"]) == ("outside", "outside")

    assert asked(town) == {doubtful, hopeless, elsewhere}
    assert set(ids(town.get("dispatcher", "/api/v1/cases", cell="outside"))) == {hopeless, elsewhere}
    for case in (hopeless, elsewhere):
        assert town.get("grid_worker", f"/api/v1/cases/{case}").status_code == 200, "its author"
        for nobody in ("grid_leader", "community_leader", "grid_worker_2", "clerk_2"):
            unknown = town.get(nobody, "/api/v1/cases/01998d6f-3c00-7000-8000-0000000000a1")
            hidden = town.get(nobody, f"/api/v1/cases/{case}")
            assert (hidden.status_code, hidden.content) == (404, unknown.content)

    town.must_act("dispatcher", doubtful, "set_place", cell=CELLS[1], evidence="到过现场")
    town.must_act("dispatcher", hopeless, "set_place", cell=CELLS[0], evidence="电话问过")
    town.must_act("clerk", elsewhere, "set_place", location=middle_of(CELLS[0]), evidence="门牌")
    assert asked(town) == set()
    said = page(town, "clerk", hopeless)["assignment"]
    assert (said["by"], said["from"], said["to"], said["evidence"]) == (
        town.user_id("dispatcher"),
        "outside",
        CELLS[0],
        "电话问过",
    )
    for case in (good, hopeless, elsewhere):
        assert page(town, "grid_leader", case)["cell"] == CELLS[0]
    timeline = town.get("clerk", f"/api/v1/cases/{doubtful}").json()["timeline"]
    (moved,) = [line["body"] for line in timeline if line["body"].get("act") == "set_place"]
    assert (moved["cell_from"], moved["cell_to"], moved["args"]["evidence"]) == (
        CELLS[0],
        CELLS[1],
        "到过现场",
    )


def test_an_edition_is_looked_ahead_into_by_the_same_rule_as_it_is_followed(town: Town) -> None:
    """A case that lies in a cell stays there in doubt; one that a person has placed stays anyway."""
    town.submit(put_settings({PLACING: {"flag": 0.1}}))
    lies = town.capture(location=HOPELESS)
    town.submit(put_settings({PLACING: {}}))
    raised = town.capture(location=HOPELESS)
    assert page(town, "clerk", lies)["cell"] == CELLS[0]
    assert page(town, "clerk", raised)["cell"] == "outside"
    number = add(town, layer_geojson(NEW_CELLS), crs="wgs84").json()["number"]
    path = f"/api/v1/cells/generations/{number}/preview"
    assert town.get("centre_director", path).json()["moves"] == []
    town.submit(put_settings({PLACING: {"flag": 0.1}}))
    seen = town.get("centre_director", path).json()
    assert moves(seen) == [("outside", CELLS[0], 1)], "by the district's own thresholds"
    town.submit(put_settings({PLACING: {}}))

    gone = town.capture(cell=CELLS[0])
    town.must_act(
        "clerk", gone, "set_place", cell=CELLS[1], evidence="到过现场"
    )  # which the edition does not have
    seen = town.get("centre_director", path).json()
    assert moves(seen) == [(CELLS[1], NEW_CELLS[1], 1)]
    assert seen["set_by_person"] == 1
    town.submit(activate_generation(number))
    while town.submit(reassign_work(Budget())).pk is not None:
        pass
    cells = {case: page(town, "clerk", case)["cell"] for case in (lies, raised, gone)}
    assert cells == {lies: CELLS[0], raised: "outside", gone: NEW_CELLS[1]}
