"""A platform engineer gives a team credentials; a member hears by name what is given; nobody reads a value again."""

import pytest
from playwright.sync_api import Browser, expect

from tests.e2e.conftest import Portal, sign_in
from tests.e2e.notebook import LAUNCH_FORM
from tests.e2e.test_policies import look

pytestmark = [pytest.mark.e2e, pytest.mark.matrix, pytest.mark.timeout(300)]

SECRET = "canary-of-the-browser-66b2"


def test_credentials_are_set_shown_by_name_and_replaced(portal: Portal, browser: Browser) -> None:
    page = sign_in(browser, portal, "pete", java_script_enabled=False)
    page.goto(f"{portal.url}variable-sets/")
    page.get_by_role("link", name="Add variable set").click()
    page.get_by_label("Name", exact=True).fill("Cloud of churn")
    page.locator("#id_team").select_option("churn")
    page.locator("#id_target").select_option("local")
    page.get_by_role("button", name="Add variable set").click()
    expect(page.get_by_role("heading", name="Cloud of churn", exact=True)).to_be_visible()
    address = page.url
    try:
        page.get_by_role("link", name="Add variable").click()
        page.get_by_label("Name", exact=True).fill("LD_PRELOAD")
        page.get_by_label("Value").fill(SECRET)
        page.get_by_role("button", name="Set variable").click()
        expect(page.get_by_text("Names that begin with LD_ are")).to_be_visible()
        assert SECRET not in page.content()
        page.get_by_label("Name", exact=True).fill("CLOUD_KEY")
        page.get_by_label("Value").fill(SECRET)
        page.get_by_role("button", name="Set variable").click()
        expect(page.get_by_role("region", name="Names and values")).to_contain_text("secret, not shown")
        page.get_by_role("link", name="Set value of CLOUD_KEY").click()
        edited = page.url
        page.get_by_label("New value").fill(f"{SECRET}-second")
        page.get_by_role("button", name="Set value").click()
        expect(page.get_by_text("CLOUD_KEY is set. Changes that begin from now on use it.")).to_be_visible()
        assert SECRET not in page.content()

        dana = sign_in(browser, portal, "dana")
        dana.goto(f"{portal.url}{LAUNCH_FORM}")
        dana.get_by_text("Given by variable sets").click()
        expect(dana.get_by_role("complementary", name="What you get")).to_contain_text("Cloud of churn: CLOUD_KEY")
        dana.get_by_role("link", name="Cloud of churn").first.click()
        expect(dana.get_by_role("region", name="Names and values")).to_contain_text("secret, not shown")
        expect(dana.get_by_role("link", name="Add variable")).to_have_count(0)
        assert SECRET not in dana.content()
        dana.context.close()

        base = f"{portal.url}variable-sets/"
        pages = {"sets": base, "set": address, "set-new": f"{base}new/", "variable-new": f"{address}variables/new/"}
        pages |= {"variable": edited, "set-edit": f"{address}edit/"}
        look(browser, portal, "pete", pages | {"counting": f"{base}counting/?team=churn&target=local"})
    finally:
        page.goto(address)
        page.get_by_text("Delete this set").click()
        page.get_by_role("button", name="Delete Cloud of churn").click()
    expect(page.get_by_text("Cloud of churn is deleted.")).to_be_visible()
    page.context.close()
