from django.conf import settings
from django.db import models

from apps.core.models import RecordModel
from apps.variable_sets.querysets import SetVariableQuerySet, VariableSetQuerySet


class VariableSet(RecordModel):
    """Values that Terraform gets when it works for a team, on a target or with a module: credentials, proxies.

    Without a team it is everybody's, without a target it holds for all of them, without a module for every module.
    """

    name = models.CharField(max_length=80)
    description = models.CharField(max_length=300, blank=True)
    team = models.ForeignKey("accounts.Team", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    target = models.CharField(max_length=20, blank=True)
    module = models.ForeignKey("catalog.Module", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    updated_at = models.DateTimeField(auto_now=True)

    objects = VariableSetQuerySet.as_manager()

    class Meta:
        ordering = ["name", "id"]
        constraints = [models.UniqueConstraint(fields=["team", "name"], name="variable_set_once", nulls_distinct=False)]

    def __str__(self) -> str:
        return self.name

    @property
    def rank(self) -> tuple[bool, bool, bool]:
        """Greater is more specific: a team's over everybody's, then one module's, then one target's."""
        return (self.team_id is not None, self.module_id is not None, bool(self.target))


class SetVariable(RecordModel):
    """One value of a set. It is written and given to Terraform; a sensitive one is never read by anybody."""

    class Kind(models.TextChoices):
        ENVIRONMENT = "environment", "Environment variable"
        FILE = "file", "File"
        TERRAFORM = "terraform", "Terraform variable"

    set = models.ForeignKey(VariableSet, on_delete=models.CASCADE, related_name="variables")
    name = models.CharField(max_length=100)
    kind = models.CharField(max_length=11, choices=Kind.choices, default=Kind.ENVIRONMENT)
    environment_variable = models.CharField(max_length=100, blank=True, help_text="For a file: what points to it.")
    sensitive = models.BooleanField(default=True)
    cipher = models.BinaryField(help_text="The value as JSON, encrypted.")
    updated_at = models.DateTimeField()
    updated_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")

    objects = SetVariableQuerySet.as_manager()

    class Meta:
        ordering = ["name", "id"]
        constraints = [models.UniqueConstraint(fields=["set", "kind", "name"], name="set_variable_once")]

    def __str__(self) -> str:
        return f"{self.set.name}: {self.name}"

    @property
    def given_as(self) -> tuple[str, str]:
        """What only one variable can be at a time: a name of the environment, or of a Terraform variable."""
        if self.kind == self.Kind.TERRAFORM:
            return ("terraform", self.name)
        return ("environment", self.environment_variable or self.name)


class RetiredValue(RecordModel):
    """A secret that was replaced or removed; kept to be masked while something that ran with it may still show it."""

    team = models.ForeignKey("accounts.Team", null=True, on_delete=models.CASCADE, related_name="+")
    target = models.CharField(max_length=20, blank=True)
    module = models.ForeignKey("catalog.Module", null=True, on_delete=models.CASCADE, related_name="+")
    kind = models.CharField(max_length=11)
    cipher = models.BinaryField()
    retired_at = models.DateTimeField()

    objects = VariableSetQuerySet.as_manager()

    def __str__(self) -> str:
        return f"a value retired at {self.retired_at:%Y-%m-%d %H:%M}"
