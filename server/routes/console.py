"""The console's cases: lists, one case, acts, clocks, intake; and the units and accounts beside them."""

from typing import Annotated, Any, Literal

import msgspec
from litestar import Request, get, post
from litestar.params import Parameter
from msgspec import Struct

from server.auth.callers import Caller
from server.clocks import wall_ms
from server.console.alike import duplicates_of, marks_of
from server.console.asking import (
    access,
    act_in,
    actor_of,
    case_roles,
    check_numbers,
    district_of,
    look,
    writer_of,
)
from server.console.records import look_work
from server.console.scope import Filters, Seen, Sight, open_case, visible_cases
from server.console.shown import line_of, page_of, words_of
from server.console.terms import clocks_of
from sync import content
from sync.acting_work import act_work
from sync.cases.catalogue import ROLES, UNIT_TYPES
from sync.cases.model import checked
from sync.errors import NotFound, Unprocessable
from sync.push import push_work
from sync.push_body import ROW_BYTES_MAX
from sync.store import Reader
from sync.values import Collection, Keys, Level

HttpRequest = Request[Any, Any, Any]
INTAKE_ROLES = (
    "grid_worker",
    "grid_assistant",
    "grid_leader",
    "community_officer",
    "mediator",
    "clerk",
    "dispatcher",
    "centre_director",
    "integration",
)
_SERVER_MADE = frozenset({"id", "w", "author", "device", "_deleted"})
Text = Annotated[str | None, Parameter(max_length=200)]
Once = Annotated[str | None, Parameter(header="Idempotency-Key", min_length=1, max_length=100)]


class CasePage(Struct):
    """Cases newest first; `next` goes into `after` for the following page. `now` is the domain's time, ms."""

    items: list[dict[str, Any]]
    next: str | None
    now: int


@get("/api/v1/cases", opt=access(*case_roles()))
async def list_cases(
    request: HttpRequest,
    caller: Caller,
    status: Text = None,
    kind: Text = None,
    category: Text = None,
    cell: Text = None,
    area: Text = None,
    risk: Text = None,
    level: Annotated[int | None, Parameter(ge=0, le=3)] = None,
    urgency: Text = None,
    protection: Text = None,
    unit: Text = None,
    overdue: bool | None = None,
    needs_confirmation: bool | None = None,
    q: Text = None,
    after: Text = None,
    limit: Annotated[int, Parameter(ge=1, le=200)] = 50,
) -> CasePage:
    """The cases the caller sees, newest change first. `status` may name several, with commas."""
    filters = Filters(
        status=tuple(status.split(",")) if status else None,
        kind=kind or None,
        category=category or None,
        place=cell or area or None,
        risk=risk or None,
        level=level,
        urgency=urgency or None,
        protection=protection or None,
        unit=unit or None,
        overdue=overdue,
        needs_confirmation=needs_confirmation,
        q=q or None,
    )
    now = district_of(request, caller).clock.now_ms()

    def question(sight: Sight) -> CasePage:
        page = visible_cases(sight, filters, after=after or None, limit=limit, now=now)
        marks = marks_of(sight, page.items)
        return CasePage([line_of(sight, seen, marks) for seen in page.items], page.next, now)

    return await look(request, caller, question)


@get("/api/v1/cases/{case_id:str}", opt={"access": "user"})
async def get_case(request: HttpRequest, caller: Caller, case_id: str) -> dict[str, Any]:
    """One case as the caller sees it, with its timeline, its ledger, and what he could do now. The look is recorded."""

    def question(sight: Sight) -> tuple[Seen, dict[str, Any]]:
        seen = open_case(sight, case_id)
        return seen, page_of(sight, seen)

    seen, page = await look(request, caller, question)
    district = district_of(request, caller)
    if seen.level >= Level.plain:
        # Before the answer leaves: a look that could not be recorded is not given.
        await district.writer.submit(look_work(seen.doc.pk), actor=actor_of(caller))
    return page | {"now": district.clock.now_ms()}


@post("/api/v1/cases/{case_id:str}/acts", opt={"access": "user"}, status_code=200)
async def act_on_case(
    request: HttpRequest, caller: Caller, case_id: str, data: dict[str, Any]
) -> dict[str, Any]:
    """`{act, …}`: 404 before anything else is looked at; 409 lists the legal acts, 422 what is missing."""
    await look(request, caller, lambda sight: open_case(sight, case_id))
    act, args = act_in(data)
    district = district_of(request, caller)
    work = act_work(writer_of(caller), case_id, act, args)
    done = await district.writer.submit(work, actor=actor_of(caller))
    answer = await look(request, caller, lambda sight: _after(sight, case_id, act, args))
    told = {"query_code": done.query_code, "entry_id": done.entry_id}
    return answer | {name: value for name, value in told.items() if value is not None}


def _after(sight: Sight, case_id: str, act: str, args: dict[str, Any]) -> dict[str, Any]:
    """The case after an act; null for somebody whom the act itself has taken out of it."""
    try:
        seen = open_case(sight, case_id)
    except NotFound:
        return {"case": None}
    answer: dict[str, Any] = {"case": seen.shown | words_of(sight.config, seen), "form": seen.form}
    if act == "reveal":
        answer["revealed"] = _revealed(sight, seen, args)
    return answer


