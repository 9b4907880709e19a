"""Short, repeatable tasks: give a change a machine, and wake that machine's agent."""

from datetime import timedelta

from celery import shared_task
from django.db import connection
from django.db.models.functions import Now
from django.utils import timezone

from apps.provisioning.models import Change, Machine, Workspace

AGENT_CHANNEL = "slipway_agent"


@shared_task
def change_wake(change_id: str) -> None:
    """Give the change a machine if it has none, then wake the agents; those not concerned go back to sleep."""
    change = Change.objects.select_related("workspace").filter(pk=change_id).first()
    if change is None:
        return
    if change.machine_id is None:
        _place(change)
    _notify_agents()


@shared_task
def changes_wake() -> None:
    """Find again what the queue lost: changes without a machine, and agents that slept through a message."""
    for change in Change.objects.select_related("workspace").filter(status=Change.Status.QUEUED, machine=None)[:200]:
        _place(change)
    moved_recently = timezone.now() - timedelta(seconds=2)
    if Change.objects.active().filter(created_at__lt=moved_recently).exists():
        _notify_agents()


def _place(change: Change) -> None:
    """A workspace stays on the machine its files are on; a new one goes where the fewest live."""
    machine_id = change.workspace.machine_id
    if machine_id is None:
        machine = Machine.objects.filter(expires_at__gt=Now()).order_by("created_at").first()
        if machine is None:
            return
        Workspace.objects.filter(pk=change.workspace_id, machine=None).update(machine=machine)
        machine_id = Workspace.objects.values_list("machine_id", flat=True).get(pk=change.workspace_id)
    Change.objects.filter(pk=change.pk, machine=None).update(machine_id=machine_id)


def _notify_agents() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, '')", [AGENT_CHANNEL])
