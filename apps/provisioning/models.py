from typing import ClassVar

from django.conf import settings
from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.db.models import Q

from apps.core.models import RecordModel
from apps.provisioning.querysets import ChangeQuerySet, LogLineQuerySet, WorkspaceQuerySet


class Machine(RecordModel):
    """A machine that provisions, and the lease its one agent holds; every write of that agent checks the fence."""

    name = models.CharField(max_length=120, unique=True)
    holder = models.UUIDField(null=True)
    fence = models.BigIntegerField(default=0)
    expires_at = models.DateTimeField(null=True)
    seen_at = models.DateTimeField(null=True)
    isolation = models.CharField(max_length=40, blank=True)
    limits = models.CharField(max_length=20, blank=True)
    engine = models.CharField(max_length=40, blank=True)
    gpus = models.JSONField(
        default=list, help_text="A list of {index, name, memory_mb, workspace}; workspace is who has it, or null."
    )
    free_disk_bytes = models.BigIntegerField(null=True)
    disk_bytes = models.BigIntegerField(null=True)

    def __str__(self) -> str:
        return self.name


class Workspace(RecordModel):
    """A Terraform root module with a state of its own; it has the id of the environment it belongs to."""

    name = models.CharField(max_length=80)
    team = models.ForeignKey("accounts.Team", on_delete=models.PROTECT, related_name="+")
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    module_version = models.ForeignKey("catalog.ModuleVersion", on_delete=models.PROTECT, related_name="+")
    target = models.CharField(max_length=20)
    machine = models.ForeignKey(Machine, null=True, blank=True, on_delete=models.PROTECT, related_name="workspaces")
    engine = models.CharField(max_length=20, blank=True)
    state_serial = models.BigIntegerField(default=0)
    resources = models.JSONField(default=list)
    outputs = models.BinaryField(null=True)
    destroyed_at = models.DateTimeField(null=True)

    objects = WorkspaceQuerySet.as_manager()

    def __str__(self) -> str:
        return self.name


class Change(RecordModel):
    """One thing done to an environment by Terraform: planned, perhaps approved, applied."""

    class Kind(models.TextChoices):
        CREATE = "create", "Launch"
        UPDATE = "update", "Update"
        STOP = "stop", "Stop"
        START = "start", "Start"
        DESTROY = "destroy", "Destroy"
        REFRESH = "refresh", "Check for drift"

    class Status(models.TextChoices):
        QUEUED = "queued", "In line"
        PLANNING = "planning", "Planning"
        PLANNED = "planned", "Planned"
        AWAITING_APPROVAL = "awaiting_approval", "Waiting for your click"
        APPLYING = "applying", "Applying"
        APPLIED = "applied", "Done"
        FAILED = "failed", "Failed"
        CANCELLED = "cancelled", "Cancelled"
        DISCARDED = "discarded", "Discarded"

    ACTIVE: ClassVar[tuple[str, ...]] = (
        Status.QUEUED,
        Status.PLANNING,
        Status.PLANNED,
        Status.AWAITING_APPROVAL,
        Status.APPLYING,
    )

    workspace = models.ForeignKey(Workspace, on_delete=models.PROTECT, related_name="changes")
    kind = models.CharField(max_length=8, choices=Kind.choices)
    status = models.CharField(max_length=20, choices=Status.choices, default=Status.QUEUED)
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    reason = models.CharField(max_length=200, blank=True)
    correlation_id = models.CharField(max_length=32, blank=True)
    module_version = models.ForeignKey("catalog.ModuleVersion", on_delete=models.PROTECT, related_name="+")
    values = models.BinaryField(
        help_text="The Terraform variable values, encrypted JSON; emptied when the change ends."
    )

    machine = models.ForeignKey(Machine, null=True, blank=True, on_delete=models.PROTECT, related_name="changes")
    fence = models.BigIntegerField(null=True)
    engine = models.CharField(max_length=20, blank=True)
    engine_version = models.CharField(max_length=20, blank=True)

    plan_hash = models.CharField(max_length=64, blank=True)
    plan_fingerprint = models.CharField(max_length=64, blank=True)
    plan = models.JSONField(null=True, help_text="The readable plan; sensitive values are masked.")
    findings = models.JSONField(
        default=list, help_text="What rules said of the plan: a list of {policy, rule, effect, message, cure, address}."
    )
    imports = models.JSONField(
        default=list, help_text="Existing things to take over: a list of {to, id}; `to` is a resource's address."
    )
    approved_hash = models.CharField(max_length=64, blank=True)
    approved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    approved_at = models.DateTimeField(null=True, blank=True)

    step = models.CharField(max_length=200, blank=True)
    steps_done = models.PositiveSmallIntegerField(default=0)
    steps_total = models.PositiveSmallIntegerField(default=0)
    cancel_requested_at = models.DateTimeField(null=True, blank=True)
    cancel_requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    kill_confirmed_at = models.DateTimeField(null=True, blank=True)
    failure_code = models.CharField(max_length=60, blank=True)
    failure_summary = models.CharField(max_length=500, blank=True)
    failure_detail = models.TextField(blank=True)

    planning_at = models.DateTimeField(null=True, blank=True)
    planned_at = models.DateTimeField(null=True, blank=True)
    applying_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = ChangeQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["workspace"],
                condition=Q(status__in=("queued", "planning", "planned", "awaiting_approval", "applying")),
                name="one_active_change",
            )
        ]
        indexes = [
            models.Index(fields=["workspace", "-created_at"]),
            models.Index(fields=["status", "created_at"]),
            models.Index(fields=["-created_at", "-id"], name="change_newest"),
            models.Index(fields=["module_version", "kind", "-finished_at"]),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.workspace.name}"

    @property
    def is_active(self) -> bool:
        return self.status in self.ACTIVE


