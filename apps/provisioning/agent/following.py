"""Following a stage while it runs: its log, its steps and its state, a piece at each look."""

from pathlib import Path
from typing import Any

from apps.provisioning.agent.build_log import LogBudget
from apps.provisioning.agent.layout import WorkspaceFolder
from apps.provisioning.agent.shipping import Redactor, build_log_ship, state_ship
from apps.provisioning.agent.under_way import UnderWay
from apps.provisioning.leases import Lease
from apps.provisioning.machine import Machine
from apps.provisioning.models import Change
from apps.provisioning.terraform_log import LogEntry, log_line_parse
from apps.provisioning.transitions import change_step


class Following:
    """Of one change; `log_is_shipped` once everything that is in the log of its stage has been stored."""

    def __init__(
        self, *, machine: Machine, lease: Lease, change: Change, folder: WorkspaceFolder, redact: Redactor
    ) -> None:
        self.machine = machine
        self.lease = lease
        self.change = change
        self.folder = folder
        self.redact = redact
        self.labels: dict[str, Any] = change.module_version.interface.get("resource_labels", {})
        self.state_seen: tuple[int, int] | None = None
        self.log_seen: tuple[Path, int] | None = None
        self.log_is_shipped = False
        self.under_way = UnderWay()
        self.budget = LogBudget(change)

    def look(self, phase: str, attempt: int) -> None:
        log_file = self.folder.stage(self.change.pk, phase, attempt) / "log.jsonl"
        mark = (log_file, log_file.stat().st_size if log_file.exists() else 0)
        # Twenty looks a second at every change: where nothing was written the database is not asked.
        if mark != self.log_seen:
            self._ship_log(phase, log_file)
            self.log_seen = mark if self.log_is_shipped else None
        if phase == "apply":
            self.ship_state()

    def ship_state(self) -> None:
        try:
            seen = self.folder.state.stat()
        except FileNotFoundError:
            return
        mark = (seen.st_mtime_ns, seen.st_size)
        if mark != self.state_seen:
            state_ship(lease=self.lease, workspace=self.change.workspace, change=self.change, path=self.folder.state)
            self.state_seen = mark

    def _ship_log(self, phase: str, log_file: Path) -> None:
        """One block: of a long log the rest comes with the next looks, so that others' changes go on meanwhile."""
        if phase == "apply":
            # What a service was given, its program may say as it fails, and the provider repeats its last words.
            own = self.machine.services.records(str(self.change.workspace_id))
            self.redact.learn([[record.secret, record.spec.secret_environment] for record in own])
        entries = build_log_ship(
            lease=self.lease,
            change=self.change,
            path=log_file,
            redact=self.redact,
            parse=log_line_parse,
            budget=self.budget,
        )
        self._follow_steps(entries or [])
        self.log_is_shipped = entries is None

    def _follow_steps(self, entries: list[LogEntry]) -> None:
        done = self.change.steps_done + self.under_way.follow(entries)
        step = self.under_way.newest(self.labels) or self.change.step
        if (step, done) != (self.change.step, self.change.steps_done):
            change_step(self.change, fence=self.lease.fence, step=step, done=done, total=self.change.steps_total)