def _revealed(sight: Sight, seen: Seen, args: dict[str, Any]) -> dict[str, Any] | None:
    """The one value that was asked for; the act, with its purpose, stands in the timeline and in the audit."""
    field = args["field"]
    for party in content.whole(seen.doc, sight.keys).get("parties") or ():
        if party.get("id") == args.get("party"):
            return {"party": party["id"], "field": field, "value": party.get(field)}
    return None


@get("/api/v1/cases/{case_id:str}/duplicates", opt={"access": "user"})
async def get_duplicates(request: HttpRequest, caller: Caller, case_id: str) -> dict[str, Any]:
    """Cases that may be the same quarrel, of those the caller sees in full, with a score and reasons in words."""
    items = await look(request, caller, lambda sight: duplicates_of(sight, open_case(sight, case_id)))
    return {"items": items}


@get("/api/v1/cases/{case_id:str}/clocks", opt={"access": "user"})
async def get_clocks(
    request: HttpRequest, caller: Caller, case_id: str, lang: Literal["zh", "en"] = "zh"
) -> dict[str, Any]:
    """When the case reaches whom, and for every rung why not yet."""
    now = district_of(request, caller).clock.now_ms()
    return await look(
        request,
        caller,
        lambda sight: clocks_of(sight, open_case(sight, case_id), now=now, lang=lang),
    )


@post("/api/v1/cases", opt=access(*INTAKE_ROLES), status_code=201)
async def take_in(
    request: HttpRequest, caller: Caller, data: dict[str, Any], once: Once = None
) -> dict[str, Any]:
    """Intake at the window: the same door as a phone's capture, with an id made here.

    With an ``Idempotency-Key`` a request that is repeated, since its answer was lost, takes nothing in again.
    """
    district = district_of(request, caller)
    wall = wall_ms()
    identity = district.chance.uuid7(wall) if once is None else _id_of(district.keys, caller, once)
    if once is not None and await district.read(lambda reader: _is_there(reader, identity)):
        answer = await look(request, caller, lambda sight: _after(sight, identity, "submit", {}))
        return {"id": identity, **answer}
    document = {name: value for name, value in check_numbers(data).items() if name not in _SERVER_MADE}
    if document.get("captured_at") is None:
        document["captured_at"] = district.clock.now_ms()
    document |= {"id": identity, "w": f"0:{district.chance.uuid7(wall)}"}
    result = checked("cases", document)
    if not result.usable:
        raise Unprocessable("类别(kind)缺失或不认识,无法登记。", missing=["kind"], reason=result.reason)
    body = msgspec.json.encode([{"newDocumentState": document}])
    if len(body) > ROW_BYTES_MAX:
        raise Unprocessable("内容过多,请分开登记。")
    work = push_work(writer_of(caller), Collection.cases, body)
    await district.writer.submit(work, actor=actor_of(caller))
    answer = await look(request, caller, lambda sight: _after(sight, identity, "submit", {}))
    return {"id": identity, **answer}


def _id_of(keys: Keys, caller: Caller, once: str) -> str:
    """The id of what this person takes in under this key: a UUID that nobody else comes upon."""
    digest = bytearray(keys.digest(f"intake\0{caller.user_id}\0{once}".encode()))
    digest[6], digest[8] = digest[6] & 0x0F | 0x70, digest[8] & 0x3F | 0x80
    return content.id_text(Collection.cases, bytes(digest))


def _is_there(reader: Reader, identity: str) -> bool:
    return bool(reader.documents(Collection.cases, [content.id_bytes(Collection.cases, identity)]))


# --- beside the cases ------------------------------------------------------------------------------------------------


@get("/api/v1/units", opt={"access": "user"})
async def list_units(request: HttpRequest, caller: Caller) -> dict[str, Any]:
    """Every unit of the district."""

    def question(sight: Sight) -> list[dict[str, Any]]:
        found = []
        for unit in sorted(sight.config.units.values(), key=lambda row: row.code):
            kind = UNIT_TYPES.get(unit.type)
            found.append(
                {
                    "code": unit.code,
                    "type": unit.type,
                    "type_zh": None if kind is None else kind.zh,
                    "name": unit.name,
                    "area": unit.area,
                    "level": unit.level,
                    "parent": unit.parent,
                }
            )
        return found

    return {"items": await look(request, caller, question)}


@get("/api/v1/accounts", opt=access("admin"))
async def list_accounts(request: HttpRequest, caller: Caller) -> dict[str, Any]:
    """Everybody who can sign in, with the grants in force."""
    district = district_of(request, caller)

    def question(reader: Reader) -> list[dict[str, Any]]:
        config = district.config_of(reader)
        found = []
        for account in sorted(config.accounts.values(), key=lambda row: row.username):
            grants = []
            for grant in config.active_grants(account.pk):
                unit, cell = config.units.get(grant.unit_pk or -1), config.cells.get(grant.cell_pk or -1)
                role = ROLES.get(grant.role)
                grants.append(
                    {
                        "role": grant.role,
                        "role_zh": None if role is None else role.zh,
                        "unit": None if unit is None else unit.code,
                        "cell": None if cell is None else cell.code,
                        "until_at": grant.until_at,
                    }
                )
            found.append(
                {
                    "id": account.id,
                    "username": account.username,
                    "name": account.name,
                    "state": account.state,
                    "grants": grants,
                }
            )
        return found

    return {"items": await district.read(question)}


HANDLERS = [
    list_cases,
    get_case,
    act_on_case,
    get_duplicates,
    get_clocks,
    take_in,
    list_units,
    list_accounts,
]
