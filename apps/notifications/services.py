from collections.abc import Sequence
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from apps.accounts.models import User
from apps.core import live
from apps.notifications.models import Notification


def notify(
    *, user: User, text: str, url: str = "", action: str = "", level: str = Notification.Level.INFO, key: str = ""
) -> None:
    """Put a message into a person's inbox; with a `key` it is put there once, however often this runs."""
    row = Notification(user=user, text=text[:400], url=url, action=action, level=level, key=key)
    with transaction.atomic():
        Notification.objects.bulk_create([row], ignore_conflicts=bool(key))
        if not key or Notification.objects.filter(pk=row.pk).exists():
            _tell(user)


@transaction.atomic
def notifications_mark_read(*, user: User, ids: Sequence[str | UUID] | None = None) -> int:
    """Mark some messages (or all) as read; returns how many were unread."""
    rows = Notification.objects.visible_to(user).unread()
    if ids is not None:
        rows = rows.filter(pk__in=ids)
    changed = rows.update(read_at=timezone.now())
    if changed:
        _tell(user)
    return changed


def _tell(user: User) -> None:
    """Open pages of this person show the new number of unread messages."""
    count = Notification.objects.visible_to(user).unread().count()
    live.publish(audience=f"user:{user.pk}", topic=f"user:{user.pk}", kind="inbox", data={"count": count})
