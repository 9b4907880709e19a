"""What beat does every five seconds: runs that are new, that run, or that a hint names, and experiments that changed.

MLflow cannot be asked what changed since. New runs are found by their start and those that ended by their end, with an
overlap for clocks that differ; runs known to be active, and those that hints name, are read by id. What is left (a tag
of an old run set behind the portal's back) is the reconcile's.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from apps.core.clock import database_now
from apps.experiments import hints
from apps.experiments.gateway.experiments import experiment_if_there, experiments_all
from apps.experiments.gateway.runs import RunJson, runs_by_id, runs_search
from apps.experiments.gateway.workspaces import experiments_by_workspace
from apps.experiments.mlflow_rules import Kind
from apps.experiments.models import Experiment, Run
from apps.experiments.services.indexing.experiments import experiments_write
from apps.experiments.services.indexing.hold import Hold
from apps.experiments.services.indexing.reconciling import ReconcileState, runs_confirm
from apps.experiments.services.indexing.touching import written_tell
from apps.experiments.services.indexing.walking import MOST_BYTES
from apps.experiments.services.indexing.writing import Written, index_runs

OVERLAP = timedelta(seconds=60)
WIDE_OVERLAP = timedelta(minutes=20)  # once a minute, for clocks that are wrong
WIDE_SECONDS = 60
PAGE, PAGES = 500, 8
HINTED = 1000
NEWEST_ACTIVE, OTHER_ACTIVE = 200, 100


@dataclass
class Round:
    """One round under way: what it has read so far."""

    began: datetime
    since: datetime
    wide: bool
    experiment_ids: Sequence[str]
    state: ReconcileState
    read: set[str] = field(default_factory=set)
    written: Written = field(default_factory=Written)

    def index(self, runs: Sequence[RunJson]) -> None:
        self.read |= {run["info"]["run_id"] for run in runs}
        self.written.add(index_runs(runs))


def round_run(hold: Hold) -> Written:
    """Raises `TrackerAway`; hints are then left again."""
    row = hold.row
    began = database_now()
    state = ReconcileState.of(row.reconcile_place)
    wide = time.time() - state.wide_at > WIDE_SECONDS
    last = row.read_at or row.import_started_at or began
    hinted = hints.take(Kind.RUN, HINTED)
    hinted_experiments = hints.take(Kind.EXPERIMENT, 100)
    try:
        _experiments_read(state, since=last - OVERLAP, wide=wide, hinted=hinted_experiments)
        ids = list(Experiment.objects.values_list("pk", flat=True))
        this = Round(began, last - (WIDE_OVERLAP if wide else OVERLAP), wide, ids, state)
        for moment in ("start_time", "end_time"):
            _since_read(this, moment)
        _named_read(this, hinted)
        hold.keep()
        _active_read(this)
    except Exception:
        hints.leave(Kind.RUN, hinted)
        hints.leave(Kind.EXPERIMENT, hinted_experiments)
        raise
    if wide:
        state.wide_at = time.time()
    written_tell(this.written)
    hold.keep(read_at=began, away_since=None, away_reason="", reconcile_place=state.data)
    return this.written


def _experiments_read(state: ReconcileState, *, since: datetime, wide: bool, hinted: Sequence[str]) -> None:
    if wide:
        there = experiments_all()
        gone = set(Experiment.objects.values_list("pk", flat=True)) - {str(each["experiment_id"]) for each in there}
        state.gone = sorted(pk for pk in gone if experiment_if_there(pk) is None)
    else:
        there = experiments_all(changed_since_ms=round(since.timestamp() * 1000))
        known = {str(each["experiment_id"]) for each in there}
        there += [each for pk in hinted if pk not in known and (each := experiment_if_there(pk)) is not None]
    # What was archived or restored took its runs along.
    state.again = sorted({*state.again, *experiments_write(there)})


def _since_read(this: Round, moment: str) -> None:
    """Runs whose start or end lies after the last round; where they are very many, the reconcile makes haste."""
    for experiment_ids in experiments_by_workspace(this.experiment_ids).values():
        _since_read_together(this, moment, experiment_ids)


def _since_read_together(this: Round, moment: str, experiment_ids: Sequence[str]) -> None:
    lately = f"attributes.{moment} >= {round(this.since.timestamp() * 1000)}"
    token = ""
    for _ in range(PAGES):
        page = runs_search(
            experiment_ids=experiment_ids,
            filter=lately,
            order_by=[f"attributes.{moment} DESC"],
            max_results=PAGE,
            page_token=token,
        )
        this.index(page.runs)
        if not (token := page.next_token):
            return
    this.state.hurry = True


def _named_read(this: Round, run_ids: Sequence[str]) -> None:
    wanted = [run_id for run_id in run_ids if run_id not in this.read]
    found = runs_by_id(wanted, experiment_ids=this.experiment_ids, most_bytes=MOST_BYTES)
    this.index(list(found.values()))
    runs_confirm([run_id for run_id in wanted if run_id not in found])


def _active_read(this: Round) -> None:
    """The newest active runs every time, of the others (many of which nobody ended) some in turn."""
    active = Run.objects.filter(status__in=Run.ACTIVE)
    newest = list(active.order_by("-started_at").values_list("run_id", flat=True)[:NEWEST_ACTIVE])
    ids = [run_id for run_id in newest if run_id not in this.read]
    if len(newest) == NEWEST_ACTIVE:
        others = active.filter(pk__gt=this.state.active_after).exclude(run_id__in=newest).order_by("pk")
        turn = list(others.values_list("pk", "run_id")[:OTHER_ACTIVE])
        this.state.active_after = turn[-1][0] if len(turn) == OTHER_ACTIVE else 0
        ids += [run_id for _, run_id in turn if run_id not in this.read]
    _named_read(this, ids)
