"""Runs summed up by the values of one parameter or tag: how many, and mean, least and most of metrics."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Avg, Count, Max, Min, QuerySet

from apps.experiments.models import Run, RunMetric, RunParam, RunTag
from apps.experiments.selectors.columns import ColumnKey

MOST_GROUPS = 200
MOST_METRICS = 5


@dataclass(frozen=True)
class Figures:
    """Of the runs of a group that have a number for the metric."""

    count: int
    mean: float | None
    least: float | None
    most: float | None


@dataclass
class Group:
    """Runs with the same value; None: those that have none. `value` is cut where it is long."""

    value: str | None
    count: int
    figures: dict[str, Figures] = field(default_factory=dict)


@dataclass(frozen=True)
class Grouping:
    """The largest groups, and how many there are in all."""

    groups: list[Group]
    total: int


def groups_of(rows: QuerySet[Run], column: ColumnKey, metrics: Sequence[str], *, count: int | None = None) -> Grouping:
    """The groups of `rows`, largest first; `count` of the rows, if it is known already.

    Numbers that are infinite make a mean infinite, as they should.
    """
    model: Any = RunTag if column.kind == "tags" else RunParam
    values = model.objects.filter(key=column.key, run__in=rows.values("pk"))
    counted = values.values("short").annotate(n=Count("id")).order_by("-n", "short")
    groups = {row["short"]: Group(row["short"], row["n"]) for row in counted[:MOST_GROUPS]}
    total, have = len(groups), sum(group.count for group in groups.values())
    if total == MOST_GROUPS:  # Only then are there others, which cost two more passes.
        total, have = counted.order_by().count(), values.count()
    names = list(dict.fromkeys(metrics))[:MOST_METRICS]
    if names and groups:
        _figures_add(groups, model, column, rows, names)
    found = list(groups.values())
    lacking = (rows.count() if count is None else count) - have
    if lacking > 0:
        found.append(_none(rows, model, column, lacking, names))
    return Grouping(found, total + (1 if lacking > 0 else 0))


def _none(rows: QuerySet[Run], model: Any, column: ColumnKey, count: int, names: Sequence[str]) -> Group:
    """The runs that have no value."""
    lacking = rows.exclude(pk__in=model.objects.filter(key=column.key).values("run_id"))
    numbers = RunMetric.objects.filter(run__in=lacking.values("pk"), key__in=names, value__isnull=False)
    return Group(None, count, {row["key"]: _figures(row) for row in _summed(numbers.values("key"))})


def _figures_add(
    groups: dict[str, Group], model: Any, column: ColumnKey, rows: QuerySet[Run], names: Sequence[str]
) -> None:
    """One pass over the metrics, joined with the values they are grouped by."""
    relation = "run__tags" if model is RunTag else "run__params"
    numbers = RunMetric.objects.filter(
        **{f"{relation}__key": column.key}, run__in=rows.values("pk"), key__in=names, value__isnull=False
    )
    for row in _summed(numbers.values(f"{relation}__short", "key")):
        group = groups.get(row[f"{relation}__short"])
        if group is not None:
            group.figures[row["key"]] = _figures(row)


def _summed(rows: Any) -> Any:
    return rows.annotate(n=Count("id"), mean=Avg("value"), least=Min("value"), most=Max("value")).order_by()


def _figures(row: dict[str, Any]) -> Figures:
    return Figures(row["n"], row["mean"], row["least"], row["most"])
