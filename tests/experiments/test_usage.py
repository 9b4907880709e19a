"""What runs used of their environment: the law of the shares, and the rows that hold them."""

from collections.abc import Iterable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.accounts.models import User
from apps.environments.models import Environment
from apps.experiments.models import Experiment
from apps.experiments.services.using import environments_due, uses_count
from apps.experiments.usage import Rate, Span, Use, allocate, use_by_run, use_of_experiment, use_of_run
from apps.metering.models import MeteredResource, ResourceInterval
from tests.experiments.factories import run_make
from tests.factories import environment_make, people_make

# A machine that does much else at once is slow, not wrong.
law = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
moments = st.integers(0, 40).map(float)
spans_made = st.lists(
    st.tuples(moments, moments, st.integers(0, 12)).map(lambda t: (min(t[:2]), max(t[:2]), t[2])), max_size=10
).map(lambda made: [Span(str(n), start, end, str(parent)) for n, (start, end, parent) in enumerate(made)])
rates_made = st.lists(
    st.tuples(moments, moments, st.floats(0, 1e12), st.integers(0, 8)).map(
        lambda t: Rate(min(t[:2]), max(t[:2]), (t[2], float(t[3])))
    ),
    max_size=6,
)


def metered(spans: Iterable[Span], rates: Iterable[Rate], kind: int) -> float:
    """Second by second, which all moments above are whole numbers of: what there was while anything ran."""
    total = 0.0
    for second in range(40):
        if any(span.start <= second < span.end for span in spans):
            total += sum(rate.values[kind] for rate in rates if rate.start <= second < rate.end)
    return total


@law
@given(spans_made, rates_made)
def test_the_shares_add_up_to_what_was_metered(spans: list[Span], rates: list[Rate]) -> None:
    shares = allocate(spans, rates, kinds=2)
    for kind in range(2):
        total = sum(share[kind] for share in shares.values())
        assert total == pytest.approx(metered(spans, rates, kind), rel=1e-9, abs=1e-3)
    assert all(value >= -1e-3 for share in shares.values() for value in share)


@law
@given(spans_made, rates_made)
def test_nobody_has_more_than_there_was_while_it_ran(spans: list[Span], rates: list[Rate]) -> None:
    shares = allocate(spans, rates, kinds=2)
    for span in spans:
        if span.key in shares:
            assert shares[span.key][0] <= metered([span], rates, 0) * (1 + 1e-9) + 1e-3


def test_two_that_overlap_share_the_time_they_overlapped() -> None:
    shares = allocate([Span("a", 0, 10), Span("b", 5, 20)], [Rate(0, 30, (4.0,))], kinds=1)
    assert shares == {"a": (4 * 7.5,), "b": (4 * 12.5,)}


def test_a_search_that_waits_for_its_trials_uses_nothing_itself() -> None:
    spans = [Span("search", 0, 10), Span("one", 1, 4, "search"), Span("two", 4, 9, "search")]
    assert allocate(spans, [Rate(0, 10, (1.0,))], kinds=1) == {"search": (2.0,), "one": (3.0,), "two": (5.0,)}


def test_runs_that_claim_to_be_each_others_parents_share() -> None:
    shares = allocate([Span("a", 0, 4, "b"), Span("b", 0, 4, "a")], [Rate(0, 4, (1.0,))], kinds=1)
    assert sum(share[0] for share in shares.values()) == 4.0


class Notebook:
    """An environment whose metering is written here: two cores and 4 GiB while it runs."""

    def __init__(self, environment: Environment, owner: User, team: Any) -> None:
        self.environment = environment
        workspace = environment.workspace
        assert workspace is not None
        self.workspace, self.owner, self.team = workspace, owner, team
        self.resource = MeteredResource.objects.create(
            workspace=workspace, address="slipway_service.lab", type="slipway_service", kind="service", service="lab"
        )

    def held(self, start: Any, end: Any, *, state: str = "running", open: bool = False) -> None:
        ResourceInterval.objects.create(
            resource=self.resource,
            workspace=self.workspace,
            team=self.team,
            user=self.owner,
            state=state,
            cpu_cores=Decimal(2),
            memory_bytes=4 * 2**30,
            gpu_count=1,
            started_at=start,
            ended_at=None if open else end,
            seen_at=end,
            run_started_at=start,
        )


