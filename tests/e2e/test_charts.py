"""Charts over a selection, in the browser: drawn, in a table, in a file, chosen together, in both themes."""

import csv
import io
import math
import random
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import requests
from playwright.sync_api import Browser, Locator, Page, expect

from tests.e2e.conftest import Portal, sign_in
from tests.e2e.test_pages import NARROW, PAINTED, STILL, WIDE, narrow_faults, shown, violations, watched

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]
HOSTILE = '<img src=x onerror="document.title=1">'
NUMBER = re.compile(r"\d+")
KINDS = ("parallel", "scatter", "cost", "contour", "box")
POINTS = 60
RUNS = 10


@dataclass
class Study:
    """An experiment with ten runs, the last of them still running; `ids` in the order they were made."""

    id: str
    ids: list[str]
    token: str
    portal: Portal

    def call(self, path: str, body: dict[str, object]) -> dict:
        url = f"{self.portal.url}mlflow/api/2.0/mlflow/{path}"
        answer = requests.post(url, json=body, headers={"Authorization": f"Bearer {self.token}"}, timeout=30)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def log(self, run_id: str, first: int, values: list[object]) -> None:
        began = 1_790_000_000_000
        rows = [
            {"key": "loss", "value": value, "step": step, "timestamp": began + step * 1000}
            for step, value in enumerate(values, first)
        ]
        self.call("runs/log-batch", {"run_id": run_id, "metrics": rows})


@pytest.fixture(scope="module")
def study(portal: Portal) -> Study:
    made = Study("", [], portal.token("dana", "mlflow"), portal)
    name = f"vision/charts-{random.randrange(10**6)}"
    made.id = str(made.call("experiments/create", {"name": name})["experiment_id"])
    for number in range(RUNS):
        began = 1_790_000_000_000 + number * 10_000
        named = {"experiment_id": made.id, "run_name": HOSTILE if number == 2 else f"run-{number}", "start_time": began}
        run_id = made.call("runs/create", named)["run"]["info"]["run_id"]
        made.ids.append(run_id)
        curve: list[object] = [2 * math.exp(-step / (10 + number)) + 0.1 for step in range(POINTS)]
        if number == 3:
            curve[30:34] = ["NaN"] * 4
        made.log(run_id, 0, curve)
        params = {"depth": 2 + number % 4, "lr": 10 ** -(1 + number % 3), "kind": "a" if number % 2 else "b"}
        rows = [{"key": key, "value": str(value)} for key, value in params.items()]
        accuracy = {"key": "accuracy", "value": 0.8 + number / 100, "timestamp": began, "step": 0}
        made.call("runs/log-batch", {"run_id": run_id, "params": rows, "metrics": [accuracy]})
        if number < RUNS - 1:
            end = {"run_id": run_id, "status": "FINISHED", "end_time": began + 1000 * (number + 1)}
            made.call("runs/update", end)
    return made


@pytest.fixture(scope="module")
def dana(browser: Browser, portal: Portal, study: Study) -> Iterator[Page]:
    """With the charts of the study open, once the index knows all of its runs."""
    page = sign_in(browser, portal, "dana")
    deadline = time.monotonic() + 90
    while True:
        answer = page.request.get(f"{portal.url}experiments/{study.id}/charts/values/?column=metrics.accuracy")
        known = answer.json()["columns"]["metrics.accuracy"] if answer.ok else []
        if len(known) == RUNS and None not in known:
            break
        assert time.monotonic() < deadline, known
        time.sleep(2)
    yield page
    page.context.close()


@pytest.fixture
def charts(dana: Page, portal: Portal, study: Study) -> Page:
    dana.set_viewport_size(WIDE)
    dana.goto(f"{portal.url}experiments/{study.id}/charts/")
    everything_drawn(dana)
    return dana


