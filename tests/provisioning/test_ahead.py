"""Packages are installed before the first launch: the very runtime that the module will ask for, and only when idle."""

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from apps.catalog.models import Module, ModuleVersion
from apps.catalog.services.registering import _archive
from apps.provisioning.agent.ahead import BuildAhead, runtime_of
from apps.provisioning.machine import Machine, MachineError
from apps.provisioning.machine.runtimes import RuntimeSpec
from portal.up.process import started_at

pytestmark = pytest.mark.django_db


@pytest.fixture
def version(tmp_path: Path) -> ModuleVersion:
    """A module whose runtime has no packages, but a file of its own."""
    root = tmp_path / "module"
    (root / "runtime" / "plugin").mkdir(parents=True)
    (root / "runtime" / "requirements.lock").write_text("# nothing\n")
    (root / "runtime" / "plugin" / "ours.py").write_text("WORD = 'laid over'\n")
    module = Module.objects.create(slug="m", title="M", kind="notebook", target="local")
    made = ModuleVersion.objects.create(
        module=module, version="1.0.0", source="m", digest="0" * 64, interface={}, archive=_archive(root)
    )
    Module.objects.filter(pk=module.pk).update(latest_version=made)
    return made


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    made = Machine(tmp_path / "a", socket_path=tmp_path / "a" / "s")
    made.start()
    yield made
    made.stop_services("The test is over")
    made.close()


def built(machine: Machine) -> list[Path]:
    return [path.parent for path in machine.layout.runtimes.glob("*/slipway.json")]


def test_what_a_module_will_ask_for_is_there_already(machine: Machine, version: ModuleVersion) -> None:
    BuildAhead(machine=machine, is_idle=lambda: True, stopping=threading.Event()).look()
    (runtime,) = built(machine)
    assert list(runtime.glob("lib/python3*/site-packages/ours.py"))
    spec = runtime_of(version)
    assert spec is not None
    made = machine.runtimes.put("5c1d0e00-0000-4000-8000-000000000000", spec)
    assert (made["reused"], Path(made["path"])) == (True, runtime)


def test_nothing_is_begun_while_changes_go_on_and_all_is_done_later(machine: Machine, version: ModuleVersion) -> None:
    busy = True
    ahead = BuildAhead(machine=machine, is_idle=lambda: not busy, stopping=threading.Event())
    ahead.look()
    assert built(machine) == []
    busy = False
    ahead.look()
    assert len(built(machine)) == 1


def test_the_end_of_the_agent_ends_a_build_and_leaves_nothing(machine: Machine, tmp_path: Path) -> None:
    endless = tmp_path / "uv"
    endless.write_text(f"#!/bin/sh\nsleep 600 &\necho $$ $! > {tmp_path}/pids\nwait\n")
    endless.chmod(0o755)
    machine.runtimes._uv = str(endless)
    stopping = threading.Event()
    threading.Timer(0.5, stopping.set).start()
    started = time.monotonic()
    with pytest.raises(MachineError, match="ended before"):
        machine.runtimes.prepare(RuntimeSpec("# endless\n"), ended=stopping)
    assert time.monotonic() - started < 20
    assert [pid for pid in map(int, (tmp_path / "pids").read_text().split()) if started_at(pid) is not None] == []
    assert list(machine.layout.runtimes.glob(".building-*")) == []


def test_a_build_ahead_is_the_least_urgent_work(machine: Machine, tmp_path: Path) -> None:
    telling = tmp_path / "uv"
    telling.write_text(f"#!/bin/sh\nnice > {tmp_path}/nice\nexit 1\n")
    telling.chmod(0o755)
    machine.runtimes._uv = str(telling)
    with pytest.raises(MachineError, match="could not be installed"):
        machine.runtimes.prepare(RuntimeSpec("# fails\n"), ended=threading.Event())
    assert int((tmp_path / "nice").read_text()) >= min(19, os.nice(0) + 19)


def test_a_module_without_packages_is_passed_over(machine: Machine, version: ModuleVersion, tmp_path: Path) -> None:
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "main.tf").write_text("# nothing\n")
    ModuleVersion.objects.filter(pk=version.pk).update(archive=_archive(tmp_path / "bare"))
    BuildAhead(machine=machine, is_idle=lambda: True, stopping=threading.Event()).look()
    assert built(machine) == []
