"""What a check finds to run or not, where the module says so: nobody watches a cloud's machines but its own API."""

from typing import Any

from apps.environments.models import Environment
from apps.environments.stopping import STARTED_OUTSIDE, STOPPED_OUTSIDE
from apps.provisioning.selectors import workspace_outputs

# The output with which a module says whether what it built really runs.
OUTPUT = "running"


def runs_really(environment: Environment) -> bool | None:
    """By the outputs of the last check; None where the module does not tell."""
    declared = {output["name"] for output in environment.module_version.interface.get("outputs", [])}
    if OUTPUT not in declared or environment.workspace is None:
        return None
    value: Any = workspace_outputs(environment.workspace).get(OUTPUT, {}).get("value")
    return value is True


def moved_outside(environment: Environment) -> str:
    """Why its status is another one now, in a sentence; empty where it is as Slipway left it."""
    runs = runs_really(environment)
    if runs is None:
        return ""
    if environment.status == Environment.Status.RUNNING and not runs:
        return STOPPED_OUTSIDE
    return STARTED_OUTSIDE if environment.status == Environment.Status.STOPPED and runs else ""
