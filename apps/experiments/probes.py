"""What the doctor asks of the index of runs."""

from collections.abc import Iterator
from datetime import timedelta

from apps.core.clock import database_now
from apps.core.doctor import Finding, Patient, Severity, register_probe
from apps.experiments.models import Experiment, TrackerIndex

SILENT = timedelta(minutes=2)
SLOW_ROUND = timedelta(days=1)


def index_probe(patient: Patient) -> Iterator[Finding]:
    row = TrackerIndex.objects.filter(pk=1).first()
    if row is None:
        return
    now = database_now()
    if row.away_since is not None:
        yield Finding(
            "index:away",
            f"MLflow has not answered the indexer since {row.away_since:%Y-%m-%d %H:%M} UTC ({row.away_reason}).",
            "Lists go on with what was read. See the log of mlflow, or MLFLOW_TRACKING_URI and its token.",
        )
    elif row.imported_at is not None and row.read_at is not None and now - row.read_at > SILENT:
        yield Finding(
            "index:behind",
            f"The index of runs was last brought up at {row.read_at:%Y-%m-%d %H:%M} UTC.",
            "See the log of worker and beat; `manage.py index_experiments` brings it up from here.",
        )
    if row.reconciled_at is not None and now - row.reconciled_at > SLOW_ROUND:
        yield Finding(
            "index:reconcile-slow",
            f"The reconcile last came round at {row.reconciled_at:%Y-%m-%d %H:%M} UTC.",
            "`manage.py index_experiments --reconcile` walks without resting.",
            Severity.WARNING,
        )
    nobodys = Experiment.objects.kept().filter(team=None, run_count__gt=0).count()
    if nobodys:
        yield Finding(
            "index:no-team",
            f"{nobodys} experiments with runs belong to no team: only platform engineers and auditors see them.",
            "Rename them to <team>/<name> in MLflow, or set their tag slipway.team; where MLflow has workspaces, a tag "
            "alone does not help.",
            Severity.WARNING,
        )


register_probe("index of runs", index_probe, needs=("portal", "database"))
