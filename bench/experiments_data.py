"""`python -m bench.experiments_data <URL of MLflow's database>`: a company's worth of runs in MLflow's own tables.

200 experiments and 100,000 runs with 5 parameters, 5 metrics and 4 tags each, and in one experiment curves of 1,000
points. By COPY, because the REST API would take an hour; the rows are those that MLflow 3.17 itself writes. Random with
a fixed seed, but for the times, which end now.
"""

from __future__ import annotations

import argparse
import math
import random
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import psycopg

SEED = 20_26
TEAMS = ("vision", "churn", "pricing")
TOPICS = ("unets", "retention", "elasticity", "baselines", "sweeps/learning-rate", "sweeps/depth", "ablations")
NETS = ("unet", "resnet50", "gbm", "linear", "transformer")
CURVED_RUNS, POINTS = 100, 1000
NESTED = 10  # every tenth experiment is of families
DAY_MS = 86_400_000
DAYS = 180

TABLES = {
    "experiments": "experiment_id, name, artifact_location, lifecycle_stage, creation_time, last_update_time",
    "experiment_tags": "key, value, experiment_id",
    "runs": "run_uuid, name, source_type, source_name, entry_point_name, user_id, status, start_time, end_time,"
    " source_version, lifecycle_stage, artifact_uri, experiment_id",
    "params": "key, value, run_uuid",
    "latest_metrics": "key, value, timestamp, step, is_nan, run_uuid",
    "metrics": "key, value, timestamp, step, is_nan, run_uuid",
    "tags": "key, value, run_uuid",
}


@dataclass
class Made:
    """`curved` is the experiment with curves, `largest` another one; both by id."""

    experiments: list[str] = field(default_factory=list)
    curved: str = ""
    curved_runs: list[str] = field(default_factory=list)
    runs: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Experiment:
    id: int
    name: str
    team: str


def fill(url: str, *, experiments: int = 200, runs: int = 100_000, points: int = POINTS) -> Made:
    """Write everything in one transaction. `url` is libpq's, of a database that the MLflow server has prepared."""
    began = time.monotonic()
    chance = random.Random(SEED)  # noqa: S311 - a repeatable company, no secret
    made = Made(runs=runs)
    now = int(time.time() * 1000)
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT coalesce(max(experiment_id), 0) FROM experiments")
        (newest,) = cursor.fetchone() or (0,)
        there = [_experiment(newest + 1 + n, n) for n in range(experiments)]
        made.experiments = [str(each.id) for each in there]
        made.curved = made.experiments[0]
        _copy(cursor, "experiments", (_experiment_row(each, now) for each in there))
        _copy(cursor, "experiment_tags", (("slipway.team", each.team, each.id) for each in there))
        cursor.execute("SELECT setval('experiments_experiment_id_seq', %s)", [newest + experiments])
        # Sizes as people make them: some large ones, many small; the first has the curves.
        weights = [1.0] + [1 / math.sqrt(n + 1) for n in range(1, experiments)]
        whose = sorted(chance.choices(range(experiments), weights, k=runs - CURVED_RUNS))
        batch: list[tuple[Experiment, int]] = [(there[0], n) for n in range(min(CURVED_RUNS, runs))]
        batch += [(there[place], CURVED_RUNS + n) for n, place in enumerate(whose)]
        for begin in range(0, len(batch), 10_000):
            _runs_copy(cursor, batch[begin : begin + 10_000], chance, now, made, points)
        connection.commit()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"ANALYZE {', '.join(TABLES)}")
    made.seconds = time.monotonic() - began
    return made


def _experiment(pk: int, number: int) -> Experiment:
    team = TEAMS[number % len(TEAMS)]
    return Experiment(pk, f"{team}/{TOPICS[number % len(TOPICS)]}/study-{pk:04}", team)


def _experiment_row(each: Experiment, now: int) -> tuple[Any, ...]:
    return each.id, each.name, f"mlflow-artifacts:/{each.id}", "active", now - DAYS * DAY_MS, now - DAYS * DAY_MS


