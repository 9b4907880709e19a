"""Whether a plan may go ahead by itself, and what it would lose."""

import contextlib
from collections.abc import Mapping
from typing import Any

from apps.provisioning.losses import Loss, losses_of
from apps.provisioning.machine import Machine
from apps.provisioning.machine.errors import MachineError
from apps.provisioning.models import Change, Workspace
from apps.provisioning.plans import PlanSummary


def plan_losses(machine: Machine, workspace: Workspace, change: Change, planned: dict[str, Any]) -> list[Loss]:
    """By the words of the version that built what there is, and of the one that is planned."""

    def measure(kind: str, before: Mapping[str, Any]) -> int | None:
        if kind != "slipway_volume" or not before.get("name"):
            return None
        with contextlib.suppress(MachineError, OSError):
            return int(machine.volumes.get(str(workspace.pk), str(before["name"]))["used_bytes"])
        return None

    interfaces = [workspace.module_version.interface, change.module_version.interface]
    return losses_of(planned, interfaces, measure)


def goes_by_itself(change: Change, summary: PlanSummary, losses: list[Loss]) -> bool:
    """What ends something that works, loses data or takes over what exists waits for a person who has seen it.

    Destroying was confirmed when it was asked for; a plan that was approved and is made again alike was seen.
    """
    if change.approved_hash and change.plan_fingerprint == summary.fingerprint:
        return True
    if change.kind == Change.Kind.DESTROY:
        return True
    if (
        change.kind == Change.Kind.STOP
        and change.module_version.interface.get("lost_on_stop")
        and not summary.takes_over
    ):
        # The page has said what this module's stop loses before it asked; at the stop time nobody is there to be asked.
        return not any(loss.action == "replace" for loss in losses)
    return not (summary.destructive or losses or summary.takes_over)