def everything_drawn(page: Page) -> None:
    """Charts are drawn when they come into view, so each is brought there."""
    expect(page.locator(".curve .chart-box canvas").first).to_be_visible()
    for kind in KINDS:
        page.locator(f"#chart-{kind}").scroll_into_view_if_needed()
        expect(page.locator(f"#chart-{kind} [data-chart-box]")).to_have_attribute("data-drawn", NUMBER, timeout=15_000)
    page.evaluate("scrollTo(0, 0)")


def curve(page: Page, metric: str) -> Locator:
    return page.locator(f'.curve[data-metric="{metric}"]')


def csv_of(page: Page, button: Locator) -> list[list[str]]:
    with page.expect_download() as download:
        button.click()
    text = download.value.path().read_text(encoding="utf-8-sig")
    return list(csv.reader(io.StringIO(text)))


def table_of(card: Locator) -> list[list[str]]:
    return card.locator("table tbody tr").evaluate_all(
        "rows => rows.map(row => [...row.cells].map(cell => cell.textContent))"
    )


def test_every_chart_is_drawn_without_a_complaint(dana, portal, study):
    dana.set_viewport_size(WIDE)
    with watched(dana, portal) as found:
        dana.goto(f"{portal.url}experiments/{study.id}/charts/")
        everything_drawn(dana)
    assert not found
    assert dana.title() != "1"
    for box in dana.locator("[data-chart-box], .curve .chart-box").all():
        assert box.locator("canvas").count() > 0
        painted = box.locator("canvas").first.evaluate(
            "one => one.getContext('2d').getImageData(0, 0, one.width, one.height).data.some(part => part)"
        )
        assert painted


def test_the_table_of_curves_is_what_was_logged(charts):
    card = curve(charts, "loss")
    expect(card.locator(".chart-note")).to_contain_text("run-3 (4 NaN)")
    card.get_by_role("button", name="Table of loss").click()
    rows = table_of(card)
    assert len(rows) == POINTS
    # Newest run first: run-9 is the first column, run-3 the seventh.
    assert rows[0][:2] == ["0", "2.1"]
    assert [row[7] for row in rows[29:35]] == [rows[29][7], "NaN", "NaN", "NaN", "NaN", rows[34][7]]
    heads = card.locator("thead th").all_text_contents()
    assert heads[0] == "Step"
    assert HOSTILE in heads


@pytest.mark.matrix
def test_the_file_of_curves_has_every_point(charts, study):
    rows = csv_of(charts, curve(charts, "loss").get_by_role("button", name="CSV of loss"))
    assert rows[0] == ["run_id", "run", "metric", "step", "time", "value"]
    assert len(rows) == 1 + RUNS * POINTS
    of_third = [row for row in rows[1:] if row[0] == study.ids[3]]
    assert [row[5] for row in of_third[30:34]] == ["NaN"] * 4
    assert float(of_third[0][5]) == pytest.approx(2.1)
    assert {row[1] for row in rows[1:]} >= {HOSTILE, "run-0"}


@pytest.mark.matrix
def test_tables_and_files_of_the_other_charts_agree(charts):
    for kind in KINDS:
        card = charts.locator(f"#chart-{kind}")
        card.get_by_role("button", name="Table").click()
        shown_rows = table_of(card)
        rows = csv_of(charts, card.get_by_role("button", name="CSV"))
        assert len(rows) - 1 == len(shown_rows), kind
        assert (
            len(shown_rows) == int(card.locator("[data-chart-box]").get_attribute("data-drawn") or 0) or kind == "box"
        )
    boxes = table_of(charts.locator("#chart-box"))
    assert sum(int(row[1]) for row in boxes) == RUNS


@pytest.mark.matrix
def test_a_picture_is_downloaded(charts):
    for card, name in ((curve(charts, "loss"), "PNG of loss"), (charts.locator("#chart-scatter"), "PNG of scatter")):
        with charts.expect_download() as download:
            card.get_by_role("button", name=name).click()
        assert download.value.path().read_bytes().startswith(b"\x89PNG")
        assert download.value.suggested_filename.endswith(".png")


