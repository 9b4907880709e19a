from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers

from apps.metering.selectors import GROUPS, Usage

LONGEST = timedelta(days=400)


class UsageQuerySerializer(serializers.Serializer[Any]):
    """What is asked for; without a start it is the present month (UTC), without an end it goes on until now."""

    start = serializers.DateTimeField(required=False)
    end = serializers.DateTimeField(required=False)
    by = serializers.CharField(
        required=False, max_length=60, help_text=f"Groups, separated by commas: {', '.join(GROUPS)}."
    )
    team = serializers.CharField(required=False, max_length=40, help_text="Slug of a team.")
    user = serializers.CharField(required=False, max_length=150, help_text="Name a person signs in with.")
    environment = serializers.UUIDField(required=False)

    def validate_by(self, value: str) -> list[str]:
        names = [name.strip() for name in value.split(",") if name.strip()]
        unknown = sorted(set(names) - set(GROUPS))
        if unknown:
            raise serializers.ValidationError(f"Choose among {', '.join(GROUPS)}.")
        return names

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        now = timezone.now()
        end: datetime = attrs.setdefault("end", now)
        first = now.astimezone(timezone.get_default_timezone()).replace(
            day=1, hour=0, minute=0, second=0, microsecond=0
        )
        start: datetime = attrs.setdefault("start", min(first, end))
        if start > end:
            raise serializers.ValidationError({"end": "The end lies before the start."})
        if end - start > LONGEST:
            raise serializers.ValidationError({"start": f"Ask for at most {LONGEST.days} days at once."})
        return attrs


class UsageSerializer(serializers.Serializer[Usage]):
    """Sums of what was used. What was not grouped by is null. Without a limit or known size a resource adds nothing."""

    day = serializers.DateField(allow_null=True)
    team = serializers.CharField(allow_null=True)
    user = serializers.CharField(allow_null=True)
    environment = serializers.UUIDField(allow_null=True)
    kind = serializers.CharField(allow_null=True)
    core_seconds = serializers.FloatField()
    memory_byte_seconds = serializers.FloatField()
    gpu_seconds = serializers.FloatField()
    disk_byte_seconds = serializers.FloatField()
    existed_seconds = serializers.FloatField()
    running_seconds = serializers.FloatField()


@extend_schema_serializer(many=False)
class UsagePageSerializer(serializers.Serializer[Any]):
    results = UsageSerializer(many=True)
    next = serializers.CharField(allow_null=True)
    previous = serializers.CharField(allow_null=True)
    count = serializers.IntegerField()
    start = serializers.DateTimeField()
    end = serializers.DateTimeField()
