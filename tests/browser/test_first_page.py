"""The first page as people use it: one click to sign in, the queue with its reasons, the acts, and what comes live."""

from __future__ import annotations

import re
from itertools import product
from typing import TYPE_CHECKING

import httpx
import pytest
from playwright.sync_api import expect

from tests.browser.visit import DESK, PHONE, enter, picture

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

    from tests.browser.visit import Demo

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

CHINESE = re.compile(r"[\u4e00-\u9fff]")
HOUR = 3_600_000
# Whatever the page says by itself; names and texts of cases stay as they were written.
OWN_WORDS = (
    "h1, h2, dt, .head p, .risk, .banner, [data-test=state], [data-test=health], label span, summary, "
    ".intro p, .steps, .account strong, .note h2, .note p, button:not([data-test=lang]):not(.account)"
)


def queue_of(page: Page, role: str) -> None:
    enter(page, role)
    expect(page.locator("[data-id]").first).to_be_visible()
    expect(page.locator("[data-test=live].on")).to_be_visible()


def waiting(page: Page) -> Locator:
    """The row that is first to decide."""
    return row(page, page.locator("[data-group=decide] [data-id]").first.get_attribute("data-id") or "")


def row(page: Page, row_id: str) -> Locator:
    return page.locator(f"[data-id='{row_id}']")


def ids(page: Page) -> set[str]:
    return {one.get_attribute("data-id") or "" for one in page.locator("[data-id]").all()}


def test_a_leader_signs_in_by_one_click_and_reads_what_is_stuck_why_and_what_comes_next(demo: Demo) -> None:
    with demo.page() as page:
        queue_of(page, "street_leader")
        expect(page.locator("[data-test=who]")).to_contain_text("工运街道")
        expect(page.locator("h1")).to_have_text("提级队列")
        marks = {"红色": "◆", "橙色": "▲", "黄色": "●", "蓝色": "○", "未评": "–"}
        shown = page.locator("[data-group=decide] [data-id], [data-group=know] [data-id]").all()
        assert len(shown) >= 3
        for one in shown:
            expect(one.locator("[data-test=reason]")).to_contain_text(re.compile(r"[\u4e00-\u9fff]{4}"))
            expect(one.locator("[data-test=next]")).to_contain_text("。")
            if "保护案件" not in one.inner_text():
                shape, word = one.locator(".risk").inner_text().replace("风险", "").split()
                assert marks[word] == shape
        expect(page.get_by_text("超过签收时限").first).to_be_visible()


def test_of_a_protected_case_the_leader_sees_that_it_is_there_and_no_more(demo: Demo) -> None:
    with demo.page() as page:
        queue_of(page, "street_leader")
        sealed = page.locator("[data-id]", has_text="保护案件")
        expect(sealed.first).to_be_visible()
        for one in sealed.all():
            expect(one).to_contain_text("只显示事实")
            expect(one.locator(".risk")).to_have_count(0)


def test_taking_a_case_on_with_a_promise_changes_the_row_where_it_stands(demo: Demo) -> None:
    with demo.page() as page:
        queue_of(page, "street_leader")
        mine = waiting(page)
        mine.locator("[data-act=acknowledge]").click()
        mine.locator("button[type=submit]").click()
        expect(mine).to_have_attribute("data-state", "acked")
        expect(mine).to_contain_text("孟庆川 领办，答应")
        expect(page.locator("[data-group=know]").locator(mine)).to_be_visible()
        expect(page.locator("[data-test=said]")).to_have_text("已领办。")


def test_an_instruction_needs_words_and_a_time_and_then_stands_on_the_row(demo: Demo) -> None:
    with demo.page() as page:
        queue_of(page, "street_leader")
        mine = waiting(page)
        mine.locator("[data-act=instruct]").click()
        mine.locator("button[type=submit]").click()
        expect(mine.get_by_role("alert")).to_have_text("请写批示内容。")
        mine.locator("textarea").fill("请两家所今天一起上门。")
        mine.locator(".choices button").last.click()
        mine.locator("button[type=submit]").click()
        expect(mine).to_have_attribute("data-state", "acted")
        expect(mine).to_contain_text("批示：请两家所今天一起上门。")
        expect(mine).to_contain_text("前回复")


def test_what_another_leader_does_is_seen_without_loading_the_page_again(demo: Demo) -> None:
    with demo.page() as page, demo.page() as other:
        queue_of(page, "street_leader")
        queue_of(other, "duty_officer")
        plain = page.locator("[data-group=decide] [data-id]:not(:has-text('保护案件'))")
        seen_by_both = sorted({one.get_attribute("data-id") or "" for one in plain.all()} & ids(other))
        mine = row(page, seen_by_both[0])
        # the leader of the district answers from his own desk
        head = {"Authorization": f"Bearer {demo.token('district-leader-1')}"}
        now = httpx.get(f"{demo.url}/api/v1/escalations", headers=head).json()["now"]
        body = {"act": "acknowledge", "until": now + 30 * HOUR}
        done = httpx.post(f"{demo.url}/api/v1/escalations/{seen_by_both[0]}/acts", headers=head, json=body)
        assert done.status_code == 200, done.text
        expect(mine).to_contain_text("褚文渊 领办")
        expect(row(other, seen_by_both[0])).to_contain_text("褚文渊 领办")


