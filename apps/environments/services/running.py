"""Starting, stopping, checking and trying again."""

from django.db import transaction

from apps.accounts.models import User
from apps.environments.exceptions import StopConfirmationMissing, WrongStatus
from apps.environments.models import Environment
from apps.environments.permissions import EnvironmentPermission as P
from apps.environments.selectors import has_run
from apps.environments.services.locking import begin, busy, environment_lock, require_idle
from apps.environments.services.space import machine_require_space
from apps.environments.stopping import lost_on_stop
from apps.provisioning.models import Change
from apps.provisioning.selectors import change_active

S, F = Environment.Status, Environment.Failure


@transaction.atomic
def environment_stop(
    *, environment: Environment, actor: User | None, reason: str = "", confirm: str | None = None
) -> Environment:
    """Free the processes and keep the files. A second stop changes nothing; a busy one is a conflict.

    Where the module says that a stop loses something, `confirm` must be the environment's name; None where the portal
    itself stops it, or where whoever asked has been told already.
    """
    row = environment_lock(environment, actor, P.STOP)
    active = change_active(row.pk)
    if row.status == S.STOPPED or (active and active.kind == Change.Kind.STOP):
        return row
    if active:
        raise busy(active)
    if row.status == S.DESTROYED:
        raise WrongStatus("It has been destroyed; there is nothing to stop.")
    if row.status == S.FAILED and not has_run(row):
        raise WrongStatus("It never ran, so there is nothing to stop. Try again, or destroy it.")
    if confirm is not None and (lost := lost_on_stop(row.module_version)) and confirm.strip() != row.name:
        message = f"{lost} Give the name “{row.name}” as “confirm” to stop it all the same."
        raise StopConfirmationMissing(message, errors={"confirm": [message]})
    begin(row, kind=Change.Kind.STOP, actor=actor, reason=reason, desired_running=False)
    return row


@transaction.atomic
def environment_start(*, environment: Environment, actor: User, reason: str = "") -> Environment:
    """Bring a stopped or crashed environment back. Starting what runs or starts changes nothing."""
    row = environment_lock(environment, actor, P.START)
    active = change_active(row.pk)
    if row.status == S.RUNNING and not active:
        return row
    if active and active.kind in (Change.Kind.START, Change.Kind.CREATE):
        return row
    if active:
        raise busy(active)
    if row.status == S.DESTROYED:
        raise WrongStatus("It has been destroyed and cannot be started. Launch a new one.")
    machine_require_space(row.workspace)
    if row.status == S.FAILED and not has_run(row):
        begin(row, kind=Change.Kind.CREATE, actor=actor, reason=reason, desired_running=True)
    else:
        begin(row, kind=Change.Kind.START, actor=actor, reason=reason, desired_running=True)
    return row


@transaction.atomic
def environment_refresh(*, environment: Environment, actor: User | None) -> Environment:
    """Compare what exists with what Terraform made; changes nothing by itself."""
    row = environment_lock(environment, actor, P.REFRESH)
    active = change_active(row.pk)
    if active and active.kind == Change.Kind.REFRESH:
        return row
    if active:
        raise busy(active)
    if row.status == S.DESTROYED:
        raise WrongStatus("It has been destroyed; there is nothing to check.")
    begin(row, kind=Change.Kind.REFRESH, actor=actor)
    return row


@transaction.atomic
def environment_reconcile(*, environment: Environment, actor: User) -> Environment:
    """Bring what exists back to what the inputs say; a plan that replaces something waits for a click as always."""
    row = environment_lock(environment, actor, P.UPDATE)
    require_idle(row)
    if row.status not in (S.RUNNING, S.STOPPED):
        raise WrongStatus("Only what runs or is stopped can be reconciled.")
    begin(row, kind=Change.Kind.UPDATE, actor=actor, reason="Undo what changed outside Slipway")
    return row


@transaction.atomic
def environment_retry(*, environment: Environment, actor: User) -> Environment:
    """Do again what failed, from the state it left; pressing twice is the same as once."""
    row = environment_lock(environment, actor, P.RETRY)
    if row.status != S.FAILED:
        if row.status in (S.DESTROYED, S.STOPPED, S.RUNNING):
            raise WrongStatus("Nothing failed, so there is nothing to try again.")
        return row
    require_idle(row)
    kind = retry_kind(row)
    if kind in (Change.Kind.CREATE, Change.Kind.START):
        machine_require_space(row.workspace)
    desired = {Change.Kind.CREATE: True, Change.Kind.START: True, Change.Kind.STOP: False}.get(kind)
    begin(row, kind=kind, actor=actor, reason="Tried again", desired_running=desired)
    return row


def retry_kind(environment: Environment) -> Change.Kind:
    """What “Try again” does: the kind of change that failed; a start where an application crashed."""
    if environment.failure in (F.CRASH, F.MEMORY):
        return Change.Kind.START
    by_failure = {F.UPDATE: Change.Kind.UPDATE, F.STOP: Change.Kind.STOP, F.DESTROY: Change.Kind.DESTROY}
    if environment.failure in by_failure:
        return by_failure[Environment.Failure(environment.failure)]
    return Change.Kind.START if has_run(environment) else Change.Kind.CREATE
