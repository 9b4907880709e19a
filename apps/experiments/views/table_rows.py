"""Rows and heads of the runs table, ready for its template."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape
from typing import Any
from urllib.parse import quote

from django.http import QueryDict
from django.utils.safestring import SafeString

from apps.core.templatetags.portal_ui import four_digits, icon
from apps.experiments.selectors.columns import NOUNS
from apps.experiments.selectors.families import Family
from apps.experiments.selectors.layout import Table
from apps.experiments.selectors.listed import ListedRun
from apps.experiments.selectors.ordering import COLUMNS
from apps.experiments.selectors.runs import RunQuery
from apps.experiments.views.finding import query_kept, run_url
from apps.experiments.views.table_cells import Cells, holds_numbers, is_numeric, label_of

NAME_SHOWN = 60
HEAD_SHOWN = 32
CHILD = ' class="run-child"'
DIM = ' class="run-dim" title="Itself not of the filter; runs below it are"'


@dataclass
class Drawn:
    """What the rows of one page have in common."""

    get: QueryDict
    query: RunQuery
    table: Table
    families: Sequence[Family]
    below: dict[str, list[ListedRun]]
    baseline: ListedRun | None
    base_values: dict[str, Any] | None

    @cached_property
    def cells(self) -> Cells:
        return Cells(self.table.columns, self.base_values)

    def row(self, run: ListedRun, *, family: dict[str, Any] | None = None, depth: int = 0) -> SafeString:
        """One row. Text that people wrote goes through `escape`; there are a hundred rows, so no template does it."""
        name, run_id, short = escape(_short(run.name) or run.run_id[:8]), escape(run.run_id), escape(run.run_id[:8])
        is_base = self.baseline is not None and run.pk == self.baseline.pk
        fold, told, link = _family_parts(family, name) if family else ("", "", "")
        cells = self.cells.of(run, self.table.values.get(run.pk, {}), compared=not is_base)
        return SafeString(
            f'<tr id="run-{run_id}" data-run="{run_id}"{CHILD if depth else ""}>'
            f'<td class="cell-check"><input type="checkbox" class="form-check-input" name="run" '
            f'value="{run_id}" form="runs-bulk" aria-label="Select {name}"></td>'
            f'<th scope="row" class="cell-name">{fold}<a href="{run_url(run.run_id)}"{link}>{name}</a> '
            f'<span class="cell-sub font-monospace">{short}</span>{told}</th>{cells}</tr>'
        )

    def baseline_row(self) -> dict[str, Any] | None:
        if self.baseline is None or self.base_values is None:
            return None
        return {
            "run": self.baseline,
            "url": run_url(self.baseline.run_id),
            "cells": self.cells.of(self.baseline, self.base_values, compared=False),
        }

    def heads(self) -> SafeString:
        """The name first; each with the address that orders by it, the other way where it does already."""
        rows = list(self.table.values.values())
        heads = [self._head("name", "Run", 'class="cell-name"', numeric=False)]
        for shown in self.table.columns:
            numeric = is_numeric(shown) or holds_numbers(shown, rows)
            css = f"{'cell-num' if numeric else ''}{' cell-pinned' if shown.pinned else ''}"
            width = f' data-width="{shown.width}"' if shown.width else ""
            heads.append(self._head(shown.key, label_of(shown), f'class="{css}"{width}', numeric=numeric))
        return SafeString("".join(heads))

    def _head(self, key: str, label: str, attributes: str, *, numeric: bool) -> str:
        sort, url = self._sorting(key, numeric)
        kind = NOUNS.get(key.partition(".")[0], "").capitalize()
        shown = escape(label if len(label) <= HEAD_SHOWN else f"{label[: HEAD_SHOWN - 1]}…")
        if url:
            said = f'<span class="head-kind">{kind}</span> ' if kind else ""
            title = f"{kind} {escape(label)}" if kind else escape(label)
            ident = f"by-{quote(key, safe='.')}"  # What had the focus before the list was made anew has it again.
            shown = f'<a id="{ident}" href="{escape(url)}" title="{title}">{said}{shown}</a>'
        sorted_by = f' aria-sort="{sort}"' if sort else ""
        return f'<th scope="col" data-key="{escape(key)}" {attributes}{sorted_by}>{shown}</th>'

    def _sorting(self, key: str, numeric: bool) -> tuple[str, str]:
        """Which way it sorts now, and where a click on it leads; nowhere for what cannot be sorted by."""
        ordering = self.query.ordering
        if ordering.column == key:
            turned = key if ordering.descending else f"-{key}"
            return "descending" if ordering.descending else "ascending", self._url(turned)
        first = f"-{key}" if numeric or key in {"started_at", "ended_at"} else key
        return "", self._url(first) if key in COLUMNS or "." in key else ""

    def _url(self, ordering: str) -> str:
        return f"?{query_kept(self.get, ordering=ordering)}"


def rows_drawn(runs: Sequence[ListedRun], drawn: Drawn) -> SafeString:
    """A row for each run, behind an open family those below it."""
    by_top = {family.top.pk: family for family in drawn.families}
    rows: list[SafeString] = []
    for run in runs:
        family = by_top.get(run.pk)
        children = drawn.below.get(run.run_id, [])
        folds = family is not None and (family.children or not family.matches)
        rows.append(drawn.row(run, family=_family(drawn, family, bool(children)) if family and folds else None))
        rows += [drawn.row(child, depth=1) for child in children]
    return SafeString("".join(rows))


def _family_parts(family: dict[str, Any], name: str) -> tuple[str, str, str]:
    """The fold in front of the name, what is said behind it, and what the link gets where only children match."""
    mark = icon("chevron-down" if family["open"] else "chevron-right")
    verb = "Fold" if family["open"] else "Unfold"
    fold = (
        f'<a class="run-fold" hx-boost="true" href="{escape(family["url"])}" '
        f'aria-expanded="{str(family["open"]).lower()}" aria-label="{verb} {name}">{mark}</a>'
    )
    title = f' title="Best {escape(family["metric"])} of the runs below"' if family["metric"] else ""
    told = f' <span class="cell-sub run-family"{title}>{escape(family["said"])}</span>'
    return fold, told, "" if family["matches"] else DIM


def _short(name: str) -> str:
    return name if len(name) <= NAME_SHOWN else f"{name[: NAME_SHOWN - 1]}…"


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
