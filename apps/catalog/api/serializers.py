"""The shapes of modules in the API."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.catalog.models import Module, ModuleVersion


class ModuleSerializer(serializers.ModelSerializer[Module]):
    latest_version = serializers.SlugRelatedField(slug_field="version", read_only=True, allow_null=True)

    class Meta:
        model = Module
        fields = ("id", "slug", "title", "summary", "kind", "target", "icon", "latest_version", "created_at")
        read_only_fields = fields


class ModuleVersionSerializer(serializers.ModelSerializer[ModuleVersion]):
    module = serializers.SlugRelatedField(slug_field="slug", read_only=True)
    published_by = serializers.SlugRelatedField(slug_field="username", read_only=True, allow_null=True)
    inputs = serializers.SerializerMethodField(help_text="What the launch form asks for, in its order.")
    presets = serializers.SerializerMethodField()
    ttl = serializers.SerializerMethodField(help_text="Seconds: default and maximum.")

    class Meta:
        model = ModuleVersion
        fields = (
            "id", "module", "version", "source", "commit", "digest", "published_by", "created_at", "inputs", "presets",
            "ttl",
        )  # fmt: skip
        read_only_fields = fields

    @extend_schema_field({"type": "array", "items": {"type": "object", "additionalProperties": {}}})
    def get_inputs(self, version: ModuleVersion) -> list[dict[str, Any]]:
        return [
            {
                "name": variable.name,
                "label": variable.label,
                "type": str(variable.type),
                "description": variable.description,
                "required": variable.required,
                "default": None if variable.sensitive else variable.default,
                "sensitive": variable.sensitive,
                "nullable": variable.nullable,
                "group": variable.presentation.group,
                "options": [{"value": o.value, "label": o.label} for o in variable.presentation.options],
            }
            for variable in version.parsed().inputs
        ]

    @extend_schema_field({"type": "array", "items": {"type": "object", "additionalProperties": {}}})
    def get_presets(self, version: ModuleVersion) -> list[dict[str, Any]]:
        default = version.interface.get("default_preset", "")
        return [{**preset, "is_default": preset["name"] == default} for preset in version.interface["presets"]]

    @extend_schema_field(
        {"type": "object", "properties": {"default": {"type": "integer"}, "maximum": {"type": "integer"}}}
    )
    def get_ttl(self, version: ModuleVersion) -> dict[str, int]:
        ttl = version.interface["ttl"]
        return {"default": ttl["default_s"], "maximum": ttl["maximum_s"]}
