"""The shapes of environments in the API; clients rely on the names."""

from dataclasses import asdict
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.core.api.rows import RowSerializer
from apps.environments.api.fields import InputsField, LengthOfTimeField
from apps.environments.durations import LONGEST_SECONDS
from apps.environments.models import Environment
from apps.environments.selectors import applications_of, difference_sentences, outputs_shown
from apps.environments.services.upgrading import Upgrade
from apps.environments.services.values import app_url
from apps.provisioning.imports import LONGEST_ADDRESS, LONGEST_ID, MOST


class EnvironmentSerializer(RowSerializer[Environment]):
    team = serializers.SlugRelatedField(slug_field="slug", read_only=True)
    owner = serializers.SlugRelatedField(slug_field="username", read_only=True)
    module = serializers.SlugRelatedField(slug_field="slug", read_only=True)
    version = serializers.CharField(source="module_version.version", read_only=True)
    version_status = serializers.CharField(
        source="module_version.status", read_only=True, help_text="published, deprecated or revoked."
    )
    inputs = serializers.DictField(read_only=True, help_text="Sensitive values are masked.")
    outputs = serializers.SerializerMethodField(help_text="Outputs of the last apply; sensitive values are masked.")
    app_urls = serializers.SerializerMethodField(help_text="Address of each web application by its name.")
    active_change = serializers.SerializerMethodField(help_text="Id of the change that is going on, or null.")
    failure = serializers.ChoiceField(choices=Environment.Failure.choices, read_only=True, allow_blank=True)
    runtime = serializers.SerializerMethodField(
        help_text="The chosen Python environment, for example python-3-11-scikit-learn@1; null: the module's own."
    )

    class Meta:
        model = Environment
        fields = (
            "id", "name", "slug", "status", "status_reason", "status_since", "failure", "team", "owner", "module",
            "version", "version_status", "runtime", "preset", "inputs", "outputs", "app_urls", "ttl_seconds",
            "expires_at", "last_activity_at", "active_change", "created_at", "destroyed_at",
        )  # fmt: skip
        read_only_fields = fields

    @extend_schema_field({"type": "object", "additionalProperties": {}})
    def get_outputs(self, environment: Environment) -> dict[str, Any]:
        return outputs_shown(environment.workspace)

    @extend_schema_field({"type": "object", "additionalProperties": {"type": "string", "format": "uri"}})
    def get_app_urls(self, environment: Environment) -> dict[str, str]:
        if environment.status == Environment.Status.DESTROYED:
            return {}
        applications = applications_of(environment.module_version)
        # What is not behind the portal's proxy has the address that its module tells, once there is one.
        outside = outputs_shown(environment.workspace) if any(one.external for one in applications) else {}
        urls = {
            one.name: str(outside.get(one.address_output) or "")
            if one.external
            else app_url(environment.slug, one.path)
            for one in applications
        }
        return {name: url for name, url in urls.items() if url}

    @extend_schema_field({"type": "string", "nullable": True})
    def get_runtime(self, environment: Environment) -> str | None:
        return str(environment.runtime_version) if environment.runtime_version_id else None

    @extend_schema_field({"type": "string", "format": "uuid", "nullable": True})
    def get_active_change(self, environment: Environment) -> str | None:
        active = getattr(environment, "active_change_id", None)
        return str(active) if active else None


