"""Serializer fields of environments."""

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.environments.durations import duration_seconds


@extend_schema_field({"oneOf": [{"type": "integer", "minimum": 1}, {"type": "string", "example": "8h"}]})
class LengthOfTimeField(serializers.Field):
    """Seconds, or words such as "8h", "30m", "7d"."""

    def to_internal_value(self, data: Any) -> int:
        if not isinstance(data, str | int | float):
            raise serializers.ValidationError("Give seconds, or a text such as 8h or 30m.")
        try:
            return duration_seconds(data)
        except (ValueError, OverflowError) as error:
            text = str(error)
            raise serializers.ValidationError(text[:1].upper() + text[1:] + ".") from None

    def to_representation(self, value: int) -> int:
        return value


@extend_schema_field(OpenApiTypes.OBJECT)
class InputsField(serializers.JSONField):
    """An object of input values by variable name."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        value = super().to_internal_value(data)
        if not isinstance(value, dict):
            raise serializers.ValidationError("Give an object of values by variable name.")
        return value
