"""One run as MLflow has it at this moment: the truth behind its page.

Numbers come as MLflow's JSON writes them: 64-bit integers as texts, NaN as "NaN", an infinity as the largest double.
"""

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from django.core.cache import cache

from apps.experiments import gateway
from apps.experiments.exceptions import TrackerRefused
from apps.experiments.gateway.runs import run_get

NOTE_TAG = "mlflow.note.content"
PARENT_TAG = "mlflow.parentRunId"
NAME_TAG = "mlflow.runName"
SYSTEM_PREFIX = "system/"
MODELS_MOST = 50
INFINITE = 1.797e308  # MLflow stores an infinity as the largest double
HISTORY_POINTS = 10_000  # beyond these a range is of a sample, and says so
KEPT_SECONDS = 12 * 3600
_pool = ThreadPoolExecutor(4, thread_name_prefix="ranges")


@dataclass(frozen=True)
class MetricLast:
    """The newest value of a metric."""

    key: str
    value: float
    step: int
    at: datetime | None


@dataclass(frozen=True)
class DatasetUsed:
    name: str
    digest: str
    source_type: str
    source: str
    context: str
    profile: str = ""


@dataclass(frozen=True)
class LoggedModel:
    """A model that a run has logged; its files lie under the model, not under the run."""

    model_id: str
    name: str
    status: str
    created_at: datetime | None
    params: dict[str, str] = field(default_factory=dict)
    metrics: list[tuple[str, float, str, int]] = field(default_factory=list)  # key, value, data set, step
    source_run_id: str = ""
    experiment_id: str = ""


@dataclass(frozen=True)
class RunDetail:
    run_id: str
    name: str
    status: str
    experiment_id: str
    user_name: str
    started_at: datetime | None
    ended_at: datetime | None
    archived: bool
    artifact_uri: str
    params: dict[str, str]
    metrics: list[MetricLast]
    tags: dict[str, str]
    datasets: list[DatasetUsed]
    model_ids: list[str]
    checkpoints: bool = False  # its models name the steps that they were logged at

    @property
    def note(self) -> str:
        return self.tags.get(NOTE_TAG, "")

    @property
    def parent_run_id(self) -> str:
        return self.tags.get(PARENT_TAG, "")

    @property
    def own_metrics(self) -> list[MetricLast]:
        return [metric for metric in self.metrics if not metric.key.startswith(SYSTEM_PREFIX)]

    @property
    def system_metrics(self) -> list[MetricLast]:
        return [metric for metric in self.metrics if metric.key.startswith(SYSTEM_PREFIX)]

    @property
    def shown_tags(self) -> dict[str, str]:
        """Without MLflow's own, which the page says in words."""
        return {key: value for key, value in self.tags.items() if not key.startswith("mlflow.")}


@dataclass(frozen=True)
class MetricRange:
    """The lowest and highest finite value of a metric's history; None where there is none."""

    lowest: float | None
    highest: float | None
    points: int
    sampled: bool = False


def run_read(run_id: str) -> RunDetail:
    """Raises `TrackerAway`, and `TrackerRefused` with `absent` where there is no such run."""
    return run_parse(run_get(run_id))


def run_parse(run: dict[str, Any]) -> RunDetail:
    info, data = run.get("info") or {}, run.get("data") or {}
    tags = {str(tag["key"]): str(tag.get("value", "")) for tag in data.get("tags") or ()}
    metrics = [
        MetricLast(str(one["key"]), number(one.get("value")), int(one.get("step") or 0), moment(one.get("timestamp")))
        for one in data.get("metrics") or ()
    ]
    outputs = (run.get("outputs") or {}).get("model_outputs") or ()
    return RunDetail(
        run_id=str(info["run_id"]),
        name=str(info.get("run_name") or tags.get(NAME_TAG) or ""),
        status=str(info.get("status") or "RUNNING"),
        experiment_id=str(info["experiment_id"]),
        user_name=tags.get("slipway.user") or str(info.get("user_id") or tags.get("mlflow.user") or ""),
        started_at=moment(info.get("start_time")),
        ended_at=moment(info.get("end_time")),
        archived=info.get("lifecycle_stage") == "deleted",
        artifact_uri=str(info.get("artifact_uri") or ""),
        params={str(one["key"]): str(one.get("value", "")) for one in data.get("params") or ()},
        metrics=sorted(metrics, key=lambda metric: metric.key),
        tags=tags,
        datasets=[_dataset(one) for one in (run.get("inputs") or {}).get("dataset_inputs") or ()],
        model_ids=list(dict.fromkeys(str(one["model_id"]) for one in outputs if one.get("model_id"))),
        checkpoints=any(str(one.get("step") or 0) != "0" for one in outputs),
    )


def _dataset(given: dict[str, Any]) -> DatasetUsed:
    of = given.get("dataset") or {}
    tags = {tag.get("key"): str(tag.get("value", "")) for tag in given.get("tags") or ()}
    return DatasetUsed(
        name=str(of.get("name", "")),
        digest=str(of.get("digest", "")),
        source_type=str(of.get("source_type", "")),
        source=str(of.get("source", "")),
        context=tags.get("mlflow.data.context", ""),
        profile=str(of.get("profile", "")),
    )


