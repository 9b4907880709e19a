"""Which columns a runs table shows, and where: what the address names, else what the person keeps, else a choice."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.db import connection

from apps.accounts.models import User
from apps.experiments.models import Experiment
from apps.experiments.selectors.columns import ColumnKey, column_read, differing, values_of, values_of_columns
from apps.experiments.selectors.listed import ListedRun
from apps.experiments.selectors.ordering import Ordering

MOST_COLUMNS = 60
MOST_DIFFERING = 40
PARAMS_CHOSEN = 4
METRICS_CHOSEN = 2
NARROWEST, WIDEST = 48, 800


@dataclass(frozen=True)
class Shown:
    """A column of the table; `width` in pixels where the person has given one."""

    column: ColumnKey
    width: int | None = None
    pinned: bool = False

    @cached_property
    def key(self) -> str:
        return str(self.column)


@dataclass(frozen=True)
class Table:
    """Columns without the name, which is always first, and values by run. `chosen`: a person chose them."""

    columns: list[Shown]
    values: dict[int, dict[str, Any]]
    chosen: bool


@dataclass(frozen=True)
class Layout:
    """What a person keeps of a table; `baseline` is the run id of the run that others are compared with."""

    columns: list[Shown]
    baseline: str


_KEPT = "SELECT columns::text, baseline FROM experiments_tablepreference WHERE user_id = %s AND experiment_id = %s"


def layout_of(user: User, experiment: Experiment | None) -> Layout:
    """What the person keeps for one experiment, or for all of them; an empty one where they keep nothing."""
    with connection.cursor() as cursor:
        cursor.execute(_KEPT, [user.pk, experiment.pk if experiment else ""])
        columns, baseline = cursor.fetchone() or ("[]", "")
    return Layout(_columns_kept(json.loads(columns)), baseline)


def _columns_kept(items: Any) -> list[Shown]:
    """Those that can still be shown; the rest is left out."""
    found = []
    for item in items if isinstance(items, list) else []:
        column = column_read(str(item.get("key", ""))) if isinstance(item, dict) else None
        if column is not None:
            width = item.get("width")
            width = width if isinstance(width, int) and NARROWEST <= width <= WIDEST else None
            found.append(Shown(column, width, bool(item.get("pinned"))))
    return found[:MOST_COLUMNS]


def table_of(
    runs: Sequence[ListedRun],
    *,
    asked: Sequence[str],
    kept: Sequence[Shown],
    ordering: Ordering,
    experiment: Experiment | None,
    only_differing: bool,
) -> Table:
    """The columns and their values, in two queries at most."""
    named = [Shown(column) for column in map(column_read, asked[:MOST_COLUMNS]) if column is not None]
    widths = {shown.key: shown for shown in kept}
    named = [widths.get(shown.key, shown) for shown in named]
    chosen = named or list(kept)
    if only_differing:
        return _differing(runs, widths, ordering)
    if chosen:
        columns = _with_order(chosen, ordering)
        return Table(columns, values_of_columns(runs, [shown.column for shown in columns]), chosen=True)
    metrics = _main_metrics(runs, ordering, experiment)
    values = values_of(runs, metrics=metrics, params=None)
    params = _keys(values, "params.")
    differ = differing(list(values.values()), params)[:PARAMS_CHOSEN] or params[:PARAMS_CHOSEN]
    keys = ["status", *([] if experiment else ["experiment"]), "note", "started_at", "duration"]
    keys += [*(f"metrics.{name}" for name in metrics), *differ, "user"]
    columns = _with_order([Shown(column) for column in map(column_read, keys) if column is not None], ordering)
    if ordering.kind in {"params", "tags"} and ordering.column not in keys:
        values = values_of_columns(runs, [shown.column for shown in columns])
    return Table(columns, values, chosen=False)


def _differing(runs: Sequence[ListedRun], kept: dict[str, Shown], ordering: Ordering) -> Table:
    """Every metric, parameter and tag in which the runs of this page are not all the same."""
    values = values_of(runs, metrics=None, params=None, tags=None)
    keys = [key for prefix in ("params.", "metrics.", "tags.") for key in _keys(values, prefix)]
    keys = ["status", *differing(list(values.values()), keys)[:MOST_DIFFERING], "started_at", "duration"]
    columns = [Shown(column) for column in map(column_read, keys) if column is not None]
    return Table(_with_order([kept.get(shown.key, shown) for shown in columns], ordering), values, chosen=False)


def _keys(values: dict[int, dict[str, Any]], prefix: str) -> list[str]:
    """By how many runs have them, then by name."""
    counts: dict[str, int] = {}
    for row in values.values():
        for key in row:
            if key.startswith(prefix):
                counts[key] = counts.get(key, 0) + 1
    return sorted(counts, key=lambda key: (-counts[key], key))


def _main_metrics(runs: Sequence[ListedRun], ordering: Ordering, experiment: Experiment | None) -> list[str]:
    if experiment is not None:
        names = [experiment.main_metric]
    else:
        names = list(dict.fromkeys(run.experiment.main_metric for run in runs))[:METRICS_CHOSEN]
    if ordering.kind == "metrics" and ordering.key not in names:
        names = [ordering.key, *names]
    return [name for name in names if name]


def _with_order(columns: list[Shown], ordering: Ordering) -> list[Shown]:
    """Pinned ones first, and what the table is ordered by is always to be seen."""
    columns = [shown for shown in columns if shown.key != "name"]
    if ordering.column != "name" and all(shown.key != ordering.column for shown in columns):
        found = column_read(ordering.column)
        columns += [Shown(found)] if found is not None else []
    return [shown for shown in columns if shown.pinned] + [shown for shown in columns if not shown.pinned]
