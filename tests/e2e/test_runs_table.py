"""The runs table in the browser: columns moved, resized, pinned by mouse and by keyboard; notes, selecting, filter."""

import random
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlencode

import pytest
import requests
from playwright.sync_api import Browser, Locator, Page, expect

from tests.e2e.conftest import Portal, sign_in

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]
RUNS = 4
# Wider than the window, so that some are out of sight.
COLUMNS = ["status", "note", "started_at", "duration", "metrics.accuracy", "metrics.loss"]
COLUMNS += ["params.depth", "params.kind", "params.lr", "params.seed", "user"]


def call(portal: Portal, token: str, path: str, body: dict[str, object]) -> dict:
    url = f"{portal.url}mlflow/api/2.0/mlflow/{path}"
    answer = requests.post(url, json=body, headers={"Authorization": f"Bearer {token}"}, timeout=30)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.fixture(scope="module")
def token(portal: Portal) -> str:
    return portal.token("dana", "mlflow")


@pytest.fixture(scope="module")
def study(portal: Portal, token: str) -> str:
    name = f"vision/table-{random.randrange(10**6)}"
    ident = str(call(portal, token, "experiments/create", {"name": name})["experiment_id"])
    for number in range(RUNS):
        began = 1_790_000_000_000 + number * 10_000
        made = {"experiment_id": ident, "run_name": f"run-{number}", "start_time": began}
        run_id = call(portal, token, "runs/create", made)["run"]["info"]["run_id"]
        params = {"depth": number, "kind": "a long kind of tree" if number % 2 else "b", "lr": 0.1, "seed": 7}
        metrics = {"accuracy": 0.8 + number / 100, "loss": 1 - number / 10}
        body = {
            "run_id": run_id,
            "params": [{"key": key, "value": str(value)} for key, value in params.items()],
            "metrics": [{"key": key, "value": value, "timestamp": began, "step": 0} for key, value in metrics.items()],
        }
        call(portal, token, "runs/log-batch", body)
        call(portal, token, "runs/update", {"run_id": run_id, "status": "FINISHED", "end_time": began + 5000})
    return ident


@pytest.fixture(scope="module")
def dana(browser: Browser, portal: Portal, study: str) -> Iterator[Page]:
    page = sign_in(browser, portal, "dana", reduced_motion="reduce")
    page.set_viewport_size({"width": 1000, "height": 700})
    deadline = time.monotonic() + 60
    address, done = f"{portal.url}experiments/{study}/", page.locator(".runs-table tbody tr", has_text="Finished")
    while page.goto(address) and done.count() < RUNS:
        assert time.monotonic() < deadline, "The runs are not in the index"
        time.sleep(1)
    yield page
    page.context.close()


@pytest.fixture
def table(dana: Page, portal: Portal, study: str) -> Page:
    """With the columns as given, none of them pinned or sized, scrolled to the left."""
    columns_set(dana, portal, study)
    dana.goto(f"{portal.url}experiments/{study}/")
    return dana


def columns_set(page: Page, portal: Portal, study: str, *pinned: str) -> None:
    form = [("experiment", study), *(("column", key) for key in COLUMNS), *(("pinned", key) for key in pinned)]
    token = page.evaluate("window.Slipway.csrfToken()")
    headers = {"X-CSRFToken": token, "X-Requested-With": "fetch", "Content-Type": "application/x-www-form-urlencoded"}
    headers["Referer"] = portal.url
    answer = page.request.post(f"{portal.url}experiments/columns/keep/", data=urlencode(form), headers=headers)
    assert answer.status == 204


def head(page: Page, key: str) -> Locator:
    return page.locator(f'.runs-table thead th[data-key="{key}"]')


def keys(page: Page) -> list[str]:
    found: list[str] = page.locator(".runs-table thead th[data-key]").evaluate_all(
        "heads => heads.map(head => head.dataset.key)"
    )
    return found[1:]


