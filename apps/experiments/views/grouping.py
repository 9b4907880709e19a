"""The runs table grouped by a parameter or tag."""

from typing import Any

from django.http import QueryDict
from django.utils.html import format_html

from apps.core.templatetags.portal_ui import number as number_tag
from apps.experiments.filters import All, Comparison, Field, Kind, Node, filter_print
from apps.experiments.models import VALUE_LENGTH, Experiment
from apps.experiments.selectors.columns import ColumnKey, column_read
from apps.experiments.selectors.groups import MOST_METRICS, Group, groups_of
from apps.experiments.selectors.runs import RunQuery
from apps.experiments.views.finding import query_kept


def group_asked(get: QueryDict) -> ColumnKey | None:
    """What `group=` names; a bare name is that of a parameter."""
    asked = get.get("group", "").replace("\0", "").strip()
    column = column_read(asked) or (column_read(f"params.{asked}") if asked else None)
    return column if column is not None and column.kind in {"params", "tags"} else None


def group_context(get: QueryDict, query: RunQuery, column: ColumnKey) -> dict[str, Any]:
    """The table of groups: each leads to its runs."""
    metrics = group_metrics(get, query)
    count = query.count()
    grouping = groups_of(query.rows(), column, metrics, count=count)
    return {
        "grouped": str(column),
        "group_label": column.key,
        "group_metrics": metrics,
        "groups": [_row(get, query, column, group, metrics) for group in grouping.groups],
        "groups_hidden": grouping.total - len(grouping.groups),
        "groups_total": grouping.total,
        "count": count,
    }


def group_metrics(get: QueryDict, query: RunQuery) -> list[str]:
    """Those named by `metric=`, else the one the order goes by, else the main one of the experiment."""
    named = [name for name in get.getlist("metric") if 0 < len(name) <= 250 and "\0" not in name][:MOST_METRICS]
    if named:
        return named
    if query.ordering.kind == "metrics":
        return [query.ordering.key]
    if query.experiment is not None:
        return [query.experiment.main_metric] if query.experiment.main_metric else []
    rows = Experiment.objects.visible_to(query.user).exclude(main_metric="").order_by("-run_count", "pk")
    return list(dict.fromkeys(rows.values_list("main_metric", flat=True)[:20]))[:1]


def _row(get: QueryDict, query: RunQuery, column: ColumnKey, group: Group, metrics: list[str]) -> dict[str, Any]:
    cells = []
    for metric in metrics:
        one = group.figures.get(metric)
        figures = (one.mean, one.least, one.most) if one is not None else (None, None, None)
        for label, value in zip((f"{metric} mean", "min", "max"), figures, strict=True):
            shown = number_tag(value) if value is not None else format_html("{}", "–")
            cells.append({"label": label, "shown": shown})
    return {
        "value": group.value,
        "count": group.count,
        "url": f"?{query_kept(get, 'group', filter=filter_print(_narrowed(query.node, column, group.value)))}",
        "cells": cells,
    }


def _narrowed(node: Node, column: ColumnKey, value: str | None) -> Node:
    """The filter that leaves the runs of one group; of a long value its beginning is what is known."""
    field = Field(Kind(column.kind), column.key)
    if value is None:
        more = Comparison(field, "IS NULL", None)
    elif len(value) >= VALUE_LENGTH:
        more = Comparison(field, "LIKE", value.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%")
    else:
        more = Comparison(field, "=", value)
    parts = node.parts if isinstance(node, All) else (node,)
    return All((*parts, more))
