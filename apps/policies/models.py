from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q

from apps.core.models import RecordModel
from apps.policies.querysets import InputPolicyQuerySet, PlanDocumentQuerySet, PolicyQuerySet, PolicyVersionQuerySet


class InputPolicy(RecordModel):
    """What the platform team has set of a module's variables, for everybody or for one team."""

    module = models.ForeignKey("catalog.Module", on_delete=models.PROTECT, related_name="input_policies")
    team = models.ForeignKey(
        "accounts.Team",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        help_text="Nobody's own: everybody's. What a team's says of a variable wins over everybody's.",
    )
    rules = models.JSONField(default=dict, help_text="{variable: {effect, value, options, minimum, maximum, longest}}")
    updated_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    updated_at = models.DateTimeField(auto_now=True)

    objects = InputPolicyQuerySet.as_manager()

    class Meta:
        ordering = ["module__title", "team__name", "id"]
        constraints = [
            models.UniqueConstraint(fields=["module", "team"], nulls_distinct=False, name="input_policy_once")
        ]

    def __str__(self) -> str:
        return f"{self.module.title} for {self.team.name if self.team else 'everybody'}"


class Policy(RecordModel):
    """A rule of the platform team over plans, written in Rego."""

    class Scope(models.TextChoices):
        EVERYBODY = "everybody", "Everything"
        TEAM = "team", "One team"
        MODULE = "module", "One module"
        TARGET = "target", "One target"

    slug = models.SlugField(max_length=60, unique=True)
    title = models.CharField(max_length=80)
    scope = models.CharField(max_length=10, choices=Scope.choices, default=Scope.EVERYBODY)
    team = models.ForeignKey("accounts.Team", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    module = models.ForeignKey("catalog.Module", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    target = models.CharField(max_length=20, blank=True)
    enabled = models.BooleanField(default=False)
    current_version = models.ForeignKey(
        "PolicyVersion", null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )

    objects = PolicyQuerySet.as_manager()

    class Meta:
        ordering = ["title", "id"]
        verbose_name_plural = "policies"
        constraints = [
            models.CheckConstraint(
                condition=Q(scope="everybody", team=None, module=None, target="")
                | (Q(scope="team", module=None, target="") & ~Q(team=None))
                | (Q(scope="module", team=None, target="") & ~Q(module=None))
                | (Q(scope="target", team=None, module=None) & ~Q(target="")),
                name="policy_scope_named",
            )
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def scope_shown(self) -> str:
        """ "everything", "team Vision", "module Notebook", "target local" """
        if self.scope == self.Scope.TEAM and self.team:
            return f"team {self.team.name}"
        if self.scope == self.Scope.MODULE and self.module:
            return f"module {self.module.title}"
        return f"target {self.target}" if self.scope == self.Scope.TARGET else "everything"


class PolicyVersion(RecordModel):
    """One immutable text of a policy."""

    policy = models.ForeignKey(Policy, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    rego = models.TextField()
    note = models.CharField(max_length=200, blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )

    objects = PolicyVersionQuerySet.as_manager()

    class Meta:
        ordering = ["-number"]
        constraints = [models.UniqueConstraint(fields=["policy", "number"], name="policy_version_once")]

    def __str__(self) -> str:
        return f"{self.policy.title} version {self.number}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Raises `ValueError` for a version that is there already: what was in force stays readable."""
        if not self._state.adding:
            raise ValueError(f"{self} never changes; write a new version.")
        super().save(*args, **kwargs)


class PlanDocument(RecordModel):
    """What rules were asked about for one change: its plan and request, masked; kept so that new rules can be tried."""

    change = models.OneToOneField("provisioning.Change", on_delete=models.CASCADE, related_name="+")
    module = models.ForeignKey("catalog.Module", on_delete=models.PROTECT, related_name="+")
    cipher = models.BinaryField(help_text="Encrypted, packed JSON {plan, request}.")
    bytes = models.PositiveIntegerField(help_text="Length of the JSON before it was packed.")
    planned_at = models.DateTimeField()

    objects = PlanDocumentQuerySet.as_manager()

    class Meta:
        ordering = ["-planned_at", "-id"]
        indexes = [models.Index(fields=["-planned_at"]), models.Index(fields=["module", "-planned_at"])]

    def __str__(self) -> str:
        return f"Plan of {self.change_id}"
