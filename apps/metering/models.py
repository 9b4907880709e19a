from decimal import Decimal

from django.conf import settings
from django.contrib.postgres.constraints import ExclusionConstraint
from django.db import models
from django.db.models import F, Func, Q, Value

from apps.metering.querysets import ResourceIntervalQuerySet


class WorkspaceMeter(models.Model):
    """How far the states of a workspace have been metered; its row is the lock under which its intervals are written.

    `done` says that the workspace is destroyed and every one of its intervals has its end.
    """

    workspace = models.OneToOneField(
        "provisioning.Workspace", primary_key=True, on_delete=models.PROTECT, related_name="meter"
    )
    state_version = models.BigIntegerField(default=0)
    done = models.BooleanField(default=False)

    def __str__(self) -> str:
        return f"{self.workspace_id} to state {self.state_version}"


class MeteredResource(models.Model):
    """A thing that Terraform has made in a workspace, told apart by its address there."""

    class Kind(models.TextChoices):
        VOLUME = "volume", "Volume"
        RUNTIME = "runtime", "Python environment"
        SERVICE = "service", "Service"
        CLOUD = "cloud", "Cloud resource"

    id = models.BigAutoField(primary_key=True)
    workspace = models.ForeignKey("provisioning.Workspace", on_delete=models.PROTECT, related_name="+")
    address = models.CharField(max_length=500)
    type = models.CharField(max_length=120)
    kind = models.CharField(max_length=8, choices=Kind.choices)
    service = models.CharField(max_length=80, blank=True, help_text="Its name on the machine, where it is a service.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["workspace", "address"], name="metered_resource_once")]

    def __str__(self) -> str:
        return self.address


class ResourceInterval(models.Model):
    """A span of time in which a resource existed with one size, one state, one team and one user.

    The intervals of a resource follow one another: a change of any of these ends one and begins the next in the same
    instant. A stopped resource holds its disk and nothing else.
    """

    class State(models.TextChoices):
        PRESENT = "present", "Present"
        RUNNING = "running", "Running"
        STOPPED = "stopped", "Stopped"

    id = models.BigAutoField(primary_key=True)
    resource = models.ForeignKey(MeteredResource, on_delete=models.PROTECT, related_name="intervals")
    workspace = models.ForeignKey("provisioning.Workspace", on_delete=models.PROTECT, related_name="+", db_index=False)
    team = models.ForeignKey("accounts.Team", on_delete=models.PROTECT, related_name="+", db_index=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", db_index=False)
    state = models.CharField(max_length=7, choices=State.choices)

    cpu_cores = models.DecimalField(max_digits=10, decimal_places=3, null=True)
    memory_bytes = models.BigIntegerField(null=True)
    disk_bytes = models.BigIntegerField(null=True)
    gpu_count = models.PositiveIntegerField(default=0)
    size_name = models.CharField(max_length=60, blank=True, help_text="The provider's word, such as ml.t3.medium.")

    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    seen_at = models.DateTimeField(help_text="When it was last known to be so; what runs is counted no further.")
    run_started_at = models.DateTimeField(null=True, help_text="When the process that runs in it began.")

    objects = ResourceIntervalQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["resource"], condition=Q(ended_at__isnull=True), name="one_open_interval_per_resource"
            ),
            models.CheckConstraint(
                condition=Q(ended_at__isnull=True) | Q(ended_at__gte=F("started_at")), name="interval_not_negative"
            ),
            # A range of one number overlaps another only where they are equal, which needs no extension of PostgreSQL.
            ExclusionConstraint(
                name="intervals_do_not_overlap",
                expressions=[
                    (Func(F("resource_id"), F("resource_id"), Value("[]"), function="int8range"), "&&"),
                    (Func(F("started_at"), F("ended_at"), function="tstzrange"), "&&"),
                ],
            ),
        ]
        # An open interval has a NULL end, which these find as well.
        indexes = [
            models.Index(fields=["workspace", "ended_at"]),
            models.Index(fields=["team", "ended_at"]),
            models.Index(fields=["user", "ended_at"]),
            models.Index(fields=["ended_at"]),
        ]

    def __str__(self) -> str:
        return f"{self.resource_id} {self.state} {self.started_at} to {self.ended_at or 'now'}"

    @property
    def size(self) -> tuple[Decimal | None, int | None, int | None, int, str]:
        return self.cpu_cores, self.memory_bytes, self.disk_bytes, self.gpu_count, self.size_name
