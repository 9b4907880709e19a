"""The runs table when something comes between: somebody else, signing out, going back, a small screen."""

import random
import re

from playwright.sync_api import Page, expect

from tests.e2e.test_runs_table import dana, head, keeping, pytestmark, study, table, token

__all__ = ["dana", "pytestmark", "study", "table", "token"]


def test_a_note_in_its_cell_shows_what_somebody_else_wrote_meanwhile(table: Page) -> None:
    row = table.locator(".runs-table tbody tr", has_text="run-2")
    field, link, word = row.get_by_role("textbox"), row.locator("[data-note]"), random.randrange(10**6)
    link.click()
    other = table.context.new_page()
    other.goto(table.url)
    there = other.locator(".runs-table tbody tr", has_text="run-2")
    there.locator("[data-note]").click()
    there.get_by_role("textbox").fill(f"first {word}")
    there.get_by_role("textbox").press("Enter")
    expect(there.locator("[data-note]")).to_have_text(f"first {word}")
    other.close()
    field.fill(f"second {word}")
    field.press("Enter")
    expect(row.get_by_role("alert")).to_contain_text(f"Somebody wrote “first {word}” meanwhile.")
    expect(field).to_have_value(f"second {word}")
    # Leaving the field decides nothing; Escape keeps theirs.
    table.get_by_label("Filter runs").focus()
    expect(row.get_by_role("alert")).to_be_visible()
    field.press("Escape")
    expect(link).to_have_text(f"first {word}")
    link.click()
    field.fill(f"second {word}")
    field.press("Enter")
    expect(link).to_have_text(f"second {word}")


def test_a_note_is_not_called_saved_by_somebody_who_is_signed_out(table: Page) -> None:
    row = table.locator(".runs-table tbody tr", has_text="run-3")
    kept_cookies = table.context.cookies()
    row.locator("[data-note]").click()
    table.context.clear_cookies()
    row.get_by_role("textbox").fill("is it there")
    row.get_by_role("textbox").press("Enter")
    expect(row.get_by_role("alert")).to_contain_text("Not saved")
    expect(row.get_by_role("textbox")).to_have_value("is it there")
    table.context.add_cookies(kept_cookies)  # type: ignore[arg-type]


def test_going_back_finds_the_selection_and_its_bar_again(table: Page) -> None:
    boxes = table.locator(".runs-table tbody input[name=run]")
    # Beside the box is as good as in it.
    table.locator(".runs-table tbody td.cell-check").nth(0).click(position={"x": 3, "y": 3})
    boxes.nth(1).check()
    expect(table.locator("[data-bulk]")).to_contain_text("2 runs")
    table.get_by_role("button", name="Compare").click()
    expect(table.get_by_role("heading", name="Compare 2 runs")).to_be_visible()
    heads = table.locator(".compare-table thead th").nth(1)
    assert heads.evaluate("head => getComputedStyle(head).backgroundColor") != "rgba(0, 0, 0, 0)"
    table.go_back()
    expect(table.locator("[data-bulk]")).to_contain_text("2 runs")
    assert boxes.evaluate_all("all => all.filter(box => box.checked).length") == 2


def test_tagged_runs_stay_selected(table: Page) -> None:
    boxes, bar = table.locator(".runs-table tbody input[name=run]"), table.locator("[data-bulk]")
    for number in (1, 3):
        boxes.nth(number).check()
    bar.get_by_role("button", name="Tag").click()
    bar.get_by_label("Tag", exact=True).fill("stage")
    bar.get_by_label("Value").fill("kept")
    bar.get_by_role("button", name="Tag runs").click()
    expect(table.locator(".messages, .toast, [role=status]").filter(has_text="tag").first).to_be_visible()
    expect(bar).to_contain_text("2 runs")
    assert [boxes.nth(number).is_checked() for number in range(4)] == [False, True, False, True]
    # Once: who comes to the list again begins anew.
    table.goto(table.url)
    expect(bar).to_be_hidden()


def test_the_selected_runs_are_exported(table: Page) -> None:
    boxes = table.locator(".runs-table tbody input[name=run]")
    for number in (0, 2):
        boxes.nth(number).check()
    table.locator("[data-bulk]").get_by_role("button", name="Export").click()
    with table.expect_download() as download:
        table.get_by_role("button", name="CSV of the selected").click()
    lines = download.value.path().read_text().splitlines()
    assert len(lines) == 3
    expect(table.locator("[data-bulk]")).to_contain_text("2 runs")


def test_a_width_of_a_column_is_none_of_a_phones_business(table: Page) -> None:
    with keeping(table):
        head(table, "duration").get_by_role("separator").press("ArrowRight")
        for _ in range(10):
            head(table, "duration").get_by_role("separator").press("ArrowRight")
    table.set_viewport_size({"width": 360, "height": 740})
    table.reload()
    cell = table.locator(".runs-table tbody tr").first.locator('td[data-label="Duration"]')
    box = cell.bounding_box()
    assert box
    assert box["width"] < 140
    check = table.locator(".runs-table tbody td.cell-check").first.bounding_box()
    assert check
    assert min(check["width"], check["height"]) >= 24
    table.set_viewport_size({"width": 1000, "height": 700})


def test_a_chart_without_mlflow_says_so_once(table: Page) -> None:
    said = "The MLflow server does not answer just now"
    problem = {"title": said, "detail": f"{said}. Nothing is lost; try again in a moment.", "status": 503}
    table.route("**/charts/curves/**", lambda route: route.fulfill(status=503, json=problem))
    try:
        table.locator(".runs-table tbody").get_by_role("link", name="run-1").first.click()
        table.get_by_role("link", name="Metrics", exact=True).click()
        box = table.locator('.curve[data-metric="accuracy"]')
        expect(box).to_contain_text("Nothing is lost; try again in a moment.")
        assert str(box.text_content()).count(said) == 1
    finally:
        table.unroute_all()


def test_a_note_without_spaces_does_not_widen_the_page(table: Page) -> None:
    table.locator(".runs-table tbody").get_by_role("link", name="run-0").first.click()
    table.get_by_role("link", name="Add note").or_(table.get_by_role("link", name="Edit note")).first.click()
    table.locator("#note-form textarea").fill("x" * 5000)
    table.locator("#note-form").get_by_role("button", name="Save note").click()
    expect(table.locator("#note-shown")).to_contain_text("xxxx")
    assert table.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def test_a_link_that_mlflows_client_prints_leads_to_its_run(table: Page) -> None:
    run = (table.locator(".runs-table tbody th a").first.get_attribute("href") or "").split("/")[3]
    table.goto(table.url.partition("/experiments")[0] + f"/mlflow/#/experiments/1/runs/{run}")
    expect(table).to_have_url(re.compile(f"/experiments/runs/{run}/$"))
    expect(table.get_by_role("tab", name="Overview").or_(table.get_by_role("link", name="Overview"))).to_be_visible()