class RuntimeNameField(serializers.CharField):
    """A wish for a Python environment; without one a launch takes the module's default, a change leaves it."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=80, required=False, allow_blank=True, allow_null=True, **kwargs)


class ImportSerializer(serializers.Serializer[Any]):
    """Something that exists: the address it gets, and what its provider knows it by."""

    to = serializers.CharField(max_length=LONGEST_ADDRESS, help_text="Address of a resource: aws_s3_bucket.data")
    id = serializers.CharField(max_length=LONGEST_ID)


class TakeOverSerializer(serializers.Serializer[Any]):
    imports = ImportSerializer(many=True, max_length=MOST)  # type: ignore[call-arg]  # of the list it becomes


class EnvironmentCreateSerializer(serializers.Serializer[Any]):
    """A wish; whether it can be granted is the service's affair, which names the same fields."""

    name = serializers.CharField(max_length=60)
    team = serializers.CharField(max_length=40, help_text="Slug of a team you belong to.")
    module = serializers.CharField(max_length=60, help_text="Slug of a module.")
    version = serializers.CharField(max_length=40, required=False, allow_null=True, help_text="Default: the latest.")
    preset = serializers.CharField(max_length=40, required=False, allow_blank=True, allow_null=True)
    inputs = InputsField(required=False, default=dict)
    ttl = LengthOfTimeField(required=False, allow_null=True, help_text="Seconds, or for example 8h.")
    runtime = RuntimeNameField(help_text='A Python environment, "slug" or "slug@3"; "": the module\'s own.')
    imports = ImportSerializer(  # type: ignore[call-arg]
        many=True, required=False, max_length=MOST, help_text="Existing things to take over; the plan then waits."
    )


class ReasonSerializer(serializers.Serializer[Any]):
    reason = serializers.CharField(max_length=200, required=False, allow_blank=True, default="")


class StopSerializer(ReasonSerializer):
    confirm = serializers.CharField(
        max_length=60,
        required=False,
        allow_blank=True,
        default="",
        help_text="The name, where the module says that a stop loses something: `environments:confirm-name` says what.",
    )


class ExtendSerializer(serializers.Serializer[Any]):
    """One of the three; `seconds` and `ttl` count from the present stop time."""

    seconds = serializers.IntegerField(min_value=60, max_value=LONGEST_SECONDS, required=False)
    ttl = LengthOfTimeField(required=False, help_text="Seconds, or for example 2h.")
    until = serializers.DateTimeField(required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if len(attrs) != 1:
            raise serializers.ValidationError({"seconds": "Give exactly one of seconds, ttl and until."})
        return attrs


class DestroySerializer(serializers.Serializer[Any]):
    confirm = serializers.CharField(
        max_length=60, required=False, allow_blank=True, default="", help_text="The name, where files would be lost."
    )
    reason = serializers.CharField(max_length=200, required=False, allow_blank=True, default="")


class UpgradeSerializer(serializers.Serializer[Any]):
    version = serializers.CharField(max_length=40, required=False, allow_null=True, help_text="Default: the latest.")
    inputs = InputsField(required=False, default=dict, help_text="Values that the version asks for.")


class UpgradeLookSerializer(serializers.Serializer[Any]):
    """What a version drops and asks for, before anything is changed."""

    version = serializers.CharField(source="target.version")
    from_version = serializers.CharField(source="environment.module_version.version")
    dropped = serializers.SerializerMethodField(help_text="Inputs that it does not have: {name, label, value}.")
    problems = serializers.DictField(
        child=serializers.ListField(child=serializers.CharField()), help_text="Inputs to give first, with the reason."
    )
    appeared = serializers.SerializerMethodField(help_text="New inputs that have a default.")
    refused = serializers.CharField(help_text="Why it cannot be moved there as it is; empty where it can.")
    differences = serializers.SerializerMethodField(help_text="The difference of the interfaces, in sentences.")

    @extend_schema_field({"type": "array", "items": {"type": "object"}})
    def get_dropped(self, looked: Upgrade) -> list[dict[str, Any]]:
        return [asdict(item) for item in looked.dropped]

    @extend_schema_field({"type": "array", "items": {"type": "string"}})
    def get_appeared(self, looked: Upgrade) -> list[str]:
        return [variable.name for variable in looked.appeared]

    @extend_schema_field({"type": "array", "items": {"type": "string"}})
    def get_differences(self, looked: Upgrade) -> list[str]:
        return difference_sentences(looked.environment.module_version, looked.target)


class UpdateSerializer(serializers.Serializer[Any]):
    """Inputs that are not named stay as they are."""

    inputs = InputsField(required=False, default=dict)
    preset = serializers.CharField(max_length=40, required=False, allow_null=True)
    runtime = RuntimeNameField(help_text='Another Python environment, "slug" or "slug@3"; "": the module\'s own.')
