"""The runs table ordered in place: the page stays, the list is made anew and everything in it works as before."""

import re

from playwright.sync_api import Page, expect

from tests.e2e.conftest import Portal
from tests.e2e.test_runs_table import dana, drag, head, keys, moved, pytestmark, scroll, study, table, token

__all__ = ["dana", "pytestmark", "study", "table", "token"]


def order_by(page: Page, key: str) -> None:
    """By a click on its head, and until the list that comes for it is there."""
    page.evaluate("document.querySelector('.runs-table').dataset.old = '1'")
    head(page, key).get_by_role("link").click()
    expect(page.locator(".runs-table:not([data-old])")).to_be_visible()


def test_the_page_stays_and_the_list_works_on(table: Page) -> None:
    table.evaluate("window.staysHere = true")
    scroll(table, 120)
    order_by(table, "metrics.accuracy")
    assert table.evaluate("window.staysHere")
    expect(head(table, "metrics.accuracy")).to_have_attribute("aria-sort", "descending")
    assert "ordering=-metrics.accuracy" in table.url
    names = table.locator(".runs-table tbody th a")
    expect(names).to_have_text(["run-3", "run-2", "run-1", "run-0"])
    expect(table.locator("#announcer")).to_contain_text("4 runs, by Metric accuracy, descending")
    assert table.locator(".runs-list").evaluate("list => list.scrollLeft") == 120
    # The keyboard goes on from where it was.
    expect(head(table, "metrics.accuracy").get_by_role("link")).to_be_focused()
    table.keyboard.press("Enter")
    expect(head(table, "metrics.accuracy")).to_have_attribute("aria-sort", "ascending")
    expect(names).to_have_text(["run-0", "run-1", "run-2", "run-3"])

    bar = table.locator("[data-bulk]")
    expect(bar).to_be_hidden()
    table.get_by_label("Select all on this page").check()
    expect(bar).to_contain_text("4 runs")
    scroll(table, 0)
    drag(table, "note", "duration", 0.9)
    assert keys(table) == moved("note", "metrics.accuracy")
    row = table.locator(".runs-table tbody tr", has_text="run-1")
    row.locator("[data-note]").click()
    row.get_by_role("textbox").fill("ordered")
    row.get_by_role("textbox").press("Enter")
    expect(row.locator("[data-note]")).to_have_text("ordered")


def test_what_stands_around_the_list_leads_on_in_its_order(table: Page) -> None:
    order_by(table, "metrics.loss")
    expect(table.get_by_role("link", name="Charts", exact=True)).to_have_attribute("href", re.compile("-metrics.loss"))
    table.get_by_label("Filter runs").fill("metrics.accuracy > 0.8")
    table.get_by_label("Filter runs").press("Enter")
    expect(table.locator(".runs-table tbody th a")).to_have_text(["run-1", "run-2", "run-3"])
    order_by(table, "metrics.accuracy")
    table.get_by_role("link", name="Remove metrics.accuracy > 0.8").click()
    expect(table.locator(".runs-table tbody th a")).to_have_text(["run-3", "run-2", "run-1", "run-0"])
    assert "ordering=-metrics.accuracy" in table.url


def test_a_view_keeps_the_order_it_was_saved_in(table: Page) -> None:
    order_by(table, "metrics.loss")
    table.get_by_role("button", name="Views").click()
    table.get_by_label("Save this view as").fill("Least loss")
    table.get_by_role("button", name="Save view").click()
    expect(table.get_by_text("Least loss is saved.")).to_be_visible()
    assert "ordering=-metrics.loss" in table.url
    order_by(table, "metrics.accuracy")
    table.get_by_role("button", name="Views").click()
    table.get_by_role("link", name="Least loss").click()
    table.wait_for_url(re.compile("ordering=-metrics.loss"))
    order_by(table, "duration")
    table.get_by_role("button", name="Views").click()
    table.get_by_role("button", name="Delete Least loss").click()
    expect(table.get_by_text("Least loss is deleted.")).to_be_visible()
    assert "ordering=-duration" in table.url
    expect(table.get_by_role("link", name="Least loss")).to_have_count(0)


def test_going_back_is_the_order_before(table: Page) -> None:
    order_by(table, "metrics.loss")
    order_by(table, "metrics.accuracy")
    table.go_back()
    expect(head(table, "metrics.loss")).to_have_attribute("aria-sort", "descending")
    expect(table.locator(".runs-table tbody th a")).to_have_text(["run-0", "run-1", "run-2", "run-3"])
    expect(table.locator("[data-bulk]")).to_be_hidden()


def test_somebody_signed_out_is_asked_to_sign_in(table: Page, portal: Portal) -> None:
    kept_cookies = table.context.cookies()
    table.context.clear_cookies()
    head(table, "metrics.loss").get_by_role("link").click()
    expect(table.get_by_label("Password")).to_be_visible()
    assert "metrics.loss" in table.url
    table.context.add_cookies(kept_cookies)  # type: ignore[arg-type]

    table.goto(f"{portal.url}experiments/")
    table.context.clear_cookies()
    table.get_by_role("searchbox", name="Name or note").fill("vision")
    expect(table.get_by_label("Password")).to_be_visible()
    assert "vision" in table.url
    table.context.add_cookies(kept_cookies)  # type: ignore[arg-type]
