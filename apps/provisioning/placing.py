"""Which machine a change is done on. Asked by the worker at once, and by beat and every agent for what was lost."""

from django.db.models.functions import Now

from apps.provisioning.models import Change, Machine, Workspace

AT_ONCE = 200


def change_place(change: Change) -> None:
    """A workspace stays on the machine its files are on; a new one goes to the oldest living machine.

    May be called twice and by several at once: the first to write decides.
    """
    machine_id = change.workspace.machine_id
    if machine_id is None:
        machine = Machine.objects.filter(expires_at__gt=Now()).order_by("created_at").first()
        if machine is None:
            return
        Workspace.objects.filter(pk=change.workspace_id, machine=None).update(machine=machine)
        machine_id = Workspace.objects.values_list("machine_id", flat=True).get(pk=change.workspace_id)
    Change.objects.filter(pk=change.pk, machine=None).update(machine_id=machine_id)


def changes_place_waiting() -> int:
    """Give every change that waits for one a machine, oldest first; how many there were."""
    waiting = Change.objects.select_related("workspace").filter(status=Change.Status.QUEUED, machine=None)
    found = list(waiting.order_by("created_at", "id")[:AT_ONCE])
    for change in found:
        change_place(change)
    return len(found)
