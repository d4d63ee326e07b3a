"""How tests send files: uploads by hand, documents as a phone pushes them, and looks behind the scenes."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Any

from sync import content
from sync.values import Collection
from tests import files
from tests.http.town import PASSWORD, new_id, next_w

if TYPE_CHECKING:
    from tests.http.town import Town

TUS = {"Tus-Resumable": "1.0.0"}
BODY = {**TUS, "Content-Type": "application/offset+octet-stream"}
FILES = "/files/v1"


def encoded(**values: str) -> str:
    return ",".join(f"{name} {base64.b64encode(value.encode()).decode()}" for name, value in values.items())


def checksum(data: bytes) -> str:
    return "sha256 " + base64.b64encode(hashlib.sha256(data).digest()).decode()


def stopped(town: Town, user: str = "grid_worker", device: str = "lost") -> dict[str, str]:
    """What a phone of this person says of itself that has been stopped since."""
    body = {"username": user, "password": PASSWORD, "device": {"id": device}}
    token = town.client.post("/api/v1/sessions", json=body).json()["access_token"]
    assert town.post(user, f"/api/v1/devices/{device}/revoke").status_code == 204
    return {"Authorization": f"Bearer {token}"}


def create(
    town: Town, user: str, file_id: str, data: bytes, bearer: dict[str, str] | None = None, /, **more: str
) -> Any:
    """An upload begun for `data`, nothing sent yet."""
    metadata = encoded(file_id=file_id, sha256=hashlib.sha256(data).hexdigest(), **more)
    headers = {**TUS, "Upload-Length": str(len(data)), "Upload-Metadata": metadata}
    return town.client.post(FILES, headers={**headers, **(bearer or town.bearer(user))})


def patch(town: Town, user: str, where: str, offset: int, piece: bytes, **headers: str) -> Any:
    told = {**BODY, "Upload-Offset": str(offset), **town.bearer(user), **headers}
    return town.client.patch(where, headers=told, content=piece)


def send(town: Town, user: str, file_id: str, data: bytes, **more: str) -> str:
    """All of a file in one piece; the address of the upload."""
    created = create(town, user, file_id, data, None, **more)
    assert created.status_code == 201, created.text
    where = str(created.headers["location"])
    done = patch(town, user, where, 0, data)
    assert done.status_code == 204, done.text
    settled(town)
    return where


def settled(town: Town) -> None:
    """Everything that was complete has been looked at."""
    town.runtime.files.look(town.district).result()


def document(
    town: Town, user: str, owner: str, data: bytes | None, kind: str = "photo", **fields: Any
) -> str:
    """A file's document as a phone pushes it; returns its id."""
    identity = fields.pop("id", None) or new_id()
    doc = {"id": identity, "owner_id": owner, "kind": kind, "w": next_w(), **fields}
    if data is not None:
        doc |= {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
    answer = town.push(user, "files", doc)
    assert answer.status_code == 200, answer.text
    return str(identity)


def pulled(town: Town, user: str, file_id: str) -> dict[str, Any] | None:
    body = {"checkpoint": None, "limit": 1000}
    found = town.post(user, "/sync/v1/files/pull", body).json()["documents"]
    return next((doc for doc in found if doc["id"] == file_id and not doc["_deleted"]), None)


def state(town: Town, file_id: str) -> tuple[str, str | None]:
    def question(reader: Any) -> tuple[str, str | None]:
        key = content.id_bytes(Collection.files, file_id)
        values = content.whole(reader.documents(Collection.files, [key])[0], town.district.keys)
        return values["state"], values.get("reason")

    return town.district.read_blocking(question)


def rows(town: Town, table: str, **where: Any) -> list[dict[str, Any]]:
    return town.district.read_blocking(lambda reader: reader.find(table, where))


def on_disk(town: Town) -> dict[str, bytes]:
    folder = town.runtime.settings.files_folder
    assert folder is not None
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def verified(town: Town, case: str, kind: str = "photo", data: bytes | None = None) -> str:
    data = files.picture() if data is None else data
    file_id = document(town, "grid_worker", case, data, kind)
    send(town, "grid_worker", file_id, data)
    assert state(town, file_id) == ("verified", None)
    return file_id
