"""Who may decide on a change, cancel it, or end it by force. What a person may not see is hidden by the queries."""

from enum import StrEnum

from apps.accounts.models import User
from apps.core.exceptions import NotAllowed
from apps.provisioning.models import Change


class ChangePermission(StrEnum):
    DECIDE = "provisioning:change:decide"
    CANCEL = "provisioning:change:cancel"
    KILL = "provisioning:change:kill"


def can(user: User, permission: ChangePermission, change: Change) -> bool:
    """The owner of the workspace and platform engineers decide and cancel; who asked for a change may cancel it too."""
    if not user.is_active:
        return False
    if user.is_platform_engineer:
        return True
    if permission is ChangePermission.KILL:
        return False
    if change.workspace.owner_id == user.pk:
        return True
    return permission is ChangePermission.CANCEL and change.requested_by_id == user.pk


def require(user: User, permission: ChangePermission, change: Change) -> None:
    """Raises `NotAllowed` (403)."""
    if not can(user, permission, change):
        raise NotAllowed("Only the owner or a platform engineer can do this with the change")
