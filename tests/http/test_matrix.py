"""Who may call what: every route of the app for everybody, and a canary that no wrong eye may find.

A route without a row here fails the first test: add one that says who is let in. The rows are written by hand on
purpose; what the app itself declares is what they check.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from litestar.routes import HTTPRoute
from msgspec import Struct

from sync import content
from sync.cases.catalogue import ROLES
from sync.values import Collection
from tests import files
from tests.http.town import CELLS, CODE, ELSEWHERE, PASSWORD, Town, new_id
from tests.http.tus import BODY, TUS, create, document, verified

if TYPE_CHECKING:
    from collections.abc import Iterator

EVERYBODY = frozenset({*ROLES, *ELSEWHERE})
CENTRE = frozenset({"clerk", "dispatcher", "centre_director"})
LEADERS = frozenset({"community_leader", "street_leader", "district_leader"})
NO_CASES = frozenset({"admin", "auditor", "data_officer", "integration"})
# Who sees the case of the matrix: in a cell of C1, with the justice office of the first street, nobody's in person.
FULL = CENTRE | {"grid_worker", "grid_leader", "mediator", "unit_handler", "four_officer", "counsellor"}
SEE = FULL | LEADERS | {"community_officer", "supervisor", "duty_officer", "unit_manager"}
INTAKE = CENTRE | {
    "grid_worker",
    "grid_assistant",
    "grid_leader",
    "community_officer",
    "mediator",
    "integration",
}


class Rule(Struct, frozen=True):
    """Who is let in to a route. `else_` is what others get; `asked` who is asked at all besides anonymous."""

    method: str
    path: str
    let_in: frozenset[str] = EVERYBODY
    anonymous: bool = False
    else_: int = 403
    asked: frozenset[str] = EVERYBODY
    body: Any = None
    headers: dict[str, str] = {}


def also(roles: frozenset[str]) -> frozenset[str]:
    """The roles, and whoever has one of them somewhere else."""
    return roles | {name for name, (role, _, _) in ELSEWHERE.items() if role in roles}


NOBODY: frozenset[str] = frozenset()
APPENDED = {**BODY, "Upload-Offset": "0"}
HEAD_BY_POST = {**TUS, "X-HTTP-Method-Override": "HEAD"}
MINE = frozenset({"grid_worker"})  # who has begun the upload of the matrix
RULES = (
    # open to all
    Rule("GET", "/health/live", anonymous=True),
    Rule("GET", "/health/ready", anonymous=True),
    Rule("GET", "/metrics", anonymous=True),  # from this machine
    Rule("POST", "/api/v1/sessions", anonymous=True, body={}),
    Rule("POST", "/api/v1/sessions/refresh", anonymous=True, body={}),
    Rule("GET", "/sync/v1/schema/{collection:str}", anonymous=True),
    Rule("GET", "/public/v1/progress/{query_code:str}", anonymous=True),
    Rule("GET", "/public/v1/keys/{district:str}", anonymous=True),
    Rule("GET", "/api/v1/demo/accounts", anonymous=True),
    Rule("GET", "/", anonymous=True),
    Rule("GET", "/{path:path}", anonymous=True),
    Rule("GET", "/schema", anonymous=True),
    Rule("GET", "/schema/openapi.json", anonymous=True),
    Rule("GET", "/schema/{path:str}", anonymous=True),
    # everybody who has signed in
    Rule("GET", "/api/v1/sessions/current"),
    Rule("DELETE", "/api/v1/sessions/current", asked=NOBODY),  # would end the session of the others
    Rule("POST", "/api/v1/sessions/current/password", body={}),
    Rule("GET", "/api/v1/devices"),
    Rule("POST", "/api/v1/devices/{device_id:str}/revoke"),
    Rule("POST", "/sync/v1/{collection:str}/pull", body={"checkpoint": None, "limit": 1}),
    Rule("POST", "/sync/v1/{collection:str}/push", body=[]),
    Rule("POST", "/sync/v1/{collection:str}/reconcile", body={"epoch": 1, "ids": []}),
    Rule("POST", "/sync/v1/{collection:str}/digest", body={"epoch": 1, "ranges": [""]}),
    Rule("POST", "/sync/v1/hello", body={}),
    Rule("POST", "/sync/v1/sealed", body={"bundles": []}),
    Rule("POST", "/sync/v1/receipts", body={"writes": []}),
    Rule("POST", "/sync/v1/ticket"),
    Rule("GET", "/sync/v1/stream", asked=NOBODY),  # does not end
    Rule("GET", "/sync/v1/catalogue/{version:str}"),
    Rule("POST", "/files/v1"),
    Rule("GET", "/api/v1/units"),
    Rule("GET", "/api/v1/addresses"),
    Rule("GET", "/api/v1/places"),
    Rule("GET", "/api/v1/cells"),
    Rule("GET", "/api/v1/cells/{code:str}/neighbours"),
    Rule("GET", "/api/v1/cells/tiles/{z:int}/{x:int}/{y:int}"),
    Rule("GET", "/api/v1/cells/generations"),
    Rule("GET", "/api/v1/cells/generations/{number:int}"),
    Rule("GET", "/api/v1/cells/generations/{number:int}/report"),
    Rule("GET", "/api/v1/cells/generations/{number:int}/export"),
    Rule("POST", "/api/v1/demo/advance", body={"working_days": 0}),
    # by role
    Rule("GET", "/api/v1/cases", EVERYBODY - NO_CASES),
    Rule("POST", "/api/v1/cases", also(INTAKE), body={}),
    Rule("GET", "/api/v1/escalations", also(LEADERS | CENTRE | {"duty_officer"})),
    Rule("GET", "/api/v1/quarantine", also(CENTRE)),
    Rule("GET", "/api/v1/quarantine/counts", also(CENTRE | {"admin", "data_officer"})),
    Rule("POST", "/api/v1/quarantine/acts", also(CENTRE), body={}),
    Rule("GET", "/api/v1/audit", frozenset({"auditor"})),
    Rule("GET", "/api/v1/accounts", frozenset({"admin"})),
    Rule("POST", "/api/v1/addresses", frozenset({"admin"}), body=b""),
    Rule("POST", "/api/v1/cells/generations", frozenset({"admin"}), body=b""),
    Rule("GET", "/api/v1/cells/generations/{number:int}/preview", frozenset({"admin", "centre_director"})),
    Rule("POST", "/api/v1/cells/generations/{number:int}/activate", frozenset({"admin"})),
    Rule("GET", "/api/v1/devices/suspicions", frozenset({"admin", "centre_director"})),
    Rule("GET", "/api/v1/reassignments", frozenset({"admin", "centre_director"})),
    Rule("POST", "/api/v1/reassignments", frozenset({"admin"}), body={}),
    Rule("GET", "/api/v1/erasures", frozenset({"data_officer", "centre_director"})),
    Rule("POST", "/api/v1/erasures", frozenset({"data_officer"}), body={}),
    Rule(
        "POST",
        "/api/v1/erasures/{erasure_id:str}/acts",
        frozenset({"data_officer", "centre_director"}),
        body={},
    ),
    # by what somebody sees: the same 404 for all others
    Rule("GET", "/api/v1/cases/{case_id:str}", SEE, else_=404),
    Rule("POST", "/api/v1/cases/{case_id:str}/acts", SEE, else_=404, body={}),
    Rule("GET", "/api/v1/cases/{case_id:str}/clocks", SEE, else_=404),
    Rule("GET", "/api/v1/cases/{case_id:str}/duplicates", SEE, else_=404),
    Rule("GET", "/api/v1/ledger/{collection:str}/{doc_id:str}", FULL, else_=404),
    Rule("POST", "/api/v1/ledger/{line_id:int}/acts", FULL, else_=404, body={}),
    Rule("GET", "/files/v1/{file_id:str}", SEE, else_=404),
    Rule("GET", "/files/v1/{file_id:str}/thumbnail", SEE, else_=404),
    # by whose it is: nobody else's upload is there for anybody
    Rule("PATCH", "/files/v1/uploads/{upload_id:str}", MINE, else_=404, headers=APPENDED),
    Rule("POST", "/files/v1/uploads/{upload_id:str}", MINE, else_=404, headers=HEAD_BY_POST),
    Rule("DELETE", "/files/v1/uploads/{upload_id:str}", MINE, else_=404, asked=EVERYBODY - MINE, headers=TUS),
    Rule("POST", "/api/v1/escalations/{row_id:str}/acts", LEADERS | CENTRE | {"duty_officer"}, body={}),
    Rule("POST", "/api/v1/quarantine/{item_id:str}/acts", CENTRE, body={}),
    # the command line of this machine
    Rule("POST", "/api/v1/admin/command", NOBODY, else_=401, body={"command": "x", "args": {}}),
)
BY_ROUTE = {(rule.method, rule.path): rule for rule in RULES}
# Guarded by role and by sight: who has the role elsewhere passes the guard and finds nothing.
BY_ROLE_AND_SIGHT = {"/api/v1/escalations/{row_id:str}/acts", "/api/v1/quarantine/{item_id:str}/acts"}


def routes_of(town: Town) -> set[tuple[str, str]]:
    return {
        (method, route.path)
        for route in town.client.app.routes
        if isinstance(route, HTTPRoute)
        for method in route.methods
        if method not in {"OPTIONS", "HEAD"}
    }


class Case(Struct, frozen=True):
    """The ids that the paths of the matrix name."""

    town: Town
    values: dict[str, str]


def parts_of(town: Town, case: str) -> dict[str, str]:
    """Values for every path parameter, about one case."""

    def of_case(reader: Any, table: str, pointer: str = "case_pk", name: str = "id") -> str:
        doc = next(
            doc for doc in reader.recent(0, below=None, limit=500) if doc.id.hex() == case.replace("-", "")
        )
        rows = reader.find(table, {pointer: doc.pk}, limit=1)
        return str(rows[0][name]) if rows else new_id() if name == "id" else "999999"

    def upload(reader: Any) -> str:
        rows = reader.find("upload", {"state": "open"}, limit=1)
        return str(rows[0]["id"]) if rows else new_id()

    return {
        "{file_id:str}": town.district.read_blocking(lambda reader: photo_of(reader, case)),
        "{upload_id:str}": town.district.read_blocking(upload),
        "{case_id:str}": case,
        "{row_id:str}": town.district.read_blocking(lambda reader: of_case(reader, "escalation")),
        "{item_id:str}": town.district.read_blocking(lambda reader: of_case(reader, "quarantine")),
        "{line_id:int}": town.district.read_blocking(
            lambda reader: of_case(reader, "ledger", "doc_pk", "pk")
        ),
        "{doc_id:str}": case,
        "{erasure_id:str}": new_id(),
        "{number:int}": "1",
        "{code:str}": CELLS[0],
        "{z:int}": "1",
        "{x:int}": "1",
        "{y:int}": "0",
        "{collection:str}": "cases",
        "{version:str}": "1",
        "{device_id:str}": "nothing",
        "{query_code:str}": "2" * 14,
        "{district:str}": CODE,
        "{path:path}": "nothing",
        "{path:str}": "nothing",
    }


def photo_of(reader: Any, case: str) -> str:
    """A photo of the case, if there is one."""
    found = reader.documents(0, [bytes.fromhex(case.replace("-", ""))])
    photos = reader.children([doc.pk for doc in found], collection=Collection.files)
    return content.id_text(Collection.files, photos[0].id) if photos else new_id()


def filled(path: str, values: dict[str, str]) -> str:
    for name, value in values.items():
        path = path.replace(name, value)
    assert "{" not in path, f"no value for {path}: add one to parts_of"
    return path


@pytest.fixture(scope="module")
def here(shared_town: Town) -> Case:
    """A case that was dispatched, not signed for, raised, and that somebody elsewhere has tried to edit.

    It has a photo, and an upload of another has begun.
    """
    town = shared_town
    case = town.admitted()
    verified(town, case)
    create(town, "grid_worker", document(town, "grid_worker", case, None), files.picture())
    town.must_act("dispatcher", case, "dispatch", unit="S1-JUSTICE")
    town.push("grid_worker_2", "cases", {"id": case, "kind": "dispute", "title": "x", "captured_at": 1})
    town.push("grid_leader", "cases", {"id": case, "kind": "dispute", "title": "y", "captured_at": 1})
    town.advance(1)
    return Case(town, parts_of(town, case))


def test_every_route_has_a_row_and_every_row_a_route(shared_town: Town) -> None:
    assert routes_of(shared_town) == set(BY_ROUTE)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.method} {rule.path}")
def test_a_route_lets_in_whom_it_should_and_nobody_else(here: Case, rule: Rule) -> None:
    path = filled(rule.path, here.values)

    def status(user: str | None) -> int:
        headers = rule.headers | ({} if user is None else here.town.bearer(user))
        content = {"content": rule.body} if isinstance(rule.body, bytes) else {"json": rule.body}
        options: dict[str, Any] = content if rule.method == "POST" and rule.body is not None else {}
        answer = here.town.client.request(rule.method, path, headers=headers, **options)
        assert answer.status_code < 500, f"{user}: {answer.text}"
        return int(answer.status_code)

    assert (status(None) != 401) == rule.anonymous
    by_sight = rule.else_ == 404 or rule.path in BY_ROLE_AND_SIGHT
    for user in sorted(rule.asked):
        got = status(user)
        if user in rule.let_in:
            refused = {401, 403, 404} if by_sight else {401, 403}
            assert got not in refused, f"{user} is not let in: {got}"
        elif rule.path in BY_ROLE_AND_SIGHT and ELSEWHERE.get(user, ("",))[0] in rule.let_in:
            assert got == 404, f"{user} has the role elsewhere: {got}"
        else:
            assert got == rule.else_, f"{user} gets {got}"


# What a stopped device may still do: hand in what it holds, and sign out.
LATE = {
    ("POST", "/sync/v1/{collection:str}/push"),
    ("POST", "/sync/v1/sealed"),
    ("DELETE", "/api/v1/sessions/current"),
    ("POST", "/files/v1"),
    ("PATCH", "/files/v1/uploads/{upload_id:str}"),
    ("POST", "/files/v1/uploads/{upload_id:str}"),
}


def test_a_stopped_device_may_hand_in_what_it_holds_and_nothing_else(town: Town) -> None:
    values = parts_of(town, town.capture())
    body = {"username": "admin", "password": PASSWORD, "device": {"id": "lost"}}
    token = town.client.post("/api/v1/sessions", json=body).json()["access_token"]
    assert town.post("admin", "/api/v1/devices/lost/revoke").status_code == 204
    closed = [rule for rule in RULES if not rule.anonymous and rule.let_in]
    for rule in sorted(closed, key=lambda rule: ((rule.method, rule.path) in LATE, rule.method == "DELETE")):
        content = {"content": rule.body} if isinstance(rule.body, bytes) else {"json": rule.body}
        options: dict[str, Any] = content if rule.method == "POST" and rule.body is not None else {}
        headers = {"Authorization": f"Bearer {token}", **rule.headers}
        answer = town.client.request(rule.method, filled(rule.path, values), headers=headers, **options)
        if (rule.method, rule.path) in LATE:
            # Nothing of an upload is told here, and of somebody else's there is nothing: but the door is open.
            assert answer.status_code in {200, 204, 404, 412}, rule.path
        else:
            assert (answer.status_code, answer.json()["wipe"]) == (401, True), rule.path


# --- the canary ------------------------------------------------------------------------------------------------------

CANARY = "金丝雀7f3a"
# Whoever sees neither of the two: recused by the flag, of another place, or of no case at all.
BLIND = (
    "community_leader",
    "community_officer",
    "grid_leader",
    "grid_assistant",
    "community_leader_2",
    "clerk_2",
    "grid_worker_2",
    "mediator",
    "unit_manager",
    "admin",
    "auditor",
    "data_officer",
    "integration",
)


def secret(town: Town, **fields: Any) -> str:
    """A case about staff whose every text holds the canary, with entries, an edit in quarantine, and an act."""
    text = f"{CANARY}的内容"
    case = town.capture(
        involves_staff=True,
        title=text,
        description=text,
        address=text,
        wishes=text,
        source_ref=CANARY,
        recorded_for=text,
        prior_channels=[{"channel": "petition", "number": CANARY}],
        parties=[
            {"id": new_id(), "role": "applicant", "name": text, "phone": "13800002222", "address": text}
        ],
        **fields,
    )
    for kind, body in (
        ("note", {"text": text}),
        ("session", {"minutes": text}),
        ("contact_attempt", {"notes": text}),
    ):
        entry = {"id": new_id(), "case_id": case, "type": kind, "at": town.now(), "body": body, "w": new_id()}
        town.push("grid_worker", "entries", entry)
    verified(town, case, data=files.with_exif(CANARY))
    voice = files.ogg(2, tags=CANARY.encode())
    verified(town, case, "voice", voice)
    document(town, "grid_worker", case, voice, "voice", transcript=text, mime=CANARY)
    for user in ("grid_worker_2", "community_leader"):
        town.push(user, "cases", {"id": case, "kind": "dispute", "title": text, "captured_at": town.now()})
    other = {"id": case, "kind": "dispute", "title": f"又是{text}", "captured_at": town.now()}
    town.push("centre_director", "cases", other)  # a line of the ledger
    town.must_act("centre_director", case, "rate", colour="red", reason=text)
    return case


@pytest.fixture(scope="module")
def hidden(shared_town: Town) -> tuple[Town, list[str]]:
    town = shared_town
    cases = [secret(town), secret(town, protection="sealed")]
    for case in cases:
        town.must_act(
            "centre_director",
            case,
            "triage",
            category="0204",
            basis="lawful",
            risk="red",
            reason="扬言报复",
            channel="grid",
        )
        town.must_act("centre_director", case, "admit")
    town.advance(8)
    return town, cases


QUERIES = (
    "",
    f"?q={CANARY}",
    "?state=all",
    "?state=closed",
    "?status=submitted,admitted&limit=200",
    f"?cell={CELLS[0]}",
    "?overdue=true&risk=red",
    "?lang=en",
    "?generation=1",
)


def answers_for(town: Town, user: str, case: str) -> Iterator[tuple[str, str]]:
    values = parts_of(town, case)
    for method, route in sorted(routes_of(town)):
        if method == "GET" and route != "/sync/v1/stream":
            for query in QUERIES:
                path = filled(route, values) + query
                yield path, town.client.get(path, headers=town.bearer(user)).text
    for collection in ("cases", "entries", "tasks", "files", "visits", "households", "notices", "cells"):
        body = {"checkpoint": None, "limit": 1000}
        yield collection, town.post(user, f"/sync/v1/{collection}/pull", body).text


def test_the_canary_is_there_for_whoever_may_see_it(hidden: tuple[Town, list[str]]) -> None:
    town, cases = hidden
    for case in cases:
        found = [path for path, text in answers_for(town, "centre_director", case) if CANARY in text]
        assert any(path.startswith("/api/v1/cases?q=") for path in found)
        assert any(path.startswith(f"/api/v1/cases/{case}") for path in found)
        assert any(path.startswith("/api/v1/quarantine") for path in found)
        assert any(path.startswith("/api/v1/ledger/cases/") for path in found)
        assert {"cases", "entries"} <= set(found)


@pytest.mark.parametrize("user", BLIND)
def test_no_answer_of_any_route_holds_the_canary_or_its_id_for_the_wrong_eye(
    hidden: tuple[Town, list[str]], user: str
) -> None:
    town, cases = hidden
    for case in cases:
        for path, text in answers_for(town, user, case):
            told = path.split("?", maxsplit=1)[0]
            assert CANARY not in text, f"{user} reads the canary at {told}"
            # A row of the queue and a file's id are told to nobody else either; his own pushes he knows.
            if user not in {"community_leader", "grid_worker_2"} or told != "notices":
                assert case not in text, f"{user} reads the id at {told}"
