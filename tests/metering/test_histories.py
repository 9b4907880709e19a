"""Random histories with crashes: no gap, no overlap, nothing negative, and the sums are those of the model.

The model below knows nothing of states, rows or callbacks: it is told what happened and when, and what of it anybody
could have seen. A machine that dies takes with it what happened since it was last looked at.
"""

import tempfile
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from unittest import mock

import pytest
from django.db import transaction
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from apps.accounts.models import User
from apps.metering import observers
from apps.metering.models import ResourceInterval
from apps.metering.reconciling import meters_reconcile
from apps.metering.selectors import usage
from apps.provisioning.leases import Lease
from apps.provisioning.models import ServiceStatus, StateVersion, Workspace
from tests.metering.world import BEGIN, SERVICE, VOLUME, Clock, World, service, volume

PAUSE = st.integers(1, 4000)
CPU = st.sampled_from([1, 2, 4])
DISK = st.sampled_from([None, 100, 200])
GIVEN: dict[str, object] = {}


@dataclass
class Span:
    start: datetime
    size: int
    end: datetime | None = None

    def amount(self, now: datetime) -> Decimal:
        return Decimal(str(((self.end or now) - self.start).total_seconds())) * self.size


@dataclass
class Expected:
    """What must come out: when the volume existed with which size, and when the service ran with how many cores."""

    volumes: list[Span] = field(default_factory=list)
    existed: list[Span] = field(default_factory=list)
    runs: list[Span] = field(default_factory=list)

    @staticmethod
    def end(spans: list[Span], at: datetime) -> None:
        if spans and spans[-1].end is None:
            spans[-1].end = at

    @staticmethod
    def resize(spans: list[Span], size: int, at: datetime) -> None:
        if spans and spans[-1].end is None and spans[-1].size != size:
            spans[-1].end = at
            spans.append(Span(at, size))


