import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.core.clock import database_now
from apps.experiments.models import Run, TrackerIndex
from apps.experiments.services.indexing import index_rebuild
from apps.experiments.services.indexing.working import index_turn

PAUSE = 2.0


class Command(BaseCommand):
    help = "Brings the index of runs up to MLflow: imports what is missing, or with --rebuild everything anew."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--rebuild", action="store_true", help="drop the index first")
        parser.add_argument("--reconcile", action="store_true", help="walk over all runs once, without resting")

    def handle(self, *args: Any, **options: Any) -> None:
        began = time.monotonic()
        asked = database_now()
        if options["rebuild"]:
            index_rebuild(actor=None)
            self.stdout.write("The index is dropped.")
        TrackerIndex.objects.bulk_create([TrackerIndex(pk=1)], ignore_conflicts=True)
        while True:
            if options["reconcile"]:
                self._hurry()
            index_turn()
            row = TrackerIndex.objects.get(pk=1)
            if row.away_since is not None:
                raise CommandError(f"MLflow does not answer ({row.away_reason}). What was read is kept.")
            if row.imported_at is None:
                of = f" of about {row.runs_expected}" if row.runs_expected else ""
                self.stdout.write(f"{row.runs_read}{of} runs read")
            elif not options["reconcile"] or (row.reconciled_at is not None and row.reconciled_at > asked):
                break
            else:
                time.sleep(PAUSE)
        took = time.monotonic() - began
        self.stdout.write(f"{Run.objects.count()} runs in the index, after {took:.0f} s.")

    def _hurry(self) -> None:
        """Said anew each time, because a round that a worker has under way writes the place too."""
        row = TrackerIndex.objects.get(pk=1)
        if row.imported_at is not None:
            TrackerIndex.objects.filter(pk=1, working_until=None).update(
                reconcile_place={**row.reconcile_place, "hurry": True}
            )
