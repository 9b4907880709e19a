"""What a plan would lose for good: resources that hold people's data and are replaced or destroyed, in people's words.

A module may name more of them in module.yaml (`data_resources`): types, or addresses such as `aws_instance.scratch`.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

# Resource types that hold data, and what people call them where the module has no label.
DATA_TYPES: dict[str, str] = {
    "slipway_volume": "Files",
    "aws_sagemaker_notebook_instance": "The notebook's volume",
    "aws_sagemaker_space": "The space's volume",
    "aws_emr_cluster": "Files in the cluster's HDFS",
    "aws_s3_bucket": "Bucket",
    "aws_ebs_volume": "Disk",
    "aws_ebs_snapshot": "Snapshot of a disk",
    "aws_efs_file_system": "File system",
    "aws_fsx_lustre_file_system": "File system",
    "aws_db_instance": "Database",
    "aws_rds_cluster": "Database",
    "aws_dynamodb_table": "Table",
    "aws_redshift_cluster": "Warehouse",
    "aws_ecr_repository": "Container images",
    "aws_kms_key": "Key, and everything that only it can decrypt",
    "aws_secretsmanager_secret": "Secret",
    "azurerm_storage_account": "Storage account",
    "azurerm_storage_container": "Storage container",
    "azurerm_managed_disk": "Disk",
    "azurerm_machine_learning_compute_instance": "The notebook's disk",
    "google_storage_bucket": "Bucket",
    "google_compute_disk": "Disk",
    "google_filestore_instance": "File system",
    "google_sql_database_instance": "Database",
    "google_workbench_instance": "The notebook's disk",
    "kubernetes_persistent_volume_claim": "Volume",
    "kubernetes_persistent_volume_claim_v1": "Volume",
}
# Attributes in which providers say how large something is, in GB.
SIZE_ATTRIBUTES = ("volume_size", "allocated_storage", "size", "disk_size_gb", "size_gb", "storage_capacity")
GB = 2**30

Measure = Callable[[str, Mapping[str, Any]], int | None]


@dataclass(frozen=True)
class Loss:
    """One thing that would be lost. `action` is replace or delete; `size_bytes` what it holds or at most holds."""

    address: str
    type: str
    action: str
    label: str
    size_bytes: int | None = None
    size_is_limit: bool = False


def holds_data(kind: str, address: str, declared: Iterable[str] = ()) -> bool:
    """Whether a resource holds what cannot be made again; `declared` are a module's own `data_resources`."""
    return kind in DATA_TYPES or bool({kind, address, address.partition("[")[0]} & set(declared))


def losses_of(
    plan_json: Mapping[str, Any],
    interfaces: Iterable[Mapping[str, Any]] = (),
    measure: Measure = lambda kind, before: None,
) -> list[Loss]:
    """What the plan (Terraform's JSON) would lose.

    `interfaces`: of the version that made the resources first, then of the one that is planned; a new version cannot
    hide what an older one said. `measure` knows the bytes of resources that this machine keeps itself.
    """
    known = list(interfaces)
    declared = {name for interface in known for name in interface.get("data_resources") or ()}
    labels: dict[str, str] = {}
    for interface in reversed(known):
        labels |= interface.get("resource_labels") or {}
    found = []
    for entry in plan_json.get("resource_changes", ()):
        kind, address, actions = entry["type"], entry["address"], entry["change"]["actions"]
        if "delete" not in actions or not holds_data(kind, address, declared):
            continue
        before = entry["change"].get("before") or {}
        size, limit = _size(kind, before, measure)
        label = labels.get(address) or labels.get(address.partition("[")[0]) or DATA_TYPES.get(kind) or kind
        found.append(Loss(address, kind, "replace" if "create" in actions else "delete", label, size, limit))
    return found


def _size(kind: str, before: Mapping[str, Any], measure: Measure) -> tuple[int | None, bool]:
    measured = measure(kind, before)
    if measured is not None:
        return measured, False
    for name in SIZE_ATTRIBUTES:
        value = before.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool) and value > 0:
            return int(value * GB), True
    return None, False


def losses_to_json(losses: Iterable[Loss]) -> list[dict[str, Any]]:
    return [asdict(loss) for loss in losses]


def losses_in(plan: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """What a stored plan says would be lost; one from before plans said it is looked at by its types."""
    if not plan:
        return []
    if "lost" in plan:
        return list(plan["lost"])
    return [
        asdict(Loss(resource["address"], resource["type"], resource["action"], DATA_TYPES[resource["type"]]))
        for resource in plan.get("resources", ())
        if resource["action"] in ("delete", "replace") and resource.get("type") in DATA_TYPES
    ]
