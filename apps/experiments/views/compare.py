"""Comparing 2 to 20 runs: tables with the differences first, curves over one another, pictures side by side."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from apps.accounts.models import User
from apps.experiments.comparison import comparison_of, packages_of, requirements_section
from apps.experiments.exceptions import TrackerAway, TrackerRefused
from apps.experiments.gateway.artifacts import Entry, Source, file_read, files_list
from apps.experiments.gateway.run_detail import RunDetail, models_read, run_parse
from apps.experiments.gateway.runs import runs_by_id
from apps.experiments.lineage import Lineage, lineage_of
from apps.experiments.models import Run
from apps.experiments.previews import IMAGES, extension_of
from apps.experiments.selectors.run_index import detail_from_index
from apps.experiments.views.run_finding import EXPERIMENTS, TONES

LEAST, MOST = 2, 20
SUGGESTED = 50
CURVES_OFFERED, CURVES_SHOWN = 100, 4
FOLDERS, PICTURES = 8, 24
REQUIREMENTS_BYTES = 256 * 1024
_pool = ThreadPoolExecutor(4, thread_name_prefix="comparing")


@login_required
@require_safe
def compare(request: HttpRequest) -> HttpResponse:
    user: User = request.user  # type: ignore[assignment]
    asked = _asked(request)
    if len(asked) > MOST:
        told = {"too_many": len(asked), "most": MOST, "crumbs": _crumbs([])}
        return render(request, "experiments/compare.html", told, status=422)
    runs, missing = _found(user, asked)
    if len(runs) < LEAST:
        return _too_few(request, user, runs, missing)
    details, away = _details(runs)
    lineages = _lineages(runs, details)
    experiments = {run.experiment_id: run.experiment for run in runs}
    names = sorted({metric.key for detail in details for metric in detail.own_metrics})
    query = "&".join(f"run={run.run_id}" for run in runs)
    context = {
        "columns": [_column(run, detail, runs) for run, detail in zip(runs, details, strict=True)],
        "sections": comparison_of(details, lineages, experiments),
        "only_differing": "differs" in request.GET,
        "all_url": f"?{query}",
        "differing_url": f"?{query}&differs=1",
        "extras_url": f"{reverse('experiments:compare-extras')}?{query}",
        "missing": missing,
        "away": away,
        "curves_url": f"{reverse('experiments:charts-curves')}?{query}",
        "curve_names": names[:CURVES_OFFERED],
        "curve_first": names[:CURVES_SHOWN],
        "topics": " ".join(dict.fromkeys(f"experiment:{run.experiment_id}" for run in runs)),
        "crumbs": _crumbs(runs),
    }
    return render(request, "experiments/compare.html", context)


@login_required
@require_safe
def extras(request: HttpRequest) -> HttpResponse:
    """Requirements and pictures, which have to be read from files: they come after the page."""
    user: User = request.user  # type: ignore[assignment]
    runs, _ = _found(user, _asked(request)[:MOST])
    if len(runs) < LEAST:
        raise Http404
    context: dict[str, Any] = {"names": [run.name or run.run_id[:8] for run in runs]}
    try:
        details, away = _details(runs)
        if away:
            raise TrackerAway
        lineages = _lineages(runs, details)
        packages = list(_pool.map(_packages, details, lineages))
        alike = len({where.partition(" ")[0] for one, where in packages if one}) < 2
        context["requirements"] = requirements_section([one for one, _ in packages], alike=alike)
        context["from_where"], context["alike"] = [where for _, where in packages], alike
        context["pictures"] = _pictures(runs)
    except TrackerAway:
        context["away"] = True
    return render(request, "experiments/_compare_extras.html", context)


def _crumbs(runs: list[Run]) -> list[dict[str, str]]:
    crumbs = [{"label": "Experiments", "url": EXPERIMENTS}]
    experiments = {run.experiment for run in runs}
    if len(experiments) == 1:
        one = experiments.pop()
        crumbs.append({"label": one.name, "url": f"{EXPERIMENTS}{one.pk}/"})
    return crumbs


def _asked(request: HttpRequest) -> list[str]:
    return list(dict.fromkeys(run_id[:64] for run_id in request.GET.getlist("run") if run_id))


def _found(user: User, asked: list[str]) -> tuple[list[Run], list[str]]:
    """The runs in the order asked for; what is not there and what is not the person's are the same to them."""
    rows = Run.objects.visible_to(user).select_related("experiment__team").filter(run_id__in=asked)
    known = {run.run_id: run for run in rows}
    return [known[one] for one in asked if one in known], [one for one in asked if one not in known]


