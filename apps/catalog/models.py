from typing import Any

from django.conf import settings
from django.db import models
from django.db.models.functions import Now

from apps.catalog.querysets import (
    ModuleQuerySet,
    ModuleRetrievalQuerySet,
    ModuleSourceQuerySet,
    ModuleVersionQuerySet,
    VersionCheckQuerySet,
)
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
        "ModuleVersion",
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        help_text="The newest published version: what is launched. Empty where nothing of it is published.",
    )

    objects = ModuleQuerySet.as_manager()

    class Meta:
        ordering = ["title", "id"]

    def __str__(self) -> str:
        return self.title


class ModuleSource(RecordModel):
    """Where versions of a module come from; its credential is written and never shown."""

    class Kind(models.TextChoices):
        REPOSITORY = "repository", "This repository"
        GIT = "git", "Git"
        UPLOAD = "upload", "Upload"

    class Credential(models.TextChoices):
        NONE = "", "None: everybody can read it"
        DEPLOY_KEY = "deploy_key", "Deploy key (SSH)"
        TOKEN = "token", "Access token (HTTPS)"

    kind = models.CharField(max_length=10, choices=Kind.choices)
    slug = models.SlugField(max_length=60, help_text="Of the module that is made from it.")
    url = models.CharField(max_length=400, blank=True, help_text="Git address, never with a user's password.")
    reference = models.CharField(max_length=200, blank=True, help_text="Branch, tag or commit; empty is the default.")
    subfolder = models.CharField(max_length=200, blank=True)
    credential_kind = models.CharField(max_length=10, choices=Credential.choices, blank=True)
    credential_cipher = models.BinaryField(default=bytes)
    known_hosts = models.TextField(blank=True, help_text="SSH host keys that were seen at the first retrieval.")
    manifest = models.JSONField(null=True, help_text="What module.yaml would say, where the module has none.")
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )

    objects = ModuleSourceQuerySet.as_manager()

    class Meta:
        ordering = ["slug", "id"]
        constraints = [models.UniqueConstraint(fields=["slug", "kind"], name="module_source_once")]

    def __str__(self) -> str:
        return f"{self.slug} ({self.get_kind_display()})"

    @property
    def has_credential(self) -> bool:
        return bool(self.credential_cipher)


class ModuleVersion(RecordModel):
    """One immutable version of a module: its files, their digest and its parsed interface."""

    class Status(models.TextChoices):
        DRAFT = "draft", "Draft"
        PUBLISHED = "published", "Published"
        DEPRECATED = "deprecated", "Deprecated"
        REVOKED = "revoked", "Revoked"

    module = models.ForeignKey(Module, on_delete=models.PROTECT, related_name="versions")
    version = models.CharField(max_length=40)
    source = models.CharField(max_length=400)
    commit = models.CharField(max_length=64, blank=True)
    digest = models.CharField(max_length=64)
    interface = models.JSONField()
    readme = models.TextField(blank=True)
    changelog = models.TextField(blank=True, db_default="", help_text="CHANGELOG.md's part for this version.")
    archive = models.BinaryField()
    published_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    registered_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    # The default is for code from before there were states, which only wrote published versions.
    status = models.CharField(
        max_length=10, choices=Status.choices, default=Status.PUBLISHED, db_default=Status.PUBLISHED
    )
    status_reason = models.CharField(max_length=400, blank=True, db_default="")
    status_since = models.DateTimeField(db_default=Now())
    origin = models.ForeignKey(ModuleSource, null=True, blank=True, on_delete=models.SET_NULL, related_name="versions")

    objects = ModuleVersionQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-id"]
        constraints = [models.UniqueConstraint(fields=["module", "version"], name="module_version_once")]

    def __str__(self) -> str:
        return f"{self.module.slug} {self.version}"

    @property
    def is_launchable(self) -> bool:
        return self.status == self.Status.PUBLISHED

    @property
    def is_startable(self) -> bool:
        """What was launched before may start again, unless its version was revoked."""
        return self.status in (self.Status.PUBLISHED, self.Status.DEPRECATED)

    def parsed(self) -> Any:
        """The interface as :class:`apps.catalog.interface.ModuleInterface`."""
        from apps.catalog.interface import ModuleInterface

        return ModuleInterface.from_json(self.interface)


class ModuleRetrieval(RecordModel):
    """One attempt to get a module from its Git source; an agent carries it out."""

    class Status(models.TextChoices):
        QUEUED = "queued", "In line"
        RUNNING = "running", "Retrieving"
        DONE = "done", "Registered"
        FAILED = "failed", "Failed"

    source = models.ForeignKey(ModuleSource, on_delete=models.CASCADE, related_name="retrievals")
    reference = models.CharField(max_length=200, blank=True, help_text="Branch, tag or commit that was asked for.")
    wanted_version = models.CharField(
        max_length=40, blank=True, db_default="", help_text="What a module without module.yaml is registered as."
    )
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.QUEUED)
    problem_field = models.CharField(max_length=20, blank=True, help_text="url, reference, subfolder, ... or module.")
    problem = models.TextField(blank=True, help_text="What is wrong and what to do, for people.")
    log = models.TextField(blank=True, help_text="The last lines of git.")
    commit = models.CharField(max_length=64, blank=True)
    version = models.ForeignKey(
        ModuleVersion, null=True, blank=True, on_delete=models.SET_NULL, related_name="retrievals"
    )
    is_new = models.BooleanField(default=False, help_text="False where this content was registered already.")
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    holder = models.UUIDField(null=True, help_text="The agent that carries it out.")
    fence = models.PositiveBigIntegerField(default=0)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    objects = ModuleRetrievalQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["source"], condition=models.Q(status__in=["queued", "running"]), name="module_retrieval_active"
            )
        ]

    def __str__(self) -> str:
        return f"{self.source.slug} from {self.source.url}"

    @property
    def is_active(self) -> bool:
        return self.status in (self.Status.QUEUED, self.Status.RUNNING)


class VersionCheck(RecordModel):
    """One check of a version before it is published, with its latest result; an agent carries it out."""

    class Name(models.TextChoices):
        FORMAT = "fmt", "Formatting"
        VALIDATE = "validate", "Validity"
        TEST = "test", "Tests"
        PLAN = "plan", "Trial plan"

    class Status(models.TextChoices):
        QUEUED = "queued", "In line"
        RUNNING = "running", "Running"
        PASSED = "passed", "Passed"
        FAILED = "failed", "Failed"
        SKIPPED = "skipped", "Not needed"

    version = models.ForeignKey(ModuleVersion, on_delete=models.CASCADE, related_name="checks")
    name = models.CharField(max_length=10, choices=Name.choices)
    position = models.PositiveSmallIntegerField()
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.QUEUED)
    summary = models.CharField(max_length=600, blank=True)
    output = models.TextField(blank=True, help_text="Bounded: the beginning and the end of what was written.")
    engine = models.CharField(max_length=60, blank=True)
    holder = models.UUIDField(null=True)
    fence = models.PositiveBigIntegerField(default=0)
    attempt = models.PositiveIntegerField(default=1)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    objects = VersionCheckQuerySet.as_manager()

    class Meta:
        ordering = ["position"]
        constraints = [models.UniqueConstraint(fields=["version", "name"], name="version_check_once")]

    def __str__(self) -> str:
        return f"{self.get_name_display()} of {self.version}"

    @property
    def is_active(self) -> bool:
        return self.status in (self.Status.QUEUED, self.Status.RUNNING)
