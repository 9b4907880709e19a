"""A real MLflow with real scikit-learn models in it, which the portal's own calls reach."""

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.experiments.conftest import ROOT, Server, clean_environment, mlflow_server
from tests.registry.world import Registry

if TYPE_CHECKING:
    from tests.cast import Cast

__all__ = ["mlflow_server"]


@pytest.fixture
def cast(db: None) -> "Cast":
    from tests.cast import cast_make

    return cast_make()


@pytest.fixture(scope="session")
def logged_models(mlflow_server: Server) -> dict[str, Any]:
    """Three runs of team churn by dana, each with a model: "first" and "second" of columns, "tensor" of a tensor."""
    environment = clean_environment(
        MLFLOW_TRACKING_URI=mlflow_server.url,
        MLFLOW_SERVER_SECRET=mlflow_server.secret,
        MLFLOW_DISABLE_TELEMETRY="true",
        OMP_NUM_THREADS="1",
    )
    done = subprocess.run(
        [sys.executable, "-m", "tests.registry.log_models", "churn", "dana"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


@pytest.fixture
def registry(mlflow_server: Server, settings: Any) -> Iterator[Registry]:
    settings.MLFLOW_TRACKING_URI = mlflow_server.url
    settings.MLFLOW_SERVER_SECRET = mlflow_server.secret
    outside = Registry(mlflow_server)
    yield outside
    for name in list(outside.made):
        outside.delete(name)
