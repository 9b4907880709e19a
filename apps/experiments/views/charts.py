"""Charts over a selection of runs: the same query as the runs table, or runs named one by one."""

from collections import Counter
from collections.abc import Sequence
from urllib.parse import urlencode

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from apps.core.templatetags.portal_ui import four_digits
from apps.experiments.gateway.histories import curves_warm, points_of
from apps.experiments.models import Experiment, Run
from apps.experiments.selectors.charts import (
    CURVES_MOST,
    Column,
    Selection,
    columns_of,
    runs_chosen,
    selection_of,
)
from apps.experiments.views.charts_data import curve_of
from apps.experiments.views.finding import experiment_find, table_url

CURVES_SHOWN = 4
# What the scripts keep in the address for themselves: not part of the query of the runs.
OWN_WORDS = ("run", "picked", "curve", "axis", "smooth", "log", "axes")
RUN_WORDS = ("filter", "ordering", "archived", "team", "run")


@login_required
@require_safe
def charts(request: HttpRequest, experiment_id: str = "") -> HttpResponse:
    experiment = experiment_find(request, experiment_id) if experiment_id else None
    selection = selection_of(request.user, request.GET, experiment)
    columns = columns_of(selection.runs, experiment=experiment)
    ids = [run.run_id for run in selection.runs[:CURVES_MOST]]
    first = runs_chosen(request.user, ids)
    main = main_metric(experiment, first)
    names = curve_names(columns, main)
    curved = {column.label for column in columns if column.history}
    shown = request.GET.getlist("curve") or [name for name in names if name in curved][:CURVES_SHOWN]
    if first:
        curves_warm([curve_of(run) for run in first], shown[:CURVES_SHOWN], points=points_of(len(first)))
    query, path = table_query(request.GET), request.path
    context = {
        "experiment": experiment,
        "heading": "Charts",
        "crumbs": _crumbs(experiment, query),
        "meta": [{"text": selection_said(selection)}],
        "actions": [{"label": "Show as table", "url": _table_url(experiment, query), "icon": "table"}],
        "runs": selection.runs,
        "curves_source": reverse("experiments:charts-curves") + "?" + urlencode([("run", run_id) for run_id in ids]),
        "metric_names": names,
        "metrics_shown": shown,
        "topics": " ".join(sorted({f"experiment:{run.experiment_id}" for run in first})),
        "table_url": _table_url(experiment, query),
        "page": {
            "columns": [column.said() for column in columns],
            "values": f"{path}values/?{runs_query(request.GET)}",
            "metric": metric_first(columns, main),
            "charts": path,
            "table": table_url(experiment),
            "filter": request.GET.get("filter", ""),
            "compare": reverse("experiments:compare"),
            "runs": len(selection.runs),
        },
    }
    return render(request, "experiments/charts.html", context)


def selection_said(selection: Selection) -> str:
    """ "26 runs", or "First 1,000 of 4,312 runs, newest first"."""
    shown = len(selection.runs)
    if shown < selection.total:
        by = f", {selection.by}" if selection.by else ""
        return f"First {four_digits(shown)} of {four_digits(selection.total)} runs{by}"
    return f"{four_digits(shown)} run{'' if shown == 1 else 's'}"


def main_metric(experiment: Experiment | None, runs: Sequence[Run]) -> str:
    """The experiment's, or, over several of them, that of most of these runs."""
    if experiment is not None:
        return experiment.main_metric
    counted = Counter(run.experiment.main_metric for run in runs if run.experiment.main_metric)
    return next((name for name, _ in counted.most_common(1)), "")


def curve_names(columns: Sequence[Column], main: str) -> list[str]:
    """Metrics to choose curves from: those with more than one step first, the main one at their head."""
    metrics = [column for column in columns if column.kind == "metric"]
    metrics.sort(key=lambda column: (not column.history, column.label != main, -column.count, column.label))
    return [column.label for column in metrics]


def metric_first(columns: Sequence[Column], main: str) -> str:
    """The key of the metric that charts begin with: the main one, else what most runs have; "" without any."""
    metrics = [column for column in columns if column.kind == "metric"]
    chosen = next((one for one in metrics if one.label == main), None) or next(iter(metrics), None)
    return chosen.key if chosen else ""


def runs_query(query: QueryDict) -> str:
    """The part of the address that says which runs are meant."""
    return urlencode([(name, value) for name in RUN_WORDS for value in query.getlist(name)])


def table_query(query: QueryDict) -> str:
    """What the table of the same runs is asked for: the address without what the charts' scripts keep in it."""
    kept = query.copy()
    for name in [name for name in kept if name in OWN_WORDS or name.startswith("chart-")]:
        del kept[name]
    return kept.urlencode()


def _crumbs(experiment: Experiment | None, query: str) -> list[dict[str, str]]:
    crumbs = [{"label": "Experiments", "url": reverse("experiments:list")}]
    if experiment is not None:
        return [*crumbs, {"label": experiment.name, "url": _table_url(experiment, query)}]
    return [*crumbs, {"label": "All runs", "url": _table_url(None, query)}]


def _table_url(experiment: Experiment | None, query: str) -> str:
    path = table_url(experiment)
    return f"{path}?{query}" if query else path
