"""The arithmetic and the words of the charts, in a browser: each against a figure worked out by hand or by NumPy."""

import json
import math
import re
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from django.conf import settings
from playwright.sync_api import Browser, Page

SCRIPTS = Path(settings.BASE_DIR) / "static" / "portal" / "js" / "charts"


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    made = browser.new_page()
    made.goto("about:blank")
    made.evaluate("window.Slipway = { announce() {}, duration: (seconds) => `${seconds} s` }")
    for name in ("colours", "statistics", "selection", "frame"):
        made.add_script_tag(path=str(SCRIPTS / f"{name}.js"))
    yield made
    made.close()


def run(page: Page, expression: str, *arguments: object):
    return page.evaluate(f"([...given]) => SlipwayCharts.{expression}(...given)", list(arguments))


def test_quartiles_are_numpys(page):
    values = [0.3, 0.91, 0.42, 0.5, 0.77, 0.12, 9.0]
    box = run(page, "statistics.box", values)
    expected = np.quantile(values, [0.25, 0.5, 0.75])
    assert [box["q1"], box["median"], box["q3"]] == pytest.approx(list(expected))
    assert (box["low"], box["high"], box["most"], box["n"]) == (0.12, 0.91, 9.0, 7)


def test_a_box_leaves_out_what_is_no_number_and_is_none_without_any(page):
    assert run(page, "statistics.box", [1, None, 3])["median"] == 2
    assert run(page, "statistics.box", [None]) is None


def test_smoothing_starts_at_the_first_value_and_keeps_gaps(page):
    assert run(page, "statistics.smooth", [1, None, 1, 1], 0.9) == pytest.approx([1, None, 1, 1])
    smooth = run(page, "statistics.smooth", [0, 1], 0.5)
    assert smooth == pytest.approx([0, 0.5 / 0.75])


def test_the_front_is_what_no_other_beats(page):
    points = [[1, 0.5], [2, 0.4], [3, 0.9], [1, 0.4], [4, 0.9], [5, None], [3, 0.9]]
    assert run(page, "statistics.pareto", points, False) == [0, 2, 6]
    assert run(page, "statistics.pareto", points, True) == [3]


def test_the_grid_goes_through_its_points_and_ends_at_their_hull(page):
    corners = [[0, 0, 1], [1, 0, 2], [0, 1, 3], [0.2, 0.2, 1.5]]
    grid = run(page, "statistics.grid", corners, 11)
    assert (grid[0][0], grid[0][10], grid[10][0]) == (1, 2, 3)
    assert grid[10][10] is None
    assert 1 <= grid[3][3] <= 3


def test_points_on_a_line_have_no_spread(page):
    assert run(page, "statistics.spread", [[0, 0], [0.5, 0.5], [1, 1]]) == 0
    assert run(page, "statistics.spread", [[0, 0], [1, 0], [1, 1], [0, 1]]) == 2


def test_curves_meet_on_one_axis_where_a_missing_place_is_not_a_gap(page):
    script = """() => {
      const [xs, a, b] = SlipwayCharts.statistics.align([{xs: [0, 2, 2], ys: [1, null, 3]}, {xs: [1, 2], ys: [5, 6]}]);
      const say = (values) => Array.from(values, (value) => (value === undefined ? "-" : value));
      return [say(xs), say(a), say(b)];
    }"""
    assert page.evaluate(script) == [[0, 1, 2, 2], [1, "-", None, 3], ["-", 5, 6, "-"]]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0.91314, "0.9131"),
        (4312, "4,312"),
        (-2, "−2"),
        (12345.678, "12,350"),
        (1234567.8, "1.235e+06"),
        (0.00001, "1e-05"),
    ],
)
def test_figures_have_four_digits(page, value, words):
    assert run(page, "figure", value) == words


def test_csv_quotes_and_keeps_spreadsheets_from_formulas(page):
    text = run(page, "csvText", [["a,b", 'say "x"', "=1+1", "-0.5", -0.5, None, "two\nlines"]])
    assert text == '"a,b","say ""x""",\'=1+1,-0.5,-0.5,,"two\nlines"\r\n'


def test_eight_runs_of_a_chart_are_told_apart_and_the_ninth_is_other(page):
    ids = [f"{number:032x}" for number in range(12)]
    slots = page.evaluate("ids => [...SlipwayCharts.runStyles(ids).values()].map((one) => one.slot)", ids)
    assert sorted(slots[:8]) == list(range(1, 9))
    assert slots[8:] == [0] * 4


def test_a_run_keeps_its_colour_on_the_next_chart(page):
    ids = [f"{number:032x}" for number in range(100, 108)]
    slots = page.evaluate("ids => [...SlipwayCharts.runStyles(ids).values()].map((one) => one.slot)", ids)
    alone = page.evaluate("ids => ids.map((id) => SlipwayCharts.runStyle(id).slot)", ids)
    backwards = page.evaluate("ids => [...SlipwayCharts.runStyles(ids).values()].map((one) => one.slot)", ids[::-1])
    assert alone == slots
    assert backwards == slots[::-1]


