"""What the machine's services are doing, told to the portal: status at once, figures every few seconds, log lines."""

import logging
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from apps.provisioning.agent.shipping import Line, Redactor, lines_ship
from apps.provisioning.leases import Lease
from apps.provisioning.machine import Machine, ServiceObservation
from apps.provisioning.models import LogCursor, LogLine, ServiceStatus, Workspace
from apps.provisioning.registry import process_callbacks, service_callbacks
from apps.provisioning.selectors import workspace_outputs
from apps.variable_sets.selectors import secrets_for, secrets_mark

log = logging.getLogger(__name__)

FIGURES_EVERY = 5.0
FIGURES = ("reason", "isolation", "memory_bytes", "memory_limit_bytes", "cpu_seconds", "disk_bytes", "observed_at")
SOURCE = "application/"
ERROR_WORD = re.compile(r"\b(error|critical|traceback|exception)\b", re.IGNORECASE)
WARNING_WORD = re.compile(r"\bwarn(ing)?\b", re.IGNORECASE)


Key = tuple[str, str]


@dataclass
class _Known:
    """What the portal knows of one service: its row, and how far its log has been shipped."""

    workspace_id: UUID
    row: ServiceStatus | None
    position: str


class ServiceWatch:
    """Compares what the machine reports with what was last stored, and stores the difference.

    This agent alone writes these rows while it holds the lease, so it remembers what it has written: a look at services
    of which nothing is new asks the database nothing. What it remembers is dropped at the first error.
    """

    def __init__(self, *, machine: Machine, lease: Lease, clock: Callable[[], float]) -> None:
        self.machine = machine
        self.lease = lease
        self.clock = clock
        self.known: dict[Key, _Known] = {}
        self.redactors: dict[str, tuple[tuple[object, ...], Redactor]] = {}
        self.figures_at = -FIGURES_EVERY
        # When a service's process was last seen; the rows are written less often than one looks.
        self.alive_at: dict[str, datetime] = {}
        self._looking = threading.Lock()

    def look(self, *, only_logs: bool = False) -> None:
        """Store what is new of every service; with `only_logs` only what those known already have written."""
        with self._looking:
            try:
                if not only_logs:
                    self._look_at_services()
                for (_, name), known in self.known.items():
                    self._ship_log(known, name)
            except Exception:
                self.known.clear()
                raise

    def _look_at_services(self) -> None:
        seen = {(item.workspace_id, item.service): item for item in self.machine.observe()}
        self._learn(set(seen))
        due = self.clock() - self.figures_at >= FIGURES_EVERY
        refreshed = []
        for key, known in self.known.items():
            item = seen[key]
            if self._is_news(known.row, item):
                self._store(known, item)
            elif due and known.row is not None:
                refreshed.append(self._refreshed(known.row, item))
            self._note_alive("/".join(key), _started_at(item))
        if due:
            self._store_figures(refreshed)

    def _learn(self, keys: set[Key]) -> None:
        """Read what is stored of services not seen before, in three queries however many; forget those that are gone.

        A service of an environment that the portal does not know is left alone.
        """
        self.known = {key: known for key, known in self.known.items() if key in keys}
        new = keys - set(self.known)
        if not new:
            return
        ids = {UUID(workspace_id) for workspace_id, _ in new}
        present = set(Workspace.objects.filter(pk__in=ids).values_list("pk", flat=True))
        rows = {(row.workspace_id, row.name): row for row in ServiceStatus.objects.filter(workspace_id__in=present)}
        cursors = LogCursor.objects.filter(workspace_id__in=present, source__startswith=SOURCE)
        positions = {(row.workspace_id, row.source): row.position for row in cursors}
        for workspace_id, name in new:
            key = UUID(workspace_id)
            if key in present:
                position = positions.get((key, f"{SOURCE}{name}"), "")
                self.known[workspace_id, name] = _Known(key, rows.get((key, name)), position)

    def _is_news(self, row: ServiceStatus | None, item: ServiceObservation) -> bool:
        if row is None or row.started_at != _started_at(item):
            return True
        return (row.status, row.restarts, row.oom_kills) != (item.status, item.restarts, item.oom_kills)

    def _refreshed(self, row: ServiceStatus, item: ServiceObservation) -> ServiceStatus:
        for name, value in self._values(item).items():
            setattr(row, name, value)
        return row

    def _store_figures(self, rows: list[ServiceStatus]) -> None:
        """Memory, time and the like of everything that goes on as before, in one statement."""
        if rows:
            with transaction.atomic():
                self.lease.check()
                ServiceStatus.objects.bulk_update(rows, FIGURES, batch_size=200)
        self.figures_at = self.clock()

    def _store(self, known: _Known, item: ServiceObservation) -> None:
        """Something began, ended or was replaced: whoever follows it hears of it in the same transaction."""
        row, key = known.row, f"{item.workspace_id}/{item.service}"
        previous = row.status if row else ""
        replaced = _started_at(item) != (row.started_at if row else None)
        changed = row is None or (row.status, row.restarts, row.oom_kills) != (
            item.status,
            item.restarts,
            item.oom_kills,
        )
        last_alive = self._last_alive(key, row)
        with transaction.atomic():
            self.lease.check()
            workspace = Workspace.objects.defer("resources").get(pk=known.workspace_id)
            row, _ = ServiceStatus.objects.update_or_create(
                workspace=workspace, name=item.service, defaults=self._values(item)
            )
            if changed:
                for callback in service_callbacks:
                    callback(workspace, row, previous)
            if replaced:
                for told in process_callbacks:
                    told(workspace, row, last_alive)
        known.row = row

    def _values(self, item: ServiceObservation) -> dict[str, Any]:
        return {
            "status": item.status,
            "reason": item.reason[:300],
            "isolation": self.machine.isolation,
            "restarts": item.restarts,
            "oom_kills": item.oom_kills,
            "memory_bytes": item.memory_bytes,
            "memory_limit_bytes": item.memory_limit_bytes,
            "cpu_seconds": item.cpu_seconds,
            "disk_bytes": item.disk_bytes,
            "started_at": _started_at(item),
            "observed_at": timezone.now(),
        }

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

    def _ship_log(self, known: _Known, service: str) -> None:
        text, end = self.machine.log_tail(str(known.workspace_id), service, known.position)
        if end == known.position:
            return
        # Read afresh: its outputs decide what is masked.
        rows = Workspace.objects.select_related("team", "module_version__module").defer(
            "resources", "module_version__archive", "module_version__interface", "module_version__readme"
        )
        workspace = rows.get(pk=known.workspace_id)
        redact = self._redactor(workspace)
        now = timezone.now()
        lines = [Line(now, _level(raw), redact(raw)) for raw in text.splitlines()]
        lines_ship(
            lease=self.lease,
            workspace=workspace,
            stream=LogLine.Stream.APPLICATION,
            source=f"{SOURCE}{service}",
            lines=lines,
            position=end,
            change=None,
        )
        known.position = end

    def _redactor(self, workspace: Workspace) -> Redactor:
        """Sensitive outputs, such as an application's own token, are masked in its log, and what variable sets gave."""
        mark = (bytes(workspace.outputs or b""), *secrets_mark())
        known = self.redactors.get(str(workspace.pk))
        if known is None or known[0] != mark:
            outputs: dict[str, Any] = workspace_outputs(workspace)
            secrets = [output.get("value") for output in outputs.values() if output.get("sensitive")]
            own = [record for record in self.machine.services.records() if record.workspace_id == str(workspace.pk)]
            secrets += [[record.secret, record.spec.secret_environment] for record in own]
            module = workspace.module_version.module
            secrets += secrets_for(team=workspace.team, target=workspace.target, module_slug=module.slug)
            known = (mark, Redactor(secrets))
            self.redactors[str(workspace.pk)] = known
        return known[1]


def _started_at(item: ServiceObservation) -> datetime | None:
    return datetime.fromtimestamp(item.started_at, UTC) if item.started_at else None


def _level(text: str) -> str:
    if ERROR_WORD.search(text):
        return "error"
    return "warning" if WARNING_WORD.search(text) else "info"
