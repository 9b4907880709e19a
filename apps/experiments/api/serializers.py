"""The shapes of experiments and runs in the API."""

import math
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.experiments.models import Experiment, Run
from apps.experiments.selectors.listed import ListedRun

NUMBERS = {
    "type": "object",
    "additionalProperties": {
        "oneOf": [{"type": "number"}, {"type": "string", "enum": ["NaN", "Infinity", "-Infinity"]}]
    },
}
TEXTS = {"type": "object", "additionalProperties": {"type": "string"}}
DATASETS = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {name: {"type": "string"} for name in ("name", "digest", "source_type", "context")},
    },
}


def number_said(value: float | None) -> float | str | None:
    """JSON has no NaN and no infinities; they are written as MLflow's API writes them."""
    if value is None or math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return value


class ExperimentSerializer(serializers.ModelSerializer[Experiment]):
    team = serializers.SlugRelatedField(slug_field="slug", read_only=True, allow_null=True)
    owner = serializers.SlugRelatedField(slug_field="username", read_only=True, allow_null=True)

    class Meta:
        model = Experiment
        fields = (
            "id", "name", "folder", "team", "owner", "note", "tags", "archived", "created_at", "run_count",
            "running_count", "failed_count", "last_run_at", "main_metric", "main_goal", "best_value",
        )  # fmt: skip
        read_only_fields = fields


class RunSerializer(serializers.ModelSerializer[Run]):
    """Of `ListedRun`s. With `values` in its context: run's pk → column → value, as `values_of` gives them."""

    experiment = serializers.CharField(source="experiment_id", read_only=True, help_text="Id of the experiment.")
    experiment_name = serializers.CharField(source="experiment.name", read_only=True)
    user = serializers.SerializerMethodField(help_text="User name of the person who ran it.")
    duration = serializers.SerializerMethodField(help_text="Seconds; null while it runs.")
    metrics = serializers.SerializerMethodField(help_text="Newest value of each.")
    params = serializers.SerializerMethodField()
    tags = serializers.SerializerMethodField()
    datasets = serializers.SerializerMethodField()

    class Meta:
        model = Run
        fields = (
            "run_id", "name", "experiment", "experiment_name", "status", "archived", "user", "started_at", "ended_at",
            "duration", "note", "parent_run_id", "commit", "source_name", "environment_id", "core_seconds",
            "memory_byte_seconds", "gpu_seconds", "datasets", "metrics", "params", "tags",
        )  # fmt: skip
        read_only_fields = fields

    def _keyed(self, run: ListedRun, prefix: str) -> dict[str, Any]:
        values: dict[str, Any] = self.context["values"].get(run.pk, {})
        return {key[len(prefix) :]: value for key, value in values.items() if key.startswith(prefix)}

    def get_user(self, run: ListedRun) -> str:
        return run.username or run.user_name

    def get_duration(self, run: ListedRun) -> float | None:
        return None if run.duration_ms is None else run.duration_ms / 1000

    @extend_schema_field(NUMBERS)
    def get_metrics(self, run: ListedRun) -> dict[str, Any]:
        return {key: number_said(value) for key, value in self._keyed(run, "metrics.").items()}

    @extend_schema_field(TEXTS)
    def get_params(self, run: ListedRun) -> dict[str, Any]:
        return self._keyed(run, "params.")

    @extend_schema_field(TEXTS)
    def get_tags(self, run: ListedRun) -> dict[str, Any]:
        return self._keyed(run, "tags.")

    @extend_schema_field(DATASETS)
    def get_datasets(self, run: ListedRun) -> Any:
        return run.datasets


class TagSerializer(serializers.Serializer[Any]):
    key = serializers.CharField(max_length=250)
    value = serializers.CharField(max_length=5000, allow_blank=True, trim_whitespace=False)


class FiguresSerializer(serializers.Serializer[Any]):
    count = serializers.IntegerField()
    mean = serializers.SerializerMethodField()
    least = serializers.SerializerMethodField()
    most = serializers.SerializerMethodField()

    @extend_schema_field({"type": "number", "nullable": True})
    def get_mean(self, row: Any) -> Any:
        return None if row.mean is None else number_said(row.mean)

    @extend_schema_field({"type": "number", "nullable": True})
    def get_least(self, row: Any) -> Any:
        return None if row.least is None else number_said(row.least)

    @extend_schema_field({"type": "number", "nullable": True})
    def get_most(self, row: Any) -> Any:
        return None if row.most is None else number_said(row.most)


class RunGroupSerializer(serializers.Serializer[Any]):
    value = serializers.CharField(allow_null=True, help_text="null: runs that have none.")
    count = serializers.IntegerField()
    figures = serializers.DictField(child=FiguresSerializer(), help_text="By metric.")


class RunGroupingSerializer(serializers.Serializer[Any]):
    total = serializers.IntegerField(help_text="How many groups there are; the largest 200 are in `groups`.")
    groups = RunGroupSerializer(many=True)
