"""Registering a version from a run: `/models/register/?run=<run id>&model=<logged model or artifact path>`."""

import secrets

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from apps.core.exceptions import Conflict, InvalidInput, NotAllowed
from apps.experiments.exceptions import TrackerAway
from apps.experiments.models import Run
from apps.registry import gateway, reading
from apps.registry.forms import RegisterForm
from apps.registry.lineage import run_url
from apps.registry.selectors import names_of_team, versions_from_run
from apps.registry.services.registering import may_register, run_found, version_register
from apps.registry.views.finding import crumbs, model_find, person, show_error
from apps.registry.views.looking import model_page

MOST_MODELS = 50


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def register(request: HttpRequest) -> HttpResponse:
    asked = request.POST if request.method == "POST" else request.GET
    if request.method != "POST" and "run" not in request.GET:
        # A model may be called "register".
        return model_page(request, model_find(request, "register"))
    user = person(request)
    run = run_found(user=user, run_id=asked.get("run", ""))
    if run is None:
        raise Http404
    if not may_register(user, run):
        raise NotAllowed("Only somebody of the run's team registers what came out of it.")
    try:
        choices = _models(run, request.GET.get("model", "") or request.POST.get("model", ""))
    except TrackerAway as away:
        return render(
            request, "registry/register.html", {"run": run, "crumbs": crumbs(), "away": str(away)}, status=503
        )
    form = RegisterForm(
        request.POST or None,
        models=choices,
        names=names_of_team(run.experiment.team) if run.experiment.team else [],
        team=run.experiment.team,
        initial={
            "model": request.GET.get("model", ""),
            "request": secrets.token_urlsafe(18),
            "run": run.run_id,
            "new_name": run.experiment.name.rpartition("/")[2][:100],
        },
    )
    status = 200
    if request.method == "POST":
        if form.is_valid():
            try:
                made = version_register(actor=user, run=run, **form.wanted())
            except (InvalidInput, Conflict, TrackerAway) as error:
                show_error(error, form)
                status = 422 if isinstance(error, InvalidInput) else error.status
            else:
                return redirect("registry:version", name=made.name, number=made.version)
        else:
            status = 422
    context = {
        "run": run,
        "run_url": run_url(run.run_id),
        "form": form,
        "crumbs": crumbs(),
        "has_models": bool(choices),
        "known": versions_from_run(user, run),
    }
    return render(request, "registry/register.html", context, status=status)


def _models(run: Run, asked: str) -> list[tuple[str, str]]:
    """What the run logged, as MLflow says now: logged models, and the path that a link names."""
    data = gateway.run_get(run.run_id) or {}
    outputs = (data.get("outputs") or {}).get("model_outputs") or []
    ids = [str(each.get("model_id")) for each in outputs if isinstance(each, dict) and each.get("model_id")]
    found = []
    for model_id in dict.fromkeys(ids[:MOST_MODELS]):
        info = (gateway.logged_model_get(model_id) or {}).get("info") or {}
        name = reading.text(info.get("name"), 100)
        found.append((model_id, f"{name} ({model_id[:10]}…)" if name else model_id))
    if asked and not asked.startswith("m-") and reading.text(asked) == asked:
        found.append((asked[:250], f"Artifacts under {asked[:100]}"))
    return found
