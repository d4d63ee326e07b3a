"""A folder and a bucket by the same calls."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import obstore
import pytest
from moto.server import ThreadedMotoServer

from server.files.store import BlobStore, BytesLost, blob_name, part_name
from sync.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    """Where a bucket answers on loopback."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


def in_bucket(url: str, monkeypatch: pytest.MonkeyPatch) -> BlobStore:
    told = {
        "AWS_ENDPOINT_URL": url,
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_REGION": "us-east-1",
    }
    for name, value in {**told, "AWS_SECRET_ACCESS_KEY": "secret"}.items():
        monkeypatch.setenv(name, value)
    client: Any = boto3.client("s3", endpoint_url=url, region_name="us-east-1")
    client.create_bucket(Bucket="wangge-files")
    return BlobStore("s3://wangge-files/of/the/district")


@pytest.fixture(params=["folder", "bucket"])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BlobStore:
    if request.param == "folder":
        return BlobStore((tmp_path / "files with 空格").as_uri())
    return in_bucket(request.getfixturevalue("bucket"), monkeypatch)


def test_what_was_put_is_got_listed_replaced_and_deleted(store: BlobStore) -> None:
    name, other = blob_name("410399", "ab" * 16), part_name("410399", "cd" * 16, 0, "beef")
    store.put(name, b"one")
    store.put(name, b"two!")
    store.put(other, b"x" * 1_500_000)
    assert store.get(name) == b"two!"
    [kept] = store.kept("410399/blobs")
    assert (kept.name, kept.size) == (name, 4)
    assert {found.name for found in store.kept("410399")} == {name, other}
    assert list(store.kept("410300")) == []
    store.delete([name, name, other])
    assert list(store.kept("410399")) == []
    with pytest.raises(BytesLost):
        store.get(name)


@pytest.mark.parametrize(
    "name", ["..", "../x", "a/../b", "/etc/passwd", "a//b", "a\0b", "A/b", "a b", "", "a/", "x%2fy", "∕etc"]
)
def test_a_name_that_was_not_made_here_is_refused(tmp_path: Path, name: str) -> None:
    store = BlobStore((tmp_path / "files").as_uri())
    for call in (
        lambda: store.put(name, b"x"),
        lambda: store.get(name),
        lambda: store.delete([name]),
        lambda: list(store.kept(name)),
    ):
        with pytest.raises(ValueError, match="made here"):
            call()
    assert list(tmp_path.rglob("*")) == [tmp_path / "files"]


def test_the_folder_is_its_owner_s_alone_and_what_lies_in_it_is_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    fsync = os.fsync

    def noted(handle: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{handle}").readlink()))
        fsync(handle)

    monkeypatch.setattr(os, "fsync", noted)
    folder = tmp_path / "files"
    name = blob_name("410399", "ab" * 16)
    BlobStore(folder.as_uri()).put(name, b"x")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert synced == [str(folder / name), *map(str, list((folder / name).parents)[:4])]


def test_a_store_that_cannot_be_reached_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(StoreUnavailable):
        BlobStore((tmp_path / "file").as_uri()).put("a/b", b"x")

    def broken(*_: object, **__: object) -> None:
        raise obstore.exceptions.GenericError("connection refused")

    monkeypatch.setattr(obstore, "get", broken)
    with pytest.raises(StoreUnavailable):
        BlobStore((tmp_path / "files").as_uri()).get("a/b")
