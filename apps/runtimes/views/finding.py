from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest

from apps.accounts.models import User
from apps.core.exceptions import NotAllowed
from apps.runtimes.models import Runtime, RuntimeVersion
from apps.runtimes.permissions import RuntimePermission, require


def runtime_find(request: HttpRequest, slug: str) -> Runtime:
    row = Runtime.objects.visible_to(_user(request)).select_related("latest_version").filter(slug=slug).first()
    if row is None:
        raise Http404
    return row


def version_find(request: HttpRequest, slug: str, number: int) -> RuntimeVersion:
    rows = RuntimeVersion.objects.visible_to(_user(request)).filter(runtime__slug=slug)
    row = rows.filter(number=number).select_related("runtime", "created_by").first() if number < 10**6 else None
    if row is None:
        raise Http404
    return row


def manager(request: HttpRequest) -> User:
    """The person who asks, where they may make Python environments; raises `NotAllowed`."""
    user = _user(request)
    require(user, RuntimePermission.MANAGE)
    return user


def may_manage(request: HttpRequest) -> bool:
    try:
        manager(request)
    except NotAllowed:
        return False
    return True


def say(request: HttpRequest, text: Any) -> None:
    messages.success(request, text)


def _user(request: HttpRequest) -> User:
    return request.user  # type: ignore[return-value]
