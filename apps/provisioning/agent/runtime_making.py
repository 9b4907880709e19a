"""Making the versions of Python environments that platform engineers ask for: locked, then built, then ready.

Any agent may take a version. Whoever does holds an advisory lock of PostgreSQL in a session of its own until it is
done, so that a killed agent holds nothing, and the next look of any agent finds the version as it is and goes on with
it. A version is ready once it is built for every module that takes it (what a module lays over a runtime is part of
its digest) on the machine that made it; the others build it ahead.
"""

import hashlib
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psycopg
from django.conf import settings
from django.db import close_old_connections

from apps.provisioning.agent.runtime_specs import specs_of
from apps.provisioning.machine import Machine, MachineError
from apps.provisioning.machine.locking import LockingEnded
from apps.runtimes.models import RuntimeVersion
from apps.runtimes.services import (
    runtime_version_failed,
    runtime_version_locked,
    runtime_version_log,
    runtime_version_ready,
)

log = logging.getLogger(__name__)

S = RuntimeVersion.Status
EVERY = 5.0


class RuntimeMaker:
    """`look()` makes what waits, one after the other, and returns when nothing does or the agent is to end."""

    def __init__(self, *, machine: Machine, stopping: threading.Event) -> None:
        self.machine = machine
        self.stopping = stopping

    def run(self) -> None:
        """Until the agent ends; woken by a click, and looking by itself every few seconds."""
        while not self.stopping.is_set():
            try:
                with psycopg.connect(str(settings.DATABASE_URL), autocommit=True) as session:
                    session.execute("LISTEN slipway_runtimes")
                    while not self.stopping.is_set():
                        close_old_connections()
                        self.look()
                        self._rest(session)
            except psycopg.Error:
                self.stopping.wait(1)
            except Exception:
                log.exception("Python environments could not be made")
                self.stopping.wait(EVERY)

    def look(self) -> None:
        waiting = RuntimeVersion.objects.filter(status__in=(S.LOCKING, S.BUILDING)).order_by("created_at", "id")
        for version in waiting.select_related("runtime"):
            if self.stopping.is_set():
                return
            with _taken(version) as is_ours:
                if is_ours:
                    version.refresh_from_db()
                    self._make(version)

    def _rest(self, session: "psycopg.Connection[tuple[object, ...]]") -> None:
        for _ in range(int(EVERY)):
            if self.stopping.is_set() or list(session.notifies(timeout=1, stop_after=1)):
                return

    def _make(self, version: RuntimeVersion) -> None:
        status = version.status
        try:
            if status == S.LOCKING:
                version = self._locked(version)
                status = version.status
            if status == S.BUILDING:
                size = self._built(version)
                runtime_version_ready(version_id=version.pk, size_bytes=size)
                log.info("the Python environment %s is ready", version)
        except MachineError as error:
            if self.stopping.is_set() or isinstance(error, LockingEnded):
                return  # Found again as it is by the next agent.
            log.warning("the Python environment %s cannot be made: %s", version, error.detail)
            runtime_version_failed(version_id=version.pk, status=status, reason=error.detail, log="\n".join(error.log))
        except OSError as error:
            reason = f"The machine could not go on: {error.strerror or error}"
            runtime_version_failed(version_id=version.pk, status=status, reason=reason, log="")

    def _locked(self, version: RuntimeVersion) -> RuntimeVersion:
        runtime_version_log(version_id=version.pk, line="Locking: finding versions that go together")
        lock = self.machine.locker.lock(
            version.requirements,
            python=version.runtime.python,
            only_wheels=not settings.RUNTIME_SOURCE_BUILDS,
            ended=self.stopping,
            from_source=settings.RUNTIME_SOURCE_PACKAGES,
        )
        locked = runtime_version_locked(version_id=version.pk, lock=lock)
        return locked or RuntimeVersion.objects.select_related("runtime").get(pk=version.pk)

    def _built(self, version: RuntimeVersion) -> int:
        """Bytes of the largest one built. A module that cannot take it fails it: it would fail its launches."""
        size = 0
        for spec, title in specs_of(version):
            runtime_version_log(version_id=version.pk, line=f"Building: downloading and installing {title}")
            if self.machine.disk.short():
                raise MachineError("The machine's disk is full. Remove what is not needed, then try again.")
            self.machine.runtimes.prepare(spec, ended=self.stopping)
            size = max(size, self.machine.runtimes.size_bytes(spec))
            if size > settings.RUNTIME_MEGABYTES * 1_000_000:
                self.machine.runtimes.discard(spec)
                raise MachineError(
                    f"It has {size / 1e6:,.0f} MB; a Python environment may have {settings.RUNTIME_MEGABYTES:,} MB. "
                    "Name fewer or smaller packages.",
                    code="machine:runtime-too-large",
                )
        return size


@contextmanager
def _taken(version: RuntimeVersion) -> Iterator[bool]:
    """Whether no other agent makes this version; none begins while it is held. Raises `psycopg.Error`."""
    number = int.from_bytes(hashlib.sha256(f"runtime-version:{version.pk}".encode()).digest()[:8], signed=True)
    with psycopg.connect(str(settings.DATABASE_URL), autocommit=True) as session:
        row = session.execute("SELECT pg_try_advisory_lock(%s)", [number]).fetchone()
        try:
            yield bool(row and row[0])
        finally:
            with suppress(psycopg.Error):
                session.execute("SELECT pg_advisory_unlock(%s)", [number])
