"""The shapes of modules in the API."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.catalog.models import Module, ModuleRetrieval, ModuleSource, ModuleVersion, VersionCheck
from apps.catalog.services.life import REASON_LENGTH


class ModuleSerializer(serializers.ModelSerializer[Module]):
    latest_version = serializers.SlugRelatedField(slug_field="version", read_only=True, allow_null=True)

    class Meta:
        model = Module
        fields = ("id", "slug", "title", "summary", "kind", "target", "icon", "latest_version", "created_at")
        read_only_fields = fields


class ModuleVersionSerializer(serializers.ModelSerializer[ModuleVersion]):
    module = serializers.SlugRelatedField(slug_field="slug", read_only=True)
    published_by = serializers.SlugRelatedField(slug_field="username", read_only=True, allow_null=True)
    registered_by = serializers.SlugRelatedField(slug_field="username", read_only=True, allow_null=True)
    inputs = serializers.SerializerMethodField(help_text="What the launch form asks for, in its order.")
    presets = serializers.SerializerMethodField()
    ttl = serializers.SerializerMethodField(help_text="Seconds: default and maximum.")

    class Meta:
        model = ModuleVersion
        fields = (
            "id", "module", "version", "status", "status_reason", "status_since", "source", "commit", "digest",
            "changelog", "registered_by", "published_by", "created_at", "inputs", "presets", "ttl",
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


class VersionCheckSerializer(serializers.ModelSerializer[VersionCheck]):
    class Meta:
        model = VersionCheck
        fields = ("name", "status", "summary", "output", "engine", "attempt", "started_at", "finished_at")
        read_only_fields = fields


class ChangedSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    what = serializers.ListField(child=serializers.CharField())
    breaking = serializers.BooleanField()


class SentenceSerializer(serializers.Serializer[Any]):
    text = serializers.CharField()
    breaking = serializers.BooleanField()


class InterfaceDifferenceSerializer(serializers.Serializer[Any]):
    before = serializers.CharField(allow_null=True, help_text="The version compared with; null for the first one.")
    breaking = serializers.BooleanField()
    inputs_added = serializers.ListField(child=serializers.CharField())
    inputs_removed = serializers.ListField(child=serializers.CharField())
    inputs_changed = ChangedSerializer(many=True)
    required_added = serializers.ListField(child=serializers.CharField())
    outputs_added = serializers.ListField(child=serializers.CharField())
    outputs_removed = serializers.ListField(child=serializers.CharField())
    outputs_changed = ChangedSerializer(many=True)
    sentences = SentenceSerializer(many=True)


class VersionReasonSerializer(serializers.Serializer[Any]):
    reason = serializers.CharField(max_length=REASON_LENGTH, help_text="Owners of environments read it.")


class FolderSerializer(serializers.Serializer[Any]):
    slug = serializers.CharField(max_length=60, help_text="A folder of this installation's terraform/modules.")


class ModuleSourceSerializer(serializers.ModelSerializer[ModuleSource]):
    created_by = serializers.SlugRelatedField(slug_field="username", read_only=True, allow_null=True)
    manifest = serializers.JSONField(read_only=True, allow_null=True)

    class Meta:
        model = ModuleSource
        fields = (
            "id", "slug", "url", "reference", "subfolder", "credential_kind", "manifest", "created_by", "created_at",
        )  # fmt: skip
        read_only_fields = fields


class SourceChangeSerializer(serializers.Serializer[Any]):
    url = serializers.CharField(max_length=400, help_text="https://, ssh:// or git@, without a password.")
    reference = serializers.CharField(max_length=200, required=False, allow_blank=True, default="")
    subfolder = serializers.CharField(max_length=200, required=False, allow_blank=True, default="")
    credential_kind = serializers.ChoiceField(
        choices=["", "deploy_key", "token"], required=False, allow_blank=True, default=""
    )
    credential = serializers.CharField(
        max_length=20_000,
        required=False,
        allow_blank=True,
        default="",
        write_only=True,
        trim_whitespace=False,
        help_text="Private key or token. Stored encrypted and never answered; empty keeps the one that is there.",
    )
    manifest = serializers.DictField(
        required=False,
        allow_null=True,
        default=None,
        help_text="What module.yaml would say where the module has none: title, version, kind, target, summary, ttl, "
        "examples.",
    )


class SourceCreateSerializer(SourceChangeSerializer):
    slug = serializers.CharField(max_length=60, help_text="Short name of the module.")


class RetrieveSerializer(serializers.Serializer[Any]):
    reference = serializers.CharField(max_length=200, required=False, allow_blank=True, default="")
    version = serializers.CharField(max_length=40, required=False, allow_blank=True, default="")


class ModuleRetrievalSerializer(serializers.ModelSerializer[ModuleRetrieval]):
    source = serializers.PrimaryKeyRelatedField[ModuleSource](read_only=True)  # type: ignore[assignment]
    module = serializers.CharField(source="source.slug", read_only=True)
    version = serializers.SlugRelatedField(slug_field="version", read_only=True, allow_null=True)
    requested_by = serializers.SlugRelatedField(slug_field="username", read_only=True, allow_null=True)

    class Meta:
        model = ModuleRetrieval
        fields = (
            "id", "source", "module", "reference", "status", "problem_field", "problem", "log", "commit", "version",
            "is_new", "requested_by", "created_at", "started_at", "finished_at",
        )  # fmt: skip
        read_only_fields = fields


class UploadSerializer(serializers.Serializer[Any]):
    slug = serializers.CharField(max_length=60)
    archive = serializers.FileField(allow_empty_file=True, help_text="A .tar.gz or .zip of the module's folder.")
    subfolder = serializers.CharField(max_length=200, required=False, allow_blank=True, default="")
    manifest = serializers.JSONField(required=False, default=None, help_text="As for a source, in JSON.")
