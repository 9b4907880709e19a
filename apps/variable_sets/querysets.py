from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.db import models
from django.db.models import Q

if TYPE_CHECKING:
    from apps.accounts.models import User


class VariableSetQuerySet(models.QuerySet[Any]):
    def visible_to(self, user: "User") -> "VariableSetQuerySet":
        """That a set exists: everybody's, and those of one's teams. Values are another matter."""
        if not user.is_active:
            return self.none()
        if user.sees_everything:
            return self
        return self.filter(Q(team=None) | Q(team__in=user.memberships.values("team_id")))

    def applying(self, *, team_id: UUID | None, target: str, module_slug: str) -> "VariableSetQuerySet":
        """Those that hold for a team's environment of a module on a target."""
        return self.filter(
            Q(team=None) | Q(team=team_id),
            Q(target="") | Q(target=target),
            Q(module=None) | Q(module__slug=module_slug),
        )


class SetVariableQuerySet(models.QuerySet[Any]):
    def visible_to(self, user: "User") -> "SetVariableQuerySet":
        if not user.is_active:
            return self.none()
        if user.sees_everything:
            return self
        return self.filter(Q(set__team=None) | Q(set__team__in=user.memberships.values("team_id")))
