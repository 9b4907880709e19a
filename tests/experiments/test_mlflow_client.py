"""The owner's half: MLflow's own client does through the route what it does at a server of one's own."""

import json
import secrets
import subprocess
import sys

import pytest

from tests.experiments.conftest import ROOT, clean_environment

pytestmark = [pytest.mark.slow]


@pytest.fixture(scope="module")
def names():
    word = secrets.token_hex(3)
    return f"vision/client-{word}", f"vision.client-{word}"


@pytest.fixture(scope="module")
def done(mlflow, names, tmp_path_factory):
    """What every step printed."""
    environment = clean_environment(
        MLFLOW_TRACKING_URI=mlflow.proxy,
        MLFLOW_TRACKING_TOKEN="dana-notebook",
        MLFLOW_HTTP_REQUEST_MAX_RETRIES="1",
        MLFLOW_DISABLE_TELEMETRY="true",
        # The server's store knows no parts: the client tries, is told so, and sends the file whole.
        MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD="true",
        MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE=str(6 * 2**20),
        MLFLOW_MULTIPART_UPLOAD_CHUNK_SIZE=str(5 * 2**20),
    )
    script = [sys.executable, "-W", "ignore", str(ROOT / "tests" / "experiments" / "client_script.py"), *names]
    folder = tmp_path_factory.mktemp("client")
    told = subprocess.run(script, cwd=folder, env=environment, capture_output=True, text=True, timeout=180, check=False)
    lines = [line for line in told.stdout.splitlines() if line.startswith('{"step"')]
    assert told.returncode == 0, told.stdout[-500:] + told.stderr[-3000:]
    return {each.pop("step"): each for each in map(json.loads, lines)} | {"stderr": told.stderr}


def test_runs_with_all_that_is_logged_of_them(done):
    assert done["runs"] == {"history": 300, "found": 1, "lr": "0.1"}
    assert done["restored"] == {"stage": "active"}


def test_datasets(done):
    assert done["datasets"]["names"] == ["rows"]
    assert done["datasets"]["digest"]


def test_autolog_with_its_datasets_and_model(done):
    assert done["autolog"]["params"] > 5
    assert done["autolog"]["inputs"] == 1
    assert done["autolog"]["models"] >= 1


def test_models_with_versions_and_aliases(done, names):
    _, registered = names
    found = done["models"]
    assert found["status"] == "READY"
    assert (found["alias"], found["aliases"]) in ((1, {"champion": 1}), ("1", {"champion": "1"}))
    assert (found["versions"], found["again"], found["copied"], found["same"]) == ([1, 2], 2, 1, True)
    assert found["names"] == [registered, f"{registered}-copy"]


def test_prompts(done):
    assert done["prompts"] == {"said": "Say hello."}


def test_files_up_and_down_also_large_ones(done):
    assert done["files"] == {
        "listed": ["things/deep", "things/large.bin"],
        "same": True,
        "deep": "deep",
        "text": "text",
    }


def test_traces_with_what_people_think_of_them(done):
    assert done["traces"] == {"spans": 2, "found": 1, "judged": ["right", "wanted"], "tag": "test"}
    assert done["traces deleted"] == {"count": 1}


def test_a_search_for_experiments(done, names):
    assert done["experiments"]["names"] == [names[0]]


def test_the_client_met_no_refusal(done):
    """Calls that it makes in the background fail with a warning only."""
    assert "not offered through the portal" not in done["stderr"]
    assert "PERMISSION_DENIED" not in done["stderr"]
