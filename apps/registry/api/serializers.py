"""The shapes of models in the API."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.registry.cards import completeness_of
from apps.registry.deployed import Deployment
from apps.registry.models import AliasMove, ModelCard, ModelVersion, RegisteredModel

TEXTS = {"type": "object", "additionalProperties": {"type": "string"}}
NUMBERS = {"type": "object", "additionalProperties": {"type": "integer"}}
FIELDS = {"type": "array", "items": {"type": "object", "additionalProperties": True}}
SIGNATURE = {
    "type": "object",
    "nullable": True,
    "properties": {"inputs": FIELDS, "outputs": FIELDS, "params": FIELDS},
}


class RegisteredModelSerializer(serializers.ModelSerializer[RegisteredModel]):
    team = serializers.SlugRelatedField(slug_field="slug", read_only=True, allow_null=True)
    owner = serializers.SlugRelatedField(slug_field="username", read_only=True, allow_null=True)
    tags = serializers.SerializerMethodField()
    aliases = serializers.SerializerMethodField(help_text="Alias to version.")

    class Meta:
        model = RegisteredModel
        fields = (
            "name", "team", "owner", "description", "tags", "aliases", "version_count", "newest_version",
            "last_promoted_at", "created_at", "changed_at", "gone_at",
        )  # fmt: skip
        read_only_fields = fields

    @extend_schema_field(TEXTS)
    def get_tags(self, model: RegisteredModel) -> dict[str, str]:
        return model.tags  # type: ignore[no-any-return]

    @extend_schema_field(NUMBERS)
    def get_aliases(self, model: RegisteredModel) -> dict[str, int]:
        return {each.alias: each.version for each in model.aliases.all()}


class DeploymentSerializer(serializers.Serializer[Deployment]):
    key = serializers.CharField()
    version = serializers.IntegerField()
    title = serializers.CharField()
    url = serializers.CharField()
    owner = serializers.CharField()
    state = serializers.CharField(source="label")
    reason = serializers.CharField()
    serves = serializers.BooleanField()
    may_predict = serializers.BooleanField()


class RegisteredModelDetailSerializer(RegisteredModelSerializer):
    deployments = serializers.SerializerMethodField()

    class Meta:
        model = RegisteredModel
        fields = (*RegisteredModelSerializer.Meta.fields, "deployments")
        read_only_fields = fields

    @extend_schema_field(DeploymentSerializer(many=True))
    def get_deployments(self, model: RegisteredModel) -> Any:
        return DeploymentSerializer(self.context.get("deployments", []), many=True).data


class RegisteredVersionSerializer(serializers.ModelSerializer[ModelVersion]):
    model = serializers.CharField(source="model_id", read_only=True)
    created_by = serializers.SlugRelatedField(slug_field="username", read_only=True, allow_null=True)
    tags = serializers.SerializerMethodField()
    metrics = serializers.SerializerMethodField(help_text="NaN and infinities are the words NaN, Infinity, -Infinity.")
    details = serializers.CharField(read_only=True, help_text="Whether its files were read: pending, read, unreadable.")

    class Meta:
        model = ModelVersion
        fields = (
            "model", "version", "run_id", "logged_model_id", "source", "status", "description", "tags", "metrics",
            "created_by", "created_at", "changed_at", "details", "size_bytes", "digest",
        )  # fmt: skip
        read_only_fields = fields

    @extend_schema_field(TEXTS)
    def get_tags(self, version: ModelVersion) -> dict[str, str]:
        return version.tags  # type: ignore[no-any-return]

    @extend_schema_field({"type": "object", "additionalProperties": True})
    def get_metrics(self, version: ModelVersion) -> dict[str, Any]:
        return version.metrics  # type: ignore[no-any-return]


class RegisteredVersionDetailSerializer(RegisteredVersionSerializer):
    signature = serializers.SerializerMethodField()
    params = serializers.SerializerMethodField()
    requirements = serializers.ListField(child=serializers.CharField(), read_only=True)
    flavors = serializers.ListField(child=serializers.CharField(), read_only=True)
    files = serializers.SerializerMethodField()
    example = serializers.SerializerMethodField(help_text="The input example, as /invocations takes it.")

    class Meta:
        model = ModelVersion
        fields = (
            *RegisteredVersionSerializer.Meta.fields, "details_reason", "signature", "params", "requirements", "python",
            "flavors", "files", "example",
        )  # fmt: skip
        read_only_fields = fields

    @extend_schema_field(SIGNATURE)
    def get_signature(self, version: ModelVersion) -> Any:
        return version.signature

    @extend_schema_field(TEXTS)
    def get_params(self, version: ModelVersion) -> Any:
        return version.params

    @extend_schema_field(FIELDS)
    def get_files(self, version: ModelVersion) -> Any:
        return version.files

    @extend_schema_field({"nullable": True})
    def get_example(self, version: ModelVersion) -> Any:
        return version.example


class AliasSerializer(serializers.Serializer[Any]):
    alias = serializers.CharField()
    version = serializers.IntegerField()


class AliasWriteSerializer(serializers.Serializer[Any]):
    version = serializers.IntegerField(min_value=1, max_value=2**31 - 1)
    from_version = serializers.IntegerField(
        min_value=1, max_value=2**31 - 1, allow_null=True, help_text="Where you saw it; null: it was not set."
    )


class AliasMoveSerializer(serializers.ModelSerializer[AliasMove]):
    actor = serializers.CharField(source="actor_name", read_only=True, help_text="Empty: not known.")
    via = serializers.CharField(
        read_only=True,
        help_text="slipway, mlflow (through /mlflow/ with a token), elsewhere, or found (at the first reading).",
    )
    environment = serializers.UUIDField(
        source="environment.pk", read_only=True, allow_null=True, default=None, help_text="Whose token it was."
    )

    class Meta:
        model = AliasMove
        fields = ("id", "alias", "from_version", "to_version", "actor", "via", "environment", "moved_at", "noticed_at")
        read_only_fields = fields


class ModelCardSerializer(serializers.ModelSerializer[ModelCard]):
    author = serializers.CharField(source="author_name", read_only=True)
    sections = serializers.SerializerMethodField()
    missing = serializers.SerializerMethodField(help_text="Expected sections that are not written.")

    class Meta:
        model = ModelCard
        fields = ("number", "author", "sections", "missing", "created_at")
        read_only_fields = fields

    @extend_schema_field(TEXTS)
    def get_sections(self, card: ModelCard) -> Any:
        return card.sections

    def get_missing(self, card: ModelCard) -> list[str]:
        return [section.key for section in completeness_of(card.sections).missing]


class ModelCardWriteSerializer(serializers.Serializer[Any]):
    sections = serializers.DictField(
        child=serializers.CharField(allow_blank=True, max_length=20_000), help_text="Section key to Markdown."
    )
    from_number = serializers.IntegerField(
        min_value=0, max_value=2**31 - 1, help_text="The version this was made from; 0: there was none."
    )


class RegisterSerializer(serializers.Serializer[Any]):
    """The next version of a known model."""

    run = serializers.CharField(max_length=32, help_text="Id of the training run that logged it.")
    model = serializers.CharField(
        max_length=250, help_text="Id of the logged model (m-…), or the path of the model in the run's artifacts."
    )


class RegisterNewSerializer(RegisterSerializer):
    """A new model with its first version."""

    name = serializers.CharField(max_length=200, help_text="<team>.<name>, with the team of the run.")
    description = serializers.CharField(
        required=False, allow_blank=True, default="", max_length=5000, help_text="Of the model. Markdown."
    )


class RegisteredSerializer(serializers.Serializer[Any]):
    model = serializers.CharField(source="name")
    version = serializers.IntegerField()


class PredictionSerializer(serializers.Serializer[Any]):
    body = serializers.JSONField(help_text="As MLflow's /invocations takes it, for example {'dataframe_split': …}.")
    deployment = serializers.CharField(
        required=False,
        allow_blank=True,
        default="",
        max_length=100,
        help_text="Key of a deployment; default: the first.",
    )


class PredictionAnswerSerializer(serializers.Serializer[Any]):
    answer = serializers.JSONField(source="content")
    seconds = serializers.FloatField()
