"""Live updates: ten tabs on one connection, and a log that survives the death of the web process without a gap."""

import json
import os
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.conftest import Portal, sign_in
from tests.e2e.notebook import Notebook, notebook, notebook_launch, notebooks_destroy

__all__ = ["notebook"]
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

TABS = 10
# Counts the streams that a page opens on its own instead of through the shared worker.
COUNT_STREAMS = """
window.ownStreams = 0;
window.EventSource = class extends EventSource { constructor(...given) { super(...given); window.ownStreams += 1; } };
"""


def workers(browser: Browser, tab: Page) -> list[str]:
    """The shared workers beside a tab, with those of nobody else's cookies: each holds at most one stream."""
    session = tab.context.new_cdp_session(tab)
    own = session.send("Target.getTargetInfo")["targetInfo"]["browserContextId"]
    session.detach()
    session = browser.new_browser_cdp_session()
    targets = session.send("Target.getTargets")["targetInfos"]
    session.detach()
    return [one["url"] for one in targets if one["type"] == "shared_worker" and one["browserContextId"] == own]


@pytest.fixture
def tab(portal: Portal, browser: Browser) -> Iterator[Page]:
    page = sign_in(browser, portal, "dana", reduced_motion="reduce")
    yield page
    page.context.close()


def wait_until(reached: Callable[[], Any], seconds: float, what: str) -> Any:
    deadline = time.monotonic() + seconds
    while not (value := reached()):
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        time.sleep(0.2)
    return value


def test_ten_tabs_share_one_connection_and_all_follow(
    portal: Portal, browser: Browser, notebook: Notebook, tab: Page
) -> None:
    # More tabs than a browser has connections for one host: a stream of each would leave the last ones waiting.
    tab.context.add_init_script(COUNT_STREAMS)
    tabs = [tab, *(tab.context.new_page() for _ in range(TABS - 1))]
    for page in tabs:
        page.goto(f"{portal.url}environments/{notebook.id}/")
        expect(page.locator("body")).to_have_attribute("data-live-state", "live")
        # A page that is loaded again would lose this.
        page.evaluate("window.staysHere = true")
    assert len(workers(browser, tab)) == 1
    assert [page.evaluate("window.ownStreams") for page in tabs] == [0] * TABS

    notebook.act("stop")
    for page in tabs:
        expect(page.locator("main .page-head")).to_contain_text("Stopped, files kept", timeout=60_000)
        expect(page.get_by_role("button", name="Start and open")).to_have_count(1)
    notebook.settled("stopped")
    notebook.act("start")
    for page in tabs:
        expect(page.locator("main .page-head")).to_contain_text("Running", timeout=90_000)
        assert page.evaluate("window.staysHere") is True
    assert len(workers(browser, tab)) == 1
    notebook.settled("running")


def web_process(portal: Portal) -> int:
    try:
        return int(json.loads((portal.data / "run" / "web.json").read_text())["pid"])
    except (OSError, ValueError):
        return 0


def web_kill(portal: Portal) -> None:
    """End the web process without a word, and wait for the next one that the supervisor starts."""
    before = web_process(portal)
    os.kill(before, signal.SIGKILL)

    def is_back() -> bool:
        try:
            with urllib.request.urlopen(portal.url + "readyz", timeout=5) as answer:
                return answer.status == 200 and web_process(portal) != before
        except OSError:
            return False

    wait_until(is_back, 60, "a new web process")


def lines_shown(page: Page) -> list[tuple[int, str]]:
    rows = page.locator(".log-line").evaluate_all(
        "rows => rows.map(row => [Number(row.dataset.n), row.querySelector('.log-text').textContent])"
    )
    return [(number, text) for number, text in rows]


def lines_written(notebook: Notebook) -> list[tuple[int, str]]:
    found: list[tuple[int, str]] = []
    for change in reversed(notebook.changes()):
        answer: Any = notebook.portal.get(f"api/v1/changes/{change['id']}/log/", notebook.token)[1]
        assert answer["is_complete"]
        found += [(line["n"], line["text"]) for line in answer["lines"]]
    return found


def test_log_goes_on_after_the_web_process_is_killed(portal: Portal, tab: Page) -> None:
    """Killed while a launch writes its log, and again while nothing is written: each line is shown once."""
    token = portal.token("dana")
    name = f"nb reconnect {int(time.time())}"
    made = notebook_launch(portal, token, name)
    try:
        tab.goto(f"{portal.url}environments/{made.id}/logs/?stream=build")
        tab.evaluate("window.staysHere = true")
        expect(tab.locator(".log-line").first).to_be_visible(timeout=60_000)
        web_kill(portal)
        made.settled("running")
        written = lines_written(made)
        wait_until(lambda: len(lines_shown(tab)) >= len(written), 60, "the rest of the log")
        assert lines_shown(tab) == written

        web_kill(portal)
        made.act("stop")
        made.settled("stopped")
        written = lines_written(made)
        wait_until(lambda: len(lines_shown(tab)) >= len(written), 60, "the log of the stop")
        assert lines_shown(tab) == written
        assert [number for number, _ in written] == list(range(1, len(written) + 1))
        expect(tab.locator("main .page-head")).to_contain_text("Stopped, files kept")
        assert tab.evaluate("window.staysHere") is True
    finally:
        notebooks_destroy(portal, token, name)
