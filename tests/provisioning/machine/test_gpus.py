"""GPUs: seen by a stand-in for nvidia-smi and files in place of devices, shared out for real.

No machine of ours has one: what a driver does with the devices it is shown is not tested here.
"""

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from apps.provisioning.machine.gpus import Gpus, gpus_read
from tests.provisioning.machine.conftest import Bench

UUIDS = [f"GPU-0000000{number}-aaaa-bbbb-cccc-dddddddddddd" for number in range(2)]
LINES = "".join(f"{number}, {uuid}, NVIDIA L4, 23034\n" for number, uuid in enumerate(UUIDS))
SEE = """import os
found = sorted(name for name in os.listdir("/dev") if name.startswith("nvidia"))
print(found, os.environ.get("CUDA_VISIBLE_DEVICES"))
"""


@pytest.fixture
def fake(tmp_path: Path) -> Callable[..., Gpus]:
    """A machine with two GPUs whose device files are numbered the other way round."""

    def make(script: str = f"cat <<'END'\n{LINES}END\n", **options: Any) -> Gpus:
        bin_, dev, proc = tmp_path / "bin", tmp_path / "dev", tmp_path / "proc"
        for folder in (bin_, dev):
            folder.mkdir(exist_ok=True)
        program = bin_ / "nvidia-smi"
        program.write_text(f"#!/bin/sh\n{script}")
        program.chmod(0o755)
        for name in ("nvidia0", "nvidia1", "nvidiactl", "nvidia-uvm"):
            (dev / name).touch()
        for number, uuid in enumerate(UUIDS):
            card = proc / "driver" / "nvidia" / "gpus" / f"0000:0{number}:00.0"
            card.mkdir(parents=True, exist_ok=True)
            (card / "information").write_text(
                f"Model: \t\t NVIDIA L4\nGPU UUID: \t {uuid}\nDevice Minor: \t {1 - number}\n"
            )
        return Gpus(**{"environ": {"PATH": f"{bin_}:/usr/bin:/bin"}, "dev": dev, "proc": proc, **options})

    return make


def test_what_there_is(fake: Callable[..., Gpus]) -> None:
    rows = fake().rows({1: "w"})
    assert rows == [
        {"index": 0, "name": "NVIDIA L4", "memory_mb": 23034, "workspace": None},
        {"index": 1, "name": "NVIDIA L4", "memory_mb": 23034, "workspace": "w"},
    ]


def test_without_nvidia_smi_the_driver_says_it(fake: Callable[..., Gpus]) -> None:
    found = fake(environ={"PATH": "/nonexistent"}).found()
    assert [(gpu.index, gpu.uuid, gpu.minor) for gpu in found] == [(0, UUIDS[0], 1), (1, UUIDS[1], 0)]


