"""What a change is given of variable sets: read anew for every stage, so that a new value counts from the next one."""

from typing import Any

from apps.catalog.interface.model import RESERVED_VARIABLES
from apps.provisioning.models import Change
from apps.variable_sets.given import Given
from apps.variable_sets.selectors import variables_for


def given_for(change: Change) -> Given:
    """Raises `KeyLost` where a value cannot be decrypted any more."""
    workspace = change.workspace
    return variables_for(team=workspace.team, target=workspace.target, module_slug=change.module_version.module.slug)


def values_with(given: Given, values: dict[str, Any], interface: dict[str, Any]) -> dict[str, Any]:
    """The values of a change and, over them, those of variable sets where the module declares such a variable."""
    declared = {variable["name"] for variable in interface.get("variables", [])} - RESERVED_VARIABLES
    return values | {name: value for name, value in given.terraform.items() if name in declared}
