from typing import TYPE_CHECKING

from django.contrib.auth.models import UserManager as DjangoUserManager
from django.db import models
from django.db.models import Q
from django.utils import timezone

if TYPE_CHECKING:
    from apps.accounts.models import ApiToken, Membership, Team, User


class TeamQuerySet(models.QuerySet["Team"]):
    def visible_to(self, user: "User") -> "TeamQuerySet":
        if user.sees_everything:
            return self
        return self.filter(memberships__user=user).distinct()

    def of(self, user: "User") -> "TeamQuerySet":
        """Teams the person belongs to, whatever else a global role lets them see."""
        return self.filter(memberships__user=user).distinct()


class MembershipQuerySet(models.QuerySet["Membership"]):
    def visible_to(self, user: "User") -> "MembershipQuerySet":
        if user.sees_everything:
            return self
        return self.filter(team__memberships__user=user)


class UserQuerySet(models.QuerySet["User"]):
    def visible_to(self, user: "User") -> "UserQuerySet":
        """Oneself and the people of one's teams."""
        if user.sees_everything:
            return self
        from apps.accounts.models import Membership

        colleagues = Membership.objects.filter(team__in=user.memberships.values("team_id")).values("user_id")
        return self.filter(Q(pk=user.pk) | Q(pk__in=colleagues))


class UserManager(DjangoUserManager.from_queryset(UserQuerySet)):  # type: ignore[misc]
    pass


class ApiTokenQuerySet(models.QuerySet["ApiToken"]):
    def visible_to(self, user: "User") -> "ApiTokenQuerySet":
        return self.filter(user=user, environment_id=None)

    def usable(self) -> "ApiTokenQuerySet":
        return self.filter(Q(expires_at=None) | Q(expires_at__gt=timezone.now()), revoked_at=None, user__is_active=True)
