"""Several indexers at once, on the real PostgreSQL, with transactions of their own."""

import threading
from collections.abc import Callable

import pytest
from django.db import connection

from apps.experiments import hints
from apps.experiments.mlflow_rules import Kind
from apps.experiments.models import Experiment, Run, RunMetric, TrackerIndex
from apps.experiments.services.indexing import index_rebuild, index_runs, run_touch
from apps.experiments.services.indexing.working import index_turn
from tests.experiments.tracker import Tracker
from tests.factories import TeamFactory

pytestmark = pytest.mark.django_db(transaction=True)


def at_once(*calls: Callable[[], object]) -> list[BaseException]:
    """Run the calls in threads that begin together; returns what they raised."""
    barrier = threading.Barrier(len(calls))
    raised: list[BaseException] = []

    def one(call: Callable[[], object]) -> None:
        try:
            barrier.wait(10)
            call()
        except BaseException as error:
            raised.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=one, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(90)
    return raised


def metrics_of(run_ids: list[str]) -> dict[str, float | None]:
    rows = RunMetric.objects.filter(run__run_id__in=run_ids)
    return dict(rows.values_list("run__run_id", "value"))


def test_two_indexers_import_everything_once(tracker: Tracker) -> None:
    TeamFactory(slug="vision")
    study = tracker.experiment()
    ids = [tracker.run(study, start=1_762_000_000_000 + n, metrics={"auc": n}) for n in range(30)]

    def work() -> None:
        for _ in range(50):
            index_turn(import_seconds=1)
            row = TrackerIndex.objects.get()
            if row.imported_at is not None:
                return
            threading.Event().wait(0.2)

    assert at_once(work, work, work) == []
    assert Run.objects.filter(experiment=study).count() == 30
    assert Experiment.objects.get(pk=study).run_count == 30
    assert metrics_of(ids) == {run_id: float(n) for n, run_id in enumerate(ids)}


def test_the_same_new_runs_are_written_by_several_at_once(tracker: Tracker) -> None:
    study = tracker.experiment()
    ids = [tracker.run(study, metrics={"auc": n}, params={"n": str(n)}) for n in range(20)]
    said = [tracker.get(run_id) for run_id in ids]
    writers = [
        lambda: index_runs(said),
        lambda: index_runs(said[::-1]),
        lambda: [run_touch(each) for each in ids[::-1]],
    ]
    for _ in range(5):
        Run.objects.all().delete()
        assert at_once(*writers) == []
        assert metrics_of(ids) == {run_id: float(n) for n, run_id in enumerate(ids)}
    assert hints.waiting(Kind.RUN) >= 20
    hints.take(Kind.RUN, 1000)


def test_a_rebuild_in_the_middle_of_a_turn_ends_in_a_whole_index(tracker: Tracker) -> None:
    study = tracker.experiment()
    ids = [tracker.run(study, metrics={"auc": n}) for n in range(10)]
    while index_turn():
        pass
    assert at_once(index_turn, lambda: index_rebuild(actor=None)) == []
    for _ in range(20):
        index_turn()
        if TrackerIndex.objects.get().imported_at is not None:
            break
    assert metrics_of(ids) == {run_id: float(n) for n, run_id in enumerate(ids)}
