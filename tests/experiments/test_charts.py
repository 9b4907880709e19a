"""Curves are read from a real MLflow server, everything else from the index; what a person may not see is a 404."""

import json
import math
import secrets
from dataclasses import dataclass
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from apps.experiments.exceptions import TrackerAway
from apps.experiments.gateway import histories
from apps.experiments.gateway.histories import CurveOf, curves_kept, curves_read, history_bulk, points_of
from apps.experiments.models import Experiment, Run, RunMetric
from apps.experiments.selectors.charts import columns_of, unit_of, values_of_columns
from apps.experiments.services.curve_keeping import curves_keep
from tests.cast import Cast, browser, cast_make
from tests.experiments.conftest import Server
from tests.experiments.factories import experiment_make, run_make

pytestmark = pytest.mark.django_db
CURVES = "/experiments/charts/curves/"
HOSTILE = '</script><img src=x onerror="alert(1)">'


@pytest.fixture
def cast() -> Cast:
    return cast_make()


@pytest.fixture
def study(cast: Cast) -> Experiment:
    return experiment_make(cast.vision, "vision/digits", main_metric="auc")


@dataclass
class Tracker:
    """The real server, with the portal's settings pointing at it."""

    server: Server
    experiment: str

    def run(self, points: int = 0, **metrics: list[object]) -> str:
        """A run with a curve of so many points of `loss`, and those that are given value by value."""
        made = self.server.direct("POST", "/api/2.0/mlflow/runs/create", json={"experiment_id": self.experiment})
        run_id = made.json()["run"]["info"]["run_id"]
        curves = {"loss": [1 / (step + 1) for step in range(points)], **metrics}
        rows = [
            {"key": key, "value": value, "step": step, "timestamp": 1_700_000_000_000 + step * 1000}
            for key, values in curves.items()
            for step, value in enumerate(values)
        ]
        for begin in range(0, len(rows), 1000):
            body = {"run_id": run_id, "metrics": rows[begin : begin + 1000]}
            assert self.server.direct("POST", "/api/2.0/mlflow/runs/log-batch", json=body).status_code == 200
        return run_id


@pytest.fixture
def tracker(mlflow_server: Server, settings) -> Tracker:
    settings.MLFLOW_TRACKING_URI, settings.MLFLOW_SERVER_SECRET = mlflow_server.url, mlflow_server.secret
    cache.clear()
    name = {"name": f"charts-{secrets.token_hex(4)}"}
    made = mlflow_server.direct("POST", "/api/2.0/mlflow/experiments/create", json=name)
    return Tracker(mlflow_server, made.json()["experiment_id"])


@pytest.fixture
def away(settings):
    settings.MLFLOW_TRACKING_URI = "http://127.0.0.1:9"
    cache.clear()


# Curves


def test_curves_are_steps_values_and_times(cast, study, tracker):
    run = run_make(study, run_id=tracker.run(3))
    answer = browser(cast.dana).get(CURVES, {"run": run.run_id, "metric": "loss"})
    said = answer.json()
    assert [one["id"] for one in said["runs"]] == [run.run_id]
    curve = said["metrics"][0]["curves"][run.run_id]
    assert curve["steps"] == [0, 1, 2]
    assert curve["values"] == [1, 0.5, 1 / 3]
    assert (curve["from"], curve["times"]) == (1_700_000_000_000, [0, 1000, 2000])
    assert (curve["odd"], curve["sampled"], said["complete"]) == ({}, False, True)


def test_what_is_not_finite_is_a_gap_with_a_name(cast, study, tracker):
    run = run_make(study, run_id=tracker.run(loss=[1.0, "NaN", "Infinity", "-Infinity", 0.0]))
    curve = _curve(cast, run)
    assert curve["values"] == [1.0, None, None, None, 0.0]
    assert curve["odd"] == {"1": "NaN", "2": "∞", "3": "−∞"}


