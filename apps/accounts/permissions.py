"""Who may do what with people and teams. What a person may not see is not asked here: queries hide it."""

from enum import StrEnum

from apps.accounts.models import Membership, Team, User
from apps.core.exceptions import NotAllowed


class AccountsPermission(StrEnum):
    MANAGE_MEMBERS = "accounts:manage-members"
    MANAGE_TEAMS = "accounts:manage-teams"


def is_manager_of(user: User, team: Team) -> bool:
    return Membership.objects.filter(user=user, team=team, role=Membership.Role.MANAGER).exists()


def is_member_of(user: User, team: Team) -> bool:
    return Membership.objects.filter(user=user, team=team).exists()


def can(user: User, permission: AccountsPermission, team: Team | None = None) -> bool:
    if not user.is_active:
        return False
    if user.is_platform_engineer:
        return True
    if permission is AccountsPermission.MANAGE_MEMBERS and team is not None:
        return is_manager_of(user, team)
    return False


def require(user: User, permission: AccountsPermission, team: Team) -> None:
    """Raises `NotAllowed` (403). Asked before what was typed is looked at: the answer would say who exists."""
    if not can(user, permission, team):
        raise NotAllowed(f"Only a manager of {team.name} or a platform engineer can change who is in it.")
