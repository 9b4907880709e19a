"""The loop of the agent: hold the machine's lease, move every change on, watch every service.

It may be killed at any moment. Terraform and the services go on; the next agent takes the lease with a higher fence,
attaches to what runs and ends nothing that it did not start.
"""

import errno
import logging
import os
import shutil
import socket
import threading
import time
from contextlib import suppress
from pathlib import Path

import psycopg
from django.conf import settings
from django.db import Error as DatabaseError
from django.db import close_old_connections, connections
from django.db.models.functions import Now

from apps.provisioning.agent.ahead import BuildAhead
from apps.provisioning.agent.change_run import AgentContext, ChangeRun
from apps.provisioning.agent.housekeeping import EVERY as HOUSEKEEPING_EVERY
from apps.provisioning.agent.housekeeping import runtimes_remove
from apps.provisioning.agent.leftovers import changes_forget_ended
from apps.provisioning.agent.module_work import ModuleWork
from apps.provisioning.agent.runtime_making import RuntimeMaker
from apps.provisioning.agent.watch import ServiceWatch
from apps.provisioning.engine import Engine
from apps.provisioning.exceptions import LeaseLost
from apps.provisioning.leases import Lease, holder_of_folder, lease_acquire
from apps.provisioning.machine import Machine
from apps.provisioning.machine.errors import Conflict
from apps.provisioning.models import Change, Workspace
from apps.provisioning.placing import changes_place_waiting
from apps.provisioning.terraform_sandbox import SandboxSpec
from apps.provisioning.transitions import change_fail

log = logging.getLogger(__name__)

RENEW_EVERY = 5.0
LOOK_EVERY = 1.0
LOGS_EVERY = 0.2
AHEAD_EVERY = 10.0
TICK = 0.05
REST = 1.0
GRACE = 20.0
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
FORGET_EVERY = 60.0


class AlreadyRunning(Exception):
    """Another live agent works on this machine's folder."""


