"""The platform team writes rules, auditors read them."""

from enum import StrEnum

from apps.accounts.models import User
from apps.core.exceptions import NotAllowed


class PolicyPermission(StrEnum):
    VIEW = "policies:view"
    WRITE = "policies:write"


def can(user: User, permission: PolicyPermission) -> bool:
    if permission == PolicyPermission.VIEW:
        return user.sees_everything
    return user.is_active and user.is_platform_engineer


def require(user: User, permission: PolicyPermission) -> None:
    """Raises `NotAllowed` (403)."""
    if not can(user, permission):
        told = {PolicyPermission.VIEW: "Only platform engineers and auditors see policies."}
        raise NotAllowed(told.get(permission, "Only platform engineers write policies."))