def moved(key: str, before: str, order: list[str] | None = None) -> list[str]:
    """The order with one column put before another; "" puts it last."""
    found = [one for one in order or COLUMNS if one != key]
    found.insert(found.index(before) if before else len(found), key)
    return found


def scroll(page: Page, left: int) -> None:
    page.locator(".runs-list").evaluate("(list, left) => { list.scrollLeft = left }", left)


@contextmanager
def keeping(page: Page) -> Iterator[None]:
    """Until what was changed has been kept."""
    with page.expect_response(re.compile("/columns/keep/")) as answer:
        yield
    assert answer.value.status == 204


def drag(page: Page, key: str, target: str, share: float) -> None:
    """With the button of the mouse held, from the middle of one head to a share of another's width."""
    source, aim = head(page, key).bounding_box(), head(page, target).bounding_box()
    assert source
    assert aim
    y = source["y"] + source["height"] / 2
    page.mouse.move(source["x"] + source["width"] / 2, y)
    page.mouse.down()
    page.mouse.move(aim["x"] + aim["width"] * share, y, steps=8)
    with keeping(page):
        page.mouse.up()


def kept(page: Page, order: list[str]) -> None:
    """So in the page, in each of its rows, and after a reload."""
    assert keys(page) == order
    assert page.locator(".runs-table tbody tr").count() == RUNS
    place = 2 + order.index("metrics.accuracy")
    cells = page.locator(".runs-table tbody tr").evaluate_all(
        "(rows, place) => rows.map(row => row.children[place].textContent)", place
    )
    assert sorted(cells) == ["0.8", "0.81", "0.82", "0.83"]
    page.reload()
    assert keys(page) == order


def test_a_column_is_dragged_to_where_it_is_dropped(table: Page) -> None:
    drag(table, "status", "duration", 0.8)
    kept(table, moved("status", "metrics.accuracy"))
    drag(table, "duration", "note", 0.2)
    kept(table, moved("duration", "note", moved("status", "metrics.accuracy")))


@pytest.mark.matrix
def test_a_step_to_the_right_is_one(table: Page) -> None:
    drag(table, "note", "started_at", 0.7)
    kept(table, moved("note", "duration"))


@pytest.mark.matrix
@pytest.mark.parametrize("pinned", [[], ["duration"]])
def test_a_column_is_dragged_where_the_table_is_scrolled(
    table: Page, portal: Portal, study: str, pinned: list[str]
) -> None:
    columns_set(table, portal, study, *pinned)
    table.reload()
    order = [*pinned, *(key for key in COLUMNS if key not in pinned)]
    assert keys(table) == order
    scroll(table, 10_000)
    assert table.locator(".runs-list").evaluate("list => list.scrollLeft") > 100
    drag(table, "params.seed", "params.lr", 0.2)
    kept(table, moved("params.seed", "params.lr", order))
    scroll(table, 10_000)
    drag(table, "params.seed", "user", 0.9)
    kept(table, moved("params.seed", "", order))


@pytest.mark.matrix
def test_a_pinned_column_stays_beside_the_name(table: Page, portal: Portal, study: str) -> None:
    table.get_by_role("link", name="Columns").click()
    row = table.locator(".columns-chosen li", has_text="duration")
    row.get_by_label("Pinned").check()
    table.get_by_role("button", name="Show columns").click()
    assert keys(table)[0] == "duration"
    name, before = head(table, "name").bounding_box(), head(table, "duration").bounding_box()
    scroll(table, 300)
    assert head(table, "duration").bounding_box() == before
    assert name
    assert before
    assert abs(before["x"] - name["x"] - name["width"]) < 2
    # Dropped on what is pinned, a column goes to the first place of those that are not.
    scroll(table, 0)
    drag(table, "metrics.accuracy", "duration", 0.1)
    assert keys(table)[:2] == ["duration", "metrics.accuracy"]


