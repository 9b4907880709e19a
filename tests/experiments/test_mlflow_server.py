"""The server process itself."""

from pathlib import Path

import psutil
import pytest
import requests

from apps.experiments import mlflow_server as server_module

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