def test_a_long_curve_keeps_its_end_and_says_that_it_was_sampled(tracker):
    run_id = tracker.run(400)
    curve = json.loads(history_bulk([run_id], "loss", points=250)[run_id])
    assert len(curve["steps"]) == 250
    assert (curve["steps"][0], curve["steps"][-1], curve["sampled"]) == (0, 399, True)


def test_one_stranger_among_the_runs_is_left_out_and_counted(cast, study, tracker):
    own = run_make(study, run_id=tracker.run(2))
    foreign = run_make(experiment_make(cast.pricing), run_id=tracker.run(2))
    said = browser(cast.dana).get(CURVES, {"run": [own.run_id, foreign.run_id], "metric": "loss"}).json()
    assert [one["id"] for one in said["runs"]] == [own.run_id]
    assert said["missing"] == 1
    assert foreign.run_id not in said["metrics"][0]["curves"]


def test_curves_of_another_team_are_not_found(cast, study):
    run = run_make(study)
    assert browser(cast.mallory).get(CURVES, {"run": run.run_id, "metric": "loss"}).status_code == 404
    assert browser(cast.dana).get(CURVES, {"run": run.run_id}).status_code == 404
    assert browser(cast.dana).get(CURVES, {"run": "0" * 32, "metric": "loss"}).status_code == 404
    assert browser(None).get(CURVES, {"run": run.run_id, "metric": "loss"}).status_code == 302


def test_twenty_runs_are_drawn_and_the_others_counted(cast, study, tracker):
    ids = [run_make(study, run_id=tracker.run(1)).run_id for _ in range(22)]
    said = browser(cast.dana).get(CURVES, {"run": ids, "metric": "loss"}).json()
    assert [one["id"] for one in said["runs"]] == ids[:20]
    assert said["left_out"] == 2


def test_a_run_that_mlflow_has_lost_does_not_take_the_others_with_it(cast, study, tracker):
    lost, there = run_make(study), run_make(study, run_id=tracker.run(2))
    said = browser(cast.dana).get(CURVES, {"run": [lost.run_id, there.run_id], "metric": "loss"}).json()
    assert list(said["metrics"][0]["curves"]) == [there.run_id]


def test_a_server_without_columns_gives_the_same_curves(tracker, monkeypatch):
    odd = tracker.run(loss=[1.0, "NaN", "Infinity", "-Infinity", 0.0])
    runs = [tracker.run(400), odd, tracker.run(0), secrets.token_hex(16)]
    quick = history_bulk(runs, "loss", points=250)
    assert len(quick[runs[0]]) > len(quick[odd]) > len(quick[runs[2]])
    monkeypatch.setattr(histories.gateway, "offers", lambda path: False)
    assert history_bulk(runs, "loss", points=250) == quick


def test_a_server_is_asked_once_whether_it_has_columns(tracker, settings):
    assert histories.is_quick()
    settings.MLFLOW_TRACKING_URI += "/api"
    assert not histories.is_quick()
    settings.MLFLOW_TRACKING_URI = "http://127.0.0.1:9"
    with pytest.raises(TrackerAway):
        histories.is_quick()


def test_a_first_look_has_few_points_and_then_all_are_kept(cast, study, tracker, monkeypatch):
    monkeypatch.setattr(histories.gateway, "offers", lambda path: False)
    ids = [run_make(study, run_id=tracker.run(300)).run_id for _ in range(4)]
    client, query = browser(cast.dana), {"run": ids, "metric": "loss"}

    def look(**more: str) -> tuple[bool, set[int]]:
        said = client.get(CURVES, {**query, **more}).json()
        return said["complete"], {len(curve["values"]) for curve in said["metrics"][0]["curves"].values()}

    assert look(quick="1") == (False, {100})
    assert look() == (True, {300})
    assert look(quick="1") == (True, {300})


def test_a_few_curves_need_no_first_look(cast, study, tracker):
    run = run_make(study, run_id=tracker.run(300))
    assert browser(cast.dana).get(CURVES, {"run": run.run_id, "metric": "loss", "quick": "1"}).json()["complete"]


