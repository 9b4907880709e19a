"""What environments are told of the module versions they were made from, and tell of them."""

from collections.abc import Sequence
from urllib.parse import urlencode
from uuid import UUID

from django.db.models import Count
from django.urls import reverse

from apps.accounts.models import User
from apps.catalog.models import ModuleVersion
from apps.environments.models import Environment
from apps.notifications.models import Notification
from apps.notifications.services import notify

NAMED = 3
WORDS = {"deprecated": "is deprecated", "revoked": "is revoked and cannot be started again"}


def version_usage(user: User, versions: Sequence[UUID]) -> dict[UUID, int]:
    """How many living environments that the person sees run each version."""
    rows = Environment.objects.visible_to(user).living().filter(module_version__in=versions).order_by()
    return dict(rows.values_list("module_version").annotate(count=Count("pk")))


def version_moved(version: ModuleVersion, actor: User | None, reason: str) -> None:
    """Tell every owner once which of their environments it is about, and what to do."""
    words = WORDS.get(version.status)
    if words is None:
        return
    module = version.module
    rows = Environment.objects.living().filter(module_version=version, owner__is_active=True)
    names: dict[User, list[str]] = {}
    for environment in rows.select_related("owner").only("name", "owner").order_by("owner_id", "name"):
        names.setdefault(environment.owner, []).append(environment.name)
    query = urlencode({"scope": "mine", "module": module.slug, "version": version.version})
    latest = module.latest_version
    cure = f"Upgrade to {latest.version}" if latest else "Look at your environments"
    for owner, mine in names.items():
        shown = ", ".join(mine[:NAMED]) + (f" and {len(mine) - NAMED} more" if len(mine) > NAMED else "")
        notify(
            user=owner,
            text=f"{shown}: {module.title} {version.version} {words}. {reason}",
            url=f"{reverse('environments:list')}?{query}",
            action=cure,
            level=Notification.Level.ACTION,
            key=f"version:{version.pk}:{version.status}:{version.status_since.isoformat()}",
        )
