"""Requirements become a Python environment, and a notebook runs in it: written, locked, built, chosen."""

import os
import re
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.e2e.conftest import Portal, sign_in
from tests.e2e.notebook import LAUNCH_FORM, Notebook, notebooks_destroy

pytestmark = [pytest.mark.e2e, pytest.mark.matrix, pytest.mark.timeout(600)]
BUILT_MS = 400_000
SEED = "python-3-11-scikit-learn"
PICTURES = os.environ.get("SLIPWAY_E2E_PICTURES")


def walk(page: Page, portal: Portal, name: str, path: str) -> None:
    """Wide and narrow, light and dark: nothing overflows, axe finds nothing."""
    for width in (1440, 360):
        page.set_viewport_size({"width": width, "height": 900})
        for theme in ("light", "dark"):
            page.emulate_media(color_scheme=theme)
            page.goto(f"{portal.url}{path}")
            if PICTURES:
                page.screenshot(path=str(Path(PICTURES) / f"{name}-{theme}-{width}.png"), full_page=True)
            assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), (name, width)
            found = Axe().run(page).response["violations"]
            assert not found, (name, theme, width, [(one["id"], one["nodes"][0]["html"]) for one in found])


def test_the_pages_are_in_order(portal: Portal, browser: Browser) -> None:
    page = sign_in(browser, portal, "pete")
    token = portal.token("pete")
    body = {"slug": "walked", "title": "Walked", "summary": "To be looked at.", "requirements": "six==1.17.0\n"}
    assert portal.call("POST", "api/v1/runtimes/", body, token)[0] == 201
    page.goto(f"{portal.url}runtimes/walked/1/")
    expect(page.locator("header.page-head").get_by_text("Ready")).to_be_visible(timeout=BUILT_MS)
    body = {"requirements": "six==1.16.0\nsurely-no-package-has-this-name-4711\n"}
    assert portal.call("POST", "api/v1/runtimes/walked/versions/", body, token)[0] == 201
    page.goto(f"{portal.url}runtimes/walked/2/")
    expect(page.get_by_text("This version could not be made")).to_be_visible(timeout=BUILT_MS)
    for name, path in (
        ("list", "runtimes/"),
        ("runtime", "runtimes/walked/"),
        ("version", f"runtimes/{SEED}/1/"),
        ("failed", "runtimes/walked/2/"),
        ("new", "runtimes/new/"),
        ("requirements", "runtimes/walked/requirements/"),
        ("deprecate", "runtimes/walked/1/deprecate/"),
    ):
        walk(page, portal, name, path)
    page.context.close()


def test_a_platform_engineer_makes_one_and_a_data_scientist_launches_in_it(portal: Portal, browser: Browser) -> None:
    pete = sign_in(browser, portal, "pete")
    token = portal.token("pete", "read")
    status, seeded = portal.get(f"api/v1/runtimes/{SEED}/versions/1/", token)
    assert (status, seeded["status"]) == (200, "ready")
    # A line that is refused, then the notebook's own packages and one more.
    pete.goto(f"{portal.url}runtimes/new/")
    pete.get_by_label("Title").fill("Python 3.11 · forecasting")
    pete.get_by_label("Name").fill("forecasting")
    pete.get_by_label("Requirements").fill("-e .")
    pete.get_by_role("button", name="Lock and build").click()
    expect(pete.get_by_text("Line 1: “-e” is not possible here")).to_be_visible()
    pete.get_by_label("Requirements").fill(f"{seeded['requirements']}\ntabulate==0.9.0\n")
    pete.get_by_role("button", name="Lock and build").click()
    expect(pete).to_have_url(re.compile(r"/runtimes/forecasting/1/$"))
    # The page follows the making by itself.
    expect(pete.locator("header.page-head").get_by_text("Ready")).to_be_visible(timeout=BUILT_MS)
    expect(pete.get_by_role("row", name="tabulate 0.9.0")).to_be_visible()
    pete.context.close()

    dana = sign_in(browser, portal, "dana")
    dana.goto(f"{portal.url}{LAUNCH_FORM}")
    dana.get_by_label("Name", exact=True).fill("in forecasting")
    dana.locator("#id_team").select_option("churn")
    expect(dana.get_by_text("This machine has no GPU.")).to_have_count(1)
    dana.get_by_label("Python environment").select_option("forecasting@1")
    dana.get_by_label("Open when ready").uncheck()
    dana.get_by_role("button", name="Launch", exact=True).click()
    expect(dana).to_have_url(re.compile(r"/environments/[0-9a-f-]{36}/$"))
    own = portal.token("dana")
    row = portal.get("api/v1/environments/?search=in+forecasting", own)[1]["results"][0]  # type: ignore[index]
    notebook = Notebook(portal, own, str(row["id"]), str(row["slug"]), "in forecasting")
    try:
        assert notebook.settled("running")["runtime"] == "forecasting@1"
        dana.reload()
        expect(dana.get_by_role("link", name="Python 3.11 · forecasting, version 1")).to_be_visible()
    finally:
        dana.context.close()
        notebooks_destroy(portal, own, "in forecasting")
