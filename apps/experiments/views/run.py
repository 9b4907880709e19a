"""The page of one run: what was logged, its metrics, its notes, its traces and where it came from."""

import math
from typing import Any

from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from apps.environments.models import Environment
from apps.experiments.exceptions import NoteChanged, TrackerAway, TrackerRefused
from apps.experiments.gateway.run_detail import LoggedModel, MetricLast, models_read, ranges_read, traces_read
from apps.experiments.markdown import markdown_html
from apps.experiments.models import Run
from apps.experiments.registry import models_from
from apps.experiments.run_forms import NoteForm
from apps.experiments.services.run_notes import note_mark, run_note_write
from apps.experiments.views.run_finding import RunPage, run_page, writing_require
from apps.experiments.views.run_presenting import dataset_from, facts_of, ran_on_facts, trace_row, use_facts

PARAMS_SHOWN, METRICS_SHOWN, CHILDREN_SHOWN = 200, 50, 100
METRICS_PAGE = 50
CURVES_SHOWN, CURVES_OFFERED = 4, 200


@login_required
@require_safe
def run(request: HttpRequest, run_id: str) -> HttpResponse:
    page = run_page(request, run_id)
    detail = page.detail
    params = list(detail.params.items())
    tags = sorted(detail.shown_tags.items())
    shown_all = request.GET.get("params") == "all"
    context = {
        **page.frame("run"),
        "facts": facts_of(page),
        "use": use_facts(page.run),
        "params": params if shown_all else params[:PARAMS_SHOWN],
        "params_total": len(params),
        "metrics": detail.own_metrics[:METRICS_SHOWN],
        "metrics_total": len(detail.own_metrics),
        "system": detail.system_metrics[:METRICS_SHOWN],
        "system_total": len(detail.system_metrics),
        "user_tags": [pair for pair in tags if not pair[0].startswith("slipway.")],
        "slipway_tags": [pair for pair in tags if pair[0].startswith("slipway.")],
        "note_html": markdown_html(detail.note) if detail.note else "",
        "note_form": NoteForm(initial={"note": detail.note, "seen": note_mark(detail.note)}),
        "datasets": [{"of": one, "source": dataset_from(one)} for one in detail.datasets],
        "models": _models(page),
        "ran_on": ran_on_facts(page),
        **_family(page),
    }
    template = "experiments/run.html"
    if request.headers.get("X-Live"):
        template = "experiments/_run_values.html"
    return render(request, template, context)


def _models(page: RunPage) -> list[dict[str, Any]]:
    """The models the run has logged, each with what was registered from it."""
    if page.away or page.gone:
        models = [LoggedModel(model_id, "", "", None) for model_id in page.detail.model_ids]
    else:
        try:
            models = models_read(page.detail)
        except (TrackerAway, TrackerRefused):
            models = [LoggedModel(model_id, "", "", None) for model_id in page.detail.model_ids]
    registered = models_from(page.user, [page.run.run_id]) if models else []
    return [
        {
            "model": model,
            "metrics": _own_metrics(page, model),
            "versions": [version for version in registered if version.logged_model_id == model.model_id],
            "files_url": f"{page.url('run-artifacts')}?model={model.model_id}",
            "register_url": f"/models/register/?run={page.run.run_id}&model={model.model_id}",
        }
        for model in models
    ]


def _own_metrics(page: RunPage, model: LoggedModel) -> list[tuple[str, float, str]]:
    """Without the first points of the run's curves, which MLflow copies to a model that was logged without a step."""
    newest = {metric.key: metric for metric in page.detail.metrics}

    def is_first_point(key: str, dataset: str, step: int) -> bool:
        of = newest.get(key)
        return of is not None and not step and not dataset and (of.step > 0 or math.isnan(of.value))

    return [
        (key, value, dataset)
        for key, value, dataset, step in model.metrics
        if page.detail.checkpoints or not is_first_point(key, dataset, step)
    ]


def _family(page: RunPage) -> dict[str, Any]:
    """Parent and children, from the index: it is the one that knows them both ways."""
    rows = Run.objects.visible_to(page.user).filter(experiment_id=page.run.experiment_id)
    parent = rows.filter(run_id=page.detail.parent_run_id).first() if page.detail.parent_run_id else None
    children = rows.filter(parent_run_id=page.run.run_id).kept()
    total = children.count()
    shown = list(children[:CHILDREN_SHOWN]) if total else []
    ids = "&".join(f"run={child.run_id}" for child in shown[:20])
    return {
        "parent": parent,
        "children": shown,
        "children_total": total,
        "children_compare_url": f"{reverse('experiments:compare')}?{ids}" if len(shown) > 1 else "",
    }


