"""What runs in an environment know of it: the tags of every experiment that starts there."""

import json

from apps.provisioning.agent.layout import WorkspaceFolder
from apps.provisioning.agent.workspace_files import private_write
from apps.provisioning.machine import Machine
from apps.provisioning.models import Change
from apps.provisioning.registry import context_callbacks


def context_write(folder: WorkspaceFolder, machine: Machine, change: Change) -> None:
    """Write the run context anew and give it to the environment's services."""
    context = {
        "slipway.plan_hash": change.plan_hash,
        "slipway.module": change.module_version.module.slug,
        "slipway.module_version": change.module_version.version,
    }
    for callback in context_callbacks:
        context |= callback(change.workspace, change)
    private_write(folder.context, json.dumps(context))
    machine.context_sync(str(change.workspace_id))
