"""The audit, for the auditor alone."""

from typing import Annotated, Any

from litestar import Request, get
from litestar.params import Parameter

from server.auth.callers import Caller
from server.console import records
from server.console.asking import access, district_of
from sync.store import Reader

HttpRequest = Request[Any, Any, Any]
Word = Annotated[str | None, Parameter(max_length=100, pattern=r"^[\w.:\- ]*$")]


@get("/api/v1/audit", opt=access("auditor"))
async def list_audit(
    request: HttpRequest,
    caller: Caller,
    actor: Word = None,
    action: Word = None,
    before: Annotated[int | None, Parameter(ge=1, le=1 << 62)] = None,
    limit: Annotated[int, Parameter(ge=1, le=500)] = 100,
) -> dict[str, Any]:
    """Records newest first, and whether their chain holds."""
    district = district_of(request, caller)

    def question(reader: Reader) -> dict[str, Any]:
        config = district.config_of(reader)
        return records.page(
            reader, config, before=before, limit=limit, actor=actor or None, action=action or None
        )

    return await district.read(question)


HANDLERS = [list_audit]
