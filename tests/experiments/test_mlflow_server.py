"""The server process itself."""

import json
from pathlib import Path

import psutil
import pytest
import requests

from apps.experiments.gateway import runs as gateway_runs
from apps.experiments.mlflow_server import server as server_module
from tests.experiments.hostile import METRICS, PARAMS, TAGS

pytestmark = [pytest.mark.slow]


def test_only_health_answers_without_the_secret(mlflow_server):
    assert requests.get(mlflow_server.url + "/health", timeout=5).status_code == 200
    for path in ("/", "/version", "/api/2.0/mlflow/experiments/search?max_results=1", "/health/", "/health?x=/../api"):
        for headers in ({}, {"X-Slipway-MLflow-Secret": "wrong"}, {"X-Slipway-MLflow-Secret": ""}):
            if path.startswith("/health?"):
                continue
            assert requests.get(mlflow_server.url + path, headers=headers, timeout=5).status_code == 401
    assert mlflow_server.direct("GET", "/version").text.startswith("3.")


def test_what_works_on_the_servers_own_machine_is_shut(mlflow_server):
    for path in ("/ajax-api/3.0/mlflow/assistant/config", "/ajax-api/3.0/jobs/1", "/gateway/x/mlflow/invocations"):
        assert mlflow_server.direct("GET", path).status_code == 404


def test_unknown_hosts_are_refused(mlflow_server):
    headers = {"Host": "evil.example"}
    assert mlflow_server.direct("GET", "/api/2.0/mlflow/experiments/search", headers=headers).status_code == 403


def test_it_is_one_process_that_shows_no_secret(mlflow_server):
    process = psutil.Process(mlflow_server.process.pid)
    assert process.children(recursive=True) == []
    assert mlflow_server.secret not in " ".join(process.cmdline())
    assert "postgresql" not in " ".join(process.cmdline())
    assert process.memory_info().rss < 400 * 2**20


def test_artifacts_go_to_the_given_folder_only_its_owner_may_enter(mlflow_server):
    path = "/api/2.0/mlflow-artifacts/artifacts/0/probe.txt"
    assert mlflow_server.direct("PUT", path, data=b"hello").status_code == 200
    folder = Path(mlflow_server.folder / "artifacts")
    assert (folder / "0" / "probe.txt").read_bytes() == b"hello"
    assert folder.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("missing", ["MLFLOW_SERVER_SECRET", "MLFLOW_BACKEND_STORE_URI"])
def test_it_does_not_start_without_its_secrets(monkeypatch, tmp_path, missing):
    for name in ("MLFLOW_SERVER_SECRET", "MLFLOW_BACKEND_STORE_URI"):
        monkeypatch.setenv(name, "" if name == missing else "x")
    with pytest.raises(SystemExit, match=missing):
        server_module.main(["--port", "1", "--artifacts-destination", str(tmp_path)])


