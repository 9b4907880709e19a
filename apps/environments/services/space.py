"""Room on the machine's disk: below a share of it nothing new is built, and what runs is kept."""

from django.conf import settings
from django.db.models.functions import Now

from apps.environments.exceptions import DiskShort
from apps.provisioning.models import Machine, Workspace

LOCAL = "local"


def _is_short(machine: Machine) -> bool:
    if not machine.disk_bytes or machine.free_disk_bytes is None:
        return False
    return machine.free_disk_bytes * 100 < machine.disk_bytes * settings.DISK_LEAST_FREE_PERCENT


def machine_require_space(workspace: Workspace | None) -> None:
    """Raises `DiskShort` when the environment's machine, or every living one for a new environment, is nearly full.

    What is built in a cloud needs next to no room here, whatever the machine that builds it has left.
    """
    if workspace is not None and workspace.target != LOCAL:
        return
    machines = Machine.objects.filter(pk=workspace.machine_id) if workspace and workspace.machine_id else None
    if machines is None:
        machines = Machine.objects.filter(expires_at__gt=Now())
    known = list(machines)
    if known and all(_is_short(machine) for machine in known):
        free = max(machine.free_disk_bytes or 0 for machine in known) / 2**30
        raise DiskShort(
            f"The machine has {free:.1f} GB of disk left, less than {settings.DISK_LEAST_FREE_PERCENT} %. Nothing new "
            "is started until there is more room; what runs is kept. Destroy environments you no longer need, or tell "
            "a platform engineer."
        )
