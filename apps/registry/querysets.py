from typing import TYPE_CHECKING

from django.db import models

if TYPE_CHECKING:
    from apps.accounts.models import User
    from apps.registry.models import RegisteredModel


class RegisteredModelQuerySet(models.QuerySet["RegisteredModel"]):
    def visible_to(self, user: "User") -> "RegisteredModelQuerySet":
        """Those of one's teams; everything, also what belongs to nobody, for platform engineers and auditors."""
        if not user.is_active:
            return self.none()
        if user.sees_everything:
            return self
        return self.filter(team__in=user.memberships.values("team_id"))

    def kept(self) -> "RegisteredModelQuerySet":
        """Without those that were deleted in MLflow."""
        return self.filter(gone_at=None)
