"""Taking over what was made by hand into an environment that is there."""

from collections.abc import Iterable

from django.db import transaction

from apps.accounts.models import User
from apps.environments.exceptions import LaunchInvalid
from apps.environments.models import Environment
from apps.environments.permissions import EnvironmentPermission as P
from apps.environments.selectors import has_run
from apps.environments.services.inputs import environment_updatable
from apps.environments.services.locking import begin
from apps.environments.takeover import imports_check, imports_told
from apps.provisioning.imports import Import
from apps.provisioning.models import Change

S = Environment.Status


@transaction.atomic
def environment_take_over(*, environment: Environment, actor: User, imports: Iterable[Import]) -> Environment:
    """Plan to take existing things over into it; nothing is applied before somebody has looked at the plan.

    For one that never ran, no rows at all give up what its launch was to take over.
    """
    row = environment_updatable(environment, actor, P.TAKE_OVER)
    rows = imports_check(interface=row.module_version.parsed(), actor=actor, imports=imports)
    ran = has_run(row)
    if not rows and ran:
        raise LaunchInvalid(errors={"imports": ["Name at least one thing to take over."]})
    kind, running = Change.Kind.UPDATE, row.status == S.RUNNING
    if row.status == S.FAILED:
        kind, running = (Change.Kind.START if ran else Change.Kind.CREATE), True
    begin(
        row,
        kind=kind,
        actor=actor,
        reason="Take over what exists",
        desired_running=running,
        imports=rows,
        audit=({}, imports_told(rows)),
    )
    return row
