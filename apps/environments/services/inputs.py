"""Changing what an environment is made of: its inputs, its size, its module version."""

from typing import Any

from django.db import transaction

from apps.accounts.models import User
from apps.catalog.models import ModuleVersion
from apps.core.crypto import encrypt_json
from apps.environments.exceptions import LaunchInvalid, WrongStatus
from apps.environments.models import Environment
from apps.environments.permissions import EnvironmentPermission as P
from apps.environments.selectors import has_run
from apps.environments.services.launching import input_error_names, preset_named
from apps.environments.services.locking import begin, environment_lock, require_idle
from apps.environments.services.values import MASK, inputs_fields, inputs_plain
from apps.policies.offer import Offer
from apps.policies.selectors import offer_for
from apps.provisioning.models import Change

S = Environment.Status


@transaction.atomic
def environment_update(
    *, environment: Environment, actor: User, inputs: dict[str, Any], preset: str | None = None
) -> Environment:
    """Give some inputs other values, or take those of a preset; the rest stays.

    A sensitive value that comes back masked or empty is the one that is there. Nothing different is a no-op.
    """
    row = _updatable(environment, actor)
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
    if errors:
        raise LaunchInvalid(errors=input_error_names(errors))
    if values == present:
        return row
    return _apply(row, actor, values, preset_named(interface, size, values), row.module_version, "New settings")


@transaction.atomic
def environment_upgrade(
    *, environment: Environment, actor: User, module_version: ModuleVersion | None = None
) -> Environment:
    """Move to another version of the same module, by default the latest. Inputs it no longer knows are dropped."""
    row = _updatable(environment, actor)
    target = module_version or row.module.latest_version
    if target is None or target.module_id != row.module_id:
        raise LaunchInvalid(errors={"version": ["This is not a version of the environment's module."]})
    if target.pk == row.module_version_id:
        return row
    offer = offer_for(version=target, team=row.team, existing=_declared(row))
    known = {variable.name for variable in offer.interface.variables}
    kept = {name: value for name, value in inputs_plain(row).items() if name in known}
    values, errors = offer.clean(offer.choosable(kept))
    if errors:
        raise LaunchInvalid(
            f"Version {target.version} wants other values first.",
            errors={**input_error_names(errors), "version": ["Change its settings first."]},
        )
    return _apply(row, actor, values, row.preset, target, f"Upgrade to {target.version}")


def offer_existing(row: Environment) -> Offer:
    """What the owner of an existing environment may choose at its next change."""
    return offer_for(version=row.module_version, team=row.team, existing=_declared(row))


def _declared(row: Environment) -> list[str]:
    return [variable["name"] for variable in row.module_version.interface["variables"]]


def _updatable(environment: Environment, actor: User) -> Environment:
    row = environment_lock(environment, actor, P.UPDATE)
    require_idle(row)
    if row.status not in (S.RUNNING, S.STOPPED, S.FAILED):
        raise WrongStatus("It has been destroyed and cannot be changed.")
    return row


def _apply(
    row: Environment, actor: User, values: dict[str, Any], preset: str, version: ModuleVersion, reason: str
) -> Environment:
    """A running or stopped one is changed in place and stays as it is; one that failed starts with the new values."""
    before = {"inputs": row.inputs, "preset": row.preset, "module_version": row.module_version.version}
    settled = {"inputs": inputs_plain(row), "preset": row.preset, "module_version": str(row.module_version_id)}
    kind, running = Change.Kind.UPDATE, row.status == S.RUNNING
    if row.status == S.FAILED:
        kind, running = (Change.Kind.START if has_run(row) else Change.Kind.CREATE), True
    fields = inputs_fields(version.parsed().variables, values)
    begin(
        row,
        kind=kind,
        actor=actor,
        reason=reason,
        desired_running=running,
        fields={
            **fields,
            "preset": preset,
            "module_version": version,
            "settled_cipher": encrypt_json(settled),
        },
        audit=(before, {"inputs": fields["inputs"], "preset": preset, "module_version": version.version}),
    )
    return row
