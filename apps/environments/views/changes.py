"""The page of one change: what it will do or did, its log and times; deciding on it and cancelling it."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from apps.core.exceptions import Conflict
from apps.core.templatetags.portal_ui import duration, elapsed
from apps.core.templatetags.portal_ui import time as time_tag
from apps.environments.failure_words import diagnostic_label, failure_words, findings_shown
from apps.environments.models import Environment
from apps.environments.selectors import losses_shown, plan_shown
from apps.environments.views.actions import change_actions
from apps.environments.views.detail import log_context
from apps.environments.views.finding import find, find_change
from apps.environments.views.progress import progress_of
from apps.environments.words import change_word
from apps.provisioning import services
from apps.provisioning.exceptions import ConfirmationMissing
from apps.provisioning.models import Change
from apps.provisioning.permissions import ChangePermission, can, require

C = Change.Status


@login_required
@require_safe
def change(request: HttpRequest, pk: UUID, change_id: UUID) -> HttpResponse:
    environment = find(request, pk)
    row = find_change(environment, change_id)
    return render(request, "environments/change.html", _context(request, environment, row))


@login_required
@require_safe
def change_fragment(request: HttpRequest, pk: UUID, change_id: UUID) -> HttpResponse:
    """Head, progress and plan of the change, as they are now; the log is appended to by itself."""
    environment = find(request, pk)
    row = find_change(environment, change_id)
    return render(request, "environments/_change_body.html", _context(request, environment, row, with_log=False))


def _context(
    request: HttpRequest, environment: Environment, row: Change, with_log: bool = True, error: str = ""
) -> dict[str, Any]:
    user: Any = request.user
    word = change_word(row)
    arguments = [environment.pk, row.pk]
    may_decide = row.status == C.AWAITING_APPROVAL and can(user, ChangePermission.DECIDE, row)
    progress = progress_of(environment, row)
    progress["actions"] = change_actions(
        environment, row, can(user, ChangePermission.CANCEL, row), can(user, ChangePermission.KILL, row)
    )
    words = failure_words(row) if row.status == C.FAILED else None
    context = {
        "environment": environment,
        "change": row,
        "word": word,
        "crumbs": [
            {"label": "Environments", "url": reverse("environments:list")},
            {"label": environment.name, "url": reverse("environments:detail", args=[environment.pk])},
        ],
        "live": {"topic": environment.topic, "url": reverse("environments:change_fragment", args=arguments)},
        "progress": progress if row.is_active and row.status != C.AWAITING_APPROVAL else None,
        "plan": plan_shown(row, row.module_version) if row.plan else None,
        "may_decide": may_decide,
        "lost": losses_shown(row),
        "confirm_error": error,
        "approve_url": reverse("environments:change_approve", args=arguments),
        "reject_url": reverse("environments:change_reject", args=arguments),
        "failure": {
            "tone": "bad",
            "title": words.what,
            "text": words.do,
            "diagnostic": row.failure_detail or row.failure_summary,
            "diagnostic_label": diagnostic_label(row),
        }
        if words
        else None,
        "findings": findings_shown(row),
        "facts": _facts(row),
    }
    if with_log:
        context["log"] = log_context(environment, "build", row)
        # A log that goes on is that of the environment; only its lines from here on belong to this change.
        context["commands"] = list(row.commands.all())
    return context


def _facts(row: Change) -> list[dict[str, Any]]:
    by = row.requested_by.display_name if row.requested_by else "Slipway"
    facts: list[dict[str, Any]] = [
        {"label": "Asked for by", "value": by, "note": row.reason},
        {"label": "Asked for", "value": time_tag(row.created_at)},
        {"label": "Took" if row.finished_at else "Since", "value": elapsed(row.created_at, row.finished_at)},
    ]
    if row.planning_at:
        facts.append({"label": "In line", "value": duration((row.planning_at - row.created_at).total_seconds())})
    if row.applying_at and row.finished_at:
        facts.append({"label": "Applying", "value": duration((row.finished_at - row.applying_at).total_seconds())})
    facts.append({"label": "Module", "value": f"{row.module_version.module.title} {row.module_version.version}"})
    if row.engine:
        facts.append({"label": "Engine", "value": f"{row.engine} {row.engine_version}"})
    if row.approved_by:
        facts.append({"label": "Approved by", "value": row.approved_by.display_name, "note": time_tag(row.approved_at)})
    return facts


def _page(pk: UUID, change_id: UUID) -> HttpResponse:
    return redirect("environments:change", pk=pk, change_id=change_id)


@login_required
@require_POST
def change_approve(request: HttpRequest, pk: UUID, change_id: UUID) -> HttpResponse:
    """Apply the plan that was shown; another one is shown again."""
    environment = find(request, pk)
    row = find_change(environment, change_id)
    require(request.user, ChangePermission.DECIDE, row)  # type: ignore[arg-type]
    try:
        services.change_approve(
            change=row,
            actor=request.user,  # type: ignore[arg-type]
            plan_hash=request.POST.get("plan_hash", ""),
            confirm=request.POST.get("confirm", "")[:200],
        )
    except ConfirmationMissing as error:
        context = _context(request, environment, row, error=str(error))
        return render(request, "environments/change.html", context, status=422)
    except Conflict as error:
        messages.warning(request, str(error))
        return _page(pk, change_id)
    return redirect("environments:detail", pk=pk)


@login_required
@require_POST
def change_reject(request: HttpRequest, pk: UUID, change_id: UUID) -> HttpResponse:
    row = find_change(find(request, pk), change_id)
    require(request.user, ChangePermission.DECIDE, row)  # type: ignore[arg-type]
    try:
        services.change_reject(change=row, actor=request.user, reason=request.POST.get("reason", ""))  # type: ignore[arg-type]
    except Conflict as error:
        messages.warning(request, str(error))
    return redirect("environments:detail", pk=pk)


@login_required
@require_POST
def change_cancel(request: HttpRequest, pk: UUID, change_id: UUID) -> HttpResponse:
    row = find_change(find(request, pk), change_id)
    require(request.user, ChangePermission.CANCEL, row)  # type: ignore[arg-type]
    try:
        services.change_cancel(change=row, actor=request.user)  # type: ignore[arg-type]
    except Conflict as error:
        messages.warning(request, str(error))
    return redirect("environments:detail", pk=pk)


@login_required
@require_POST
def change_kill(request: HttpRequest, pk: UUID, change_id: UUID) -> HttpResponse:
    row = find_change(find(request, pk), change_id)
    require(request.user, ChangePermission.KILL, row)  # type: ignore[arg-type]
    services.change_kill_confirm(change=row, actor=request.user)  # type: ignore[arg-type]
    return redirect("environments:detail", pk=pk)
