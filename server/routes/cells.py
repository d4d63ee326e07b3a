"""Cells as GeoJSON, and the generations of the layer: import, report, export, look ahead, activate."""

import asyncio
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from litestar import Request, Response, get, post
from litestar.enums import MediaType
from litestar.params import Parameter

from geo.layer import Fields, Form, report_csv, report_geojson
from geo.vector_tiles import half_a_pixel_m
from server import strict_json
from server.auth.callers import Caller
from server.auth.guards import callers_of, runtime_of
from server.console import layers
from server.console.asking import access, actor_of, district_of, look
from server.console.preview import Preview
from server.layer_files import ENDINGS, MEDIA_TYPES, form_said, read_for, reported, written
from server.reassigning import go_on
from server.strict_json import BodyTooLarge
from sync.errors import BadRequest, Unprocessable
from sync.generations import activate_generation, add_generation
from sync.reassign import is_under_way
from sync.store import Reader

HttpRequest = Request[Any, Any, Any]
LAYER_MAX = 32 << 20
_PIECES_AT_ONCE = 20
_OPTIONS = {
    "crs",
    "code_field",
    "name_field",
    "kind_field",
    "parent_fields",
    "parent_name_fields",
    "name",
    "repair",
    "elsewhere",
    "encoding",
}
Name = Annotated[str | None, Parameter(max_length=100)]
System = Annotated[str | None, Parameter(max_length=4096)]
FormWanted = Annotated[Form, Parameter(query="format")]
TableWanted = Annotated[Literal["geojson", "csv"], Parameter(query="format")]


class LayerRefused(Unprocessable):
    """The layer has errors and was not kept; `report` names each."""

    code: ClassVar[str] = "layer_refused"


@get("/api/v1/cells", opt={"access": "user"})
async def get_cells(
    request: HttpRequest,
    caller: Caller,
    generation: Annotated[int | None, Parameter(ge=0)] = None,
    bbox: Name = None,
    tolerance_m: Annotated[float, Parameter(ge=0, le=1000)] = 0,
    zoom: Annotated[int | None, Parameter(ge=0, le=22)] = None,
) -> Response[bytes]:
    """The cells of the active generation, or of `generation`, as GeoJSON in WGS-84.

    Simplified by `tolerance_m`, or to what can be seen at the `zoom` of a web map: half a pixel.
    """
    district = district_of(request, caller)
    box = layers.read_bbox(bbox)
    if tolerance_m != tolerance_m:  # noqa: PLR0124  # not a number is the one value that differs from itself
        raise BadRequest("`tolerance_m` 应为米数。")
    if zoom is not None and tolerance_m:
        raise BadRequest("`zoom` 和 `tolerance_m` 只能给一个。")
    _, layer = await district.read(lambda reader: layers.layer_of(reader, district.code, generation))
    if zoom is not None and layer.cells:
        tolerance_m = half_a_pixel_m(zoom, (layer.bbox[1] + layer.bbox[3]) / 2)
    body = await asyncio.to_thread(layers.drawn, layer, bbox=box, tolerance_m=tolerance_m)
    return Response(body, media_type="application/geo+json")


@get("/api/v1/cells/generations", opt={"access": "user"})
async def list_generations(request: HttpRequest, caller: Caller) -> dict[str, Any]:
    """Every generation, newest first."""
    return {"items": await district_of(request, caller).read(layers.generations)}


@get("/api/v1/cells/generations/{number:int}", opt={"access": "user"})
async def get_generation(request: HttpRequest, caller: Caller, number: int) -> dict[str, Any]:
    """One generation with the report of its import."""

    def question(reader: Reader) -> dict[str, Any]:
        row = layers.find_generation(reader, number)
        return layers.about_generation(row, whole=True)

    return await district_of(request, caller).read(question)


@get("/api/v1/cells/generations/{number:int}/report", opt={"access": "user"})
async def get_report(
    request: HttpRequest, caller: Caller, number: int, form: TableWanted = "geojson"
) -> Response[bytes]:
    """What was found when a generation was imported: `format` is geojson, each fault at its place, or csv."""
    district = district_of(request, caller)
    row, layer = await district.read(
        lambda reader: (
            layers.find_generation(reader, number, columns=("report",)),
            layers.layer_of(reader, district.code, number)[1],
        )
    )
    report = await asyncio.to_thread(reported, row, layer)
    if form == "csv":
        body = await asyncio.to_thread(report_csv, report)
        headers = {"Content-Disposition": f'attachment; filename="cells-{number}-report.csv"'}
        return Response(body, media_type="text/csv; charset=utf-8", headers=headers)
    body = await asyncio.to_thread(report_geojson, report)
    return Response(body, media_type="application/geo+json")


