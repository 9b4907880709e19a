"""Writes runs into the index in batches: a handful of statements for a thousand runs.

A run that says what it said before is left alone. Of a changed one only the metrics, parameters and tags are written
that differ. Two writers may come with the same runs at once: the row of a run is locked before what belongs to it.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from apps.accounts.models import User
from apps.environments.models import Environment
from apps.experiments.models import VALUE_LENGTH, Experiment, Run
from apps.experiments.selectors.totals import totals_change
from apps.experiments.services.indexing.experiments import experiments_require
from apps.experiments.services.indexing.families import families_mend
from apps.experiments.services.indexing.reading import RunRead, number_of, run_read
from apps.metering.models import ResourceInterval

BATCH = 1000


@dataclass
class Written:
    """What a batch came to: `runs` are those that are new or differ, by experiment; `environments` those they used."""

    runs: dict[str, set[str]] = field(default_factory=dict)
    environments: set[UUID] = field(default_factory=set)
    new: int = 0

    @property
    def experiments(self) -> set[str]:
        return set(self.runs)

    def add(self, other: "Written") -> None:
        for experiment, runs in other.runs.items():
            self.runs.setdefault(experiment, set()).update(runs)
        self.environments |= other.environments
        self.new += other.new


def index_runs(run_jsons: Iterable[dict[str, Any]]) -> Written:
    """Make the index say what these runs, as MLflow gave them, say. Sums of experiments are the caller's."""
    reads = {read.run_id: read for read in map(run_read, run_jsons) if len(read.run_id) <= 32}
    rows = [reads[run_id] for run_id in sorted(reads)]
    written = Written()
    for begin in range(0, len(rows), BATCH):
        written.add(_batch_write(rows[begin : begin + BATCH]))
    return written


@dataclass(frozen=True, slots=True)
class _Known:
    id: int
    fingerprint: str
    experiment_id: str
    archived: bool


def _batch_write(reads: list[RunRead]) -> Written:
    there = experiments_require({read.experiment_id for read in reads})
    reads = [read for read in reads if read.experiment_id in there]
    written = Written()
    if not reads:
        return written
    with transaction.atomic(), connection.cursor() as cursor:
        known = _known(cursor, [read.run_id for read in reads])
        changed = [
            read for read in reads if read.run_id not in known or known[read.run_id].fingerprint != read.fingerprint
        ]
        if not changed:
            return written
        environments = environments_verified(changed)
        ids, fresh = _runs_upsert(cursor, changed, environments)
        new = [read for read in changed if read.run_id in fresh]
        _children_copy(cursor, new, ids)
        # A run's experiment is repeated in its rows; MLflow never moves a run.
        _children_mend(cursor, [read for read in changed if read.run_id not in fresh], ids)
        families_mend(cursor, changed)
        if new or any(one.archived != read.archived for read in changed if (one := known.get(read.run_id))):
            totals_change()
    for read in changed:
        written.runs.setdefault(read.experiment_id, set()).add(read.run_id)
        if (environment := environments.get(read.run_id)) is not None:
            written.environments.add(environment)
    written.new = len(new)
    return written


def _known(cursor: CursorWrapper, run_ids: list[str]) -> dict[str, _Known]:
    cursor.execute(
        "SELECT run_id, id, fingerprint, experiment_id, archived FROM experiments_run WHERE run_id = ANY(%s)"
        " ORDER BY run_id FOR UPDATE",
        [run_ids],
    )
    return {run_id: _Known(*rest) for run_id, *rest in cursor.fetchall()}


def environments_verified(reads: Sequence[RunRead]) -> dict[str, UUID]:
    """Environments by run id, where the portal knows them and they are, or were, the team's of the experiment."""
    claimed = {read.claimed_environment for read in reads if read.claimed_environment is not None}
    if not claimed:
        return {}
    teams = dict(Experiment.objects.filter(pk__in={read.experiment_id for read in reads}).values_list("pk", "team_id"))
    held = set(Environment.objects.filter(pk__in=claimed).values_list("pk", "team_id"))
    held |= set(ResourceInterval.objects.filter(workspace_id__in=claimed).values_list("workspace_id", "team_id"))
    return {
        read.run_id: read.claimed_environment
        for read in reads
        if read.claimed_environment is not None and (read.claimed_environment, teams[read.experiment_id]) in held
    }


# Column, PostgreSQL's type, and what of a run goes into it. The first is the key.
RUN_COLUMNS: tuple[tuple[str, str, Callable[[RunRead], Any]], ...] = (
    ("run_id", "text", lambda read: read.run_id),
    ("experiment_id", "text", lambda read: read.experiment_id),
    ("name", "text", lambda read: read.name),
    ("status", "text", lambda read: read.status),
    ("archived", "bool", lambda read: read.archived),
    ("user_name", "text", lambda read: read.user_name),
    ("started_at", "timestamptz", lambda read: read.started_at),
    ("ended_at", "timestamptz", lambda read: read.ended_at),
    ("duration_ms", "bigint", lambda read: read.duration_ms),
    ("note", "text", lambda read: read.note),
    ("parent_run_id", "text", lambda read: read.parent_run_id),
    ("commit", "text", lambda read: read.commit),
    ("source_name", "text", lambda read: read.source_name),
    ("datasets", "jsonb", lambda read: json.dumps(read.datasets)),
    ("model_ids", "jsonb", lambda read: json.dumps(read.model_ids)),
    ("haystack", "text", lambda read: read.haystack),
    ("fingerprint", "text", lambda read: read.fingerprint),
)
_NAMES = ", ".join(f'"{name}"' for name, _, _ in RUN_COLUMNS)
_UPSERT = f"""
    INSERT INTO experiments_run ({_NAMES}, user_id, environment_id, family)
    SELECT {_NAMES}, user_id, environment_id, coalesce(nullif(parent_run_id, ''), run_id)
      FROM unnest({", ".join(f"%s::{kind}[]" for _, kind, _ in RUN_COLUMNS)}, %s::bigint[], %s::uuid[])
           AS said({_NAMES}, user_id, environment_id)
     ORDER BY run_id
    ON CONFLICT (run_id) DO UPDATE
       SET {", ".join(f'"{name}" = excluded."{name}"' for name, _, _ in RUN_COLUMNS[1:])},
           user_id = excluded.user_id, environment_id = excluded.environment_id
    RETURNING run_id, id, xmax = 0
"""  # noqa: S608 - put together from the names above


