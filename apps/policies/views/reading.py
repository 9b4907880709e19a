"""Policies to read: the list, one policy, one of its versions beside the one before."""

import difflib
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.http import require_safe

from apps.accounts.requests import SignedIn
from apps.core.paging import page_of
from apps.policies.examples import EXAMPLES
from apps.policies.models import Policy, PolicyVersion
from apps.policies.permissions import PolicyPermission, require
from apps.policies.views.finding import crumbs, find, may_write, tabs

PAGE_SIZE = 50
VERSIONS_SHOWN = 100


@login_required
@require_safe
def policies(request: SignedIn) -> HttpResponse:
    require(request.user, PolicyPermission.VIEW)
    rows = Policy.objects.visible_to(request.user).select_related("team", "module")
    rows = rows.prefetch_related("current_version__created_by")
    page = page_of(rows, cursor=request.GET.get("cursor", ""), size=PAGE_SIZE)
    context = {
        "policies": page.rows,
        "next_url": _link(request, page.next),
        "previous_url": _link(request, page.previous),
        "may_write": may_write(request.user),
        "examples": EXAMPLES,
        "tabs": tabs("list"),
    }
    return render(request, "policies/list.html", context)


@login_required
@require_safe
def policy(request: SignedIn, slug: str) -> HttpResponse:
    row = find(request.user, slug)
    versions = row.versions.select_related("created_by").defer("rego")[:VERSIONS_SHOWN]
    context = {
        "policy": row,
        "crumbs": crumbs(),
        "state": {"tone": "good", "label": "On"} if row.enabled else {"tone": "neutral", "label": "Off"},
        "meta": [{"text": f"speaks of {row.scope_shown}"}, {"text": row.slug}],
        "versions": versions,
        "may_write": may_write(request.user),
        "actions": _actions(row) if may_write(request.user) else [],
    }
    return render(request, "policies/policy.html", context)


def _actions(row: Policy) -> list[dict[str, Any]]:
    switch = (
        {"label": "Switch off", "url": reverse("policies:disable", args=[row.slug]), "method": "post"}
        if row.enabled
        else {"label": "Switch on", "url": reverse("policies:enable", args=[row.slug]), "method": "post"}
    )
    return [
        {"label": "Edit rules", "url": reverse("policies:edit", args=[row.slug]), "icon": "pencil", "style": "primary"},
        switch,
        {"label": "Settings", "url": reverse("policies:settings", args=[row.slug]), "style": "quiet"},
    ]


@login_required
@require_safe
def version(request: SignedIn, slug: str, number: int) -> HttpResponse:
    """The text of one version, and what is different from the one before."""
    row = find(request.user, slug)
    rows = PolicyVersion.objects.visible_to(request.user).filter(policy=row).select_related("created_by")
    shown = get_object_or_404(rows, number=min(number, 2**31 - 1))
    before = rows.filter(number=shown.number - 1).first()
    context = {
        "policy": row,
        "version": shown,
        "heading": f"Version {shown.number}",
        "crumbs": crumbs(row),
        "lines": diff_lines(before.rego if before else "", shown.rego),
        "before": before,
    }
    return render(request, "policies/version.html", context)


def diff_lines(before: str, after: str) -> list[dict[str, str]]:
    """Every line with its mark: " ", "+" or "-"; what stayed is there as well, so that the text can be read."""
    found = difflib.ndiff(before.splitlines(), after.splitlines())
    return [{"mark": line[0].strip(), "text": line[2:]} for line in found if line[0] != "?"]


def _link(request: SignedIn, cursor: str | None) -> str:
    if cursor is None:
        return ""
    params = request.GET.copy()
    params["cursor"] = cursor
    return f"?{params.urlencode()}"