class Agent:
    """One machine's agent. `run()` returns when `stop()` was called and everything it owes is written."""

    def __init__(self, *, name: str, machine: Machine, engine: Engine, sandbox: SandboxSpec) -> None:
        self.name = name
        self.machine = machine
        self.engine = engine
        self.sandbox = sandbox
        self.root: Path = machine.layout.root
        self.stopping = threading.Event()
        self.woken = threading.Event()
        self.runs: dict[object, ChangeRun] = {}
        self.placed_at = -REST
        self.lease: Lease | None = None
        self.services: ServiceWatch | None = None
        self.forgot_at = -FORGET_EVERY

    def stop(self) -> None:
        self.stopping.set()
        self.woken.set()

    def run(self, *, end_everything: bool) -> None:
        """Work until stopped. With `end_everything` the changes are then cancelled and the services ended, too."""
        try:
            self.machine.start()
        except Conflict as error:
            raise AlreadyRunning(str(error)) from None
        self.lease = self._wait_for_lease()
        if self.lease is None:
            return
        listener = threading.Thread(target=self._listen, daemon=True, name="listen")
        listener.start()
        watcher = threading.Thread(target=self._watch, name="watch")
        keeper = threading.Thread(target=self._keep_lease, name="lease")
        ahead = threading.Thread(target=self._build_ahead, name="ahead")
        maker = threading.Thread(target=self._make_runtimes, name="runtimes")
        cleaner = threading.Thread(target=self._keep_house, daemon=True, name="housekeeping")
        modules = ModuleWork(
            root=self.root, machine=self.machine, engine=self.engine, sandbox=self.sandbox, lease=self.lease,
            stopping=self.stopping,
        )  # fmt: skip
        try:
            self._renew()
            self._purge_destroyed()
            watcher.start()
            keeper.start()
            if settings.PREBUILD:
                ahead.start()
            maker.start()
            cleaner.start()
            modules.start()
            log.info("agent %s works with %s %s", self.name, self.engine.kind, self.engine.version)
            self._loop()
            if end_everything:
                self._end_everything()
        except LeaseLost as error:
            log.error("%s; this agent ends", error)
        finally:
            self.stopping.set()
            for thread in (watcher, keeper, listener, cleaner, maker):
                if thread.ident:
                    thread.join(10)
            modules.join(10)
            self.machine.close()
            with suppress(DatabaseError):
                self.lease.release()

    # The loop --------------------------------------------------------------------------------------------------------

    def _loop(self) -> None:
        while not self.stopping.is_set():
            try:
                close_old_connections()
                busy = self._advance()
            except DatabaseError as error:
                log.warning("the database does not answer: %s", str(error).splitlines()[0])
                busy = False
                time.sleep(1)
            self.woken.wait(TICK if busy else REST)
            self.woken.clear()

    def _advance(self) -> bool:
        """Pick up new changes and tick all; True while any is going on."""
        assert self.lease is not None
        if time.monotonic() - self.placed_at >= REST:
            # What no worker has placed because the queue is down or empty.
            self.placed_at = time.monotonic()
            changes_place_waiting()
        changes = Change.objects.filter(
            machine_id=self.lease.machine_id,
            status__in=(Change.Status.QUEUED, Change.Status.PLANNING, Change.Status.PLANNED, Change.Status.APPLYING),
        ).order_by("created_at", "id")
        # Ids only: this is asked twenty times a second, and a change comes with its module's whole archive.
        new = [key for key in changes.values_list("pk", flat=True) if key not in self.runs]
        if new:
            for change in changes.filter(pk__in=new).select_related("workspace", "module_version__module"):
                self._take(change)
        for key, run in list(self.runs.items()):
            if self._tick(run):
                del self.runs[key]
        if time.monotonic() - self.forgot_at >= FORGET_EVERY:
            self.forgot_at = time.monotonic()
            changes_forget_ended(self.root)
        return bool(self.runs)

    def _take(self, change: Change) -> None:
        assert self.lease is not None
        agent = AgentContext(
            root=self.root,
            lease=self.lease,
            engine=self.engine,
            machine=self.machine,
            sandbox=self.sandbox,
            environ=dict(os.environ),
        )
        try:
            self.runs[change.pk] = ChangeRun(agent, change)
        except DatabaseError:
            raise
        except Exception:
            log.exception("change %s cannot be taken up", change.pk)
            self._errored(change)

    def _tick(self, run: ChangeRun) -> bool:
        try:
            return run.tick()
        except (DatabaseError, LeaseLost):
            raise
        except Exception as error:
            if run.terraform_runs:
                # Nothing else may begin in its folder: the change ends when Terraform has.
                if not run.troubled:
                    log.exception("change %s goes on without being followed until Terraform ends", run.change.pk)
                run.troubled = True
                return False
            log.exception("change %s", run.change.pk)
            with suppress(Exception):
                run.close()
            if isinstance(error, OSError):
                code = "provisioning:disk-full" if error.errno in DISK_FULL else "provisioning:machine"
                change_fail(run.change, code=code, summary=f"The machine could not go on: {error.strerror or error}")
            else:
                self._errored(run.change)
            return True

    def _errored(self, change: Change) -> None:
        """A bug of ours: the person hears that it is, with the id under which the log has its traceback."""
        change.refresh_from_db()
        change_fail(
            change,
            code="provisioning:internal",
            summary="Something broke inside Slipway. Nothing was lost; try again, and report it if it happens again.",
            detail=f"Correlation id {change.correlation_id}",
        )

    # Ending ----------------------------------------------------------------------------------------------------------

    def _end_everything(self) -> None:
        """Cancel what runs, wait for Terraform to write its state, then end the services."""
        now_running = [run.change.pk for run in self.runs.values()]
        Change.objects.filter(pk__in=now_running, cancel_requested_at=None).update(
            cancel_requested_at=Now(), reason="The portal was shut down"
        )
        deadline = time.monotonic() + GRACE
        while self.runs and time.monotonic() < deadline:
            self._advance_running()
            time.sleep(TICK)
        for run in self.runs.values():
            if run.handle is not None:
                run.handle.kill()
        deadline = time.monotonic() + 3
        while self.runs and time.monotonic() < deadline:
            self._advance_running()
            time.sleep(TICK)
        self.machine.stop_services("The portal was shut down")
        self._look_once()

    def _advance_running(self) -> None:
        for key, run in list(self.runs.items()):
            if self._tick(run):
                del self.runs[key]

    # Beside the loop -------------------------------------------------------------------------------------------------

    def _wait_for_lease(self) -> Lease | None:
        """The folder's lock is ours, so a lease held in its name is a dead agent's."""
        holder, told = holder_of_folder(self.root), False
        while not self.stopping.is_set():
            try:
                if lease := lease_acquire(machine_name=self.name, holder=holder):
                    return lease
                if not told:
                    log.warning("another agent called %s works in another folder; waiting for it to end", self.name)
                    told = True
            except DatabaseError as error:
                log.warning("waiting for the database: %s", str(error).splitlines()[0])
            self.stopping.wait(1)
        return None

    def _purge_destroyed(self) -> None:
        """A kill between the end of a destroy and the removal of its folders leaves them; nobody needs them."""
        for left in self.machine.leftovers(()):
            if Workspace.objects.filter(pk=left).exclude(destroyed_at=None).exists():
                self.machine.purge_workspace(left)

    def _renew(self) -> None:
        assert self.lease is not None
        disk = shutil.disk_usage(self.root)
        self.lease.renew(
            isolation=self.machine.isolation,
            limits=self.machine.limits,
            engine=f"{self.engine.kind} {self.engine.version}",
            free_disk_bytes=disk.free,
            disk_bytes=disk.total,
            gpus=self.machine.gpu_rows(),
        )

    def _keep_lease(self) -> None:
        while not self.stopping.wait(RENEW_EVERY):
            try:
                close_old_connections()
                self._renew()
            except LeaseLost as error:
                log.error("%s; this agent ends", error)
                self.stop()
            except DatabaseError:
                log.warning("the lease could not be renewed; trying again")
        connections.close_all()

    def _keep_house(self) -> None:
        while not self.stopping.is_set():
            try:
                runtimes_remove(self.machine)
            except Exception:
                log.exception("the machine could not be cleared of what nobody needs")
            connections.close_all()
            self.stopping.wait(HOUSEKEEPING_EVERY)

    def _watch(self) -> None:
        looked_at = -LOOK_EVERY
        while not self.stopping.is_set():
            only_logs = time.monotonic() - looked_at < LOOK_EVERY
            if not only_logs:
                looked_at = time.monotonic()
            self._look_once(only_logs=only_logs)
            self.stopping.wait(LOGS_EVERY)
        connections.close_all()

    def _look_once(self, *, only_logs: bool = False) -> None:
        assert self.lease is not None
        if self.services is None:
            self.services = ServiceWatch(machine=self.machine, lease=self.lease, clock=time.monotonic)
        try:
            close_old_connections()
            self.services.look(only_logs=only_logs)
        except LeaseLost:
            self.stop()
        except DatabaseError as error:
            log.warning("the database does not answer: %s", str(error).splitlines()[0])
        except Exception:
            log.exception("the services could not be looked at")

    def _build_ahead(self) -> None:
        """Begun a little after the start: people and changes come first."""
        ahead = BuildAhead(machine=self.machine, is_idle=lambda: not self.runs, stopping=self.stopping)
        while not self.stopping.wait(AHEAD_EVERY):
            try:
                close_old_connections()
                ahead.look()
            except DatabaseError as error:
                log.warning("the database does not answer: %s", str(error).splitlines()[0])
            except Exception:
                log.exception("packages could not be installed ahead")
        connections.close_all()

    def _make_runtimes(self) -> None:
        RuntimeMaker(machine=self.machine, stopping=self.stopping).run()
        connections.close_all()

    def _listen(self) -> None:
        """Be woken by PostgreSQL, so that a click starts Terraform within milliseconds; polling is the net below."""
        while not self.stopping.is_set():
            try:
                with psycopg.connect(str(settings.DATABASE_URL), autocommit=True) as connection:
                    connection.execute("LISTEN slipway_agent")
                    while not self.stopping.is_set():
                        for _ in connection.notifies(timeout=1):
                            self.woken.set()
            except psycopg.Error:
                time.sleep(1)


def machine_name() -> str:
    return os.environ.get("SLIPWAY_MACHINE", "").strip() or socket.gethostname()
