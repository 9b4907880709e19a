"""A run as lists show it. A hundred of them as models take three times as long, nearly all of it in the ORM."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection

from apps.experiments.models import Experiment


class ListedExperiment(NamedTuple):
    """What rows say of their experiment; one object for all rows of the same one."""

    pk: str
    name: str
    team_id: UUID | None
    main_metric: str
    main_goal: str

    @property
    def lowest_is_best(self) -> bool:
        return self.main_goal == Experiment.Goal.LOWEST


class ListedRun(NamedTuple):
    """A row of `experiments_run`, with its experiment and its person. `datasets_text` is JSON.

    `user_name` is what MLflow says, where no person of the portal is known: `person` shows either.
    """

    pk: int
    run_id: str
    name: str
    status: str
    archived: bool
    user_name: str
    started_at: datetime | None
    ended_at: datetime | None
    duration_ms: int | None
    note: str
    parent_run_id: str
    family: str
    commit: str
    source_name: str
    datasets_text: str
    environment_id: UUID | None
    core_seconds: float | None
    memory_byte_seconds: float | None
    gpu_seconds: float | None
    username: str | None
    full_name: str | None
    experiment_id: str
    experiment: ListedExperiment

    @property
    def person(self) -> str:
        return self.full_name or self.username or self.user_name

    @property
    def datasets(self) -> list[dict[str, Any]]:
        """[{name, digest, source_type, context}]"""
        return [] if self.datasets_text == "[]" else json.loads(self.datasets_text)


_READ = """
    SELECT run.id, run.run_id, run.name, run.status, run.archived, run.user_name,
        extract(epoch FROM run.started_at)::float8, extract(epoch FROM run.ended_at)::float8, run.duration_ms, run.note,
        run.parent_run_id, run.family, run.commit, run.source_name, run.datasets::text,
        run.environment_id, run.core_seconds, run.memory_byte_seconds, run.gpu_seconds,
        person.username, btrim(person.first_name || ' ' || person.last_name),
        run.experiment_id, experiment.name, experiment.team_id, experiment.main_metric, experiment.main_goal
    FROM experiments_run AS run
    JOIN experiments_experiment AS experiment ON experiment.id = run.experiment_id
    LEFT JOIN accounts_user AS person ON person.id = run.user_id
    WHERE run.{column} = ANY(%s)
"""
_BY_PK, _BY_RUN_ID = _READ.format(column="id"), _READ.format(column="run_id")
_OWN = len(ListedRun._fields) - 1
_STARTED, _ENDED = ListedRun._fields.index("started_at"), ListedRun._fields.index("ended_at") + 1


def runs_listed(pks: Sequence[int]) -> list[ListedRun]:
    """Those there are, in the order given. Whoever asks has found out that the person sees them."""
    found = {run.pk: run for run in _read(_BY_PK, list(pks))}
    return [found[pk] for pk in pks if pk in found]


def runs_listed_by_id(run_ids: Sequence[str]) -> dict[str, ListedRun]:
    """Run id → run, of those there are. Whoever asks has found out that the person sees them."""
    return {run.run_id: run for run in _read(_BY_RUN_ID, list(run_ids))}


def _read(statement: str, keys: list[Any]) -> list[ListedRun]:
    if not keys:
        return []
    experiments: dict[str, ListedExperiment] = {}
    runs = []
    with connection.cursor() as cursor:
        cursor.execute(statement, [keys])
        for row in cursor.fetchall():
            key = row[_OWN - 1]
            experiment = experiments.get(key)
            if experiment is None:
                experiment = experiments[key] = ListedExperiment(key, *row[_OWN:])
            moments = map(_moment, row[_STARTED:_ENDED])
            runs.append(ListedRun._make((*row[:_STARTED], *moments, *row[_ENDED:_OWN], experiment)))
    return runs


def _moment(seconds: float | None) -> datetime | None:
    """Of seconds since 1970: made of PostgreSQL's text it takes ten times as long, a tenth of a page of runs."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
