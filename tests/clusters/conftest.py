"""One machine for the clusters of a run: their packages are installed once."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

from apps.provisioning.machine import Machine
from tests.clusters.world import ROOT, Applied, Running
from tests.prepared import packages_lend

RunModule = Callable[[str], Applied]


@pytest.fixture(scope="session")
def machine() -> Iterator[Machine]:
    directory = Path(tempfile.mkdtemp(prefix="slc-"))
    packages_lend(directory / "agent")
    started = Machine(directory / "agent", socket_path=directory / "run" / "agent.sock")
    started.start()
    yield started
    started.close()
    started.stop_services("The test is over")
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def terraform_environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Of a terminal in which Terraform finds the local provider."""
    home = tmp_path_factory.mktemp("terraform")
    source = ROOT / "terraform" / "providers" / "local" / "install.py"
    spec = spec_from_file_location("slipway_provider_install", source)
    assert spec
    assert spec.loader
    install = module_from_spec(spec)
    spec.loader.exec_module(install)
    install.install_mirror(home / "mirror")
    (home / ".terraformrc").write_text(
        f'provider_installation {{\n  filesystem_mirror {{ path = "{home / "mirror"}" }}\n}}\n'
    )
    return {"PATH": os.environ["PATH"], "HOME": str(home), "CHECKPOINT_DISABLE": "1"}


@pytest.fixture(scope="session")
def apply_module(
    machine: Machine, terraform_environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunModule]:
    made: list[Applied] = []

    def make(module: str) -> Applied:
        folder = tmp_path_factory.mktemp("applied") / module
        made.append(Applied(module, machine, folder, terraform_environment))
        return made[-1]

    yield make
    for applied in made:
        applied.destroy()


@pytest.fixture(scope="session")
def dask(apply_module: RunModule) -> Applied:
    """A small Dask cluster, one worker and two at most, whose spare worker ends after six idle seconds."""
    applied = apply_module("local-dask-cluster")
    applied.apply(workers_minimum=1, workers_maximum=2, worker_memory_gb=0.5, worker_idle_minutes=0.1)
    return applied


@pytest.fixture
def cluster(dask: Applied) -> Running:
    outputs = dask.outputs
    return Running(outputs["address"], outputs["secret"], dask.python())