@login_required
@require_safe
def metrics(request: HttpRequest, run_id: str) -> HttpResponse:
    """Curves, and every metric page by page; what a metric was at its lowest and highest comes after the page."""
    page = run_page(request, run_id)
    found, search = _metrics_found(request, page)
    paginator = Paginator(found, METRICS_PAGE)
    shown = paginator.get_page(request.GET.get("page"))
    # Of very many, those that the table shows just now can be drawn.
    offered = [metric.key for metric in (found if len(found) <= CURVES_OFFERED else shown)]
    context = {
        **page.frame("run-metrics"),
        "shown": shown,
        "search": search,
        "total": len(page.detail.metrics),
        "found_total": len(found),
        "ranges_url": f"{page.url('run-ranges')}?{_query(request, shown.number)}",
        "curves_url": f"{reverse('experiments:charts-curves')}?run={page.run.run_id}",
        "curve_names": offered,
        "curve_first": offered[:CURVES_SHOWN],
        "topic": f"experiment:{page.run.experiment_id}",
    }
    return render(request, "experiments/run_metrics.html", context)


@login_required
@require_safe
def ranges(request: HttpRequest, run_id: str) -> HttpResponse:
    """The rows of a page of metrics with lowest and highest: a call of MLflow for each, so no page waits for it."""
    page = run_page(request, run_id)
    found, search = _metrics_found(request, page)
    shown = Paginator(found, METRICS_PAGE).get_page(request.GET.get("page"))
    away = page.away or page.gone
    known = {}
    if not away:
        try:
            known = ranges_read(page.detail, [metric.key for metric in shown])
        except (TrackerAway, TrackerRefused):
            away = True
    rows = [{"metric": metric, "range": known.get(metric.key)} for metric in shown]
    return render(request, "experiments/_metric_rows.html", {"rows": rows, "away": away, "search": search})


def _metrics_found(request: HttpRequest, page: RunPage) -> tuple[list[MetricLast], str]:
    search = request.GET.get("q", "").strip()[:250]
    wanted = search.lower()
    metrics = [*page.detail.own_metrics, *page.detail.system_metrics]
    return [metric for metric in metrics if wanted in metric.key.lower()], search


def _query(request: HttpRequest, number: int) -> str:
    asked = request.GET.copy()
    asked["page"] = str(number)
    return asked.urlencode()


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def note(request: HttpRequest, run_id: str) -> HttpResponse:
    """The note's form, by itself and as a part of the run's page."""
    page, status, theirs = run_page(request, run_id), 0, None
    initial = {"note": page.detail.note, "seen": note_mark(page.detail.note)}
    form = NoteForm(request.POST if request.method == "POST" else None, initial=initial)
    if request.method == "POST":
        writing_require(page.user, page.experiment)
        if form.is_valid():
            try:
                given = form.cleaned_data
                run_note_write(run=page.run, actor=page.user, note=given["note"], seen=given["seen"] or None)
            except TrackerAway as error:
                form.add_error(None, f"{error} The note is still here.")
                status = error.status
            except NoteChanged as error:
                form.add_error(None, str(error))
                status, theirs = error.status, markdown_html(error.now)
                # Sending it once more is a decision with open eyes.
                form.data = {"note": given["note"], "seen": note_mark(error.now)}
            else:
                return redirect(page.url())
    note_html = markdown_html(page.detail.note) if page.detail.note and not page.may_write else ""
    context = {**page.frame("run"), "form": form, "theirs": theirs, "note_html": note_html}
    return render(request, "experiments/run_note.html", context, status=status or (422 if form.errors else 200))


@login_required
@require_safe
def traces(request: HttpRequest, run_id: str) -> HttpResponse:
    page = run_page(request, run_id)
    found: list[dict[str, Any]] = []
    away = page.away or page.gone
    if not away:
        try:
            found = [trace_row(one) for one in traces_read(page.detail)]
        except TrackerAway:
            away = True
    return render(
        request, "experiments/run_traces.html", {**page.frame("run-traces"), "traces": found, "traces_away": away}
    )


@login_required
@require_safe
def lineage(request: HttpRequest, run_id: str) -> HttpResponse:
    page = run_page(request, run_id)
    of = page.lineage
    seen = Environment.objects.visible_to(page.user).filter(pk=of.environment.pk).exists() if of.environment else False
    context = {
        **page.frame("run-lineage"),
        "lineage": of,
        "environment_url": reverse("environments:detail", args=[of.environment.pk]) if seen and of.environment else "",
        "change_url": reverse("environments:change", args=[of.environment.pk, of.change.pk])
        if seen and of.environment and of.change
        else "",
        "versions": models_from(page.user, [page.run.run_id]),
        "commit": page.detail.tags.get("slipway.git.commit") or page.detail.tags.get("mlflow.source.git.commit", ""),
    }
    return render(request, "experiments/run_lineage.html", context)
