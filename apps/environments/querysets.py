from typing import TYPE_CHECKING

from django.db import models

if TYPE_CHECKING:
    from apps.accounts.models import User
    from apps.environments.models import Environment


class EnvironmentQuerySet(models.QuerySet["Environment"]):
    def visible_to(self, user: "User") -> "EnvironmentQuerySet":
        """One's own and those of one's teams; everything for platform engineers and auditors."""
        if user.sees_everything:
            return self
        return self.filter(models.Q(owner=user) | models.Q(team__in=user.memberships.values("team_id")))

    def owned_by(self, user: "User") -> "EnvironmentQuerySet":
        return self.filter(owner=user)

    def living(self) -> "EnvironmentQuerySet":
        return self.exclude(status="destroyed")
