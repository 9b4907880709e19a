"""The state of the index: how far MLflow was read, and dropping it to be filled again."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from apps.accounts.requests import SignedIn
from apps.experiments.permissions import IndexPermission, can, require
from apps.experiments.selectors.freshness import freshness
from apps.experiments.selectors.index import IndexState, index_state
from apps.experiments.services.indexing import index_rebuild


@login_required
@require_safe
def index(request: SignedIn) -> HttpResponse:
    require(request.user, IndexPermission.VIEW)
    state = index_state()
    context = {
        "row": state.row,
        "freshness": state.freshness,
        "groups": _groups(state),
        "crumbs": [{"label": "Experiments", "url": reverse("experiments:list")}],
        "may_rebuild": can(request.user, IndexPermission.REBUILD),
    }
    return render(request, "experiments/index.html", context)


@login_required
@require_safe
def progress(request: SignedIn) -> HttpResponse:
    """The bar of the first import, or, once that is done, the way to what it read. Says nothing of anybody's runs."""
    return render(request, "experiments/_import.html", {"freshness": freshness()})


@login_required
@require_POST
def rebuild(request: SignedIn) -> HttpResponse:
    index_rebuild(actor=request.user)
    messages.success(request, "The index was dropped and is being filled again from MLflow, newest runs first.")
    return redirect("experiments:index")


def _groups(state: IndexState) -> list[dict[str, Any]]:
    """Facts by what they are about."""
    row = state.row
    held: list[dict[str, Any]] = [
        {"label": "Runs", "value": f"{state.runs:,}", "note": f"{state.active:,} active"},
        {"label": "Experiments", "value": f"{state.experiments:,}"},
        {
            "label": "Of no team",
            "value": f"{state.without_team:,}",
            "note": "Seen by platform engineers and auditors alone." if state.without_team else "",
        },
    ]
    reading: list[dict[str, Any]] = [
        {"label": "Last read", "at": row.read_at},
        {"label": "Hints waiting", "value": f"{state.hints:,}"},
        {"label": "Import took" if row.imported_at else "Import so far", "seconds": state.import_seconds},
    ]
    walking: list[dict[str, Any]] = [
        {"label": "Came round", "at": row.reconciled_at},
        {"label": "This round began", "seconds": state.walked_seconds, "ago": True},
        {"label": "Has reached runs of", "at": state.walked_until},
    ]
    return [
        {"title": "What it holds", "facts": held},
        {
            "title": "New and active runs",
            "facts": reading,
            "about": "Read every 5 seconds, with what hints name.",
        },
        {
            "title": "Reconcile",
            "facts": walking,
            "about": "Walks over all runs for ever, with 2.5 % of MLflow's time, and finds what changed unseen.",
        },
    ]
