"""Phones in Chromium: a browser profile with RxDB on IndexedDB in it, driven by ``phone/page.ts``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.http.town import PASSWORD

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser, Page, Route

PAGE = '<!doctype html><meta charset="utf-8"><title>phone</title><script type="module" src="/phone/page.js"></script>'
ALL = ("cases", "entries", "visits", "households", "tasks", "files", "notices", "cells")


class BrowserPhone:
    """One phone: what it stores outlives its tabs. The page comes from here, all else from the server at `base`."""

    def __init__(self, browser: Browser, base: str, script: Path, collections: tuple[str, ...]) -> None:
        self.base = base
        self.collections = collections
        self.faults: list[str] = []
        self.context = browser.new_context()
        self.context.route(f"{base}/phone/", lambda route: _answer(route, "text/html", PAGE))
        code = script.read_text("utf-8")
        self.context.route(f"{base}/phone/page.js", lambda route: _answer(route, "text/javascript", code))

    def sign_in(self, username: str) -> None:
        tab = self._page()
        tab.evaluate("values => phone('signIn', ...values)", [username, PASSWORD])
        tab.close()

    def tab(self, **options: Any) -> Tab:
        """The app is opened: in one more tab if another is open."""
        return Tab(self, self._page(), **options)

    def _page(self) -> Page:
        page = self.context.new_page()
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.goto(f"{self.base}/phone/")
        return page

    def close(self) -> None:
        self.context.close()


class Tab:
    """The app in one tab. A call is a command of the page and returns the answer."""

    def __init__(self, phone: BrowserPhone, page: Page, *, push_batch: int | None = None) -> None:
        self.phone = phone
        self.page = page
        self._push_batch = push_batch
        self._open()

    def __call__(self, command: str, *values: Any) -> Any:
        return self.page.evaluate("([command, values]) => phone(command, ...values)", [command, values])

    def begin(self, command: str, *values: Any) -> None:
        """A command whose end is not waited for yet."""
        self.page.evaluate(
            "([command, values]) => { window.begun = phone(command, ...values) }", [command, values]
        )

    def end(self) -> Any:
        return self.page.evaluate("begun")

    def documents(self, collection: str = "cases") -> dict[str, dict[str, Any]]:
        """What the app sees, by id."""
        return {doc["id"]: doc for doc in self("documents", collection)}

    def insert(self, *documents: dict[str, Any], collection: str = "cases") -> list[str]:
        ids: list[str] = self("insert", collection, documents)
        return ids

    def reload(self) -> None:
        """The app is closed in the middle of whatever it does, and opened again."""
        self.page.reload()
        self._open()

    def close(self) -> None:
        self.page.close()

    def _open(self) -> None:
        self("open", self.phone.collections, *([] if self._push_batch is None else [self._push_batch]))


def _answer(route: Route, kind: str, body: str) -> None:
    route.fulfill(status=200, content_type=f"{kind}; charset=utf-8", body=body)
