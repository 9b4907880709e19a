"""The first import: a walk over everything, newest first, in pieces of some seconds with the place kept between them.

A worker that is killed in the middle costs the page it was at. While one page is written, MLflow makes the next.
"""

import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from django.db import connection

from apps.core.clock import database_now
from apps.experiments.gateway.experiments import experiments_all
from apps.experiments.gateway.runs import offset_token, runs_search
from apps.experiments.gateway.workspaces import experiments_by_workspace
from apps.experiments.models import Experiment, Run
from apps.experiments.services.indexing.aggregates import aggregates_write
from apps.experiments.services.indexing.experiments import experiments_write
from apps.experiments.services.indexing.hold import Hold
from apps.experiments.services.indexing.walking import Place, Step, walk_step
from apps.experiments.services.indexing.writing import index_runs

ESTIMATE_CALLS = 16
SUMMED_AT_ONCE = 100
TABLES = ("experiments_run", "experiments_runmetric", "experiments_runparam", "experiments_runtag")


def import_go_on(hold: Hold, *, seconds: float) -> bool:
    """Import for about so long; True once there is nothing left to import. Raises `TrackerAway`, `HoldLost`."""
    deadline = time.monotonic() + seconds
    row = hold.row
    if row.imported_at is not None:
        return True
    state: dict[str, Any] = row.import_place
    if "walk" not in state:
        state = _begin(hold)
    if state["walk"] is not None and not _walk(hold, state, row.runs_read, deadline):
        return False
    return _sum_up(hold, state, deadline)


def _begin(hold: Hold) -> dict[str, Any]:
    experiments_write(experiments_all())
    hold.keep(import_started_at=database_now(), runs_read=0, runs_expected=None)
    state: dict[str, Any] = {"walk": Place().data, "summed": ""}
    hold.keep(import_place=state, runs_expected=runs_estimate(_experiment_ids()))
    return state


def _walk(hold: Hold, state: dict[str, Any], runs_read: int, deadline: float) -> bool:
    ids = _experiment_ids()
    touched: set[str] = set()
    with ThreadPoolExecutor(max_workers=1) as ahead:
        coming: Future[Step] | None = ahead.submit(walk_step, experiment_ids=ids, place=Place.of(state["walk"]))
        while coming is not None:
            step = coming.result()
            go_on = step.next is not None and time.monotonic() < deadline
            coming = ahead.submit(walk_step, experiment_ids=ids, place=step.next) if go_on and step.next else None
            written = index_runs(step.runs)
            touched |= written.experiments
            runs_read += written.new
            state["walk"] = step.next.data if step.next else None
            hold.keep(import_place=state, runs_read=runs_read)
    aggregates_write(touched)
    return state["walk"] is None


def _sum_up(hold: Hold, state: dict[str, Any], deadline: float) -> bool:
    """Sums of every experiment, because those of a worker that was killed are missing; then the import is done."""
    if not state["summed"]:
        # Otherwise PostgreSQL plans for empty tables until its own daemon comes by.
        with connection.cursor() as cursor:
            cursor.execute(f"ANALYZE {', '.join(TABLES)}")
    while ids := _experiment_ids(after=state["summed"])[:SUMMED_AT_ONCE]:
        if time.monotonic() > deadline:
            return False
        aggregates_write(ids)
        state["summed"] = ids[-1]
        hold.keep(import_place=state)
    hold.keep(imported_at=database_now(), import_place={}, reconcile_place={}, runs_read=Run.objects.count())
    return True


def _experiment_ids(*, after: str = "") -> list[str]:
    return list(Experiment.objects.filter(pk__gt=after).order_by("pk").values_list("pk", flat=True))


def runs_estimate(experiment_ids: list[str]) -> int:
    """About how many runs there are."""
    return sum(map(_runs_estimate, experiments_by_workspace(experiment_ids).values()))


def _runs_estimate(experiment_ids: list[str]) -> int:
    """MLflow counts nothing, so offsets are tried, within 3 % in a dozen calls."""

    def reaches(offset: int) -> bool:
        page = runs_search(experiment_ids=experiment_ids, max_results=1, page_token=offset_token(offset))
        return bool(page.runs)

    low, high = 0, 500
    calls = 0
    while calls < ESTIMATE_CALLS and reaches(high):
        low, high = high, high * 4
        calls += 1
    while calls < ESTIMATE_CALLS and high - low > max(10, low // 30):
        middle = (low + high) // 2
        low, high = (middle, high) if reaches(middle) else (low, middle)
        calls += 1
    return high
