"""What a platform engineer decides of a rollout that goes on: continue, skip one, give values, stop."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models.functions import Now

from apps.accounts.models import User
from apps.audit.services import audit_record
from apps.core.crypto import decrypt_json, encrypt_json
from apps.core.exceptions import Conflict, InvalidInput
from apps.core.queue import enqueue
from apps.environments.models import Rollout, RolloutItem
from apps.environments.permissions import rollout_require
from apps.environments.services.rollouts.starting import inputs_for_all
from apps.environments.services.rollouts.writing import (
    ADVANCE,
    item_move,
    rollout_lock,
    rollout_publish,
    rollout_set,
)
from apps.environments.services.values import inputs_masked

R, T = Rollout.State, RolloutItem.State


class RolloutEnded(Conflict):
    code = "environments:rollout-ended"
    title = "This rollout has ended"


def _held(rollout: Rollout, actor: User) -> Rollout:
    rollout_require(actor)
    row = rollout_lock(rollout.pk)
    assert row is not None
    if not row.is_active:
        raise RolloutEnded(f"This rollout is {row.get_state_display().lower()} already.")
    return row


@transaction.atomic
def rollout_continue(*, rollout: Rollout, actor: User) -> Rollout:
    """Go on after a failure: what failed is tried again, then the others have their turn. Twice is the same as once."""
    row = _held(rollout, actor)
    if row.state == R.RUNNING:
        return row
    again = RolloutItem.objects.filter(rollout=row, state=T.FAILED)
    names = list(again.values_list("environment__name", flat=True)[:20])
    again.update(state=T.WAITING, reason="", settled_at=None, wave=row.wave)
    Rollout.objects.filter(pk=row.pk).update(driven_by=actor)
    rollout_set(row, R.RUNNING)
    _audit(row, actor, "continue", {"again": names, "wave": row.wave})
    enqueue(ADVANCE, str(row.pk))
    return row


@transaction.atomic
def rollout_skip(*, rollout: Rollout, environment_id: UUID, actor: User) -> Rollout:
    """Leave one out. Where it was the only one that failed, the rollout goes on."""
    row = _held(rollout, actor)
    item = RolloutItem.objects.filter(rollout=row, environment=environment_id).select_related("environment").first()
    if item is None:
        raise InvalidInput(errors={"environment": ["It is no environment of this rollout."]})
    if item.state == T.SKIPPED:
        return row
    if item.state in (T.PLANNING, T.CONFIRMING):
        raise Conflict("Its change is under way. Cancel or discard the change to skip it.")
    if item.state == T.DONE:
        raise Conflict("It has been upgraded already.")
    before = item.state
    if not item_move(item, T.SKIPPED, f"Skipped by {actor.display_name}."):
        raise Conflict("It has just moved on. Look again.")
    failed = RolloutItem.objects.filter(rollout=row, state=T.FAILED).exists()
    if row.state == R.PAUSED and before == T.FAILED and not failed:
        Rollout.objects.filter(pk=row.pk).update(driven_by=actor)
        rollout_set(row, R.RUNNING)
    else:
        rollout_publish(row)
    _audit(row, actor, "skip", {"environment": item.environment.name, "id": str(item.environment_id)})
    enqueue(ADVANCE, str(row.pk))
    return row


@transaction.atomic
def rollout_give(*, rollout: Rollout, inputs: Mapping[str, Any], actor: User) -> Rollout:
    """Values that are used wherever an environment asks for them; those given before stay unless given anew."""
    row = _held(rollout, actor)
    values = {**decrypt_json(bytes(row.inputs_cipher)), **inputs_for_all(row.to_version, inputs)}
    masked = inputs_masked(list(row.to_version.parsed().variables), values)
    Rollout.objects.filter(pk=row.pk).update(inputs=masked, inputs_cipher=encrypt_json(values))
    _audit(row, actor, "give", {"inputs": masked})
    rollout_publish(row)
    enqueue(ADVANCE, str(row.pk))
    return row


@transaction.atomic
def rollout_stop(*, rollout: Rollout, actor: User) -> Rollout:
    """Nothing further is begun; what is under way goes on to its end and is written down."""
    rollout_require(actor)
    row = rollout_lock(rollout.pk)
    assert row is not None
    if row.state == R.STOPPED:
        return row
    if not row.is_active:
        raise RolloutEnded
    left = RolloutItem.objects.filter(rollout=row).to_begin()
    count = left.update(state=T.SKIPPED, reason="The rollout was stopped before its turn.", settled_at=Now())
    rollout_set(row, R.STOPPED, f"Stopped by {actor.display_name}.", finished_at=Now())
    _audit(row, actor, "stop", {"left": count})
    return row


def _audit(rollout: Rollout, actor: User, verb: str, after: dict[str, Any]) -> None:
    audit_record(action=f"environments:rollout:{verb}", actor=actor, target=rollout, after=after)
