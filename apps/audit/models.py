import uuid

from django.conf import settings
from django.db import models

from apps.audit.querysets import AuditEventQuerySet


class AuditEvent(models.Model):
    """One thing somebody did, never changed afterwards (a database trigger refuses updates and deletes)."""

    id = models.BigAutoField(primary_key=True)
    uid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    at = models.DateTimeField(auto_now_add=True, db_index=True)
    action = models.CharField(max_length=64, db_index=True)
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    actor_name = models.CharField(max_length=150)
    target_type = models.CharField(max_length=40)
    target_id = models.CharField(max_length=64)
    target_name = models.CharField(max_length=200)
    team_id = models.UUIDField(null=True, db_index=True)
    before = models.JSONField(default=dict)
    after = models.JSONField(default=dict)
    correlation_id = models.CharField(max_length=32, blank=True)
    via = models.CharField(max_length=16, blank=True)

    objects = AuditEventQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        # Parts of names are found by the trigram indexes of migration 0003.
        indexes = [
            models.Index(fields=["target_type", "target_id", "-id"]),
            models.Index(fields=["correlation_id"], name="audit_correlation"),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.target_name} by {self.actor_name}"