def test_ended_runs_are_asked_of_mlflow_once_and_again_when_they_changed(cast, study, tracker, monkeypatch):
    run = run_make(study, run_id=tracker.run(2))
    asked = []
    monkeypatch.setattr(histories.gateway, "call", _counting(asked, histories.gateway.call))
    _curve(cast, run)
    _curve(cast, run)
    assert len(asked) == 1
    Run.objects.filter(pk=run.pk).update(fingerprint="changed")
    _curve(cast, run)
    assert len(asked) == 2


def test_a_curve_that_was_read_whole_serves_charts_of_many_runs_too(tracker):
    run = CurveOf(tracker.run(300), "v1")
    curves_read([run], ["loss"], points=2500)
    assert list(curves_kept([run], ["loss"], points=500)) == [("loss", run.run_id)]
    sampled = CurveOf(run.run_id, "v2")
    curves_read([sampled], ["loss"], points=250)
    assert curves_kept([sampled], ["loss"], points=500) == {}
    assert len(curves_kept([sampled], ["loss"], points=250)) == 1


def test_curves_of_what_has_just_ended_are_read_before_anybody_looks(cast, study, tracker):
    now = timezone.now()
    ended = run_make(study, run_id=tracker.run(3), metrics={"loss": 0.3}, started_at=now - timedelta(seconds=60))
    long_ago = run_make(study, run_id=tracker.run(3), metrics={"loss": 0.3})
    running = run_make(study, run_id=tracker.run(3), metrics={"loss": 0.3}, started_at=now, seconds=None)
    RunMetric.objects.update(step=2)
    assert curves_keep() == 1
    curves = [CurveOf(run.run_id, run.fingerprint) for run in (ended, long_ago, running)]
    assert list(curves_kept(curves, ["loss"], points=1250)) == [("loss", ended.run_id)]


def test_what_has_just_ended_waits_while_mlflow_is_away(cast, study, away):
    run_make(study, metrics={"loss": 0.3}, started_at=timezone.now() - timedelta(seconds=60))
    RunMetric.objects.update(step=2)
    assert curves_keep() == 1


def test_a_running_run_is_asked_for_every_time_and_kept_nowhere(cast, study, tracker, monkeypatch):
    run = run_make(study, run_id=tracker.run(2), seconds=None)
    asked = []
    monkeypatch.setattr(histories.gateway, "call", _counting(asked, histories.gateway.call))
    client, query = browser(cast.dana), {"run": run.run_id, "metric": "loss"}
    for _ in range(2):
        answer = client.get(CURVES, query)
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.json()["runs"][0]["running"]
    assert len(asked) == 2


def test_the_browser_asks_whether_curves_of_ended_runs_still_hold(cast, study, tracker):
    run = run_make(study, run_id=tracker.run(2))
    client, query = browser(cast.dana), {"run": run.run_id, "metric": "loss"}
    tag = client.get(CURVES, query).headers["ETag"]
    assert client.get(CURVES, query, headers={"If-None-Match": tag}).status_code == 304
    stranger = browser(cast.mallory).get(CURVES, query, headers={"If-None-Match": tag})
    assert stranger.status_code == 404
    Run.objects.filter(pk=run.pk).update(fingerprint="changed")
    assert client.get(CURVES, query, headers={"If-None-Match": tag}).status_code == 200


def test_without_mlflow_the_curves_say_so_and_the_page_goes_on(cast, study, away):
    run = run_make(study, metrics={"auc": 0.9})
    answer = browser(cast.dana).get(CURVES, {"run": run.run_id, "metric": "auc"})
    assert (answer.status_code, answer.json()["code"]) == (503, "experiments:tracker-away")
    assert answer.headers["Retry-After"]
    assert browser(cast.dana).get(f"/experiments/{study.pk}/charts/").status_code == 200


