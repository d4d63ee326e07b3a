"""Somebody who visits the first page of a demo district with a browser."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
from playwright.sync_api import Browser, Page, expect

if TYPE_CHECKING:
    from collections.abc import Iterator

SCREENS = Path(__file__).resolve().parents[2] / "docs" / "screens"
PHONE, DESK = (360, 740), (1366, 800)


class Demo:
    """A demo district with the process that serves it, and the people who look at it."""

    def __init__(self, url: str, browser: Browser) -> None:
        self.url = url
        self.browser = browser
        self.faults: list[str] = []
        answer = httpx.get(f"{url}/api/v1/demo/accounts")
        self.accounts: dict[str, dict[str, Any]] = {one["username"]: one for one in answer.json()}

    @contextmanager
    def page(
        self, lang: str = "zh", theme: str = "light", size: tuple[int, int] = DESK, *, stays: bool = True
    ) -> Iterator[Page]:
        """The first page in a browser of its own. What its console or its policy complains of is a fault; and so is
        being loaded again, where it `stays`.
        """
        context = self.browser.new_context(
            viewport={"width": size[0], "height": size[1]},
            color_scheme="dark" if theme == "dark" else "light",
            locale="zh-CN",
            has_touch=size == PHONE,
        )
        page = context.new_page()
        page.on(
            "console",
            lambda said: self.faults.append(said.text) if said.type in {"error", "warning"} else None,
        )
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        context.add_init_script(
            "document.addEventListener('securitypolicyviolation', e => console.error('CSP', e.violatedDirective))"
        )
        loads: list[str] = []
        page.on("load", lambda _: loads.append(page.url))
        try:
            page.goto(self.url)
            expect(page.locator(".account").first).to_be_visible()
            if lang == "en":
                page.locator("[data-test=lang]").click()
            yield page
            assert not stays or len(loads) == 1, "the page was loaded again"
        finally:
            context.close()

    def token(self, username: str) -> str:
        """Sign in without a browser."""
        account = self.accounts[username]
        body = {"username": username, "password": account["password"], "device": {"name": "office"}}
        answer = httpx.post(f"{self.url}/api/v1/sessions", json=body)
        assert answer.status_code == 201, answer.text
        token: str = answer.json()["access_token"]
        return token


def enter(page: Page, role: str) -> None:
    """Sign in by one click as the first account of a role."""
    button = page.locator(f".account[data-role={role}]")
    if not button.is_visible():
        page.locator("summary").click()
    button.click()


def picture(page: Page, name: str) -> None:
    """Keep what is seen for the documents, when they are asked for."""
    if os.environ.get("WANGGE_SCREENS") == "1":
        SCREENS.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=SCREENS / f"{name}.png", animations="disabled", caret="hide")
