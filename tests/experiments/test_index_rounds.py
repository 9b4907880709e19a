"""Rounds, import and reconcile against a real MLflow server that is written to behind the portal's back."""

import secrets
import time
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import requests
from django.db import connection
from django.utils import timezone

from apps.accounts.models import Team
from apps.core.models import LiveEvent
from apps.experiments import hints
from apps.experiments.gateway import runs as gateway_runs
from apps.experiments.mlflow_rules import Kind
from apps.experiments.models import Experiment, Run, RunTag, TrackerIndex
from apps.experiments.selectors.freshness import freshness
from apps.experiments.services.indexing import importing, walking
from apps.experiments.services.indexing.hold import HoldLost, index_held
from apps.experiments.services.indexing.working import index_turn
from tests.experiments.tracker import Tracker
from tests.factories import TeamFactory

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _no_hints() -> None:
    for kind in Kind:
        hints.take(kind, 10_000)


@pytest.fixture(autouse=True)
def vision() -> Team:
    return TeamFactory(slug="vision")


def imported() -> None:
    """The server is shared by all tests of this run, so there may be many pieces."""
    while index_turn(import_seconds=20, reconcile_seconds=0):
        pass
    assert TrackerIndex.objects.get().imported_at is not None


def reconciled() -> None:
    row = TrackerIndex.objects.get()
    row.reconcile_place |= {"rest_until": 0, "hurry": True, "wide_at": 0}
    row.save()
    index_turn(reconcile_seconds=60)


def now_ms() -> int:
    return int(time.time() * 1000)


def old_ms() -> int:
    return now_ms() - 90 * 86_400_000


def run_of(run_id: str) -> Run:
    return Run.objects.get(run_id=run_id)


def test_the_first_import_reads_everything_archived_runs_too(tracker: Tracker) -> None:
    study, other = tracker.experiment(), tracker.experiment()
    ids = [tracker.run(study, start=old_ms() + n, metrics={"auc": n / 10}) for n in range(5)]
    tracker.ask("runs/delete", run_id=ids[0])
    tracker.run(other, start=old_ms())
    tracker.ask("experiments/delete", experiment_id=other)

    imported()

    assert set(Run.objects.filter(experiment=study).values_list("run_id", flat=True)) == set(ids)
    assert run_of(ids[0]).archived
    experiment = Experiment.objects.get(pk=study)
    assert (experiment.run_count, experiment.best_value) == (4, 0.4)
    gone = Experiment.objects.get(pk=other)
    assert (gone.archived, gone.run_count) == (True, 1)
    state = freshness()
    assert (state.importing, state.away_since) == (False, None)
    assert state.age_seconds is not None
    assert state.age_seconds < 30