def test_every_point_is_a_file_of_its_own(cast, study, tracker, monkeypatch):
    monkeypatch.setattr(histories, "PAGE_POINTS", 4)
    long = run_make(study, name="=cmd()", run_id=tracker.run(loss=[*range(9), "NaN"]))
    other = run_make(study, run_id=tracker.run(2))
    query = {"run": [long.run_id, other.run_id], "metric": "loss"}
    answer = browser(cast.dana).get("/experiments/charts/points/", query)
    rows = b"".join(answer.streaming_content).decode().splitlines()
    assert rows[0] == "run_id,run,metric,step,time,value"
    assert len(rows) == 1 + 10 + 2
    assert rows[1] == f"{long.run_id},'=cmd(),loss,0,2023-11-14T22:13:20.000+00:00,0.0"
    assert rows[10].endswith(",9,2023-11-14T22:13:29.000+00:00,NaN")
    assert browser(cast.mallory).get("/experiments/charts/points/", query).status_code == 404


def test_the_file_says_that_mlflow_is_away(cast, study, away):
    run = run_make(study)
    answer = browser(cast.dana).get("/experiments/charts/points/", {"run": run.run_id, "metric": "loss"})
    assert answer.status_code == 503


def test_columns_of_the_table_are_none_of_the_charts(cast, study):
    run_make(study, metrics={"auc": 0.9})
    page = browser(cast.dana).get(f"/experiments/{study.pk}/charts/?column=params.a&filter=duration+%3E+1&picked=x")
    said = page.context["page"]["values"]
    assert "filter=duration" in said
    assert "column" not in said
    assert "picked" not in said
    assert "column=params.a" in page.context["table_url"]


def test_several_metrics_are_read_side_by_side(tracker):
    run_id = tracker.run(3, acc=[0.1, 0.2])
    found = curves_read([CurveOf(run_id, "v1")], ["loss", "acc", "none"], points=250)
    lengths = {metric: len(json.loads(curves[run_id])["values"]) for metric, curves in found.items()}
    assert lengths == {"loss": 3, "acc": 2, "none": 0}


@pytest.mark.parametrize(("runs", "points"), [(1, 2500), (10, 2500), (20, 1250), (100, 250), (1000, 250)])
def test_the_more_runs_the_fewer_points_of_each(runs, points):
    assert points_of(runs) == points


# Values and columns


def test_values_come_for_each_run_in_the_order_of_the_selection(cast, study):
    first = run_make(study, metrics={"auc": 0.9}, params={"lr": "0.10", "kind": HOSTILE}, seconds=90)
    second = run_make(study, metrics={"auc": math.nan}, seconds=None)
    third = run_make(study, metrics={"auc": math.inf})
    query = {"run": [third.run_id, first.run_id, second.run_id]}
    wanted = ["metrics.auc", "params.lr", "params.kind", "duration", "metrics.none", "nonsense", "tags.x"]
    said = browser(cast.dana).get(f"/experiments/{study.pk}/charts/values/", {**query, "column": wanted}).json()
    assert [run["id"] for run in said["runs"]] == query["run"]
    assert said["columns"] == {
        "metrics.auc": ["∞", 0.9, "NaN"],
        "params.lr": [None, 0.1, None],
        "params.kind": [None, HOSTILE, None],
        "duration": [60, 90, None],
        "metrics.none": [None, None, None],
    }


def test_at_most_a_thousand_runs_are_drawn_and_the_rest_is_said(cast, study):
    rows = [_row(study, number) for number in range(1001)]
    Run.objects.bulk_create(rows)
    client = browser(cast.dana)
    said = client.get(f"/experiments/{study.pk}/charts/values/", {"column": "duration"}).json()
    assert (len(said["runs"]), said["total"]) == (1000, 1001)
    page = client.get(f"/experiments/{study.pk}/charts/").content.decode()
    assert "First 1,000 of 1,001 runs, newest first" in page


def test_charts_follow_the_filter_of_the_table(cast, study):
    run_make(study, metrics={"auc": 0.1})
    best = run_make(study, metrics={"auc": 0.9})
    said = browser(cast.dana).get("/experiments/charts/values/", {"filter": "metrics.auc > 0.5"}).json()
    assert [run["id"] for run in said["runs"]] == [best.run_id]


