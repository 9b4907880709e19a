"""Rows of the index, made from what a real MLflow server says of its runs."""

import math
import secrets

import pytest

from apps.accounts.models import Team
from apps.experiments.models import Experiment, Run
from apps.experiments.services.indexing import aggregates_write, index_runs, run_touch, runs_touch
from tests.experiments.tracker import Tracker
from tests.factories import TeamFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def vision() -> Team:
    return TeamFactory(slug="vision")


def test_a_run_is_written_with_everything_it_logged(tracker: Tracker, vision: Team) -> None:
    experiment_id = tracker.experiment("vision/unets/night")
    tags = {"kind": "night", "mlflow.source.git.commit": "abc123", "mlflow.note.content": "Best *so far*"}
    run_id = tracker.run(
        experiment_id,
        end=1_762_000_060_000,
        name="first",
        tags=tags,
        metrics={"auc": 0.9, "odd": "NaN", "far": "Infinity"},
        params={"lr": "0.01", "net": "unet", "long": "x" * 6000},
    )

    index_runs([tracker.get(run_id)])

    run = Run.objects.select_related("experiment").get(run_id=run_id)
    assert (run.name, run.status, run.duration_ms, run.note) == ("first", "FINISHED", 60_000, "Best *so far*")
    assert (run.commit, run.family, run.archived) == ("abc123", run_id, False)
    assert (run.experiment.team, run.experiment.folder) == (vision, "vision/unets")
    assert dict(run.metrics.values_list("key", "value")) == {"auc": 0.9, "odd": None, "far": math.inf}
    assert dict(run.params.values_list("key", "number")) == {"lr": 0.01, "net": None, "long": None}
    assert len(run.params.get(key="long").value) == 6000
    assert set(run.tags.values_list("key", flat=True)) == {"kind", "mlflow.source.git.commit"}
    assert "best *so far*" in run.haystack
    assert "unet" in run.haystack


def test_only_what_differs_is_written_again(tracker: Tracker, vision: Team) -> None:
    run_id = tracker.run(tracker.experiment(), metrics={"auc": 0.5, "loss": 1.0}, params={"lr": "0.1"})
    index_runs([tracker.get(run_id)])
    run = Run.objects.get(run_id=run_id)
    before = dict(run.metrics.values_list("key", "id"))
    assert not index_runs([tracker.get(run_id)]).runs, "nothing has changed"

    tracker.log(run_id, metrics={"auc": 0.8, "f1": 0.7}, step=1)
    tracker.ask("runs/set-tag", run_id=run_id, key="kind", value="day")
    assert index_runs([tracker.get(run_id)]).runs == {run.experiment_id: {run_id}}

    assert dict(run.metrics.values_list("key", "value")) == {"auc": 0.8, "loss": 1.0, "f1": 0.7}
    assert dict(run.metrics.filter(key__in=before).values_list("key", "id")) == before
    assert run.tags.get().short == "day"
    tracker.ask("runs/delete-tag", run_id=run_id, key="kind")
    run_touch(run_id)
    assert not run.tags.exists()


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0), (2, 0, 1)])
def test_a_family_is_found_however_deep_and_in_any_order(
    tracker: Tracker, vision: Team, order: tuple[int, ...]
) -> None:
    experiment_id = tracker.experiment()
    top = tracker.run(experiment_id)
    middle = tracker.run(experiment_id, tags={"mlflow.parentRunId": top})
    leaf = tracker.run(experiment_id, tags={"mlflow.parentRunId": middle})

    for place in order:
        index_runs([tracker.get((top, middle, leaf)[place])])

    assert set(Run.objects.values_list("family", flat=True)) == {top}
    aggregates_write([experiment_id])
    assert Experiment.objects.get().has_children


def test_runs_that_are_each_others_parents_end_nothing(tracker: Tracker, vision: Team) -> None:
    experiment_id = tracker.experiment()
    one = tracker.run(experiment_id)
    two = tracker.run(experiment_id, tags={"mlflow.parentRunId": one})
    tracker.ask("runs/set-tag", run_id=one, key="mlflow.parentRunId", value=two)
    index_runs([tracker.get(one), tracker.get(two)])
    assert Run.objects.count() == 2


