"""Who may do what with an environment. What a person may not see is not asked here: queries hide it.

* The owner may do everything with an environment of their own.
* A platform engineer may stop, destroy, refresh, upgrade and decide on any (break-glass, in the audit log), but opens
  none.
* A manager may stop environments of the team: it frees what the team pays for and loses nothing. Destroying a
  member's files is not a manager's decision.
* Members of the team and auditors look.
* Rollouts are a platform engineer's; auditors look at them.
"""

from enum import StrEnum
from uuid import UUID

from apps.accounts.models import Membership, User
from apps.core.exceptions import NotAllowed
from apps.environments.models import Environment


class EnvironmentPermission(StrEnum):
    STOP = "environments:stop"
    START = "environments:start"
    EXTEND = "environments:extend"
    UPDATE = "environments:update"
    UPGRADE = "environments:upgrade"
    REFRESH = "environments:refresh"
    RETRY = "environments:retry"
    DESTROY = "environments:destroy"
    DECIDE = "environments:decide"
    TAKE_OVER = "environments:take-over"
    OPEN = "environments:open"


P = EnvironmentPermission
OF_OWNER = frozenset(EnvironmentPermission)
OF_PLATFORM_ENGINEER = frozenset({P.STOP, P.DESTROY, P.REFRESH, P.RETRY, P.DECIDE, P.UPGRADE, P.TAKE_OVER})
OF_MANAGER = frozenset({P.STOP})
WORDS = {
    P.STOP: "Only the owner, a manager of the team or a platform engineer can stop it",
    P.DESTROY: "Only the owner or a platform engineer can destroy it",
    P.DECIDE: "Only the owner or a platform engineer can decide on this change",
    P.REFRESH: "Only the owner or a platform engineer can check it",
    P.UPGRADE: "Only the owner or a platform engineer can move it to another version",
    P.TAKE_OVER: "Only the owner or a platform engineer can take something over into it",
    P.RETRY: "Only the owner or a platform engineer can try again",
    P.OPEN: "Only the owner can open it",
}


def managed_team_ids(user: User) -> frozenset[UUID]:
    """Teams the person manages; ask once for a list of environments."""
    if not user.is_active:
        return frozenset()
    return frozenset(
        Membership.objects.filter(user=user, role=Membership.Role.MANAGER).values_list("team_id", flat=True)
    )


def permissions_of(
    user: User, environment: Environment, managed: frozenset[UUID] | None = None
) -> frozenset[EnvironmentPermission]:
    """Everything the person may do with one environment."""
    if not user.is_active:
        return frozenset()
    if environment.owner_id == user.pk:
        return OF_OWNER
    granted: frozenset[EnvironmentPermission] = frozenset()
    if user.is_platform_engineer:
        granted |= OF_PLATFORM_ENGINEER
    if environment.team_id in (managed_team_ids(user) if managed is None else managed):
        granted |= OF_MANAGER
    return granted


def can(user: User, permission: EnvironmentPermission, environment: Environment) -> bool:
    return permission in permissions_of(user, environment)


def require(user: User, permission: EnvironmentPermission, environment: Environment) -> None:
    """Raises `NotAllowed` (403), which says who may."""
    if not can(user, permission, environment):
        raise NotAllowed(WORDS.get(permission, f"Only the owner, {environment.owner.display_name}, can do this"))


def may_roll_out(user: User) -> bool:
    return user.is_active and user.is_platform_engineer


def rollout_require(user: User) -> None:
    """Raises `NotAllowed` (403)."""
    if not may_roll_out(user):
        raise NotAllowed("Only a platform engineer can roll versions out")
