"""The shapes of Python environments in the API."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.runtimes.models import Runtime, RuntimeVersion
from apps.runtimes.requirements import MAX_TEXT

PACKAGES = {
    "type": "array",
    "items": {"type": "object", "properties": {"name": {"type": "string"}, "version": {"type": "string"}}},
}


class RuntimeSerializer(serializers.ModelSerializer[Runtime]):
    latest_version = serializers.IntegerField(
        source="latest_version.number", read_only=True, allow_null=True, default=None,
        help_text="What new environments get; null while none is ready.",
    )  # fmt: skip

    class Meta:
        model = Runtime
        fields = ("id", "slug", "title", "summary", "python", "latest_version", "created_at")
        read_only_fields = fields


class RuntimeVersionSerializer(serializers.ModelSerializer[RuntimeVersion]):
    runtime = serializers.SlugRelatedField(slug_field="slug", read_only=True)
    name = serializers.CharField(source="__str__", read_only=True, help_text="What a launch names: slug@number.")
    created_by = serializers.SlugRelatedField(slug_field="username", read_only=True, allow_null=True)
    packages = serializers.SerializerMethodField(help_text="What the lock installs, by name.")

    class Meta:
        model = RuntimeVersion
        fields = (
            "id", "runtime", "number", "name", "status", "status_since", "reason", "digest", "packages", "size_bytes",
            "created_by", "created_at", "locked_at", "ready_at",
        )  # fmt: skip
        read_only_fields = fields

    @extend_schema_field(PACKAGES)
    def get_packages(self, version: RuntimeVersion) -> list[dict[str, str]]:
        return version.packages  # type: ignore[no-any-return]


class RuntimeVersionDetailSerializer(RuntimeVersionSerializer):
    class Meta:
        model = RuntimeVersion
        fields = (*RuntimeVersionSerializer.Meta.fields, "requirements", "lock", "log")
        read_only_fields = fields


class RuntimeCreateSerializer(serializers.Serializer[Any]):
    slug = serializers.CharField(max_length=60)
    title = serializers.CharField(max_length=80)
    summary = serializers.CharField(max_length=300, required=False, allow_blank=True, default="")
    python = serializers.CharField(max_length=10, required=False, default="3.11")
    requirements = serializers.CharField(max_length=MAX_TEXT * 2, trim_whitespace=False)


class RuntimeChangeSerializer(serializers.Serializer[Any]):
    title = serializers.CharField(max_length=80, required=False)
    summary = serializers.CharField(max_length=300, required=False, allow_blank=True)


class RuntimeVersionCreateSerializer(serializers.Serializer[Any]):
    requirements = serializers.CharField(max_length=MAX_TEXT * 2, trim_whitespace=False)
    force = serializers.BooleanField(
        required=False, default=False, help_text="Lock the same requirements again, for newer packages."
    )


class DeprecateSerializer(serializers.Serializer[Any]):
    reason = serializers.CharField(max_length=300, required=False, allow_blank=True, default="")


class PackageSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    version = serializers.CharField()


class PackageChangedSerializer(PackageSerializer):
    before = serializers.CharField()


class PackageDifferenceSerializer(serializers.Serializer[Any]):
    added = PackageSerializer(many=True)
    removed = PackageSerializer(many=True)
    changed = PackageChangedSerializer(many=True)
