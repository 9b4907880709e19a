"""Destroying: the one thing that cannot be undone."""

from django.db import transaction

from apps.accounts.models import User
from apps.environments.exceptions import ConfirmationMissing, WrongStatus
from apps.environments.models import Environment
from apps.environments.permissions import EnvironmentPermission as P
from apps.environments.selectors import files_would_be_lost
from apps.environments.services.locking import begin, busy, environment_lock
from apps.provisioning.models import Change
from apps.provisioning.selectors import change_active

S = Environment.Status


@transaction.atomic
def environment_destroy(*, environment: Environment, actor: User, confirm: str = "", reason: str = "") -> Environment:
    """Remove everything Terraform made. Where files would be lost `confirm` must be the environment's name.

    Destroying what is destroyed changes nothing, nor does a second click.
    """
    row = environment_lock(environment, actor, P.DESTROY)
    if row.status == S.DESTROYED:
        return row
    active = change_active(row.pk)
    if active and active.kind == Change.Kind.DESTROY:
        return row
    if files_would_be_lost(row) and confirm.strip() != row.name:
        message = f"Type “{row.name}” to destroy it." if not confirm else "This is not the name of the environment."
        raise ConfirmationMissing(message, errors={"confirm": [message]})
    if active:
        raise busy(active)
    if row.workspace is None:
        raise WrongStatus("It has nothing to destroy.")
    begin(row, kind=Change.Kind.DESTROY, actor=actor, reason=reason, desired_running=False)
    return row
