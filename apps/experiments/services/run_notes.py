"""The note of a run: written at MLflow, and nobody overwrites what they have not seen."""

import hashlib

from django.db import transaction

from apps.accounts.models import User
from apps.audit.services import audit_record
from apps.core.locking import name_lock
from apps.experiments.exceptions import NoteChanged
from apps.experiments.gateway.run_detail import note_write, run_read
from apps.experiments.models import Run
from apps.experiments.services.indexing import run_touch

TOLD = 500  # of a note in the audit log


def note_mark(note: str) -> str:
    """Says which note somebody saw: 128 bits, hex."""
    return hashlib.blake2b(note.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def run_note_write(*, run: Run, actor: User, note: str, seen: str | None = None) -> None:
    """Write a run's note at MLflow, and read the run again so that the table says it.

    `seen` is the mark of the note it was made from; None writes whatever is there. Raises `NoteChanged`, `TrackerAway`,
    `TrackerRefused`.
    """
    if _written(run, actor, note, seen):
        run_touch(run.run_id)


@transaction.atomic
def _written(run: Run, actor: User, note: str, seen: str | None) -> bool:
    """False where MLflow has this note already."""
    # MLflow lets the last writer win, so reading and writing are one step for everybody here.
    name_lock(f"note:{run.run_id}")
    now = run_read(run.run_id).note
    if note == now:
        return False
    if seen is not None and seen != note_mark(now):
        raise NoteChanged(now=now)
    note_write(run.run_id, note)
    audit_record(
        action="experiments:run:note-written",
        actor=actor,
        target=run,
        team_id=run.experiment.team_id,
        before={"note": now[:TOLD]},
        after={"note": note[:TOLD]},
    )
    return True
