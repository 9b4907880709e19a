from datetime import timedelta

from django.apps import AppConfig

READ_KEPT = timedelta(days=90)


class NotificationsConfig(AppConfig):
    name = "apps.notifications"
    label = "notifications"

    def ready(self) -> None:
        from django.utils import timezone

        from apps.core.retention import register_prune
        from apps.notifications.models import Notification

        register_prune(
            "read notifications", lambda: Notification.objects.filter(read_at__lt=timezone.now() - READ_KEPT)
        )
