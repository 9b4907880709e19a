from django.apps import AppConfig


class NotificationsConfig(AppConfig):
    name = "apps.notifications"
    label = "notifications"

    def ready(self) -> None:
        from django.conf import settings

        from apps.core.retention import before, register_prune
        from apps.notifications.models import Notification

        register_prune(
            "read notifications",
            lambda: Notification.objects.filter(read_at__lt=before(days=settings.KEEP_NOTIFICATION_DAYS)),
        )
        # What nobody has read in four times as long, nobody will.
        register_prune(
            "forgotten notifications",
            lambda: Notification.objects.filter(created_at__lt=before(days=4 * settings.KEEP_NOTIFICATION_DAYS)),
        )
