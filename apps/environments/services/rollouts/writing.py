"""How a rollout's rows are written: one item by a conditional update, the rollout itself under its lock."""

from uuid import UUID

from django.db import transaction
from django.db.models.functions import Now

from apps.core import live
from apps.environments.models import Rollout, RolloutItem

ADVANCE = "apps.environments.tasks.rollout_wake"
# Nobody belongs to it: it is heard by those who see everything, who are the ones that see rollouts.
AUDIENCE = "team:platform"
SETTLED = frozenset({RolloutItem.State.DONE, RolloutItem.State.SKIPPED})


def rollout_lock(rollout_id: UUID) -> Rollout | None:
    """The row as it is now, held until the transaction ends."""
    assert transaction.get_connection().in_atomic_block
    rows = Rollout.objects.select_for_update(of=("self",)).select_related(
        "module", "to_version", "requested_by", "driven_by"
    )
    return rows.defer("to_version__archive").filter(pk=rollout_id).first()


def rollout_publish(rollout: Rollout) -> None:
    """Open pages of the rollout look again."""
    live.publish(audience=AUDIENCE, topic=rollout.topic, kind="rollout", data={"state": rollout.state})


def item_move(item: RolloutItem, state: str, reason: str = "", **fields: object) -> bool:
    """From the state it is known to have to another; False where somebody else has moved it meanwhile."""
    if state in SETTLED or state == RolloutItem.State.FAILED:
        fields["settled_at"] = Now()
    reason = reason[:300]
    rows = RolloutItem.objects.filter(pk=item.pk, state=item.state)
    if rows.update(state=state, reason=reason, **fields) != 1:
        return False
    item.state, item.reason = state, reason
    return True


def rollout_set(rollout: Rollout, state: str, reason: str = "", **fields: object) -> bool:
    """As `item_move`, for the rollout."""
    reason = reason[:300]
    if Rollout.objects.filter(pk=rollout.pk, state=rollout.state).update(state=state, reason=reason, **fields) != 1:
        return False
    rollout.state, rollout.reason = state, reason
    rollout_publish(rollout)
    return True
