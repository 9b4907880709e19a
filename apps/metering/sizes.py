"""What a resource of a Terraform state is and how large: the only place that knows attributes of providers."""

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from apps.metering.models import MeteredResource
from apps.provisioning.terraform_state import resources_from_state

K = MeteredResource.Kind
MIB, GIB = 2**20, 2**30
KINDS = {"slipway_volume": K.VOLUME, "slipway_runtime": K.RUNTIME, "slipway_service": K.SERVICE}

# Says whether a notebook instance runs, which the notebook's own resource does not; it is no thing by itself.
POWER, NOTEBOOK, CLUSTER = "slipway_sagemaker_power", "aws_sagemaker_notebook_instance", "aws_emr_cluster"

# Attribute of a cloud resource -> bytes of its unit. What is not listed has a size nobody knows, which is not zero.
CLOUD_DISKS = {
    "aws_sagemaker_notebook_instance": ("volume_size", GIB),
    "aws_ebs_volume": ("size", GIB),
    "aws_db_instance": ("allocated_storage", GIB),
    "google_compute_disk": ("size", GIB),
    "azurerm_managed_disk": ("disk_size_gb", GIB),
}
SIZE_NAMES = ("instance_type", "instance_class", "machine_type", "vm_size", "size", "node_type")


@dataclass(frozen=True)
class Size:
    """Cores, bytes and pieces; None where there is no limit or it is not known."""

    cpu_cores: Decimal | None = None
    memory_bytes: int | None = None
    disk_bytes: int | None = None
    gpu_count: int = 0
    size_name: str = ""


@dataclass(frozen=True)
class Found:
    """A resource as a state names it. `service` is its name on the machine, where it is one.

    `running` is what the state says of a cloud's machine; None where it does not tell, or a machine of ours is watched.
    """

    address: str
    type: str
    kind: str
    size: Size
    service: str = ""
    running: bool | None = None


def resources_found(state: dict[str, Any]) -> dict[str, Found]:
    """What exists according to a state file, by address; one that is being replaced counts until it is gone."""
    found: dict[str, Found] = {}
    resources = resources_from_state(state)
    powers = {r["attributes"].get("notebook"): r["attributes"].get("running") for r in resources if r["type"] == POWER}
    for resource in resources:
        if resource["type"] == POWER:
            continue
        address = resource["address"][:480]
        if resource["status"] == "deposed":
            address = _free(f"{address} (deposed)", found)
        attributes = resource["attributes"]
        kind = KINDS.get(resource["type"], K.CLOUD)
        service = str(attributes.get("name", ""))[:80] if kind == K.SERVICE else ""
        running = powers.get(attributes.get("name")) if resource["type"] == NOTEBOOK else None
        size = _size(resource["type"], attributes)
        found[address] = Found(address, resource["type"][:120], kind, size, service, running)
    return found


def _free(address: str, taken: dict[str, Found]) -> str:
    number, free = 1, address
    while free in taken:
        number += 1
        free = f"{address} {number}"
    return free


def _size(type_: str, attributes: dict[str, Any]) -> Size:
    if type_ == "slipway_volume":
        return Size(disk_bytes=_bytes(attributes.get("size_limit_mb"), MIB))
    if type_ == "slipway_service":
        gpus = _number(attributes.get("gpus"))
        return Size(
            cpu_cores=_number(attributes.get("cpu")),
            memory_bytes=_bytes(attributes.get("memory_mb"), MIB),
            gpu_count=int(gpus) if gpus else 0,
        )
    if type_ in KINDS:
        return Size()
    if type_ == CLUSTER:
        return _cluster(attributes)
    attribute, unit = CLOUD_DISKS.get(type_, ("", 1))
    names = (attributes.get(name) for name in SIZE_NAMES)
    size_name = next((name for name in names if isinstance(name, str) and name), "")
    return Size(disk_bytes=_bytes(attributes.get(attribute), unit), size_name=size_name[:60])


def _cluster(attributes: dict[str, Any]) -> Size:
    """An EMR cluster of instance groups: "m5.xlarge + 2 × r5.2xlarge", and the disks of all its nodes."""
    groups = [(attributes.get(name) or [{}])[0] for name in ("master_instance_group", "core_instance_group")]
    names, disk = [], 0
    for group in groups:
        count = int(_number(group.get("instance_count")) or 1)
        if group.get("instance_type"):
            names.append(f"{count} × {group['instance_type']}" if count > 1 else str(group["instance_type"]))
        for volume in group.get("ebs_config") or ():
            each = _bytes(volume.get("size"), GIB) or 0
            disk += each * count * int(_number(volume.get("volumes_per_instance")) or 1)
    return Size(disk_bytes=disk or None, size_name=" + ".join(names)[:60])


def _number(value: Any) -> Decimal | None:
    """A size that can be stored, or None for what is no number, negative or beyond any machine."""
    if value is None or isinstance(value, bool):
        return None
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return None
    return number.quantize(Decimal("0.001")) if number.is_finite() and 0 <= number < 1_000_000 else None


def _bytes(value: Any, unit: int) -> int | None:
    if value is None or isinstance(value, bool):
        return None
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return None
    return int(number * unit) if number.is_finite() and 0 <= number * unit < 2**62 else None
