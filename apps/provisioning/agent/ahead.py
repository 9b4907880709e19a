"""Installing the packages of published modules before anybody launches them: the first launch is as fast as the tenth.

Every module's own runtime, and every ready Python environment for each module that takes it, is built here just as the
module's `slipway_runtime` will ask for it. It is the machine's least urgent work: begun when no change goes on, with
the lowest priority, ended at once when the agent ends. A launch that comes meanwhile waits for the same build.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from uuid import UUID

from apps.catalog.models import ModuleVersion
from apps.provisioning.agent.runtime_specs import newest_local, runtime_of, specs_of
from apps.provisioning.machine import Machine, MachineError
from apps.provisioning.machine.runtimes import RuntimeSpec
from apps.runtimes.models import Runtime, RuntimeVersion
from apps.runtimes.services import runtime_version_measured

log = logging.getLogger(__name__)


class BuildAhead:
    """Looks for what is new since the last look; `look()` returns when it is built or work has come."""

    def __init__(self, *, machine: Machine, is_idle: Callable[[], bool], stopping: threading.Event) -> None:
        self.machine = machine
        self.is_idle = is_idle
        self.stopping = stopping
        # A Python environment is looked at again when there are other modules that may take it.
        self.seen: set[tuple[UUID, ...]] = set()

    def look(self) -> None:
        for spec, title in self._wanted():
            if self.stopping.is_set() or not self.is_idle():
                return
            self._build(spec, title)

    def _wanted(self) -> Iterator[tuple[RuntimeSpec, str]]:
        """What is there already is given, too: knowing that costs a digest, and only at the first look."""
        modules = newest_local()
        for key in modules:
            if (key,) not in self.seen:
                version = ModuleVersion.objects.select_related("module").get(pk=key)
                if spec := runtime_of(version):
                    yield spec, str(version)
                self.seen.add((key,))
        latest = Runtime.objects.exclude(latest_version=None).order_by("slug")
        for key in latest.values_list("latest_version_id", flat=True):
            if (key, *modules) not in self.seen:
                yield from self._of_version(key)
                self.seen.add((key, *modules))

    def _of_version(self, key: UUID) -> Iterator[tuple[RuntimeSpec, str]]:
        version = RuntimeVersion.objects.select_related("runtime").get(pk=key)
        size = 0
        for spec, _ in specs_of(version):
            yield spec, str(version)
            if version.size_bytes is None:
                size = max(size, self.machine.runtimes.size_bytes(spec))
        if size:
            runtime_version_measured(version_id=version.pk, size_bytes=size)

    def _build(self, spec: RuntimeSpec, title: str) -> None:
        try:
            if self.machine.runtimes.is_built(spec):
                return
            log.info("installing the packages of %s ahead of its first launch", title)
            started = time.monotonic()
            self.machine.runtimes.prepare(spec, ended=self.stopping)
        except MachineError as error:
            # The launch that needs them tries again, and tells its person.
            log.warning("the packages of %s were not installed ahead: %s", title, error.detail)
        else:
            log.info("the packages of %s are installed (%.0f s)", title, time.monotonic() - started)