@pytest.mark.matrix
def test_escape_takes_a_drag_back_and_a_click_still_orders(table: Page) -> None:
    box = head(table, "note").bounding_box()
    assert box
    table.mouse.move(box["x"] + 10, box["y"] + 10)
    table.mouse.down()
    table.mouse.move(box["x"] + 300, box["y"] + 10, steps=5)
    expect(head(table, "note")).to_have_class(re.compile("is-dragged"))
    table.keyboard.press("Escape")
    table.mouse.up()
    assert keys(table) == COLUMNS
    assert "ordering" not in table.url
    head(table, "metrics.accuracy").get_by_role("link").click()
    table.wait_for_url(re.compile(r"ordering=-metrics\.accuracy"))
    expect(head(table, "metrics.accuracy")).to_have_attribute("aria-sort", "descending")


@pytest.mark.matrix
def test_the_left_bar_stays_where_a_page_is_longer_than_the_window(table: Page) -> None:
    table.set_viewport_size({"width": 1000, "height": 260})
    table.evaluate("scrollTo(0, 10000)")
    assert table.evaluate("scrollY") > 40
    bar = table.locator("#sidebar").bounding_box()
    table.set_viewport_size({"width": 1000, "height": 700})
    assert bar
    assert bar["y"] == 48
    assert bar["y"] + bar["height"] == 260


def test_columns_are_moved_by_keyboard(table: Page) -> None:
    link = head(table, "started_at").get_by_role("link")
    link.focus()
    for _ in range(2):
        with keeping(table):
            table.keyboard.press("Alt+ArrowRight")
    expect(link).to_be_focused()
    kept(table, moved("started_at", "metrics.loss"))
    # The first of them can go no further, and a column that orders nothing has its edge.
    head(table, "status").get_by_role("separator").focus()
    table.keyboard.press("Alt+ArrowLeft")
    grip = head(table, "note").get_by_role("separator")
    grip.focus()
    with keeping(table):
        table.keyboard.press("Alt+ArrowLeft")
    expect(grip).to_be_focused()
    kept(table, moved("note", "status", moved("started_at", "metrics.loss")))


def width(page: Page, key: str) -> int:
    return round(head(page, key).evaluate("head => head.getBoundingClientRect().width"))


def test_a_column_is_resized_by_mouse_and_by_keyboard(table: Page) -> None:
    before = width(table, "duration")
    grip = head(table, "duration").get_by_role("separator")
    box = grip.bounding_box()
    assert box
    table.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    table.mouse.down()
    table.mouse.move(box["x"] + box["width"] / 2 + 80, box["y"] + 5, steps=5)
    with keeping(table):
        table.mouse.up()
    assert keys(table) == COLUMNS
    assert abs(width(table, "duration") - before - 80) <= 1
    kept(table, COLUMNS)
    assert abs(width(table, "duration") - before - 80) <= 1
    grip.focus()
    with keeping(table):
        table.keyboard.press("ArrowLeft")
    assert abs(width(table, "duration") - before - 64) <= 1
    assert grip.get_attribute("aria-valuenow") == str(width(table, "duration"))
    kept(table, COLUMNS)
    assert abs(width(table, "duration") - before - 64) <= 1
    with keeping(table):
        grip.dblclick()
    kept(table, COLUMNS)
    assert abs(width(table, "duration") - before) <= 1


def test_a_note_is_edited_in_place(table: Page) -> None:
    row = table.locator(".runs-table tbody tr", has_text="run-1")
    text = f"half the rows {random.randrange(10**6)}"
    row.locator("[data-note]").click()
    field = row.get_by_role("textbox")
    expect(field).to_be_focused()
    field.fill("never mind")
    field.press("Escape")
    expect(row).not_to_contain_text("never mind")
    row.locator("[data-note]").focus()
    table.keyboard.press("Enter")
    field.fill(text)
    field.press("Enter")
    expect(row.locator("[data-note]")).to_have_text(text)
    expect(row.locator("[data-note]")).to_be_focused()
    table.reload()
    expect(row.locator("[data-note]")).to_have_text(text)


