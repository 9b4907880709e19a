"""Every page, as each of the cast, in both themes: accessible, within 360 px, quiet, and from the portal alone."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, ViewportSize, expect

from tests.e2e.conftest import Portal, sign_in
from tests.e2e.notebook import LAUNCH_FORM, Notebook, notebook

__all__ = ["notebook"]
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

WIDE: ViewportSize = {"width": 1440, "height": 900}
NARROW: ViewportSize = {"width": 360, "height": 740}
# No transition is caught half-way, and what was asked for is laid out and painted.
STILL = """() => {
  const still = new CSSStyleSheet();
  still.replaceSync("*, *::before, *::after { transition: none !important; animation: none !important }");
  document.adoptedStyleSheets = [still];
}"""
PAINTED = """async () => {
  for (let frame = 0; frame < 2; frame += 1) await new Promise(requestAnimationFrame);
}"""
ENVIRONMENT = "environments/{id}/"
TABS = (ENVIRONMENT, ENVIRONMENT + "logs/?stream=build", ENVIRONMENT + "resources/", ENVIRONMENT + "settings/")
CHANGE = ENVIRONMENT + "changes/{change}/"
FURTHER = {
    "dana": (
        *TABS,
        ENVIRONMENT + "logs/?stream=application",
        CHANGE,
        LAUNCH_FORM,
        "modules/",
        "modules/local-notebook/",
        "environments/?q=nothing-has-this-name",
        "accounts/",
        "accounts/password/",
        "inbox/",
        "search/?q=nb",
        "search/?q=nothing-has-this-name",
        "no-such-page/",
    ),
    "mira": (*TABS, CHANGE, "environments/?view=team"),
    "pete": (*TABS, CHANGE, "modules/local-notebook/", "accounts/people/new/", "accounts/people/teams/new/"),
    "ada": (*TABS, CHANGE, "accounts/"),
    "mallory": (ENVIRONMENT, "search/?q=nb", LAUNCH_FORM),
}
MISSING = {("dana", "no-such-page/"), ("mallory", ENVIRONMENT)}
# Where the one thing to do has to stay under the thumb.
PRIMARY = {("dana", ENVIRONMENT), ("dana", LAUNCH_FORM), ("dana", TABS[3]), ("pete", "modules/local-notebook/")}


@contextmanager
def watched(page: Page, portal: Portal) -> Iterator[list[str]]:
    """Collects what a page must not do: errors and refusals in the console, requests to anybody else."""
    found: list[str] = []

    def on_console(message: ConsoleMessage) -> None:
        if message.type == "error":
            found.append(f"console at {page.url}: {message.text}")

    def on_request(request: Request) -> None:
        address = urlsplit(request.url)
        if address.scheme in ("http", "https", "ws", "wss") and address.netloc != portal.host:
            found.append(f"request of {page.url}: {request.url}")

    page.on("console", on_console)
    page.on("pageerror", lambda error: found.append(f"error at {page.url}: {error}"))
    page.on("request", on_request)
    yield found


def violations(page: Page, *rules: str) -> list[str]:
    options = {"runOnly": list(rules)} if rules else {}
    found = Axe().run(page, options={**options, "resultTypes": ["violations"]}).response["violations"]
    return [f"{page.url}: {one['id']}: {node['html'][:160]}" for one in found for node in one["nodes"]]


def narrow_faults(page: Page) -> list[str]:
    """What does not fit: a page wider than the window, a row whose name has no room."""
    return page.evaluate(
        """() => {
          const faults = [];
          const root = document.documentElement;
          const over = root.scrollWidth - root.clientWidth;
          if (over > 0) faults.push(`wider than the window by ${over}`);
          for (const name of document.querySelectorAll("tbody .cell-name, .row-main")) {
            const room = name.getBoundingClientRect().width;
            if (name.checkVisibility() && room < 24) faults.push(`no room for ${name.textContent}`);
          }
          return faults.map(fault => `${location.pathname}: ${fault}`);
        }"""
    )


def paths_of(page: Page, person: str) -> list[str]:
    """The places of the left bar, then the further pages."""
    links = page.locator("nav a[href^='/']").evaluate_all("links => links.map(link => link.getAttribute('href'))")
    return list(dict.fromkeys([*(link.lstrip("/") for link in links), *FURTHER[person]]))


def page_faults(page: Page) -> list[str]:
    """Of the page as it is loaded: wide in both themes, which follow the system without a reload, then narrow."""
    page.evaluate(STILL)
    shown(page, WIDE, "light")
    found = violations(page)
    shown(page, WIDE, "dark")
    found += violations(page, "color-contrast")
    shown(page, NARROW, "dark")
    return found + narrow_faults(page)


def shown(page: Page, size: ViewportSize, theme: Literal["light", "dark"]) -> None:
    page.set_viewport_size(size)
    page.emulate_media(color_scheme=theme)
    page.evaluate(PAINTED)


@pytest.mark.parametrize("person", FURTHER)
def test_pages_are_accessible_narrow_and_quiet(
    portal: Portal, browser: Browser, notebook: Notebook, person: str
) -> None:
    change = notebook.changes()[-1]["id"]
    page = sign_in(browser, portal, person, reduced_motion="reduce")
    faults: list[str] = []
    paths = paths_of(page, person)
    assert {"", "environments/", "accounts/people/"} <= set(paths)
    with watched(page, portal) as seen:
        for path in paths:
            answer = page.goto(portal.url + path.format(id=notebook.id, change=change))
            assert answer is not None
            is_missing = (person, path) in MISSING
            assert answer.status == (404 if is_missing else 200), path
            faults += page_faults(page)
            if (person, path) in PRIMARY:
                expect(page.locator("main .btn-primary").filter(visible=True).last).to_be_in_viewport()
            if is_missing:
                # The browser itself reports the status of the page as an error.
                seen[:] = [line for line in seen if "404 (Not Found)" not in line]
    page.context.close()
    assert not faults + seen


def test_pages_without_an_account(portal: Portal, browser: Browser) -> None:
    page = browser.new_context(viewport=WIDE).new_page()
    faults: list[str] = []
    with watched(page, portal) as seen:
        for path in ("accounts/sign-in/", "no-such-page/"):
            page.goto(portal.url + path)
            faults += page_faults(page)
    page.context.close()
    assert not faults + [line for line in seen if "404 (Not Found)" not in line]


def test_wrong_password_is_said_accessibly(portal: Portal, browser: Browser) -> None:
    page = browser.new_context(viewport=NARROW).new_page()
    page.goto(portal.url + "accounts/sign-in/")
    page.get_by_label("Username").fill("nobody-here")
    page.get_by_label("Password").fill("not the password")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_be_visible()
    assert not violations(page) + narrow_faults(page)
    page.context.close()


def paths_drawn(page: Page) -> set[str]:
    """Addresses that Swagger's page shows on the way down: of a long list it draws what is in the window."""
    drawn: set[str] = set()
    while True:
        page.wait_for_timeout(150)
        drawn |= set(page.locator(".opblock-summary-path").evaluate_all("all => all.map((one) => one.dataset.path)"))
        below = page.evaluate("document.documentElement.scrollHeight - innerHeight - scrollY")
        if below < 1:
            return drawn
        page.evaluate("scrollBy(0, innerHeight / 2)")


