from datetime import datetime
from typing import TYPE_CHECKING

from django.db import models
from django.db.models import Q

if TYPE_CHECKING:
    from apps.accounts.models import User
    from apps.metering.models import ResourceInterval


class ResourceIntervalQuerySet(models.QuerySet["ResourceInterval"]):
    def visible_to(self, user: "User") -> "ResourceIntervalQuerySet":
        """One's own and those of one's teams; everything for platform engineers and auditors."""
        if user.sees_everything:
            return self
        return self.filter(Q(user=user) | Q(team__in=user.memberships.values("team_id")))

    def open(self) -> "ResourceIntervalQuerySet":
        return self.filter(ended_at=None)

    def during(self, start: datetime, end: datetime) -> "ResourceIntervalQuerySet":
        """Those that have a moment in common with [start, end)."""
        return self.filter(Q(ended_at=None) | Q(ended_at__gt=start), started_at__lt=end)
