from django.conf import settings
from django.db import models

from apps.core.models import RecordModel
from apps.notifications.querysets import NotificationQuerySet


class Notification(RecordModel):
    """A message in one person's inbox: object, event, deadline, one action."""

    class Level(models.TextChoices):
        INFO = "info", "For your information"
        ACTION = "action", "Needs you"
        FAILURE = "failure", "Failed"

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="notifications")
    level = models.CharField(max_length=8, choices=Level.choices, default=Level.INFO)
    text = models.CharField(max_length=400)
    url = models.CharField(max_length=300, blank=True)
    action = models.CharField(max_length=60, blank=True)
    key = models.CharField(max_length=120, blank=True)
    read_at = models.DateTimeField(null=True, blank=True)

    objects = NotificationQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-id"]
        indexes = [models.Index(fields=["user", "read_at", "-created_at"])]
        constraints = [
            models.UniqueConstraint(fields=["user", "key"], condition=~models.Q(key=""), name="notification_once")
        ]

    def __str__(self) -> str:
        return self.text
