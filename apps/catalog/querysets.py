from typing import TYPE_CHECKING

from django.db import models
from django.db.models import Exists, OuterRef

if TYPE_CHECKING:
    from apps.accounts.models import User
    from apps.catalog.models import Module, ModuleRetrieval, ModuleSource, ModuleVersion, VersionCheck

# What weighs much and no list shows.
HEAVY = ("archive", "interface", "readme", "changelog")


class ModuleQuerySet(models.QuerySet["Module"]):
    def visible_to(self, user: "User") -> "ModuleQuerySet":
        """The catalog is open to everybody who signs in; a module that has only drafts to whoever keeps it."""
        from apps.catalog.models import ModuleVersion

        if not user.is_active:
            return self.none()
        if user.sees_everything:
            return self
        beyond_draft = ModuleVersion.objects.filter(module=OuterRef("pk")).exclude(status=ModuleVersion.Status.DRAFT)
        return self.filter(Exists(beyond_draft))

    def launchable(self) -> "ModuleQuerySet":
        return self.exclude(latest_version=None)


class ModuleVersionQuerySet(models.QuerySet["ModuleVersion"]):
    def visible_to(self, user: "User") -> "ModuleVersionQuerySet":
        """Drafts are seen by platform engineers and auditors only."""
        if not user.is_active:
            return self.none()
        return self if user.sees_everything else self.exclude(status="draft")

    def light(self) -> "ModuleVersionQuerySet":
        """Without what weighs much."""
        return self.defer(*HEAVY)


class ModuleSourceQuerySet(models.QuerySet["ModuleSource"]):
    def visible_to(self, user: "User") -> "ModuleSourceQuerySet":
        return self if user.sees_everything else self.none()


class ModuleRetrievalQuerySet(models.QuerySet["ModuleRetrieval"]):
    def visible_to(self, user: "User") -> "ModuleRetrievalQuerySet":
        return self if user.sees_everything else self.none()

    def active(self) -> "ModuleRetrievalQuerySet":
        return self.filter(status__in=("queued", "running"))


class VersionCheckQuerySet(models.QuerySet["VersionCheck"]):
    def visible_to(self, user: "User") -> "VersionCheckQuerySet":
        """What a check wrote may tell of the machine: for whoever keeps modules."""
        return self if user.sees_everything else self.none()

    def active(self) -> "VersionCheckQuerySet":
        return self.filter(status__in=("queued", "running"))
