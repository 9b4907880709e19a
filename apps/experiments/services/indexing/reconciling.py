"""The rolling reconcile: walks over all runs for ever, finds what changed unseen and what MLflow has no more.

It takes about 2.5 % of MLflow's time: after a page it rests for forty times as long as the page took. Experiments that
were archived or restored, and everything after a long time without MLflow, are walked without resting.
"""

import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from typing import Any

from django.db.models import Q

from apps.core.clock import database_now
from apps.experiments.gateway.runs import run_if_there, runs_by_id
from apps.experiments.models import Experiment, Run
from apps.experiments.services.indexing.aggregates import aggregates_write
from apps.experiments.services.indexing.hold import Hold
from apps.experiments.services.indexing.reading import moment
from apps.experiments.services.indexing.touching import written_tell
from apps.experiments.services.indexing.walking import Place, Step, walk_step
from apps.experiments.services.indexing.writing import index_runs, runs_drop

REST = 40.0  # times as long as the page took
LEAST_REST, MOST_REST = 10.0, 60.0
DROPPED_AT_ONCE = 2000
SUSPECTS = 1000
TRIED = 20


@dataclass
class ReconcileState:
    """What `TrackerIndex.reconcile_place` holds: JSON, and empty at first."""

    walk: dict[str, Any] | None = None
    began: float = 0.0  # when the walk began, seconds since 1970
    rest_until: float = 0.0
    hurry: bool = False
    again: list[str] = field(default_factory=list)  # experiments to be walked at once
    again_walk: dict[str, Any] | None = None  # the place in the first of them
    gone: list[str] = field(default_factory=list)  # experiments that MLflow has no more
    wide_at: float = 0.0  # when a round last looked far back
    active_after: int = 0  # the key of the active run at which the last round stopped

    @classmethod
    def of(cls, data: dict[str, Any]) -> "ReconcileState":
        known = {each.name for each in fields(cls)}
        return cls(**{key: value for key, value in data.items() if key in known})

    @property
    def data(self) -> dict[str, Any]:
        return asdict(self)


def reconcile_go_on(hold: Hold, *, seconds: float) -> None:
    """What is due, for about so long. Raises `TrackerAway`, `HoldLost`."""
    deadline = time.monotonic() + seconds
    state = ReconcileState.of(hold.row.reconcile_place)
    while state.again and time.monotonic() < deadline:
        _again_step(state)
        hold.keep(reconcile_place=state.data)
    if state.gone:
        _experiment_drop(state.gone[0])
        state.gone = [pk for pk in state.gone if Experiment.objects.filter(pk=pk).exists()]
        hold.keep(reconcile_place=state.data)
    while (state.hurry or time.time() >= state.rest_until) and time.monotonic() < deadline:
        _walk_step(hold, state)


def _again_step(state: ReconcileState) -> None:
    pk = state.again[0]
    step = walk_step(experiment_ids=[pk], place=Place.of(state.again_walk or {}))
    _page_write(step)
    state.again_walk = step.next.data if step.next else None
    if step.next is None:
        state.again = state.again[1:]


def _walk_step(hold: Hold, state: ReconcileState) -> None:
    if state.walk is None:
        state.walk, state.began = Place().data, time.time()
    ids = list(Experiment.objects.values_list("pk", flat=True))
    began = time.monotonic()
    step = walk_step(experiment_ids=ids, place=Place.of(state.walk))
    took = time.monotonic() - began
    _page_write(step)
    state.rest_until = time.time() + min(MOST_REST, max(LEAST_REST, took * REST))
    state.walk = step.next.data if step.next else None
    if step.next is None:
        state.hurry = False
        hold.keep(reconcile_place=state.data, reconciled_at=database_now(), runs_read=Run.objects.count())
    else:
        hold.keep(reconcile_place=state.data)


def _page_write(step: Step) -> None:
    written_tell(index_runs(step.runs))
    seen = {run["info"]["run_id"] for run in step.runs}
    runs_confirm(_unseen(step, seen))


def _unseen(step: Step, seen: set[str]) -> list[str]:
    """Runs of the index that lie within the page by their start, and are not on it."""
    rows = Run.objects.filter(experiment__in=step.experiment_ids)
    if (latest := moment(step.latest)) is not None:
        rows = rows.filter(Q(started_at__lte=latest) | Q(started_at=None))
    earliest: datetime | None = moment(step.earliest)
    if not step.ends:
        # Those of the very last moment may be on the next page.
        rows = rows.filter(started_at__gt=earliest) if earliest else rows.none()
    return [run_id for run_id in rows.values_list("run_id", flat=True).iterator(2000) if run_id not in seen]


def runs_confirm(run_ids: Iterable[str]) -> None:
    """Ask MLflow for each of these by its id: what it has is written, what it has not is dropped."""
    suspects = list(run_ids)[:SUSPECTS]
    if not suspects:
        return
    rows = dict(Run.objects.filter(run_id__in=suspects).values_list("run_id", "experiment_id"))
    found = runs_by_id(rows, experiment_ids=sorted(set(rows.values())))
    written = index_runs(found.values())
    missing = [run_id for run_id in rows if run_id not in found]
    # In two ways before anything is thrown away: a search that errs must not empty the index.
    if all(run_if_there(run_id) is None for run_id in missing[:TRIED]):
        aggregates_write(runs_drop(missing) - written.experiments)
    written_tell(written)


def _experiment_drop(pk: str) -> None:
    """Piece by piece: an experiment may hold a hundred thousand runs."""
    ids = list(Run.objects.filter(experiment=pk).values_list("run_id", flat=True)[:DROPPED_AT_ONCE])
    if ids:
        runs_drop(ids)
    else:
        Experiment.objects.filter(pk=pk).delete()
