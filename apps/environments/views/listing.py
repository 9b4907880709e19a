"""The list of environments, and one row of it for live refresh."""

from typing import Any
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from apps.accounts.models import Team, User
from apps.catalog.models import Module
from apps.core.paging import page_of
from apps.environments.models import Environment
from apps.environments.permissions import managed_team_ids, permissions_of
from apps.environments.selectors import DEFAULT_ORDERING, ORDERINGS, applications_of, environments_list
from apps.environments.version_flags import version_flag
from apps.environments.views.actions import environment_address, primary_action
from apps.environments.views.presenting import stops_at
from apps.environments.words import STATUS_WORDS, status_word

PAGE_SIZE = 50
SCOPE_LABELS = {"mine": "Mine", "team": "My teams", "all": "All"}


@login_required
@require_safe
def environments(request: HttpRequest) -> HttpResponse:
    user: User = request.user  # type: ignore[assignment]
    asked = _asked(request)
    rows = environments_list(user=user, **{name: value for name, value in asked.items() if name != "version"})
    if asked["version"]:
        rows = rows.filter(module_version__version=asked["version"])
    page = page_of(rows, cursor=request.GET.get("cursor", ""), size=PAGE_SIZE)
    count = rows.order_by().count()
    managed = managed_team_ids(user)
    chips = _chips(request, asked)
    context = {
        "rows": [_row(user, environment, managed) for environment in page.rows],
        "count": count,
        "summary": f"{count:,} environment{'' if count == 1 else 's'}",
        "next_url": _link(request, page.next),
        "previous_url": _link(request, page.previous),
        "asked": asked,
        "ordering": asked["ordering"],
        "hidden": {
            "scope": asked["scope"],
            "version": asked["version"],
            "ordering": request.GET.get("ordering", ""),
        },
        "tabs": _scopes(request, user, asked["scope"]),
        "selects": _selects(user, asked),
        "chips": chips,
        "remove": {"label": chips[-1]["label"], "url": chips[-1]["remove_url"]} if chips else None,
        "launch_url": reverse("environments:launch"),
    }
    return render(request, "environments/list.html", context)


@login_required
@require_safe
def row(request: HttpRequest, pk: UUID) -> HttpResponse:
    """One row, as it is now; it stays in the list although it may not match the filter any more."""
    user: User = request.user  # type: ignore[assignment]
    environment = environments_list(user=user, scope="all").filter(pk=pk).first()
    if environment is None:
        environment = environments_list(user=user, scope="all", status="destroyed").filter(pk=pk).first()
    if environment is None:
        raise Http404
    context = {"row": _row(user, environment, managed_team_ids(user))}
    return render(request, "environments/_row.html", context)


def _asked(request: HttpRequest) -> dict[str, str]:
    """The query, reduced to what is known; an unknown value filters nothing."""
    get = request.GET
    scope = get.get("scope", "")
    ordering = get.get("ordering", "")
    user = request.user
    default = "all" if getattr(user, "sees_everything", False) else "mine"
    return {
        "scope": scope if scope in SCOPE_LABELS else default,
        "status": get.get("status", "") if get.get("status", "") in Environment.Status.values else "",
        "module": get.get("module", "")[:60],
        "version": get.get("version", "")[:40],
        "team": get.get("team", "")[:40],
        "search": get.get("q", "").strip()[:200],
        "ordering": ordering if ordering in ORDERINGS else DEFAULT_ORDERING,
    }


def _row(user: User, environment: Environment, managed: frozenset[UUID]) -> dict[str, Any]:
    granted = permissions_of(user, environment, managed)
    primary = primary_action(environment, granted, None)
    if primary and primary.get("style") is None:
        primary = {**primary, "small": True, "label": primary["label"].replace("Start and open", "Start")}
    return {
        "environment": environment,
        "word": status_word(environment),
        "version_word": version_flag(environment.module_version),
        "stops": stops_at(environment),
        "url": environment_address("detail", environment.pk),
        "fragment_url": environment_address("row", environment.pk),
        "action": primary,
        "applications": applications_of(environment.module_version),
    }


def _link(request: HttpRequest, cursor: str | None) -> str | None:
    if cursor is None:
        return None
    query = request.GET.copy()
    query["cursor"] = cursor
    return f"?{query.urlencode()}"


def _without(request: HttpRequest, *names: str, **changes: str) -> str:
    query = request.GET.copy()
    for name in (*names, "cursor"):
        query.pop(name, None)
    for name, value in changes.items():
        query[name] = value
    return f"{request.path}?{query.urlencode()}"


def _scopes(request: HttpRequest, user: User, scope: str) -> list[dict[str, Any]]:
    shown = ["mine", "team", "all"] if user.sees_everything else ["mine", "team"]
    return [
        {"label": SCOPE_LABELS[name], "url": _without(request, scope=name), "active": name == scope} for name in shown
    ]


def _selects(user: User, asked: dict[str, str]) -> list[dict[str, Any]]:
    statuses = [(status.value, word.label) for status, word in STATUS_WORDS.items()]
    modules = list(Module.objects.visible_to(user).values_list("slug", "title"))
    teams = list(Team.objects.visible_to(user).order_by("name").values_list("slug", "name"))
    return [
        _select("status", "Status", "Any status", statuses, asked["status"]),
        _select("module", "Module", "Any module", modules, asked["module"]),
        _select("team", "Team", "Any team", teams, asked["team"]),
    ]


def _select(name: str, label: str, empty: str, choices: list[tuple[str, str]], chosen: str) -> dict[str, Any]:
    options = [{"value": "", "label": empty, "selected": not chosen}]
    options += [{"value": value, "label": text, "selected": value == chosen} for value, text in choices]
    return {"name": name, "label": label, "options": options}


def _chips(request: HttpRequest, asked: dict[str, str]) -> list[dict[str, str]]:
    names = (
        ("search", "q", "Text"),
        ("status", "status", "Status"),
        ("module", "module", "Module"),
        ("version", "version", "Version"),
        ("team", "team", "Team"),
    )
    return [
        {
            "key": label,
            "label": STATUS_WORDS[Environment.Status(asked[key])].label if key == "status" else asked[key],
            "remove_url": _without(request, parameter),
        }
        for key, parameter, label in names
        if asked[key]
    ]
