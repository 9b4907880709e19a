from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST, require_safe

from apps.accounts.requests import SignedIn
from apps.core.paging import page_of
from apps.notifications.models import Notification
from apps.notifications.services import notifications_mark_read

PAGE_SIZE = 50
MENU_SIZE = 8


@login_required
@require_safe
def inbox(request: SignedIn) -> HttpResponse:
    """One's own messages, newest first."""
    only_unread = request.GET.get("show") == "unread"
    rows = Notification.objects.visible_to(request.user)
    page = page_of(rows.unread() if only_unread else rows, cursor=request.GET.get("cursor", ""), size=PAGE_SIZE)
    context = {
        "items": page.rows,
        "only_unread": only_unread,
        "next_url": _link(request, page.next),
        "previous_url": _link(request, page.previous),
    }
    return render(request, "notifications/inbox.html", context)


@login_required
@require_safe
def menu(request: SignedIn) -> HttpResponse:
    """The latest messages as a fragment."""
    rows = Notification.objects.visible_to(request.user)[:MENU_SIZE]
    return render(request, "notifications/menu.html", {"items": rows})


@login_required
@require_POST
def follow(request: SignedIn, pk: Any) -> HttpResponse:
    """Mark one message as read and go where it leads."""
    row = get_object_or_404(Notification.objects.visible_to(request.user), pk=pk)
    notifications_mark_read(user=request.user, ids=[row.pk])
    is_ours = url_has_allowed_host_and_scheme(row.url, {request.get_host()}, require_https=request.is_secure())
    return redirect(row.url if row.url and is_ours else "notifications:inbox")


@login_required
@require_POST
def mark_read(request: SignedIn, pk: Any) -> HttpResponse:
    row = get_object_or_404(Notification.objects.visible_to(request.user), pk=pk)
    notifications_mark_read(user=request.user, ids=[row.pk])
    return redirect("notifications:inbox")


@login_required
@require_POST
def mark_all_read(request: SignedIn) -> HttpResponse:
    notifications_mark_read(user=request.user)
    return redirect("notifications:inbox")


def _link(request: SignedIn, cursor: str | None) -> str:
    if cursor is None:
        return ""
    params = request.GET.copy()
    params["cursor"] = cursor
    return f"?{params.urlencode()}"
