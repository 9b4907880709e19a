"""Moving a rollout on: following what is under way, giving the next ones their turn, opening the next wave."""

import logging
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models.functions import Now
from django.urls import reverse

from apps.audit.services import audit_record
from apps.core.crypto import decrypt_json
from apps.core.exceptions import Conflict, NotAllowed
from apps.environments.exceptions import EnvironmentBusy, LaunchInvalid
from apps.environments.failure_words import failure_words
from apps.environments.models import Environment, Rollout, RolloutItem
from apps.environments.observers.writing import tell_owner
from apps.environments.permissions import EnvironmentPermission as P
from apps.environments.services.locking import environment_lock
from apps.environments.services.rollouts.starting import needs_words
from apps.environments.services.rollouts.writing import item_move, rollout_lock, rollout_publish, rollout_set
from apps.environments.services.running import environment_retry
from apps.environments.services.upgrading import upgrade_begin, upgrade_look
from apps.environments.words import status_word
from apps.notifications.models import Notification
from apps.notifications.services import notify
from apps.provisioning.models import Change
from apps.provisioning.selectors import change_active

log = logging.getLogger(__name__)
S, F = Environment.Status, Environment.Failure
R, T, C = Rollout.State, RolloutItem.State, Change.Status


def rollout_advance(*, rollout_id: UUID) -> None:
    """Everything that can be done now. Running it twice, late, or on two workers does no harm."""
    while _follow(rollout_id):
        for item_id in RolloutItem.objects.filter(rollout=rollout_id).to_begin().values_list("pk", flat=True):
            _begin(rollout_id, item_id)
        if not _next_wave(rollout_id):
            return


# What is under way ----------------------------------------------------------------------------------------------------


@transaction.atomic
def _follow(rollout_id: UUID) -> bool:
    """Write down what became of changes, and pause at a failure. True while there may be turns to give."""
    rollout = rollout_lock(rollout_id)
    if rollout is None:
        return False
    items = RolloutItem.objects.filter(rollout=rollout).unsettled()
    moved = False
    for item in items.select_related("environment__owner", "environment__team", "change", "environment__module"):
        moved |= _follow_item(rollout, item)
    failed = RolloutItem.objects.filter(rollout=rollout, state=T.FAILED)
    if rollout.state == R.RUNNING and failed.exists():
        names = ", ".join(failed.values_list("environment__name", flat=True)[:3])
        _pause(rollout, f"{names} could not be upgraded.")
    elif moved:
        rollout_publish(rollout)
    return rollout.state == R.RUNNING


def _follow_item(rollout: Rollout, item: RolloutItem) -> bool:
    if item.state in (T.WAITING, T.NEEDS_INPUT, T.FAILED):
        return _follow_others(rollout, item)
    state, reason = _outcome(item)
    if (state, reason) == (item.state, item.reason) or not item_move(item, state, reason):
        return False
    if state == T.DONE:
        _owner_tell_done(rollout, item)
    return True


def _follow_others(rollout: Rollout, item: RolloutItem) -> bool:
    """An owner may have upgraded it, mended it or destroyed it meanwhile."""
    environment = item.environment
    if environment.status == S.DESTROYED:
        return item_move(item, T.SKIPPED, "It has been destroyed.")
    is_there = environment.module_version_id == rollout.to_version_id
    if is_there and environment.status in (S.RUNNING, S.STOPPED) and change_active(environment.pk) is None:
        return item_move(item, T.DONE, f"It has {rollout.to_version.version}.")
    return False


def _outcome(item: RolloutItem) -> tuple[str, str]:
    """The state of an item by its change."""
    change = item.change
    if change is None:
        return T.FAILED, "Its change is not known any more."
    if change.status == C.AWAITING_APPROVAL:
        return T.CONFIRMING, "Something would be replaced or destroyed."
    if change.is_active:
        return T.PLANNING, ""
    if change.status == C.APPLIED:
        return T.DONE, ""
    if change.status == C.DISCARDED:
        return T.SKIPPED, "The plan was discarded."
    if change.status == C.CANCELLED and change.applying_at is None:
        return T.SKIPPED, "The change was cancelled."
    return T.FAILED, str(failure_words(change))


def _pause(rollout: Rollout, reason: str) -> None:
    if not rollout_set(rollout, R.PAUSED, reason):
        return
    audit_record(
        action="environments:rollout:pause",
        actor=None,
        target=rollout,
        before={"state": R.RUNNING},
        after={"state": R.PAUSED, "reason": reason, "wave": rollout.wave},
    )
    _tell(rollout, f"is paused: {reason} Nothing further is begun.", "paused", Notification.Level.FAILURE)


def _tell(rollout: Rollout, text: str, what: str, level: str) -> None:
    notify(
        user=rollout.driven_by,
        text=f"The upgrade of {rollout.module.title} to {rollout.to_version.version} {text}",
        url=reverse("environments:rollout", args=[rollout.pk]),
        action="See the rollout",
        level=level,
        key=f"rollout:{rollout.pk}:{what}:{rollout.wave}",
    )


