"""Cells of the runs table. There are a thousand and more on a page, so each is one formatted string."""

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from html import escape
from typing import Any, NamedTuple

from django.utils import timezone
from django.utils.safestring import SafeString

from apps.core.templatetags.portal_ui import duration, four_digits, time_element
from apps.core.templatetags.portal_ui import elapsed as elapsed_tag
from apps.core.templatetags.portal_ui import status as status_tag
from apps.experiments.models import Run
from apps.experiments.selectors.columns import OWN
from apps.experiments.selectors.layout import Shown
from apps.experiments.selectors.listed import ListedRun
from apps.experiments.views.finding import experiment_url, run_url

TEXT_SHOWN = 80
TITLE_SHOWN = 600
TONES = {
    Run.Status.RUNNING: "busy",
    Run.Status.SCHEDULED: "neutral",
    Run.Status.FINISHED: "good",
    Run.Status.FAILED: "bad",
    Run.Status.KILLED: "warn",
}
GIGABYTE_HOUR = 2**30 * 3600
SPANS = frozenset({"duration", "core_seconds", "gpu_seconds"})
MOMENTS = frozenset({"started_at", "ended_at"})
NUMERIC = SPANS | {"memory_byte_seconds"}
MISSING = object()  # in place of a metric that a run has not logged; None is NaN


def label_of(shown: Shown) -> str:
    return OWN[shown.column.key] if not shown.column.kind else shown.column.key


def is_numeric(shown: Shown) -> bool:
    return shown.column.kind == "metrics" or shown.key in NUMERIC


def holds_numbers(shown: Shown, rows: Sequence[dict[str, Any]]) -> bool:
    """Whether every value of a parameter or tag is a number, so that its head stands where they do."""
    if shown.column.kind not in {"params", "tags"}:
        return False
    said = [str(value) for values in rows if (value := values.get(shown.key)) is not None]
    return bool(said) and all(map(_is_number, said))


class Cell(NamedTuple):
    """Class, title and what is shown; the last two are HTML: whatever people wrote in them is escaped."""

    css: str
    title: str
    html: str


NO_NUMBER, NAN, NO_TEXT = Cell("cell-num num", "", ""), Cell("cell-num num", "", "NaN"), Cell("cell-text", "", "")


class Cells:
    """Makes the cells of rows with the same columns; what a column's cells have in common is made once."""

    def __init__(self, columns: Sequence[Shown], baseline: dict[str, Any] | None) -> None:
        self.baseline = baseline
        self.now, self.zone = timezone.now(), timezone.get_current_timezone()
        self.columns = [
            (
                shown,
                shown.key,
                make := self._maker(shown),
                MISSING if shown.column.kind == "metrics" else None,
                is_numeric(shown),
                f'{" cell-pinned" if shown.pinned else ""}" data-label="{escape(label_of(shown))}"',
                {} if make is _text else None,
            )
            for shown in columns
        ]

    def of(self, run: ListedRun, values: dict[str, Any], *, compared: bool = True) -> SafeString:
        """The cells behind the name; with a baseline, numbers say how far they are from its own."""
        base = self.baseline if compared else None
        cells = []
        for shown, key, make, absent, numeric, label, same in self.columns:
            value = values.get(key, absent)
            if same is not None and value in same:  # Runs are tried with the same few values, by the same few people.
                cells.append(same[value])
                continue
            css, title, html = make(run, value)
            if base is not None and numeric:
                difference = _difference(values.get(key), base.get(key), shown)
                if difference:
                    html = f'{html} <span class="run-delta">{difference}</span>'
            said = f' title="{title}"' if title else ""
            cell = f'<td class="{css}{label}{said}>{html}</td>'
            if same is not None:
                same[value] = cell
            cells.append(cell)
        return SafeString("".join(cells))

    def _maker(self, shown: Shown) -> Callable[[ListedRun, Any], Cell]:
        if shown.column.kind == "metrics":
            return _metric
        if shown.key in MOMENTS:
            return self._time
        return _text if shown.column.kind else OWN_CELLS.get(shown.key, _text)

    def _time(self, run: ListedRun, value: Any) -> Cell:
        return Cell("cell-meta num", "", time_element(value, "relative", self.now, self.zone) if value else "")


