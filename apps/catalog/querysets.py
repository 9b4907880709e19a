from typing import TYPE_CHECKING

from django.db import models

if TYPE_CHECKING:
    from apps.accounts.models import User
    from apps.catalog.models import Module, ModuleVersion


class ModuleQuerySet(models.QuerySet["Module"]):
    def visible_to(self, user: "User") -> "ModuleQuerySet":
        """The catalog is open to everybody who signs in."""
        return self if user.is_active else self.none()

    def launchable(self) -> "ModuleQuerySet":
        return self.exclude(latest_version=None)


class ModuleVersionQuerySet(models.QuerySet["ModuleVersion"]):
    def visible_to(self, user: "User") -> "ModuleVersionQuerySet":
        return self if user.is_active else self.none()
