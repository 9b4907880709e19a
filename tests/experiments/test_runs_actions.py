"""What is done from the runs table: selected runs changed or compared, the experiment's own, views, exports."""

import csv
import io
from typing import Any

import pytest
from django.test import Client

from apps.audit.models import AuditEvent
from apps.experiments.exceptions import TrackerAway
from apps.experiments.models import Experiment, Run, SavedView
from tests.cast import Cast, browser, cast_make
from tests.experiments.factories import five_runs_make, run_make

pytestmark = pytest.mark.django_db


@pytest.fixture
def cast() -> Cast:
    return cast_make()


@pytest.fixture
def study(cast: Cast) -> Experiment:
    return five_runs_make(cast.vision)


@pytest.fixture
def dana(cast: Cast) -> Client:
    return browser(cast.dana)


class Calls:
    """Stands where MLflow is called, and writes down what was asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.made: list[tuple[str, dict[str, Any]]] = []
        self.touched: list[str] = []
        self.away_after = 99
        monkeypatch.setattr("apps.experiments.services.bulk.call", self.call)
        monkeypatch.setattr("apps.experiments.services.bulk.runs_touch", self.touched.extend)
        monkeypatch.setattr("apps.experiments.services.bulk.experiment_touch", self.touched.append)

    def call(self, method: str, path: str, json: dict[str, Any]) -> dict[str, Any]:
        if len(self.made) >= self.away_after:
            raise TrackerAway
        self.made.append((path, json))
        return {}


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    return Calls(monkeypatch)


def test_selected_runs_are_tagged_archived_and_restored(
    cast: Cast, dana: Client, study: Experiment, calls: Calls
) -> None:
    run = ["1" * 32, "2" * 32]
    answer = dana.post(
        "/experiments/bulk/", {"action": "tag", "run": run, "key": "good", "value": "yes", "kept": "filter=a"}
    )
    assert answer["Location"] == "/experiments/runs/?filter=a"
    tagged = [("runs/set-tag", {"run_id": one, "key": "good", "value": "yes"}) for one in run]
    assert sorted(calls.made, key=str) == tagged
    dana.post("/experiments/bulk/", {"action": "archive", "run": run, "experiment": study.pk})
    Run.objects.filter(run_id=run[0]).update(archived=True)
    dana.post("/experiments/bulk/", {"action": "restore", "run": run})
    assert [path for path, _ in calls.made[2:]] == ["runs/delete", "runs/delete", "runs/restore"]
    assert len(calls.touched) == 5
    actions = [event.action for event in AuditEvent.objects.order_by("pk") if event.action.startswith("experiments:")]
    assert sorted(actions) == ["experiments:run:archived", "experiments:run:restored", "experiments:run:tagged"]


def test_who_may_not_change_runs(cast: Cast, study: Experiment, calls: Calls) -> None:
    body = {"action": "archive", "run": ["1" * 32]}
    assert browser(cast.ada).post("/experiments/bulk/", body).status_code == 403
    assert browser(cast.pete).post("/experiments/bulk/", body).status_code == 403
    assert browser(cast.mallory).post("/experiments/bulk/", body).status_code == 404
    assert browser(cast.ada).post("/experiments/notes/", {"run": "1" * 32, "note": "x"}).status_code == 403
    assert browser(cast.mallory).post("/experiments/notes/", {"run": "1" * 32, "note": "x"}).status_code == 404
    assert browser(cast.ada).post(f"/experiments/{study.pk}/archive/").status_code == 403
    assert browser(cast.mallory).post(f"/experiments/{study.pk}/archive/").status_code == 404
    assert (
        browser(cast.ada).post(f"/experiments/{study.pk}/main-metric/", {"metric": "x", "goal": "max"}).status_code
        == 403
    )
    assert not calls.made
    assert 'value="archive"' not in browser(cast.ada).get(f"/experiments/{study.pk}/").content.decode()


@pytest.mark.parametrize(
    "body",
    [
        {"action": "tag", "run": ["1" * 32], "key": "mlflow.user"},
        {"action": "tag", "run": ["1" * 32], "key": ""},
        {"action": "archive"},
        {"action": "archive", "run": ["-"]},
        {"action": "archive", "run": [f"{n:032}" for n in range(201)]},
    ],
)
def test_what_cannot_be_done_is_said(dana: Client, study: Experiment, calls: Calls, body: dict[str, Any]) -> None:
    assert "notice-bad" not in dana.get(f"/experiments/{study.pk}/").content.decode()
    assert dana.post("/experiments/bulk/", body).status_code == 302
    assert not calls.made
    assert "notice-bad" in dana.get(f"/experiments/{study.pk}/").content.decode()


def test_what_was_done_before_mlflow_went_away_is_told(dana: Client, study: Experiment, calls: Calls) -> None:
    calls.away_after = 1
    answer = dana.post("/experiments/bulk/", {"action": "archive", "run": ["1" * 32, "2" * 32]}, follow=True)
    assert "does not answer just now" in answer.content.decode()
    event = AuditEvent.objects.get(action="experiments:run:archived")
    assert event.after["runs"] == calls.touched == [calls.made[0][1]["run_id"]]


def test_an_experiment_is_archived_and_restored(dana: Client, study: Experiment, calls: Calls) -> None:
    dana.post(f"/experiments/{study.pk}/archive/")
    dana.post(f"/experiments/{study.pk}/archive/", {"restore": "1"})
    assert [path for path, _ in calls.made] == ["experiments/delete", "experiments/restore"]
    assert study.pk in calls.touched


def test_the_main_metric_is_chosen(dana: Client, study: Experiment) -> None:
    dana.post(f"/experiments/{study.pk}/main-metric/", {"metric": "loss", "goal": "min"})
    study.refresh_from_db()
    assert (study.main_metric, study.main_goal, study.main_metric_chosen) == ("loss", "min", True)
    assert study.best_value == pytest.approx(0.6)


def test_selected_runs_are_compared_at_an_address_of_their_own(dana: Client, study: Experiment) -> None:
    body = {"run": ["1" * 32, "2" * 32], "experiment": study.pk}
    asked = f"?run={'1' * 32}&run={'2' * 32}"
    assert dana.post("/experiments/bulk/", {**body, "action": "compare"})["Location"] == f"/experiments/compare/{asked}"
    charts = dana.post("/experiments/bulk/", {**body, "action": "charts"})["Location"]
    assert charts == f"/experiments/{study.pk}/charts/{asked}"
    assert dana.post("/experiments/bulk/", {**body, "action": "nonsense"}).status_code == 400


def test_members_are_offered_the_main_metric(cast: Cast, dana: Client, study: Experiment) -> None:
    url = f"/experiments/columns/?experiment={study.pk}"
    assert "Choose metric" in dana.get(url).content.decode()
    assert "Choose metric" not in browser(cast.ada).get(url).content.decode()


def test_views_are_saved_shared_and_opened_by_address(cast: Cast, dana: Client, study: Experiment) -> None:
    given = {"name": "Best", "query": "filter=adam&ordering=-metrics.auc&evil=1", "experiment": study.pk}
    dana.post("/experiments/views/", given)
    dana.post("/experiments/views/", given)
    view = SavedView.objects.get()
    assert view.query == "filter=adam&ordering=-metrics.auc"
    opened = dana.get(f"/experiments/views/{view.pk}/")
    assert opened["Location"] == f"/experiments/{study.pk}/?filter=adam&ordering=-metrics.auc"
    assert browser(cast.mira).get(f"/experiments/views/{view.pk}/").status_code == 404
    dana.post("/experiments/views/", {**given, "name": "Shared", "shared": "on"})
    shared = SavedView.objects.get(name="Shared")
    assert browser(cast.mira).get(f"/experiments/views/{shared.pk}/").status_code == 302
    assert browser(cast.mallory).get(f"/experiments/views/{shared.pk}/").status_code == 404
    assert browser(cast.mira).post(f"/experiments/views/{shared.pk}/delete/").status_code == 403
    assert "Shared" in browser(cast.mira).get(f"/experiments/{study.pk}/").content.decode()
    assert dana.post(f"/experiments/views/{shared.pk}/delete/").status_code == 302
    assert AuditEvent.objects.filter(action__startswith="experiments:view:").count() == 2
    for odd in ({"name": ""}, {"name": "x" * 99}, {"query": "x" * 5000}):
        assert dana.post("/experiments/views/", {**given, "name": "odd", **odd}).status_code == 302
    assert SavedView.objects.count() == 1


def test_a_view_over_all_experiments_is_shared_with_a_team_of_ones_own(cast: Cast, dana: Client) -> None:
    dana.post("/experiments/views/", {"name": "mine", "query": "", "shared": "on", "team": "pricing"})
    dana.post("/experiments/views/", {"name": "none", "query": "", "shared": "on"})
    assert not SavedView.objects.exists()
    dana.post("/experiments/views/", {"name": "ours", "query": "", "shared": "on", "team": "vision"})
    assert SavedView.objects.get().team == cast.vision


def test_exports_hold_every_run_of_the_query(cast: Cast, dana: Client, study: Experiment) -> None:
    run_make(study, name="=cmd()", metrics={"auc": float("nan")}, params={"lr": "-0.5"})
    answer = dana.get("/experiments/export/", {"experiment": study.pk, "ordering": "metrics.auc", "format": "csv"})
    text = b"".join(answer.streaming_content).decode()
    lines = list(csv.reader(io.StringIO(text)))
    assert lines[0][:4] == ["run_id", "name", "status", "experiment"]
    assert "metrics.auc" in lines[0]
    assert len(lines) == 7
    assert "'=cmd()" in lines[6]
    assert "NaN" in lines[6]
    assert "-0.5" in lines[6]
    answer = dana.get(
        "/experiments/export/", {"experiment": study.pk, "format": "parquet", "filter": "metrics.auc > 0.6"}
    )
    import pyarrow.parquet as pq

    table = pq.read_table(io.BytesIO(b"".join(answer.streaming_content)))
    assert table.num_rows == 3
    assert sorted(table.column("metrics.auc").to_pylist()) == pytest.approx([0.7, 0.8, 0.9])
    assert dana.get("/experiments/export/", {"format": "xls"}).status_code == 400
    assert dana.get("/experiments/export/", {"filter": "("}).status_code == 400
    assert browser(cast.mallory).get("/experiments/export/", {"experiment": study.pk}).status_code == 404
