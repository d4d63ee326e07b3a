"""Requests made up from the published OpenAPI, sent by a clerk and by the administrator: never an error of ours."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings, strategies as st
from litestar.serialization import encode_json

from server.app import create_app
from server.settings import Settings
from sync.cases.acts import ACTS, ANY_STATUS_ACTS
from sync.cases.fields import FIELDS
from tests.http.town import new_id

if TYPE_CHECKING:
    from litestar.testing import TestClient

    from tests.http.town import Town

EXAMPLES = 12
# Asked with the ids of things that are there, so that more than the first look-up runs.
_NEVER_ENDING = "/sync/v1/stream"
_SIGNS_OUT = ("DELETE", "/api/v1/sessions/current")


def _schema() -> Any:
    """The document as it is published; the databases stay closed."""
    app = create_app(Settings(data="nowhere", purpose="test"), jobs=[])
    return schemathesis.openapi.from_dict(json.loads(encode_json(app.openapi_schema.to_schema())))


# In an order of their own: that of the document differs from process to process, and the workers compare theirs.
OPERATIONS = sorted(
    (found.ok() for found in _schema().get_all_operations()), key=lambda found: (found.path, found.method)
)


@pytest.fixture(scope="module")
def known(shared_town: Town) -> dict[str, str]:
    """Ids that a path parameter may take besides made-up ones."""
    town = shared_town
    case = town.admitted()
    town.push("grid_worker_2", "cases", {"id": case, "kind": "dispute", "title": "x", "captured_at": 1})
    town.must_act("dispatcher", case, "dispatch", unit="S1-JUSTICE")
    town.advance(1)
    row = town.get("clerk", "/api/v1/escalations").json()["items"][0]["id"]
    item = town.get("clerk", "/api/v1/quarantine").json()["items"][0]["id"]
    return {
        "case_id": case,
        "row_id": row,
        "item_id": item,
        "number": "1",
        "collection": "cases",
        "version": "1",
    }


def send(town: Town, user: str, case: Any, path: str) -> Any:
    """A made-up case as a request of `user`."""
    given_ = case.as_transport_kwargs(base_url="http://testserver")
    headers = {
        name: value
        for name, value in (given_.get("headers") or {}).items()
        if name.lower() not in {"authorization", "host", "content-length", "transfer-encoding", "user-agent"}
    }
    body = {name: given_[name] for name in ("json", "data") if given_.get(name) is not None}
    if isinstance(body.get("data"), bytes):
        body = {"content": body["data"]}
    client: TestClient[Any] = town.client
    return client.request(
        case.method,
        path,
        params=given_.get("params") or None,
        headers={**headers, **town.bearer(user)},
        **body,
    )


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda found: f"{found.method.upper()} {found.path}")
@pytest.mark.parametrize("user", ["clerk", "admin"])
def test_no_request_that_can_be_made_up_is_an_error_of_ours(
    shared_town: Town, known: dict[str, str], operation: Any, user: str
) -> None:
    if operation.path == _NEVER_ENDING or (operation.method.upper(), operation.path) == _SIGNS_OUT:
        assert operation.path.startswith(("/sync/v1/stream", "/api/v1/sessions"))
        return

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy())
    def ask(case: Any) -> None:
        paths = [case.formatted_path]
        if case.path_parameters:
            paths.append(case.path.format_map({**case.path_parameters, **known}))
        for path in paths:
            answer = send(shared_town, user, case, path)
            assert answer.status_code < 500, f"{case.method} {path}: {answer.text}"
            told = answer.headers.get("content-type", "").startswith("application/")
            if answer.status_code >= 400 and told and case.method != "HEAD":
                assert answer.json()["code"]

    ask()


def test_every_operation_of_the_document_is_asked() -> None:
    assert len(OPERATIONS) >= 30


# --- bodies that get past the door -----------------------------------------------------------------------------------

ALL_ACTS = {**ANY_STATUS_ACTS, **{act.act: act for acts in ACTS.values() for act in acts.values()}}
_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
_leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | _text
_likely = st.sampled_from(
    [
        "clerk",
        "S1-JUSTICE",
        "0204",
        "yellow",
        "sealed",
        "normal",
        "outside",
        "",
        0,
        1,
        3,
        -1,
        1 << 50,
        1 << 70,
    ]
)
_anything = _likely | st.recursive(
    _leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_text, inner, max_size=3),
    max_leaves=5,
)
_many = settings(
    max_examples=200,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@st.composite
def made_up_acts(draw: st.DrawFn) -> dict[str, Any]:
    act = draw(st.sampled_from(sorted(ALL_ACTS)))
    names = [*ALL_ACTS[act].args, "entry", "note", "master", "args", "x"]
    return {"act": act} | draw(st.dictionaries(st.sampled_from(names), _anything, max_size=5))


@pytest.fixture(scope="module")
def cases(shared_town: Town) -> list[str]:
    """Cases of several kinds on their way, for acts that drive them anywhere."""
    town = shared_town
    found = [town.capture(kind=kind) for kind in ("dispute", "request", "hazard", "opinion", "consult")]
    found.append(town.capture(user="clerk", kind="tip_off", location=None))
    for _ in range(3):
        found.append(town.admitted())
        town.must_act("dispatcher", found[-1], "dispatch", unit="S1-JUSTICE")
        town.must_act("mediator", found[-1], "accept")
    return found


@_many
@given(
    act=made_up_acts(),
    at=st.integers(0, 8),
    user=st.sampled_from(["clerk", "dispatcher", "centre_director", "community_leader", "mediator"]),
)
def test_no_arguments_of_an_act_are_an_error_of_ours(
    shared_town: Town, known: dict[str, str], cases: list[str], at: int, act: dict[str, Any], user: str
) -> None:
    paths = [f"/api/v1/cases/{cases[at]}/acts", f"/api/v1/escalations/{known['row_id']}/acts"]
    for path in paths:
        answer = shared_town.post(user, path, act)
        assert answer.status_code < 500, f"{user} {act}: {answer.text}"


@_many
@given(data=st.data(), collection=st.sampled_from(sorted(FIELDS)))
def test_no_row_of_a_push_is_an_error_of_ours(
    shared_town: Town, data: st.DataObject, collection: str
) -> None:
    names = [field.name for field in FIELDS[collection]]
    doc = data.draw(st.dictionaries(st.sampled_from(names), _anything, max_size=6))
    base = data.draw(st.none() | st.dictionaries(st.sampled_from(names), _anything, max_size=4))
    doc |= {"id": data.draw(st.sampled_from([new_id(), "410399001001001"]))}
    if collection == "cases":
        doc.setdefault("kind", "dispute")
    row = {"newDocumentState": doc} | ({} if base is None else {"assumedMasterState": base})
    for user in ("grid_worker", "clerk"):
        answer = shared_town.post(user, f"/sync/v1/{collection}/push", [row])
        assert answer.status_code == 200, f"{collection} {row}: {answer.text}"
    if collection == "cases":
        answer = shared_town.post("clerk", "/api/v1/cases", doc)
        assert answer.status_code in {201, 400, 422}, f"{doc}: {answer.text}"
