"""Cells of the runs table. There are a thousand and more on a page, so each is one formatted string."""

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from html import escape
from typing import Any
from urllib.parse import quote

from django.urls import reverse
from django.utils.safestring import SafeString

from apps.core.templatetags.portal_ui import duration, four_digits
from apps.core.templatetags.portal_ui import elapsed as elapsed_tag
from apps.core.templatetags.portal_ui import status as status_tag
from apps.core.templatetags.portal_ui import time as time_tag
from apps.experiments.models import Run
from apps.experiments.selectors.columns import OWN
from apps.experiments.selectors.layout import Shown

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
NUMERIC = SPANS | {"memory_byte_seconds"}


def label_of(shown: Shown) -> str:
    return OWN[shown.column.key] if not shown.column.kind else shown.column.key


def is_numeric(shown: Shown) -> bool:
    return shown.column.kind == "metrics" or shown.key in NUMERIC


class Cells:
    """Makes the cells of rows with the same columns; what a column's cells have in common is made once."""

    def __init__(self, columns: Sequence[Shown], baseline: dict[str, Any] | None) -> None:
        self.baseline = baseline
        self.columns = [
            (shown, is_numeric(shown), escape(label_of(shown)), " cell-pinned" if shown.pinned else "")
            for shown in columns
        ]

    def of(self, run: Run, values: dict[str, Any], *, compared: bool = True) -> SafeString:
        """The cells behind the name; with a baseline, numbers say how far they are from its own."""
        base = self.baseline if compared else None
        return SafeString("".join([self._cell(run, *column, values, base) for column in self.columns]))

    def _cell(
        self,
        run: Run,
        shown: Shown,
        numeric: bool,
        label: str,
        pinned: str,
        values: dict[str, Any],
        base: dict[str, Any] | None,
    ) -> str:
        css, title, text = cell_of(run, shown, values)
        shown_text = text if isinstance(text, SafeString) else escape(text)
        if base is not None and numeric:
            difference = _difference(values.get(shown.key), base.get(shown.key), shown)
            if difference:
                shown_text = f'{shown_text} <span class="run-delta">{difference}</span>'
        said = f' title="{escape(title)}"' if title else ""
        return f'<td class="{css}{pinned}" data-label="{label}"{said}>{shown_text}</td>'


def cell_of(run: Run, shown: Shown, values: dict[str, Any]) -> tuple[str, str, Any]:
    """Class, title and text of one cell."""
    key, value = shown.key, values.get(shown.key)
    if shown.column.kind == "metrics":
        return "cell-num num", *_number(value, there=key in values)
    if shown.column.kind:
        return _text_cell(value)
    if key in OWN_CELLS:
        return OWN_CELLS[key](run, value)
    return _text_cell(value)


def _number(value: Any, *, there: bool) -> tuple[str, str]:
    if value is None:
        return "", "NaN" if there else ""
    return repr(value), four_digits(value)


def _text_cell(value: Any) -> tuple[str, str, str]:
    text = "" if value is None else str(value)
    css = "cell-num num" if text and _is_number(text) else "cell-text"
    if len(text) <= TEXT_SHOWN:
        return css, text if len(text) > 20 else "", text
    return css, _short(text, TITLE_SHOWN), _short(text, TEXT_SHOWN)


def _is_number(text: str) -> bool:
    if len(text) > 30:
        return False
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _short(text: str, size: int) -> str:
    return text if len(text) <= size else f"{text[: size - 1]}…"


def _status(run: Run, value: Any) -> tuple[str, str, Any]:
    return "cell-state", "", _status_said(run.status)


@lru_cache(maxsize=16)
def _status_said(status: str) -> str:
    known = Run.Status(status) if status in Run.Status.values else None
    return status_tag(TONES[known], known.label) if known else status


def _experiment(run: Run, value: Any) -> tuple[str, str, Any]:
    link = f'<a href="{experiment_url(run.experiment_id)}">{escape(_short(value, 60))}</a>'
    return "cell-text", value, SafeString(link)


def _note(run: Run, value: Any) -> tuple[str, str, Any]:
    first = next((line for line in run.note.splitlines() if line.strip()), "")
    link = (
        f'<a class="run-note" href="{run_url(run.run_id)}note/" data-note="{escape(run.run_id)}" '
        f'aria-label="Edit the note of {escape(_short(run.name or run.run_id, TEXT_SHOWN))}">'
        f"{escape(_short(first, TEXT_SHOWN)) or '–'}</a>"
    )
    return "cell-note", _short(run.note, TITLE_SHOWN), SafeString(link)


def _time(run: Run, value: Any) -> tuple[str, str, Any]:
    return "cell-meta num", "", time_tag(value) if value else ""


def _duration(run: Run, value: Any) -> tuple[str, str, Any]:
    if value is None and run.status in Run.ACTIVE and run.started_at:
        return "cell-num num", "", elapsed_tag(run.started_at)
    return _span(run, value)


def _span(run: Run, value: Any) -> tuple[str, str, Any]:
    return ("cell-num num", "", "") if value is None else ("cell-num num", f"{value:g} s", duration(value))


def _memory(run: Run, value: Any) -> tuple[str, str, Any]:
    if value is None:
        return "cell-num num", "", ""
    return "cell-num num", f"{value:g} byte seconds", f"{four_digits(value / GIGABYTE_HOUR)} GB·h"


def _commit(run: Run, value: Any) -> tuple[str, str, Any]:
    return "cell-meta font-monospace", value or "", (value or "")[:8]


def _datasets(run: Run, value: Any) -> tuple[str, str, Any]:
    sets = value if isinstance(value, list) else []
    names = [f"{one.get('name', '')} ({str(one.get('digest', ''))[:8]})" for one in sets if isinstance(one, dict)]
    return "cell-text", _short(", ".join(names), TITLE_SHOWN), _short(", ".join(names), TEXT_SHOWN)


OWN_CELLS: dict[str, Callable[[Run, Any], tuple[str, str, Any]]] = {
    "status": _status,
    "experiment": _experiment,
    "note": _note,
    "started_at": _time,
    "ended_at": _time,
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


@lru_cache(maxsize=1)
def _run_url() -> tuple[str, str]:
    """Before and behind the id: reversing an address two hundred times a page shows in its time."""
    before, _, behind = reverse("experiments:run", args=["0" * 32]).partition("0" * 32)
    return before, behind


def run_url(run_id: str) -> str:
    before, behind = _run_url()
    return f"{before}{quote(run_id)}{behind}"


@lru_cache(maxsize=2048)
def experiment_url(experiment_id: str) -> str:
    return reverse("experiments:experiment", args=[experiment_id])