def test_with_one_working_day_more_cases_climb_into_the_queue_before_ones_eyes(demo: Demo) -> None:
    with demo.page() as page:
        queue_of(page, "street_leader")
        told = page.locator("[data-group=tomorrow] h3").first.inner_text()
        before = ids(page)
        for _ in range(3):  # late in the day it takes a second press until the rung of tomorrow has come
            clock = page.locator("[data-test=now]").inner_text()
            page.locator("[data-test=advance]").click()
            expect(page.locator("[data-test=said]")).to_contain_text("现在是")
            expect(page.locator("[data-test=now]")).not_to_have_text(clock)
            expect(page.locator("[data-test=advance]")).to_be_enabled()
            if page.locator("[data-group=decide] [data-id]", has_text=told).count():
                break
        expect(page.locator("[data-group=decide] [data-id]", has_text=told)).to_be_visible()
        assert ids(page) - before
        picture(page, "queue-after-one-day-zh-light-1366")


def test_the_switch_of_language_changes_every_word_of_the_page(demo: Demo) -> None:
    with demo.page() as page:
        for role in (None, "street_leader", "grid_worker"):
            if role is not None:
                enter(page, role)
                expect(page.locator("[data-id], [data-failure=forbidden]").first).to_be_visible()
            chinese = page.locator(OWN_WORDS).all_inner_texts()
            page.locator("[data-test=lang]").click()
            expect(page.locator("html")).to_have_attribute("lang", "en")
            english = page.locator(OWN_WORDS).all_inner_texts()
            assert len(english) == len(chinese)
            assert [text for text in english if CHINESE.search(text)] == []
            page.locator("[data-test=lang]").click()
            if role is not None:
                page.locator("[data-test=sign-out]").click()
                expect(page.locator(".account").first).to_be_visible()


@pytest.mark.parametrize("role", ["grid_worker", "admin", "mediator"])
def test_who_leads_nothing_is_told_so_and_can_change_the_account(demo: Demo, role: str) -> None:
    with demo.page() as page:
        enter(page, role)
        note = page.locator("[data-failure=forbidden]")
        expect(note).to_contain_text("这一页给领导看")
        expect(page.locator("[data-id]")).to_have_count(0)
        expect(page.locator("[data-test=advance]")).to_have_count(0)
        note.get_by_role("button").click()
        expect(page.locator(".account").first).to_be_visible()


def test_signing_out_leaves_no_token_here_and_none_that_works(demo: Demo) -> None:
    with demo.page() as page:
        queue_of(page, "street_leader")
        token = page.evaluate("JSON.parse(sessionStorage.getItem('wangge.session')).accessToken")
        asked = {"Authorization": f"Bearer {token}"}
        assert httpx.get(f"{demo.url}/api/v1/sessions/current", headers=asked).status_code == 200
        with page.expect_response(lambda answer: answer.request.method == "DELETE"):
            page.locator("[data-test=sign-out]").click()
        expect(page.locator(".account").first).to_be_visible()
        kept = page.evaluate("JSON.stringify([{...sessionStorage}, {...localStorage}, document.cookie])")
        assert token not in kept
        assert "efresh" not in kept
        assert httpx.get(f"{demo.url}/api/v1/sessions/current", headers=asked).status_code == 401


def test_every_view_fits_phone_and_desk_in_both_languages_and_both_themes(demo: Demo) -> None:
    for lang, theme, size in product(("zh", "en"), ("light", "dark"), (PHONE, DESK)):
        name = f"{lang}-{theme}-{size[0]}"
        with demo.page(lang, theme, size) as page:
            fits(page, size)
            picture(page, f"sign-in-{name}")
            queue_of(page, "street_leader")
            fits(page, size)
            picture(page, f"queue-{name}")
            waiting(page).locator("[data-act=instruct]").click()
            fits(page, size)
            picture(page, f"instruct-{name}")
            page.locator("[data-test=sign-out]").click()
            enter(page, "grid_worker")
            expect(page.locator("[data-failure=forbidden]")).to_be_visible()
            fits(page, size)
            picture(page, f"forbidden-{name}")


def fits(page: Page, size: tuple[int, int]) -> None:
    """Nothing is wider than the screen; on a phone a thumb hits every button."""
    assert page.evaluate("document.documentElement.scrollWidth") == size[0]
    if size == PHONE:
        small = page.evaluate(
            "[...document.querySelectorAll('button, input, summary, textarea')].filter(e => e.offsetParent)"
            ".filter(e => e.getBoundingClientRect().height < 44).map(e => e.outerHTML)"
        )
        assert small == []
