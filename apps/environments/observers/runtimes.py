"""What Python environments hear of the notebooks and clusters that run in them, and their owners of them."""

from collections.abc import Collection
from uuid import UUID

from django.db.models import Count
from django.urls import reverse

from apps.accounts.models import User
from apps.environments.models import Environment
from apps.environments.words import status_word
from apps.notifications.models import Notification
from apps.notifications.services import notify
from apps.runtimes.models import RuntimeVersion
from apps.runtimes.registry import Use, Uses

SHOWN = 50


def runtime_uses(version_ids: Collection[UUID], user: User) -> Uses:
    """What lives in any of these versions; named are those that the person may see."""
    living = Environment.objects.living().filter(runtime_version__in=version_ids)
    visible = Environment.objects.visible_to(user).living().filter(runtime_version__in=version_ids)
    rows = visible.select_related("team", "owner").defer("inputs_cipher", "secrets_cipher", "settled_cipher")
    shown = [
        Use(
            name=row.name,
            url=reverse("environments:detail", args=[row.pk]),
            team=row.team.name,
            owner=row.owner.display_name,
            status=status_word(row).label,
            version_id=row.runtime_version_id,  # type: ignore[arg-type]
        )
        for row in rows.order_by("name", "id")[:SHOWN]
    ]
    return Uses(living.count(), shown)


def runtime_counts(version_ids: Collection[UUID]) -> dict[UUID, int]:
    rows = Environment.objects.living().filter(runtime_version__in=version_ids).order_by()
    return dict(rows.values_list("runtime_version_id").annotate(number=Count("pk")))  # type: ignore[arg-type]


def runtime_deprecated(version: RuntimeVersion) -> None:
    """Each owner hears once for each of their environments in it."""
    rows = Environment.objects.living().filter(runtime_version=version).select_related("owner")
    newest = version.runtime.latest_version
    cure = f" Version {newest.number} takes its place: choose it in the settings." if newest else ""
    why = f" {version.reason.rstrip('.')}." if version.reason else ""
    for row in rows.defer("inputs_cipher", "secrets_cipher", "settled_cipher"):
        notify(
            user=row.owner,
            text=f"{row.name} runs in {version.runtime.title}, version {version.number}, which is deprecated.{why} "
            f"It goes on as before.{cure}",
            url=reverse("environments:settings", args=[row.pk]),
            action="Open settings",
            level=Notification.Level.ACTION if newest else Notification.Level.INFO,
            key=f"runtime-deprecated:{row.pk}:{version.pk}:{version.status_since:%Y%m%d%H%M%S}",
        )