@get("/api/v1/cells/generations/{number:int}/export", opt={"access": "user"})
async def export_generation(
    request: HttpRequest, caller: Caller, number: int, form: FormWanted = Form.GEOJSON
) -> Response[bytes]:
    """A generation as a file in WGS-84, to be opened anywhere and read again: `format` is geojson, shapefile or kml."""
    district = district_of(request, caller)
    _, layer = await district.read(lambda reader: layers.layer_of(reader, district.code, number))
    body = await asyncio.to_thread(written, layer, form)
    name = f"cells-{district.code}-{number}.{ENDINGS[form]}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(body, media_type=MEDIA_TYPES[form], headers=headers)


@post(
    "/api/v1/cells/generations",
    opt=access("admin"),
    status_code=201,
    request_max_body_size=LAYER_MAX,
)
async def add_layer(
    request: HttpRequest,
    caller: Caller,
    crs: System = None,
    code_field: Name = None,
    name_field: Name = None,
    kind_field: Name = None,
    parent_fields: Name = None,
    parent_name_fields: Name = None,
    name: Name = None,
    repair: bool = False,
    elsewhere: bool = False,
    encoding: Name = None,
) -> Response[bytes]:
    """A file of cells becomes a draft generation: 201 `{number, report}`, or 422 with the report of what is wrong.

    The file is GeoJSON, a shapefile in a zip, KML or KMZ: as the content type says, else as the bytes are. `crs` is
    wgs84, cgcs2000, gcj02, bd09, a code as EPSG:4547, or the table of a city's own plane in JSON, where the file does
    not say; `encoding` is of the texts of a shapefile without .cpg; `parent_fields` are names with commas, from the
    nearest area to the district; `elsewhere` says that the edition in force lies in a wrong place.
    """
    if not set(request.query_params) <= _OPTIONS:
        raise BadRequest(
            "参数只能是 " + "、".join(sorted(_OPTIONS)) + "。"
        )  # a slip would be passed over else
    district = district_of(request, caller)
    content = await request.body()
    if len(content) > LAYER_MAX:
        raise BodyTooLarge(max_bytes=LAYER_MAX)
    fields = Fields(
        code=code_field or "code",
        name=name_field or "name",
        kind=kind_field or "kind",
        parents=_names(parent_fields),
        parent_names=_names(parent_name_fields),
    )
    reading = await asyncio.to_thread(
        read_for,
        district,
        content,
        _system(crs),
        fields,
        form=form_said(request.headers.get("content-type", "")),
        encoding=encoding or None,
        repair=repair,
        elsewhere=elsewhere,
        name=name or "",
    )
    if reading.layer is None:
        raise LayerRefused("网格图层有误,未保存。", report=reading.report)
    work = add_generation(reading.layer, msgspec.json.encode(reading.report))
    number = await district.writer.submit(work, actor=actor_of(caller))
    body = msgspec.json.encode(
        {"number": number, "cells": len(reading.layer.cells), "report": reading.report}
    )
    return Response(body, status_code=201, media_type=MediaType.JSON)


def _system(text: str | None) -> str | dict[str, Any] | None:
    """What is declared: a word, a code, a text of PROJ; in braces the table of a city's own system."""
    if not text:
        return None
    table = strict_json.parse(text.encode()) if text.lstrip().startswith("{") else text
    return table if isinstance(table, dict) else text


def _names(text: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in (text or "").split(",") if part.strip())


@get("/api/v1/cells/generations/{number:int}/preview", opt=access("admin", "centre_director"))
async def preview_generation(request: HttpRequest, caller: Caller, number: int) -> dict[str, Any]:
    """What would move to other cells, what becomes of the cells, whose phones it concerns: figures for all.

    Cases are named to those who see them. A former edition would bring back what was moved since.
    """
    district = district_of(request, caller)
    about, former = await district.read(
        lambda reader: (
            layers.find_generation(reader, number, columns=("number", "layer")),
            layers.layer_in_force(reader, district.code),
        )
    )
    index = await asyncio.to_thread(runtime_of(request).indexes.of, about["layer"])
    ahead = await asyncio.to_thread(Preview, about["number"], index, former)
    while not await look(request, caller, ahead.go_on):
        pass
    return ahead.told()


@post("/api/v1/cells/generations/{number:int}/activate", opt=access("admin"), status_code=200)
async def activate(request: HttpRequest, caller: Caller, number: int) -> dict[str, Any]:
    """Put a generation in force; cases, homes and visits follow in pieces, the rest of many by the job `reassign`."""
    district = district_of(request, caller)
    await district.read(lambda reader: layers.find_generation(reader, number, columns=("number",)))
    seq = await district.writer.submit(activate_generation(number), actor=actor_of(caller))
    callers_of(request, caller.district).forget_all()
    moved = await go_on(district, pieces=_PIECES_AT_ONCE, actor=actor_of(caller))
    finished = not await district.read(is_under_way)
    return {"number": number, "activated_seq": seq, "moved": moved, "finished": finished}


HANDLERS = [
    get_cells,
    list_generations,
    get_generation,
    get_report,
    export_generation,
    add_layer,
    preview_generation,
    activate,
]
