"""Places: addresses of the district's own list, what lies at a point, and the cells beside a cell and on a map."""

import asyncio
from typing import Annotated, Any

from litestar import Request, Response, get, post
from litestar.params import Parameter

from geo.vector_tiles import exists
from server.address_file import BODY_MAX, take_in
from server.auth.callers import Caller
from server.console import places
from server.console.asking import access, actor_of, district_of, look
from server.console.scope import Sight
from server.strict_json import BodyTooLarge
from sync.errors import BadRequest, NotFound

HttpRequest = Request[Any, Any, Any]
_OPTIONS = {"crs", "encoding", "source"}
TILE = "application/vnd.mapbox-vector-tile"
# A phone keeps what it has and asks whether that is still so; nobody between may keep it for somebody else.
_KEPT = "private, no-cache"
Name = Annotated[str | None, Parameter(max_length=100)]
Number = Annotated[str | None, Parameter(max_length=50)]


class TileOutOfRange(NotFound):
    """There is no such tile: the zoom is 0 to 16, x and y are below 2 to the power of it."""

    code = "tile_out_of_range"


@get("/api/v1/addresses", opt={"access": "user"})
async def list_addresses(
    request: HttpRequest,
    caller: Caller,
    q: Annotated[str, Parameter(max_length=200)],
    cell: Name = None,
    limit: Annotated[int, Parameter(ge=1, le=50)] = 20,
) -> dict[str, Any]:
    """What a typed text may mean: addresses of the district's list, and homes the caller sees, the best first."""

    def question(sight: Sight) -> dict[str, Any]:
        return places.find_addresses(sight, q, place=cell, limit=limit)

    return await look(request, caller, question)


@post("/api/v1/addresses", opt=access("admin"), status_code=200, request_max_body_size=BODY_MAX)
async def import_addresses(
    request: HttpRequest, caller: Caller, crs: Name = None, encoding: Name = None, source: Name = None
) -> dict[str, Any]:
    """A CSV of addresses is taken in line by line; lines that were refused are named, each with its reason."""
    if not set(request.query_params) <= _OPTIONS:
        raise BadRequest("参数只能是 " + "、".join(sorted(_OPTIONS)) + "。")
    body = await request.body()
    if len(body) > BODY_MAX:
        raise BodyTooLarge(max_bytes=BODY_MAX)
    return await asyncio.to_thread(
        take_in,
        district_of(request, caller),
        body,
        crs=crs,
        encoding=encoding,
        source=source,
        actor=actor_of(caller),
    )


@get("/api/v1/places", opt={"access": "user"})
async def get_place(
    request: HttpRequest,
    caller: Caller,
    lon: Number = None,
    lat: Number = None,
    crs: Number = None,
    accuracy_m: Number = None,
    confidence: Number = None,
) -> dict[str, Any]:
    """What lies at a point: its cell and the areas above, how sure that is, the district's addresses within 200 m.

    `crs` is wgs84, cgcs2000, gcj02 or bd09; `accuracy_m` is a device's radius, at `confidence` 68 or 95 per cent.
    """
    fix = places.fix_from(
        {
            "lon": places.number(lon),
            "lat": places.number(lat),
            "crs": crs,
            "accuracy_m": places.number(accuracy_m),
            "confidence": places.number(confidence),
            "source": "map_pin",
        }
    )
    district = district_of(request, caller)
    return await district.read(lambda reader: places.what_is_at(reader, district.config_of(reader), fix))


@get("/api/v1/cells/{code:str}/neighbours", opt={"access": "user"})
async def get_neighbours(request: HttpRequest, caller: Caller, code: str) -> dict[str, Any]:
    """The cells that touch a cell of the active generation: `touch` is border, or corner alone."""
    district = district_of(request, caller)
    drawn = await district.read(lambda reader: places.drawn_of(reader, district.code, None))
    return await asyncio.to_thread(places.neighbours_of, drawn, code)


@get("/api/v1/cells/tiles/{z:int}/{x:int}/{y:int}", opt={"access": "user"}, media_type=TILE)
async def get_tile(
    request: HttpRequest,
    caller: Caller,
    z: int,
    x: int,
    y: int,
    generation: Annotated[int | None, Parameter(ge=0)] = None,
) -> Response[bytes]:
    """The cells of the active generation, or of `generation`, as a Mapbox vector tile; zooms 0 to 16."""
    if not exists(z, x, y):
        raise TileOutOfRange
    district = district_of(request, caller)
    drawn = await district.read(lambda reader: places.drawn_of(reader, district.code, generation))
    headers = {"ETag": f'W/"{drawn.etag}"', "Cache-Control": _KEPT}  # weak: it may be compressed on the way
    asked = {tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")}
    if f'"{drawn.etag}"' in asked:
        return Response(b"", status_code=304, headers=headers, media_type=TILE)
    body = await asyncio.to_thread(drawn.tiles.tile, z, x, y)
    return Response(body, headers=headers, media_type=TILE)


HANDLERS = [list_addresses, import_addresses, get_place, get_neighbours, get_tile]
