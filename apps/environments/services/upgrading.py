"""Moving an environment to another version of its module: what that means, and doing it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction

from apps.accounts.models import User
from apps.catalog.interface.model import Variable
from apps.catalog.models import ModuleVersion
from apps.environments.exceptions import LaunchInvalid
from apps.environments.models import Environment
from apps.environments.permissions import EnvironmentPermission as P
from apps.environments.runtime_choice import runtime_in_the_way, runtime_kept
from apps.environments.services.inputs import declared_names, environment_updatable, settings_apply
from apps.environments.services.launching import input_error_names, preset_named
from apps.environments.services.values import MASK, inputs_plain
from apps.policies.offer import Offer
from apps.policies.selectors import offer_for
from apps.provisioning.models import Change


@dataclass(frozen=True)
class Dropped:
    """An input that the other version does not have any more, with the value that goes with it, fit to be shown."""

    name: str
    label: str
    value: Any


@dataclass(frozen=True)
class Upgrade:
    """What moving to `target` means for one environment.

    `known` are its values that stay. `problems` names inputs that want a value first, with why; `appeared` are new
    inputs that have a default, which may be chosen as well. `refused` says why it cannot be moved at all.
    """

    environment: Environment
    target: ModuleVersion
    offer: Offer
    known: dict[str, Any]
    dropped: tuple[Dropped, ...] = ()
    problems: dict[str, list[str]] = field(default_factory=dict)
    appeared: tuple[Variable, ...] = ()
    refused: str = ""

    @property
    def asked(self) -> tuple[Variable, ...]:
        """Inputs that a form asks for: what must be given, and what is new."""
        new = {variable.name for variable in self.appeared}
        return tuple(v for v in self.offer.interface.inputs if v.name in self.problems or v.name in new)

    @property
    def wanted(self) -> tuple[Variable, ...]:
        """Inputs without which it cannot begin."""
        return tuple(variable for variable in self.asked if variable.name in self.problems)

    @property
    def is_backward(self) -> bool:
        return self.target.created_at < self.environment.module_version.created_at

    @property
    def decided(self) -> dict[str, Any]:
        """Values that need no field: set by the platform team, or known and still right."""
        asked = {variable.name for variable in self.asked}
        return {**{n: v for n, v in self.known.items() if n not in asked}, **self.offer.fixed}


def upgrade_look(*, environment: Environment, target: ModuleVersion, offer: Offer | None = None) -> Upgrade:
    """What is dropped, what stays and what is asked for. Raises `LaunchInvalid` for a version it cannot move to.

    `offer` is what its team is offered of `target`, where it is known already.
    """
    if target.module_id != environment.module_id:
        raise LaunchInvalid(errors={"version": ["This is not a version of the environment's module."]})
    if target.pk != environment.module_version_id and not target.is_launchable:
        word = target.get_status_display().lower()
        raise LaunchInvalid(errors={"version": [f"Version {target.version} is {word}. Choose one that is published."]})
    old, new = environment.module_version.parsed(), target.parsed()
    offer = offer or offer_for(version=target, team=environment.team, existing=declared_names(environment))
    present, before = inputs_plain(environment), set(declared_names(environment))
    names = {variable.name for variable in offer.interface.inputs} - offer.fixed.keys() - offer.given
    size = offer.interface.preset(environment.preset) if environment.preset else None
    # The size it has may say what a new input is to be: nobody is asked for that.
    sized = {name: value for name, value in (size.inputs if size else {}).items() if name not in before}
    known = {name: value for name, value in {**sized, **present}.items() if name in names}
    _, errors = offer.clean(known)
    kept = {variable.name for variable in new.variables}
    dropped = tuple(
        Dropped(name, variable.label if (variable := old.variable(name)) else name, environment.inputs.get(name, MASK))
        for name in present
        if name not in kept
    )
    appeared = tuple(v for v in offer.interface.inputs if v.name in names - before and v.name not in sized)
    refused = runtime_in_the_way(new, environment.runtime_version)
    return Upgrade(environment, target, offer, known, dropped, errors, appeared, refused)


def upgrade_values(upgrade: Upgrade, inputs: Mapping[str, Any], *, only_asked: bool = False) -> dict[str, Any]:
    """The values to run with; `only_asked` leaves alone what has a value that is right.

    Raises `LaunchInvalid` with a message for each input that wants another one.
    """
    secret = {variable.name for variable in upgrade.offer.interface.variables if variable.sensitive}
    given = {n: v for n, v in inputs.items() if not (n in secret and n in upgrade.known and v in (None, "", MASK, {}))}
    if only_asked:
        asked = {variable.name for variable in upgrade.asked}
        given = {name: value for name, value in given.items() if name in asked}
    values, errors = upgrade.offer.clean({**upgrade.known, **given})
    if errors:
        raise LaunchInvalid(
            f"Version {upgrade.target.version} wants other values first.", errors=input_error_names(errors)
        )
    return values


@transaction.atomic
def environment_upgrade(
    *,
    environment: Environment,
    actor: User,
    module_version: ModuleVersion | None = None,
    inputs: Mapping[str, Any] | None = None,
    reason: str = "",
) -> Environment:
    """Move to another version of the same module, by default the latest; an older one is the way back.

    Inputs that it does not know are dropped; `inputs` gives what it wants. A stopped one is not started.
    """
    upgrade_begin(environment=environment, actor=actor, module_version=module_version, inputs=inputs, reason=reason)
    environment.refresh_from_db()
    return environment


@transaction.atomic
def upgrade_begin(
    *,
    environment: Environment,
    actor: User,
    module_version: ModuleVersion | None = None,
    inputs: Mapping[str, Any] | None = None,
    reason: str = "",
    only_asked: bool = False,
) -> Change | None:
    """As `environment_upgrade`; the change that does it, or None where it has that version already."""
    row = environment_updatable(environment, actor, P.UPGRADE)
    target = module_version or row.module.latest_version
    if target is None:
        raise LaunchInvalid(errors={"version": ["Nothing of this module is published."]})
    if target.pk == row.module_version_id:
        return None
    upgrade = upgrade_look(environment=row, target=target)
    values = upgrade_values(upgrade, inputs or {}, only_asked=only_asked)
    interface = upgrade.offer.interface
    preset = preset_named(interface, interface.preset(row.preset) if row.preset else None, values)
    verb = "Back" if upgrade.is_backward else "Upgrade"
    reason = reason or f"{verb} to {target.version}"
    runtime = runtime_kept(interface, row.runtime_version)
    return settings_apply(row, actor, values, preset, target, reason, runtime=runtime)
