"""What the charts' scripts fetch: curves through MLflow, everything else from the index."""

import json
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe

from apps.core.responses import PROBLEM_JSON, problem
from apps.experiments.exceptions import TrackerAway
from apps.experiments.gateway.histories import (
    EMPTY,
    CurveOf,
    curves_glance,
    curves_kept,
    curves_read,
    is_quick,
    points_of,
)
from apps.experiments.models import Run
from apps.experiments.selectors.charts import CURVES_MOST, runs_chosen, selection_of, unit_of, values_of_columns
from apps.experiments.selectors.listed import ListedRun
from apps.experiments.views.finding import experiment_find, run_url

METRICS_MOST = 12
QUICK_CURVES = 3  # so many are read within the wink of an eye
QUICK_POINTS = 100  # of each run, for a first picture while MLflow still reads the rest


@login_required
@require_safe
def curves(request: HttpRequest) -> HttpResponse:
    """`?run=…&metric=…`: histories of up to 20 runs. `quick=1` may answer with few points and `"complete": false`.

    Of runs that have all ended the browser keeps the answer, and asks only whether it still holds.
    """
    asked = list(dict.fromkeys(request.GET.getlist("run")))
    runs = runs_chosen(request.user, asked)
    metrics = [name for name in dict.fromkeys(request.GET.getlist("metric")) if 0 < len(name) <= 250]
    metrics = metrics[:METRICS_MOST]
    if not runs or not metrics:
        raise Http404
    tag = _etag(runs, metrics)
    if tag and tag in request.headers.get("If-None-Match", ""):
        return _cached(HttpResponse(status=304), tag)
    wanted = [curve_of(run) for run in runs]
    points = points_of(len(runs))
    complete = True
    try:
        if request.GET.get("quick") and not is_quick() and not _at_hand(wanted, metrics, points):
            complete, points = False, QUICK_POINTS
            found = curves_glance(wanted, metrics, points=points)
        else:
            found = curves_read(wanted, metrics, points=points)
    except TrackerAway as error:
        return _away(error)
    head = {
        "complete": complete,
        "points": points,
        "left_out": max(0, len(asked) - CURVES_MOST),
        "missing": len(asked[:CURVES_MOST]) - len(runs),
        "runs": [run_said(run) for run in runs],
    }
    body = _joined(head, metrics, found)
    response = HttpResponse(body, content_type="application/json")
    return _cached(response, tag) if tag and complete else _never(response)


def _at_hand(wanted: Sequence[CurveOf], metrics: Sequence[str], points: int) -> bool:
    """Whether hardly anything is left to read: then nobody needs a first look."""
    kept = curves_kept(wanted, metrics, points=points)
    return len(wanted) * len(metrics) - len(kept) <= QUICK_CURVES


def curve_of(run: Run) -> CurveOf:
    return CurveOf(run.run_id, None if run.status in Run.ACTIVE else run.fingerprint)


def run_said(run: Run | ListedRun) -> dict[str, Any]:
    return {
        "id": run.run_id,
        "name": run.name or run.run_id[:8],
        "url": run_url(run.run_id),
        "status": Run.Status(run.status).label if run.status in Run.Status.values else run.status,
        "running": run.status in Run.ACTIVE,
        "topic": f"experiment:{run.experiment_id}",
        "started": int(run.started_at.timestamp() * 1000) if run.started_at else None,
    }


def _joined(head: dict[str, Any], metrics: Sequence[str], found: dict[str, dict[str, str]]) -> str:
    """The curves are JSON texts already; they are put in as they are."""
    parts = []
    for metric in metrics:
        of_runs = ",".join(f"{json.dumps(run_id)}:{text}" for run_id, text in found[metric].items() if text != EMPTY)
        about = json.dumps({"metric": metric, "unit": unit_of(metric)})
        parts.append(f'{about[:-1]},"curves":{{{of_runs}}}}}')
    return f'{json.dumps(head)[:-1]},"metrics":[{",".join(parts)}]}}'


def _etag(runs: Sequence[Run], metrics: Sequence[str]) -> str:
    """None of what it was made of changes once all of the runs have ended; "" where one has not."""
    if any(run.status in Run.ACTIVE for run in runs):
        return ""
    said = "\0".join([*(f"{run.run_id} {run.fingerprint} {run.name}" for run in runs), *metrics])
    return f'"{blake2b(said.encode("utf-8", "replace"), digest_size=12).hexdigest()}"'


def _cached(response: HttpResponse, tag: str) -> HttpResponse:
    response.headers["ETag"] = tag
    response.headers["Cache-Control"] = "private, no-cache"
    response.headers["Vary"] = "Cookie"
    return response


def _never(response: HttpResponse) -> HttpResponse:
    response.headers["Cache-Control"] = "no-store"
    return response


def _away(error: TrackerAway) -> HttpResponse:
    body = problem(error.status, error.code, str(error), title=error.title)
    response = JsonResponse(body, status=error.status, content_type=PROBLEM_JSON)
    response.headers["Retry-After"] = str(error.retry_after)
    return _never(response)


@login_required
@require_safe
def values(request: HttpRequest, experiment_id: str = "") -> HttpResponse:
    """`?column=metrics.auc&column=params.lr`: values of the selection, one for each run, and the runs themselves."""
    experiment = experiment_find(request, experiment_id) if experiment_id else None
    selection = selection_of(request.user, request.GET, experiment)
    body = {
        "runs": [run_said(run) for run in selection.runs],
        "total": selection.total,
        "columns": values_of_columns(selection.runs, request.GET.getlist("column")),
    }
    return _never(JsonResponse(body))
