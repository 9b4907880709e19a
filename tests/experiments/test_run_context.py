"""The run-context plugin in a real client, through the portal's route, to a real server."""

import json
import os
import re
import subprocess
import sys
import threading
import time
from importlib import metadata
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import psutil
import pytest

from tests.experiments.conftest import PLUGIN, clean_environment

pytestmark = [pytest.mark.slow]
CONTEXT = {
    "slipway.team": "vision",
    "slipway.user": "dana",
    "slipway.environment": "reading-notebook",
    "slipway.environment_id": "environment-1",
    "slipway.module": "local-notebook",
    "slipway.module_version": "1.0.0",
    "slipway.plan_hash": "ab12",
    "slipway.runtime_digest": "cd34",
}
# Loaded by its file: on sys.path the package would be found by the MLflow of this very process.
_spec = spec_from_file_location("slipway_run_context_sources", PLUGIN / "slipway_run_context" / "sources.py")
sources = module_from_spec(_spec)
_spec.loader.exec_module(sources)
git_tags, without_credentials = sources.git_tags, sources.without_credentials


def git(folder, *arguments):
    identity = ["-c", "user.name=dana", "-c", "user.email=dana@example.com"]
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path):
    folder = tmp_path / "code"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    git(folder, "remote", "add", "origin", "https://dana:secret-token@git.example/vision/code.git?private_token=x")
    (folder / "train.py").write_text("1\n")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "start")
    return folder


