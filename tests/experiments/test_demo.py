"""The demo workspace's experiments: made once, really trained."""

import subprocess
import sys

import pytest

from apps.experiments.demo.studies import STUDIES
from tests.experiments.conftest import ROOT, clean_environment

pytestmark = [pytest.mark.slow]


def train(mlflow_server):
    environment = clean_environment(MLFLOW_TRACKING_URI=mlflow_server.url, MLFLOW_SERVER_SECRET=mlflow_server.secret)
    done = subprocess.run(
        [sys.executable, "-m", "apps.experiments.demo.train"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def runs_of(mlflow_server, study):
    name = study.name.replace("/", "%2F")
    found = mlflow_server.direct("GET", f"/api/2.0/mlflow/experiments/get-by-name?experiment_name={name}").json()
    experiment = found["experiment"]
    assert {"key": "slipway.team", "value": study.team} in experiment["tags"]
    wanted = {"experiment_ids": [experiment["experiment_id"]], "max_results": 100}
    return mlflow_server.direct("POST", "/api/2.0/mlflow/runs/search", json=wanted).json()["runs"]


def test_every_team_gets_finished_runs_with_a_spread_and_a_second_start_adds_none(mlflow_server):
    first = train(mlflow_server)
    assert "26 runs made" in first
    assert {study.team for study in STUDIES} == {"vision", "churn", "pricing"}
    for study in STUDIES:
        runs = runs_of(mlflow_server, study)
        assert len(runs) == len(study.trials)
        assert {run["info"]["status"] for run in runs} == {"FINISHED"}
        main = "val_rmse" if study.is_regression else "val_accuracy"
        scores = [metric["value"] for run in runs for metric in run["data"]["metrics"] if metric["key"] == main]
        assert len(set(scores)) >= max(2, len(scores) // 2), "hyper-parameters make a difference"
        kept = [run for run in runs if run.get("outputs", {}).get("model_outputs")]
        assert len(kept) == sum(trial.keep_model for trial in study.trials)
        if kept:
            name = study.model_name
            found = mlflow_server.direct("GET", f"/api/2.0/mlflow/registered-models/get?name={name}").json()
            assert [each["version"] for each in found["registered_model"]["latest_versions"]] == ["1"]
    assert "0 runs made" in train(mlflow_server)


def test_a_curve_has_a_step_for_every_round(mlflow_server):
    train(mlflow_server)
    study = next(study for study in STUDIES if study.data == "digits")
    run = next(run for run in runs_of(mlflow_server, study) if run["info"]["run_name"].startswith("perceptron"))
    path = f"/api/2.0/mlflow/metrics/get-history?run_id={run['info']['run_id']}&metric_key=val_accuracy"
    curve = [point["value"] for point in mlflow_server.direct("GET", path).json()["metrics"]]
    assert len(curve) == 15
    assert curve[-1] > curve[0]
