"""Reads over people and teams."""

from dataclasses import dataclass

from django.db.models import Prefetch

from apps.accounts.models import Membership, Team, User


@dataclass(frozen=True)
class TeamMembers:
    """A team, the people in it, and whether the one who looks may change that."""

    team: Team
    memberships: list[Membership]
    may_manage: bool


def teams_with_members(*, user: User, slug: str = "") -> list[TeamMembers]:
    """Every team the person sees; three queries however many teams."""
    people = Membership.objects.select_related("user").order_by("role", "user__first_name", "user__username")
    teams = Team.objects.visible_to(user).prefetch_related(Prefetch("memberships", queryset=people))
    if slug:
        teams = teams.filter(slug=slug)
    return [_team_members(team, user) for team in teams]


def _team_members(team: Team, user: User) -> TeamMembers:
    memberships = list(team.memberships.all())
    manages = any(row.user_id == user.pk and row.role == Membership.Role.MANAGER for row in memberships)
    return TeamMembers(team, memberships, user.is_active and (manages or user.is_platform_engineer))


def people_without_team(*, limit: int = 200) -> list[User]:
    """Active people whom no team shows; for those who may give them a password or a team."""
    return list(User.objects.filter(is_active=True, memberships=None).order_by("username")[:limit])
