"""The list of models."""

import re
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from apps.accounts.models import Team
from apps.core.paging import page_of
from apps.registry.cards import completeness_of
from apps.registry.deployed import Deployment, deployments_of, health_of
from apps.registry.models import ModelCard, RegisteredModel
from apps.registry.selectors import DEFAULT_ORDERING, ORDERINGS, cards_newest, freshness, models_list
from apps.registry.views.finding import person

PAGE_SIZE = 50
MARKS = re.compile(r"[*_`#>]+")


@login_required
@require_safe
def models(request: HttpRequest) -> HttpResponse:
    user, asked = person(request), _asked(request)
    rows = models_list(user=user, **asked)
    page = page_of(rows, cursor=request.GET.get("cursor", ""), size=PAGE_SIZE)
    count = rows.order_by().count()
    deployments = deployments_of([row.name for row in page.rows], user)
    cards = cards_newest(page.rows)
    chips = _chips(request, asked)
    context = {
        "rows": [_row(row, deployments, cards.get(row.name)) for row in page.rows],
        "asked": asked,
        "ordering": asked["ordering"],
        "summary": f"{count:,} model{'' if count == 1 else 's'}",
        "freshness": freshness(),
        "next_url": _link(request, page.next),
        "previous_url": _link(request, page.previous),
        "selects": [_teams(request, asked["team"])],
        "hidden": {"alias": asked["alias"], "ordering": request.GET.get("ordering", "")},
        "chips": chips,
        "remove": {"label": chips[-1]["label"], "url": chips[-1]["remove_url"]} if chips else None,
    }
    return render(request, "registry/list.html", context)


def _asked(request: HttpRequest) -> dict[str, str]:
    """The query, reduced to what is known."""
    get = request.GET
    ordering = get.get("ordering", "")
    return {
        "search": get.get("q", "").replace("\x00", "").strip()[:200],
        "team": get.get("team", "").replace("\x00", "")[:40],
        "alias": get.get("alias", "").replace("\x00", "").strip()[:255],
        "ordering": ordering if ordering in ORDERINGS else DEFAULT_ORDERING,
    }


def _row(model: RegisteredModel, deployments: list[Deployment], card: ModelCard | None) -> dict[str, Any]:
    own = [each for each in deployments if each.model == model.name]
    aliases = sorted(model.aliases.all(), key=lambda each: each.alias)
    return {
        "model": model,
        "description": MARKS.sub("", model.description.partition("\n")[0])[:80],
        "aliases": aliases[:4],
        "more_aliases": len(aliases) - 4,
        "deployed": len(own),
        "health": health_of(own),
        "card": completeness_of(card.sections if card else None),
    }


def _link(request: HttpRequest, cursor: str | None) -> str | None:
    if cursor is None:
        return None
    query = request.GET.copy()
    query["cursor"] = cursor
    return f"?{query.urlencode()}"


def _teams(request: HttpRequest, chosen: str) -> dict[str, Any]:
    teams = Team.objects.visible_to(person(request)).order_by("name").values_list("slug", "name")
    options = [{"value": "", "label": "Any team", "selected": not chosen}]
    options += [{"value": slug, "label": name, "selected": slug == chosen} for slug, name in teams]
    return {"name": "team", "label": "Team", "options": options}


def _chips(request: HttpRequest, asked: dict[str, str]) -> list[dict[str, str]]:
    chips = []
    for key, parameter, label in (("search", "q", "Text"), ("team", "team", "Team"), ("alias", "alias", "Alias")):
        if asked[key]:
            query = request.GET.copy()
            for name in (parameter, "cursor"):
                query.pop(name, None)
            remove = f"{request.path}?{query.urlencode()}"
            chips.append({"key": label, "label": asked[key], "remove_url": remove})
    return chips