class CommandRecord(RecordModel):
    """One Terraform command of a change, with its times and exit code."""

    change = models.ForeignKey(Change, on_delete=models.CASCADE, related_name="commands")
    name = models.CharField(max_length=20)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    exit_code = models.IntegerField(null=True)

    class Meta:
        ordering = ["created_at", "id"]

    def __str__(self) -> str:
        return f"{self.name} → {self.exit_code}"


class StateVersion(models.Model):
    """A Terraform state as it was after some serial, encrypted; rows are only ever added."""

    id = models.BigAutoField(primary_key=True)
    workspace = models.ForeignKey(Workspace, on_delete=models.PROTECT, related_name="state_versions")
    change = models.ForeignKey(Change, null=True, on_delete=models.PROTECT, related_name="state_versions")
    lineage = models.CharField(max_length=64)
    serial = models.BigIntegerField()
    digest = models.CharField(max_length=64)
    cipher = models.BinaryField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["workspace", "lineage", "serial", "digest"], name="state_version_once")
        ]

    def __str__(self) -> str:
        return f"{self.workspace_id} serial {self.serial}"


class LogLine(models.Model):
    """A line of the build log of a change, or of an application of a workspace."""

    class Stream(models.TextChoices):
        BUILD = "build", "Build"
        APPLICATION = "application", "Application"

    id = models.BigAutoField(primary_key=True)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="log_lines")
    change = models.ForeignKey(Change, null=True, on_delete=models.CASCADE, related_name="log_lines")
    stream = models.CharField(max_length=11, choices=Stream.choices)
    number = models.PositiveIntegerField(help_text="Counts from 1 without gaps in each stream of a workspace.")
    at = models.DateTimeField()
    level = models.CharField(max_length=8, default="info")
    text = models.TextField()

    objects = LogLineQuerySet.as_manager()

    class Meta:
        ordering = ["number"]
        constraints = [models.UniqueConstraint(fields=["workspace", "stream", "number"], name="log_line_once")]
        # Lines come in the order of their time, so that finding the old ones costs a few pages.
        indexes = [BrinIndex(fields=["at"], name="log_line_at")]

    def __str__(self) -> str:
        return self.text


class LogCursor(models.Model):
    """How far a log file has been shipped; moves in one transaction with the lines, so that none is lost or doubled."""

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="+")
    source = models.CharField(max_length=200)
    position = models.CharField(max_length=200, help_text="A byte offset, or what the machine's log reader gave.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["workspace", "source"], name="log_cursor_once")]

    def __str__(self) -> str:
        return f"{self.source} at {self.position}"


class ServiceStatus(RecordModel):
    """What the machine's agent last saw of one supervised service."""

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="services")
    name = models.CharField(max_length=80)
    status = models.CharField(max_length=20)
    reason = models.CharField(max_length=300, blank=True)
    isolation = models.CharField(max_length=40, blank=True)
    restarts = models.PositiveIntegerField(default=0)
    oom_kills = models.PositiveIntegerField(default=0)
    memory_bytes = models.BigIntegerField(null=True)
    memory_limit_bytes = models.BigIntegerField(null=True)
    cpu_seconds = models.FloatField(null=True)
    disk_bytes = models.BigIntegerField(null=True)
    started_at = models.DateTimeField(null=True)
    observed_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["workspace", "name"], name="service_once")]

    def __str__(self) -> str:
        return f"{self.name} {self.status}"
