"""What a runs table can show beside a run: which columns there are, and the values of many runs at once."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.db.models import Model

from apps.experiments.models import RunMetric, RunParam, RunTag
from apps.experiments.selectors.listed import ListedRun

MOST_KEYS = 500  # of each kind offered: a run may have logged ten thousand
MOST_STEPS = 2000
MOST_VALUES = 20_000  # of one kind read without naming the keys
KEYED: dict[str, type[Model]] = {"metrics": RunMetric, "params": RunParam, "tags": RunTag}
NOUNS = {"metrics": "metric", "params": "parameter", "tags": "tag"}
OWN = {
    "name": "Run",
    "status": "State",
    "experiment": "Experiment",
    "note": "Note",
    "started_at": "Started",
    "ended_at": "Ended",
    "duration": "Duration",
    "user": "Person",
    "commit": "Commit",
    "source": "Source",
    "datasets": "Data sets",
    "core_seconds": "Core time",
    "memory_byte_seconds": "Memory time",
    "gpu_seconds": "GPU time",
}


@dataclass(frozen=True)
class ColumnKey:
    """A column's name in addresses, `metrics.auc`, taken apart; `kind` is "" for what is a run's own."""

    kind: str
    key: str

    def __str__(self) -> str:
        return f"{self.kind}.{self.key}" if self.kind else self.key


def column_read(text: str) -> ColumnKey | None:
    """None for what is no column."""
    if text in OWN:
        return ColumnKey("", text)
    kind, _, key = text.partition(".")
    return ColumnKey(kind, key) if kind in KEYED and 0 < len(key) <= 250 else None


# Run, column, then the number of a metric or the text of the others.
_VALUES = {
    "metrics": "SELECT run_id, 'metrics.' || key, value, NULL FROM experiments_runmetric WHERE {which}",
    "params": "SELECT run_id, 'params.' || key, NULL::float8, value FROM experiments_runparam WHERE {which}",
    "tags": "SELECT run_id, 'tags.' || key, NULL::float8, value FROM experiments_runtag WHERE {which}",
}
_NAMED = "run_id = ANY(%s) AND key = ANY(%s)"
_EVERY = f"run_id = ANY(%s) ORDER BY key LIMIT {MOST_VALUES}"


def values_of(
    runs: Sequence[ListedRun],
    *,
    metrics: Iterable[str] | None = (),
    params: Iterable[str] | None = (),
    tags: Iterable[str] | None = (),
) -> dict[int, dict[str, Any]]:
    """Run's pk → column → value, with what is a run's own; a kind that is None brings every key. One query at most.

    A metric is a float, or None for NaN; what a run has not is not in its dictionary. Durations are in seconds.
    """
    values: dict[int, dict[str, Any]] = {run.pk: own_values(run) for run in runs}
    pks = list(values)
    parts: list[str] = []
    given: list[list[Any]] = []
    for kind, keys in (("metrics", metrics), ("params", params), ("tags", tags)):
        wanted = None if keys is None else list(keys)
        if wanted is None:
            parts.append(f"({_VALUES[kind].format(which=_EVERY)})")
            given.append(pks)
        elif wanted:
            parts.append(_VALUES[kind].format(which=_NAMED))
            given += [pks, wanted]
    if parts and runs:
        with connection.cursor() as cursor:
            cursor.execute(" UNION ALL ".join(parts), given)
            for run, column, number, text in cursor.fetchall():
                values[run][column] = number if text is None else text
    return values


def values_of_columns(runs: Sequence[ListedRun], columns: Iterable[ColumnKey]) -> dict[int, dict[str, Any]]:
    named: dict[str, list[str]] = {"metrics": [], "params": [], "tags": []}
    for column in columns:
        if column.kind:
            named[column.kind].append(column.key)
    return values_of(runs, **named)


def own_values(run: ListedRun) -> dict[str, Any]:
    """`experiment` is its name."""
    return {
        "name": run.name,
        "status": run.status,
        "experiment": run.experiment.name,
        "note": run.note,
        "started_at": run.started_at,
        "ended_at": run.ended_at,
        "duration": None if run.duration_ms is None else run.duration_ms / 1000,
        "user": run.person,
        "commit": run.commit,
        "source": run.source_name,
        "datasets": run.datasets,
        "core_seconds": run.core_seconds,
        "memory_byte_seconds": run.memory_byte_seconds,
        "gpu_seconds": run.gpu_seconds,
    }


def differing(values: Sequence[dict[str, Any]], columns: Iterable[str]) -> list[str]:
    """Those of the columns in which not all have the same value; lacking it counts as one."""
    missing = object()
    return [
        column
        for column in columns
        if any(row.get(column, missing) != values[0].get(column, missing) for row in values[1:])
    ]


# Every different key in as many steps along the index as there are keys, instead of one for each row.
_STEPS = """
WITH RECURSIVE step(key) AS (
    (SELECT key FROM {table} WHERE {scope} ORDER BY key LIMIT 1)
    UNION ALL
    SELECT (SELECT key FROM {table} WHERE {scope} AND key > step.key ORDER BY key LIMIT 1)
    FROM step WHERE step.key IS NOT NULL
)
SELECT key FROM step WHERE key IS NOT NULL LIMIT {most}
"""


def keys_of(
    kind: str, experiment_ids: Sequence[str] | None, *, containing: str = "", limit: int = MOST_KEYS
) -> list[str]:
    """The keys that runs of these experiments (None: of all) have, by name; of each experiment the first 2,000."""
    table = connection.ops.quote_name(KEYED[kind]._meta.db_table)
    like = f"%{_like_literal(containing)}%"
    if experiment_ids is None:
        sql = f"SELECT key FROM ({_STEPS.format(table=table, scope='TRUE', most=MOST_STEPS)}) k"  # noqa: S608
        params: list[Any] = []
    else:
        steps = _STEPS.format(table=table, scope="experiment_id = one.id", most=MOST_STEPS)
        sql = f"SELECT DISTINCT key FROM unnest(%s::text[]) AS one(id) CROSS JOIN LATERAL ({steps}) k"  # noqa: S608
        params = [list(experiment_ids)]
    with connection.cursor() as cursor:
        cursor.execute(f"{sql} WHERE key ILIKE %s ORDER BY key LIMIT %s", [*params, like, limit])
        return [key for (key,) in cursor.fetchall()]


def texts_of(
    kind: str, key: str, experiment_ids: Sequence[str] | None, *, containing: str = "", limit: int = 20
) -> list[str]:
    """Values that a parameter or tag has in these experiments, short ones, of the first 20,000 found."""
    rows: Any = KEYED[kind]._default_manager.filter(key=key)
    if experiment_ids is not None:
        rows = rows.filter(experiment__in=experiment_ids)
    if containing:
        rows = rows.filter(short__icontains=containing)
    found = {text for text in rows.values_list("short", flat=True)[:MOST_VALUES] if text}
    return sorted(found)[:limit]


def _like_literal(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
