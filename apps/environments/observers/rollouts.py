"""A change that belongs to a rollout wakes who drives it; nothing of the rollout is written here.

The agent holds the change and the environment while it calls: to take the rollout's row as well would turn the order of
locks around.
"""

from apps.core.queue import enqueue
from apps.environments.models import RolloutItem
from apps.environments.services.rollouts.writing import ADVANCE
from apps.provisioning.models import Change

C = Change.Status
TELLING = frozenset({C.AWAITING_APPROVAL, C.PLANNED, C.APPLIED, C.FAILED, C.CANCELLED, C.DISCARDED})


def rollout_observed(change: Change) -> None:
    """Called after every transition and step; only some of them mean something to a rollout."""
    if change.status not in TELLING:
        return
    for rollout_id in RolloutItem.objects.filter(change=change).under_way().values_list("rollout_id", flat=True):
        enqueue(ADVANCE, str(rollout_id))