def _owner_tell_done(rollout: Rollout, item: RolloutItem) -> None:
    tell_owner(
        item.environment,
        f"has been upgraded to {rollout.to_version.version}. Files are kept.",
        key=f"rollout:{rollout.pk}:{item.environment_id}:after",
        action="See it",
    )


# Whose turn it is -----------------------------------------------------------------------------------------------------


@transaction.atomic
def _begin(rollout_id: UUID, item_id: UUID) -> None:
    """Give one environment its turn, if it is in the wave that is going on and nothing stands in its way."""
    rollout = rollout_lock(rollout_id)
    item = RolloutItem.objects.select_related("environment").filter(pk=item_id).first()
    if rollout is None or item is None or rollout.state != R.RUNNING or item.wave != rollout.wave:
        return
    if item.state not in (T.WAITING, T.NEEDS_INPUT):
        return
    state, reason, change = _turn(rollout, item)
    if state == "refused":
        _pause(rollout, reason)
        return
    if (state, reason) == (item.state, item.reason) and change is None:
        return
    fields: dict[str, Any] = {"change": change} if change is not None else {}
    if not item_move(item, state, reason, **fields):
        raise RuntimeError(f"item {item.pk} moved under the lock of its rollout")
    rollout_publish(rollout)


def _turn(rollout: Rollout, item: RolloutItem) -> tuple[str, str, Change | None]:
    """Ask for the upgrade: the item's new state, why, and the change that does it."""
    environment = environment_lock(item.environment, None, P.UPGRADE)
    if environment.status == S.FAILED:
        return _turn_of_failed(rollout, item, environment)
    try:
        with transaction.atomic():
            change = upgrade_begin(
                environment=environment,
                actor=rollout.driven_by,
                module_version=rollout.to_version,
                inputs=decrypt_json(bytes(rollout.inputs_cipher)),
                reason=f"Rollout to {rollout.to_version.version}",
                only_asked=True,
            )
    except EnvironmentBusy as error:
        return item.state, str(error), None
    except Conflict as error:
        return T.SKIPPED, str(error), None
    except LaunchInvalid as error:
        return _needs(rollout, environment, error)
    except NotAllowed:
        return "refused", f"{rollout.driven_by.display_name} may not upgrade environments any more.", None
    if change is None:
        return T.DONE, f"It has {rollout.to_version.version}.", None
    return T.PLANNING, "", change


def _turn_of_failed(rollout: Rollout, item: RolloutItem, environment: Environment) -> tuple[str, str, Change | None]:
    """One whose upgrade by this rollout broke midway is tried again from there; any other failure is its owner's."""
    ours = item.change_id is not None and environment.module_version_id == rollout.to_version_id
    if not ours or environment.failure != F.UPDATE:
        reason = f"{status_word(environment).label}. {environment.status_reason} Mend it and upgrade it by itself."
        return T.SKIPPED, reason, None
    try:
        with transaction.atomic():
            environment_retry(environment=environment, actor=rollout.driven_by)
    except EnvironmentBusy as error:
        return item.state, str(error), None
    except Conflict as error:
        return T.SKIPPED, str(error), None
    except NotAllowed:
        return "refused", f"{rollout.driven_by.display_name} may not upgrade environments any more.", None
    return T.PLANNING, "", change_active(environment.pk)


def _needs(rollout: Rollout, environment: Environment, error: LaunchInvalid) -> tuple[str, str, Change | None]:
    try:
        reason = needs_words(upgrade_look(environment=environment, target=rollout.to_version))
    except LaunchInvalid:
        # The version itself cannot be moved to any more: it has been withdrawn meanwhile.
        return "refused", "; ".join(error.errors.get("version", [str(error)])), None
    tell_owner(
        environment,
        f"cannot be upgraded to {rollout.to_version.version} yet. {reason}",
        key=f"rollout:{rollout.pk}:{environment.pk}:needs",
        action="Upgrade it",
        level=Notification.Level.ACTION,
    )
    return T.NEEDS_INPUT, reason, None


# The next wave --------------------------------------------------------------------------------------------------------


@transaction.atomic
def _next_wave(rollout_id: UUID) -> bool:
    """Open the next wave once all of this one are settled; after the last one the rollout is finished."""
    rollout = rollout_lock(rollout_id)
    if rollout is None or rollout.state != R.RUNNING:
        return False
    if RolloutItem.objects.filter(rollout=rollout, wave__lte=rollout.wave).unsettled().exists():
        return False
    if rollout.wave < rollout.waves:
        if Rollout.objects.filter(pk=rollout.pk, wave=rollout.wave, state=R.RUNNING).update(wave=rollout.wave + 1) != 1:
            return False
        rollout.wave += 1
        rollout_publish(rollout)
        return True
    if rollout_set(rollout, R.FINISHED, finished_at=Now()):
        done = RolloutItem.objects.filter(rollout=rollout, state=T.DONE).count()
        skipped = RolloutItem.objects.filter(rollout=rollout, state=T.SKIPPED).count()
        after = {"state": R.FINISHED, "done": done, "skipped": skipped}
        audit_record(action="environments:rollout:finish", actor=None, target=rollout, after=after)
        left = f", {skipped} skipped" if skipped else ""
        _tell(rollout, f"is finished: {done} done{left}.", "finished", Notification.Level.INFO)
    return False
