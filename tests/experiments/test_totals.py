"""Totals that are kept: as exact as counting, however the runs come and go."""

import pytest
from django.core.cache import cache
from django.http import QueryDict

from apps.experiments.models import Experiment, Run
from apps.experiments.selectors import totals
from apps.experiments.selectors.families import families_page
from apps.experiments.selectors.runs import RunQuery, run_query
from apps.experiments.services.indexing import index_rebuild
from apps.experiments.services.indexing.writing import index_runs, runs_drop
from tests.cast import Cast, cast_make
from tests.experiments.factories import experiment_make

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def cast() -> Cast:
    return cast_make()


@pytest.fixture(autouse=True)
def all_are_large(monkeypatch: pytest.MonkeyPatch) -> None:
    cache.clear()
    monkeypatch.setattr(totals, "LARGE", 1)


@pytest.fixture
def study(cast: Cast) -> Experiment:
    return experiment_make(cast.vision, "vision/digits")


def said(study: Experiment, number: int, *, stage: str = "active", value: float = 0.5) -> dict[str, object]:
    run_id = f"{number:032x}"
    info = {"run_id": run_id, "experiment_id": study.pk, "status": "FINISHED", "start_time": 1_762_000_000_000 + number}
    metrics = [{"key": "auc", "value": value, "timestamp": 1, "step": 0}]
    return {"info": info | {"lifecycle_stage": stage}, "data": {"metrics": metrics}}


def query(cast: Cast, text: str = "") -> RunQuery:
    return run_query(cast.dana, QueryDict(text))


def counts(cast: Cast, text: str = "") -> tuple[int | None, int | None]:
    return query(cast, text).page(counted=True).count, families_page(query(cast, text)).count


def test_a_total_is_right_after_each_change(cast: Cast, study: Experiment) -> None:
    index_runs([said(study, number) for number in range(3)])
    assert counts(cast) == (3, 3)
    assert query(cast).total().kept == 3
    index_runs([said(study, 7)])
    assert counts(cast) == (4, 4)
    index_runs([said(study, 7, stage="deleted")])
    assert counts(cast) == (3, 3)
    assert counts(cast, "archived=1") == (1, 1)
    index_runs([said(study, 7)])
    assert counts(cast) == (4, 4)
    runs_drop([f"{1:032x}"])
    assert counts(cast) == (3, 3)
    index_rebuild(actor=None)
    assert counts(cast) == (0, 0)


def test_a_total_is_kept_while_runs_only_change(cast: Cast, study: Experiment) -> None:
    index_runs([said(study, 1)])
    assert counts(cast) == (1, 1)
    index_runs([said(study, 1, value=0.7)])
    assert query(cast).total().kept == 1


def test_what_is_counted_before_a_change_is_not_kept_behind_it(cast: Cast, study: Experiment) -> None:
    index_runs([said(study, 1)])
    before = query(cast).total()
    index_runs([said(study, 2)])
    before.settled(1)
    assert counts(cast) == (2, 2)


def test_each_scope_has_its_own_and_a_filter_none(cast: Cast, study: Experiment) -> None:
    index_runs([said(study, 1)])
    other = experiment_make(cast.pricing, "pricing/x")
    index_runs([said(other, 2), said(other, 3)])
    assert counts(cast) == (1, 1)
    assert run_query(cast.pete, QueryDict("")).page(counted=True).count == 3
    assert run_query(cast.mallory, QueryDict("")).page(counted=True).count == 2
    assert run_query(cast.pete, QueryDict(""), other).page(counted=True).count == 2
    assert counts(cast, "filter=metrics.auc > 0.6") == (0, 0)
    assert query(cast, "filter=metrics.auc > 0.6").total() == totals.COUNTED


def test_few_runs_are_counted_each_time(cast: Cast, study: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(totals, "LARGE", 20_000)
    index_runs([said(study, 1)])
    assert counts(cast) == (1, 1)
    Run.objects.all().delete()
    assert counts(cast) == (0, 0)
