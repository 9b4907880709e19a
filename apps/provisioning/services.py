"""What people and higher apps ask of provisioning. Each write is one transaction; the queue only wakes somebody."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models.functions import Now

from apps.accounts.models import Team, User
from apps.audit.services import audit_record
from apps.catalog.models import ModuleVersion
from apps.core.clock import database_now
from apps.core.correlation import correlation_id
from apps.core.crypto import encrypt_json
from apps.core.queue import enqueue
from apps.provisioning.exceptions import (
    ChangeActive,
    ChangeNotCancellable,
    ChangeNotWaiting,
    ConfirmationMissing,
    KillNotAllowed,
    PlanOutOfDate,
)
from apps.provisioning.imports import Import
from apps.provisioning.losses import losses_in
from apps.provisioning.models import Change, Workspace
from apps.provisioning.registry import change_callbacks
from apps.provisioning.transitions import change_transition

WAKE = "apps.provisioning.tasks.change_wake"


def workspace_create(
    *, id: UUID, name: str, team: Team, owner: User, module_version: ModuleVersion, target: str
) -> Workspace:
    return Workspace.objects.create(
        id=id, name=name, team=team, owner=owner, module_version=module_version, target=target
    )


@transaction.atomic
def change_request(
    *,
    workspace: Workspace,
    kind: str,
    values: dict[str, Any],
    requested_by: User | None,
    reason: str = "",
    module_version: ModuleVersion | None = None,
    imports: Sequence[Import] = (),
) -> Change:
    """Queue a change of `workspace` with these Terraform variable values (kept encrypted until it ends).

    `imports` are existing things that it takes over. Raises `ChangeActive` when one is already going on.
    """
    try:
        with transaction.atomic():
            change = Change.objects.create(
                workspace=workspace,
                kind=kind,
                requested_by=requested_by,
                reason=reason[:200],
                correlation_id=correlation_id.get(),
                module_version=module_version or workspace.module_version,
                machine=workspace.machine,
                values=encrypt_json(values),
                imports=[asdict(wanted) for wanted in imports],
            )
    except IntegrityError:
        raise ChangeActive from None
    # By the database's clock, like every later time of it: the order of changes must not hang on a web server's clock.
    change.created_at = database_now()
    Change.objects.filter(pk=change.pk).update(created_at=change.created_at)
    _audit(change, "requested", requested_by, after={"kind": kind, "module_version": str(change.module_version)})
    for callback in change_callbacks:
        callback(change)
    enqueue(WAKE, str(change.pk))
    return change


@transaction.atomic
def change_approve(*, change: Change, actor: User, plan_hash: str, confirm: str = "") -> None:
    """Let the plan that was shown, and only that one, be applied.

    Where it would lose data `confirm` must be the environment's name. Raises `PlanOutOfDate`, `ConfirmationMissing` and
    `ChangeNotWaiting`.
    """
    if change.plan_hash != plan_hash:
        raise PlanOutOfDate
    lost = losses_in(change.plan)
    name = change.workspace.name
    if lost and change.status == Change.Status.AWAITING_APPROVAL and confirm.strip() != name:
        message = f"Type “{name}” to let this be lost." if not confirm else "This is not the name of the environment."
        raise ConfirmationMissing(message, errors={"confirm": [message]})
    if not change_transition(
        change, Change.Status.PLANNED, approved_hash=plan_hash, approved_by=actor, approved_at=Now()
    ):
        raise ChangeNotWaiting
    told = {"lost": [f"{loss['label']} ({loss['address']})" for loss in lost]} if lost else {}
    _audit(change, "approved", actor, after={"plan_hash": plan_hash, **told})
    enqueue(WAKE, str(change.pk))


@transaction.atomic
def change_reject(*, change: Change, actor: User, reason: str = "") -> None:
    reason = reason[:200]
    if not change_transition(change, Change.Status.DISCARDED, reason=reason or change.reason):
        raise ChangeNotWaiting
    _audit(change, "discarded", actor, after={"reason": reason})
    enqueue(WAKE, str(change.pk))


@transaction.atomic
def change_cancel(*, change: Change, actor: User) -> None:
    """End a change that has not begun; ask the agent to interrupt one that has. The state is kept either way."""
    if change.status in (Change.Status.QUEUED, Change.Status.AWAITING_APPROVAL):
        if change_transition(change, Change.Status.CANCELLED, cancel_requested_at=Now(), cancel_requested_by=actor):
            _audit(change, "cancelled", actor)
            enqueue(WAKE, str(change.pk))
            return
        change.refresh_from_db()
    asked = Change.objects.active().filter(pk=change.pk, cancel_requested_at=None)
    if not asked.update(cancel_requested_at=Now(), cancel_requested_by=actor):
        if change.is_active:
            return
        raise ChangeNotCancellable
    change.refresh_from_db()
    _audit(change, "cancel-requested", actor)
    for callback in change_callbacks:
        callback(change)
    enqueue(WAKE, str(change.pk))


@transaction.atomic
def change_kill_confirm(*, change: Change, actor: User) -> None:
    """End Terraform by force after it did not heed a cancel; what it had finished is in the state."""
    if not actor.is_platform_engineer:
        raise KillNotAllowed
    rows = Change.objects.active().filter(pk=change.pk, kill_confirmed_at=None).exclude(cancel_requested_at=None)
    if not rows.update(kill_confirmed_at=Now()):
        raise KillNotAllowed
    _audit(change, "kill-confirmed", actor)
    enqueue(WAKE, str(change.pk))


def _audit(change: Change, verb: str, actor: User | None, after: dict[str, Any] | None = None) -> None:
    audit_record(
        action=f"provisioning:change:{verb}",
        actor=actor,
        target=change,
        team_id=change.workspace.team_id,
        after={"workspace": str(change.workspace_id), **(after or {})},
    )
