"""What the machine's services are doing, told to the portal: status at once, figures every few seconds, log lines."""

import logging
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from apps.provisioning.agent.shipping import Line, Redactor, cursor_position, lines_ship
from apps.provisioning.leases import Lease
from apps.provisioning.machine import Machine, ServiceObservation
from apps.provisioning.models import LogLine, ServiceStatus, Workspace
from apps.provisioning.registry import process_callbacks, service_callbacks
from apps.provisioning.selectors import workspace_outputs

log = logging.getLogger(__name__)

FIGURES_EVERY = 5.0
ERROR_WORD = re.compile(r"\b(error|critical|traceback|exception)\b", re.IGNORECASE)
WARNING_WORD = re.compile(r"\bwarn(ing)?\b", re.IGNORECASE)


class ServiceWatch:
    """Compares what the machine reports with what was last stored, and stores the difference."""

    def __init__(self, *, machine: Machine, lease: Lease, clock: Callable[[], float]) -> None:
        self.machine = machine
        self.lease = lease
        self.clock = clock
        self.workspaces: dict[str, Workspace | None] = {}
        self.redactors: dict[str, tuple[bytes, Redactor]] = {}
        self.figures_at: dict[str, float] = {}
        # When a service's process was last seen; the rows are written less often than one looks.
        self.alive_at: dict[str, datetime] = {}

    def look(self) -> None:
        seen = self.machine.observe()
        self._load_workspaces({item.workspace_id for item in seen})
        for item in seen:
            workspace = self.workspaces.get(item.workspace_id)
            if workspace is not None:
                self._store(workspace, item)
                self._ship_log(workspace, item.service)

    def _load_workspaces(self, ids: set[str]) -> None:
        rows = {str(row.pk): row for row in Workspace.objects.filter(pk__in=map(UUID, ids)).defer("resources")}
        self.workspaces = {workspace_id: rows.get(workspace_id) for workspace_id in ids}

    def _store(self, workspace: Workspace, item: ServiceObservation) -> None:
        key = f"{item.workspace_id}/{item.service}"
        row = ServiceStatus.objects.filter(workspace=workspace, name=item.service).first()
        previous = row.status if row else ""
        changed = row is None or (row.status, row.restarts, row.oom_kills) != (
            item.status,
            item.restarts,
            item.oom_kills,
        )
        started_at = datetime.fromtimestamp(item.started_at, UTC) if item.started_at else None
        replaced = started_at != (row.started_at if row else None)
        last_alive = self._last_alive(key, row)
        if not changed and not replaced and self.clock() - self.figures_at.get(key, -FIGURES_EVERY) < FIGURES_EVERY:
            self._note_alive(key, started_at)
            return
        values = {
            "status": item.status,
            "reason": item.reason[:300],
            "isolation": self.machine.isolation,
            "restarts": item.restarts,
            "oom_kills": item.oom_kills,
            "memory_bytes": item.memory_bytes,
            "memory_limit_bytes": item.memory_limit_bytes,
            "cpu_seconds": item.cpu_seconds,
            "started_at": started_at,
            "observed_at": timezone.now(),
        }
        with transaction.atomic():
            self.lease.check()
            row, _ = ServiceStatus.objects.update_or_create(workspace=workspace, name=item.service, defaults=values)
            if changed:
                for callback in service_callbacks:
                    callback(workspace, row, previous)
            if replaced:
                for told in process_callbacks:
                    told(workspace, row, last_alive)
        self.figures_at[key] = self.clock()
        self._note_alive(key, started_at)

    def _last_alive(self, key: str, row: ServiceStatus | None) -> datetime | None:
        """When the process that the row speaks of was last seen, by this agent or by the one before."""
        if row is None or row.started_at is None:
            return None
        return max(row.observed_at, self.alive_at.get(key, row.observed_at))

    def _note_alive(self, key: str, started_at: datetime | None) -> None:
        if started_at is None:
            self.alive_at.pop(key, None)
        else:
            self.alive_at[key] = timezone.now()

    def _ship_log(self, workspace: Workspace, service: str) -> None:
        source = f"application/{service}"
        position = cursor_position(workspace, source)
        text, end = self.machine.log_tail(str(workspace.pk), service, position)
        if end == position:
            return
        redact = self._redactor(workspace)
        now = timezone.now()
        lines = [Line(now, _level(raw), redact(raw)) for raw in text.splitlines()]
        lines_ship(
            lease=self.lease,
            workspace=workspace,
            stream=LogLine.Stream.APPLICATION,
            source=source,
            lines=lines,
            position=end,
            change=None,
        )

    def _redactor(self, workspace: Workspace) -> Redactor:
        """Sensitive outputs, such as an application's own token, are masked in its log."""
        cipher = bytes(workspace.outputs or b"")
        known = self.redactors.get(str(workspace.pk))
        if known is None or known[0] != cipher:
            outputs: dict[str, Any] = workspace_outputs(workspace)
            secrets = [output.get("value") for output in outputs.values() if output.get("sensitive")]
            own = [record for record in self.machine.services.records() if record.workspace_id == str(workspace.pk)]
            secrets += [[record.secret, record.spec.secret_environment] for record in own]
            known = (cipher, Redactor(secrets))
            self.redactors[str(workspace.pk)] = known
        return known[1]


def _level(text: str) -> str:
    if ERROR_WORD.search(text):
        return "error"
    return "warning" if WARNING_WORD.search(text) else "info"
