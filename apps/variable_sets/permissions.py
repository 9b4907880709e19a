"""Who may write which set, and who may read what is not sensitive.

* Platform engineers write every set.
* A manager writes the sets of a team of theirs that name a target. They hold no files and point to none: the
  configuration of a cloud's client may name a program to run, and it would run where everybody's values are.
* Members see which sets apply to them and what is in them, by name. Auditors see every set, by name.
"""

from enum import StrEnum
from uuid import UUID

from apps.accounts.models import Membership, Team, User
from apps.core.exceptions import NotAllowed
from apps.variable_sets.models import VariableSet


class VariableSetPermission(StrEnum):
    WRITE = "variable_sets:write"


WORDS = "Only a platform engineer can change this set, or a manager of its team where it is for one team and target"


def managed_team_ids(user: User) -> frozenset[UUID]:
    """Teams the person manages; ask once for a list of sets."""
    if not user.is_active:
        return frozenset()
    rows = Membership.objects.filter(user=user, role=Membership.Role.MANAGER)
    return frozenset(rows.values_list("team_id", flat=True))


def may_write_scope(user: User, *, team: Team | None, target: str) -> bool:
    """Whether the person may have a set that holds for this team and target."""
    if not user.is_active:
        return False
    if user.is_platform_engineer:
        return True
    return team is not None and bool(target) and team.pk in managed_team_ids(user)


def may_write(user: User, variable_set: VariableSet, managed: frozenset[UUID] | None = None) -> bool:
    if not user.is_active:
        return False
    if user.is_platform_engineer:
        return True
    teams = managed_team_ids(user) if managed is None else managed
    return bool(variable_set.target) and variable_set.team_id in teams


def may_add(user: User) -> bool:
    return user.is_active and (user.is_platform_engineer or bool(managed_team_ids(user)))


def require_write(user: User, variable_set: VariableSet) -> None:
    """Raises `NotAllowed` (403), which says who may."""
    if not may_write(user, variable_set):
        raise NotAllowed(WORDS)
