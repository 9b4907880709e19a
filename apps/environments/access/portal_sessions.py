"""Ties a session on an application host to the sign-in at the portal that it came from, so that signing out ends both.

An application host's cookie names the portal's session by its hash only. What a hash stands for is kept in the cache:
when that is emptied, people come in again through the portal without noticing more than a reload.
"""

import hashlib
import hmac
from importlib import import_module
from typing import Any

from django.conf import settings
from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY
from django.core.cache import cache

from apps.core.crypto import KeyLost, decrypt, encrypt

KEPT_SECONDS = 14 * 24 * 3600


def _name(digest: str) -> str:
    return f"environments:portal-session:{digest}"


def portal_session_remember(session_key: str) -> str:
    """To be called where a ticket is issued; gives the `portal_session` of a `Person`."""
    digest = hashlib.sha256(session_key.encode()).hexdigest()
    # Encrypted: a session's key in the clear is as good as the person's password to whoever can read the cache.
    cache.set(_name(digest), encrypt(session_key.encode()), timeout=KEPT_SECONDS)
    return digest


def portal_session_lives(digest: str, user: Any) -> bool:
    """Whether that sign-in is still there, is of this user, and is from after the last change of password."""
    kept = cache.get(_name(digest))
    if not kept:
        return False
    try:
        session_key = decrypt(kept).decode()
    except KeyLost:
        return False
    session = import_module(settings.SESSION_ENGINE).SessionStore(session_key)
    if str(session.get(SESSION_KEY, "")) != str(user.pk):
        return False
    return hmac.compare_digest(str(session.get(HASH_SESSION_KEY, "")), user.get_session_auth_hash())
