"""Experiments and runs for scripts."""

import math
from typing import Any

import pytest
from django.test import Client

from apps.experiments.models import Experiment, Run
from tests.cast import Cast, browser, cast_make
from tests.experiments.factories import experiment_make, run_make

pytestmark = pytest.mark.django_db
RUNS = "/api/v1/experiments/runs/"


@pytest.fixture
def cast() -> Cast:
    return cast_make()


@pytest.fixture
def study(cast: Cast) -> Experiment:
    experiment = experiment_make(cast.vision, "vision/digits", run_count=3)
    for number, value in enumerate((0.5, math.inf, math.nan)):
        run_make(
            experiment,
            name=f"r{number}",
            run_id=f"{number}" * 32,
            metrics={"auc": value},
            params={"lr": str(number)},
            tags={"stage": "try"},
        )
    return experiment


def names(client: Client, **query: Any) -> list[str]:
    answer = client.get(RUNS, query)
    assert answer.status_code == 200, answer.content
    return [run["name"] for run in answer.json()["results"]]


def test_runs_are_filtered_and_ordered_as_in_the_table(cast: Cast, study: Experiment) -> None:
    dana = browser(cast.dana)
    assert names(dana, ordering="-metrics.auc") == ["r1", "r0", "r2"]
    assert names(dana, ordering="metrics.auc", filter="params.lr > 0 OR metrics.auc = 0.5") == ["r0", "r1", "r2"]
    assert names(dana, filter="NOT params.lr = 1", ordering="name") == ["r0", "r2"]
    assert names(dana, experiment=study.pk, team="pricing") == ["r2", "r1", "r0"]
    assert names(dana, archived="true") == []
    first = dana.get(RUNS, {"ordering": "-metrics.auc", "page_size": 2}).json()
    assert first["count"] == 3
    assert first["previous"] is None
    rest = dana.get(first["next"]).json()
    assert [run["name"] for run in rest["results"]] == ["r2"]
    assert [run["name"] for run in dana.get(rest["previous"]).json()["results"]] == ["r1", "r0"]
    assert dana.get(RUNS, {"count": "false"}).json()["count"] is None


def test_a_run_has_all_that_was_logged(cast: Cast, study: Experiment) -> None:
    run = browser(cast.dana).get(f"{RUNS}{'1' * 32}/").json()
    assert run["metrics"] == {"auc": "Infinity"}
    assert run["params"] == {"lr": "1"}
    assert run["tags"] == {"stage": "try"}
    assert run["experiment"] == study.pk
    assert run["duration"] == 60
    only = browser(cast.dana).get(RUNS, {"column": "params.lr"}).json()["results"][0]
    assert (only["params"], only["metrics"]) == ({"lr": "2"}, {})
    assert browser(cast.dana).get(f"{RUNS}{'2' * 32}/").json()["metrics"] == {"auc": "NaN"}


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"filter": "metrics.auc >"}, "filter"),
        ({"filter": "(" * 4001}, "filter"),
        ({"ordering": "nonsense"}, "ordering"),
        ({"page_size": "0"}, "page_size"),
    ],
)
def test_a_bad_query_is_a_problem_that_names_it(
    cast: Cast, study: Experiment, query: dict[str, str], field: str
) -> None:
    answer = browser(cast.dana).get(RUNS, query)
    assert answer.status_code == 400
    assert answer["Content-Type"] == "application/problem+json"
    assert list(answer.json()["errors"]) == [field]


def test_a_filter_problem_says_the_character(cast: Cast) -> None:
    answer = browser(cast.dana).get(RUNS, {"filter": "metrics.auc > 'x'"}).json()
    assert answer["code"] == "experiments:filter-invalid"
    assert "(character 15)" in answer["errors"]["filter"][0]
    assert browser(cast.dana).get(RUNS, {"cursor": "made-up"}).status_code == 400


def test_what_is_not_ones_own_is_not_there(cast: Cast, study: Experiment) -> None:
    mallory = browser(cast.mallory)
    assert names(mallory) == []
    for path in (f"{RUNS}{'1' * 32}/", f"/api/v1/experiments/{study.pk}/", f"{RUNS}?experiment={study.pk}"):
        assert mallory.get(path).status_code == 404
    for path in (f"{RUNS}{'1' * 32}/archive/", f"/api/v1/experiments/{study.pk}/archive/"):
        assert mallory.post(path).status_code == 404
        assert browser(cast.ada).post(path).status_code == 403
        assert browser(None).post(path).status_code == 401
    assert browser(None).get(RUNS).status_code == 401


def test_groups(cast: Cast, study: Experiment) -> None:
    answer = browser(cast.dana).get(f"{RUNS}groups/", {"by": "tags.stage", "metric": "auc"}).json()
    assert answer["total"] == 1
    assert answer["groups"][0]["value"] == "try"
    assert answer["groups"][0]["figures"]["auc"] == {"count": 2, "mean": "Infinity", "least": 0.5, "most": "Infinity"}
    assert browser(cast.dana).get(f"{RUNS}groups/").status_code == 400


def test_experiments(cast: Cast, study: Experiment) -> None:
    experiment_make(cast.vision, "vision/other/deep")
    experiment_make(cast.vision, "gone", archived=True)
    dana = browser(cast.dana)
    listed = dana.get("/api/v1/experiments/", {"ordering": "name"}).json()
    assert [one["name"] for one in listed["results"]] == ["vision/digits", "vision/other/deep"]
    assert listed["count"] == 2
    assert dana.get("/api/v1/experiments/", {"folder": "vision"}).json()["count"] == 1
    assert dana.get("/api/v1/experiments/", {"archived": "true"}).json()["count"] == 1
    assert dana.get("/api/v1/experiments/", {"search": "deep"}).json()["count"] == 1
    assert dana.get(f"/api/v1/experiments/{study.pk}/").json()["team"] == "vision"


def test_writes_go_to_mlflow(cast: Cast, study: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    monkeypatch.setattr("apps.experiments.services.bulk.call", lambda method, path, json: made.append(path))
    monkeypatch.setattr("apps.experiments.services.bulk.runs_touch", lambda ids: None)
    monkeypatch.setattr("apps.experiments.services.bulk.experiment_touch", lambda pk: None)
    dana, run = browser(cast.dana), f"{RUNS}{'1' * 32}/"
    assert dana.post(f"{run}tag/", {"key": "k", "value": ""}, content_type="application/json").status_code == 200
    assert (
        dana.post(f"{run}tag/", {"key": "mlflow.x", "value": "1"}, content_type="application/json").status_code == 400
    )
    assert dana.post(f"{run}archive/").status_code == 200
    Run.objects.filter(run_id="1" * 32).update(archived=True)
    assert dana.post(f"{run}restore/").status_code == 200
    assert dana.post(f"/api/v1/experiments/{study.pk}/archive/").status_code == 200
    assert dana.post(f"/api/v1/experiments/{study.pk}/restore/").status_code == 200
    assert made == ["runs/set-tag", "runs/delete", "runs/restore", "experiments/delete", "experiments/restore"]
