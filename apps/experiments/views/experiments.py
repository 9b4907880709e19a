"""The list of experiments, and what is done with one of them."""

from collections.abc import Sequence
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from apps.core.exceptions import NotAllowed, UserError
from apps.core.paging import CursorInvalid, page_of
from apps.core.templatetags.portal_ui import four_digits
from apps.experiments.forms import MainMetricForm
from apps.experiments.models import Experiment
from apps.experiments.selectors.experiments import ExperimentQuery, experiment_query
from apps.experiments.selectors.freshness import freshness
from apps.experiments.services.bulk import experiment_archive, may_change
from apps.experiments.services.main_metric import main_metric_choose
from apps.experiments.views.finding import experiment_find, person
from apps.experiments.views.sparkline import sparkline

PAGE_SIZE = 50
WORDS = ("folder", "q", "team", "archived", "ordering", "flat")


@login_required
@require_safe
def experiments(request: HttpRequest) -> HttpResponse:
    query = experiment_query(person(request), request.GET)
    count = query.all().count()
    # What fits on a page needs no folder to be opened: each is a heading over what lies in it.
    unfolded = not query.everywhere and count <= PAGE_SIZE
    rows = query.rows(below=unfolded)
    try:
        page = page_of(rows, cursor=request.GET.get("cursor", ""), size=PAGE_SIZE)
    except CursorInvalid:
        page = page_of(rows, cursor="", size=PAGE_SIZE)
    folders = [] if unfolded else query.folders()
    groups = _groups(request, query, page.rows, unfolded=unfolded)
    context = {
        "query": query,
        "q": query.search,
        "ordering": query.ordering,
        "folders": [{"folder": one, "url": _url(request, folder=one.path)} for one in folders],
        "groups": groups,
        "count": count,
        "in_folders": query.flat or bool(folders) or any(group["path"] for group in groups),
        "freshness": freshness(),
        "path": _path(request, query),
        "hidden": {name: request.GET.get(name, "") for name in WORDS if name != "q"},
        "next_url": _url(request, cursor=page.next) if page.next else "",
        "previous_url": _url(request, cursor=page.previous) if page.previous else "",
        "tabs": [
            {"label": "In use", "url": _url(request, archived=""), "active": not query.archived},
            {"label": "Archived", "url": _url(request, archived="1"), "active": query.archived},
            *([{"label": "Index", "url": reverse("experiments:index")}] if person(request).sees_everything else []),
        ],
        "flat_url": _url(request, flat="" if query.flat else "1", folder=""),
        "runs_url": reverse("experiments:runs")
        + (f"?team={query.team.slug}" if query.team and query.team.slug else ""),
    }
    return render(request, "experiments/list.html", context)


def _groups(
    request: HttpRequest, query: ExperimentQuery, rows: Sequence[Experiment], *, unfolded: bool
) -> list[dict[str, Any]]:
    """Rows under the folder they lie in, which `path` leads to step by step; those of the folder itself come first.

    Folders stand in the order of their first row, so that the order of the list holds for them too.
    """
    found: dict[str, list[Experiment]] = {}
    if unfolded:
        found[query.folder] = []
    for one in rows:
        found.setdefault(one.folder if unfolded else "", []).append(one)
    return [
        {
            "path": _steps(request, folder, below=query.folder) if unfolded and folder != query.folder else [],
            "count": len(experiments),
            "rows": [_row(one, whole=query.everywhere) for one in experiments],
        }
        for folder, experiments in found.items()
        if experiments
    ]


def _row(experiment: Experiment, *, whole: bool) -> dict[str, Any]:
    return {
        "experiment": experiment,
        "name": experiment.name if whole else experiment.name.rpartition("/")[2] or experiment.name,
        "url": reverse("experiments:experiment", args=[experiment.pk]),
        "best": "" if experiment.best_value is None else four_digits(experiment.best_value),
        "line": sparkline(experiment.recent_values, experiment.main_metric),
    }


def _url(request: HttpRequest, **changes: str | None) -> str:
    query = QueryDict(mutable=True)
    for name in WORDS:
        if request.GET.get(name):
            query[name] = request.GET[name]
    for name, value in changes.items():
        query.pop(name, None)
        if value:
            query[name] = value
    return f"?{query.urlencode()}"


def _path(request: HttpRequest, query: ExperimentQuery) -> list[dict[str, str]]:
    """The folders above the one that is shown, itself last."""
    found = _steps(request, query.folder)
    return [{"label": "Experiments", "url": _url(request, folder="")}, *found] if found else []


def _steps(request: HttpRequest, folder: str, *, below: str = "") -> list[dict[str, str]]:
    """A folder and those above it, as far as they lie below another; a name may itself begin with a slash."""
    found: list[dict[str, str]] = []
    path = ""
    for index, part in enumerate(folder.split("/") if folder else []):
        path = part if index == 0 else f"{path}/{part}"
        if (part or path == folder) and len(path) > len(below):
            found.append({"label": part or "/", "url": _url(request, folder=path)})
    return found


@login_required
@require_POST
def archive(request: HttpRequest, experiment_id: str) -> HttpResponse:
    """Archive it with its runs, or (`restore` is sent) take that back."""
    found = experiment_find(request, experiment_id)
    restore = "restore" in request.POST
    try:
        experiment_archive(actor=person(request), experiment=found, restore=restore)
    except NotAllowed:
        raise
    except UserError as error:
        messages.error(request, str(error))
        return redirect("experiments:experiment", experiment_id=found.pk)
    messages.success(request, f"{found.name} is {'restored' if restore else 'archived'}.")
    return redirect("experiments:experiment", experiment_id=found.pk)


@login_required
@require_POST
def main_metric(request: HttpRequest, experiment_id: str) -> HttpResponse:
    """Choose the metric that its best value and line are of."""
    found = experiment_find(request, experiment_id)
    if not may_change(person(request), [found]):
        raise NotAllowed("You may see this experiment; members of its team may change it.")
    form = MainMetricForm(request.POST)
    if form.is_valid():
        main_metric_choose(actor=person(request), experiment=found, **form.cleaned_data)
        messages.success(request, f"{form.cleaned_data['metric']} is the main metric now.")
    else:
        messages.error(request, " ".join(str(one) for errors in form.errors.values() for one in errors))
    return redirect("experiments:experiment", experiment_id=found.pk)
