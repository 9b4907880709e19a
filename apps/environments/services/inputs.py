"""Changing what an environment is made of: its inputs, its size, its module version."""

from typing import Any

from django.db import transaction

from apps.accounts.models import User
from apps.catalog.models import ModuleVersion
from apps.core.crypto import encrypt_json
from apps.environments.exceptions import LaunchInvalid, WrongStatus
from apps.environments.models import Environment
from apps.environments.permissions import EnvironmentPermission as P
from apps.environments.runtime_choice import runtime_read, runtime_shown
from apps.environments.selectors import has_run
from apps.environments.services.launching import input_error_names, preset_named
from apps.environments.services.locking import begin, environment_lock, require_idle
from apps.environments.services.values import MASK, inputs_fields, inputs_plain
from apps.policies.offer import Offer
from apps.policies.selectors import offer_for
from apps.provisioning.models import Change
from apps.runtimes.models import RuntimeVersion

S = Environment.Status


@transaction.atomic
def environment_update(
    *,
    environment: Environment,
    actor: User,
    inputs: dict[str, Any],
    preset: str | None = None,
    runtime: str | None = None,
) -> Environment:
    """Give some inputs other values, or take those of a preset; the rest stays.

    A sensitive value that comes back masked or empty is the one that is there. `runtime` names another Python
    environment, "" what the module brings; None leaves it. Nothing different is a no-op.
    """
    row = environment_updatable(environment, actor)
    offer = offer_existing(row)
    interface = offer.interface
    present = inputs_plain(row)
    secret = {variable.name for variable in interface.variables if variable.sensitive}
    given = {name: value for name, value in inputs.items() if not (name in secret and value in (None, "", MASK, {}))}
    size = interface.preset(preset) if preset else None
    if preset and size is None:
        raise LaunchInvalid(errors={"preset": [f"There is no size “{preset}”."]})
    chosen = size.inputs if size else {}
    values, errors = offer.clean({**offer.choosable(present), **chosen, **given})
    messages = input_error_names(errors)
    version = row.runtime_version
    try:
        version = version if runtime is None else runtime_read(interface, runtime, current=version)
    except LaunchInvalid as refused:
        messages |= refused.errors
    if messages:
        raise LaunchInvalid(errors=messages)
    if values == present and version == row.runtime_version:
        return row
    preset = preset_named(interface, size, values)
    settings_apply(row, actor, values, preset, row.module_version, "New settings", runtime=version)
    return row


def offer_existing(row: Environment) -> Offer:
    """What the owner of an existing environment may choose at its next change."""
    # The version is one of the environment's module, which is here already.
    row.module_version.module = row.module
    return offer_for(version=row.module_version, team=row.team, existing=declared_names(row))


def declared_names(row: Environment) -> list[str]:
    """The inputs that it has had to do with, chosen or left at their defaults."""
    return [variable["name"] for variable in row.module_version.interface["variables"]]


def environment_updatable(environment: Environment, actor: User, permission: P = P.UPDATE) -> Environment:
    """The row, locked. Raises where something is going on with it or it is gone."""
    row = environment_lock(environment, actor, permission)
    require_idle(row)
    if row.status not in (S.RUNNING, S.STOPPED, S.FAILED):
        raise WrongStatus("It has been destroyed and cannot be changed.")
    return row


def settings_apply(
    row: Environment,
    actor: User,
    values: dict[str, Any],
    preset: str,
    version: ModuleVersion,
    reason: str,
    *,
    runtime: RuntimeVersion | None = None,
) -> Change:
    """A running or stopped one is changed in place and stays as it is; one that failed starts with the new values."""
    before = {"inputs": row.inputs, "preset": row.preset, "module_version": row.module_version.version}
    before |= {"runtime": runtime_shown(row.runtime_version)} if row.runtime_version or runtime else {}
    settled: dict[str, Any] = {
        "inputs": inputs_plain(row),
        "preset": row.preset,
        "module_version": str(row.module_version_id),
    }
    settled["runtime_version"] = row.runtime_version_id and str(row.runtime_version_id)
    kind, running = Change.Kind.UPDATE, row.status == S.RUNNING
    if row.status == S.FAILED:
        kind, running = (Change.Kind.START if has_run(row) else Change.Kind.CREATE), True
    fields = inputs_fields(version.parsed().variables, values)
    after = {"inputs": fields["inputs"], "preset": preset, "module_version": version.version}
    after |= {"runtime": runtime_shown(runtime)} if "runtime" in before else {}
    return begin(
        row,
        kind=kind,
        actor=actor,
        reason=reason,
        desired_running=running,
        fields={
            **fields,
            "preset": preset,
            "module_version": version,
            "runtime_version": runtime,
            "settled_cipher": encrypt_json(settled),
        },
        audit=(before, after),
    )
