"""Who sees and rebuilds the index; who may write at an experiment is whoever belongs to its team."""

from enum import StrEnum

from apps.accounts.models import User
from apps.core.exceptions import NotAllowed


class IndexPermission(StrEnum):
    VIEW = "experiments:index:view"
    REBUILD = "experiments:index:rebuild"


def can(user: User, permission: IndexPermission) -> bool:
    if permission == IndexPermission.VIEW:
        return user.sees_everything
    return user.is_active and user.is_platform_engineer


def require(user: User, permission: IndexPermission) -> None:
    """Raises `NotAllowed` (403)."""
    if not can(user, permission):
        told = {IndexPermission.VIEW: "Only platform engineers and auditors see the index."}
        raise NotAllowed(told.get(permission, "Only platform engineers rebuild the index."))
