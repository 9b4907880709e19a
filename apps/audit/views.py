from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from apps.accounts.requests import SignedIn
from apps.audit.forms import EventFilterForm
from apps.audit.models import AuditEvent
from apps.audit.permissions import reads_all
from apps.audit.selectors import events_filter
from apps.audit.words import target_for, words_for
from apps.core.paging import page_of
from apps.core.rates import rate_check

PAGE_SIZE = 50


@login_required
@require_safe
def events(request: SignedIn) -> HttpResponse:
    """Everything that was done, newest first; for auditors and platform engineers, unknown to others."""
    if not reads_all(request.user):
        raise Http404
    form = EventFilterForm(request.GET)
    form.is_valid()
    asked = form.cleaned_data
    if asked.get("q"):
        rate_check(scope="search", user_id=request.user.pk)
    rows = events_filter(
        AuditEvent.objects.visible_to(request.user).select_related("actor"),
        q=asked.get("q", ""),
        action=asked.get("area", ""),
        actor=asked.get("actor", ""),
        since=asked.get("since"),
        until=asked.get("until"),
    )
    page = page_of(rows, cursor=request.GET.get("cursor", ""), size=PAGE_SIZE)
    context = {
        "form": form,
        "rows": [
            {"event": row, "words": words_for(row.action), "target": target_for(row), "details": _details(row)}
            for row in page.rows
        ],
        "next_url": _link(request, page.next),
        "previous_url": _link(request, page.previous),
        "is_filtered": any(value for value in asked.values()),
        "selects": [_area_select(asked.get("area", ""))],
        "chips": _chips(request, asked),
    }
    return render(request, "audit/events.html", context)


def _details(event: AuditEvent) -> list[dict[str, Any]]:
    """Before and after, attribute by attribute; masked where they were recorded."""
    names = [*event.before, *(name for name in event.after if name not in event.before)]
    return [{"name": name, "before": event.before.get(name), "after": event.after.get(name)} for name in names]


def _area_select(chosen: str) -> dict[str, Any]:
    options = [{"value": value, "label": label, "selected": value == chosen} for value, label in EventFilterForm.AREAS]
    return {"name": "area", "label": "Area", "options": options}


def _chips(request: SignedIn, asked: dict[str, Any]) -> list[dict[str, str]]:
    labels = {"actor": "person", "since": "from", "until": "to"}
    return [
        {"key": label, "label": str(asked[name]), "remove_url": _without(request, name)}
        for name, label in labels.items()
        if asked.get(name)
    ]


def _without(request: SignedIn, name: str) -> str:
    params = request.GET.copy()
    for gone in (name, "cursor"):
        params.pop(gone, None)
    return f"?{params.urlencode()}"


def _link(request: SignedIn, cursor: str | None) -> str:
    if cursor is None:
        return ""
    params = request.GET.copy()
    params["cursor"] = cursor
    return f"?{params.urlencode()}"
