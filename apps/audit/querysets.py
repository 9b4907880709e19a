from typing import TYPE_CHECKING

from django.db import models
from django.db.models import Q

if TYPE_CHECKING:
    from apps.accounts.models import User
    from apps.audit.models import AuditEvent


class AuditEventQuerySet(models.QuerySet["AuditEvent"]):
    def visible_to(self, user: "User") -> "AuditEventQuerySet":
        """Everything for platform engineers and auditors; for others what they did and what happened in their teams."""
        if user.sees_everything:
            return self
        return self.filter(Q(actor=user) | Q(team_id__in=user.memberships.values("team_id")))
