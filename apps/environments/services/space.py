"""Room on the machine's disk: below a twentieth nothing new is built, and what runs is kept."""

from django.utils import timezone

from apps.environments.exceptions import DiskShort
from apps.provisioning.models import Machine, Workspace

LEAST_FREE = 0.05


def _is_short(machine: Machine) -> bool:
    if not machine.disk_bytes or machine.free_disk_bytes is None:
        return False
    return machine.free_disk_bytes < machine.disk_bytes * LEAST_FREE


def machine_require_space(workspace: Workspace | None) -> None:
    """Raises `DiskShort` when the environment's machine, or every living one for a new environment, is nearly full."""
    machines = Machine.objects.filter(pk=workspace.machine_id) if workspace and workspace.machine_id else None
    if machines is None:
        machines = Machine.objects.filter(expires_at__gt=timezone.now())
    known = list(machines)
    if known and all(_is_short(machine) for machine in known):
        free = max(machine.free_disk_bytes or 0 for machine in known) / 2**30
        raise DiskShort(
            f"The machine has {free:.1f} GB of disk left, less than 5 %. Nothing new is started until there is more "
            "room; what runs is kept. Destroy environments you no longer need, or tell a platform engineer."
        )
