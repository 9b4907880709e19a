from apps.accounts.models import User
from apps.audit.services import audit_record
from apps.experiments.gateway.run_detail import note_write
from apps.experiments.models import Run
from apps.experiments.services.indexing import run_touch

TOLD = 500  # of a note in the audit log


def run_note_write(*, run: Run, actor: User, before: str, note: str) -> None:
    """Write a run's note at MLflow, and read the run again so that the table says it. Raises `TrackerAway`."""
    if note == before:
        return
    note_write(run.run_id, note)
    audit_record(
        action="experiments:run:note-written",
        actor=actor,
        target=run,
        team_id=run.experiment.team_id,
        before={"note": before[:TOLD]},
        after={"note": note[:TOLD]},
    )
    run_touch(run.run_id)
