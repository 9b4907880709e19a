"""The one way in which an observer writes an environment, and who hears of it."""

from typing import Any

from django.urls import reverse
from django.utils import timezone

from apps.core import live
from apps.environments.models import Environment
from apps.environments.words import status_word
from apps.notifications.models import Notification
from apps.notifications.services import notify
from apps.provisioning.models import Change


def environment_of(workspace_id: Any) -> Environment | None:
    """The row, locked: whoever follows two events of one environment does so one after the other."""
    return (
        Environment.objects.select_for_update(of=("self",))
        .select_related("owner", "team", "module", "module_version")
        .filter(pk=workspace_id)
        .first()
    )


def environment_write(environment: Environment, fields: dict[str, Any]) -> None:
    """Store what is different and tell open pages."""
    new = {name: value for name, value in fields.items() if getattr(environment, name) != value}
    if new.get("status"):
        new["status_since"] = timezone.now()
    if "status_reason" in new:
        new["status_reason"] = new["status_reason"][:500]
    if new:
        Environment.objects.filter(pk=environment.pk).update(**new)
        for name, value in new.items():
            setattr(environment, name, value)
    environment_publish(environment)


def environment_publish(environment: Environment) -> None:
    word = status_word(environment)
    live.publish(
        audience=f"team:{environment.team_id}",
        topic=environment.topic,
        kind="status",
        data={"status": environment.status, "label": word.label, "tone": word.tone},
    )


def tell_owner(
    environment: Environment,
    text: str,
    *,
    key: str,
    action: str = "",
    level: str = Notification.Level.INFO,
    change: Change | None = None,
) -> None:
    """A message in the owner's inbox, once for a key. With `change` it leads to the change rather than to the page."""
    url = reverse("environments:detail", args=[environment.pk])
    if change is not None:
        url = reverse("environments:change", args=[environment.pk, change.pk])
    notify(user=environment.owner, text=f"{environment.name} {text}", url=url, action=action, level=level, key=key)
