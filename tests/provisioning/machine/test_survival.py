"""What happens when the agent, the supervisor or the shim dies: nothing is lost needlessly, nothing runs twice."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from apps.provisioning.machine import Machine, MachineError
from apps.provisioning.machine.files import json_read
from apps.provisioning.machine.processes import process_start

REPOSITORY = Path(__file__).resolve().parents[3]


def runs_of(workspace: str) -> list[int]:
    """Pids of the python processes that serve for the environment (bubblewrap's own carry the marker too)."""
    marker = f"SLIPWAY_SERVICE_ID={workspace}/app".encode()
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            serving = (path / "cmdline").read_bytes().split(b"\0")[1:2] == [b"server.py"]
            if serving and marker in (path / "environ").read_bytes().split(b"\0"):
                found.append(int(path.name))
        except OSError:
            continue
    return found


def test_services_survive_a_killed_agent_and_are_adopted(bench_make, bench_of, root):
    code = (
        "import sys, time; from pathlib import Path; from apps.provisioning.machine import Machine\n"
        "machine = Machine(Path(sys.argv[1]), socket_path=Path(sys.argv[2])); machine.start()\n"
        "print('up', flush=True); time.sleep(1000)\n"
    )
    arguments = [sys.executable, "-c", code, str(root), str(root.parent / "run" / "agent.sock")]
    with subprocess.Popen(arguments, cwd=REPOSITORY, stdout=subprocess.PIPE) as agent:
        assert agent.stdout.readline() == b"up\n"
        # Same root, so the same key and tokens; this Machine is only asked for them, never started.
        other = Machine(root, socket_path=root.parent / "run" / "agent.sock")
        other._secret = (root / "secret").read_bytes().strip()
        bench = bench_of(other)
        service = bench.service()
        pids = runs_of(bench.workspace)
        agent.send_signal(signal.SIGKILL)
        agent.wait()
    assert len(pids) == 1
    assert bench.get(service)["environ"]
    again = bench_make()
    again.workspace = bench.workspace
    again.ask = again.client(bench.workspace)
    seen = again.observed()
    assert (seen.status, seen.restarts) == ("running", 0)
    assert runs_of(bench.workspace) == pids
    assert again.service()["port"] == service["port"]
    assert runs_of(bench.workspace) == pids


def test_a_killed_supervisor_is_replaced_and_nothing_runs_twice(bench):
    service = bench.service()
    before = runs_of(bench.workspace)
    os.kill(bench.machine.supervisor.pid(), signal.SIGKILL)
    deadline = time.monotonic() + 30
    while (now := runs_of(bench.workspace)) == before or not now:
        assert len(now) <= 1
        assert time.monotonic() < deadline
        time.sleep(0.02)
    bench.wait(lambda entry: entry.status == "running")
    assert len(runs_of(bench.workspace)) == 1
    assert bench.get(service)["environ"]["SLIPWAY_SECRET"] == service["secret"]


def test_everything_killed_at_once_is_ended_or_resumed_by_the_next_agent(bench_make):
    bench = bench_make()
    service = bench.service()
    before = runs_of(bench.workspace)
    bench.machine.close()
    os.kill(bench.machine.supervisor.pid(), signal.SIGKILL)
    again = bench_make()
    again.workspace = bench.workspace
    again.wait(lambda entry: entry.status == "running")
    assert len(runs_of(bench.workspace)) == 1
    assert runs_of(bench.workspace) != before
    assert again.get(service)["environ"]


def test_a_killed_shim_takes_its_service_along_and_both_come_back(bench):
    bench.service()
    directory = bench.machine.layout.service(bench.workspace, "app")
    before = bench.observed().pid
    os.kill(json_read(directory / "state.json")["shim"][0], signal.SIGKILL)
    seen = bench.wait(lambda entry: entry.status == "running" and entry.pid not in (None, before))
    assert seen.restarts == 1
    assert len(runs_of(bench.workspace)) == 1


def test_stopping_for_the_machine_is_remembered_and_resumed(bench_make):
    bench = bench_make()
    service = bench.service()
    pid = bench.machine.supervisor.pid()
    bench.machine.stop_services("The portal was shut down")
    seen = bench.observed()
    assert (seen.status, seen.reason, seen.pid) == ("stopped", "The portal was shut down", None)
    assert not process_start(pid)
    assert runs_of(bench.workspace) == []
    bench.machine.close()
    again = bench_make()
    again.workspace = bench.workspace
    again.wait(lambda entry: entry.status == "running")
    assert again.get(service)["environ"]


def test_what_was_stopped_by_a_person_stays_stopped(bench_make):
    bench = bench_make()
    bench.service()
    bench.service(running=False)
    bench.machine.stop_services("The portal was shut down")
    assert bench.machine.resume_services() == []
    assert bench.observed().status == "stopped"
    assert runs_of(bench.workspace) == []


def test_a_second_agent_is_refused(bench, root):
    with pytest.raises(MachineError, match="Another agent"):
        Machine(root, socket_path=root.parent / "second.sock").start()
    bench.service()


def test_purging_leaves_nothing_and_leftovers_are_named(bench):
    bench.service()
    assert bench.machine.leftovers([]) == [bench.workspace]
    assert bench.machine.leftovers([bench.workspace]) == []
    bench.machine.purge_workspace(bench.workspace)
    assert bench.machine.leftovers([]) == []
    assert runs_of(bench.workspace) == []
    assert bench.machine.observe() == []
