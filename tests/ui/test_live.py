"""The live page in a real browser: nothing lost, nothing repeated, one stream for all tabs, nothing disturbed."""

import time
from collections.abc import Callable, Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.ui.live_page import LivePage

pytestmark = pytest.mark.e2e


@pytest.fixture
def live() -> Iterator[LivePage]:
    server = LivePage()
    server.lines = 3
    yield server
    server.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    made = browser.new_context()
    yield made
    made.close()


def page_open(context: BrowserContext, live: LivePage) -> Page:
    page = context.new_page()
    page.on("pageerror", lambda error: pytest.fail(str(error)))
    page.goto(live.url + "/page")
    expect(page.locator("body[data-live-state=live]")).to_be_visible()
    return page


def assert_soon(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def numbers(page: Page) -> list[int]:
    return page.evaluate("[...document.querySelectorAll('.log-line')].map((line) => Number(line.dataset.n))")


def wait_for_line(page: Page, number: int) -> None:
    expect(page.locator(f".log-line[data-n='{number}']")).to_be_attached()


def test_lines_are_appended_once_and_in_order(context, live):
    page = page_open(context, live)
    live.log(4, 5)
    live.log(5, 6)
    wait_for_line(page, 6)
    assert numbers(page) == [1, 2, 3, 4, 5, 6]


def test_a_gap_is_fetched(context, live):
    page = page_open(context, live)
    live.lines = 8
    live.log(9)
    live.log(10)
    wait_for_line(page, 10)
    assert numbers(page) == list(range(1, 11))


def test_a_broken_stream_resumes_where_it_ended(context, live):
    page = page_open(context, live)
    live.log(4)
    wait_for_line(page, 4)
    live.drop_streams()
    live.log(5)
    live.log(6)
    wait_for_line(page, 6)
    assert numbers(page) == [1, 2, 3, 4, 5, 6]
    assert live.streams[-1][1] == "1"


def test_what_happens_while_the_page_connects_is_not_lost(context, live):
    live.after_render = lambda: live.log(4)
    page = page_open(context, live)
    wait_for_line(page, 4)
    assert numbers(page) == [1, 2, 3, 4]


def test_ten_tabs_share_one_stream(context, live):
    pages = [page_open(context, live) for _ in range(10)]
    live.log(4)
    for page in pages:
        wait_for_line(page, 4)
        assert numbers(page) == [1, 2, 3, 4]
    assert_soon(lambda: live.open_streams == 1)


def test_the_stream_ends_with_the_last_tab(context, live):
    pages = [page_open(context, live) for _ in range(2)]
    pages[0].close()
    live.log(4)
    wait_for_line(pages[1], 4)
    # The server notices that a replaced stream is gone when it next writes to it.
    live.log(5)
    wait_for_line(pages[1], 5)
    assert_soon(lambda: live.open_streams == 1)


def test_a_refreshed_part_keeps_what_the_person_does(context, live):
    page = page_open(context, live)
    page.locator("#more summary").click()
    page.locator("#typing").fill("half a wo")
    live.emit("environment:1", "status", status="running")
    expect(page.locator("#count")).to_have_text("1")
    assert page.evaluate("document.getElementById('more').open")
    assert page.input_value("#typing") == "half a wo"
    assert page.evaluate("document.activeElement.id") == "typing"
    assert numbers(page) == [1, 2, 3]


def test_many_events_are_one_refresh(context, live):
    page = page_open(context, live)
    for _ in range(20):
        live.emit("environment:1", "status", status="running")
    expect(page.locator("#count")).not_to_have_text("0")
    page.wait_for_timeout(500)
    assert live.fragments <= 3


def test_the_bell_counts(context, live):
    page = page_open(context, live)
    live.emit("user:1", "inbox", count=7)
    expect(page.locator(".bell-count")).to_have_text("7")
    expect(page.locator("#bell")).to_have_attribute("aria-label", "Inbox, 7 unread")


def test_without_a_shared_worker_a_page_has_a_stream_of_its_own(browser, live):
    context = browser.new_context()
    context.add_init_script("delete window.SharedWorker")
    page = page_open(context, live)
    live.log(4)
    wait_for_line(page, 4)
    context.close()


def test_the_palette_holds_the_places_and_opens_one(context, live):
    page = page_open(context, live)
    page.keyboard.press("Control+k")
    expect(page.locator("#palette [role=option]")).to_have_text(["HomeGo to"])
    page.keyboard.press("Enter")
    page.wait_for_url(live.url + "/page")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 360])
def test_axe_finds_nothing(browser, live, theme, width):
    context = browser.new_context(color_scheme=theme, viewport={"width": width, "height": 740})
    page = page_open(context, live)
    found = Axe().run(page).response["violations"]
    assert not [(item["id"], item["nodes"][0]["html"]) for item in found]
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    context.close()
