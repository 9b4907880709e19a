"""Everybody may look at the Python environments; platform engineers make them."""

from enum import StrEnum

from apps.accounts.models import User
from apps.core.exceptions import NotAllowed


class RuntimePermission(StrEnum):
    MANAGE = "runtimes:manage"


def can(user: User, permission: RuntimePermission) -> bool:
    return user.is_active and user.is_platform_engineer


def require(user: User, permission: RuntimePermission) -> None:
    """Raises `NotAllowed` (403)."""
    if not can(user, permission):
        raise NotAllowed("Only a platform engineer can make or change Python environments.")