class Histories(RuleBasedStateMachine):
    """Where the clock goes back or a process's callback is lost (not `exact`), only the laws are checked."""

    @initialize(cpu=CPU, disk=DISK, exact=st.sampled_from([True, True, False]))
    def begin(self, cpu: int, disk: int | None, exact: bool) -> None:
        self.rollback = transaction.atomic()
        self.rollback.__enter__()
        self.clock = Clock()
        self.clock.__enter__()
        workspace, lease = GIVEN["workspace"], GIVEN["lease"]
        assert isinstance(workspace, Workspace)
        assert isinstance(lease, Lease)
        self.workspace = Workspace.objects.create(
            id=uuid.uuid4(),
            name="nb",
            team=workspace.team,
            owner=workspace.owner,
            module_version=workspace.module_version,
            target="local",
        )
        self.folder = tempfile.TemporaryDirectory()
        self.world = World(self.workspace, lease, Path(self.folder.name) / "work", self.clock)
        self.expected = Expected()
        self.cpu, self.disk = cpu, disk
        self.made = self.agent_dead = False
        self.exact = exact
        self.alive_until: datetime | None = None

    def teardown(self) -> None:
        if hasattr(self, "rollback"):
            self.clock.__exit__()
            transaction.set_rollback(True)
            self.rollback.__exit__(None, None, None)
            self.folder.cleanup()

    # What the agent sees -----------------------------------------------------------------------------------------

    @property
    def now(self) -> datetime:
        return self.clock.now

    @property
    def process(self) -> datetime | None:
        return self.world.machine.started_at

    def look(self) -> None:
        """The model hears of a process only by this."""
        self.world.look()
        run = self.expected.runs[-1] if self.expected.runs else None
        if run is not None and run.end is None and (self.process is None or self.process != self.seen):
            assert self.alive_until is not None
            run.end = self.alive_until
        if self.process is not None:
            if self.made and (run is None or run.end is not None):
                self.expected.runs.append(Span(self.process, self.cpu))
            self.alive_until = self.now
        self.seen = self.process

    def ship(self) -> None:
        if self.made:
            self.world.ship(volume(self.disk), service(self.cpu))
        else:
            self.world.ship()

    # What happens -------------------------------------------------------------------------------------------------

    @precondition(lambda self: not self.made and not self.agent_dead)
    @rule(starting=st.integers(0, 90), lost=st.booleans())
    def create(self, starting: int, lost: bool) -> None:
        self.clock.move(1)
        begun = self.now
        self.world.machine.known, self.world.machine.started_at = True, begun
        self.world.look()
        self.seen, self.alive_until = begun, begun
        self.clock.move(starting)
        self.made = True
        self.expected.volumes.append(Span(self.now, self.disk or 0))
        self.expected.existed.append(Span(begun, 1))
        self.expected.runs.append(Span(begun, self.cpu))
        self._shipped(lost)
        self.look()

    @precondition(lambda self: self.made and not self.agent_dead)
    @rule(cpu=CPU, disk=DISK, pause=st.integers(0, 20), lost=st.booleans())
    def resize(self, cpu: int, disk: int | None, pause: int, lost: bool) -> None:
        self.look()
        self.clock.move(pause)
        self.cpu, self.disk = cpu, disk
        self.expected.resize(self.expected.runs, cpu, self.now)
        self.expected.resize(self.expected.volumes, disk or 0, self.now)
        self._shipped(lost)

    @precondition(lambda self: self.process is not None and self.made and not self.agent_dead)
    @rule(wait=st.integers(0, 1))
    def stop(self, wait: int) -> None:
        self.look()
        self.clock.move(wait)
        self.world.machine.started_at = None
        self.look()
        self.ship()

    @precondition(lambda self: self.process is None and self.made and not self.agent_dead)
    @rule(wait=st.integers(0, 30))
    def start(self, wait: int) -> None:
        self.look()
        self.clock.move(1)
        self.world.machine.started_at = self.now
        self.clock.move(wait)
        self.look()
        self.ship()

    @precondition(lambda self: self.made and not self.agent_dead)
    @rule(wait=st.integers(0, 20), lost=st.booleans())
    def destroy(self, wait: int, lost: bool) -> None:
        self.look()
        self.clock.move(wait)
        self.made = False
        self.world.machine.known, self.world.machine.started_at = False, None
        for spans in (self.expected.volumes, self.expected.existed, self.expected.runs):
            self.expected.end(spans, self.now)
        self._shipped(lost)
        self.seen = None

    @precondition(lambda self: not self.agent_dead)
    @rule()
    def agent_killed(self) -> None:
        self.agent_dead = True

    @precondition(lambda self: not self.agent_dead)
    @rule()
    def machine_killed(self) -> None:
        """Everything ends at once; what was wanted running comes back with the agent."""
        self.agent_dead = True
        self.resumes = self.process is not None
        self.world.machine.started_at = None

    @precondition(lambda self: self.agent_dead)
    @rule(after=PAUSE)
    def agent_back(self, after: int) -> None:
        self.clock.move(after)
        self.agent_dead = False
        if getattr(self, "resumes", False) and self.made:
            self.world.machine.started_at = self.now
            self.clock.move(1)
        self.resumes = False
        self.world.agent_restart()
        if self.made:
            self.look()

    @precondition(lambda self: self.process is not None and self.made)
    @rule(after=st.integers(1, 30))
    def service_crashes(self, after: int) -> None:
        """The supervisor brings it back, also while no agent looks."""
        self.clock.move(after)
        self.world.machine.started_at = self.now
        self.world.machine.restarts += 1
        if not self.agent_dead:
            self.look()

    @rule(seconds=PAUSE)
    def time_passes(self, seconds: int) -> None:
        self.clock.move(seconds)
        if not self.agent_dead and self.made:
            self.look()

    @rule()
    def reconcile(self) -> None:
        meters_reconcile()
        meters_reconcile()

    @rule()
    def told_twice(self) -> None:
        version = StateVersion.objects.filter(workspace=self.workspace).order_by("id").first()
        if version is not None:
            observers.state_observed(version, {"resources": []})
        status = ServiceStatus.objects.filter(workspace=self.workspace).first()
        if status is not None and self.made:
            observers.process_observed(self.workspace, status, status.observed_at)

    @precondition(lambda self: not self.exact or not self.agent_dead)
    @rule()
    def handed_over(self) -> None:
        user = User.objects.create(username=f"u{uuid.uuid4().hex[:12]}")
        Workspace.objects.filter(pk=self.workspace.pk).update(owner=user)
        if not self.agent_dead and self.made:
            self.look()
            meters_reconcile()

    @precondition(lambda self: not self.exact)
    @rule(seconds=st.integers(1, 8000))
    def clock_put_back(self, seconds: int) -> None:
        self.clock.move(-seconds)

    @precondition(lambda self: self.made and not self.agent_dead and not self.exact)
    @rule()
    def process_callback_lost(self) -> None:
        with mock.patch.object(observers, "process_meter", side_effect=RuntimeError("lost")):
            self.clock.move(1)
            self.world.machine.started_at = self.now
            self.world.look()
        self.seen = self.process

    def _shipped(self, lost: bool) -> None:
        if lost:
            with mock.patch.object(observers, "states_meter", side_effect=RuntimeError("lost")):
                self.ship()
        else:
            self.ship()

    # What must hold -----------------------------------------------------------------------------------------------

    @invariant()
    def the_laws_hold(self) -> None:
        for address in (SERVICE, VOLUME):
            rows = list(
                ResourceInterval.objects.filter(workspace=self.workspace, resource__address=address).order_by(
                    "started_at", "id"
                )
            )
            assert all(row.ended_at is None or row.ended_at >= row.started_at for row in rows), "negative"
            assert all(row.ended_at for row in rows[:-1]), "open in the middle"
            for first, second in pairwise(rows):
                assert first.ended_at is not None
                assert second.started_at >= first.ended_at, "overlap"

    @precondition(lambda self: not self.agent_dead)
    @invariant()
    def the_sums_are_those_of_the_model(self) -> None:
        if not hasattr(self, "expected"):
            return
        if self.made:
            self.look()
        meters_reconcile()
        self._no_gap()
        window = {"start": BEGIN - timedelta(days=400), "end": BEGIN + timedelta(days=400), "now": self.now}
        total = usage(environment_id=self.workspace.pk, **window)[0]  # type: ignore[arg-type]
        assert min(total.core_seconds, total.disk_byte_seconds, total.existed_seconds) >= 0
        if not self.exact:
            return
        kinds = {row.kind: row for row in usage(environment_id=self.workspace.pk, by=["kind"], **window)}  # type: ignore[arg-type]
        expected = self.expected
        assert total.core_seconds == sum(span.amount(self.now) for span in expected.runs)
        assert total.disk_byte_seconds == sum(span.amount(self.now) for span in expected.volumes) * 2**20
        if "service" in kinds:
            assert kinds["service"].existed_seconds == sum(span.amount(self.now) for span in expected.existed)
        days = usage(environment_id=self.workspace.pk, by=["day", "user"], **window)  # type: ignore[arg-type]
        assert sum(row.core_seconds for row in days) == total.core_seconds
        assert sum(row.existed_seconds for row in days) == total.existed_seconds

    def _no_gap(self) -> None:
        """While a thing exists, its intervals follow one another; as many lives as the model knows are apart."""
        rows = ResourceInterval.objects.filter(workspace=self.workspace, resource__address=VOLUME)
        times = list(rows.order_by("started_at", "id").values_list("started_at", "ended_at"))
        gaps = sum(first[1] != second[0] for first, second in pairwise(times))
        lives = sum(1 for first, second in pairwise(self.expected.volumes) if first.end != second.start)
        assert gaps <= lives
        assert bool(times) == bool(self.expected.volumes)
        assert any(end is None for _, end in times) == self.made


@pytest.mark.django_db
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("examples", "steps"), [(25, 25), pytest.param(150, 30, marks=pytest.mark.matrix)], ids=["some", "many"]
)
def test_histories(
    workspace: Workspace, lease: Lease, monkeypatch: pytest.MonkeyPatch, examples: int, steps: int
) -> None:
    GIVEN.update(workspace=workspace, lease=lease)
    monkeypatch.setattr(observers.log, "disabled", True)
    run_state_machine_as_test(
        Histories,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
