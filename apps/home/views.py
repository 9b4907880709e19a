from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from apps.accounts.models import Team, User
from apps.accounts.requests import SignedIn
from apps.audit.models import AuditEvent
from apps.audit.words import target_for, words_for
from apps.core.rates import rate_check
from apps.environments.models import Environment
from apps.environments.words import status_word
from apps.home import selectors
from apps.home.context import Shell
from apps.home.links import environment_link, launch_link, link
from apps.home.search import search
from apps.notifications.selectors import needs_person

S = Environment.Status
AUDIT_ROWS = 15


@login_required
@require_safe
def home(request: SignedIn) -> HttpResponse:
    """What is mine and what waits for me; each role adds its own part."""
    team = Shell(request).team_chosen
    context: dict[str, Any] = {"launch_url": launch_link(), "environments_url": link("environments:list")}
    is_auditor_only = request.user.is_auditor and not request.user.is_platform_engineer
    if not is_auditor_only:
        context |= _own(request.user, team)
    managed = selectors.teams_managed(request.user, team)
    if managed:
        context |= _managed(request.user, managed)
    if request.user.is_platform_engineer:
        context |= _platform(request.user)
    if is_auditor_only:
        context |= _audited(request.user)
    return render(request, "home/home.html", context)


def _row(environment: Environment, user: User) -> dict[str, Any]:
    """One environment with its word and the one thing its owner would do next."""
    url = environment_link(environment.pk)
    return {
        "environment": environment,
        "url": url,
        "word": status_word(environment),
        "action": _next_step(environment) if environment.owner_id == user.pk else None,
        "is_own": environment.owner_id == user.pk,
    }


def _next_step(environment: Environment) -> dict[str, Any] | None:
    if environment.status == S.RUNNING:
        url = link("environments:open", environment.pk)
        return {"label": "Open", "url": url, "icon": "external-link", "small": True, "new_tab": True} if url else None
    if environment.status == S.STOPPED:
        url = link("environments:start", environment.pk)
        return {"label": "Start", "url": url, "icon": "player-play", "small": True, "method": "post"} if url else None
    return None


def _own(user: User, team: Team | None) -> dict[str, Any]:
    rows = selectors.environments_continue(user=user, team=team)
    return {
        "shows_own": True,
        "own": [_row(row, user) for row in rows],
        "messages_waiting": needs_person(user),
        "changes_waiting": [
            {"change": change, "url": environment_link(change.workspace_id)}
            for change in selectors.changes_waiting_for(user=user)
        ],
    }


def _managed(user: User, teams: list[Team]) -> dict[str, Any]:
    found = selectors.team_attention(teams)
    return {
        "managed": teams,
        "team_waiting": [_row(row, user) for row in found.waiting],
        "team_failed": [_row(row, user) for row in found.failed],
        "team_idle": [_row(row, user) for row in found.idle],
    }


def _platform(user: User) -> dict[str, Any]:
    return {
        "shows_platform": True,
        "failures": selectors.failures_by_cause(),
        "failure_days": selectors.FAILURE_DAYS,
        "modules": selectors.modules_success(user),
        "module_days": selectors.MODULE_DAYS,
        "line": selectors.line(),
        "machines": selectors.machines(),
    }


def _audited(user: User) -> dict[str, Any]:
    rows = AuditEvent.objects.visible_to(user).select_related("actor").order_by("-id")[:AUDIT_ROWS]
    return {
        "shows_audit": True,
        "events": [{"event": row, "words": words_for(row.action), "target": target_for(row)} for row in rows],
        "audit_url": link("audit:events"),
    }


@login_required
@require_safe
def find(request: SignedIn) -> HttpResponse:
    """Search as a page, or as the entries of the command palette for htmx and the palette's own script."""
    text = request.GET.get("q", "").strip()
    rate_check(scope="search", user_id=request.user.pk)
    results = search(user=request.user, text=text) if text or request.htmx else []
    if request.htmx:
        return render(request, "components/search_results.html", {"results": results, "palette": True})
    return render(request, "home/search.html", {"results": results, "q": text})
