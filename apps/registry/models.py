"""Registered models: an index over MLflow's registry, and what MLflow does not keep: who moved an alias, and cards.

`RegistryIndex`, `RegisteredModel`, `ModelVersion` and `ModelAlias` can be dropped and are filled again from MLflow.
`AliasMove` and `ModelCard` are the portal's own truth. A model is known by its name and by when MLflow made it, so that
another team's model that takes the name of a deleted one inherits nothing of it.
"""

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from apps.core.models import RecordModel
from apps.registry.querysets import ModelAliasQuerySet, ModelVersionQuerySet, RegisteredModelQuerySet

NAME_LENGTH = 256


class RegistryIndex(models.Model):
    """How far MLflow's registry has been read; there is one row.

    `imported_at` is NULL until a first round has come to its end: what it finds is how things were, not a move.
    """

    id = models.SmallIntegerField(primary_key=True, default=1)
    imported_at = models.DateTimeField(null=True)
    read_at = models.DateTimeField(null=True, help_text="When the newest round ended with an answer.")
    away_since = models.DateTimeField(null=True)
    away_reason = models.CharField(max_length=300, blank=True)
    versions_until = models.BigIntegerField(default=0, help_text="MLflow's time (ms) up to which versions were read.")
    working_until = models.DateTimeField(null=True, help_text="A round is under way and holds the index until then.")

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(id=1), name="one_registry_index")]

    def __str__(self) -> str:
        return f"registry read {self.read_at or 'never'}"


class RegisteredModel(models.Model):
    """A registered model of MLflow. `team` is the stamped tag `slipway.team` where it names a team; else nobody's."""

    name = models.CharField(primary_key=True, max_length=NAME_LENGTH)
    born = models.BigIntegerField(help_text="MLflow's creation_timestamp (ms): with the name, which model it is.")
    team = models.ForeignKey("accounts.Team", null=True, on_delete=models.SET_NULL, related_name="registered_models")
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    description = models.TextField(blank=True)
    tags = models.JSONField(default=dict)
    created_at = models.DateTimeField(null=True)
    changed_at = models.DateTimeField(null=True, help_text="MLflow's last_updated_timestamp.")
    gone_at = models.DateTimeField(null=True, help_text="When it was found deleted in MLflow.")
    version_count = models.PositiveIntegerField(default=0)
    newest_version = models.PositiveIntegerField(null=True)
    last_promoted_at = models.DateTimeField(null=True, help_text="When an alias was last set, as far as is known.")
    fingerprint = models.CharField(max_length=32, help_text="Of what MLflow's list said of it.")
    checked_at = models.DateTimeField(null=True, help_text="When all of its versions were last read.")

    objects = RegisteredModelQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        indexes = [
            models.Index(fields=["team", "name"]),
            models.Index(F("last_promoted_at").desc(nulls_last=True), F("name").desc(), name="model_promoted"),
            models.Index(F("changed_at").desc(nulls_last=True), F("name").desc(), name="model_changed"),
            models.Index(F("checked_at").asc(nulls_first=True), name="model_checked"),
        ]

    def __str__(self) -> str:
        return self.name


