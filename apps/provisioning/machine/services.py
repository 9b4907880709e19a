"""Services: creating, changing, starting, stopping; desired state in service.json, supervised by supervisord."""

import contextlib
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .api import client_gone
from .cgroups import Group
from .errors import Conflict, InvalidRequest, MachineError, NotFound, ShuttingDown
from .files import directory_private, json_write, names_in
from .gpus import Gpus
from .health import service_answers
from .launching import launch_describe
from .layout import Layout, name_checked
from .limits import Limits
from .logs import log_last_lines
from .observing import ServiceObservation, exit_words, memory_words, service_observe, state_read
from .ports import port_allocate
from .records import ServiceRecord, ServiceSpec, record_load, record_save, secret_new
from .runtimes import Runtimes
from .sandboxes import Sandboxes
from .shim import service_end_leftovers
from .supervisor import Supervisor, program_name
from .trees import tree_remove
from .volumes import Volumes

STOPPED_BY_REQUEST = "Stopped."


class Services:
    """All services of the machine. One lock per service; starting many at once is one supervisord's work."""

    def __init__(
        self, layout: Layout, *, supervisor: Supervisor, sandboxes: Sandboxes, limits: Limits, volumes: Volumes,
        runtimes: Runtimes, gpus: Gpus,
    ) -> None:  # fmt: skip
        self.layout = layout
        self.supervisor = supervisor
        self.sandboxes = sandboxes
        self.limits = limits
        self.volumes = volumes
        self.runtimes = runtimes
        self.gpus = gpus
        self.stopping = threading.Event()
        self._locks: defaultdict[tuple[str, str], threading.RLock] = defaultdict(threading.RLock)
        self._parents = threading.Lock()  # Or a delete takes a folder away that another service is about to begin in.
        self._ports = threading.Lock()

    # Requests

    def put(self, workspace_id: str, name: str, spec: ServiceSpec) -> tuple[dict[str, Any], bool]:
        """Create or change a service and wait until it answers. Restarts it only if its process must change."""
        name_checked(name, "The service")
        with self._locks[workspace_id, name]:
            self._may_start()
            home = self.volumes.by_id(workspace_id, spec.volume)
            if spec.runtime:
                self.runtimes.get(workspace_id, spec.runtime)
            known = self.record(workspace_id, name)
            record = known or ServiceRecord(workspace_id, name, spec)
            with self._parents:
                directory_private(self._directory(workspace_id, name))
            before = record.spec
            record.spec = replace(spec)
            goes_on = bool(
                known
                and record.wanted
                and self._alive(record)
                and before.process() == spec.process()
                and before.running
            )
            if goes_on and self._limits_change(record, before):
                record_save(self.layout, record)
                self.context_sync(workspace_id)
            elif record.spec.running:
                if known:  # Whoever had access before a stop or a change of hands keeps nothing that opens it.
                    record.secret = secret_new()
                self._start(record, home)
            else:
                self._stop(record, STOPPED_BY_REQUEST)
            if record.wanted:
                self._health_wait(record, started=not goes_on)
            return self.get(workspace_id, name), known is None

    def get(self, workspace_id: str, name: str) -> dict[str, Any]:
        record = self.record(workspace_id, name_checked(name, "The service"))
        if record is None:
            raise NotFound(f"There is no service {name!r} in this environment.", code="machine:service-not-found")
        seen = self._observe(record)
        started = datetime.fromtimestamp(seen.started_at, UTC).isoformat() if seen.started_at else None
        return {
            "id": f"{workspace_id}/{name}",
            "name": name,
            "running": record.spec.running,
            "status": seen.status,
            "reason": seen.reason,
            "port": record.port,
            "address": f"127.0.0.1:{record.port}",
            "secret": record.secret,
            "started_at": started,
            "isolation": self.sandboxes.isolation.mode,
            "restarts": seen.restarts,
        }

    def delete(self, workspace_id: str, name: str) -> None:
        """Stop the service and forget it. Its log stays until the environment is purged."""
        name_checked(name, "The service")
        with self._locks[workspace_id, name]:
            record = self.record(workspace_id, name)
            if record:
                record.spec = replace(record.spec, running=False)
                self._stop(record, STOPPED_BY_REQUEST)
            with contextlib.suppress(MachineError):
                self.supervisor.program_remove(program_name(workspace_id, name))
            tree_remove(self._directory(workspace_id, name))
            with self._parents, contextlib.suppress(OSError):
                self.layout.services(workspace_id).rmdir()

    def stop(self, workspace_id: str, name: str, reason: str) -> None:
        """Stop the service and record that it is not wanted running."""
        with self._locks[workspace_id, name]:
            record = self.record(workspace_id, name)
            if record:
                record.spec = replace(record.spec, running=False)
                self._stop(record, reason)

    def using_volume(self, workspace_id: str, volume: str) -> list[str]:
        wanted = f"{workspace_id}/{volume}"
        return [record.name for record in self.records(workspace_id) if record.spec.volume == wanted and record.wanted]

    # The machine

    def records(self, workspace_id: str | None = None) -> list[ServiceRecord]:
        workspaces = [workspace_id] if workspace_id else names_in(self.layout.root / "services")
        found = [
            self.record(workspace, name)
            for workspace in workspaces
            for name in names_in(self.layout.services(workspace))
        ]
        return [record for record in found if record]

    def record(self, workspace_id: str, name: str) -> ServiceRecord | None:
        return record_load(self._directory(workspace_id, name))

    def observe(self) -> list[ServiceObservation]:
        return [self._observe(record) for record in self.records()]

    def leftovers_end(self) -> list[int]:
        """End what every service of a supervisord that is gone left behind. Only while none runs."""
        killed: list[int] = []
        for workspace_id in names_in(self.layout.root / "services"):
            for name in names_in(self.layout.services(workspace_id)):
                killed += service_end_leftovers(self._directory(workspace_id, name), f"{workspace_id}/{name}")
        return killed

    def resume(self) -> list[str]:
        """Start every service that was running when the machine stopped its services; adopt those that run.

        Does not wait for their health. Returns "workspace/service" of those it could not start.
        """
        self.stopping.clear()
        failed = []
        for record in self.records():
            with self._locks[record.workspace_id, record.name]:
                current = self.record(record.workspace_id, record.name)
                if current is None or not current.spec.running:
                    continue
                try:
                    self._resume_one(current)
                except MachineError as error:
                    current.stop_reason = error.detail
                    record_save(self.layout, current)
                    failed.append(f"{current.workspace_id}/{current.name}")
        return failed

    def stop_full(self, record: ServiceRecord, reason: str) -> None:
        """End a service that fills the disk, unless it was changed or ended meanwhile."""
        lock = self._locks[record.workspace_id, record.name]
        if not lock.acquire(timeout=0.5):
            # Somebody waits for its first answer: its end is told to them, and its start given up.
            directory = self._directory(record.workspace_id, record.name)
            service_end_leftovers(directory, f"{record.workspace_id}/{record.name}")
            return
        try:
            current = self.record(record.workspace_id, record.name)
            if current and current.wanted and not current.failed and current.generation == record.generation:
                current.failed = {"status": "out_of_disk", "reason": reason}
                self._stop(current, reason)
        finally:
            lock.release()

    def _resume_one(self, record: ServiceRecord) -> None:
        if record.failed:
            return  # It was ended for a reason that a person has to see to.
        state = state_read(self._directory(record.workspace_id, record.name), record.generation)
        if self.supervisor.answers():
            if state["alive"]:
                return
            # Given up or out of memory: a person decides. A supervisord that answers restarts crashed ones itself.
            if record.suspended is None and state["phase"] not in ("none", "ended", "running"):
                return
        self._start(record, self.volumes.by_id(record.workspace_id, record.spec.volume))

    def suspend_all(self, reason: str) -> None:
        """Stop everything for the machine's sake; what was wanted stays recorded, `resume` starts it again."""
        self.stopping.set()
        records = [record for record in self.records() if record.spec.running]
        for record in records:
            if record.suspended is None:
                record.suspended = reason
                record_save(self.layout, record)
        self.supervisor.shutdown()
        self.leftovers_end()

    def context_sync(self, workspace_id: str) -> None:
        """Show services the environment's present context.json; those that run see it without a restart."""
        for name in names_in(self.layout.services(workspace_id)):
            self.sandboxes.context_copy(workspace_id, self._directory(workspace_id, name))

    # Steps

    def _may_start(self) -> None:
        if self.stopping.is_set():
            raise ShuttingDown("The portal is being shut down; this goes on when it is started again.")

    def _directory(self, workspace_id: str, name: str) -> Path:
        return self.layout.service(workspace_id, name)

    def _alive(self, record: ServiceRecord) -> bool:
        return bool(state_read(self._directory(record.workspace_id, record.name), record.generation)["alive"])

    def _observe(self, record: ServiceRecord) -> ServiceObservation:
        """One look; a run that has not answered yet is asked, briefly."""
        directory = self._directory(record.workspace_id, record.name)
        state = state_read(directory, record.generation)
        run = [record.generation, state["restarts"]]
        waiting = record.wanted and record.healthy_run != run and state["alive"] and state["phase"] == "running"
        if waiting and service_answers(record.port, record.spec.health_path, record.secret, timeout=0.5):
            self._healthy(record, run)
        return service_observe(directory, record)

    def _healthy(self, record: ServiceRecord, run: list[int]) -> None:
        """Note the first answer, unless the service was changed meanwhile."""
        current = self.record(record.workspace_id, record.name)
        if current and current.generation == record.generation:
            current.healthy_run = record.healthy_run = run
            record_save(self.layout, current)

    def _start(self, record: ServiceRecord, home: Path) -> None:
        """A new run: end the old one and whatever it left, describe the new one, hand it to supervisord."""
        directory = self._directory(record.workspace_id, record.name)
        name = program_name(record.workspace_id, record.name)
        self._may_start()
        with self.gpus.reserved(record, self._holding()) as gpus:
            self._start_with(record, home, directory, gpus)
        try:
            self.supervisor.program_add(record.workspace_id, record.name)
            self._may_start()
            self.supervisor.program_start(name)
        except MachineError:
            if self.stopping.is_set():  # The machine's stop came between: leave no supervisor behind.
                self.supervisor.shutdown()
            raise

    def _holding(self) -> Iterator[ServiceRecord]:
        """Services whose devices are theirs: those that are to run, and those that have not ended yet."""
        for record in self.records():
            if record.gpus and (record.spec.running or self._alive(record)):
                yield record

    def gpu_holders(self) -> dict[int, str]:
        return {index: record.workspace_id for record in self._holding() for index in record.gpus}

    def _start_with(self, record: ServiceRecord, home: Path, directory: Path, gpus: list[int]) -> None:
        self._process_end(record)
        # Before the record says that it is wanted: the machine's keeper takes a wanted service without a supervisor
        # for one whose supervisor was killed.
        self.supervisor.start()
        with self._port_reserved(record):
            record.suspended, record.failed, record.stop_reason = None, None, ""
            record.generation += 1
            record.gpus = gpus
            record_save(self.layout, record)
        self._launch_write(record, home, directory)

    def _launch_write(self, record: ServiceRecord, home: Path, directory: Path) -> None:
        launch = launch_describe(
            record, self.sandboxes, self.limits, self.runtimes, self.gpus, home=home, private=directory
        )
        json_write(directory / "launch.json", launch)

    @contextlib.contextmanager
    def _port_reserved(self, record: ServiceRecord) -> Iterator[None]:
        """Choose the port; no other service can choose it before this one's record is written."""
        with self._ports:
            own = (record.workspace_id, record.name)
            taken = {other.port for other in self.records() if (other.workspace_id, other.name) != own}
            wanted = record.spec.app_port
            record.port = port_allocate(taken, preferred=wanted or record.port)
            if wanted and record.port != wanted:
                raise Conflict(f"Port {wanted} is taken on this machine.", code="machine:port-taken")
            yield

    def _stop(self, record: ServiceRecord, reason: str) -> None:
        record.stop_reason = reason
        record_save(self.layout, record)
        self._process_end(record)
        if record.gpus:
            record.gpus = []
            record_save(self.layout, record)

    def _process_end(self, record: ServiceRecord) -> None:
        """End the service's process and whatever it left, for good.

        A process that just ended by itself may be about to be restarted by supervisord, which then does not count it as
        running and refuses to stop it: without its launch.json such a restart ends at once.
        """
        directory = self._directory(record.workspace_id, record.name)
        (directory / "launch.json").unlink(missing_ok=True)
        self.supervisor.program_stop(program_name(record.workspace_id, record.name))
        service_end_leftovers(directory, f"{record.workspace_id}/{record.name}")

    def _limits_change(self, record: ServiceRecord, before: ServiceSpec) -> bool:
        """Give a running service its new limits. False when that needs a restart."""
        spec = record.spec
        if (spec.cpu, spec.memory_mb) == (before.cpu, before.memory_mb):
            return True
        described = self.limits.group(record.workspace_id, record.name)
        if described is None:
            return False
        try:
            Group(described["version"], described["paths"]).limit(
                memory_bytes=spec.memory_mb * 1024 * 1024 if spec.memory_mb else None, cpu=spec.cpu, pids=None
            )
        except OSError:
            return False  # The kernel refuses a limit below what is in use.
        home = self.volumes.by_id(record.workspace_id, spec.volume)
        directory = self._directory(record.workspace_id, record.name)
        self._launch_write(record, home, directory)
        return True

    def _health_wait(self, record: ServiceRecord, *, started: bool) -> None:
        """Until the service answers. An early end is told at once, both with the last lines of its log.

        What this call `started` and did not get to answer is ended again, so that nothing half alive stays behind.
        """
        directory = self._directory(record.workspace_id, record.name)
        deadline = time.monotonic() + record.spec.health_timeout_s
        exits_before = 0 if started else len(state_read(directory, record.generation)["exits"])
        pause = 0.05
        while True:
            self._may_start()
            if client_gone():
                abandoned = MachineError("Whoever asked for the service is gone.", code="machine:abandoned")
                if started:
                    self._start_failed(record, abandoned)
                raise abandoned
            state = state_read(directory, record.generation)
            if state["phase"] == "running" and service_answers(record.port, record.spec.health_path, record.secret):
                self._healthy(record, [record.generation, state["restarts"]])
                return
            problem = _start_problem(record, state, exits_before, late=time.monotonic() > deadline)
            if problem:
                problem.log = log_last_lines(self.layout.log(record.workspace_id, record.name))
                if started:
                    self._start_failed(record, problem)
                raise problem
            time.sleep(pause)
            pause = min(0.5, pause * 1.3)

    def _start_failed(self, record: ServiceRecord, problem: MachineError) -> None:
        memory = problem.code == "machine:out-of-memory"
        record.failed = {"status": "out_of_memory" if memory else "crashed", "reason": problem.detail}
        self._stop(record, problem.detail)


def _start_problem(
    record: ServiceRecord, state: dict[str, Any], exits_before: int, *, late: bool
) -> MachineError | None:
    """Why waiting for an answer makes no sense any more; None while it does."""
    if len(state["exits"]) > exits_before or state["phase"] in ("out_of_memory", "gave_up"):
        if state["exits"] and state["exits"][-1]["oom"]:
            memory = memory_words(record.spec.memory_mb)
            detail = f"{memory} of memory were not enough for {record.name} to start."
            return InvalidRequest(detail, code="machine:out-of-memory")
        detail = f"{record.name} ended before it answered. {exit_words(state['exits'])}"
        return InvalidRequest(detail, code="machine:service-ended")
    if late:
        detail = f"{record.name} did not answer within {record.spec.health_timeout_s} seconds."
        return MachineError(detail, code="machine:service-timeout", status=504)
    return None
