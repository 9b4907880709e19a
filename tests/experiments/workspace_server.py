"""A real MLflow server with workspaces vision, pricing and research, and the portal's route in front of it."""

import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.core.serving import free_port
from tests.experiments.conftest import ROOT, Server, clean_environment, process_end, wait_until_healthy
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
    import psycopg

    folder = tmp_path_factory.mktemp("workspaces")
    database, url = f"mlflow_{secrets.token_hex(6)}", os.environ["DATABASE_URL"]
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {database}")
    head, _, tail = url.replace("postgresql://", "postgresql+psycopg://", 1).partition("?")
    backend = head.rpartition("/")[0] + f"/{database}" + (f"?{tail}" if tail else "")
    port, log = free_port(), folder / "server.log"
    arguments = ["--backend-store-uri", backend, "--artifacts-destination", f"file://{folder}/artifacts"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", "server", *arguments, "--port", str(port), "--workers", "1",
             "--enable-workspaces"],
            cwd=folder,
            env=clean_environment(MLFLOW_DISABLE_TELEMETRY="true", MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false"),
            stdout=output,
            stderr=output,
            start_new_session=True,
        )  # fmt: skip
    try:
        seconds = wait_until_healthy(f"http://127.0.0.1:{port}/health", process, log, 120)
        found = WorkspaceServer(f"http://127.0.0.1:{port}", "", folder, process, seconds)
        found.database_url = backend.replace("+psycopg", "", 1)
        for name in ("vision", "pricing", "research"):
            assert found.direct("POST", f"{V3}/workspaces", json={"name": name}).status_code < 300
        yield found
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process_end(process)
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {database} WITH (FORCE)")


@pytest.fixture(scope="session")
def route(server: WorkspaceServer) -> Iterator[WorkspaceServer]:
    """The server with the portal's route in front of it."""
    port, log = free_port(), server.folder / "proxy.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.experiments.proxy_process", server.url, str(port)],
            cwd=ROOT,
            env=clean_environment(MLFLOW_SERVER_SECRET=""),
            stdout=output,
            stderr=output,
        )
    try:
        wait_until_healthy(f"http://127.0.0.1:{port}/mlflow/health", process, log)
        server.proxy = f"http://127.0.0.1:{port}/mlflow"
        yield server
    finally:
        process_end(process)
