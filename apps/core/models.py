import uuid

from django.db import models


class RecordModel(models.Model):
    """A row with a random id and the time it was made."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        abstract = True


class LiveEvent(models.Model):
    """A change that open pages should hear of; its id is the `Last-Event-ID` of the stream."""

    id = models.BigAutoField(primary_key=True)
    audience = models.CharField(max_length=64)
    topic = models.CharField(max_length=64)
    kind = models.CharField(max_length=16)
    data = models.JSONField(default=dict)
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)

    class Meta:
        indexes = [models.Index(fields=["topic", "id"])]

    def __str__(self) -> str:
        return f"{self.topic} {self.kind} {self.pk}"


class IdempotencyKey(RecordModel):
    """The answer that was given to a write, kept so that the same request is not carried out twice."""

    user = models.ForeignKey("accounts.User", on_delete=models.CASCADE)
    key = models.CharField(max_length=200)
    fingerprint = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField(null=True)
    body = models.JSONField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "key"], name="idempotency_user_key")]

    def __str__(self) -> str:
        return self.key
