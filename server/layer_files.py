"""Files of cells on their way in and out: read as the district reads them, written as anybody can open them."""

import base64
import binascii
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any, Final

import msgspec
from msgspec import structs

from geo.layer import (
    SCHEMES,
    Fields,
    Form,
    Layer,
    LayerError,
    Reading,
    Report,
    Scheme,
    Tell,
    exported,
    placed,
    quiet,
    read_file,
)
from geo.regions import Provider
from server.console.layers import layer_in_force
from server.districts import District
from sync.errors import BadRequest, Unprocessable
from sync.store import Reader, Row

CODE_SCHEME: Final = "code_scheme"  # setting of the district: how its codes are made up
TELL: ContextVar[Tell] = ContextVar("tell", default=quiet)  # a command line that shows how far a reading is
MEDIA_TYPES: Final = {
    Form.GEOJSON: "application/geo+json",
    Form.SHAPEFILE: "application/zip",
    Form.KML: "application/vnd.google-earth.kml+xml",
}
ENDINGS: Final = {Form.GEOJSON: "geojson", Form.SHAPEFILE: "zip", Form.KML: "kml"}
# What a sender may say of the bytes; of anything else the bytes themselves tell what they are.
_SAID: Final = {
    "application/geo+json": Form.GEOJSON,
    "application/vnd.google-earth.kml+xml": Form.KML,
    "application/vnd.google-earth.kmz": Form.KML,
}


def form_said(content_type: str) -> Form | None:
    """The form that a ``Content-Type`` names; None for one that leaves it to the bytes."""
    return _SAID.get(content_type.partition(";")[0].strip().lower())


def read_for(
    open_: District, content: bytes, declared: str | Mapping[str, Any] | None, fields: Fields, **options: Any
) -> Reading:
    """Read a file beside the layer in force and by the district's scheme of codes; blocking.

    With `elsewhere` nothing is compared: of an edition in a wrong place nothing is learned about the one that puts it
    right.
    """
    elsewhere = options.pop("elsewhere", False)

    def question(reader: Reader) -> tuple[Layer | None, Scheme | None, Provider]:
        former = None if elsewhere else layer_in_force(reader, open_.code)
        config = open_.config_of(reader)
        return former, scheme_in(config.settings), config.provider

    previous, scheme, provider = open_.read_blocking(question)
    if fields.scheme is None:
        fields = structs.replace(fields, scheme=scheme)
    options |= {"previous": previous, "provider": provider, "district": open_.code}
    return read_file(content, declared, fields, **options)


def scheme_in(settings: Mapping[str, Any]) -> Scheme | None:
    """The scheme among a district's settings; None where it goes by whichever known scheme a code fits."""
    kept = settings.get(CODE_SCHEME)
    return None if kept is None else msgspec.convert(kept, Scheme)


def scheme_named(given: Any) -> Scheme:
    """A scheme by the name of a known one, or by its table; raises ``Unprocessable``."""
    for scheme in SCHEMES:
        if given == scheme.name:
            return scheme
    try:
        return msgspec.convert(given, Scheme)
    except msgspec.ValidationError as error:
        known = ", ".join(scheme.name for scheme in SCHEMES)
        raise Unprocessable(f"A scheme is {known} or a table of its own: {error}") from error


def bytes_of(text: str) -> bytes:
    """A file that came as one argument of a command; raises ``BadRequest``."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadRequest("`content` is not base64.") from error


def written(layer: Layer, form: Form) -> bytes:
    """A layer as a file; raises ``Unprocessable`` where the format cannot hold it."""
    try:
        return exported(layer, form)
    except LayerError as error:
        raise Unprocessable("这一版网格不能写成这种格式,请换一种格式导出。") from error


def reported(about: Row, layer: Layer) -> Report:
    """What was found when a generation was imported, with places."""
    report = msgspec.json.decode(about["report"] or b"{}", type=Report)
    return placed(report, {cell.code: cell.geometry for cell in layer.cells})