def _metric(run: ListedRun, value: Any) -> Cell:
    """None is NaN, which a run that has not logged the metric does not show."""
    if value is MISSING:
        return NO_NUMBER
    if value is None:
        return NAN
    return Cell("cell-num num", repr(value), four_digits(value))


def _text(run: ListedRun, value: Any) -> Cell:
    if value is None:
        return NO_TEXT
    text = str(value)
    css = "cell-num num" if _is_number(text) else "cell-text"
    if len(text) > TEXT_SHOWN:
        return Cell(css, escape(_short(text, TITLE_SHOWN)), escape(_short(text, TEXT_SHOWN)))
    shown = escape(text)
    return Cell(css, shown if len(text) > 20 else "", shown)


def _is_number(text: str) -> bool:
    if len(text) > 30:
        return False
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _short(text: str, size: int) -> str:
    return text if len(text) <= size else f"{text[: size - 1]}…"


@lru_cache(maxsize=16)
def _status_said(status: str) -> Cell:
    known = Run.Status(status) if status in Run.Status.values else None
    return Cell("cell-state", "", status_tag(TONES[known], known.label) if known else escape(status))


def _status(run: ListedRun, value: Any) -> Cell:
    return _status_said(run.status)


def _experiment(run: ListedRun, value: Any) -> Cell:
    return _experiment_said(run.experiment_id, run.experiment.name)


@lru_cache(maxsize=2048)
def _experiment_said(experiment_id: str, name: str) -> Cell:
    link = f'<a href="{experiment_url(experiment_id)}">{escape(_short(name, 60))}</a>'
    return Cell("cell-text", escape(name), link)


def _note(run: ListedRun, value: Any) -> Cell:
    first = next((line for line in run.note.splitlines() if line.strip()), "")
    link = (
        f'<a class="run-note" href="{run_url(run.run_id)}note/" data-note="{run.run_id}" '
        f'aria-label="Edit the note of {escape(_short(run.name or run.run_id, TEXT_SHOWN))}">'
        f"{escape(_short(first, TEXT_SHOWN)) if first else '–'}</a>"
    )
    return Cell("cell-note", escape(_short(run.note, TITLE_SHOWN)), link)


def _duration(run: ListedRun, value: Any) -> Cell:
    if value is None and run.status in Run.ACTIVE and run.started_at:
        return Cell("cell-num num", "", elapsed_tag(run.started_at))
    return _span(run, value)


def _span(run: ListedRun, value: Any) -> Cell:
    return NO_NUMBER if value is None else Cell("cell-num num", f"{value:g} s", duration(value))


def _memory(run: ListedRun, value: Any) -> Cell:
    if value is None:
        return NO_NUMBER
    return Cell("cell-num num", f"{value:g} byte seconds", f"{four_digits(value / GIGABYTE_HOUR)} GB·h")


def _commit(run: ListedRun, value: Any) -> Cell:
    return Cell("cell-meta font-monospace", escape(run.commit), escape(run.commit[:8]))


def _datasets(run: ListedRun, value: Any) -> Cell:
    sets = value if isinstance(value, list) else []
    names = [f"{one.get('name', '')} ({str(one.get('digest', ''))[:8]})" for one in sets if isinstance(one, dict)]
    said = ", ".join(names)
    return Cell("cell-text", escape(_short(said, TITLE_SHOWN)), escape(_short(said, TEXT_SHOWN)))


OWN_CELLS: dict[str, Callable[[ListedRun, Any], Cell]] = {
    "status": _status,
    "experiment": _experiment,
    "note": _note,
    "duration": _duration,
    "core_seconds": _span,
    "gpu_seconds": _span,
    "memory_byte_seconds": _memory,
    "commit": _commit,
    "datasets": _datasets,
}


def _difference(value: Any, base: Any, shown: Shown) -> str:
    """ "+0.0131", against the baseline; nothing where either is no number."""
    if not isinstance(value, int | float) or not isinstance(base, int | float) or value == base:
        return ""
    gap = value - base
    if not math.isfinite(gap):
        return ""
    sign = "+" if gap > 0 else "−"
    if shown.key in SPANS:
        return f"{sign}{duration(abs(gap))}"
    return f"{sign}{four_digits(abs(gap) / GIGABYTE_HOUR if shown.key == 'memory_byte_seconds' else abs(gap))}"