def test_a_filter_that_cannot_be_read_is_refused(cast, study):
    assert browser(cast.dana).get("/experiments/charts/", {"filter": "metrics.auc >"}).status_code == 400


def test_columns_know_their_unit_their_values_and_whether_they_have_a_history(cast, study):
    runs = [
        run_make(study, metrics={"auc": 0.1 * n, "fit_seconds": 3}, params={"lr": "0.1", "kind": "a" if n else "b"})
        for n in range(3)
    ]
    runs[0].metrics.filter(key="auc").update(step=10)
    columns = {column.key: column for column in columns_of(runs)}
    assert (columns["metrics.auc"].values, columns["metrics.auc"].history, columns["metrics.auc"].lower) == (
        3,
        True,
        False,
    )
    assert (columns["metrics.fit_seconds"].unit, columns["metrics.fit_seconds"].lower) == ("s", True)
    assert (columns["params.lr"].numbers, columns["params.kind"].numbers, columns["params.kind"].values) == (3, 0, 2)
    assert columns["duration"].unit == "s"
    assert "gpu_seconds" not in columns


def test_a_run_with_ten_thousand_metrics_offers_three_hundred(cast, study):
    runs = [run_make(study, metrics={f"m{number}": 1.0 for number in range(2000)})]
    assert len([column for column in columns_of(runs) if column.kind == "metric"]) == 300


def test_memory_is_said_in_gigabyte_hours(cast, study):
    run = run_make(study, memory_byte_seconds=2 * 2**30 * 3600.0)
    assert values_of_columns([run], ["memory_byte_seconds"]) == {"memory_byte_seconds": [2.0]}


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("fit_seconds", "s"),
        ("system/cpu_utilization_percentage", "%"),
        ("latency_ms", "ms"),
        ("auc", ""),
        ("items", ""),
    ],
)
def test_the_unit_is_what_the_name_ends_in(name, unit):
    assert unit_of(name) == unit


# The page


def test_who_sees_the_page(cast, study):
    run_make(study, metrics={"auc": 0.9})
    path = reverse("experiments:experiment-charts", args=[study.pk])
    for person in (cast.dana, cast.mira, cast.pete, cast.ada):
        assert browser(person).get(path).status_code == 200
    assert browser(cast.mallory).get(path).status_code == 404
    assert browser(cast.mallory).get(f"{path}values/").status_code == 404
    assert browser(None).get(path).status_code == 302
    assert b"No runs to draw" in browser(cast.mallory).get("/experiments/charts/").content


def test_names_of_metrics_and_params_are_data(cast, study):
    run_make(study, name=HOSTILE, metrics={HOSTILE: 0.5}, params={HOSTILE: "1"})
    page = browser(cast.dana).get(f"/experiments/{study.pk}/charts/").content.decode()
    assert "<img src=x" not in page
    assert page.count("</script>") == page.count("<script")


def test_the_page_asks_as_often_for_many_runs_as_for_few(cast, study, away):
    for _ in range(2):
        run_make(study, metrics={"auc": 0.9}, params={"lr": "1"})
    client = browser(cast.dana)
    path = f"/experiments/{study.pk}/charts/"
    client.get(path)
    few = _queries(client, path)
    for _ in range(30):
        run_make(study, metrics={"auc": 0.9}, params={"lr": "1"})
    assert _queries(client, path) == few


def _queries(client, path: str) -> int:
    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert client.get(path).status_code == 200
    return len(queries)


def _curve(cast: Cast, run: Run) -> dict[str, object]:
    said = browser(cast.dana).get(CURVES, {"run": run.run_id, "metric": "loss"}).json()
    return said["metrics"][0]["curves"][run.run_id]


def _counting(asked: list[str], call):
    def counted(method: str, path: str, **more):
        asked.append(path)
        return call(method, path, **more)

    return counted


def _row(experiment: Experiment, number: int) -> Run:
    run_id = f"{number:032x}"
    return Run(run_id=run_id, experiment=experiment, status="FINISHED", family=run_id, haystack="", fingerprint="x")
