"""A real MLflow server on the test run's PostgreSQL, and the portal's route in front of it, each in its own process."""

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
import requests

from tests.core.serving import free_port

ROOT = Path(__file__).parents[2]
PLUGIN = ROOT / "terraform" / "modules" / "local-notebook" / "runtime" / "plugin"


@dataclass
class Server:
    """`url` needs the secret, `proxy` a token of `proxy_process.PEOPLE`."""

    url: str
    secret: str
    folder: Path
    process: subprocess.Popen[bytes]
    started_seconds: float
    database_url: str = ""
    proxy: str = ""
    proxy_process: "subprocess.Popen[bytes] | None" = None
    made: list[str] = field(default_factory=list)

    def direct(self, method: str, path: str, **options: Any) -> requests.Response:
        headers = {"X-Slipway-MLflow-Secret": self.secret, **options.pop("headers", {})}
        return requests.request(method, self.url + path, headers=headers, timeout=30, **options)

    def ask(self, token: str, method: str, path: str, **options: Any) -> requests.Response:
        """Through the portal's route; `path` without the API's prefix starts at a noun: "runs/get"."""
        if not path.startswith("/"):
            path = f"/api/2.0/mlflow/{path}"
        headers = {"Authorization": f"Bearer {token}", **options.pop("headers", {})}
        return requests.request(method, self.proxy + path, headers=headers, timeout=30, **options)

    def experiment(self, token: str, name: str) -> str:
        answer = self.ask(token, "POST", "experiments/create", json={"name": f"{name}-{secrets.token_hex(4)}"})
        assert answer.status_code == 200, answer.text
        return answer.json()["experiment_id"]

    def run(self, token: str, experiment_id: str, **more: Any) -> str:
        answer = self.ask(token, "POST", "runs/create", json={"experiment_id": experiment_id, **more})
        assert answer.status_code == 200, answer.text
        return answer.json()["run"]["info"]["run_id"]

    def tags(self, run_id: str) -> dict[str, str]:
        run = self.direct("GET", f"/api/2.0/mlflow/runs/get?run_id={run_id}").json()["run"]
        return {tag["key"]: tag["value"] for tag in run["data"]["tags"]}


def clean_environment(**more: str) -> dict[str, str]:
    # Finding out what a logged model requires loads it in a Python of its own, for ten seconds that prove nothing here.
    own = {"LANG": "C.UTF-8", "MLFLOW_REQUIREMENTS_INFERENCE_TIMEOUT": "1"}
    return {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **own, **more}


def wait_until_healthy(url: str, process: "subprocess.Popen[bytes]", log: Path, seconds: float = 60) -> float:
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        try:
            if requests.get(url, timeout=2).status_code < 500:
                return time.monotonic() - began
        except requests.ConnectionError:
            pass
        assert process.poll() is None, log.read_text()
        time.sleep(0.05)
    raise AssertionError(log.read_text())


def process_end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextmanager
def mlflow_database() -> Iterator[str]:
    """A database of its own on the test run's PostgreSQL; the address names SQLAlchemy's driver, as MLflow wants it."""
    database, url = f"mlflow_{secrets.token_hex(6)}", os.environ["DATABASE_URL"]
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {database}")
    head, _, tail = url.replace("postgresql://", "postgresql+psycopg://", 1).partition("?")
    try:
        yield head.rpartition("/")[0] + f"/{database}" + (f"?{tail}" if tail else "")
    finally:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {database} WITH (FORCE)")


@contextmanager
def module_serving(
    arguments: list[str], log: Path, health: str, *, seconds: float = 60, cwd: Path = ROOT, **environment: str
) -> Iterator[tuple["subprocess.Popen[bytes]", float]]:
    """`python -m …` from when it answers, which took the seconds, to its end and that of what it started."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            cwd=cwd,
            env=clean_environment(**environment),
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        yield process, wait_until_healthy(health, process, log, seconds)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process_end(process)


@contextmanager
def proxy_serving(server: Server) -> Iterator["subprocess.Popen[bytes]"]:
    """The portal's route in front of the server, at its `proxy`."""
    port = free_port()
    address = f"http://127.0.0.1:{port}/mlflow"
    arguments = ["tests.experiments.proxy_process", server.url, str(port)]
    log = server.folder / "proxy.log"
    with module_serving(arguments, log, f"{address}/health", MLFLOW_SERVER_SECRET=server.secret) as (process, _):
        server.proxy = address
        yield process


@pytest.fixture(scope="session")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder, secret, port = tmp_path_factory.mktemp("mlflow"), secrets.token_urlsafe(32), free_port()
    address = f"http://127.0.0.1:{port}"
    arguments = ["--port", str(port), "--artifacts-destination", str(folder / "artifacts")]
    with (
        mlflow_database() as backend,
        module_serving(
            ["apps.experiments.mlflow_server", *arguments],
            folder / "server.log",
            f"{address}/health",
            MLFLOW_BACKEND_STORE_URI=backend,
            MLFLOW_SERVER_SECRET=secret,
        ) as (process, seconds),
    ):
        yield Server(address, secret, folder, process, seconds, backend.replace("+psycopg", "", 1))


@pytest.fixture(scope="session")
def mlflow(mlflow_server: Server) -> Iterator[Server]:
    """The server with the portal's route in front of it."""
    with proxy_serving(mlflow_server) as process:
        mlflow_server.proxy_process = process
        yield mlflow_server


@pytest.fixture
def tracker(mlflow_server: Server, settings: Any) -> Any:
    """`tests.experiments.tracker.Tracker`, with the portal's own calls going to the same server."""
    from tests.experiments.tracker import Tracker

    settings.MLFLOW_TRACKING_URI = mlflow_server.url
    settings.MLFLOW_SERVER_SECRET = mlflow_server.secret
    return Tracker(mlflow_server)
