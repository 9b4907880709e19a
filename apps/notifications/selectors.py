"""Reads of the inbox."""

from apps.accounts.models import User
from apps.notifications.models import Notification


def unread_count(user: User) -> int:
    return Notification.objects.visible_to(user).unread().count()


def needs_person(user: User, limit: int = 5) -> list[Notification]:
    """What is unread and asks something of the person, or failed; newest first."""
    levels = (Notification.Level.ACTION, Notification.Level.FAILURE)
    return list(Notification.objects.visible_to(user).unread().filter(level__in=levels)[:limit])
