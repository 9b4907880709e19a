"""Dropping the index, to be filled again from MLflow."""

from django.db import connection, transaction
from django.db.models import F, Value
from django.db.models.functions import Coalesce

from apps.accounts.models import User
from apps.audit.services import audit_record
from apps.core.clock import database_now
from apps.core.queue import enqueue
from apps.experiments.models import Experiment, Run, TrackerIndex
from apps.experiments.permissions import IndexPermission, require
from apps.experiments.selectors.totals import totals_change
from apps.experiments.services.indexing.importing import TABLES

WORK = "apps.experiments.tasks.index_work"


def index_rebuild(*, actor: User | None) -> TrackerIndex:
    """Drop every run and begin the import anew; whoever works on the index at this moment loses it.

    Experiments stay by name, so that a main metric which a person chose is kept; those that MLflow has no more go with
    the next full look. Without an actor it is the shell. Raises `NotAllowed`.
    """
    if actor is not None:
        require(actor, IndexPermission.REBUILD)
    with transaction.atomic():
        TrackerIndex.objects.bulk_create([TrackerIndex(pk=1)], ignore_conflicts=True)
        row = TrackerIndex.objects.select_for_update().get(pk=1)
        runs = Run.objects.count()
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            cursor.execute(f"TRUNCATE {', '.join(TABLES)}")
        Experiment.objects.update(
            run_count=0, running_count=0, failed_count=0, last_run_at=None, best_value=None, recent_values=[]
        )
        row.import_started_at = row.imported_at = row.reconciled_at = row.working_until = row.runs_expected = None
        row.import_place, row.reconcile_place, row.runs_read = {}, {}, 0
        row.save()
        audit_record(action="experiments:index:rebuild", actor=actor, target=row, before={"runs": runs})
        totals_change()
        enqueue(WORK)
    return row


def away_note(reason: str) -> None:
    """A round got no answer: since when is kept until one does."""
    TrackerIndex.objects.filter(pk=1).update(
        away_since=Coalesce(F("away_since"), Value(database_now())), away_reason=reason[:300]
    )
