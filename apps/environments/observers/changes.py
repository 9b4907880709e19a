"""An environment's status, derived from its changes."""

from datetime import timedelta
from typing import Any

from django.utils import timezone

from apps.accounts.services import tokens_revoke_for_environment
from apps.audit.services import audit_record
from apps.core.clock import database_now
from apps.environments.failure_words import failure_words
from apps.environments.models import Environment
from apps.environments.observers.outside import moved_outside
from apps.environments.observers.writing import environment_of, environment_write, tell_owner
from apps.environments.services.settling import settled_fields, settled_inputs
from apps.environments.stopping import stop_words
from apps.environments.words import FAILURE_OF_KIND, STATUS_DURING
from apps.notifications.models import Notification
from apps.provisioning.models import Change, ServiceStatus

S, F = Environment.Status, Environment.Failure
C, K = Change.Status, Change.Kind
BEGUN_WORDS = {F.START: "couldn't start", F.UPDATE: "couldn't be updated", F.STOP: "couldn't stop"}


def change_observed(change: Change) -> None:
    """Called after every transition and step of a change, in the transaction that made it."""
    environment = environment_of(change.workspace_id)
    if environment is None:
        return
    if change.is_active:
        environment_write(environment, _while_active(change))
    elif change.status == C.APPLIED:
        _applied(environment, change)
    elif change.status == C.FAILED:
        _failed(environment, change)
    else:
        _ended_early(environment, change)
    if change.status == C.AWAITING_APPROVAL:
        tell_owner(
            environment,
            "would take over what exists already. Nothing happens before you have looked at it."
            if change.imports
            else "would have something replaced or destroyed. Nothing happens before you have looked at it.",
            key=f"change:{change.pk}:waits:{change.plan_hash[:12]}",
            action="See what will change",
            level=Notification.Level.ACTION,
            change=change,
        )


def _while_active(change: Change) -> dict[str, Any]:
    if change.kind == K.REFRESH:
        return {}
    if change.status == C.AWAITING_APPROVAL:
        return {"status": S.AWAITING_APPROVAL, "status_reason": "What will change waits for a click."}
    status = STATUS_DURING[change.kind]
    if change.kind == K.CREATE and change.status == C.QUEUED:
        status = S.QUEUED
    return {"status": status, "status_reason": "Cancelling" if change.cancel_requested_at else change.step}


# It was done ----------------------------------------------------------------------------------------------------------


def _applied(environment: Environment, change: Change) -> None:
    fields: dict[str, Any] = {}
    if change.kind in (K.CREATE, K.START):
        fields = {**_running(environment), "desired_running": True}
        fields |= _crashed_meanwhile(environment, change)
    elif change.kind == K.UPDATE:
        fields = _running(environment) if environment.desired_running else _stopped(environment.status_reason)
        if environment.desired_running and environment.expires_at:
            fields.pop("expires_at")
        fields["status_reason"] = ""
    elif change.kind == K.STOP:
        by = change.requested_by
        fields = _stopped(change.reason or (f"Stopped by {by.display_name}" if by else ""))
        if by is None:
            tell_owner(
                environment,
                f"stopped: {_lower(change.reason)}. {stop_words(environment)}",
                key=f"change:{change.pk}",
                action="Start",
            )
    elif change.kind == K.DESTROY:
        fields = _destroyed(environment, change)
    elif reason := moved_outside(environment):
        fields = _moved(environment, change, reason)
    elif (change.plan or {}).get("drift"):
        tell_owner(
            environment,
            "was changed outside Slipway. Nothing has been undone.",
            key=f"change:{change.pk}:drift",
            action="See what changed",
            change=change,
        )
    if change.kind != K.REFRESH:
        fields["settled_cipher"] = None
    environment_write(environment, fields)
    if change.kind != K.REFRESH:
        _audit(environment, change, "done")


def _moved(environment: Environment, change: Change, reason: str) -> dict[str, Any]:
    """It is what a check found it to be; started outside, it gets a stop time like any other."""
    tell_owner(
        environment, f"is not as it was left: {_lower(reason)}", key=f"change:{change.pk}:moved", action="Look at it"
    )
    if environment.status == S.RUNNING:
        return _stopped(reason)
    return {**_running(environment), "desired_running": True, "status_reason": reason}


