"""A small demo district served by the real process, the page of a phone, and Chromium to look at both with."""

from __future__ import annotations

import os
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Browser, sync_playwright

from server.demo.prepare import prepare
from server.settings import Settings
from tests.browser.visit import Demo
from tests.http.town import build_town

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 60  # seconds until a server that does not answer counts as hanging


# Only as long as this module's tests run: Playwright keeps an event loop in the thread, and no other test of the worker
# could run one of its own. `--dist loadgroup` keeps the tests together.
@pytest.fixture(scope="module")
def browser(chromium_path: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        # as root, Chromium has no sandbox to run in
        found = playwright.chromium.launch(executable_path=chromium_path, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All stories of the demo, few of its ordinary cases."""
    folder = tmp_path_factory.mktemp("demo") / "data"
    prepare(Settings(data=str(folder), purpose="demo"), scale=0.05, say=lambda _: None)
    return folder


@pytest.fixture
def demo(prepared: Path, tmp_path: Path, browser: Browser) -> Iterator[Demo]:
    """A copy of the prepared district, served as `make run` serves it."""
    folder = tmp_path / "data"
    shutil.copytree(prepared, folder)
    with (tmp_path / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "server.cli", "demo", "--port", "0", "--data", str(folder)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=log,
        )
    try:
        found = Demo(_address(process, tmp_path / "server.log"), browser)
        yield found
        assert found.faults == []
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE)
        if process.stdout is not None:
            process.stdout.close()


@pytest.fixture(scope="session")
def phone_script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a phone with the client library, bundled."""
    node, vite = shutil.which("node"), ROOT / "web" / "node_modules" / "vite" / "bin" / "vite.js"
    if node is None or not vite.is_file():
        pytest.fail("no Node, or no Vite in web/: run `make setup`")
    folder = tmp_path_factory.mktemp("phone")
    config = Path(__file__).parent / "phone" / "vite.config.mjs"
    made = subprocess.run(
        [node, vite, "build", "--config", config, "--outDir", folder],
        cwd=ROOT / "web",
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stdout + made.stderr
    return folder / "page.js"


@pytest.fixture(scope="session")
def town_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small town's files, made once and copied for each story."""
    folder = tmp_path_factory.mktemp("town") / "town"
    folder.mkdir()
    build_town(folder)
    return folder


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    """Where it says one should go."""
    assert process.stdout is not None
    said, until = b"", time.monotonic() + PATIENCE
    while time.monotonic() < until and select.select([process.stdout], [], [], PATIENCE)[0]:
        some = os.read(process.stdout.fileno(), 65536)
        said += some
        if found := re.search(rb"http://127\.0\.0\.1:\d+(?=\s)", said):
            return found[0].decode()
        if not some:
            break
    raise AssertionError(f"the demo did not start:\n{said.decode()}\n{log.read_text('utf-8')}")
