"""Short, repeatable tasks: give a change a machine, and wake that machine's agent."""

from celery import shared_task
from django.db import connection

from apps.provisioning.models import Change
from apps.provisioning.placing import change_place, changes_place_waiting

AGENT_CHANNEL = "slipway_agent"


@shared_task
def change_wake(change_id: str) -> None:
    """Give the change a machine if it has none, then wake the agents; those not concerned go back to sleep."""
    change = Change.objects.select_related("workspace").filter(pk=change_id).first()
    if change is None:
        return
    if change.machine_id is None:
        change_place(change)
    _notify_agents()


@shared_task
def changes_wake() -> None:
    """Find again what the queue lost: changes without a machine, and agents that slept through a message."""
    changes_place_waiting()
    if Change.objects.active().exists():
        _notify_agents()


def _notify_agents() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, '')", [AGENT_CHANNEL])
