"""Experiments and runs as the index holds them, made without an MLflow server."""

import itertools
import math
import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

from apps.accounts.models import Team
from apps.experiments.models import VALUE_LENGTH, Experiment, Run, RunMetric, RunParam, RunTag

_number = itertools.count(1000)
BEGAN = datetime(2026, 11, 1, 9, 0, tzinfo=UTC)


def experiment_make(team: Team | None, name: str = "", **more: Any) -> Experiment:
    number = next(_number)
    name = name or f"{team.slug if team else 'nobody'}/study-{number}"
    folder = name.rpartition("/")[0]
    return Experiment.objects.create(id=str(number), name=name, folder=folder, team=team, **more)


def run_make(
    experiment: Experiment,
    *,
    metrics: dict[str, float] | None = None,
    params: dict[str, str] | None = None,
    tags: dict[str, str] | None = None,
    seconds: float | None = 60,
    **more: Any,
) -> Run:
    """A finished run of a minute; `seconds=None` for one that runs."""
    run_id = more.pop("run_id", secrets.token_hex(16))
    started = more.pop("started_at", BEGAN + timedelta(seconds=next(_number)))
    given = {
        "name": f"run-{run_id[:4]}",
        "status": Run.Status.RUNNING if seconds is None else Run.Status.FINISHED,
        "family": more.get("parent_run_id") or run_id,
        "ended_at": None if seconds is None else started + timedelta(seconds=seconds),
        "duration_ms": None if seconds is None else int(seconds * 1000),
        "fingerprint": secrets.token_hex(16),
    } | more
    words = [given["name"], given.get("note", ""), *(params or {}).values(), *(tags or {}).values()]
    given.setdefault("haystack", " ".join(words).lower())
    run = Run.objects.create(run_id=run_id, experiment=experiment, started_at=started, **given)
    row = {"run": run, "experiment": experiment}
    RunMetric.objects.bulk_create(
        RunMetric(**row, key=key, value=None if math.isnan(value) else value) for key, value in (metrics or {}).items()
    )
    RunParam.objects.bulk_create(
        RunParam(**row, key=key, value=value, short=value[:VALUE_LENGTH], number=_number_of(value))
        for key, value in (params or {}).items()
    )
    RunTag.objects.bulk_create(
        RunTag(**row, key=key, value=value, short=value[:VALUE_LENGTH]) for key, value in (tags or {}).items()
    )
    return run


def five_runs_make(team: Team) -> Experiment:
    """vision/digits/cnn with run0 to run4: the later, the better its auc and its loss."""
    experiment = experiment_make(team, "vision/digits/cnn", main_metric="auc", run_count=5)
    for number in range(5):
        run_make(
            experiment,
            name=f"run{number}",
            run_id=f"{number}" * 32,
            metrics={"auc": 0.5 + number / 10, "loss": 1.0 - number / 10},
            params={"lr": f"0.{number + 1}", "optimizer": "adam", "depth": "3" if number % 2 else "5"},
            tags={"stage": "try"},
            note="first line\nsecond" if number == 1 else "",
        )
    return experiment


def _number_of(value: str) -> float | None:
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
