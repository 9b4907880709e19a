"""The bench's own arithmetic, its page, and what it reads from processes and events."""

import os

import pytest

from bench.figures import Figure, limited, median, number, percentile, table
from bench.load import Page, Taken
from bench.memory import descendants, memory_of
from bench.page import BEGIN, END, PAGE, page_text, run_lines
from bench.processes import environ_plain, wait_until
from bench.start import MARK, delays


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [([5], 0.95, 5), (range(1, 101), 0.95, 95), (range(1, 21), 0.95, 19), ([3, 1, 2], 0.5, 2), ([3, 1, 2], 1.0, 3)],
)
def test_a_percentile_is_the_nearest_rank(values: list[float], share: float, expected: float) -> None:
    assert percentile(list(values), share) == expected


def test_a_median_of_two_is_their_mean() -> None:
    assert (median([1, 4]), median([9, 1, 5])) == (2.5, 5)
    with pytest.raises(ValueError, match="nothing"):
        median([])
    with pytest.raises(ValueError, match="nothing"):
        percentile([], 0.95)


def test_a_ratio_is_ours_against_the_bare_tool() -> None:
    assert Figure("click", "x", 3.0, "s", 2.0).ratio == 1.5
    assert Figure("click", "x", 3.0, "s").ratio is None


def test_a_limit_is_missed_at_itself() -> None:
    assert [limited("up", "x", seconds, "s", 10.0).holds for seconds in (9.9, 10.0, 11.0)] == [True, False, False]


def test_the_table_says_what_was_missed() -> None:
    lines = table([limited("up", "later", 12.0, "s", 10.0), Figure("click", "ready", 2.4, "s", 2.0, "by hand")])
    assert lines[2] == "| up | later | 12.0 s |  |  | under 10 s | **missed** |"
    assert lines[3] == "| click | ready | 2.40 s | 2.00 s (by hand) | 1.20 |  |  |"
    assert (number(1234.5, "ms"), number(0.123, "s")) == ("1,234 ms", "0.12 s")


def test_only_what_is_between_the_marks_is_replaced() -> None:
    page = f"head\n{BEGIN}\nold\n{END}\ntail\n"
    text = page_text(page, ["new"])
    assert text == f"head\n{BEGIN}\n\nnew\n\n{END}\ntail\n"
    assert page_text(text, ["new"]) == text
    with pytest.raises(ValueError, match="marks"):
        page_text("nothing", ["new"])
    assert BEGIN in PAGE.read_text()


def test_a_run_tells_its_targets_and_what_it_could_not_measure() -> None:
    lines = run_lines([limited("up", "a", 1, "s", 2), limited("up", "b", 3, "s", 2)], ["proxy"])
    assert lines[-2:] == ["1 of 2 targets hold.", "Could not be measured: proxy."]


def test_a_line_is_timed_by_what_it_says_itself() -> None:
    build = {"stream": "build", "lines": [{"at": "2026-01-01T00:00:00+00:00", "text": "x"}]}
    said = {"stream": "application", "lines": [{"text": f"{MARK} 100.5"}, {"text": "GET /api 200"}]}
    assert list(delays(build, 1_767_225_601.0)) == [("build", 1.0)]
    assert list(delays(said, 101.0)) == [("application", 0.5)]


def test_an_answer_that_is_no_page_is_not_timed() -> None:
    taken, page = Taken(), Page("dana", "home", "/", {})
    taken.add(page, 0.1, 200)
    taken.add(page, 9.0, 500)
    assert (taken.all, taken.wrong) == ([0.1], ["/ as dana: 500"])


def test_this_process_has_memory_and_is_found() -> None:
    pss, rss = memory_of(os.getpid())
    assert 0 < pss <= rss
    assert os.getpid() in descendants(os.getpid(), "/no/such/folder")
    assert memory_of(2**22 + 1) == (0.0, 0.0)


def test_a_measurement_never_meets_a_portal_of_somebody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://theirs")
    monkeypatch.setenv("SLIPWAY_DATA", "/theirs")
    assert {"DATABASE_URL", "SLIPWAY_DATA"}.isdisjoint(environ_plain())


def test_waiting_ends_with_a_name() -> None:
    with pytest.raises(TimeoutError, match="the flood"):
        wait_until(lambda: False, 0.05, "the flood", pause=0.01)
