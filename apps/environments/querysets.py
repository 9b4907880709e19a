from typing import TYPE_CHECKING

from django.db import models

if TYPE_CHECKING:
    from apps.accounts.models import User
    from apps.environments.models import Environment, Rollout, RolloutItem


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


class RolloutQuerySet(models.QuerySet["Rollout"]):
    def visible_to(self, user: "User") -> "RolloutQuerySet":
        """Platform engineers and auditors; owners hear of theirs in their inbox and on their environment's page."""
        return self if user.is_active and user.sees_everything else self.none()

    def active(self) -> "RolloutQuerySet":
        return self.filter(state__in=("running", "paused"))


class RolloutItemQuerySet(models.QuerySet["RolloutItem"]):
    def visible_to(self, user: "User") -> "RolloutItemQuerySet":
        return self if user.is_active and user.sees_everything else self.none()

    def to_begin(self) -> "RolloutItemQuerySet":
        return self.filter(state__in=("waiting", "needs_input"))

    def under_way(self) -> "RolloutItemQuerySet":
        return self.filter(state__in=("planning", "waiting_for_confirmation"))

    def unsettled(self) -> "RolloutItemQuerySet":
        return self.filter(state__in=("waiting", "needs_input", "planning", "waiting_for_confirmation", "failed"))