@pytest.fixture
def notebook(db: None) -> Notebook:
    people = people_make()
    return Notebook(environment_make(people), people.dana, people.vision)


@pytest.fixture
def experiment(notebook: Notebook) -> Experiment:
    return Experiment.objects.create(id="5", name="vision/x", team=notebook.team)


def test_runs_are_written_what_they_used(notebook: Notebook, experiment: Experiment) -> None:
    now = timezone.now()
    begin = now - timedelta(hours=2)
    notebook.held(begin, begin + timedelta(seconds=1000))
    here = {"environment_id": notebook.environment.pk}
    one = run_make(experiment, started_at=begin, seconds=100, **here)
    two = run_make(experiment, started_at=begin + timedelta(seconds=50), seconds=100, status="FAILED", **here)
    after = run_make(experiment, started_at=begin + timedelta(seconds=2000), seconds=10, **here)
    elsewhere = run_make(experiment, started_at=begin, seconds=100)

    assert uses_count(now=now) == 1

    for run in (one, two, after, elsewhere):
        run.refresh_from_db()
    assert use_of_run(one) == Use(150.0, 75 * 4 * 2**30, 75.0)
    assert use_of_run(two) == use_of_run(one)
    assert use_of_run(after) == Use()
    assert use_of_run(elsewhere) is None
    total = use_of_experiment(experiment)
    assert total is not None
    assert (total.counted, total.total.core_seconds, total.failed_share) == (3, 300.0, 0.5)
    assert environments_due(now=now + timedelta(hours=1)) == []


def test_a_run_that_nobody_ended_ends_with_its_process(notebook: Notebook, experiment: Experiment) -> None:
    now = timezone.now()
    begin = now - timedelta(hours=2)
    notebook.held(begin, begin + timedelta(seconds=100))
    notebook.held(begin + timedelta(seconds=200), now, open=True)
    here = {"environment_id": notebook.environment.pk}
    lost = run_make(experiment, started_at=begin, seconds=None, **here)
    later = run_make(experiment, started_at=begin + timedelta(seconds=300), seconds=100, **here)
    uses_count(now=now)
    lost.refresh_from_db()
    later.refresh_from_db()
    assert (lost.core_seconds, later.core_seconds) == (pytest.approx(200), pytest.approx(200))


def test_a_run_that_goes_on_is_counted_again(notebook: Notebook, experiment: Experiment) -> None:
    now = timezone.now()
    begin = now - timedelta(seconds=100)
    notebook.held(begin, now, open=True)
    run = run_make(experiment, started_at=begin, seconds=None, environment_id=notebook.environment.pk)
    uses_count(now=now)
    run.refresh_from_db()
    assert run.core_seconds == pytest.approx(200)
    assert environments_due(now=now) == []
    ResourceInterval.objects.update(seen_at=now + timedelta(seconds=60))
    assert uses_count(now=now + timedelta(seconds=60)) == 1
    run.refresh_from_db()
    assert run.core_seconds == pytest.approx(320)


def test_what_was_not_metered_is_not_known(notebook: Notebook, experiment: Experiment) -> None:
    run = run_make(experiment, environment_id=notebook.environment.pk, seconds=60)
    now = timezone.now()
    assert use_by_run(environment_id=notebook.environment.pk, start=now - timedelta(days=99), end=now) is None
    uses_count(now=now)
    run.refresh_from_db()
    assert (use_of_run(run), run.used_until) == (None, now)
    assert use_of_experiment(experiment) is None


def test_a_stopped_environment_uses_nothing(notebook: Notebook, experiment: Experiment) -> None:
    now = timezone.now()
    begin = now - timedelta(hours=1)
    notebook.held(begin, begin + timedelta(seconds=100), state="stopped")
    run = run_make(experiment, started_at=begin, seconds=60, environment_id=notebook.environment.pk)
    found = use_by_run(environment_id=notebook.environment.pk, start=begin, end=now)
    assert found == {run.run_id: Use()}
