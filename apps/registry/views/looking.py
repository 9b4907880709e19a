"""Pages of one model and of one version."""

from collections import Counter
from datetime import timedelta
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from apps.core.paging import page_of
from apps.core.templatetags.portal_ui import time as time_tag
from apps.experiments.markdown import markdown_html
from apps.experiments.models import Run
from apps.registry.cards import SECTIONS, completeness_of
from apps.registry.deployed import Deployment, deployments_of
from apps.registry.lineage import run_url
from apps.registry.models import AliasMove, ModelCard, ModelVersion, RegisteredModel
from apps.registry.permissions import can
from apps.registry.selectors import (
    aliases_by_version,
    cards_of,
    freshness,
    moves_of,
    runs_seen,
    versions_listed,
)
from apps.registry.signature import signature_stored
from apps.registry.views.finding import crumbs, model_find, number_asked, person
from apps.registry.views.moving import alias_rows, moves_shown

VERSIONS_SHOWN = 25
METRICS_SHOWN = 3
CARDS_SHOWN = 50
MOVES_SHOWN = 50
OUTSIDE_SHOWN = timedelta(days=7)


@login_required
@require_safe
def model(request: HttpRequest, name: str) -> HttpResponse:
    return model_page(request, model_find(request, name))


def model_page(request: HttpRequest, row: RegisteredModel) -> HttpResponse:
    user = person(request)
    may_change = can(user, row)
    moves = list(moves_of(row)[:MOVES_SHOWN])
    deployments = deployments_of([row.name], user)
    page = page_of(versions_listed(row), cursor=request.GET.get("cursor", ""), size=VERSIONS_SHOWN)
    cards = list(cards_of(row).select_related("author")[:CARDS_SHOWN])
    chosen = number_asked(request, "card")
    card = next((each for each in cards if each.number == chosen), cards[0] if cards else None)
    runs = runs_seen(user, [version.run_id for version in page.rows])
    metrics = metric_keys(page.rows, {run.experiment.main_metric for run in runs.values()})
    context = {
        "model": row,
        "crumbs": crumbs(),
        "meta": _meta(row),
        "state": {"tone": "neutral", "label": "Deleted in MLflow"} if row.gone_at else None,
        "actions": _actions(row, may_change),
        "freshness": freshness(),
        "description": markdown_html(row.description) if row.description else "",
        "facts": _facts(row, deployments, card),
        "aliases": alias_rows(row, moves),
        "may_change": may_change,
        "metrics": metrics,
        "versions": _versions(page.rows, row, runs, deployments, metrics),
        "moves": moves_shown(moves),
        "outside": _moved_outside(moves),
        "deployments": deployments,
        "card": card,
        "cards": cards,
        "is_old_card": bool(card and card is not cards[0]),
        "card_sections": card_shown(card),
        "completeness": completeness_of(card.sections if card else None),
        "next_url": f"?cursor={page.next}" if page.next else "",
        "previous_url": f"?cursor={page.previous}" if page.previous else "",
    }
    return render(request, "registry/model.html", context)


def _moved_outside(moves: list[AliasMove]) -> list[AliasMove]:
    """Of the last days, the newest of each alias: what somebody should look at."""
    since, newest = timezone.now() - OUTSIDE_SHOWN, {}
    for move in moves:
        newest.setdefault(move.alias, move)
    return [move for move in newest.values() if move.via == AliasMove.Via.ELSEWHERE and move.noticed_at > since]


def metric_keys(versions: list[ModelVersion], main: set[str], limit: int = METRICS_SHOWN) -> list[str]:
    """Their experiments' main metrics, then those that most versions have."""
    counted = Counter(key for version in versions for key in version.metrics)
    return sorted(sorted(counted), key=lambda key: (key not in main, -counted[key]))[:limit]


def card_shown(card: ModelCard | None) -> list[dict[str, Any]]:
    """Written sections in their order, as HTML."""
    given = card.sections if card else {}
    return [
        {"section": section, "html": markdown_html(given[section.key])}
        for section in SECTIONS
        if str(given.get(section.key, "")).strip()
    ]


def _meta(row: RegisteredModel) -> list[dict[str, Any]]:
    team = {"icon": "users", "text": row.team.name} if row.team else {"icon": "users", "text": "belongs to no team"}
    owner = [{"icon": "user", "text": row.owner.display_name}] if row.owner else []
    return [team, *owner]


def _actions(row: RegisteredModel, may_change: bool) -> list[dict[str, Any]]:
    found = []
    if row.version_count > 1:
        url = reverse("registry:compare", args=[row.name])
        found.append({"label": "Compare versions", "url": url, "icon": "git-compare"})
    if may_change:
        found.append({"label": "Edit card", "url": reverse("registry:card", args=[row.name]), "icon": "pencil"})
    return found


def _facts(row: RegisteredModel, deployments: list[Deployment], card: ModelCard | None) -> list[dict[str, Any]]:
    serving = sum(each.serves for each in deployments)
    complete = completeness_of(card.sections if card else None)
    tone = "" if complete.is_complete else "warn"
    newest = f"newest {row.newest_version}" if row.newest_version else ""
    return [
        {"label": "Versions", "value": row.version_count, "note": newest},
        {"label": "Last promoted", "value": time_tag(row.last_promoted_at) if row.last_promoted_at else None},
        {
            "label": "Deployed",
            "value": f"{len(deployments)} deployment{'' if len(deployments) == 1 else 's'}" if deployments else "No",
            "note": f"{serving} answer{'s' if serving == 1 else ''} now" if deployments else "",
        },
        {
            "label": "Card",
            "value": f"{complete.filled} of {complete.expected} sections",
            "meter": {"value": complete.filled, "max": complete.expected, "tone": tone},
        },
        {"label": "Registered", "value": time_tag(row.created_at)},
    ]  # fmt: skip


def _versions(
    rows: list[ModelVersion],
    model: RegisteredModel,
    runs: dict[str, Run],
    deployments: list[Deployment],
    keys: list[str],
) -> list[dict[str, Any]]:
    aliases = aliases_by_version(model)
    found = []
    for row in rows:
        signature = signature_stored(row.signature)
        found.append(
            {
                "version": row,
                "run": runs.get(row.run_id),
                "run_url": run_url(row.run_id) if row.run_id in runs else "",
                "metrics": [(key, row.metrics.get(key)) for key in keys],
                "aliases": aliases.get(row.version, []),
                "signature": signature.summary if signature else "",
                "tags": [pair for pair in row.tags.items() if not pair[0].startswith(("mlflow.", "slipway."))],
                "deployed": [each for each in deployments if each.version == row.version],
            }
        )
    return found
