from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from apps.core.paging import page_of
from apps.runtimes.models import Runtime, RuntimeVersion
from apps.runtimes.registry import counts_of, uses_of
from apps.runtimes.selectors import (
    UNDER_WAY,
    WORDS,
    difference_between,
    runtimes_listed,
    status_word,
    version_before,
    versions_listed,
)
from apps.runtimes.views.finding import may_manage, runtime_find, version_find

SHOWN = 50


@login_required
@require_safe
def runtimes(request: HttpRequest) -> HttpResponse:
    page = page_of(runtimes_listed(request.user), cursor=request.GET.get("cursor", ""), size=SHOWN)  # type: ignore[arg-type]
    counts = counts_of([row.latest_version_id for row in page.rows if row.latest_version_id])
    rows = [_row(row, counts.get(row.latest_version_id, 0) if row.latest_version_id else 0) for row in page.rows]
    context = {
        "rows": rows,
        "may_manage": may_manage(request),
        "next_url": f"?cursor={page.next}" if page.next else "",
        "previous_url": f"?cursor={page.previous}" if page.previous else "",
    }
    return render(request, "runtimes/list.html", context)


def _row(runtime: Runtime, used: int) -> dict[str, Any]:
    newest = next(iter(runtime.newest), None)  # type: ignore[attr-defined]
    latest = runtime.latest_version
    return {
        "runtime": runtime,
        "latest": latest,
        # A newer one that is not (yet) what people get.
        "newest": newest if newest and (latest is None or newest.pk != latest.pk) else None,
        "word": status_word(newest) if newest else None,
        "used": used,
    }


@login_required
@require_safe
def runtime(request: HttpRequest, slug: str) -> HttpResponse:
    """Its versions, and who uses them."""
    row = runtime_find(request, slug)
    page = page_of(versions_listed(row, request.user), cursor=request.GET.get("cursor", ""), size=SHOWN)  # type: ignore[arg-type]
    counts = counts_of([version.pk for version in page.rows])
    uses = uses_of([version.pk for version in page.rows], request.user)  # type: ignore[arg-type]
    by_id = {version.pk: version.number for version in page.rows}
    context = {
        "runtime": row,
        "crumbs": [{"label": "Python environments", "url": reverse("runtimes:list")}],
        "meta": [{"text": f"Python {row.python}"}, {"text": row.slug}],
        "versions": [
            {"version": version, "word": status_word(version), "used": counts.get(version.pk, 0)}
            for version in page.rows
        ],
        "uses": [{"use": use, "number": by_id.get(use.version_id)} for use in uses.shown],
        "uses_hidden": uses.total - len(uses.shown),
        "under_way": any(version.status in UNDER_WAY for version in page.rows),
        "may_manage": may_manage(request),
        "next_url": f"?cursor={page.next}" if page.next else "",
        "previous_url": f"?cursor={page.previous}" if page.previous else "",
    }
    if context["may_manage"]:
        context["primary"] = {
            "label": "Edit requirements",
            "url": reverse("runtimes:requirements", args=[slug]),
            "icon": "pencil",
        }
        context["actions"] = [{"label": "Change title", "url": reverse("runtimes:describe", args=[slug])}]
    return render(request, "runtimes/runtime.html", context)


@login_required
@require_safe
def version(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    """What is in a version, and how it differs from another one (`?from=2`, by default the one before)."""
    row = version_find(request, slug, number)
    others = list(versions_listed(row.runtime, request.user).exclude(pk=row.pk).exclude(packages=[])[:SHOWN])  # type: ignore[arg-type]
    asked = request.GET.get("from", "")
    base = next((other for other in others if str(other.number) == asked), None) if asked else version_before(row)
    word = WORDS[RuntimeVersion.Status(row.status)]
    context = {
        "version": row,
        "runtime": row.runtime,
        "version_heading": f"{row.runtime.title}, version {row.number}",
        "crumbs": [
            {"label": "Python environments", "url": reverse("runtimes:list")},
            {"label": row.runtime.title, "url": reverse("runtimes:runtime", args=[slug])},
        ],
        # Why it failed is said in a notice of its own.
        "state": {"tone": word.tone, "label": word.label, "reason": "" if row.status == "failed" else row.reason},
        "under_way": row.status in UNDER_WAY,
        "facts": _facts(row, request),
        "difference": difference_between(base, row),
        "base": base,
        "others": others,
        **(_actions(row) if may_manage(request) else {}),
    }
    return render(request, "runtimes/version.html", context)


def _facts(row: RuntimeVersion, request: HttpRequest) -> list[dict[str, Any]]:
    from apps.core.templatetags.portal_ui import bytes_size
    from apps.core.templatetags.portal_ui import time as time_tag

    uses = uses_of([row.pk], request.user)  # type: ignore[arg-type]
    who = row.created_by.display_name if row.created_by else "Slipway"
    return [
        {"label": "Packages", "value": len(row.packages) if row.packages else None},
        {"label": "Size", "value": bytes_size(row.size_bytes) if row.size_bytes else None},
        {"label": "Used by", "value": f"{uses.total} environment{'' if uses.total == 1 else 's'}"},
        {"label": "Made by", "value": who},
        {"label": "Asked for", "value": time_tag(row.created_at)},
        {"label": "Ready", "value": time_tag(row.ready_at) if row.ready_at else None},
        {"label": "Lock", "value": row.digest[:12] or None, "title": row.digest},
    ]


def _actions(row: RuntimeVersion) -> dict[str, Any]:
    S = RuntimeVersion.Status  # noqa: N806 - the states
    slug, number = row.runtime.slug, row.number
    edit = {"label": "Edit requirements", "url": reverse("runtimes:requirements", args=[slug]), "icon": "pencil"}
    if row.status == S.FAILED:
        again = {"label": "Try again", "url": reverse("runtimes:retry", args=[slug, number]), "method": "post"}
        return {"primary": edit, "actions": [{**again, "icon": "refresh"}]}
    if row.status == S.READY:
        out = {"label": "Deprecate version", "url": reverse("runtimes:deprecate", args=[slug, number])}
        return {"primary": edit, "actions": [out]}
    if row.status == S.DEPRECATED:
        back = {"label": "Offer again", "url": reverse("runtimes:restore", args=[slug, number]), "method": "post"}
        return {"actions": [back]}
    return {}
