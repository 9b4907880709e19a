from typing import TYPE_CHECKING

from django.db import models

if TYPE_CHECKING:
    from apps.accounts.models import User
    from apps.notifications.models import Notification


class NotificationQuerySet(models.QuerySet["Notification"]):
    def visible_to(self, user: "User") -> "NotificationQuerySet":
        return self.filter(user=user)

    def unread(self) -> "NotificationQuerySet":
        return self.filter(read_at=None)
