"""The shapes of policies in the API."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.policies.models import InputPolicy, Policy, PolicyVersion
from apps.policies.trial import Trial, TrialRow

RULES = {
    "type": "object",
    "additionalProperties": {
        "type": "object",
        "properties": {
            "fix": {"description": "The value; nothing else beside it."},
            "hide": {"type": "boolean", "description": "true; perhaps with value."},
            "value": {"description": "What a hidden variable is given; without it the module's default counts."},
            "options": {"type": "array", "items": {}},
            "minimum": {"type": "number"},
            "maximum": {"type": "number"},
            "longest": {"type": "integer"},
            "default": {"description": "For new environments."},
        },
    },
}


class PolicySerializer(serializers.ModelSerializer[Policy]):
    team = serializers.SlugRelatedField(slug_field="slug", read_only=True, allow_null=True)
    module = serializers.SlugRelatedField(slug_field="slug", read_only=True, allow_null=True)
    version = serializers.IntegerField(source="current_version.number", read_only=True)
    rego = serializers.CharField(source="current_version.rego", read_only=True)

    class Meta:
        model = Policy
        fields = (
            "id", "slug", "title", "scope", "team", "module", "target", "enabled", "version", "rego", "created_at",
        )  # fmt: skip
        read_only_fields = fields


class ScopeSerializer(serializers.Serializer[Any]):
    """What a policy speaks of: one of the three, or everything."""

    team = serializers.CharField(max_length=40, required=False, allow_null=True, help_text="Slug.")
    module = serializers.CharField(max_length=60, required=False, allow_null=True, help_text="Slug.")
    target = serializers.CharField(max_length=20, required=False, allow_blank=True, default="")


class PolicyWriteSerializer(ScopeSerializer):
    slug = serializers.CharField(max_length=60)
    title = serializers.CharField(max_length=80)
    rego = serializers.CharField(max_length=65_536, trim_whitespace=False)
    note = serializers.CharField(max_length=200, required=False, allow_blank=True, default="")


class PolicyChangeSerializer(ScopeSerializer):
    """What is left out stays; a scope that is named at all replaces the one before."""

    title = serializers.CharField(max_length=80, required=False)
    target = serializers.CharField(max_length=20, required=False, allow_blank=True)


class PolicyVersionSerializer(serializers.ModelSerializer[PolicyVersion]):
    created_by = serializers.SlugRelatedField(slug_field="username", read_only=True, allow_null=True)

    class Meta:
        model = PolicyVersion
        fields = ("number", "rego", "note", "created_by", "created_at")
        read_only_fields = fields


class PolicyVersionWriteSerializer(serializers.Serializer[Any]):
    rego = serializers.CharField(max_length=65_536, trim_whitespace=False)
    note = serializers.CharField(max_length=200, required=False, allow_blank=True, default="")
    expected = serializers.IntegerField(
        required=False, min_value=1, max_value=2**31 - 1, help_text="The version that was edited; 409 if it is older."
    )


class TestSerializer(serializers.Serializer[Any]):
    rego = serializers.CharField(
        max_length=65_536, trim_whitespace=False, required=False, help_text="Without it, the version in force."
    )


class FindingSerializer(serializers.Serializer[Any]):
    rule = serializers.CharField()
    effect = serializers.ChoiceField(choices=["deny", "warn", "require_approval"])
    message = serializers.CharField()
    cure = serializers.CharField()
    address = serializers.CharField()


class TrialRowSerializer(serializers.Serializer[TrialRow]):
    change = serializers.UUIDField(source="document.change_id")
    environment = serializers.UUIDField(source="document.change.workspace_id")
    kind = serializers.CharField(source="document.change.kind")
    module = serializers.CharField(source="document.module.slug")
    team = serializers.CharField(source="document.change.workspace.team.slug")
    planned_at = serializers.DateTimeField(source="document.planned_at")
    result = serializers.ChoiceField(choices=["deny", "warn", "pass", "error"])
    before = serializers.CharField(help_text="Result of the version in force, where that is another one.")
    error = serializers.CharField()
    findings = FindingSerializer(many=True)


class TrialSerializer(serializers.Serializer[Trial]):
    counts = serializers.DictField(child=serializers.IntegerField())
    different = serializers.IntegerField()
    plans = TrialRowSerializer(source="rows", many=True)


@extend_schema_field(RULES)
class RulesField(serializers.JSONField):
    """Rules by variable."""


class InputPolicySerializer(serializers.ModelSerializer[InputPolicy]):
    module = serializers.SlugRelatedField(slug_field="slug", read_only=True)
    team = serializers.SlugRelatedField(slug_field="slug", read_only=True, allow_null=True)
    rules = RulesField(read_only=True)
    updated_by = serializers.SlugRelatedField(slug_field="username", read_only=True, allow_null=True)

    class Meta:
        model = InputPolicy
        fields = ("id", "module", "team", "rules", "updated_by", "updated_at", "created_at")
        read_only_fields = fields


class InputPolicyWriteSerializer(serializers.Serializer[Any]):
    """The whole of what is set of a module for everybody or one team; it replaces what was there."""

    module = serializers.CharField(max_length=60, help_text="Slug.")
    team = serializers.CharField(max_length=40, required=False, allow_null=True, default=None, help_text="Slug.")
    rules = RulesField()


class InputPolicyChangeSerializer(serializers.Serializer[Any]):
    rules = RulesField()
