"""The script that stops a notebook from inside when it is idle, against a stand-in for its Jupyter."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.aws.world import MODULES

SCRIPT = MODULES / "aws-sagemaker-notebook" / "files" / "idle_stop.py"
LONG_AGO = timedelta(hours=3)


def ago(span: timedelta) -> str:
    return (datetime.now(UTC) - span).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def dated(used: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """With the time of now minus each span: a parametrization's own `now` is as old as the run."""
    return [
        {name: ago(value) if isinstance(value, timedelta) else value for name, value in each.items()} for each in used
    ]


class Jupyter(ThreadingHTTPServer):
    def __init__(self) -> None:
        self.answers: dict[str, Any] = {"/api/kernels": [], "/api/terminals": []}
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: Jupyter

    def do_GET(self) -> None:
        content = json.dumps(self.server.answers[self.path]).encode()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments: Any) -> None:
        pass


@pytest.fixture
def jupyter() -> Iterator[Jupyter]:
    with Jupyter() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def stopped(jupyter: Jupyter, folder: Path, *, booted: timedelta = LONG_AGO, busy: bool = False) -> list[str]:
    """The words after `aws` where the script stopped the notebook."""
    metadata, called = folder / "metadata.json", folder / "called"
    arn = "arn:aws:sagemaker:eu-central-1:123456789012:notebook-instance/nb"
    metadata.write_text(json.dumps({"ResourceName": "nb", "ResourceArn": arn}))
    command = folder / "aws"
    command.write_text(f'#!/bin/sh\necho "$@" > {called}\n')
    command.chmod(0o755)
    load = "9.0" if busy else "0.0"
    # This machine's own load is no matter of the test.
    start = f"import os, runpy, sys; os.getloadavg = lambda: (0, 0, {load})"
    start += "; runpy.run_path(sys.argv.pop(1), run_name='__main__')"
    arguments = ["--minutes", "60", "--jupyter", f"http://127.0.0.1:{jupyter.server_port}", "--metadata", str(metadata)]
    arguments += ["--booted-at", str(time.time() - booted.total_seconds())]
    environment = {"PATH": f"{folder}:{os.environ['PATH']}"}
    subprocess.run([sys.executable, "-c", start, str(SCRIPT), *arguments], check=True, env=environment)
    return called.read_text().split() if called.exists() else []


def test_stops_what_nobody_uses(jupyter: Jupyter, tmp_path: Path) -> None:
    jupyter.answers["/api/kernels"] = [{"execution_state": "idle", "last_activity": ago(LONG_AGO)}]
    jupyter.answers["/api/terminals"] = [{"last_activity": ago(LONG_AGO)}]
    assert stopped(jupyter, tmp_path) == [
        "sagemaker", "stop-notebook-instance", "--region", "eu-central-1", "--notebook-instance-name", "nb",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("kernels", "terminals"),
    [
        ([{"execution_state": "busy", "last_activity": LONG_AGO}], []),
        ([{"execution_state": "idle", "last_activity": timedelta(minutes=50)}], []),
        ([], [{"last_activity": timedelta(minutes=50)}]),
        ([{"execution_state": "idle"}], []),
    ],
    ids=["computes", "typed in", "a terminal", "cannot be read"],
)
def test_leaves_what_is_in_use(jupyter: Jupyter, tmp_path: Path, kernels: Any, terminals: Any) -> None:
    jupyter.answers |= {"/api/kernels": dated(kernels), "/api/terminals": dated(terminals)}
    assert stopped(jupyter, tmp_path) == []


def test_leaves_what_has_just_started_and_what_computes_without_a_notebook(jupyter: Jupyter, tmp_path: Path) -> None:
    assert stopped(jupyter, tmp_path, booted=timedelta(minutes=5)) == []
    assert stopped(jupyter, tmp_path, busy=True) == []


def test_leaves_a_notebook_whose_jupyter_does_not_answer(jupyter: Jupyter, tmp_path: Path) -> None:
    jupyter.answers = {}
    assert stopped(jupyter, tmp_path) == []