def _running(environment: Environment) -> dict[str, Any]:
    return {
        "status": S.RUNNING,
        "failure": F.NONE,
        "status_reason": "",
        "expires_at": database_now() + timedelta(seconds=environment.ttl_seconds),
        "warned_for": None,
    }


def _crashed_meanwhile(environment: Environment, change: Change) -> dict[str, Any]:
    """An application may die between its health check and the end of the change; nobody reports it a second time."""
    dead = ServiceStatus.objects.filter(
        workspace_id=environment.pk,
        status__in=("crashed", "out_of_memory", "out_of_disk"),
        started_at__gte=change.created_at,
    ).first()
    if dead is None:
        return {}
    failure = F.MEMORY if dead.status == "out_of_memory" else F.CRASH
    return {"status": S.FAILED, "failure": failure, "status_reason": dead.reason, "expires_at": None}


def _stopped(reason: str) -> dict[str, Any]:
    return {
        "status": S.STOPPED,
        "failure": F.NONE,
        "status_reason": reason,
        "desired_running": False,
        "expires_at": None,
        "warned_for": None,
        "open_connections": 0,
        "kernels_busy_since": None,
    }


def _destroyed(environment: Environment, change: Change) -> dict[str, Any]:
    tokens_revoke_for_environment(environment_id=environment.pk)
    by = change.requested_by
    return {
        **_stopped(f"Destroyed by {by.display_name}" if by else "Destroyed"),
        "status": S.DESTROYED,
        "destroyed_at": timezone.now(),
        "secrets_cipher": None,
    }


# It was not -----------------------------------------------------------------------------------------------------------


def _failed(environment: Environment, change: Change) -> None:
    if change.kind == K.REFRESH:
        environment_write(environment, {})
        return
    words = failure_words(change)
    untouched = change.applying_at is None and change.kind == K.UPDATE
    if untouched:
        # Nothing was done: it runs on, or stays stopped, as it was.
        fields = {**settled_fields(environment), "status_reason": f"It couldn't be updated and is as it was. {words}"}
    else:
        failure = FAILURE_OF_KIND[Change.Kind(change.kind)]
        fields = {"status": S.FAILED, "failure": failure, "status_reason": str(words)}
        fields |= settled_inputs(environment) if change.applying_at is None else {"settled_cipher": None}
        if change.kind in (K.CREATE, K.START):
            fields["expires_at"] = None
    environment_write(environment, fields)
    did = BEGUN_WORDS.get(FAILURE_OF_KIND[Change.Kind(change.kind)], "couldn't be destroyed")
    tell_owner(
        environment,
        f"{did}: {_lower(str(words))}",
        key=f"change:{change.pk}:failed",
        action="" if untouched else "Try again",
        level=Notification.Level.FAILURE,
    )
    _audit(environment, change, "failed")


def _ended_early(environment: Environment, change: Change) -> None:
    """Cancelled or discarded: as it was, unless Terraform had begun to change things."""
    if change.kind == K.REFRESH:
        environment_write(environment, {})
        return
    begun = change.applying_at is not None
    if change.status == C.CANCELLED and (begun or change.kind == K.CREATE):
        fields = {
            "status": S.FAILED,
            "failure": FAILURE_OF_KIND[Change.Kind(change.kind)],
            "status_reason": str(failure_words(change)),
            "settled_cipher": None,
        }
        if change.kind in (K.CREATE, K.START):
            fields |= {"failure": F.CANCEL, "expires_at": None}
        if not begun:
            fields |= settled_inputs(environment)
    else:
        word = "discarded" if change.status == C.DISCARDED else "cancelled"
        fields = {
            "status_reason": f"{change.get_kind_display()} {word}; it is as it was",
            **settled_fields(environment),
        }
        if fields["status"] == S.FAILED:
            fields.pop("status_reason")
    environment_write(environment, fields)
    _audit(environment, change, change.status)


def _audit(environment: Environment, change: Change, verb: str) -> None:
    """What came of it, by the portal's own hand; the request before names the person."""
    audit_record(
        action=f"environments:environment:{change.kind}-{verb}",
        actor=None,
        target=environment,
        team_id=environment.team_id,
        after={
            "status": environment.status,
            "change": str(change.pk),
            **({"code": change.failure_code} if change.failure_code else {}),
        },
    )


def _lower(text: str) -> str:
    """The first letter small, for the middle of a sentence; an abbreviation stays as it is."""
    return text[:1].lower() + text[1:] if not text[1:2].isupper() else text
