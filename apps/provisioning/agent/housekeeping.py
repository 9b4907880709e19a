"""What the agent clears away on its machine: folders of ended changes, values nobody needs, runtimes nobody uses."""

import logging
import shutil
import time
from pathlib import Path
from uuid import UUID

from django.conf import settings

from apps.provisioning.agent.layout import WorkspaceFolder
from apps.provisioning.machine import Machine
from apps.provisioning.models import Change

log = logging.getLogger(__name__)

EVERY = 3600.0
RUNTIMES_EVERY = 24 * 3600.0
# A change the database does not know, after a backup was restored for one, may still be looked for by a person.
UNKNOWN_HOURS = 24 * 30


class Housekeeping:
    """Each part can be killed anywhere and run twice; what is under way is left alone."""

    def __init__(self, *, root: Path, machine: Machine) -> None:
        self.workspaces = root / "workspaces"
        self.machine = machine
        self.runtimes_at: float | None = None

    def run(self) -> None:
        removed = self.run_folders_remove()
        if removed:
            log.info("removed %d folders of ended changes", removed)
        if self.runtimes_at is None or time.monotonic() - self.runtimes_at >= RUNTIMES_EVERY:
            self.runtimes_at = time.monotonic()
            self.runtimes_remove()

    def run_folders_remove(self) -> int:
        """A change's folder goes when it ends; a kill in between leaves it, with its plan and its values in it."""
        folders = {path: _id(path) for path in self.workspaces.glob("*/changes/*")}
        known = dict(Change.objects.filter(pk__in=filter(None, folders.values())).values_list("pk", "status"))
        removed = 0
        for path, pk in folders.items():
            hours = UNKNOWN_HOURS
            if pk in known:
                if known[pk] in Change.ACTIVE:
                    continue
                hours = settings.KEEP_RUN_FOLDER_HOURS
            if _age_hours(path) >= hours:
                shutil.rmtree(path, ignore_errors=True)
                removed += 1
        self._values_remove()
        return removed

    def _values_remove(self) -> None:
        """Variable values hold secrets and are written anew by every change."""
        folders = [WorkspaceFolder(path) for path in self.workspaces.glob("*")]
        left = {folder: _id(folder.root) for folder in folders if folder.values.exists()}
        busy = set(
            Change.objects.active()
            .filter(workspace__in=filter(None, left.values()))
            .values_list("workspace_id", flat=True)
        )
        for folder, pk in left.items():
            if pk not in busy and _age_hours(folder.values) >= settings.KEEP_RUN_FOLDER_HOURS:
                folder.values.unlink(missing_ok=True)

    def runtimes_remove(self) -> None:
        """A service may run in a runtime that its environment has let go: where putting it into a new one failed."""
        used = {record.spec.runtime for record in self.machine.services.records() if record.spec.runtime}
        gone = self.machine.runtimes.unreferenced_remove(keep=settings.KEEP_UNUSED_RUNTIMES, used=used)
        if gone:
            log.info("removed %d Python environments that nobody uses", len(gone))


def _id(path: Path) -> UUID | None:
    try:
        return UUID(path.name)
    except ValueError:
        return None


def _age_hours(path: Path) -> float:
    try:
        newest = max(entry.stat().st_mtime for entry in (path, *path.glob("*")))
    except (OSError, ValueError):
        return 0
    return (time.time() - newest) / 3600