def client_run(mlflow, folder, code, *, token="dana-notebook", experiment="vision/default", **more):
    """User code as it runs in a notebook: the plugin is installed, the address and token are set; gives its output."""
    context = folder.parent / "context.json"
    context.write_text(json.dumps(CONTEXT))
    environment = clean_environment(
        PYTHONPATH=str(PLUGIN),
        MLFLOW_TRACKING_URI=mlflow.proxy,
        MLFLOW_TRACKING_TOKEN=token,
        MLFLOW_EXPERIMENT_NAME=experiment,
        MLFLOW_HTTP_REQUEST_MAX_RETRIES="1",
        MLFLOW_DISABLE_TELEMETRY="true",
        SLIPWAY_CONTEXT_FILE=str(context),
        **more,
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_two_lines_of_user_code_name_the_code_and_the_infrastructure(mlflow, repository):
    (repository / "train.py").write_text("2\n")
    code = "import mlflow\nwith mlflow.start_run() as run: mlflow.log_metric('a', 1)\nprint(run.info.run_id)"
    run_id = re.search(r"^[0-9a-f]{32}$", client_run(mlflow, repository, code), re.M).group()
    tags = mlflow.tags(run_id)
    assert CONTEXT.items() <= tags.items()
    commit = git(repository, "rev-parse", "HEAD")
    assert tags["slipway.git.commit"] == tags["mlflow.source.git.commit"] == commit
    assert tags["slipway.git.dirty"] == "true"
    assert tags["slipway.git.branch"] == "main"
    assert tags["slipway.git.repository"] == "https://git.example/vision/code.git"
    assert "secret-token" not in str(tags)


def test_autologging_tags_too_and_a_large_model_streams_through_the_portal(mlflow, repository):
    code = """
import mlflow, numpy, sys
from sklearn.linear_model import Ridge
mlflow.autolog(log_models=False)
Ridge().fit(numpy.eye(8), numpy.arange(8))
print(mlflow.last_active_run().info.run_id)

class Large(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input: list[str]) -> list[str]:
        return model_input

with open("weights.bin", "wb") as file:
    for _ in range(50):
        file.write(numpy.random.default_rng(1).bytes(2**20))
with mlflow.start_run():
    info = mlflow.pyfunc.log_model(
        name="model", python_model=Large(), artifacts={"weights": "weights.bin"}, pip_requirements=["numpy"]
    )
from pathlib import Path
got = Path(mlflow.artifacts.download_artifacts(info.model_uri))
print(sum(file.stat().st_size for file in got.rglob("*") if file.is_file()))
"""
    process = psutil.Process(mlflow.proxy_process.pid)
    before, peak, over = process.memory_info().rss, [0], threading.Event()

    def watch():
        while not over.wait(0.02):
            peak[0] = max(peak[0], process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        output = client_run(mlflow, repository, code)
    finally:
        over.set()
        watcher.join()
    run_id = re.search(r"^[0-9a-f]{32}$", output, re.M).group()
    assert mlflow.tags(run_id)["slipway.git.commit"] == git(repository, "rev-parse", "HEAD")
    assert int(output.split()[-1]) > 50 * 2**20
    assert peak[0] - before < 16 * 2**20, f"the route grew by {(peak[0] - before) >> 20} MB"


def test_a_client_prints_what_to_do_about_a_bad_token(mlflow, repository):
    code = "import mlflow\ntry:\n mlflow.search_experiments()\nexcept mlflow.MlflowException as error:\n print(error)"
    output = client_run(mlflow, repository, code, token="revoked")
    assert "UNAUTHENTICATED: The token is expired or unknown: make one on your account page" in output


def test_a_clean_tree_is_clean_and_what_jupyter_leaves_is_no_change(repository):
    (repository / ".ipynb_checkpoints").mkdir()
    (repository / ".ipynb_checkpoints" / "a.ipynb").write_text("{}")
    assert git_tags(str(repository))["slipway.git.dirty"] == "false"
    (repository / "new.ipynb").write_text("{}")
    assert git_tags(str(repository))["slipway.git.dirty"] == "true", "a notebook git does not know is not in the commit"


def test_the_whole_tree_counts_from_a_folder_within(repository):
    (repository / "notebooks").mkdir()
    (repository / "train.py").write_text("3\n")
    assert git_tags(str(repository / "notebooks"))["slipway.git.dirty"] == "true"


def test_outside_a_repository_and_before_the_first_commit_there_is_nothing_to_say(tmp_path):
    assert git_tags(str(tmp_path)) == {}
    git(tmp_path, "init", "-q")
    assert git_tags(str(tmp_path)) == {}


def test_a_detached_head_has_no_branch(repository):
    git(repository, "checkout", "-q", "--detach")
    tags = git_tags(str(repository))
    assert "slipway.git.branch" not in tags
    assert tags["slipway.git.commit"] == git(repository, "rev-parse", "HEAD")


def test_a_git_that_hangs_or_is_missing_delays_no_run(repository, tmp_path, monkeypatch):
    slow = tmp_path / "bin"
    slow.mkdir()
    (slow / "git").write_text("#!/bin/sh\nexec sleep 60\n")
    (slow / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{slow}:{os.environ['PATH']}")
    began = time.monotonic()
    assert git_tags(str(repository)) == {}
    assert time.monotonic() - began < 3
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_tags(str(repository)) == {}


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("https://u:p@host:8443/a/b.git", "https://host:8443/a/b.git"),
        ("https://token@host/a?private_token=1#x", "https://host/a"),
        ("ssh://git:p@host/a", "ssh://git@host/a"),
        ("git@host:a/b.git", "git@host:a/b.git"),
        ("/srv/code.git", "/srv/code.git"),
        ("", ""),
    ],
)
def test_addresses_lose_their_credentials(given, kept):
    assert without_credentials(given) == kept


def test_its_files_copied_into_site_packages_are_an_installed_package():
    (found,) = metadata.distributions(path=[str(PLUGIN)])
    assert (found.name, found.version) == ("slipway-run-context", "0.1.0")
    (entry,) = found.entry_points.select(group="mlflow.run_context_provider")
    assert entry.value == "slipway_run_context:SlipwayRunContext"
    listed = {str(file) for file in found.files}
    present = {
        str(path.relative_to(PLUGIN)) for path in Path(PLUGIN).glob("slipway_run_context*/**/*") if path.is_file()
    }
    assert listed == {path for path in present if "__pycache__" not in path}