def _too_few(request: HttpRequest, user: User, runs: list[Run], missing: list[str]) -> HttpResponse:
    """With one run, others of its experiment to choose from."""
    context: dict[str, Any] = {"missing": missing, "too_few": True, "one": runs[0] if runs else None, "suggested": []}
    context["crumbs"] = _crumbs(runs)
    context["choose"] = {"label": "All runs", "url": reverse("experiments:runs"), "icon": "table"}
    if runs:
        others = Run.objects.visible_to(user).kept().filter(experiment=runs[0].experiment_id).exclude(pk=runs[0].pk)
        context["suggested"] = [{"run": other, "tone": TONES[Run.Status(other.status)]} for other in others[:SUGGESTED]]
    return render(request, "experiments/compare.html", context, status=404 if missing and not runs else 200)


def _details(runs: list[Run]) -> tuple[list[RunDetail], bool]:
    """As MLflow has them; as the index does, where it is away or has one no longer."""
    try:
        found = runs_by_id([run.run_id for run in runs], experiment_ids=sorted({run.experiment_id for run in runs}))
        away = False
    except (TrackerAway, TrackerRefused):
        found, away = {}, True
    known = [run_parse(found[run.run_id]) if run.run_id in found else detail_from_index(run) for run in runs]
    return known, away


def _lineages(runs: list[Run], details: list[RunDetail]) -> list[Lineage]:
    states: dict[Any, dict[str, Any]] = {}
    return [
        lineage_of(tags=detail.tags, experiment=run.experiment, started_at=detail.started_at, states=states)
        for run, detail in zip(runs, details, strict=True)
    ]


def _column(run: Run, detail: RunDetail, runs: list[Run]) -> dict[str, Any]:
    """The head of a run's column, with the addresses that make it the baseline and take it away."""
    others = [other.run_id for other in runs if other.pk != run.pk]
    known = Run.Status(detail.status) if detail.status in Run.Status.values else Run.Status.FINISHED
    return {
        "run": run,
        "name": detail.name or run.run_id[:8],
        "label": known.label,
        "tone": TONES[known],
        "is_baseline": run.pk == runs[0].pk,
        "baseline_url": "?" + "&".join(f"run={one}" for one in [run.run_id, *others]),
        "remove_url": "?" + "&".join(f"run={one}" for one in others),
    }


def _packages(detail: RunDetail, lineage: Lineage) -> tuple[dict[str, str], str]:
    """What the run's first model says it needs; without one, the lock of the environment it ran in."""
    for model in models_read(detail)[:1]:
        try:
            raw = file_read(Source(detail.run_id, model.model_id), "requirements.txt", most=REQUIREMENTS_BYTES)
        except TrackerRefused:
            continue
        return packages_of(raw.decode("utf-8", "replace")), f"model “{model.name or model.model_id}”"
    if lineage.requirements:
        return packages_of(lineage.requirements), "Python environment"
    return {}, "not known"


def _pictures(runs: list[Run]) -> list[dict[str, Any]]:
    """Pictures that at least two of the runs have under the same path."""
    listed = list(_pool.map(_pictures_of, runs))
    paths = sorted({path for one in listed for path in one})
    shared = [path for path in paths if sum(path in one for one in listed) > 1]
    return [
        {
            "path": path,
            "cells": [
                {
                    "name": run.name or run.run_id[:8],
                    "url": _picture_url(run, path) if path in one else "",
                }
                for run, one in zip(runs, listed, strict=True)
            ],
        }
        for path in shared[:PICTURES]
    ]


def _picture_url(run: Run, path: str) -> str:
    return f"{reverse('experiments:run-file', args=[run.run_id])}?path={quote(path, safe='')}&show=1"


def _pictures_of(run: Run) -> set[str]:
    """Paths of pictures in the run's own folder, and in those directly below it."""
    source = Source(run.run_id)

    def listed(folder: str) -> list[Entry]:
        try:
            return files_list(source, folder)
        except TrackerRefused:
            return []

    top = listed("")
    below = [one for folder in [one for one in top if one.is_folder][:FOLDERS] for one in listed(folder.path)]
    return {one.path for one in [*top, *below] if not one.is_folder and extension_of(one.path) in IMAGES}
