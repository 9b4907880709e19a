"""A real MLflow server with workspaces vision, pricing and research, and the portal's route in front of it."""

import secrets
from collections.abc import Iterator
from typing import Any

import pytest

from tests.core.serving import free_port
from tests.experiments.conftest import Server, mlflow_database, module_serving, proxy_serving
from tests.experiments.mlflow_attacks import NOW, V2, V3

HEADER = "X-MLFLOW-WORKSPACE"


class WorkspaceServer(Server):
    """`direct` is somebody whom MLflow lets into every workspace; `within` is in one of them."""

    def within(self, workspace: str, method: str, noun: str, **options: Any) -> dict[str, Any]:
        answer = self.direct(method, f"{V2}/{noun}", headers={HEADER: workspace}, **options)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def experiment_in(self, workspace: str, name: str = "", **tags: str) -> str:
        data = {"name": name or f"study-{secrets.token_hex(4)}", "tags": pairs(tags)}
        return str(self.within(workspace, "POST", "experiments/create", json=data)["experiment_id"])

    def run_in(self, workspace: str, experiment: str, *, start: int = NOW, **metrics: float) -> str:
        made = self.within(workspace, "POST", "runs/create", json={"experiment_id": experiment, "start_time": start})
        run_id = str(made["run"]["info"]["run_id"])
        points = [{"key": key, "value": value, "timestamp": NOW, "step": 0} for key, value in metrics.items()]
        self.within(workspace, "POST", "runs/log-batch", json={"run_id": run_id, "metrics": points})
        return run_id

    def model_in(self, workspace: str, name: str, **tags: str) -> None:
        self.within(workspace, "POST", "registered-models/create", json={"name": name, "tags": pairs(tags)})


def pairs(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"key": key.replace("_", ".", 1), "value": value} for key, value in tags.items()]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkspaceServer]:
    folder, port = tmp_path_factory.mktemp("workspaces"), free_port()
    address = f"http://127.0.0.1:{port}"
    arguments = ["--artifacts-destination", f"file://{folder}/artifacts", "--port", str(port), "--workers", "1"]
    with (
        mlflow_database() as backend,
        module_serving(
            ["mlflow", "server", "--backend-store-uri", backend, *arguments, "--enable-workspaces"],
            folder / "server.log",
            f"{address}/health",
            seconds=120,
            cwd=folder,
            MLFLOW_DISABLE_TELEMETRY="true",
            MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false",
        ) as (process, seconds),
    ):
        found = WorkspaceServer(address, "", folder, process, seconds, backend.replace("+psycopg", "", 1))
        for name in ("vision", "pricing", "research"):
            assert found.direct("POST", f"{V3}/workspaces", json={"name": name}).status_code < 300
        yield found


@pytest.fixture(scope="session")
def route(server: WorkspaceServer) -> Iterator[WorkspaceServer]:
    """The server with the portal's route in front of it."""
    with proxy_serving(server):
        yield server