def test_a_run_picked_in_the_legend_is_picked_everywhere(charts, study):
    card = charts.locator("#chart-scatter")
    card.get_by_role("button", name="Table").click()
    charts.locator("[data-curves-legend]").get_by_role("button", name="run-4").click()
    expect(card.locator(f'tr[data-run="{study.ids[4]}"]')).to_have_class("is-current")
    expect(charts.locator("[data-charts-bar]")).to_contain_text("1 run picked")
    charts.locator("[data-curves-legend]").get_by_role("button", name="run-5").click()
    compare = charts.get_by_role("link", name="Compare")
    assert compare.get_attribute("href") == f"/experiments/compare/?run={study.ids[4]}&run={study.ids[5]}"
    charts.reload()
    expect(charts.locator("[data-curves-legend] [aria-pressed=true]")).to_have_count(2)
    charts.get_by_role("button", name="Clear").click()
    expect(charts.locator("[data-charts-bar]")).to_be_hidden()


@pytest.mark.matrix
def test_a_run_is_picked_by_keyboard(charts, study):
    box = charts.locator("#chart-cost [data-chart-box]")
    box.focus()
    box.press("End")
    expect(charts.locator("#chart-cost [data-chart-read]")).to_contain_text("run-8")
    expect(charts.locator("#chart-cost [data-chart-read]")).to_contain_text("on the Pareto front")
    box.press("Enter")
    expect(charts.locator("[data-charts-bar]")).to_contain_text("1 run picked")
    plot = curve(charts, "loss").locator(".chart-box")
    plot.focus()
    plot.press("ArrowDown")
    plot.press("End")
    expect(curve(charts, "loss").locator(".chart-read")).to_contain_text(f"step {POINTS - 1}")
    charts.keyboard.press("Escape")


@pytest.mark.matrix
def test_a_brush_along_an_axis_narrows_the_other_charts(charts):
    charts.locator("#chart-scatter").get_by_role("button", name="Table").click()
    parallel = charts.locator("#chart-parallel [data-chart-box]")
    parallel.scroll_into_view_if_needed()
    area = parallel.bounding_box()
    assert area
    x = area["x"] + area["width"] - 60  # the last axis, accuracy: its upper half is the better half
    charts.mouse.move(x, area["y"] + 24)
    charts.mouse.down()
    charts.mouse.move(x, area["y"] + 100, steps=5)
    charts.mouse.move(x, area["y"] + area["height"] / 2, steps=5)
    charts.mouse.up()
    bar = charts.locator("[data-charts-bar]")
    expect(bar).to_contain_text("of 10 runs left by the axes")
    left = int(bar.inner_text().split(" of ")[0])
    assert 3 <= left <= 7
    assert len(table_of(charts.locator("#chart-scatter"))) == left
    assert charts.get_by_role("link", name="Only these runs").get_attribute("href").count("run=") == left
    charts.get_by_role("button", name="Clear").click()
    assert len(table_of(charts.locator("#chart-scatter"))) == RUNS


@pytest.mark.matrix
def test_axes_are_narrowed_and_runs_picked_by_keyboard(charts):
    scatter = charts.locator("#chart-scatter")
    scatter.get_by_role("button", name="Table").press("Enter")
    charts.get_by_role("button", name="Narrow").press("Enter")
    ranges = charts.get_by_role("group", name="Narrow the runs")
    ranges.get_by_label("accuracy from").fill("0.845")
    ranges.get_by_label("accuracy from").press("Tab")
    bar = charts.locator("[data-charts-bar]")
    expect(bar).to_contain_text("5 of 10 runs left by the axes")
    assert len(table_of(scatter)) == 5
    ranges.get_by_label("kind").select_option("a")
    expect(bar).to_contain_text("3 of 10 runs left by the axes")
    charts.keyboard.press("Escape")
    box = scatter.get_by_role("checkbox", name="Pick run-7")
    box.press("Space")
    expect(box).to_be_checked()
    expect(box).to_be_focused()
    expect(bar).to_contain_text("1 run picked")
    charts.get_by_role("button", name="Clear").press("Enter")
    assert len(table_of(scatter)) == RUNS
    expect(charts.locator('.chart-ranges [aria-label="accuracy from"]')).to_have_value("")


