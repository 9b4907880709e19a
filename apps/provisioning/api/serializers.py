"""The shapes of changes in the API. Values are never among them; plans are masked when they are made."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.core.api.rows import RowSerializer
from apps.provisioning.models import Change, LogLine


class ChangeSerializer(RowSerializer[Change]):
    environment = serializers.UUIDField(source="workspace_id", read_only=True)
    environment_name = serializers.CharField(source="workspace.name", read_only=True)
    requested_by = serializers.SlugRelatedField(slug_field="username", read_only=True, allow_null=True)
    approved_by = serializers.SlugRelatedField(slug_field="username", read_only=True, allow_null=True)
    module = serializers.CharField(source="module_version.module.slug", read_only=True)
    version = serializers.CharField(source="module_version.version", read_only=True)
    failure = serializers.SerializerMethodField(help_text="Null unless the change failed.")
    imports = serializers.ListField(
        child=serializers.DictField(), read_only=True, help_text="Existing things to take over: {to, id}."
    )

    findings = serializers.ListField(
        child=serializers.DictField(),
        read_only=True,
        help_text="What policies said of its plan: {policy, rule, effect, message, cure, address}.",
    )

    class Meta:
        model = Change
        fields = (
            "id", "environment", "environment_name", "kind", "status", "reason", "module", "version", "requested_by",
            "step", "steps_done", "steps_total", "plan_hash", "approved_by", "approved_at", "engine", "engine_version",
            "failure", "correlation_id", "cancel_requested_at", "created_at", "planning_at", "planned_at",
            "applying_at", "finished_at", "imports", "findings",
        )  # fmt: skip
        read_only_fields = fields

    @extend_schema_field(
        {
            "type": "object",
            "nullable": True,
            "properties": {name: {"type": "string"} for name in ("code", "summary", "detail")},
        }
    )
    def get_failure(self, change: Change) -> dict[str, str] | None:
        if not change.failure_code:
            return None
        return {"code": change.failure_code, "summary": change.failure_summary, "detail": change.failure_detail}


class ChangePlanSerializer(serializers.Serializer[Any]):
    """`resources`: {address, type, name, action, attributes: [{name, before, after}]}; secrets are masked."""

    change = serializers.UUIDField()
    status = serializers.CharField()
    plan_hash = serializers.CharField(allow_blank=True)
    destructive = serializers.BooleanField()
    takes_over = serializers.BooleanField(help_text="Something that exists already is taken over.")
    lost = serializers.ListField(
        child=serializers.DictField(),
        help_text="Data that would be lost: {address, type, action, label, size_bytes, size_is_limit}.",
    )
    confirm = serializers.CharField(
        allow_null=True, help_text="What `confirm` has to be when it is approved; null where nothing would be lost."
    )
    resources = serializers.ListField(child=serializers.DictField())


class LogLineSerializer(RowSerializer[LogLine]):
    n = serializers.IntegerField(source="number", read_only=True)

    class Meta:
        model = LogLine
        fields = ("n", "at", "level", "text")
        read_only_fields = fields


class ChangeLogSerializer(serializers.Serializer[Any]):
    lines = LogLineSerializer(many=True)
    after = serializers.IntegerField(help_text="Ask with this `after` for what comes next.")
    is_complete = serializers.BooleanField(help_text="The change has ended and these are its last lines.")


class ApproveSerializer(serializers.Serializer[Any]):
    plan_hash = serializers.CharField(max_length=64, help_text="Hash of the plan that was looked at.")
    confirm = serializers.CharField(
        max_length=80,
        required=False,
        allow_blank=True,
        default="",
        help_text="The environment's name, where the plan would lose data.",
    )


class RejectSerializer(serializers.Serializer[Any]):
    reason = serializers.CharField(max_length=200, required=False, allow_blank=True, default="")
