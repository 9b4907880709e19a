"""What MLflow's JSON of a run or an experiment means for the rows of the index. Nothing here touches the database."""

import json
import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any
from uuid import UUID

from apps.experiments.models import VALUE_LENGTH, Run

READING = 1  # counted up where the same JSON gives other rows, so that the reconcile writes them again
HAYSTACK_LENGTH = 4000
NOTE_LENGTH = 20_000
KEY_LENGTH = 250
DATASETS, MODELS = 100, 100
# What MLflow writes in place of an infinity where its database has none.
INFINITE = 1.7976931348623157e308
SMALLEST_STEP, LARGEST_STEP = -(2**63), 2**63 - 1
NOTE, PARENT, NAME, USER = "mlflow.note.content", "mlflow.parentRunId", "mlflow.runName", "mlflow.user"
COMMIT, SOURCE = "mlflow.source.git.commit", "mlflow.source.name"
KEPT_TAGS = frozenset({USER, SOURCE, "mlflow.source.type"})
KEPT_PREFIXES = ("mlflow.source.git.", "slipway.")
USER_STAMP, ENVIRONMENT_STAMP = "slipway.user", "slipway.environment_id"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# PostgreSQL keeps neither NUL nor halves of surrogate pairs.
_UNKEPT = re.compile("[\x00\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class RunRead:
    """A run as the index will hold it. `claimed_user` and `claimed_environment` have yet to be looked up."""

    run_id: str
    experiment_id: str
    name: str
    status: str
    archived: bool
    user_name: str
    claimed_user: str
    started_at: datetime | None
    ended_at: datetime | None
    duration_ms: int | None
    note: str
    parent_run_id: str
    commit: str
    source_name: str
    datasets: list[dict[str, str]]
    model_ids: list[str]
    claimed_environment: UUID | None
    haystack: str
    fingerprint: str
    metrics: dict[str, tuple[float | None, int]]
    params: dict[str, str]
    tags: dict[str, str]


def run_read(run: dict[str, Any]) -> RunRead:
    """Raises `KeyError` for what has no id or experiment."""
    info, data = run["info"], run.get("data") or {}
    tags = pairs(data.get("tags"))
    params = pairs(data.get("params"))
    metrics = metrics_read(data.get("metrics"))
    shown = {key: value for key, value in tags.items() if tag_is_kept(key)}
    datasets = datasets_read((run.get("inputs") or {}).get("dataset_inputs"))
    name = clean(info.get("run_name") or tags.get(NAME) or "", 500)
    note = clean(tags.get(NOTE, ""), NOTE_LENGTH)
    user = tags.get(USER_STAMP) or tags.get(USER) or str(info.get("user_id") or "")
    status = str(info.get("status") or "")
    started, ended = moment(info.get("start_time")), moment(info.get("end_time"))
    active = status in Run.ACTIVE
    model_ids = [
        clean(str(each.get("model_id") or ""), 64)
        for each in ((run.get("outputs") or {}).get("model_outputs") or ())[:MODELS]
    ]
    parent = clean(tags.get(PARENT, ""), 64)
    return RunRead(
        run_id=str(info["run_id"]),
        experiment_id=str(info["experiment_id"]),
        name=name,
        status=status if status in Run.Status.values else Run.Status.FINISHED,
        archived=info.get("lifecycle_stage") == "deleted",
        user_name=clean(user, 250),
        claimed_user=clean(tags.get(USER_STAMP, ""), 150),
        started_at=started,
        ended_at=None if active else ended,
        duration_ms=None if active or not (started and ended) else max(0, round((ended - started) / MILLISECOND)),
        note=note,
        parent_run_id=parent if len(parent) <= 32 else "",
        commit=clean(tags.get(COMMIT, ""), 64),
        source_name=clean(tags.get(SOURCE, ""), 500),
        datasets=datasets,
        model_ids=model_ids,
        claimed_environment=uuid_read(tags.get(ENVIRONMENT_STAMP, "")),
        haystack=haystack_of(name, note, user, params, shown, datasets),
        fingerprint=fingerprint_of(info, tags, params, metrics, datasets, model_ids),
        metrics=metrics,
        params=params,
        tags=shown,
    )


MILLISECOND = timedelta(milliseconds=1)


def pairs(entries: Any) -> dict[str, str]:
    """MLflow's list of {key, value} as a dict that PostgreSQL can keep."""
    return {clean(str(each.get("key", "")), KEY_LENGTH): clean(str(each.get("value", ""))) for each in entries or ()}


def metrics_read(entries: Any) -> dict[str, tuple[float | None, int]]:
    """Key to (value, step); None for NaN."""
    found = {}
    for each in entries or ():
        step = int(each.get("step") or 0)
        step = min(max(step, SMALLEST_STEP), LARGEST_STEP)
        found[clean(str(each.get("key", "")), KEY_LENGTH)] = (metric_value(each.get("value")), step)
    return found


def metric_value(value: Any) -> float | None:
    """JSON has no NaN and no infinities: they come as text, or, from MLflow's database, as the largest number."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    if math.isnan(number):
        return None
    return math.copysign(math.inf, number) if abs(number) >= INFINITE else number


def number_of(value: str) -> float | None:
    """A parameter's value where it reads as a finite number."""
    if len(value) > 40:
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) and "_" not in value else None


def datasets_read(entries: Any) -> list[dict[str, str]]:
    found = []
    for each in (entries or ())[:DATASETS]:
        dataset = each.get("dataset") or {}
        context = pairs(each.get("tags")).get("mlflow.data.context", "")
        row = {key: clean(str(dataset.get(key) or ""), 500) for key in ("name", "digest", "source_type")}
        found.append({**row, "context": context[:100]})
    return sorted(found, key=lambda row: (row["name"], row["digest"], row["context"]))


def tag_is_kept(key: str) -> bool:
    return not key.startswith("mlflow.") or key in KEPT_TAGS or key.startswith(KEPT_PREFIXES)


def haystack_of(
    name: str,
    note: str,
    user: str,
    params: dict[str, str],
    tags: dict[str, str],
    datasets: list[dict[str, str]],
) -> str:
    """What full text looks in. Of every value only the beginning, so that a long one does not hide the others."""
    words = [
        name,
        user,
        *(row["name"] for row in datasets),
        *(value[:VALUE_LENGTH] for value in params.values()),
        *(value[:VALUE_LENGTH] for key, value in tags.items() if key != USER_STAMP),
        note,
    ]
    return " ".join(filter(None, words)).lower()[:HAYSTACK_LENGTH]


def fingerprint_of(info: dict[str, Any], *parts: Any) -> str:
    """Of everything that was said; MLflow gives lists in no order, the dicts made of them are sorted here."""
    known = [info.get(key) for key in ("experiment_id", "run_name", "status", "start_time", "end_time")]
    text = json.dumps([READING, known, info.get("lifecycle_stage"), info.get("user_id"), parts], sort_keys=True)
    return blake2b(text.encode(), digest_size=16).hexdigest()


def clean(text: str, length: int | None = None) -> str:
    return _UNKEPT.sub("\ufffd", text)[:length]


def moment(milliseconds: Any) -> datetime | None:
    """MLflow's milliseconds; None for 0, which is what it keeps where nobody said when, and for impossible years."""
    try:
        number = int(milliseconds or 0)
        return EPOCH + timedelta(milliseconds=number) if number else None
    except (TypeError, ValueError, OverflowError):
        return None


def uuid_read(text: str) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError:
        return None
