"""Reading single things again at once, for whoever has just changed them through MLflow."""

from collections.abc import Iterable

from django.db import transaction

from apps.core import live
from apps.experiments import hints
from apps.experiments.gateway.experiments import experiment_if_there
from apps.experiments.gateway.runs import run_if_there, runs_by_id
from apps.experiments.mlflow_rules import Kind
from apps.experiments.models import Experiment, Run
from apps.experiments.services.indexing.aggregates import aggregates_write
from apps.experiments.services.indexing.experiments import experiments_write
from apps.experiments.services.indexing.writing import Written, index_runs, runs_drop


def run_touch(run_id: str) -> None:
    """Read one run again now, so that the lists say what was just changed. Raises `TrackerAway`.

    A hint is left as well: a round that read it before the change, and writes it after us, reads it once more.
    """
    found = run_if_there(run_id)
    hints.leave(Kind.RUN, [run_id])
    if found is None:
        aggregates_write(runs_drop([run_id]))
    else:
        written_tell(index_runs([found]))


def runs_touch(run_ids: Iterable[str]) -> None:
    """The same for many, by a call for each 200."""
    wanted = list(dict.fromkeys(run_ids))
    rows = dict(Run.objects.filter(run_id__in=wanted).values_list("run_id", "experiment_id"))
    found = runs_by_id(rows, experiment_ids=sorted(set(rows.values())))
    hints.leave(Kind.RUN, wanted)
    written = index_runs(found.values())
    gone = runs_drop(rows.keys() - found.keys())
    aggregates_write(gone - written.experiments)
    written_tell(written)


def experiment_touch(experiment_id: str) -> None:
    """Read an experiment's own name, tags and state again; its runs follow in the next round where they changed."""
    found = experiment_if_there(experiment_id)
    if found is not None:
        experiments_write([found])
    hints.leave(Kind.EXPERIMENT, [experiment_id])


def written_tell(written: Written) -> None:
    """Sum the experiments up, and tell the pages that show them how many of their runs are other than before."""
    aggregates_write(written.experiments)
    teams = Experiment.objects.filter(pk__in=written.experiments).exclude(team=None).values_list("pk", "team_id")
    with transaction.atomic():
        for pk, team_id in teams:
            live.publish(
                audience=f"team:{team_id}",
                topic=f"experiment:{pk}",
                kind="status",
                data={"new": len(written.runs[pk])},
            )
