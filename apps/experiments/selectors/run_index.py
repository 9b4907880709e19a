"""A run as the index has it, in the shape in which MLflow's own answer is read: for pages while MLflow is away."""

import math

from apps.experiments.gateway.run_detail import NOTE_TAG, PARENT_TAG, DatasetUsed, MetricLast, RunDetail
from apps.experiments.models import Run


def detail_from_index(run: Run) -> RunDetail:
    """Newest values as of the index's last look; times of metrics and sources of data sets are not kept."""
    tags = dict(run.tags.values_list("key", "value"))
    if run.note:
        tags[NOTE_TAG] = run.note
    if run.parent_run_id:
        tags[PARENT_TAG] = run.parent_run_id
    if run.commit:
        tags.setdefault("mlflow.source.git.commit", run.commit)
    metrics = run.metrics.order_by("key").values_list("key", "value", "step")
    return RunDetail(
        run_id=run.run_id,
        name=run.name,
        status=run.status,
        experiment_id=run.experiment_id,
        user_name=run.user_name,
        started_at=run.started_at,
        ended_at=run.ended_at,
        archived=run.archived,
        artifact_uri="",
        params=dict(run.params.order_by("key").values_list("key", "value")),
        metrics=[MetricLast(key, math.nan if value is None else value, step, None) for key, value, step in metrics],
        tags=tags,
        datasets=[
            DatasetUsed(
                name=str(one.get("name", "")),
                digest=str(one.get("digest", "")),
                source_type=str(one.get("source_type", "")),
                source="",
                context=str(one.get("context", "")),
            )
            for one in run.datasets
        ],
        model_ids=[str(one) for one in run.model_ids],
    )
