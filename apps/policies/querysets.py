from typing import TYPE_CHECKING
from uuid import UUID

from django.db import models
from django.db.models import Q

if TYPE_CHECKING:
    from apps.accounts.models import User
    from apps.policies.models import InputPolicy, PlanDocument, Policy, PolicyVersion


class InputPolicyQuerySet(models.QuerySet["InputPolicy"]):
    def visible_to(self, user: "User") -> "InputPolicyQuerySet":
        """The platform team writes them, auditors read them; people see what they come to in their own forms."""
        return self if user.sees_everything else self.none()

    def applying_to(self, *, module_id: UUID, team_id: UUID | None) -> "InputPolicyQuerySet":
        """Everybody's and the team's own: two rows at most."""
        own = Q(team=None) | Q(team_id=team_id) if team_id else Q(team=None)
        return self.filter(own, module_id=module_id)


class PolicyQuerySet(models.QuerySet["Policy"]):
    def visible_to(self, user: "User") -> "PolicyQuerySet":
        return self if user.sees_everything else self.none()

    def in_force(self) -> "PolicyQuerySet":
        return self.filter(enabled=True).exclude(current_version=None)

    def applying_to(self, *, team_id: UUID, module_id: UUID, target: str) -> "PolicyQuerySet":
        """Those that speak of a plan of the team, with the module, on the target."""
        return self.filter(
            Q(scope="everybody")
            | Q(scope="team", team_id=team_id)
            | Q(scope="module", module_id=module_id)
            | Q(scope="target", target=target)
        )


class PolicyVersionQuerySet(models.QuerySet["PolicyVersion"]):
    def visible_to(self, user: "User") -> "PolicyVersionQuerySet":
        return self if user.sees_everything else self.none()


class PlanDocumentQuerySet(models.QuerySet["PlanDocument"]):
    def visible_to(self, user: "User") -> "PlanDocumentQuerySet":
        return self if user.sees_everything else self.none()
