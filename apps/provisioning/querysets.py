from typing import TYPE_CHECKING

from django.db import models

if TYPE_CHECKING:
    from apps.accounts.models import User
    from apps.provisioning.models import Change, LogLine, Workspace


class WorkspaceQuerySet(models.QuerySet["Workspace"]):
    def visible_to(self, user: "User") -> "WorkspaceQuerySet":
        if user.sees_everything:
            return self
        return self.filter(models.Q(owner=user) | models.Q(team__in=user.memberships.values("team_id")))


class ChangeQuerySet(models.QuerySet["Change"]):
    def visible_to(self, user: "User") -> "ChangeQuerySet":
        if user.sees_everything:
            return self
        return self.filter(
            models.Q(workspace__owner=user) | models.Q(workspace__team__in=user.memberships.values("team_id"))
        )

    def active(self) -> "ChangeQuerySet":
        return self.filter(status__in=self.model.ACTIVE)


class LogLineQuerySet(models.QuerySet["LogLine"]):
    def after(self, number: int) -> "LogLineQuerySet":
        return self.filter(number__gt=number)