@pytest.mark.parametrize(
    "script",
    ["exit 9\n", "echo 'NVIDIA-SMI has failed because it could not communicate'\n", "echo ',,,'\n", "exec sleep 60\n"],
)
def test_a_driver_that_does_not_work_is_no_gpu(
    fake: Callable[..., Gpus], script: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.provisioning.machine.gpus.SECONDS", 0.5)
    assert fake(script).found() == ()


def test_hostile_lines_are_passed_over() -> None:
    text = "x, y, z, 1\n-1, GPU-12345678, A, 5\n²,GPU-12345678,A,5\n3, nonsense; rm, Tesla, V, [N/A]\n" + LINES
    assert [(gpu.index, gpu.uuid, gpu.name, gpu.memory_mb) for gpu in gpus_read(text, {})] == [
        (0, UUIDS[0], "NVIDIA L4", 23034),
        (1, UUIDS[1], "NVIDIA L4", 23034),
        (3, "", "Tesla, V", 0),
    ]
    assert len(gpus_read(LINES * 100_000, {})) == 2


def test_a_service_has_its_device_to_itself_until_it_stops(
    bench_make: Callable[..., Bench], fake: Callable[..., Gpus]
) -> None:
    bench = bench_make(gpus=fake())
    machine = bench.machine
    other = Bench(machine)
    bench.service(gpus=1)
    assert [row["workspace"] for row in machine.gpu_rows()] == [bench.workspace, None]
    other.service(gpus=1)
    assert [row["workspace"] for row in machine.gpu_rows()] == [bench.workspace, other.workspace]
    third = Bench(machine)
    third.volume()
    status, problem = third.ask("PUT", "/v1/services/app", third.service_body(gpus=1))
    assert (status, problem["code"]) == (409, "machine:no-gpu")
    assert problem["detail"].startswith("There is no free GPU: all 2 are in use. Nothing was lost. Choose a CPU size")
    assert bench.ask("PUT", "/v1/services/app", bench.service_body(gpus=1, running=False))[0] == 200
    assert [row["workspace"] for row in machine.gpu_rows()] == [None, other.workspace]
    assert third.ask("PUT", "/v1/services/app", third.service_body(gpus=1))[0] == 201
    assert other.ask("DELETE", "/v1/services/app")[0] == 204
    assert [row["workspace"] for row in machine.gpu_rows()] == [third.workspace, None]


def test_it_sees_its_own_devices_and_no_others(bench_make: Callable[..., Bench], fake: Callable[..., Gpus]) -> None:
    bench = bench_make(gpus=fake())
    if not bench.machine.services.sandboxes.isolation.has_namespaces:
        pytest.skip("no namespaces here: /dev is the host's")
    # The GPU with index 0 has the device file nvidia1.
    assert bench.run(SEE, gpus=1).strip() == f"['nvidia-uvm', 'nvidia1', 'nvidiactl'] {UUIDS[0]}"
    other = Bench(bench.machine)
    assert other.run(SEE).strip() == "[]", "none was asked for"


def test_on_a_machine_without_gpus_none_can_be_had(bench: Bench) -> None:
    bench.volume()
    status, problem = bench.ask("PUT", "/v1/services/app", bench.service_body(gpus=1))
    assert (status, problem["detail"]) == (409, "This machine has no GPU. Nothing was lost. Choose a CPU size.")
    assert bench.machine.gpu_rows() == []


def test_what_runs_goes_on_where_more_cannot_be_had(
    bench_make: Callable[..., Bench], fake: Callable[..., Gpus]
) -> None:
    bench = bench_make(gpus=fake())
    service = bench.service(gpus=1)
    status, problem = bench.ask("PUT", "/v1/services/app", bench.service_body(gpus=3))
    assert (status, problem["detail"]) == (
        409,
        "There are 2 free GPUs of 2, 3 were asked for. Nothing was lost. Choose a CPU size or fewer GPUs.",
    )
    assert bench.get(service)
    assert [row["workspace"] for row in bench.machine.gpu_rows()] == [bench.workspace, None]


def test_an_agent_that_begins_anew_knows_who_has_which(
    bench_make: Callable[..., Bench], fake: Callable[..., Gpus]
) -> None:
    bench = bench_make(gpus=fake())
    bench.service(gpus=2)
    bench.machine.close()
    again = bench_make(gpus=fake())
    assert [row["workspace"] for row in again.machine.gpu_rows()] == [bench.workspace, bench.workspace]
    again.volume()
    assert again.ask("PUT", "/v1/services/app", again.service_body(gpus=1))[0] == 409


def test_the_last_one_goes_to_one_of_many(bench_make: Callable[..., Bench], fake: Callable[..., Gpus]) -> None:
    bench = bench_make(gpus=fake())
    benches = [Bench(bench.machine) for _ in range(5)]
    for one in benches:
        one.volume()
    barrier, answers = threading.Barrier(len(benches)), []

    def ask(one: Bench) -> None:
        barrier.wait()
        answers.append((one.ask("PUT", "/v1/services/app", one.service_body(gpus=1))[0], one.workspace))

    threads = [threading.Thread(target=ask, args=(one,)) for one in benches]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    got = sorted(workspace for status, workspace in answers if status == 201)
    assert sorted(status for status, _ in answers) == [201, 201, 409, 409, 409]
    assert sorted(row["workspace"] for row in bench.machine.gpu_rows()) == got
    for workspace in got:
        (held,) = json.loads((bench.machine.layout.service(workspace, "app") / "service.json").read_text())["gpus"]
        assert held in (0, 1)