@pytest.mark.parametrize(
    "query",
    ["metric_key=a", "run_ids=a", "run_ids=a&metric_key=a&metric_key=b", "run_ids=a&metric_key=a&max_results=-1"]
    + ["&".join(f"run_ids={number}" for number in range(101)) + "&metric_key=a"],
)
def test_histories_name_one_metric_and_up_to_a_hundred_runs(mlflow_server, query):
    answer = mlflow_server.direct("GET", f"/slipway/histories?{query}")
    assert (answer.status_code, answer.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")


def test_histories_are_for_the_portal_alone(mlflow):
    assert requests.get(f"{mlflow.url}/slipway/histories", timeout=5).status_code == 401
    assert mlflow.ask("dana-laptop", "GET", "/slipway/histories?run_ids=a&metric_key=a").status_code == 404


@pytest.fixture
def study(tracker):
    """An experiment with a run of everything that MLflow keeps, one of nothing, one archived and five plain ones."""
    experiment = tracker.experiment()
    whole = tracker.run(
        experiment, start=9, end=19, name="whole", metrics=METRICS | {"loss": 0.5}, params=PARAMS, tags=TAGS
    )
    tracker.ask("runs/log-metric", run_id=whole, key="loss", value=0.25, timestamp=7, step=-3)
    data = {"name": "orders", "digest": "d1", "source_type": "local", "source": "{}"}
    described = {**data, "digest": "d2", "schema": '{"a": 1}', "profile": "rows: 3"}
    context = [{"key": "mlflow.data.context", "value": "training"}]
    inputs = [{"dataset": data}, {"dataset": described, "tags": context}]
    tracker.ask("runs/log-inputs", run_id=whole, datasets=inputs)
    model = tracker.ask("logged-models", experiment_id=experiment, name="net", source_run_id=whole)
    model_id = model["model"]["info"]["model_id"]
    tracker.ask("runs/outputs", run_id=whole, models=[{"model_id": model_id, "step": 0}])
    told = {"key": "auc", "value": 0.9, "timestamp": 8, "step": 1}
    of_data = {"model_id": model_id, "dataset_name": "orders", "dataset_digest": "d1"}
    tracker.ask("runs/log-metric", run_id=whole, **told, **of_data)
    tracker.ask("runs/create", experiment_id=experiment)
    tracker.ask("runs/delete", run_id=tracker.run(experiment, start=5, params={"of": "archived"}))
    for number in range(5):
        tracker.run(experiment, start=100 + number, metrics={"loss": number}, params={"number": str(number)})
    return experiment


@pytest.mark.parametrize(
    "asked",
    [
        {"run_view_type": "ALL"},
        {},
        {"run_view_type": "DELETED_ONLY"},
        {"order_by": ["metrics.loss DESC"], "max_results": 3},
        {"order_by": ["attributes.start_time DESC"], "max_results": 3, "page_token": gateway_runs.offset_token(3)},
        {"filter": "metrics.loss > 1 AND params.number != '4'"},
        {"filter": "attributes.start_time > 9000000"},
        {"filter": "metrics.loss is odd"},
        {"page_token": "no token"},
    ],
)
def test_a_page_of_runs_is_what_mlflow_says(mlflow_server, study, asked):
    body = {"experiment_ids": [study], **asked}
    theirs = mlflow_server.direct("POST", "/api/2.0/mlflow/runs/search", json=body)
    ours = mlflow_server.direct("POST", "/slipway/runs", json=body)
    assert ours.status_code == theirs.status_code, ours.text
    assert sorted_lists(ours.text) == sorted_lists(theirs.text)


def sorted_lists(answer: str):
    """MLflow gives what belongs to a run in no order, and a number that is not finite as text."""
    said = json.loads(answer, parse_constant=str)
    for run in said.get("runs", ()):
        for lists in (run["data"], run["inputs"], run["outputs"]):
            for values in lists.values():
                values.sort(key=json.dumps)
    return said


@pytest.mark.parametrize(
    "asked",
    [b"", b"[]", b"{}", *(json.dumps({"experiment_ids": ["1"], **wrong}).encode() for wrong in (
        {"experiment_ids": "1"}, {"experiment_ids": [1]}, {"max_results": 0}, {"max_results": True}, {"filter": 1},
        {"max_results": 50_001}, {"run_view_type": "SOME"}, {"run_view_type": []}, {"order_by": "loss"},
        {"page_token": 3},
    ))],
)  # fmt: skip
def test_a_page_of_runs_wants_the_body_of_a_search(mlflow_server, asked):
    answer = mlflow_server.direct("POST", "/slipway/runs", data=asked)
    assert (answer.status_code, answer.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")


def test_a_page_of_runs_is_for_the_portal_alone(mlflow):
    assert requests.post(f"{mlflow.url}/slipway/runs", timeout=5).status_code == 401
    assert mlflow.ask("dana-laptop", "POST", "/slipway/runs", json={"experiment_ids": ["0"]}).status_code == 404


def test_a_server_without_pages_of_runs_is_asked_as_mlflow_documents_it(study, monkeypatch):
    asked = {"experiment_ids": [study], "order_by": ["attributes.start_time DESC"]}
    quick = gateway_runs.runs_search(**asked)
    monkeypatch.setattr(gateway_runs, "offers", lambda path: False)
    assert [run["info"] for run in gateway_runs.runs_search(**asked).runs] == [run["info"] for run in quick.runs]
