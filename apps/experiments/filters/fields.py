"""What can be compared: the kinds of keys under all the names MLflow has for them, and the attributes of a run."""

from dataclasses import dataclass
from typing import Literal

from apps.experiments.filters.nodes import Kind

KINDS = {
    "metric": Kind.METRIC,
    "metrics": Kind.METRIC,
    "param": Kind.PARAM,
    "params": Kind.PARAM,
    "parameter": Kind.PARAM,
    "parameters": Kind.PARAM,
    "tag": Kind.TAG,
    "tags": Kind.TAG,
    "dataset": Kind.DATASET,
    "datasets": Kind.DATASET,
    "attribute": Kind.ATTRIBUTE,
    "attributes": Kind.ATTRIBUTE,
    "attr": Kind.ATTRIBUTE,
    "run": Kind.ATTRIBUTE,
}
DATASET_KEYS = ("name", "digest", "context", "source_type")

Takes = Literal["text", "number", "span", "moment"]


@dataclass(frozen=True)
class Attribute:
    """`column` is a field of Run; `takes` what it is compared with; `per_second` how many of its units a second has."""

    column: str
    takes: Takes
    about: str
    per_second: float = 1


ATTRIBUTES = {
    "run_id": Attribute("run_id", "text", "Id of the run"),
    "run_name": Attribute("name", "text", "Name of the run"),
    "status": Attribute("status", "text", "RUNNING, SCHEDULED, FINISHED, FAILED or KILLED"),
    "user_id": Attribute("user_name", "text", "User name of the person"),
    "start_time": Attribute("started_at", "moment", "When it started: a date, today, last 7 days"),
    "end_time": Attribute("ended_at", "moment", "When it ended"),
    "duration": Attribute("duration_ms", "span", "How long it took: 90s, 10m, 2h", per_second=1000),
    "note": Attribute("note", "text", "The note"),
    "commit": Attribute("commit", "text", "Git commit"),
    "source": Attribute("source_name", "text", "File or notebook it was started from"),
    "parent": Attribute("parent_run_id", "text", "Id of its parent run"),
    "experiment": Attribute("experiment__name", "text", "Name of the experiment"),
    "experiment_id": Attribute("experiment_id", "text", "Id of the experiment"),
    "environment": Attribute("environment_id", "text", "Id of the environment it ran in"),
    "core_seconds": Attribute("core_seconds", "span", "Core time used"),
    "memory_byte_seconds": Attribute("memory_byte_seconds", "number", "Memory time used, in byte seconds"),
    "gpu_seconds": Attribute("gpu_seconds", "span", "GPU time used"),
}
ALIASES = {
    "name": "run_name",
    "run name": "run_name",
    "Run name": "run_name",
    "Run Name": "run_name",
    "created": "start_time",
    "Created": "start_time",
    "started": "start_time",
    "started_at": "start_time",
    "ended": "end_time",
    "ended_at": "end_time",
    "user": "user_id",
    "person": "user_id",
    "source_name": "source",
    "parent_run_id": "parent",
    "experiment_name": "experiment",
}


def attribute_named(name: str) -> str | None:
    """Its own name for any of its names, None for what is no attribute."""
    name = ALIASES.get(name, name)
    return name if name in ATTRIBUTES else None
