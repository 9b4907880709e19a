from django.conf import settings
from django.db import models
from django.utils import timezone

from apps.core.models import RecordModel
from apps.environments.querysets import EnvironmentQuerySet, RolloutItemQuerySet, RolloutQuerySet


class Environment(RecordModel):
    """A notebook or cluster as people know it; its workspace (same id) is what Terraform knows of it."""

    class Status(models.TextChoices):
        AWAITING_APPROVAL = "awaiting_approval", "Waiting for approval"
        QUEUED = "queued", "In line"
        PROVISIONING = "provisioning", "Building"
        RUNNING = "running", "Running"
        STOPPING = "stopping", "Stopping"
        STOPPED = "stopped", "Stopped, files kept"
        STARTING = "starting", "Starting"
        UPDATING = "updating", "Updating"
        FAILED = "failed", "Failed"
        DESTROYING = "destroying", "Destroying"
        DESTROYED = "destroyed", "Destroyed"

    class Failure(models.TextChoices):
        """Why a failed environment failed: decides its word and its primary button."""

        NONE = "", ""
        START = "start", "Couldn't start"
        CRASH = "crash", "Crashed"
        MEMORY = "memory", "Out of memory"
        UPDATE = "update", "Couldn't update"
        STOP = "stop", "Couldn't stop"
        DESTROY = "destroy", "Couldn't destroy"
        CANCEL = "cancel", "Cancelled"

    name = models.CharField(max_length=60)
    slug = models.SlugField(max_length=60, unique=True)
    team = models.ForeignKey("accounts.Team", on_delete=models.PROTECT, related_name="environments")
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="environments")
    workspace = models.OneToOneField(
        "provisioning.Workspace", on_delete=models.PROTECT, related_name="environment", null=True
    )
    module = models.ForeignKey("catalog.Module", on_delete=models.PROTECT, related_name="environments")
    module_version = models.ForeignKey("catalog.ModuleVersion", on_delete=models.PROTECT, related_name="environments")
    runtime_version = models.ForeignKey(
        "runtimes.RuntimeVersion",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="environments",
        help_text="The Python environment that was chosen; empty where the module brings its own.",
    )
    preset = models.CharField(max_length=40, blank=True)
    inputs = models.JSONField(default=dict, help_text="What the owner chose; sensitive values are masked.")
    inputs_cipher = models.BinaryField(help_text="The same with the sensitive values, encrypted JSON.")
    secrets_cipher = models.BinaryField(null=True, help_text="The environment's own tokens, encrypted JSON.")
    settled_cipher = models.BinaryField(
        null=True, help_text="Inputs, size and version from before the update that is going on, encrypted JSON."
    )

    status = models.CharField(max_length=20, choices=Status.choices, default=Status.QUEUED)
    failure = models.CharField(max_length=8, choices=Failure.choices, default=Failure.NONE, blank=True)
    status_reason = models.CharField(max_length=500, blank=True)
    status_since = models.DateTimeField(default=timezone.now)
    desired_running = models.BooleanField(default=True)
    ttl_seconds = models.PositiveIntegerField()
    expires_at = models.DateTimeField(null=True, blank=True)
    warned_for = models.DateTimeField(null=True, blank=True, help_text="The stop time the owner was warned of.")
    last_activity_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    open_connections = models.PositiveIntegerField(default=0)
    kernels_busy_since = models.DateTimeField(null=True, blank=True)
    destroyed_at = models.DateTimeField(null=True, blank=True)

    objects = EnvironmentQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-id"]
        indexes = [
            models.Index(fields=["team", "status", "-created_at"]),
            models.Index(fields=["owner", "status", "-created_at"]),
            models.Index(fields=["status", "expires_at"]),
            models.Index(fields=["-created_at", "-id"]),
            models.Index(fields=["name", "id"]),
            models.Index(models.F("expires_at").desc(nulls_last=True), models.F("id").desc(), name="environment_stops"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["owner", "name"], condition=~models.Q(status="destroyed"), name="environment_name_once"
            )
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def topic(self) -> str:
        return f"environment:{self.pk}"


class Rollout(RecordModel):
    """Moving many environments of a module to one version, wave by wave; driven on from its rows alone."""

    class Scope(models.TextChoices):
        ENVIRONMENTS = "environments", "Chosen environments"
        TEAM = "team", "All of a team"
        ALL = "all", "All"

    class State(models.TextChoices):
        RUNNING = "running", "Running"
        PAUSED = "paused", "Paused"
        FINISHED = "finished", "Finished"
        STOPPED = "stopped", "Stopped"

    module = models.ForeignKey("catalog.Module", on_delete=models.PROTECT, related_name="rollouts")
    to_version = models.ForeignKey("catalog.ModuleVersion", on_delete=models.PROTECT, related_name="+")
    scope = models.CharField(max_length=12, choices=Scope.choices)
    team = models.ForeignKey("accounts.Team", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    wave_size = models.PositiveSmallIntegerField()
    wave = models.PositiveSmallIntegerField(default=1, help_text="The one that is going on, from 1.")
    waves = models.PositiveSmallIntegerField()
    state = models.CharField(max_length=8, choices=State.choices, default=State.RUNNING)
    reason = models.CharField(max_length=300, blank=True, help_text="Why it is paused or was stopped.")
    inputs = models.JSONField(default=dict, help_text="Values given once for all; sensitive ones are masked.")
    inputs_cipher = models.BinaryField(help_text="The same with the sensitive values, encrypted JSON.")
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    driven_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        related_name="+",
        help_text="For whom the upgrades are made: who began or last continued it.",
    )
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = RolloutQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-id"]
        indexes = [models.Index(fields=["state", "-created_at"], name="rollout_newest")]

    def __str__(self) -> str:
        return f"{self.module.title} to {self.to_version.version}"

    @property
    def topic(self) -> str:
        return f"rollout:{self.pk}"

    @property
    def is_active(self) -> bool:
        return self.state in (self.State.RUNNING, self.State.PAUSED)


class RolloutItem(RecordModel):
    """One environment's turn in a rollout. Wave 0 are those that were left out from the start, with the reason."""

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting"
        NEEDS_INPUT = "needs_input", "Needs values"
        PLANNING = "planning", "Under way"
        CONFIRMING = "waiting_for_confirmation", "Waits for confirmation"
        DONE = "done", "Done"
        FAILED = "failed", "Failed"
        SKIPPED = "skipped", "Skipped"

    rollout = models.ForeignKey(Rollout, on_delete=models.CASCADE, related_name="items")
    environment = models.ForeignKey(Environment, on_delete=models.PROTECT, related_name="rollout_items")
    wave = models.PositiveSmallIntegerField()
    position = models.PositiveSmallIntegerField()
    from_version = models.ForeignKey("catalog.ModuleVersion", on_delete=models.PROTECT, related_name="+")
    state = models.CharField(max_length=24, choices=State.choices, default=State.WAITING)
    reason = models.CharField(max_length=300, blank=True)
    change = models.ForeignKey(
        "provisioning.Change", null=True, blank=True, on_delete=models.SET_NULL, related_name="rollout_items"
    )
    settled_at = models.DateTimeField(null=True, blank=True)

    objects = RolloutItemQuerySet.as_manager()

    class Meta:
        ordering = ["wave", "position", "id"]
        constraints = [
            models.UniqueConstraint(fields=["rollout", "environment"], name="rollout_item_once"),
            models.UniqueConstraint(
                fields=["environment"],
                condition=models.Q(state__in=("waiting", "needs_input", "planning", "waiting_for_confirmation")),
                name="rollout_item_open_once",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.environment.name}: {self.get_state_display()}"
