from typing import TYPE_CHECKING, Any

from django.db import models
from django.db.models import Q

if TYPE_CHECKING:
    from apps.accounts.models import User
    from apps.experiments.models import Experiment, Run, SavedView


class ExperimentQuerySet(models.QuerySet["Experiment"]):
    def visible_to(self, user: "User") -> "ExperimentQuerySet":
        """Those of one's teams; everything, also what belongs to nobody, for platform engineers and auditors."""
        if not user.is_active:
            return self.none()
        if user.sees_everything:
            return self
        return self.filter(team__in=user.memberships.values("team_id"))

    def kept(self) -> "ExperimentQuerySet":
        return self.filter(archived=False)


class RunQuerySet(models.QuerySet["Run"]):
    def visible_to(self, user: "User") -> "RunQuerySet":
        """Whoever sees an experiment sees its runs. The ids are asked for first: few, so an index serves."""
        if not user.is_active:
            return self.none()
        if user.sees_everything:
            return self
        from apps.experiments.models import Experiment

        seen: Any = list(Experiment.objects.visible_to(user).values_list("pk", flat=True))
        return self.filter(experiment__in=seen)

    def kept(self) -> "RunQuerySet":
        return self.filter(archived=False)


class SavedViewQuerySet(models.QuerySet["SavedView"]):
    def owned_by(self, user: "User") -> "SavedViewQuerySet":
        return self.filter(owner=user)

    def visible_to(self, user: "User") -> "SavedViewQuerySet":
        """One's own, and those shared with one's teams."""
        if user.sees_everything:
            return self.filter(Q(owner=user) | Q(shared=True))
        return self.filter(Q(owner=user) | Q(shared=True, team__in=user.memberships.values("team_id")))