def test_twenty_picked_runs_are_told_apart_and_the_others_stay_grey(page):
    script = """(ids) => {
      const { selection, runStyles, pickedStyle } = SlipwayCharts;
      const base = runStyles(ids);
      ids.slice(8, 28).forEach((id) => selection.toggle(id, true));
      const styles = () => ids.map((id) => pickedStyle(id, base.get(id)));
      const first = styles();
      selection.toggle(ids[20], false);
      const second = styles();
      selection.clear();
      return [first, second].map((all) => all.map((one) => [one.slot, one.dash.join()]));
    }"""
    ids = [f"{number:032x}" for number in range(200, 230)]
    first, second = page.evaluate(script, ids)
    assert len({tuple(one) for one in first[:28]}) == 28
    assert {slot for slot, _ in first[:28]} == set(range(1, 21))
    assert first[28:] == [[0, ""]] * 2
    # One that is let go changes nobody else's.
    assert second == [[0, ""] if place == 20 else one for place, one in enumerate(first)]


def test_colours_of_the_charts_are_seen_and_told_apart_in_both_themes():
    """Each at least 3 to 1 against its ground, and no two of them alike."""
    css = (SCRIPTS.parents[1] / "css" / "charts.css").read_text()
    pairs = re.findall(r"--chart-(\d+|other): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)", css)
    assert [name for name, *_ in pairs] == [str(number) for number in range(1, 21)] + ["other"]
    for theme, ground in ((1, "#ffffff"), (2, "#14191f")):
        colours = {pair[0]: pair[theme] for pair in pairs}
        assert [name for name, one in colours.items() if contrast(one, ground) < 3] == []
        close = [(a, b) for a, b in combinations(colours, 2) if math.dist(oklab(colours[a]), oklab(colours[b])) < 0.08]
        assert close == []


def linear(colour: str) -> list[float]:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    return [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]


def contrast(colour: str, other: str) -> float:
    """WCAG 2.2: relative luminance of the lighter one over that of the darker one."""
    low, high = sorted(float(np.dot(linear(one), [0.2126, 0.7152, 0.0722])) for one in (colour, other))
    return (high + 0.05) / (low + 0.05)


def oklab(colour: str) -> list[float]:
    """Björn Ottosson, "A perceptual color space for image processing", 2020."""
    cones = np.cbrt(
        np.array(
            [
                [0.4122214708, 0.5363325363, 0.0514459929],
                [0.2119034982, 0.6806995451, 0.1073969566],
                [0.0883024619, 0.2817188376, 0.6299787005],
            ]
        )
        @ linear(colour)
    )
    turned = np.array(
        [
            [0.2104542553, 0.7936177850, -0.0040720468],
            [1.9779984951, -2.4285922050, 0.4505937099],
            [0.0259040371, 0.7827717662, -0.8086757660],
        ]
    )
    return list(turned @ cones)


def test_a_table_picks_its_runs_by_keyboard_and_keeps_its_place(page):
    script = """() => {
      const host = document.createElement("div");
      document.body.append(host);
      const { selection, tableShow } = SlipwayCharts;
      const rows = Array.from({ length: 150 }, (_, index) => ({ id: `run-${index}`, name: `run ${index}` }));
      const show = () => tableShow(host, { caption: "t", columns: [{ label: "Run", cell: (row) => row.name }], rows });
      selection.changed(show);
      show();
      [...host.querySelectorAll("button")].find((button) => button.textContent === "Next").click();
      const box = host.querySelector('[data-pick="run-120"]');
      box.focus();
      box.click();
      const picked = [...selection.picked];
      const now = document.activeElement;
      const told = [picked, now.dataset.pick, now.checked, now.getAttribute("aria-label"), now.closest("tr").className];
      selection.clear();
      return told;
    }"""
    assert page.evaluate(script) == [["run-120"], "run-120", True, "Pick run 120", "is-current"]


def test_a_name_with_markup_is_text(page):
    name = '<img src=x onerror="window.hacked = 1">'
    script = """(name) => {
      const host = document.createElement("div");
      document.body.append(host);
      SlipwayCharts.tableShow(host, { caption: name, columns: [{ label: name, cell: (row) => row }], rows: [name] });
      return [host.querySelectorAll("img").length, host.querySelector("tbody th").textContent, window.hacked ?? null];
    }"""
    assert page.evaluate(script, name) == [0, name, None]


def test_a_table_shows_a_hundred_rows_at_a_time(page):
    script = """() => {
      const host = document.createElement("div");
      document.body.append(host);
      const rows = Array.from({ length: 250 }, (_, index) => index);
      const columns = [{ label: "n", number: true, cell: (row) => row }];
      SlipwayCharts.tableShow(host, { caption: "t", columns, rows });
      const seen = () => [host.querySelectorAll("tbody tr").length, host.querySelector(".paging .num").textContent];
      const first = seen();
      host.querySelectorAll("button")[1].click();
      host.querySelectorAll("button")[1].click();
      return JSON.stringify([first, seen()]);
    }"""
    assert json.loads(page.evaluate(script)) == [[100, "1 to 100 of 250"], [50, "201 to 250 of 250"]]
