"""The built pages: read once into memory, sent with a strict content policy, compressed in advance."""

import gzip
import hashlib
import mimetypes
import re
from pathlib import Path
from typing import Any

from litestar import Request, Response, get
from msgspec import Struct

from server.packing import chosen
from sync.errors import NotFound

PAGES = ("m", "console", "board")
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "font-src 'self' data:; media-src 'self' blob:; connect-src 'self'; worker-src 'self'; manifest-src 'self'; "
    "form-action 'self'; base-uri 'none'; object-src 'none'; frame-ancestors 'none'"
)
_HASHED = re.compile(r"-[A-Za-z0-9_-]{8,}\.[a-z0-9]+$")
_TEXT = ("text/", "application/javascript", "application/json", "application/manifest+json", "image/svg+xml")
_NOT_BUILT = (
    '<!doctype html><html lang="zh"><meta charset="utf-8"><title>wangge</title>'
    "<p>页面尚未生成，请运行 make setup。<p>The pages have not been built: run <code>make setup</code>.</html>"
)
mimetypes.add_type("application/manifest+json", ".webmanifest")
mimetypes.add_type("text/javascript", ".js")
mimetypes.add_type("text/javascript", ".mjs")
mimetypes.add_type("application/wasm", ".wasm")


class Page(Struct, frozen=True):
    """One file, ready to send; `packed` is gzip, or empty where that is no smaller."""

    content: bytes
    packed: bytes
    media_type: str
    etag: str
    lasting: bool


def read_pages(folder: Path) -> dict[str, Page]:
    """Every file below `folder`, by its path; empty where nothing was built."""
    found = {}
    for path in sorted(folder.rglob("*")) if folder.is_dir() else []:
        if path.is_symlink() or not path.is_file() or path.suffix == ".map":
            continue
        name = path.relative_to(folder).as_posix()
        found[name] = make_page(name, path.read_bytes())
    return found


def make_page(name: str, content: bytes) -> Page:
    """A file as it is sent: one whose name carries a hash may be kept for ever."""
    media_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
    packed = gzip.compress(content, 9, mtime=0) if media_type.startswith(_TEXT) else b""
    return Page(
        content,
        packed if packed and len(packed) < len(content) * 0.9 else b"",
        media_type,
        f'"{hashlib.sha256(content).hexdigest()[:24]}"',
        bool(_HASHED.search(name)),
    )


def find_page(pages: dict[str, Page], path: str) -> Page | None:
    """The file at `path`; an address inside an application is answered with that application's page."""
    name = path.strip("/")
    parts = name.split("/") if name else []
    if ".." in parts or "\\" in name or "\0" in name:
        return None
    candidates = [name] if name else []
    candidates.append(f"{name}/index.html" if name else "index.html")
    if parts and parts[0] in PAGES and "." not in parts[-1]:
        candidates += [f"{parts[0]}/index.html", f"{parts[0]}.html", "index.html"]
    return next((pages[candidate] for candidate in candidates if candidate in pages), None)


@get(
    ["/", "/{path:path}"],
    opt={"access": "open"},
    include_in_schema=False,
    sync_to_thread=False,
)
def page(request: Request[Any, Any, Any], path: str = "") -> Response[bytes]:
    """A page or one of its files."""
    pages: dict[str, Page] = request.app.state.pages
    found = find_page(pages, path)
    if found is None and not pages and (path.strip("/") or "m").split("/")[0] in PAGES:
        found = make_page("index.html", _NOT_BUILT.encode())
    if found is None:
        raise NotFound
    headers = {
        "Content-Security-Policy": POLICY,
        "ETag": found.etag,
        "Cache-Control": "public, max-age=31536000, immutable" if found.lasting else "no-cache",
        "Vary": "Accept-Encoding",
    }
    if request.headers.get("if-none-match") == found.etag:
        return Response(b"", status_code=304, headers=headers, media_type=found.media_type)
    if found.packed and chosen(request.headers.get("accept-encoding", ""), ("gzip",)):
        headers["Content-Encoding"] = "gzip"
        return Response(found.packed, headers=headers, media_type=found.media_type)
    return Response(found.content, headers=headers, media_type=found.media_type)


HANDLERS = [page]