class ModelVersion(models.Model):
    """One version of a registered model; its files are read once, because they never change."""

    class Details(models.TextChoices):
        PENDING = "pending", "Not read yet"
        READ = "read", "Read"
        UNREADABLE = "unreadable", "Cannot be read"

    id = models.BigAutoField(primary_key=True)
    model = models.ForeignKey(RegisteredModel, on_delete=models.CASCADE, related_name="versions", db_index=False)
    version = models.PositiveIntegerField()
    run_id = models.CharField(max_length=64, blank=True)
    source = models.CharField(max_length=1000, blank=True)
    logged_model_id = models.CharField(max_length=64, blank=True)
    status = models.CharField(max_length=40, blank=True, help_text="MLflow's word: READY, PENDING_REGISTRATION, ...")
    status_message = models.CharField(max_length=500, blank=True)
    description = models.TextField(blank=True)
    tags = models.JSONField(default=dict)
    metrics = models.JSONField(default=dict, help_text="Of its logged model, else of its run; NaN and infinities text.")
    params = models.JSONField(default=dict)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(null=True)
    changed_at = models.DateTimeField(null=True)
    fingerprint = models.CharField(max_length=32)

    # Read from its files.
    details = models.CharField(max_length=10, choices=Details.choices, default=Details.PENDING)
    details_reason = models.CharField(max_length=300, blank=True)
    details_tries = models.PositiveSmallIntegerField(default=0)
    signature = models.JSONField(null=True, help_text="{inputs, outputs, params}, each a list of columns or tensors.")
    flavors = models.JSONField(default=list)
    requirements = models.JSONField(default=list, help_text="Lines of requirements.txt.")
    python = models.CharField(max_length=20, blank=True)
    example = models.JSONField(null=True, help_text="The input example as it is sent to /invocations.")
    files = models.JSONField(default=list, help_text="[{path, size, sha256}]")
    size_bytes = models.BigIntegerField(null=True)
    digest = models.CharField(max_length=64, blank=True, help_text="SHA-256 over paths and contents of its files, hex.")

    objects = ModelVersionQuerySet.as_manager()

    class Meta:
        ordering = ["-version"]
        constraints = [models.UniqueConstraint(fields=["model", "version"], name="model_version_once")]
        indexes = [
            models.Index(fields=["run_id"], condition=~Q(run_id=""), name="model_version_run"),
            models.Index(fields=["details"], condition=Q(details="pending"), name="model_version_pending"),
        ]

    def __str__(self) -> str:
        return f"{self.model_id} version {self.version}"


class ModelAlias(models.Model):
    """An alias as it is in MLflow now, for example champion."""

    id = models.BigAutoField(primary_key=True)
    model = models.ForeignKey(RegisteredModel, on_delete=models.CASCADE, related_name="aliases", db_index=False)
    alias = models.CharField(max_length=255)
    version = models.PositiveIntegerField()

    objects = ModelAliasQuerySet.as_manager()

    class Meta:
        ordering = ["alias"]
        constraints = [models.UniqueConstraint(fields=["model", "alias"], name="model_alias_once")]
        indexes = [models.Index(fields=["alias"])]

    def __str__(self) -> str:
        return f"{self.alias} → {self.version}"


class AliasMove(RecordModel):
    """One move of an alias: set (no `from_version`), moved, or taken away (no `to_version`)."""

    class Via(models.TextChoices):
        SLIPWAY = "slipway", "In Slipway"
        MLFLOW = "mlflow", "Through MLflow, with a token"
        ELSEWHERE = "elsewhere", "Outside Slipway"
        FOUND = "found", "Found at the first reading"

    model_name = models.CharField(max_length=NAME_LENGTH)
    born = models.BigIntegerField()
    alias = models.CharField(max_length=255)
    from_version = models.PositiveIntegerField(null=True)
    to_version = models.PositiveIntegerField(null=True)
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    actor_name = models.CharField(max_length=150, blank=True, help_text="Kept when the person goes; empty: not known.")
    via = models.CharField(max_length=9, choices=Via.choices)
    environment = models.ForeignKey(
        "environments.Environment",
        null=True,
        on_delete=models.SET_NULL,
        related_name="+",
        help_text="Whose token it was, where an environment's.",
    )
    moved_at = models.DateTimeField(null=True, help_text="NULL where nobody saw it.")
    noticed_at = models.DateTimeField()

    class Meta:
        ordering = ["-noticed_at", "-id"]
        indexes = [models.Index(fields=["model_name", "born", "alias", "-noticed_at"])]

    def __str__(self) -> str:
        return f"{self.alias} of {self.model_name}: {self.from_version or '–'} → {self.to_version or '–'}"


class ModelCard(RecordModel):
    """One version of what people have written about a model; it never changes, the next one replaces it."""

    model_name = models.CharField(max_length=NAME_LENGTH)
    born = models.BigIntegerField()
    number = models.PositiveIntegerField()
    author = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    author_name = models.CharField(max_length=150)
    sections = models.JSONField(default=dict, help_text="{section key: Markdown}; keys of apps.registry.cards.")

    class Meta:
        ordering = ["-number"]
        constraints = [models.UniqueConstraint(fields=["model_name", "born", "number"], name="model_card_once")]

    def __str__(self) -> str:
        return f"card {self.number} of {self.model_name}"
