from typing import TYPE_CHECKING

from django.db import models

if TYPE_CHECKING:
    from apps.accounts.models import User
    from apps.runtimes.models import Runtime, RuntimeVersion


class RuntimeQuerySet(models.QuerySet["Runtime"]):
    def visible_to(self, user: "User") -> "RuntimeQuerySet":
        """Runtimes are open to everybody who signs in, like the catalog."""
        return self if user.is_active else self.none()


class RuntimeVersionQuerySet(models.QuerySet["RuntimeVersion"]):
    def visible_to(self, user: "User") -> "RuntimeVersionQuerySet":
        return self if user.is_active else self.none()

    def choosable(self) -> "RuntimeVersionQuerySet":
        """Versions that a new environment may take."""
        return self.filter(status="ready")
