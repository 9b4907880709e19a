from typing import Any

from django.conf import settings
from django.db import models

from apps.catalog.querysets import ModuleQuerySet, ModuleVersionQuerySet
from apps.core.models import RecordModel


class Module(RecordModel):
    """An entry of the catalog: one Terraform module that people can launch."""

    class Kind(models.TextChoices):
        NOTEBOOK = "notebook", "Notebook"
        CLUSTER = "cluster", "Cluster"
        ENDPOINT = "endpoint", "Endpoint"
        JOB = "job", "Job"

    slug = models.SlugField(max_length=60, unique=True)
    title = models.CharField(max_length=80)
    summary = models.CharField(max_length=300, blank=True)
    kind = models.CharField(max_length=10, choices=Kind.choices)
    target = models.CharField(max_length=20)
    icon = models.CharField(max_length=40, blank=True)
    latest_version = models.ForeignKey(
        "ModuleVersion", null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )

    objects = ModuleQuerySet.as_manager()

    class Meta:
        ordering = ["title", "id"]

    def __str__(self) -> str:
        return self.title


class ModuleVersion(RecordModel):
    """One immutable version of a module: its files, their digest and its parsed interface."""

    module = models.ForeignKey(Module, on_delete=models.PROTECT, related_name="versions")
    version = models.CharField(max_length=40)
    source = models.CharField(max_length=400)
    commit = models.CharField(max_length=64, blank=True)
    digest = models.CharField(max_length=64)
    interface = models.JSONField()
    readme = models.TextField(blank=True)
    archive = models.BinaryField()
    published_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )

    objects = ModuleVersionQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-id"]
        constraints = [models.UniqueConstraint(fields=["module", "version"], name="module_version_once")]

    def __str__(self) -> str:
        return f"{self.module.slug} {self.version}"

    def parsed(self) -> Any:
        """The interface as :class:`apps.catalog.interface.ModuleInterface`."""
        from apps.catalog.interface import ModuleInterface

        return ModuleInterface.from_json(self.interface)
