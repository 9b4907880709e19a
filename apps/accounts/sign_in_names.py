"""Under which name a sign-in is counted: what was typed may be a password in the wrong field."""

import hashlib
import hmac
from typing import Any

from django.conf import settings
from django.http import HttpRequest

from apps.accounts.models import User

LONGEST = 150


def name_counted(request: HttpRequest | None, credentials: dict[str, Any] | None = None) -> str:
    """The name itself where somebody is called so, else a fingerprint of it, by which tries can still be counted."""
    given = (credentials or {}).get("username")
    if given is None and request is not None:
        given = request.POST.get("username", "")
    typed = str(given or "").replace("\x00", "")
    if User.objects.filter(username=typed[:LONGEST]).exists():
        return typed[:LONGEST]
    digest = hmac.new(settings.SECRET_KEY.encode(), b"sign-in name:" + typed.encode("utf-8", "replace"), hashlib.sha256)
    return f"unknown:{digest.hexdigest()[:24]}"