def test_selected_rows_bring_up_what_can_be_done_with_them(table: Page) -> None:
    bar = table.locator("[data-bulk]")
    boxes = table.locator(".runs-table tbody input[name=run]")
    expect(bar).to_be_hidden()
    boxes.nth(0).check()
    expect(bar).to_contain_text("1 run")
    expect(bar.get_by_role("button", name="Compare")).to_be_disabled()
    boxes.nth(2).click(modifiers=["Shift"])
    expect(bar).to_contain_text("3 runs")
    expect(table.get_by_label("Select all on this page")).to_have_js_property("indeterminate", True)
    table.get_by_label("Select all on this page").check()
    expect(bar).to_contain_text(f"{RUNS} runs")
    bar.get_by_role("button", name="Select nothing").click()
    expect(bar).to_be_hidden()
    # The same by keyboard: j and k go from row to row, x selects.
    for key in "jxjx":
        table.keyboard.press(key)
    expect(bar).to_contain_text("2 runs")
    table.get_by_label("Select all on this page").check()
    bar.get_by_role("button", name="Compare").press("Enter")
    expect(table.get_by_role("heading", name=f"Compare {RUNS} runs")).to_be_visible()
    # A run has one line everywhere: above its column and in the legend of the curves.
    table.locator("[data-curves-grid]").scroll_into_view_if_needed()
    legend = table.locator("[data-curves-legend] .chart-swatch")
    expect(legend).to_have_count(RUNS)
    lines = "all => all.map(one => one.getAttribute('class'))"
    assert legend.evaluate_all(lines) == table.locator("[data-run-swatch] svg").evaluate_all(lines)


@pytest.mark.matrix
def test_a_value_logged_once_is_said_not_drawn(table: Page) -> None:
    table.locator(".runs-table tbody").get_by_role("link", name="run-1").first.click()
    table.get_by_role("link", name="Metrics", exact=True).click()
    card = table.locator('.curve[data-metric="accuracy"]')
    expect(card).to_contain_text("0.81")
    expect(card).to_contain_text("Logged once, at step 0.")
    expect(card.get_by_role("button", name="PNG of accuracy")).to_be_disabled()
    expect(card.get_by_role("button", name="CSV of accuracy")).to_be_enabled()


def test_the_filter_completes_what_is_typed(table: Page) -> None:
    field = table.get_by_label("Filter runs")
    table.keyboard.press("/")
    expect(field).to_be_focused()
    table.keyboard.type("metrics.acc")
    option = table.get_by_role("option", name="metrics.accuracy")
    expect(option).to_be_visible()
    expect(field).to_have_attribute("aria-expanded", "true")
    table.keyboard.press("ArrowDown")
    expect(option).to_have_attribute("aria-selected", "true")
    table.keyboard.press("Enter")
    expect(field).to_have_value("metrics.accuracy ")
    table.keyboard.type("> 0.815")
    table.keyboard.press("Enter")
    table.wait_for_url(re.compile("filter="))
    expect(table.locator(".runs-table tbody tr")).to_have_count(2)
    table.get_by_role("link", name="Remove metrics.accuracy > 0.815").click()
    expect(table.locator(".runs-table tbody tr")).to_have_count(RUNS)


def test_new_runs_of_all_experiments_are_announced(table: Page, portal: Portal, study: str, token: str) -> None:
    table.goto(f"{portal.url}experiments/runs/?filter=name+%3D+%27late%27")
    expect(table.locator("body")).to_have_attribute("data-live-state", "live")
    named = {"experiment_id": study, "run_name": "late", "start_time": 1_790_000_900_000}
    late = call(portal, token, "runs/create", named)["run"]["info"]["run_id"]
    call(portal, token, "runs/update", {"run_id": late, "status": "FINISHED", "end_time": 1_790_000_905_000})
    fresh = table.locator("#runs-fresh")
    expect(fresh).to_contain_text("new run", timeout=30_000)
    fresh.get_by_role("link", name="Show").click()
    expect(table.locator(".runs-table tbody tr").first).to_contain_text("late")