def test_api_documentation_works_within_the_security_policy(portal: Portal, browser: Browser) -> None:
    page = sign_in(browser, portal, "dana")
    with watched(page, portal) as seen:
        page.goto(portal.url + "api/docs/")
        expect(page.locator(".opblock-summary-path").first).to_be_visible(timeout=15_000)
        drawn = paths_drawn(page)
        schema = page.request.get(portal.url + "api/schema/?format=json").json()
    page.context.close()
    assert drawn == set(schema["paths"])
    assert not seen


def test_palette_menus_and_dialogs_are_accessible(portal: Portal, browser: Browser, notebook: Notebook) -> None:
    """What opens over a page is looked at open."""
    page = sign_in(browser, portal, "dana", reduced_motion="reduce")
    page.goto(f"{portal.url}environments/{notebook.id}/")
    page.keyboard.press("Control+k")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.type("nb")
    expect(page.get_by_role("option").filter(has_text=notebook.name)).to_be_visible()
    faults = violations(page)
    page.keyboard.press("Escape")
    # The focus leaves the closed dialog's field with the next frame; until then a key is still typed there.
    page.wait_for_function("() => document.activeElement === document.body")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    faults += violations(page)
    page.keyboard.press("Escape")
    page.get_by_role("button", name="More actions").click()
    faults += violations(page)
    page.locator("#page-menu").get_by_text("Destroy").click()
    expect(page.get_by_label(f"Type {notebook.name} to confirm")).to_be_visible()
    faults += violations(page)
    page.context.close()
    assert not faults
