"""The page of one version."""

from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from apps.accounts.models import User
from apps.core.templatetags.portal_ui import bytes_size
from apps.core.templatetags.portal_ui import time as time_tag
from apps.experiments.markdown import markdown_html
from apps.registry.deployed import Deployment, deployments_of, providers
from apps.registry.lineage import lineage_of
from apps.registry.models import ModelVersion, RegisteredModel
from apps.registry.permissions import can
from apps.registry.prediction import PredictionForm
from apps.registry.reading import json_shown
from apps.registry.selectors import aliases_by_version, freshness, runs_seen, version_numbers
from apps.registry.signature import signature_stored
from apps.registry.views.finding import crumbs, model_find, person, version_find

METRICS_SHOWN = 200
STAMPED = ("mlflow.", "slipway.")  # what the page says in words


@login_required
@require_safe
def version(request: HttpRequest, name: str, number: int) -> HttpResponse:
    model = model_find(request, name)
    row = version_find(model, number)
    return render(request, "registry/version.html", version_context(request, model, row))


def version_context(request: HttpRequest, model: RegisteredModel, row: ModelVersion) -> dict[str, Any]:
    user = person(request)
    run = runs_seen(user, [row.run_id]).get(row.run_id)
    deployments = [each for each in deployments_of([model.name], user) if each.version == row.version]
    aliases = aliases_by_version(model).get(row.version, [])
    may_change = can(user, model)
    return {
        "model": model,
        "version": row,
        "heading": f"{model.name}, version {row.version}",
        "crumbs": crumbs(model),
        "meta": [{"icon": "tag", "text": alias} for alias in aliases],
        "actions": _actions(model, row, may_change),
        "freshness": freshness(),
        "facts": _facts(row),
        "description": markdown_html(row.description) if row.description else "",
        "signature": signature_stored(row.signature),
        "example": json_shown(row.example) if row.example is not None else "",
        "requirements": "\n".join(row.requirements),
        "metrics": sorted(row.metrics.items())[:METRICS_SHOWN],
        "params": sorted(row.params.items())[:METRICS_SHOWN],
        "tags": [(key, value) for key, value in sorted(row.tags.items()) if not key.startswith(STAMPED)],
        "stages": lineage_of(row, run, deployments),
        "deployments": deployments,
        "may_change": may_change,
        **_deploying(row, user, deployments),
    }


def _deploying(row: ModelVersion, user: User, deployments: list[Deployment]) -> dict[str, Any]:
    """A link into the launch form, what would be missing there, and the form of the signature where it can be sent."""
    url = next((found for provider in providers if (found := provider.deploy_url(row, user))), "")
    answering = [(each.key, each.title) for each in deployments if each.may_predict]
    made = {"signature": signature_stored(row.signature), "example": row.example, "deployments": answering}
    return {
        "deploy_url": url,
        "primary": {"label": "Deploy", "url": url, "icon": "rocket"} if url else None,
        "lacking": [each for provider in providers for each in provider.lacking(row)],
        "prediction": PredictionForm(**made) if answering else None,
    }


def _actions(model: RegisteredModel, row: ModelVersion, may_change: bool) -> list[dict[str, Any]]:
    found = []
    if may_change:
        url = f"{reverse('registry:alias', args=[model.name])}?version={row.version}"
        found.append({"label": "Set alias", "url": url, "icon": "tag"})
    others = [number for number in version_numbers(model) if number != row.version]
    if others:
        earlier = next((number for number in others if number < row.version), others[-1])
        old, new = sorted((earlier, row.version))
        url = f"{reverse('registry:compare', args=[model.name])}?old={old}&new={new}"
        found.append({"label": f"Compare with {earlier}", "url": url, "icon": "git-compare"})
    return found


def _facts(row: ModelVersion) -> list[dict[str, Any]]:
    status = "Ready" if row.status == "READY" else row.status.replace("_", " ").capitalize() or None
    author = row.created_by.display_name if row.created_by else ""
    size = bytes_size(row.size_bytes) if row.size_bytes is not None else None
    return [
        {"label": "State in MLflow", "value": status, "note": row.status_message},
        {"label": "Registered", "value": time_tag(row.created_at), "note": author},
        {"label": "Kind", "value": ", ".join(flavor for flavor in row.flavors if flavor != "python_function") or None},
        {"label": "Python", "value": row.python or None},
        {"label": "Size", "value": size, "note": _files_said(len(row.files))},
        {"label": "Digest", "value": row.digest[:12] or None, "title": row.digest},
    ]


def _files_said(count: int) -> str:
    return f"{count:,} file{'' if count == 1 else 's'}" if count else ""