def _runs_upsert(
    cursor: CursorWrapper, reads: Sequence[RunRead], environments: dict[str, UUID]
) -> tuple[dict[str, int], set[str]]:
    """Keys of the rows by run id, and the run ids of those that were not there before."""
    names = {read.claimed_user for read in reads} - {""}
    people = dict(User.objects.filter(username__in=names).values_list("username", "id")) if names else {}
    values = [[of(read) for read in reads] for _, _, of in RUN_COLUMNS]
    users = [people.get(read.claimed_user) for read in reads]
    cursor.execute(_UPSERT, [*values, users, [environments.get(read.run_id) for read in reads]])
    found = cursor.fetchall()
    return {run_id: pk for run_id, pk, _ in found}, {run_id for run_id, _, is_new in found if is_new}


@dataclass(frozen=True, slots=True)
class _Child:
    """A table of what belongs to a run: its columns after the key, their types, and a run's rows {key: values}."""

    table: str
    columns: tuple[str, ...]
    types: tuple[str, ...]
    rows: Callable[[RunRead], dict[str, tuple[Any, ...]]]


CHILDREN = (
    _Child(
        "experiments_runmetric",
        ("value", "step"),
        ("float8", "bigint"),
        lambda read: dict(read.metrics),
    ),
    _Child(
        "experiments_runparam",
        ("value", "short", "number"),
        ("text", "text", "float8"),
        lambda read: {key: (value, value[:VALUE_LENGTH], number_of(value)) for key, value in read.params.items()},
    ),
    _Child(
        "experiments_runtag",
        ("value", "short"),
        ("text", "text"),
        lambda read: {key: (value, value[:VALUE_LENGTH]) for key, value in read.tags.items()},
    ),
)


def _children_copy(cursor: CursorWrapper, reads: Sequence[RunRead], ids: dict[str, int]) -> None:
    """What belongs to runs whose rows this transaction has made: nobody else writes there."""
    if not reads:
        return
    for child in CHILDREN:
        columns = ", ".join(("run_id", "experiment_id", "key", *child.columns))
        with cursor.copy(f"COPY {child.table} ({columns}) FROM STDIN") as copy:
            for read in reads:
                pk, experiment = ids[read.run_id], read.experiment_id
                for key, values in child.rows(read).items():
                    copy.write_row((pk, experiment, key, *values))


def _children_mend(cursor: CursorWrapper, reads: Sequence[RunRead], ids: dict[str, int]) -> None:
    if not reads:
        return
    for child in CHILDREN:
        cursor.execute(
            f"SELECT run_id, key, id, {', '.join(child.columns)} FROM {child.table} WHERE run_id = ANY(%s)",  # noqa: S608
            [[ids[read.run_id] for read in reads]],
        )
        before: dict[int, dict[str, tuple[Any, ...]]] = {}
        keys: dict[tuple[int, str], int] = {}
        for pk, key, row, *values in cursor.fetchall():
            before.setdefault(pk, {})[key] = tuple(values)
            keys[pk, key] = row
        gone: list[int] = []
        other: list[tuple[Any, ...]] = []
        for read in reads:
            pk, wanted = ids[read.run_id], child.rows(read)
            had = before.get(pk, {})
            gone += [keys[pk, key] for key in had.keys() - wanted.keys()]
            other += [
                (pk, read.experiment_id, key, *values) for key, values in wanted.items() if had.get(key) != values
            ]
        if gone:
            cursor.execute(f"DELETE FROM {child.table} WHERE id = ANY(%s)", [gone])  # noqa: S608
        if other:
            _children_upsert(cursor, child, other)


def _children_upsert(cursor: CursorWrapper, child: _Child, rows: list[tuple[Any, ...]]) -> None:
    names = ("run_id", "experiment_id", "key", *child.columns)
    types = ("bigint", "text", "text", *child.types)
    cursor.execute(
        f"""
        INSERT INTO {child.table} ({", ".join(names)})
        SELECT * FROM unnest({", ".join(f"%s::{kind}[]" for kind in types)})
        ON CONFLICT (run_id, key) DO UPDATE SET {", ".join(f"{name} = excluded.{name}" for name in child.columns)}
        """,  # noqa: S608
        [list(column) for column in zip(*rows, strict=True)],
    )


def runs_drop(run_ids: Iterable[str]) -> set[str]:
    """Take runs out of the index that MLflow does not have any more; returns the experiments they were of."""
    with transaction.atomic():
        rows = Run.objects.filter(run_id__in=list(run_ids))
        experiments = set(rows.values_list("experiment_id", flat=True))
        rows.delete()
        totals_change()
    return experiments