@pytest.mark.matrix
def test_a_box_leads_to_the_rows_behind_it(charts, portal, study):
    card = charts.locator("#chart-box")
    card.get_by_label("Group by").select_option("params.kind")
    box = card.locator("[data-chart-box]")
    box.focus()
    box.press("Home")
    expect(card.locator("[data-chart-read]")).to_contain_text("kind a")
    link = card.locator("[data-chart-read]").get_by_role("link", name="Show 5 runs")
    assert "filter=" in (link.get_attribute("href") or "")
    query = (link.get_attribute("href") or "").partition("?")[2]
    behind = charts.request.get(f"{portal.url}experiments/{study.id}/charts/values/?{query}").json()
    assert len(behind["runs"]) == 5


@pytest.mark.matrix
def test_choices_stay_in_the_address(charts):
    charts.locator("#metric-curves").get_by_label("Axis").select_option("relative")
    charts.get_by_label("Log scale").check()
    charts.get_by_label("Smoothing").fill("0.5")
    charts.locator("#chart-scatter [name=x]").select_option("params.depth")
    charts.locator("#chart-scatter [name=y]").select_option("duration")
    for part in ("axis=relative", "log=1", "smooth=0.5", "chart-scatter-y=duration"):
        assert part in charts.url
    charts.reload()
    everything_drawn(charts)
    assert charts.locator("#metric-curves").get_by_label("Axis").input_value() == "relative"
    assert charts.locator("#chart-scatter [name=y]").input_value() == "duration"


def test_without_mlflow_the_curves_say_so_and_the_other_charts_go_on(dana, portal, study):
    said = {"title": "The MLflow server does not answer just now", "detail": "Nothing is lost.", "status": 503}
    dana.route("**/charts/curves/**", lambda route: route.fulfill(status=503, json=said))
    dana.goto(f"{portal.url}experiments/{study.id}/charts/")
    card = curve(dana, "loss")
    expect(card).to_contain_text("The MLflow server does not answer just now")
    scatter = dana.locator("#chart-scatter [data-chart-box]")
    scatter.scroll_into_view_if_needed()
    expect(scatter).to_have_attribute("data-drawn", NUMBER, timeout=15_000)
    dana.unroute("**/charts/curves/**")
    card.get_by_role("button", name="Try again").click()
    expect(card.locator("canvas")).to_be_visible()


@pytest.mark.matrix
def test_curves_of_a_running_run_grow_by_themselves(charts, study):
    card = curve(charts, "loss")
    before = int(card.locator(".chart-box").get_attribute("data-drawn") or 0)
    study.log(study.ids[-1], POINTS, [0.1] * 5)
    expect(card.locator(".chart-box")).to_have_attribute("data-drawn", str(before + 5), timeout=20_000)


def test_charts_follow_the_theme_and_fit_narrow_screens(charts):
    charts.evaluate(STILL)
    shown(charts, WIDE, "light")
    found = violations(charts)
    ground = "one => [...one.getContext('2d').getImageData(0, 0, one.width, one.height).data].slice(0, 4e5).join()"
    canvas = charts.locator("#chart-cost canvas").first
    light = canvas.evaluate(ground)
    shown(charts, WIDE, "dark")
    charts.evaluate(PAINTED)
    assert canvas.evaluate(ground) != light
    found += violations(charts, "color-contrast")
    shown(charts, NARROW, "dark")
    assert not found + narrow_faults(charts)
    shown(charts, WIDE, "light")


def test_a_stranger_finds_no_charts(browser, portal, study):
    page = sign_in(browser, portal, "mallory")
    assert page.goto(f"{portal.url}experiments/{study.id}/charts/").status == 404
    page.context.close()