def _runs_copy(
    cursor: psycopg.Cursor[Any],
    batch: list[tuple[Experiment, int]],
    chance: random.Random,
    now: int,
    made: Made,
    points: int,
) -> None:
    rows: dict[str, list[tuple[Any, ...]]] = {name: [] for name in TABLES}
    parents: dict[int, str] = {}
    for experiment, number in batch:
        run_id = uuid.UUID(int=chance.getrandbits(128), version=4).hex
        curved = number < CURVED_RUNS
        if curved:
            made.curved_runs.append(run_id)
        start = now - 120_000 - int(chance.random() * DAYS * DAY_MS)
        seconds = chance.lognormvariate(5, 1.2)
        end = min(start + int(seconds * 1000), now - 60_000)
        status = "FAILED" if chance.random() < 0.06 else "FINISHED"
        rows["runs"].append(
            (run_id, f"run-{number}", "UNKNOWN", "", "", "dana", status, start, end, "", "active",
             f"mlflow-artifacts:/{experiment.id}/{run_id}/artifacts", experiment.id)
        )  # fmt: skip
        rows["params"] += [(key, value, run_id) for key, value in _params(chance)]
        rows["tags"] += [(key, value, run_id) for key, value in _tags(chance, number, experiment, parents, run_id)]
        last = points - 1 if curved else 0
        for key, value in _metrics(chance).items():
            rows["latest_metrics"].append((key, value, end, last, False, run_id))
            if not curved:
                rows["metrics"].append((key, value, end, 0, False, run_id))
            else:
                rows["metrics"] += [
                    (key, level, start + (end - start) * step // points, step, False, run_id)
                    for step, level in enumerate(_curve(chance, value, points))
                ]
    for name in ("runs", "params", "latest_metrics", "metrics", "tags"):
        _copy(cursor, name, iter(rows[name]))


def _params(chance: random.Random) -> list[tuple[str, str]]:
    return [
        ("lr", f"{10 ** chance.uniform(-5, -1):.3g}"),
        ("depth", str(chance.randint(2, 12))),
        ("batch_size", str(2 ** chance.randint(4, 9))),
        ("net", chance.choice(NETS)),
        ("seed", str(chance.randint(0, 9999))),
    ]


def _metrics(chance: random.Random) -> dict[str, float]:
    quality = chance.betavariate(6, 2)
    return {
        "auc": quality,
        "accuracy": min(1.0, quality + chance.gauss(0, 0.02)),
        "f1": quality * 0.95 + chance.gauss(0, 0.02),
        "loss": (1 - quality) * chance.lognormvariate(0, 0.2),
        "seconds_per_epoch": chance.lognormvariate(2, 0.5),
    }


def _tags(
    chance: random.Random, number: int, experiment: Experiment, parents: dict[int, str], run_id: str
) -> list[tuple[str, str]]:
    """Four that a person sees, and the name, which MLflow keeps as a tag too."""
    found = [
        ("mlflow.runName", f"run-{number}"),
        ("mlflow.user", "dana"),
        ("slipway.team", experiment.team),
        ("stage", chance.choice(("explore", "candidate", "final"))),
        ("dataset", chance.choice(("2026-q1", "2026-q2", "2026-q3"))),
    ]
    if experiment.id % NESTED == 0:
        if number % 8 == 0 or experiment.id not in parents:
            parents[experiment.id] = run_id
        else:
            found.append(("mlflow.parentRunId", parents[experiment.id]))
    return found


def _curve(chance: random.Random, last: float, points: int) -> Iterator[float]:
    for step in range(points):
        left = math.exp(-5 * step / points)
        yield last + (0.5 - last) * left + chance.gauss(0, 0.01) * left


def _copy(cursor: psycopg.Cursor[Any], table: str, rows: Iterator[tuple[Any, ...]]) -> None:
    with cursor.copy(f"COPY {table} ({TABLES[table]}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.experiments_data", description=__doc__)
    parser.add_argument("url", help="of MLflow's database, as libpq takes it")
    parser.add_argument("--experiments", type=int, default=200)
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--points", type=int, default=POINTS, help="of each curve of the first experiment")
    options = parser.parse_args()
    made = fill(options.url, experiments=options.experiments, runs=options.runs, points=options.points)
    print(f"{made.runs} runs in {len(made.experiments)} experiments in {made.seconds:.0f} s; curves in {made.curved}")


if __name__ == "__main__":
    main()
