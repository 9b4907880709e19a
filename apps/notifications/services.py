from django.utils import timezone

from apps.accounts.models import User
from apps.core import live
from apps.notifications.models import Notification


def notify(
    *, user: User, text: str, url: str = "", action: str = "", level: str = Notification.Level.INFO, key: str = ""
) -> None:
    """Put a message into a person's inbox; with a `key` it is put there once, however often this runs."""
    row = Notification(user=user, text=text[:400], url=url, action=action, level=level, key=key)
    if Notification.objects.bulk_create([row], ignore_conflicts=bool(key)):
        live.publish(audience=f"user:{user.pk}", topic=f"user:{user.pk}", kind="inbox")


def notifications_mark_read(*, user: User, ids: list[str] | None = None) -> int:
    rows = Notification.objects.visible_to(user).unread()
    if ids is not None:
        rows = rows.filter(pk__in=ids)
    changed = rows.update(read_at=timezone.now())
    if changed:
        live.publish(audience=f"user:{user.pk}", topic=f"user:{user.pk}", kind="inbox")
    return changed