def test_an_experiment_adds_up_its_runs(tracker: Tracker, vision: Team) -> None:
    experiment_id = tracker.experiment()
    ids = [
        tracker.run(experiment_id, start=1_762_000_000_000 + at, end=1_762_000_050_000, metrics={"val_loss": value})
        for at, value in enumerate([0.5, 0.2, "NaN", 0.4, "Infinity"])
    ]
    tracker.ask("runs/update", run_id=ids[0], status="FAILED")
    for run_id in ids:
        run_touch(run_id)

    experiment = Experiment.objects.get()
    assert (experiment.run_count, experiment.failed_count, experiment.running_count) == (5, 1, 0)
    assert (experiment.main_metric, experiment.main_goal, experiment.best_value) == ("val_loss", "min", 0.2)
    assert experiment.recent_values == [0.5, 0.2, 0.4]

    tracker.ask("runs/delete", run_id=ids[1])
    run_touch(ids[1])
    experiment.refresh_from_db()
    assert (experiment.run_count, experiment.best_value) == (4, 0.4)


def test_of_metrics_as_common_the_one_on_unseen_data_is_the_main_one(tracker: Tracker, vision: Team) -> None:
    experiment_id = tracker.experiment()
    run_touch(tracker.run(experiment_id, metrics={"train_score": 0.99}))
    assert Experiment.objects.get().main_metric == "train_score"
    run_touch(tracker.run(experiment_id, metrics={"train_score": 0.99, "val_accuracy": 0.9, "a_loss": 1.0}))
    run_touch(tracker.run(experiment_id, metrics={"val_accuracy": 0.8}))
    assert Experiment.objects.get().main_metric == "val_accuracy"


def test_ten_thousand_metrics_and_markup_are_kept_as_they_are(tracker: Tracker, vision: Team) -> None:
    name = "<img src=x onerror=alert(1)>"
    run_id = tracker.run(tracker.experiment(), name=name, metrics={f"layer-{n}": n for n in range(10_000)})
    runs_touch([run_id])
    index_runs([tracker.get(run_id)])
    run = Run.objects.get()
    assert (run.name, run.metrics.count()) == (name, 10_000)
    tracker.log(run_id, metrics={"layer-7": -1.0}, step=2)
    runs_touch([run_id])
    assert run.metrics.get(key="layer-7").value == -1.0


def test_what_postgresql_cannot_keep_is_replaced(vision: Team) -> None:
    Experiment.objects.create(id="7", name="vision/odd", team=vision)
    said = {
        "info": {"run_id": "r" * 32, "experiment_id": "7", "run_name": "a\x00b", "status": "ODD", "start_time": 10**30},
        "data": {
            "params": [{"key": "half\ud800", "value": "\udfff"}],
            "metrics": [{"key": "m", "value": "nonsense", "step": 2**70}],
            "tags": [{"key": "mlflow.parentRunId", "value": "x" * 500}],
        },
    }
    index_runs([said])
    run = Run.objects.get()
    assert (run.name, run.started_at, run.parent_run_id) == ("a\ufffdb", None, "")
    assert run.params.get().key == "half\ufffd"


def test_a_team_that_the_portal_does_not_have_owns_nothing(tracker: Tracker, vision: Team) -> None:
    made = {
        "strangers/x": None,
        "loose": None,
        "strangers/y": [{"key": "slipway.team", "value": "vision"}],
    }
    for name, tags in made.items():
        run_touch(tracker.run(tracker.experiment(f"{name}-{secrets.token_hex(3)}", **({"tags": tags} if tags else {}))))
    teams = {each.name.rpartition("-")[0]: each.team for each in Experiment.objects.select_related("team")}
    assert teams == {"strangers/x": None, "loose": None, "strangers/y": vision}
