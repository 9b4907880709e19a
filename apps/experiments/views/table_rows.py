"""Rows and heads of the runs table, ready for its template."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.http import QueryDict
from django.urls import reverse

from apps.core.templatetags.portal_ui import four_digits
from apps.experiments.models import Run
from apps.experiments.selectors.families import Family
from apps.experiments.selectors.layout import Table
from apps.experiments.selectors.ordering import COLUMNS
from apps.experiments.selectors.runs import RunQuery
from apps.experiments.views.finding import query_kept
from apps.experiments.views.table_cells import is_numeric, label_of, row_cells


@dataclass(frozen=True)
class Drawn:
    """What the rows of one page have in common."""

    get: QueryDict
    query: RunQuery
    table: Table
    families: Sequence[Family]
    below: dict[str, list[Run]]
    baseline: Run | None
    base_values: dict[str, Any] | None

    def row(self, run: Run, *, depth: int = 0) -> dict[str, Any]:
        is_base = self.baseline is not None and run.pk == self.baseline.pk
        values = self.table.values.get(run.pk, {})
        return {
            "run": run,
            "url": run_url(run.run_id),
            "short": run.run_id[:8],
            "depth": depth,
            "baseline": is_base,
            "cells": row_cells(run, self.table.columns, values, None if is_base else self.base_values),
        }

    def baseline_row(self) -> dict[str, Any] | None:
        if self.baseline is None or self.base_values is None:
            return None
        row = self.row(self.baseline)
        return {**row, "cells": row_cells(self.baseline, self.table.columns, self.base_values, None)}

    def heads(self) -> list[dict[str, Any]]:
        """The name first; each with the address that orders by it, the other way where it does already."""
        name = {"key": "name", "label": "Run", "kind": "", "numeric": False, "pinned": True, "width": None}
        heads = [name]
        heads += [
            {
                "key": shown.key,
                "label": label_of(shown),
                "kind": {"metrics": "Metric", "params": "Parameter", "tags": "Tag"}.get(shown.column.kind, ""),
                "numeric": is_numeric(shown),
                "pinned": shown.pinned,
                "width": shown.width,
            }
            for shown in self.table.columns
        ]
        return [{**head, **self._sorting(str(head["key"]), bool(head["numeric"]))} for head in heads]

    def _sorting(self, key: str, numeric: bool) -> dict[str, str]:
        ordering = self.query.ordering
        sorts = key in COLUMNS or "." in key
        if ordering.column == key:
            turned = key if ordering.descending else f"-{key}"
            return {"sort": "descending" if ordering.descending else "ascending", "url": self._url(turned)}
        first = f"-{key}" if numeric or key in {"started_at", "ended_at"} else key
        return {"sort": "", "url": self._url(first) if sorts else ""}

    def _url(self, ordering: str) -> str:
        return f"?{query_kept(self.get, ordering=ordering)}"


def rows_drawn(runs: Sequence[Run], drawn: Drawn) -> list[dict[str, Any]]:
    """A row for each run, behind an open family those below it."""
    by_top = {family.top.pk: family for family in drawn.families}
    rows: list[dict[str, Any]] = []
    for run in runs:
        row = drawn.row(run)
        family = by_top.get(run.pk)
        children = drawn.below.get(run.run_id, [])
        if family is not None and (family.children or not family.matches):
            row["family"] = _family(drawn, family, bool(children))
        rows.append(row)
        rows += [drawn.row(child, depth=1) for child in children]
    return rows


def _family(drawn: Drawn, family: Family, is_open: bool) -> dict[str, Any]:
    opened = [one for one in drawn.get.getlist("open") if one != family.top.run_id]
    kept = query_kept(drawn.get, open=opened if is_open else [*opened, family.top.run_id])
    cursor = drawn.get.get("cursor", "")
    said = f"{family.children:,} run{'' if family.children == 1 else 's'}"
    if family.best is not None:
        said += f", best {four_digits(family.best)}"
    return {
        "url": f"?{kept}{f'&cursor={cursor}' if cursor else ''}#run-{family.top.run_id}",
        "open": is_open,
        "said": said,
        "metric": family.metric,
        "children": family.children,
        "matches": family.matches,
    }


_RUN_URL: list[str] = []


def run_url(run_id: str) -> str:
    """Reversing an address a hundred times a page shows in its time."""
    if not _RUN_URL:
        _RUN_URL.append(reverse("experiments:run", args=["0" * 32]))
    return _RUN_URL[0].replace("0" * 32, run_id)
