from django.conf import settings
from django.db import models

from apps.core.models import RecordModel
from apps.runtimes.querysets import RuntimeQuerySet, RuntimeVersionQuerySet


class Runtime(RecordModel):
    """A named Python environment that notebooks and clusters can run in, for example "Python 3.11 · scikit-learn"."""

    slug = models.SlugField(max_length=60, unique=True)
    title = models.CharField(max_length=80)
    summary = models.CharField(max_length=300, blank=True)
    python = models.CharField(max_length=10, default="3.11")
    latest_version = models.ForeignKey(
        "RuntimeVersion",
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        help_text="The newest version that is ready; what new environments get unless they choose another.",
    )

    objects = RuntimeQuerySet.as_manager()

    class Meta:
        ordering = ["title", "id"]

    def __str__(self) -> str:
        return self.title


class RuntimeVersion(RecordModel):
    """One version of a runtime: requirements as edited, and the lock made of them, which never changes afterwards."""

    class Status(models.TextChoices):
        LOCKING = "locking", "Locking"
        BUILDING = "building", "Building"
        READY = "ready", "Ready"
        FAILED = "failed", "Failed"
        DEPRECATED = "deprecated", "Deprecated"

    runtime = models.ForeignKey(Runtime, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField(help_text="Counts from 1 in each runtime.")
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.LOCKING)
    status_since = models.DateTimeField(auto_now_add=True)
    reason = models.CharField(max_length=500, blank=True, help_text="Why it failed or was deprecated.")
    requirements = models.TextField(help_text="As the platform engineer wrote them, one requirement a line.")
    lock = models.TextField(blank=True, help_text="Every package pinned with hashes, as uv resolved it.")
    digest = models.CharField(max_length=64, blank=True, help_text="SHA-256 of the lock, hex.")
    packages = models.JSONField(default=list, help_text="Of the lock: a list of {name, version}, by name.")
    size_bytes = models.BigIntegerField(null=True)
    log = models.TextField(blank=True, help_text="The last lines of uv.")
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    locked_at = models.DateTimeField(null=True)
    ready_at = models.DateTimeField(null=True)

    objects = RuntimeVersionQuerySet.as_manager()

    class Meta:
        ordering = ["-number"]
        constraints = [models.UniqueConstraint(fields=["runtime", "number"], name="runtime_version_once")]

    def __str__(self) -> str:
        return f"{self.runtime.slug}@{self.number}"
