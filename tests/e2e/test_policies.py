"""A platform engineer writes a policy, tries it on past plans and switches it on; it denies a plan and says why."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.e2e.conftest import Portal, sign_in
from tests.e2e.notebook import LAUNCH_FORM, notebooks_destroy

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300), pytest.mark.matrix]

NAME = "too large for the rules"
RULES = """package slipway

deny contains {
	"rule": "small-only",
	"msg": sprintf("%v GB of memory is more than 3 GB.", [input.request.inputs.memory_gb]),
	"cure": "Choose a size of 3 GB or less.",
} if {
	input.request.environment == "too large for the rules"
	input.request.inputs.memory_gb > 3
}
"""
PICTURES = os.environ.get("SLIPWAY_E2E_PICTURES")


@pytest.fixture
def pete(portal: Portal, browser: Browser) -> Iterator[Page]:
    page = sign_in(browser, portal, "pete", java_script_enabled=False)
    yield page
    page.context.close()


def look(browser: Browser, portal: Portal, username: str, addresses: dict[str, str]) -> None:
    """Each page is accessible and fits: wide in light, narrow in dark, and for pictures all four."""
    for theme in ("light", "dark"):
        page = sign_in(browser, portal, username, color_scheme=theme)
        for name, address in addresses.items():
            for width in (1440, 360) if PICTURES else ({"light": 1440, "dark": 360}[theme],):
                page.set_viewport_size({"width": width, "height": 900})
                page.goto(address)
                if PICTURES:
                    page.screenshot(path=str(Path(PICTURES) / f"{name}-{theme}-{width}.png"), full_page=True)
                assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), (name, width)
                found = Axe().run(page).response["violations"]
                assert not found, (name, theme, width, [(one["id"], one["nodes"][0]["html"]) for one in found])
        page.context.close()


def test_a_policy_denies_a_plan(portal: Portal, browser: Browser, pete: Page) -> None:
    slug = f"small-only-{int(time.time())}"
    try:
        pete.goto(f"{portal.url}policies/new/")
        pete.get_by_label("Title").fill("Small sizes only")
        pete.get_by_label("Name", exact=True).fill(slug)
        pete.get_by_label("Rules").fill(RULES.replace("> 3", "> > 3"))
        pete.get_by_role("button", name="Test against the last 50 plans").click()
        expect(pete.get_by_text("Line 9, column")).to_be_visible()
        pete.get_by_label("Rules").fill(RULES)
        pete.get_by_role("button", name="Test against the last 50 plans").click()
        expect(pete.locator("#trial-title")).to_be_visible()
        pete.get_by_role("button", name="Store policy").click()
        pete.get_by_role("button", name="Switch on").click()
        expect(pete.get_by_text("Small sizes only is on")).to_be_visible()

        dana = sign_in(browser, portal, "dana")
        dana.goto(f"{portal.url}{LAUNCH_FORM}?team=churn&memory_gb=4&cpu=1")
        dana.get_by_label("Name", exact=True).fill(NAME)
        dana.get_by_role("button", name="Launch", exact=True).click()
        expect(dana.locator("#page-head")).to_contain_text("Couldn't start", timeout=60_000)
        shown = dana.locator("main")
        expect(shown).to_contain_text("rule “small-only”, does not allow this: 4 GB of memory is more than 3 GB.")
        expect(shown).to_contain_text("Choose a size of 3 GB or less.")
        environment = dana.url
        dana.get_by_role("link", name="See the whole change").click()
        expect(dana.get_by_role("region", name="Findings")).to_contain_text("Denied")
        change = dana.url
        dana.context.close()

        base = f"{portal.url}policies/"
        pages = {"list": base, "policy": f"{base}{slug}/", "edit": f"{base}{slug}/edit/", "change": change}
        pages |= {"version": f"{base}{slug}/versions/1/", "new": f"{base}new/", "settings": f"{base}{slug}/settings/"}
        pages |= {"inputs": f"{base}inputs/", "input": f"{base}inputs/local-notebook/", "environment": environment}
        look(browser, portal, "pete", pages)

        pete.goto(f"{portal.url}policies/{slug}/")
        pete.get_by_role("button", name="Test against the last 50 plans").click()
        expect(pete.get_by_role("region", name="Past plans")).to_contain_text(f"Launch {NAME}")
        expect(pete.get_by_role("region", name="Past plans")).to_contain_text("Denied")
        if PICTURES:
            pete.screenshot(path=str(Path(PICTURES) / "trial.png"), full_page=True)
    finally:
        portal.call("POST", f"api/v1/policies/{slug}/disable/", {}, portal.token("pete"))
        notebooks_destroy(portal, portal.token("dana"), NAME)
