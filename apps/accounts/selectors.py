"""Reads over people and teams."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from django.db import connection
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce

from apps.accounts.models import Membership, Team, User

PEOPLE_SHOWN = 100
TEAMS_SHOWN = 200


@dataclass(frozen=True)
class TeamMembers:
    """A team and whether the one who looks may change it; `memberships` is None where only `count` is said."""

    team: Team
    count: int
    memberships: list[Membership] | None
    may_manage: bool


class OwnTeam(NamedTuple):
    """What a list asks of a team that the person belongs to."""

    pk: UUID
    slug: str
    name: str


_OWN_TEAMS = """
    SELECT team.id, team.slug, team.name
    FROM accounts_membership AS membership JOIN accounts_team AS team ON team.id = membership.team_id
    WHERE membership.user_id = %s ORDER BY team.name
"""


def own_teams(user: User) -> list[OwnTeam]:
    """Those that the person belongs to, by name, whatever a global role lets them see. Lists ask it every time."""
    with connection.cursor() as cursor:
        cursor.execute(_OWN_TEAMS, [user.pk])
        return [OwnTeam._make(row) for row in cursor.fetchall()]


def teams_with_members(*, user: User, unfold: Team | None = None) -> list[TeamMembers]:
    """Every team the person sees, with its people as long as all of them together are few; three queries at most.

    `unfold` is shown with its people in any case.
    """
    members = Membership.objects.filter(team=OuterRef("pk")).order_by().values("team").annotate(n=Count("pk"))
    teams = list(
        Team.objects.visible_to(user).annotate(member_count=Coalesce(Subquery(members.values("n")), 0))[:TEAMS_SHOWN]
    )
    shown = _unfolded(teams, unfold)
    people: dict[UUID, list[Membership]] = {team: [] for team in shown}
    for row in members_of(shown):
        people[row.team_id].append(row)
    managed = _managed(user)
    return [
        TeamMembers(team, team.member_count, people.get(team.pk), may_manage(user, team, managed))  # type: ignore[attr-defined]
        for team in teams
    ]


def _unfolded(teams: Sequence[Team], unfold: Team | None) -> set[UUID]:
    """Teams to be shown with their people: from the first on, until there are too many people."""
    shown, room = ({unfold.pk} if unfold else set()), PEOPLE_SHOWN
    for team in teams:
        room -= team.member_count  # type: ignore[attr-defined]
        if room < 0:
            break
        shown.add(team.pk)
    return shown


def members_of(teams: Collection[UUID]) -> QuerySet[Membership]:
    """Managers first, then by name."""
    rows = Membership.objects.filter(team__in=teams).select_related("user")
    return rows.order_by("role", "user__first_name", "user__username")


def may_manage(user: User, team: Team, managed: Collection[UUID] | None = None) -> bool:
    """Whether the person may change who is in the team."""
    managed = _managed(user) if managed is None else managed
    return user.is_active and (team.pk in managed or user.is_platform_engineer)


def _managed(user: User) -> set[UUID]:
    return set(user.memberships.filter(role=Membership.Role.MANAGER).values_list("team_id", flat=True))


def people_without_team(*, limit: int = 200) -> list[User]:
    """Active people whom no team shows; for those who may give them a password or a team."""
    return list(User.objects.filter(is_active=True, memberships=None).order_by("username")[:limit])
