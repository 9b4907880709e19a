from datetime import UTC, datetime
from typing import Any, ClassVar

import django_filters  # type: ignore[import-untyped]
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django_filters.fields import IsoDateTimeField  # type: ignore[import-untyped]
from rest_framework import mixins, serializers, viewsets

from apps.accounts.requests import person_of
from apps.audit.models import AuditEvent


class AuditEventSerializer(serializers.ModelSerializer[AuditEvent]):
    id = serializers.UUIDField(source="uid", read_only=True)
    actor = serializers.CharField(source="actor_name", read_only=True)

    class Meta:
        model = AuditEvent
        fields = (
            "id",
            "at",
            "action",
            "actor",
            "target_type",
            "target_id",
            "target_name",
            "team_id",
            "before",
            "after",
            "correlation_id",
        )
        read_only_fields = fields


class MomentField(IsoDateTimeField):  # type: ignore[misc]
    """In UTC: PostgreSQL knows no offsets beyond 16 hours, which can be written all the same."""

    def to_python(self, value: Any) -> datetime | None:
        moment: datetime | None = super().to_python(value)
        try:
            return moment.astimezone(UTC) if moment else None
        except OverflowError as error:
            raise ValidationError(self.error_messages["invalid"], code="invalid") from error


class MomentFilter(django_filters.IsoDateTimeFilter):  # type: ignore[misc]
    field_class = MomentField


class AuditEventFilter(django_filters.FilterSet):
    action = django_filters.CharFilter(lookup_expr="startswith", max_length=64)
    actor = django_filters.CharFilter(field_name="actor_name", max_length=150)
    target_type = django_filters.CharFilter(max_length=40)
    target_id = django_filters.CharFilter(max_length=64)
    team_id = django_filters.UUIDFilter()
    since = MomentFilter(field_name="at", lookup_expr="gte")
    until = MomentFilter(field_name="at", lookup_expr="lt")

    class Meta:
        model = AuditEvent
        fields: ClassVar[list[str]] = []


class AuditEventViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[AuditEvent]):
    """What was done: everything for auditors and platform engineers, for others what they did or their teams saw.

    `count` is always null: the log only grows, and counting it says nothing.
    """

    serializer_class = AuditEventSerializer
    queryset = AuditEvent.objects.none()
    filterset_class = AuditEventFilter
    lookup_field = "uid"
    lookup_url_kwarg = "id"
    lookup_value_converter = "uuid"
    search_fields = ("target_name", "actor_name")
    ordering_fields = ("at",)
    counted = False

    def get_queryset(self) -> QuerySet[Any]:
        if getattr(self, "swagger_fake_view", False):
            return AuditEvent.objects.none()
        return AuditEvent.objects.visible_to(person_of(self.request.user)).order_by("-id")
