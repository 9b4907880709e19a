"""Plans and values hold secrets: those of changes that ended are removed, also where nobody was there to do it.

An agent killed right after it closed a change leaves them, and so does a plan that a person discarded, because the
agent has no part in that.
"""

import shutil
import time
from collections.abc import Iterable
from pathlib import Path
from uuid import UUID

from apps.provisioning.models import Change

UNKNOWN_SECONDS = 30 * 24 * 3600


def changes_forget_ended(root: Path) -> int:
    """Remove the stage folders of changes that ended, and values that none uses; how many folders went.

    For the thread that begins changes, so that none begins meanwhile.
    """
    folders = [path for path in (root / "workspaces").glob("*/changes/*") if path.is_dir()]
    values = list((root / "workspaces").glob("*/work/terraform.tfvars.json"))
    if not folders and not values:
        return 0
    rows = Change.objects.filter(pk__in=_ids(path.name for path in folders)).values_list("pk", "status")
    known = {str(pk): status for pk, status in rows}
    ended = [path for path in folders if _is_over(path, known.get(path.name))]
    for path in ended:
        shutil.rmtree(path, ignore_errors=True)
    workspaces = Change.objects.active().filter(workspace_id__in=_ids(path.parts[-3] for path in values))
    busy = {str(pk) for pk in workspaces.values_list("workspace_id", flat=True)}
    for path in values:
        if path.parts[-3] not in busy:
            path.unlink(missing_ok=True)
    return len(ended)


def _is_over(folder: Path, status: str | None) -> bool:
    """A change the database does not know, after a backup was restored, may still be looked for by a person."""
    if status is not None:
        return status not in Change.ACTIVE
    try:
        newest = max(entry.stat().st_mtime for entry in (folder, *folder.glob("*")))
    except OSError:
        return False
    return time.time() - newest >= UNKNOWN_SECONDS


def _ids(names: Iterable[str]) -> list[UUID]:
    found = []
    for name in names:
        try:
            found.append(UUID(name))
        except ValueError:
            continue
    return found
