"""The shapes of variable sets in the API. A value goes in; a sensitive one never comes out."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.variable_sets.models import SetVariable, VariableSet
from apps.variable_sets.selectors import value_of

ANY = {"description": "A text; for a Terraform variable any JSON value."}


class VariableSetSerializer(serializers.ModelSerializer[VariableSet]):
    team = serializers.SlugRelatedField(slug_field="slug", read_only=True, allow_null=True)
    module = serializers.SlugRelatedField(slug_field="slug", read_only=True, allow_null=True)
    variable_count = serializers.IntegerField(read_only=True)
    set_at = serializers.DateTimeField(read_only=True, allow_null=True, help_text="When a value was last set.")

    class Meta:
        model = VariableSet
        fields = ("id", "name", "description", "team", "target", "module", "variable_count", "set_at", "created_at")
        read_only_fields = fields


class VariableSetWriteSerializer(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=80)
    description = serializers.CharField(max_length=300, required=False, allow_blank=True, default="")
    team = serializers.CharField(
        max_length=40, required=False, allow_null=True, default=None, help_text="Slug; null is everybody."
    )
    target = serializers.CharField(max_length=20, required=False, allow_blank=True, default="")
    module = serializers.CharField(max_length=60, required=False, allow_null=True, default=None, help_text="Slug.")


class VariableSetChangeSerializer(serializers.Serializer[Any]):
    """What is left out stays."""

    name = serializers.CharField(max_length=80, required=False)
    description = serializers.CharField(max_length=300, required=False, allow_blank=True)
    target = serializers.CharField(max_length=20, required=False, allow_blank=True)
    module = serializers.CharField(max_length=60, required=False, allow_null=True)


class SetVariableSerializer(serializers.ModelSerializer[SetVariable]):
    value = serializers.SerializerMethodField(
        help_text="Null for a sensitive variable, and for whoever may not change the set."
    )
    updated_by = serializers.SlugRelatedField(slug_field="username", read_only=True, allow_null=True)

    class Meta:
        model = SetVariable
        fields = (
            "id", "name", "kind", "environment_variable", "sensitive", "value", "updated_at", "updated_by",
            "created_at",
        )  # fmt: skip
        read_only_fields = fields

    @extend_schema_field({"nullable": True, **ANY})
    def get_value(self, row: SetVariable) -> Any:
        return value_of(row) if not row.sensitive and self.context.get("reads_values") else None


@extend_schema_field(ANY)
class ValueField(serializers.JSONField):
    """Any JSON value; checked by its kind."""


class SetVariableWriteSerializer(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=100)
    kind = serializers.ChoiceField(choices=SetVariable.Kind.choices, default=SetVariable.Kind.ENVIRONMENT)
    value = ValueField(write_only=True)
    sensitive = serializers.BooleanField(default=True)
    environment_variable = serializers.CharField(max_length=100, required=False, allow_blank=True, default="")


class SetVariableChangeSerializer(serializers.Serializer[Any]):
    """A new value, used by every change that begins from now on; what is left out stays."""

    value = ValueField(write_only=True, required=False)
    sensitive = serializers.BooleanField(required=False)
    environment_variable = serializers.CharField(max_length=100, required=False, allow_blank=True)