def test_an_import_that_is_broken_off_goes_on_where_it_was(tracker: Tracker, monkeypatch: pytest.MonkeyPatch) -> None:
    study = tracker.experiment()
    # All in one millisecond: the walk has to go by offset there.
    ids = {tracker.run(study, start=old_ms() // 10**9 * 10**9) for _ in range(7)}
    monkeypatch.setattr(walking, "PAGE", 3)
    steps: list[walking.Place] = []
    real = importing.walk_step

    def killed(*, experiment_ids: Any, place: walking.Place) -> walking.Step:
        steps.append(place)
        if len(steps) == 3:
            raise KeyboardInterrupt
        return real(experiment_ids=experiment_ids, place=replace(place, size=3))

    monkeypatch.setattr(importing, "walk_step", killed)
    with pytest.raises(KeyboardInterrupt):
        index_turn()
    row = TrackerIndex.objects.get()
    assert (row.imported_at, row.working_until) == (None, None)
    assert row.import_place["walk"]["before"] is not None
    assert freshness().importing
    imported()
    assert ids <= set(Run.objects.values_list("run_id", flat=True))


def test_a_new_run_and_its_end_are_seen_in_the_next_round(tracker: Tracker) -> None:
    imported()
    study = tracker.experiment()
    run_id = tracker.run(study, start=now_ms(), metrics={"auc": 0.1})
    index_turn(reconcile_seconds=0)
    assert run_of(run_id).status == "RUNNING"
    assert Experiment.objects.get(pk=study).running_count == 1

    tracker.log(run_id, metrics={"auc": 0.9}, step=3)
    index_turn(reconcile_seconds=0)
    assert run_of(run_id).metrics.get().value == 0.9

    tracker.ask("runs/update", run_id=run_id, status="FINISHED", end_time=now_ms())
    index_turn(reconcile_seconds=0)
    run = run_of(run_id)
    assert (run.status, run.duration_ms is not None) == ("FINISHED", True)
    assert Experiment.objects.get(pk=study).running_count == 0


def test_an_old_run_that_goes_on_is_read_by_its_id(tracker: Tracker) -> None:
    run_id = tracker.run(tracker.experiment(), start=old_ms())
    imported()
    tracker.log(run_id, metrics={"auc": 0.7})
    index_turn(reconcile_seconds=0)
    assert run_of(run_id).metrics.get().value == 0.7


def test_a_tag_set_behind_the_portals_back_is_found_by_the_reconcile(tracker: Tracker) -> None:
    run_id = tracker.run(tracker.experiment(), start=old_ms(), end=old_ms() + 1000)
    imported()
    tracker.ask("runs/set-tag", run_id=run_id, key="kind", value="night")
    index_turn(reconcile_seconds=0)
    assert not RunTag.objects.filter(run__run_id=run_id).exists()
    reconciled()
    assert RunTag.objects.get(run__run_id=run_id).short == "night"
    assert TrackerIndex.objects.get().reconciled_at is not None


def test_a_hint_is_followed_in_the_next_round(tracker: Tracker) -> None:
    run_id = tracker.run(tracker.experiment(), start=old_ms(), end=old_ms() + 1000)
    imported()
    tracker.ask("runs/set-tag", run_id=run_id, key="kind", value="night")
    tracker.ask("runs/delete", run_id=run_id)
    hints.leave(Kind.RUN, [run_id])
    index_turn(reconcile_seconds=0)
    assert (run_of(run_id).archived, run_of(run_id).tags.get().short) == (True, "night")
    assert hints.waiting(Kind.RUN) == 0


def test_an_archived_experiment_takes_its_runs_along_and_brings_them_back(tracker: Tracker) -> None:
    study = tracker.experiment()
    run_id = tracker.run(study, start=old_ms(), end=old_ms() + 1)
    imported()
    tracker.ask("experiments/delete", experiment_id=study)
    index_turn()
    assert (Experiment.objects.get(pk=study).archived, run_of(run_id).archived) == (True, True)
    tracker.ask("experiments/restore", experiment_id=study)
    index_turn()
    assert (Experiment.objects.get(pk=study).archived, run_of(run_id).archived) == (False, False)


def test_a_renamed_experiment_changes_folder_and_team(tracker: Tracker) -> None:
    churn = TeamFactory(slug="churn")
    study = tracker.experiment()
    imported()
    name = f"churn/later/{secrets.token_hex(4)}"
    tracker.ask("experiments/update", experiment_id=study, new_name=name)
    index_turn(reconcile_seconds=0)
    row = Experiment.objects.get(pk=study)
    assert (row.name, row.folder, row.team) == (name, "churn/later", churn)


def test_what_mlflow_has_no_more_leaves_the_index(tracker: Tracker, vision: Team) -> None:
    study = tracker.experiment()
    stays = tracker.run(study, start=old_ms(), end=old_ms() + 1)
    imported()
    moment = timezone.now() - timedelta(days=30)
    for name, experiment in {"a": Experiment.objects.get(pk=study), "b": Experiment.objects.create(id="99999")}.items():
        Run.objects.create(run_id=name * 32, experiment=experiment, started_at=moment, family="", fingerprint="")
    reconciled()
    reconciled()
    reconciled()
    left = set(Run.objects.values_list("run_id", flat=True))
    assert stays in left
    assert not {"a" * 32, "b" * 32} & left
    assert not Experiment.objects.filter(pk="99999").exists()


def test_mlflow_away_is_said_and_nothing_is_lost(tracker: Tracker, settings: Any) -> None:
    run_id = tracker.run(tracker.experiment(), start=old_ms())
    imported()
    read_at = freshness().read_at
    settings.MLFLOW_TRACKING_URI = "http://127.0.0.1:9"
    hints.leave(Kind.RUN, [run_id])
    index_turn()
    away = freshness()
    assert away.away_since is not None
    assert away.read_at == read_at
    index_turn()
    assert freshness().away_since == away.away_since
    assert hints.waiting(Kind.RUN) == 1
    assert TrackerIndex.objects.get().working_until is None

    settings.MLFLOW_TRACKING_URI = tracker.server.url
    index_turn()
    assert freshness().away_since is None
    assert Run.objects.filter(run_id=run_id).exists()


def test_a_server_that_refuses_is_away_with_its_reason(tracker: Tracker, settings: Any) -> None:
    settings.MLFLOW_SERVER_SECRET = "wrong"
    index_turn()
    row = TrackerIndex.objects.get()
    assert row.away_since is not None
    assert "401" in row.away_reason


def test_only_one_works_and_who_was_robbed_writes_nothing(tracker: Tracker) -> None:
    with index_held() as first:
        assert first is not None
        with index_held() as second:
            assert second is None
        first.keep(runs_read=7)
        # As if it had been away for longer than its hold lasts.
        TrackerIndex.objects.update(working_until=timezone.now() - timedelta(seconds=1))
        with index_held() as third:
            assert third is not None
            with pytest.raises(HoldLost):
                first.keep(runs_read=8)
            third.keep(runs_read=9)
    assert TrackerIndex.objects.get().runs_read == 9


def test_pages_that_are_too_large_are_read_in_smaller_ones(tracker: Tracker, monkeypatch: pytest.MonkeyPatch) -> None:
    study = tracker.experiment()
    ids = {tracker.run(study, start=old_ms() + n, metrics={f"m{k}": k for k in range(200)}) for n in range(9)}
    monkeypatch.setattr(walking, "MOST_BYTES", 30_000)
    imported()
    assert ids <= set(Run.objects.values_list("run_id", flat=True))
    found = gateway_runs.runs_by_id(ids, experiment_ids=[study], most_bytes=30_000)
    assert set(found) == ids


def test_the_number_of_runs_is_estimated_without_reading_them(tracker: Tracker) -> None:
    study = tracker.experiment()
    for n in range(12):
        tracker.run(study, start=old_ms() + n)
    assert 12 <= (importing.runs_estimate([study]) or 0) <= 22


def test_a_round_without_changes_writes_nothing_and_asks_little(
    tracker: Tracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracker.run(tracker.experiment(), start=old_ms(), end=old_ms() + 1)
    imported()
    index_turn(reconcile_seconds=0)
    calls: list[str] = []
    real = requests.Session.request

    def counted(self: requests.Session, method: str, url: str, **options: Any) -> requests.Response:
        calls.append(url)
        return real(self, method, url, **options)

    monkeypatch.setattr(requests.Session, "request", counted)
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM experiments_run WHERE status IN ('RUNNING', 'SCHEDULED')")
        (active,) = cursor.fetchone()
    index_turn(reconcile_seconds=0)
    assert len(calls) <= 3 + (active > 0) + active // 200


def test_pages_of_an_experiment_hear_how_many_of_its_runs_are_new(tracker: Tracker, vision: Team) -> None:
    imported()
    study = tracker.experiment()
    for _ in range(3):
        tracker.run(study, start=now_ms())
    LiveEvent.objects.all().delete()
    index_turn(reconcile_seconds=0)
    event = LiveEvent.objects.get(topic=f"experiment:{study}")
    assert (event.audience, event.kind, event.data) == (f"team:{vision.pk}", "status", {"new": 3})
    index_turn(reconcile_seconds=0)
    assert LiveEvent.objects.filter(topic=f"experiment:{study}").count() == 1