def models_read(detail: RunDetail) -> list[LoggedModel]:
    """The models that the run has logged, oldest first; what MLflow has no longer is left out."""
    known = {model.model_id: model for model in _models_of_source(detail)}
    for model_id in detail.model_ids[:MODELS_MOST]:
        # A run may name any model as its own; one of another experiment is not shown by it.
        if model_id not in known and (found := model_read(model_id)) and found.experiment_id == detail.experiment_id:
            known[model_id] = found
    return sorted(known.values(), key=lambda model: (model.created_at or datetime.min.replace(tzinfo=UTC), model.name))


def _models_of_source(detail: RunDetail) -> list[LoggedModel]:
    body = {
        "experiment_ids": [detail.experiment_id],
        "filter": f"source_run_id = '{detail.run_id}'",
        "max_results": MODELS_MOST,
    }
    answer = gateway.call("POST", "logged-models/search", json=body)
    return [_model(one) for one in answer.get("models") or ()]


def model_read(model_id: str) -> LoggedModel | None:
    try:
        answer = gateway.call("GET", f"logged-models/{quote(model_id, safe='')}")
    except TrackerRefused as refused:
        if refused.absent:
            return None
        raise
    return _model(answer.get("model") or {})


def _model(given: dict[str, Any]) -> LoggedModel:
    info, data = given.get("info") or {}, given.get("data") or {}
    return LoggedModel(
        model_id=str(info.get("model_id", "")),
        name=str(info.get("name", "")),
        status=str(info.get("status", "")).removeprefix("LOGGED_MODEL_").capitalize(),
        created_at=moment(info.get("creation_timestamp_ms")),
        params={str(one["key"]): str(one.get("value", "")) for one in data.get("params") or ()},
        metrics=[
            (str(one["key"]), number(one.get("value")), str(one.get("dataset_name") or ""), int(one.get("step") or 0))
            for one in data.get("metrics") or ()
        ],
        source_run_id=str(info.get("source_run_id") or ""),
        experiment_id=str(info.get("experiment_id") or ""),
    )


def ranges_read(detail: RunDetail, keys: list[str]) -> dict[str, MetricRange]:
    """Lowest and highest of some metrics, asked for four at a time; kept once the run has ended."""
    ended = detail.ended_at.isoformat() if detail.ended_at else ""
    names = {key: f"range:{detail.run_id}:{ended}:{quote(key, safe='')}"[:240] for key in keys}
    kept = cache.get_many(list(names.values())) if ended else {}
    found = {key: MetricRange(*kept[name]) for key, name in names.items() if name in kept}
    missing = [key for key in keys if key not in found]
    for key, one in zip(missing, _pool.map(lambda key: _range(detail.run_id, key), missing), strict=True):
        found[key] = one
        if ended and len(names[key]) < 240:
            cache.set(names[key], (one.lowest, one.highest, one.points, one.sampled), KEPT_SECONDS)
    return found


def _range(run_id: str, key: str) -> MetricRange:
    params = {"run_id": run_id, "metric_key": key, "max_results": HISTORY_POINTS}
    answer = gateway.call("GET", "metrics/get-history", params=params)
    rows = answer.get("metrics") or []
    sampled = bool(answer.get("next_page_token"))
    if sampled:
        interval = {"run_ids": [run_id], "metric_key": key, "max_results": 2500}
        rows += gateway.call("GET", "metrics/get-history-bulk-interval", params=interval).get("metrics") or []
    values = [value for row in rows if not math.isnan(value := number(row.get("value")))]
    return MetricRange(min(values, default=None), max(values, default=None), len(rows), sampled)


def note_write(run_id: str, text: str) -> None:
    """The note in Markdown, where MLflow's own pages keep it. Raises `TrackerAway`, `TrackerRefused`."""
    gateway.call("POST", "runs/set-tag", json={"run_id": run_id, "key": NOTE_TAG, "value": text})


def traces_read(detail: RunDetail, *, most: int = 100) -> list[dict[str, Any]]:
    """The newest traces that the run has made."""
    body = {
        "locations": [{"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": detail.experiment_id}}],
        "filter": f"attributes.run_id = '{detail.run_id}'",
        "max_results": most,
        "order_by": ["timestamp_ms DESC"],
    }
    answer = gateway.call("POST", f"{gateway.V3}/traces/search", json=body)
    return list(answer.get("traces") or ())


def number(value: Any) -> float:
    """A metric's value; what MLflow stores for an infinity is one again."""
    try:
        read = float(value if value is not None else 0.0)
    except (TypeError, ValueError):
        return math.nan
    return math.copysign(math.inf, read) if abs(read) >= INFINITE else read


def moment(milliseconds: Any) -> datetime | None:
    """Milliseconds since 1970; None for nothing, and for what no calendar holds."""
    try:
        value = int(milliseconds or 0)
        return datetime.fromtimestamp(value / 1000, UTC) if value > 0 else None
    except (TypeError, ValueError, OverflowError, OSError):
        return None
