"""Machines in a cloud: what the state says of them is what is metered, because nobody watches them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from apps.metering.models import ResourceInterval
from apps.metering.selectors import usage_of_environment
from apps.metering.sizes import GIB
from apps.provisioning.leases import Lease
from apps.provisioning.models import Workspace
from tests.metering.world import BEGIN, Clock, World, at, resource

NOTEBOOK, POWER = "aws_sagemaker_notebook_instance.this", "slipway_sagemaker_power.this"


@pytest.fixture
def world(workspace: Workspace, lease: Lease, tmp_path: Path) -> Iterator[World]:
    with Clock() as clock:
        yield World(workspace, lease, tmp_path / "work", clock)


def notebook(instance_type: str = "ml.t3.medium") -> dict[str, Any]:
    return resource(NOTEBOOK, name="slipway-nb", instance_type=instance_type, volume_size=20)


def power(running: bool) -> dict[str, Any]:
    return resource(POWER, notebook="slipway-nb", running=running)


def spans(address: str) -> list[tuple[float, str, str]]:
    rows = ResourceInterval.objects.filter(resource__address=address).order_by("started_at", "id")
    return [((row.started_at - BEGIN).total_seconds(), row.state, row.size_name) for row in rows]


def test_a_notebook_runs_and_stops_with_what_switches_it(world: World) -> None:
    world.ship(notebook(), power(True))
    world.clock.move(3600)
    world.ship(notebook(), power(False))
    world.clock.move(3600)
    world.ship(notebook("ml.m5.xlarge"), power(True))
    world.clock.move(1800)
    assert spans(NOTEBOOK) == [
        (0, "running", "ml.t3.medium"),
        (3600, "stopped", "ml.t3.medium"),
        (7200, "running", "ml.m5.xlarge"),
    ]
    assert spans(POWER) == []
    used = usage_of_environment(environment_id=world.workspace.pk, start=BEGIN, end=at(9000))
    # It is counted to this moment, though nobody has seen it since; its disk all along.
    assert used.running_seconds == 5400
    assert used.existed_seconds == 9000
    assert used.disk_byte_seconds == 9000 * 20 * GIB


def test_a_notebook_whose_state_tells_of_no_switch_is_there(world: World) -> None:
    world.ship(notebook())
    assert spans(NOTEBOOK) == [(0, "present", "ml.t3.medium")]


def test_a_cluster_has_the_machines_and_disks_of_all_its_nodes(world: World) -> None:
    disks = [{"size": 64, "volumes_per_instance": 2}]
    world.ship(
        resource(
            "aws_emr_cluster.spark",
            master_instance_group=[{"instance_type": "m5.xlarge", "instance_count": 1, "ebs_config": disks}],
            core_instance_group=[{"instance_type": "r5.2xlarge", "instance_count": 3, "ebs_config": disks}],
        )
    )
    assert spans("aws_emr_cluster.spark") == [(0, "present", "m5.xlarge + 3 × r5.2xlarge")]
    assert ResourceInterval.objects.get().disk_bytes == 4 * 2 * 64 * GIB
