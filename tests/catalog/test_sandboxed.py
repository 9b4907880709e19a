"""Commands of the agent end when they must: in time, by their output, with the agent itself."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from apps.provisioning.agent import sandboxed
from apps.provisioning.agent.sandboxed import Ran, sandboxed_run

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {"PATH": "/usr/bin:/bin"}


def run(script: str, folder: Path, *, seconds: float = 20, stopping: threading.Event | None = None) -> Ran:
    return sandboxed_run(
        ["/bin/sh", "-c", script],
        environment=ENVIRONMENT,
        folder=folder,
        seconds=seconds,
        stopping=stopping or threading.Event(),
    )


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except OSError:
        return False


def until_ended(pid: int) -> None:
    deadline = time.monotonic() + 10
    while alive(pid):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_both_streams_and_the_exit_code_are_kept(tmp_path: Path) -> None:
    ran = run("echo out; echo err >&2; exit 3", tmp_path)
    assert (ran.exit_code, ran.ended, sorted(ran.output.split())) == (3, "", ["err", "out"])


def test_nothing_of_the_agent_is_inherited(tmp_path: Path) -> None:
    os.environ["SLIPWAY_OF_A_TEST"] = "secret"
    try:
        assert "SLIPWAY" not in run("env", tmp_path).output
    finally:
        del os.environ["SLIPWAY_OF_A_TEST"]


def test_what_takes_too_long_is_ended_with_its_children(tmp_path: Path) -> None:
    ran = run("sleep 60 & echo $! > pid; wait", tmp_path, seconds=1)
    assert (ran.ended, ran.seconds < 10) == ("time", True)
    until_ended(int((tmp_path / "pid").read_text()))


def test_endless_output_is_ended_and_its_beginning_and_end_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandboxed, "OUTPUT_BYTES", 2**20)
    ran = run("echo first; yes", tmp_path)
    assert ran.ended == "output"
    assert ran.output.startswith("first\n")
    assert "bytes left out" in ran.output
    assert len(ran.output) < 100_000


def test_a_grandchild_that_keeps_the_output_open_is_not_waited_for(tmp_path: Path) -> None:
    ran = run("sleep 60 & echo done", tmp_path)
    assert (ran.ok, ran.output, ran.seconds < 10) == (True, "done\n", True)


def test_an_agent_that_stops_ends_it(tmp_path: Path) -> None:
    stopping = threading.Event()
    threading.Timer(0.5, stopping.set).start()
    assert run("sleep 60", tmp_path, stopping=stopping).ended == "stopping"


def test_an_agent_that_is_killed_takes_it_along(tmp_path: Path) -> None:
    code = (
        "import threading; from pathlib import Path; from apps.provisioning.agent.sandboxed import sandboxed_run\n"
        f"sandboxed_run(['/bin/sh', '-c', 'echo $$ > pid; exec sleep 60'], environment={ENVIRONMENT!r}, "
        f"folder=Path({str(tmp_path)!r}), seconds=60, stopping=threading.Event())"
    )
    agent = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, env=ENVIRONMENT)
    deadline = time.monotonic() + 30
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text().strip():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    child = int((tmp_path / "pid").read_text())
    assert alive(child)
    agent.send_signal(signal.SIGKILL)
    agent.wait()
    until_ended(child)
