"""What the stages of a change may take, the control group that holds them to it, and what is said of one that did not.

A group is found again by its name, so that an agent can end what one before it began.
"""

from dataclasses import replace
from typing import Any

from django.conf import settings

from apps.catalog.interface.manifest import MOST_MINUTES
from apps.provisioning.machine import Machine
from apps.provisioning.machine.cgroups import Group
from apps.provisioning.models import Change
from apps.provisioning.stage import StageResult
from apps.provisioning.stage_setup import Phase, StageLimits

MB = 1024 * 1024


class StageBounds:
    """The bounds of one change's stages on this machine."""

    def __init__(self, machine: Machine, change: Change) -> None:
        self.machine = machine
        self.change = change
        self.asked: dict[str, Any] = change.module_version.interface.get("limits") or {}

    def minutes(self, phase: str) -> int:
        """As the settings say, or longer where the module asks for it."""
        least = settings.APPLY_MINUTES if phase == "apply" else settings.PLAN_MINUTES
        asked = self.asked.get(f"{phase}_minutes")
        return max(least, min(asked, MOST_MINUTES[f"{phase}_minutes"])) if isinstance(asked, int) else least

    def begin(self, phase: Phase, attempt: int) -> StageLimits:
        limits = StageLimits(
            seconds=self.minutes(phase) * 60,
            memory_bytes=settings.STAGE_MEMORY_MB * MB,
            disk_bytes=settings.STAGE_DISK_MB * MB,
        )
        group = self._group(phase, attempt)
        if group is None:
            return limits
        try:
            group.create()
            group.limit(memory_bytes=limits.memory_bytes, cpu=None, pids=limits.processes)
        except OSError:
            # The runner looks at both as well, if more seldom.
            group.remove()
            return limits
        return replace(limits, groups=tuple(dict.fromkeys(group.paths.values())))

    def end(self, phase: Phase, attempt: int, result: StageResult) -> str:
        """The bound that the stage was ended for, empty where it was not; its group is gone then."""
        group = self._group(phase, attempt)
        killed = 0
        if group is not None:
            killed = group.oom_kills()
            group.kill(wait=2.0)
            group.remove()
        return "" if result.ok else result.passed or ("memory" if killed else "")

    def said(self, passed: str, phase: Phase) -> tuple[str, str]:
        """The code and the summary of a change that ended so."""
        doing = "Applying" if phase == "apply" else "Planning"
        summaries = {
            "time": f"{doing} took longer than {self.minutes(phase)} minutes and was ended.",
            "memory": f"{doing} needed more than {settings.STAGE_MEMORY_MB} MB of memory and was ended.",
            "processes": f"{doing} started more than {StageLimits.processes} processes and was ended.",
            "disk": f"{doing} wrote more than {settings.STAGE_DISK_MB} MB into its work folder and was ended.",
            "plan": f"The plan is larger than {StageLimits.plan_bytes // MB} MB, so nobody could read it.",
        }
        codes = {"plan": "provisioning:plan-too-large", "memory": "provisioning:stage-memory"}
        return codes.get(passed, f"provisioning:{passed}-limit"), summaries[passed]

    def _group(self, phase: Phase, attempt: int) -> Group | None:
        return self.machine.stage_group(f"stage-{self.change.pk}-{phase}-{attempt}")
